/*
 * The exchange: one request and its response, in order.
 *
 *                  route, filters, balance           head sent           final head, filters
 *      on_stream  HEAD ----------------> LEASING ----------------> WAITING ----------------> RESPONDING
 *                  |    \            /    ^  | failed              |  |   \            /       |
 *                  |     FILTERING --     |  +---> PAUSING <-------+  |    HOLDING ----        | end sent
 *                  |         |            +-----------+ next try       |       |                |
 *                  +---------+- local reply -+-------------------------+-------+---> ENDING <---+
 *                                                                                      |
 *                                                  both streams ended (or cut) ------> (freed)
 *
 * FILTERING and HOLDING are where filters are suspended with a head (chain.c). A head that begins a tunnel
 * leads to TUNNEL instead of RESPONDING (tunnel.c).
 *
 * Two streams meet here: `down` is the client's, `up` the upstream's. Each ends on its own by on_closed(), or is cut by
 * us with http_reset(), after which nothing comes from it any more. A lease is held from LEASING until its stream
 * ended. The exchange is freed when it has neither stream; a client that leaves takes the upstream request with it,
 * unless its response was already whole (then the connection can go back to the pool).
 *
 * Who may free: every path that can cut ends by doing so and touches the exchange no more. http and upstream promise
 * not to call on_closed() or on_failed() from within our calls, so only exchange_cut() frees under a caller's feet;
 * upstream_lease() may call on_ready() from within, which may cut.
 *
 * A try that fails before its response may be followed by another (retry.c); after PAUSING, or at once when a pooled
 * connection was dead. Every other failure before the response is a local reply, after its head the client's connection
 * is cut, so that the client sees it. How long all that may take: times.c.
 */
#include <string.h>

#include "base/check.h"
#include "base/fault.h"
#include "base/pressure.h"
#include "proxy/exchange.h"

static const struct http_stream_ops down_ops;
static void follow(struct exchange *x, enum way way, enum chain_step step);

/* ---- states ---- */

void exchange_set_state(struct exchange *x, enum exchange_state to)
{
	static const bool legal[EXCHANGE_STATES][EXCHANGE_STATES] = {
		[EXCHANGE_HEAD] = {[EXCHANGE_FILTERING] = true, [EXCHANGE_LEASING] = true, [EXCHANGE_ENDING] = true},
		[EXCHANGE_FILTERING] = {[EXCHANGE_LEASING] = true, [EXCHANGE_ENDING] = true},
		[EXCHANGE_PAUSING] = {[EXCHANGE_LEASING] = true, [EXCHANGE_ENDING] = true},
		[EXCHANGE_LEASING] = {[EXCHANGE_WAITING] = true, [EXCHANGE_PAUSING] = true, [EXCHANGE_ENDING] = true},
		[EXCHANGE_WAITING] = {[EXCHANGE_LEASING] = true, [EXCHANGE_PAUSING] = true, [EXCHANGE_HOLDING] = true,
		                      [EXCHANGE_RESPONDING] = true, [EXCHANGE_TUNNEL] = true,
		                      [EXCHANGE_ENDING] = true},
		[EXCHANGE_HOLDING] = {[EXCHANGE_RESPONDING] = true, [EXCHANGE_TUNNEL] = true, [EXCHANGE_ENDING] = true},
		[EXCHANGE_RESPONDING] = {[EXCHANGE_ENDING] = true},
	};

	CHECK(legal[x->state][to]);
	x->state = (uint8_t)to;
	if (to == EXCHANGE_ENDING)
		times_end(x);
}

/* ---- the request ---- */

/* The request's head goes on through the filters. May free x. */
static void filter_request(struct exchange *x)
{
	enum chain_step step = CHAIN_GO;

	if (x->chain != NULL)
		step = chain_head(x->chain, WAY_IN, x->request);
	if (step == CHAIN_WAIT && x->state == EXCHANGE_HEAD)
		exchange_set_state(x, EXCHANGE_FILTERING);
	if (step == CHAIN_GO && x->no_backend != NULL) {
		exchange_fail(x, x->no_backend);
		return;
	}
	if (step == CHAIN_GO && x->chain != NULL)
		step = chain_drain(x->chain, WAY_IN);
	if (step == CHAIN_GO)
		try_begin(x, false);
	else
		follow(x, WAY_IN, step);
}

