/*
 * The ground under tests of the HTTP layer: a shard, TLS as it is, and below it a double of TCP, a byte pipe that the
 * test holds the ends of. The double keeps what is sent until the test acknowledges it, and keeps the account of
 * credit: what a connection owes must come back exactly once. pipe_check_empty() wants every pool as it was.
 */
#ifndef TESTS_UNIT_HTTP_PIPE_H
#define TESTS_UNIT_HTTP_PIPE_H

#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shard.h"
#include "http/h1.h"
#include "tests/unit/dpdk.h"
#include "tests/unit/test.h"

enum { WIRE_MAX = 1 << 20, LOG_MAX = 1 << 20, SLICES_MAX = 8192, HEADROOM = 128 };

/* The double of a TCP connection. */
struct tcp_conn {
	const struct tcp_user_ops *ops;
	void *user;
	uint32_t out_n, acked;
	uint32_t sent_first, sent_n;
	uint32_t owed;               /* credit outstanding */
	uint32_t limit;              /* send buffer */
	bool shut, aborted, detached, closed, eof;
	bool opened;                 /* the test has called on_open() */
	enum err why;
	struct tuple tuple;
	uint64_t heard_ns, alarm_ns; /* alarm: while it is kept */
	char out[WIRE_MAX];          /* all that was ever sent */
	struct slice sent[SLICES_MAX];
};

struct tcp {
	struct tcp_conn *last;       /* the latest that was connected */
	const struct tcp_user_ops *kept_ops;
	void *keeper;
	bool crowded;
};

static struct {
	struct shard shard;
	struct counters counters;
	struct tcp tcp;
	struct tls *tls;
	struct http *http;
	struct tcp_conn *conns[64];
	unsigned conns_n;
	unsigned shorts;             /* writers that found too little room */
} rig;

static inline struct tcp_conn *conn_make(void)
{
	struct tcp_conn **slot, *c;

	assert_true(rig.conns_n < LENGTH(rig.conns));
	slot = &rig.conns[rig.conns_n++];
	if (!*slot)
		*slot = malloc(sizeof(*c));
	c = *slot;
	memset(c, 0, offsetof(struct tcp_conn, out));
	c->limit = LIMIT_tcp_send_buffer;
	return c;
}

/* What the layers above call. */

enum err tcp_connect(struct tcp *t, const struct tcp_connect *how, struct tcp_conn **out)
{
	struct tcp_conn *c = conn_make();

	c->ops = how->ops;
	c->user = how->user;
	c->tuple = (struct tuple){.remote = how->remote, .remote_port = how->remote_port};
	t->last = *out = c;
	return OK;
}

void tcp_set_user(struct tcp_conn *c, const struct tcp_user_ops *ops, void *user)
{
	c->ops = ops;
	c->user = user;
}

static inline bool conn_kept(const struct tcp_conn *c)
{
	return c->ops && c->ops == rig.tcp.kept_ops;
}

void tcp_set_keeper(struct tcp *t, const struct tcp_user_ops *ops, void *keeper)
{
	t->kept_ops = ops;
	t->keeper = keeper;
}

void *tcp_keeper(const struct tcp_conn *c)
{
	(void)c;
	return rig.tcp.keeper;
}

void tcp_keep(struct tcp_conn *c, uint32_t alarm_ms)
{
	assert_false(c->closed || c->shut || c->eof);
	assert_int_equal(c->owed, 0);
	assert_int_equal(c->sent_n, 0);
	c->ops = rig.tcp.kept_ops;
	c->user = c;
	c->alarm_ns = rig.shard.now_ns + alarm_ms * NS_PER_MS;
}

bool tcp_crowded(const struct tcp *t)
{
	return t->crowded;
}

uint32_t tcp_kept_places(const struct tcp *t)
{
	(void)t;
	return rig.conns_n;
}

struct tcp_conn *tcp_kept_at(const struct tcp *t, uint32_t place)
{
	struct tcp_conn *c = rig.conns[place];

	(void)t;
	return !c->closed && conn_kept(c) ? c : NULL;
}

uint64_t tcp_heard_ns(const struct tcp_conn *c)
{
	return c->heard_ns;
}

static inline uint32_t unacked(const struct tcp_conn *c)
{
	return c->out_n - c->acked;
}

uint32_t tcp_send_room(const struct tcp_conn *c)
{
	return unacked(c) < c->limit ? c->limit - unacked(c) : 0;
}

void tcp_send_short(struct tcp_conn *c)
{
	(void)c;
	rig.shorts++;
}

bool tcp_send(struct tcp_conn *c, struct slice s)
{
	assert_false(c->closed || c->shut);
	assert_true(s.len > 0);
	if (s.len > tcp_send_room(c) || c->sent_n == SLICES_MAX)
		return false;
	assert_true(c->out_n + s.len <= WIRE_MAX);
	memcpy(c->out + c->out_n, slice_at(&s), s.len);
	c->out_n += s.len;
	c->sent[(c->sent_first + c->sent_n++) % SLICES_MAX] = s;
	return true;
}

void tcp_more(struct tcp_conn *c, bool more)
{
	(void)c;
	(void)more;
}

void tcp_shutdown(struct tcp_conn *c)
{
	assert_false(c->closed);
	c->shut = true;
}

static inline void conn_end(struct tcp_conn *c)
{
	for (; c->sent_n; c->sent_n--)
		slice_free(&c->sent[c->sent_first++ % SLICES_MAX]);
	c->closed = true;
}

