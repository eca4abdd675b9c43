/*
 * From the model to a generation, part by part: machine, clusters, rules, paths, listeners.
 *
 * Deterministic by construction: everything is visited in the model's order, which follows from the objects alone,
 * and every sort has a total order. Linear but for the sorts. Lists that several items could share are written once
 * for each of them, because the verifier pays for what it visits by the bytes of the block.
 */
#include "control/compile/compile.h"

#include <string.h>

#include "balance/balance.h"
#include "base/limits.h"
#include "control/compile/paths.h"
#include "control/model/region.h"
#include "filter/filter.h"
#include "http/http.h"
#include "table/table.h"

enum { NAME_MAX_BYTES = 1024, SEEDS_MAX = 4 };

static struct table_text text(struct builder *b, const char *s)
{
	return builder_text(b, s, strlen(s));
}

/* ---- the machine ---- */

static void put_machine(const struct model_machine *m, struct builder *b, struct region *r)
{
	struct table_port *ports = REGION_ARRAY(r, struct table_port, m->ports_n);
	struct table_vlan *vlans = REGION_ARRAY(r, struct table_vlan, m->vlans_n);
	struct table_list list;

	for (uint32_t i = 0; i < m->vlans_n; i++)
		vlans[i] = (struct table_vlan){
			.name = text(b, m->vlans[i].name),
			.id = m->vlans[i].id,
			.service = m->vlans[i].service,
			.mtu = m->vlans[i].mtu,
			.port = m->vlans[i].port,
		};
	for (uint32_t i = 0; i < m->ports_n; i++)
		ports[i] = (struct table_port){
			.name = text(b, m->ports[i].name),
			.device = text(b, m->ports[i].device),
			.mtu = m->ports[i].mtu,
			.queues = m->ports[i].queues,
		};
	builder_root(b)->workers = m->workers;
	builder_root(b)->access_log = m->access_log;
	list = builder_list(b, ports, sizeof(ports[0]), m->ports_n);
	builder_root(b)->ports = list;
	list = builder_list(b, vlans, sizeof(vlans[0]), m->vlans_n);
	builder_root(b)->vlans = list;
	list = builder_list(b, m->addresses, sizeof(m->addresses[0]), m->addresses_n);
	builder_root(b)->addresses = list;
	list = builder_list(b, m->routes, sizeof(m->routes[0]), m->routes_n);
	builder_root(b)->ip_routes = list;
}

/* ---- clusters ---- */

/*
 * What a cluster gets when no policy says otherwise: Envoy Gateway's connect timeout and balancer, Envoy's circuit
 * breakers, panic threshold and number of connect failures in a row. The ejection times are those of Envoy Gateway's
 * interval (3 s), so that a backend that restarts is back soon.
 */
static const struct table_outlier outlier = {
	.connect_failures = 5, .ejection_ms = 3000, .ejection_max_ms = 30000, .panic_percent = 50,
};

static void put_clusters(const struct model *m, struct builder *b, struct region *r)
{
	struct table_cluster *all = REGION_ARRAY(r, struct table_cluster, m->clusters_n);
	uint32_t *hashes = REGION_ARRAY(r, uint32_t, m->clusters_n), *values = REGION_ARRAY(r, uint32_t, m->clusters_n);
	struct table_list list;
	struct table_hash index;

	for (uint32_t i = 0; i < m->clusters_n; i++) {
		const struct model_cluster *c = m->clusters[i];

		all[i] = (struct table_cluster){
			.id = c->id,
			.name = text(b, c->name),
			.endpoints = builder_list(b, c->endpoints, sizeof(c->endpoints[0]), c->endpoints_n),
			.connect_timeout_ms = LIMIT_upstream_connect_s * 1000,
			.balancer = BALANCER_least_request,
			.sending = m->machine.upstreams,
			.conns_max = LIMIT_cluster_conns,
			.pending_max = LIMIT_cluster_pending,
			.outlier = outlier,
		};
		hashes[i] = table_hash_cluster(builder_root(b)->hash_seed, c->id);
		values[i] = i;
	}
	list = builder_list(b, all, sizeof(all[0]), m->clusters_n);
	builder_root(b)->clusters = list;
	index = builder_hash(b, hashes, values, m->clusters_n);
	builder_root(b)->clusters_index = index;
}

/* ---- rules ---- */

/* The model has seen each of them compile; one that does not now would be an error of ours. */
static enum err put_filters(const struct model_filters *filters, struct builder *b, struct region *r,
                            struct table_list *out)
{
	struct table_filter *all = REGION_ARRAY(r, struct table_filter, filters->n);

