/*
 * Attachments sorted by listener, hostname and age of the route are virtual hosts, one after the other. Each gets a
 * trie of its own: every match is placed at a node, and when all are placed one sort by (node, kind, precedence)
 * gives the lists of all nodes. Precedence within a list is the Gateway API's: has a method, number of headers,
 * number of query parameters, then the order of age, name, rule and match, in which they were placed.
 *
 * Where regular expressions stand the Gateway API leaves open. As in Envoy Gateway they come between exact paths and
 * prefixes, the longer pattern first, and then by the same criteria: "/.*" beats every prefix of its hostname. They
 * hang at the root of the virtual host's trie and become a list of its own.
 *
 * Where a virtual host has no rule for a request the next less specific one of the same listener is asked:
 * a.b.example, *.b.example, *.example, and the one for all.
 */
#include "control/compile/paths.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "http/http.h"
#include "table/table.h"

enum { FIRST = 256 };

/* One match of one rule on one virtual host. */
struct placement {
	uint32_t node;
	uint8_t kind;                /* enum model_path */
	uint8_t no_method;
	uint16_t spare;
	uint32_t no_pattern;         /* counted down: a longer pattern comes first; of regular expressions only */
	uint32_t no_headers;         /* counted down from what nobody has: more conditions come first */
	uint32_t no_query;
	uint32_t sequence;
	uint32_t rule;
	const struct model_match *match;
};

/* An attachment with what it is sorted by, so that comparing rarely looks at anything else. */
struct sorted {
	uint32_t listener;
	uint32_t order;              /* of the route */
	uint64_t begin;              /* the first bytes of the hostname, as a number */
	const struct model_attachment *attachment;
};

struct paths {
	struct builder *builder;
	struct region *region;
	struct sorted *sorted;
	const struct model_attachment **vhost_at;    /* by vhost: its first attachment */
	struct table_vhost *vhosts;
	uint32_t *vhost_hashes;                      /* of their hostnames */
	uint32_t *vhost_places;                      /* their indices in the tables */
	uint32_t vhosts_n;
	uint32_t *first_vhost, *end_vhost;           /* by the listener's index in the model */
	uint32_t *near_vhosts;                       /* the same, in the tables */
	uint32_t nodes_n;
	struct table_edge *edges;
	uint32_t *edge_hashes;
	size_t edges_n, edges_room;
	uint32_t *child_slots;                       /* open addressing: edge + 1, at most half full */
	size_t child_slots_n;
	struct placement *placements;
	size_t placements_n, placements_room;
};

static void *grown(struct region *r, const void *old, size_t used, size_t *room, size_t item_bytes)
{
	void *larger;

	*room = *room == 0 ? FIRST : *room * 2;
	larger = region_take(r, *room * item_bytes);
	if (used > 0)
		memcpy(larger, old, used * item_bytes);
	return larger;
}

/* ---- the trie ---- */

static uint32_t *child_slot(struct paths *p, uint32_t node, struct table_text segment, uint32_t hash)
{
	/* Texts are shared in the block: equal segments have equal offsets. */
	for (size_t i = hash & (p->child_slots_n - 1);; i = (i + 1) & (p->child_slots_n - 1)) {
		const struct table_edge *e;

		if (p->child_slots[i] == 0)
			return &p->child_slots[i];
		e = &p->edges[p->child_slots[i] - 1];
		if (e->node == node && e->segment.at == segment.at && e->segment.len == segment.len)
			return &p->child_slots[i];
	}
}

static void grow_children(struct paths *p)
{
	p->child_slots_n = p->child_slots_n == 0 ? FIRST : p->child_slots_n * 2;
	p->child_slots = REGION_ARRAY(p->region, uint32_t, p->child_slots_n);
	for (size_t i = 0; i < p->edges_n; i++)
		*child_slot(p, p->edges[i].node, p->edges[i].segment, p->edge_hashes[i]) = (uint32_t)i + 1;
}

