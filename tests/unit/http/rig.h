/*
 * A rig for the HTTP layer: a shard, TLS as it is, and below it a double of TCP (a byte pipe that the test holds the
 * ends of); above it a recorder that writes down what it is told and answers by a plan.
 *
 * The double keeps what is sent until the test acknowledges it, and keeps the account of credit: what a connection
 * owes must come back exactly once. rig_check_empty() wants every pool as it was.
 *
 * The recorder's log, one event after the other:
 *     <GET /a host 11 none>  {name: value}...   (body...)   .   or  .{trailer: value}   !error
 */
#ifndef TESTS_UNIT_HTTP_RIG_H
#define TESTS_UNIT_HTTP_RIG_H

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
	char out[WIRE_MAX];          /* all that was ever sent */
	uint32_t out_n, acked;
	struct slice sent[SLICES_MAX];
	uint32_t sent_first, sent_n;
	uint32_t owed;               /* credit outstanding */
	uint32_t limit;              /* send buffer */
	bool shut, aborted, detached, closed, eof;
	enum err why;
};

struct tcp {
	struct tcp_conn *last;       /* the latest that was connected */
};

static struct {
	struct shard shard;
	struct counters counters;
	struct tcp tcp;
	struct tls *tls;
	struct http *http;
	struct tcp_conn *conns[64];
	unsigned conns_n;
} rig;

static struct tcp_conn *conn_make(void)
{
	struct tcp_conn *c = calloc(1, sizeof(*c));

	assert_true(rig.conns_n < LENGTH(rig.conns));
	rig.conns[rig.conns_n++] = c;
	c->limit = LIMIT_tcp_send_buffer;
	return c;
}

/* What the layers above call. */

enum err tcp_connect(struct tcp *t, const struct tcp_connect *how, struct tcp_conn **out)
{
	struct tcp_conn *c = conn_make();

	c->ops = how->ops;
	c->user = how->user;
	t->last = *out = c;
	return OK;
}

void tcp_set_user(struct tcp_conn *c, const struct tcp_user_ops *ops, void *user)
{
	c->ops = ops;
	c->user = user;
}

static uint32_t unacked(const struct tcp_conn *c)
{
	return c->out_n - c->acked;
}

uint32_t tcp_send_room(const struct tcp_conn *c)
{
	return unacked(c) < c->limit ? c->limit - unacked(c) : 0;
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

static void conn_end(struct tcp_conn *c)
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
	tls_run(rig.tls);
}

static void rig_input(struct tcp_conn *c, const char *bytes, size_t n)
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
static void rig_ack(struct tcp_conn *c, uint32_t n)
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

/* The recorder. */

enum plan {
	REPLY,            /* a response with body "ok" when the request is whole */
	REPLY_EARLY,      /* the same, at the head */
	ECHO,             /* the request's body comes back, chunked, with back-pressure */
	HOLD,             /* nothing: the test answers */
	RESET_AT_HEAD, RESET_AT_BODY, RESET_AT_END,
	CONTINUE,         /* 100 at the head, then like REPLY */
};

struct recorder {
	enum plan plan;
	char log[LOG_MAX];
	size_t log_n;
	bool in_body;
	struct http_stream *stream;      /* the present one */
	unsigned opened, closed, refused, idles, writables;
	uint64_t body_bytes, sent_bytes;
	bool keep_credit;                /* credit is given back at the end of the test's choice */
	uint32_t credit;
	struct slice waiting[SLICES_MAX];/* ECHO: refused by http_send_body() */
	uint32_t waiting_credit[SLICES_MAX];
	unsigned waiting_first, waiting_n;
	bool end_waits;
	enum err why;
	uint16_t refused_status;
};

static struct recorder recorder;

static void record(const char *text, size_t n)
{
	assert_true(recorder.log_n + n < LOG_MAX);
	if (n)
		memcpy(recorder.log + recorder.log_n, text, n);
	recorder.log_n += n;
	recorder.log[recorder.log_n] = 0;
}

