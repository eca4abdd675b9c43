/* CORS: preflights, marked responses, origins, and what is refused (gateway-api.md, section 5, number 37). */
#include "compiled.h"

#define CORS(spec) "{\"type\":\"CORS\",\"cors\":{" spec "}}"
#define ORIGINS(list) "\"allowOrigins\":[" list "]"
#define CREDENTIALS ",\"allowCredentials\":true"
#define PREFLIGHT(origin) "OPTIONS a /\nOrigin: " origin "\nAccess-Control-Request-Method: PUT\n" \
	"Access-Control-Request-Headers: x-one, X-Two"
#define ALL ORIGINS("\"*\"") ",\"allowMethods\":[\"*\"],\"allowHeaders\":[\"*\"],\"exposeHeaders\":[\"*\"]"

static const char *print_reply(const struct filter_reply *reply, char text[static 1024])
{
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < reply->fields_n; i++)
		at += (size_t)snprintf(text + at, 1024 - at, "%.*s: %.*s\n", (int)reply->fields[i].name.len,
		                       reply->fields[i].name.at, (int)reply->fields[i].value.len,
		                       reply->fields[i].value.at);
	return text;
}

static void test_preflight(void **state)
{
	static const struct { const char *name, *spec, *head, *want; } cases[] = {
		{"an allowed origin, lists",
		 CORS(ORIGINS("\"https://x.example\"") ",\"allowMethods\":[\"PUT\",\"DELETE\"],"
		      "\"allowHeaders\":[\"X-One\",\"x-two\"],\"exposeHeaders\":[\"x-three\"],\"maxAge\":60"),
		 PREFLIGHT("https://x.example"),
		 "access-control-allow-origin: https://x.example\naccess-control-allow-methods: PUT, DELETE\n"
		 "access-control-allow-headers: X-One, x-two\naccess-control-max-age: 60\n"},
		{"max-age is 5 when not given", CORS(ORIGINS("\"*\"")), PREFLIGHT("https://x"),
		 "access-control-allow-origin: https://x\naccess-control-max-age: 5\n"},
		{"a refused origin gets nothing that allows", CORS(ORIGINS("\"https://x.example\"") CREDENTIALS),
		 PREFLIGHT("https://y.example"), ""},
		{"no origins: none is allowed", CORS(""), PREFLIGHT("https://x.example"), ""},
		{"wildcards echo", CORS(ALL), PREFLIGHT("https://x"),
		 "access-control-allow-origin: https://x\naccess-control-allow-methods: PUT\n"
		 "access-control-allow-headers: x-one, X-Two\naccess-control-max-age: 5\n"},
		{"never a wildcard with credentials", CORS(ALL CREDENTIALS), PREFLIGHT("https://x"),
		 "access-control-allow-origin: https://x\naccess-control-allow-credentials: true\n"
		 "access-control-allow-methods: PUT\naccess-control-allow-headers: x-one, X-Two\n"
		 "access-control-max-age: 5\n"},
		{"wildcard headers that nobody asks for are left out", CORS(ALL CREDENTIALS),
		 "OPTIONS a /\nOrigin: https://x\nAccess-Control-Request-Method: GET",
		 "access-control-allow-origin: https://x\naccess-control-allow-credentials: true\n"
		 "access-control-allow-methods: GET\naccess-control-max-age: 5\n"},
		{"credentials false are not mentioned", CORS(ORIGINS("\"*\"") ",\"allowCredentials\":false"),
		 PREFLIGHT("https://x"), "access-control-allow-origin: https://x\naccess-control-max-age: 5\n"},
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem;
		struct filter_exchange x;
		struct compiled c;
		struct request r;

		if (compile(&c, cases[i].spec, &problem) != OK)
			fail_msg("%s: %s %s", cases[i].name, problem.path, problem.message);
		request_init(&r, cases[i].head);
		assert_int_equal(run(&c, &r, &x, "http", 80, 1), FILTER_REPLY);
		builder_free(c.b);
		assert_int_equal(x.reply.status, 200);
		assert_in_range(x.reply.fields_n, 0, FILTER_REPLY_FIELDS);
		if (strcmp(print_reply(&x.reply, text), cases[i].want) != 0)
			fail_msg("%s: got\n%s", cases[i].name, text);
		request_fini(&r);
	}
}

