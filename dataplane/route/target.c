#include "route/target.h"

#include <string.h>

size_t target_host(struct text authority, char host[static TARGET_HOST_MAX])
{
	size_t n = authority.len;

	if (n > 0 && authority.at[0] == '[') {
		const char *end = memchr(authority.at, ']', n);

		n = end != NULL ? (size_t)(end - authority.at) + 1 : 0;
	} else if (n > 0) {
		const char *colon = memchr(authority.at, ':', n);

		if (colon != NULL)
			n = (size_t)(colon - authority.at);
	}
	if (n > 0 && authority.at[n - 1] == '.')
		n--;
	if (n > TARGET_HOST_MAX)
		return 0;
	for (size_t i = 0; i < n; i++) {
		const char c = authority.at[i];

		host[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	return n;
}

bool target_parameter(struct text query, struct text name, struct text *value)
{
	/* Of a target without "?" there is not even a place. */
	const char *p = query.at, *const end = query.len > 0 ? query.at + query.len : query.at;

	while (p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		const char *stop = amp != NULL ? amp : end;
		const char *sign = memchr(p, '=', (size_t)(stop - p));
		const char *name_end = sign != NULL ? sign : stop;

		if (text_equal(name, (struct text){.at = p, .len = (uint32_t)(name_end - p)})) {
			*value = (struct text){.at = sign != NULL ? sign + 1 : stop};
			value->len = (uint32_t)(stop - value->at);
			return true;
		}
		p = stop + 1;
	}
	return false;
}