static uint32_t child(struct paths *p, uint32_t node, const char *segment, size_t len)
{
	const struct table_text text = builder_text(p->builder, segment, len);
	const uint32_t hash = table_hash_edge(builder_root(p->builder)->hash_seed, node, segment, len);
	uint32_t *slot;

	if ((p->edges_n + 1) * 2 > p->child_slots_n)
		grow_children(p);
	slot = child_slot(p, node, text, hash);
	if (*slot == 0) {
		if (p->edges_n == p->edges_room) {
			size_t room = p->edges_room;

			p->edges = grown(p->region, p->edges, p->edges_n, &p->edges_room, sizeof(p->edges[0]));
			p->edge_hashes = grown(p->region, p->edge_hashes, p->edges_n, &room, sizeof(uint32_t));
		}
		p->edges[p->edges_n] = (struct table_edge){.node = node, .to = p->nodes_n++, .segment = text};
		p->edge_hashes[p->edges_n++] = hash;
		*slot = (uint32_t)p->edges_n;
	}
	return p->edges[*slot - 1].to;
}

/* What of a prefix counts: "/a/" is "/a", "/" is nothing. */
static size_t prefix_bytes(const char *path)
{
	size_t len = strlen(path);

	while (len > 0 && path[len - 1] == '/')
		len--;
	return len;
}

/* Of the path: what leads to its node, and what a prefix that is replaced has. A regular expression has none. */
static uint32_t match_bytes(const struct model_match *m)
{
	switch (m->path_kind) {
	case MODEL_PATH_EXACT:
		return (uint32_t)strlen(m->path);
	case MODEL_PATH_PREFIX:
		return (uint32_t)prefix_bytes(m->path);
	default:
		return 0;
	}
}

static uint32_t node_of(struct paths *p, uint32_t root, const struct model_match *m)
{
	const char *at = m->path, *end = m->path + match_bytes(m);
	uint32_t node = root;

	while (at < end) {
		const char *segment = at + 1; /* at is at a slash */
		const char *slash = memchr(segment, '/', (size_t)(end - segment));

		at = slash != NULL ? slash : end;
		node = child(p, node, segment, (size_t)(at - segment));
	}
	return node;
}

/* ---- placing ---- */

static void place(struct paths *p, uint32_t root, const struct model_match *m, uint32_t rule)
{
	if (p->placements_n == p->placements_room)
		p->placements = grown(p->region, p->placements, p->placements_n, &p->placements_room,
		                      sizeof(p->placements[0]));
	p->placements[p->placements_n] = (struct placement){
		.node = node_of(p, root, m),
		.kind = (uint8_t)m->path_kind,
		.no_pattern = UINT32_MAX - (m->path_kind == MODEL_PATH_REGEX ? (uint32_t)strlen(m->path) : 0),
		.no_method = m->method == TABLE_ANY_METHOD,
		.no_headers = UINT32_MAX - m->headers_n,
		.no_query = UINT32_MAX - m->query_n,
		.sequence = (uint32_t)p->placements_n,
		.rule = rule,
		.match = m,
	};
	p->placements_n++;
}

static void place_route(struct paths *p, uint32_t root, const struct model_route *route)
{
	for (uint32_t i = 0; i < route->rules_n; i++) {
		for (uint32_t k = 0; k < route->rules[i].matches_n; k++)
			place(p, root, &route->rules[i].matches[k], route->rules[i].index);
	}
}

static int compare_placements(const void *x, const void *y)
{
	const struct placement *a = x, *b = y;

	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->no_pattern != b->no_pattern)
		return a->no_pattern < b->no_pattern ? -1 : 1;
	if (a->no_method != b->no_method)
		return a->no_method < b->no_method ? -1 : 1;
	if (a->no_headers != b->no_headers)
		return a->no_headers < b->no_headers ? -1 : 1;
	if (a->no_query != b->no_query)
		return a->no_query < b->no_query ? -1 : 1;
	return a->sequence < b->sequence ? -1 : 1;
}

static struct table_list put_predicates(struct paths *p, const struct model_predicate *from, uint32_t n, bool headers)
{
	struct table_predicate *all = REGION_ARRAY(p->region, struct table_predicate, n);

	for (uint32_t i = 0; i < n; i++) {
		const size_t name_len = strlen(from[i].name);

		all[i] = (struct table_predicate){
			.name = builder_text(p->builder, from[i].name, name_len),
			.value = builder_text(p->builder, from[i].value, strlen(from[i].value)),
			.compare = from[i].regex != NULL ? TABLE_REGEX : TABLE_EQUAL,
			.regex = from[i].regex != NULL ? from[i].regex->index : 0,
		};
		if (headers)
			all[i].field_id =
				(uint16_t)http_field_id((struct text){.at = from[i].name, .len = (uint32_t)name_len});
	}
	return builder_list(p->builder, all, sizeof(all[0]), n);
}

