/* No exchange is left: the request is answered 503 without one, and its body thrown away. */
#include "proxy/exchange.h"

static void on_head(void *user, struct http_message *m)
{
	struct http_stream *s = user;
	struct http_message r;

	(void)m;
	http_message_init(&r);
	r.status = 503;
	r.body = HTTP_BODY_LENGTH;
	if (http_send_head(s, &r, true) != OK)
		http_reset(s, ERR_LIMIT);
}

static void on_body(void *user, struct slice s, uint32_t credit)
{
	slice_free(&s);
	http_credit(user, credit);
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

void proxy_refuse(struct http_stream *s)
{
	http_set_stream_user(s, &ops, s);
}
