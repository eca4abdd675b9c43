/*
 * Pools. The free list is a stack of indices beside the objects, never inside them, so that a free object can be
 * poisoned as a whole and a stray write into it cannot break the list.
 */
#include "base/pool.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/poison.h"

enum { LINE = 64 };

static void *boot_memory(const char *name, size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (!memory) {
		fprintf(stderr, "pool %s: no memory for %zu bytes\n", name, bytes);
		abort();
	}
	return memory;
}

static uint32_t index_of(const struct pool *p, const void *object)
{
	size_t offset = (size_t)((const char *)object - p->objects);

	CHECK((const char *)object >= p->objects && offset < (size_t)p->size * p->capacity);
	CHECK_SLOW(offset % p->size == 0);
	/* A put is on the request path, and a division would be most of it. */
	return (uint32_t)((offset / LINE * p->reciprocal) >> 32);
}

static void *object_at(const struct pool *p, uint32_t index)
{
	return p->objects + (size_t)index * p->size;
}

void pool_init(struct pool *p, const char *name, size_t object_size, uint32_t capacity)
{
	size_t size = (object_size + LINE - 1) / LINE * LINE;

	CHECK(object_size > 0 && size < UINT32_MAX && capacity > 0);
	memset(p, 0, sizeof(*p));
	p->name = name;
	p->size = (uint32_t)size;
	/* Of object i the rounding adds less than i times the lines of one, in units of 2^-32: below 1 it is lost. */
	p->reciprocal = ((UINT64_C(1) << 32) + size / LINE - 1) / (size / LINE);
	CHECK(capacity < (UINT64_C(1) << 32) / (size / LINE));
	p->capacity = capacity;
	p->memory = boot_memory(name, size * capacity + LINE);
	p->objects = (char *)(((uintptr_t)p->memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
	p->free = boot_memory(name, sizeof(*p->free) * capacity);
	p->generation = boot_memory(name, sizeof(*p->generation) * capacity);
	p->free_n = capacity;
	for (uint32_t i = 0; i < capacity; i++)
		p->free[i] = capacity - 1 - i;
	POISON(p->objects, size * capacity);
}

void pool_fini(struct pool *p)
{
	if (!p->memory)
		return;
	UNPOISON(p->objects, (size_t)p->size * p->capacity);
	free(p->memory);
	free(p->free);
	free(p->generation);
	memset(p, 0, sizeof(*p));
}

void pool_count_empty(struct pool *p, struct counters *c, enum counter limit)
{
	p->counters = c;
	p->limit = limit;
}

void *pool_get(struct pool *p)
{
	uint32_t index;
	void *object;

	if (p->free_n == 0) {
		if (p->counters)
			count(p->counters, p->limit);
		return NULL;
	}
	index = p->free[--p->free_n];
	CHECK((p->generation[index] & 1) == 0);
	p->generation[index]++;
	object = object_at(p, index);
	UNPOISON(object, p->size);
	return object;
}

void pool_put(struct pool *p, void *object)
{
	uint32_t index = index_of(p, object);

	CHECK((p->generation[index] & 1) == 1);
	p->generation[index]++;
	p->free[p->free_n++] = index;
	POISON(object, p->size);
}

handle_t pool_handle(const struct pool *p, const void *object)
{
	uint32_t index = index_of(p, object);

	CHECK((p->generation[index] & 1) == 1);
	return (handle_t)p->generation[index] << 32 | index;
}

void *pool_find(const struct pool *p, handle_t h)
{
	uint32_t index = (uint32_t)h, generation = (uint32_t)(h >> 32);

	if (index >= p->capacity || p->generation[index] != generation || (generation & 1) == 0)
		return NULL;
	return object_at(p, index);
}

void *pool_at(const struct pool *p, uint32_t index)
{
	CHECK(index < p->capacity);
	return p->generation[index] & 1 ? object_at(p, index) : NULL;
}

void *pool_next(const struct pool *p, uint32_t *at)
{
	for (uint32_t i = *at; i < p->capacity; i++)
		if (p->generation[i] & 1) {
			*at = i + 1;
			return object_at(p, i);
		}
	*at = p->capacity;
	return NULL;
}
