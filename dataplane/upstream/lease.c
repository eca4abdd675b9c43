/*
 * Connections and leases.
 *
 *                    http_connect                      http says idle and the lease is released
 *     upstream_lease --------------> CONNECTING -- open --> BUSY -----------------------------------> IDLE
 *            |                           |                  ^ |                                        |
 *            |                           | closed           | | closed, or endpoint gone               | closed, old,
 *            |  pooled                   v                  | v                                        v endpoint gone
 *            +----------------------> (freed) <-------------+-(freed) <----------------------------- (freed)
 *
 * A connection whose lease is released while it is still CONNECTING is kept: it becomes IDLE when it opens. The pool
 * is a stack (the most recently used connection first), so that a lull closes the rest by age. When no object is left
 * for a new connection, the one that idled longest, of whatever endpoint, makes room.
 *
 * A pooled connection that its peer closed is taken out when http says so; one found closed at the moment of use is
 * counted as stale and the next one is taken.
 *
 * A cluster that has as many connections as it may (each worker its share of cluster_conns) makes no new one: the
 * request gets one that idles at another endpoint, or waits for the first that becomes free or whose place does, in
 * the order of arrival. Requests that wait are served at the end of a round, never from within another's call. When too
 * many wait the next is refused: overflow, as from Envoy.
 */
#include "base/check.h"
#include "base/fault.h"
#include "base/limits.h"
#include "base/shard.h"
#include "upstream/private.h"

#include <string.h>

#define IDLE_MAX_NS (UINT64_C(3600) * NS_PER_S) /* Envoy's default for upstream connections */
#define REAP_EVERY_NS (UINT64_C(10) * NS_PER_S)

/* ---- states ---- */

static void set_state(struct conn *c, enum conn_state to)
{
	static const bool legal[3][3] = {
		[CONN_CONNECTING] = {[CONN_BUSY] = true, [CONN_IDLE] = true},
		[CONN_BUSY] = {[CONN_IDLE] = true},
		[CONN_IDLE] = {[CONN_BUSY] = true},
	};

	CHECK(legal[c->state][to]);
	c->state = (uint8_t)to;
}

static void leave_idle(struct conn *c)
{
	TAILQ_REMOVE(&c->endpoint->idle, c, of_endpoint);
	TAILQ_REMOVE(&c->upstream->idle, c, of_all);
	c->endpoint->idle_n--;
}

static void uncount_conn(struct conn *c)
{
	struct cluster *of = c->endpoint->cluster;

	c->endpoint->conns_n--;
	of->conns_n--;
	cluster_serve_later(c->upstream, of);
}

/* The http connection is closed or was told to close: only our object is left. */
static void free_conn(struct conn *c)
{
	struct upstream *u = c->upstream;
	struct endpoint *e = c->endpoint;

	CHECK(c->lease == NULL);
	uncount_conn(c);
	c->magic = 0;
	pool_put(&u->conns, c);
	endpoint_settle(u, e);
}

static void close_conn(struct conn *c)
{
	if (c->state == CONN_IDLE)
		leave_idle(c);
	http_client_close(c->client);
	free_conn(c);
}

void endpoint_close_idle(struct upstream *u, struct endpoint *e)
{
	struct conn *c;

	(void)u;
	/* Not close_conn(): the endpoint is settled by the caller, once. */
	while ((c = TAILQ_FIRST(&e->idle)) != NULL) {
		leave_idle(c);
		http_client_close(c->client);
		uncount_conn(c);
		c->magic = 0;
		pool_put(&u->conns, c);
	}
}

static void reap(struct timer *t, uint64_t now_ns)
{
	struct upstream *u = container_of(t, struct upstream, reaper);
	struct conn *c = NULL;

	/* The list is in the order of idle_since_ns; a burst is spread over the ticks that follow. */
	for (unsigned i = 0; i < 64; i++) {
		c = TAILQ_LAST(&u->idle, conn_list);
		if (c == NULL || now_ns - c->idle_since_ns < IDLE_MAX_NS)
			break;
		close_conn(c);
	}
	if (c != NULL)
		timer_arm(&u->shard->wheel, &u->reaper, now_ns + REAP_EVERY_NS, reap);
}

void upstream_shed(struct upstream *u)
{
	struct conn *c = TAILQ_LAST(&u->idle, conn_list);

	if (c == NULL)
		return;
	count(u->shard->counters, C_shed_upstream_conns);
	close_conn(c);
}

