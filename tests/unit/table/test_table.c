/* The generation block: builder, lookups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table/builder.h"
#include "table/table.h"
#include "tests/support/table_fixture.h"

static const struct fixture lab = {
	.workers = 2,
	.resource_version = 7,
	.ports = {{.name = "client", .device = "net_ring0"}, {.name = "backend", .device = "net_ring1"}},
	.addresses = {{"198.18.0.1/24", 0}, {"198.18.0.10/32", 0, true}, {"2001:2::10/128", 0, true}, {"198.18.1.1/24",
	        1}},
	.ip_routes = {{"0.0.0.0/0", "198.18.0.2", 0}, {"10.0.0.0/8", "198.18.1.2", 1}, {"::/0", "2001:2::2", 0}},
	.listeners = {
		{"ns/gw/all", "198.18.0.10", 80},
		{"ns/gw/wild", "198.18.0.10", 80, "*.example.com"},
		{"ns/gw/deep", "198.18.0.10", 80, "*.foo.example.com"},
		{"ns/gw/one", "198.18.0.10", 80, "www.example.com"},
		{"ns/gw/other", "198.18.0.10", 81, "www.example.com"},
		{"ns/gw/six", "2001:2::10", 80},
	},
	.clusters = {
		{.name = "web", .endpoints = {{"198.18.1.11", 8080}, {"198.18.1.12", 8080, 3}}},
		{.name = "none"},
	},
	.routes = {
		{.path = "/", .backends = {{"web", 1}, {"!", 1}}},
		{.path = "/a/b", .exact = true, .backends = {{"web", 1}}, .headers = {{"X-A", "1"}}, .query =
		 {{"q", "2"}}},
		{.path = "/a/", .hostname = "*.example.com", .backends = {{"none", 3}}},
		{.path = "/x", .hostname = "www.example.com", .direct_status = 500},
	},
};

static struct table *make(size_t *bytes)
{
	return fixture_table(&lab, bytes);
}

static void test_binds(void **state)
{
	static const struct { const char *name, *addr; uint16_t port; bool found; } cases[] = {
		{"the first", "198.18.0.10", 80, true},
		{"another port", "198.18.0.10", 81, true},
		{"IPv6", "2001:2::10", 80, true},
		{"no such port", "198.18.0.10", 82, false},
		{"no such address", "198.18.0.11", 80, false},
	};
	size_t bytes;
	struct table *t = make(&bytes);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct addr a = fixture_addr(cases[i].addr);
		const struct table_bind *b = table_find_bind(t, &a, cases[i].port);

		if ((b != NULL) != cases[i].found)
			fail_msg("%s", cases[i].name);
		if (b != NULL && (b->port != cases[i].port || !addr_equal(&b->addr, &a)))
			fail_msg("%s: another bind", cases[i].name);
	}
	free(t);
}

static void test_hosts(void **state)
{
	static const struct { const char *name; uint16_t port; const char *host, *listener; } cases[] = {
		{"exact", 80, "www.example.com", "ns/gw/one"},
		{"wildcard, one label", 80, "a.example.com", "ns/gw/wild"},
		{"wildcard, two labels", 80, "a.b.example.com", "ns/gw/wild"},
		{"the longest wildcard", 80, "a.foo.example.com", "ns/gw/deep"},
		{"the longest wildcard, deep", 80, "a.b.foo.example.com", "ns/gw/deep"},
		{"not the wildcard's own domain", 80, "example.com", "ns/gw/all"},
		{"its own domain falls to the shorter one", 80, "foo.example.com", "ns/gw/wild"},
		{"unknown", 80, "nowhere", "ns/gw/all"},
		{"none", 80, "", "ns/gw/all"},
		{"a literal star is no host", 80, "*.example.com", "ns/gw/all"},
		{"an empty first label", 80, ".example.com", "ns/gw/all"},
		{"dots", 80, "..", "ns/gw/all"},
		{"no catch-all", 81, "nowhere", NULL},
		{"no catch-all, exact", 81, "www.example.com", "ns/gw/other"},
		{"no catch-all, empty host", 81, "", NULL},
	};
	size_t bytes;
	struct table *t = make(&bytes);
	const struct addr a = fixture_addr("198.18.0.10");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct table_bind *b = table_find_bind(t, &a, cases[i].port);
		const uint32_t l = table_find_listener(t, b, cases[i].host, strlen(cases[i].host));
		const struct table_text name = l == TABLE_NONE ? (struct table_text){0}
		                                               : TABLE_LIST(t, t->listeners,
		                                                            struct table_listener)[l].name;
		const char *want = cases[i].listener != NULL ? cases[i].listener : "";

		if (name.len != strlen(want) || memcmp(table_text(t, name), want, name.len) != 0)
			fail_msg("%s: got %.*s", cases[i].name, (int)name.len, table_text(t, name));
	}
	free(t);
}

static void test_clusters_and_edges(void **state)
{
	size_t bytes;
	struct table *t = make(&bytes);
	const uint32_t web = table_find_cluster(t, fixture_cluster_id("web"));
	const struct table_edge *e = TABLE_LIST(t, t->edges, struct table_edge);

	(void)state;
	assert_int_equal(web, 0);
	assert_int_equal(table_find_cluster(t, fixture_cluster_id("none")), 1);
	assert_int_equal(table_find_cluster(t, 12345), TABLE_NONE);
	assert_true(t->edges.n > 0);
	for (uint32_t i = 0; i < t->edges.n; i++)
		assert_int_equal(table_find_edge(t, e[i].node, table_text(t, e[i].segment), e[i].segment.len), e[i].to);
	assert_int_equal(table_find_edge(t, 0, "nope", 4), TABLE_NONE);
	assert_int_equal(TABLE_LIST(t, t->ip_routes, struct table_ip_route)[0].prefix_bits, 104);
	free(t);
}

static void test_deterministic(void **state)
{
	size_t n1, n2;
	struct table *a = make(&n1), *b = make(&n2);
	struct fixture other = lab;
	struct table *c;

	(void)state;
	assert_int_equal(n1, n2);
	assert_memory_equal(a, b, n1);
	other.resource_version++;
	c = fixture_table(&other, &n2);
	assert_true(c->content == a->content);
	assert_true(c->checksum != a->checksum);
	free(c);
	other.workers++;
	c = fixture_table(&other, &n2);
	assert_true(c->content != a->content);
	free(a);
	free(b);
	free(c);
}

static void test_builder_texts_and_growth(void **state)
{
	struct builder *b = builder_new();
	struct table_text first = builder_text(b, "first", 5);
	char text[64];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		const int n = snprintf(text, sizeof(text), "text number %d", i);
		const struct table_text x = builder_text(b, text, (size_t)n), y = builder_text(b, text, (size_t)n);

		assert_int_equal(x.at, y.at);
		assert_int_equal(x.len, n);
		assert_memory_equal(builder_at(b, x.at), text, (size_t)n);
	}
	assert_int_equal(builder_text(b, "first", 5).at, first.at);
	assert_int_equal(builder_put(b, "x", 1) % TABLE_ALIGN, 0);
	builder_free(b);
}

/* What does not fit is not put, and not forgotten: nothing that fits later makes the block whole again. */
static void test_builder_full(void **state)
{
	static const struct { const char *name; size_t item_bytes, n; } cases[] = {
		{"one byte too many", 1, TABLE_BYTES_MAX - sizeof(struct table) + 1},
		{"as large as a block", 1, TABLE_BYTES_MAX},
		{"many items", 1 << 12, (1 << 18) + 1},
		{"a product beyond 64 bits", 1 << 12, SIZE_MAX / 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct builder *b = builder_new();
		const uint32_t hash = 1, value = 2;
		const struct table *t = NULL;
		size_t bytes;

		/* It is refused for its size, before a byte is read. */
		if (builder_list(b, "", cases[i].item_bytes, cases[i].n).n != 0)
			fail_msg("%s: was put", cases[i].name);
		assert_int_equal(builder_put(b, "x", 1), 0);
		assert_int_equal(builder_list(b, "x", 1, 1).n, 0);
		assert_int_equal(builder_text(b, "text", 4).len, 0);
		assert_int_equal(builder_hash(b, &hash, &value, 1).slots_n, 0);
		if (builder_finish(b, &t, &bytes) != ERR_LIMIT)
			fail_msg("%s: was finished", cases[i].name);
		assert_null(t);
		builder_free(b);
	}
}

/* A large index: everything in it is found, and it is not overfull. */
static void test_hash_sizes(void **state)
{
	(void)state;
	for (uint32_t n = 1; n < 5000; n = n * 3 / 2 + 1) {
		struct builder *b = builder_new();
		struct table_cluster *c = calloc(n, sizeof(*c));
		uint32_t *hashes = calloc(n, sizeof(*hashes)), *values = calloc(n, sizeof(*values));
		const struct table *t;
		struct table_list l;
		struct table_hash x;
		size_t bytes;

		for (uint32_t i = 0; i < n; i++) {
			c[i].id = i * UINT64_C(0x9e3779b97f4a7c15);
			c[i].conns_max = 1;
			hashes[i] = table_hash_cluster(0, c[i].id);
			values[i] = i;
		}
		l = builder_list(b, c, sizeof(*c), n);
		x = builder_hash(b, hashes, values, n);
		builder_root(b)->clusters = l;
		builder_root(b)->clusters_index = x;
		assert_true(x.slots_n * 7 >= n * 10);
		assert_int_equal(builder_finish(b, &t, &bytes), OK);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(table_find_cluster(t, c[i].id), i);
		assert_int_equal(table_find_cluster(t, 1), TABLE_NONE);
		builder_free(b);
		free(c);
		free(hashes);
		free(values);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binds),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_clusters_and_edges),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_builder_texts_and_growth),
		cmocka_unit_test(test_builder_full),
		cmocka_unit_test(test_hash_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
