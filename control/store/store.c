/*
 * The writer's side of the store. See store.h for what is promised.
 *
 * Why synchronous and not WRITEMAP: LMDB writes copied pages and then flips between two meta pages, so a kill or a
 * power cut leaves either the state before or after a commit, provided that the pages are on disk before the meta page.
 * That is what the default flags do. The price, two fsyncs, is paid once for all requests of one round.
 *
 * Why the counter is loaded once and then kept in memory: there is only one writer, and it holds a lock file
 * (`writer.lock`), so that a second control process on the same directory is refused rather than slowly corrupting
 * the other's idea of the present.
 */
#include "control/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "control/schema/kind.h"
#include "control/store/layout.h"

enum { STORE_MAGIC = 0x57033001, READERS_MAX = 126, DATABASES = 4, TRIM_EXTRA = 8,
       COMMITS_PER_LOOK = 64 };
/* Far past anything issued: no box makes a billion changes between two backups. */
static const uint64_t epoch = 1000000000;

struct store {
	uint32_t magic;
	int lock;
	struct layout layout;
	uint64_t version;
	uint64_t commits;
};

static int take_lock(const char *directory, char error[static 256])
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/writer.lock", directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	snprintf(error, 256, errno == EWOULDBLOCK ? "%.200s: another sluice-control uses it" : "%.200s: cannot lock",
		 path);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* First use writes the format; an unknown one is refused before anything is touched. */
static int prepare(struct store *s)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(s->layout.env, NULL, 0, &txn);
	uint64_t format;

	if (e)
		return e;
	e = layout_open(&s->layout, txn, true);
	format = e ? 0 : layout_meta(&s->layout, txn, "format");
	if (!e && format == 0)
		e = layout_meta_put(&s->layout, txn, "format", STORE_FORMAT);
	else if (!e && format != STORE_FORMAT)
		e = MDB_VERSION_MISMATCH;
	if (!e)
		s->version = layout_meta(&s->layout, txn, "rv");
	if (e) {
		mdb_txn_abort(txn);
		return e;
	}
	return mdb_txn_commit(txn);
}

static int open_environment(struct store *s, const char *directory, size_t map_bytes)
{
	char path[512];
	int cleared;
	int e = mdb_env_create(&s->layout.env);

	if (!e)
		e = mdb_env_set_mapsize(s->layout.env, map_bytes);
	if (!e)
		e = mdb_env_set_maxreaders(s->layout.env, READERS_MAX);
	if (!e)
		e = mdb_env_set_maxdbs(s->layout.env, DATABASES);
	/* A reader that was killed must not keep old pages for ever: its slot is cleared at start and with commits. */
	if (!e)
		e = mdb_env_open(s->layout.env, directory, MDB_NOTLS, 0640);
	if (!e)
		e = mdb_reader_check(s->layout.env, &cleared);
	snprintf(path, sizeof(path), "%s/lock.mdb", directory);
	if (!e && chmod(path, 0660) != 0)
		e = errno;
	return e ? e : prepare(s);
}

struct store *store_open(const char *directory, size_t map_bytes, char error[static 256])
{
	struct store *s = calloc(1, sizeof(*s));
	int e;

	CHECK(s);
	s->magic = STORE_MAGIC;
	if (mkdir(directory, 0750) != 0 && errno != EEXIST) {
		snprintf(error, 256, "%.200s: %s", directory, strerror(errno));
		free(s);
		return NULL;
	}
	s->lock = take_lock(directory, error);
	if (s->lock < 0) {
		free(s);
		return NULL;
	}
	e = open_environment(s, directory, map_bytes);
	if (e) {
		snprintf(error, 256, "%.200s: %s", directory, mdb_strerror(e));
		store_close(s);
		return NULL;
	}
	return s;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	CHECK_MAGIC(s, STORE_MAGIC);
	if (s->layout.env)
		mdb_env_close(s->layout.env);
	close(s->lock);
	s->magic = 0;
	free(s);
}

uint64_t store_version(const struct store *s)
{
	CHECK_MAGIC(s, STORE_MAGIC);
	return s->version;
}

static int write_object(struct store *s, MDB_txn *txn, const struct store_event *event, struct object_key *k)
{
	MDB_val key = {k->n, k->bytes}, value = {event->json_n, (void *)(uintptr_t)event->json};
	int e;

	if (event->op != STORE_DELETED)
		return mdb_put(txn, s->layout.objects, &key, &value, event->op == STORE_ADDED ? MDB_NOOVERWRITE : 0);
	e = mdb_del(txn, s->layout.objects, &key, NULL);
	return e;
}

