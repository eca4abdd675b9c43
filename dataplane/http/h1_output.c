/*
 * The sending half of HTTP/1 streams.
 *
 * How the body is delimited on the wire is decided when the head is sent, from what the message says and what the
 * peer can do; from then on tx says what is expected. A chunk's size line carries the line end of the chunk before,
 * so that a chunk costs one small piece of text:
 *
 *     head CR LF CR LF | size CR LF | slice | CR LF size CR LF | slice | CR LF 0 CR LF trailers CR LF
 *
 * What of the acknowledged bytes is body? Only sums are kept: bytes acknowledged since the stream began, less all
 * framing queued so far. That never says too much, lags by the framing in flight, and is exact when all is
 * acknowledged.
 */
#include "base/fault.h"
#include "http/h1.h"

enum { CHUNK_LINE_MAX = 24 };

static void sent_whole(struct h1_conn *c)
{
	c->tx = TX_WHOLE;
	c->chunk_open = false;
	h1_drop_text(c);
	if (c->role == H1_SERVER || c->rx == RX_WHOLE)
		h1_later(c);
}

static bool sendable(const struct h1_conn *c)
{
	return c->state == H1_OPEN && !c->broken && c->tx != TX_WHOLE;
}

static enum err choose_response(const struct http_stream *s, const struct http_message *m, bool end, enum h1_tx *out)
{
	const bool chunks = s->request_version >= 11;

	if (s->head_request || m->status == 204 || m->status == 304)
		*out = TX_NO_BODY;
	else if (end && m->body == HTTP_BODY_LENGTH && m->content_length > 0)
		return ERR_INVALID;
	else if (end || m->body == HTTP_BODY_LENGTH || m->body == HTTP_BODY_NONE)
		*out = TX_LENGTH;
	else
		*out = chunks ? TX_CHUNKED : TX_UNTIL_CLOSE;
	return OK;
}

/* A request without a body is whole from its head on, also while its on_head() runs. */
static bool request_whole(const struct h1_conn *c)
{
	return c->rx == RX_WHOLE || (c->rx == RX_LENGTH && c->rx_left == 0);
}

/* An early answer that the client may not expect ends the connection: whether its body follows is not known. */
static bool must_close(const struct h1_conn *c, const struct http_message *m, enum h1_tx tx)
{
	return !c->keep_alive || c->http->draining || tx == TX_UNTIL_CLOSE ||
	       (!request_whole(c) && (c->stream->expects || m->status >= 300));
}

static enum err send_interim(struct h1_conn *c, struct http_stream *s, const struct http_message *m)
{
	enum err e;

	if (m->status == 100)
		s->expects = false;
	if (s->request_version < 11 || tls_send_room(c->tls) < H1_HEAD_ROOM / 2)
		return OK;
	e = h1_write_response(c, m, TX_HEAD, false);
	return e == ERR_FULL ? OK : e;
}

/* What the client sent behind its request, and held back so far, is the tunnel's. */
static enum err begin_tunnel(struct h1_conn *c, struct http_stream *s, const struct http_message *m)
{
	const bool asked = m->status == 101 ? s->upgrade && m->upgrade.len > 0 : s->connect;
	enum err e;

	if (!asked || c->rx != RX_WHOLE)
		return ERR_INVALID;
	e = h1_write_response(c, m, TX_TUNNEL, false);
	if (e)
		return e;
	c->keep_alive = false;
	c->rx = RX_TUNNEL;
	c->tx = TX_TUNNEL;
	s->response_begun = true;
	if (FAULT(tunnel_early_lost))
		h1_input_clear(c);
	h1_later(c);
	return OK;
}

static enum err send_response(struct h1_conn *c, struct http_stream *s, const struct http_message *m, bool end)
{
	enum h1_tx tx;
	bool close;
	enum err e;

	if (m->tunnel || m->status == 101)
		return end ? ERR_INVALID : begin_tunnel(c, s, m);
	if (m->status < 200)
		return send_interim(c, s, m);
	e = choose_response(s, m, end, &tx);
	if (e)
		return e;
	close = must_close(c, m, tx);
	e = h1_write_response(c, m, tx, close);
	if (e)
		return e;
	c->keep_alive = !close;
	c->tx = (uint8_t)tx;
	s->response_begun = true;
	return OK;
}

