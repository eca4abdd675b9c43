/* See the header. Everything is quadratic: descriptions are small. */
#include "tests/support/table_fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "filter/filter.h"
#include "http/http.h"
#include "proxy/proxy.h"
#include "table/builder.h"

enum { ITEMS_MAX = 4096 };

struct draft_node {
	struct table_match exact[FIXTURE_MANY], prefix[FIXTURE_MANY];
	uint32_t exact_n, prefix_n;
};

struct draft {
	const struct fixture *f;
	struct builder *b;
	struct table_rule rules[FIXTURE_MANY];
	struct table_match matches[FIXTURE_MANY];   /* per route */
	uint32_t routes_n;
	struct table_listener listeners[FIXTURE_MANY];
	uint32_t listeners_n;
	struct table_vhost vhosts[ITEMS_MAX];
	uint32_t vhost_listener[ITEMS_MAX];
	uint32_t vhosts_n;
	struct draft_node *nodes;
	uint32_t nodes_n;
	struct table_regex regexes[FIXTURE_SOME];
	uint32_t regexes_n;
	struct table_edge edges[ITEMS_MAX];
	char edge_text[ITEMS_MAX][256];
	uint32_t edges_n;
};

#define DIE(...) (fprintf(stderr, "table_fixture: " __VA_ARGS__), fprintf(stderr, "\n"), abort())

/* ---- texts ---- */

struct addr fixture_addr(const char *text)
{
	struct addr a;
	uint32_t v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return addr_v4(v4);
	if (inet_pton(AF_INET6, text, a.b) != 1)
		DIE("no address: %s", text);
	return a;
}

static struct addr parse_cidr(const char *cidr, uint8_t *bits)
{
	char text[64];
	const char *slash = strchr(cidr, '/');
	struct addr a;

	if (slash == NULL || (size_t)(slash - cidr) >= sizeof(text))
		DIE("no prefix length: %s", cidr);
	memcpy(text, cidr, (size_t)(slash - cidr));
	text[slash - cidr] = '\0';
	a = fixture_addr(text);
	*bits = (uint8_t)(atoi(slash + 1) + (addr_is_v4(&a) ? 96 : 0));
	return a;
}

static uint64_t fnv(uint64_t h, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
	return h;
}

uint64_t fixture_cluster_id(const char *name)
{
	return fnv(UINT64_C(0xcbf29ce484222325), name, strlen(name));
}

uint64_t fixture_endpoint_id(const char *addr, uint16_t port)
{
	const struct addr a = fixture_addr(addr);

	return fnv(fnv(UINT64_C(0xcbf29ce484222325), a.b, sizeof(a.b)), &port, sizeof(port));
}

static struct table_text put_text(struct draft *d, const char *text)
{
	return text == NULL ? (struct table_text){0} : builder_text(d->b, text, strlen(text));
}

static uint16_t field_id(const char *name)
{
	return http_field_id((struct text){.at = name, .len = (uint32_t)strlen(name)});
}

static uint8_t method_number(const char *name)
{
	static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE",
	                                    "PATCH"};

	if (name == NULL)
		return TABLE_ANY_METHOD;
	for (uint8_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	DIE("no method: %s", name);
}

/* ---- the machine ---- */