static void become_idle(struct conn *c)
{
	struct upstream *u = c->upstream;
	struct endpoint *e = c->endpoint;

	c->http_idle = false;
	if (e->gone || e->idle_n >= LIMIT_pool_idle) {
		if (!e->gone)
			count(u->shard->counters, C_limit_pool_idle);
		close_conn(c);
		return;
	}
	set_state(c, CONN_IDLE);
	c->idle_since_ns = u->shard->now_ns;
	e->idle_n++;
	TAILQ_INSERT_HEAD(&e->idle, c, of_endpoint);
	TAILQ_INSERT_HEAD(&u->idle, c, of_all);
	cluster_serve_later(u, e->cluster);
	if (!timer_armed(&u->reaper))
		timer_arm(&u->shard->wheel, &u->reaper, u->shard->now_ns + REAP_EVERY_NS, reap);
}

/* ---- leases ---- */

static void stop_waiting(struct lease *l)
{
	struct cluster *c = l->waits_for;

	if (c == NULL)
		return;
	TAILQ_REMOVE(&c->waiting, l, of_cluster);
	c->waiting_n--;
	l->waits_for = NULL;
	/* The last one may have been what kept it. */
	cluster_settle(l->upstream, c);
}

static void free_lease(struct lease *l)
{
	struct conn *c = l->conn;

	if (c != NULL) {
		c->lease = NULL;
		endpoint_active(c->endpoint, -1);
	}
	stop_waiting(l);
	l->magic = 0;
	pool_put(&l->upstream->leases, l);
}

static struct lease *new_lease(struct upstream *u, const struct lease_ops *ops,
                               const struct http_stream_ops *stream_ops, void *user)
{
	struct lease *l = pool_get(&u->leases);

	if (l == NULL) {
		count(u->shard->counters, C_limit_exchanges);
		return NULL;
	}
	l->magic = LEASE_MAGIC;
	l->reused = l->ready = false;
	l->upstream = u;
	l->conn = NULL;
	l->waits_for = NULL;
	l->endpoint_id = 0;
	l->ops = ops;
	l->stream_ops = stream_ops;
	l->user = user;
	return l;
}

static void attach(struct lease *l, struct conn *c)
{
	l->conn = c;
	l->endpoint_id = c->endpoint->id;
	c->lease = l;
	endpoint_active(c->endpoint, 1);
}

static void detach(struct lease *l)
{
	l->conn->lease = NULL;
	endpoint_active(l->conn->endpoint, -1);
	l->conn = NULL;
	l->endpoint_id = 0;
}

static void make_ready(struct lease *l, struct http_stream *stream)
{
	l->tuple = *tcp_tuple(tls_tcp(http_stream_conn(stream)));
	l->ready = true;
	l->ops->on_ready(l->user, l, stream);
	/* l may be gone. */
}

/* ---- what http tells ---- */

static void on_open(void *user)
{
	struct conn *c = user;
	struct lease *l = c->lease;
	struct http_stream *stream;

	CHECK_MAGIC(c, CONN_MAGIC);
	endpoint_note(c->upstream, c->endpoint, true);
	if (l == NULL) {
		become_idle(c);
		return;
	}
	set_state(c, CONN_BUSY);
	stream = http_client_stream(c->client, l->stream_ops, l->user);
	if (stream != NULL)
		make_ready(l, stream);
	/* Null: it closes already, on_closed() follows and tells the lease. */
}

static void on_idle(void *user)
{
	struct conn *c = user;

	CHECK_MAGIC(c, CONN_MAGIC);
	CHECK(c->state == CONN_BUSY);
	if (c->lease == NULL)
		become_idle(c);
	else
		c->http_idle = true;
}

/* Want of ports, memory or a route is ours: it says nothing about the endpoint. */
static bool blames_endpoint(enum err why)
{
	return err_class(why) != ERR_CLASS_LOCAL || why == ERR_NEIGH_FAILED;
}

static void connect_failed(struct upstream *u, struct endpoint *e, enum err why)
{
	count(u->shard->counters, C_upstream_connect_failures);
	if (why == ERR_CONN_TIMEOUT)
		count(u->shard->counters, C_limit_upstream_connect_s);
	if (!e->gone && blames_endpoint(why))
		endpoint_note(u, e, false);
}

static void on_closed(void *user, enum err why)
{
	struct conn *c = user;
	struct lease *l = c->lease;
	const bool waited = l != NULL && !l->ready;

	CHECK_MAGIC(c, CONN_MAGIC);
	if (c->state == CONN_CONNECTING)
		connect_failed(c->upstream, c->endpoint, why);
	if (c->state == CONN_IDLE)
		leave_idle(c);
	if (l != NULL) {
		endpoint_active(c->endpoint, -1);
		l->conn = NULL;
		c->lease = NULL;
	}
	free_conn(c);
	if (waited) {
		const struct lease_ops *ops = l->ops;
		void *lease_user = l->user;

		/* The lease is still whole while its user looks at it (which endpoint was it?). */
		ops->on_failed(lease_user, l, why == OK ? ERR_UPSTREAM_CLOSED : why);
		free_lease(l);
	}
}

