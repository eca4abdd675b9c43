/*
 * Names: a map from a key (any bytes) to a pointer, growing as it is filled. Lives in a region.
 */
#ifndef MODEL_NAMES_H
#define MODEL_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "control/model/region.h"

struct names;

struct names *names_new(struct region *r);
/* Where the value of a key is; a new key is added with a null value. Valid until the next call. */
void **names_slot(struct names *n, const void *key, size_t len);
void *names_find(const struct names *n, const void *key, size_t len);   /* or null */

/* A key made of texts, each ended by NUL, so that no two different lists of texts make the same key. */
struct name_key {
	size_t len;
	char bytes[1280];
};
/* Only the length: keys are made for every reference, and clearing all of it would be most of the work. */
static inline void name_key_clear(struct name_key *k)
{
	k->len = 0;
}
void name_key_add(struct name_key *k, const char *text);
void name_key_number(struct name_key *k, int64_t n);

#endif
