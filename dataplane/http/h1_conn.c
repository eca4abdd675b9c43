/*
 * The life of an HTTP/1 connection: from the channel below, through the states, to its end. See h1.h for the drawing.
 *
 * One timer per connection, armed lazily: it is not moved when a request comes or goes, but looks, when it fires, at
 * the state and since when it lasts, and sleeps on if it was too early. So a request costs it one store.
 */
#include <string.h>

#include "base/fault.h"
#include "http/dormant.h"

static void fire(struct timer *t, uint64_t now_ns);

struct h1_conn *h1_get(struct http *h, enum h1_role role)
{
	struct h1_conn *c;

	dormant_look(h);
	c = pool_get(&h->conns);
	if (!c) {
		http_count(h, C_limit_http_conns);
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	c->magic = H1_MAGIC;
	c->role = (uint8_t)role;
	c->http = h;
	c->keep_alive = true;
	c->since_ns = h->shard->now_ns;
	arena_init(&c->arena, &h->shard->chunks, STREAM_ARENA_CHUNKS);
	return c;
}

struct h1_conn *h1_new(struct http *h, enum h1_role role)
{
	struct h1_conn *c = h1_get(h, role);

	if (c)
		http_count(h, role == H1_SERVER ? C_http_server_conns_opened : C_http_client_conns_opened);
	return c;
}

void h1_put(struct h1_conn *c)
{
	struct http *h = c->http;

	CHECK(!c->stream && !c->in_later);
	timer_cancel(&h->shard->wheel, &c->timer);
	h1_input_clear(c);
	h1_drop_text(c);
	arena_reset(&c->arena);
	c->magic = 0;
	pool_put(&h->conns, c);
}

void h1_free(struct h1_conn *c)
{
	http_count(c->http, c->role == H1_SERVER ? C_http_server_conns_closed : C_http_client_conns_closed);
	h1_put(c);
}

static void later_fire(struct timer *t, uint64_t now_ns)
{
	struct http *h = container_of(t, struct http, later_timer);

	(void)now_ns;
	http_enter(h);
	http_leave(h);
}

void h1_later(struct h1_conn *c)
{
	struct http *h = c->http;

	if (c->in_later)
		return;
	c->in_later = true;
	c->later_next = NULL;
	*h->later_last = c;
	h->later_last = &c->later_next;
	if (h->depth == 0)
		timer_arm(&h->shard->wheel, &h->later_timer, h->shard->now_ns, later_fire);
}

void http_leave_slow(struct http *h)
{
	while (h->later) {
		struct h1_conn *c = h->later;

		h->later = c->later_next;
		if (!h->later)
			h->later_last = &h->later;
		c->in_later = false;
		h1_settle(c);
	}
}

/* The owner of an upstream connection learns of its end here and nowhere else. */
static void dead(struct h1_conn *c)
{
	const struct http_client_ops *ops = c->client_ops;
	void *user = c->client_user;
	const enum err why = c->why;

	h1_free(c);
	if (ops)
		ops->on_closed(user, why);
}

void h1_settle(struct h1_conn *c)
{
	CHECK_MAGIC(c, H1_MAGIC);
	if (c->broken && c->state != H1_DEAD)
		h1_cut(c, c->why);
	if (c->in_later)
		return;
	if (c->state == H1_DEAD)
		dead(c);
	else if (c->role == H1_SERVER)
		h1_server_settle(c);
	else
		h1_client_settle(c);
}

void h1_break(struct h1_conn *c, enum err why)
{
	if (!c->broken) {
		c->broken = true;
		c->why = why;
	}
	h1_later(c);
}

void h1_enough(struct h1_conn *c)
{
	if (c->tls)
		tls_enough(c->tls);
}

void h1_credit(struct h1_conn *c, uint32_t credit)
{
	if (credit && c->tls && !FAULT(credit_lost))
		tls_credit(c->tls, credit);
}

/* The connection has forgotten the stream when its user is told, but the user can still look at it. */
void h1_release_head(struct h1_conn *c, struct http_stream *s)
{
	if (s->held[0].m)
		rte_pktmbuf_free_seg(s->held[0].m);
	h1_credit(c, s->held[0].cost);
	if (s->big)
		pool_put(&c->http->bigs, s->big);
	s->held[0] = (struct held){0};
	s->big = NULL;
}

void h1_stream_close(struct h1_conn *c, enum err why)
{
	struct http_stream *s = c->stream;

	if (!s)
		return;
	c->stream = NULL;
	h1_drop_text(c);
	if (s->ops)
		s->ops->on_closed(s->user, why);
	h1_credit(c, stream_free(c->http, s));
}

static void let_go(struct h1_conn *c, enum err why)
{
	c->state = H1_DEAD;
	c->why = why;
	h1_later(c);
}

void h1_cut(struct h1_conn *c, enum err why)
{
	struct tls_conn *tls = c->tls;

	if (c->state == H1_DEAD)
		return;
	let_go(c, why);
	h1_input_clear(c);
	h1_stream_close(c, why);
	c->tls = NULL;
	if (tls)
		tls_abort(tls, why);
}

void h1_leave(struct h1_conn *c)
{
	struct tls_conn *tls = c->tls;

	if (c->state == H1_DEAD)
		return;
	let_go(c, OK);
	h1_input_clear(c);
	c->tls = NULL;
	tls_shutdown(tls);
	tls_detach(tls);
}

/*
 * The peer may still be sending: closing at once would be answered by a reset that can overtake our last response.
 * So: FIN, read on and throw away, until its FIN or for a short time.
 */
void h1_linger(struct h1_conn *c)
{
	if (c->state != H1_OPEN)
		return;
	if (c->eof) {
		h1_leave(c);
		return;
	}
	c->state = H1_LINGER;
	c->since_ns = c->http->shard->now_ns;
	h1_input_clear(c);
	tls_shutdown(c->tls);
	h1_due(c, H1_LINGER_TIMEOUT_MS);
}

/* Times. */

void h1_due(struct h1_conn *c, uint32_t in_ms)
{
	struct shard *s = c->http->shard;

	timer_arm(&s->wheel, &c->timer, s->now_ns + in_ms * NS_PER_MS, fire);
}

void h1_wake(struct h1_conn *c, uint64_t due_ns)
{
	timer_arm(&c->http->shard->wheel, &c->timer, due_ns, fire);
}

static bool begun(const struct h1_conn *c)
{
	return c->part.m || c->gather;
}

/* How long the present state may last; 0: not our business. */
static uint32_t patience_ms(const struct h1_conn *c)
{
	if (c->state == H1_LINGER)
		return H1_LINGER_TIMEOUT_MS;
	if (c->state != H1_OPEN || c->stream)
		return 0;
	return begun(c) ? H1_HEADER_TIMEOUT_MS : H1_IDLE_TIMEOUT_MS;
}

static void expired(struct h1_conn *c)
{
	if (c->state == H1_OPEN && begun(c)) {
		http_count(c->http, C_limit_http_header_s);
		h1_server_refuse(c, ERR_HTTP_TIMEOUT);
		return;
	}
	if (c->state == H1_OPEN)
		http_count(c->http, C_limit_http_idle_s);
	h1_leave(c);
}

/* The next look: when the state has lasted too long, and before that at the end of a window that measures something. */
static void look_again(struct h1_conn *c, uint64_t due_ns)
{
	const uint64_t window_ns = c->window.since_ns + H1_WINDOW_MS * NS_PER_MS;

	c->asleep = !h1_server_measured(c);
	h1_wake(c, !c->asleep && window_ns < due_ns ? window_ns : due_ns);
}

static void fire(struct timer *t, uint64_t now_ns)
{
	struct h1_conn *c = container_of(t, struct h1_conn, timer);
	struct http *h = c->http;
	uint32_t ms;

	CHECK_MAGIC(c, H1_MAGIC);
	http_enter(h);
	if (h1_input_waits(c))
		h1_later(c);
	if (c->role == H1_SERVER)
		h1_server_watch(c);
	ms = patience_ms(c);
	if (dormant_try(c))
		;
	else if (ms == 0)
		look_again(c, now_ns + H1_IDLE_TIMEOUT_MS * NS_PER_MS);
	else if (c->since_ns + ms * NS_PER_MS > now_ns)
		look_again(c, c->since_ns + ms * NS_PER_MS);
	else
		expired(c);
	http_leave(h);
}

/* The channel below. */

static void on_open(void *user)
{
	struct h1_conn *c = user;

	CHECK_MAGIC(c, H1_MAGIC);
	http_enter(c->http);
	c->state = H1_OPEN;
	c->since_ns = c->window.since_ns = c->http->shard->now_ns;
	h1_due(c, c->role == H1_SERVER ? H1_WINDOW_MS : H1_IDLE_TIMEOUT_MS);
	if (c->role == H1_CLIENT)
		c->client_ops->on_open(c->client_user);
	http_leave(c->http);
}

static void on_data(void *user, struct slice s, uint32_t credit)
{
	struct h1_conn *c = user;
	struct http *h = c->http;

	CHECK_MAGIC(c, H1_MAGIC);
	http_enter(h);
	h1_input(c, (struct input){.m = s.m, .off = s.off, .len = s.len, .cost = credit});
	http_leave(h);
}

/*
 * The peer has ended: a body that lasts until then is whole; any other message that is under way is not. A client that
 * closed its half still gets its responses.
 */
static void ended(struct h1_conn *c)
{
	struct http_stream *s = c->stream;

	c->eof = true;
	c->keep_alive = c->keep_alive && c->role == H1_SERVER;
	if (c->state == H1_LINGER)
		h1_leave(c);
	else if (c->state != H1_OPEN)
		return;
	else if (s && c->rx == RX_TUNNEL && h1_input_waits(c))
		h1_later(c);
	else if (s && (c->rx == RX_UNTIL_CLOSE || c->rx == RX_TUNNEL))
		h1_finish(c, NULL);
	else if (s && c->rx != RX_WHOLE)
		h1_cut(c, c->role == H1_CLIENT && !s->response_begun ? ERR_UPSTREAM_CLOSED : ERR_HTTP_TRUNCATED);
	else
		h1_later(c);
}

static void on_eof(void *user)
{
	struct h1_conn *c = user;
	struct http *h = c->http;

	CHECK_MAGIC(c, H1_MAGIC);
	http_enter(h);
	ended(c);
	http_leave(h);
}

static void on_acked(void *user, uint32_t bytes)
{
	struct h1_conn *c = user;
	struct http *h = c->http;

	CHECK_MAGIC(c, H1_MAGIC);
	http_enter(h);
	h1_acked(c, bytes);
	http_leave(h);
}

static void on_closed(void *user, enum err why)
{
	struct h1_conn *c = user;
	struct http *h = c->http;

	CHECK_MAGIC(c, H1_MAGIC);
	if (c->state == H1_DEAD)
		return;
	http_enter(h);
	if (FAULT(reset_is_end) && c->stream && c->rx == RX_UNTIL_CLOSE)
		h1_finish(c, NULL);
	let_go(c, why);
	h1_input_clear(c);
	h1_stream_close(c, why ? why : ERR_HTTP_TRUNCATED);
	c->tls = NULL;
	http_leave(h);
}

const struct tls_user_ops h1_tls_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.on_eof = on_eof,
	.on_acked = on_acked,
	.on_closed = on_closed,
};