static void put_machine(struct draft *d)
{
	struct table_port ports[FIXTURE_FEW] = {0};
	struct table_address addresses[FIXTURE_MANY] = {0};
	struct table_ip_route routes[FIXTURE_SOME] = {0};
	struct table_vlan vlans[FIXTURE_FEW] = {0};
	struct table_list l[4];
	uint32_t n = 0, m = 0, k = 0, v = 0;

	for (; n < FIXTURE_FEW && d->f->ports[n].name != NULL; n++) {
		ports[n].name = put_text(d, d->f->ports[n].name);
		ports[n].device = put_text(d, d->f->ports[n].device);
		ports[n].mtu = d->f->ports[n].mtu != 0 ? d->f->ports[n].mtu : 1500;
	}
	for (; v < FIXTURE_FEW && d->f->vlans[v].name != NULL; v++) {
		const struct fixture_vlan *from = &d->f->vlans[v];

		vlans[v] = (struct table_vlan){.name = put_text(d, from->name), .id = from->id, .service = from->service,
		                               .mtu = from->mtu != 0 ? from->mtu : 1500, .port = from->port};
	}
	for (; m < FIXTURE_MANY && d->f->addresses[m].cidr != NULL; m++) {
		addresses[m].addr = parse_cidr(d->f->addresses[m].cidr, &addresses[m].prefix_bits);
		addresses[m].port = d->f->addresses[m].port;
		addresses[m].virtual = d->f->addresses[m].virtual;
	}
	for (; k < FIXTURE_SOME && d->f->ip_routes[k].cidr != NULL; k++) {
		struct table_ip_route r = {.gateway = fixture_addr(d->f->ip_routes[k].gateway),
		                           .port = d->f->ip_routes[k].port};
		uint32_t at = k;

		r.prefix = parse_cidr(d->f->ip_routes[k].cidr, &r.prefix_bits);
		for (; at > 0 && routes[at - 1].prefix_bits < r.prefix_bits; at--)
			routes[at] = routes[at - 1];
		routes[at] = r;
	}
	l[0] = builder_list(d->b, ports, sizeof(ports[0]), n);
	l[1] = builder_list(d->b, addresses, sizeof(addresses[0]), m);
	l[2] = builder_list(d->b, routes, sizeof(routes[0]), k);
	l[3] = builder_list(d->b, vlans, sizeof(vlans[0]), v);
	builder_root(d->b)->ports = l[0];
	builder_root(d->b)->vlans = l[3];
	builder_root(d->b)->addresses = l[1];
	builder_root(d->b)->ip_routes = l[2];
}

/* ---- clusters and rules ---- */

static void put_clusters(struct draft *d)
{
	struct table_cluster clusters[FIXTURE_SOME] = {0};
	uint32_t hashes[FIXTURE_SOME], values[FIXTURE_SOME], n = 0;
	struct table_list l;
	struct table_hash x;

	for (; n < FIXTURE_SOME && d->f->clusters[n].name != NULL; n++) {
		const struct fixture_cluster *from = &d->f->clusters[n];
		struct table_endpoint e[FIXTURE_SOME] = {0};
		uint32_t k = 0;

		for (; k < FIXTURE_SOME && from->endpoints[k].addr != NULL; k++) {
			e[k].id = fixture_endpoint_id(from->endpoints[k].addr, from->endpoints[k].port);
			e[k].addr = fixture_addr(from->endpoints[k].addr);
			e[k].port = from->endpoints[k].port;
			e[k].weight = from->endpoints[k].weight != 0 ? from->endpoints[k].weight : 1;
		}
		clusters[n].id = fixture_cluster_id(from->name);
		clusters[n].name = put_text(d, from->name);
		clusters[n].endpoints = builder_list(d->b, e, sizeof(e[0]), k);
		clusters[n].connect_timeout_ms = from->connect_timeout_ms != 0 ? from->connect_timeout_ms : 10000;
		clusters[n].balancer = from->balancer;
		clusters[n].sending = d->f->sending;
		clusters[n].conns_max = from->conns_max != 0 ? from->conns_max : LIMIT_cluster_conns;
		clusters[n].pending_max = from->pending_max != 0 ? from->pending_max : LIMIT_cluster_pending;
		clusters[n].outlier = from->outlier;
		hashes[n] = table_hash_cluster(0, clusters[n].id);
		values[n] = n;
	}
	l = builder_list(d->b, clusters, sizeof(clusters[0]), n);
	x = builder_hash(d->b, hashes, values, n);
	builder_root(d->b)->clusters = l;
	builder_root(d->b)->clusters_index = x;
}

static uint32_t cluster_index(const struct draft *d, const char *name)
{
	if (strcmp(name, "!") == 0)
		return TABLE_NONE;
	for (uint32_t i = 0; i < FIXTURE_SOME && d->f->clusters[i].name != NULL; i++) {
		if (strcmp(d->f->clusters[i].name, name) == 0)
			return i;
	}
	DIE("no cluster: %s", name);
}

static struct table_list put_filters(struct draft *d, const char *json)
{
	struct table_filter filters[FIXTURE_FEW] = {0};
	struct filter_problem problem;
	yyjson_doc *doc = json != NULL ? yyjson_read(json, strlen(json), 0) : NULL;
	yyjson_val *item;
	struct table_list l;
	size_t i, n;

