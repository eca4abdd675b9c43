/*
 * The verifier: is this block, whoever made it, safe to be read without checks?
 *
 * It walks everything that can be reached from the root and looks at each offset, count, index, enum and text before
 * it is used. What makes the walk itself safe on hostile bytes:
 *
 *   - every offset is added in 64 bits and compared with the size of the block;
 *   - lists that hang on items are paid for by their bytes, and all of them together may not be more than the block:
 *     a million nodes cannot share one list of a million matches;
 *   - an index has an empty slot (so probing ends), every slot lies on the probe path of its own hash, and no probe
 *     path is longer than TABLE_PROBES_MAX.
 *
 * An index must agree with its items: a slot's hash is the one of the key that it points to, and where an index is
 * for a whole list each item is found by its key. The trie and the chain of less specific virtual hosts have no
 * cycles, by the orders that table/layout.h demands.
 */
#include "table/table.h"

#include "base/check.h"
#include "base/limits.h"

enum { LISTS_MAX = 1 << 26, PATTERN_BYTES_MAX = 4096, RANK_PRECISE = 1 << 24 };

struct walk {
	const struct table *t;
	uint64_t bytes;
	uint64_t unpaid;        /* bytes of lists that may still be visited */
	const char *where;
};

#define DEMAND(w, x, error, what) do { if (!(x)) { (w)->where = (what); return ERR_TABLE_##error; } } while (0)
#define TRY(x) do { const enum err try_ = (x); if (try_ != OK) return try_; } while (0)

/* ---- pieces ---- */

static enum err text(struct walk *w, struct table_text x, const char *what)
{
	DEMAND(w, (uint64_t)x.at + x.len <= w->bytes, BOUNDS, what);
	return OK;
}

static enum err list(struct walk *w, struct table_list l, size_t item_bytes, const char *what)
{
	const uint64_t bytes = (uint64_t)l.n * item_bytes;

	if (l.n == 0)
		return OK;
	DEMAND(w, l.n <= LISTS_MAX && l.at % TABLE_ALIGN == 0 && l.at >= sizeof(struct table), BOUNDS, what);
	DEMAND(w, l.at + bytes <= w->bytes, BOUNDS, what);
	DEMAND(w, bytes <= w->unpaid, BOUNDS, "lists that share memory");
	w->unpaid -= bytes;
	return OK;
}

static enum err index_or_none(struct walk *w, uint32_t i, struct table_list l, const char *what)
{
	DEMAND(w, i == TABLE_NONE || i < l.n, VALUE, what);
	return OK;
}

/* The hash of the key of item `value`, whatever list the index is for. */
typedef uint32_t key_hash(const struct table *t, uint32_t value);

static enum err hash(struct walk *w, struct table_hash x, struct table_list items, key_hash *of, const char *what)
{
	const struct table_slot *slots;
	uint32_t used = 0, run = 0;

	if (x.slots_n == 0)
		return OK;
	DEMAND(w, (x.slots_n & (x.slots_n - 1)) == 0, VALUE, what);
	TRY(list(w, (struct table_list){.at = x.at, .n = x.slots_n}, sizeof(struct table_slot), what));
	slots = table_at(w->t, x.at);
	for (uint32_t i = 0; i < x.slots_n; i++)
		used += slots[i].hash != 0;
	DEMAND(w, used < x.slots_n, VALUE, what);
	/* The run of used slots that ends at the last one may go on at the first. */
	while (slots[x.slots_n - 1 - run].hash != 0)
		run++;
	for (uint32_t i = 0; i < x.slots_n; i++) {
		if (slots[i].hash == 0) {
			run = 0;
			continue;
		}
		/* run = how many used slots lie directly before this one. */
		DEMAND(w, ((i - slots[i].hash) & (x.slots_n - 1)) <= run, VALUE, what);
		DEMAND(w, run < TABLE_PROBES_MAX, VALUE, what);
		DEMAND(w, slots[i].value < items.n, VALUE, what);
		DEMAND(w, of(w->t, slots[i].value) == slots[i].hash, VALUE, what);
		run++;
	}
	return OK;
}

static uint32_t bind_key(const struct table *t, uint32_t i)
{
	const struct table_bind *b = &TABLE_LIST(t, t->binds, struct table_bind)[i];

	return table_hash_bind(t->hash_seed, &b->addr, b->port);
}

static uint32_t host_key(const struct table *t, struct table_text hostname)
{
	return table_hash_host(t->hash_seed, table_text(t, hostname), hostname.len);
}

static uint32_t listener_key(const struct table *t, uint32_t i)
{
	return host_key(t, TABLE_LIST(t, t->listeners, struct table_listener)[i].hostname);
}

