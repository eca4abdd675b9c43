/* See wipe.h. The size stands in front of every piece. */
#include "control/wipe.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { HEAD = 16 };

static size_t size_of(void *memory)
{
	return *(size_t *)(void *)((char *)memory - HEAD);
}

void *wiping_alloc(size_t bytes)
{
	char *piece = malloc(bytes + HEAD);

	CHECK(piece);
	*(size_t *)(void *)piece = bytes;
	return piece + HEAD;
}

void wiping_free(void *memory)
{
	if (!memory)
		return;
	explicit_bzero(memory, size_of(memory));
	free((char *)memory - HEAD);
}

void *wiping_grow(void *memory, size_t bytes)
{
	void *larger = wiping_alloc(bytes);

	if (memory) {
		size_t old = size_of(memory);

		memcpy(larger, memory, old < bytes ? old : bytes);
		wiping_free(memory);
	}
	return larger;
}

static void *on_alloc(void *closure, size_t bytes)
{
	(void)closure;
	return wiping_alloc(bytes);
}

static void *on_grow(void *closure, void *memory, size_t old, size_t bytes)
{
	(void)closure;
	(void)old;
	return wiping_grow(memory, bytes);
}

static void on_free(void *closure, void *memory)
{
	(void)closure;
	wiping_free(memory);
}

const yyjson_alc wiping = {on_alloc, on_grow, on_free, NULL};
