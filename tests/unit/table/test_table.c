/* The generation block: builder, lookups, verifier. */
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

/* ---- the verifier ---- */

#define ITEM(t, list, type, i) (&((type *)((char *)(t) + (t)->list.at))[i])
#define MATCH(t) ((struct table_match *)((char *)(t) + first_node_with_match(t)->at))

static struct table_list *first_node_with_match(struct table *t)
{
	for (uint32_t i = 0; i < t->nodes.n; i++) {
		struct table_node *n = ITEM(t, nodes, struct table_node, i);

		if (n->exact.n > 0)
			return &n->exact;
	}
	abort();
}

static struct table_slot *used_slot(struct table *t, struct table_hash x)
{
	struct table_slot *s = (struct table_slot *)((char *)t + x.at);

	while (s->hash == 0)
		s++;
	return s;
}

static void fill_slots(struct table *t, struct table_hash x)
{
	struct table_slot *s = (struct table_slot *)((char *)t + x.at);
	const struct table_slot used = *used_slot(t, x);

	for (uint32_t i = 0; i < x.slots_n; i++)
		s[i] = used;
}

#define BREAK(name, ...) static void name(struct table *t) { __VA_ARGS__; }
BREAK(magic, t->magic++)
BREAK(format, t->format++)
BREAK(size, t->bytes += 8)
BREAK(list_beyond, t->rules.n = 1 << 20)
BREAK(list_overflow, t->rules.n = 0xffffffff)
BREAK(list_unaligned, t->rules.at += 4)
BREAK(list_in_head, t->rules.at = 8)
BREAK(list_shared, t->vhosts.at = t->listeners.at; t->vhosts.n = t->listeners.n; for (uint32_t i =
        0; i < t->nodes.n; i++)
      ITEM(t, nodes, struct table_node, i)->exact = (struct table_list){.at = t->nodes.at, .n = t->nodes.n / 3})
BREAK(ports_many, t->ports = (struct table_list){.at = t->addresses.at, .n = 9})
BREAK(workers_many, t->workers = 17)
BREAK(text_beyond, ITEM(t, ports, struct table_port, 0)->name.len = 1 << 30)
BREAK(text_overflow, ITEM(t, ports, struct table_port, 0)->name.at = 0xffffffff)
BREAK(prefix_bits, ITEM(t, addresses, struct table_address, 0)->prefix_bits = 129)
BREAK(address_port, ITEM(t, addresses, struct table_address, 0)->port = 2)
BREAK(route_port, ITEM(t, ip_routes, struct table_ip_route, 0)->port = 2)
BREAK(route_order, ITEM(t, ip_routes, struct table_ip_route, 2)->prefix_bits = 128)
BREAK(bind_port, ITEM(t, binds, struct table_bind, 0)->port = 0)
BREAK(bind_moved, ITEM(t, binds, struct table_bind, 0)->port = 8080)
BREAK(bind_protocol, ITEM(t, binds, struct table_bind, 0)->protocol = 3)
BREAK(bind_https, ITEM(t, binds, struct table_bind, 0)->protocol = TABLE_HTTPS)
BREAK(bind_catch_all, ITEM(t, binds, struct table_bind, 0)->catch_all = 1000)
BREAK(bind_no_index, t->binds_index.slots_n = 0)
BREAK(hash_not_power, t->binds_index.slots_n = 3)
BREAK(hash_full, fill_slots(t, t->clusters_index))
BREAK(hash_value, used_slot(t, t->clusters_index)->value = 77)
BREAK(hash_hash, used_slot(t, t->clusters_index)->hash ^= 0x10)
BREAK(hash_removed, used_slot(t, t->clusters_index)->hash = 0)
BREAK(vhost_root, ITEM(t, vhosts, struct table_vhost, 0)->root = 4096)
BREAK(vhost_cycle, for (uint32_t i = 0; i < t->vhosts.n; i++) ITEM(t, vhosts, struct table_vhost, i)->less_specific = i)
BREAK(edge_upwards, ITEM(t, edges, struct table_edge, 0)->to = 0)
BREAK(edge_beyond, ITEM(t, edges, struct table_edge, 0)->to = 4096)
BREAK(edges_of_node, ITEM(t, nodes, struct table_node, 0)->edges_n = 0)
BREAK(edges_of_others, ITEM(t, nodes, struct table_node, 0)->edges_n++)
BREAK(edges_beyond, ITEM(t, nodes, struct table_node, 0)->edge = 1 << 20)
BREAK(edge_text, ITEM(t, edges, struct table_edge, 0)->segment.at += 1)
BREAK(match_rule, MATCH(t)->rule = 4)
BREAK(match_headers, MATCH(t)->headers.at = 0x7fffff00)
BREAK(match_compare, ((struct table_predicate *)((char *)t + MATCH(t)->query.at))->compare = 3)
BREAK(match_value, ((struct table_predicate *)((char *)t + MATCH(t)->query.at))->value.len = 1 << 24)
BREAK(rule_backends, ITEM(t, rules, struct table_rule, 0)->backends.n = 5000)
BREAK(rule_weights, ITEM(t, rules, struct table_rule, 0)->weight_sum++)
BREAK(rule_status, ITEM(t, rules, struct table_rule, 0)->direct_status = 600)
BREAK(rule_filters, ITEM(t, rules, struct table_rule, 0)->filters = (struct table_list){.at = t->nodes.at, .n = 1})
BREAK(backend_cluster,
      ((struct table_backend *)((char *)t + ITEM(t, rules, struct table_rule, 0)->backends.at))->cluster = 2)
