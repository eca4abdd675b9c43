/*
 * A double of the HTTP layer for tests of what stands on it (upstream, proxy): streams and upstream connections whose
 * other ends are played by the test. Included once per test program; it defines what dataplane/http/http.c and the
 * heads of tls and tcp would.
 *
 * It is strict: a call on something that has ended, body before the head, more credit than is owed, or a slice that is
 * used after it was freed, stops the test. Bodies are patterns (byte i of a body is pattern(i)), so that what arrives
 * can be checked byte for byte.
 *
 *     s = double_request("GET", "a.example", "/", HTTP_BODY_NONE, 0);     on_stream(), on_head(); ops follow
 *     double_give_body(s, 100), double_give_end(s)                        what the peer sends
 *     double_room(s, 1000), double_ack(s, 100)                            what the peer takes
 *     double_open(c), double_respond(c->stream, 200, HTTP_BODY_LENGTH, 5) the upstream's side
 *     double_close(s, ERR_CONN_RESET), double_client_close(c, why)
 *     double_settle()                                                     what http puts off to the end of its calls
 */
#ifndef TESTS_HTTP_DOUBLE_H
#define TESTS_HTTP_DOUBLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/shard.h"
#include "http/http.h"
#include "tests/unit/dpdk.h"

enum { DOUBLES_MAX = 512, DOUBLE_STREAM = 0x64737472, DOUBLE_CLIENT = 0x64636c69, DOUBLE_PACKET_MAX = 1400 };

struct http_stream {
	uint32_t magic;
	bool server;
	const struct http_stream_ops *ops;
	void *user;
	struct http_client *client;
	struct tuple tuple;
	struct pool *chunks;
	struct arena arena;
	struct http_message message;
	/* Received from the peer. */
	uint64_t given, given_length;   /* body bytes so far, and how many were announced */
	uint32_t owed;
	uint32_t wanted;
	bool memory_short, enough;
	bool head_given, end_given;
	/* Sent to the peer. */
	bool head_sent, end_sent, interim_sent, want_writable, trailers_sent;
	uint8_t body_sent_kind;
	uint16_t status, refused;       /* refused: what the layer itself answers in this double's place */
	uint64_t sent, acked, length;
	uint32_t room;
	char head[2048];                /* the last head, as text */
	char text[256];                 /* of http_send_text() */
};

struct http_client {
	uint32_t magic;
	enum { DOUBLE_CONNECTING, DOUBLE_OPEN, DOUBLE_DYING } state;
	enum err why;
	bool used, refuses;             /* refuses: http_client_stream() gives none */
	const struct http_client_ops *ops;
	void *user;
	struct tcp_connect how;
	struct http_stream *stream;
	bool idle_told;
};

static struct {
	struct shard shard;
	struct counters counters;
	struct http_stream *streams[DOUBLES_MAX];
	struct http_client *clients[DOUBLES_MAX];
	void (*on_stream)(struct http_stream *s);
	enum err connect_error, send_head_error;
	bool any_bytes;                 /* bodies may be anything; their beginning is kept in text */
	unsigned connects, resets;
} dbl;

static inline char pattern(uint64_t i)
{
	return (char)('a' + (i * 7 + i / 26) % 26);
}

#define DOUBLE_CHECK(x) CHECK(x)

/* ---- book-keeping ---- */

static inline void double_start(void)
{
	dpdk_start();
	CHECK(packet_pools_init(&dbl.shard.pools, "double", 0, 5) == OK);
}

static inline void double_init(uint64_t seed)
{
	struct packet_pools pools = dbl.shard.pools;

	memset(&dbl, 0, sizeof(dbl));
	dbl.shard.pools = pools;
	dbl.shard.now_ns = 1000 * NS_PER_S;
	dbl.shard.wall_us = UINT64_C(784111777000000); /* Sun, 06 Nov 1994 08:49:37 GMT */
	dbl.shard.counters = &dbl.counters;
	dbl.shard.workers = 1;
	pool_init(&dbl.shard.chunks, "chunks", ARENA_CHUNK, 4096);
	wheel_init(&dbl.shard.wheel, dbl.shard.now_ns);
	rng_init(&dbl.shard.rng, seed);
}

