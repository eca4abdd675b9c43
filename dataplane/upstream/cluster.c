/*
 * Clusters and endpoints of one worker: found by stable id, compared with the tables once per generation.
 *
 * Comparing rewrites the row that the balancer works on: endpoints that stay keep their object (its connections) and
 * their place in the balancing order; new ones are made; those that the tables no longer have are gone: their idle
 * connections are closed now, the others when their leases end, and the object is freed with its last connection.
 * Should it come back before that, it is the same object again.
 *
 * Rows come in three sizes. One row of each size is a spare, which only a cluster may take that gives one of the same
 * size back at once: so a comparison always gets a row at least as large as the smaller of what the cluster has and
 * what it needs, and a cluster that works is never left without. There is a small row for every cluster; when those of
 * a larger size are all taken, the cluster works with the endpoints that fit into a smaller one, until a later
 * generation finds room.
 *
 * A new row starts at a random point of its round, so that workers do not pick the same endpoints in step.
 */
#include "base/check.h"
#include "base/limits.h"
#include "base/pressure.h"
#include "base/shard.h"
#include "table/table.h"
#include "upstream/private.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_CLUSTERS = 64, ADVANCE_MAX = 32 };

static const uint32_t row_room[ROWS] = {8, 64, LIMIT_cluster_endpoints};
static const uint32_t row_count[ROWS] = {LIMIT_upstream_clusters, LIMIT_cluster_rows_medium,
                                         LIMIT_cluster_rows_large};
/* What is counted when none is free; a small one never is missing. */
static const enum counter row_limit[ROWS] = {C_limit_upstream_clusters, C_limit_cluster_rows_medium,
                                             C_limit_cluster_rows_large};

/* ---- index by id ---- */

static inline uint32_t bucket(uint64_t id, uint32_t buckets_n)
{
	return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (buckets_n - 1);
}

static struct cluster **cluster_slot(struct upstream *u, uint64_t id)
{
	struct cluster **at = &u->cluster_buckets[bucket(id, LIMIT_upstream_clusters)];

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->hash_next;
	return at;
}

static struct endpoint **endpoint_slot(struct upstream *u, const struct cluster *c, uint64_t id)
{
	struct endpoint **at = &u->endpoint_buckets[bucket(id ^ c->id, LIMIT_upstream_endpoints)];

	while (*at != NULL && !((*at)->id == id && (*at)->cluster == c))
		at = &(*at)->hash_next;
	return at;
}

/* ---- rows ---- */

static void free_row(struct upstream *u, struct cluster *c)
{
	if (c->row.endpoints != NULL)
		pool_put(&u->rows[c->row_class], c->row.endpoints);
	c->row = (struct balance_row){0};
	c->row_endpoints = NULL;
}

/* The last one of a size is the spare. */
static bool row_free(const struct upstream *u, const struct cluster *c, unsigned class)
{
	CHECK(u->rows[class].free_n > 0);
	return u->rows[class].free_n > 1 || (c->row.endpoints != NULL && c->row_class == class);
}

/* The size that fits n endpoints best, else the next larger one, else the largest smaller one. */
static uint8_t choose_row(struct upstream *u, const struct cluster *c, uint32_t n)
{
	unsigned wanted = 0, class;

	while (wanted < ROWS - 1 && n > row_room[wanted])
		wanted++;
	for (class = wanted; class < ROWS; class++) {
		if (row_free(u, c, class))
			break;
	}
	if (class != wanted)
		count(u->shard->counters, row_limit[wanted]);
	if (class == ROWS) {
		for (class = wanted; class > 0 && !row_free(u, c, class); class--)
			;
	}
	return (uint8_t)class;
}

static struct endpoint **endpoints_of(struct balance_endpoint *row, uint8_t class)
{
	return (struct endpoint **)(row + row_room[class]);
}

/* ---- endpoints ---- */

static struct endpoint *get_endpoint(struct upstream *u, struct cluster *c, const struct table_endpoint *from)
{
	struct endpoint **slot = endpoint_slot(u, c, from->id), *e = *slot;

