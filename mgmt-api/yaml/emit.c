/*
 * A walk over the value that feeds libyaml's emitter. The emitter itself falls back from plain to single quotes where
 * the syntax needs them; double quotes are asked for here, for strings that look like something else.
 *
 * The order of members is that of the Go library (so that diffs against a cluster's output are quiet): letters by code
 * point, digits by the number that they form, anything else before letters.
 */
#include "mgmt-api/yaml/emit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/check.h"
#include "mgmt-api/yaml/scalar.h"

struct member {
	yyjson_val *key;
	yyjson_val *value;
};

struct text {
	char *bytes;
	size_t n;
	size_t space;
};

static int append(void *opaque, unsigned char *bytes, size_t n)
{
	struct text *t = opaque;

	if (t->n + n + 1 > t->space) {
		size_t space = (t->n + n + 1) * 2;
		char *bigger = realloc(t->bytes, space);

		if (bigger == NULL)
			return 0;
		t->bytes = bigger;
		t->space = space;
	}
	memcpy(t->bytes + t->n, bytes, n);
	t->n += n;
	t->bytes[t->n] = '\0';
	return 1;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

/* Compares two runs of digits as numbers and moves both pointers past them. */
static int compare_numbers(const char **a, const char **b)
{
	size_t an, bn;
	int difference;

	while (**a == '0' && digit((*a)[1]))
		(*a)++;
	while (**b == '0' && digit((*b)[1]))
		(*b)++;
	an = strspn(*a, "0123456789");
	bn = strspn(*b, "0123456789");
	difference = an != bn ? (an < bn ? -1 : 1) : memcmp(*a, *b, an);
	*a += an;
	*b += bn;
	return difference;
}

static int compare(const char *a, const char *b)
{
	int difference;

	while (*a != '\0' && *b != '\0') {
		if (digit(*a) && digit(*b)) {
			if ((difference = compare_numbers(&a, &b)) != 0)
				return difference;
			continue;
		}
		if (*a != *b) {
			if (letter(*a) != letter(*b))
				return letter(*a) ? 1 : -1;
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		}
		a++;
		b++;
	}
	return *a == *b ? 0 : *a == '\0' ? -1 : 1;
}

static int compare_members(const void *a, const void *b)
{
	return compare(yyjson_get_str(((const struct member *)a)->key),
		       yyjson_get_str(((const struct member *)b)->key));
}

static bool emit(yaml_emitter_t *emitter, yaml_event_t *event)
{
	return yaml_emitter_emit(emitter, event) != 0;
}

static bool scalar(yaml_emitter_t *emitter, const char *text, size_t bytes, yaml_scalar_style_t style)
{
	yaml_event_t event;

	if (!yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)bytes, 1, 1, style))
		return false;
	return emit(emitter, &event);
}

static bool string(yaml_emitter_t *emitter, yyjson_val *value)
{
	const char *text = yyjson_get_str(value);
	size_t bytes = yyjson_get_len(value);
	yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;

	if (memchr(text, '\n', bytes) != NULL)
		style = YAML_LITERAL_SCALAR_STYLE;
	else if (!scalar_plain(text, bytes))
		style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	return scalar(emitter, text, bytes, style);
}

static bool whole(double value)
{
	return value > -9e18 && value < 9e18 && value == (double)(int64_t)value;
}

static bool number(yaml_emitter_t *emitter, yyjson_val *value)
{
	char text[64];
	int n;

	if (yyjson_is_uint(value))
		n = snprintf(text, sizeof(text), "%llu", (unsigned long long)yyjson_get_uint(value));
	else if (yyjson_is_sint(value))
		n = snprintf(text, sizeof(text), "%lld", (long long)yyjson_get_sint(value));
	else if (whole(yyjson_get_real(value)))
		/* It is read back as an integer, so it is printed as one. */
		n = snprintf(text, sizeof(text), "%lld", (long long)yyjson_get_real(value));
	else {
		/* The shortest text that gives the same number back. */
		for (int precision = 1; precision <= 17; precision++) {
			n = snprintf(text, sizeof(text), "%.*g", precision, yyjson_get_real(value));
			if (strtod(text, NULL) == yyjson_get_real(value))
				break;
		}
	}
	return scalar(emitter, text, (size_t)n, YAML_PLAIN_SCALAR_STYLE);
}

