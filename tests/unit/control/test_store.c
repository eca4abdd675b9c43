/*
 * The store and the ledger: versions, journal, all or nothing, reopening, readers, sealing, a full map.
 *
 * A reader is another process by its contract (LMDB must not open a file twice in one), so every look through
 * store_reader happens in a child.
 */
#include "../test.h"

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/store/ledger.h"
#include "control/wipe.h"

enum { MAP = 16 << 20, SMALL_MAP = 1 << 20 };
static const int64_t start_ms = 1700000000000;

static char directory[64];

static const char *path_of(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int on_setup(void **state)
{
	(void)state;
	/* In memory where possible: what is tested is death of the process, and syncing takes its time. */
	strcpy(directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_store.XXXXXX" : "/tmp/test_store.XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int on_teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static struct ledger *open_ledger(size_t map)
{
	char error[256] = "";
	struct ledger *l = ledger_open(directory, map, error);

	if (!l)
		fail_msg("%s", error);
	return l;
}

static yyjson_mut_doc *parse(const char *json)
{
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);

	yyjson_doc_free(doc);
	return copy;
}

static const struct object *put(struct ledger *l, const char *kind, const char *json)
{
	yyjson_mut_doc *doc = parse(json);
	const struct object *o;

	assert_int_equal(ledger_put(l, kind_by_name(kind), doc, &o), OK);
	yyjson_mut_doc_free(doc);
	return o;
}

#define MAP_NAMED(name, value)                                                                                         \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"default\",\"labels\":{\"v\":\"" value                    \
	"\"}},\"data\":{\"k\":\"" value "\"}}"

static void put_map(struct ledger *l, const char *name, const char *value)
{
	char json[256];

	snprintf(json, sizeof(json), MAP_NAMED("%s", "%s"), name, value, value);
	put(l, "ConfigMap", json);
}

static const struct object *map_named(struct ledger *l, const char *name)
{
	return ledger_find(l, kind_by_name("ConfigMap"), "default", name);
}

/* Runs a look at the store in a child; it fails the test by its exit code, after saying why. */
static void in_child(void (*look)(struct store_reader *r))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		char error[256];
		struct store_reader *r = store_reader_open(path_of("store"), error);

		if (!r) {
			fprintf(stderr, "%s\n", error);
			_exit(2);
		}
		look(r);
		store_reader_close(r);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#define LOOK(x) do { if (!(x)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); _exit(1); } } while (0)

/* ---- the ledger ---- */

static void test_versions_follow_one_by_one(void **state)
{
	struct ledger *l = open_ledger(MAP);

	(void)state;
	put_map(l, "a", "1");
	put_map(l, "b", "1");
	put_map(l, "a", "2");
	assert_int_equal(map_named(l, "a")->resource_version, 3);
	assert_null(snapshot_find(ledger_snapshot(l), "ConfigMap", "default", "a"));
	assert_int_equal(ledger_commit(l, start_ms), OK);
	assert_int_equal(store_version(ledger_store(l)), 3);
	assert_int_equal(snapshot_resource_version(ledger_snapshot(l)), 3);
	assert_int_equal(map_named(l, "b")->resource_version, 2);
	ledger_delete(l, map_named(l, "b"));
	assert_null(map_named(l, "b"));
	assert_int_equal(ledger_commit(l, start_ms), OK);
	assert_int_equal(store_version(ledger_store(l)), 4);
	ledger_close(l);
}

static void test_reopened(void **state)
{
	struct ledger *l = open_ledger(MAP);
	size_t n;

	(void)state;
	put_map(l, "b", "1");
	put_map(l, "a", "1");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	ledger_close(l);
	l = open_ledger(MAP);
	const struct object *const *maps = snapshot_list(ledger_snapshot(l), "ConfigMap", &n);

	assert_int_equal(n, 2);
	assert_string_equal(maps[0]->name, "a");
	assert_int_equal(maps[0]->resource_version, 2);
	assert_int_equal(store_version(ledger_store(l)), 2);
	put_map(l, "c", "1");
	assert_int_equal(map_named(l, "c")->resource_version, 3);
	ledger_close(l);
}

static void test_one_writer(void **state)
{
	struct ledger *l = open_ledger(MAP);
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		char error[256] = "";

		_exit(!ledger_open(directory, MAP, error) && strstr(error, "another sluice-control") ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ledger_close(l);
}

static void test_rollback_to_a_mark(void **state)
{
	struct ledger *l = open_ledger(MAP);
	size_t mark;

	(void)state;
	put_map(l, "a", "1");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	put_map(l, "b", "1");
	mark = ledger_mark(l);
	put_map(l, "a", "2");
	put_map(l, "c", "1");
	ledger_delete(l, map_named(l, "b"));
	ledger_rollback(l, mark);
	assert_non_null(map_named(l, "b"));
	assert_null(map_named(l, "c"));
	assert_int_equal(map_named(l, "a")->resource_version, 1);
	assert_int_equal(ledger_commit(l, start_ms), OK);
	assert_int_equal(store_version(ledger_store(l)), 2);
	ledger_close(l);
}

static void test_ten_thousand_in_one(void **state)
{
	struct ledger *l = open_ledger(64 << 20);
	char name[16];
	size_t n;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		put_map(l, name, "1");
	}
	assert_int_equal(ledger_commit(l, start_ms), OK);
	snapshot_list(ledger_snapshot(l), "ConfigMap", &n);
	assert_int_equal(n, 10000);
	for (int i = 0; i < 10000; i += 977) {
		snprintf(name, sizeof(name), "m%d", i);
		assert_int_equal(map_named(l, name)->resource_version, i + 1);
	}
	ledger_close(l);
}

static void test_everything_of_a_namespace(void **state)
{
	struct ledger *l = open_ledger(MAP);
	const struct object **inside;
	size_t n;

	(void)state;
	put_map(l, "stored", "1");
	put_map(l, "deleted", "1");
	put_map(l, "changed", "1");
	put(l, "ConfigMap", "{\"metadata\":{\"name\":\"x\",\"namespace\":\"other\"}}");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	ledger_delete(l, map_named(l, "deleted"));
	put_map(l, "changed", "2");
	put_map(l, "changed", "3");
	put_map(l, "new", "1");
	inside = ledger_namespace(l, "default", &n);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(inside[i], map_named(l, inside[i]->name));
		object_put(inside[i]);
	}
	free(inside);
	ledger_close(l);
}

/* A snapshot that somebody holds stays as it was. */
static void test_old_snapshots_do_not_change(void **state)
{
	struct ledger *l = open_ledger(MAP);
	struct snapshot *before;

	(void)state;
	put_map(l, "a", "1");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	before = snapshot_get(ledger_snapshot(l));
	put_map(l, "a", "2");
	put_map(l, "b", "1");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	ledger_delete(l, map_named(l, "a"));
	assert_int_equal(ledger_commit(l, start_ms), OK);
	assert_string_equal(doc_str(doc_at(snapshot_find(before, "ConfigMap", "default", "a")->root, "data"), "k"),
			    "1");
	assert_null(snapshot_find(before, "ConfigMap", "default", "b"));
	assert_int_equal(snapshot_resource_version(before), 1);
	ledger_close(l);
	assert_int_equal(snapshot_resource_version(before), 1);
	snapshot_put(before);
}

/* ---- damaged ---- */

/* Writes the text over each place of the data file where `from`, of the same length, stands; returns how many. */
static unsigned overwrite(const char *from, const char *to)
{
	const size_t n = strlen(from);
	char path[200], *bytes, *at;
	struct stat st;
	unsigned places = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/store/data.mdb", directory);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	for (at = bytes; (at = memmem(at, (size_t)(bytes + st.st_size - at), from, n)); places++)
		memcpy(at, to, n);
	munmap(bytes, (size_t)st.st_size);
	close(fd);
	return places;
}

/* An object that is none any more is told, in a sentence and not by a crash. */
static void test_damaged(void **state)
{
	static const struct {
		const char *name, *from, *to;
	} rows[] = {
		{"no JSON", "\"name\":\"damaged\"", "\"name\":\"damaged{"},
		{"no name", "\"name\":\"damaged\"", "\"nome\":\"damaged\""},
	};
	char error[256];

	(void)state;
	struct ledger *l = open_ledger(MAP);

	put_map(l, "damaged", "1");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	ledger_close(l);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(overwrite(rows[i].from, rows[i].to) > 0);
		error[0] = 0;
		if (ledger_open(directory, MAP, error) || !strstr(error, "damaged: it holds something that is no object"))
			fail_msg("%s: %s", rows[i].name, error);
		assert_true(overwrite(rows[i].to, rows[i].from) > 0);
	}
	ledger_close(open_ledger(MAP));
}

