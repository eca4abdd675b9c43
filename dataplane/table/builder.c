/*
 * Building a generation. One buffer that doubles, and a set of the texts that are already in it.
 *
 * Used by control and by tests, never by workers: memory comes from malloc, and running out of it stops the program.
 *
 * Admitted objects can ask for a block that is larger than the data plane takes (lists are not shared between rules).
 * That is no reason to stop: what does not fit is left out, the builder remembers it, and builder_finish() says so.
 * Callers need not look before.
 */
#include "table/builder.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "table/table.h"

enum { LINE = 64 };

struct known {
	struct table_text text;
	uint32_t hash;             /* so that growing and passing by look at no text */
};

struct builder {
	char *block;
	size_t bytes;
	size_t room;
	bool full;                 /* something did not fit; stays */
	bool crowded;              /* an index has too long a run; stays */
	struct known *texts;       /* a set: open addressing, len 0 is empty, at most half full */
	size_t texts_n;
	size_t texts_room;         /* a power of two */
};

struct builder *builder_new(void)
{
	struct builder *b = calloc(1, sizeof(*b));

	CHECK(b != NULL);
	b->room = 1 << 16;
	b->bytes = sizeof(struct table);
	b->texts_room = 1 << 10;
	b->block = calloc(1, b->room);
	b->texts = calloc(b->texts_room, sizeof(*b->texts));
	CHECK(b->block != NULL && b->texts != NULL);
	return b;
}

void builder_free(struct builder *b)
{
	if (b == NULL)
		return;
	free(b->block);
	free(b->texts);
	free(b);
}

/* Room for n bytes at an aligned offset; what lies between is 0, so that equal calls give equal bytes. When full: 0. */
static uint32_t append(struct builder *b, const void *bytes, size_t n, size_t align)
{
	const size_t at = (b->bytes + align - 1) & ~(align - 1);

	b->full |= at > TABLE_BYTES_MAX || n > TABLE_BYTES_MAX - at;
	if (b->full)
		return 0;
	if (at + n > b->room) {
		size_t room = b->room;

		while (room < at + n)
			room *= 2;
		b->block = realloc(b->block, room);
		CHECK(b->block != NULL);
		memset(b->block + b->room, 0, room - b->room);
		b->room = room;
	}
	if (n > 0)
		memcpy(b->block + at, bytes, n);
	b->bytes = at + n;
	return (uint32_t)at;
}

uint32_t builder_put(struct builder *b, const void *bytes, size_t n)
{
	return append(b, bytes, n, TABLE_ALIGN);
}

void builder_line(struct builder *b)
{
	append(b, NULL, 0, LINE);
}

struct table_list builder_list(struct builder *b, const void *items, size_t item_bytes, size_t n)
{
	struct table_list list = {0};

	if (n == 0)
		return list;
	b->full |= n > TABLE_BYTES_MAX / item_bytes;
	if (b->full)
		return list;
	list.at = builder_put(b, items, item_bytes * n);
	list.n = b->full ? 0 : (uint32_t)n;
	return list;
}

/* The slot of a text: where it is, or where it belongs. */
static struct known *slot_of(struct builder *b, const char *text, size_t len, uint32_t hash)
{
	for (size_t i = hash & (b->texts_room - 1);; i = (i + 1) & (b->texts_room - 1)) {
		struct known *x = &b->texts[i];

		if (x->text.len == 0 || (x->hash == hash && x->text.len == len &&
		                         memcmp(b->block + x->text.at, text, len) == 0))
			return x;
	}
}

static void grow_texts(struct builder *b)
{
	struct known *old = b->texts;
	const size_t old_room = b->texts_room;

	b->texts_room *= 2;
	b->texts = calloc(b->texts_room, sizeof(*b->texts));
	CHECK(b->texts != NULL);
	for (size_t i = 0; i < old_room; i++) {
		size_t at = old[i].hash & (b->texts_room - 1);

		if (old[i].text.len == 0)
			continue;
		while (b->texts[at].text.len != 0)
			at = (at + 1) & (b->texts_room - 1);
		b->texts[at] = old[i];
	}
	free(old);
}

struct table_text builder_own_text(struct builder *b, const char *text, size_t len)
{
	uint32_t at;