static void on_down_head(void *user, struct http_message *m)
{
	struct exchange *x = user;
	const struct reason *answer;
	struct route_host host;
	enum err e;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	x->request = m;
	x->path = m->path;
	x->method = m->method;
	request_look(x, &host);
	e = request_prepare(x, &host);
	if (e != OK)
		answer = e == ERR_HTTP_HEADERS_TOO_LARGE ? &reason_large_head
		         : e == ERR_HTTP_SYNTAX ? &reason_underscore : &reason_no_memory;
	else if (m->authority.len == 0)
		answer = &reason_no_host;
	else
		answer = tunnel_admit(m) ? request_route(x, &host) : &reason_upgrade;
	if (answer != NULL)
		exchange_fail(x, answer);
	else
		filter_request(x);
}

static void on_down_body(void *user, struct slice s, uint32_t credit)
{
	struct exchange *x = user;
	enum err e;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	exchange_progress(x);
	x->request_bytes += s.len;
	if (x->chain != NULL && !x->to_up.dropped) {
		follow(x, WAY_IN, chain_body(x->chain, WAY_IN, s, credit));
		return;
	}
	e = body_push(&x->to_up, s, credit);
	if (e != OK)
		exchange_fail(x, reason_of(e, true));
}

static void on_down_end(void *user, struct http_message *trailers)
{
	struct exchange *x = user;
	enum err e;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	x->request_whole = true;
	exchange_progress(x);
	times_request(x);
	times_try(x);
	if (!x->to_up.dropped && request_trailers(x, trailers) != OK) {
		exchange_fail(x, &reason_underscore);
		return;
	}
	if (x->chain != NULL && !x->to_up.dropped) {
		follow(x, WAY_IN, chain_whole(x->chain, WAY_IN, trailers));
		return;
	}
	e = body_end(&x->to_up, trailers, http_stream_arena(x->down));
	if (e != OK)
		exchange_fail(x, reason_of(e, true));
}

static void on_down_sent(void *user, uint32_t bytes)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	exchange_progress(x);
	body_acked(&x->to_down, bytes);
}

/* The client has left, or its request broke the rules: then the layer below answers, if nobody has yet. */
static void blame_client(struct exchange *x, enum err why)
{
	const struct http_refusal answer = http_stream_refused(x->down);
	const bool refused = answer.status != 0;
	const struct reason *r = reason_of_client(why, false, refused);

	if (!refused && x->flags[0] != '\0')
		return;
	if (refused) {
		x->status = answer.status;
		x->to_down.bytes = answer.body_bytes;
	}
	exchange_flag(x, r->flags);
	x->details = reason_details(r, true);
}

static void on_down_closed(void *user, enum err why)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	if (why != OK)
		blame_client(x, why);
	x->to_up.from = NULL;
	exchange_finish(x, why == OK || http_stream_refused(x->down).status != 0);
	x->down = NULL;
	if (x->up != NULL && x->response_whole && x->to_up.end_sent) {
		/* Both of the upstream's messages are whole: on_up_closed() follows and the connection lives. */
		body_drop(&x->to_up);
		body_drop(&x->to_down);
		return;
	}
	exchange_drop_upstream(x);
	exchange_free(x);
}

/* ---- the response ---- */

/* The end of the response was sent: nothing is left but to wait for both streams. */
static void check_ending(struct exchange *x)
{
	if (x->to_down.end_sent && x->state == EXCHANGE_RESPONDING)
		exchange_set_state(x, EXCHANGE_ENDING);
}

static bool bodiless(const struct exchange *x, const struct http_message *m)
{
	if (m->tunnel)
		return false;
	return m->body == HTTP_BODY_NONE || (m->body == HTTP_BODY_LENGTH && m->content_length == 0) ||
	       x->method == HTTP_HEAD || m->status == 204 || m->status == 304;
}

static void forward_interim(struct exchange *x, struct http_message *m)
{
	/* Only a hint, the final response comes anyway: one that cannot be passed on is left out. */
	if (interim_prepare(x, m) != OK || http_send_head(x->down, m, false) != OK)
		return;
}

