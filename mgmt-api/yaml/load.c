/*
 * From libyaml's events to JSON values, with an explicit stack: one frame per open collection.
 *
 * libyaml's own document API is not used: it builds a second tree, has no limits, and resolves aliases to shared
 * nodes, which a JSON value cannot have. Events give the place of every node for free.
 *
 * A frame of a mapping remembers the key whose value is awaited and all keys so far. What a merge key (<<) brings is
 * kept aside until the mapping ends, because keys that the mapping gives itself win, wherever they stand. Aliases copy;
 * the copies are counted.
 */
#include "mgmt-api/yaml/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/check.h"
#include "mgmt-api/yaml/anchors.h"
#include "mgmt-api/yaml/json.h"
#include "mgmt-api/yaml/keyset.h"
#include "mgmt-api/yaml/scalar.h"

#define TAG "tag:yaml.org,2002:"

enum { MERGES_MAX = 16 };

struct frame {
	yyjson_mut_val *container;
	yyjson_mut_val *key;        /* the key whose value comes next */
	struct keyset keys;
	yyjson_mut_val *merges[MERGES_MAX];
	uint32_t merges_n;
	uint32_t anchor;            /* 1 + its index, 0: none */
	bool mapping;
	bool merging;               /* the awaited value belongs to a merge key */
};

struct loader {
	yaml_parser_t parser;
	struct yaml_documents *out;
	struct yaml_error *error;
	enum err err;
	size_t items_space;
	uint32_t depth;
	uint32_t nodes;
	uint32_t copies;
	struct anchors anchors;
	uint32_t root_line;
	yyjson_mut_val *root;
	struct frame frames[YAML_DEPTH_MAX];
};

__attribute__((format(printf, 4, 5)))
static bool fail(struct loader *l, enum err e, const yaml_mark_t *at, const char *format, ...)
{
	va_list args;

	l->err = e;
	l->error->line = at == NULL ? 0 : (uint32_t)at->line + 1;
	l->error->column = at == NULL ? 0 : (uint32_t)at->column + 1;
	va_start(args, format);
	vsnprintf(l->error->text, sizeof(l->error->text), format, args);
	va_end(args);
	return false;
}

static bool no_memory(struct loader *l)
{
	return fail(l, ERR_NO_MEMORY, NULL, "out of memory");
}

static bool count_node(struct loader *l, const yaml_mark_t *at)
{
	if (++l->nodes > YAML_NODES_MAX)
		return fail(l, ERR_LIMIT, at, "more than %d values", YAML_NODES_MAX);
	return true;
}

static struct frame *top(struct loader *l)
{
	return l->depth == 0 ? NULL : &l->frames[l->depth - 1];
}

static bool anchor_open(struct loader *l, const yaml_char_t *name, const yaml_mark_t *at, uint32_t *number)
{
	enum err e = anchors_open(&l->anchors, (const char *)name, number);

	if (e == ERR_LIMIT)
		return fail(l, e, at, "more than %d anchors in a document", ANCHORS_MAX);
	return e == OK || no_memory(l);
}

/* How many values, and how many levels? Stops early when either leaves its limit. */
static void measure(yyjson_mut_val *value, uint32_t level, uint32_t *nodes, uint32_t *levels)
{
	yyjson_mut_arr_iter elements;
	yyjson_mut_obj_iter members;
	yyjson_mut_val *v;

	*nodes += 1;
	if (level > *levels)
		*levels = level;
	if (*nodes > YAML_COPIES_MAX || level > YAML_DEPTH_MAX)
		return;
	if (yyjson_mut_arr_iter_init(value, &elements))
		while ((v = yyjson_mut_arr_iter_next(&elements)) != NULL)
			measure(v, level + 1, nodes, levels);
	if (yyjson_mut_obj_iter_init(value, &members))
		while ((v = yyjson_mut_obj_iter_next(&members)) != NULL)
			measure(yyjson_mut_obj_iter_get_val(v), level + 1, nodes, levels);
}

static yyjson_mut_val *copy(struct loader *l, yyjson_mut_val *value, const yaml_mark_t *at)
{
	uint32_t nodes = 0, levels = 0;
	yyjson_mut_val *made;

	measure(value, 1, &nodes, &levels);
	l->copies += nodes;
	if (l->copies > YAML_COPIES_MAX) {
		fail(l, ERR_LIMIT, at, "aliases would make more than %d values", YAML_COPIES_MAX);
		return NULL;
	}
	if (l->depth + levels > YAML_DEPTH_MAX) {
		fail(l, ERR_LIMIT, at, "nested deeper than %d levels", YAML_DEPTH_MAX);
		return NULL;
	}
	made = yyjson_mut_val_mut_copy(l->out->doc, value);
	if (made == NULL)
		no_memory(l);
	return made;
}