	if (json == NULL)
		return (struct table_list){0};
	if (doc == NULL || yyjson_arr_size(yyjson_doc_get_root(doc)) > FIXTURE_FEW)
		DIE("no JSON list of few filters: %s", json);
	yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, item) {
		struct filter_source from = filter_source(item);
		const char *cluster = doc_str(doc_get(from.spec, "backendRef"), "name");

		from.cluster = cluster[0] != '\0' ? fixture_cluster_id(cluster) : 0;
		from.text.at = doc_str(doc_get(from.spec, "body"), "inline");
		from.text.len = (uint32_t)strlen(from.text.at);
		if (filter_compile(&from, d->b, &filters[i], &problem) != OK)
			DIE("%s: %s", problem.path, problem.message);
	}
	l = builder_list(d->b, filters, sizeof(filters[0]), n);
	yyjson_doc_free(doc);
	return l;
}

static uint32_t regex_of(struct draft *d, const char *pattern)
{
	const uint64_t id = table_id(pattern, strlen(pattern));

	for (uint32_t i = 0; i < d->regexes_n; i++) {
		if (d->regexes[i].id == id)
			return i;
	}
	if (d->regexes_n == FIXTURE_SOME)
		DIE("too many regular expressions");
	d->regexes[d->regexes_n] = (struct table_regex){.id = id, .pattern = put_text(d, pattern)};
	return d->regexes_n++;
}

static void put_regexes(struct draft *d)
{
	const struct table_list l = builder_list(d->b, d->regexes, sizeof(d->regexes[0]), d->regexes_n);

	builder_root(d->b)->regexes = l;
}

static struct table_list put_predicates(struct draft *d, const struct fixture_pair *pairs, bool headers)
{
	struct table_predicate p[FIXTURE_FEW] = {0};
	uint32_t n = 0;

	for (; n < FIXTURE_FEW && pairs[n].name != NULL; n++) {
		char lower[256];

		snprintf(lower, sizeof(lower), "%s", pairs[n].name);
		for (char *c = lower; headers && *c != '\0'; c++)
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
		p[n].name = put_text(d, lower);
		p[n].value = put_text(d, pairs[n].value);
		p[n].field_id = headers ? field_id(lower) : 0;
		p[n].compare = pairs[n].regex ? TABLE_REGEX : TABLE_EQUAL;
		p[n].regex = pairs[n].regex ? regex_of(d, pairs[n].value) : 0;
	}
	return builder_list(d->b, p, sizeof(p[0]), n);
}

static void put_tries(struct draft *d, const struct fixture_route *from, struct table_rule *r)
{
	struct table_retry retry = {.attempts = from->retry.attempts, .backoff_ms = from->retry.backoff_ms};
	struct table_session session = {
		.kind = from->session.header ? TABLE_SESSION_HEADER : TABLE_SESSION_COOKIE,
		.permanent = from->session.permanent, .timeout_s = from->session.timeout_s};

	for (unsigned i = 0; i < FIXTURE_FEW && from->retry.codes[i] != 0; i++)
		retry.codes[(from->retry.codes[i] - 400) / 64] |= UINT64_C(1) << (from->retry.codes[i] - 400) % 64;
	if (retry.attempts != 0)
		r->retry = builder_put(d->b, &retry, sizeof(retry));
	if (from->session.name == NULL)
		return;
	session.name = put_text(d, from->session.name);
	r->session = builder_put(d->b, &session, sizeof(session));
}

static void put_rules(struct draft *d)
{
	struct table_list l;

	for (; d->routes_n < FIXTURE_MANY && d->f->routes[d->routes_n].path != NULL; d->routes_n++) {
		const struct fixture_route *from = &d->f->routes[d->routes_n];
		struct table_rule *r = &d->rules[d->routes_n];
		struct table_match *m = &d->matches[d->routes_n];
		struct table_backend backends[FIXTURE_FEW] = {0};
		char name[64];
		uint32_t n = 0;

		for (; n < FIXTURE_FEW && from->backends[n].cluster != NULL; n++) {
			backends[n].cluster = cluster_index(d, from->backends[n].cluster);
			backends[n].weight = from->backends[n].weight;
			backends[n].filters = put_filters(d, from->backends[n].filters);
			r->weight_sum += from->backends[n].weight;
		}
		snprintf(name, sizeof(name), "route/%u", d->routes_n);
		r->name = put_text(d, from->name != NULL ? from->name : name);
		r->section = from->section != NULL ? put_text(d, from->section) : (struct table_text){0};
		r->id = fixture_cluster_id(from->name != NULL ? from->name : name);
		r->filters = put_filters(d, from->filters);
		r->backends = builder_list(d->b, backends, sizeof(backends[0]), n);
		r->request_timeout_ms = from->request_timeout_ms;
		r->backend_timeout_ms = from->backend_timeout_ms;
		r->direct_status = from->direct_status;
		put_tries(d, from, r);
		m->rule = d->routes_n;
		m->regex = from->regex ? regex_of(d, from->path) : TABLE_NONE;
		m->method = method_number(from->method);
		m->headers = put_predicates(d, from->headers, true);
		m->query = put_predicates(d, from->query, false);
		m->path_bytes = (uint32_t)strlen(from->path);
		if (from->regex)
			m->path_bytes = 0;
		if (!from->exact && m->path_bytes > 1 && from->path[m->path_bytes - 1] == '/')
			m->path_bytes--;
	}
	l = builder_list(d->b, d->rules, sizeof(d->rules[0]), d->routes_n);
	builder_root(d->b)->rules = l;
}