static void test_origins(void **state)
{
	static const struct { const char *name, *allowed, *origin; bool ok; } cases[] = {
		{"exact", "https://a.example", "https://a.example", true},
		{"another host", "https://a.example", "https://b.example", false},
		{"a longer host", "https://a.example", "https://a.example.evil", false},
		{"a host that ends so", "https://a.example", "https://evila.example", false},
		{"another scheme", "https://a.example", "http://a.example", false},
		{"host in another case", "https://a.example", "https://A.Example", true},
		{"the scheme's port", "https://a.example", "https://a.example:443", true},
		{"the scheme's port, configured", "http://a.example:80", "http://a.example", true},
		{"another port", "https://a.example", "https://a.example:8443", false},
		{"a configured port", "http://a.example:8080", "http://a.example:8080", true},
		{"a configured port, other one", "http://a.example:8080", "http://a.example", false},
		{"one label below", "https://*.example", "https://a.example", true},
		{"labels below", "https://*.example", "https://a.b.c.example", true},
		{"not the domain itself", "https://*.example", "https://example", false},
		{"not the bare dot", "https://*.example", "https://.example", false},
		{"not a suffix of a label", "https://*.example", "https://aexample", false},
		{"below, other scheme", "https://*.example", "http://a.example", false},
		{"below, with a port", "http://*.example:81", "http://a.example:81", true},
		{"every host", "https://*", "https://a.b.c", true},
		{"every host of a scheme", "https://*", "http://a.b.c", false},
		{"everything", "*", "http://a.b.c:1", true},
		{"everything: null", "*", "null", true},
		{"null is no origin", "https://*", "null", false},
		{"no host", "https://*", "https://", false},
		{"a port that is none", "https://*", "https://a:b", false},
		{"a port that is too large", "https://*", "https://a:65536", false},
		{"an IPv6 address", "http://*:81", "http://[2001:2::1]:81", true},
		{"an IPv6 address without port", "http://*", "http://[2001:2::1]", true},
		{"an open bracket", "http://*", "http://[2001:2::1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem;
		struct filter_exchange x;
		char json[256], head[256];
		struct compiled c;
		struct request r;

		snprintf(json, sizeof(json), CORS(ORIGINS("\"https://other\",\"%s\"")), cases[i].allowed);
		snprintf(head, sizeof(head), "OPTIONS a /\nOrigin: %s\nAccess-Control-Request-Method: PUT",
		         cases[i].origin);
		if (compile(&c, json, &problem) != OK)
			fail_msg("%s: %s %s", cases[i].name, problem.path, problem.message);
		request_init(&r, head);
		assert_int_equal(run(&c, &r, &x, "http", 80, 1), FILTER_REPLY);
		if ((x.reply.fields_n > 0) != cases[i].ok)
			fail_msg("%s: %s", cases[i].name, cases[i].ok ? "refused" : "allowed");
		request_fini(&r);
		builder_free(c.b);
	}
}

/* What is no preflight goes on to the backend; its response is marked. */
static void test_response(void **state)
{
	static const struct { const char *name, *spec, *head, *response, *want; } cases[] = {
		{"an allowed origin", CORS(ORIGINS("\"https://x\"") ",\"exposeHeaders\":[\"X-A\",\"x-b\"]"),
		 "GET a /\nOrigin: https://x", "X-A: 1",
		 "X-A: 1\nvary: Origin\naccess-control-allow-origin: https://x\naccess-control-expose-headers: X-A, x-b\n"},
		{"credentials", CORS(ORIGINS("\"*\"") CREDENTIALS), "GET a /\nOrigin: https://x", "",
		 "vary: Origin\naccess-control-allow-origin: https://x\naccess-control-allow-credentials: true\n"},
		{"the backend's own word is replaced", CORS(ORIGINS("\"https://x\"")), "POST a /\nOrigin: https://x",
		 "Access-Control-Allow-Origin: *\nAccess-Control-Allow-Credentials: true\nAccess-Control-Expose-Headers: q",
		 "Access-Control-Allow-Origin: https://x\nvary: Origin\n"},
		{"a refused origin is not marked", CORS(ORIGINS("\"https://x\"")), "GET a /\nOrigin: https://y", "B: 1",
		 "B: 1\nvary: Origin\n"},
		{"no origin", CORS(ORIGINS("\"*\"")), "GET a /", "B: 1", "B: 1\nvary: Origin\n"},
		{"OPTIONS without a method asked for", CORS(ORIGINS("\"*\"")), "OPTIONS a /\nOrigin: https://x", "",
		 "vary: Origin\naccess-control-allow-origin: https://x\n"},
		{"OPTIONS without an origin", CORS(ORIGINS("\"*\"")),
		 "OPTIONS a /\nAccess-Control-Request-Method: PUT", "", "vary: Origin\n"},
		{"expose all", CORS(ALL), "GET a /\nOrigin: https://x", "X-A: 1",
		 "X-A: 1\nvary: Origin\naccess-control-allow-origin: https://x\naccess-control-expose-headers: *\n"},
		{"expose all, with credentials by name", CORS(ALL CREDENTIALS), "GET a /\nOrigin: https://x",
		 "X-A: 1\nSet-Cookie: c\nContent-Type: t\nETag: e",
		 "X-A: 1\nSet-Cookie: c\nContent-Type: t\nETag: e\nvary: Origin\naccess-control-allow-origin: https://x\n"
		 "access-control-allow-credentials: true\naccess-control-expose-headers: X-A, ETag, vary\n"},
	};
	char text[1024], head[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem;
		struct filter_exchange x;
		struct request r, response;
		struct compiled c;

		if (compile(&c, cases[i].spec, &problem) != OK)
			fail_msg("%s: %s %s", cases[i].name, problem.path, problem.message);
		request_init(&r, cases[i].head);
		snprintf(head, sizeof(head), "GET a /%s%s", cases[i].response[0] != '\0' ? "\n" : "", cases[i].response);
		request_init(&response, head);
		exchange_of(&r, &x, "http", 80, 1);
		assert_int_equal(run_both(&c, &x, &response.m), FILTER_CONTINUE);
		if (strcmp(request_print(&response.m, text, sizeof(text)), cases[i].want) != 0)
			fail_msg("%s: got\n%s", cases[i].name, text);
		request_fini(&response);
		request_fini(&r);
	}
}

static void test_refused(void **state)
{
	static const struct { const char *name, *spec, *path; } cases[] = {
		{"origins are no list", CORS("\"allowOrigins\":\"*\""), "cors.allowOrigins"},
		{"an origin without scheme", CORS(ORIGINS("\"a.example\"")), "cors.allowOrigins[0]"},
		{"an origin of another scheme", CORS(ORIGINS("\"*\",\"ftp://a\"")), "cors.allowOrigins[1]"},
		{"an origin with a path", CORS(ORIGINS("\"http://a/\"")), "cors.allowOrigins[0]"},
		{"an origin with a wildcard inside", CORS(ORIGINS("\"http://a.*.b\"")), "cors.allowOrigins[0]"},
		{"an origin with port 0", CORS(ORIGINS("\"http://a:0\"")), "cors.allowOrigins[0]"},
		{"an origin is a number", CORS(ORIGINS("1")), "cors.allowOrigins[0]"},
		{"a method with a line end", CORS("\"allowMethods\":[\"GET\",\"P\\r\\nX: 1\"]"), "cors.allowMethods[1]"},
		{"a header with a comma", CORS("\"allowHeaders\":[\"a,b\"]"), "cors.allowHeaders[0]"},
		{"a header with a NUL", CORS("\"exposeHeaders\":[\"a\\u0000b\"]"), "cors.exposeHeaders[0]"},
		{"credentials are a text", CORS("\"allowCredentials\":\"true\""), "cors.allowCredentials"},
		{"max-age 0", CORS("\"maxAge\":0"), "cors.maxAge"},
		{"max-age is a text", CORS("\"maxAge\":\"5\""), "cors.maxAge"},
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
		cmocka_unit_test(test_preflight),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