	for (uint32_t i = 0; i < filters->n; i++) {
		struct filter_problem problem;
		const enum err e = filter_compile(&filters->items[i].source, b, &all[i], &problem);

		if (e != OK)
			return e;
	}
	*out = builder_list(b, all, sizeof(all[0]), filters->n);
	return OK;
}

static enum err put_backends(const struct model_rule *rule, struct builder *b, struct region *r, struct table_list *out)
{
	struct table_backend *all = REGION_ARRAY(r, struct table_backend, rule->backends_n);

	for (uint32_t i = 0; i < rule->backends_n; i++) {
		const struct model_backend *from = &rule->backends[i];
		enum err e;

		all[i].cluster = from->cluster != NULL ? from->cluster->index : TABLE_NONE;
		all[i].weight = from->weight;
		e = put_filters(&from->filters, b, r, &all[i].filters);
		if (e != OK)
			return e;
	}
	*out = builder_list(b, all, sizeof(all[0]), rule->backends_n);
	return OK;
}

/* "httproute/default/shop/rule/0": the digits and the rest of ten thousand names, without printf. */
static size_t rule_name(const struct object *route, uint32_t i, char out[static NAME_MAX_BYTES])
{
	const char *const parts[] = {"httproute/", route->namespace, "/", route->name, "/rule/"};
	char digits[10];
	size_t len = 0, n = sizeof(digits);

	for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
		const size_t part = strnlen(parts[k], NAME_MAX_BYTES / 4);

		memcpy(out + len, parts[k], part);
		len += part;
	}
	do
		digits[--n] = (char)('0' + i % 10);
	while ((i /= 10) != 0);
	memcpy(out + len, digits + n, sizeof(digits) - n);
	return len + sizeof(digits) - n;
}

static void put_tries(const struct model_rule *rule, struct builder *b, struct table_rule *out)
{
	struct table_session session = {.kind = rule->session.kind, .permanent = rule->session.permanent,
					.timeout_s = rule->session.timeout_s};

	if (rule->retry.attempts != 0)
		out->retry = builder_put(b, &rule->retry, sizeof(rule->retry));
	if (session.kind == 0)
		return;
	session.name = text(b, rule->session.name);
	out->session = builder_put(b, &session, sizeof(session));
}

static enum err put_rule(const struct model_route *route, uint32_t i, struct builder *b, struct region *r,
                         struct table_rule *out)
{
	const struct model_rule *rule = &route->rules[i];
	char name[NAME_MAX_BYTES];
	const size_t len = rule_name(route->object, i, name);
	enum err e;

	*out = (struct table_rule){
		.id = table_id(name, len),
		.name = builder_own_text(b, name, len),
		.section = text(b, rule->section),
		.request_timeout_ms = rule->request_timeout_ms,
		.backend_timeout_ms = rule->backend_timeout_ms,
		.direct_status = rule->direct_status,
	};
	if (rule->direct_status != 0)
		return OK;
	out->weight_sum = rule->weight_sum;
	put_tries(rule, b, out);
	e = put_filters(&rule->filters, b, r, &out->filters);
	return e != OK ? e : put_backends(rule, b, r, &out->backends);
}

static enum err put_rules(const struct model *m, struct builder *b, struct region *r)
{
	struct table_rule *all = REGION_ARRAY(r, struct table_rule, m->rules_n);
	struct table_list list;

	for (uint32_t i = 0; i < m->routes_n; i++) {
		const struct model_route *route = &m->routes[i];

		for (uint32_t k = 0; route->attached && k < route->rules_n; k++) {
			const enum err e = put_rule(route, k, b, r, &all[route->rules[k].index]);

			if (e != OK)
				return e;
		}
	}
	builder_line(b);
	list = builder_list(b, all, sizeof(all[0]), m->rules_n);
	builder_root(b)->rules = list;
	return OK;
}

/* ---- listeners and binds ---- */

static uint32_t put_listeners(const struct model *m, const struct paths *paths, struct builder *b, struct region *r,
                              uint32_t *index)
{
	struct table_listener *all = REGION_ARRAY(r, struct table_listener, m->listeners_n);
	struct table_list list;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->gateways_n; i++) {
		for (uint32_t k = 0; k < m->gateways[i].listeners_n; k++) {
			const struct model_listener *l = &m->gateways[i].listeners[k];
			const char *name;

			if (!l->live)
				continue;
			name = region_print(r, "%s/%s/%s", l->gateway->object->namespace, l->gateway->object->name,
					    l->name);
			all[n] = (struct table_listener){
				.id = table_id(name, strlen(name)),
				.name = text(b, name),
				.hostname = text(b, l->hostname),
			};
			paths_hosts(paths, l, b, r, &all[n]);
			index[l->index] = n++;
		}
	}
	list = builder_list(b, all, sizeof(all[0]), n);
	builder_root(b)->listeners = list;
	return n;
}