/* Keys and merge keys. */

static bool key_take(struct loader *l, struct frame *f, yyjson_mut_val *key, const yaml_mark_t *at)
{
	const struct keyset_entry *earlier;
	bool full;

	earlier = keyset_add(&f->keys, yyjson_mut_get_str(key), yyjson_mut_get_len(key), (uint32_t)at->line + 1, &full);
	if (full)
		return no_memory(l);
	if (earlier != NULL)
		return fail(l, ERR_INVALID, at, "key \"%.100s\" is given twice, first on line %u",
			    yyjson_mut_get_str(key), earlier->line);
	f->key = key;
	return true;
}

static bool merge_take(struct loader *l, struct frame *f, yyjson_mut_val *value, const yaml_mark_t *at)
{
	yyjson_mut_arr_iter elements;
	yyjson_mut_val *v;

	f->merging = false;
	if (yyjson_mut_is_obj(value)) {
		if (f->merges_n == MERGES_MAX)
			return fail(l, ERR_LIMIT, at, "more than %d mappings are merged into one", MERGES_MAX);
		f->merges[f->merges_n++] = value;
		return true;
	}
	if (!yyjson_mut_arr_iter_init(value, &elements))
		return fail(l, ERR_INVALID, at, "a merge key (<<) needs a mapping or a list of mappings");
	while ((v = yyjson_mut_arr_iter_next(&elements)) != NULL) {
		if (!yyjson_mut_is_obj(v))
			return fail(l, ERR_INVALID, at, "a merge key (<<) needs a mapping or a list of mappings");
		if (!merge_take(l, f, v, at))
			return false;
	}
	return true;
}

static bool merge_all(struct loader *l, struct frame *f, const yaml_mark_t *at)
{
	yyjson_mut_obj_iter members;
	yyjson_mut_val *key, *value, *key_copy;
	bool full;

	for (uint32_t i = 0; i < f->merges_n; i++) {
		yyjson_mut_obj_iter_init(f->merges[i], &members);
		while ((key = yyjson_mut_obj_iter_next(&members)) != NULL) {
			if (keyset_add(&f->keys, yyjson_mut_get_str(key), yyjson_mut_get_len(key), 0, &full) != NULL)
				continue;
			if (full)
				return no_memory(l);
			if ((value = copy(l, yyjson_mut_obj_iter_get_val(key), at)) == NULL)
				return false;
			key_copy = yyjson_mut_val_mut_copy(l->out->doc, key);
			if (key_copy == NULL)
				return no_memory(l);
			yyjson_mut_obj_add(f->container, key_copy, value);
		}
	}
	return true;
}

/* A finished node goes where it belongs: into the open collection, or it is the document. */
static bool place(struct loader *l, yyjson_mut_val *value, const yaml_mark_t *at)
{
	struct frame *f = top(l);

	if (f == NULL) {
		l->root = value;
		l->root_line = (uint32_t)at->line + 1;
		return true;
	}
	if (!f->mapping)
		return yyjson_mut_arr_append(f->container, value);
	if (f->merging)
		return merge_take(l, f, value, at);
	if (f->key == NULL)
		return fail(l, ERR_INVALID, at, "a key must be a word, not a list or a mapping");
	yyjson_mut_obj_add(f->container, f->key, value);
	f->key = NULL;
	return true;
}

/* Scalars. */

static bool awaits_key(struct loader *l)
{
	const struct frame *f = top(l);

	return f != NULL && f->mapping && f->key == NULL && !f->merging;
}

static yyjson_mut_val *value_of(yyjson_mut_doc *doc, const struct scalar *s, const char *text, size_t bytes)
{
	switch (s->type) {
	case SCALAR_NULL:
		return yyjson_mut_null(doc);
	case SCALAR_BOOL:
		return yyjson_mut_bool(doc, s->boolean);
	case SCALAR_INT:
		return s->integer < 0 ? yyjson_mut_sint(doc, s->integer) : yyjson_mut_uint(doc, (uint64_t)s->integer);
	case SCALAR_UINT:
		return yyjson_mut_uint(doc, s->natural);
	case SCALAR_FLOAT:
		return yyjson_mut_real(doc, s->real);
	case SCALAR_STRING:
	case SCALAR_NOT_JSON:
		break;
	}
	return yyjson_mut_strncpy(doc, text, bytes);
}

