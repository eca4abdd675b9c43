/* Routing: the semantics of gateway-api.md, section 5, numbers 1 to 6, 8 and 10, as one table per listener set. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/regexes.h"
#include "route/route.h"
#include "tests/support/request.h"
#include "tests/support/table_fixture.h"

static const struct fixture paths = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {{.name = "web"}},
	.routes = {
		{.name = "root", .path = "/"},
		{.name = "v2", .path = "/v2"},
		{.name = "v2-slash", .path = "/slash/"},
		{.name = "v2-deep", .path = "/v2/deep/er"},
		{.name = "exact", .path = "/v2/exact", .exact = true},
		{.name = "exact-slash", .path = "/v2/exact/", .exact = true},
		{.name = "exact-root", .path = "/", .exact = true, .method = "POST"},
		{.name = "v2-post", .path = "/v2", .method = "POST"},
		{.name = "one-header", .path = "/h", .headers = {{"Version", "one"}}},
		{.name = "two-headers", .path = "/h", .headers = {{"version", "one"}, {"Color", "blue"}}},
		{.name = "get-h", .path = "/h", .method = "GET", .headers = {{"color", "red"}}},
		{.name = "host-header", .path = "/h", .headers = {{"user-agent", "x"}, {"a", "1"}, {"b", "2"}}},
		{.name = "one-query", .path = "/q", .query = {{"a", "1"}}},
		{.name = "two-query", .path = "/q", .query = {{"a", "1"}, {"b", ""}}},
		{.name = "header-beats-query", .path = "/q", .headers = {{"x", "y"}}},
		{.name = "first", .path = "/same"},
		{.name = "second", .path = "/same"},
		{.name = "connect", .path = "/", .hostname = "proxy", .method = "CONNECT"},
		{.name = "proxied", .path = "/", .hostname = "proxy"},
		{.name = "double-slash", .path = "/d//e"},
		{.name = "only-exact", .path = "/v2/deep/er/only", .exact = true, .headers = {{"x", "y"}}},
	},
};

static const struct fixture hosts = {
	.listeners = {
		{"gw/empty", "198.18.0.10", 80},
		{"gw/wild", "198.18.0.10", 80, "*.example.com"},
		{"gw/foo", "198.18.0.10", 80, "*.foo.example.com"},
		{"gw/abc", "198.18.0.10", 80, "abc.foo.example.com"},
		{"gw/plain", "198.18.0.10", 81},
	},
	.routes = {
		{.name = "empty", .listener = "gw/empty", .path = "/empty"},
		{.name = "wild", .listener = "gw/wild", .path = "/wild"},
		{.name = "foo", .listener = "gw/foo", .path = "/foo"},
		{.name = "abc", .listener = "gw/abc", .path = "/abc"},
		{.name = "p-exact", .listener = "gw/plain", .hostname = "www.example.com", .path = "/a"},
		{.name = "p-wild", .listener = "gw/plain", .hostname = "*.example.com", .path = "/"},
		{.name = "p-wild-deep", .listener = "gw/plain", .hostname = "*.example.com", .path = "/a/b"},
		{.name = "p-any", .listener = "gw/plain", .path = "/any"},
		{.name = "p-six", .listener = "gw/plain", .hostname = "[2001:2::10]", .path = "/"},
	},
};

/* What is behind the hard one would serve its requests, if giving up a match meant that it does not hold. */
static const struct fixture regexes = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.routes = {
		{.name = "root", .path = "/"},
		{.name = "user", .path = "/u", .headers = {{"X-User", "(?i)user-[0-9]{3}", true}}},
		{.name = "id", .path = "/u", .query = {{"id", "[0-9]+", true}}},
		{.name = "hard", .path = "/hard", .headers = {{"x-t", "(a|b)*a(a|b){20}", true}}},
		{.name = "easy", .path = "/hard", .query = {{"q", "1"}}},
		{.name = "any-host", .hostname = "*.example.com", .path = "/hard", .method = "PUT"},
	},
};

static char hostile[8000];      /* what stands for a value of that name */

struct given {
	const char *name, *head;
	uint16_t port;
	const char *want;       /* the rule's name, "404", "no listener" or "too much" */
};

