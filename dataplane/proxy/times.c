/*
 * How long an exchange may take.
 *
 *   request         from the end of the request to the end of the response, all tries included, as in Envoy
 *   backendRequest  one try, from when its request was sent and is whole; armed anew for each
 *   pause           between two tries; never at the same time as a try
 *   idle            no progress at all for stream_idle_s seconds: found by a sweep that looks at some exchanges per
 *                   tick, so that an exchange that works pays for no timer
 */
#include "base/limits.h"
#include "proxy/exchange.h"

enum { SWEEP_EXCHANGES = 256 };
#define SWEEP_EVERY_NS (100 * NS_PER_MS)

static void on_request_timeout(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	exchange_fail(container_of(t, struct exchange, timer), &reason_timeout);
}

static void on_try_timeout(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	try_timed_out(container_of(t, struct exchange, try_timer));
}

static void on_pause_over(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	try_next(container_of(t, struct exchange, try_timer));
}

static void arm(struct exchange *x, struct timer *t, uint64_t in_ns, void (*fire)(struct timer *, uint64_t))
{
	struct shard *s = x->proxy->shard;

	timer_arm(&s->wheel, t, s->now_ns + in_ns, fire);
}

void times_request(struct exchange *x)
{
	if (x->request_timeout_ms != 0 && x->state != EXCHANGE_ENDING && !x->response_whole)
		arm(x, &x->timer, x->request_timeout_ms * NS_PER_MS, on_request_timeout);
}

void times_try(struct exchange *x)
{
	if (x->backend_timeout_ms != 0 && x->up != NULL && x->request_whole && !x->response_whole)
		arm(x, &x->try_timer, x->backend_timeout_ms * NS_PER_MS, on_try_timeout);
}

void times_pause(struct exchange *x, uint64_t ns)
{
	arm(x, &x->try_timer, ns, on_pause_over);
}

void times_end_try(struct exchange *x)
{
	timer_cancel(&x->proxy->shard->wheel, &x->try_timer);
}

void times_end(struct exchange *x)
{
	timer_cancel(&x->proxy->shard->wheel, &x->timer);
	times_end_try(x);
}

/* ---- idle ---- */

/* A rule that gives the response longer than that means it: then its timeout ends the exchange. */
static uint64_t idle_max_ns(const struct exchange *x)
{
	const uint64_t limit = LIMIT_stream_idle_s * NS_PER_S;
	const uint32_t a = x->request_timeout_ms, b = x->backend_timeout_ms;
	const uint64_t timeout = (a > b ? a : b) * NS_PER_MS;

	return x->request_whole && timeout > limit ? timeout : limit;
}

static void sweep(struct timer *t, uint64_t now_ns)
{
	struct proxy *p = container_of(t, struct proxy, sweep);

	for (unsigned i = 0; i < SWEEP_EXCHANGES; i++) {
		struct exchange *x = pool_next(&p->exchanges, &p->sweep_at);

		if (x == NULL) {
			p->sweep_at = 0;
			break;
		}
		/* Without a client only the upstream's last word is missing: that comes in the same round. */
		if ((x->down == NULL && x->state != EXCHANGE_TUNNEL) || x->state == EXCHANGE_PAUSING)
			continue;
		if (now_ns - x->active_ns > idle_max_ns(x)) {
			count(p->shard->counters, C_limit_stream_idle_s);
			exchange_fail(x, x->request_whole ? &reason_idle_whole : &reason_idle_request);
		}
	}
	/* A worker without exchanges has nothing to wake up for. */
	if (pool_used(&p->exchanges) > 0)
		timer_arm(&p->shard->wheel, &p->sweep, now_ns + SWEEP_EVERY_NS, sweep);
}

void times_sweep(struct proxy *p)
{
	if (!timer_armed(&p->sweep))
		timer_arm(&p->shard->wheel, &p->sweep, p->shard->now_ns + SWEEP_EVERY_NS, sweep);
}
