/*
 * What the data plane has room for (base/limits.def), counted out to those who ask, in the order of the model: oldest
 * first. Who gets nothing, or less than asked for, is told so in a condition that names the limit; nothing is left to
 * the data plane to cut in silence.
 *
 * Rows: a cluster is balanced in a row of 8, 64 or LIMIT_cluster_endpoints places (upstream/cluster.c). What is given
 * here fits into the rows that there are, whatever the order in which workers meet the clusters.
 *
 * Bytes: a route is in the tables once for each hostname on each listener, so a few kilobytes of manifest can ask for
 * megabytes. What it may need at most is counted before it is attached.
 */
#include <assert.h>

#include "base/limits.h"
#include "control/model/build.h"

/* For all that is not counted here: machine, listeners, binds, clusters. Their numbers have bounds of their own. */
enum { BYTES_RESERVED = 256 << 20 };
enum { ROW_SMALL = 8, ROW_MEDIUM = 64, RULE_NAME_BYTES = 400 };

static_assert((int)BYTES_RESERVED < (int)TABLE_BYTES_MAX, "something is left for routes");

void capacity_init(struct capacity *c, struct region *r)
{
	*c = (struct capacity){
		.clusters = LIMIT_upstream_clusters,
		.endpoints = LIMIT_upstream_endpoints,
		.rows_medium = LIMIT_cluster_rows_medium,
		.rows_large = LIMIT_cluster_rows_large,
		.bytes = TABLE_BYTES_MAX - BYTES_RESERVED,
		.ids = names_new(r),
	};
}

/* ---- clusters ---- */

/* The first of the limits that leaves the cluster fewer than it has. */
static void cut(struct build *b, struct model_cluster *c, uint32_t to, const char *limit, uint32_t value)
{
	if (c->endpoints_n <= to)
		return;
	if (c->cut == NULL)
		c->cut = region_print(b->region, "only %u of the %u endpoints of %s are used (limit %s: %u)", to,
		                      c->endpoints_n, c->name, limit, value);
	c->endpoints_n = to;
}

static void take_row(struct build *b, struct model_cluster *c)
{
	struct capacity *left = &b->capacity;

	if (c->endpoints_n > ROW_MEDIUM && left->rows_large == 0)
		cut(b, c, ROW_MEDIUM, "cluster_rows_large", LIMIT_cluster_rows_large);
	if (c->endpoints_n > ROW_MEDIUM) {
		left->rows_large--;
	} else if (c->endpoints_n > ROW_SMALL) {
		if (left->rows_medium > 0)
			left->rows_medium--;
		else if (left->rows_large > 0)
			left->rows_large--;
		else
			cut(b, c, ROW_SMALL, "cluster_rows_medium", LIMIT_cluster_rows_medium);
	}
}

const char *capacity_cluster(struct build *b, struct model_cluster *c)
{
	struct capacity *left = &b->capacity;
	struct model_cluster **same = (struct model_cluster **)names_slot(left->ids, &c->id, sizeof(c->id));

	if (*same != NULL)
		return region_print(b->region, "%s has the identity of %s by chance: one of them needs another name",
		                    c->name, (*same)->name);
	if (left->clusters == 0)
		return region_print(b->region, "there is no room for %s (limit upstream_clusters: %d)", c->name,
		                    LIMIT_upstream_clusters);
	if (left->endpoints == 0 && c->endpoints_n > 0)
		return region_print(b->region,
		                    "there is no room for the endpoints of %s (limit upstream_endpoints: %d)", c->name,
		                    LIMIT_upstream_endpoints);
	*same = c;
	left->clusters--;
	cut(b, c, LIMIT_cluster_endpoints, "cluster_endpoints", LIMIT_cluster_endpoints);
	cut(b, c, left->endpoints, "upstream_endpoints", LIMIT_upstream_endpoints);
	take_row(b, c);
	left->endpoints -= c->endpoints_n;
	return NULL;
}

/* ---- bytes ---- */

/* A list is aligned, an index at least a third full, and each segment of a path may need a node of its own. */
static uint64_t match_bytes(const struct model_match *m)
{
	uint64_t segments = 1;

	for (const char *p = m->path; *p != '\0'; p++)
		segments += *p == '/';
	return sizeof(struct table_match) + 2 * TABLE_ALIGN +
	       (m->headers_n + m->query_n) * sizeof(struct table_predicate) +
	       segments * (sizeof(struct table_node) + sizeof(struct table_edge) + 3 * sizeof(struct table_slot));
}

/* Texts are in the object, filters were compiled once already. */
uint64_t capacity_rules(const struct model_route *route, size_t filter_bytes)
{
	uint64_t bytes = object_bytes(route->object) + filter_bytes;

	for (uint32_t i = 0; i < route->rules_n; i++) {
		const struct model_rule *rule = &route->rules[i];

		bytes += sizeof(struct table_rule) + RULE_NAME_BYTES + 4 * TABLE_ALIGN +
		         sizeof(struct table_retry) + sizeof(struct table_session) + TABLE_SESSION_NAME_MAX +
		         rule->filters.n * sizeof(struct table_filter);
		for (uint32_t k = 0; k < rule->backends_n; k++)
			bytes += sizeof(struct table_backend) + TABLE_ALIGN +
			         rule->backends[k].filters.n * sizeof(struct table_filter);
	}
	return bytes;
}

static uint64_t attachment_bytes(const struct model_route *route)
{
	/* Up to three slots each, and a virtual host for each slot. */
	uint64_t bytes = 3 * (sizeof(struct table_slot) + sizeof(struct table_vhost)) + sizeof(struct table_node);

	for (uint32_t i = 0; i < route->rules_n; i++) {
		for (uint32_t k = 0; k < route->rules[i].matches_n; k++)
			bytes += match_bytes(&route->rules[i].matches[k]);
	}
	return bytes;
}

bool capacity_attach(struct build *b, struct model_route *route, size_t hostnames)
{
	uint64_t bytes;

	if (route->attachment_bytes == 0)
		route->attachment_bytes = attachment_bytes(route);
	bytes = route->attachment_bytes * hostnames + (route->attached ? 0 : route->own_bytes);
	if (bytes > b->capacity.bytes)
		return false;
	b->capacity.bytes -= bytes;
	return true;
}