static enum err send_request(struct h1_conn *c, struct http_stream *s, const struct http_message *m, bool end)
{
	enum err e;

	if (end && m->body == HTTP_BODY_LENGTH && m->content_length > 0)
		return ERR_INVALID;
	if (m->body == HTTP_BODY_LENGTH)
		c->tx = TX_LENGTH;
	else
		c->tx = m->body == HTTP_BODY_CHUNKED && !end ? TX_CHUNKED : TX_NO_BODY;
	e = h1_write_request(c, m);
	if (e) {
		c->tx = TX_HEAD;
		return e;
	}
	s->request_begun = true;
	s->upgrade = m->upgrade.len > 0;
	s->connect = m->method == HTTP_CONNECT;
	s->head_request = m->method == HTTP_HEAD;
	return OK;
}

static enum err send_head(struct http_stream *s, const struct http_message *m, bool end)
{
	struct h1_conn *c = h1_of(s);
	enum err e;

	if (!sendable(c))
		return ERR_SHUTDOWN;
	if (c->tx != TX_HEAD)
		return ERR_INVALID;
	e = c->role == H1_SERVER ? send_response(c, s, m, end) : send_request(c, s, m, end);
	if (e || c->tx == TX_HEAD)
		return e;
	c->tx_left = c->tx == TX_LENGTH && m->body == HTTP_BODY_LENGTH ? m->content_length : 0;
	c->chunk_open = false;
	c->promised = 0;
	if (end)
		sent_whole(c);
	return OK;
}

/* The line before a chunk's data, with the line end of the chunk before it. */
static enum err chunk_line(struct h1_conn *c, uint32_t len)
{
	char line[CHUNK_LINE_MAX], *at = line + sizeof(line);

	*--at = '\n';
	*--at = '\r';
	for (uint32_t n = len - (FAULT(chunk_size) && len > 1000 ? 1u : 0); n; n >>= 4)
		*--at = "0123456789abcdef"[n & 15];
	if (c->chunk_open) {
		*--at = '\n';
		*--at = '\r';
	}
	return h1_write_piece(c, (struct text){at, (uint32_t)(line + sizeof(line) - at)});
}

/* False: not now. */
static bool begin_chunk(struct h1_conn *c, uint32_t len)
{
	enum err e;

	if (c->promised == len)
		return true;
	if (c->promised) {
		h1_break(c, ERR_BUG);
		return false;
	}
	e = chunk_line(c, len);
	if (e && e != ERR_FULL)
		h1_break(c, e);
	if (e)
		return false;
	c->promised = len;
	return true;
}

static bool room_for(struct h1_conn *c, uint32_t len)
{
	if (tls_send_room(c->tls) >= len + (uint32_t)CHUNK_LINE_MAX + (uint32_t)H1_END_ROOM)
		return true;
	tls_send_short(c->tls);
	return false;
}

/* Body text or a body slice of that length is about to be sent. More than was announced breaks the connection. */
static bool within_length(struct h1_conn *c, uint32_t len)
{
	if (c->tx != TX_LENGTH || len <= c->tx_left)
		return true;
	h1_break(c, ERR_HTTP_FRAMING);
	return false;
}

static bool send_body(struct http_stream *s, struct slice body)
{
	struct h1_conn *c = h1_of(s);

	CHECK(c->tx != TX_HEAD);
	if (!sendable(c) || c->tx == TX_NO_BODY || body.len == 0 || !within_length(c, body.len)) {
		slice_free(&body);
		return true;
	}
	s->want_writable = true;
	if (!room_for(c, body.len))
		return false;
	if (c->tx == TX_CHUNKED && !begin_chunk(c, body.len))
		return false;
	if (!tls_send(c->tls, body))
		return false;
	s->want_writable = false;
	c->queued_bytes += body.len;
	c->promised = 0;
	c->chunk_open = c->tx == TX_CHUNKED;
	c->tx_left -= c->tx == TX_LENGTH ? body.len : 0;
	return true;
}

