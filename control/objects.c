/* See objects.h. A snapshot is one refcounted list per kind; lists hold refcounted objects, sorted. */
#include "control/objects.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/base64.h"
#include "control/schema/kind.h"
#include "control/store/seal.h"

enum { OBJECT_MAGIC = 0x0b1ec701, SNAPSHOT_MAGIC = 0x5a950701 };

/* What is behind every struct object. */
struct held {
	struct object object;
	uint32_t magic;
	atomic_uint refs;
	yyjson_doc *doc;
};

struct list {
	atomic_uint refs;
	size_t n;
	const struct object *items[];
};

struct snapshot {
	uint32_t magic;
	atomic_uint refs;
	uint64_t resource_version;
	const struct seal *seal;
	struct list *lists[];           /* by kind_index(); null: none of the kind */
};

static struct held *held_of(const struct object *o)
{
	struct held *h = (struct held *)(uintptr_t)o;

	CHECK_MAGIC(h, OBJECT_MAGIC);
	return h;
}

struct object *object_new(const struct kind *kind, yyjson_doc *doc)
{
	struct held *h = calloc(1, sizeof(*h));
	yyjson_val *root = yyjson_doc_get_root(doc);
	yyjson_val *metadata = doc_get(root, "metadata");

	CHECK(h && metadata && *doc_str(metadata, "name"));
	h->magic = OBJECT_MAGIC;
	h->doc = doc;
	atomic_init(&h->refs, 1);
	h->object = (struct object){
		.kind = kind,
		.namespace = kind->namespaced ? doc_str(metadata, "namespace") : "",
		.name = doc_str(metadata, "name"),
		.resource_version = strtoull(doc_str(metadata, "resourceVersion"), NULL, 10),
		.generation = doc_int(metadata, "generation", 0),
		.root = root,
	};
	return &h->object;
}

void object_set_version(struct object *o, uint64_t version, const char *digits)
{
	yyjson_val *value = doc_get(doc_get(o->root, "metadata"), "resourceVersion");
	char *place = (char *)(uintptr_t)yyjson_get_str(value);
	const size_t n = strlen(digits);

	CHECK(n <= yyjson_get_len(value));
	memcpy(place, digits, n + 1);
	yyjson_set_strn(value, place, n);
	o->resource_version = version;
}

const struct object *object_get(const struct object *o)
{
	atomic_fetch_add_explicit(&held_of(o)->refs, 1, memory_order_relaxed);
	return o;
}

void object_put(const struct object *o)
{
	if (!o)
		return;
	struct held *h = held_of(o);

	if (atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1)
		return;
	h->magic = 0;
	yyjson_doc_free(h->doc);
	free(h);
}

size_t object_bytes(const struct object *o)
{
	return yyjson_doc_get_read_size(held_of(o)->doc);
}

static struct list *list_new(size_t n)
{
	struct list *l = calloc(1, sizeof(*l) + n * sizeof(l->items[0]));

	CHECK(l);
	atomic_init(&l->refs, 1);
	return l;
}

static struct list *list_get(struct list *l)
{
	if (l)
		atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

static void list_put(struct list *l)
{
	if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < l->n; i++)
		object_put(l->items[i]);
	free(l);
}

struct snapshot *snapshot_new(const struct seal *seal)
{
	struct snapshot *s = calloc(1, sizeof(*s) + kinds_count * sizeof(s->lists[0]));

	CHECK(s);
	s->magic = SNAPSHOT_MAGIC;
	s->seal = seal;
	atomic_init(&s->refs, 1);
	return s;
}

struct snapshot *snapshot_get(struct snapshot *s)
{
	CHECK_MAGIC(s, SNAPSHOT_MAGIC);
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void snapshot_put(struct snapshot *s)
{
	if (!s)
		return;
	CHECK_MAGIC(s, SNAPSHOT_MAGIC);
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < kinds_count; i++)
		list_put(s->lists[i]);
	s->magic = 0;
	free(s);
}

uint64_t snapshot_resource_version(const struct snapshot *s)
{
	CHECK_MAGIC(s, SNAPSHOT_MAGIC);
	return s->resource_version;
}

static int compare_names(const char *namespace_a, const char *name_a, const char *namespace_b, const char *name_b)
{
	int order = strcmp(namespace_a, namespace_b);

	return order ? order : strcmp(name_a, name_b);
}

/* A change and its place in the order of arrival, so that sorting keeps the later one of two last. */
struct ordered {
	const struct object_change *change;
	size_t arrival;
};

