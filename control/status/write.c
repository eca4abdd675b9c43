#include "control/status/write.h"

#include <string.h>

yyjson_val *find_condition(yyjson_val *list, const char *type)
{
	size_t i, n;
	yyjson_val *item;

	yyjson_arr_foreach(list, i, n, item) {
		if (strcmp(doc_str(item, "type"), type) == 0)
			return item;
	}
	return NULL;
}

void write_condition(const struct status_writer *w, yyjson_mut_val *list, yyjson_val *old, const char *type, bool ok,
                     const char *reason, const char *message)
{
	yyjson_val *before = find_condition(old, type);
	yyjson_mut_val *c = yyjson_mut_arr_add_obj(w->doc, list);
	const char *status = ok ? "True" : "False", *since = w->now;

	if (strcmp(doc_str(before, "status"), status) == 0 && doc_str(before, "lastTransitionTime")[0] != '\0')
		since = doc_str(before, "lastTransitionTime");
	yyjson_mut_obj_add_str(w->doc, c, "type", type);
	yyjson_mut_obj_add_str(w->doc, c, "status", status);
	yyjson_mut_obj_add_int(w->doc, c, "observedGeneration", w->generation);
	yyjson_mut_obj_add_str(w->doc, c, "lastTransitionTime", since);
	yyjson_mut_obj_add_str(w->doc, c, "reason", reason);
	yyjson_mut_obj_add_str(w->doc, c, "message", message);
}

static bool named(const char *const *names, const char *name)
{
	for (; *names != NULL; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

void copy_others(const struct status_writer *w, yyjson_mut_val *to, yyjson_val *from, const char *const *ours)
{
	size_t i, n;
	yyjson_val *key, *value;

	yyjson_obj_foreach(from, i, n, key, value) {
		if (!named(ours, yyjson_get_str(key)))
			yyjson_mut_obj_add(to, yyjson_val_mut_copy(w->doc, key), yyjson_val_mut_copy(w->doc, value));
	}
}

void copy_other_conditions(const struct status_writer *w, yyjson_mut_val *to, yyjson_val *from, const char *const *ours)
{
	size_t i, n;
	yyjson_val *item;

	yyjson_arr_foreach(from, i, n, item) {
		if (!named(ours, doc_str(item, "type")))
			yyjson_mut_arr_append(to, yyjson_val_mut_copy(w->doc, item));
	}
}

static bool same_members(yyjson_mut_val *a, yyjson_val *b)
{
	size_t i, n;
	yyjson_mut_val *key, *value;

	if (yyjson_mut_obj_size(a) != yyjson_obj_size(b))
		return false;
	yyjson_mut_obj_foreach(a, i, n, key, value) {
		yyjson_val *other = yyjson_obj_getn(b, yyjson_mut_get_str(key), yyjson_mut_get_len(key));

		if (other == NULL || !same_value(value, other))
			return false;
	}
	return true;
}

static bool same_items(yyjson_mut_val *a, yyjson_val *b)
{
	size_t i, n;
	yyjson_mut_val *item;
	yyjson_val *other = yyjson_arr_get_first(b);

	if (yyjson_mut_arr_size(a) != yyjson_arr_size(b))
		return false;
	yyjson_mut_arr_foreach(a, i, n, item) {
		if (!same_value(item, other))
			return false;
		other = unsafe_yyjson_get_next(other);
	}
	return true;
}

bool same_value(yyjson_mut_val *a, yyjson_val *b)
{
	if (b == NULL)
		return false;
	if (yyjson_mut_is_obj(a))
		return yyjson_is_obj(b) && same_members(a, b);
	if (yyjson_mut_is_arr(a))
		return yyjson_is_arr(b) && same_items(a, b);
	if (yyjson_mut_is_str(a))
		return yyjson_is_str(b) && yyjson_mut_get_len(a) == yyjson_get_len(b) &&
		       memcmp(yyjson_mut_get_str(a), yyjson_get_str(b), yyjson_get_len(b)) == 0;
	if (yyjson_mut_is_int(a))
		return yyjson_is_int(b) && yyjson_mut_get_sint(a) == yyjson_get_sint(b);
	if (yyjson_mut_is_real(a))
		return yyjson_is_real(b) && !(yyjson_mut_get_real(a) < yyjson_get_real(b)) &&
		       !(yyjson_mut_get_real(a) > yyjson_get_real(b));
	return yyjson_mut_get_tag(a) == yyjson_get_tag(b);
}