static inline unsigned double_mbufs(void)
{
	return rte_mempool_in_use_count(dbl.shard.pools.rx) + rte_mempool_in_use_count(dbl.shard.pools.payload);
}

static inline unsigned double_streams(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DOUBLES_MAX; i++)
		n += dbl.streams[i] != NULL;
	return n;
}

static inline unsigned double_clients(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DOUBLES_MAX; i++)
		n += dbl.clients[i] != NULL;
	return n;
}

static inline void double_fini(void)
{
	for (unsigned i = 0; i < DOUBLES_MAX; i++)
		CHECK(dbl.streams[i] == NULL);
	for (unsigned i = 0; i < DOUBLES_MAX; i++)
		free(dbl.clients[i]);
	CHECK(pool_used(&dbl.shard.chunks) == 0);
	pool_fini(&dbl.shard.chunks);
	CHECK(double_mbufs() == 0);
}

static inline void double_advance(uint64_t ns)
{
	dbl.shard.now_ns += ns;
	dbl.shard.wall_us += ns / 1000;
	while (wheel_advance(&dbl.shard.wheel, dbl.shard.now_ns, 1000) == 1000)
		;
}

#define DOUBLE_PLACE(array, object)                                \
	do {                                                       \
		unsigned place_ = 0;                               \
		while (place_ < DOUBLES_MAX && (array)[place_])    \
			place_++;                                  \
		CHECK(place_ < DOUBLES_MAX);                       \
		(array)[place_] = (object);                        \
	} while (0)
#define DOUBLE_REMOVE(array, object)                               \
	do {                                                       \
		for (unsigned i_ = 0; i_ < DOUBLES_MAX; i_++)      \
			if ((array)[i_] == (object))               \
				(array)[i_] = NULL;                \
	} while (0)

static inline struct http_stream *double_stream_new(bool server)
{
	struct http_stream *s = calloc(1, sizeof(*s));

	s->magic = DOUBLE_STREAM;
	s->server = server;
	s->room = 1 << 20;
	arena_init(&s->arena, &dbl.shard.chunks, 16);
	http_message_init(&s->message);
	DOUBLE_PLACE(dbl.streams, s);
	return s;
}

static inline bool double_alive(const struct http_stream *s)
{
	for (unsigned i = 0; i < DOUBLES_MAX; i++)
		if (dbl.streams[i] == s)
			return true;
	return false;
}

static inline void double_stream_free(struct http_stream *s)
{
	DOUBLE_REMOVE(dbl.streams, s);
	arena_reset(&s->arena);
	memset(s, 0xdd, sizeof(*s));
	free(s);
}

static inline void double_client_free(struct http_client *c)
{
	DOUBLE_REMOVE(dbl.clients, c);
	memset(c, 0xdd, sizeof(*c));
	free(c);
}

/* ---- the face of http.h ---- */

enum err http_connect(struct http *h, const struct tcp_connect *how, const struct http_client_ops *ops, void *user,
                      struct http_client **out)
{
	struct http_client *c;

	(void)h;
	if (dbl.connect_error != OK)
		return dbl.connect_error;
	c = calloc(1, sizeof(*c));
	c->magic = DOUBLE_CLIENT;
	c->ops = ops;
	c->user = user;
	c->how = *how;
	DOUBLE_PLACE(dbl.clients, c);
	dbl.connects++;
	*out = c;
	return OK;
}

struct http_stream *http_client_stream(struct http_client *c, const struct http_stream_ops *ops, void *user)
{
	struct http_stream *s;

	CHECK_MAGIC(c, DOUBLE_CLIENT);
	if (c->state != DOUBLE_OPEN || c->stream != NULL || c->refuses)
		return NULL;
	s = double_stream_new(false);
	s->ops = ops;
	s->user = user;
	s->client = c;
	s->tuple.remote = c->how.remote;
	s->tuple.remote_port = c->how.remote_port;
	c->stream = s;
	c->idle_told = false;
	return s;
}

