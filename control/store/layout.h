/*
 * How keys and journal records are laid out in LMDB. Inside of store/ only.
 *
 * Journal record:  time in ms (8, little-endian), op (1), key length (2), labels length (4), key, labels, object.
 */
#ifndef STORE_LAYOUT_H
#define STORE_LAYOUT_H

#include <lmdb.h>

#include "control/store/store.h"

enum { STORE_KEY_MAX = 511, JOURNAL_HEAD = 8 + 1 + 2 + 4 };

/* Databases of one environment. */
struct layout {
	MDB_env *env;
	MDB_dbi meta, objects, journal, tokens;
};

enum err layout_error(int lmdb);
/* create: makes them when missing. Returns LMDB's number. */
int layout_open(struct layout *l, MDB_txn *txn, bool create);

uint64_t layout_meta(const struct layout *l, MDB_txn *txn, const char *name);
int layout_meta_put(const struct layout *l, MDB_txn *txn, const char *name, uint64_t value);

/* Builds an object's key into the room given; false when it does not fit (names are checked long before). */
struct object_key {
	size_t n;
	char bytes[STORE_KEY_MAX];
};

bool object_key(struct object_key *key, const char *kind, const char *namespace, const char *name);
/* The beginning of the keys of a kind, or of a kind in a namespace. */
void object_key_prefix(struct object_key *key, const char *kind, const char *namespace);
/* False when the bytes are no key of ours. The texts live in the key. */
bool object_key_split(const void *bytes, size_t n, const char **kind, const char **namespace, const char **name);

struct journal_record {
	int64_t time_ms;
	enum store_op op;
	const char *key;
	size_t key_n;
	const char *labels;
	size_t labels_n;
	const char *object;
	size_t object_n;
};

static inline size_t journal_size(const struct journal_record *r)
{
	return JOURNAL_HEAD + r->key_n + r->labels_n + r->object_n;
}

void journal_write(const struct journal_record *r, void *bytes);
bool journal_read(struct journal_record *r, const void *bytes, size_t n);
uint64_t journal_key_read(const MDB_val *key);
uint64_t journal_key_make(uint64_t resource_version);      /* big-endian: LMDB orders bytes */

#endif