/* May free x. */
static void send_response(struct exchange *x, const struct http_message *m)
{
	const bool switches = m->tunnel;
	const uint16_t status = m->status; /* a tunnel forgets the head */
	enum err e = switches ? tunnel_begin(x, m) : http_send_head(x->down, m, x->to_down.end_sent);

	retry_over(x);
	if (e != OK) {
		exchange_fail(x, reason_of(e, true));
		return;
	}
	x->status = status;
	x->details = "via_upstream";
	exchange_set_state(x, switches ? EXCHANGE_TUNNEL : EXCHANGE_RESPONDING);
	x->to_down.to = x->down;
	e = body_flush(&x->to_down);
	if (e != OK)
		exchange_cut(x, e);
	else
		check_ending(x);
}

/* The response's head goes on through the filters; m: null when it has waited there. May free x. */
static void filter_response(struct exchange *x, struct http_message *m)
{
	enum chain_step step = CHAIN_GO;

	if (x->chain != NULL) {
		step = chain_head(x->chain, WAY_OUT, m);
		m = chain_response(x->chain);
	}
	if (step == CHAIN_WAIT && x->state == EXCHANGE_WAITING)
		exchange_set_state(x, EXCHANGE_HOLDING);
	if (step == CHAIN_GO) {
		x->to_down.end_sent = bodiless(x, m);
		if (x->chain != NULL)
			step = chain_drain(x->chain, WAY_OUT);
	}
	if (step == CHAIN_GO)
		send_response(x, m);
	else
		follow(x, WAY_OUT, step);
}

static void on_up_head(void *user, struct http_message *m)
{
	struct exchange *x = user;
	enum err e;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	CHECK(x->down != NULL && x->state == EXCHANGE_WAITING);
	exchange_progress(x);
	if (m->status < 200 && !m->tunnel) {
		forward_interim(x, m);
		return;
	}
	if (retry_status(x, m->status)) {
		try_again(x, retry_pause_ns(x));
		return;
	}
	if (x->exhausted)
		exchange_flag(x, "URX");
	x->upstream_us = (uint32_t)((x->proxy->shard->now_ns - x->sent_ns) / 1000);
	e = response_prepare(x, m);
	if (e != OK)
		exchange_fail(x, reason_of(e, true));
	else
		filter_response(x, m);
}

static void on_up_body(void *user, struct slice s, uint32_t credit)
{
	struct exchange *x = user;
	enum err e;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	exchange_progress(x);
	if (x->chain != NULL) {
		follow(x, WAY_OUT, chain_body(x->chain, WAY_OUT, s, credit));
		return;
	}
	e = body_push(&x->to_down, s, credit);
	if (e != OK)
		exchange_cut(x, e);
}

static void on_up_end(void *user, struct http_message *trailers)
{
	struct exchange *x = user;
	enum chain_step step = CHAIN_GO;
	enum err e = OK;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	exchange_progress(x);
	x->response_whole = true;
	times_end(x);
	if (x->down == NULL)
		return;
	if (x->chain != NULL)
		step = chain_whole(x->chain, WAY_OUT, trailers);
	else
		e = body_end(&x->to_down, trailers, http_stream_arena(x->down));
	/* An answer before the request was whole: nobody wants its rest. */
	if (!x->to_up.end_sent && !FAULT(early_reused))
		exchange_drop_upstream(x);
	if (e != OK)
		exchange_cut(x, e);
	else
		follow(x, WAY_OUT, step);
}

static void on_down_writable(void *user)
{
	struct exchange *x = user;
	enum err e;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	exchange_progress(x);
	e = body_flush(&x->to_down);
	if (e != OK)
		exchange_cut(x, e);
	else
		check_ending(x);
}

static void on_up_writable(void *user)
{
	struct exchange *x = user;
	enum err e;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	exchange_progress(x);
	e = body_flush(&x->to_up);
	if (e != OK)
		exchange_fail(x, reason_of(e, true));
}

static void on_up_sent(void *user, uint32_t bytes)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	exchange_progress(x);
	body_acked(&x->to_up, bytes);
}

static void on_up_closed(void *user, enum err why)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	if (x->down != NULL && retry_stale(x, why)) {
		x->up = NULL;
		x->to_down.from = NULL;
		try_release(x);
		body_rewind(&x->to_up);
		try_begin(x, true);
		return;
	}
	if (x->down != NULL && retry_broken(x, why)) {
		x->up = NULL;
		try_again(x, retry_pause_ns(x));
		return;
	}
	x->up = NULL;
	x->to_down.from = NULL;
	try_release(x);
	body_drop(&x->to_up);
	if (x->down == NULL)
		exchange_free(x);
	else if (!x->response_whole)
		exchange_fail(x, reason_of(why == OK ? ERR_UPSTREAM_CLOSED : why, true));
}

