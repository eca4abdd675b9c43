/*
 * An arena: memory that is freed all at once, made of 4 KiB chunks from a shard's pool. One per exchange and one
 * per connection while a header section is being gathered.
 *
 * Allocation is bounded by chunks_max; a larger piece than a chunk is refused. In the asan flavour the chunks of a
 * reset arena are poisoned.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"

enum { ARENA_CHUNK = 4096, ARENA_PIECE_MAX = ARENA_CHUNK - 64 };

struct arena_chunk {
	struct arena_chunk *next;
	uint32_t used;
	uint32_t bytes;
};

struct arena {
	struct pool *chunks;
	struct arena_chunk *first; /* the newest */
	uint16_t chunks_n;
	uint16_t chunks_max;
};

void arena_init(struct arena *a, struct pool *chunks, uint16_t chunks_max);
void arena_reset(struct arena *a);                      /* gives all chunks back */
void *arena_get(struct arena *a, size_t bytes);         /* aligned to 16; null when full or too large */
char *arena_text(struct arena *a, const char *text, size_t bytes); /* a copy, not ended by NUL; null when full */

#endif
