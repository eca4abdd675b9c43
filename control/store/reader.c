/*
 * The readers' side of the store: other processes. Every call begins a read transaction, copies what was asked for
 * into blocks of its own and ends it; a reader that sleeps, or is slow on a socket, never holds pages of the past.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/schema/kind.h"
#include "control/store/layout.h"

enum { READER_MAGIC = 0x4ead0001, BLOCK_BYTES = 256 << 10, DATABASES = 4 };

struct store_reader {
	uint32_t magic;
	struct layout layout;
};

/* Copies live in a chain of blocks that is freed as one. */
struct store_block {
	struct store_block *next;
	size_t used, size;
	char bytes[];
};

static char *room(struct store_block **blocks, size_t n)
{
	struct store_block *b = *blocks;

	if (!b || b->size - b->used < n) {
		size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;

		b = malloc(sizeof(*b) + size);
		CHECK(b);
		*b = (struct store_block){.next = *blocks, .size = size};
		*blocks = b;
	}
	b->used += n;
	return b->bytes + b->used - n;
}

static const char *keep(struct store_block **blocks, const void *bytes, size_t n)
{
	char *copy = room(blocks, n + 1);

	memcpy(copy, bytes, n);
	copy[n] = 0;
	return copy;
}

static void free_blocks(struct store_block *b)
{
	while (b) {
		struct store_block *next = b->next;

		free(b);
		b = next;
	}
}

struct store_reader *store_reader_open(const char *directory, char error[static 256])
{
	struct store_reader *r = calloc(1, sizeof(*r));
	MDB_txn *txn = NULL;
	int e;

	CHECK(r);
	r->magic = READER_MAGIC;
	e = mdb_env_create(&r->layout.env);
	if (!e)
		e = mdb_env_set_maxdbs(r->layout.env, DATABASES);
	if (!e)
		e = mdb_env_open(r->layout.env, directory, MDB_RDONLY | MDB_NOTLS, 0640);
	if (!e)
		e = mdb_txn_begin(r->layout.env, NULL, MDB_RDONLY, &txn);
	if (!e)
		e = layout_open(&r->layout, txn, false);
	if (!e && layout_meta(&r->layout, txn, "format") != STORE_FORMAT)
		e = MDB_VERSION_MISMATCH;
	/* Committing a read transaction keeps the handles that were opened in it. */
	if (!e)
		e = mdb_txn_commit(txn);
	else if (txn)
		mdb_txn_abort(txn);
	if (e) {
		snprintf(error, 256, "%.200s: %s", directory, mdb_strerror(e));
		store_reader_close(r);
		return NULL;
	}
	return r;
}

void store_reader_close(struct store_reader *r)
{
	if (!r)
		return;
	CHECK_MAGIC(r, READER_MAGIC);
	mdb_env_close(r->layout.env);
	r->magic = 0;
	free(r);
}

static enum err begin(struct store_reader *r, MDB_txn **txn)
{
	CHECK_MAGIC(r, READER_MAGIC);
	return layout_error(mdb_txn_begin(r->layout.env, NULL, MDB_RDONLY, txn));
}

enum err store_reader_version(struct store_reader *r, uint64_t *resource_version)
{
	MDB_txn *txn;
	enum err e = begin(r, &txn);

	if (e != OK)
		return e;
	*resource_version = layout_meta(&r->layout, txn, "rv");
	mdb_txn_abort(txn);
	return OK;
}

static void add_item(struct store_list *l, size_t *room_for, const MDB_val *key, const MDB_val *value)
{
	const char *copy = keep(&l->blocks, key->mv_data, key->mv_size), *kind, *namespace, *name;

	if (!object_key_split(copy, key->mv_size, &kind, &namespace, &name))
		return;
	if (l->n == *room_for) {
		*room_for = *room_for ? 2 * *room_for : 64;
		l->items = realloc(l->items, *room_for * sizeof(l->items[0]));
		CHECK(l->items);
	}
	l->items[l->n++] = (struct store_item){
		.namespace = namespace, .name = name,
		.json = keep(&l->blocks, value->mv_data, value->mv_size), .json_n = value->mv_size,
	};
}

static bool begins_with(const MDB_val *key, const struct object_key *prefix)
{
	return key->mv_size >= prefix->n && memcmp(key->mv_data, prefix->bytes, prefix->n) == 0;
}

