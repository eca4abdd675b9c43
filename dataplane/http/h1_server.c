/*
 * The server's side: when a request may begin, what a refused one is told, and what follows a response.
 *
 * The next request begins when the response before it is queued. It has to wait when the send buffer is so full that
 * a head might not fit (a client that sends requests but does not read), and for the next round when its connection
 * has had its share of this one (a client that pipelines what can be answered at once).
 */
#include <string.h>

#include "http/h1.h"

static void next_round(struct h1_conn *c)
{
	struct shard *s = c->http->shard;

	http_count(c->http, C_limit_http_pipelined);
	h1_wake(c, s->now_ns + (UINT64_C(1) << WHEEL_TICK_SHIFT));
}

bool h1_server_ready(struct h1_conn *c)
{
	const uint64_t now_ns = c->http->shard->now_ns;

	if (!c->keep_alive)
		return false;
	if (c->part.m || c->gather)
		return true;
	if (tls_send_room(c->tls) < H1_HEAD_ROOM) {
		c->starved = true;
		tls_send_short(c->tls);
		return false;
	}
	if (c->heads_ns != now_ns) {
		c->heads_ns = now_ns;
		c->heads_n = 0;
	}
	if (c->heads_n < LIMIT_http_pipelined)
		return true;
	next_round(c);
	return false;
}

/* ---- slow clients ---- */

static void window_begin(struct h1_conn *c)
{
	c->window = (struct h1_window){.received_bytes = c->received_bytes, .queued_bytes = c->queued_bytes,
	                               .acked_bytes = c->acked_bytes, .since_ns = c->http->shard->now_ns,
	                               .stream = c->streams};
}

bool h1_server_measured(const struct h1_conn *c)
{
	return c->role == H1_SERVER && c->state == H1_OPEN && (c->stream || c->acked_bytes < c->queued_bytes);
}

/*
 * Has the body of one request been on its way for the whole window, and was it the client that held it up? Not if we
 * may have dropped its text for want of memory: then it waits to send it again.
 */
static bool sends_slowly(const struct h1_conn *c)
{
	const struct http_stream *s = c->stream;
	const bool under_way = s && c->streams == c->window.stream && c->rx != RX_TUNNEL && c->rx != RX_WHOLE;

	return under_way && !s->expects && s->owed == 0 && c->tx == TX_HEAD &&
	       c->http->text_shed_ns < c->window.since_ns &&
	       c->received_bytes - c->window.received_bytes < (uint64_t)LIMIT_http_body_rate * H1_WINDOW_MS / 1000;
}

/* Has something waited for the whole window? */
static bool reads_slowly(const struct h1_conn *c)
{
	return c->acked_bytes < c->window.queued_bytes &&
	       c->acked_bytes - c->window.acked_bytes < (uint64_t)LIMIT_http_read_rate * H1_WINDOW_MS / 1000;
}

void h1_server_watch(struct h1_conn *c)
{
	if (c->state != H1_OPEN || c->http->shard->now_ns < c->window.since_ns + H1_WINDOW_MS * NS_PER_MS)
		return;
	if (reads_slowly(c)) {
		http_count(c->http, C_limit_http_read_rate);
		h1_cut(c, ERR_HTTP_TIMEOUT);
	} else if (sends_slowly(c)) {
		http_count(c->http, C_limit_http_body_rate);
		h1_server_refuse(c, ERR_HTTP_TIMEOUT);
	} else {
		window_begin(c);
	}
}

/* ---- refusals ---- */

/* What a refusal says; for what came too late it is Envoy's words. */
static const char *refusal_text(enum err why, uint16_t status, bool head)
{
	if (why != ERR_HTTP_TIMEOUT)
		return http_reason(status);
	return head ? "request header timeout" : "request timeout";
}

static void send_refusal(struct h1_conn *c, uint16_t status, const char *text, bool bodiless)
{
	struct http_field fields[] = {{.name = TEXT("content-type"), .value = TEXT("text/plain")}};
	struct http_message m;
	const struct text body = {text, (uint32_t)strlen(text)};

	http_message_init(&m);
	m.status = status;
	m.body = HTTP_BODY_LENGTH;
	m.content_length = body.len;
	m.fields = fields;
	m.fields_n = 1;
	c->tx = TX_LENGTH;
	if (h1_write_response(c, &m, TX_LENGTH, true) || (!bodiless && h1_write_piece(c, body)))
		h1_break(c, ERR_NO_MEMORY);
}