static uint32_t vhost_key(const struct table *t, uint32_t i)
{
	return host_key(t, TABLE_LIST(t, t->vhosts, struct table_vhost)[i].hostname);
}

static uint32_t edge_key(const struct table *t, uint32_t i)
{
	const struct table_edge *e = &TABLE_LIST(t, t->edges, struct table_edge)[i];

	return table_hash_edge(t->hash_seed, e->node, table_text(t, e->segment), e->segment.len);
}

static uint32_t cluster_key(const struct table *t, uint32_t i)
{
	return table_hash_cluster(t->hash_seed, TABLE_LIST(t, t->clusters, struct table_cluster)[i].id);
}

/* ---- the machine ---- */

static enum err ports(struct walk *w)
{
	const struct table_port *p = TABLE_LIST(w->t, w->t->ports, struct table_port);

	DEMAND(w, w->t->ports.n <= LIMIT_ports, VALUE, "number of ports");
	DEMAND(w, w->t->workers <= LIMIT_workers, VALUE, "number of workers");
	DEMAND(w, w->t->access_log < TABLE_ACCESS_LOGS, VALUE, "format of the access log");
	for (uint32_t i = 0; i < w->t->ports.n; i++) {
		TRY(text(w, p[i].name, "name of a port"));
		TRY(text(w, p[i].device, "device of a port"));
	}
	return OK;
}

static enum err vlans(struct walk *w)
{
	const struct table_vlan *v = TABLE_LIST(w->t, w->t->vlans, struct table_vlan);

	DEMAND(w, w->t->vlans.n <= LIMIT_vlans, VALUE, "number of VLANs");
	for (uint32_t i = 0; i < w->t->vlans.n; i++) {
		TRY(text(w, v[i].name, "name of a VLAN"));
		DEMAND(w, v[i].port < w->t->ports.n, VALUE, "port of a VLAN");
		DEMAND(w, v[i].id != 0 && v[i].id <= TABLE_VLAN_MAX && v[i].service <= TABLE_VLAN_MAX, VALUE,
		       "tags of a VLAN");
		DEMAND(w, v[i].mtu >= TABLE_MTU_MIN, VALUE, "MTU of a VLAN");
	}
	return OK;
}

static enum err addresses(struct walk *w)
{
	const struct table_address *a = TABLE_LIST(w->t, w->t->addresses, struct table_address);
	const struct table_ip_route *r = TABLE_LIST(w->t, w->t->ip_routes, struct table_ip_route);
	const uint32_t ifaces = w->t->ports.n + w->t->vlans.n;

	for (uint32_t i = 0; i < w->t->addresses.n; i++) {
		DEMAND(w, a[i].prefix_bits <= 128, VALUE, "prefix of an address");
		DEMAND(w, a[i].port < ifaces, VALUE, "port of an address");
		DEMAND(w, a[i].virtual <= 1, VALUE, "kind of an address");
	}
	for (uint32_t i = 0; i < w->t->ip_routes.n; i++) {
		DEMAND(w, r[i].prefix_bits <= 128, VALUE, "prefix of a route");
		DEMAND(w, r[i].port < ifaces, VALUE, "port of a route");
		DEMAND(w, r[i].mtu == 0 || r[i].mtu >= TABLE_MTU_MIN, VALUE, "MTU of a route");
		DEMAND(w, i == 0 || r[i].prefix_bits <= r[i - 1].prefix_bits, VALUE, "order of the routes");
	}
	return OK;
}

/* ---- listeners ---- */

static enum err binds(struct walk *w)
{
	const struct table_bind *b = TABLE_LIST(w->t, w->t->binds, struct table_bind);

	for (uint32_t i = 0; i < w->t->binds.n; i++) {
		DEMAND(w, b[i].port != 0, VALUE, "port of a bind");
		/* Nothing serves TABLE_HTTPS yet: it would be answered in clear text. */
		DEMAND(w, b[i].protocol == TABLE_HTTP, VALUE, "protocol of a bind");
		DEMAND(w, b[i].sending.control < TABLE_CONTROLS, VALUE, "congestion control of a bind");
		TRY(hash(w, b[i].hosts, w->t->listeners, listener_key, "hosts of a bind"));
		TRY(index_or_none(w, b[i].catch_all, w->t->listeners, "catch-all of a bind"));
	}
	TRY(hash(w, w->t->binds_index, w->t->binds, bind_key, "index of the binds"));
	for (uint32_t i = 0; i < w->t->binds.n; i++)
		DEMAND(w, table_find_bind(w->t, &b[i].addr, b[i].port) == &b[i], VALUE, "bind that is not indexed");
	return OK;
}