static enum err send_text(struct http_stream *s, struct text body)
{
	struct h1_conn *c = h1_of(s);
	enum err e;

	CHECK(c->tx != TX_HEAD);
	if (!sendable(c) || c->tx == TX_NO_BODY || body.len == 0 || !within_length(c, body.len))
		return OK;
	if (!room_for(c, body.len)) {
		s->want_writable = true;
		return ERR_FULL;
	}
	if (c->tx == TX_CHUNKED && !begin_chunk(c, body.len))
		return ERR_FULL;
	e = h1_write_piece(c, body);
	if (e)
		return e;
	c->promised = 0;
	c->chunk_open = c->tx == TX_CHUNKED;
	c->tx_left -= c->tx == TX_LENGTH ? body.len : 0;
	return OK;
}

static enum err send_end(struct http_stream *s, const struct http_message *trailers)
{
	struct h1_conn *c = h1_of(s);
	enum err e = OK;

	CHECK(c->tx != TX_HEAD);
	if (!sendable(c))
		return OK;
	if (c->tx == TX_LENGTH && c->tx_left > 0) {
		h1_break(c, ERR_HTTP_TRUNCATED);
		return OK;
	}
	if (c->tx == TX_CHUNKED)
		e = h1_write_trailers(c, trailers);
	else if (c->tx == TX_TUNNEL)
		tls_shutdown(c->tls);
	if (e == ERR_FULL) {
		s->want_writable = true;
		return e;
	}
	if (e)
		h1_break(c, e);
	else
		sent_whole(c);
	return OK;
}

static void credit(struct http_stream *s, uint32_t n)
{
	CHECK(n <= s->owed);
	s->owed -= n;
	h1_credit(h1_of(s), n);
}

static void enough(struct http_stream *s)
{
	h1_enough(h1_of(s));
}

/* Beside what is kept, as much as any stream may. */
static bool want(struct http_stream *s, uint32_t n)
{
	struct h1_conn *c = h1_of(s);

	return c->tls == NULL || tls_want(c->tls, n + (uint32_t)LIMIT_tcp_recv_start);
}

static void forget_head(struct http_stream *s)
{
	h1_release_head(h1_of(s), s);
	http_message_init(&s->message);
}

static void reset(struct http_stream *s, enum err why)
{
	struct h1_conn *c = h1_of(s);

	s->ops = NULL;
	if (c->tx == TX_WHOLE && c->role == H1_SERVER && c->rx != RX_TUNNEL) {
		h1_server_next(c);
	} else if (FAULT(answer_misplaced) && c->tx == TX_WHOLE && !s->response_begun) {
		c->rx = RX_WHOLE;
		h1_later(c);
	} else {
		h1_cut(c, why);
	}
}

static struct tls_conn *conn(const struct http_stream *s)
{
	return h1_of(s)->tls;
}

static void report_sent(struct h1_conn *c, struct http_stream *s)
{
	const uint64_t before = s->base_bytes + s->framing_bytes + s->reported_bytes;
	uint64_t n;

	if (c->acked_bytes <= before)
		return;
	n = c->acked_bytes - before;
	s->reported_bytes += n;
	s->ops->on_sent(s->user, (uint32_t)n);
}

void h1_acked(struct h1_conn *c, uint32_t bytes)
{
	struct http_stream *s = c->stream;

	c->acked_bytes += bytes;
	if (c->state != H1_OPEN || c->broken)
		return;
	if (c->starved && tls_send_room(c->tls) >= H1_HEAD_ROOM) {
		c->starved = false;
		h1_later(c);
	}
	if (s && s->ops)
		report_sent(c, s);
	if (s && c->stream == s && s->want_writable && tls_send_room(c->tls) >= H1_WRITABLE_ROOM) {
		s->want_writable = false;
		s->ops->on_writable(s->user);
	}
}

const struct stream_class h1_class = {
	.send_head = send_head,
	.send_body = send_body,
	.send_text = send_text,
	.send_end = send_end,
	.credit = credit,
	.enough = enough,
	.want = want,
	.forget_head = forget_head,
	.reset = reset,
	.conn = conn,
};
