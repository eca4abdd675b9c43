/*
 * Addresses and tuples. An IPv4 address is held as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), so every table has one
 * key shape; comparing is two 64-bit words.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct addr {
	union {
		uint8_t b[16];
		uint32_t w[4];  /* network order */
		uint64_t q[2];
	};
};

/* One flow as we see it: local is ours. Ports are in host order. */
struct tuple {
	struct addr local;
	struct addr remote;
	uint16_t local_port;
	uint16_t remote_port;
	uint32_t protocol;      /* IPPROTO_TCP or IPPROTO_UDP */
};

static inline bool addr_is_v4(const struct addr *a)
{
	return a->q[0] == 0 && a->w[2] == __builtin_bswap32(0x0000ffff);
}

static inline struct addr addr_v4(uint32_t network_order)
{
	struct addr a = {.w = {0, 0, __builtin_bswap32(0x0000ffff), network_order}};
	return a;
}

static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

static inline bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
	return addr_equal(&a->local, &b->local) && addr_equal(&a->remote, &b->remote) &&
	       a->local_port == b->local_port && a->remote_port == b->remote_port && a->protocol == b->protocol;
}

enum { ADDR_TEXT_MAX = 46 };
const char *addr_print(const struct addr *a, char text[static ADDR_TEXT_MAX]); /* returns text */
enum err addr_parse(const char *text, struct addr *out) MUST_CHECK;            /* strict; no zone, no port */
/* One that a host on a network can have: not unspecified, "this network", loopback, multicast, reserved, broadcast. */
bool addr_is_unicast(const struct addr *a);
bool addr_is_link_local(const struct addr *a);

/*
 * Whose packet is it: the symmetric Toeplitz hash (key 0x6d5a repeated) over addresses and ports, the same from
 * both directions, and the same that a NIC computes with our key over the IPv4 or IPv6 form of the tuple.
 *
 * The low bits of the hash index a table of TUPLE_BUCKETS places, which hold the workers in turn.
 */
enum { TUPLE_BUCKETS = 128 };
uint32_t tuple_hash(const struct tuple *t);
uint16_t tuple_owner(const struct tuple *t, uint16_t workers);

#endif
