/*
 * One try of an exchange at an upstream: a lease, then the request's head and what is there of its body. What becomes
 * of it is exchange.c's; whether a failed one is followed by another, and when, retry.c says.
 */
#include "base/check.h"
#include "proxy/exchange.h"

void try_release(struct exchange *x)
{
	if (x->lease != NULL)
		upstream_release(x->lease);
	x->lease = NULL;
}

void try_again(struct exchange *x, uint64_t pause_ns)
{
	times_end_try(x);
	if (x->up != NULL)
		http_reset(x->up, ERR_CONN_ABORTED);
	x->up = NULL;
	x->to_down.from = NULL;
	try_release(x);
	body_rewind(&x->to_up);
	exchange_set_state(x, EXCHANGE_PAUSING);
	times_pause(x, pause_ns);
}

/* The upstream's stream is there. May free x. */
static void send_request(struct exchange *x, struct http_stream *up)
{
	const bool no_body = x->request->body == HTTP_BODY_NONE;
	const struct tuple *tuple = lease_tuple(x->lease);
	enum err e;

	x->up = up;
	x->upstream = tuple->remote;
	x->upstream_port = tuple->remote_port;
	x->upstream_local = tuple->local;
	x->upstream_local_port = tuple->local_port;
	x->sent_ns = x->proxy->shard->now_ns;
	times_try(x);
	x->to_down.from = up;
	exchange_set_state(x, EXCHANGE_WAITING);
	e = http_send_head(up, x->request, no_body);
	if (e == OK) {
		x->to_up.to = up;
		x->to_up.end_sent = no_body;
		e = body_flush(&x->to_up);
	}
	if (e != OK)
		exchange_fail(x, reason_of(e, true));
}

static void on_ready(void *user, struct lease *l, struct http_stream *stream)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	CHECK(x->lease == l);
	exchange_progress(x);
	send_request(x, stream);
}

static void on_failed(void *user, struct lease *l, enum err why)
{
	struct exchange *x = user;

	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	CHECK(x->lease == l);
	x->lease = NULL;
	if (retry_connect(x, why, lease_endpoint(l)))
		try_again(x, retry_pause_ns(x));
	else
		exchange_fail(x, reason_of(why, false));
}

static const struct lease_ops lease_ops = {.on_ready = on_ready, .on_failed = on_failed};

void try_begin(struct exchange *x, bool fresh)
{
	const struct lease_wish wish = {
		.cluster = x->cluster, .skip_endpoint = x->failed_endpoint, .fresh = fresh,
		.endpoint = x->session != NULL ? x->session->endpoint : 0};
	enum err e;

	exchange_set_state(x, EXCHANGE_LEASING);
	e = upstream_lease(x->proxy->upstream, &wish, &lease_ops, &exchange_up_ops, x, &x->lease);
	if (e != OK)
		exchange_fail(x, reason_of(e, false));
	/* OK: on_ready() may have come from within, so x may be gone. */
}

void try_next(struct exchange *x)
{
	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	try_begin(x, false);
}

void try_timed_out(struct exchange *x)
{
	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	if (retry_timeout(x))
		try_again(x, retry_pause_ns(x));
	else
		exchange_fail(x, &reason_timeout);
}
