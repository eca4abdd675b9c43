/*
 * A pool of fixed-size objects of one shard: all memory at boot, O(1) get and put, most recently used first.
 *
 * Every object has an index and a generation count that changes when it is put; together they are its handle
 * (handle.h), by which completions find an object that may be gone. In the asan flavour free objects are poisoned.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/err.h"

typedef uint64_t handle_t; /* generation << 32 | index; 0 is no object (generations start at 1) */

struct pool {
	char *objects;
	void *memory;             /* what objects were cut from */
	uint32_t *free;           /* stack of free indices */
	uint32_t *generation;     /* per object, odd while in use */
	uint32_t size;            /* bytes per object, a multiple of 64 */
	uint64_t reciprocal;      /* 2^32 / lines per object, rounded up */
	uint32_t capacity;
	uint32_t free_n;
	const char *name;
	struct counters *counters; /* null: whoever gets nothing counts it */
	enum counter limit;
};

/* Boot only: failure stops the program. Memory is zeroed, aligned to a cache line and touched lazily. */
void pool_init(struct pool *p, const char *name, size_t object_size, uint32_t capacity);
void pool_fini(struct pool *p);
/* Every get that finds it empty is counted from now on: for pools that are passed to code without counters. */
void pool_count_empty(struct pool *p, struct counters *c, enum counter limit);

void *pool_get(struct pool *p);                  /* null when empty; contents are what the last user left */
void pool_put(struct pool *p, void *object);

handle_t pool_handle(const struct pool *p, const void *object);
void *pool_find(const struct pool *p, handle_t h); /* null when the object is gone */

static inline uint32_t pool_used(const struct pool *p)
{
	return p->capacity - p->free_n;
}

void *pool_at(const struct pool *p, uint32_t index);   /* null when it is free; index below capacity */
/* Walks used objects: the first at or after index *at, null at the end; advances *at past it. */
void *pool_next(const struct pool *p, uint32_t *at);

#endif
