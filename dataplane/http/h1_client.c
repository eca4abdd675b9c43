/*
 * The client's side: upstream connections, and the rules by which one may be used again.
 *
 * It may when the request was wholly sent and the response wholly read, the response did not end with the connection,
 * nobody said close, and not one byte came that no request asked for. Everything else ends the connection.
 */
#include "base/fault.h"
#include "http/h1.h"

static struct h1_conn *conn_of(const struct http_client *client)
{
	struct h1_conn *c = (struct h1_conn *)(uintptr_t)client;

	CHECK_MAGIC(c, H1_MAGIC);
	CHECK(c->role == H1_CLIENT);
	return c;
}

enum err http_connect(struct http *h, const struct tcp_connect *how, const struct http_client_ops *ops, void *user,
                      struct http_client **out)
{
	struct h1_conn *c = h1_new(h, H1_CLIENT);
	enum err e;

	if (!c)
		return ERR_LIMIT;
	c->client_ops = ops;
	c->client_user = user;
	e = tls_connect(h->tls, how, &h1_tls_ops, c, &c->tls);
	if (e) {
		h1_free(c);
		return e;
	}
	*out = (struct http_client *)c;
	return OK;
}

struct http_stream *http_client_stream(struct http_client *client, const struct http_stream_ops *ops, void *user)
{
	struct h1_conn *c = conn_of(client);
	struct http_stream *s;

	if (c->state != H1_OPEN || c->stream || c->broken || c->eof || !c->keep_alive ||
	    tls_send_room(c->tls) < H1_HEAD_ROOM)
		return NULL;
	s = stream_new(c->http, &h1_class, c);
	if (!s) {
		h1_break(c, ERR_NO_MEMORY);
		return NULL;
	}
	s->ops = ops;
	s->user = user;
	s->base_bytes = c->queued_bytes;
	arena_init(&s->arena, &c->http->shard->chunks, STREAM_ARENA_CHUNKS);
	c->stream = s;
	c->rx = RX_HEAD;
	c->tx = TX_HEAD;
	return s;
}

void http_client_close(struct http_client *client)
{
	struct h1_conn *c = conn_of(client);

	c->client_ops = NULL;
	if (c->state == H1_OPENING || c->broken)
		h1_cut(c, ERR_SHUTDOWN);
	if (c->state == H1_DEAD)
		return;
	h1_stream_close(c, ERR_SHUTDOWN);
	h1_leave(c);
}

bool http_client_reused(const struct http_client *client)
{
	return conn_of(client)->used;
}

static void interim(struct h1_conn *c, struct http_stream *s)
{
	if (++s->interim_n > LIMIT_http_interim) {
		http_count(c->http, C_limit_http_interim);
		h1_cut(c, ERR_UPSTREAM_PROTOCOL);
		return;
	}
	s->ops->on_head(s->user, &s->message);
}

/* From here on the stream is a tunnel, if the request asked for one and is whole. */
static void begin_tunnel(struct h1_conn *c, struct http_stream *s)
{
	const bool asked = s->message.status == 101 ? s->upgrade && s->message.upgrade.len > 0 : s->connect;

	if (!asked || c->tx != TX_WHOLE) {
		http_count(c->http, C_http_bad_responses);
		h1_cut(c, ERR_HTTP_NOT_IMPLEMENTED);
		return;
	}
	http_count(c->http, C_http_responses_received);
	c->keep_alive = false;
	c->rx = RX_TUNNEL;
	c->tx = TX_TUNNEL;
	s->message.tunnel = true;
	s->message.body = HTTP_BODY_NONE; /* whatever a 2xx says about it (RFC 9110, 9.3.6) */
	s->ops->on_head(s->user, &s->message);
}

static void begin_body(struct h1_conn *c, const struct http_stream *s)
{
	const struct http_message *m = &s->message;

	c->keep_alive = m->keep_alive && m->body != HTTP_BODY_UNTIL_CLOSE;
	c->rx_left = m->body == HTTP_BODY_LENGTH ? m->content_length : 0;
	c->chunk = (struct h1_chunk){0};
	if (s->head_request || m->status == 204 || m->status == 304) {
		c->rx = RX_LENGTH;
		c->rx_left = 0;
	} else if (m->body == HTTP_BODY_CHUNKED) {
		c->rx = RX_CHUNKED;
	} else {
		c->rx = m->body == HTTP_BODY_UNTIL_CLOSE ? RX_UNTIL_CLOSE : RX_LENGTH;
	}
}

void h1_client_head(struct h1_conn *c, const char *at, struct held under)
{
	struct http_stream *s = c->stream;
	enum err e;

	h1_release_head(c, s); /* an interim response's makes way for the next one */
	if (s->interim_n == 0)
		http_message_init(&s->message);
	s->held[0] = under;
	s->big = c->big;
	c->big = NULL;
	e = h1_parse_response(&s->message, &s->arena, at, &c->scan, s->head_request);
	if (e == OK && s->message.status < 200 && !s->big)
		s->gathered = c->gather;
	h1_gather_clear(c);
	if (e) {
		http_count(c->http, C_http_bad_responses);
		h1_cut(c, e);
		return;
	}
	if (s->message.status == 101 || (s->connect && s->message.status / 100 == 2)) {
		begin_tunnel(c, s);
		return;
	}
	if (s->message.status < 200) {
		interim(c, s);
		return;
	}
	http_count(c->http, C_http_responses_received);
	begin_body(c, s);
	s->ops->on_head(s->user, &s->message);
	if (c->stream == s && c->rx == RX_LENGTH && c->rx_left == 0)
		h1_finish(c, NULL);
}

void h1_client_settle(struct h1_conn *c)
{
	if (c->state != H1_OPEN)
		return;
	if (c->stream) {
		if (c->rx != RX_WHOLE || (c->tx != TX_WHOLE && !FAULT(early_reused)))
			return;
		c->used = true;
		c->rx = RX_HEAD;
		c->tx = TX_HEAD;
		c->since_ns = c->http->shard->now_ns;
		h1_stream_close(c, OK);
		if (c->state != H1_OPEN || c->stream)
			return;
		if (c->keep_alive && !c->eof) {
			c->client_ops->on_idle(c->client_user);
			return;
		}
	}
	if (!c->keep_alive || c->eof)
		h1_leave(c);
}
