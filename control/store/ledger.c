/*
 * See ledger.h. Staged events are a growing array; a small hash table over it finds the latest one of an object, so
 * that a file of ten thousand objects is not searched ten thousand times.
 *
 * The text of an event is written when it is staged, but that of a draft gets its version only when it is merged: so
 * the version has a place of the longest number's width, which is closed up when the number is put in.
 */
#include "control/store/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/check.h"
#include "control/wipe.h"

enum { LEDGER_MAGIC = 0x1ed6e701, SLOTS_MIN = 64, DIGITS_MAX = 20 };

struct staged {
	struct store_event event;
	const struct object *object;    /* null: deleted. Owned. */
	const struct object *before;    /* what gives namespace and name to a deletion. Owned, or null. */
	char *labels;
	uint64_t hash;
	size_t version_at;              /* where the version's place is in the text */
	const struct object *seen;      /* of a draft: what was there below it. Owned, or null. */
	bool again;                     /* of a draft: it has staged the object before, and seen what is there then */
};

struct ledger {
	uint32_t magic;
	struct ledger *base;            /* null, or this is a draft above it */
	struct snapshot *gathered;      /* of a draft: what a whole namespace was looked up in. Owned, or null. */
	size_t gathered_n;              /* and what was staged then */
	struct store *store;
	struct seal *seal;
	struct snapshot *current;
	struct staged *staged;
	size_t staged_n, staged_room;
	uint32_t *slots;                /* index + 1 of the latest event of an object; 0: empty. Linear probing. */
	size_t slots_n;
	unsigned used_percent;
};

/* ---- opening ---- */

struct loading {
	struct object_change *changes;
	size_t n, room;
	uint64_t newest;
	bool damaged;                   /* an object is none: we wrote it whole, somebody else or the disk changed it */
};

static bool load_one(void *closure, const struct kind *kind, const char *json, size_t n)
{
	struct loading *loading = closure;
	yyjson_doc *doc = yyjson_read(json, n, 0);
	struct object *o;

	if (!*doc_str(doc_at(yyjson_doc_get_root(doc), "metadata"), "name")) {
		yyjson_doc_free(doc);
		loading->damaged = true;
		return false;
	}
	o = object_new(kind, doc);
	if (loading->n == loading->room) {
		loading->room = loading->room ? 2 * loading->room : 256;
		loading->changes = realloc(loading->changes, loading->room * sizeof(loading->changes[0]));
		CHECK(loading->changes);
	}
	loading->changes[loading->n++] = (struct object_change){kind, o->namespace, o->name, o};
	if (o->resource_version > loading->newest)
		loading->newest = o->resource_version;
	return true;
}

/* Null, or what is wrong with the store. */
static const char *load(struct ledger *l)
{
	struct loading loading = {0};
	struct snapshot *empty = snapshot_new(l->seal);
	const enum err e = store_load(l->store, load_one, &loading);
	const char *problem = NULL;

	if (e != OK)
		problem = err_text(e);
	else if (loading.damaged)
		problem = "the file is damaged: it holds something that is no object";
	else if (loading.newest > store_version(l->store))
		problem = "the file is damaged: its counter lags behind what it counted";
	if (!problem)
		l->current = snapshot_with(empty, loading.changes, loading.n, store_version(l->store));
	for (size_t i = 0; i < loading.n; i++)
		object_put(loading.changes[i].object);
	free(loading.changes);
	snapshot_put(empty);
	return problem;
}

struct ledger *ledger_open(const char *state_directory, size_t map_bytes, char error[static 256])
{
	struct ledger *l = calloc(1, sizeof(*l));
	const char *problem;
	char path[512];

	CHECK(l);
	l->magic = LEDGER_MAGIC;
	if (mkdir(state_directory, 0750) != 0 && errno != EEXIST) {
		snprintf(error, 256, "%.200s: %s", state_directory, strerror(errno));
		goto failed;
	}
	snprintf(path, sizeof(path), "%s/seal.key", state_directory);
	l->seal = seal_open_key(path, error);
	if (!l->seal)
		goto failed;
	snprintf(path, sizeof(path), "%s/store", state_directory);
	l->store = store_open(path, map_bytes, error);
	if (!l->store)
		goto failed;
	l->used_percent = store_used_percent(l->store);
	problem = load(l);
	if (!problem)
		return l;
	snprintf(error, 256, "%.180s: %.70s", path, problem);
failed:
	ledger_close(l);
	return NULL;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	CHECK_MAGIC(l, LEDGER_MAGIC);
	ledger_rollback(l, 0);
	snapshot_put(l->current);
	store_close(l->store);
	seal_free(l->seal);
	free(l->staged);
	free(l->slots);
	l->magic = 0;
	free(l);
}

