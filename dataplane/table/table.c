/*
 * Looking things up in a generation.
 *
 * An index is an open-addressing hash table that holds 32 bits of XXH3 and the position of the item in its list; the
 * key itself is only in the item. A lookup costs one cache line of slots and the item. A wildcard host "*.example" is
 * hashed by what follows the star with another seed, so that the suffixes of a request's host are looked up in place,
 * without building "*.suffix" texts.
 */
#include "table/table.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

enum { SEED_WILDCARD = 1, LINE = 64 };

static_assert(sizeof(struct table_vhost) == LINE, "a virtual host is one line");
static_assert(sizeof(struct table_rule) == LINE, "a rule is one line");

/* ---- hashes ---- */

static inline uint32_t fold(uint64_t h)
{
	const uint32_t x = (uint32_t)(h ^ h >> 32);

	return x != 0 ? x : 1;
}

/* The table's seed, and what else the hash depends on. */
static inline uint64_t seeded(uint32_t seed, uint32_t also)
{
	return (uint64_t)seed << 32 | also;
}

static inline uint32_t hash_exact(uint32_t seed, const char *host, size_t len)
{
	return fold(XXH3_64bits_withSeed(host, len, seeded(seed, 0)));
}

static inline uint32_t hash_suffix(uint32_t seed, const char *suffix, size_t len)
{
	return fold(XXH3_64bits_withSeed(suffix, len, seeded(seed, SEED_WILDCARD)));
}

uint64_t table_id(const void *name, size_t n)
{
	return XXH3_64bits(name, n);
}

uint32_t table_hash_bind(uint32_t seed, const struct addr *a, uint16_t port)
{
	return fold(XXH3_64bits_withSeed(a->b, sizeof(a->b), seeded(seed, port)));
}

uint32_t table_hash_host(uint32_t seed, const char *lower, size_t len)
{
	return len > 0 && lower[0] == '*' ? hash_suffix(seed, lower + 1, len - 1) : hash_exact(seed, lower, len);
}

uint32_t table_hash_edge(uint32_t seed, uint32_t node, const char *segment, size_t len)
{
	return fold(XXH3_64bits_withSeed(segment, len, seeded(seed, node)));
}

uint32_t table_hash_cluster(uint32_t seed, uint64_t id)
{
	return fold(XXH3_64bits_withSeed(&id, sizeof(id), seeded(seed, 0)));
}

uint64_t table_checksum(const void *block, size_t bytes)
{
	static const uint64_t zero;
	const char *at = block;
	const size_t field = offsetof(struct table, checksum), after = field + sizeof(uint64_t);
	XXH3_state_t state;

	CHECK(bytes >= sizeof(struct table));
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, at, field);
	XXH3_64bits_update(&state, &zero, sizeof(zero));
	XXH3_64bits_update(&state, at + after, bytes - after);
	return XXH3_64bits_digest(&state);
}

/* ---- lookups ---- */

/*
 * Walks the slots whose hash is `h`: at enters as the home slot and is the next one to look at. Gives the value, or
 * TABLE_NONE at the first empty slot (there always is one).
 */
static inline uint32_t probe(const struct table_slot *slots, uint32_t mask, uint32_t h, uint32_t *at)
{
	for (;; *at = (*at + 1) & mask) {
		const struct table_slot *s = &slots[*at];

		if (s->hash == 0)
			return TABLE_NONE;
		if (s->hash == h) {
			*at = (*at + 1) & mask;
			return s->value;
		}
	}
}

/* Runs `found` with `i` as each candidate; the statement breaks out when the key is equal. */
#define PROBE(t, index, h, i)                                                                        \
	for (uint32_t at_ = (h) & ((index).slots_n - 1),                                             \
	              i = (index).slots_n == 0 ? TABLE_NONE                                          \
	                                       : probe(TABLE_LIST((t), (index), struct table_slot),  \
	                                               (index).slots_n - 1, (h), &at_);              \
	     i != TABLE_NONE;                                                                        \
	     i = probe(TABLE_LIST((t), (index), struct table_slot), (index).slots_n - 1, (h), &at_))

const struct table_bind *table_find_bind(const struct table *t, const struct addr *a, uint16_t port)
{
	const uint32_t h = table_hash_bind(t->hash_seed, a, port);

	PROBE(t, t->binds_index, h, i) {
		const struct table_bind *b = &TABLE_LIST(t, t->binds, struct table_bind)[i];

		if (b->port == port && addr_equal(&b->addr, a))
			return b;
	}
	return NULL;
}

static inline void fetch_two(const void *at)
{
	__builtin_prefetch(at);
	__builtin_prefetch((const char *)at + LINE);
}

/*
 * With thousands of routes each of these lines comes from far away. They are asked for together, as soon as the virtual
 * host is there, and not one after the other as the lookup gets to them; if its hostname is another one, that is little
 * work.
 */
static inline void fetch_near(const struct table *t, const struct table_vhost *v)
{
	const char *const node = (const char *)&TABLE_LIST(t, t->nodes, struct table_node)[v->root];

	fetch_two(table_text(t, v->hostname));
	fetch_two(node);
	__builtin_prefetch(node + 2 * LINE);
	fetch_two(table_at(t, v->near_edges));
	fetch_two(table_at(t, v->near_segments));
	fetch_two(table_at(t, v->near_matches));
	__builtin_prefetch(table_at(t, v->near_rule));
	fetch_two(table_at(t, v->near_backends));
}

/* Both kinds of items that are found by host: where their key text is. */
static inline struct table_text key(const struct table *t, bool listeners, uint32_t i)
{
	if (listeners)
		return TABLE_LIST(t, t->listeners, struct table_listener)[i].hostname;
	return TABLE_LIST(t, t->vhosts, struct table_vhost)[i].hostname;
}

