/*
 * Counters: single-writer cells in shared memory, one block per worker, with stable ids.
 *
 * counters.def names every counter and documents it; drops.def names every reason for which a packet is dropped.
 * Both lists become cells of one array. A cell is written only by its worker, by plain stores; readers (the
 * housekeeping core, sluicectl) may see a value a moment old, never a torn one.
 */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdint.h>

enum counter {
#define COUNTER(name, help) C_##name,
#include "base/counters.def"
#undef COUNTER
#define DROP(name, help) DROP_##name,
#include "base/drops.def"
#undef DROP
#define LIMIT(name, value, unit, consequence) C_limit_##name,
#define BOUND(name, value, unit, refuser)
#include "base/limits.def"
#undef LIMIT
#undef BOUND
	COUNTERS
};

struct counters {
	uint64_t cell[COUNTERS];
} __attribute__((aligned(64)));

enum counter_kind { COUNTER_EVENT, COUNTER_DROP, COUNTER_LIMIT };

struct counter_description {
	const char *name;
	const char *help;
	enum counter_kind kind;
};

extern const struct counter_description counter_descriptions[COUNTERS];

static inline void count_n(struct counters *c, enum counter id, uint64_t n)
{
	__atomic_store_n(&c->cell[id], c->cell[id] + n, __ATOMIC_RELAXED);
}

static inline void count(struct counters *c, enum counter id)
{
	count_n(c, id, 1);
}

#endif
