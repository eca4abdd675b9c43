/*
 * What the access log says of requests that never become exchanges or that http gives up: the status that the client
 * got, Envoy's response flags and details, and as much of the request as was understood.
 */
#include "base/pressure.h"
#include "tests/unit/proxy/gateway.h"

#define HOST "Host: a.example\r\n"
#define POST "POST /a HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 8080}}}},
	.routes = {{.name = "web", .path = "/", .backends = {{"web", 1}}}},
};

enum then { NOTHING, FIN, RST, ANSWERED, ANSWERED_FIN };

static const struct {
	const char *name, *in;
	enum then then;                /* ANSWERED: the upstream's response has begun before `more` comes */
	const char *more;
	const char *said, *logged;
} cases[] = {
	{"a head that is none", "GET / HTTP/1.1\r\nHost\r\n\r\n", NOTHING, "", "400 x", "400 DPE http1.codec_error - -"},
	{"1.0 without Host", "GET /a HTTP/1.0\r\n\r\n", NOTHING, "", "400 x", "400 - missing_host_header GET /a"},
	{"another version", "GET / HTTP/3.0\r\n" HOST "\r\n", NOTHING, "", "505 x", "505 DPE http1.codec_error - -"},
	{"chunks that are none", CHUNKED "zz\r\n", NOTHING, "", "400 x", "400 DPE http1.codec_error POST /a"},
	{"chunks that break off as such", CHUNKED "1\r\nx\r\n", NOTHING, "-1\r\n", "400 x",
	 "400 DPE http1.codec_error POST /a"},
	{"a trailer that is none", CHUNKED "0\r\n", NOTHING, "x\r\n\r\n", "400 x", "400 DPE http1.codec_error POST /a"},
	{"a trailer with an underscore", CHUNKED "0\r\n", NOTHING, "a_b: c\r\n\r\n", "400 ",
	 "400 DPE http1.unexpected_underscore POST /a"},
	{"the same, behind the response's start", CHUNKED "0\r\n", ANSWERED, "a_b: c\r\n\r\n", "200 reset",
	 "200 DPE http1.unexpected_underscore POST /a"},
	{"chunks that are none, behind the response's start", CHUNKED, ANSWERED, "zz\r\n", "200 reset",
	 "200 DPE http1.codec_error POST /a"},
	{"a HEAD that is refused has no body either", "HEAD /a HTTP/1.1\r\n" HOST HOST "\r\n", NOTHING, "", "400 x",
	 "400 DPE http1.codec_error - -"},
	{"a HEAD whose body is refused", "HEAD /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", NOTHING, "",
	 "400 x", "400 DPE http1.codec_error HEAD /a"},
	{"FIN in the body", POST "Content-Length: 5\r\n\r\nhel", FIN, "", "reset",
	 "0 DC downstream_remote_disconnect POST /a"},
	{"reset in the body", POST "Content-Length: 5\r\n\r\nhel", RST, "", "",
	 "0 DC downstream_remote_disconnect POST /a"},
	{"FIN in the body, behind the response's start", POST "Content-Length: 5\r\n\r\nhel", ANSWERED_FIN, "", "200 reset",
	 "200 DC downstream_remote_disconnect POST /a"},
};

static int setup(void **state)
{
	(void)state;
	gateway_open(&lab);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gateway_close();
	return 0;
}

/* What the client got behind the head of the only response. */
static size_t body_bytes(const struct tcp_conn *c)
{
	const char *end = memmem(c->out, c->out_n, "\r\n\r\n", 4);

	return end != NULL ? (size_t)(c->out + c->out_n - end - 4) : 0;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct tcp_conn *c = gateway_client(), *up;
		const struct access_record *record;

		say(c, cases[i].in);
		up = origin_conn();
		gateway_tick(1);
		if (cases[i].then == ANSWERED || cases[i].then == ANSWERED_FIN)
			say(up, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
		say(c, cases[i].more);
		if (cases[i].then == FIN || cases[i].then == ANSWERED_FIN)
			rig_eof(c);
		if (cases[i].then == RST)
			rig_closed(c, ERR_CONN_RESET);
		gateway_tick(1);
		if (strcmp(answers(c), cases[i].said) != 0)
			fail_msg("%s: said %s", cases[i].name, answers(c));
		if (!c->shut && !c->aborted && !c->closed)
			rig_eof(c);
		record = logged_newest(gateway.log);
		assert_non_null(record);
		if (strcmp(logged_line(record), cases[i].logged) != 0)
			fail_msg("%s: logged %s", cases[i].name, logged_line(record));
		if (record->response_bytes != body_bytes(c))
			fail_msg("%s: %zu bytes, logged %llu", cases[i].name, body_bytes(c),
			         (unsigned long long)record->response_bytes);
		if (strncmp(cases[i].in, "HEAD", 4) == 0 && body_bytes(c) != 0)
			fail_msg("%s: %zu bytes", cases[i].name, body_bytes(c));
		gateway_end();
	}
}

/* Memory is short: 503 without an exchange, and a line for each. */
static void test_shed(void **state)
{
	struct tcp_conn *c = gateway_client();

	(void)state;
	rig.shard.shed = SHED_REQUESTS;
	say(c, POST "User-Agent: one/1\r\nContent-Length: 2\r\n\r\nhi");
	gateway_tick(1);
	assert_string_equal(answers(c), "503 x");
	assert_string_equal(gateway_logged(), "503 OM overload POST /a");
	assert_int_equal(counted(C_shed_requests), 1);
	assert_int_equal(counted(C_access_logged), 1);
	rig.shard.shed = 0;
	gateway_end();
}

/* Not even the head has room. */
static void test_no_memory(void **state)
{
	struct tcp_conn *c = gateway_client();
	void *chunks[4097];
	unsigned n = 0;

	(void)state;
	rig.shard.shed = SHED_REQUESTS;
	while (n < LENGTH(chunks) && (chunks[n] = pool_get(&rig.shard.chunks)) != NULL)
		n++;
	assert_in_range(n, 1, LENGTH(chunks) - 1);
	say(c, "GET / HTTP/1.0\r\n" HOST "\r\n");
	gateway_tick(1);
	while (n > 0)
		pool_put(&rig.shard.chunks, chunks[--n]);
	assert_string_equal(gateway_logged(), "503 OM overload - -");
	rig.shard.shed = 0;
	gateway_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cases, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
