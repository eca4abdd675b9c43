/* The client's side of HTTP/1: requests out, responses in; every case split at every position; reuse. */
#include "tests/unit/http/rig.h"

struct client {
	struct http_client *http;
	unsigned opened, idle, closed;
	enum err why;
};

static struct client client;

static void on_open(void *user)
{
	((struct client *)user)->opened++;
}

static void on_idle(void *user)
{
	((struct client *)user)->idle++;
}

static void on_closed(void *user, enum err why)
{
	struct client *c = user;

	c->closed++;
	c->why = why;
	c->http = NULL;
}

static const struct http_client_ops client_ops = {.on_open = on_open, .on_idle = on_idle, .on_closed = on_closed};

static struct tcp_conn *connect_client(void)
{
	static const struct tcp_connect how;
	struct tcp_conn *c;

	memset(&client, 0, sizeof(client));
	assert_int_equal(http_connect(rig.http, &how, &client_ops, &client, &client.http), OK);
	c = rig.tcp.last;
	assert_null(http_client_stream(client.http, &rec_ops, NULL));
	c->ops->on_open(c->user);
	assert_int_equal(client.opened, 1);
	return c;
}

static void send_request(const char *method, uint8_t body, uint64_t length, bool end)
{
	struct http_message m;

	recorder.stream = http_client_stream(client.http, &rec_ops, NULL);
	assert_non_null(recorder.stream);
	recorder.opened++;
	http_message_init(&m);
	m.method_text = (struct text){method, (uint32_t)strlen(method)};
	m.method = (uint8_t)http_method(m.method_text);
	m.path = TEXT("/p?q");
	m.authority = TEXT("up:80");
	m.body = body;
	m.content_length = length;
	assert_int_equal(http_add(&m, http_stream_arena(recorder.stream), TEXT("Host"), TEXT("not-this")), OK);
	assert_int_equal(http_add(&m, http_stream_arena(recorder.stream), TEXT("x"), TEXT("y")), OK);
	assert_int_equal(http_send_head(recorder.stream, &m, end), OK);
}

struct client_case {
	const char *name;
	const char *in;
	const char *log;
	bool reusable;           /* the connection is idle afterwards */
	const char *method;      /* null: GET */
	bool eof;                /* the upstream closes at the end */
	size_t in_len;
};

#define CASE(title, bytes, wanted, ...) {.name = title, .in = bytes, .log = wanted, __VA_ARGS__}
#define OK_LINE "HTTP/1.1 200 OK\r\n"