struct store *ledger_store(struct ledger *l)
{
	CHECK_MAGIC(l, LEDGER_MAGIC);
	return l->store;
}

const struct seal *ledger_seal(const struct ledger *l)
{
	CHECK_MAGIC(l, LEDGER_MAGIC);
	return l->seal;
}

struct snapshot *ledger_snapshot(const struct ledger *l)
{
	CHECK_MAGIC(l, LEDGER_MAGIC);
	return l->current;
}

/* ---- the staged events and their index ---- */

static uint64_t hash_of(const struct kind *kind, const char *namespace, const char *name)
{
	return XXH3_64bits_withSeed(name, strlen(name),
				    XXH3_64bits_withSeed(namespace, strlen(namespace), kind_index(kind)));
}

static bool is_about(const struct staged *s, const struct kind *kind, const char *namespace, const char *name)
{
	return s->event.kind == kind && strcmp(s->event.name, name) == 0 && strcmp(s->event.namespace, namespace) == 0;
}

/* The slot of the object, or the empty one where it would go. */
static uint32_t *slot_of(const struct ledger *l, uint64_t hash, const struct kind *kind, const char *namespace,
                         const char *name)
{
	for (size_t i = hash & (l->slots_n - 1);; i = (i + 1) & (l->slots_n - 1)) {
		uint32_t *slot = &l->slots[i];

		if (*slot == 0)
			return slot;
		const struct staged *s = &l->staged[*slot - 1];

		if (s->hash == hash && is_about(s, kind, namespace, name))
			return slot;
	}
}

static void index_staged(struct ledger *l, size_t at)
{
	const struct staged *s = &l->staged[at];

	*slot_of(l, s->hash, s->event.kind, s->event.namespace, s->event.name) = (uint32_t)at + 1;
}

static void reindex(struct ledger *l, size_t slots_n)
{
	free(l->slots);
	l->slots = calloc(slots_n, sizeof(l->slots[0]));
	CHECK(l->slots);
	l->slots_n = slots_n;
	for (size_t i = 0; i < l->staged_n; i++)
		index_staged(l, i);
}

static void push(struct ledger *l, const struct staged *s)
{
	if (l->staged_n == l->staged_room) {
		l->staged_room = l->staged_room ? 2 * l->staged_room : 64;
		l->staged = realloc(l->staged, l->staged_room * sizeof(l->staged[0]));
		CHECK(l->staged);
	}
	l->staged[l->staged_n++] = *s;
	if (l->slots_n < 2 * l->staged_n)
		reindex(l, l->slots_n ? 2 * l->slots_n : SLOTS_MIN);
	else
		index_staged(l, l->staged_n - 1);
}

static void drop(struct staged *s)
{
	free((char *)(uintptr_t)s->event.json);
	free(s->labels);
	object_put(s->object);
	object_put(s->before);
	object_put(s->seen);
}

const struct object *ledger_find(const struct ledger *l, const struct kind *kind, const char *namespace,
				 const char *name)
{
	CHECK_MAGIC(l, LEDGER_MAGIC);
	if (l->staged_n) {
		uint32_t slot = *slot_of(l, hash_of(kind, namespace, name), kind, namespace, name);

		if (slot)
			return l->staged[slot - 1].object;
	}
	return l->base ? ledger_find(l->base, kind, namespace, name) :
	                 snapshot_find(l->current, kind->name, namespace, name);
}

static const struct ledger *root_of(const struct ledger *l)
{
	return l->base ? l->base : l;
}

/* The i-th of all that is staged: of the draft, then of the ledger. */
static const struct object *staged_object(const struct ledger *l, size_t i)
{
	return i < l->staged_n ? l->staged[i].object : l->base->staged[i - l->staged_n].object;
}

