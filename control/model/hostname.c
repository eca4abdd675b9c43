#include "control/model/hostname.h"

#include <string.h>

bool hostname_covers(const char *a, const char *b)
{
	const char *suffix = a + 1; /* ".a.b" */
	size_t a_len, b_len;

	if (a[0] == '\0' || strcmp(a, b) == 0)
		return true;
	if (a[0] != '*' || b[0] == '\0')
		return false;
	if (b[0] == '*')
		b++;
	a_len = strlen(suffix);
	b_len = strlen(b);
	return b_len > a_len && strcmp(b + b_len - a_len, suffix) == 0;
}

const char *hostname_intersect(const char *a, const char *b)
{
	if (hostname_covers(a, b))
		return b;
	return hostname_covers(b, a) ? a : NULL;
}