void http_client_close(struct http_client *c)
{
	CHECK_MAGIC(c, DOUBLE_CLIENT);
	CHECK(c->stream == NULL);
	double_client_free(c);
}

bool http_client_reused(const struct http_client *c)
{
	return c->used;
}

bool http_stream_response_begun(const struct http_stream *s)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	return s->head_given;
}

bool http_stream_request_begun(const struct http_stream *s)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	return s->head_sent;
}

struct http_refusal http_stream_refused(const struct http_stream *s)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	return (struct http_refusal){.status = s->refused};
}

void http_set_stream_user(struct http_stream *s, const struct http_stream_ops *ops, void *user)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	s->ops = ops;
	s->user = user;
}

struct arena *http_stream_arena(struct http_stream *s)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	return &s->arena;
}

struct tls_conn *http_stream_conn(const struct http_stream *s)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	return (struct tls_conn *)(uintptr_t)s;
}

struct tcp_conn *tls_tcp(const struct tls_conn *c)
{
	return (struct tcp_conn *)(uintptr_t)c;
}

const struct tuple *tcp_tuple(const struct tcp_conn *c)
{
	const struct http_stream *s = (const struct http_stream *)(const void *)c;

	CHECK_MAGIC(s, DOUBLE_STREAM);
	return &s->tuple;
}

static inline void double_print_text(struct http_stream *s, struct text t, const char *end)
{
	const size_t at = strlen(s->head);

	snprintf(s->head + at, sizeof(s->head) - at, "%.*s%s", (int)t.len, t.at, end);
}

static inline void double_print(struct http_stream *s, const struct http_message *m)
{
	s->head[0] = '\0';
	if (s->server) {
		snprintf(s->head, sizeof(s->head), "%u\n", m->status);
	} else {
		double_print_text(s, m->method_text, " ");
		double_print_text(s, m->authority, " ");
		double_print_text(s, m->path, "\n");
	}
	for (unsigned i = 0; i < m->fields_n; i++) {
		if (!m->fields[i].removed) {
			double_print_text(s, m->fields[i].name, ": ");
			double_print_text(s, m->fields[i].value, "\n");
		}
	}
}

enum err http_send_head(struct http_stream *s, const struct http_message *m, bool end)
{
	const enum err e = dbl.send_head_error;

	CHECK_MAGIC(s, DOUBLE_STREAM);
	CHECK(!s->head_sent && !s->end_sent);
	dbl.send_head_error = OK;
	if (e != OK)
		return e;
	double_print(s, m);
	if (s->server && m->status < 200) {
		CHECK(!end);
		s->interim_sent = true;
		return OK;
	}
	CHECK(!s->server || m->status >= 200);
	s->head_sent = true;
	s->status = m->status;
	s->body_sent_kind = m->body;
	s->length = m->body == HTTP_BODY_LENGTH ? m->content_length : UINT64_MAX;
	s->end_sent = end;
	return OK;
}

bool http_send_body(struct http_stream *s, struct slice body)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	CHECK(s->head_sent && !s->end_sent && body.len > 0);
	if (s->room < body.len) {
		s->want_writable = true;
		return false;
	}
	s->room -= body.len;
	for (uint16_t i = 0; i < body.len && !dbl.any_bytes; i++)
		CHECK(slice_at(&body)[i] == pattern(s->sent + i));
	if (dbl.any_bytes)
		snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "%.*s", (int)body.len,
		         slice_at(&body));
	s->sent += body.len;
	CHECK(s->sent <= s->length);
	slice_free(&body);
	return true;
}

enum err http_send_text(struct http_stream *s, struct text body)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	CHECK(s->head_sent && !s->end_sent);
	snprintf(s->text, sizeof(s->text), "%.*s", (int)body.len, body.at);
	s->sent += body.len;
	return OK;
}

enum err http_send_end(struct http_stream *s, const struct http_message *trailers)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	CHECK(s->head_sent && !s->end_sent);
	if (s->room == 0) {
		s->want_writable = true;
		return ERR_FULL;
	}
	s->trailers_sent = trailers != NULL && trailers->fields_n > 0 && trailers->fields[0].value.at[0] != '\0';
	CHECK(s->length == UINT64_MAX || s->sent == s->length);
	s->end_sent = true;
	return OK;
}

