/* A rate limit without a timer: one instant, the time at which the bucket would be full again (GCRA). */
#ifndef IP_RATE_H
#define IP_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
	uint64_t full_ns;
};

/* Whether one of `per_s` a second, of which up to `burst` may come at once, is free. */
static inline bool rate_ready(const struct rate *r, uint64_t now_ns, uint32_t per_s, uint32_t burst)
{
	return r->full_ns <= now_ns + UINT64_C(1000000000) / per_s * (burst - 1);
}

/* Takes one if it is free. */
static inline bool rate_allow(struct rate *r, uint64_t now_ns, uint32_t per_s, uint32_t burst)
{
	if (!rate_ready(r, now_ns, per_s, burst))
		return false;
	r->full_ns = (r->full_ns > now_ns ? r->full_ns : now_ns) + UINT64_C(1000000000) / per_s;
	return true;
}

#endif
