#include "tests/sim/hop.h"

#include <string.h>

enum { ETH = 14, IP4 = 20, IP6 = 40, QUOTE = 48, MTU_MAX = 1500, MTU_MIN_V6 = 1280 };

static uint32_t be16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint32_t x)
{
	at[0] = (uint8_t)(x >> 8);
	at[1] = (uint8_t)x;
}

static uint32_t sum(uint32_t s, const uint8_t *at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 2)
		s += (uint32_t)at[i] << 8 | (i + 1 < n ? at[i + 1] : 0u);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static bool is_tcp(const uint8_t *frame, uint32_t n)
{
	if (n < ETH + IP6 + 20)
		return false;
	return be16(frame + 12) == 0x0800 ? frame[ETH] == 0x45 && frame[ETH + 9] == 6
	                                  : be16(frame + 12) == 0x86dd && frame[ETH + 6] == 6;
}

/* IPv6 has no links that carry less than 1280 (RFC 8200, 5). */
static uint32_t carries(const struct hop *h, const uint8_t *frame)
{
	return be16(frame + 12) == 0x86dd && h->mtu < MTU_MIN_V6 ? MTU_MIN_V6 : h->mtu;
}

bool hop_refuses(struct hop *h, const struct hop_faults *f, struct rng *r, uint64_t now_ns, const uint8_t *frame, uint32_t n)
{
	if (f->mtu_min == 0 || !is_tcp(frame, n))
		return false;
	if (now_ns >= h->change_ns) {
		h->mtu = rng_below(r, 3) ? f->mtu_min + rng_below(r, MTU_MAX + 1u - f->mtu_min) : MTU_MAX;
		h->change_ns = now_ns + 1 + rng_u64(r) % (2 * f->change_every_ns);
	}
	if (n - ETH <= carries(h, frame))
		return false;
	h->dropped++;
	return true;
}

/* Type, code and MTU of an error about the frame's datagram, of which `quote` is the beginning. */
static uint32_t make(const uint8_t *frame, const uint8_t quote[QUOTE], uint32_t mtu, uint8_t *e)
{
	const bool v4 = be16(frame + 12) == 0x0800;
	const uint32_t bytes = 8 + (v4 ? IP4 + 8 : QUOTE);
	uint8_t *ip = e + ETH, *icmp = ip + (v4 ? IP4 : IP6);

	memset(e, 0, HOP_ERROR_MAX);
	memcpy(e, frame + 6, 6);
	memcpy(e + 6, frame, 6);
	memcpy(e + 12, frame + 12, 2);
	icmp[0] = v4 ? 3 : 2;
	icmp[1] = v4 ? 4 : 0;
	put16(icmp + 4, mtu >> 16);
	put16(icmp + 6, mtu & 0xffff);
	memcpy(icmp + 8, quote, bytes - 8);
	if (v4) {
		ip[0] = 0x45;
		put16(ip + 2, IP4 + bytes);
		ip[8] = 64;
		ip[9] = 1;
		memcpy(ip + 12, frame + ETH + 16, 4); /* in the name of whom it was for */
		memcpy(ip + 16, frame + ETH + 12, 4);
		put16(ip + 10, ~sum(0, ip, IP4) & 0xffff);
		put16(icmp + 2, ~sum(0, icmp, bytes) & 0xffff);
		return ETH + IP4 + bytes;
	}
	ip[0] = 0x60;
	put16(ip + 4, bytes);
	ip[6] = 58;
	ip[7] = 64;
	memcpy(ip + 8, frame + ETH + 24, 16);
	memcpy(ip + 24, frame + ETH + 8, 16);
	put16(icmp + 2, ~sum(sum(bytes + 58, ip + 8, 32), icmp, bytes) & 0xffff);
	return ETH + IP6 + bytes;
}

uint32_t hop_answer(struct hop *h, const struct hop_faults *f, const uint8_t *frame, uint32_t n, uint8_t *error)
{
	(void)n;
	if (f->silent)
		return 0;
	h->told++;
	return make(frame, frame + ETH, carries(h, frame), error);
}

/* Of what is not in flight, of too small an MTU, of too large a one: none of them may be believed. */
uint32_t hop_lie(struct hop *h, const struct hop_faults *f, struct rng *r, const uint8_t *frame, uint32_t n, uint8_t *error)
{
	uint8_t quote[QUOTE];
	uint32_t mtu = 552 + rng_below(r, 900);

	if (f->lies == 0 || !is_tcp(frame, n) || rng_below(r, 10000) >= f->lies)
		return 0;
	h->lied++;
	memcpy(quote, frame + ETH, sizeof(quote));
	switch (rng_below(r, 3)) {
	case 0:
		quote[frame[ETH] >> 4 == 4 ? IP4 + 4 : IP6 + 4] ^= (uint8_t)(0x40 + rng_below(r, 64));
		break;
	case 1:
		mtu = frame[ETH] >> 4 == 4 ? 1 + rng_below(r, 551) : rng_below(r, 1280);
		break;
	default:
		mtu = n - ETH + rng_below(r, 70000);
	}
	return make(frame, quote, mtu, error);
}
