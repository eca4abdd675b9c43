/*
 * Upgrades (RFC 9110, 7.8) and CONNECT (9.3.6): which are passed on, and the tunnel that an exchange becomes with the
 * upstream's 101 or its 2xx to CONNECT.
 *
 *   websocket   is passed on, alone, however many protocols the client names; Envoy Gateway's default for every route
 *   h2c         is taken away: HTTP/2 is spoken by us, never through us
 *   any other   is refused: 403, as from Envoy
 *   CONNECT     is passed on by rules that match this very method, to their backends, which are proxies then; a rule
 *               for any method does not mean it (route.c), and without one it is refused: 501
 *
 * The upstream decides. With anything else the exchange is an ordinary one and so is its framing. Until then the
 * client's connection holds what the client sends early, so that it can become neither a request to the upstream nor
 * a body that nobody framed.
 *
 *       client --- down ---> to_up ---> up ---> upstream
 *              <------------ to_down <---------
 *
 * From then on bytes pass as bodies do: slices, each with credit that goes back when the other peer's TCP has taken
 * them. A FIN is passed on behind them, one direction at a time; the tunnel ends when both have. The last bytes for a
 * slow peer may outlive the other peer's stream. The rule's timeouts end where it begins; a tunnel in which nothing
 * moves for stream_idle_s seconds is cut by the sweep over exchanges.
 */
#include "base/check.h"
#include "base/fault.h"
#include "proxy/exchange.h"

static inline void progress(struct exchange *x)
{
	x->active_ns = x->proxy->shard->now_ns;
}

bool tunnel_admit(struct http_message *m)
{
	struct text rest = m->upgrade, protocol;
	bool websocket = false, others = false;

	while (http_list_next(&rest, &protocol)) {
		if (text_equal_nocase(protocol, TEXT("websocket")))
			websocket = true;
		else if (!text_equal_nocase(protocol, TEXT("h2c")))
			others = true;
	}
	m->upgrade = websocket ? TEXT("websocket") : (struct text){0};
	return websocket || !others;
}

/* ---- the end ---- */

void tunnel_cut(struct exchange *x, const char *flags)
{
	CHECK(x->state == EXCHANGE_TUNNEL);
	exchange_drop_upstream(x);
	if (x->down != NULL) {
		exchange_flag(x, flags);
		exchange_finish(x, false);
		http_reset(x->down, ERR_UPSTREAM_CLOSED);
	}
	x->down = NULL;
	x->to_up.from = NULL;
	exchange_free(x);
}

/* ---- the client's side ---- */

static void on_down_head(void *user, struct http_message *m)
{
	(void)user;
	(void)m;
	CHECK(false); /* a stream has one request */
}

static void on_down_body(void *user, struct slice s, uint32_t credit)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	progress(x);
	if (body_push(&x->to_up, s, credit) != OK)
		tunnel_cut(x, "");
}

static void on_down_end(void *user, struct http_message *trailers)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	progress(x);
	if (body_end(&x->to_up, trailers, http_stream_arena(x->down)) != OK)
		tunnel_cut(x, "");
}

static void on_down_writable(void *user)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	progress(x);
	if (body_flush(&x->to_down) != OK)
		tunnel_cut(x, "");
}

static void on_down_sent(void *user, uint32_t bytes)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	progress(x);
	body_acked(&x->to_down, bytes);
}

static void on_down_closed(void *user, enum err why)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	if (why != OK)
		exchange_flag(x, "DC");
	exchange_finish(x, why == OK);
	x->down = NULL;
	x->to_up.from = NULL;
	body_drop(&x->to_down);
	if (why == OK && x->up != NULL)
		return; /* the upstream still takes what the client sent last: on_up_closed() follows */
	exchange_drop_upstream(x);
	exchange_free(x);
}

/* ---- the upstream's side ---- */

