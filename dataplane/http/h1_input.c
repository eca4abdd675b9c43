/*
 * Received packets to heads, body slices and trailers.
 *
 * Whose is the cost? A packet's cost (its buffer, tcp_cost()) is given back to TCP exactly once. It travels with the
 * struct input that holds what is left of the packet, and goes to the first who keeps a piece of it: to the stream, for
 * a head that lies in the packet, until the stream ends; else to the first body slice, whose user gives it back; else,
 * when all of it was framing or was copied, it is given back at once. Later pieces of the same packet cost nothing:
 * they are done with right after the first, since bodies are sent in order, so at most one packet of a connection is
 * held without being charged.
 *
 * A header section that lies in one packet is parsed there. One that does not is gathered: in a piece of the arena, and
 * when that is too small in a buffer of 64 KB, of which there are few.
 *
 * What is pipelined waits in a queue of packets. Small ones are moved together, so that it is the bytes that fill the
 * queue, and the client's window that ends them, however small the segments are. What they cost together is charged
 * up to what the packet costs that they lie in.
 */
#include <string.h>

#include "http/h1.h"

static void drop(struct h1_conn *c, struct input *in)
{
	if (!in->m)
		return;
	rte_pktmbuf_free_seg(in->m);
	h1_credit(c, in->cost);
	*in = (struct input){0};
}

/* The first n bytes as a slice, and the cost with them. All of it: the reference moves too. */
static struct slice take(struct input *in, uint32_t n, uint32_t *cost)
{
	struct slice s = {.m = in->m, .off = in->off, .len = (uint16_t)n};

	*cost = in->cost;
	in->cost = 0;
	if (n == in->len) {
		in->m = NULL;
		in->len = 0;
	} else {
		rte_mbuf_refcnt_update(in->m, 1);
		input_skip(in, n);
	}
	return s;
}

void h1_gather_clear(struct h1_conn *c)
{
	if (c->big)
		pool_put(&c->http->bigs, c->big);
	c->big = NULL;
	c->gather = NULL;
	c->gather_len = c->gather_max = 0;
	c->scan = (struct h1_scan){0};
}

static struct arena *arena_of(struct h1_conn *c)
{
	return c->stream ? &c->stream->arena : &c->arena;
}

static enum err gather_grow(struct h1_conn *c)
{
	char *more;

	if (!c->gather) {
		more = c->stream && c->stream->gathered ? c->stream->gathered : arena_get(arena_of(c), H1_GATHER_SMALL);
		if (c->stream)
			c->stream->gathered = NULL;
		c->gather_max = H1_GATHER_SMALL;
	} else {
		if (c->big)
			return ERR_HTTP_HEADERS_TOO_LARGE;
		more = c->big = pool_get(&c->http->bigs);
		if (!more)
			http_count(c->http, C_limit_http_big_heads);
		else
			memcpy(more, c->gather, c->gather_len);
		c->gather_max = H1_GATHER_BIG;
	}
	if (!more)
		return ERR_HTTP_HEADERS_TOO_LARGE;
	c->gather = more;
	return OK;
}

/* How far a section may go before it is whole. */
static enum err section_limits(const struct h1_conn *c, uint32_t len)
{
	enum counter limit;

	if (c->rx == RX_HEAD && c->scan.lines == 0 && len > LIMIT_http_uri + 64)
		limit = C_limit_http_uri;
	else if (len > LIMIT_http_header_bytes)
		limit = C_limit_http_header_bytes;
	else if (c->scan.lines > LIMIT_http_headers + 1)
		limit = C_limit_http_headers;
	else
		return OK;
	http_count(c->http, limit);
	return limit == C_limit_http_uri ? ERR_HTTP_URI_TOO_LONG : ERR_HTTP_HEADERS_TOO_LARGE;
}

static enum err scan(struct h1_conn *c, const char *text, uint32_t len)
{
	enum err e = h1_scan(&c->scan, text, len), limit = OK;

