/*
 * A region is a list of chunks, each taken from its start to its end. Large pieces get a chunk of their own.
 */
#include "control/model/region.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { CHUNK_BYTES = 256 << 10, ALIGN = 16 };

struct chunk {
	struct chunk *next;
	size_t room;
	char bytes[] __attribute__((aligned(ALIGN)));
};

struct region {
	struct chunk *chunks;
	size_t used;             /* of the first chunk */
};

struct region *region_new(void)
{
	struct region *r = calloc(1, sizeof(*r));

	CHECK(r != NULL);
	return r;
}

void region_free(struct region *r)
{
	if (r == NULL)
		return;
	while (r->chunks != NULL) {
		struct chunk *c = r->chunks;

		r->chunks = c->next;
		free(c);
	}
	free(r);
}

static void add_chunk(struct region *r, size_t at_least)
{
	const size_t room = at_least > CHUNK_BYTES ? at_least : CHUNK_BYTES;
	struct chunk *c = calloc(1, sizeof(*c) + room);

	CHECK(c != NULL);
	c->room = room;
	c->next = r->chunks;
	r->chunks = c;
	r->used = 0;
}

void *region_take(struct region *r, size_t bytes)
{
	const size_t whole = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	void *piece;

	CHECK(whole >= bytes);
	if (r->chunks == NULL || r->chunks->room - r->used < whole)
		add_chunk(r, whole);
	piece = r->chunks->bytes + r->used;
	r->used += whole;
	return piece;
}

char *region_copy(struct region *r, const char *text, size_t len)
{
	char *copy = region_take(r, len + 1);

	memcpy(copy, text, len);
	return copy;
}

const char *region_print(struct region *r, const char *format, ...)
{
	va_list args;
	char line[1024];
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	CHECK(n >= 0);
	return region_copy(r, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}
