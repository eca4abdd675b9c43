/* See the header for the rules. */
#include "filter/header_edits.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ITEMS_MAX = 16, NAME_MAX_BYTES = 256, VALUE_MAX_BYTES = ARENA_PIECE_MAX, LINE_BYTES = 4 /* ": ", CR LF */ };

static const char *const list_names[] = {"add", "set", "remove"};

/* ---- control ---- */

/* What compile gathers: all names seen so far, in the order of list_names. */
struct draft {
	struct builder *b;
	const char *member;
	enum header_edits_of of;
	struct filter_problem *problem;
	const char *seen[3 * ITEMS_MAX];
	unsigned seen_n;
	size_t bytes;              /* of the lines that are set and added */
};

bool header_is_token(const char *text, size_t len)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		const char c = text[i];
		const bool alphanumeric = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

		if (!alphanumeric && (c == '\0' || strchr(marks, c) == NULL))
			return false;
	}
	return len > 0;
}

bool header_is_value(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
			return false;
	}
	return true;
}

static bool frames(struct text name)
{
	return (http_field_flags(http_field_id(name)) & HTTP_FIELD_FRAMING) != 0;
}

static enum err check_name(struct draft *d, const char *path, yyjson_val *name, bool set)
{
	const char *text = yyjson_get_str(name);

	if (text == NULL)
		return filter_refuse(d->problem, path, "is required and must be a string");
	if (yyjson_get_len(name) > NAME_MAX_BYTES || !header_is_token(text, yyjson_get_len(name)))
		return filter_refuse(d->problem, path, "\"%.64s\" is not a valid header name", text);
	if (frames((struct text){.at = text, .len = (uint32_t)yyjson_get_len(name)}))
		return filter_refuse(d->problem, path, "\"%s\" frames the message and cannot be modified", text);
	if (strcasecmp(text, "host") != 0)
		return OK;
	if (d->of == HEADERS_OF_RESPONSE)
		return filter_refuse(d->problem, path, "\"%s\" cannot be in a response", text);
	return set ? OK : filter_refuse(d->problem, path, "\"%s\" can only be set", text);
}

static bool seen_before(struct draft *d, const char *name)
{
	for (unsigned i = 0; i < d->seen_n; i++) {
		if (strcasecmp(d->seen[i], name) == 0)
			return true;
	}
	d->seen[d->seen_n++] = name;
	return false;
}

static enum err compile_item(struct draft *d, const char *list, size_t i, yyjson_val *from, struct header_edit *to)
{
	const bool pair = strcmp(list, "remove") != 0;
	yyjson_val *name = pair ? doc_get(from, "name") : from, *value = pair ? doc_get(from, "value") : NULL;
	char path[96];
	enum err e;

	snprintf(path, sizeof(path), pair ? "%s.%s[%zu].name" : "%s.%s[%zu]", d->member, list, i);
	e = check_name(d, path, name, strcmp(list, "set") == 0);
	if (e != OK)
		return e;
	to->name = builder_text(d->b, yyjson_get_str(name), yyjson_get_len(name));
	to->value = (struct table_text){0};
	if (!pair)
		return OK;
	snprintf(path, sizeof(path), "%s.%s[%zu].value", d->member, list, i);
	if (!yyjson_is_str(value))
		return filter_refuse(d->problem, path, "is required and must be a string");
	if (yyjson_get_len(value) < 1 || yyjson_get_len(value) > VALUE_MAX_BYTES)
		return filter_refuse(d->problem, path, "must have 1 to %d bytes", VALUE_MAX_BYTES);
	if (!header_is_value(yyjson_get_str(value), yyjson_get_len(value)))
		return filter_refuse(d->problem, path, "has a control character");
	d->bytes += yyjson_get_len(name) + yyjson_get_len(value) + LINE_BYTES;
	if (d->bytes > HEADER_EDITS_BYTES_MAX)
		return filter_refuse(d->problem, path, "all fields together have more than %d bytes",
		                     HEADER_EDITS_BYTES_MAX);
	to->value = builder_text(d->b, yyjson_get_str(value), yyjson_get_len(value));
	return OK;
}

static enum err compile_list(struct draft *d, const char *name, yyjson_val *list, struct table_list *out)
{
	struct header_edit items[ITEMS_MAX] = {0};
	size_t n = 0, i, all;
	yyjson_val *from;
	char path[96];

	snprintf(path, sizeof(path), "%s.%s", d->member, name);
	*out = (struct table_list){0};
	if (list == NULL)
		return OK;
	if (!yyjson_is_arr(list))
		return filter_refuse(d->problem, path, "must be a list");
	if (yyjson_arr_size(list) > ITEMS_MAX)
		return filter_refuse(d->problem, path, "has more than %d items", ITEMS_MAX);
	yyjson_arr_foreach(list, i, all, from) {
		const enum err e = compile_item(d, name, i, from, &items[n]);

		if (e != OK)
			return e;
		if (!seen_before(d, yyjson_get_str(yyjson_is_str(from) ? from : doc_get(from, "name"))))
			n++;
	}
	*out = builder_list(d->b, items, sizeof(items[0]), n);
	return OK;
}

