/*
 * Open addressing with linear probing, at most half full. Old slots stay in the region when the map grows: together
 * they are as large as the last ones.
 */
#include "control/model/names.h"

#include <string.h>

#include "base/check.h"
#include "table/table.h"

struct name {
	const void *key;
	size_t len;
	uint64_t hash;
	void *value;
};

struct names {
	struct region *region;
	struct name *slots;
	size_t slots_n;
	size_t used;
};

enum { SLOTS_FIRST = 64 };

struct names *names_new(struct region *r)
{
	struct names *n = region_take(r, sizeof(*n));

	n->region = r;
	n->slots_n = SLOTS_FIRST;
	n->slots = REGION_ARRAY(r, struct name, n->slots_n);
	return n;
}

static struct name *look(struct name *slots, size_t slots_n, const void *key, size_t len, uint64_t hash)
{
	for (size_t i = hash & (slots_n - 1);; i = (i + 1) & (slots_n - 1)) {
		struct name *s = &slots[i];

		if (s->key == NULL || (s->hash == hash && s->len == len && memcmp(s->key, key, len) == 0))
			return s;
	}
}

static void grow(struct names *n)
{
	const size_t slots_n = n->slots_n * 2;
	struct name *slots = REGION_ARRAY(n->region, struct name, slots_n);

	for (size_t i = 0; i < n->slots_n; i++) {
		const struct name *s = &n->slots[i];

		if (s->key != NULL)
			*look(slots, slots_n, s->key, s->len, s->hash) = *s;
	}
	n->slots = slots;
	n->slots_n = slots_n;
}

void **names_slot(struct names *n, const void *key, size_t len)
{
	const uint64_t hash = table_id(key, len);
	struct name *s;

	if (n->used * 2 >= n->slots_n)
		grow(n);
	s = look(n->slots, n->slots_n, key, len, hash);
	if (s->key == NULL) {
		s->key = region_copy(n->region, key, len);
		s->len = len;
		s->hash = hash;
		n->used++;
	}
	return &s->value;
}

void *names_find(const struct names *n, const void *key, size_t len)
{
	return look(n->slots, n->slots_n, key, len, table_id(key, len))->value;
}

void name_key_add(struct name_key *k, const char *text)
{
	const size_t len = strlen(text) + 1;

	/* Names are at most 253 bytes by the schema; what is longer cannot be an object's and is cut. */
	CHECK(sizeof(k->bytes) >= k->len);
	if (len <= sizeof(k->bytes) - k->len) {
		memcpy(k->bytes + k->len, text, len);
		k->len += len;
	}
}

void name_key_number(struct name_key *k, int64_t n)
{
	CHECK(sizeof(k->bytes) >= k->len);
	if (sizeof(n) <= sizeof(k->bytes) - k->len) {
		memcpy(k->bytes + k->len, &n, sizeof(n));
		k->len += sizeof(n);
	}
}