/* ---- killed ---- */

/* Commits in a child that is killed at a random moment: what it said it had done is there, and nothing by halves. */
static void test_killed_in_the_middle(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		int pipes[2], told = 0, status, i;
		char name[32];
		pid_t child;

		assert_int_equal(pipe(pipes), 0);
		child = fork();
		if (child == 0) {
			char error[256];
			struct ledger *l = ledger_open(directory, MAP, error);

			for (i = 0; l; i++) {
				/* Two objects per commit: both or none. */
				snprintf(name, sizeof(name), "r%d-%d-a", round, i);
				put_map(l, name, "1");
				snprintf(name, sizeof(name), "r%d-%d-b", round, i);
				put_map(l, name, "1");
				if (ledger_commit(l, start_ms) != OK || write(pipes[1], "x", 1) != 1)
					_exit(3);
			}
			_exit(2);
		}
		close(pipes[1]);
		/* Let it get going, then some time that differs from round to round. */
		char byte;

		for (i = 0; i <= round && read(pipes[0], &byte, 1) == 1; i++)
			told++;
		usleep((useconds_t)(round * 137) % 3000);
		kill(child, SIGKILL);
		while (read(pipes[0], &byte, 1) == 1)
			told++;
		close(pipes[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));

		struct ledger *l = open_ledger(MAP);
		int present = 0;

		for (i = 0;; i++) {
			const struct object *a, *b;

			snprintf(name, sizeof(name), "r%d-%d-a", round, i);
			a = map_named(l, name);
			snprintf(name, sizeof(name), "r%d-%d-b", round, i);
			b = map_named(l, name);
			assert_int_equal(a != NULL, b != NULL);
			if (!a)
				break;
			present++;
		}
		assert_true(present >= told && present <= told + 1);
		ledger_close(l);
	}
}