BREAK(endpoint_port,
      ((struct table_endpoint *)((char *)t + ITEM(t, clusters, struct table_cluster, 0)->endpoints.at))->port = 0)
BREAK(endpoint_weight,
      ((struct table_endpoint *)((char *)t + ITEM(t, clusters, struct table_cluster, 0)->endpoints.at))->weight = 0)
BREAK(cluster_id, ITEM(t, clusters, struct table_cluster, 1)->id = ITEM(t, clusters, struct table_cluster, 0)->id)

static void test_verifier_refuses(void **state)
{
#define CASE(f, e) {#f, f, ERR_TABLE_##e}
	static const struct { const char *name; void (*break_it)(struct table *); enum err want; } cases[] = {
		CASE(magic, MAGIC), CASE(format, MAGIC), CASE(size, BOUNDS), CASE(list_beyond, BOUNDS),
		CASE(list_overflow, BOUNDS), CASE(list_unaligned, BOUNDS), CASE(list_in_head, BOUNDS),
		CASE(list_shared, BOUNDS), CASE(ports_many, VALUE), CASE(workers_many, VALUE), CASE(text_beyond,
		        BOUNDS),
		CASE(text_overflow, BOUNDS), CASE(prefix_bits, VALUE), CASE(address_port, VALUE), CASE(route_port,
		        VALUE),
		CASE(route_order, VALUE), CASE(bind_port, VALUE), CASE(bind_moved, VALUE), CASE(bind_protocol, VALUE),
		CASE(bind_https, VALUE),
		CASE(bind_catch_all, VALUE), CASE(bind_no_index, VALUE), CASE(hash_not_power, VALUE), CASE(hash_full,
		        VALUE),
		CASE(hash_value, VALUE), CASE(hash_hash, VALUE), CASE(hash_removed, VALUE), CASE(vhost_root, VALUE),
		CASE(vhost_cycle, VALUE), CASE(edge_upwards, VALUE), CASE(edge_beyond, VALUE), CASE(edge_text, VALUE),
		CASE(edges_of_node, VALUE), CASE(edges_of_others, VALUE), CASE(edges_beyond, BOUNDS),
		CASE(match_rule, VALUE), CASE(match_headers, BOUNDS), CASE(match_compare, VALUE), CASE(match_value,
		        BOUNDS),
		CASE(rule_backends, BOUNDS), CASE(rule_weights, VALUE), CASE(rule_status, VALUE), CASE(rule_filters,
		        BOUNDS),
		CASE(backend_cluster, VALUE), CASE(endpoint_port, VALUE), CASE(endpoint_weight, VALUE), CASE(cluster_id,
		        VALUE),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *where = NULL;
		size_t bytes;
		struct table *t = make(&bytes);
		enum err e;

		cases[i].break_it(t);
		t->checksum = table_checksum(t, bytes);
		e = table_verify(t, bytes, &where);
		if (e != cases[i].want)
			fail_msg("%s: got %d at %s", cases[i].name, e, where);
		assert_true(strlen(where) > 0);
		free(t);
	}
}

static void test_verifier_checksum_and_size(void **state)
{
	size_t bytes;
	struct table *t = make(&bytes);

	(void)state;
	assert_int_equal(table_verify(t, bytes, NULL), OK);
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
	assert_int_equal(table_verify(t, bytes, NULL), OK);
	free(t);
}

/* Any 32-bit word replaced by a nasty one: the answer may be either, but nothing outside of the block is read (the
 * asan flavour sees it), and what verifies can be looked up in. */
static void test_verifier_survives(void **state)
{
	static const uint32_t nasty[] = {0, 1, 7, 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
	const struct addr a = fixture_addr("198.18.0.10");
	size_t bytes, accepted = 0;
	struct table *t = make(&bytes);

	(void)state;
	for (size_t i = 0; i < bytes / 4; i++) {
		for (size_t k = 0; k < sizeof(nasty) / sizeof(nasty[0]); k++) {
			uint32_t *word = (uint32_t *)t + i;
			const uint32_t old = *word;

			*word = nasty[k];
			t->checksum = table_checksum(t, bytes);
			if (table_verify(t, bytes, NULL) == OK) {
				const struct table_bind *b = table_find_bind(t, &a, 80);

				accepted++;
				if (b != NULL)
					table_find_listener(t, b, "a.b.example.com", 15);
				if (t->nodes.n > 0)
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
		cmocka_unit_test(test_binds),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_clusters_and_edges),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_builder_texts_and_growth),
		cmocka_unit_test(test_builder_full),
		cmocka_unit_test(test_hash_sizes),
		cmocka_unit_test(test_verifier_refuses),
		cmocka_unit_test(test_verifier_checksum_and_size),
		cmocka_unit_test(test_verifier_survives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