static void on_up_head(void *user, struct http_message *m)
{
	(void)user;
	(void)m;
	CHECK(false); /* behind 101 there are no messages */
}

static void on_up_body(void *user, struct slice s, uint32_t credit)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	progress(x);
	if (body_push(&x->to_down, s, credit) != OK)
		tunnel_cut(x, "");
}

static void on_up_end(void *user, struct http_message *trailers)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	progress(x);
	if (x->down != NULL && body_end(&x->to_down, trailers, http_stream_arena(x->down)) != OK)
		tunnel_cut(x, "");
	else if (FAULT(tunnel_halves))
		tunnel_cut(x, "");
}

static void on_up_writable(void *user)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	progress(x);
	if (body_flush(&x->to_up) != OK)
		tunnel_cut(x, "");
}

static void on_up_sent(void *user, uint32_t bytes)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	progress(x);
	body_acked(&x->to_up, bytes);
}

static void on_up_closed(void *user, enum err why)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	x->up = NULL;
	exchange_drop_upstream(x);
	if (x->down == NULL)
		exchange_free(x);
	else if (why != OK || !x->to_down.whole)
		tunnel_cut(x, "UC");
	/* Else the client still takes what the upstream sent last: on_down_closed() follows. */
}

static const struct http_stream_ops down_ops = {
	.on_head = on_down_head, .on_body = on_down_body, .on_end = on_down_end, .on_writable = on_down_writable,
	.on_sent = on_down_sent, .on_closed = on_down_closed,
};

static const struct http_stream_ops up_ops = {
	.on_head = on_up_head, .on_body = on_up_body, .on_end = on_up_end, .on_writable = on_up_writable,
	.on_sent = on_up_sent, .on_closed = on_up_closed,
};

/* ---- the beginning ---- */

static bool keep_text(struct arena *a, struct text *t)
{
	if (t->len > 0)
		t->at = arena_text(a, t->at, t->len);
	return t->at != NULL || t->len == 0;
}

/* What the log will want of a request whose packet is not kept as long as a tunnel lives. */
static bool keep_texts(struct exchange *x)
{
	struct arena *a = http_stream_arena(x->down);
	const struct http_field *agent = http_find(x->request, HTTP_FIELD_USER_AGENT);
	struct text value = agent != NULL ? agent->value : (struct text){0};
	struct http_message *kept = arena_get(a, sizeof(*kept));

	if (kept == NULL)
		return false;
	http_message_init(kept);
	kept->method_text = x->request->method_text;
	kept->authority = x->request->authority;
	if (!keep_text(a, &kept->method_text) || !keep_text(a, &kept->authority) || !keep_text(a, &x->path) ||
	    !keep_text(a, &value))
		return false;
	kept->path = x->path;
	x->request = kept;
	return agent == NULL || http_add(kept, a, TEXT("user-agent"), value) == OK;
}

enum err tunnel_begin(struct exchange *x, const struct http_message *m)
{
	struct proxy *p = x->proxy;
	enum err e = ERR_NO_MEMORY;

	if (m->status == 101 &&
	    (x->request->upgrade.len == 0 || !text_equal_nocase(m->upgrade, x->request->upgrade)))
		return ERR_UPSTREAM_PROTOCOL;
	if (x->up == NULL) /* it has left while a filter held the head */
		return ERR_UPSTREAM_CLOSED;
	if (keep_texts(x))
		e = http_send_head(x->down, m, false);
	if (e != OK)
		return e;
	times_end(x);
	count(p->shard->counters, C_tunnels_opened);
	if (x->chain != NULL)
		chain_drop(x->chain, WAY_IN);
	body_drop(&x->to_up);
	body_init(&x->to_up, p->shard, &p->blocks, x->down, x->up);
	http_set_stream_user(x->down, &down_ops, x);
	http_set_stream_user(x->up, &up_ops, x);
	http_forget_head(x->down);
	http_forget_head(x->up);
	return OK;
}
