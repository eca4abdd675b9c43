/*
 * Addresses as text, and whose flow it is.
 *
 * The Toeplitz hash XORs, for every set bit i of the input, the 32 key bits that start at bit i. With the key 0x6d5a
 * repeated, the windows have period 16: the hash is a 16-bit value twice, it depends only on the XOR of the input's
 * 16-bit words (so exchanging the two ends changes nothing), and it is the product of that word with the key in
 * GF(2)[x] / (x^16 + 1). The key has nine set bits, so the product is nine rotations. The unit test compares it with
 * DPDK's bit by bit implementation.
 */
#include "base/addr.h"

#include <arpa/inet.h>

#include "base/check.h"

const char *addr_print(const struct addr *a, char text[static ADDR_TEXT_MAX])
{
	const char *printed = addr_is_v4(a) ? inet_ntop(AF_INET, &a->w[3], text, ADDR_TEXT_MAX)
	                                    : inet_ntop(AF_INET6, a->b, text, ADDR_TEXT_MAX);

	CHECK(printed != NULL);
	return printed;
}

enum err addr_parse(const char *text, struct addr *out)
{
	uint32_t v4;
	struct addr a;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*out = addr_v4(v4);
		return OK;
	}
	/* An IPv4 address in IPv6 clothes would be a second spelling of the same address: refused. */
	if (inet_pton(AF_INET6, text, a.b) != 1 || addr_is_v4(&a))
		return ERR_INVALID;
	*out = a;
	return OK;
}

bool addr_is_unicast(const struct addr *a)
{
	const uint8_t top = a->b[12];

	if (addr_is_v4(a))
		return top != 0 && top != 127 && top < 224;
	/* ::/96 holds the unspecified address, loopback, and a form that is no longer used (RFC 4291, 2.5.5.1). */
	return a->b[0] != 0xff && (a->q[0] != 0 || a->w[2] != 0);
}

bool addr_is_link_local(const struct addr *a)
{
	return addr_is_v4(a) ? a->b[12] == 169 && a->b[13] == 254 : a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

static uint16_t rotate(uint16_t x, unsigned n)
{
	return (uint16_t)(x >> n | x << (16 - n));
}

static uint16_t reverse(uint16_t x)
{
	x = (uint16_t)((x & 0x5555) << 1 | (x >> 1 & 0x5555));
	x = (uint16_t)((x & 0x3333) << 2 | (x >> 2 & 0x3333));
	x = (uint16_t)((x & 0x0f0f) << 4 | (x >> 4 & 0x0f0f));
	return __builtin_bswap16(x);
}

static uint16_t fold(const struct tuple *t)
{
	uint32_t x = t->local.w[3] ^ t->remote.w[3];

	if (!addr_is_v4(&t->local))
		x ^= t->local.w[0] ^ t->local.w[1] ^ t->local.w[2] ^ t->remote.w[0] ^ t->remote.w[1] ^ t->remote.w[2];
	return (uint16_t)(__builtin_bswap16((uint16_t)(x ^ x >> 16)) ^ t->local_port ^ t->remote_port);
}

uint32_t tuple_hash(const struct tuple *t)
{
	uint16_t x = fold(t), h;

	/* The set bits of 0x6d5a. */
	h = (uint16_t)(rotate(x, 1) ^ rotate(x, 3) ^ rotate(x, 4) ^ rotate(x, 6) ^ rotate(x, 8) ^ rotate(x, 10) ^
	               rotate(x, 11) ^ rotate(x, 13) ^ rotate(x, 14));
	return reverse(h) * UINT32_C(0x10001);
}

uint16_t tuple_owner(const struct tuple *t, uint16_t workers)
{
	/* What a NIC does. */
	return (uint16_t)(tuple_hash(t) % TUPLE_BUCKETS % workers);
}
