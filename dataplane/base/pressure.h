/*
 * Memory pressure: what a worker sheds while one of its pools is nearly empty, before it is empty.
 *
 * The gauge of a worker watches pools, of objects and of mbufs. Each pool asks for steps of shedding by how much of it
 * is in use (the thresholds are the limits shed_*), and takes a step back when it is shed_relief percent below where it
 * began. What the worker sheds is what any of its pools asks for; protocol code finds it in its shard, as one byte.
 *
 * The steps come in an order: what costs nobody an exchange, then new before old. Memory pools ask for all of them.
 * Connections are another matter: requests and segments hold none of these and idle ones hold most, so their pools ask
 * for idle ones to be closed, and only then for no more to be accepted.
 *
 * Cost: a look at all pools reads two or three words of each. The worker looks every few rounds, and every round while
 * it sheds.
 */
#ifndef BASE_PRESSURE_H
#define BASE_PRESSURE_H

#include <rte_mempool.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/pool.h"

enum shed {
	SHED_LARGE = 1 << 0,     /* received text is dropped of who holds more than a small receive buffer */
	SHED_SYNS = 1 << 1,      /* SYNs are not answered */
	SHED_REQUESTS = 1 << 2,  /* new requests are answered 503 */
	SHED_IDLE = 1 << 3,      /* idle connections are closed, oldest first */
	SHED_SEGMENTS = 1 << 4,  /* received text is dropped, but for the next segment of who holds little */
	SHED_TEXT = 1 << 5,      /* all received text is dropped; what carries none still gives memory back */
};

enum { SHED_STEPS = 6, PRESSURE_POOLS = 16 };

/* A pool that is watched: a step begins below begin[] free objects and ends at end[]. 0: the step does not help it. */
struct pressure_pool {
	const struct pool *objects;      /* this */
	struct rte_mempool *mbufs;       /* or this */
	const struct shed_step *steps;        /* of its kind (pressure.c) */
	enum counter empty;              /* counted by each look that finds none free; COUNTERS: by none */
	uint8_t shed;                    /* enum shed: what it asks for */
	uint32_t begin_first;            /* the largest begin[] */
	uint32_t capacity, free_n;       /* free_n: at the last look */
	uint32_t begin[SHED_STEPS], end[SHED_STEPS];
};

struct pressure {
	uint32_t pools_n;
	struct pressure_pool pools[PRESSURE_POOLS];
};

/* Boot only. The first pool of mbufs to be watched is the one that ports take from. */
void pressure_watch(struct pressure *p, const struct pool *objects);
void pressure_watch_conns(struct pressure *p, const struct pool *conns);

struct pressure_mbufs {
	struct rte_mempool *pool;
	uint32_t reserve;                /* of it lie in rings of ports, always */
	uint32_t floor;                  /* SHED_TEXT begins at the latest below that many */
	enum counter empty;
};
void pressure_watch_mbufs(struct pressure *p, const struct pressure_mbufs *m);

/* Looks at all pools, counts steps that begin or end, and returns what is to be shed. lcore: the caller's; what lies in
 * the caches of mbufs of others is not free to it. */
uint8_t pressure_look(struct pressure *p, unsigned lcore, struct counters *c);

/* How full a pool is. Of mbufs: all that are in nobody's hands are free, whoever's cache they lie in. */
struct pressure_info {
	const char *name;
	uint32_t used;
	uint32_t capacity;
};
/* At most n_max; returns how many. */
unsigned pressure_tell(const struct pressure *p, struct pressure_info *out, unsigned n_max);

#endif
