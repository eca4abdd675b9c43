/* The verifiers: every field of the tables is looked at, or harmless (fields.def); no bytes make them read outside. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "filter/filter.h"
#include "proxy/proxy.h"
#include "table/builder.h"
#include "tests/support/table_whole.h"

static struct table *make(size_t *bytes)
{
	return fixture_table(&table_whole, bytes);
}

static enum err verify(const struct table *t, size_t bytes, const char **where)
{
	const enum err e = table_verify(t, bytes, where);

	return e == OK ? proxy_verify(t, where) : e;
}

/* ---- the first of each struct ---- */

#define AT(t, offset) ((void *)((char *)(t) + (offset)))
#define FIRST(type, in, place) \
	static struct type *first_##type(struct table *t) \
	{ \
		in \
		return AT(t, place); \
	}
#define FIRST_OF_LIST(type, list) FIRST(type, , t->list.at)
#define FIRST_BELOW(type, parent, place) FIRST(type, const struct parent *x = first_##parent(t);, x->place)

FIRST(table, , 0)
FIRST_OF_LIST(table_port, ports)
FIRST_OF_LIST(table_vlan, vlans)
FIRST_OF_LIST(table_address, addresses)
FIRST_OF_LIST(table_ip_route, ip_routes)
FIRST_OF_LIST(table_bind, binds)
FIRST_OF_LIST(table_listener, listeners)
FIRST_OF_LIST(table_vhost, vhosts)
FIRST_OF_LIST(table_edge, edges)
FIRST_OF_LIST(table_regex, regexes)
FIRST_OF_LIST(table_rule, rules)
FIRST_OF_LIST(table_cluster, clusters)
FIRST_BELOW(table_backend, table_rule, backends.at)
FIRST_BELOW(table_filter, table_rule, filters.at)
FIRST_BELOW(table_retry, table_rule, retry)
FIRST_BELOW(table_session, table_rule, session)
FIRST_BELOW(table_endpoint, table_cluster, endpoints.at)

/* Of those that have exact matches. */
static struct table_node *first_table_node(struct table *t)
{
	struct table_node *n = AT(t, t->nodes.at);

	while (n->exact.n == 0)
		n++;
	return n;
}

FIRST_BELOW(table_match, table_node, exact.at)
FIRST_BELOW(table_predicate, table_match, headers.at)

static struct table_slot *first_table_slot(struct table *t)
{
	struct table_slot *s = AT(t, t->clusters_index.at);

	while (s->hash == 0)
		s++;
	return s;
}

/* ---- what fields.def needs ---- */

static struct table_node *root_node(struct table *t)
{
	return AT(t, t->nodes.at);
}

static void fill_slots(struct table *t, struct table_slot used)
{
	struct table_slot *s = AT(t, t->clusters_index.at);

	for (uint32_t i = 0; i < t->clusters_index.slots_n; i++)
		s[i] = used;
}

/* ---- the rows ---- */

enum kind { BROKEN, HARMLESS };

struct row {
	const char *type, *name;
	enum kind kind;
	enum err want;
	const char *where;           /* HARMLESS: why it is */
	size_t type_bytes, at, bytes;
	void (*change)(struct table *t);
};

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define BREAK(type, field, error, what, ...) \
	static void JOIN(change_, __LINE__)(struct table *t) \
	{ \
		struct type *x = first_##type(t); \
		(void)x; \
		__VA_ARGS__; \
	}
#define FREE(type, field, why) \
	static void JOIN(change_, __LINE__)(struct table *t) \
	{ \
		struct type *x = first_##type(t); \
		memset(&x->field, 0xff, sizeof(x->field)); \
	}
#include "tests/unit/table/fields.def"
#undef BREAK
#undef FREE

#define PLACE(type, field) \
	.type_bytes = sizeof(struct type), .at = offsetof(struct type, field), \
	.bytes = sizeof(((struct type *)NULL)->field), .change = JOIN(change_, __LINE__)
#define BREAK(type_, field, error, what, ...) \
	{.type = #type_, .name = #field ": " #__VA_ARGS__, .kind = BROKEN, .want = ERR_TABLE_##error, .where = what, \
	 PLACE(type_, field)},
#define FREE(type_, field, why) \
	{.type = #type_, .name = #field, .kind = HARMLESS, .want = OK, .where = why, PLACE(type_, field)},
static const struct row rows[] = {
#include "tests/unit/table/fields.def"
};
#undef BREAK
#undef FREE

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct row *r = &rows[i];
		const char *where = NULL;
		size_t bytes;
		struct table *t = make(&bytes);
		enum err e;

		r->change(t);
		if (r->at != offsetof(struct table, checksum) || strcmp(r->type, "table") != 0)
			t->checksum = table_checksum(t, bytes);
		e = verify(t, bytes, &where);
		if (e != r->want || strcmp(where, r->kind == BROKEN ? r->where : "") != 0)
			fail_msg("%s.%s: got %d at \"%s\"", r->type, r->name, e, where);
		free(t);
	}
}

