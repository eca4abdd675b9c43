/*
 * Reassembly of fragments (RFC 791, 3.2; RFC 8200, 4.5), per worker: incomplete datagrams, and their limits.
 *
 * All fragments of a datagram come to the worker that (source, destination, identification, protocol) names; when the
 * datagram is whole it goes through ip4_input() or ip6_input() once more, marked `whole`, and from there to the owner
 * of its tuple.
 *
 * A datagram is found by its source: one chain of a hash table holds all those of an IPv4 address or an IPv6 /64, the
 * newest first, at most LIMIT_reassembly_source of each. So one walk finds the datagram, or counts what its source has
 * and sees the oldest of it. All datagrams are also in the order of their age: the oldest gives way when there are too
 * many of them or too many mbufs in them, and it is the one whose time is up first, so one timer is enough.
 */
#ifndef IP_REASSEMBLY_H
#define IP_REASSEMBLY_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/limits.h"
#include "base/wheel.h"

struct ip;

enum { REASSEMBLY_BUCKETS = 2048 };
_Static_assert(LIMIT_reassembly_datagrams < 65536, "indices are 16 bits");

/* What a fragment says of itself; its header has been checked. */
struct fragment {
	struct addr local, remote;
	uint32_t id;
	uint32_t protocol;       /* 0 over IPv6, where it is no part of the identity */
	uint32_t from, to;       /* its place in what was fragmented */
	uint16_t at;             /* where its bytes begin in the frame */
	uint16_t next_at;        /* IPv6: the field in the frame that named the fragment header */
	bool more;
	uint8_t ecn;
};

struct incomplete {              /* a datagram */
	struct addr local, remote;
	uint32_t id, protocol;
	uint64_t until_ns;
	struct rte_mbuf *first, *last; /* fragments by their place, chained in packet_meta */
	uint32_t bytes;          /* received so far */
	uint32_t total;          /* 0: the last fragment has not come */
	uint16_t next;           /* in its bucket */
	uint16_t newer, older;
	uint16_t next_at;        /* of the first fragment */
	uint16_t mbufs;
	uint16_t fragments;
	uint16_t refused;        /* enum counter: it was given up, and so is what still comes of it; 0: it was not */
	uint8_t ecns;            /* 1 << codepoint of each that was seen */
	uint8_t ecn;             /* of the first fragment */
};

struct reassembly {
	struct ip *ip;
	uint64_t key;            /* of the hash */
	uint32_t n;
	uint32_t mbufs;
	uint16_t made;           /* 1..made have been in use: those behind are untouched memory */
	uint16_t free;           /* chained by next */
	uint16_t newest, oldest;
	struct timer timer;      /* of the oldest */
	uint16_t bucket[REASSEMBLY_BUCKETS];
	struct incomplete datagram[LIMIT_reassembly_datagrams + 1]; /* 0 is none */
};

void reassembly_init(struct ip *ip);
void reassembly_fini(struct ip *ip);

/* Takes a fragment whose datagram is for us. */
void reassembly_take(struct ip *ip, struct rte_mbuf *m, const struct fragment *f);

#endif