/* Writes the matches from..end, which are one list of one node. */
static struct table_list put_matches(struct paths *p, size_t from, size_t end)
{
	struct table_match *all = REGION_ARRAY(p->region, struct table_match, end - from);

	for (size_t i = from; i < end; i++) {
		const struct model_match *m = p->placements[i].match;

		all[i - from] = (struct table_match){
			.rule = p->placements[i].rule,
			.method = m->method,
			.headers = put_predicates(p, m->headers, m->headers_n, true),
			.query = put_predicates(p, m->query, m->query_n, false),
			.path_bytes = match_bytes(m),
			.regex = m->regex != NULL ? m->regex->index : TABLE_NONE,
		};
	}
	return builder_list(p->builder, all, sizeof(all[0]), end - from);
}

/* A list of the node that is the root of one virtual host. */
static void set_regexes(struct paths *p, uint32_t root, struct table_list list)
{
	uint32_t low = 0, high = p->vhosts_n;

	while (high - low > 1) {
		const uint32_t middle = low + (high - low) / 2;

		if (p->vhosts[middle].root <= root)
			low = middle;
		else
			high = middle;
	}
	CHECK(p->vhosts[low].root == root);
	p->vhosts[low].regexes = list;
}

/* Edges in the order of the nodes that they leave, by counting; within a node in that of their making. */
static void put_edges(struct paths *p, struct table_node *nodes)
{
	struct table_edge *sorted = REGION_ARRAY(p->region, struct table_edge, p->edges_n);
	uint32_t *hashes = REGION_ARRAY(p->region, uint32_t, p->edges_n);
	uint32_t *values = REGION_ARRAY(p->region, uint32_t, p->edges_n), many = 0;
	struct table_list list;
	struct table_hash index;

	for (size_t i = 0; i < p->edges_n; i++)
		nodes[p->edges[i].node].edges_n++;
	for (uint32_t i = 1; i < p->nodes_n; i++)
		nodes[i].edge = nodes[i - 1].edge + nodes[i - 1].edges_n;
	for (size_t i = 0; i < p->edges_n; i++) {
		struct table_node *from = &nodes[p->edges[i].node];
		const uint32_t at = from->edge++;

		sorted[at] = p->edges[i];
		if (from->edges_n <= TABLE_EDGES_FEW)
			continue;
		hashes[many] = p->edge_hashes[i];
		values[many++] = at;
	}
	for (uint32_t i = 0; i < p->nodes_n; i++)
		nodes[i].edge -= nodes[i].edges_n;
	list = builder_list(p->builder, sorted, sizeof(sorted[0]), p->edges_n);
	builder_root(p->builder)->edges = list;
	for (uint32_t i = 0; i < p->vhosts_n; i++)
		p->vhosts[i].near_edges = list.at + nodes[p->vhosts[i].root].edge * (uint32_t)sizeof(sorted[0]);
	index = builder_hash(p->builder, hashes, values, many);
	builder_root(p->builder)->edges_index = index;
}

static void put_nodes(struct paths *p)
{
	struct table_node *nodes = REGION_ARRAY(p->region, struct table_node, p->nodes_n);
	struct table_list list;
	uint32_t vhost = 0;

	if (p->placements_n > 1)
		qsort(p->placements, p->placements_n, sizeof(p->placements[0]), compare_placements);
	for (size_t i = 0, end; i < p->placements_n; i = end) {
		const struct placement *first = &p->placements[i];

		for (; vhost < p->vhosts_n && p->vhosts[vhost].root <= first->node; vhost++)
			p->vhosts[vhost].near_matches = (uint32_t)builder_bytes(p->builder);
		for (end = i + 1; end < p->placements_n && p->placements[end].node == first->node &&
		                  p->placements[end].kind == first->kind;)
			end++;
		list = put_matches(p, i, end);
		if (first->kind == MODEL_PATH_REGEX)
			set_regexes(p, first->node, list);
		else if (first->kind == MODEL_PATH_PREFIX)
			nodes[first->node].prefix = list;
		else
			nodes[first->node].exact = list;
	}
	put_edges(p, nodes);
	list = builder_list(p->builder, nodes, sizeof(nodes[0]), p->nodes_n);
	builder_root(p->builder)->nodes = list;
}

/* ---- virtual hosts ---- */

/* Numbers compare as strcmp() compares the texts; what is shorter is filled up with zeros. */
static uint64_t beginning(const char *text)
{
	uint64_t number = 0;

	for (size_t i = 0; i < sizeof(number); i++) {
		number = number << 8 | (uint8_t)*text;
		text += *text != '\0';
	}
	return number;
}

