/* See layout.h. */
#include "control/store/layout.h"

#include <endian.h>
#include <string.h>

#include "base/check.h"

enum err layout_error(int lmdb)
{
	switch (lmdb) {
	case 0:
		return OK;
	case MDB_NOTFOUND:
		return ERR_NOT_FOUND;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return ERR_FULL;
	default:
		return ERR_IO;
	}
}

int layout_open(struct layout *l, MDB_txn *txn, bool create)
{
	unsigned flags = create ? MDB_CREATE : 0;
	int e = mdb_dbi_open(txn, "meta", flags, &l->meta);

	if (!e)
		e = mdb_dbi_open(txn, "objects", flags, &l->objects);
	if (!e)
		e = mdb_dbi_open(txn, "journal", flags, &l->journal);
	if (!e)
		e = mdb_dbi_open(txn, "tokens", flags, &l->tokens);
	return e;
}

uint64_t layout_meta(const struct layout *l, MDB_txn *txn, const char *name)
{
	MDB_val key = {strlen(name), (void *)(uintptr_t)name}, value;
	uint64_t number = 0;

	if (mdb_get(txn, l->meta, &key, &value) == 0 && value.mv_size == sizeof(number))
		memcpy(&number, value.mv_data, sizeof(number));
	return le64toh(number);
}

int layout_meta_put(const struct layout *l, MDB_txn *txn, const char *name, uint64_t value)
{
	uint64_t number = htole64(value);
	MDB_val key = {strlen(name), (void *)(uintptr_t)name}, v = {sizeof(number), &number};

	return mdb_put(txn, l->meta, &key, &v, 0);
}

static bool add(struct object_key *key, const char *text, size_t end)
{
	size_t n = strlen(text);

	if (key->n + n + end > STORE_KEY_MAX)
		return false;
	memcpy(key->bytes + key->n, text, n);
	key->n += n;
	if (end)
		key->bytes[key->n++] = 0;
	return true;
}

bool object_key(struct object_key *key, const char *kind, const char *namespace, const char *name)
{
	key->n = 0;
	return add(key, kind, 1) && add(key, namespace, 1) && add(key, name, 0);
}

void object_key_prefix(struct object_key *key, const char *kind, const char *namespace)
{
	key->n = 0;
	CHECK(add(key, kind, 1));
	if (namespace && !add(key, namespace, 1))
		key->bytes[key->n++] = (char)0xff;      /* too long to exist: matches nothing */
}

bool object_key_split(const void *bytes, size_t n, const char **kind, const char **namespace, const char **name)
{
	const char *text = bytes, *first = memchr(text, 0, n), *second;

	if (!first)
		return false;
	second = memchr(first + 1, 0, n - (size_t)(first + 1 - text));
	if (!second)
		return false;
	*kind = text;
	*namespace = first + 1;
	*name = second + 1;
	return true;
}

void journal_write(const struct journal_record *r, void *bytes)
{
	uint8_t *out = bytes;
	uint64_t time = htole64((uint64_t)r->time_ms);
	uint16_t key_n = htole16((uint16_t)r->key_n);
	uint32_t labels_n = htole32((uint32_t)r->labels_n);

	memcpy(out, &time, 8);
	out[8] = (uint8_t)r->op;
	memcpy(out + 9, &key_n, 2);
	memcpy(out + 11, &labels_n, 4);
	out += JOURNAL_HEAD;
	memcpy(out, r->key, r->key_n);
	memcpy(out + r->key_n, r->labels, r->labels_n);
	memcpy(out + r->key_n + r->labels_n, r->object, r->object_n);
}

bool journal_read(struct journal_record *r, const void *bytes, size_t n)
{
	const uint8_t *in = bytes;
	uint64_t time;
	uint16_t key_n;
	uint32_t labels_n;

	if (n < JOURNAL_HEAD)
		return false;
	memcpy(&time, in, 8);
	memcpy(&key_n, in + 9, 2);
	memcpy(&labels_n, in + 11, 4);
	r->time_ms = (int64_t)le64toh(time);
	r->op = in[8];
	r->key_n = le16toh(key_n);
	r->labels_n = le32toh(labels_n);
	if (r->key_n + r->labels_n > n - JOURNAL_HEAD || r->op < STORE_ADDED || r->op > STORE_DELETED)
		return false;
	r->key = (const char *)in + JOURNAL_HEAD;
	r->labels = r->key + r->key_n;
	r->object = r->labels + r->labels_n;
	r->object_n = n - JOURNAL_HEAD - r->key_n - r->labels_n;
	return true;
}

uint64_t journal_key_read(const MDB_val *key)
{
	uint64_t number = 0;

	if (key->mv_size == sizeof(number))
		memcpy(&number, key->mv_data, sizeof(number));
	return be64toh(number);
}

uint64_t journal_key_make(uint64_t resource_version)
{
	return htobe64(resource_version);
}