const struct object **ledger_namespace(struct ledger *l, const char *namespace, size_t *n)
{
	const struct ledger *root = root_of(l);
	size_t room = 64;
	const struct object **found = malloc(room * sizeof(*found));

	CHECK_MAGIC(l, LEDGER_MAGIC);
	CHECK(found);
	*n = 0;
	if (l->base && !l->gathered) {
		l->gathered = snapshot_get(root->current);
		l->gathered_n = root->staged_n;
	}
	for (size_t k = 0; k < kinds_count; k++) {
		size_t count, total = l->staged_n + (l->base ? l->base->staged_n : 0);
		const struct object *const *items = snapshot_list(root->current, kinds[k]->name, &count);

		if (!kinds[k]->namespaced)
			continue;
		/* What is stored, then what was staged: each object is taken where ledger_find() gives that very one.
		 */
		for (size_t i = 0; i < count + total; i++) {
			const struct object *o = i < count ? items[i] : staged_object(l, i - count);

			if (!o || o->kind != kinds[k] || strcmp(o->namespace, namespace) != 0 ||
			    ledger_find(l, o->kind, o->namespace, o->name) != o)
				continue;
			if (*n == room) {
				room *= 2;
				found = realloc(found, room * sizeof(*found));
				CHECK(found);
			}
			found[(*n)++] = object_get(o);
		}
	}
	return found;
}

/* ---- changing ---- */

/* The labels as they were, for watches with a selector. */
static char *labels_of(const struct object *o)
{
	yyjson_val *labels = o ? doc_at(o->root, "metadata.labels") : NULL;
	char *text = labels ? yyjson_val_write(labels, 0, NULL) : strdup("");

	CHECK(text);
	return text;
}

/*
 * The document as text, with a place for its version: "00000000000000000000". It is found by a byte that no JSON text
 * has, since control characters are escaped in it.
 */
static char *write_text(yyjson_mut_doc *doc, struct staged *s)
{
	static const char mark[DIGITS_MAX + 3] = "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1";
	yyjson_mut_val *metadata = yyjson_mut_obj_get(yyjson_mut_doc_get_root(doc), "metadata");
	char *text, *at;

	yyjson_mut_obj_remove_str(metadata, "resourceVersion");
	yyjson_mut_obj_add_val(doc, metadata, "resourceVersion", yyjson_mut_rawn(doc, mark, DIGITS_MAX + 2));
	text = yyjson_mut_write(doc, 0, &s->event.json_n);
	at = text ? memchr(text, mark[0], s->event.json_n) : NULL;
	CHECK(at && memcmp(at, mark, DIGITS_MAX + 2) == 0);
	memset(at, '0', DIGITS_MAX + 2);
	at[0] = at[DIGITS_MAX + 1] = '"';
	s->version_at = (size_t)(at + 1 - text);
	s->event.json = text;
	return text;
}

/* Puts the version in its place, in the text and in the object, which nobody else has seen yet. */
static void stamp(struct staged *s, uint64_t version)
{
	char digits[DIGITS_MAX + 1], *text = (char *)(uintptr_t)s->event.json;
	const size_t n = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)version);
	const size_t rest = s->version_at + DIGITS_MAX;

	memcpy(text + s->version_at, digits, n);
	memmove(text + s->version_at + n, text + rest, s->event.json_n - rest + 1);
	s->event.json_n -= DIGITS_MAX - n;
	s->event.resource_version = version;
	if (s->object)
		object_set_version((struct object *)(uintptr_t)s->object, version, digits);
}

/* A draft remembers what it was made from; the ledger itself knows the version at once. */
static void stage(struct ledger *l, struct staged *s)
{
	const struct store_event *e = &s->event;

	s->hash = hash_of(e->kind, e->namespace, e->name);
	if (!l->base) {
		stamp(s, store_version(l->store) + l->staged_n + 1);
	} else if (l->staged_n && *slot_of(l, s->hash, e->kind, e->namespace, e->name)) {
		s->again = true;
	} else {
		const struct object *seen = ledger_find(l->base, e->kind, e->namespace, e->name);

		s->seen = seen ? object_get(seen) : NULL;
	}
	push(l, s);
}

