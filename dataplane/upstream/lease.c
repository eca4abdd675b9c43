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

/* The http connection is closed or was told to close: only our object is left. */
static void free_conn(struct conn *c)
{
	struct upstream *u = c->upstream;
	struct endpoint *e = c->endpoint;

	CHECK(c->lease == NULL);
	e->conns_n--;
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
		e->conns_n--;
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
	if (!timer_armed(&u->reaper))
		timer_arm(&u->shard->wheel, &u->reaper, u->shard->now_ns + REAP_EVERY_NS, reap);
}

/* ---- leases ---- */

static void free_lease(struct lease *l)
{
	struct conn *c = l->conn;

	if (c != NULL) {
		c->lease = NULL;
		endpoint_active(c->endpoint, -1);
	}
	l->magic = 0;
	pool_put(&l->upstream->leases, l);
}

static struct lease *new_lease(struct upstream *u, struct conn *c, const struct lease_ops *ops,
                               const struct http_stream_ops *stream_ops, void *user)
{
	struct lease *l = pool_get(&u->leases);

	if (l == NULL)
		return NULL;
	l->magic = LEASE_MAGIC;
	l->reused = l->ready = false;
	l->upstream = u;
	l->conn = c;
	l->endpoint_id = c->endpoint->id;
	l->ops = ops;
	l->stream_ops = stream_ops;
	l->user = user;
	c->lease = l;
	endpoint_active(c->endpoint, 1);
	return l;
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

static void on_closed(void *user, enum err why)
{
	struct conn *c = user;
	struct lease *l = c->lease;
	const bool waited = l != NULL && !l->ready;

	CHECK_MAGIC(c, CONN_MAGIC);
	if (c->state == CONN_CONNECTING)
		count(c->upstream->shard->counters, C_upstream_connect_failures);
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

/* ---- getting one ---- */

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
	return c;
}

static enum err connect_to(struct upstream *u, struct endpoint *e, struct conn **out)
{
	const struct tcp_connect how = {.remote = e->addr, .remote_port = e->port,
	                                .connect_timeout_ms = e->cluster->connect_timeout_ms};
	struct conn *c = new_conn(u, e);
	enum err err;

	if (c == NULL)
		return ERR_UPSTREAM_OVERFLOW;
	err = http_connect(u->http, &how, &client_ops, c, &c->client);
	if (err != OK) {
		count(u->shard->counters, C_upstream_connect_failures);
		free_conn(c);
		return err;
	}
	count(u->shard->counters, C_upstream_connects);
	*out = c;
	return OK;
}

static enum err lease_new_conn(struct upstream *u, struct endpoint *e, const struct lease_ops *ops,
                               const struct http_stream_ops *stream_ops, void *user, struct lease **out)
{
	struct conn *c;
	const enum err err = connect_to(u, e, &c);

	if (err != OK)
		return err;
	*out = new_lease(u, c, ops, stream_ops, user);
	/* The connection is kept: it goes to the pool when it opens. */
	return *out != NULL ? OK : ERR_UPSTREAM_OVERFLOW;
}

/* From the pool; false: there is none that works. */
static bool lease_pooled(struct upstream *u, struct endpoint *e, const struct lease_ops *ops,
                         const struct http_stream_ops *stream_ops, void *user, struct lease **out)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&e->idle)) != NULL) {
		struct lease *l = new_lease(u, c, ops, stream_ops, user);
		struct http_stream *stream;

		if (l == NULL)
			return false;
		if (!FAULT(pool_confused))
			leave_idle(c);
		set_state(c, CONN_BUSY);
		stream = http_client_stream(c->client, stream_ops, user);
		if (stream != NULL) {
			count(u->shard->counters, C_upstream_reused);
			l->reused = true;
			*out = l;
			make_ready(l, stream);
			return true;
		}
		count(u->shard->counters, C_upstream_stale);
		free_lease(l);
		close_conn(c);
	}
	return false;
}

static uint32_t find_in_row(const struct cluster *c, uint64_t endpoint)
{
	for (uint32_t i = 0; endpoint != 0 && i < c->row_n; i++) {
		if (c->row[i].id == endpoint)
			return i;
	}
	return BALANCE_NONE;
}

enum err upstream_lease(struct upstream *u, uint64_t cluster, uint64_t skip_endpoint, bool fresh,
                        const struct lease_ops *ops, const struct http_stream_ops *stream_ops, void *user,
                        struct lease **out)
{
	struct cluster *c = cluster_find(u, cluster);
	uint32_t skip, i;

	*out = NULL;
	if (c == NULL)
		return ERR_NOT_FOUND;
	if (c->row_n == 0)
		return ERR_NO_HEALTHY_UPSTREAM;
	/* The only endpoint is tried again rather than none. */
	skip = c->row_n > 1 ? find_in_row(c, skip_endpoint) : BALANCE_NONE;
	i = balancer_list[c->balancer]->pick(c->row, c->row_n, skip, &u->shard->rng);
	if (i == BALANCE_NONE)
		return ERR_NO_HEALTHY_UPSTREAM;
	if (!fresh && lease_pooled(u, c->row_endpoints[i], ops, stream_ops, user, out))
		return OK;
	return lease_new_conn(u, c->row_endpoints[i], ops, stream_ops, user, out);
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
