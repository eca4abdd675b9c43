/*
 * Arenas. A chunk is filled from its start behind a header of 16 bytes; what is not handed out yet is poisoned, so
 * that running over the end of a piece at the end of a chunk is seen too.
 */
#include "base/arena.h"

#include <string.h>

#include "base/check.h"
#include "base/poison.h"

static_assert(sizeof(struct arena_chunk) == 16, "pieces are aligned to 16");

void arena_init(struct arena *a, struct pool *chunks, uint16_t chunks_max)
{
	CHECK(chunks->size >= ARENA_CHUNK);
	*a = (struct arena){.chunks = chunks, .chunks_max = chunks_max};
}

void arena_reset(struct arena *a)
{
	while (a->first) {
		struct arena_chunk *c = a->first;

		a->first = c->next;
		pool_put(a->chunks, c);
	}
	a->chunks_n = 0;
}

static struct arena_chunk *chunk_add(struct arena *a)
{
	struct arena_chunk *c;

	if (a->chunks_n >= a->chunks_max)
		return NULL;
	c = pool_get(a->chunks);
	if (!c)
		return NULL;
	*c = (struct arena_chunk){.next = a->first, .used = sizeof(*c), .bytes = ARENA_CHUNK};
	POISON((char *)c + sizeof(*c), ARENA_CHUNK - sizeof(*c));
	a->first = c;
	a->chunks_n++;
	return c;
}

void *arena_get(struct arena *a, size_t bytes)
{
	struct arena_chunk *c = a->first;
	uint32_t room = (uint32_t)(bytes + 15) & ~15u;
	char *piece;

	if (bytes > ARENA_PIECE_MAX)
		return NULL;
	if (!c || c->used + room > c->bytes)
		c = chunk_add(a);
	if (!c)
		return NULL;
	piece = (char *)c + c->used;
	c->used += room;
	UNPOISON(piece, bytes);
	return piece;
}

char *arena_text(struct arena *a, const char *text, size_t bytes)
{
	char *copy = arena_get(a, bytes);

	if (copy && bytes)
		memcpy(copy, text, bytes);
	return copy;
}