static int compare_ordered(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	int order = compare_names(x->change->namespace, x->change->name, y->change->namespace, y->change->name);

	return order ? order : (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

static void append(struct list *l, const struct object *o)
{
	if (o)
		l->items[l->n++] = object_get(o);
}

/* Merges the sorted changes of one kind into its list. */
static struct list *merge(const struct list *old, const struct ordered *changes, size_t n)
{
	size_t old_n = old ? old->n : 0, at = 0;
	struct list *l = list_new(old_n + n);

	for (size_t i = 0; i < n; i++) {
		const struct object_change *c = changes[i].change;
		const struct object_change *next = i + 1 < n ? changes[i + 1].change : NULL;

		if (next && compare_names(c->namespace, c->name, next->namespace, next->name) == 0)
			continue;
		while (at < old_n &&
		       compare_names(old->items[at]->namespace, old->items[at]->name, c->namespace, c->name) < 0)
			append(l, old->items[at++]);
		if (at < old_n &&
		    compare_names(old->items[at]->namespace, old->items[at]->name, c->namespace, c->name) == 0)
			at++;
		append(l, c->object);
	}
	while (at < old_n)
		append(l, old->items[at++]);
	return l;
}

struct snapshot *snapshot_with(const struct snapshot *old, const struct object_change *changes, size_t n,
                               uint64_t resource_version)
{
	CHECK_MAGIC(old, SNAPSHOT_MAGIC);
	struct snapshot *s = snapshot_new(old->seal);
	struct ordered *mine = calloc(n + 1, sizeof(*mine));

	CHECK(mine);
	s->resource_version = resource_version;
	for (size_t k = 0; k < kinds_count; k++) {
		size_t count = 0;

		for (size_t i = 0; i < n; i++)
			if (changes[i].kind == kinds[k])
				mine[count++] = (struct ordered){&changes[i], i};
		if (count == 0) {
			s->lists[k] = list_get(old->lists[k]);
			continue;
		}
		qsort(mine, count, sizeof(*mine), compare_ordered);
		s->lists[k] = merge(old->lists[k], mine, count);
	}
	free(mine);
	return s;
}

const struct object *const *snapshot_list(const struct snapshot *s, const char *kind, size_t *n)
{
	const struct kind *k = kind_by_name(kind);

	CHECK_MAGIC(s, SNAPSHOT_MAGIC);
	CHECK(k);
	const struct list *l = s->lists[kind_index(k)];

	*n = l ? l->n : 0;
	return l ? l->items : NULL;
}

const struct object *snapshot_find(const struct snapshot *s, const char *kind, const char *namespace, const char *name)
{
	size_t n;
	const struct object *const *items = snapshot_list(s, kind, &n);
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_names(items[middle]->namespace, items[middle]->name, namespace, name);

		if (order == 0)
			return items[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static enum err decode_value(yyjson_val *data, const char *key, char **bytes, size_t *n)
{
	yyjson_val *value = doc_get(data, key);

	if (!yyjson_is_str(value))
		return ERR_NOT_FOUND;
	return base64_decode(yyjson_get_str(value), yyjson_get_len(value), bytes, n);
}

const char *object_place(const struct object *o, char text[static OBJECT_PLACE_MAX])
{
	int n = snprintf(text, OBJECT_PLACE_MAX, "%s/%s/%s", o->kind->name, o->namespace, o->name);

	CHECK(n > 0 && n < OBJECT_PLACE_MAX);
	return text;
}

enum err snapshot_secret(const struct snapshot *s, const struct object *secret, const char *key, char **bytes,
			 size_t *n)
{
	const char *sealed = doc_str(secret->root, "sealed");
	char place[OBJECT_PLACE_MAX], *plain;
	size_t plain_n;
	enum err e;

	CHECK_MAGIC(s, SNAPSHOT_MAGIC);
	if (!*sealed)
		return decode_value(doc_get(secret->root, "data"), key, bytes, n);
	if (!s->seal)
		return ERR_INVALID;
	e = seal_open(s->seal, object_place(secret, place), sealed, &plain, &plain_n);
	if (e != OK)
		return e;
	yyjson_doc *doc = yyjson_read(plain, plain_n, 0);

	e = doc ? decode_value(yyjson_doc_get_root(doc), key, bytes, n) : ERR_INVALID;
	yyjson_doc_free(doc);
	seal_wipe(plain, plain_n);
	return e;
}

/* One element of the array, as an object of a known kind; null and an error when it is not. */
static struct object *object_from(yyjson_val *value, char error[static 256])
{
	const struct kind *kind = kind_find(doc_str(value, "apiVersion"), doc_str(value, "kind"));
	yyjson_mut_doc *copy;
	yyjson_doc *doc;

	if (!kind || !*doc_str(doc_get(value, "metadata"), "name")) {
		snprintf(error, 256, "no such kind, or no name: %s %s", doc_str(value, "apiVersion"),
			 doc_str(value, "kind"));
		return NULL;
	}
	copy = yyjson_mut_doc_new(NULL);
	yyjson_mut_doc_set_root(copy, yyjson_val_mut_copy(copy, value));
	doc = yyjson_mut_doc_imut_copy(copy, NULL);
	yyjson_mut_doc_free(copy);
	CHECK(doc);
	return object_new(kind, doc);
}

struct snapshot *snapshot_from_json(const char *json, size_t n, char error[static 256])
{
	yyjson_read_err problem;
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)json, n, 0, NULL, &problem);
	yyjson_val *array = doc ? yyjson_doc_get_root(doc) : NULL, *value;
	struct snapshot *empty, *s = NULL;
	struct object_change *changes;
	size_t count = 0, i, max;

	if (!yyjson_is_arr(array)) {
		snprintf(error, 256, "at byte %zu: %s", doc ? (size_t)0 : problem.pos,
			 doc ? "not an array" : problem.msg);
		yyjson_doc_free(doc);
		return NULL;
	}
	changes = calloc(yyjson_arr_size(array) + 1, sizeof(*changes));
	CHECK(changes);
	yyjson_arr_foreach(array, i, max, value) {
		struct object *o = object_from(value, error);

		if (!o)
			goto out;
		changes[count++] = (struct object_change){o->kind, o->namespace, o->name, o};
	}
	empty = snapshot_new(NULL);
	s = snapshot_with(empty, changes, count, count);
	snapshot_put(empty);
out:
	for (i = 0; i < count; i++)
		object_put(changes[i].object);
	free(changes);
	yyjson_doc_free(doc);
	return s;
}