void http_enough(struct http_stream *s)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	s->enough = true;
}

bool http_want(struct http_stream *s, uint32_t credit)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	s->wanted = credit;
	return !s->memory_short;
}

void http_credit(struct http_stream *s, uint32_t credit)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	CHECK(credit > 0 && credit <= s->owed);
	s->owed -= credit;
}

void http_forget_head(struct http_stream *s)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	http_message_init(&s->message);
}

void http_reset(struct http_stream *s, enum err why)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	dbl.resets++;
	if (s->client != NULL) {
		s->client->state = DOUBLE_DYING;
		s->client->why = why;
		s->client->stream = NULL;
	}
	double_stream_free(s);
}

/* ---- the peers, played by the test ---- */

/* A slice of the body that s receives, `skip` bytes behind what was given. Its own mbuf. */
static inline struct slice double_slice(const struct http_stream *s, uint16_t n, struct rte_mbuf **shared)
{
	struct rte_mbuf *m = *shared != NULL ? *shared : rte_pktmbuf_alloc(dbl.shard.pools.rx);
	char *at;

	CHECK(m != NULL);
	at = rte_pktmbuf_append(m, n);
	CHECK(at != NULL);
	for (uint16_t i = 0; i < n; i++)
		at[i] = pattern(s->given + i);
	*shared = m;
	return slice_of(m, at, n);
}

/* Pieces of `n` bytes, `pieces` of them, in one packet: the first carries its cost. */
static inline void double_give_pieces(struct http_stream *s, uint16_t n, unsigned pieces)
{
	struct rte_mbuf *packet = NULL;

	CHECK_MAGIC(s, DOUBLE_STREAM);
	for (unsigned i = 0; i < pieces; i++) {
		const struct slice piece = double_slice(s, n, &packet);
		const uint32_t credit = i == 0 ? tcp_cost(packet) : 0;

		s->owed += credit;
		s->given += n;
		s->ops->on_body(s->user, piece, credit);
		if (!double_alive(s))
			break;
	}
	if (packet != NULL)
		rte_pktmbuf_free(packet);
}

static inline void double_give_body(struct http_stream *s, uint32_t n)
{
	while (n > 0) {
		const uint16_t part = (uint16_t)(n < DOUBLE_PACKET_MAX ? n : DOUBLE_PACKET_MAX);

		double_give_pieces(s, part, 1);
		n -= part;
	}
}

static inline void double_give_end(struct http_stream *s)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	CHECK(!s->end_given);
	s->end_given = true;
	s->ops->on_end(s->user, NULL);
}

static inline void double_give_trailers(struct http_stream *s, struct http_message *trailers)
{
	CHECK(!s->end_given);
	s->end_given = true;
	s->ops->on_end(s->user, trailers);
}

static inline void double_fields(struct http_stream *s, const char *fields)
{
	for (const char *line = fields; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *colon = strchr(line, ':');
		const struct text name = {.at = line, .len = (uint32_t)(colon - line)};
		const struct text value = {.at = colon + 2, .len = (uint32_t)strcspn(colon + 2, "\n")};

		CHECK(http_add(&s->message, &s->arena, name, value) == OK);
	}
}

/* `fields`: "Name: value" lines separated by \n, or "". A request without a body ends at once. */
static inline struct http_stream *double_request(const char *method, const char *host, const char *path,
                                                 enum http_body body, uint64_t length, const char *fields)
{
	struct http_stream *s = double_stream_new(true);
	struct http_message *m = &s->message;

	s->tuple = (struct tuple){.local = addr_v4(__builtin_bswap32(0xc612000a)), .local_port = 80,
	                          .remote = addr_v4(__builtin_bswap32(0xc6120002)), .remote_port = 40000};
	m->method_text = (struct text){.at = method, .len = (uint32_t)strlen(method)};
	m->method = (uint8_t)http_method(m->method_text);
	m->authority = (struct text){.at = host, .len = (uint32_t)strlen(host)};
	m->path = (struct text){.at = path, .len = (uint32_t)strlen(path)};
	m->body = (uint8_t)body;
	m->content_length = length;
	double_fields(s, fields);
	s->head_given = true;
	dbl.on_stream(s);
	if (!double_alive(s))
		return s;
	CHECK(s->ops != NULL);
	s->ops->on_head(s->user, m);
	if (double_alive(s) && body == HTTP_BODY_NONE)
		double_give_end(s);
	return s;
}

