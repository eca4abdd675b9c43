/*
 * RequestHeaderModifier: sets, adds and removes header fields of the request.
 *
 * `remove` goes first, then `set` (replaces all of that name), then `add` (appends a field, which receivers join by
 * commas). Names are compared case-insensitively; a name that appears more than once in the manifest counts the first
 * time, in the order add, set, remove, as Envoy Gateway does. Setting Host changes the authority that the backend is
 * sent; it cannot be removed or added to.
 *
 * Refused: names that are no token (RFC 9110, 5.6.2), values with control characters, and the fields that frame
 * messages, which belong to the HTTP layer alone.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "filter/filter.h"

enum { ITEMS_MAX = 16, NAME_MAX_BYTES = 256, VALUE_MAX_BYTES = 4096 };

struct item {
	struct table_text name;
	struct table_text value;   /* empty for remove */
};

struct config {
	struct table_list set;     /* struct item */
	struct table_list add;     /* struct item */
	struct table_list remove;  /* struct item */
};

static const char *const list_names[] = {"add", "set", "remove"};

/* ---- control ---- */

/* What compile gathers: all names seen so far, in the order of list_names. */
struct draft {
	struct builder *b;
	struct filter_problem *problem;
	const char *seen[3 * ITEMS_MAX];
	unsigned seen_n;
};

static bool is_token(const char *text)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (const char *c = text; *c != '\0'; c++) {
		const bool alphanumeric = (*c >= '0' && *c <= '9') || ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z');

		if (!alphanumeric && strchr(marks, *c) == NULL)
			return false;
	}
	return *text != '\0';
}

static bool is_value(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
			return false;
	}
	return true;
}