/* ---- filters ---- */

/* What the chain says is done. May free x. */
static void follow(struct exchange *x, enum way way, enum chain_step step)
{
	const bool begun = x->state == EXCHANGE_RESPONDING || x->state == EXCHANGE_ENDING;

	switch (step) {
	case CHAIN_GO:
	case CHAIN_WAIT:
		if (way == WAY_OUT)
			check_ending(x);
		break;
	case CHAIN_HEAD:
		if (way == WAY_IN)
			filter_request(x);
		else
			filter_response(x, NULL);
		break;
	case CHAIN_REPLY:
		count(x->proxy->shard->counters, C_filter_replies);
		if (begun)
			exchange_cut(x, ERR_CONN_ABORTED);
		else
			exchange_reply(x, chain_reply(x->chain), chain_reply(x->chain)->flags);
		break;
	case CHAIN_FAILED:
		exchange_fail(x, reason_of(chain_error(x->chain), true));
		break;
	}
}

static void on_resume(void *owner, handle_t handle, uint32_t turn, void *answer)
{
	struct proxy *p = owner;
	struct exchange *x = pool_find(&p->exchanges, handle);
	enum chain_step step;
	enum way way;

	if (x == NULL || x->chain == NULL || !chain_wake(x->chain, turn, answer, &way, &step)) {
		count(p->shard->counters, C_handles_dead);
		return;
	}
	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	exchange_progress(x);
	follow(x, way, step);
}

struct filter_ticket proxy_ticket(struct exchange *x)
{
	return (struct filter_ticket){
		.resume = on_resume, .owner = x->proxy, .exchange = pool_handle(&x->proxy->exchanges, x)};
}

static const struct http_stream_ops down_ops = {
	.on_head = on_down_head, .on_body = on_down_body, .on_end = on_down_end, .on_writable = on_down_writable,
	.on_sent = on_down_sent, .on_closed = on_down_closed,
};

const struct http_stream_ops exchange_up_ops = {
	.on_head = on_up_head, .on_body = on_up_body, .on_end = on_up_end, .on_writable = on_up_writable,
	.on_sent = on_up_sent, .on_closed = on_up_closed,
};

/* ---- the beginning ---- */

void proxy_on_stream(struct proxy *p, struct http_stream *s)
{
	const bool shed = p->shard->shed & SHED_REQUESTS;
	struct exchange *x = shed ? NULL : pool_get(&p->exchanges);

	if (x == NULL) {
		count(p->shard->counters, shed ? C_shed_requests : C_limit_exchanges);
		proxy_refuse(p, s);
		return;
	}
	x->magic = EXCHANGE_MAGIC;
	x->state = EXCHANGE_HEAD;
	x->method = HTTP_METHOD_OTHER;
	x->was_stale = x->exhausted = x->in_budget = x->request_whole = x->response_whole = false;
	x->retries = 0;
	x->retry = NULL;
	x->session = NULL;
	x->failed_endpoint = 0;
	x->request_bytes = 0;
	x->status = 0;
	x->proxy = p;
	x->down = s;
	x->up = NULL;
	x->lease = NULL;
	x->request = NULL;
	x->active_ns = x->start_ns = p->shard->now_ns;
	x->start_wall_us = p->shard->wall_us;
	x->cluster = 0;
	x->timer.prev = x->try_timer.prev = NULL;
	x->request_timeout_ms = x->backend_timeout_ms = 0;
	x->sent_ns = 0;
	x->upstream_us = UINT32_MAX;
	x->upstream_port = 0;
	x->upstream_local_port = 0;
	x->upstream = x->upstream_local = (struct addr){0};
	x->details = "";
	x->flags[0] = '\0';
	x->path = x->rule = x->request_id = x->forwarded_for = (struct text){0};
	x->chain = NULL;
	x->no_backend = NULL;
	x->client = *tcp_tuple(tls_tcp(http_stream_conn(s)));
	body_init(&x->to_up, p->shard, &p->blocks, s, NULL);
	body_init(&x->to_down, p->shard, &p->blocks, NULL, NULL);
	http_set_stream_user(s, &down_ops, x);
	times_sweep(p);
	count(p->shard->counters, C_exchanges_opened);
}
