#include "tests/sim/pieces.h"

#include <string.h>

#include "tests/sim/link.h"

enum { ETH = 14, IP4 = 20, IP6 = 40, TCP = 6, FRAGMENT = 44, FRAGMENT_BYTES = 8, MORE4 = 0x2000 };
/* The first one holds all of TCP's header, and no later one begins within it (RFC 7112, RFC 1858). */
enum { LEAST = 64, MOST = LEAST + 8 * 120 };

static bool chance(struct rng *r, uint32_t per_10000)
{
	return per_10000 && rng_below(r, 10000) < per_10000;
}

static void set16(uint8_t *at, uint32_t x)
{
	at[0] = (uint8_t)(x >> 8);
	at[1] = (uint8_t)x;
}

static void seal4(uint8_t *ip)
{
	uint32_t sum = 0;

	set16(ip + 10, 0);
	for (unsigned i = 0; i < IP4; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	set16(ip + 10, ~(sum + (sum >> 16)) & 0xffff);
}

/* Bytes [from, to) of what is behind the fixed header. */
static uint32_t piece4(uint8_t *out, const uint8_t *whole, uint32_t from, uint32_t to, bool more, uint32_t id)
{
	uint8_t *ip = out + ETH;

	memcpy(out, whole, ETH + IP4);
	memcpy(ip + IP4, whole + ETH + IP4 + from, to - from);
	set16(ip + 2, IP4 + to - from);
	set16(ip + 4, id & 0xffff);
	set16(ip + 6, from / 8 | (more ? MORE4 : 0u));
	seal4(ip);
	return ETH + IP4 + to - from;
}

static uint32_t piece6(uint8_t *out, const uint8_t *whole, uint32_t from, uint32_t to, bool more, uint32_t id)
{
	uint8_t *ip = out + ETH, *header = ip + IP6;

	memcpy(out, whole, ETH + IP6);
	memcpy(header + FRAGMENT_BYTES, whole + ETH + IP6 + from, to - from);
	set16(ip + 4, FRAGMENT_BYTES + to - from);
	header[0] = ip[6];
	header[1] = 0;
	set16(header + 2, from | more);
	memcpy(header + 4, &id, sizeof(id));
	ip[6] = FRAGMENT;
	return ETH + IP6 + FRAGMENT_BYTES + to - from;
}

bool pieces_cut(const struct pieces_faults *f, struct rng *r, uint32_t id, const uint8_t *whole, uint32_t n,
                void (*frame)(void *arg, uint8_t *bytes, uint32_t n), void *arg)
{
	const bool v4 = whole[12] == 0x08 && whole[13] == 0x00, v6 = whole[12] == 0x86 && whole[13] == 0xdd;
	const uint32_t header = ETH + (v4 ? IP4 : IP6);
	uint8_t out[LINK_FRAME];

	if (!chance(r, f->fragment) || !(v4 || v6) || n < header + 2 * LEAST || whole[v4 ? ETH + 9 : ETH + 6] != TCP)
		return false;
	for (uint32_t from = 0, to; from < n - header; from = to) {
		const uint32_t again = from > 0 && chance(r, f->overlap) ? 8 : 0;

		to = from + LEAST + 8 * rng_below(r, (MOST - LEAST) / 8);
		if (to + 8 > n - header)
			to = n - header;
		frame(arg, out, (v4 ? piece4 : piece6)(out, whole, from - again, to, to < n - header, id));
	}
	return true;
}
