/*
 * Path MTUs that were learned (RFC 1191, RFC 8201): destination > the largest datagram that gets there, of one worker.
 *
 * Who learns decides what is to be believed: TCP checks that an ICMP error is about something in flight, and finds
 * black holes by itself. Each entry is forgotten ten minutes after it was written (RFC 8201, 5.3), and the paths find
 * out anew what they carry.
 */
#ifndef IP_PMTU_H
#define IP_PMTU_H

#include <stdint.h>

#include "base/addr.h"
#include "base/limits.h"
#include "base/wheel.h"

struct ip;

enum { PMTU_BUCKETS = LIMIT_path_mtus };
_Static_assert((PMTU_BUCKETS & (PMTU_BUCKETS - 1)) == 0 && LIMIT_path_mtus < UINT16_MAX, "found by masking, 16 bits");

struct pmtu {
	struct addr to;
	uint64_t until_ns;       /* 0: free */
	uint16_t mtu;
	uint16_t next;           /* in its bucket: index + 1 */
};

struct pmtus {
	struct timer sweep;
	uint32_t n;
	uint16_t bucket[PMTU_BUCKETS]; /* index + 1 */
	struct pmtu entry[LIMIT_path_mtus];
};

/* 0: nothing is known. */
uint16_t pmtu_find(const struct ip *ip, const struct addr *to);
void pmtu_learn(struct ip *ip, const struct addr *to, uint16_t mtu);
void pmtu_fini(struct ip *ip);

#endif
