/* DirectResponse and HostRewrite: what HTTPRouteFilters of Envoy Gateway become. */
#include "compiled.h"

extern const struct filter filter_direct_response;

static enum err compile_as(struct compiled *c, const char *type, const char *spec, const char *text,
                           struct filter_problem *problem)
{
	yyjson_doc *doc = yyjson_read(spec, strlen(spec), 0);
	const struct filter_source from = {.type = type, .spec = yyjson_doc_get_root(doc),
	                                   .text = {.at = text, .len = text != NULL ? (uint32_t)strlen(text) : 0}};
	size_t bytes;
	enum err e;

	assert_non_null(doc);
	c->b = builder_new();
	e = filter_compile(&from, c->b, &c->filter, problem);
	yyjson_doc_free(doc);
	if (e == OK)
		assert_int_equal(builder_finish(c->b, &c->t, &bytes), OK);
	return e;
}

static void test_answer(void **state)
{
	static const struct { const char *name, *spec, *body; uint16_t status; const char *fields; } cases[] = {
		{"nothing said", "{}", NULL, 200, "content-type: text/plain\n"},
		{"status and body", "{\"statusCode\":503}", "later", 503, "content-type: text/plain\n"},
		{"content type", "{\"contentType\":\"application/json\"}", "{}", 200, "content-type: application/json\n"},
		{"fields", "{\"header\":{\"set\":[{\"name\":\"Content-Type\",\"value\":\"a/b\"}],"
		 "\"add\":[{\"name\":\"x-a\",\"value\":\"1\"}]}}", "x", 200, "content-type: a/b\nx-a: 1\n"},
		{"a per cent that is no command", "{}", "100% sure", 200, "content-type: text/plain\n"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem;
		struct filter_exchange x;
		struct request r, response;
		struct compiled c;
		void *copied;

		if (compile_as(&c, "DirectResponse", cases[i].spec, cases[i].body, &problem) != OK)
			fail_msg("%s: %s %s", cases[i].name, problem.path, problem.message);
		request_init(&r, "GET a /");
		request_init(&response, "GET a /\ncontent-type: text/plain");
		exchange_of(&r, &x, "http", 80, 1);
		copied = copied_of(&c, &x);
		assert_non_null(copied);
		builder_free(c.b);
		assert_int_equal(filter_direct_response.on_request(&x, copied), FILTER_REPLY);
		assert_int_equal(x.reply.status, cases[i].status);
		assert_text(cases[i].name, x.reply.body, cases[i].body != NULL ? cases[i].body : "");
		x.response = &response.m;
		assert_int_equal(filter_direct_response.on_response(&x, copied), FILTER_CONTINUE);
		if (strcmp(request_print(&response.m, text, sizeof(text)), cases[i].fields) != 0)
			fail_msg("%s: got %s", cases[i].name, text);
		request_fini(&response);
		request_fini(&r);
	}
}

static void test_host(void **state)
{
	static const struct { const char *name, *spec, *head, *host, *fields; } cases[] = {
		{"out of a field", "{\"hostname\":{\"type\":\"Header\",\"header\":\"X-Host\"}}",
		 "GET a.b:80 /\nx-host: c.d:81", "c.d:81", "x-host: c.d:81\nx-forwarded-host: a.b:80\n"},
		{"not forwarded", "{\"appendXForwardedHost\":false,\"hostname\":{\"type\":\"Header\",\"header\":\"x-host\"}}",
		 "GET a.b /\nx-host: c.d", "c.d", "x-host: c.d\n"},
		{"no field", "{\"hostname\":{\"type\":\"Header\",\"header\":\"x-host\"}}", "GET a.b /", "a.b", ""},
		{"no host", "{\"hostname\":{\"type\":\"Header\",\"header\":\"x-host\"}}", "GET a.b /\nx-host: c/d", "a.b",
		 "x-host: c/d\n"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem;
		struct filter_exchange x;
		struct compiled c;
		struct request r;

		if (compile_as(&c, "HostRewrite", cases[i].spec, NULL, &problem) != OK)
			fail_msg("%s: %s %s", cases[i].name, problem.path, problem.message);
		request_init(&r, cases[i].head);
		assert_int_equal(run(&c, &r, &x, "http", 80, 1), FILTER_CONTINUE);
		builder_free(c.b);
		assert_text(cases[i].name, r.m.authority, cases[i].host);
		if (strcmp(request_print(&r.m, text, sizeof(text)), cases[i].fields) != 0)
			fail_msg("%s: got %s", cases[i].name, text);
		request_fini(&r);
	}
}

static void test_refused(void **state)
{
	static const struct { const char *name, *type, *spec, *body, *path; } cases[] = {
		{"status 199", "DirectResponse", "{\"statusCode\":199}", NULL, "directResponse.statusCode"},
		{"status 600", "DirectResponse", "{\"statusCode\":600}", NULL, "directResponse.statusCode"},
		{"a body of 204", "DirectResponse", "{\"statusCode\":204}", "x", "directResponse.body"},
		{"a command", "DirectResponse", "{}", "%RESPONSE_CODE%", "directResponse.body"},
		{"a doubled per cent", "DirectResponse", "{}", "100%%", "directResponse.body"},
		{"content type with a line end", "DirectResponse", "{\"contentType\":\"a\\r\\nb: c\"}", "x",
		 "directResponse.contentType"},
		{"a field that frames", "DirectResponse",
		 "{\"header\":{\"set\":[{\"name\":\"content-length\",\"value\":\"1\"}]}}", "x",
		 "directResponse.header.set[0].name"},
		{"fields removed", "DirectResponse", "{\"header\":{\"remove\":[\"a\"]}}", "x",
		 "directResponse.header.remove"},
		{"no header", "HostRewrite", "{\"hostname\":{\"type\":\"Header\"}}", NULL, "urlRewrite.hostname.header"},
		{"a header that is none", "HostRewrite", "{\"hostname\":{\"header\":\"a b\"}}", NULL,
		 "urlRewrite.hostname.header"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem = {0};
		struct compiled c;
		enum err e;

		e = compile_as(&c, cases[i].type, cases[i].spec, cases[i].body, &problem);
		assert_refused(cases[i].name, &c, e, &problem, cases[i].path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
