/*
 * Neighbours: the link-layer addresses of next hops, in the link that all workers share.
 *
 * Only the link owner writes. What a sender needs is one atomic word per entry: the MAC address and, above it, the
 * generation of the entry, which changes when the entry goes to another neighbour. A cached (index, generation)
 * is therefore checked and used by one load. The identity (interface, address) that a lookup compares is under the
 * entry's seqlock; a reader that meets the writer treats the entry as not found, which costs a hand-over to the
 * link owner, never a wrong address.
 *
 * Readers tell the owner that an entry is in use by a byte that they set when it is not set; the owner gathers
 * these once a second (for the order of eviction, and to verify stale entries that are used).
 */
#ifndef IP_NEIGH_H
#define IP_NEIGH_H

#include <rte_ether.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/limits.h"
#include "base/wheel.h"
#include "ip/ip.h"
#include "ip/rate.h"
#include "ip/vlan.h"

enum { NEIGH_BUCKETS = 8192 };
_Static_assert(LIMIT_neighbours < 65536, "indices are 16 bits");
_Static_assert(LIMIT_neighbour_queue < 256, "places are 8 bits");

enum neigh_state {
	NEIGH_NONE,
	NEIGH_INCOMPLETE,
	NEIGH_REACHABLE,
	NEIGH_STALE,
	NEIGH_DELAY,
	NEIGH_PROBE,
	NEIGH_FAILED,
	NEIGH_STATES
};

struct neigh {               /* published: one cache line */
	uint64_t hot;            /* MAC address in memory order, 0 while not usable; generation << 48 */
	uint32_t seq;            /* odd while the identity is being written */
	uint8_t state;           /* enum neigh_state */
	uint8_t iface;
	uint16_t next;           /* in its bucket */
	struct addr addr;
	uint64_t confirmed_ns;
	uint8_t gateway;         /* named by a route: never evicted */
	uint8_t spare[23];
};
_Static_assert(sizeof(struct neigh) == 64, "one cache line per neighbour");

struct neigh_owned {         /* the link owner's */
	struct timer timer;
	struct ip *ip;
	struct rte_mbuf *queue[LIMIT_neighbour_queue]; /* a ring; oldest at `head` */
	uint16_t newer, older;   /* in the order of use; gateways are not in it */
	uint8_t head, queued;
	uint8_t solicits, swallowed;
};

struct neigh_table {
	uint64_t key;            /* of the hash */
	struct neigh entry[LIMIT_neighbours + 1] __attribute__((aligned(64))); /* 0 is nobody, its word always 0 */
	uint16_t bucket[NEIGH_BUCKETS];
	uint8_t used[LIMIT_neighbours + 1];
	/* the link owner's */
	struct neigh_owned owned[LIMIT_neighbours + 1];
	uint32_t n;
	uint32_t queued;         /* packets in all queues */
	uint16_t made;           /* entries 1..made have been in use: those behind are untouched memory */
	uint16_t free;           /* chained by next */
	uint16_t newest, oldest;
	struct timer sweep;
	struct ip *ip;
	struct rate solicits[IFACES];
};

#define NEIGH_MAC_MASK UINT64_C(0xffffffffffff)

static inline uint64_t neigh_mac_word(const struct rte_ether_addr *mac)
{
	uint64_t w = 0;

	__builtin_memcpy(&w, mac, sizeof(*mac));
	return w;
}

/* Index and generation << 16 as ip_path keeps them; 0 when there is none. Any thread. */
uint32_t neigh_find(const struct neigh_table *t, uint8_t iface, const struct addr *a);

/* The MAC address word of a found neighbour; 0 when it is not (or no longer) usable. Any thread. */
static inline uint64_t neigh_mac(const struct neigh_table *t, uint32_t neigh)
{
	const uint64_t hot = __atomic_load_n(&t->entry[neigh & 0xffff].hot, __ATOMIC_RELAXED);

	return hot >> 48 == neigh >> 16 ? hot & NEIGH_MAC_MASK : 0;
}

static inline void neigh_use(struct neigh_table *t, uint32_t neigh)
{
	uint8_t *used = &t->used[neigh & 0xffff];

	if (__atomic_load_n(used, __ATOMIC_RELAXED) == 0)
		__atomic_store_n(used, 1, __ATOMIC_RELAXED);
}

static inline enum neigh_state neigh_state(const struct neigh_table *t, uint32_t neigh)
{
	return (enum neigh_state)__atomic_load_n(&t->entry[neigh & 0xffff].state, __ATOMIC_RELAXED);
}

/* ---- the link owner: the table (neigh.c) ---- */

/* A new entry in state NONE; evicts; 0: all are gateways. */
uint16_t neigh_make(struct ip *ip, uint8_t iface, const struct addr *a);
void neigh_free(struct ip *ip, uint16_t i);
struct rte_mbuf *neigh_dequeue(struct neigh_table *t, uint16_t i);       /* the oldest waiting packet, or null */
void neigh_touch(struct neigh_table *t, uint16_t i);                     /* most recently used */
void neigh_pin(struct neigh_table *t, uint16_t i, bool gateway);
void neigh_publish(struct neigh_table *t, uint16_t i, uint64_t mac_word);
void neigh_set_state(struct ip *ip, uint16_t i, enum neigh_state to);

/* ---- the link owner: the life of an entry (nud.c) ---- */

/* Sends an IP packet to packet_meta's next_hop and iface, now or when the neighbour has answered. Takes m. */
void neigh_send(struct ip *ip, struct rte_mbuf *m);

/* What was heard about a neighbour. mac is null when the message had no link-layer address option. */
struct neigh_news {
	struct addr addr;
	const struct rte_ether_addr *mac;
	uint8_t iface;
	bool solicited;  /* it answers a question of ours */
	bool override;   /* replaces a known MAC address */
	bool create;     /* worth a new entry */
};
void neigh_learn(struct ip *ip, const struct neigh_news *news);

/* Whether a question of ours to it is open: only then may an answer make it reachable. */
bool neigh_asked(const struct ip *ip, uint8_t iface, const struct addr *a);

void neigh_apply(struct ip *ip); /* pins and resolves the gateways of the routes */
void neigh_forget(struct ip *ip, uint8_t iface); /* all that are on an interface, and what is queued for them */
void neigh_fini(struct ip *ip);  /* cancels the timers, drops what is queued */

#endif