/* Texts first: indices hash the keys of what they point to. */
static enum err host_texts(struct walk *w)
{
	const struct table_listener *l = TABLE_LIST(w->t, w->t->listeners, struct table_listener);
	const struct table_vhost *v = TABLE_LIST(w->t, w->t->vhosts, struct table_vhost);

	for (uint32_t i = 0; i < w->t->listeners.n; i++) {
		TRY(text(w, l[i].name, "name of a listener"));
		TRY(text(w, l[i].hostname, "hostname of a listener"));
		DEMAND(w, l[i].hostname.len <= 253, VALUE, "hostname of a listener");
	}
	for (uint32_t i = 0; i < w->t->vhosts.n; i++) {
		TRY(text(w, v[i].hostname, "hostname of a virtual host"));
		DEMAND(w, v[i].hostname.len <= 253, VALUE, "hostname of a virtual host");
	}
	return OK;
}

static enum err listeners(struct walk *w)
{
	const struct table_listener *l = TABLE_LIST(w->t, w->t->listeners, struct table_listener);

	for (uint32_t i = 0; i < w->t->listeners.n; i++) {
		TRY(hash(w, l[i].hosts, w->t->vhosts, vhost_key, "hosts of a listener"));
		TRY(index_or_none(w, l[i].catch_all, w->t->vhosts, "catch-all of a listener"));
		DEMAND(w, l[i].near_vhosts <= w->t->vhosts.n, VALUE, "hint of a listener");
	}
	return OK;
}

static uint32_t rank(const struct table *t, struct table_text hostname)
{
	if (hostname.len == 0)
		return 0;
	return hostname.len + (table_text(t, hostname)[0] == '*' ? 0 : RANK_PRECISE);
}

static enum err vhosts(struct walk *w)
{
	const struct table_vhost *v = TABLE_LIST(w->t, w->t->vhosts, struct table_vhost);

	for (uint32_t i = 0; i < w->t->vhosts.n; i++) {
		DEMAND(w, v[i].root < w->t->nodes.n, VALUE, "root of a virtual host");
		DEMAND(w, v[i].near_edges <= w->bytes && v[i].near_segments <= w->bytes &&
		          v[i].near_matches <= w->bytes && v[i].near_rule <= w->bytes &&
		          v[i].near_backends <= w->bytes,
		       BOUNDS, "hints of a virtual host");
		TRY(index_or_none(w, v[i].less_specific, w->t->vhosts, "less specific virtual host"));
		DEMAND(w, v[i].less_specific == TABLE_NONE ||
		          rank(w->t, v[v[i].less_specific].hostname) < rank(w->t, v[i].hostname),
		       VALUE, "virtual host whose less specific one is not");
	}
	return OK;
}

/* ---- paths ---- */

static enum err regexes(struct walk *w)
{
	const struct table_regex *r = TABLE_LIST(w->t, w->t->regexes, struct table_regex);

	DEMAND(w, w->t->regexes.n <= LIMIT_regexes, VALUE, "number of regular expressions");
	for (uint32_t i = 0; i < w->t->regexes.n; i++) {
		TRY(text(w, r[i].pattern, "pattern of a regular expression"));
		DEMAND(w, r[i].pattern.len <= PATTERN_BYTES_MAX, VALUE, "pattern of a regular expression");
		DEMAND(w, r[i].id == table_id(table_text(w->t, r[i].pattern), r[i].pattern.len), VALUE,
		       "id of a regular expression");
	}
	return OK;
}

static enum err predicates(struct walk *w, struct table_list l)
{
	const struct table_predicate *p;

	TRY(list(w, l, sizeof(*p), "predicates of a match"));
	p = table_at(w->t, l.at);
	for (uint32_t i = 0; i < l.n; i++) {
		TRY(text(w, p[i].name, "name of a predicate"));
		TRY(text(w, p[i].value, "value of a predicate"));
		DEMAND(w, p[i].compare == TABLE_EQUAL || p[i].compare == TABLE_REGEX, VALUE,
		       "comparison of a predicate");
		DEMAND(w, p[i].compare != TABLE_REGEX || p[i].regex < w->t->regexes.n, VALUE,
		       "regular expression of a predicate");
	}
	return OK;
}

static enum err matches(struct walk *w, struct table_list l, bool of_regexes)
{
	const struct table_match *m;