static const struct http_client_ops client_ops = {.on_open = on_open, .on_idle = on_idle, .on_closed = on_closed};

/* ---- making connections ---- */

static struct conn *new_conn(struct upstream *u, struct endpoint *e)
{
	struct conn *c = pool_get(&u->conns);

	if (c == NULL && !TAILQ_EMPTY(&u->idle)) {
		close_conn(TAILQ_LAST(&u->idle, conn_list));
		c = pool_get(&u->conns);
	}
	if (c == NULL) {
		count(u->shard->counters, C_limit_upstream_conns);
		return NULL;
	}
	*c = (struct conn){.magic = CONN_MAGIC, .state = CONN_CONNECTING, .upstream = u, .endpoint = e};
	e->conns_n++;
	e->cluster->conns_n++;
	return c;
}

/* Where there may be another endpoint, waiting for this one's network to mend is not worth it (RFC 5461, 4). */
static enum err connect_to(struct upstream *u, struct endpoint *e, struct conn **out)
{
	const struct tcp_connect how = {.remote = e->addr, .remote_port = e->port,
	                                .connect_timeout_ms = e->cluster->connect_timeout_ms,
	                                .impatient = true,
	                                .sending = e->cluster->sending};
	struct conn *c = new_conn(u, e);
	enum err err;

	if (c == NULL)
		return ERR_UPSTREAM_OVERFLOW;
	err = http_connect(u->http, &how, &client_ops, c, &c->client);
	if (err != OK) {
		connect_failed(u, e, err);
		free_conn(c);
		return err;
	}
	count(u->shard->counters, C_upstream_connects);
	*out = c;
	return OK;
}

/* From the pool; false: there is none that works. */
static bool take_pooled(struct lease *l, struct endpoint *e)
{
	struct upstream *u = l->upstream;
	struct conn *c;

	while ((c = TAILQ_FIRST(&e->idle)) != NULL) {
		struct http_stream *stream;

		attach(l, c);
		if (!FAULT(pool_confused))
			leave_idle(c);
		set_state(c, CONN_BUSY);
		stream = http_client_stream(c->client, l->stream_ops, l->user);
		if (stream != NULL) {
			count(u->shard->counters, C_upstream_reused);
			l->reused = true;
			make_ready(l, stream);
			return true;
		}
		count(u->shard->counters, C_upstream_stale);
		detach(l);
		close_conn(c);
	}
	return false;
}

static uint32_t find_in_row(const struct cluster *c, uint64_t endpoint)
{
	for (uint32_t i = 0; endpoint != 0 && i < c->row.n; i++) {
		if (c->row.endpoints[i].id == endpoint)
			return i;
	}
	return BALANCE_NONE;
}

static struct endpoint *pick(struct cluster *c, const struct lease *l)
{
	struct upstream *u = c->upstream;
	/* The only endpoint is tried again rather than none. */
	const uint32_t skip = c->row.n > 1 ? find_in_row(c, l->skip_endpoint) : BALANCE_NONE;
	uint32_t i = find_in_row(c, l->wanted_endpoint);

	if (c->row.n == 0)
		return NULL;
	cluster_mark(u, c);
	if (i != BALANCE_NONE && i != skip && c->row.endpoints[i].usable)
		return c->row_endpoints[i];
	i = balancer_list[c->balancer]->pick(&c->row, skip, &u->shard->rng);
	if (i == BALANCE_NONE && skip != BALANCE_NONE)
		i = balancer_list[c->balancer]->pick(&c->row, BALANCE_NONE, &u->shard->rng);
	return i != BALANCE_NONE ? c->row_endpoints[i] : NULL;
}

/* An endpoint with an idle connection: one that may be picked, or any. */
static struct endpoint *find_idle(const struct cluster *c, bool usable)
{
	for (uint32_t i = 0; i < c->row.n; i++) {
		if ((c->row.endpoints[i].usable || !usable) && c->row_endpoints[i]->idle_n > 0)
			return c->row_endpoints[i];
	}
	return NULL;
}

/* Of a cluster that has as many connections as it may; false: none of them is idle. */
static bool make_room(struct cluster *c)
{
	struct endpoint *e = find_idle(c, false);

	if (e != NULL)
		close_conn(TAILQ_LAST(&e->idle, conn_list));
	return c->conns_n < c->conns_max;
}

/* AGAIN: the cluster has as many connections as it may, and none is free. */
static enum err start(struct lease *l, struct cluster *c)
{
	struct endpoint *e = pick(c, l), *idle;
	struct conn *conn;
	enum err err;

