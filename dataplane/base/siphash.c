/* SipHash-2-4 as its authors describe it (Aumasson, Bernstein 2012); the test compares it with their vectors. */
#include "base/siphash.h"

#include <string.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline void round_of(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void absorb(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	round_of(s);
	round_of(s);
	s->v0 ^= word;
}

uint64_t siphash(const uint8_t key[static 16], const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	uint64_t k[2], word, last = (uint64_t)n << 56;
	struct sip s;

	memcpy(k, key, sizeof(k));
	s = (struct sip){
		.v0 = k[0] ^ UINT64_C(0x736f6d6570736575),
		.v1 = k[1] ^ UINT64_C(0x646f72616e646f6d),
		.v2 = k[0] ^ UINT64_C(0x6c7967656e657261),
		.v3 = k[1] ^ UINT64_C(0x7465646279746573),
	};
	for (; n >= 8; n -= 8, at += 8) {
		memcpy(&word, at, 8);
		absorb(&s, word);
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)at[i] << (8 * i);
	absorb(&s, last);
	s.v2 ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		round_of(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
