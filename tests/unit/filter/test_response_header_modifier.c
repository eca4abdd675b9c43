/* ResponseHeaderModifier: what it does to a response, and what it refuses (gateway-api.md, section 5, number 29). */
#include "compiled.h"

#define MODIFIER(spec) "{\"type\":\"ResponseHeaderModifier\",\"responseHeaderModifier\":{" spec "}}"

static void test_response(void **state)
{
	/* The response is written like a request's fields. */
	static const struct { const char *name, *spec, *response, *want; } cases[] = {
		{"set replaces all", MODIFIER("\"set\":[{\"name\":\"X-A\",\"value\":\"new\"}]"), "x-a: 1\nB: 2\nX-A: 3",
		 "x-a: new\nB: 2\n"},
		{"set adds when missing", MODIFIER("\"set\":[{\"name\":\"X-A\",\"value\":\"new\"}]"), "B: 2",
		 "B: 2\nX-A: new\n"},
		{"add appends", MODIFIER("\"add\":[{\"name\":\"X-A\",\"value\":\"more\"}]"), "x-a: 1",
		 "x-a: 1\nX-A: more\n"},
		{"add twice a field that may be there twice",
		 MODIFIER("\"add\":[{\"name\":\"Set-Cookie\",\"value\":\"b=2\"}]"), "set-cookie: a=1",
		 "set-cookie: a=1\nSet-Cookie: b=2\n"},
		{"remove, whatever the case", MODIFIER("\"remove\":[\"sErver\"]"), "Server: nginx\nB: 2", "B: 2\n"},
		{"all three on distinct names",
		 MODIFIER("\"set\":[{\"name\":\"s\",\"value\":\"1\"}],\"add\":[{\"name\":\"a\",\"value\":\"2\"}],"
		          "\"remove\":[\"r\"]"),
		 "r: 0\ns: 0\na: 0", "s: 1\na: 0\na: 2\n"},
		{"nothing to do", MODIFIER(""), "X: 1", "X: 1\n"},
	};
	char text[512], head[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem;
		struct filter_exchange x;
		struct request r, response;
		struct compiled c;

		if (compile(&c, cases[i].spec, &problem) != OK)
			fail_msg("%s: %s %s", cases[i].name, problem.path, problem.message);
		request_init(&r, "GET a /\nX-A: of the request");
		snprintf(head, sizeof(head), "GET a /\n%s", cases[i].response);
		request_init(&response, head);
		exchange_of(&r, &x, "http", 80, 1);
		assert_int_equal(run_both(&c, &x, &response.m), FILTER_CONTINUE);
		if (strcmp(request_print(&response.m, text, sizeof(text)), cases[i].want) != 0)
			fail_msg("%s: got %s", cases[i].name, text);
		assert_string_equal(request_print(&r.m, text, sizeof(text)), "X-A: of the request\n");
		request_fini(&response);
		request_fini(&r);
	}
}

static void test_refused(void **state)
{
	static const struct { const char *name, *spec, *path; } cases[] = {
		{"set is no list", MODIFIER("\"set\":{}"), "responseHeaderModifier.set"},
		{"name empty", MODIFIER("\"set\":[{\"name\":\"\",\"value\":\"1\"}]"),
		 "responseHeaderModifier.set[0].name"},
		{"value with a line end", MODIFIER("\"set\":[{\"name\":\"a\",\"value\":\"1\\r\\nb: 2\"}]"),
		 "responseHeaderModifier.set[0].value"},
		{"framing", MODIFIER("\"set\":[{\"name\":\"Transfer-Encoding\",\"value\":\"chunked\"}]"),
		 "responseHeaderModifier.set[0].name"},
		{"framing removed", MODIFIER("\"remove\":[\"content-length\"]"), "responseHeaderModifier.remove[0]"},
		{"host set", MODIFIER("\"set\":[{\"name\":\"Host\",\"value\":\"1\"}]"),
		 "responseHeaderModifier.set[0].name"},
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

/* The longest value that the data plane can hold is taken; one byte more is refused, not answered 503 later. */
static void test_longest(void **state)
{
	static char json[8192], value[ARENA_PIECE_MAX + 2];

	(void)state;
	for (size_t len = ARENA_PIECE_MAX; len <= ARENA_PIECE_MAX + 1; len++) {
		struct filter_problem problem = {0};
		struct filter_exchange x;
		struct request r, response;
		struct compiled c;

		memset(value, 'v', len);
		value[len] = '\0';
		snprintf(json, sizeof(json), MODIFIER("\"set\":[{\"name\":\"a\",\"value\":\"%s\"}]"), value);
		if (len > ARENA_PIECE_MAX) {
			assert_int_equal(compile(&c, json, &problem), ERR_INVALID);
			assert_string_equal(problem.path, "responseHeaderModifier.set[0].value");
			builder_free(c.b);
			return;
		}
		assert_int_equal(compile(&c, json, &problem), OK);
		request_init(&r, "GET a /");
		request_init(&response, "GET a /");
		exchange_of(&r, &x, "http", 80, 1);
		assert_int_equal(run_both(&c, &x, &response.m), FILTER_CONTINUE);
		assert_int_equal(response.m.fields[0].value.len, len);
		request_fini(&response);
		request_fini(&r);
	}
}

/* Together they must find room behind any message: the field that is too much is named. */
static void test_too_many_bytes(void **state)
{
	enum { FIELDS = 5, VALUE = 3400 };
	static char json[FIELDS * (VALUE + 64)], value[VALUE + 1];
	struct filter_problem problem = {0};
	struct compiled c;

	(void)state;
	memset(value, 'v', VALUE);
	for (int fields = FIELDS - 1; fields <= FIELDS; fields++) {
		int n = snprintf(json, sizeof(json), "{\"type\":\"ResponseHeaderModifier\",\"responseHeaderModifier\":{\"add\":[");

		for (int i = 0; i < fields; i++)
			n += snprintf(json + n, sizeof(json) - (size_t)n, "%s{\"name\":\"n%d\",\"value\":\"%s\"}",
			              i > 0 ? "," : "", i, value);
		snprintf(json + n, sizeof(json) - (size_t)n, "]}}");
		assert_int_equal(compile(&c, json, &problem), fields < FIELDS ? OK : ERR_INVALID);
		builder_free(c.b);
	}
	assert_string_equal(problem.path, "responseHeaderModifier.add[4].value");
	assert_non_null(strstr(problem.message, "16384"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_too_many_bytes),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