/* ---- paths ---- */

static uint32_t new_node(struct draft *d)
{
	if (d->nodes_n == ITEMS_MAX)
		DIE("too many nodes");
	return d->nodes_n++;
}

static uint32_t descend(struct draft *d, uint32_t node, const char *segment, size_t len)
{
	struct table_edge *e = &d->edges[d->edges_n];

	for (uint32_t i = 0; i < d->edges_n; i++) {
		if (d->edges[i].node == node && strlen(d->edge_text[i]) == len &&
		    memcmp(d->edge_text[i], segment, len) == 0)
			return d->edges[i].to;
	}
	if (d->edges_n == ITEMS_MAX || len >= sizeof(d->edge_text[0]))
		DIE("too many edges, or too long ones");
	memcpy(d->edge_text[d->edges_n++], segment, len);
	*e = (struct table_edge){.node = node, .to = new_node(d), .segment = builder_text(d->b, segment, len)};
	return e->to;
}

/* Does a go before b among the matches of one path? Equal ones keep the order of the routes. */
static bool goes_before(const struct table_match *a, const struct table_match *b)
{
	if ((a->method == TABLE_ANY_METHOD) != (b->method == TABLE_ANY_METHOD))
		return a->method != TABLE_ANY_METHOD;
	if (a->headers.n != b->headers.n)
		return a->headers.n > b->headers.n;
	return a->query.n > b->query.n;
}

static void add_match(struct draft *d, uint32_t root, uint32_t route)
{
	const struct fixture_route *from = &d->f->routes[route];
	size_t len = strlen(from->path);
	struct draft_node *n;
	struct table_match *list, copy = d->matches[route];
	uint32_t node = root, *list_n, at;
	const char *p = from->path + 1, *end;

	if (from->path[0] != '/')
		DIE("path without a slash: %s", from->path);
	if (!from->exact && from->path[len - 1] == '/')
		len--;
	end = from->path + len;
	while (p <= end && len > 0) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		const char *stop = slash != NULL ? slash : end;

		node = descend(d, node, p, (size_t)(stop - p));
		p = stop + 1;
	}
	n = &d->nodes[node];
	list = from->exact ? n->exact : n->prefix;
	list_n = from->exact ? &n->exact_n : &n->prefix_n;
	/* Lists that hang on items are not shared: a copy for each virtual host. */
	copy.headers = put_predicates(d, from->headers, true);
	copy.query = put_predicates(d, from->query, false);
	for (at = (*list_n)++; at > 0 && goes_before(&copy, &list[at - 1]); at--)
		list[at] = list[at - 1];
	list[at] = copy;
}

static void put_trie(struct draft *d)
{
	struct table_node *nodes = calloc(d->nodes_n + 1, sizeof(*nodes));
	struct table_edge *sorted = calloc(d->edges_n + 1, sizeof(*sorted));
	uint32_t *hashes = calloc(d->edges_n + 1, sizeof(*hashes)), *values = calloc(d->edges_n + 1, sizeof(*values));
	struct table_list l[2];
	struct table_hash x;
	uint32_t placed = 0;

	for (uint32_t i = 0; i < d->nodes_n; i++) {
		struct draft_node *n = &d->nodes[i];

		nodes[i].exact = builder_list(d->b, n->exact, sizeof(n->exact[0]), n->exact_n);
		nodes[i].prefix = builder_list(d->b, n->prefix, sizeof(n->prefix[0]), n->prefix_n);
	}
	for (uint32_t i = 0; i < d->nodes_n; i++) {
		nodes[i].edge = placed;
		for (uint32_t k = 0; k < d->edges_n; k++) {
			if (d->edges[k].node != i)
				continue;
			hashes[placed] = table_hash_edge(0, i, d->edge_text[k], strlen(d->edge_text[k]));
			values[placed] = placed;
			sorted[placed++] = d->edges[k];
		}
		nodes[i].edges_n = placed - nodes[i].edge;
	}
	l[0] = builder_list(d->b, nodes, sizeof(*nodes), d->nodes_n);
	l[1] = builder_list(d->b, sorted, sizeof(sorted[0]), d->edges_n);
	x = builder_hash(d->b, hashes, values, d->edges_n);
	builder_root(d->b)->nodes = l[0];
	builder_root(d->b)->edges = l[1];
	builder_root(d->b)->edges_index = x;
	free(nodes);
	free(sorted);
	free(hashes);
	free(values);
}