	if (e == OK && c->rx == RX_HEAD && c->scan.lines == 0)
		return ERR_HTTP_SYNTAX;
	if (e == OK || e == ERR_AGAIN)
		limit = section_limits(c, e == OK ? c->scan.end : len);
	return limit ? limit : e;
}

/* Copies bytes behind what is gathered, as many as there is room for; says how many of them belong to the section. */
static enum err gather(struct h1_conn *c, struct input *in)
{
	while (in->len) {
		uint32_t n, before = c->gather_len;
		enum err e;

		if (c->gather_len == c->gather_max) {
			e = gather_grow(c);
			if (e)
				return e;
		}
		n = in->len < c->gather_max - before ? in->len : c->gather_max - before;
		memcpy(c->gather + before, input_at(in), n);
		c->gather_len += n;
		e = scan(c, c->gather, c->gather_len);
		if (e == OK)
			n = c->scan.end - before;
		input_skip(in, n);
		if (e != ERR_AGAIN)
			return e;
	}
	return ERR_AGAIN;
}

/*
 * The header (or trailer) section that begins here. OK: it is whole, at *at, scan.end bytes, in `under` (then with the
 * packet's cost) or in what was gathered. AGAIN: everything was taken, more must come.
 */
static enum err section(struct h1_conn *c, struct input *in, const char **at, struct held *under)
{
	enum err e;

	*under = (struct held){0};
	if (!c->part.m && !c->gather) {
		*at = input_at(in);
		e = scan(c, *at, in->len);
		if (e == OK)
			under->m = take(in, c->scan.end, &under->cost).m;
		else if (e == ERR_AGAIN) {
			c->part = *in;
			*in = (struct input){0};
		}
		return e;
	}
	if (c->part.m) {
		e = gather_grow(c);
		if (e)
			return e;
		CHECK(c->part.len <= c->gather_max);
		memcpy(c->gather, input_at(&c->part), c->part.len);
		c->gather_len = c->part.len;
		drop(c, &c->part);
	}
	e = gather(c, in);
	*at = c->gather;
	return e;
}

/* An empty line before a request line is skipped, one only (RFC 9112, 2.2). False: this byte may not stand here. */
static bool skip_lead(struct h1_conn *c, struct input *in)
{
	enum { LEAD_START, LEAD_CR, LEAD_DONE };

	while (in->len && c->lead != LEAD_DONE) {
		const char b = *input_at(in);

		if (c->lead == LEAD_START && b != '\r') {
			c->lead = LEAD_DONE;
			return true;
		}
		if (c->lead == LEAD_CR && b != '\n')
			return false;
		c->lead++;
		input_skip(in, 1);
	}
	return true;
}

static void failed(struct h1_conn *c, enum err why)
{
	if (c->role == H1_SERVER)
		h1_server_refuse(c, why);
	else
		h1_cut(c, why);
}

static void on_head(struct h1_conn *c, struct input *in)
{
	struct held under;
	const char *at;
	enum err e;

	if (c->role == H1_SERVER && !skip_lead(c, in)) {
		failed(c, ERR_HTTP_SYNTAX);
		return;
	}
	if (in->len == 0)
		return;
	e = section(c, in, &at, &under);
	if (e == OK && c->role == H1_SERVER)
		h1_server_head(c, at, under);
	else if (e == OK)
		h1_client_head(c, at, under);
	else if (e != ERR_AGAIN)
		failed(c, e);
	else if (c->part.m) {
		c->since_ns = c->http->shard->now_ns;
		h1_due(c, H1_HEADER_TIMEOUT_MS);
	}
}

void h1_finish(struct h1_conn *c, struct http_message *trailers)
{
	struct http_stream *s = c->stream;

	c->rx = RX_WHOLE;
	if (c->role == H1_CLIENT || c->tx == TX_WHOLE)
		h1_later(c);
	s->ops->on_end(s->user, trailers);
}