static bool frames(const char *name)
{
	static const char *const names[] = {
		"",
#define HTTP_FIELD_FRAMING true
#define HTTP_FIELD_HOP 0
#define FIELD(id, text, flags) (flags) & true ? text : "",
#include "http/fields.def"
#undef FIELD
#undef HTTP_FIELD_HOP
#undef HTTP_FIELD_FRAMING
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static enum err check_name(struct draft *d, const char *path, yyjson_val *name, bool may_be_host)
{
	const char *text = yyjson_get_str(name);

	if (text == NULL)
		return filter_refuse(d->problem, path, "is required and must be a string");
	if (strlen(text) != yyjson_get_len(name) || strlen(text) > NAME_MAX_BYTES || !is_token(text))
		return filter_refuse(d->problem, path, "\"%.64s\" is not a valid header name", text);
	if (frames(text))
		return filter_refuse(d->problem, path, "\"%s\" frames the message and cannot be modified", text);
	if (!may_be_host && strcasecmp(text, "host") == 0)
		return filter_refuse(d->problem, path, "\"%s\" can only be set", text);
	return OK;
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

static enum err compile_item(struct draft *d, const char *list, size_t i, yyjson_val *from, struct item *to)
{
	const bool pair = strcmp(list, "remove") != 0;
	yyjson_val *name = pair ? doc_get(from, "name") : from, *value = pair ? doc_get(from, "value") : NULL;
	char path[96];
	enum err e;

	snprintf(path, sizeof(path), "requestHeaderModifier.%s[%zu]%s", list, i, pair ? ".name" : "");
	e = check_name(d, path, name, strcmp(list, "set") == 0);
	if (e != OK)
		return e;
	*to = (struct item){.name = builder_text(d->b, yyjson_get_str(name), yyjson_get_len(name))};
	if (!pair)
		return OK;
	snprintf(path, sizeof(path), "requestHeaderModifier.%s[%zu].value", list, i);
	if (!yyjson_is_str(value))
		return filter_refuse(d->problem, path, "is required and must be a string");
	if (yyjson_get_len(value) < 1 || yyjson_get_len(value) > VALUE_MAX_BYTES)
		return filter_refuse(d->problem, path, "must have 1 to %d characters", VALUE_MAX_BYTES);
	if (!is_value(yyjson_get_str(value), yyjson_get_len(value)))
		return filter_refuse(d->problem, path, "has a control character");
	to->value = builder_text(d->b, yyjson_get_str(value), yyjson_get_len(value));
	return OK;
}

static enum err compile_list(struct draft *d, const char *name, yyjson_val *list, struct table_list *out)
{
	struct item items[ITEMS_MAX] = {0};
	size_t n = 0, i, all;
	yyjson_val *from;
	char path[96];

	snprintf(path, sizeof(path), "requestHeaderModifier.%s", name);
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

static enum err compile(yyjson_val *spec, struct builder *b, uint32_t *offset, struct filter_problem *problem)
{
	struct draft d = {.b = b, .problem = problem};
	struct config c = {0};
	struct table_list *const lists[] = {&c.add, &c.set, &c.remove};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const enum err e = compile_list(&d, list_names[i], doc_get(spec, list_names[i]), lists[i]);

		if (e != OK)
			return e;
	}
	*offset = builder_put(b, &c, sizeof(c));
	return OK;
}

/* ---- verifier ---- */

static enum err verify_items(const void *block, size_t bytes, struct table_list list)
{
	const struct item *item = (const struct item *)((const char *)block + list.at);

	if (list.n > ITEMS_MAX)
		return ERR_TABLE_VALUE;
	if (filter_verify_list(bytes, list, sizeof(*item)) != OK)
		return ERR_TABLE_BOUNDS;
	for (uint32_t i = 0; i < list.n; i++) {
		if (filter_verify_text(block, bytes, item[i].name) != OK ||
		    filter_verify_text(block, bytes, item[i].value) != OK)
			return ERR_TABLE_BOUNDS;
		if (item[i].name.len == 0)
			return ERR_TABLE_VALUE;
	}
	return OK;
}

static enum err verify(const void *block, size_t bytes, const void *config)
{
	const struct config *c = config;
	const struct table_list lists[] = {c->set, c->add, c->remove};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const enum err e = verify_items(block, bytes, lists[i]);

		if (e != OK)
			return e;
	}
	return OK;
}

/* ---- data plane ---- */

/* The request may be sent in a later round: texts are copied out of the tables. */
static bool copy_text(struct filter_exchange *x, const struct table *t, struct table_text from, struct text *to)
{
	to->len = from.len;
	to->at = from.len > 0 ? arena_text(x->arena, table_text(t, from), from.len) : "";
	return to->at != NULL;
}

static enum filter_verdict no_memory(struct filter_exchange *x)
{
	x->reply = (struct filter_reply){.status = 503, .details = "no_memory"};
	return FILTER_REPLY;
}

static bool apply(struct filter_exchange *x, const struct table *t, const struct item *item, bool set)
{
	struct text name, value;

	if (!copy_text(x, t, item->name, &name) || !copy_text(x, t, item->value, &value))
		return false;
	if (http_field_id(name) == HTTP_FIELD_HOST) {
		x->request->authority = value;
		return true;
	}
	return (set ? http_set(x->request, x->arena, name, value) : http_add(x->request, x->arena, name, value)) == OK;
}

static enum filter_verdict on_request(struct filter_exchange *x, const struct table *t, const void *config)
{
	const struct config *c = config;
	const struct item *item = TABLE_LIST(t, c->remove, struct item);

	for (uint32_t i = 0; i < c->remove.n; i++)
		http_remove(x->request, (struct text){.at = table_text(t, item[i].name), .len = item[i].name.len});
	item = TABLE_LIST(t, c->set, struct item);
	for (uint32_t i = 0; i < c->set.n; i++) {
		if (!apply(x, t, &item[i], true))
			return no_memory(x);
	}
	item = TABLE_LIST(t, c->add, struct item);
	for (uint32_t i = 0; i < c->add.n; i++) {
		if (!apply(x, t, &item[i], false))
			return no_memory(x);
	}
	return FILTER_CONTINUE;
}

const struct filter filter_request_header_modifier = {
	.name = "request_header_modifier",
	.type = "RequestHeaderModifier",
	.config_bytes = sizeof(struct config),
	.compile = compile,
	.verify = verify,
	.on_request = on_request,
};