	if (len == 0)
		return (struct table_text){0};
	at = append(b, text, len, 1);
	return b->full ? (struct table_text){0} : (struct table_text){.at = at, .len = (uint32_t)len};
}

struct table_text builder_text(struct builder *b, const char *text, size_t len)
{
	const uint32_t hash = (uint32_t)XXH3_64bits(text, len);
	struct known *x;

	if (len == 0)
		return (struct table_text){0};
	if (2 * (b->texts_n + 1) > b->texts_room)
		grow_texts(b);
	x = slot_of(b, text, len, hash);
	if (x->text.len == 0) {
		const struct table_text put = builder_own_text(b, text, len);

		if (put.len == 0)
			return put;
		*x = (struct known){.text = put, .hash = hash};
		b->texts_n++;
	}
	return x->text;
}

/* The longest run of used slots; one that ends at the last slot may go on at the first. */
static size_t longest_run(const struct table_slot *slots, size_t slots_n)
{
	size_t longest = 0, run = 0;

	while (slots[slots_n - 1 - run].hash != 0)
		run++;
	for (size_t i = 0; i < slots_n; i++) {
		run = slots[i].hash != 0 ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

/* At most two thirds of the slots are used. */
static size_t slots_for(size_t n)
{
	size_t slots_n = 2;

	while (slots_n * 2 < n * 3)
		slots_n *= 2;
	return n > 0 ? slots_n : 0;
}

/* Fills the slots; values: null, nobody wants them. places: null, or where each has come to stand. */
static void fill(struct table_slot *slots, size_t slots_n, const uint32_t *hashes, const uint32_t *values, size_t n,
                 uint32_t *places)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = hashes[i] & (slots_n - 1);

		CHECK(hashes[i] != 0);
		while (slots[at].hash != 0)
			at = (at + 1) & (slots_n - 1);
		slots[at] = (struct table_slot){.hash = hashes[i], .value = values != NULL ? values[i] : 0};
		if (places != NULL)
			places[i] = (uint32_t)at;
	}
}

static struct table_slot *new_slots(size_t slots_n)
{
	struct table_slot *slots = calloc(slots_n, sizeof(*slots));

	CHECK(slots != NULL);
	return slots;
}

size_t builder_places(const uint32_t *hashes, size_t n, uint32_t *places)
{
	const size_t slots_n = slots_for(n);
	struct table_slot *slots;

	if (n == 0)
		return 0;
	slots = new_slots(slots_n);
	fill(slots, slots_n, hashes, NULL, n, places);
	free(slots);
	return slots_n;
}

struct table_hash builder_hash(struct builder *b, const uint32_t *hashes, const uint32_t *values, size_t n)
{
	const size_t slots_n = slots_for(n);
	struct table_slot *slots;
	struct table_hash index = {0};

	if (n == 0)
		return index;
	slots = new_slots(slots_n);
	fill(slots, slots_n, hashes, values, n, NULL);
	b->crowded |= longest_run(slots, slots_n) > TABLE_PROBES_MAX;
	index.at = builder_put(b, slots, slots_n * sizeof(*slots));
	index.slots_n = b->full ? 0 : (uint32_t)slots_n;
	free(slots);
	return index;
}

void *builder_at(struct builder *b, uint32_t offset)
{
	CHECK(offset < b->bytes);
	return b->block + offset;
}

size_t builder_bytes(const struct builder *b)
{
	return b->bytes;
}

struct table *builder_root(struct builder *b)
{
	return (struct table *)b->block;
}

bool builder_is_crowded(const struct builder *b)
{
	return b->crowded;
}

enum err builder_finish(struct builder *b, const struct table **block, size_t *bytes)
{
	const size_t content = offsetof(struct table, workers);
	struct table *t;

	append(b, NULL, 0, TABLE_ALIGN);
	if (b->full)
		return ERR_LIMIT;
	t = builder_root(b);
	t->magic = TABLE_MAGIC;
	t->format = TABLE_FORMAT;
	t->bytes = (uint32_t)b->bytes;
	t->content = XXH3_64bits(b->block + content, b->bytes - content);
	if (b->crowded)
		return ERR_LIMIT;
	t->checksum = table_checksum(t, b->bytes);
	*block = t;
	*bytes = b->bytes;
	return table_verify(t, b->bytes, NULL);
}