static int compare_attachments(const void *x, const void *y)
{
	const struct sorted *a = x, *b = y;
	int by;

	if (a->listener != b->listener)
		return a->listener < b->listener ? -1 : 1;
	if (a->begin != b->begin)
		return a->begin < b->begin ? -1 : 1;
	by = a->attachment->hostname == b->attachment->hostname ? 0 :
	     strcmp(a->attachment->hostname, b->attachment->hostname);
	return by != 0 ? by : (a->order > b->order) - (a->order < b->order);
}

static uint32_t find_vhost(const struct paths *p, const struct model_listener *l, const char *hostname)
{
	uint32_t low = p->first_vhost[l->index], high = p->end_vhost[l->index];

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		const int by = strcmp(p->vhost_at[middle]->hostname, hostname);

		if (by == 0)
			return middle;
		if (by < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return TABLE_NONE;
}

static uint32_t less_specific(const struct paths *p, const struct model_listener *l, const char *hostname)
{
	char wildcard[256] = "*";
	const char *dot = strchr(hostname + (hostname[0] == '*' ? 2 : 0), '.');

	if (hostname[0] == '\0')
		return TABLE_NONE;
	for (; dot != NULL; dot = strchr(dot + 1, '.')) {
		const size_t len = strlen(dot);
		uint32_t found;

		if (len + 2 > sizeof(wildcard))
			continue;
		memcpy(wildcard + 1, dot, len + 1);
		found = find_vhost(p, l, wildcard);
		if (found != TABLE_NONE)
			return found;
	}
	return find_vhost(p, l, "");
}

/*
 * The virtual hosts of one listener stand in the order of the slots that their index will have, with empty ones between
 * them; the one for all comes behind. Returns where the next listener's begin.
 */
static uint32_t place_vhosts(struct paths *p, uint32_t listener, uint32_t at)
{
	const uint32_t first = p->first_vhost[listener], end = p->end_vhost[listener];
	uint32_t *hashes = REGION_ARRAY(p->region, uint32_t, end - first);
	uint32_t *places = REGION_ARRAY(p->region, uint32_t, end - first);
	uint32_t n = 0, slots_n;

	for (uint32_t i = first; i < end; i++) {
		if (p->vhosts[i].hostname.len > 0)
			hashes[n++] = p->vhost_hashes[i];
	}
	slots_n = (uint32_t)builder_places(hashes, n, places);
	p->near_vhosts[listener] = at;
	n = 0;
	for (uint32_t i = first; i < end; i++)
		p->vhost_places[i] = at + (p->vhosts[i].hostname.len > 0 ? places[n++] : slots_n);
	return at + slots_n + (n < end - first);
}

static void put_vhosts(struct paths *p, uint32_t listeners_n)
{
	struct table_vhost *all;
	struct table_list list;
	uint32_t n = 0;

	for (uint32_t i = 0; i < listeners_n; i++)
		n = place_vhosts(p, i, n);
	all = REGION_ARRAY(p->region, struct table_vhost, n);
	for (uint32_t i = 0; i < n; i++)
		all[i].less_specific = TABLE_NONE;
	for (uint32_t i = 0; i < p->vhosts_n; i++) {
		const struct model_attachment *a = p->vhost_at[i];
		const uint32_t other = less_specific(p, a->listener, a->hostname);

		p->vhosts[i].less_specific = other != TABLE_NONE ? p->vhost_places[other] : TABLE_NONE;
		all[p->vhost_places[i]] = p->vhosts[i];
	}
	builder_line(p->builder);
	list = builder_list(p->builder, all, sizeof(all[0]), n);
	builder_root(p->builder)->vhosts = list;
}

static bool begins_vhost(const struct paths *p, uint32_t i)
{
	const struct sorted *a = &p->sorted[i], *before = i > 0 ? a - 1 : NULL;

	return before == NULL || before->listener != a->listener || before->begin != a->begin ||
	       strcmp(before->attachment->hostname, a->attachment->hostname) != 0;
}

/*
 * Of the first route of a virtual host: what it has in the block already, and where its segments will be, right behind
 * the hostname.
 */
static void hint(const struct paths *p, const struct model_route *route, struct table_vhost *v)
{
	const struct table_list rules = builder_root(p->builder)->rules;
	const uint32_t first = route->rules_n > 0 ? route->rules[0].index : TABLE_NONE;

	v->near_segments = (uint32_t)builder_bytes(p->builder);
	if (first >= rules.n)
		return;
	v->near_rule = rules.at + first * (uint32_t)sizeof(struct table_rule);
	v->near_backends = ((const struct table_rule *)builder_at(p->builder, v->near_rule))->name.at;
}

static void begin_vhost(struct paths *p, const struct model_attachment *a)
{
	struct table_vhost *v = &p->vhosts[p->vhosts_n];
	const size_t len = strlen(a->hostname);

	if (p->end_vhost[a->listener->index] == 0)
		p->first_vhost[a->listener->index] = p->vhosts_n;
	p->vhost_at[p->vhosts_n] = a;
	p->vhost_hashes[p->vhosts_n] = table_hash_host(builder_root(p->builder)->hash_seed, a->hostname, len);
	v->root = p->nodes_n++;
	hint(p, a->route, v);
	v->hostname = builder_text(p->builder, a->hostname, len);
	p->end_vhost[a->listener->index] = ++p->vhosts_n;
}

static void collect(struct paths *p, const struct model *m)
{
	p->sorted = REGION_ARRAY(p->region, struct sorted, m->attachments_n);
	p->vhost_at = REGION_ARRAY(p->region, const struct model_attachment *, m->attachments_n);
	p->vhosts = REGION_ARRAY(p->region, struct table_vhost, m->attachments_n);
	p->vhost_hashes = REGION_ARRAY(p->region, uint32_t, m->attachments_n);
	p->vhost_places = REGION_ARRAY(p->region, uint32_t, m->attachments_n);
	p->first_vhost = REGION_ARRAY(p->region, uint32_t, m->listeners_n);
	p->end_vhost = REGION_ARRAY(p->region, uint32_t, m->listeners_n);
	p->near_vhosts = REGION_ARRAY(p->region, uint32_t, m->listeners_n);
	for (uint32_t i = 0; i < m->attachments_n; i++) {
		const struct model_attachment *a = &m->attachments[i];

		p->sorted[i] = (struct sorted){.listener = a->listener->index, .order = a->route->order,
		                               .begin = beginning(a->hostname), .attachment = a};
	}
	if (m->attachments_n > 1)
		qsort(p->sorted, m->attachments_n, sizeof(p->sorted[0]), compare_attachments);
	for (uint32_t i = 0; i < m->attachments_n; i++) {
		const struct model_attachment *a = p->sorted[i].attachment;

		if (begins_vhost(p, i))
			begin_vhost(p, a);
		place_route(p, p->vhosts[p->vhosts_n - 1].root, a->route);
	}
}

static void put_regexes(struct paths *p, const struct model *m)
{
	struct table_regex *all = REGION_ARRAY(p->region, struct table_regex, m->regexes_n);
	struct table_list list;

	for (uint32_t i = 0; i < m->regexes_n; i++) {
		const char *pattern = m->regexes[i]->pattern;
		const size_t len = strlen(pattern);

		all[i].id = table_id(pattern, len);
		all[i].pattern = builder_text(p->builder, pattern, len);
	}
	list = builder_list(p->builder, all, sizeof(all[0]), m->regexes_n);
	builder_root(p->builder)->regexes = list;
}

struct paths *paths_put(const struct model *m, struct builder *b, struct region *r)
{
	struct paths *p = region_take(r, sizeof(*p));

	p->builder = b;
	p->region = r;
	collect(p, m);
	put_nodes(p);
	put_regexes(p, m);
	put_vhosts(p, m->listeners_n);
	return p;
}

void paths_hosts(const struct paths *p, const struct model_listener *l, struct builder *b, struct region *r,
                 struct table_listener *out)
{
	const uint32_t first = p->first_vhost[l->index], end = p->end_vhost[l->index];
	uint32_t *hashes = REGION_ARRAY(r, uint32_t, end - first), *values = REGION_ARRAY(r, uint32_t, end - first);
	uint32_t n = 0;

	out->near_vhosts = p->near_vhosts[l->index];
	out->catch_all = TABLE_NONE;
	for (uint32_t i = first; i < end; i++) {
		if (p->vhosts[i].hostname.len == 0) {
			out->catch_all = p->vhost_places[i];
			continue;
		}
		hashes[n] = p->vhost_hashes[i];
		values[n++] = p->vhost_places[i];
	}
	out->hosts = builder_hash(b, hashes, values, n);
}