static void check(const struct fixture *f, const struct given *cases, size_t n)
{
	size_t bytes;
	struct table *t = fixture_table(f, &bytes);
	const struct addr local = fixture_addr("198.18.0.10");
	struct regexes *all = regexes_new(1);
	struct regex_set *set;

	assert_int_equal(regexes_take(all, t, &set), OK);
	for (size_t i = 0; i < n; i++) {
		struct request r;
		struct route_result found;
		char got[64] = "404";
		enum route_answer a;

		request_init(&r, cases[i].head);
		if (r.m.fields_n > 0 && text_equal(r.m.fields[0].value, TEXT("hostile")))
			r.m.fields[0].value = (struct text){.at = hostile, .len = sizeof(hostile)};
		a = route_find(t, regex_set_of(set, 0), &local, cases[i].port, &r.m, &found);
		if (a == ROUTE_NO_LISTENER)
			strcpy(got, "no listener");
		if (a == ROUTE_TOO_MUCH)
			strcpy(got, "too much");
		if (a != ROUTE_FOUND && found.rule != NULL)
			fail_msg("%s: a rule, but it was not found", cases[i].name);
		if (a == ROUTE_FOUND)
			snprintf(got, sizeof(got), "%.*s", (int)found.rule->name.len, table_text(t, found.rule->name));
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got %s", cases[i].name, got);
		request_fini(&r);
	}
	regexes_drop(all, set);
	regexes_free(all);
	free(t);
}

