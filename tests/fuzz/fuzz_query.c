/*
 * Any bytes as a query, after a first byte that says how long the name is that is looked for, and the name. The answer
 * must be that of a plain reading: pieces between &, the first whose name is the one, its value behind the first =.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), abort()))

static bool plain(const char *query, size_t n, const char *name, size_t name_len, size_t *from, size_t *to)
{
	for (size_t at = 0; at < n;) {
		size_t end = at, sign;

		while (end < n && query[end] != '&')
			end++;
		for (sign = at; sign < end && query[sign] != '=';)
			sign++;
		if (sign - at == name_len && memcmp(query + at, name, name_len) == 0) {
			*from = sign < end ? sign + 1 : end;
			*to = end;
			return true;
		}
		at = end + 1;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct text query, name, value = {0};
	size_t from = 0, to = 0, name_len;
	char *copy;
	bool found;

	if (n < 1)
		return 0;
	name_len = bytes[0] % 8;
	if (n < 1 + name_len)
		return 0;
	copy = malloc(n - 1 - name_len + 1);
	memcpy(copy, bytes + 1 + name_len, n - 1 - name_len);
	name = (struct text){.at = (const char *)bytes + 1, .len = (uint32_t)name_len};
	query = (struct text){.at = copy, .len = (uint32_t)(n - 1 - name_len)};
	found = target_parameter(query, name, &value);
	MUST(found == plain(query.at, query.len, name.at, name.len, &from, &to));
	MUST(!found || (value.at == query.at + from && value.len == to - from));
	free(copy);
	return 0;
}
