/*
 * What the gateway answers itself, case by case: status, body, response flags and details are Envoy's (its catalogue
 * of local replies, envoy-gateway.md 1.10), and so is the content type.
 */
#include "rig.h"

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 8080}}}, {.name = "empty"}},
	.routes = {
		{.name = "web", .path = "/web", .backends = {{"web", 1}}, .request_timeout_ms = 1000},
		{.name = "slow", .path = "/slow", .backends = {{"web", 1}}},
		{.name = "gone", .path = "/gone", .backends = {{"empty", 1}}},
		{.name = "half", .path = "/half", .backends = {{"empty", 1000000}, {"web", 1}}},
		{.name = "bad", .path = "/bad", .backends = {{"!", 1}}},
		{.name = "none", .path = "/none"},
		{.name = "broken", .path = "/broken", .direct_status = 500},
		{.name = "moved", .path = "/moved",
		 .filters = "[{\"type\":\"RequestRedirect\",\"requestRedirect\":{}}]"},
	},
};

#define BEFORE "upstream connect error or disconnect/reset before headers. reset reason: "
#define RESET(why) "upstream_reset_before_response_started{" why "}"

/* How the upstream fails: at the connect call, while connecting, after the request's head, or by keeping silent. */
enum how { NOT_ASKED, AT_ONCE, CONNECTING, AFTER_HEAD, SILENT, UPLOADING };

static const struct {
	const char *name, *path;
	enum how how;
	enum err why;
	uint16_t status;
	const char *flags, *details, *body;
} cases[] = {
	{"no route", "/", NOT_ASKED, OK, 404, "NR", "route_not_found", ""},
	{"invalid backendRef", "/bad", NOT_ASKED, OK, 500, "", "direct_response", ""},
	{"no backendRefs", "/none", NOT_ASKED, OK, 500, "", "direct_response", ""},
	{"a rule that cannot be obeyed", "/broken", NOT_ASKED, OK, 500, "", "direct_response", ""},
	{"no backend has endpoints", "/gone", NOT_ASKED, OK, 503, "UH", "direct_response", ""},
	{"the chosen one has none", "/half", NOT_ASKED, OK, 503, "UH", "no_healthy_upstream", "no healthy upstream"},
	{"redirect", "/moved", NOT_ASKED, OK, 302, "", "direct_response", ""},
	{"no healthy host", "/web", AT_ONCE, ERR_NO_HEALTHY_UPSTREAM, 503, "UH", "no_healthy_upstream",
	 "no healthy upstream"},
	{"circuit breaker", "/web", AT_ONCE, ERR_UPSTREAM_OVERFLOW, 503, "UO", RESET("overflow"), BEFORE "overflow"},
	{"no port is left", "/web", AT_ONCE, ERR_NO_PORTS, 503, "UF", RESET("local_connection_failure"),
	 BEFORE "local connection failure"},
	{"no way to it", "/web", AT_ONCE, ERR_NO_ROUTE, 503, "UF", RESET("local_connection_failure"),
	 BEFORE "local connection failure"},
	{"connect refused", "/web", CONNECTING, ERR_CONN_RESET, 503, "UF", RESET("remote_connection_failure"),
	 BEFORE "remote connection failure"},
	{"connect timeout", "/web", CONNECTING, ERR_CONN_TIMEOUT, 503, "UF", RESET("connection_timeout"),
	 BEFORE "connection timeout"},
	{"reset", "/web", AFTER_HEAD, ERR_CONN_RESET, 503, "UC", RESET("connection_termination"),
	 BEFORE "connection termination"},
	{"closed", "/web", AFTER_HEAD, ERR_UPSTREAM_CLOSED, 503, "UC", RESET("connection_termination"),
	 BEFORE "connection termination"},
	{"no HTTP", "/web", AFTER_HEAD, ERR_HTTP_SYNTAX, 502, "UPE", RESET("protocol_error"), BEFORE "protocol error"},
	{"route timeout", "/web", SILENT, OK, 504, "UT", "upstream_response_timeout", "upstream request timeout"},
	{"stream idle, request complete", "/slow", SILENT, OK, 504, "SI", "stream_idle_timeout", "stream timeout"},
	{"stream idle, request incomplete", "/slow", UPLOADING, OK, 408, "SI", "stream_idle_timeout",
	 "stream timeout"},
};

static void wait_for_answer(const struct http_stream *down)
{
	for (unsigned i = 0; i < LIMIT_stream_idle_s + 2 && !down->head_sent; i++)
		double_advance(NS_PER_S);
}

static void test_catalogue(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const bool upload = cases[i].how == UPLOADING;
		const struct access_record *r;
		struct http_stream *down;

		rig_init(&lab);
		if (cases[i].how == AT_ONCE)
			dbl.connect_error = cases[i].why;
		down = double_request(upload ? "POST" : "GET", "a.example", cases[i].path,
		                      upload ? HTTP_BODY_LENGTH : HTTP_BODY_NONE, upload ? 100 : 0, "");
		if (cases[i].how == CONNECTING)
			double_client_close(double_client(0), cases[i].why);
		if (cases[i].how == AFTER_HEAD)
			double_close(rig_up(0), cases[i].why);
		if (cases[i].how == SILENT || upload) {
			rig_up(0);
			wait_for_answer(down);
		}
		if (down->status != cases[i].status || strcmp(down->text, cases[i].body) != 0)
			fail_msg("%s: %u %s", cases[i].name, down->status, down->text);
		if (cases[i].body[0] != '\0')
			assert_has(down->head, "content-type: text/plain\n");
		else
			assert_has_not(down->head, "content-type");
		if (strcmp(cases[i].flags, "UO") == 0)
			assert_has(down->head, "x-envoy-overloaded: true\n");
		else
			assert_has_not(down->head, "x-envoy-overloaded");
		assert_has_not(down->head, "server:");
		if (upload)
			double_close(down, ERR_CONN_RESET);
		double_settle();
		r = rig_logged();
		if (r->status != cases[i].status || strcmp(r->flags, cases[i].flags) != 0 ||
		    strcmp(logged_details(r), cases[i].details) != 0)
			fail_msg("%s: logged %u %s %s", cases[i].name, r->status, r->flags, logged_details(r));
		assert_int_equal(rig_counted(C_local_replies), 1);
		rig_fini();
	}
}

/* A client that leaves, and an upstream that breaks off in its answer: no reply, but the log says what happened. */
static void test_no_reply(void **state)
{
	const struct access_record *r;
	struct http_stream *down, *up;

	(void)state;
	rig_init(&lab);
	down = double_request("GET", "a.example", "/web", HTTP_BODY_NONE, 0, "");
	double_close(down, ERR_CONN_RESET);
	r = rig_logged();
	assert_int_equal(r->status, 0);
	assert_string_equal(r->flags, "DC");
	assert_string_equal(logged_details(r), "downstream_remote_disconnect");
	rig_fini();
	rig_init(&lab);
	down = double_request("GET", "a.example", "/slow", HTTP_BODY_NONE, 0, "");
	up = rig_up(0);
	double_respond(up, 200, HTTP_BODY_LENGTH, 100, "");
	double_give_body(up, 50);
	double_close(up, ERR_HTTP_TRUNCATED);
	r = rig_logged();
	assert_int_equal(r->status, 200);
	assert_string_equal(r->flags, "UC");
	assert_string_equal(logged_details(r), "upstream_reset_after_response_started");
	double_settle();
	rig_fini();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_catalogue),
		cmocka_unit_test(test_no_reply),
	};

	double_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