static void test_paths(void **state)
{
	static const struct given cases[] = {
		{"1 prefix itself", "GET a /v2", 80, "v2"},
		{"1 prefix with slash", "GET a /v2/", 80, "v2"},
		{"1 below the prefix", "GET a /v2/x", 80, "v2"},
		{"1 by segment", "GET a /v2example", 80, "root"},
		{"1 the prefix's own slash is ignored", "GET a /slash", 80, "v2-slash"},
		{"1 case matters", "GET a /V2", 80, "root"},
		{"1 query is no path", "GET a /v2?x=/v3", 80, "v2"},
		{"1 root", "GET a /", 80, "root"},
		{"2 exact beats prefix", "GET a /v2/exact", 80, "exact"},
		{"2 exact is exact", "GET a /v2/exact/more", 80, "v2"},
		{"2 exact with slash", "GET a /v2/exact/", 80, "exact-slash"},
		{"2 exact root", "POST a /", 80, "exact-root"},
		{"2 longest prefix", "GET a /v2/deep/er/x", 80, "v2-deep"},
		{"2 longest prefix beats method", "POST a /v2/deep/er", 80, "v2-deep"},
		{"2 not the longest one", "GET a /v2/deep", 80, "v2"},
		{"2 method beats none", "POST a /v2/x", 80, "v2-post"},
		{"2 most headers", "GET a /h\nVersion: one\nColor: blue", 80, "two-headers"},
		{"2 three headers, one known", "GET a /h\nVersion: one\nColor: blue\nUser-Agent: x\nA: 1\nB: 2", 80,
		 "host-header"},
		{"2 method before headers", "GET a /h\nVersion: one\nColor: red", 80, "get-h"},
		{"2 one header", "PUT a /h\nVERSION: one\nColor: red", 80, "one-header"},
		{"2 headers before query", "GET a /q?a=1&b=\nX: y", 80, "header-beats-query"},
		{"2 most query parameters", "GET a /q?b&a=1", 80, "two-query"},
		{"2 first rule", "GET a /same", 80, "first"},
		{"CONNECT by a rule that names it", "CONNECT proxy /", 80, "connect"},
		{"what others are for", "GET proxy /", 80, "proxied"},
		{"CONNECT is no method that any rule takes", "CONNECT a /", 80, "404"},
		{"3 header value is case-sensitive", "GET a /h\nVersion: One", 80, "root"},
		{"3 header missing", "GET a /h", 80, "root"},
		{"3 first header of a name", "PUT a /h\nVersion: one\nVersion: two", 80, "one-header"},
		{"3 not the second", "PUT a /h\nVersion: two\nVersion: one", 80, "root"},
		{"4 query", "GET a /q?a=1", 80, "one-query"},
		{"4 query name is case-sensitive", "GET a /q?A=1", 80, "root"},
		{"4 query value is case-sensitive and whole", "GET a /q?a=11", 80, "root"},
		{"4 first value", "GET a /q?a=1&a=2", 80, "one-query"},
		{"4 not the second value", "GET a /q?a=2&a=1", 80, "root"},
		{"4 empty pieces", "GET a /q?&&a=1&", 80, "one-query"},
		{"5 host's port", "GET a.b:8080 /v2", 80, "v2"},
		{"an exact rule that does not hold", "GET a /v2/deep/er/only", 80, "v2-deep"},
		{"empty segments", "GET a /d//e/f", 80, "double-slash"},
		{"empty segments are not skipped", "GET a /d/e", 80, "root"},
		{"only slashes", "GET a ////////", 80, "root"},
		{"asterisk", "OPTIONS a *", 80, "404"},
		{"no listener", "GET a /", 81, "no listener"},
	};

	(void)state;
	check(&paths, cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_hosts(void **state)
{
	static const struct given cases[] = {
		{"10 empty listener", "GET bar.com /empty", 80, "empty"},
		{"10 empty has nothing else", "GET bar.com /wild", 80, "404"},
		{"10 wildcard", "GET bar.example.com /wild", 80, "wild"},
		{"10 wildcard isolates", "GET bar.example.com /empty", 80, "404"},
		{"10 more specific wildcard", "GET bar.foo.example.com /foo", 80, "foo"},
		{"10 it isolates", "GET bar.foo.example.com /wild", 80, "404"},
		{"10 exact", "GET abc.foo.example.com /abc", 80, "abc"},
		{"10 exact isolates", "GET abc.foo.example.com /foo", 80, "404"},
		{"8 any number of labels", "GET a.b.c.example.com /wild", 80, "wild"},
		{"8 never the domain itself", "GET example.com /empty", 80, "empty"},
		{"5 port", "GET abc.foo.example.com:1234 /abc", 80, "abc"},
		{"case of the host", "GET ABC.Foo.EXAMPLE.com /abc", 80, "abc"},
		{"trailing dot", "GET abc.foo.example.com. /abc", 80, "abc"},
		{"trailing dot and port", "GET abc.foo.example.com.:80 /abc", 80, "abc"},
		{"no host", "GET - /empty", 80, "empty"},
		{"2 hostname first: precise", "GET www.example.com /a", 81, "p-exact"},
		{"2 precise beats a longer path", "GET www.example.com /a/b", 81, "p-exact"},
		{"falls to the wildcard when no rule holds", "GET www.example.com /x", 81, "p-wild"},
		{"wildcard", "GET w.example.com /a/b", 81, "p-wild-deep"},
		{"wildcard before none", "GET w.example.com /any", 81, "p-wild"},
		{"no hostname", "GET other /any", 81, "p-any"},
		{"6 nothing", "GET other /x", 81, "404"},
		{"IPv6 literal", "GET [2001:2::10]:80 /", 81, "p-six"},
		{"IPv6 literal, unclosed", "GET [2001:2::10 /any", 81, "p-any"},
	};

	(void)state;
	check(&hosts, cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_regexes(void **state)
{
	static const struct given cases[] = {
		{"header", "GET a /u\nx-user: USER-123", 80, "user"},
		{"whole header", "GET a /u\nx-user: user-1234", 80, "root"},
		{"query", "GET a /u?id=12", 80, "id"},
		{"whole query", "GET a /u?id=1x", 80, "root"},
		{"a hard one, ordinary text", "GET a /hard\nx-t: abbbbbbbbbbbbbbbbbbbb", 80, "hard"},
		{"a hard one that does not hold", "GET a /hard?q=1\nx-t: bbbbbbbbbbbbbbbbbbbbb", 80, "easy"},
		{"given up: no other rule, no less specific host", "GET b.example.com /hard?q=1\nx-t: hostile", 80, "too much"},
		{"not asked: nothing is given up", "PUT b.example.com /hard\nx-u: hostile", 80, "any-host"},
		{"the next request", "GET a /hard\nx-t: abbbbbbbbbbbbbbbbbbbb", 80, "hard"},
	};
	uint64_t x = 1;

	(void)state;
	/* Every byte leads to another state. */
	for (size_t i = 0; i < sizeof(hostile); i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		hostile[i] = (x >> 40 & 1) != 0 ? 'a' : 'b';
	}
	check(&regexes, cases, sizeof(cases) / sizeof(cases[0]));
}

/* What ReplacePrefixMatch will replace, and the depth of hostile paths. */
static void test_match_bytes_and_depth(void **state)
{
	static char head[20000];
	size_t bytes;
	struct table *t = fixture_table(&paths, &bytes);
	const struct addr local = fixture_addr("198.18.0.10");
	struct route_result found;
	struct request r;

	(void)state;
	request_init(&r, "GET a /slash/x");
	assert_int_equal(route_find(t, NULL, &local, 80, &r.m, &found), ROUTE_FOUND);
	assert_int_equal(found.match->path_bytes, 6);
	request_fini(&r);
	request_init(&r, "GET a /");
	memset(head, '/', 8000);
	r.m.path = (struct text){.at = head, .len = 8000};
	assert_int_equal(route_find(t, NULL, &local, 80, &r.m, &found), ROUTE_FOUND);
	assert_int_equal(found.match->path_bytes, 1);
	/* A host too long for any name is like none. */
	memset(head, 'a', 8000);
	r.m.authority = (struct text){.at = head, .len = 8000};
	r.m.path = TEXT("/v2");
	assert_int_equal(route_find(t, NULL, &local, 80, &r.m, &found), ROUTE_FOUND);
	request_fini(&r);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_regexes),
		cmocka_unit_test(test_match_bytes_and_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