static void record_text(const char *text)
{
	if (recorder.in_body)
		record(")", 1);
	recorder.in_body = false;
	record(text, strlen(text));
}

static void record_fields(const struct http_message *m)
{
	for (unsigned i = 0; i < m->fields_n; i++)
		if (!m->fields[i].removed) {
			record_text("{");
			record(m->fields[i].name.at, m->fields[i].name.len);
			record_text(": ");
			record(m->fields[i].value.at, m->fields[i].value.len);
			record_text("}");
		}
}

static void reply(struct http_stream *s)
{
	struct http_message m;

	http_message_init(&m);
	m.status = 200;
	m.body = HTTP_BODY_LENGTH;
	m.content_length = 2;
	assert_int_equal(http_send_head(s, &m, false), OK);
	assert_int_equal(http_send_text(s, TEXT("ok")), OK);
	assert_int_equal(http_send_end(s, NULL), OK);
}

static void echo_begin(struct http_stream *s)
{
	struct http_message m;

	http_message_init(&m);
	m.status = 200;
	m.body = HTTP_BODY_CHUNKED;
	assert_int_equal(http_send_head(s, &m, false), OK);
}

static void reset_stream(void)
{
	struct http_stream *s = recorder.stream;

	recorder.stream = NULL;
	recorder.credit = 0;
	recorder.closed++;
	record_text("!reset");
	http_reset(s, ERR_CONN_ABORTED);
}

static void rec_head(void *user, struct http_message *m)
{
	static const char *const bodies[] = {"none", "length", "chunked", "close"};
	char line[128];

	(void)user;
	if (m->status) {
		snprintf(line, sizeof(line), "<%u %u %s", m->status, m->version, bodies[m->body]);
		record_text(line);
	} else {
		record_text("<");
		record(m->method_text.at, m->method_text.len);
		record_text(" ");
		record(m->path.at, m->path.len);
		record_text(" ");
		record(m->authority.at, m->authority.len);
		snprintf(line, sizeof(line), " %u %s", m->version, bodies[m->body]);
		record_text(line);
	}
	if (m->body == HTTP_BODY_LENGTH) {
		snprintf(line, sizeof(line), " %lu", (unsigned long)m->content_length);
		record_text(line);
	}
	record_text(m->expect_continue ? " expect>" : m->keep_alive ? ">" : " last>");
	record_fields(m);
	if (m->status)
		return;
	if (recorder.plan == ECHO)
		echo_begin(recorder.stream);
	else if (recorder.plan == REPLY_EARLY)
		reply(recorder.stream);
	else if (recorder.plan == RESET_AT_HEAD)
		reset_stream();
	else if (recorder.plan == CONTINUE) {
		struct http_message interim;

		http_message_init(&interim);
		interim.status = 100;
		assert_int_equal(http_send_head(recorder.stream, &interim, false), OK);
	}
}

static void echo_flush(void)
{
	while (recorder.waiting_n) {
		const unsigned i = recorder.waiting_first % SLICES_MAX;

		if (!http_send_body(recorder.stream, recorder.waiting[i]))
			return;
		http_credit(recorder.stream, recorder.waiting_credit[i]);
		recorder.waiting_first++;
		recorder.waiting_n--;
	}
	if (recorder.end_waits && http_send_end(recorder.stream, NULL) == OK)
		recorder.end_waits = false;
}

static void rec_body(void *user, struct slice s, uint32_t credit)
{
	(void)user;
	assert_true(s.len > 0);
	if (!recorder.in_body)
		record("(", 1);
	recorder.in_body = true;
	record(slice_at(&s), s.len);
	recorder.body_bytes += s.len;
	if (recorder.plan == ECHO) {
		const unsigned i = (recorder.waiting_first + recorder.waiting_n++) % SLICES_MAX;

		recorder.waiting[i] = s;
		recorder.waiting_credit[i] = credit;
		echo_flush();
		return;
	}
	slice_free(&s);
	recorder.credit += credit;
	if (recorder.plan == RESET_AT_BODY) {
		reset_stream();
	} else if (!recorder.keep_credit) {
		http_credit(recorder.stream, recorder.credit);
		recorder.credit = 0;
	}
}

