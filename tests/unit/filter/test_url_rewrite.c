/* URLRewrite: host and path, the whole table of prefixes, queries (gateway-api.md, section 5, numbers 33 and 34). */
#include "compiled.h"

#define REWRITE(spec) "{\"type\":\"URLRewrite\",\"urlRewrite\":{" spec "}}"
#define PREFIX(to) REWRITE("\"path\":{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":\"" to "\"}")
#define FULL(to) REWRITE("\"path\":{\"type\":\"ReplaceFullPath\",\"replaceFullPath\":\"" to "\"}")

static void test_rewrite(void **state)
{
	static const struct {
		const char *name, *spec, *head;
		uint32_t match_bytes;
		const char *host, *path, *fields;
	} cases[] = {
		{"nothing", REWRITE(""), "GET a.b /x?q=1", 1, "a.b", "/x?q=1", ""},
		{"34 hostname", REWRITE("\"hostname\":\"c.d\""), "GET a.b:8080 /x?q=1", 1, "c.d", "/x?q=1",
		 "x-forwarded-host: a.b:8080\n"},
		{"hostname of a request without one", REWRITE("\"hostname\":\"c.d\""), "GET - /x", 1, "c.d", "/x", ""},
		{"the forwarded host is appended", REWRITE("\"hostname\":\"c.d\""), "GET a.b /\nX-Forwarded-Host: e.f", 1,
		 "c.d", "/", "X-Forwarded-Host: e.f,a.b\n"},
		{"unless it stands there last", REWRITE("\"hostname\":\"c.d\""),
		 "GET a.b /\nX-Forwarded-Host: e.f, a.b", 1, "c.d", "/", "X-Forwarded-Host: e.f, a.b\n"},
		{"full path, query kept", FULL("/new"), "GET a.b /x/y?q=1", 2, "a.b", "/new?q=1", ""},
		{"full path with a query of its own", FULL("/new?z=2"), "GET a.b /x?q=1", 2, "a.b", "/new?z=2", ""},
		{"33 /foo/bar by /xyz", PREFIX("/xyz"), "GET a.b /foo/bar", 4, "a.b", "/xyz/bar", ""},
		{"33 /foo/bar by /xyz/", PREFIX("/xyz/"), "GET a.b /foo/bar", 4, "a.b", "/xyz/bar", ""},
		{"33 /foo by /xyz", PREFIX("/xyz"), "GET a.b /foo", 4, "a.b", "/xyz", ""},
		{"33 /foo/ by /xyz", PREFIX("/xyz"), "GET a.b /foo/", 4, "a.b", "/xyz/", ""},
		{"33 /foo/bar by nothing", PREFIX(""), "GET a.b /foo/bar", 4, "a.b", "/bar", ""},
		{"33 /foo/ by nothing", PREFIX(""), "GET a.b /foo/", 4, "a.b", "/", ""},
		{"33 /foo by nothing", PREFIX(""), "GET a.b /foo", 4, "a.b", "/", ""},
		{"33 /foo/ by /", PREFIX("/"), "GET a.b /foo/", 4, "a.b", "/", ""},
		{"33 /foo by /", PREFIX("/"), "GET a.b /foo", 4, "a.b", "/", ""},
		{"33 /foo/bar by /", PREFIX("/"), "GET a.b /foo/bar", 4, "a.b", "/bar", ""},
		{"33 prefix / by /xyz", PREFIX("/xyz"), "GET a.b /bar", 1, "a.b", "/xyz/bar", ""},
		{"33 prefix / by /xyz on /", PREFIX("/xyz"), "GET a.b /", 1, "a.b", "/xyz/", ""},
		{"33 prefix / by / on /a", PREFIX("/"), "GET a.b /a", 1, "a.b", "/a", ""},
		{"33 query kept", PREFIX("/xyz"), "GET a.b /foo?q=/foo", 4, "a.b", "/xyz?q=/foo", ""},
		{"33 query kept, path empty", PREFIX(""), "GET a.b /foo?q=1", 4, "a.b", "/?q=1", ""},
		{"both",
		 REWRITE("\"hostname\":\"c.d\",\"path\":{\"type\":\"ReplaceFullPath\",\"replaceFullPath\":\"/n\"}"),
		 "GET a.b /x", 1, "c.d", "/n", "x-forwarded-host: a.b\n"},
		{"the asterisk is no path", FULL("/new"), "OPTIONS a.b *", 1, "a.b", "*", ""},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem;
		struct filter_exchange x;
		struct compiled c;
		struct request r;

		if (compile(&c, cases[i].spec, &problem) != OK)
			fail_msg("%s: %s %s", cases[i].name, problem.path, problem.message);
		request_init(&r, cases[i].head);
		assert_int_equal(run(&c, &r, &x, "http", 80, cases[i].match_bytes), FILTER_CONTINUE);
		builder_free(c.b); /* the request may be sent when the tables are gone */
		assert_text(cases[i].name, r.m.authority, cases[i].host);
		assert_text(cases[i].name, r.m.path, cases[i].path);
		if (strcmp(request_print(&r.m, text, sizeof(text)), cases[i].fields) != 0)
			fail_msg("%s: got %s", cases[i].name, text);
		request_fini(&r);
	}
}

