/*
 * The HTTP layer of one worker: its pools, its streams, and the doors through which the layers above come in.
 */
#include "http/http.h"

#include <stdlib.h>
#include <string.h>

#include "base/pressure.h"
#include "http/dormant.h"

enum { STREAMS_MAX = 2 * LIMIT_exchanges };

struct http_stream *stream_new(struct http *h, const struct stream_class *class, void *conn)
{
	struct http_stream *s = pool_get(&h->streams);

	if (!s) {
		http_count(h, C_limit_exchanges);
		return NULL;
	}
	memset(s, 0, offsetof(struct http_stream, message));
	s->magic = HTTP_STREAM_MAGIC;
	s->class = class;
	s->conn = conn;
	return s;
}

uint32_t stream_free(struct http *h, struct http_stream *s)
{
	uint32_t owed = s->owed;

	for (unsigned i = 0; i < STREAM_HELD; i++) {
		if (s->held[i].m)
			rte_pktmbuf_free_seg(s->held[i].m);
		owed += s->held[i].cost;
	}
	if (s->big)
		pool_put(&h->bigs, s->big);
	arena_reset(&s->arena);
	s->magic = 0;
	pool_put(&h->streams, s);
	return owed;
}

uint16_t http_refusal_status(enum err why)
{
	switch (why) {
	case ERR_HTTP_VERSION:
		return 505;
	case ERR_HTTP_URI_TOO_LONG:
		return 414;
	case ERR_HTTP_HEADERS_TOO_LARGE:
		return 431;
	case ERR_HTTP_NOT_IMPLEMENTED:
		return 501;
	case ERR_HTTP_EXPECTATION:
		return 417;
	case ERR_HTTP_TIMEOUT:
		return 408;
	case ERR_NO_MEMORY:
	case ERR_LIMIT:
		return 503;
	default:
		return 400;
	}
}

struct http *http_new(struct shard *s, struct tls *tls, const struct http_up *up)
{
	struct http *h = calloc(1, sizeof(*h));

	CHECK(h);
	h->shard = s;
	h->tls = tls;
	h->up = *up;
	h->later_last = &h->later;
	pool_init(&h->conns, "http_conns", sizeof(struct h1_conn), LIMIT_http_conns + LIMIT_upstream_conns);
	pool_init(&h->streams, "http_streams", sizeof(struct http_stream), STREAMS_MAX);
	pool_init(&h->bigs, "http_bigs", H1_GATHER_BIG, LIMIT_http_big_heads);
	(void)http_field_id(TEXT("host"));
	dormant_init(h);
	return h;
}

void http_watch(const struct http *h, struct pressure *p)
{
	pressure_watch_conns(p, &h->conns);
	pressure_watch(p, &h->streams);
}

void http_free(struct http *h)
{
	struct h1_conn *c;

	for (uint32_t at = 0; (c = pool_next(&h->conns, &at));) {
		c->tls = NULL;
		c->in_later = false;
		if (c->stream)
			stream_free(h, c->stream);
		c->stream = NULL;
		h1_free(c);
	}
	timer_cancel(&h->shard->wheel, &h->later_timer);
	dormant_fini(h);
	pool_fini(&h->conns);
	pool_fini(&h->streams);
	pool_fini(&h->bigs);
	free(h);
}

void http_serve(struct http *h, struct tcp_conn *tcp)
{
	struct h1_conn *c = h1_new(h, H1_SERVER);
	struct tls_conn *tls;

	if (!c) {
		tcp_abort(tcp, ERR_LIMIT);
		return;
	}
	http_enter(h);
	tls = tls_accept(h->tls, tcp, &h1_tls_ops, c);
	if (tls)
		c->tls = tls;
	else if (c->state != H1_DEAD)
		h1_cut(c, ERR_NO_MEMORY);
	http_leave(h);
}

void http_drain(struct http *h)
{
	struct h1_conn *c;

	h->draining = true;
	http_enter(h);
	for (uint32_t at = 0; (c = pool_next(&h->conns, &at));)
		if (c->role == H1_SERVER && c->state == H1_OPEN)
			h1_later(c);
	http_leave(h);
	dormant_drain(h);
}

struct http_refusal http_stream_refused(const struct http_stream *s)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return s->refused;
}

void http_set_stream_user(struct http_stream *s, const struct http_stream_ops *ops, void *user)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	s->ops = ops;
	s->user = user;
}

struct arena *http_stream_arena(struct http_stream *s)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return &s->arena;
}

struct tls_conn *http_stream_conn(const struct http_stream *s)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return s->class->conn(s);
}

bool http_stream_response_begun(const struct http_stream *s)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return s->response_begun;
}

bool http_stream_request_begun(const struct http_stream *s)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return s->request_begun;
}

enum err http_send_head(struct http_stream *s, const struct http_message *m, bool end)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return s->class->send_head(s, m, end);
}

bool http_send_body(struct http_stream *s, struct slice body)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return s->class->send_body(s, body);
}

enum err http_send_text(struct http_stream *s, struct text body)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return s->class->send_text(s, body);
}

enum err http_send_end(struct http_stream *s, const struct http_message *trailers)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return s->class->send_end(s, trailers);
}

void http_credit(struct http_stream *s, uint32_t credit)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	if (credit)
		s->class->credit(s, credit);
}

void http_enough(struct http_stream *s)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	s->class->enough(s);
}

bool http_want(struct http_stream *s, uint32_t credit)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	return s->class->want(s, credit);
}

void http_forget_head(struct http_stream *s)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	s->class->forget_head(s);
}

void http_reset(struct http_stream *s, enum err why)
{
	CHECK_MAGIC(s, HTTP_STREAM_MAGIC);
	s->class->reset(s, why);
}