static bool value_emit(yaml_emitter_t *emitter, yyjson_val *value);

static bool sequence(yaml_emitter_t *emitter, yyjson_val *value)
{
	yyjson_arr_iter elements = yyjson_arr_iter_with(value);
	yaml_sequence_style_t style =
		yyjson_arr_size(value) == 0 ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;
	yaml_event_t event;
	yyjson_val *v;

	if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style) || !emit(emitter, &event))
		return false;
	while ((v = yyjson_arr_iter_next(&elements)) != NULL)
		if (!value_emit(emitter, v))
			return false;
	return yaml_sequence_end_event_initialize(&event) && emit(emitter, &event);
}

static bool members_emit(yaml_emitter_t *emitter, yyjson_val *value)
{
	size_t n = yyjson_obj_size(value), i = 0;
	struct member *members = calloc(n == 0 ? 1 : n, sizeof(*members));
	yyjson_obj_iter iter = yyjson_obj_iter_with(value);
	yyjson_val *key;
	bool good = members != NULL;

	while (good && (key = yyjson_obj_iter_next(&iter)) != NULL)
		members[i++] = (struct member){.key = key, .value = yyjson_obj_iter_get_val(key)};
	if (good)
		qsort(members, n, sizeof(*members), compare_members);
	for (i = 0; good && i < n; i++)
		good = string(emitter, members[i].key) && value_emit(emitter, members[i].value);
	free(members);
	return good;
}

static bool mapping(yaml_emitter_t *emitter, yyjson_val *value)
{
	yaml_mapping_style_t style = yyjson_obj_size(value) == 0 ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE;
	yaml_event_t event;

	return yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style) && emit(emitter, &event) &&
	       members_emit(emitter, value) && yaml_mapping_end_event_initialize(&event) && emit(emitter, &event);
}

static bool value_emit(yaml_emitter_t *emitter, yyjson_val *value)
{
	switch (yyjson_get_type(value)) {
	case YYJSON_TYPE_OBJ:
		return mapping(emitter, value);
	case YYJSON_TYPE_ARR:
		return sequence(emitter, value);
	case YYJSON_TYPE_STR:
		return string(emitter, value);
	case YYJSON_TYPE_NUM:
		return number(emitter, value);
	case YYJSON_TYPE_BOOL:
		return scalar(emitter, yyjson_get_bool(value) ? "true" : "false", yyjson_get_bool(value) ? 4 : 5,
			      YAML_PLAIN_SCALAR_STYLE);
	default:
		return scalar(emitter, "null", 4, YAML_PLAIN_SCALAR_STYLE);
	}
}

static bool document(yaml_emitter_t *emitter, yyjson_val *value)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) && emit(emitter, &event) &&
	       yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) && emit(emitter, &event) &&
	       value_emit(emitter, value) &&
	       yaml_document_end_event_initialize(&event, 1) && emit(emitter, &event) &&
	       yaml_stream_end_event_initialize(&event) && emit(emitter, &event);
}

enum err yaml_emit(yyjson_val *value, char **text, size_t *bytes)
{
	yaml_emitter_t emitter;
	struct text out = {0};
	bool good;

	CHECK(value != NULL && text != NULL && bytes != NULL);
	*text = NULL;
	*bytes = 0;
	if (!yaml_emitter_initialize(&emitter))
		return ERR_NO_MEMORY;
	yaml_emitter_set_output(&emitter, append, &out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	good = document(&emitter, value);
	yaml_emitter_delete(&emitter);
	if (!good || out.bytes == NULL) {
		free(out.bytes);
		return ERR_NO_MEMORY;
	}
	*text = out.bytes;
	*bytes = out.n;
	return OK;
}