/* From the first key of the kind (and namespace), or the one after the page's last. */
static int first(MDB_cursor *cursor, const struct kind *kind, const struct object_key *prefix,
                 const struct store_page *page, MDB_val *key, MDB_val *value)
{
	struct object_key from = *prefix;
	int e;

	if (page && page->after_name && !object_key(&from, kind->name, page->after_namespace, page->after_name))
		return MDB_NOTFOUND;
	*key = (MDB_val){from.n, from.bytes};
	e = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
	if (!e && page && page->after_name && key->mv_size == from.n && memcmp(key->mv_data, from.bytes, from.n) == 0)
		e = mdb_cursor_get(cursor, key, value, MDB_NEXT);
	return e;
}

enum err store_reader_list(struct store_reader *r, const struct kind *kind, const char *namespace,
                           const struct store_page *page, struct store_list *out)
{
	struct object_key prefix;
	size_t room_for = 0;
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	MDB_txn *txn;
	enum err begun = begin(r, &txn);
	int e;

	*out = (struct store_list){0};
	if (begun != OK)
		return begun;
	out->resource_version = layout_meta(&r->layout, txn, "rv");
	object_key_prefix(&prefix, kind->name, namespace);
	e = mdb_cursor_open(txn, r->layout.objects, &cursor);
	if (!e)
		e = first(cursor, kind, &prefix, page, &key, &value);
	for (; !e && begins_with(&key, &prefix); e = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (page && page->limit && out->n == page->limit) {
			out->more = true;
			break;
		}
		add_item(out, &room_for, &key, &value);
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	if (!e || e == MDB_NOTFOUND)
		return OK;
	store_list_fini(out);
	return layout_error(e);
}

enum err store_reader_get(struct store_reader *r, const struct kind *kind, const char *namespace, const char *name,
                          struct store_list *out)
{
	struct object_key k;
	size_t room_for = 0;
	MDB_txn *txn;
	enum err begun = begin(r, &txn);
	int e = MDB_NOTFOUND;

	*out = (struct store_list){0};
	if (begun != OK)
		return begun;
	out->resource_version = layout_meta(&r->layout, txn, "rv");
	if (object_key(&k, kind->name, namespace, name)) {
		MDB_val key = {k.n, k.bytes}, value;

		e = mdb_get(txn, r->layout.objects, &key, &value);
		if (!e)
			add_item(out, &room_for, &key, &value);
	}
	mdb_txn_abort(txn);
	return layout_error(e);
}

void store_list_fini(struct store_list *l)
{
	free_blocks(l->blocks);
	free(l->items);
	*l = (struct store_list){0};
}

static void add_event(struct store_events *l, size_t *room_for, const MDB_val *key, const MDB_val *value)
{
	const char *copy, *kind_name, *namespace, *name;
	const struct kind *kind;
	struct journal_record record;

	if (!journal_read(&record, value->mv_data, value->mv_size))
		return;
	copy = keep(&l->blocks, record.key, record.key_n);
	if (!object_key_split(copy, record.key_n, &kind_name, &namespace, &name) || !(kind = kind_by_name(kind_name)))
		return;
	if (l->n == *room_for) {
		*room_for = *room_for ? 2 * *room_for : 64;
		l->events = realloc(l->events, *room_for * sizeof(l->events[0]));
		CHECK(l->events);
	}
	l->events[l->n++] = (struct store_event){
		.resource_version = journal_key_read(key), .op = record.op,
		.kind = kind, .namespace = namespace, .name = name,
		.json = keep(&l->blocks, record.object, record.object_n), .json_n = record.object_n,
		.old_labels = keep(&l->blocks, record.labels, record.labels_n),
	};
}

enum err store_reader_events(struct store_reader *r, uint64_t since, size_t max, struct store_events *out)
{
	uint64_t from = journal_key_make(since + 1);
	MDB_val key = {sizeof(from), &from}, value;
	size_t room_for = 0;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn;
	enum err begun = begin(r, &txn);
	int e;

	*out = (struct store_events){0};
	if (begun != OK)
		return begun;
	out->resource_version = layout_meta(&r->layout, txn, "rv");
	out->expired = since < layout_meta(&r->layout, txn, "floor");
	e = mdb_cursor_open(txn, r->layout.journal, &cursor);
	if (!e && !out->expired)
		e = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; !e && !out->expired && out->n < max; e = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
		add_event(out, &room_for, &key, &value);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	if (!e || e == MDB_NOTFOUND)
		return OK;
	store_events_fini(out);
	return layout_error(e);
}

void store_events_fini(struct store_events *e)
{
	free_blocks(e->blocks);
	free(e->events);
	*e = (struct store_events){0};
}