static void deliver(struct h1_conn *c, struct input *in, uint32_t n)
{
	struct http_stream *s = c->stream;
	uint32_t cost;
	struct slice body = take(in, n, &cost);

	s->owed += cost;
	c->received_bytes += n;
	s->ops->on_body(s->user, body, cost);
}

static void on_length(struct h1_conn *c, struct input *in)
{
	const uint32_t n = c->rx_left < in->len ? (uint32_t)c->rx_left : in->len;
	struct http_stream *s = c->stream;

	c->rx_left -= n;
	deliver(c, in, n);
	if (c->stream == s && c->rx == RX_LENGTH && c->rx_left == 0)
		h1_finish(c, NULL);
}

static void on_chunked(struct h1_conn *c, struct input *in)
{
	uint32_t framing, body;
	enum err e = h1_chunk(&c->chunk, input_at(in), in->len, &framing, &body);

	if (e && e != ERR_AGAIN) {
		if (c->chunk.extension_bytes > LIMIT_http_chunk_extension)
			http_count(c->http, C_limit_http_chunk_extension);
		failed(c, e);
		return;
	}
	input_skip(in, framing);
	if (body)
		deliver(c, in, body);
	else if (e == OK)
		c->rx = RX_TRAILERS;
}

static void on_trailers(struct h1_conn *c, struct input *in)
{
	struct http_stream *s = c->stream;
	struct held under;
	const char *at;
	enum err e = section(c, in, &at, &under);

	if (e == OK && c->scan.lines == 0) {
		if (under.m)
			rte_pktmbuf_free_seg(under.m);
		h1_credit(c, under.cost);
		h1_gather_clear(c);
		h1_finish(c, NULL);
		return;
	}
	if (e == OK) {
		s->held[1] = under;
		e = h1_parse_trailers(&s->trailers, &s->arena, at, &c->scan);
		if (c->big) {
			/* The stream keeps the head's buffer here: trailers of that size are not worth another. */
			h1_gather_clear(c);
			e = e ? e : ERR_HTTP_HEADERS_TOO_LARGE;
		}
		c->gather = NULL;
		h1_gather_clear(c);
	}
	if (e == OK)
		h1_finish(c, &s->trailers);
	else if (e != ERR_AGAIN)
		failed(c, e);
}

static void on_until_close(struct h1_conn *c, struct input *in)
{
	deliver(c, in, in->len);
}

/* Is there someone who may be given bytes now? Checked after every callback: users reset what they like. */
static bool receiving(struct h1_conn *c)
{
	if (c->state != H1_OPEN || c->broken || c->rx == RX_WHOLE)
		return false;
	if (c->role == H1_CLIENT)
		return c->stream && c->stream->request_begun;
	return c->stream || h1_server_ready(c);
}

static void consume(struct h1_conn *c, struct input *in)
{
	static void (*const steps[])(struct h1_conn *, struct input *) = {
		[RX_HEAD] = on_head, [RX_LENGTH] = on_length, [RX_CHUNKED] = on_chunked, [RX_TRAILERS] = on_trailers,
		[RX_UNTIL_CLOSE] = on_until_close, [RX_TUNNEL] = on_until_close,
	};

	c->consuming = true;
	while (in->len && receiving(c))
		steps[c->rx](c, in);
	c->consuming = false;
	if (in->len == 0 || c->state != H1_OPEN || c->broken)
		drop(c, in);
}

/* Moves it behind what waits last, if there is room that nobody else refers to. */
static bool append(struct h1_conn *c, struct input *last, struct input *in)
{
	struct rte_mbuf *m = last->m;
	uint32_t cost = last->cost + in->cost;

	if (!m || !RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1 || rte_pktmbuf_tailroom(m) < in->len ||
	    input_at(last) + last->len != rte_pktmbuf_mtod_offset(m, const char *, m->data_len))
		return false;
	memcpy(rte_pktmbuf_append(m, in->len), input_at(in), in->len);
	last->len = (uint16_t)(last->len + in->len);
	last->cost = cost < tcp_cost(m) ? cost : tcp_cost(m);
	in->cost = cost - last->cost;
	drop(c, in);
	return true;
}