	if (e != NULL)
		return e;
	e = pool_get(&u->endpoints);
	if (e == NULL) {
		count(u->shard->counters, C_limit_upstream_endpoints);
		return NULL;
	}
	*e = (struct endpoint){.magic = ENDPOINT_MAGIC, .id = from->id, .cluster = c, .addr = from->addr,
	                       .port = from->port, .row_at = BALANCE_NONE, .health = health_key(c->id, from->id)};
	TAILQ_INIT(&e->idle);
	LIST_INSERT_HEAD(&c->endpoints, e, of_cluster);
	*slot = e;
	return e;
}

void cluster_settle(struct upstream *u, struct cluster *c)
{
	struct cluster **slot;

	/* One that is listed is settled by upstream_flush(). */
	if (!c->gone || !LIST_EMPTY(&c->endpoints) || c->waiting_n > 0 || c->listed)
		return;
	slot = cluster_slot(u, c->id);
	CHECK(*slot == c);
	*slot = c->hash_next;
	free_row(u, c);
	c->magic = 0;
	pool_put(&u->clusters, c);
}

static void free_endpoint_if_unused(struct upstream *u, struct endpoint *e)
{
	struct endpoint **slot;

	if (!e->gone || e->conns_n > 0)
		return;
	slot = endpoint_slot(u, e->cluster, e->id);
	CHECK(*slot == e);
	*slot = e->hash_next;
	endpoint_forget_notes(u, e);
	LIST_REMOVE(e, of_cluster);
	e->magic = 0;
	pool_put(&u->endpoints, e);
}

void endpoint_settle(struct upstream *u, struct endpoint *e)
{
	struct cluster *c = e->cluster;

	CHECK_MAGIC(e, ENDPOINT_MAGIC);
	free_endpoint_if_unused(u, e);
	cluster_settle(u, c);
}

uint32_t endpoint_active(struct endpoint *e, int32_t change)
{
	struct balance_endpoint *b;

	if (e->gone)
		return 0;
	b = &e->cluster->row.endpoints[e->row_at];
	/* One that was gone and came back starts from 0 while some of its leases still end. */
	if (change > 0 || b->active > 0)
		b->active += (uint32_t)change;
	return b->active;
}

/* ---- comparing with the tables ---- */

static void leave(struct upstream *u, struct endpoint *e)
{
	e->gone = true;
	e->row_at = BALANCE_NONE;
	endpoint_close_idle(u, e);
	free_endpoint_if_unused(u, e);
}

/* Endpoints that the last comparison did not stamp are gone. */
static void leave_unstamped(struct upstream *u, struct cluster *c)
{
	struct endpoint *e = LIST_FIRST(&c->endpoints);

	while (e != NULL) {
		struct endpoint *next = LIST_NEXT(e, of_cluster);

		if (e->generation != c->generation && !e->gone)
			leave(u, e);
		e = next;
	}
}

static bool unchanged(const struct cluster *c, const struct table_endpoint *e, uint32_t n)
{
	if (n != c->row.n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (c->row.endpoints[i].id != e[i].id || c->row.endpoints[i].weight != e[i].weight)
			return false;
	}
	return true;
}

static void start_anywhere(struct upstream *u, struct cluster *c)
{
	const uint32_t n = c->row.n < ADVANCE_MAX ? c->row.n : ADVANCE_MAX;

	for (uint32_t i = n > 1 ? rng_below(&u->shard->rng, n) : 0; i > 0; i--)
		balancer_list[c->balancer]->pick(&c->row, BALANCE_NONE, &u->shard->rng);
}

static void fill_row(struct upstream *u, struct cluster *c, const struct table_endpoint *from, uint32_t n,
                     struct balance_endpoint *row, uint8_t class)
{
	struct endpoint **endpoints = endpoints_of(row, class);
	uint32_t filled = 0;
	bool weighted = false;