/* ---- readers ---- */

static void look_at_lists(struct store_reader *r)
{
	const struct kind *kind = kind_by_name("ConfigMap");
	struct store_page page = {.limit = 2};
	struct store_list list;

	LOOK(store_reader_list(r, kind, "default", NULL, &list) == OK);
	LOOK(list.n == 3 && list.resource_version == 5 && !list.more);
	LOOK(strcmp(list.items[0].name, "a") == 0 && strcmp(list.items[2].name, "c") == 0);
	LOOK(strcmp(list.items[1].namespace, "default") == 0);
	LOOK(strstr(list.items[0].json, "\"resourceVersion\":\"1\""));
	store_list_fini(&list);
	LOOK(store_reader_list(r, kind, NULL, NULL, &list) == OK && list.n == 4);
	store_list_fini(&list);
	LOOK(store_reader_list(r, kind, "defaul", NULL, &list) == OK && list.n == 0);
	store_list_fini(&list);
	LOOK(store_reader_list(r, kind_by_name("Gateway"), NULL, NULL, &list) == OK && list.n == 0);
	store_list_fini(&list);
	LOOK(store_reader_list(r, kind, "default", &page, &list) == OK && list.n == 2 && list.more);
	page.after_namespace = "default";
	page.after_name = "b";
	store_list_fini(&list);
	LOOK(store_reader_list(r, kind, "default", &page, &list) == OK && list.n == 1 && !list.more);
	LOOK(strcmp(list.items[0].name, "c") == 0);
	store_list_fini(&list);
	LOOK(store_reader_get(r, kind, "default", "b", &list) == OK && list.n == 1);
	store_list_fini(&list);
	LOOK(store_reader_get(r, kind, "default", "z", &list) == ERR_NOT_FOUND);
}

