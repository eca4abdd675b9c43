/* Documents: lookups that forgive a missing member, since schemas have checked what must be there. */
#include "base/doc.h"

#include <string.h>

yyjson_val *doc_get(yyjson_val *object, const char *name)
{
	return yyjson_obj_get(object, name);
}

yyjson_val *doc_at(yyjson_val *value, const char *dotted_path)
{
	while (value && *dotted_path) {
		size_t n = strcspn(dotted_path, ".");

		value = yyjson_obj_getn(value, dotted_path, n);
		dotted_path += n + (dotted_path[n] == '.');
	}
	return value;
}

const char *doc_str(yyjson_val *object, const char *name)
{
	const char *text = yyjson_get_str(doc_get(object, name));

	return text ? text : "";
}

int64_t doc_int(yyjson_val *object, const char *name, int64_t fallback)
{
	yyjson_val *v = doc_get(object, name);

	return yyjson_is_int(v) ? yyjson_get_sint(v) : fallback;
}

bool doc_bool(yyjson_val *object, const char *name, bool fallback)
{
	yyjson_val *v = doc_get(object, name);

	return yyjson_is_bool(v) ? yyjson_get_bool(v) : fallback;
}

/* ---- comparing ---- */

static bool same_members(yyjson_mut_val *a, yyjson_val *b)
{
	size_t i, n;
	yyjson_mut_val *key, *value;

	if (yyjson_mut_obj_size(a) != yyjson_obj_size(b))
		return false;
	yyjson_mut_obj_foreach(a, i, n, key, value) {
		yyjson_val *other = yyjson_obj_getn(b, yyjson_mut_get_str(key), yyjson_mut_get_len(key));

		if (other == NULL || !doc_same(value, other))
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
		if (!doc_same(item, other))
			return false;
		other = unsafe_yyjson_get_next(other);
	}
	return true;
}

bool doc_same(yyjson_mut_val *a, yyjson_val *b)
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
