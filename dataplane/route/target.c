#include "route/target.h"

#include <string.h>

/* Bit 7 of each byte that is one of A to Z. */
static inline uint64_t upper8(const char *at)
{
	uint64_t v, low7;

	memcpy(&v, at, sizeof(v));
	low7 = v & 0x7f7f7f7f7f7f7f7f;
	return (low7 + 0x3f3f3f3f3f3f3f3f) & ~(low7 + 0x2525252525252525) & ~v & 0x8080808080808080;
}

static inline char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool any_upper(const char *at, size_t n)
{
	uint64_t upper = 0;

	if (n < sizeof(upper)) {
		for (size_t i = 0; i < n; i++)
			upper |= lower(at[i]) != at[i];
		return upper != 0;
	}
	for (size_t i = 0; i + sizeof(upper) < n; i += sizeof(upper))
		upper |= upper8(at + i);
	return (upper | upper8(at + n - sizeof(upper))) != 0;
}

struct text target_host(struct text authority, char room[static TARGET_HOST_MAX])
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
		return (struct text){0};
	if (!any_upper(authority.at, n))
		return (struct text){.at = authority.at, .len = (uint32_t)n};
	for (size_t i = 0; i < n; i++)
		room[i] = lower(authority.at[i]);
	return (struct text){.at = room, .len = (uint32_t)n};
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