/* `bodiless`: to HEAD, as far as it was understood, there is no answer with a body. */
static void refuse(struct h1_conn *c, enum err why, bool bodiless)
{
	const uint16_t status = http_refusal_status(why);
	const char *text = refusal_text(why, status, !c->stream);
	const struct http_refusal answer = {status, bodiless ? 0 : (uint16_t)strlen(text)};

	http_count(c->http, C_http_bad_requests);
	if (c->stream) {
		c->stream->refused = answer;
		h1_stream_close(c, why);
	} else {
		c->http->up.on_bad_request(c->http->up.up, c->tls, why, answer);
	}
	if (c->state != H1_OPEN || c->broken)
		return;
	c->keep_alive = false;
	send_refusal(c, status, text, bodiless);
	if (!c->broken)
		h1_linger(c);
}

/*
 * A request that breaks the rules, or does not end in time. If a response to it had begun, all that is left is to cut
 * it off where everyone can see it.
 */
void h1_server_refuse(struct h1_conn *c, enum err why)
{
	if (c->stream && c->tx != TX_HEAD) {
		http_count(c->http, C_http_bad_requests);
		h1_cut(c, why);
	} else {
		refuse(c, why, c->stream && c->stream->head_request);
	}
}

/* ---- requests ---- */

/* A connection's first request has a window of its own: who opens one in order to be slow is found at its end. */
static void window_of(struct h1_conn *c)
{
	if (!c->asleep && c->streams > 1)
		return;
	if (c->asleep)
		h1_due(c, H1_WINDOW_MS);
	c->asleep = false;
	window_begin(c);
}

static void begin(struct h1_conn *c, struct http_stream *s)
{
	const struct http_message *m = &s->message;

	http_count(c->http, C_http_requests_received);
	c->stream = s;
	c->heads_n++;
	c->streams++;
	window_of(c);
	c->keep_alive = m->keep_alive;
	c->tx = TX_HEAD;
	c->rx = m->body == HTTP_BODY_CHUNKED ? RX_CHUNKED : RX_LENGTH;
	c->rx_left = m->body == HTTP_BODY_LENGTH ? m->content_length : 0;
	c->chunk = (struct h1_chunk){0};
	s->base_bytes = c->queued_bytes;
	s->request_begun = true;
	s->request_version = m->version;
	s->head_request = m->method == HTTP_HEAD;
	s->expects = m->expect_continue;
	s->upgrade = m->upgrade.len > 0;
	s->connect = m->method == HTTP_CONNECT;
}

void h1_server_head(struct h1_conn *c, const char *at, struct held under)
{
	struct http *h = c->http;
	struct http_stream *s = stream_new(h, &h1_class, c);
	bool bodiless;
	enum err e;

	if (!s) {
		if (under.m)
			rte_pktmbuf_free_seg(under.m);
		h1_credit(c, under.cost);
		h1_gather_clear(c);
		h1_server_refuse(c, ERR_LIMIT);
		return;
	}
	s->arena = c->arena;
	arena_init(&c->arena, &h->shard->chunks, STREAM_ARENA_CHUNKS);
	s->held[0] = under;
	s->big = c->big;
	c->big = NULL;
	e = h1_parse_request(&s->message, &s->arena, at, &c->scan);
	h1_gather_clear(c);
	if (e) {
		if (e == ERR_HTTP_URI_TOO_LONG)
			http_count(h, C_limit_http_uri);
		bodiless = s->message.method == HTTP_HEAD;
		h1_credit(c, stream_free(h, s));
		refuse(c, e, bodiless);
		return;
	}
	begin(c, s);
	h->up.on_stream(h->up.up, s);
	if (c->stream != s)
		return;
	CHECK(s->ops);
	s->ops->on_head(s->user, &s->message);
	if (c->stream == s && c->rx == RX_LENGTH && c->rx_left == 0)
		h1_finish(c, NULL);
}

/* Ready for the next request; the present one's stream has no user any more. */
void h1_server_next(struct h1_conn *c)
{
	if (c->rx != RX_WHOLE)
		c->keep_alive = false;
	h1_stream_close(c, OK);
	c->rx = RX_HEAD;
	c->tx = TX_HEAD;
	c->lead = 0;
	c->since_ns = c->http->shard->now_ns;
	h1_later(c);
}

static bool draining(const struct h1_conn *c)
{
	return c->http->draining && !c->part.m && !c->gather && !h1_input_waits(c);
}

void h1_server_settle(struct h1_conn *c)
{
	if (c->state != H1_OPEN)
		return;
	if (c->rx == RX_TUNNEL) {
		h1_consume_queue(c);
		if (c->rx == RX_TUNNEL && c->eof && !h1_input_waits(c))
			h1_finish(c, NULL);
		return;
	}
	if (c->stream && c->tx == TX_WHOLE) {
		h1_server_next(c);
		return;
	}
	if (c->stream)
		return;
	if (!c->keep_alive || draining(c)) {
		h1_linger(c);
		return;
	}
	h1_consume_queue(c);
	if (!c->stream && c->state == H1_OPEN && c->eof && !h1_input_waits(c))
		h1_leave(c);
}
