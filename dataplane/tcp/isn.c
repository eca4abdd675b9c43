#include "tcp/isn.h"

#include "base/siphash.h"

enum { CLOCK_SHIFT = 12 }; /* 4096 ns */

static uint64_t keyed(const struct shard *s, const struct tuple *t, unsigned half)
{
	struct {
		struct addr local, remote;
		uint16_t local_port, remote_port;
		uint32_t use;
	} input = {t->local, t->remote, t->local_port, t->remote_port, half};

	static_assert(sizeof(input) == 40, "no padding is hashed");
	return siphash(s->secret + 16 * half, &input, sizeof(input));
}

uint32_t isn_make(const struct shard *s, const struct tuple *t)
{
	const uint32_t k = (uint32_t)keyed(s, t, 0);

	return s->isn_top ? s->isn_top - (k & 0xffff) : (uint32_t)(s->now_ns >> CLOCK_SHIFT) + k;
}

uint32_t isn_ts_offset(const struct shard *s, const struct tuple *t)
{
	return (uint32_t)keyed(s, t, 1);
}