static inline uint32_t find_exact(const struct table *t, struct table_hash x, bool listeners, const char *host,
                                  size_t len, uint32_t h)
{
	PROBE(t, x, h, i) {
		const struct table_text k = key(t, listeners, i);

		if (k.len == len && memcmp(table_text(t, k), host, len) == 0)
			return i;
	}
	return TABLE_NONE;
}

static inline uint32_t find_wildcard(const struct table *t, struct table_hash x, bool listeners, const char *suffix,
                                     size_t len)
{
	const uint32_t h = hash_suffix(t->hash_seed, suffix, len);

	PROBE(t, x, h, i) {
		const struct table_text k = key(t, listeners, i);

		if (k.len != len + 1 || table_text(t, k)[0] != '*' || memcmp(table_text(t, k) + 1, suffix, len) != 0)
			continue;
		if (!listeners)
			fetch_near(t, &TABLE_LIST(t, t->vhosts, struct table_vhost)[i]);
		return i;
	}
	return TABLE_NONE;
}

/* An index with one item, the catch-all: the common case of a listener without hostnames needs no hashing. */
static inline bool only(const struct table *t, struct table_hash x, uint32_t catch_all)
{
	const struct table_slot *s = TABLE_LIST(t, x, struct table_slot);

	return x.slots_n == 2 && s[s[0].hash == 0].value == catch_all;
}

/* The hash of the host; 0: it cannot be in the index. */
static inline uint32_t seek(const struct table *t, struct table_hash x, uint32_t catch_all, const char *host,
                            size_t len)
{
	if (x.slots_n == 0 || len == 0 || host[0] == '*' || only(t, x, catch_all))
		return 0;
	return hash_exact(t->hash_seed, host, len);
}

static inline uint32_t find_host(const struct table *t, struct table_hash x, bool listeners, uint32_t catch_all,
                                 const char *host, size_t len, uint32_t h)
{
	if (h != 0) {
		uint32_t i = find_exact(t, x, listeners, host, len, h);

		if (i != TABLE_NONE)
			return i;
		/* A star stands for one label or more, so the first suffix begins behind the first label. */
		for (const char *dot = memchr(host, '.', len); dot != NULL;
		     dot = memchr(dot + 1, '.', (size_t)(host + len - dot - 1))) {
			if (dot == host)
				continue;
			i = find_wildcard(t, x, listeners, dot, (size_t)(host + len - dot));
			if (i != TABLE_NONE)
				return i;
		}
	}
	return catch_all;
}

uint32_t table_find_listener(const struct table *t, const struct table_bind *b, const char *host, size_t len)
{
	return find_host(t, b->hosts, true, b->catch_all, host, len, seek(t, b->hosts, b->catch_all, host, len));
}

uint32_t table_seek_vhost(const struct table *t, const struct table_listener *l, const char *host, size_t len)
{
	const uint32_t h = seek(t, l->hosts, l->catch_all, host, len);
	uint32_t home;

	if (h == 0)
		return 0;
	home = h & (l->hosts.slots_n - 1);
	__builtin_prefetch(&TABLE_LIST(t, l->hosts, struct table_slot)[home]);
	fetch_two(&TABLE_LIST(t, t->vhosts, struct table_vhost)[(size_t)l->near_vhosts + home]);
	return h;
}

uint32_t table_fetch_vhost(const struct table *t, const struct table_listener *l, uint32_t hash)
{
	if (hash == 0)
		return TABLE_NONE;
	PROBE(t, l->hosts, hash, i) {
		fetch_near(t, &TABLE_LIST(t, t->vhosts, struct table_vhost)[i]);
		return i;
	}
	return TABLE_NONE;
}

uint32_t table_take_vhost(const struct table *t, const struct table_listener *l, const char *host, size_t len,
                          uint32_t hash, uint32_t likely)
{
	if (likely != TABLE_NONE) {
		const struct table_text k = key(t, false, likely);

		if (k.len == len && memcmp(table_text(t, k), host, len) == 0)
			return likely;
	}
	return find_host(t, l->hosts, false, l->catch_all, host, len, hash);
}

uint32_t table_find_vhost(const struct table *t, const struct table_listener *l, const char *host, size_t len)
{
	return find_host(t, l->hosts, false, l->catch_all, host, len, seek(t, l->hosts, l->catch_all, host, len));
}

uint32_t table_find_edge(const struct table *t, uint32_t node, const char *segment, size_t len)
{
	const struct table_edge *edges = TABLE_LIST(t, t->edges, struct table_edge);
	const struct table_node *from = &TABLE_LIST(t, t->nodes, struct table_node)[node];
	uint32_t h;

	if (from->edges_n <= TABLE_EDGES_FEW) {
		const struct table_edge *e = &edges[from->edge];

		for (uint32_t i = 0; i < from->edges_n; i++, e++) {
			if (e->segment.len == len && memcmp(table_text(t, e->segment), segment, len) == 0)
				return e->to;
		}
		return TABLE_NONE;
	}
	h = table_hash_edge(t->hash_seed, node, segment, len);
	PROBE(t, t->edges_index, h, i) {
		const struct table_edge *e = &edges[i];

		if (e->node == node && e->segment.len == len && memcmp(table_text(t, e->segment), segment, len) == 0)
			return e->to;
	}
	return TABLE_NONE;
}

uint32_t table_find_cluster(const struct table *t, uint64_t id)
{
	const uint32_t h = table_hash_cluster(t->hash_seed, id);

	PROBE(t, t->clusters_index, h, i) {
		if (TABLE_LIST(t, t->clusters, struct table_cluster)[i].id == id)
			return i;
	}
	return TABLE_NONE;
}
