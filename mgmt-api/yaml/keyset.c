/* Open addressing with linear probing over FNV-1a, at most half full. */
#include "mgmt-api/yaml/keyset.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 16 };

static uint32_t hash(const char *text, size_t bytes)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ (unsigned char)text[i]) * 0x100000001b3;
	return (uint32_t)(h ^ h >> 32);
}

static struct keyset_entry *slot_of(const struct keyset *k, const char *text, size_t bytes)
{
	uint32_t i = hash(text, bytes) & (k->slots_n - 1);

	while (k->slots[i].text != NULL && (k->slots[i].bytes != bytes || memcmp(k->slots[i].text, text, bytes) != 0))
		i = (i + 1) & (k->slots_n - 1);
	return &k->slots[i];
}

static bool grow(struct keyset *k)
{
	struct keyset bigger = {.slots_n = k->slots_n == 0 ? FIRST_SLOTS : k->slots_n * 2, .used = k->used};

	bigger.slots = calloc(bigger.slots_n, sizeof(bigger.slots[0]));
	if (bigger.slots == NULL)
		return false;
	for (uint32_t i = 0; i < k->slots_n; i++)
		if (k->slots[i].text != NULL)
			*slot_of(&bigger, k->slots[i].text, k->slots[i].bytes) = k->slots[i];
	free(k->slots);
	*k = bigger;
	return true;
}

const struct keyset_entry *keyset_add(struct keyset *k, const char *text, size_t bytes, uint32_t line, bool *full)
{
	struct keyset_entry *slot;

	*full = false;
	if (k->used * 2 >= k->slots_n && !grow(k)) {
		*full = true;
		return NULL;
	}
	slot = slot_of(k, text, bytes);
	if (slot->text != NULL)
		return slot;
	*slot = (struct keyset_entry){.text = text, .bytes = bytes, .line = line};
	k->used++;
	return NULL;
}

void keyset_fini(struct keyset *k)
{
	free(k->slots);
	*k = (struct keyset){0};
}