	TRY(list(w, l, sizeof(*m), "matches of a path"));
	m = table_at(w->t, l.at);
	for (uint32_t i = 0; i < l.n; i++) {
		DEMAND(w, m[i].rule < w->t->rules.n, VALUE, "rule of a match");
		DEMAND(w, of_regexes ? m[i].regex < w->t->regexes.n : m[i].regex == TABLE_NONE, VALUE,
		       "regular expression of a match");
		TRY(predicates(w, m[i].headers));
		TRY(predicates(w, m[i].query));
	}
	return OK;
}

static enum err trie(struct walk *w)
{
	const struct table_node *n = TABLE_LIST(w->t, w->t->nodes, struct table_node);
	const struct table_edge *e = TABLE_LIST(w->t, w->t->edges, struct table_edge);
	const struct table_vhost *v = TABLE_LIST(w->t, w->t->vhosts, struct table_vhost);

	for (uint32_t i = 0; i < w->t->nodes.n; i++) {
		TRY(matches(w, n[i].exact, false));
		TRY(matches(w, n[i].prefix, false));
		DEMAND(w, (uint64_t)n[i].edge + n[i].edges_n <= w->t->edges.n, BOUNDS, "edges of a node");
		for (uint32_t k = 0; k < n[i].edges_n; k++)
			DEMAND(w, e[n[i].edge + k].node == i, VALUE, "edges of a node");
	}
	for (uint32_t i = 0; i < w->t->vhosts.n; i++)
		TRY(matches(w, v[i].regexes, true));
	for (uint32_t i = 0; i < w->t->edges.n; i++) {
		DEMAND(w, e[i].to < w->t->nodes.n && e[i].node < e[i].to, VALUE, "edge that does not lead downwards");
		TRY(text(w, e[i].segment, "segment of an edge"));
		DEMAND(w, e[i].segment.len <= LIMIT_http_uri, VALUE, "segment of an edge");
	}
	TRY(hash(w, w->t->edges_index, w->t->edges, edge_key, "index of the edges"));
	for (uint32_t i = 0; i < w->t->edges.n; i++)
		DEMAND(w, table_find_edge(w->t, e[i].node, table_text(w->t, e[i].segment), e[i].segment.len) == e[i].to,
		       VALUE, "edge that is not found");
	return OK;
}

/* ---- rules and clusters ---- */

static enum err filters(struct walk *w, struct table_list l)
{
	const struct table_filter *f;

	TRY(list(w, l, sizeof(*f), "filters"));
	f = table_at(w->t, l.at);
	for (uint32_t i = 0; i < l.n; i++) {
		DEMAND(w, f[i].config % TABLE_ALIGN == 0 && f[i].config >= sizeof(struct table), BOUNDS,
		       "config of a filter");
		DEMAND(w, (uint64_t)f[i].config + f[i].config_bytes <= w->bytes, BOUNDS, "config of a filter");
	}
	return OK;
}

static enum err tries(struct walk *w, const struct table_rule *r)
{
	const struct table_retry *retry = table_at(w->t, r->retry);
	const struct table_session *session = table_at(w->t, r->session);

	if (r->retry != 0) {
		TRY(list(w, (struct table_list){.at = r->retry, .n = 1}, sizeof(*retry), "retries of a rule"));
		DEMAND(w, retry->attempts != 0, VALUE, "attempts of a rule");
	}
	if (r->session != 0) {
		TRY(list(w, (struct table_list){.at = r->session, .n = 1}, sizeof(*session), "session of a rule"));
		TRY(text(w, session->name, "name of a session"));
		DEMAND(w, session->name.len > 0 && session->name.len <= TABLE_SESSION_NAME_MAX, VALUE,
		       "name of a session");
		DEMAND(w, session->kind == TABLE_SESSION_COOKIE || session->kind == TABLE_SESSION_HEADER, VALUE,
		       "kind of a session");
		DEMAND(w, session->permanent <= 1, VALUE, "lifetime of a session");
		/* Such a cookie would be deleted by whoever gets it. */
		DEMAND(w, !session->permanent || session->timeout_s != 0, VALUE, "timeout of a permanent session");
	}
	return OK;
}

static enum err rule(struct walk *w, const struct table_rule *r)
{
	const struct table_backend *b;
	uint64_t weights = 0;

	TRY(text(w, r->name, "name of a rule"));
	TRY(text(w, r->section, "section of a rule"));
	TRY(filters(w, r->filters));
	TRY(list(w, r->backends, sizeof(*b), "backends of a rule"));
	DEMAND(w, r->direct_status == 0 || (r->direct_status >= 200 && r->direct_status <= 599), VALUE,
	       "status of a rule");
	TRY(tries(w, r));
	b = table_at(w->t, r->backends.at);
	for (uint32_t i = 0; i < r->backends.n; i++) {
		TRY(index_or_none(w, b[i].cluster, w->t->clusters, "cluster of a backend"));
		TRY(filters(w, b[i].filters));
		weights += b[i].weight;
	}
	DEMAND(w, weights == r->weight_sum, VALUE, "sum of the weights of a rule");
	return OK;
}