/* Puts `sealed` in the place of `data`. */
static void seal_data(const struct ledger *l, const struct kind *kind, yyjson_mut_doc *doc)
{
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *metadata = yyjson_mut_obj_get(root, "metadata");
	yyjson_mut_val *data = yyjson_mut_obj_get(root, "data");
	char place[OBJECT_PLACE_MAX], *text;
	size_t n;
	char *plain;

	if (!data || strcmp(kind->name, "Secret") != 0)
		return;
	snprintf(place, sizeof(place), "%s/%s/%s", kind->name,
		 yyjson_mut_get_str(yyjson_mut_obj_get(metadata, "namespace")),
		 yyjson_mut_get_str(yyjson_mut_obj_get(metadata, "name")));
	plain = yyjson_mut_val_write_opts(data, 0, &wiping, &n, NULL);
	CHECK(plain && seal_close(l->seal, place, plain, n, &text) == OK);
	wiping_free(plain);
	yyjson_mut_obj_remove_str(root, "data");
	yyjson_mut_obj_add_strcpy(doc, root, "sealed", text);
	free(text);
}

enum err ledger_open_object(const struct ledger *l, const struct object *o, yyjson_mut_doc **out)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(&wiping);
	yyjson_mut_val *root = yyjson_val_mut_copy(doc, o->root);
	const char *sealed = doc_str(o->root, "sealed");
	char place[OBJECT_PLACE_MAX], *plain;
	size_t n;

	CHECK_MAGIC(l, LEDGER_MAGIC);
	yyjson_mut_doc_set_root(doc, root);
	*out = doc;
	if (strcmp(o->kind->name, "Secret") != 0 || !*sealed)
		return OK;
	if (seal_open(l->seal, object_place(o, place), sealed, &plain, &n) != OK) {
		yyjson_mut_doc_free(doc);
		return ERR_INVALID;
	}
	yyjson_doc *data = yyjson_read_opts(plain, n, 0, &wiping, NULL);

	CHECK(data);
	yyjson_mut_obj_remove_str(root, "sealed");
	yyjson_mut_obj_add_val(doc, root, "data", yyjson_val_mut_copy(doc, yyjson_doc_get_root(data)));
	yyjson_doc_free(data);
	seal_wipe(plain, n);
	return OK;
}

enum err ledger_put(struct ledger *l, const struct kind *kind, yyjson_mut_doc *doc, const struct object **out)
{
	unsigned used_percent = root_of(l)->used_percent;
	struct staged s = {0};
	const struct object *before;
	struct object *o;
	yyjson_doc *parsed;
	char *json;

	CHECK_MAGIC(l, LEDGER_MAGIC);
	seal_data(l, kind, doc);
	json = write_text(doc, &s);
	parsed = yyjson_read(json, s.event.json_n, 0);
	CHECK(parsed);
	o = object_new(kind, parsed);
	before = ledger_find(l, kind, o->namespace, o->name);
	if (before ? store_is_full(used_percent) : store_is_crowded(used_percent)) {
		free(json);
		object_put(o);
		return ERR_FULL;
	}
	s.event.op = before ? STORE_MODIFIED : STORE_ADDED;
	s.event.kind = kind;
	s.event.namespace = o->namespace;
	s.event.name = o->name;
	s.event.old_labels = s.labels = labels_of(before);
	s.object = o;
	stage(l, &s);
	*out = o;
	return OK;
}

void ledger_delete(struct ledger *l, const struct object *o)
{
	struct staged s = {0};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	CHECK_MAGIC(l, LEDGER_MAGIC);
	s.before = object_get(o);
	yyjson_mut_doc_set_root(doc, yyjson_val_mut_copy(doc, o->root));
	write_text(doc, &s);
	yyjson_mut_doc_free(doc);
	s.event.op = STORE_DELETED;
	s.event.kind = o->kind;
	s.event.namespace = o->namespace;
	s.event.name = o->name;
	s.event.old_labels = s.labels = labels_of(o);
	stage(l, &s);
}

/* ---- drafts ---- */

struct ledger *ledger_draft(struct ledger *l)
{
	struct ledger *d = calloc(1, sizeof(*d));