static void test_reader_lists(void **state)
{
	struct ledger *l = open_ledger(MAP);

	(void)state;
	put_map(l, "a", "1");
	put_map(l, "c", "1");
	put_map(l, "b", "1");
	put(l, "ConfigMap", "{\"metadata\":{\"name\":\"a\",\"namespace\":\"other\"}}");
	put(l, "GatewayClass", "{\"metadata\":{\"name\":\"default\"}}");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	in_child(look_at_lists);
	ledger_close(l);
}

static void look_at_events(struct store_reader *r)
{
	struct store_events events;
	uint64_t version;

	LOOK(store_reader_version(r, &version) == OK && version == 3);
	LOOK(store_reader_events(r, 0, 100, &events) == OK && !events.expired && events.n == 3);
	LOOK(events.events[0].op == STORE_ADDED && events.events[0].resource_version == 1);
	LOOK(strcmp(events.events[0].old_labels, "") == 0);
	LOOK(events.events[1].op == STORE_MODIFIED && strcmp(events.events[1].old_labels, "{\"v\":\"1\"}") == 0);
	LOOK(strstr(events.events[1].json, "\"v\":\"2\""));
	LOOK(events.events[2].op == STORE_DELETED && strcmp(events.events[2].name, "a") == 0);
	/* A deleted object is shown as it was, with the version of its deletion. */
	LOOK(strstr(events.events[2].json, "\"resourceVersion\":\"3\"") &&
	     strstr(events.events[2].json, "\"v\":\"2\""));
	store_events_fini(&events);
	LOOK(store_reader_events(r, 2, 100, &events) == OK && events.n == 1 && events.events[0].resource_version == 3);
	store_events_fini(&events);
	LOOK(store_reader_events(r, 0, 2, &events) == OK && events.n == 2);
	store_events_fini(&events);
	LOOK(store_reader_events(r, 3, 100, &events) == OK && events.n == 0 && !events.expired);
	store_events_fini(&events);
}

static void test_reader_events(void **state)
{
	struct ledger *l = open_ledger(MAP);

	(void)state;
	put_map(l, "a", "1");
	put_map(l, "a", "2");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	ledger_delete(l, map_named(l, "a"));
	assert_int_equal(ledger_commit(l, start_ms), OK);
	in_child(look_at_events);
	ledger_close(l);
}

static void look_after_trimming(struct store_reader *r)
{
	struct store_events events;

	LOOK(store_reader_events(r, 0, 100, &events) == OK && events.expired && events.n == 0);
	store_events_fini(&events);
	/* The second commit trimmed the first's two events, ten minutes later; nothing younger. */
	LOOK(store_reader_events(r, 1, 100, &events) == OK && events.expired);
	store_events_fini(&events);
	LOOK(store_reader_events(r, 2, 100, &events) == OK && !events.expired && events.n == 2);
	store_events_fini(&events);
}

static void test_journal_keeps_ten_minutes(void **state)
{
	struct ledger *l = open_ledger(MAP);

	(void)state;
	put_map(l, "a", "1");
	put_map(l, "a", "2");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	put_map(l, "a", "3");
	assert_int_equal(ledger_commit(l, start_ms + STORE_JOURNAL_MS), OK);
	put_map(l, "a", "4");
	assert_int_equal(ledger_commit(l, start_ms + STORE_JOURNAL_MS + 1), OK);
	in_child(look_after_trimming);
	ledger_close(l);
}

static void look_after_restore(struct store_reader *r)
{
	struct store_events events;
	uint64_t version;

	LOOK(store_reader_version(r, &version) == OK && version == 1000000001);
	LOOK(store_reader_events(r, 1, 100, &events) == OK && events.expired);
	store_events_fini(&events);
	LOOK(store_reader_events(r, version, 100, &events) == OK && !events.expired && events.n == 0);
	store_events_fini(&events);
}

static void test_restore_is_a_new_epoch(void **state)
{
	struct ledger *l = open_ledger(MAP);

	(void)state;
	put_map(l, "a", "1");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	assert_int_equal(store_advance(ledger_store(l)), OK);
	in_child(look_after_restore);
	put_map(l, "b", "1");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	assert_int_equal(map_named(l, "b")->resource_version, 1000000002);
	ledger_close(l);
}

