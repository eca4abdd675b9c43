/* The keys of one mapping while it is read: finds duplicates in constant time, however many keys there are. */
#ifndef MGMT_API_YAML_KEYSET_H
#define MGMT_API_YAML_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyset_entry {
	const char *text;       /* borrowed from the document; null: a free slot */
	size_t bytes;
	uint32_t line;
};

struct keyset {
	struct keyset_entry *slots;
	uint32_t slots_n;       /* a power of two, or 0 */
	uint32_t used;
};

/* The entry that is there already, or null after adding it. *full: no memory. */
const struct keyset_entry *keyset_add(struct keyset *k, const char *text, size_t bytes, uint32_t line, bool *full);
void keyset_fini(struct keyset *k);

#endif
