/*
 * yyjson reads one value after another in place, from one padded copy of the text (a copy per value would make a long
 * stream quadratic). Each is walked once for depth, number and duplicate keys before it is made mutable.
 */
#include "mgmt-api/yaml/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt-api/yaml/keyset.h"

struct reader {
	char *text;
	size_t bytes;
	size_t at;
	uint32_t line;          /* of at */
	size_t line_start;
	uint32_t nodes;
	size_t items_space;
	struct yaml_documents *out;
	struct yaml_error *error;
};

static enum err fail(struct reader *r, enum err e, const char *text)
{
	snprintf(r->error->text, sizeof(r->error->text), "%s", text);
	return e;
}

static enum err walk(struct reader *r, yyjson_val *value, uint32_t level);

static enum err walk_members(struct reader *r, yyjson_val *object, uint32_t level)
{
	struct keyset keys = {0};
	yyjson_obj_iter members = yyjson_obj_iter_with(object);
	enum err e = OK;
	yyjson_val *key;
	bool full = false;

	while (e == OK && (key = yyjson_obj_iter_next(&members)) != NULL) {
		if (keyset_add(&keys, yyjson_get_str(key), yyjson_get_len(key), 0, &full) != NULL)
			e = fail(r, ERR_INVALID, "a key is given twice");
		else if (full)
			e = fail(r, ERR_NO_MEMORY, "out of memory");
		else if (strlen(yyjson_get_str(key)) != yyjson_get_len(key))
			e = fail(r, ERR_INVALID, "a NUL character in a key");
		else
			e = walk(r, yyjson_obj_iter_get_val(key), level + 1);
	}
	keyset_fini(&keys);
	return e;
}

static enum err walk(struct reader *r, yyjson_val *value, uint32_t level)
{
	yyjson_arr_iter elements;
	yyjson_val *v;
	enum err e = OK;

	if (++r->nodes > YAML_NODES_MAX)
		return fail(r, ERR_LIMIT, "too many values");
	if (yyjson_is_str(value) && strlen(yyjson_get_str(value)) != yyjson_get_len(value))
		return fail(r, ERR_INVALID, "a NUL character in a string");
	if (!yyjson_is_ctn(value))
		return OK;
	if (level > YAML_DEPTH_MAX)
		return fail(r, ERR_LIMIT, "nested too deep");
	if (yyjson_is_obj(value))
		return walk_members(r, value, level);
	elements = yyjson_arr_iter_with(value);
	while (e == OK && (v = yyjson_arr_iter_next(&elements)) != NULL)
		e = walk(r, v, level + 1);
	return e;
}

/* Moves to an offset, counting lines. Counted in the caller's text: the copy is being overwritten by the reader. */
static void advance(struct reader *r, const char *original, size_t to)
{
	for (; r->at < to; r->at++) {
		if (original[r->at] == '\n') {
			r->line++;
			r->line_start = r->at + 1;
		}
	}
}

/* To the next value: over white space, and over the separators of a YAML stream. */
static void skip_space(struct reader *r, const char *original)
{
	for (;;) {
		size_t to = r->at;

		while (to < r->bytes && strchr(" \t\r\n", original[to]) != NULL && original[to] != '\0')
			to++;
		advance(r, original, to);
		if (to != r->line_start || to + 3 > r->bytes || memcmp(original + to, "---", 3) != 0)
			return;
		advance(r, original, to + 3);
	}
}

static enum err keep(struct reader *r, yyjson_val *root)
{
	struct yaml_documents *out = r->out;
	struct yaml_document *bigger;
	yyjson_mut_val *made;

	if (out->n == YAML_DOCUMENTS_MAX)
		return fail(r, ERR_LIMIT, "too many documents");
	if (out->n == r->items_space) {
		r->items_space = r->items_space == 0 ? 16 : r->items_space * 2;
		bigger = realloc(out->items, r->items_space * sizeof(*bigger));
		if (bigger == NULL)
			return fail(r, ERR_NO_MEMORY, "out of memory");
		out->items = bigger;
	}
	made = yyjson_val_mut_copy(out->doc, root);
	if (made == NULL)
		return fail(r, ERR_NO_MEMORY, "out of memory");
	out->items[out->n++] = (struct yaml_document){.root = made, .line = r->line};
	return OK;
}

static enum err one(struct reader *r, const char *original)
{
	yyjson_read_flag flags = YYJSON_READ_INSITU | YYJSON_READ_STOP_WHEN_DONE;
	yyjson_read_err problem;
	yyjson_doc *doc = yyjson_read_opts(r->text + r->at, r->bytes - r->at, flags, NULL, &problem);
	enum err e;

	if (doc == NULL) {
		advance(r, original, r->at + problem.pos < r->bytes ? r->at + problem.pos : r->bytes);
		r->error->line = r->line;
		r->error->column = 1;
		for (size_t i = r->line_start; i < r->at; i++)
			r->error->column += (original[i] & 0xc0) != 0x80;
		return fail(r, problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? ERR_NO_MEMORY : ERR_INVALID,
			    problem.msg);
	}
	e = walk(r, yyjson_doc_get_root(doc), 1);
	if (e == OK)
		e = keep(r, yyjson_doc_get_root(doc));
	advance(r, original, r->at + yyjson_doc_get_read_size(doc));
	yyjson_doc_free(doc);
	return e;
}

enum err json_load(const char *text, size_t bytes, struct yaml_documents *out, struct yaml_error *error)
{
	struct reader r = {.bytes = bytes, .line = 1, .out = out, .error = error};
	enum err e = OK;

	r.text = malloc(bytes + YYJSON_PADDING_SIZE);
	out->doc = yyjson_mut_doc_new(NULL);
	if (r.text == NULL || out->doc == NULL) {
		free(r.text);
		yaml_documents_fini(out);
		return fail(&r, ERR_NO_MEMORY, "out of memory");
	}
	memcpy(r.text, text, bytes);
	memset(r.text + bytes, 0, YYJSON_PADDING_SIZE);
	if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		r.at = 3;
		r.line_start = 3;
	}
	skip_space(&r, text);
	while (e == OK && r.at < bytes) {
		e = one(&r, text);
		skip_space(&r, text);
	}
	free(r.text);
	if (e != OK)
		yaml_documents_fini(out);
	return e;
}
