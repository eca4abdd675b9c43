#include "control/model/selector.h"

#include <string.h>

const char *labels_get(const struct labels *l, const char *key)
{
	const char *value = yyjson_get_str(doc_get(l->map, key));

	if (value == NULL && l->namespace != NULL && strcmp(key, "kubernetes.io/metadata.name") == 0)
		return l->namespace;
	return value;
}

static bool contains(yyjson_val *values, const char *value)
{
	size_t i, n;
	yyjson_val *item;

	yyjson_arr_foreach(values, i, n, item) {
		const char *text = yyjson_get_str(item);

		if (text != NULL && strcmp(text, value) == 0)
			return true;
	}
	return false;
}

static bool expression_holds(yyjson_val *e, const struct labels *l)
{
	const char *op = doc_str(e, "operator");
	const char *value = labels_get(l, doc_str(e, "key"));

	if (strcmp(op, "Exists") == 0)
		return value != NULL;
	if (strcmp(op, "DoesNotExist") == 0)
		return value == NULL;
	if (strcmp(op, "In") == 0)
		return value != NULL && contains(doc_get(e, "values"), value);
	if (strcmp(op, "NotIn") == 0)
		return value == NULL || !contains(doc_get(e, "values"), value);
	return false;
}

bool selector_matches(yyjson_val *selector, const struct labels *l)
{
	size_t i, n;
	yyjson_val *key, *value;

	if (!yyjson_is_obj(selector))
		return false;
	yyjson_obj_foreach(doc_get(selector, "matchLabels"), i, n, key, value) {
		const char *have = labels_get(l, yyjson_get_str(key)), *want = yyjson_get_str(value);

		if (have == NULL || want == NULL || strcmp(have, want) != 0)
			return false;
	}
	yyjson_arr_foreach(doc_get(selector, "matchExpressions"), i, n, value) {
		if (!expression_holds(value, l))
			return false;
	}
	return true;
}

static const char *expression_fault(yyjson_val *e, const char **field)
{
	const char *op = doc_str(e, "operator");
	const bool lists = strcmp(op, "In") == 0 || strcmp(op, "NotIn") == 0;
	const size_t n = yyjson_arr_size(doc_get(e, "values"));

	*field = "operator";
	if (!lists && strcmp(op, "Exists") != 0 && strcmp(op, "DoesNotExist") != 0)
		return "must be In, NotIn, Exists or DoesNotExist";
	*field = "values";
	if (lists && n == 0)
		return "In and NotIn need some";
	return !lists && n > 0 ? "Exists and DoesNotExist have none" : NULL;
}

bool selector_is_sound(yyjson_val *selector, struct selector_fault *fault)
{
	size_t i, n;
	yyjson_val *e;

	*fault = (struct selector_fault){.field = "", .why = "from Selector needs one"};
	if (!yyjson_is_obj(selector))
		return false;
	yyjson_arr_foreach(doc_get(selector, "matchExpressions"), i, n, e) {
		fault->expression = i;
		fault->why = expression_fault(e, &fault->field);
		if (fault->why != NULL)
			return false;
	}
	return true;
}
