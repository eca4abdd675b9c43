/* One worker's proxy: what all of its exchanges share, from boot to the end. Exchanges begin in exchange.c. */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/pressure.h"
#include "proxy/exchange.h"

struct proxy *proxy_new(struct shard *s, struct upstream *u)
{
	struct proxy *p = calloc(1, sizeof(*p));

	CHECK(p != NULL);
	p->shard = s;
	p->upstream = u;
	p->callouts = callouts_new(s, u);
	p->callouts_of_filters = callouts_for_filters(p->callouts);
	p->date_s = UINT64_MAX;
	p->draws = (uint32_t)rng_u64(&s->rng);
	pool_init(&p->exchanges, "exchanges", sizeof(struct exchange), LIMIT_exchanges);
	pool_init(&p->blocks, "body blocks", sizeof(struct body_block), LIMIT_body_blocks);
	pool_count_empty(&p->blocks, s->counters, C_limit_body_blocks);
	return p;
}

void proxy_watch(const struct proxy *p, struct pressure *to)
{
	pressure_watch(to, &p->exchanges);
	pressure_watch(to, &p->blocks);
}

void proxy_free(struct proxy *p)
{
	uint32_t at = 0;
	struct exchange *x;

	if (p == NULL)
		return;
	/* Timers of exchanges that are still alive must not fire into freed memory. */
	while ((x = pool_next(&p->exchanges, &at)) != NULL)
		times_end(x);
	timer_cancel(&p->shard->wheel, &p->sweep);
	callouts_free(p->callouts);
	pool_fini(&p->exchanges);
	pool_fini(&p->blocks);
	free(p);
}

void proxy_on_bad_request(struct proxy *p, struct tls_conn *c, enum err why, struct http_refusal answer)
{
	refused_log(p, c, NULL, answer, reason_of_client(why, true, true));
}

uint32_t proxy_exchanges(const struct proxy *p)
{
	return pool_used(&p->exchanges);
}

uint32_t proxy_callouts(const struct proxy *p)
{
	return callouts_alive(p->callouts);
}
