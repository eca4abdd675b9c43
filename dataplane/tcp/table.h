/*
 * The connection table: open addressing, eight slots to a cache line, keyed by a keyed hash of the tuple.
 *
 * tuple_hash() is not used here: it says whose packet it is, has 16 bits and no secret, so whoever wants could make
 * all connections collide. A slot is the hash's upper half and a reference: the object's offset in its pool in units
 * of 64 bytes, with the top bit for the pool of TIME_WAIT objects. Deleting shifts back, so there are no tombstones.
 */
#ifndef TCP_TABLE_H
#define TCP_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

enum { TABLE_WAIT = UINT32_C(1) << 31 };

struct tcp_slot {
	uint32_t hash;
	uint32_t ref;                  /* 0: empty; else offset / 64 + 1, TABLE_WAIT for TIME_WAIT objects */
};

struct table_tcp {
	struct tcp_slot *slots;
	uint32_t mask;
	uint32_t used;
	uint64_t key[4];
	char *conns, *waits;           /* the pools' objects */
	uint32_t conn_tuple, wait_tuple; /* where the tuple lies in them */
};

/* Boot only. `entries` is the most that will be in it; the table is at least twice as large. */
void table_tcp_init(struct table_tcp *t, uint32_t entries, const uint8_t secret[32]);
void table_tcp_fini(struct table_tcp *t);

static inline uint64_t table_mum(uint64_t a, uint64_t b)
{
	const __uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint32_t table_tcp_hash(const struct table_tcp *t, const struct tuple *u)
{
	const uint64_t ports = (uint64_t)u->local_port << 16 | u->remote_port;
	const uint64_t h = table_mum(u->local.q[1] ^ t->key[0] ^ u->remote.q[0], u->remote.q[1] ^ t->key[1]) ^
	                   table_mum(u->local.q[0] ^ t->key[2], ports ^ t->key[3]);

	return (uint32_t)(h ^ h >> 32);
}

static inline void table_tcp_prefetch(const struct table_tcp *t, uint32_t hash)
{
	__builtin_prefetch(&t->slots[hash & t->mask]);
}

/* The object with that tuple: a connection, or with *wait true a TIME_WAIT object; null when there is none. */
void *table_tcp_find(const struct table_tcp *t, const struct tuple *u, uint32_t hash, bool *wait);

void table_tcp_put(struct table_tcp *t, uint32_t hash, void *object, bool wait);
void table_tcp_remove(struct table_tcp *t, uint32_t hash, const void *object, bool wait);

#endif