void tcp_abort(struct tcp_conn *c, enum err why)
{
	assert_false(c->closed);
	conn_end(c);
	c->aborted = true;
	c->why = why;
	if (c->ops)
		c->ops->on_closed(c->user, why);
}

void tcp_detach(struct tcp_conn *c)
{
	assert_false(c->closed);
	conn_end(c);
	c->detached = true;
	c->ops = NULL;
}

void tcp_enough(struct tcp_conn *c)
{
	assert_non_null(c);
}

bool tcp_want(struct tcp_conn *c, uint32_t n)
{
	return c != NULL && n > 0;
}

void tcp_credit(struct tcp_conn *c, uint32_t n)
{
	assert_true(n <= c->owed);
	c->owed -= n;
}

/* What the test does at the far end. */

static inline void rig_tick(uint64_t ms)
{
	rig.shard.now_ns += ms * NS_PER_MS;
	for (int i = 0; i < 8; i++)
		wheel_advance(&rig.shard.wheel, rig.shard.now_ns, 1000);
	for (unsigned i = 0; i < rig.conns_n; i++)
		if (!rig.conns[i]->closed && conn_kept(rig.conns[i]) && rig.shard.now_ns >= rig.conns[i]->alarm_ns)
			rig.conns[i]->ops->on_alarm(rig.conns[i]->user);
	tls_run(rig.tls);
}

static inline void rig_input(struct tcp_conn *c, const char *bytes, size_t n)
{
	while (n && !c->closed) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig.shard.pools.rx);
		const size_t part = n < 1448 ? n : 1448;
		char *at;

		assert_non_null(m);
		/* At the end of the room: in the asan flavour reading past it is seen. */
		m->data_off = (uint16_t)(m->buf_len - part);
		at = rte_pktmbuf_append(m, (uint16_t)part);
		memcpy(at, bytes, part);
		c->owed += tcp_cost(m);
		c->heard_ns = rig.shard.now_ns;
		c->ops->on_data(c->user, m);
		bytes += part;
		n -= part;
	}
}

static inline void rig_eof(struct tcp_conn *c)
{
	if (!c->closed && !c->eof) {
		c->eof = true;
		c->ops->on_eof(c->user);
	}
}

static inline void rig_closed(struct tcp_conn *c, enum err why)
{
	if (c->closed)
		return;
	conn_end(c);
	c->ops->on_closed(c->user, why);
}

/* Acknowledges n bytes. */
static inline void rig_ack(struct tcp_conn *c, uint32_t n)
{
	uint32_t left = n;

	if (c->closed || n == 0)
		return;
	assert_true(n <= unacked(c));
	c->acked += n;
	while (left) {
		struct slice *s = &c->sent[c->sent_first % SLICES_MAX];

		if (s->len > left) {
			s->off = (uint16_t)(s->off + left);
			s->len = (uint16_t)(s->len - left);
			break;
		}
		left -= s->len;
		slice_free(s);
		c->sent_first++;
		c->sent_n--;
	}
	c->ops->on_acked(c->user, n);
}

static inline void rig_ack_all(struct tcp_conn *c)
{
	rig_ack(c, unacked(c));
}

static inline struct tcp_conn *rig_accept(void)
{
	struct tcp_conn *c = conn_make();

	http_serve(rig.http, c);
	return c;
}

static inline void rig_check_empty(void)
{
	assert_int_equal(pool_used(&rig.http->conns), 0);
	assert_int_equal(pool_used(&rig.http->streams), 0);
	assert_int_equal(pool_used(&rig.http->bigs), 0);
	assert_int_equal(pool_used(&rig.shard.chunks), 0);
	assert_int_equal(rte_mempool_in_use_count(rig.shard.pools.rx), 0);
	assert_int_equal(rte_mempool_in_use_count(rig.shard.pools.payload), 0);
}

/* The far ends go away, time passes, and nothing may be left. */
static inline void rig_end(void)
{
	for (unsigned i = 0; i < rig.conns_n; i++) {
		rig_ack_all(rig.conns[i]);
		rig_eof(rig.conns[i]);
	}
	rig_tick(1);
	for (unsigned i = 0; i < rig.conns_n; i++)
		rig_closed(rig.conns[i], rig.conns[i]->shut && rig.conns[i]->eof ? OK : ERR_CONN_RESET);
	rig_tick(1);
	rig_check_empty();
	rig.conns_n = 0;
}

static inline void rig_open(const struct http_up *up)
{
	static const struct tls_options options;

	static bool started;

	if (!started)
		dpdk_start();
	started = true;
	memset(&rig, 0, sizeof(rig));
	rig.shard.now_ns = NS_PER_S;
	rig.shard.counters = &rig.counters;
	assert_int_equal(packet_pools_init(&rig.shard.pools, "rig", 0, 10), OK);
	pool_init(&rig.shard.chunks, "chunks", ARENA_CHUNK, 4096);
	wheel_init(&rig.shard.wheel, rig.shard.now_ns);
	rng_init(&rig.shard.rng, 1);
	rig.tls = tls_new(&rig.shard, &rig.tcp, &options);
	rig.http = http_new(&rig.shard, rig.tls, up);
}

static inline void rig_close(void)
{
	http_free(rig.http);
	tls_free(rig.tls);
	for (unsigned i = 0; i < rig.conns_n; i++)
		conn_end(rig.conns[i]);
	for (unsigned i = 0; i < LENGTH(rig.conns); i++)
		free(rig.conns[i]);
	pool_fini(&rig.shard.chunks);
	packet_pools_fini(&rig.shard.pools);
}

#endif
