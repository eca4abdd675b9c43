/*
 * How an exchange ends: in order, with a local reply, or cut. Which of them it is when something goes wrong hangs on
 * how much of the response the client has: nothing yet, and it is told the reason; a part, and all that is left is to
 * let it see that the rest is missing.
 */
#include <string.h>

#include "base/check.h"
#include "proxy/exchange.h"

/* Both streams are gone. */
void exchange_free(struct exchange *x)
{
	struct proxy *p = x->proxy;

	CHECK(x->down == NULL && x->up == NULL && x->lease == NULL);
	times_end(x);
	body_drop(&x->to_up);
	body_drop(&x->to_down);
	x->magic = 0;
	pool_put(&p->exchanges, x);
	count(p->shard->counters, C_exchanges_closed);
}

/* The request is not wanted any more: its connection cannot be used again. */
void exchange_drop_upstream(struct exchange *x)
{
	if (x->up != NULL)
		http_reset(x->up, ERR_CONN_ABORTED);
	x->up = NULL;
	x->to_down.from = NULL;
	try_release(x);
	if (x->chain != NULL)
		chain_drop(x->chain, WAY_IN);
	body_drop(&x->to_up);
}

/* The client's side is over: counts and logs. Texts of the request are still there. */
void exchange_finish(struct exchange *x, bool whole)
{
	struct counters *c = x->proxy->shard->counters;

	if (whole && x->status >= 100 && x->status <= 599)
		count(c, (enum counter)(C_exchanges_1xx + (x->status / 100 - 1)));
	else
		count(c, C_exchanges_cut);
	exchange_log(x);
	retry_over(x);
	if (x->chain != NULL)
		chain_end(x->chain);
	x->chain = NULL;
	x->request = NULL;
}

void exchange_cut(struct exchange *x, enum err why)
{
	exchange_drop_upstream(x);
	exchange_finish(x, false);
	http_reset(x->down, why);
	x->down = NULL;
	x->to_up.from = NULL;
	exchange_free(x);
}

/* ---- local replies ---- */

void exchange_reply(struct exchange *x, const struct filter_reply *r, const char *flags)
{
	enum err e;

	exchange_flag(x, flags);
	x->details = r->details != NULL ? r->details : "";
	if (x->exhausted)
		exchange_flag(x, "URX");
	retry_over(x);
	exchange_drop_upstream(x);
	if (x->chain != NULL)
		chain_drop(x->chain, WAY_OUT);
	body_drop(&x->to_down);
	exchange_progress(x);
	e = local_reply_send(x, r);
	if (e != OK)
		exchange_cut(x, e);
	else
		exchange_set_state(x, EXCHANGE_ENDING);
}

/* Tells the client the reason, or cuts it when a response is under way. May free x. */
static void fail(struct exchange *x, const struct reason *why)
{
	const struct filter_reply r = {
		.status = why->status, .body = {.at = why->body, .len = (uint32_t)strlen(why->body)},
		.location = why == &reason_normal_form ? x->path : (struct text){0},
		.details = why->details};

	if (x->state == EXCHANGE_RESPONDING || x->state == EXCHANGE_ENDING) {
		exchange_flag(x, why->flags);
		x->details = reason_details(why, true);
		exchange_cut(x, ERR_CONN_ABORTED);
	} else {
		exchange_reply(x, &r, why->flags);
	}
}

void exchange_fail(struct exchange *x, const struct reason *why)
{
	CHECK_MAGIC(x, EXCHANGE_MAGIC);
	if (x->state == EXCHANGE_TUNNEL)
		tunnel_cut(x, why->flags);
	else
		fail(x, why);
}