static enum err rules(struct walk *w)
{
	const struct table_rule *r = TABLE_LIST(w->t, w->t->rules, struct table_rule);

	for (uint32_t i = 0; i < w->t->rules.n; i++)
		TRY(rule(w, &r[i]));
	return OK;
}

static enum err clusters(struct walk *w)
{
	const struct table_cluster *c = TABLE_LIST(w->t, w->t->clusters, struct table_cluster);
	const struct table_endpoint *e;

	for (uint32_t i = 0; i < w->t->clusters.n; i++) {
		TRY(text(w, c[i].name, "name of a cluster"));
		TRY(list(w, c[i].endpoints, sizeof(*e), "endpoints of a cluster"));
		/* With none at all, those who wait would wait for ever. */
		DEMAND(w, c[i].sending.control < TABLE_CONTROLS, VALUE, "congestion control of a cluster");
		DEMAND(w, c[i].conns_max > 0, VALUE, "connections of a cluster");
		DEMAND(w, c[i].outlier.connect_failures == 0 || c[i].outlier.ejection_ms != 0, VALUE,
		       "ejection time of a cluster");
		DEMAND(w, c[i].outlier.panic_percent <= 100, VALUE, "panic share of a cluster");
		e = table_at(w->t, c[i].endpoints.at);
		for (uint32_t k = 0; k < c[i].endpoints.n; k++)
			DEMAND(w, e[k].port != 0 && e[k].weight != 0, VALUE, "port or weight of an endpoint");
	}
	TRY(hash(w, w->t->clusters_index, w->t->clusters, cluster_key, "index of the clusters"));
	for (uint32_t i = 0; i < w->t->clusters.n; i++)
		DEMAND(w, table_find_cluster(w->t, c[i].id) == i, VALUE, "cluster that is not indexed");
	return OK;
}

/* ---- the block ---- */

static enum err head(struct walk *w, const void *block, size_t bytes)
{
	const struct table *t = block;

	DEMAND(w, bytes >= sizeof(*t) && (uintptr_t)block % TABLE_ALIGN == 0, MAGIC, "size of the block");
	DEMAND(w, t->magic == TABLE_MAGIC, MAGIC, "magic of the block");
	DEMAND(w, t->format == TABLE_FORMAT, MAGIC, "format of the block");
	DEMAND(w, t->bytes == bytes, BOUNDS, "size of the block");
	DEMAND(w, t->checksum == table_checksum(t, bytes), SUM, "checksum of the block");
	return OK;
}

static enum err lists(struct walk *w)
{
	const struct table *t = w->t;

	TRY(list(w, t->ports, sizeof(struct table_port), "list of ports"));
	TRY(list(w, t->vlans, sizeof(struct table_vlan), "list of VLANs"));
	TRY(list(w, t->addresses, sizeof(struct table_address), "list of addresses"));
	TRY(list(w, t->ip_routes, sizeof(struct table_ip_route), "list of routes"));
	TRY(list(w, t->binds, sizeof(struct table_bind), "list of binds"));
	TRY(list(w, t->listeners, sizeof(struct table_listener), "list of listeners"));
	TRY(list(w, t->vhosts, sizeof(struct table_vhost), "list of virtual hosts"));
	TRY(list(w, t->nodes, sizeof(struct table_node), "list of nodes"));
	TRY(list(w, t->edges, sizeof(struct table_edge), "list of edges"));
	TRY(list(w, t->regexes, sizeof(struct table_regex), "list of regular expressions"));
	TRY(list(w, t->rules, sizeof(struct table_rule), "list of rules"));
	return list(w, t->clusters, sizeof(struct table_cluster), "list of clusters");
}

static enum err verify(struct walk *w, const void *block, size_t bytes)
{
	static enum err (*const parts[])(struct walk *) = {
		lists, ports, vlans, addresses, host_texts, binds, listeners, vhosts, regexes, trie, rules, clusters,
	};

	TRY(head(w, block, bytes));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		TRY(parts[i](w));
	return OK;
}

enum err table_verify(const void *block, size_t bytes, const char **where)
{
	struct walk w = {.t = block, .bytes = bytes, .unpaid = bytes};
	const enum err e = verify(&w, block, bytes);

	if (where != NULL)
		*where = e == OK ? "" : w.where;
	return e;
}
