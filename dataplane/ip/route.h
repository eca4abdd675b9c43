/*
 * Routes of one worker, made anew from each generation: connected prefixes of our addresses, then the static ones.
 *
 * Longest prefix match by one hash lookup per prefix length in use, longest first. Lookups happen when a path is
 * made, not per packet.
 */
#ifndef IP_ROUTE_H
#define IP_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/limits.h"

struct ip;

enum { ROUTE_SLOTS = 2 * LIMIT_ip_routes, SOURCES_LEFT = 16 };
_Static_assert((ROUTE_SLOTS & (ROUTE_SLOTS - 1)) == 0, "slots are found by masking");

struct route {
	struct addr prefix;
	struct addr gateway;     /* all zero: connected */
	uint16_t mtu;            /* 0: the interface's */
	uint8_t bits;            /* of the IPv6 form */
	uint8_t iface;
	bool connected;
};

struct source {              /* an address of ours to speak from */
	struct addr addr;
	uint8_t bits;
	uint8_t iface;
	bool own;                /* not virtual */
};

struct routes {
	uint32_t n;
	uint32_t sources_n;
	uint8_t lengths_n;
	uint8_t length[129];     /* in use, longest first */
	struct route route[LIMIT_ip_routes];
	uint16_t slot[ROUTE_SLOTS];  /* index + 1 */
	struct source source[LIMIT_addresses];
	uint32_t left_n;
	struct source left[SOURCES_LEFT]; /* the machine's own that the last generations had, while they drain */
};

struct addr addr_masked(const struct addr *a, unsigned bits);
bool addr_in(const struct addr *a, const struct addr *prefix, unsigned bits);

void route_apply(struct ip *ip);

/* The best route, or null. */
const struct route *ip_route_find(const struct ip *ip, const struct addr *to);

/* Whether a neighbour with this address may live on the interface. */
bool route_on_link(const struct ip *ip, uint8_t iface, const struct addr *a);

/* An address to ask or speak from on an interface: one whose prefix holds `to` before any other, own before
 * virtual when `own_only` is false. One that left the tables only while none of these has been probed, so that a box
 * whose addresses change goes on speaking. Null: none of the family that we may use yet. */
const struct addr *route_source(const struct ip *ip, uint8_t iface, const struct addr *to, bool own_only);

#endif