/* Keys that are no strings become their canonical text. */
static yyjson_mut_val *key_of(yyjson_mut_doc *doc, const struct scalar *s, const char *text, size_t bytes)
{
	char number[40];

	switch (s->type) {
	case SCALAR_BOOL:
		return yyjson_mut_str(doc, s->boolean ? "true" : "false");
	case SCALAR_INT:
		snprintf(number, sizeof(number), "%lld", (long long)s->integer);
		return yyjson_mut_strcpy(doc, number);
	case SCALAR_UINT:
		snprintf(number, sizeof(number), "%llu", (unsigned long long)s->natural);
		return yyjson_mut_strcpy(doc, number);
	case SCALAR_FLOAT:
		/* The shortest text of the 32-bit number: what the Go library makes of such a key. */
		for (int precision = 1; precision <= 9; precision++) {
			snprintf(number, sizeof(number), "%.*g", precision, s->real);
			if (strtof(number, NULL) == (float)s->real)
				break;
		}
		return yyjson_mut_strcpy(doc, number);
	case SCALAR_STRING:
	case SCALAR_NULL:
	case SCALAR_NOT_JSON:
		break;
	}
	return yyjson_mut_strncpy(doc, text, bytes);
}

static const struct tag {
	const char *name;
	enum scalar_type types[3];  /* what the text may resolve to */
	bool resolve;
} tags[] = {
	{TAG "str", {SCALAR_STRING}, false},
	{"!", {SCALAR_STRING}, false},
	{TAG "timestamp", {SCALAR_STRING}, false},
	{TAG "null", {SCALAR_NULL, SCALAR_NULL, SCALAR_NULL}, true},
	{TAG "bool", {SCALAR_BOOL, SCALAR_BOOL, SCALAR_BOOL}, true},
	{TAG "int", {SCALAR_INT, SCALAR_UINT, SCALAR_INT}, true},
	{TAG "float", {SCALAR_FLOAT, SCALAR_INT, SCALAR_UINT}, true},
};

static bool resolve(struct loader *l, const yaml_event_t *e, struct scalar *out)
{
	const char *tag = (const char *)e->data.scalar.tag;
	const char *text = (const char *)e->data.scalar.value;
	size_t bytes = e->data.scalar.length;

	*out = (struct scalar){.type = SCALAR_STRING};
	if (tag == NULL) {
		if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
			*out = scalar_resolve(text, bytes);
	} else {
		const struct tag *known = NULL;

		for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]) && known == NULL; i++)
			if (strcmp(tags[i].name, tag) == 0)
				known = &tags[i];
		if (known == NULL)
			return fail(l, ERR_INVALID, &e->start_mark, "unknown tag \"%.100s\"", tag);
		if (known->resolve) {
			*out = scalar_resolve(text, bytes);
			if (out->type != known->types[0] && out->type != known->types[1] &&
			    out->type != known->types[2])
				return fail(l, ERR_INVALID, &e->start_mark,
					    "\"%.100s\" is not of the type that its tag names", text);
		}
	}
	if (out->type == SCALAR_NOT_JSON)
		return fail(l, ERR_INVALID, &e->start_mark, "\"%.20s\" is not a number that JSON has", text);
	return true;
}

static bool scalar_key(struct loader *l, const yaml_event_t *e, const struct scalar *s)
{
	const char *text = (const char *)e->data.scalar.value;
	struct frame *f = top(l);
	yyjson_mut_val *key;

	if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0 && e->data.scalar.tag == NULL) {
		f->merging = true;
		return true;
	}
	if (s->type == SCALAR_NULL)
		return fail(l, ERR_INVALID, &e->start_mark, "a key must not be null");
	key = key_of(l->out->doc, s, text, e->data.scalar.length);
	return key == NULL ? no_memory(l) : key_take(l, f, key, &e->start_mark);
}

