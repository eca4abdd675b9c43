/*
 * Reading a generation: accessors and lookups. Valid only on a verified block.
 */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "table/layout.h"

static inline const void *table_at(const struct table *t, uint32_t offset)
{
	return (const char *)t + offset;
}

/* The array behind a list: TABLE_LIST(t, t->rules, struct table_rule)[i]. */
#define TABLE_LIST(t, list, type) ((const type *)table_at((t), (list).at))

static inline const char *table_text(const struct table *t, struct table_text x)
{
	return (const char *)table_at(t, x.at);
}

/* The stable 64-bit id of a thing, from its name (or other bytes that it is told apart by). */
uint64_t table_id(const void *name, size_t n);

/* Hashes of the indices' keys, with the table's hash_seed; the builder uses the same. Never 0. */
uint32_t table_hash_bind(uint32_t seed, const struct addr *a, uint16_t port);
uint32_t table_hash_host(uint32_t seed, const char *lower, size_t len);
uint32_t table_hash_edge(uint32_t seed, uint32_t node, const char *segment, size_t len);
uint32_t table_hash_cluster(uint32_t seed, uint64_t id);

const struct table_bind *table_find_bind(const struct table *t, const struct addr *a, uint16_t port);
/* Exact host, then wildcards from the longest suffix, then the catch-all; TABLE_NONE when none. host: lower case,
 * no port, no trailing dot. */
uint32_t table_find_listener(const struct table *t, const struct table_bind *b, const char *host, size_t len);
uint32_t table_find_vhost(const struct table *t, const struct table_listener *l, const char *host, size_t len);
/*
 * The same in three steps, the first two of which ask memory for what the next one reads: with thousands of virtual
 * hosts it comes from far away. seek gives the hash of the host as it is, or 0 when there is nothing to look for; fetch
 * the one that is most likely meant, or TABLE_NONE.
 */
uint32_t table_seek_vhost(const struct table *t, const struct table_listener *l, const char *host, size_t len);
uint32_t table_fetch_vhost(const struct table *t, const struct table_listener *l, uint32_t hash);
uint32_t table_take_vhost(const struct table *t, const struct table_listener *l, const char *host, size_t len,
                          uint32_t hash, uint32_t likely);
uint32_t table_find_edge(const struct table *t, uint32_t node, const char *segment,
			 size_t len);                                                           /* node or TABLE_NONE */
uint32_t table_find_cluster(const struct table *t, uint64_t id);                                /* or TABLE_NONE */

/* The checksum of a block, its checksum field taken as 0. bytes is at least that of struct table. */
uint64_t table_checksum(const void *block, size_t bytes);

/*
 * The verifier: every offset, count, index, enum and text of an untrusted block. A fuzz target. `where` (may be
 * null) gets a static description of what was wrong. The block must be aligned to TABLE_ALIGN. What the layers above
 * know better (filters' configs, balancers) is looked at by proxy_verify() afterwards.
 */
enum err table_verify(const void *block, size_t bytes, const char **where) MUST_CHECK;

#endif