/* The first live listener of each port speaks for all of them. */
static bool first_of_port(const struct model_gateway *g, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++) {
		if (g->listeners[i].live && g->listeners[i].port == g->listeners[at].port)
			return false;
	}
	return g->listeners[at].live;
}

static struct table_bind bind_of(const struct model_gateway *g, const struct addr *a, uint16_t port, struct builder *b,
                                 struct region *r, const uint32_t *index)
{
	uint32_t *hashes = REGION_ARRAY(r, uint32_t, g->listeners_n),
		 *values = REGION_ARRAY(r, uint32_t, g->listeners_n);
	struct table_bind bind = {.addr = *a, .port = port, .protocol = TABLE_HTTP, .catch_all = TABLE_NONE};
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->listeners_n; i++) {
		const struct model_listener *l = &g->listeners[i];

		if (!l->live || l->port != port)
			continue;
		if (l->hostname[0] == '\0') {
			bind.catch_all = index[l->index];
			continue;
		}
		hashes[n] = table_hash_host(builder_root(b)->hash_seed, l->hostname, strlen(l->hostname));
		values[n++] = index[l->index];
	}
	bind.hosts = builder_hash(b, hashes, values, n);
	return bind;
}

static void put_binds(const struct model *m, struct builder *b, struct region *r, const uint32_t *index)
{
	size_t room = 0;
	struct table_bind *all;
	uint32_t *hashes, *values, n = 0;
	struct table_list list;
	struct table_hash binds_index;

	for (uint32_t i = 0; i < m->gateways_n; i++)
		room += (size_t)m->gateways[i].listeners_n * m->gateways[i].addresses_n;
	all = REGION_ARRAY(r, struct table_bind, room);
	hashes = REGION_ARRAY(r, uint32_t, room);
	values = REGION_ARRAY(r, uint32_t, room);
	for (uint32_t i = 0; i < m->gateways_n; i++) {
		const struct model_gateway *g = &m->gateways[i];

		for (uint32_t k = 0; k < g->listeners_n; k++) {
			for (uint32_t a = 0; first_of_port(g, k) && a < g->addresses_n; a++) {
				all[n] = bind_of(g, &g->addresses[a], g->listeners[k].port, b, r, index);
				all[n].sending = m->machine.listeners;
				hashes[n] = table_hash_bind(builder_root(b)->hash_seed, &all[n].addr, all[n].port);
				values[n] = n;
				n++;
			}
		}
	}
	list = builder_list(b, all, sizeof(all[0]), n);
	builder_root(b)->binds = list;
	binds_index = builder_hash(b, hashes, values, n);
	builder_root(b)->binds_index = binds_index;
}

/* ---- the whole ---- */

static enum err put_all(const struct model *m, struct builder *b, struct region *r)
{
	uint32_t *index = REGION_ARRAY(r, uint32_t, m->listeners_n);
	struct paths *paths;
	enum err e;

	builder_root(b)->resource_version = m->resource_version;
	put_machine(&m->machine, b, r);
	put_clusters(m, b, r);
	e = put_rules(m, b, r);
	if (e != OK)
		return e;
	paths = paths_put(m, b, r);
	put_listeners(m, paths, b, r, index);
	put_binds(m, b, r, index);
	return OK;
}

static enum err compile(const struct model *m, uint32_t seed, struct builder *b, struct generation *out)
{
	struct region *r = region_new();
	enum err e;

	*out = (struct generation){.builder = b};
	builder_root(b)->hash_seed = seed;
	e = put_all(m, b, r);
	region_free(r);
	return e != OK ? e : builder_finish(b, &out->table, &out->bytes);
}

enum err generation_compile(const struct model *m, struct generation *out)
{
	uint32_t seed = 0;
	enum err e;

	/* Names whose hashes meet get another seed: of what was compiled, so that nobody can choose names for it. */
	for (int i = 0;; i++) {
		struct builder *b = builder_new();

		e = compile(m, seed, b, out);
		if (e == OK || !builder_is_crowded(b) || i == SEEDS_MAX)
			break;
		seed = (uint32_t)builder_root(b)->content;
		builder_free(b);
	}
	if (e != OK)
		generation_fini(out);
	return e;
}

void generation_fini(struct generation *g)
{
	builder_free(g->builder);
	*g = (struct generation){0};
}
