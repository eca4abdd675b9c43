#include "tcp/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void table_tcp_init(struct table_tcp *t, uint32_t entries, const uint8_t secret[32])
{
	uint32_t slots = 64;

	/* At most two thirds are in use. With a million connections half as many slots again are 16 bytes for each. */
	while (slots < entries + entries / 2)
		slots *= 2;
	memset(t, 0, sizeof(*t));
	/*
	 * Written, not only asked for: connections lie all over it, and each new page would be a fault on their way. Of
	 * malloc() and memset() gcc makes calloc() again, which asks only.
	 */
	t->slots = aligned_alloc(64, slots * sizeof(*t->slots));
	CHECK(t->slots != NULL);
	memset(t->slots, 0, slots * sizeof(*t->slots));
	t->mask = slots - 1;
	memcpy(t->key, secret, sizeof(t->key));
	/* A secret of zeros (tests) must not make every product zero. */
	for (unsigned i = 0; i < 4; i++)
		t->key[i] ^= UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
}

void table_tcp_fini(struct table_tcp *t)
{
	free(t->slots);
	memset(t, 0, sizeof(*t));
}

static uint32_t ref_of(const struct table_tcp *t, const void *object, bool wait)
{
	const size_t offset = (size_t)((const char *)object - (wait ? t->waits : t->conns));

	CHECK_SLOW(offset % 64 == 0);
	return ((uint32_t)(offset / 64) + 1) | (wait ? TABLE_WAIT : 0);
}

static char *object_of(const struct table_tcp *t, uint32_t ref)
{
	return ref & TABLE_WAIT ? t->waits + (size_t)((ref & ~TABLE_WAIT) - 1) * 64
	                        : t->conns + (size_t)(ref - 1) * 64;
}

void *table_tcp_find(const struct table_tcp *t, const struct tuple *u, uint32_t hash, bool *wait)
{
	for (uint32_t i = hash & t->mask; t->slots[i].ref != 0; i = (i + 1) & t->mask) {
		const struct tcp_slot *s = &t->slots[i];
		const bool waits = s->ref & TABLE_WAIT;
		char *object;

		if (s->hash != hash)
			continue;
		object = object_of(t, s->ref);
		if (tuple_equal((const struct tuple *)(object + (waits ? t->wait_tuple : t->conn_tuple)), u)) {
			*wait = waits;
			return object;
		}
	}
	*wait = false;
	return NULL;
}

void table_tcp_put(struct table_tcp *t, uint32_t hash, void *object, bool wait)
{
	uint32_t i = hash & t->mask;

	CHECK(t->used < t->mask);
	while (t->slots[i].ref != 0)
		i = (i + 1) & t->mask;
	t->slots[i] = (struct tcp_slot){.hash = hash, .ref = ref_of(t, object, wait)};
	t->used++;
}

/* Closes the hole at i: what lies behind it and may not be reached over a hole moves forward. */
static void shift_back(struct table_tcp *t, uint32_t hole)
{
	for (uint32_t i = (hole + 1) & t->mask; t->slots[i].ref != 0; i = (i + 1) & t->mask) {
		const uint32_t home = t->slots[i].hash & t->mask;

		if (((i - home) & t->mask) >= ((i - hole) & t->mask)) {
			t->slots[hole] = t->slots[i];
			hole = i;
		}
	}
	t->slots[hole].ref = 0;
}

void table_tcp_remove(struct table_tcp *t, uint32_t hash, const void *object, bool wait)
{
	const uint32_t ref = ref_of(t, object, wait);
	uint32_t i = hash & t->mask;

	while (t->slots[i].ref != ref) {
		CHECK(t->slots[i].ref != 0);
		i = (i + 1) & t->mask;
	}
	shift_back(t, i);
	t->used--;
}
