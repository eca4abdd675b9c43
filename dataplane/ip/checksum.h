/*
 * The Internet checksum (RFC 1071) over bytes, mbuf chains and transport segments.
 *
 * Partial sums are 64-bit one's complement sums of 32-bit words in memory order; checksum_fold() makes the 16 bits
 * that go into a header (not inverted). The order of bytes in memory is kept throughout, so no swapping is needed.
 *
 * An address is summed in its IPv6 form: the prefix of a mapped IPv4 address (::ffff) adds 0xffff, which is zero in
 * one's complement. So one formula makes the pseudo header of both families.
 */
#ifndef IP_CHECKSUM_H
#define IP_CHECKSUM_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"

struct ip_datagram;

uint64_t checksum_add(uint64_t sum, const void *bytes, size_t n);

/* n bytes of the chain m from offset `at` on; the chain must have them. */
uint64_t checksum_add_mbuf(uint64_t sum, const struct rte_mbuf *m, uint32_t at, uint32_t n);

static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* An IPv4 header of that many bytes: nearly always 20, for which there are no loops and calls. */
static inline uint64_t checksum_ip4_header(const void *header, uint32_t bytes)
{
	enum { PLAIN = 20 };
	uint32_t w[PLAIN / 4];
	uint64_t sum = 0;

	if (__builtin_expect(bytes != PLAIN, 0))
		return checksum_add(0, header, bytes);
	memcpy(w, header, sizeof(w));
	for (unsigned i = 0; i < PLAIN / 4; i++)
		sum += w[i];
	return sum;
}

/* The pseudo header (RFC 9293, 3.1; RFC 8200, 8.1) of a segment of `bytes` between the two ends. */
static inline uint64_t checksum_pseudo(const struct tuple *t, uint32_t bytes)
{
	uint64_t sum = __builtin_bswap32(bytes) + (uint64_t)__builtin_bswap32(t->protocol);

	for (unsigned i = 0; i < 4; i++)
		sum += (uint64_t)t->local.w[i] + t->remote.w[i];
	return sum;
}

/* Whether the transport checksum of a received TCP, UDP or ICMPv6 datagram is right (d->checksum_ok not looked at). */
bool checksum_datagram_ok(const struct ip_datagram *d);

#endif