enum err header_edits_compile(yyjson_val *spec, const char *member, enum header_edits_of of, struct builder *b,
                              struct header_edits *out, struct filter_problem *problem)
{
	struct draft d = {.b = b, .member = member, .of = of, .problem = problem};
	struct table_list *const lists[] = {&out->add, &out->set, &out->remove};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const enum err e = compile_list(&d, list_names[i], doc_get(spec, list_names[i]), lists[i]);

		if (e != OK)
			return e;
	}
	return OK;
}

/* ---- verifier ---- */

static const char *text_in(const void *block, struct table_text t)
{
	return (const char *)block + t.at;
}

enum err header_verify_name(const void *block, size_t bytes, struct table_text t)
{
	if (filter_verify_text(block, bytes, t) != OK)
		return ERR_TABLE_BOUNDS;
	return header_is_token(text_in(block, t), t.len) ? OK : ERR_TABLE_VALUE;
}

enum err header_verify_value(const void *block, size_t bytes, struct table_text t)
{
	if (filter_verify_text(block, bytes, t) != OK)
		return ERR_TABLE_BOUNDS;
	return header_is_value(text_in(block, t), t.len) ? OK : ERR_TABLE_VALUE;
}

static enum err verify_item(const void *block, size_t bytes, const struct header_edit *item)
{
	const enum err e = header_verify_name(block, bytes, item->name);

	if (e != OK)
		return e;
	if (frames((struct text){.at = text_in(block, item->name), .len = item->name.len}))
		return ERR_TABLE_VALUE;
	return header_verify_value(block, bytes, item->value);
}

static enum err verify_items(const void *block, size_t bytes, struct table_list list)
{
	const struct header_edit *item = (const struct header_edit *)((const char *)block + list.at);

	if (list.n > ITEMS_MAX)
		return ERR_TABLE_VALUE;
	if (filter_verify_list(bytes, list, sizeof(*item)) != OK)
		return ERR_TABLE_BOUNDS;
	for (uint32_t i = 0; i < list.n; i++) {
		const enum err e = verify_item(block, bytes, &item[i]);

		if (e != OK)
			return e;
	}
	return OK;
}

enum err header_edits_verify(const void *block, size_t bytes, const struct header_edits *e)
{
	const struct table_list lists[] = {e->set, e->add, e->remove};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const enum err why = verify_items(block, bytes, lists[i]);

		if (why != OK)
			return why;
	}
	return OK;
}

/* ---- data plane ---- */

static bool copy_list(struct arena *a, const struct table *t, struct table_list list, struct header_edit_copy *to)
{
	const struct header_edit *from = TABLE_LIST(t, list, struct header_edit);

	for (uint32_t i = 0; i < list.n; i++) {
		to[i].name = filter_copy_text(a, t, from[i].name);
		to[i].value = filter_copy_text(a, t, from[i].value);
		if (to[i].name.at == NULL || to[i].value.at == NULL)
			return false;
	}
	return true;
}

void *header_edits_copy(struct arena *a, const struct table *t, const void *config)
{
	const struct header_edits *e = config;
	const struct table_list lists[] = {e->remove, e->set, e->add};
	struct header_edits_copy *to;
	uint32_t at = 0;

	static_assert(sizeof(*to) + 3 * ITEMS_MAX * sizeof(to->edit[0]) <= ARENA_PIECE_MAX, "one piece");
	to = arena_get(a, sizeof(*to) + (e->remove.n + e->set.n + e->add.n) * sizeof(to->edit[0]));
	if (to == NULL)
		return NULL;
	to->remove_n = (uint16_t)e->remove.n;
	to->set_n = (uint16_t)e->set.n;
	to->add_n = (uint16_t)e->add.n;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (!copy_list(a, t, lists[i], &to->edit[at]))
			return NULL;
		at += lists[i].n;
	}
	return to;
}

static bool apply(const struct header_edit_copy *e, struct http_message *m, struct arena *a, bool set)
{
	if (http_field_id(e->name) == HTTP_FIELD_HOST) {
		m->authority = e->value;
		return true;
	}
	return (set ? http_set(m, a, e->name, e->value) : http_add(m, a, e->name, e->value)) == OK;
}

bool header_edits_apply(const struct header_edits_copy *e, struct http_message *m, struct arena *a)
{
	const unsigned sets_end = e->remove_n + e->set_n;

	for (unsigned i = 0; i < e->remove_n; i++)
		http_remove(m, e->edit[i].name);
	for (unsigned i = e->remove_n; i < sets_end + e->add_n; i++) {
		if (!apply(&e->edit[i], m, a, i < sets_end))
			return false;
	}
	return true;
}