static const struct client_case cases[] = {
	CASE("length", OK_LINE "Content-Length: 3\r\n\r\nabc", "<200 11 length 3>{Content-Length: 3}(abc).", .reusable = true),
	CASE("length 0", OK_LINE "Content-Length: 0\r\n\r\n", "<200 11 length 0>{Content-Length: 0}.", .reusable = true),
	CASE("no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "<200 11 length 0>{Content-Length: 0}.",
	     .reusable = true),
	CASE("chunked", OK_LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	     "<200 11 chunked>{Transfer-Encoding: chunked}(abc).", .reusable = true),
	CASE("trailers", OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\nContent-Length: 3\r\n\r\n",
	     "<200 11 chunked>{Transfer-Encoding: chunked}.{A: b}", .reusable = true),
	CASE("until close", OK_LINE "\r\nabc", "<200 11 close>(abc).", .eof = true),
	CASE("until close, 1.0", "HTTP/1.0 200 OK\r\n\r\nabc", "<200 10 close last>(abc).", .eof = true),
	CASE("1.0 with length", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
	     "<200 10 length 3 last>{Content-Length: 3}(abc)."),
	CASE("1.0 keep-alive", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: Keep-Alive\r\n\r\nabc",
	     "<200 10 length 3>{Content-Length: 3}{Connection: Keep-Alive}(abc).", .reusable = true),
	CASE("connection close", OK_LINE "Content-Length: 3\r\nConnection: close\r\n\r\nabc",
	     "<200 11 length 3 last>{Content-Length: 3}{Connection: close}(abc)."),
	CASE("HEAD with length", OK_LINE "Content-Length: 3\r\n\r\n", "<200 11 length 3>{Content-Length: 3}.",
	     .reusable = true, .method = "HEAD"),
	CASE("HEAD chunked", OK_LINE "Transfer-Encoding: chunked\r\n\r\n", "<200 11 chunked>{Transfer-Encoding: chunked}.",
	     .reusable = true, .method = "HEAD"),
	CASE("HEAD without framing", OK_LINE "\r\n", "<200 11 none>.", .reusable = true, .method = "HEAD"),
	CASE("HEAD with a body", OK_LINE "Content-Length: 3\r\n\r\nabc", "<200 11 length 3>{Content-Length: 3}.",
	     .method = "HEAD"),
	CASE("204", "HTTP/1.1 204 No Content\r\n\r\n", "<204 11 none>.", .reusable = true),
	CASE("204 with length", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", "<204 11 none>{Content-Length: 3}.",
	     .reusable = true),
	CASE("304 with length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
	     "<304 11 length 3>{Content-Length: 3}.", .reusable = true),
	CASE("205", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", "<205 11 length 0>{Content-Length: 0}.",
	     .reusable = true),
	CASE("100 before", "HTTP/1.1 100 Continue\r\n\r\n" OK_LINE "Content-Length: 0\r\n\r\n",
	     "<100 11 none><200 11 length 0>{Content-Length: 0}.", .reusable = true),
	CASE("two 103", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 103 x\r\n\r\n" OK_LINE "Content-Length: 1\r\n\r\nx",
	     "<103 11 none>{Link: a}<103 11 none><200 11 length 1>{Content-Length: 1}(x).", .reusable = true),
	CASE("bytes behind the response", OK_LINE "Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n",
	     "<200 11 length 3>{Content-Length: 3}(abc)."),
	CASE("a CR LF behind the response", OK_LINE "Content-Length: 3\r\n\r\nabc\r\n",
	     "<200 11 length 3>{Content-Length: 3}(abc)."),

	CASE("closed before a byte", "", "!upstream_closed", .eof = true),
	CASE("closed in the head", "HTTP/1.1 2", "!http_truncated", .eof = true),
	CASE("closed in the body", OK_LINE "Content-Length: 3\r\n\r\nab", "<200 11 length 3>{Content-Length: 3}(ab)!http_truncated",
	     .eof = true),
	CASE("closed in a chunk", OK_LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nab",
	     "<200 11 chunked>{Transfer-Encoding: chunked}(ab)!http_truncated", .eof = true),
	CASE("closed without last chunk", OK_LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	     "<200 11 chunked>{Transfer-Encoding: chunked}(abc)!http_truncated", .eof = true),
	CASE("closed in the trailers", OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n",
	     "<200 11 chunked>{Transfer-Encoding: chunked}!http_truncated", .eof = true),
	CASE("status 99", "HTTP/1.1 099 X\r\n\r\n", "!http_syntax"),
	CASE("status 600", "HTTP/1.1 600 X\r\n\r\n", "!http_syntax"),
	CASE("status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "!http_syntax"),
	CASE("status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "!http_syntax"),
	CASE("status +20", "HTTP/1.1 +20 OK\r\n\r\n", "!http_syntax"),
	CASE("101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	     "!http_not_implemented"),
	CASE("version 2", "HTTP/2.0 200 OK\r\n\r\n", "!http_version"),
	CASE("version 1.2", "HTTP/1.2 200 OK\r\n\r\n", "!http_version"),
	CASE("not HTTP", "SSH-2.0-OpenSSH_10.0\r\n\r\n", "!http_syntax"),
	CASE("a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "!http_syntax"),
	CASE("no status line", "\r\n\r\n", "!http_syntax"),
	CASE("empty line before", "\r\n" OK_LINE "\r\n", "!http_syntax"),
	CASE("bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "!http_syntax"),
	CASE("bare CR in reason", "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", "!http_syntax"),
	CASE("folded line", OK_LINE "A: b\r\n c\r\nContent-Length: 0\r\n\r\n", "!http_syntax"),
	CASE("space before colon", OK_LINE "Content-Length : 0\r\n\r\n", "!http_syntax"),
	CASE("NUL in value", OK_LINE "A: \0\r\n\r\n", "!http_syntax", .in_len = sizeof(OK_LINE "A: \0\r\n\r\n") - 1),
	CASE("CL and TE", OK_LINE "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "!http_framing"),
	CASE("two CL", OK_LINE "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "!http_framing"),
	CASE("CL +3", OK_LINE "Content-Length: +3\r\n\r\n", "!http_framing"),
	CASE("TE gzip", OK_LINE "Transfer-Encoding: gzip\r\n\r\n", "!http_not_implemented"),
	CASE("TE in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "!http_framing"),
	CASE("bad chunk", OK_LINE "Transfer-Encoding: chunked\r\n\r\nx\r\n",
	     "<200 11 chunked>{Transfer-Encoding: chunked}!http_framing"),
	CASE("chunk overflow", OK_LINE "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
	     "<200 11 chunked>{Transfer-Encoding: chunked}!http_framing"),
};

static void run(const struct client_case *t, size_t cut, bool bytewise)
{
	const size_t n = t->in_len ? t->in_len : strlen(t->in);
	struct tcp_conn *c;
	bool reusable;

	rig_start(HOLD);
	c = connect_client();
	send_request(t->method ? t->method : "GET", HTTP_BODY_NONE, 0, true);
	if (bytewise) {
		for (size_t i = 0; i < n; i++)
			rig_input(c, t->in + i, 1);
	} else {
		rig_input(c, t->in, cut);
		rig_input(c, t->in + cut, n - cut);
	}
	if (t->eof)
		rig_eof(c);
	rig_tick(1);
	if (recorder.in_body)
		record_text("");
	reusable = client.idle == 1 && !client.closed;
	if (strcmp(recorder.log, t->log) || reusable != t->reusable) {
		print_error("%s, cut %zu of %zu%s:\n--- wanted (%sreusable)\n%s\n--- got (%sreusable)\n%s\n", t->name, cut, n,
		            bytewise ? ", bytewise" : "", t->reusable ? "" : "not ", t->log, reusable ? "" : "not ",
		            recorder.log);
		fail();
	}
	if (!c->closed)
		assert_int_equal(c->owed, 0);
	assert_int_equal(recorder.closed, 1);
	rig_end();
	assert_int_equal(client.closed, 1);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const size_t n = cases[i].in_len ? cases[i].in_len : strlen(cases[i].in);

		for (size_t cut = 0; cut <= n; cut++)
			run(&cases[i], cut, false);
		run(&cases[i], 0, true);
	}
}

struct request_case {
	const char *name, *method;
	uint8_t body;
	uint64_t length;
	bool end;
	const char *text, *out;
};

#define HEAD_LINES(method) method " /p?q HTTP/1.1\r\nhost: up:80\r\nx: y\r\n"

static const struct request_case requests[] = {
	{"GET", "GET", HTTP_BODY_NONE, 0, true, NULL, HEAD_LINES("GET") "\r\n"},
	{"GET, end later", "GET", HTTP_BODY_NONE, 0, false, NULL, HEAD_LINES("GET") "\r\n"},
	{"POST without body", "POST", HTTP_BODY_NONE, 0, true, NULL, HEAD_LINES("POST") "content-length: 0\r\n\r\n"},
	{"length", "PUT", HTTP_BODY_LENGTH, 3, false, "abc", HEAD_LINES("PUT") "content-length: 3\r\n\r\nabc"},
	{"length 0", "GET", HTTP_BODY_LENGTH, 0, true, NULL, HEAD_LINES("GET") "content-length: 0\r\n\r\n"},
	{"chunked", "POST", HTTP_BODY_CHUNKED, 0, false, "0123456789abcdef0",
	 HEAD_LINES("POST") "transfer-encoding: chunked\r\n\r\n11\r\n0123456789abcdef0\r\n0\r\n\r\n"},
	{"chunked without body", "POST", HTTP_BODY_CHUNKED, 0, false, NULL,
	 HEAD_LINES("POST") "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"},
	{"other method", "PROPFIND", HTTP_BODY_NONE, 0, true, NULL, HEAD_LINES("PROPFIND") "\r\n"},
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(requests); i++) {
		const struct request_case *t = &requests[i];
		struct tcp_conn *c;

		rig_start(HOLD);
		c = connect_client();
		send_request(t->method, t->body, t->length, t->end);
		assert_true(http_stream_request_begun(recorder.stream));
		assert_false(http_stream_response_begun(recorder.stream));
		if (t->text)
			assert_int_equal(http_send_text(recorder.stream, (struct text){t->text, (uint32_t)strlen(t->text)}), OK);
		if (!t->end)
			assert_int_equal(http_send_end(recorder.stream, NULL), OK);
		c->out[c->out_n] = 0;
		if (strcmp(c->out, t->out)) {
			print_error("%s:\n%s", t->name, c->out);
			fail();
		}
		rig_input(c, OK_LINE "Content-Length: 0\r\n\r\n", strlen(OK_LINE "Content-Length: 0\r\n\r\n"));
		assert_int_equal(client.idle, 1);
		rig_end();
	}
}

/* A connection is used again; the second response of a pair belongs to the second request. */
static void test_reuse(void **state)
{
	static const char response[] = OK_LINE "Content-Length: 1\r\n\r\n";
	struct tcp_conn *c;

	(void)state;
	rig_start(HOLD);
	c = connect_client();
	assert_false(http_client_reused(client.http));
	for (unsigned i = 0; i < 5; i++) {
		send_request("GET", HTTP_BODY_NONE, 0, true);
		assert_null(http_client_stream(client.http, &rec_ops, NULL));
		rig_input(c, response, sizeof(response) - 1);
		assert_int_equal(client.idle, i);
		rig_input(c, "x", 1);
		assert_int_equal(client.idle, i + 1);
		assert_true(http_client_reused(client.http));
	}
	/* A byte that nobody asked for ends an idle connection. */
	rig_input(c, "H", 1);
	assert_int_equal(client.closed, 1);
	assert_int_equal(client.why, ERR_UPSTREAM_PROTOCOL);
	rig_end();
}

/* A response before the request is an injection. */
static void test_response_before_request(void **state)
{
	struct tcp_conn *c;

	(void)state;
	rig_start(HOLD);
	c = connect_client();
	recorder.stream = http_client_stream(client.http, &rec_ops, NULL);
	recorder.opened++;
	rig_input(c, OK_LINE "Content-Length: 0\r\n\r\n", strlen(OK_LINE "Content-Length: 0\r\n\r\n"));
	assert_string_equal(recorder.log, "!upstream_protocol");
	assert_int_equal(client.closed, 1);
	rig_end();
}

/* The response is whole before the request is: the connection lives only if the request is then wholly sent. */
static void test_early_response(void **state)
{
	static const char response[] = OK_LINE "Content-Length: 2\r\n\r\nhi";
	struct tcp_conn *c;

	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		rig_start(HOLD);
		c = connect_client();
		send_request("POST", HTTP_BODY_LENGTH, 3, false);
		rig_input(c, response, sizeof(response) - 1);
		assert_string_equal(recorder.log, "<200 11 length 2>{Content-Length: 2}(hi).");
		assert_int_equal(recorder.closed, 0);
		if (reset) {
			reset_stream();
			rig_tick(1);
			assert_int_equal(client.closed, 1);
		} else {
			assert_int_equal(http_send_text(recorder.stream, TEXT("abc")), OK);
			assert_int_equal(http_send_end(recorder.stream, NULL), OK);
			assert_int_equal(recorder.closed, 0);
			rig_tick(1);
			assert_int_equal(recorder.closed, 1);
			assert_int_equal(client.idle, 1);
		}
		rig_end();
	}
}

static void test_closed_while_idle(void **state)
{
	struct tcp_conn *c;

	(void)state;
	rig_start(HOLD);
	c = connect_client();
	rig_eof(c);
	assert_int_equal(client.closed, 1);
	assert_int_equal(client.why, OK);
	rig_end();

	rig_start(HOLD);
	c = connect_client();
	for (unsigned s = 0; s < 3602; s++)
		rig_tick(1000);
	assert_int_equal(client.closed, 1);
	rig_end();

	rig_start(HOLD);
	c = connect_client();
	http_client_close(client.http);
	assert_int_equal(client.closed, 0);
	assert_true(c->shut);
	client.closed = 1;
	rig_end();
}

static void test_connect_fails(void **state)
{
	static const struct tcp_connect how;

	(void)state;
	rig_start(HOLD);
	memset(&client, 0, sizeof(client));
	assert_int_equal(http_connect(rig.http, &how, &client_ops, &client, &client.http), OK);
	rig_closed(rig.tcp.last, ERR_CONN_REFUSED);
	assert_int_equal(client.closed, 1);
	assert_int_equal(client.why, ERR_CONN_REFUSED);
	rig_end();
}

/* The owner waits for a stream, or for the end: without memory for the one, the other comes. */
static void test_no_stream(void **state)
{
	struct pool *streams;
	void **taken;
	uint32_t n = 0;

	(void)state;
	rig_start(HOLD);
	(void)connect_client();
	streams = &rig.http->streams;
	taken = calloc(streams->capacity, sizeof(*taken));
	assert_non_null(taken);
	while ((taken[n] = pool_get(streams)) != NULL)
		if (++n == streams->capacity)
			break;
	assert_null(http_client_stream(client.http, &rec_ops, NULL));
	while (n > 0)
		pool_put(streams, taken[--n]);
	free(taken);
	rig_tick(1);
	assert_int_equal(client.closed, 1);
	assert_int_equal(client.why, ERR_NO_MEMORY);
	rig_end();
}

/* Each head that comes in pieces is gathered, and has fields: the same memory serves all, or they used up the stream's. */
#define LINKS "Link: a\r\nLink: b\r\nLink: c\r\nLink: d\r\nLink: e\r\nLink: f\r\nLink: g\r\nLink: h\r\n"

static void test_interim_in_pieces(void **state)
{
	static const char text[] = "HTTP/1.1 103 x\r\n" LINKS LINKS LINKS LINKS LINKS LINKS LINKS LINKS "\r\n", final[] = OK_LINE "Content-Length: 0\r\n\r\n";
	struct tcp_conn *c;

	(void)state;
	rig_start(HOLD);
	c = connect_client();
	send_request("GET", HTTP_BODY_NONE, 0, true);
	for (unsigned i = 0; i < LIMIT_http_interim; i++)
		for (const char *at = text; *at; at++)
			rig_input(c, at, 1);
	for (const char *at = final; *at; at++)
		rig_input(c, at, 1);
	assert_int_equal(recorder.why, OK);
	assert_non_null(strstr(recorder.log, "<200 11 length 0>"));
	rig_end();
}

static void test_interim_flood(void **state)
{
	struct tcp_conn *c;

	(void)state;
	rig_start(HOLD);
	c = connect_client();
	send_request("GET", HTTP_BODY_NONE, 0, true);
	for (unsigned i = 0; i < 1000 && !c->closed; i++)
		rig_input(c, "HTTP/1.1 103 x\r\n\r\n", strlen("HTTP/1.1 103 x\r\n\r\n"));
	assert_int_equal(recorder.why, ERR_UPSTREAM_PROTOCOL);
	rig_end();
}

static void test_large_head(void **state)
{
	static char head[70000];
	struct tcp_conn *c;

	(void)state;
	for (size_t size = 50000; size <= 65000; size += 15000) {
		size_t n = (size_t)sprintf(head, OK_LINE "Content-Length: 0\r\nA: ");

		memset(head + n, 'a', size);
		n += size;
		n += (size_t)sprintf(head + n, "\r\n\r\n");
		rig_start(HOLD);
		c = connect_client();
		send_request("GET", HTTP_BODY_NONE, 0, true);
		rig_input(c, head, n);
		assert_int_equal(recorder.closed, 1);
		assert_int_equal(recorder.why, size > LIMIT_http_header_bytes ? ERR_HTTP_HEADERS_TOO_LARGE : OK);
		rig_end();
	}
}

/* on_sent counts body bytes, no framing, whatever the sizes in which acknowledgements come. */
static void test_sent(void **state)
{
	static const char piece[100] = {0};

	(void)state;
	for (uint32_t step = 1; step < 64; step += 7) {
		struct tcp_conn *c;
		uint64_t before = 0;

		rig_start(HOLD);
		c = connect_client();
		send_request("POST", HTTP_BODY_CHUNKED, 0, false);
		for (unsigned i = 0; i < 20; i++) {
			struct rte_mbuf *m = rte_pktmbuf_alloc(rig.shard.pools.payload);
			char *at = rte_pktmbuf_append(m, sizeof(piece));

			memcpy(at, piece, sizeof(piece));
			assert_true(http_send_body(recorder.stream,
			                           (struct slice){.m = m, .off = m->data_off, .len = sizeof(piece)}));
			rig_ack(c, unacked(c) < step ? unacked(c) : step);
			assert_true(recorder.sent_bytes >= before && recorder.sent_bytes <= c->acked);
			before = recorder.sent_bytes;
		}
		rig_ack_all(c);
		assert_int_equal(recorder.sent_bytes, 20 * sizeof(piece));
		reset_stream();
		rig_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cases),
		TEST(test_requests),
		TEST(test_reuse),
		TEST(test_response_before_request),
		TEST(test_early_response),
		TEST(test_closed_while_idle),
		TEST(test_connect_fails),
		TEST(test_no_stream),
		TEST(test_interim_in_pieces),
		TEST(test_interim_flood),
		TEST(test_large_head),
		TEST(test_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
