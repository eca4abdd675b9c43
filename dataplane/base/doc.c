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
