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
