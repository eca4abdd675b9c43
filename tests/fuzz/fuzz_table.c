/*
 * The verifier on any bytes, and lookups in whatever it accepts. The first fields of the block are put right
 * (magic, format, size, checksum), or no input would get past them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void look_up(const struct table *t)
{
	const struct table_bind *b = TABLE_LIST(t, t->binds, struct table_bind);
	static const char host[] = "a.b.example.com";

	for (uint32_t i = 0; i < t->binds.n; i++) {
		if (table_find_bind(t, &b[i].addr, b[i].port) == NULL)
			abort();
		for (size_t at = 0; at < sizeof(host); at++) {
			const uint32_t l = table_find_listener(t, &b[i], host + at, sizeof(host) - 1 - at);

			if (l != TABLE_NONE)
				table_find_vhost(t, &TABLE_LIST(t, t->listeners, struct table_listener)[l], host,
				                 sizeof(host) - 1);
		}
	}
	for (uint32_t node = 0; node < t->nodes.n; node++)
		table_find_edge(t, node, "a", 1);
	table_find_cluster(t, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct table *t = aligned_alloc(TABLE_ALIGN, (n + TABLE_ALIGN) & ~(size_t)(TABLE_ALIGN - 1));
	const char *where;

	memcpy(t, bytes, n);
	if (n >= sizeof(*t)) {
		t->magic = TABLE_MAGIC;
		t->format = TABLE_FORMAT;
		t->bytes = (uint32_t)n;
		t->checksum = table_checksum(t, n);
	}
	if (table_verify(t, n, &where) == OK)
		look_up(t);
	else if (where == NULL || *where == '\0')
		abort();
	free(t);
	return 0;
}
