/* Filters in an exchange: on the way in and out, of rules and backends, and on what the gateway answers itself. */
#include "rig.h"

#define RESPONSE(name, value) "{\"type\":\"ResponseHeaderModifier\",\"responseHeaderModifier\":{" \
	"\"add\":[{\"name\":\"" name "\",\"value\":\"" value "\"}]}}"
#define CORS "{\"type\":\"CORS\",\"cors\":{\"allowOrigins\":[\"https://x.example\"],\"allowMethods\":[\"PUT\"]}}"

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 8080}}}, {.name = "empty"}},
	.routes = {
		{.name = "out", .path = "/out", .filters = "[" RESPONSE("x-order", "rule") "]",
		 .backends = {{"web", 1, "[" RESPONSE("x-order", "backend") "]"}}},
		{.name = "gone", .path = "/gone", .filters = "[" RESPONSE("x-order", "rule") "]",
		 .backends = {{"empty", 1, "[" RESPONSE("x-order", "backend") "]"}}},
		{.name = "old", .path = "/old",
		 .filters = "[" RESPONSE("x-order", "before") ",{\"type\":\"RequestRedirect\",\"requestRedirect\":{}},"
		            RESPONSE("x-order", "after") "]"},
		{.name = "moved", .path = "/moved", .filters = "[" RESPONSE("x-order", "rule") "]",
		 .backends = {{"web", 1, "[" RESPONSE("x-order", "backend") ",{\"type\":\"RequestRedirect\","
		                         "\"requestRedirect\":{\"hostname\":\"b.example\"}}]"}}},
		{.name = "cors", .path = "/cors", .filters = "[" CORS "]", .backends = {{"web", 1}}},
		{.name = "timed", .path = "/cors/timed", .filters = "[" CORS "]", .backends = {{"web", 1}},
		 .request_timeout_ms = 100},
		{.name = "rewritten", .path = "/v1",
		 .filters = "[{\"type\":\"URLRewrite\",\"urlRewrite\":{\"hostname\":\"inner.example\",\"path\":"
		            "{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":\"/v2\"}}}]",
		 .backends = {{"web", 1}}},
	},
};
static const struct fixture without_listener = {.clusters = {{.name = "other", .endpoints = {{"10.0.0.3", 80}}}}};

static int setup(void **state)
{
	(void)state;
	rig_init(&lab);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini();
	return 0;
}

static struct http_stream *request(const char *method, const char *path, const char *fields)
{
	return double_request(method, "a.example", path, HTTP_BODY_NONE, 0, fields);
}

/* In reverse on the way out: what a backend's filter says stands before what the rule's says. */
static void test_response(void **state)
{
	struct http_stream *down = request("GET", "/out", ""), *up;

	(void)state;
	rig_use(&without_listener); /* the tables change while the connection is made */
	up = rig_up(0);
	assert_has_not(up->head, "x-order");
	double_respond(up, 200, HTTP_BODY_NONE, 0, "X-Order: upstream");
	assert_has(down->head, "X-Order: upstream\n");
	assert_has(down->head, "x-order: backend\nx-order: rule\n");
}

/* Answers of the gateway pass the filters that their request has passed, and no others. */
static void test_local_replies(void **state)
{
	static const struct { const char *name, *path; uint16_t status; const char *has, *has_not; } cases[] = {
		{"no endpoints", "/gone", 503, "x-order: backend\nx-order: rule\n", "location"},
		{"a redirect", "/old", 302, "x-order: before\n", "after"},
		{"a redirect of a backend", "/moved", 302, "x-order: backend\nx-order: rule\n", "content-type"},
		{"no route", "/", 404, "date: ", "x-order"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down = request("GET", cases[i].path, "");

		if (down->status != cases[i].status)
			fail_msg("%s: %u", cases[i].name, down->status);
		assert_has(down->head, cases[i].has);
		assert_has_not(down->head, cases[i].has_not);
		double_settle();
	}
}

static void test_preflight(void **state)
{
	struct http_stream *down = request("OPTIONS", "/cors", "Origin: https://x.example\n"
	                                   "Access-Control-Request-Method: PUT");

	(void)state;
	assert_int_equal(down->status, 200);
	assert_int_equal(down->length, 0);
	assert_has(down->head, "access-control-allow-origin: https://x.example\n");
	assert_has(down->head, "access-control-allow-methods: PUT\n");
	assert_has(down->head, "access-control-max-age: 5\n");
	double_settle();
	assert_int_equal(dbl.connects, 0);
	assert_string_equal(rig_logged()->flags, "");
	down = request("OPTIONS", "/cors", "Origin: https://evil.example\nAccess-Control-Request-Method: PUT");
	assert_int_equal(down->status, 200);
	assert_has_not(down->head, "access-control");
	double_settle();
	assert_int_equal(dbl.connects, 0);
}

static void test_cors_of_responses(void **state)
{
	struct http_stream *down = request("GET", "/cors", "Origin: https://x.example"), *up = rig_up(0);

	(void)state;
	assert_has(up->head, "Origin: https://x.example\n");
	double_respond(up, 200, HTTP_BODY_NONE, 0, "Access-Control-Allow-Origin: *");
	assert_has(down->head, "Access-Control-Allow-Origin: https://x.example\n");
	double_settle();
	/* A refused origin's simple request still reaches the backend. */
	down = request("GET", "/cors", "Origin: https://evil.example");
	up = rig_up(0);
	double_respond(up, 200, HTTP_BODY_NONE, 0, "");
	assert_has_not(down->head, "access-control");
	double_settle();
	/* A browser must be able to read the gateway's own errors too. */
	down = request("GET", "/cors/timed", "Origin: https://x.example");
	rig_up(0);
	double_advance(200 * NS_PER_MS);
	assert_int_equal(down->status, 504);
	assert_has(down->head, "access-control-allow-origin: https://x.example\n");
}

static void test_rewrite(void **state)
{
	struct http_stream *up;

	(void)state;
	request("GET", "/v1/a?b=c", "");
	rig_use(&without_listener);
	up = rig_up(0);
	assert_has(up->head, "GET inner.example /v2/a?b=c\n");
	assert_has(up->head, "x-forwarded-host: a.example\n");
	double_respond(up, 200, HTTP_BODY_NONE, 0, "");
	double_settle();
	/* The log says what the client asked for. */
	assert_memory_equal(rig_logged()->texts, "GET/v1/a?b=c", 12);
}

/* What tracing systems put into requests goes through as it came (W3C Trace Context), several fields in order. */
static void test_trace_context(void **state)
{
	static const char context[] = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n"
				      "tracestate: rojo=00f067aa0ba902b7\n"
				      "tracestate: congo=t61rcWkgMzE\n"
				      "baggage: userId=alice\n";

	(void)state;
	request("GET", "/out", context);
	assert_has(rig_up(0)->head, context);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_response), TEST(test_local_replies), TEST(test_preflight), TEST(test_cors_of_responses),
		TEST(test_rewrite), TEST(test_trace_context),
	};

	double_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