static int write_journal(struct store *s, MDB_txn *txn, const struct store_event *event, const struct object_key *k,
                         int64_t now_ms)
{
	struct journal_record record = {
		.time_ms = now_ms, .op = event->op,
		.key = k->bytes, .key_n = k->n,
		.labels = event->old_labels, .labels_n = strlen(event->old_labels),
		.object = event->json, .object_n = event->json_n,
	};
	uint64_t number = journal_key_make(event->resource_version);
	MDB_val key = {sizeof(number), &number}, value = {journal_size(&record), NULL};
	int e = mdb_put(txn, s->layout.journal, &key, &value, MDB_RESERVE | MDB_APPEND);

	if (!e)
		journal_write(&record, value.mv_data);
	return e;
}

/* Forgets at most `most` records that are older than the limit; the floor says how far. */
static int trim(struct store *s, MDB_txn *txn, int64_t older_than_ms, size_t most)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	uint64_t floor = 0;
	int e = mdb_cursor_open(txn, s->layout.journal, &cursor);

	if (e)
		return e;
	for (size_t i = 0; i < most; i++) {
		struct journal_record record;

		e = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
		if (e)
			break;
		if (journal_read(&record, value.mv_data, value.mv_size) && record.time_ms >= older_than_ms)
			break;
		floor = journal_key_read(&key);
		e = mdb_cursor_del(cursor, 0);
		if (e)
			break;
	}
	mdb_cursor_close(cursor);
	if (e && e != MDB_NOTFOUND)
		return e;
	return floor ? layout_meta_put(&s->layout, txn, "floor", floor) : 0;
}

static int write_all(struct store *s, MDB_txn *txn, const struct store_event *events, size_t n, int64_t now_ms)
{
	int e = 0;

	for (size_t i = 0; i < n && !e; i++) {
		const struct store_event *event = &events[i];
		struct object_key key;

		CHECK(event->resource_version == s->version + 1 + i);
		CHECK(object_key(&key, event->kind->name, event->namespace, event->name));
		e = write_object(s, txn, event, &key);
		if (!e)
			e = write_journal(s, txn, event, &key, now_ms);
	}
	if (!e)
		e = trim(s, txn, now_ms - STORE_JOURNAL_MS, 2 * n + TRIM_EXTRA);
	return e ? e : layout_meta_put(&s->layout, txn, "rv", s->version + n);
}

static int try_commit(struct store *s, const struct store_event *events, size_t n, int64_t now_ms)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(s->layout.env, NULL, 0, &txn);

	if (e)
		return e;
	e = write_all(s, txn, events, n, now_ms);
	if (e) {
		mdb_txn_abort(txn);
		return e;
	}
	return mdb_txn_commit(txn);
}

static int forget_journal(struct store *s)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(s->layout.env, NULL, 0, &txn);

	if (e)
		return e;
	e = mdb_drop(txn, s->layout.journal, 0);
	if (!e)
		e = layout_meta_put(&s->layout, txn, "floor", s->version);
	if (e) {
		mdb_txn_abort(txn);
		return e;
	}
	return mdb_txn_commit(txn);
}

static bool only_deletes(const struct store_event *events, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (events[i].op != STORE_DELETED)
			return false;
	return true;
}

enum err store_commit(struct store *s, const struct store_event *events, size_t n, int64_t now_ms)
{
	int e, cleared;

	CHECK_MAGIC(s, STORE_MAGIC);
	e = try_commit(s, events, n, now_ms);
	/* Perhaps it is only full of pages that a reader who died still holds. */
	if (e == MDB_MAP_FULL && mdb_reader_check(s->layout.env, &cleared) == 0 && cleared > 0)
		e = try_commit(s, events, n, now_ms);
	if (e == MDB_MAP_FULL && only_deletes(events, n)) {
		/* A way out must always be open: the journal gives its room. Watches will list again. */
		e = forget_journal(s);
		if (!e)
			e = try_commit(s, events, n, now_ms);
	}
	if (!e)
		s->version += n;
	if (++s->commits % COMMITS_PER_LOOK == 0)
		mdb_reader_check(s->layout.env, &cleared);
	return layout_error(e);
}

