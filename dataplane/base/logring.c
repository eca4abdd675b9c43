/*
 * Log rings. Records lie in a power of two of bytes, each behind a word that holds its length, rounded up to 8 bytes
 * and never wrapping: where the rest of the ring is too short, a SKIP word sends the reader to the start.
 *
 *      | len | record ... | len | record | SKIP |          head and tail count bytes and never wrap
 *                                        ^head
 *
 * The producer publishes by a release store of head, the consumer gives room back by a release store of tail. Each
 * keeps its last view of the other's index, so that the shared lines move only when a ring looks full or empty.
 */
#include "base/logring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { HEADER = 8 };
#define SKIP UINT64_MAX

struct logring {
	_Alignas(64) _Atomic uint64_t head;
	uint64_t tail_seen;  /* producer's */
	uint64_t start;      /* of the reserved record */
	size_t reserved;
	_Alignas(64) _Atomic uint64_t tail;
	uint64_t head_seen;  /* consumer's */
	_Alignas(64) size_t bytes;
	char ring[];
};

static uint64_t *word(struct logring *r, uint64_t at)
{
	return (uint64_t *)(void *)(r->ring + (at & (r->bytes - 1)));
}

static size_t padded(size_t bytes)
{
	return HEADER + ((bytes + 7) & ~(size_t)7);
}

struct logring *logring_new(size_t bytes)
{
	struct logring *r;

	CHECK(bytes >= 64 && (bytes & (bytes - 1)) == 0);
	r = aligned_alloc(64, sizeof(*r) + bytes);
	if (r) {
		memset(r, 0, sizeof(*r) + bytes); /* all of it will be used: its pages come now, not as requests do */
		*r = (struct logring){.bytes = bytes};
		atomic_init(&r->head, 0);
		atomic_init(&r->tail, 0);
	}
	return r;
}

void logring_free(struct logring *r)
{
	free(r);
}

void *logring_reserve(struct logring *r, size_t bytes)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t need = padded(bytes), rest = r->bytes - (size_t)(head & (r->bytes - 1)), total;

	if (need > r->bytes / 2)
		return NULL;
	total = rest < need ? rest + need : need;
	if (head + total - r->tail_seen > r->bytes) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head + total - r->tail_seen > r->bytes)
			return NULL;
	}
	if (rest < need)
		*word(r, head) = SKIP;
	r->start = head + total - need;
	r->reserved = bytes;
	return word(r, r->start) + 1;
}

void logring_commit(struct logring *r, size_t used)
{
	CHECK(used <= r->reserved);
	*word(r, r->start) = used;
	r->reserved = 0;
	atomic_store_explicit(&r->head, r->start + padded(used), memory_order_release);
}

const void *logring_peek(struct logring *r, size_t *bytes)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail == r->head_seen) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (tail == r->head_seen)
			return NULL;
	}
	if (*word(r, tail) == SKIP) {
		tail += r->bytes - (tail & (r->bytes - 1));
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
	*bytes = (size_t)*word(r, tail);
	return word(r, tail) + 1;
}

void logring_release(struct logring *r)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	CHECK(tail != r->head_seen);
	atomic_store_explicit(&r->tail, tail + padded((size_t)*word(r, tail)), memory_order_release);
}