	for (uint32_t i = 0; i < n; i++) {
		struct endpoint *e = get_endpoint(u, c, &from[i]);
		const bool stays = e != NULL && e->row_at != BALANCE_NONE && e->row_at < c->row.n;

		if (e == NULL || e->generation == c->generation)
			continue; /* no room, or twice in the list */
		row[filled] = (struct balance_endpoint){.id = from[i].id, .weight = from[i].weight, .usable = 1};
		if (stays) {
			row[filled].current = c->row.endpoints[e->row_at].current;
			row[filled].active = c->row.endpoints[e->row_at].active;
		}
		weighted |= row[filled].weight != row[0].weight;
		endpoints[filled] = e;
		e->generation = c->generation;
		e->gone = false;
		filled++;
	}
	/* The places change at once, when the old row is no longer looked at. */
	for (uint32_t i = 0; i < filled; i++)
		endpoints[i]->row_at = i;
	free_row(u, c);
	c->row = (struct balance_row){.endpoints = row, .n = filled, .weighted = weighted};
	c->row_class = class;
	c->row_endpoints = endpoints;
	c->health_epoch = health_epoch(u->up.health) - 1;
}

static void replace_row(struct upstream *u, struct cluster *c, const struct table_endpoint *from, uint32_t n)
{
	const bool fresh = c->row.n == 0;
	struct balance_endpoint *row;
	uint8_t class;

	if (n == 0) {
		free_row(u, c);
		return;
	}
	if (n > LIMIT_cluster_endpoints)
		count(u->shard->counters, C_limit_cluster_endpoints);
	class = choose_row(u, c, n);
	row = pool_get(&u->rows[class]);
	CHECK(row != NULL);
	n = n < row_room[class] ? n : row_room[class];
	fill_row(u, c, from, n, row, class);
	if (c->row.n == 0)
		free_row(u, c);
	else if (fresh)
		start_anywhere(u, c);
}

static uint32_t share(uint32_t whole, uint32_t workers)
{
	return (uint32_t)(((uint64_t)whole + workers - 1) / workers);
}

/* What the tables say about it, apart from its endpoints. */
static void take_settings(struct upstream *u, struct cluster *c, const struct table_cluster *from)
{
	const uint32_t workers = u->shard->workers;

	c->connect_timeout_ms = from->connect_timeout_ms;
	c->balancer = from->balancer;
	c->sending = (struct tcp_sending){.control = from->sending.control, .pacing = from->sending.pacing,
	                                  .ecn = from->sending.ecn};
	c->conns_max = share(from->conns_max, workers);
	c->pending_max = share(from->pending_max, workers);
	if (memcmp(&c->outlier, &from->outlier, sizeof(c->outlier)) != 0)
		c->health_epoch = health_epoch(u->up.health) - 1;
	c->outlier = from->outlier;
}

/* Brings it up to date with the tables; one that they do not have may be freed afterwards. */
static void compare(struct upstream *u, struct cluster *c)
{
	const struct table *t = u->shard->table;
	const uint32_t i = t != NULL ? table_find_cluster(t, c->id) : TABLE_NONE;
	const struct table_cluster *from =
		i != TABLE_NONE ? &TABLE_LIST(t, t->clusters, struct table_cluster)[i] : NULL;
	const struct table_endpoint *e = from != NULL ? TABLE_LIST(t, from->endpoints, struct table_endpoint) : NULL;
	const uint32_t n = from != NULL ? from->endpoints.n : 0;

	c->generation = u->generation;
	c->gone = from == NULL;
	if (from != NULL)
		take_settings(u, c, from);
	if (unchanged(c, e, n)) {
		for (uint32_t k = 0; k < n; k++)
			c->row_endpoints[k]->generation = u->generation;
	} else {
		replace_row(u, c, e, n);
	}
	leave_unstamped(u, c);
	/* There may be room now, or nothing left to wait for. */
	cluster_serve_later(u, c);
}

struct cluster *cluster_find(struct upstream *u, uint64_t id)
{
	struct cluster **slot = cluster_slot(u, id), *c = *slot;