/* Each byte of each struct belongs to a row. */
static void test_no_field_is_forgotten(void **state)
{
	enum { STRUCT_MAX = 512 };

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		bool covered[STRUCT_MAX] = {false};

		assert_in_range(rows[i].type_bytes, 1, STRUCT_MAX);
		for (size_t k = 0; k < LENGTH(rows); k++) {
			for (size_t b = 0; b < rows[k].bytes && strcmp(rows[i].type, rows[k].type) == 0; b++)
				covered[rows[k].at + b] = true;
		}
		for (size_t b = 0; b < rows[i].type_bytes; b++) {
			if (!covered[b])
				fail_msg("struct %s: no row for what is at byte %zu", rows[i].type, b);
		}
	}
}

/* All lists together are no larger than the block: what hangs on items is not walked for ever. */
static void test_lists_that_share_memory(void **state)
{
	static const struct { const char *name; uint32_t nodes; enum err want; } cases[] = {
		{"one node has the list", 1, OK},
		{"two nodes share it", 2, ERR_TABLE_BOUNDS},
		{"all nodes share it", 64, ERR_TABLE_BOUNDS},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct table_match matches[256] = {0};
		struct table_node nodes[64] = {0};
		struct table_rule rule = {0};
		struct builder *b = builder_new();

		for (size_t k = 0; k < LENGTH(matches); k++)
			matches[k].regex = TABLE_NONE;

		const struct table_list shared = builder_list(b, matches, sizeof(matches[0]), LENGTH(matches));
		const struct table_list rules = builder_list(b, &rule, sizeof(rule), 1);
		const char *where;
		const struct table *t;
		struct table_list l;
		size_t bytes;
		enum err e;

		for (uint32_t n = 0; n < cases[i].nodes; n++)
			nodes[n].exact = shared;
		l = builder_list(b, nodes, sizeof(nodes[0]), LENGTH(nodes));
		builder_root(b)->nodes = l;
		builder_root(b)->rules = rules;
		e = builder_finish(b, &t, &bytes);
		if (e != cases[i].want)
			fail_msg("%s: got %d", cases[i].name, e);
		if (e != OK) {
			assert_int_equal(table_verify(t, bytes, &where), e);
			assert_string_equal(where, "lists that share memory");
		}
		builder_free(b);
	}
}

static void test_checksum_and_size(void **state)
{
	size_t bytes;
	struct table *t = make(&bytes);

	(void)state;
	assert_int_equal(verify(t, bytes, NULL), OK);
	for (size_t n = 0; n < bytes; n += 13) {
		void *cut = malloc(n + 1);

		memcpy(cut, t, n);
		assert_int_not_equal(table_verify(cut, n, NULL), OK);
		free(cut);
	}
	for (size_t i = 0; i < bytes; i += 7) {
		((char *)t)[i] ^= 1;
		assert_int_not_equal(table_verify(t, bytes, NULL), OK);
		((char *)t)[i] ^= 1;
	}
	assert_int_equal(verify(t, bytes, NULL), OK);
	free(t);
}

/* Any 32-bit word replaced by a nasty one: the answer may be either, but nothing outside of the block is read (the
 * asan flavour sees it), and what verifies can be looked up in. */
static void test_survives(void **state)
{
	static const uint32_t nasty[] = {0, 1, 7, 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
	const struct addr a = fixture_addr("198.18.0.10");
	size_t bytes, accepted = 0;
	struct table *t = make(&bytes);

	(void)state;
	for (size_t i = 0; i < bytes / 4; i++) {
		for (size_t k = 0; k < LENGTH(nasty); k++) {
			uint32_t *word = (uint32_t *)t + i;
			const uint32_t old = *word;

			*word = nasty[k];
			t->checksum = table_checksum(t, bytes);
			if (verify(t, bytes, NULL) == OK) {
				const struct table_bind *b = table_find_bind(t, &a, 80);

				accepted++;
				if (b != NULL)
					table_find_listener(t, b, "a.b.example.com", 15);
				table_find_edge(t, 0, "a", 1);
			}
			*word = old;
		}
	}
	assert_true(accepted > 0);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_no_field_is_forgotten),
		cmocka_unit_test(test_lists_that_share_memory),
		cmocka_unit_test(test_checksum_and_size),
		cmocka_unit_test(test_survives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