/* To where others have room behind it; without memory it stays where it is. */
static void make_room(struct h1_conn *c, struct input *in)
{
	struct rte_mbuf *m;

	if (RTE_MBUF_DIRECT(in->m) && rte_pktmbuf_tailroom(in->m) >= PACKET_COPY_MAX)
		return;
	m = rte_pktmbuf_alloc(c->http->shard->pools.payload);
	if (!m)
		return;
	memcpy(rte_pktmbuf_append(m, in->len), input_at(in), in->len);
	rte_pktmbuf_free_seg(in->m);
	in->m = m;
	in->off = m->data_off;
}

static void enqueue(struct h1_conn *c, struct input *in)
{
	struct h1_queue *q = c->queue;

	h1_enough(c);
	if (!q) {
		q = c->queue = pool_get(&c->http->shard->chunks);
		if (!q) {
			drop(c, in);
			h1_break(c, ERR_NO_MEMORY);
			return;
		}
		q->first = q->n = 0;
	}
	if (q->n && in->len <= PACKET_COPY_MAX) {
		if (append(c, &q->items[(q->first + q->n - 1) % LIMIT_http_queued_mbufs], in))
			return;
		make_room(c, in);
	}
	if (q->n == LIMIT_http_queued_mbufs) {
		http_count(c->http, C_limit_http_queued_mbufs);
		drop(c, in);
		h1_break(c, ERR_LIMIT);
		return;
	}
	q->items[(q->first + q->n++) % LIMIT_http_queued_mbufs] = *in;
	*in = (struct input){0};
}

static void queue_free(struct h1_conn *c)
{
	if (c->queue)
		pool_put(&c->http->shard->chunks, c->queue);
	c->queue = NULL;
}

void h1_input(struct h1_conn *c, struct input in)
{
	if (c->state != H1_OPEN || c->broken) {
		drop(c, &in);
		return;
	}
	if (c->role == H1_CLIENT && c->stream)
		c->stream->response_begun = true;
	if (!c->queue && !c->consuming)
		consume(c, &in);
	if (!in.m)
		return;
	if (c->role == H1_SERVER) {
		enqueue(c, &in);
		if (!c->stream)
			h1_later(c);
		return;
	}
	/* Bytes that no request asked for: whoever gets this connection next would take them for its response. */
	drop(c, &in);
	c->keep_alive = false;
	if (!c->stream || !c->stream->request_begun)
		h1_break(c, ERR_UPSTREAM_PROTOCOL);
}

void h1_consume_queue(struct h1_conn *c)
{
	while (c->queue && c->queue->n && !c->consuming && receiving(c)) {
		struct h1_queue *q = c->queue;
		struct input *first = &q->items[q->first], in = *first;

		*first = (struct input){0};
		consume(c, &in);
		if (c->queue != q) {
			drop(c, &in);
			return;
		}
		if (in.m) {
			*first = in;
			return;
		}
		q->first = (q->first + 1) % LIMIT_http_queued_mbufs;
		q->n--;
	}
	if (c->queue && c->queue->n == 0)
		queue_free(c);
}

bool h1_input_waits(const struct h1_conn *c)
{
	return c->queue && c->queue->n;
}

void h1_input_clear(struct h1_conn *c)
{
	drop(c, &c->part);
	while (c->queue && c->queue->n) {
		drop(c, &c->queue->items[c->queue->first]);
		c->queue->first = (c->queue->first + 1) % LIMIT_http_queued_mbufs;
		c->queue->n--;
	}
	queue_free(c);
	h1_gather_clear(c);
}