	CHECK_MAGIC(l, LEDGER_MAGIC);
	CHECK(d && !l->base);
	d->magic = LEDGER_MAGIC;
	d->base = l;
	d->store = l->store;
	d->seal = l->seal;
	return d;
}

void ledger_draft_free(struct ledger *d)
{
	if (!d)
		return;
	CHECK_MAGIC(d, LEDGER_MAGIC);
	CHECK(d->base);
	ledger_rollback(d, 0);
	snapshot_put(d->gathered);
	free(d->staged);
	free(d->slots);
	d->magic = 0;
	free(d);
}

/* What is put has its namespace; those of neighbours in a file are mostly the same one. */
static bool has_namespace(const struct ledger *d, const struct staged *s, const char **known)
{
	const struct store_event *e = &s->event;

	if (!s->object || !e->kind->namespaced || (*known && strcmp(*known, e->namespace) == 0))
		return true;
	*known = e->namespace;
	return ledger_find(d, kind_by_name("Namespace"), "", e->namespace) != NULL;
}

static bool still_holds(const struct ledger *d)
{
	const struct ledger *l = d->base;
	const char *known = NULL;

	if (d->gathered && (d->gathered != l->current || d->gathered_n != l->staged_n))
		return false;
	for (size_t i = 0; i < d->staged_n; i++) {
		const struct staged *s = &d->staged[i];
		const struct store_event *e = &s->event;

		if (!s->again && ledger_find(l, e->kind, e->namespace, e->name) != s->seen)
			return false;
		if (!has_namespace(d, s, &known))
			return false;
	}
	return true;
}

bool ledger_merge(struct ledger *d)
{
	struct ledger *l = d->base;

	CHECK_MAGIC(d, LEDGER_MAGIC);
	CHECK(l);
	if (!still_holds(d))
		return false;
	if (l->slots_n < 2 * (l->staged_n + d->staged_n)) {
		size_t slots_n = l->slots_n ? l->slots_n : SLOTS_MIN;

		while (slots_n < 2 * (l->staged_n + d->staged_n))
			slots_n *= 2;
		reindex(l, slots_n);
	}
	for (size_t i = 0; i < d->staged_n; i++) {
		stamp(&d->staged[i], store_version(l->store) + l->staged_n + 1);
		push(l, &d->staged[i]);
	}
	d->staged_n = 0;
	reindex(d, SLOTS_MIN);
	return true;
}

/* ---- keeping or leaving ---- */

size_t ledger_mark(const struct ledger *l)
{
	CHECK_MAGIC(l, LEDGER_MAGIC);
	return l->staged_n;
}

bool ledger_is_dirty(const struct ledger *l)
{
	return ledger_mark(l) > 0;
}

void ledger_rollback(struct ledger *l, size_t mark)
{
	CHECK_MAGIC(l, LEDGER_MAGIC);
	CHECK(mark <= l->staged_n);
	if (mark == l->staged_n)
		return;
	while (l->staged_n > mark)
		drop(&l->staged[--l->staged_n]);
	reindex(l, l->slots_n);
}

static void apply(struct ledger *l)
{
	struct object_change *changes = calloc(l->staged_n, sizeof(*changes));
	struct snapshot *next;

	CHECK(changes);
	for (size_t i = 0; i < l->staged_n; i++) {
		const struct staged *s = &l->staged[i];

		changes[i] = (struct object_change){s->event.kind, s->event.namespace, s->event.name, s->object};
	}
	next = snapshot_with(l->current, changes, l->staged_n, store_version(l->store));
	snapshot_put(l->current);
	l->current = next;
	free(changes);
}

enum err ledger_commit(struct ledger *l, int64_t now_ms)
{
	struct store_event *events;
	enum err e;

	CHECK_MAGIC(l, LEDGER_MAGIC);
	CHECK(!l->base);
	if (l->staged_n == 0)
		return OK;
	events = calloc(l->staged_n, sizeof(*events));
	CHECK(events);
	for (size_t i = 0; i < l->staged_n; i++)
		events[i] = l->staged[i].event;
	e = store_commit(l->store, events, l->staged_n, now_ms);
	free(events);
	if (e == OK)
		apply(l);
	ledger_rollback(l, 0);
	l->used_percent = store_used_percent(l->store);
	return e;
}