static bool on_scalar(struct loader *l, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	size_t bytes = e->data.scalar.length;
	yyjson_mut_val *value;
	struct scalar s;
	uint32_t anchor;

	if (memchr(text, 0, bytes) != NULL)
		return fail(l, ERR_INVALID, &e->start_mark, "a NUL character in a string");
	if (!resolve(l, e, &s) || !anchor_open(l, e->data.scalar.anchor, &e->start_mark, &anchor))
		return false;
	if (awaits_key(l) && anchor == 0)
		return scalar_key(l, e, &s);
	value = value_of(l->out->doc, &s, text, bytes);
	if (value == NULL)
		return no_memory(l);
	anchors_close(&l->anchors, anchor, value);
	return awaits_key(l) ? scalar_key(l, e, &s) : place(l, value, &e->start_mark);
}

/* Collections. */

static bool collection_tag(struct loader *l, const yaml_char_t *tag, const char *expected, const yaml_mark_t *at)
{
	if (tag == NULL || strcmp((const char *)tag, expected) == 0 || strcmp((const char *)tag, "!") == 0)
		return true;
	return fail(l, ERR_INVALID, at, "unknown tag \"%.100s\"", (const char *)tag);
}

static bool open_collection(struct loader *l, bool mapping, const yaml_char_t *anchor, const yaml_mark_t *at)
{
	struct frame *f;
	uint32_t number;

	if (awaits_key(l))
		return fail(l, ERR_INVALID, at, "a key must be a word, not a list or a mapping");
	if (l->depth == YAML_DEPTH_MAX)
		return fail(l, ERR_LIMIT, at, "nested deeper than %d levels", YAML_DEPTH_MAX);
	if (!anchor_open(l, anchor, at, &number))
		return false;
	f = &l->frames[l->depth];
	*f = (struct frame){.mapping = mapping, .anchor = number};
	f->container = mapping ? yyjson_mut_obj(l->out->doc) : yyjson_mut_arr(l->out->doc);
	if (f->container == NULL)
		return no_memory(l);
	if (l->depth == 0)
		l->root_line = (uint32_t)at->line + 1;
	l->depth++;
	return true;
}

static bool close_collection(struct loader *l, const yaml_mark_t *at)
{
	struct frame *f = top(l);
	uint32_t line = l->root_line;
	bool good;

	CHECK(f != NULL);
	good = f->merges_n == 0 || merge_all(l, f, at);
	keyset_fini(&f->keys);
	l->depth--;
	if (!good)
		return false;
	anchors_close(&l->anchors, f->anchor, f->container);
	good = place(l, f->container, at);
	l->root_line = line;
	return good;
}

static bool on_alias(struct loader *l, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	yyjson_mut_val *value;

	if (anchors_find(&l->anchors, name, &value) != OK)
		return fail(l, ERR_INVALID, &e->start_mark, "no anchor \"%.100s\" before this alias", name);
	if (value == NULL)
		return fail(l, ERR_INVALID, &e->start_mark, "the alias \"%.100s\" contains itself", name);
	if ((value = copy(l, value, &e->start_mark)) == NULL)
		return false;
	if (awaits_key(l))
		return yyjson_mut_is_str(value) ? key_take(l, top(l), value, &e->start_mark) :
		       fail(l, ERR_INVALID, &e->start_mark, "a key must be a word");
	return place(l, value, &e->start_mark);
}

/* Documents. */

static bool document_keep(struct loader *l)
{
	struct yaml_documents *out = l->out;
	struct yaml_document *bigger;

	anchors_forget(&l->anchors);
	if (l->root == NULL || yyjson_mut_is_null(l->root))
		return true;
	if (out->n == YAML_DOCUMENTS_MAX)
		return fail(l, ERR_LIMIT, NULL, "more than %d documents", YAML_DOCUMENTS_MAX);
	if (out->n == l->items_space) {
		l->items_space = l->items_space == 0 ? 16 : l->items_space * 2;
		bigger = realloc(out->items, l->items_space * sizeof(*bigger));
		if (bigger == NULL)
			return no_memory(l);
		out->items = bigger;
	}
	out->items[out->n++] = (struct yaml_document){.root = l->root, .line = l->root_line};
	l->root = NULL;
	return true;
}

static bool on_event(struct loader *l, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return count_node(l, &e->start_mark) && on_scalar(l, e);
	case YAML_ALIAS_EVENT:
		return count_node(l, &e->start_mark) && on_alias(l, e);
	case YAML_SEQUENCE_START_EVENT:
		return count_node(l, &e->start_mark) &&
		       collection_tag(l, e->data.sequence_start.tag, TAG "seq", &e->start_mark) &&
		       open_collection(l, false, e->data.sequence_start.anchor, &e->start_mark);
	case YAML_MAPPING_START_EVENT:
		return count_node(l, &e->start_mark) &&
		       collection_tag(l, e->data.mapping_start.tag, TAG "map", &e->start_mark) &&
		       open_collection(l, true, e->data.mapping_start.anchor, &e->start_mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_collection(l, &e->start_mark);
	case YAML_DOCUMENT_END_EVENT:
		return document_keep(l);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_START_EVENT:
		break;
	}
	return true;
}

