/* Filters in general, the request header modifier and the redirect: compiling, verifying, and what they do. */
#include "compiled.h"

static void test_modifier(void **state)
{
#define MODIFIER(spec) "{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{" spec "}}"
	static const struct { const char *name, *spec, *head, *want, *host; } cases[] = {
		{"set replaces all", MODIFIER("\"set\":[{\"name\":\"X-A\",\"value\":\"new\"}]"),
		 "GET a /\nx-a: 1\nB: 2\nX-A: 3", "x-a: new\nB: 2\n", "a"},
		{"set adds when missing", MODIFIER("\"set\":[{\"name\":\"X-A\",\"value\":\"new\"}]"), "GET a /\nB: 2",
		 "B: 2\nX-A: new\n", "a"},
		{"add appends", MODIFIER("\"add\":[{\"name\":\"X-A\",\"value\":\"more\"}]"), "GET a /\nx-a: 1",
		 "x-a: 1\nX-A: more\n", "a"},
		{"remove, whatever the case", MODIFIER("\"remove\":[\"x-A\"]"), "GET a /\nX-a: 1\nB: 2\nx-a: 2",
		 "B: 2\n", "a"},
		{"all three on distinct names",
		 MODIFIER("\"set\":[{\"name\":\"s\",\"value\":\"1\"}],\"add\":[{\"name\":\"a\",\"value\":\"2\"}],"
		          "\"remove\":[\"r\"]"),
		 "GET a /\nr: 0\ns: 0\na: 0", "s: 1\na: 0\na: 2\n", "a"},
		{"the first of a name counts",
		 MODIFIER("\"set\":[{\"name\":\"s\",\"value\":\"1\"},{\"name\":\"S\",\"value\":\"2\"}]"),
		 "GET a /", "s: 1\n", "a"},
		{"known names",
		 MODIFIER("\"set\":[{\"name\":\"User-Agent\",\"value\":\"u\"}],\"remove\":[\"content-type\"]"),
		 "GET a /\nuser-agent: x\nContent-Type: t", "user-agent: u\n", "a"},
		{"host", MODIFIER("\"set\":[{\"name\":\"Host\",\"value\":\"b.example\"}]"), "GET a /\nX: 1", "X: 1\n",
		 "b.example"},
		{"nothing to do", MODIFIER(""), "GET a /\nX: 1", "X: 1\n", "a"},
		{"tab and UTF-8 in a value", MODIFIER("\"set\":[{\"name\":\"s\",\"value\":\"a\\tb \xc3\xa9\"}]"),
		 "GET a /",
		 "s: a\tb \xc3\xa9\n", "a"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct compiled c;
		struct filter_problem problem;
		struct filter_exchange x;
		struct request r;

		if (compile(&c, cases[i].spec, &problem) != OK)
			fail_msg("%s: %s %s", cases[i].name, problem.path, problem.message);
		request_init(&r, cases[i].head);
		assert_int_equal(run(&c, &r, &x, "http", 80, 1), FILTER_CONTINUE);
		builder_free(c.b); /* the tables may be gone before the request is sent */
		if (strcmp(request_print(&r.m, text, sizeof(text)), cases[i].want) != 0)
			fail_msg("%s: got %s", cases[i].name, text);
		if (!text_equal(r.m.authority, (struct text){.at = cases[i].host, .len =
		                                             (uint32_t)strlen(cases[i].host)}))
			fail_msg("%s: host %.*s", cases[i].name, (int)r.m.authority.len, r.m.authority.at);
		request_fini(&r);
	}
}

static void test_redirect(void **state)
{
#define REDIRECT(spec) "{\"type\":\"RequestRedirect\",\"requestRedirect\":{" spec "}}"
#define PREFIX(to) REDIRECT("\"path\":{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":\"" to "\"}")
#define FULL(to) REDIRECT("\"path\":{\"type\":\"ReplaceFullPath\",\"replaceFullPath\":\"" to "\"}")
	static const struct {
		const char *name, *spec, *head, *scheme;
		uint16_t port;
		uint32_t match_bytes;
		uint16_t status;
		const char *want;
	} cases[] = {
		{"31 default", REDIRECT(""), "GET a.b /x?q=1", "http", 80, 1, 302, "http://a.b/x?q=1"},
		{"31 status", REDIRECT("\"statusCode\":301"), "GET a.b /", "http", 80, 1, 301, "http://a.b/"},
		{"31 303", REDIRECT("\"statusCode\":303"), "GET a.b /", "http", 80, 1, 303, "http://a.b/"},
		{"31 307", REDIRECT("\"statusCode\":307"), "GET a.b /", "http", 80, 1, 307, "http://a.b/"},
		{"31 308", REDIRECT("\"statusCode\":308"), "GET a.b /", "http", 80, 1, 308, "http://a.b/"},
		{"31 host", REDIRECT("\"hostname\":\"example.org\""), "GET a.b /x", "http", 80, 1, 302,
		 "http://example.org/x"},
		{"31 scheme to https", REDIRECT("\"scheme\":\"https\""), "GET a.b /x", "http", 80, 1, 302,
		 "https://a.b/x"},
		{"31 scheme to https from another port", REDIRECT("\"scheme\":\"https\""), "GET a.b:8080 /x", "http",
		 8080, 1, 302,
		 "https://a.b/x"},
		{"31 scheme to http from https", REDIRECT("\"scheme\":\"http\""), "GET a.b /x", "https", 443, 1, 302,
		 "http://a.b/x"},
		{"31 port", REDIRECT("\"port\":8443"), "GET a.b /x", "http", 80, 1, 302, "http://a.b:8443/x"},
		{"31 port 80 of http is left out", REDIRECT("\"port\":80"), "GET a.b /x", "http", 8080, 1, 302,
		 "http://a.b/x"},
		{"31 port 443 of http is said", REDIRECT("\"port\":443"), "GET a.b /x", "http", 80, 1, 302,
		 "http://a.b:443/x"},
		{"31 scheme and port", REDIRECT("\"scheme\":\"https\",\"port\":443"), "GET a.b /x", "http", 80, 1, 302,
		 "https://a.b/x"},
		{"31 https and port 80", REDIRECT("\"scheme\":\"https\",\"port\":80"), "GET a.b /x", "http", 80, 1, 302,
		 "https://a.b:80/x"},
		{"31 the listener's port", REDIRECT("\"hostname\":\"c.d\""), "GET a.b:8080 /x", "http", 8080, 1, 302,
		 "http://c.d:8080/x"},
		{"31 the listener's port, not the client's word", REDIRECT(""), "GET a.b:9999 /x", "http", 80, 1, 302,
		 "http://a.b/x"},
		{"31 https listener on 443", REDIRECT("\"hostname\":\"c.d\""), "GET a.b /x", "https", 443, 1, 302,
		 "https://c.d/x"},
		{"no Host: our address", REDIRECT(""), "GET - /x", "http", 80, 1, 302, "http://198.18.0.10/x"},
		{"IPv6 Host", REDIRECT(""), "GET [2001:2::1]:80 /x", "http", 80, 1, 302, "http://[2001:2::1]/x"},
		{"a path that looks like a host", REDIRECT(""), "GET a.b //evil.example/x", "http", 80, 1, 302,
		 "http://a.b//evil.example/x"},
		{"31 full path, query kept", FULL("/new"), "GET a.b /x/y?q=1", "http", 80, 2, 302,
		 "http://a.b/new?q=1"},
		{"full path with a query of its own", FULL("/new?z=2"), "GET a.b /x?q=1", "http", 80, 2, 302,
		 "http://a.b/new?z=2"},
		{"full path without slash", FULL("new"), "GET a.b /x", "http", 80, 2, 302, "http://a.b/new"},
		{"33 /foo/bar by /xyz", PREFIX("/xyz"), "GET a.b /foo/bar", "http", 80, 4, 302, "http://a.b/xyz/bar"},
		{"33 /foo/bar by /xyz/", PREFIX("/xyz/"), "GET a.b /foo/bar", "http", 80, 4, 302, "http://a.b/xyz/bar"},
		{"33 /foo by /xyz", PREFIX("/xyz"), "GET a.b /foo", "http", 80, 4, 302, "http://a.b/xyz"},
		{"33 /foo/ by /xyz", PREFIX("/xyz"), "GET a.b /foo/", "http", 80, 4, 302, "http://a.b/xyz/"},
		{"33 /foo/bar by nothing", PREFIX(""), "GET a.b /foo/bar", "http", 80, 4, 302, "http://a.b/bar"},
		{"33 /foo/ by nothing", PREFIX(""), "GET a.b /foo/", "http", 80, 4, 302, "http://a.b/"},
		{"33 /foo by nothing", PREFIX(""), "GET a.b /foo", "http", 80, 4, 302, "http://a.b/"},
		{"33 /foo/ by /", PREFIX("/"), "GET a.b /foo/", "http", 80, 4, 302, "http://a.b/"},
		{"33 /foo by /", PREFIX("/"), "GET a.b /foo", "http", 80, 4, 302, "http://a.b/"},
		{"33 /foo/bar by /", PREFIX("/"), "GET a.b /foo/bar", "http", 80, 4, 302, "http://a.b/bar"},
		{"33 prefix / by /xyz", PREFIX("/xyz"), "GET a.b /bar", "http", 80, 1, 302, "http://a.b/xyz/bar"},
		{"33 prefix / by /xyz/ on /", PREFIX("/xyz/"), "GET a.b /", "http", 80, 1, 302, "http://a.b/xyz/"},
		{"33 prefix / by / on /a", PREFIX("/"), "GET a.b /a", "http", 80, 1, 302, "http://a.b/a"},
		{"33 query kept", PREFIX("/xyz"), "GET a.b /foo?q=/foo", "http", 80, 4, 302, "http://a.b/xyz?q=/foo"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct compiled c;
		struct filter_problem problem;
		struct filter_exchange x;
		struct request r;

		if (compile(&c, cases[i].spec, &problem) != OK)
			fail_msg("%s: %s %s", cases[i].name, problem.path, problem.message);
		request_init(&r, cases[i].head);
		assert_int_equal(run(&c, &r, &x, cases[i].scheme, cases[i].port, cases[i].match_bytes), FILTER_REPLY);
		builder_free(c.b);
		if (x.reply.status != cases[i].status || x.reply.location.len != strlen(cases[i].want) ||
		    memcmp(x.reply.location.at, cases[i].want, x.reply.location.len) != 0)
			fail_msg("%s: got %u %.*s", cases[i].name, x.reply.status, (int)x.reply.location.len,
			         x.reply.location.at);
		request_fini(&r);
	}
}

static void test_redirect_too_long(void **state)
{
	static char path[8192];
	struct compiled c;
	struct filter_problem problem;
	struct filter_exchange x;
	struct request r;

	(void)state;
	assert_int_equal(compile(&c, REDIRECT(""), &problem), OK);
	request_init(&r, "GET a /");
	memset(path, '/', sizeof(path));
	r.m.path = (struct text){.at = path, .len = sizeof(path)};
	assert_int_equal(run(&c, &r, &x, "http", 80, 1), FILTER_REPLY);
	assert_int_equal(x.reply.status, 414);
	request_fini(&r);
	builder_free(c.b);
}

/* Number 32 and the rest: what is refused, where and never by a crash. */
static void test_refused(void **state)
{
	static const struct { const char *name, *spec, *path; } cases[] = {
		{"unknown type", "{\"type\":\"Teleport\",\"teleport\":{}}", "type"},
		{"no type", "{}", "type"},
		{"type is a number", "{\"type\":5}", "type"},
		{"member missing", "{\"type\":\"RequestRedirect\"}", "requestRedirect"},
		{"member of another type", "{\"type\":\"RequestRedirect\",\"requestRedirect\":[]}", "requestRedirect"},
		{"scheme", REDIRECT("\"scheme\":\"ftp\""), "requestRedirect.scheme"},
		{"scheme is a number", REDIRECT("\"scheme\":1"), "requestRedirect.scheme"},
		{"status", REDIRECT("\"statusCode\":200"), "requestRedirect.statusCode"},
		{"status is a text", REDIRECT("\"statusCode\":\"301\""), "requestRedirect.statusCode"},
		{"status is huge", REDIRECT("\"statusCode\":65838"), "requestRedirect.statusCode"},
		{"port 0", REDIRECT("\"port\":0"), "requestRedirect.port"},
		{"port 65536", REDIRECT("\"port\":65536"), "requestRedirect.port"},
		{"port negative", REDIRECT("\"port\":-1"), "requestRedirect.port"},
		{"hostname wildcard", REDIRECT("\"hostname\":\"*.a\""), "requestRedirect.hostname"},
		{"hostname empty", REDIRECT("\"hostname\":\"\""), "requestRedirect.hostname"},
		{"hostname with a line end", REDIRECT("\"hostname\":\"a\\r\\nb\""), "requestRedirect.hostname"},
		{"hostname upper case", REDIRECT("\"hostname\":\"A\""), "requestRedirect.hostname"},
		{"path type", REDIRECT("\"path\":{\"type\":\"Other\"}"), "requestRedirect.path.type"},
		{"path is a text", REDIRECT("\"path\":\"/x\""), "requestRedirect.path"},
		{"full path missing", REDIRECT("\"path\":{\"type\":\"ReplaceFullPath\"}"),
		 "requestRedirect.path.replaceFullPath"},
		{"prefix is a number", REDIRECT("\"path\":{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":1}"),
		 "requestRedirect.path.replacePrefixMatch"},
		{"path with a line end", FULL("/a\\r\\nb"), "requestRedirect.path.replaceFullPath"},
		{"path with a blank", PREFIX("/a b"), "requestRedirect.path.replacePrefixMatch"},
		{"prefix with a query", PREFIX("/a?b"), "requestRedirect.path.replacePrefixMatch"},
		{"set is no list", MODIFIER("\"set\":{}"), "requestHeaderModifier.set"},
		{"name missing", MODIFIER("\"set\":[{\"value\":\"1\"}]"), "requestHeaderModifier.set[0].name"},
		{"name empty", MODIFIER("\"set\":[{\"name\":\"\",\"value\":\"1\"}]"),
		 "requestHeaderModifier.set[0].name"},
		{"name with a colon",
		 MODIFIER("\"add\":[{\"name\":\"a\",\"value\":\"1\"},{\"name\":\":path\",\"value\":\"1\"}]"),
		 "requestHeaderModifier.add[1].name"},
		{"name with a NUL", MODIFIER("\"set\":[{\"name\":\"a\\u0000b\",\"value\":\"1\"}]"),
		 "requestHeaderModifier.set[0].name"},
		{"value missing", MODIFIER("\"set\":[{\"name\":\"a\"}]"), "requestHeaderModifier.set[0].value"},
		{"value with a line end", MODIFIER("\"set\":[{\"name\":\"a\",\"value\":\"1\\r\\nb: 2\"}]"),
		 "requestHeaderModifier.set[0].value"},
		{"value empty", MODIFIER("\"add\":[{\"name\":\"a\",\"value\":\"\"}]"),
		 "requestHeaderModifier.add[0].value"},
		{"removed name", MODIFIER("\"remove\":[\"a\",\"b c\"]"), "requestHeaderModifier.remove[1]"},
		{"removed number", MODIFIER("\"remove\":[1]"), "requestHeaderModifier.remove[0]"},
		{"framing", MODIFIER("\"set\":[{\"name\":\"Content-Length\",\"value\":\"1\"}]"),
		 "requestHeaderModifier.set[0].name"},
		{"framing removed", MODIFIER("\"remove\":[\"transfer-encoding\"]"), "requestHeaderModifier.remove[0]"},
		{"host added", MODIFIER("\"add\":[{\"name\":\"Host\",\"value\":\"1\"}]"),
		 "requestHeaderModifier.add[0].name"},
		{"host removed", MODIFIER("\"remove\":[\"host\"]"), "requestHeaderModifier.remove[0]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct compiled c;
		enum err e;
		struct filter_problem problem = {0};

		e = compile(&c, cases[i].spec, &problem);
		assert_refused(cases[i].name, &c, e, &problem, cases[i].path);
	}
}

static void test_too_many(void **state)
{
	static char json[4096];
	struct compiled c;
	struct filter_problem problem;
	size_t at = 0;

	(void)state;
	at += (size_t)snprintf(json, sizeof(json),
	                       "{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{\"remove\":[");
	for (int i = 0; i < 17; i++)
		at += (size_t)snprintf(json + at, sizeof(json) - at, "%s\"x-%d\"", i > 0 ? "," : "", i);
	snprintf(json + at, sizeof(json) - at, "]}}");
	assert_int_equal(compile(&c, json, &problem), ERR_INVALID);
	assert_string_equal(problem.path, "requestHeaderModifier.remove");
	builder_free(c.b);
}

/* Whatever the filter has to do, with a config that the verifier let pass. */
static void run_all(const struct compiled *c, struct request *r, struct filter_exchange *x, uint32_t match_bytes)
{
	const struct filter *f = filter_list[c->filter.kind];
	struct http_message response;
	void *copied;

	exchange_of(r, x, "http", 80, match_bytes);
	copied = copied_of(c, x);
	if (copied == NULL)
		return;
	if (f->on_request != NULL)
		f->on_request(x, copied);
	if (f->on_response == NULL)
		return;
	http_message_init(&response);
	x->response = &response;
	f->on_response(x, copied);
}

/* Configs whose words were replaced by nasty ones: refused, or harmless to run. */
static void test_verify_survives(void **state)
{
	/* refused_min: a config of few words has few that can be wrong. */
	static const struct { const char *spec; size_t refused_min; } specs[] = {
		{MODIFIER("\"set\":[{\"name\":\"s\",\"value\":\"1\"}],\"add\":[{\"name\":\"a\",\"value\":\"2\"}],"
		          "\"remove\":[\"r\"]"), 10},
		{PREFIX("/xyz"), 10},
		{"{\"type\":\"ResponseHeaderModifier\",\"responseHeaderModifier\":{"
		"\"set\":[{\"name\":\"s\",\"value\":\"1\"}],\"remove\":[\"r\"]}}", 10},
		{"{\"type\":\"URLRewrite\",\"urlRewrite\":{\"hostname\":\"b.c\","
		"\"path\":{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":\"/xyz/\"}}}", 10},
		{"{\"type\":\"CORS\",\"cors\":{\"allowOrigins\":[\"https://*.b\",\"http://c:81\"],"
		"\"allowMethods\":[\"PUT\"],\"allowHeaders\":[\"x-a\",\"x-b\"],\"exposeHeaders\":[\"x-c\"]}}", 10},
		{"{\"type\":\"DirectResponse\",\"directResponse\":{\"contentType\":\"a/b\",\"header\":{"
		"\"set\":[{\"name\":\"s\",\"value\":\"1\"}]}}}", 10},
		{"{\"type\":\"HostRewrite\",\"urlRewrite\":{\"hostname\":{\"header\":\"r\"}}}", 5},
	};
	static const uint32_t nasty[] = {0, 1, 7, 8, 16, 64, 0x7fffffff, 0xfffffff8, 0xffffffff};

	(void)state;
	for (size_t k = 0; k < sizeof(specs) / sizeof(specs[0]); k++) {
		struct compiled c;
		struct filter_problem problem;
		size_t refused = 0, words;

		assert_int_equal(compile(&c, specs[k].spec, &problem), OK);
		words = c.t->bytes / 4;
		for (size_t i = sizeof(struct table) / 4; i < words; i++) {
			for (size_t n = 0; n < sizeof(nasty) / sizeof(nasty[0]); n++) {
				void *copy = malloc(c.t->bytes);
				const struct filter *f = filter_list[c.filter.kind];

				memcpy(copy, c.t, c.t->bytes);
				((uint32_t *)copy)[i] = nasty[n];
				if (f->verify(copy, c.t->bytes, (char *)copy + c.filter.config) == OK) {
					struct compiled changed = {.t = copy, .filter = c.filter};
					struct filter_exchange x;
					struct request r;

					request_init(&r, "OPTIONS a /foo/bar\nr: 1\norigin: https://a.b\n"
					                 "access-control-request-method: PUT");
					run_all(&changed, &r, &x, 4);
					request_fini(&r);
				} else {
					refused++;
				}
				free(copy);
			}
		}
		assert_true(refused > specs[k].refused_min);
		builder_free(c.b);
	}
}

static void test_list(void **state)
{
	(void)state;
	for (int i = 0; i < FILTERS; i++)
		assert_ptr_equal(filter_by_type(filter_list[i]->type), filter_list[i]);
	assert_null(filter_by_type("ExtensionRef"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modifier),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_redirect_too_long),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_verify_survives),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