/* Pages that no tree uses any more are still in the file: LMDB lists them in its database 0. */
static size_t free_pages(MDB_txn *txn)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	size_t pages = 0;

	if (mdb_cursor_open(txn, 0, &cursor) != 0)
		return 0;
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
		pages += *(size_t *)value.mv_data;
	mdb_cursor_close(cursor);
	return pages;
}

unsigned store_used_percent(struct store *s)
{
	MDB_envinfo information;
	MDB_stat stat;
	MDB_txn *txn;
	size_t total, used;

	CHECK_MAGIC(s, STORE_MAGIC);
	if (mdb_txn_begin(s->layout.env, NULL, MDB_RDONLY, &txn) != 0)
		return 100;
	mdb_env_info(s->layout.env, &information);
	mdb_env_stat(s->layout.env, &stat);
	total = information.me_mapsize / stat.ms_psize;
	used = information.me_last_pgno + 1 - free_pages(txn);
	mdb_txn_abort(txn);
	return (unsigned)(used * 100 / total);
}

enum err store_advance(struct store *s)
{
	MDB_txn *txn;
	uint64_t version = s->version + epoch;
	int e;

	CHECK_MAGIC(s, STORE_MAGIC);
	e = mdb_txn_begin(s->layout.env, NULL, 0, &txn);
	if (e)
		return layout_error(e);
	e = mdb_drop(txn, s->layout.journal, 0);
	if (!e)
		e = layout_meta_put(&s->layout, txn, "rv", version);
	if (!e)
		e = layout_meta_put(&s->layout, txn, "floor", version);
	if (e) {
		mdb_txn_abort(txn);
		return layout_error(e);
	}
	e = mdb_txn_commit(txn);
	if (!e)
		s->version = version;
	return layout_error(e);
}

enum err store_load(struct store *s, store_visit *visit, void *closure)
{
	MDB_cursor *cursor = NULL;
	MDB_txn *txn;
	MDB_val key, value;
	int e;

	CHECK_MAGIC(s, STORE_MAGIC);
	e = mdb_txn_begin(s->layout.env, NULL, MDB_RDONLY, &txn);
	if (e)
		return layout_error(e);
	e = mdb_cursor_open(txn, s->layout.objects, &cursor);
	while (!e && !(e = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) {
		const char *kind, *namespace, *name;
		const struct kind *k;

		/* A kind that this version does not know (after a downgrade) stays in the store, untouched. */
		if (!object_key_split(key.mv_data, key.mv_size, &kind, &namespace, &name) || !(k = kind_by_name(kind)))
			continue;
		if (!visit(closure, k, value.mv_data, value.mv_size))
			break;
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return e == MDB_NOTFOUND ? OK : layout_error(e);
}

enum err store_token_put(struct store *s, const char *digest, const char *json)
{
	MDB_val key = {strlen(digest), (void *)(uintptr_t)digest}, value = {strlen(json), (void *)(uintptr_t)json};
	MDB_txn *txn;
	int e;

	CHECK_MAGIC(s, STORE_MAGIC);
	e = mdb_txn_begin(s->layout.env, NULL, 0, &txn);
	if (e)
		return layout_error(e);
	e = mdb_put(txn, s->layout.tokens, &key, &value, 0);
	if (e) {
		mdb_txn_abort(txn);
		return layout_error(e);
	}
	return layout_error(mdb_txn_commit(txn));
}

char *store_token_get(struct store *s, const char *digest)
{
	MDB_val key = {strlen(digest), (void *)(uintptr_t)digest}, value;
	char *json = NULL;
	MDB_txn *txn;

	CHECK_MAGIC(s, STORE_MAGIC);
	if (mdb_txn_begin(s->layout.env, NULL, MDB_RDONLY, &txn) != 0)
		return NULL;
	if (mdb_get(txn, s->layout.tokens, &key, &value) == 0)
		json = strndup(value.mv_data, value.mv_size);
	mdb_txn_abort(txn);
	return json;
}

bool store_has_tokens(struct store *s)
{
	MDB_stat stat = {0};
	MDB_txn *txn;

	CHECK_MAGIC(s, STORE_MAGIC);
	if (mdb_txn_begin(s->layout.env, NULL, MDB_RDONLY, &txn) != 0)
		return true;
	mdb_stat(txn, s->layout.tokens, &stat);
	mdb_txn_abort(txn);
	return stat.ms_entries > 0;
}
