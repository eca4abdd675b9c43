/* Walking a column's path, depth first, to its first value: that is the one that Kubernetes shows. */
#include "mgmt-api/api/column.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static yyjson_mut_val *find_filtered(yyjson_mut_val *list, const char *path)
{
	/* path is after "[?(@." : name=="value")] rest */
	const char *end = strchr(path, ']'), *equals = strstr(path, "==\"");
	const char *value, *value_end;
	yyjson_mut_arr_iter elements;
	yyjson_mut_val *v, *found;

	if (end == NULL || equals == NULL || equals > end)
		return NULL;
	value = equals + 3;
	value_end = strchr(value, '"');
	if (value_end == NULL || value_end > end || !yyjson_mut_arr_iter_init(list, &elements))
		return NULL;
	while ((v = yyjson_mut_arr_iter_next(&elements)) != NULL) {
		yyjson_mut_val *member = yyjson_mut_obj_getn(v, path, (size_t)(equals - path));

		if (yyjson_mut_equals_strn(member, value, (size_t)(value_end - value)) &&
		    (found = column_find(v, end + 1)) != NULL)
			return found;
	}
	return NULL;
}

static yyjson_mut_val *find_any(yyjson_mut_val *list, const char *rest)
{
	yyjson_mut_arr_iter elements;
	yyjson_mut_val *v, *found;

	if (!yyjson_mut_arr_iter_init(list, &elements))
		return NULL;
	while ((v = yyjson_mut_arr_iter_next(&elements)) != NULL)
		if ((found = column_find(v, rest)) != NULL)
			return found;
	return NULL;
}

yyjson_mut_val *column_find(yyjson_mut_val *object, const char *path)
{
	char *end;
	unsigned long index;
	size_t n;

	if (object == NULL || *path == '\0')
		return object;
	if (strncmp(path, "[*]", 3) == 0)
		return find_any(object, path + 3);
	if (strncmp(path, "[?(@.", 5) == 0)
		return find_filtered(object, path + 5);
	if (*path == '[') {
		index = strtoul(path + 1, &end, 10);
		return *end == ']' ? column_find(yyjson_mut_arr_get(object, index), end + 1) : NULL;
	}
	if (*path == '.')
		path++;
	n = strcspn(path, ".[");
	return n == 0 ? NULL : column_find(yyjson_mut_obj_getn(object, path, n), path + n);
}

const char *age_print(int64_t s, char text[static AGE_TEXT_MAX])
{
	int64_t m = s / 60, h = m / 60, d = h / 24, y = d / 365;

	if (s < 0)
		snprintf(text, AGE_TEXT_MAX, "0s");
	else if (s < 2 * 60)
		snprintf(text, AGE_TEXT_MAX, "%" PRId64 "s", s);
	else if (m < 10 && s % 60 != 0)
		snprintf(text, AGE_TEXT_MAX, "%" PRId64 "m%" PRId64 "s", m, s % 60);
	else if (h < 3)
		snprintf(text, AGE_TEXT_MAX, "%" PRId64 "m", m);
	else if (h < 8 && m % 60 != 0)
		snprintf(text, AGE_TEXT_MAX, "%" PRId64 "h%" PRId64 "m", h, m % 60);
	else if (h < 48)
		snprintf(text, AGE_TEXT_MAX, "%" PRId64 "h", h);
	else if (d < 8 && h % 24 != 0)
		snprintf(text, AGE_TEXT_MAX, "%" PRId64 "d%" PRId64 "h", d, h % 24);
	else if (y < 2)
		snprintf(text, AGE_TEXT_MAX, "%" PRId64 "d", d);
	else if (y < 8 && d % 365 != 0)
		snprintf(text, AGE_TEXT_MAX, "%" PRId64 "y%" PRId64 "d", y, d % 365);
	else
		snprintf(text, AGE_TEXT_MAX, "%" PRId64 "y", y);
	return text;
}

int64_t time_parse(const char *text)
{
	struct tm t = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);

	if (end == NULL || (*end != 'Z' && *end != '.'))
		return -1;
	return timegm(&t);
}