static void place_of_offset(const char *text, size_t bytes, size_t offset, struct yaml_error *error)
{
	error->line = 1;
	error->column = 1;
	for (size_t i = 0; i < offset && i < bytes; i++) {
		if (text[i] == '\n') {
			error->line++;
			error->column = 1;
		} else if ((text[i] & 0xc0) != 0x80) {
			error->column++;
		}
	}
}

/* libyaml says what it was doing and where that began, and what it met and where. */
static bool on_parser_error(struct loader *l, const char *text, size_t bytes)
{
	const yaml_parser_t *p = &l->parser;
	const char *problem = p->problem == NULL ? "not YAML" : p->problem;

	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(l);
	if (p->error == YAML_READER_ERROR) {
		fail(l, ERR_INVALID, NULL, "%s", problem);
		place_of_offset(text, bytes, p->problem_offset, l->error);
		return false;
	}
	if (p->context == NULL)
		return fail(l, ERR_INVALID, &p->problem_mark, "%s", problem);
	if (p->context_mark.line == p->problem_mark.line)
		return fail(l, ERR_INVALID, &p->problem_mark, "%s, %s", problem, p->context);
	return fail(l, ERR_INVALID, &p->problem_mark, "%s, %s that begins on line %zu", problem, p->context,
		    p->context_mark.line + 1);
}

static void run(struct loader *l, const char *text, size_t bytes)
{
	yaml_event_t event;
	bool last = false, good = true;

	yaml_parser_set_input_string(&l->parser, (const unsigned char *)text, bytes);
	while (good && !last) {
		if (!yaml_parser_parse(&l->parser, &event)) {
			good = on_parser_error(l, text, bytes);
			break;
		}
		last = event.type == YAML_STREAM_END_EVENT;
		good = on_event(l, &event);
		yaml_event_delete(&event);
	}
	while (l->depth > 0)
		keyset_fini(&l->frames[--l->depth].keys);
	anchors_forget(&l->anchors);
}

static enum err load_yaml(const char *text, size_t bytes, struct yaml_documents *out, struct yaml_error *error)
{
	struct loader *l = calloc(1, sizeof(*l));
	enum err e;

	if (l == NULL || (out->doc = yyjson_mut_doc_new(NULL)) == NULL || !yaml_parser_initialize(&l->parser)) {
		free(l);
		snprintf(error->text, sizeof(error->text), "out of memory");
		return ERR_NO_MEMORY;
	}
	l->out = out;
	l->error = error;
	run(l, text, bytes);
	yaml_parser_delete(&l->parser);
	e = l->err;
	free(l);
	return e;
}

static bool looks_like_json(const char *text, size_t bytes)
{
	size_t i = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	while (i < bytes && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r'))
		i++;
	if (i == bytes || text[i] != '{')
		return false;
	i++;
	while (i < bytes && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r'))
		i++;
	return i < bytes && (text[i] == '"' || text[i] == '}');
}

enum err yaml_load(const char *text, size_t bytes, struct yaml_documents *out, struct yaml_error *error)
{
	struct yaml_error json_error = {0};
	enum err e;

	CHECK(text != NULL && out != NULL && error != NULL);
	*out = (struct yaml_documents){0};
	*error = (struct yaml_error){0};
	if (bytes > YAML_BYTES_MAX) {
		snprintf(error->text, sizeof(error->text), "longer than %d bytes", YAML_BYTES_MAX);
		return ERR_LIMIT;
	}
	if (looks_like_json(text, bytes)) {
		e = json_load(text, bytes, out, &json_error);
		if (e != ERR_INVALID || json_error.line != 0) {
			*error = json_error;
			return e;
		}
		/* A key is given twice, or there is a NUL: the other reader finds it too, and knows the place. */
	}
	e = load_yaml(text, bytes, out, error);
	if (e != OK)
		yaml_documents_fini(out);
	return e;
}

void yaml_documents_fini(struct yaml_documents *documents)
{
	yyjson_mut_doc_free(documents->doc);
	free(documents->items);
	*documents = (struct yaml_documents){0};
}