	if (e == NULL)
		return ERR_NO_HEALTHY_UPSTREAM;
	if (!l->fresh && take_pooled(l, e))
		return OK;
	if (c->conns_n >= c->conns_max) {
		idle = l->fresh || l->wanted_endpoint != 0 ? NULL : find_idle(c, true);
		if (idle != NULL && take_pooled(l, idle))
			return OK;
		if (c->conns_n >= c->conns_max && !make_room(c))
			return ERR_AGAIN;
	}
	err = connect_to(l->upstream, e, &conn);
	if (err == OK)
		attach(l, conn);
	return err;
}

/* ---- waiting for one ---- */

static enum err wait_for(struct lease *l, struct cluster *c)
{
	struct counters *counters = l->upstream->shard->counters;

	count(counters, C_limit_cluster_conns);
	if (c->waiting_n >= c->pending_max) {
		count(counters, C_limit_cluster_pending);
		return ERR_UPSTREAM_OVERFLOW;
	}
	count(counters, C_upstream_waited);
	TAILQ_INSERT_TAIL(&c->waiting, l, of_cluster);
	c->waiting_n++;
	l->waits_for = c;
	return OK;
}

void cluster_serve_later(struct upstream *u, struct cluster *c)
{
	if (c->waiting_n == 0 || c->listed)
		return;
	c->listed = true;
	TAILQ_INSERT_TAIL(&u->to_serve, c, to_serve);
}

static void serve(struct cluster *c)
{
	/* Those who come meanwhile are served in the next round. */
	for (uint32_t n = c->waiting_n; n > 0 && c->waiting_n > 0; n--) {
		struct lease *l = TAILQ_FIRST(&c->waiting);
		const struct lease_ops *ops = l->ops;
		void *user = l->user;
		enum err err;

		TAILQ_REMOVE(&c->waiting, l, of_cluster);
		c->waiting_n--;
		l->waits_for = NULL;
		err = c->gone ? ERR_NO_HEALTHY_UPSTREAM : start(l, c);
		if (err == ERR_AGAIN) {
			TAILQ_INSERT_HEAD(&c->waiting, l, of_cluster);
			c->waiting_n++;
			l->waits_for = c;
			return;
		}
		if (err != OK) {
			ops->on_failed(user, l, err);
			free_lease(l);
		}
	}
}

void upstream_flush(struct upstream *u)
{
	struct cluster *c;

	while ((c = TAILQ_FIRST(&u->to_serve)) != NULL) {
		/* Listed while it is served: nothing frees it. */
		if (c->generation == u->generation)
			serve(c);
		TAILQ_REMOVE(&u->to_serve, c, to_serve);
		c->listed = false;
		cluster_settle(u, c);
	}
	notes_report(u);
}

/* ---- getting one ---- */

enum err upstream_lease(struct upstream *u, const struct lease_wish *wish, const struct lease_ops *ops,
                        const struct http_stream_ops *stream_ops, void *user, struct lease **out)
{
	struct cluster *c = cluster_find(u, wish->cluster);
	struct lease *l;
	enum err err;

	*out = NULL;
	if (c == NULL)
		return ERR_NOT_FOUND;
	if (c->row.n == 0)
		return ERR_NO_HEALTHY_UPSTREAM;
	l = new_lease(u, ops, stream_ops, user);
	if (l == NULL)
		return ERR_UPSTREAM_OVERFLOW;
	l->skip_endpoint = wish->skip_endpoint;
	l->wanted_endpoint = wish->endpoint;
	l->fresh = wish->fresh;
	*out = l;
	/* Nobody overtakes those who wait. */
	err = c->waiting_n > 0 ? ERR_AGAIN : start(l, c);
	if (err == ERR_AGAIN)
		err = wait_for(l, c);
	if (err != OK) {
		free_lease(l);
		*out = NULL;
	}
	/* OK: on_ready() may have come from within, so l may be gone. */
	return err;
}

void upstream_release(struct lease *l)
{
	struct conn *c = l->conn;

	CHECK_MAGIC(l, LEASE_MAGIC);
	free_lease(l);
	if (c != NULL && c->http_idle)
		become_idle(c);
}

bool lease_reused(const struct lease *l)
{
	CHECK_MAGIC(l, LEASE_MAGIC);
	return l->reused;
}

uint64_t lease_endpoint(const struct lease *l)
{
	CHECK_MAGIC(l, LEASE_MAGIC);
	return l->endpoint_id;
}

const struct tuple *lease_tuple(const struct lease *l)
{
	CHECK_MAGIC(l, LEASE_MAGIC);
	return l->ready ? &l->tuple : NULL;
}

uint32_t upstream_conns(const struct upstream *u)
{
	return pool_used(&u->conns);
}