	if (c == NULL) {
		if (u->shard->table == NULL || table_find_cluster(u->shard->table, id) == TABLE_NONE)
			return NULL;
		c = pool_get(&u->clusters);
		if (c == NULL) {
			count(u->shard->counters, C_limit_upstream_clusters);
			return NULL;
		}
		*c = (struct cluster){.magic = CLUSTER_MAGIC, .id = id, .upstream = u,
		                       .generation = u->generation - 1};
		LIST_INIT(&c->endpoints);
		TAILQ_INIT(&c->waiting);
		*slot = c;
	}
	if (c->generation != u->generation)
		compare(u, c);
	if (!c->gone)
		return c;
	cluster_settle(u, c);
	return NULL;
}

/* ---- the sweep: clusters that nobody uses are compared too ---- */

static void sweep(struct timer *t, uint64_t now_ns)
{
	struct upstream *u = container_of(t, struct upstream, sweep);

	for (unsigned i = 0; i < SWEEP_CLUSTERS; i++) {
		struct cluster *c = pool_next(&u->clusters, &u->sweep_at);

		if (c == NULL)
			return;
		if (c->generation != u->generation)
			compare(u, c);
		cluster_settle(u, c);
	}
	timer_arm(&u->shard->wheel, &u->sweep, now_ns + 1, sweep);
}

void upstream_sweep_start(struct upstream *u)
{
	u->sweep_at = 0;
	timer_arm(&u->shard->wheel, &u->sweep, u->shard->now_ns, sweep);
}

/* ---- the whole ---- */

static void *boot_memory(size_t n, size_t bytes)
{
	void *p = calloc(n, bytes);

	CHECK(p != NULL);
	return p;
}

static_assert((LIMIT_upstream_clusters & (LIMIT_upstream_clusters - 1)) == 0, "buckets are masked");
static_assert((LIMIT_upstream_endpoints & (LIMIT_upstream_endpoints - 1)) == 0, "buckets are masked");

struct upstream *upstream_new(struct shard *s, struct http *h, const struct upstream_up *up)
{
	struct upstream *u = boot_memory(1, sizeof(*u));

	u->shard = s;
	u->http = h;
	u->up = *up;
	u->generation = 1;
	pool_init(&u->clusters, "clusters", sizeof(struct cluster), LIMIT_upstream_clusters);
	pool_init(&u->endpoints, "endpoints", sizeof(struct endpoint), LIMIT_upstream_endpoints);
	pool_init(&u->conns, "upstream connections", sizeof(struct conn), LIMIT_upstream_conns);
	pool_init(&u->leases, "leases", sizeof(struct lease), LIMIT_exchanges);
	for (unsigned i = 0; i < ROWS; i++)
		pool_init(&u->rows[i], "balancer rows",
		          row_room[i] * (sizeof(struct balance_endpoint) + sizeof(struct endpoint *)),
		          row_count[i] + 1);
	u->cluster_buckets = boot_memory(LIMIT_upstream_clusters, sizeof(struct cluster *));
	u->endpoint_buckets = boot_memory(LIMIT_upstream_endpoints, sizeof(struct endpoint *));
	TAILQ_INIT(&u->idle);
	TAILQ_INIT(&u->notes);
	TAILQ_INIT(&u->to_serve);
	return u;
}

/* Not the connections: those that idle make room when there is none. */
void upstream_watch(const struct upstream *u, struct pressure *p)
{
	pressure_watch(p, &u->leases);
}

void upstream_free(struct upstream *u)
{
	if (u == NULL)
		return;
	timer_cancel(&u->shard->wheel, &u->sweep);
	timer_cancel(&u->shard->wheel, &u->reaper);
	pool_fini(&u->clusters);
	pool_fini(&u->endpoints);
	pool_fini(&u->conns);
	pool_fini(&u->leases);
	for (unsigned i = 0; i < ROWS; i++)
		pool_fini(&u->rows[i]);
	free(u->cluster_buckets);
	free(u->endpoint_buckets);
	free(u);
}

void upstream_apply(struct upstream *u)
{
	u->generation++;
	upstream_sweep_start(u);
}