/* ---- hosts ---- */

static const char *vhost_name(const struct draft *d, uint32_t v)
{
	static char text[8][256];
	static unsigned turn;
	char *to = text[turn++ % 8];
	const struct table_text x = d->vhosts[v].hostname;

	snprintf(to, sizeof(text[0]), "%.*s", (int)x.len, x.len > 0 ? (const char *)builder_at(d->b, x.at) : "");
	return to;
}

static uint32_t vhost_of(struct draft *d, uint32_t listener, const char *hostname)
{
	const char *name = hostname != NULL ? hostname : "";

	for (uint32_t v = 0; v < d->vhosts_n; v++) {
		if (d->vhost_listener[v] == listener && strcmp(vhost_name(d, v), name) == 0)
			return v;
	}
	if (d->vhosts_n == ITEMS_MAX)
		DIE("too many virtual hosts");
	d->vhost_listener[d->vhosts_n] = listener;
	d->vhosts[d->vhosts_n] = (struct table_vhost){
		.hostname = put_text(d, name), .root = new_node(d), .less_specific = TABLE_NONE};
	return d->vhosts_n++;
}

/* Does the host name or wildcard `specific` lie within the wildcard (or "") `general`? */
static bool covers(const char *general, const char *specific)
{
	const size_t g = strlen(general), s = strlen(specific);

	if (g == 0)
		return s > 0;
	return general[0] == '*' && s > g - (specific[0] == '*' ? 0 : 1) &&
	       strcmp(specific + s - (g - 1), general + 1) == 0;
}

static void link_vhosts(struct draft *d)
{
	for (uint32_t v = 0; v < d->vhosts_n; v++) {
		for (uint32_t u = 0; u < d->vhosts_n; u++) {
			const uint32_t best = d->vhosts[v].less_specific;

			if (d->vhost_listener[u] == d->vhost_listener[v] &&
			    covers(vhost_name(d, u), vhost_name(d, v)) &&
			    (best == TABLE_NONE || d->vhosts[u].hostname.len > d->vhosts[best].hostname.len))
				d->vhosts[v].less_specific = u;
		}
	}
}

/* Does the route hang on this virtual host? */
static bool is_on(const struct draft *d, const struct fixture_route *route, uint32_t v)
{
	const char *listener = d->f->listeners[d->vhost_listener[v]].name;

	return (route->listener == NULL || strcmp(route->listener, listener) == 0) &&
	       strcmp(route->hostname != NULL ? route->hostname : "", vhost_name(d, v)) == 0;
}

static void put_regex_matches(struct draft *d, uint32_t v)
{
	struct table_match matches[FIXTURE_MANY];
	uint32_t n = 0;

	for (uint32_t r = 0; r < d->routes_n; r++) {
		if (!d->f->routes[r].regex || !is_on(d, &d->f->routes[r], v))
			continue;
		matches[n] = d->matches[r];
		matches[n].headers = put_predicates(d, d->f->routes[r].headers, true);
		matches[n++].query = put_predicates(d, d->f->routes[r].query, false);
	}
	d->vhosts[v].regexes = builder_list(d->b, matches, sizeof(matches[0]), n);
}

