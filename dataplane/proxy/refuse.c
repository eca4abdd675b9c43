/*
 * No exchange is left, or memory is short: a request is answered 503 without one, its body thrown away, and a line left
 * in the log. The few bytes that this takes are in the stream's arena.
 */
#include "proxy/exchange.h"

struct refusal {
	struct proxy *proxy;
	struct http_stream *stream;
};

static void on_head(void *user, struct http_message *m)
{
	const struct refusal *f = user;
	struct http_message r;

	refused_log(f->proxy, http_stream_conn(f->stream), m, (struct http_refusal){.status = 503}, &reason_overload);
	http_message_init(&r);
	r.status = 503;
	r.body = HTTP_BODY_LENGTH;
	if (http_send_head(f->stream, &r, true) != OK)
		http_reset(f->stream, ERR_LIMIT);
}

static void on_body(void *user, struct slice s, uint32_t credit)
{
	const struct refusal *f = user;

	slice_free(&s);
	http_credit(f->stream, credit);
}

static void on_end(void *user, struct http_message *trailers)
{
	(void)user;
	(void)trailers;
}

static void on_writable(void *user)
{
	(void)user;
}

static void on_sent(void *user, uint32_t bytes)
{
	(void)user;
	(void)bytes;
}

static void on_closed(void *user, enum err why)
{
	(void)user;
	(void)why;
}

static const struct http_stream_ops ops = {
	.on_head = on_head, .on_body = on_body, .on_end = on_end, .on_writable = on_writable,
	.on_sent = on_sent, .on_closed = on_closed,
};

void proxy_refuse(struct proxy *p, struct http_stream *s)
{
	struct refusal *f = arena_get(http_stream_arena(s), sizeof(*f));

	if (f == NULL) {
		refused_log(p, http_stream_conn(s), NULL, (struct http_refusal){0}, &reason_overload);
		http_reset(s, ERR_NO_MEMORY);
		return;
	}
	*f = (struct refusal){.proxy = p, .stream = s};
	http_set_stream_user(s, &ops, f);
}
