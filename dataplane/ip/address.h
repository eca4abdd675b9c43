/*
 * Our own addresses and their states, in the link that all workers share.
 *
 * A hash table with open addressing. Only the link owner writes. A slot's identity (its address) is under a
 * seqlock; everything else of it is one atomic word, so a state change is one store and a reader never waits. Tags
 * (one byte per slot, 0: never used since the last clean-up) answer most lookups of foreign addresses from one
 * small array that stays in the first-level cache.
 *
 * Subnet broadcast addresses are entries, too, of a kind of their own: the lookup of a source address that finds
 * anything at all (LAND, broadcast) is then one test.
 */
#ifndef IP_ADDRESS_H
#define IP_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/limits.h"
#include "base/wheel.h"
#include "ip/ip.h"

struct table_address;

/* When a generation brings all new addresses, those of the last one still drain: there is room for both. */
enum { ADDRESS_SLOTS = 4096, ADDRESS_CLAIMED_MAX = 2 * LIMIT_addresses };
_Static_assert(ADDRESS_SLOTS >= 2 * ADDRESS_CLAIMED_MAX, "lookups of foreign addresses must find an empty slot soon");

enum address_kind { ADDRESS_OWN, ADDRESS_VIRTUAL, ADDRESS_BROADCAST };

struct address {             /* published: 32 bytes, two to a cache line */
	struct addr addr;
	uint32_t seq;            /* odd while addr is being written */
	uint32_t word;           /* address_word(): state, interface, kind */
	uint64_t spare;
};

struct address_owned {       /* the link owner's; who else claims the address is read by all */
	struct timer timer;
	struct ip *ip;
	uint64_t defended_ns;
	uint64_t claimant;       /* MAC address of who claimed it last, in memory order */
	uint64_t claimed_ns;     /* when; 0: nobody did */
	uint32_t stamp;          /* of the last ip_apply() that wanted it */
	uint8_t left;            /* probes or announcements still to send */
	uint8_t conflicts;       /* while it is probed */
};

struct address_table {
	uint64_t key;            /* of the hash */
	uint32_t n;              /* in use: neither none nor withdrawn */
	uint32_t wanted;         /* by this generation */
	uint8_t tag[ADDRESS_SLOTS];
	struct address slot[ADDRESS_SLOTS] __attribute__((aligned(64)));
	struct address_owned owned[ADDRESS_SLOTS];
};

static inline uint32_t address_word(enum ip_address_state state, uint8_t iface, enum address_kind kind)
{
	return (uint32_t)state | (uint32_t)iface << 8 | (uint32_t)kind << 16;
}

static inline enum ip_address_state address_state(uint32_t word)
{
	return (enum ip_address_state)(word & 0xff);
}

static inline uint8_t address_iface(uint32_t word)
{
	return (uint8_t)(word >> 8);
}

static inline enum address_kind address_kind(uint32_t word)
{
	return (enum address_kind)(word >> 16 & 0xff);
}

/* Ours, and answering. */
static inline bool address_up(uint32_t word)
{
	const enum ip_address_state s = address_state(word);

	return (s == IP_ADDRESS_ACTIVE || s == IP_ADDRESS_DRAINING || s == IP_ADDRESS_OPTIMISTIC) &&
	       address_kind(word) != ADDRESS_BROADCAST;
}

/* Nobody else may be speaking from it. */
static inline bool address_claimed(uint32_t word)
{
	const enum ip_address_state s = address_state(word);

	return s != IP_ADDRESS_NONE && s != IP_ADDRESS_WITHDRAWN;
}

static inline uint32_t address_hash(uint64_t key, const struct addr *a)
{
	uint64_t h = (a->q[0] ^ key) * UINT64_C(0x9e3779b97f4a7c15);

	h = ((h ^ h >> 29) ^ a->q[1]) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(h >> 32);
}

static inline uint8_t address_tag(uint32_t hash)
{
	return (uint8_t)(hash >> 24 | 0x80);
}

/* The word of an address; 0 when we never had it. Any thread. */
static inline uint32_t address_find(const struct address_table *t, const struct addr *a)
{
	const uint32_t hash = address_hash(t->key, a);
	const uint8_t want = address_tag(hash);

	for (uint32_t n = 0; n < ADDRESS_SLOTS; n++) {
		const uint32_t i = (hash + n) & (ADDRESS_SLOTS - 1);
		const uint8_t tag = __atomic_load_n(&t->tag[i], __ATOMIC_ACQUIRE);
		const struct address *s = &t->slot[i];
		uint32_t seq, word;
		struct addr is;

		if (tag == 0)
			return 0;
		if (tag != want)
			continue;
		seq = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
		is.q[0] = __atomic_load_n(&s->addr.q[0], __ATOMIC_RELAXED);
		is.q[1] = __atomic_load_n(&s->addr.q[1], __ATOMIC_RELAXED);
		word = __atomic_load_n(&s->word, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		/* A slot in writing belongs to an address that nobody has used yet: passing over it is right. */
		if (addr_equal(&is, a) && (seq & 1) == 0 && seq == __atomic_load_n(&s->seq, __ATOMIC_RELAXED))
			return word;
	}
	return 0;
}

/* ---- the link owner ---- */

/* Takes over the addresses of the shard's table: new ones are probed or announced, those that left drain. */
void address_apply(struct ip *ip);

/* Somebody else, with MAC address `mac`, uses or probes for an address of ours. One that is still tentative stays so
 * and tries again later; the others are defended. */
void address_conflict(struct ip *ip, const struct addr *a, const struct rte_ether_addr *mac);

/* The interface may be in another network now: what was in use there is used on, and probed like new addresses. */
void address_probe_again(struct ip *ip, uint8_t iface);

void address_fini(struct ip *ip);  /* cancels the timers */

#endif