/* A reader that is killed inside of its transaction must not pin the pages of its time for ever. */
static void test_killed_reader(void **state)
{
	struct ledger *l = open_ledger(SMALL_MAP);
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		MDB_env *env;
		MDB_txn *txn;

		if (mdb_env_create(&env) != 0 || mdb_env_open(env, path_of("store"), MDB_RDONLY, 0) != 0 ||
		    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	for (int i = 0; i < 2000; i++) {
		put_map(l, "a", i % 2 ? "1" : "2");
		assert_int_equal(ledger_commit(l, start_ms + (int64_t)i * STORE_JOURNAL_MS), OK);
	}
	assert_true(store_used_percent(ledger_store(l)) < 50);
	ledger_close(l);
}

/* ---- Secrets ---- */

static bool file_contains(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *bytes;
	bool found;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	bytes = malloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	found = memmem(bytes, (size_t)st.st_size, text, strlen(text)) != NULL;
	free(bytes);
	close(fd);
	return found;
}

static void test_secret_is_sealed(void **state)
{
	/* "the quick brown key" */
	static const char plain[] = "the quick brown key", base64[] = "dGhlIHF1aWNrIGJyb3duIGtleQ==";
	struct ledger *l = open_ledger(MAP);
	const struct object *o;
	yyjson_mut_doc *doc;
	struct stat st;
	char *bytes;
	size_t n;

	(void)state;
	put(l, "Secret", "{\"metadata\":{\"name\":\"visible\",\"namespace\":\"default\"},\"data\":{\"k\":"
	    "\"dGhlIHF1aWNrIGJyb3duIGtleQ==\"},\"type\":\"Opaque\"}");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	ledger_close(l);
	assert_false(file_contains(path_of("store/data.mdb"), plain));
	assert_false(file_contains(path_of("store/data.mdb"), base64));
	assert_true(file_contains(path_of("store/data.mdb"), "visible"));
	assert_int_equal(stat(path_of("seal.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	l = open_ledger(MAP);
	o = ledger_find(l, kind_by_name("Secret"), "default", "visible");
	assert_null(doc_get(o->root, "data"));
	assert_int_equal(snapshot_secret(ledger_snapshot(l), o, "k", &bytes, &n), OK);
	assert_int_equal(n, strlen(plain));
	assert_memory_equal(bytes, plain, n);
	free(bytes);
	assert_int_equal(snapshot_secret(ledger_snapshot(l), o, "none", &bytes, &n), ERR_NOT_FOUND);
	assert_int_equal(ledger_open_object(l, o, &doc), OK);
	assert_string_equal(
		yyjson_mut_get_str(yyjson_mut_obj_get(yyjson_mut_obj_get(yyjson_mut_doc_get_root(doc), "data"), "k")),
		base64);
	yyjson_mut_doc_free(doc);
	ledger_close(l);
}

/* The same sealed text under another name, and another key. */
static void test_seal_is_bound(void **state)
{
	char error[256], *text, *bytes;
	struct seal *seal = seal_open_key(path_of("key-a"), error), *other = seal_open_key(path_of("key-b"), error);
	size_t n;

	(void)state;
	assert_non_null(seal);
	assert_non_null(other);
	assert_int_equal(seal_close(seal, "Secret/a/b", "x", 1, &text), OK);
	assert_int_equal(seal_open(seal, "Secret/a/b", text, &bytes, &n), OK);
	assert_int_equal(n, 1);
	seal_wipe(bytes, n);
	assert_int_equal(seal_open(seal, "Secret/a/c", text, &bytes, &n), ERR_INVALID);
	assert_int_equal(seal_open(other, "Secret/a/b", text, &bytes, &n), ERR_INVALID);
	text[20] = text[20] == 'A' ? 'B' : 'A';
	assert_int_equal(seal_open(seal, "Secret/a/b", text, &bytes, &n), ERR_INVALID);
	assert_int_equal(seal_open(seal, "Secret/a/b", "AAAA", &bytes, &n), ERR_INVALID);
	free(text);
	seal_free(seal);
	seal_free(other);
	assert_int_equal(chmod(path_of("key-a"), 0644), 0);
	assert_null(seal_open_key(path_of("key-a"), error));
	assert_non_null(strstr(error, "others may read it"));
}

/* ---- a full map ---- */

static void test_creates_stop_at_80_percent(void **state)
{
	struct ledger *l = open_ledger(SMALL_MAP);
	const struct object *o;
	enum err e = OK;
	char name[16];
	unsigned used;
	int made = 0;

	(void)state;
	while (e == OK && made < 100000) {
		char json[256];
		yyjson_mut_doc *doc;

		snprintf(json, sizeof(json), MAP_NAMED("m%d", "1"), made);
		doc = parse(json);
		e = ledger_put(l, kind_by_name("ConfigMap"), doc, &o);
		yyjson_mut_doc_free(doc);
		if (e == OK) {
			assert_int_equal(ledger_commit(l, start_ms), OK);
			made++;
		}
	}
	used = store_used_percent(ledger_store(l));
	assert_int_equal(e, ERR_FULL);
	assert_true(made > 100);
	assert_true(used >= 80 && used < 90);
	/* Changing what is there still works, for a while; deleting to the very end. */
	put_map(l, "m1", "2");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	for (int i = 0; i < made; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		ledger_delete(l, map_named(l, name));
		assert_int_equal(ledger_commit(l, start_ms), OK);
	}
	/* Ten minutes later, with the journal trimmed, there is room again. */
	for (int i = 0; i < 400; i++) {
		if (store_used_percent(ledger_store(l)) < 80)
			put_map(l, "again", i % 2 ? "1" : "2");
		else
			break;
		assert_int_equal(ledger_commit(l, start_ms + 2 * STORE_JOURNAL_MS), OK);
	}
	assert_true(store_used_percent(ledger_store(l)) < 50);
	ledger_close(l);
}

/* What does not fit is refused whole, and what was there before is there after. */
static void test_too_large_a_transaction(void **state)
{
	struct ledger *l = open_ledger(SMALL_MAP);
	char name[16];
	size_t n;

	(void)state;
	put_map(l, "before", "1");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		put_map(l, name, "1");
	}
	assert_int_equal(ledger_commit(l, start_ms), ERR_FULL);
	assert_null(map_named(l, "m1"));
	assert_int_equal(store_version(ledger_store(l)), 1);
	put_map(l, "after", "1");
	assert_int_equal(ledger_commit(l, start_ms), OK);
	assert_int_equal(map_named(l, "after")->resource_version, 2);
	ledger_close(l);
	l = open_ledger(SMALL_MAP);
	snapshot_list(ledger_snapshot(l), "ConfigMap", &n);
	assert_int_equal(n, 2);
	ledger_close(l);
}

static void test_tokens(void **state)
{
	struct ledger *l = open_ledger(MAP);
	char hex[DIGEST_HEX_MAX], *json;

	(void)state;
	assert_false(store_has_tokens(ledger_store(l)));
	assert_int_equal(store_token_put(ledger_store(l), seal_digest("abc", 3, hex), "{\"role\":\"admin\"}"), OK);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_true(store_has_tokens(ledger_store(l)));
	json = store_token_get(ledger_store(l), hex);
	assert_string_equal(json, "{\"role\":\"admin\"}");
	free(json);
	assert_null(store_token_get(ledger_store(l), "00"));
	ledger_close(l);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, on_setup, on_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_versions_follow_one_by_one),
		CASE(test_reopened),
		CASE(test_one_writer),
		CASE(test_rollback_to_a_mark),
		CASE(test_ten_thousand_in_one),
		CASE(test_everything_of_a_namespace),
		CASE(test_old_snapshots_do_not_change),
		CASE(test_damaged),
		CASE(test_killed_in_the_middle),
		CASE(test_reader_lists),
		CASE(test_reader_events),
		CASE(test_journal_keeps_ten_minutes),
		CASE(test_restore_is_a_new_epoch),
		CASE(test_killed_reader),
		CASE(test_secret_is_sealed),
		CASE(test_seal_is_bound),
		CASE(test_creates_stop_at_80_percent),
		CASE(test_too_large_a_transaction),
		CASE(test_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