/* A rewrite of the backendRef comes after the rule's: it replaces what that one has put. */
static void test_twice(void **state)
{
	static const struct { const char *name, *first, *second, *want; } cases[] = {
		{"prefix, prefix", PREFIX("/xyz"), PREFIX("/q"), "/q/bar?x=1"},
		{"prefix with a slash, prefix", PREFIX("/xyz/"), PREFIX("/q"), "/q/bar?x=1"},
		{"empty prefix, prefix", PREFIX(""), PREFIX("/q"), "/q/bar?x=1"},
		{"full, prefix", FULL("/a/b"), PREFIX("/q"), "/q?x=1"},
		{"prefix, full", PREFIX("/xyz"), FULL("/n"), "/n?x=1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem;
		struct filter_exchange x;
		struct compiled c;
		struct request r;

		assert_int_equal(compile(&c, cases[i].first, &problem), OK);
		request_init(&r, "GET a.b /foo/bar?x=1");
		assert_int_equal(run(&c, &r, &x, "http", 80, 4), FILTER_CONTINUE);
		builder_free(c.b);
		assert_int_equal(compile(&c, cases[i].second, &problem), OK);
		assert_int_equal(run_request(&c, &x), FILTER_CONTINUE);
		builder_free(c.b);
		assert_text(cases[i].name, r.m.path, cases[i].want);
		request_fini(&r);
	}
}

static void test_too_long(void **state)
{
	static char path[8192];
	struct filter_problem problem;
	struct filter_exchange x;
	struct compiled c;
	struct request r;

	(void)state;
	assert_int_equal(compile(&c, PREFIX("/xyz"), &problem), OK);
	request_init(&r, "GET a /");
	memset(path, '/', sizeof(path));
	r.m.path = (struct text){.at = path, .len = sizeof(path)};
	assert_int_equal(run(&c, &r, &x, "http", 80, 1), FILTER_REPLY);
	assert_int_equal(x.reply.status, 414);
	assert_ptr_equal(r.m.path.at, path);
	request_fini(&r);
	builder_free(c.b);
}

static void test_refused(void **state)
{
	static const struct { const char *name, *spec, *path; } cases[] = {
		{"hostname wildcard", REWRITE("\"hostname\":\"*.a\""), "urlRewrite.hostname"},
		{"hostname is a number", REWRITE("\"hostname\":1"), "urlRewrite.hostname"},
		{"hostname with a port", REWRITE("\"hostname\":\"a:1\""), "urlRewrite.hostname"},
		{"path is a text", REWRITE("\"path\":\"/x\""), "urlRewrite.path"},
		{"path type", REWRITE("\"path\":{\"type\":\"ReplaceRegexMatch\"}"), "urlRewrite.path.type"},
		{"full path missing", REWRITE("\"path\":{\"type\":\"ReplaceFullPath\"}"), "urlRewrite.path.replaceFullPath"},
		{"path with a line end", FULL("/a\\r\\nb"), "urlRewrite.path.replaceFullPath"},
		{"path with a blank", PREFIX("/a b"), "urlRewrite.path.replacePrefixMatch"},
		{"prefix with a query", PREFIX("/a?b"), "urlRewrite.path.replacePrefixMatch"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem = {0};
		struct compiled c;
		enum err e;

		e = compile(&c, cases[i].spec, &problem);
		assert_refused(cases[i].name, &c, e, &problem, cases[i].path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
