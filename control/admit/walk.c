/*
 * See walk.h. One recursive function per shape, each called with the value it may change in place; the path is a buffer
 * that grows and shrinks with the recursion, whose depth is that of the schema, not of the input.
 *
 * A null is dropped, as the API does for fields that are not nullable (none of ours is). Defaults come before the
 * checks and before going down, so that a default object gets the defaults of its fields.
 */
#include "control/admit/walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/admit/pattern.h"
#include "control/base64.h"

enum { PATH_MAX_BYTES = 1024, QUOTE_MAX = 80 };

struct walker {
	yyjson_mut_doc *doc;
	struct causes *causes;
	struct walk_options options;
	size_t n;
	char path[PATH_MAX_BYTES];
};

bool json_is_deep(const char *text, size_t n, unsigned depth_max)
{
	unsigned depth = 0;
	bool inside = false;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (inside) {
			if (c == '\\')
				i++;
			else if (c == '"')
				inside = false;
		} else if (c == '"') {
			inside = true;
		} else if ((c == '{' || c == '[') && ++depth > depth_max) {
			return true;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return false;
}

size_t text_characters(const char *text, size_t n)
{
	size_t characters = 0;

	for (size_t i = 0; i < n; i++)
		characters += ((unsigned char)text[i] & 0xc0) != 0x80;
	return characters;
}

/* A path that is too long is cut: it is only shown to people. */
static void append(struct walker *w, const char *text)
{
	size_t n = strnlen(text, sizeof(w->path) - 1 - w->n);

	memcpy(w->path + w->n, text, n);
	w->n += n;
	w->path[w->n] = 0;
}

/* Both return the length to go back to. */
static size_t enter_field(struct walker *w, const char *name)
{
	size_t before = w->n;

	if (before)
		append(w, ".");
	append(w, name);
	return before;
}

static size_t enter_item(struct walker *w, const char *key, size_t index)
{
	size_t before = w->n;
	char number[24];

	snprintf(number, sizeof(number), "%zu", index);
	append(w, "[");
	append(w, key ? key : number);
	append(w, "]");
	return before;
}

static void leave(struct walker *w, size_t before)
{
	w->n = before;
	w->path[before] = 0;
}

static const char *type_of(yyjson_mut_val *v)
{
	if (yyjson_mut_is_obj(v))
		return "object";
	if (yyjson_mut_is_arr(v))
		return "array";
	if (yyjson_mut_is_str(v))
		return "string";
	if (yyjson_mut_is_bool(v))
		return "boolean";
	if (yyjson_mut_is_int(v))
		return "integer";
	return yyjson_mut_is_null(v) ? "null" : "number";
}

/* The value as a message shows it; long ones are cut at a character's border. */
static const char *quote(const struct walker *w, yyjson_mut_val *v, char text[static QUOTE_MAX])
{
	if (w->options.hide_values)
		return strcpy(text, "(hidden)");
	if (yyjson_mut_is_str(v)) {
		const char *s = yyjson_mut_get_str(v);
		size_t n = strnlen(s, QUOTE_MAX - 8);

		while (s[n] && n && ((unsigned char)s[n] & 0xc0) == 0x80)
			n--;
		snprintf(text, QUOTE_MAX, "\"%.*s%s\"", (int)n, s, s[n] ? "..." : "");
	} else if (yyjson_mut_is_int(v)) {
		snprintf(text, QUOTE_MAX, yyjson_mut_is_uint(v) ? "%" PRIu64 : "%" PRId64, yyjson_mut_get_uint(v));
	} else if (yyjson_mut_is_num(v)) {
		snprintf(text, QUOTE_MAX, "%g", yyjson_mut_get_real(v));
	} else if (yyjson_mut_is_bool(v)) {
		strcpy(text, yyjson_mut_get_bool(v) ? "true" : "false");
	} else {
		snprintf(text, QUOTE_MAX, "\"%s\"", type_of(v));
	}
	return text;
}

static void wrong_type(struct walker *w, yyjson_mut_val *v, const char *expected)
{
	char shown[QUOTE_MAX];

	if (yyjson_mut_is_obj(v) || yyjson_mut_is_arr(v))
		causes_add(w->causes, CAUSE_TYPE, w->path, "Invalid value: must be of type %s, not %s", expected,
			   type_of(v));
	else
		causes_add(w->causes, CAUSE_TYPE, w->path, "Invalid value: %s: must be of type %s, not %s",
		           quote(w, v, shown), expected, type_of(v));
}

static void check_enum(struct walker *w, const struct schema *s, yyjson_mut_val *v, const char *text)
{
	char shown[QUOTE_MAX], supported[512];
	size_t n = 0;

	for (const char *const *value = s->values; *value; value++)
		if (strcmp(*value, text) == 0)
			return;
	for (const char *const *value = s->values; *value && n < sizeof(supported) - 1; value++) {
		int more = snprintf(supported + n, sizeof(supported) - n, "%s\"%s\"", n ? ", " : "", *value);

		n += (size_t)more;
	}
	causes_add(w->causes, CAUSE_NOT_SUPPORTED, w->path, "Unsupported value: %s: supported values: %s",
	           quote(w, v, shown), supported);
}

static bool is_base64(const char *s, size_t n)
{
	char *bytes;
	size_t bytes_n;

	if (base64_decode(s, n, &bytes, &bytes_n) != OK)
		return false;
	explicit_bzero(bytes, bytes_n);
	free(bytes);
	return true;
}

/* RFC 3339 as the API writes it: date, T, time, fraction or not, Z or an offset. */
static bool is_date_time(const char *s)
{
	return pattern_matches("^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:"
	                       "([0-5][0-9]|60)(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$", s);
}

static void walk_string(struct walker *w, const struct schema *s, yyjson_mut_val *v)
{
	char shown[QUOTE_MAX];
	const char *text = yyjson_mut_get_str(v);
	size_t bytes = yyjson_mut_get_len(v);
	int64_t length = (int64_t)text_characters(text, bytes);

	if (strlen(text) != bytes)
		causes_add(w->causes, CAUSE_INVALID, w->path, "Invalid value: must not contain the NUL character");
	if (length > s->max)
		causes_add(w->causes, CAUSE_TOO_LONG, w->path, "Too long: may not be more than %" PRId64 " characters",
			   s->max);
	if (length < s->min)
		causes_add(w->causes, CAUSE_INVALID, w->path,
			   "Invalid value: %s: must have at least %" PRId64 " characters", quote(w, v, shown), s->min);
	else if (s->pattern && !pattern_matches(s->pattern, text))
		causes_add(w->causes, CAUSE_INVALID, w->path, "Invalid value: %s: must match %s", quote(w, v, shown),
			   s->pattern);
	if (s->values)
		check_enum(w, s, v, text);
	if (s->format && strcmp(s->format, "byte") == 0 && !is_base64(text, bytes))
		causes_add(w->causes, CAUSE_INVALID, w->path, "Invalid value: must be base64");
	if (s->format && strcmp(s->format, "date-time") == 0 && !is_date_time(text))
		causes_add(w->causes, CAUSE_INVALID, w->path,
			   "Invalid value: %s: must be a time like 2026-01-31T12:00:00Z", quote(w, v, shown));
}

/* A number that is whole, however it is written (JSON knows no integers): 80.0 is 80. */
static bool as_integer(yyjson_mut_val *v, int64_t *out)
{
	if (yyjson_mut_is_int(v)) {
		*out = yyjson_mut_get_sint(v);
		return true;
	}
	if (!yyjson_mut_is_real(v))
		return false;
	double real = yyjson_mut_get_real(v);

	if (!(real >= -9007199254740992.0 && real <= 9007199254740992.0) || real != (double)(int64_t)real)
		return false;
	*out = (int64_t)real;
	yyjson_mut_set_sint(v, *out);
	return true;
}

static void walk_integer(struct walker *w, const struct schema *s, yyjson_mut_val *v)
{
	bool narrow = s->format && strcmp(s->format, "int32") == 0;
	char text[24];
	int64_t number;

	if (yyjson_mut_is_uint(v) && yyjson_mut_get_uint(v) > INT64_MAX) {
		causes_add(w->causes, CAUSE_INVALID, w->path, "Invalid value: %" PRIu64 ": must fit in 63 bits",
		           yyjson_mut_get_uint(v));
		return;
	}
	if (!as_integer(v, &number)) {
		wrong_type(w, v, "integer");
		return;
	}
	if (number < s->min)
		causes_add(w->causes, CAUSE_INVALID, w->path,
			   "Invalid value: %" PRId64 ": must be greater than or equal to %" PRId64, number, s->min);
	else if (number > s->max)
		causes_add(w->causes, CAUSE_INVALID, w->path,
			   "Invalid value: %" PRId64 ": must be less than or equal to %" PRId64, number, s->max);
	else if (narrow && number != (int32_t)number)
		causes_add(w->causes, CAUSE_INVALID, w->path, "Invalid value: %" PRId64 ": must fit in 32 bits",
			   number);
	if (s->values) {
		snprintf(text, sizeof(text), "%" PRId64, number);
		check_enum(w, s, v, text);
	}
}

static void walk_value(struct walker *w, const struct schema *s, yyjson_mut_val *v);

/* Names and their places, to find one that is given twice without comparing all with all. */
struct keyed {
	char *key;
	size_t index;
};

static int compare_keyed(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* The text that must be unique in a set or keyed list; null when a part is missing (that is another cause). */
static char *key_of(const struct schema *list, yyjson_mut_val *item)
{
	char *key = NULL, *longer;

	if (list->list_type == LIST_SET)
		return yyjson_mut_val_write(item, 0, NULL);
	for (const char *const *name = list->keys; *name; name++) {
		char *part = yyjson_mut_val_write(yyjson_mut_obj_get(item, *name), 0, NULL);

		if (part && asprintf(&longer, "%s%s%s", key ? key : "", key ? ", " : "", part) >= 0) {
			free(key);
			key = longer;
		}
		free(part);
	}
	return key;
}

static void check_duplicates(struct walker *w, const struct schema *s, yyjson_mut_val *list)
{
	size_t n = yyjson_mut_arr_size(list), count = 0, i, max;
	struct keyed *keys = calloc(n + 1, sizeof(*keys));
	yyjson_mut_val *item;

	CHECK(keys);
	yyjson_mut_arr_foreach(list, i, max, item) {
		char *key = key_of(s, item);

		if (key)
			keys[count++] = (struct keyed){key, i};
	}
	qsort(keys, count, sizeof(*keys), compare_keyed);
	for (i = 1; i < count; i++) {
		if (strcmp(keys[i - 1].key, keys[i].key) != 0)
			continue;
		size_t before = enter_item(w, NULL, keys[i].index);

		causes_add(w->causes, CAUSE_DUPLICATE, w->path, "Duplicate value: %s",
		           w->options.hide_values ? "(hidden)" : keys[i].key);
		leave(w, before);
	}
	for (i = 0; i < count; i++)
		free(keys[i].key);
	free(keys);
}

static void check_size(struct walker *w, const struct schema *s, size_t size, const char *what)
{
	if ((int64_t)size > s->max)
		causes_add(w->causes, CAUSE_TOO_MANY, w->path, "Too many: %zu: must have at most %" PRId64 " %s", size,
			   s->max, what);
	if ((int64_t)size < s->min)
		causes_add(w->causes, CAUSE_INVALID, w->path, "Invalid value: must have at least %" PRId64 " %s",
			   s->min, what);
}

static void walk_list(struct walker *w, const struct schema *s, yyjson_mut_val *v)
{
	yyjson_mut_val *item;
	size_t i, max;

	check_size(w, s, yyjson_mut_arr_size(v), "items");
	yyjson_mut_arr_foreach(v, i, max, item) {
		size_t before = enter_item(w, NULL, i);

		walk_value(w, s->item, item);
		leave(w, before);
	}
	if (s->list_type != LIST_ATOMIC)
		check_duplicates(w, s, v);
}

/* Members that are given twice, in a map or an object. */
static void check_members(struct walker *w, yyjson_mut_val *v)
{
	size_t n = yyjson_mut_obj_size(v), i, max;
	struct keyed *keys = calloc(n + 1, sizeof(*keys));
	yyjson_mut_val *key, *value;

	CHECK(keys);
	yyjson_mut_obj_foreach(v, i, max, key, value)
		keys[i] = (struct keyed){(char *)(uintptr_t)yyjson_mut_get_str(key), i};
	qsort(keys, n, sizeof(*keys), compare_keyed);
	for (i = 1; i < n; i++) {
		if (strcmp(keys[i - 1].key, keys[i].key) != 0)
			continue;
		size_t before = enter_field(w, keys[i].key);

		causes_add(w->causes, CAUSE_DUPLICATE_FIELD, w->path, "duplicate field \"%s\"", w->path);
		leave(w, before);
	}
	free(keys);
}

static void walk_map(struct walker *w, const struct schema *s, yyjson_mut_val *v)
{
	yyjson_mut_val *key, *value;
	size_t i, max;

	check_members(w, v);
	check_size(w, s, yyjson_mut_obj_size(v), "members");
	yyjson_mut_obj_foreach(v, i, max, key, value) {
		size_t before = enter_item(w, yyjson_mut_get_str(key), 0);

		walk_value(w, s->item, value);
		leave(w, before);
	}
}

/* Drops nulls and what the schema does not know; the unknown is a cause. */
static void prune(struct walker *w, const struct schema *s, yyjson_mut_val *v)
{
	yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(v);
	yyjson_mut_val *key;

	while ((key = yyjson_mut_obj_iter_next(&iter))) {
		const char *name = yyjson_mut_get_str(key);

		if (!schema_field(s, name)) {
			size_t before = enter_field(w, name);

			causes_add(w->causes, CAUSE_UNKNOWN_FIELD, w->path, "unknown field \"%s\"", w->path);
			leave(w, before);
			yyjson_mut_obj_iter_remove(&iter);
		} else if (yyjson_mut_is_null(yyjson_mut_obj_iter_get_val(key))) {
			yyjson_mut_obj_iter_remove(&iter);
		}
	}
}

static void add_default(struct walker *w, yyjson_mut_val *object, const struct field *f)
{
	yyjson_doc *parsed = yyjson_read(f->default_json, strlen(f->default_json), 0);

	CHECK(parsed);
	yyjson_mut_obj_add_val(w->doc, object, f->name, yyjson_val_mut_copy(w->doc, yyjson_doc_get_root(parsed)));
	yyjson_doc_free(parsed);
}

static void walk_object(struct walker *w, const struct schema *s, yyjson_mut_val *v)
{
	check_members(w, v);
	prune(w, s, v);
	for (const struct field *f = s->fields; f->name; f++) {
		yyjson_mut_val *value = yyjson_mut_obj_get(v, f->name);
		size_t before = enter_field(w, f->name);

		if (!value && f->default_json) {
			add_default(w, v, f);
			value = yyjson_mut_obj_get(v, f->name);
		}
		if (value)
			walk_value(w, f->schema, value);
		else if (f->required)
			causes_add(w->causes, CAUSE_REQUIRED, w->path, "Required value");
		leave(w, before);
	}
	if (s->min != INT64_MIN || s->max != INT64_MAX)
		check_size(w, s, yyjson_mut_obj_size(v), "members");
}

static void walk_value(struct walker *w, const struct schema *s, yyjson_mut_val *v)
{
	switch (s->shape) {
	case SHAPE_OBJECT:
		yyjson_mut_is_obj(v) ? walk_object(w, s, v) : wrong_type(w, v, "object");
		return;
	case SHAPE_MAP:
		yyjson_mut_is_obj(v) ? walk_map(w, s, v) : wrong_type(w, v, "object");
		return;
	case SHAPE_LIST:
		yyjson_mut_is_arr(v) ? walk_list(w, s, v) : wrong_type(w, v, "array");
		return;
	case SHAPE_STRING:
		yyjson_mut_is_str(v) ? walk_string(w, s, v) : wrong_type(w, v, "string");
		return;
	case SHAPE_BOOLEAN:
		if (!yyjson_mut_is_bool(v))
			wrong_type(w, v, "boolean");
		return;
	case SHAPE_INTEGER:
		walk_integer(w, s, v);
		return;
	case SHAPE_INT_OR_STRING:
		yyjson_mut_is_str(v) ? walk_string(w, s, v) : walk_integer(w, s, v);
		return;
	case SHAPE_ANY:
		return;
	}
}

void walk(const struct schema *schema, yyjson_mut_doc *doc, yyjson_mut_val *root, struct walk_options options,
          struct causes *causes)
{
	struct walker w = {.doc = doc, .causes = causes, .options = options};

	walk_value(&w, schema, root);
}