static void rec_end(void *user, struct http_message *trailers)
{
	(void)user;
	record_text(".");
	if (trailers)
		record_fields(trailers);
	if (recorder.plan == ECHO) {
		recorder.end_waits = true;
		echo_flush();
	} else if ((recorder.plan == REPLY || recorder.plan == CONTINUE) && recorder.stream &&
	           h1_of(recorder.stream)->role == H1_SERVER) {
		reply(recorder.stream);
	} else if (recorder.plan == RESET_AT_END) {
		reset_stream();
	}
}

static void rec_writable(void *user)
{
	(void)user;
	recorder.writables++;
	if (recorder.plan == ECHO)
		echo_flush();
}

static void rec_sent(void *user, uint32_t bytes)
{
	(void)user;
	recorder.sent_bytes += bytes;
}

static void rec_closed(void *user, enum err why)
{
	(void)user;
	assert_non_null(recorder.stream);
	recorder.stream = NULL;
	recorder.closed++;
	recorder.credit = 0;
	recorder.why = why;
	for (; recorder.waiting_n; recorder.waiting_n--)
		slice_free(&recorder.waiting[recorder.waiting_first++ % SLICES_MAX]);
	if (why) {
		record_text("!");
		record_text(err_name(why));
	}
}

static const struct http_stream_ops rec_ops = {
	.on_head = rec_head, .on_body = rec_body, .on_end = rec_end, .on_writable = rec_writable, .on_sent = rec_sent,
	.on_closed = rec_closed,
};

static void rec_stream(void *up, struct http_stream *s)
{
	(void)up;
	assert_null(recorder.stream);
	recorder.stream = s;
	recorder.opened++;
	recorder.sent_bytes = 0;
	http_set_stream_user(s, &rec_ops, NULL);
}

static void rec_bad_request(void *up, struct tls_conn *c, enum err why, uint16_t status)
{
	char line[64];

	(void)up;
	assert_non_null(c);
	recorder.refused++;
	recorder.refused_status = status;
	snprintf(line, sizeof(line), "?%u %s", status, err_name(why));
	record_text(line);
}

static const struct http_up rec_up = {.on_stream = rec_stream, .on_bad_request = rec_bad_request};

static inline void rig_start(enum plan plan)
{
	memset(&recorder, 0, sizeof(recorder));
	recorder.plan = plan;
	rig.conns_n = 0;
}

static inline struct tcp_conn *rig_accept(void)
{
	struct tcp_conn *c = conn_make();

	http_serve(rig.http, c);
	return c;
}

static void rig_check_empty(void)
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
	for (unsigned i = 0; i < rig.conns_n; i++)
		free(rig.conns[i]);
	rig.conns_n = 0;
}

static int rig_setup(void **state)
{
	static const struct tls_options options;

	static bool started;

	(void)state;
	if (!started)
		dpdk_start();
	started = true;
	memset(&rig, 0, sizeof(rig));
	rig.shard.now_ns = NS_PER_S;
	rig.shard.counters = &rig.counters;
	if (packet_pools_init(&rig.shard.pools, "rig", 0, 10))
		return -1;
	pool_init(&rig.shard.chunks, "chunks", ARENA_CHUNK, 4096);
	wheel_init(&rig.shard.wheel, rig.shard.now_ns);
	rng_init(&rig.shard.rng, 1);
	rig.tls = tls_new(&rig.shard, &rig.tcp, &options);
	rig.http = http_new(&rig.shard, rig.tls, &rec_up);
	return 0;
}

static int rig_teardown(void **state)
{
	(void)state;
	http_free(rig.http);
	tls_free(rig.tls);
	for (unsigned i = 0; i < rig.conns_n; i++) {
		conn_end(rig.conns[i]);
		free(rig.conns[i]);
	}
	pool_fini(&rig.shard.chunks);
	packet_pools_fini(&rig.shard.pools);
	return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

#endif
