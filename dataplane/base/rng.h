/*
 * The seeded generator that a shard is given (xoshiro256**). Not for secrets: initial sequence numbers, keys and
 * the like are keyed hashes over secrets that the worker is given at start.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed); /* splitmix64 fills the state */

static inline uint64_t rng_u64(struct rng *r)
{
	const uint64_t s1 = r->s[1], result = ((s1 * 5) << 7 | (s1 * 5) >> 57) * 9;

	r->s[2] ^= r->s[0];
	r->s[3] ^= s1;
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= s1 << 17;
	r->s[3] = r->s[3] << 45 | r->s[3] >> 19;
	return result;
}

/* A number below n (n > 0), by multiplication: the bias is at most n / 2^32. */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(((rng_u64(r) >> 32) * n) >> 32);
}

#endif