static inline void double_room(struct http_stream *s, uint32_t room)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	s->room = room;
	if (room > 0 && s->want_writable) {
		s->want_writable = false;
		s->ops->on_writable(s->user);
	}
}

static inline void double_ack(struct http_stream *s, uint64_t n)
{
	CHECK_MAGIC(s, DOUBLE_STREAM);
	if (n > s->sent - s->acked)
		n = s->sent - s->acked;
	if (n == 0)
		return;
	s->acked += n;
	s->ops->on_sent(s->user, (uint32_t)n);
}

static inline void double_open(struct http_client *c)
{
	CHECK_MAGIC(c, DOUBLE_CLIENT);
	CHECK(c->state == DOUBLE_CONNECTING);
	c->state = DOUBLE_OPEN;
	c->ops->on_open(c->user);
}

/* The head of a response; without a body it ends at once. */
static inline void double_respond(struct http_stream *s, uint16_t status, enum http_body body, uint64_t length,
                                  const char *fields)
{
	struct http_message *m = &s->message;

	CHECK_MAGIC(s, DOUBLE_STREAM);
	http_message_init(m);
	m->status = status;
	m->tunnel = status == 101;
	m->body = (uint8_t)body;
	m->content_length = length;
	double_fields(s, fields);
	s->head_given = status >= 200;
	s->ops->on_head(s->user, m);
	if (double_alive(s) && status >= 200 && (body == HTTP_BODY_NONE || (body == HTTP_BODY_LENGTH && length == 0)))
		double_give_end(s);
}

/* The stream breaks (its connection with it). */
static inline void double_close(struct http_stream *s, enum err why)
{
	struct http_client *c = s->client;

	CHECK_MAGIC(s, DOUBLE_STREAM);
	if (c != NULL) {
		c->state = DOUBLE_DYING;
		c->why = why;
		c->stream = NULL;
	}
	s->ops->on_closed(s->user, why);
	double_stream_free(s);
}

static inline void double_client_close(struct http_client *c, enum err why)
{
	const struct http_client_ops *ops = c->ops;
	void *user = c->user;

	CHECK_MAGIC(c, DOUBLE_CLIENT);
	if (c->stream != NULL)
		double_close(c->stream, why);
	double_client_free(c);
	ops->on_closed(user, why);
}

static inline bool double_settle_stream(struct http_stream *s)
{
	struct http_client *c = s->client;

	if (!s->end_sent || (!s->server && !s->end_given))
		return false;
	if (c != NULL) {
		c->stream = NULL;
		c->used = true;
	}
	s->ops->on_closed(s->user, OK);
	double_stream_free(s);
	if (c != NULL && c->state == DOUBLE_OPEN && c->stream == NULL && !c->refuses)
		c->ops->on_idle(c->user);
	return true;
}

/* What http does when its outermost call returns: ends of streams, then of connections. */
static inline void double_settle(void)
{
	bool again = true;

	while (again) {
		again = false;
		for (unsigned i = 0; i < DOUBLES_MAX; i++) {
			if (dbl.streams[i] != NULL && dbl.streams[i]->ops != NULL)
				again |= double_settle_stream(dbl.streams[i]);
		}
		for (unsigned i = 0; i < DOUBLES_MAX; i++) {
			if (dbl.clients[i] != NULL && dbl.clients[i]->state == DOUBLE_DYING) {
				double_client_close(dbl.clients[i], dbl.clients[i]->why);
				again = true;
			}
		}
	}
}

static inline struct http_client *double_client(unsigned nth)
{
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		if (dbl.clients[i] != NULL && nth-- == 0)
			return dbl.clients[i];
	}
	return NULL;
}

#endif