static void put_listeners(struct draft *d)
{
	struct table_list l;

	for (; d->listeners_n < FIXTURE_MANY && d->f->listeners[d->listeners_n].name != NULL; d->listeners_n++) {
		const struct fixture_listener *from = &d->f->listeners[d->listeners_n];
		struct table_listener *to = &d->listeners[d->listeners_n];

		*to = (struct table_listener){.id = fixture_cluster_id(from->name), .name = put_text(d, from->name),
		                              .hostname = put_text(d, from->hostname), .catch_all = TABLE_NONE};
		for (uint32_t r = 0; r < d->routes_n; r++) {
			const struct fixture_route *route = &d->f->routes[r];
			uint32_t v;

			if (route->listener != NULL && strcmp(route->listener, from->name) != 0)
				continue;
			v = vhost_of(d, d->listeners_n, route->hostname);
			if (!route->regex)
				add_match(d, d->vhosts[v].root, r);
		}
	}
	link_vhosts(d);
	for (uint32_t v = 0; v < d->vhosts_n; v++)
		put_regex_matches(d, v);
	for (uint32_t i = 0; i < d->listeners_n; i++) {
		uint32_t hashes[ITEMS_MAX], values[ITEMS_MAX], n = 0;

		for (uint32_t v = 0; v < d->vhosts_n; v++) {
			const char *name = vhost_name(d, v);

			if (d->vhost_listener[v] != i)
				continue;
			if (name[0] == '\0')
				d->listeners[i].catch_all = v;
			hashes[n] = table_hash_host(0, name, strlen(name));
			values[n++] = v;
		}
		d->listeners[i].hosts = builder_hash(d->b, hashes, values, n);
	}
	l = builder_list(d->b, d->listeners, sizeof(d->listeners[0]), d->listeners_n);
	builder_root(d->b)->listeners = l;
	l = builder_list(d->b, d->vhosts, sizeof(d->vhosts[0]), d->vhosts_n);
	builder_root(d->b)->vhosts = l;
}

static void put_binds(struct draft *d)
{
	struct table_bind binds[FIXTURE_MANY] = {0};
	uint32_t hashes[FIXTURE_MANY], values[FIXTURE_MANY], n = 0;
	struct table_list l;
	struct table_hash x;

	for (uint32_t i = 0; i < d->listeners_n; i++) {
		const struct addr a = fixture_addr(d->f->listeners[i].addr);
		const uint16_t port = d->f->listeners[i].port;
		uint32_t b = 0;

		while (b < n && !(addr_equal(&binds[b].addr, &a) && binds[b].port == port))
			b++;
		if (b == n)
			binds[n++] = (struct table_bind){
				.addr = a, .port = port, .protocol = TABLE_HTTP, .sending = d->f->sending,
				.catch_all = TABLE_NONE};
	}
	for (uint32_t b = 0; b < n; b++) {
		uint32_t host_hashes[FIXTURE_MANY], host_values[FIXTURE_MANY], hosts_n = 0;

		for (uint32_t i = 0; i < d->listeners_n; i++) {
			const struct addr a = fixture_addr(d->f->listeners[i].addr);
			const char *name = d->f->listeners[i].hostname != NULL ? d->f->listeners[i].hostname : "";

			if (!addr_equal(&binds[b].addr, &a) || binds[b].port != d->f->listeners[i].port)
				continue;
			if (name[0] == '\0')
				binds[b].catch_all = i;
			host_hashes[hosts_n] = table_hash_host(0, name, strlen(name));
			host_values[hosts_n++] = i;
		}
		binds[b].hosts = builder_hash(d->b, host_hashes, host_values, hosts_n);
		hashes[b] = table_hash_bind(0, &binds[b].addr, binds[b].port);
		values[b] = b;
	}
	l = builder_list(d->b, binds, sizeof(binds[0]), n);
	x = builder_hash(d->b, hashes, values, n);
	builder_root(d->b)->binds = l;
	builder_root(d->b)->binds_index = x;
}

struct table *fixture_table(const struct fixture *f, size_t *bytes)
{
	struct draft *d = calloc(1, sizeof(*d));
	const struct table *block;
	struct table *copy;
	const char *where;
	enum err e;

	d->f = f;
	d->b = builder_new();
	d->nodes = calloc(ITEMS_MAX, sizeof(*d->nodes));
	builder_root(d->b)->workers = f->workers != 0 ? f->workers : 1;
	builder_root(d->b)->resource_version = f->resource_version;
	put_machine(d);
	put_clusters(d);
	put_rules(d);
	put_listeners(d);
	put_binds(d);
	put_trie(d);
	put_regexes(d);
	e = builder_finish(d->b, &block, bytes);
	if (e != OK && table_verify(block, *bytes, &where) != OK)
		DIE("does not verify: %s", where);
	if (proxy_verify(block, &where) != OK)
		DIE("does not verify: %s", where);
	copy = aligned_alloc(64, (*bytes + 63) & ~(size_t)63);
	memcpy(copy, block, *bytes);
	builder_free(d->b);
	free(d->nodes);
	free(d);
	return copy;
}
