/*
 * What an HTTP/1 gateway must survive, by the numbers of the checklist that the project is measured by: requests (36 to
 * 49), upstreams (65 to 72), and what clients claim (78), each through http, proxy and upstream as they are. Who saw what is compared byte for
 * byte: the client's answers, and what the upstream's connections hold.
 */
#include "tests/unit/proxy/gateway.h"

#define HOST "Host: a.example\r\n"
#define OK_2 "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define GET_A "GET /a HTTP/1.1\r\n" HOST
#define POST_A "POST /a HTTP/1.1\r\n" HOST
#define CHUNKED POST_A "Transfer-Encoding: chunked\r\n\r\n"
#define A10 "aaaaaaaaaa"
#define A100 A10 A10 A10 A10 A10 A10 A10 A10 A10 A10
#define A1000 A100 A100 A100 A100 A100 A100 A100 A100 A100 A100
#define A9000 A1000 A1000 A1000 A1000 A1000 A1000 A1000 A1000 A1000

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 8080}}}},
	.routes = {
		{.name = "web", .path = "/", .backends = {{"web", 1}}},
		{.name = "timed", .path = "/timed", .backends = {{"web", 1}}, .request_timeout_ms = 1000},
		{.name = "any", .hostname = "proxy.example", .path = "/", .backends = {{"web", 1}}},
		{.name = "connect", .hostname = "proxy.example", .path = "/", .method = "CONNECT", .backends = {{"web", 1}}},
	},
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

/* ---- 36, 38 to 42, 44, 45, 48: bytes in, answers and what the upstream saw ---- */

struct line_case {
	unsigned line;
	const char *name;
	const char *in;
	const char *said;        /* answers() */
	unsigned upstream;       /* whole requests that the upstream got; in all refused cases not a byte */
	size_t n;                /* when there is a NUL in it */
};

#define LINE(number, title, bytes, wanted, requests) {number, title, bytes, wanted, requests, sizeof(bytes) - 1}
#define BAD "400 x"

static const struct line_case lines[] = {
	LINE(36, "length and chunked", POST_A "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, 0),
	LINE(36, "chunked and length", POST_A "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BAD, 0),
	LINE(36, "chunked twice", POST_A "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, 0),
	LINE(36, "two lengths", POST_A "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", BAD, 0),
	LINE(36, "two equal lengths", POST_A "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", BAD, 0),
	LINE(36, "length +5", POST_A "Content-Length: +5\r\n\r\nhello", BAD, 0),
	LINE(36, "length of two", POST_A "Content-Length: 5,5\r\n\r\nhello", BAD, 0),
	LINE(36, "length of 20 digits", POST_A "Content-Length: 00000000000000000005\r\n\r\nhello", BAD, 0),
	LINE(36, "length in hex", POST_A "Content-Length: 0x5\r\n\r\nhello", BAD, 0),
	LINE(36, "empty length", POST_A "Content-Length:\r\n\r\nhello", BAD, 0),
	LINE(36, "spaces around a length are white space", POST_A "Content-Length:  5 \r\n\r\nhello", "200 ", 1),
	LINE(36, "chunked in 1.0", "POST /a HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD, 0),
	LINE(36, "another coding", POST_A "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501 x", 0),

	LINE(39, "folded line", GET_A "X: a\r\n b\r\n\r\n", BAD, 0),
	LINE(39, "bare LF", GET_A "X: a\n\r\n", BAD, 0),
	LINE(39, "bare CR", GET_A "X: a\rb\r\n\r\n", BAD, 0),
	LINE(39, "CR LF CR X", GET_A "\rX", BAD, 0),
	LINE(39, "NUL in a value", GET_A "X: a\0b\r\n\r\n", BAD, 0),
	LINE(39, "NUL in a name", GET_A "X\0: a\r\n\r\n", BAD, 0),
	LINE(39, "8-bit name", GET_A "X\x80: a\r\n\r\n", BAD, 0),
	LINE(39, "space before the colon", GET_A "X : a\r\n\r\n", BAD, 0),
	LINE(39, "empty name", GET_A ": a\r\n\r\n", BAD, 0),

	LINE(40, "HTTP/1.2", "GET /a HTTP/1.2\r\n" HOST "\r\n", "505 x", 0),
	LINE(40, "HTTP/2.0", "GET /a HTTP/2.0\r\n" HOST "\r\n", "505 x", 0),
	LINE(40, "HTTP/0.9", "GET /a HTTP/0.9\r\n" HOST "\r\n", "505 x", 0),
	LINE(40, "no version", "GET /a\r\n\r\n", BAD, 0),
	LINE(40, "lower-case method", "get /a HTTP/1.1\r\n" HOST "\r\n", "501 x", 0),
	LINE(40, "fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", BAD, 0),
	LINE(40, "long target", "GET /" A9000 " HTTP/1.1\r\n" HOST "\r\n", "414 x", 0),

	LINE(42, "absolute form", "GET http://a.example/a HTTP/1.1\r\n" HOST "\r\n", "200 ", 1),
	LINE(42, "absolute form of another host", "GET http://b.example/a HTTP/1.1\r\n" HOST "\r\n", BAD, 0),
	LINE(42, "another port, the target's counts", "GET http://A.example:81/a HTTP/1.1\r\n" HOST "\r\n", "200 ", 1),
	LINE(42, "another host with the same port", "GET http://b.example:80/a HTTP/1.1\r\nHost: a.example:80\r\n\r\n", BAD, 0),
	LINE(42, "a host that goes on", "GET http://a.example/a HTTP/1.1\r\nHost: a.example.b\r\n\r\n", BAD, 0),
	LINE(42, "absolute form with user information", "GET http://a.example@b/a HTTP/1.1\r\n" HOST "\r\n", BAD, 0),
	LINE(42, "no Host", "GET /a HTTP/1.1\r\n\r\n", BAD, 0),
	LINE(42, "two Hosts", GET_A HOST "\r\n", BAD, 0),
	LINE(42, "Host with a path", "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", BAD, 0),
	LINE(42, "Host with user information", "GET /a HTTP/1.1\r\nHost: u@a\r\n\r\n", BAD, 0),
	LINE(42, "Host with a space", "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", BAD, 0),
	LINE(42, "asterisk", "GET * HTTP/1.1\r\n" HOST "\r\n", BAD, 0),
	LINE(42, "1.0 without Host", "GET /a HTTP/1.0\r\n\r\n", BAD, 0),
	LINE(42, "1.0, the host in the target", "GET http://a.example/a HTTP/1.0\r\n\r\n", "200 x", 1),
	LINE(42, "1.0 with Host", "GET /a HTTP/1.0\r\n" HOST "\r\n", "200 x", 1),

	LINE(43, "CONNECT", "CONNECT a.example:443 HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST "\r\n", "501 x", 0),

	LINE(43, "CONNECT that a rule allows, accepted by nobody", "CONNECT proxy.example:443 HTTP/1.1\r\nHost: proxy.example:443\r\n"
	     "\r\n", "200 ", 1),
	LINE(43, "other methods beside it", "GET /a HTTP/1.1\r\nHost: proxy.example\r\n\r\n", "200 ", 1),
	LINE(43, "CONNECT in origin form", "CONNECT /a HTTP/1.1\r\nHost: proxy.example\r\n\r\n", BAD, 0),
	LINE(43, "CONNECT in absolute form", "CONNECT http://proxy.example:443/ HTTP/1.1\r\nHost: proxy.example\r\n\r\n", BAD, 0),
	LINE(43, "CONNECT without a port", "CONNECT proxy.example HTTP/1.1\r\nHost: proxy.example\r\n\r\n", BAD, 0),
	LINE(43, "CONNECT with an empty port", "CONNECT proxy.example: HTTP/1.1\r\nHost: proxy.example\r\n\r\n", BAD, 0),
	LINE(43, "CONNECT with another Host", "CONNECT proxy.example:443 HTTP/1.1\r\n" HOST "\r\n", BAD, 0),
	LINE(43, "CONNECT with a body", "CONNECT proxy.example:443 HTTP/1.1\r\nHost: proxy.example\r\nContent-Length: 2\r\n\r\nhi", BAD, 0),
	LINE(43, "CONNECT in chunks", "CONNECT proxy.example:443 HTTP/1.1\r\nHost: proxy.example\r\nTransfer-Encoding: chunked\r\n\r\n"
	     "0\r\n\r\n", BAD, 0),
	LINE(43, "CONNECT in 1.0", "CONNECT proxy.example:443 HTTP/1.0\r\nHost: proxy.example\r\n\r\n", "501 x", 0),

	LINE(44, "h2c is stripped", GET_A "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
	     "200 ", 1),
	LINE(44, "h2c in a list", GET_A "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n", "200 ", 1),
	LINE(44, "another protocol", GET_A "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", "403 ", 0),
	LINE(44, "not named by Connection", GET_A "Upgrade: websocket\r\n\r\n", "200 ", 1),
	LINE(44, "websocket, not accepted by the upstream", GET_A "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" GET_A "\r\n",
	     "200 200 ", 2),
	LINE(44, "with a body it is no upgrade", POST_A "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi"
	     GET_A "\r\n", "200 200 ", 2),
	LINE(44, "not in 1.0", "GET /a HTTP/1.0\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", "200 x", 1),

	LINE(45, "body without waiting", POST_A "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" GET_A "\r\n", "200 200 ", 2),
	LINE(45, "unknown expectation", POST_A "Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello", "417 x", 0),
	LINE(45, "two expectations", POST_A "Expect: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", "417 x", 0),

	LINE(48, "TE", GET_A "TE: gzip, trailers;q=0.5\r\nConnection: TE\r\n\r\n", "200 ", 1),
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(lines); i++) {
		const struct line_case *t = &lines[i];
		struct origin o = {.answer = OK_2};
		struct tcp_conn *c = gateway_client();

		rig_input(c, t->in, t->n);
		origin_serve(&o);
		if (strcmp(answers(c), t->said) || o.whole != t->upstream || o.partial || o.why[0] ||
		    (t->upstream == 0 && origin_conns() > 0))
			fail_msg("line %u, %s: the client got \"%s\", wanted \"%s\"; the upstream %u, wanted %u, and %u halves %s",
			         t->line, t->name, answers(c), t->said, o.whole, t->upstream, o.partial, o.why);
		gateway_end();
	}
}

/* 38: whatever is wrong in a body, the upstream does not get a whole request, and its connection is not used again. */
static void test_line_38(void **state)
{
	static const struct {
		const char *name, *in;
		size_t n;
		const char *said;
		unsigned upstream;
	} cases[] = {
#define BODY(title, bytes, wanted, requests) {title, CHUNKED bytes, sizeof(CHUNKED bytes) - 1, wanted, requests}
		BODY("17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n", BAD, 0),
		BODY("overflow", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", BAD, 0),
		BODY("negative", "-5\r\nhello\r\n0\r\n\r\n", BAD, 0),
		BODY("0x", "0x5\r\nhello\r\n0\r\n\r\n", BAD, 0),
		BODY("bare LF behind a size", "5\nhello\r\n0\r\n\r\n", BAD, 0),
		BODY("bare LF behind data", "5\r\nhello\n0\r\n\r\n", BAD, 0),
		BODY("bare LF in an extension", "5;\nxx\r\nhello\r\n0\r\n\r\n", BAD, 0),
		BODY("NUL in an extension", "5;\0\r\nhello\r\n0\r\n\r\n", BAD, 0),
		BODY("extensions of 9000 bytes", "5;" A9000 "\r\nhello\r\n0\r\n\r\n", BAD, 0),
		BODY("extension", "5;a=b\r\nhello\r\n0\r\n\r\n", "200 ", 1),
		BODY("folded trailer", "0\r\nX: a\r\n b\r\n\r\n", BAD, 0),
		BODY("trailers that frame, route or prove", "1\r\nx\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n"
		     "Host: evil\r\nAuthorization: x\r\nX-Sum: 1\r\n\r\n", "200 ", 1),
#undef BODY
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct origin o = {.answer = OK_2};
		struct tcp_conn *c = gateway_client();

		rig_input(c, cases[i].in, cases[i].n);
		origin_serve(&o);
		if (strcmp(answers(c), cases[i].said) || o.whole != cases[i].upstream || o.partial_open || o.why[0])
			fail_msg("line 38, %s: \"%s\", upstream %u, halves alive %u, %s", cases[i].name, answers(c), o.whole,
			         o.partial_open, o.why);
		gateway_end();
	}
	/* The final line end is missing: nothing is whole yet. */
	{
		struct origin o = {.answer = OK_2};
		struct tcp_conn *c = gateway_client();

		say(c, CHUNKED "5\r\nhello\r\n0\r\n");
		origin_serve(&o);
		assert_int_equal(o.whole, 0);
		assert_string_equal(answers(c), "");
		say(c, "\r\n");
		origin_serve(&o);
		assert_int_equal(o.whole, 1);
		gateway_end();
	}
}

/* 37: an upstream that answers before it has the body is not asked again on that connection. */
static void test_line_37(void **state)
{
	static const struct { const char *name, *head; } cases[] = {
		{"length", POST_A "Content-Length: 50\r\n\r\nhello"},
		{"length, nothing yet", POST_A "Content-Length: 50\r\n\r\n"},
		{"chunked", CHUNKED "5\r\nhello\r\n"},
		{"expect", POST_A "Expect: 100-continue\r\nContent-Length: 50\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct origin o = {.answer = OK_2};
		struct tcp_conn *c = gateway_client(), *other, *up;

		say(c, cases[i].head);
		up = origin_conn();
		assert_non_null(up);
		say(up, OK_2);
		gateway_tick(1);
		assert_int_equal(strncmp(answers(c), "200 ", 4), 0);
		assert_true(up->closed || up->shut);
		/* The rest of the body is thrown away or the connection ends; it is never a request. */
		say(c, "GET /smuggled HTTP/1.1\r\n" HOST "\r\n");
		other = gateway_client();
		say(other, GET_A "\r\n");
		origin_serve(&o);
		if (strcmp(answers(other), "200 ") || origin_conns() != 2)
			fail_msg("line 37, %s: %s on %u connections", cases[i].name, answers(other), origin_conns());
		for (unsigned k = 0; k < o.whole && k < LENGTH(o.targets); k++)
			assert_string_equal(o.targets[k], "/a");
		gateway_end();
	}
}

/* 41: size, count and a single field. */
static void test_line_41(void **state)
{
	static char head[LIMIT_http_header_bytes + 20000];
	static const struct { const char *name; unsigned fields, bytes; const char *said; } cases[] = {
		{"many small ones", LIMIT_http_headers - 1, 10, "200 "},
		{"one too many", LIMIT_http_headers + 1, 10, "431 x"},
		{"a large one", 1, 50000, "200 "},
		{"one that is too large", 1, LIMIT_http_header_bytes, "431 x"},
		{"together too large", 50, 1300, "431 x"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct origin o = {.answer = OK_2};
		struct tcp_conn *c = gateway_client();
		size_t n = (size_t)sprintf(head, GET_A);

		for (unsigned k = 0; k < cases[i].fields; k++) {
			n += (size_t)sprintf(head + n, "X-%u: ", k);
			memset(head + n, 'v', cases[i].bytes);
			n += cases[i].bytes;
			n += (size_t)sprintf(head + n, "\r\n");
		}
		n += (size_t)sprintf(head + n, "\r\n");
		rig_input(c, head, n);
		origin_serve(&o);
		if (strcmp(answers(c), cases[i].said))
			fail_msg("line 41, %s: %s", cases[i].name, answers(c));
		gateway_end();
	}
}

/* ---- 43, 44: tunnels ---- */

#define UPGRADE GET_A "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s\r\n\r\n"

struct tunnel {
	struct tcp_conn *down, *up;
};

static struct tunnel tunnel_asked(const char *early)
{
	struct tunnel t = {.down = gateway_client()};

	say(t.down, UPGRADE);
	say(t.down, early);
	t.up = origin_conn();
	assert_non_null(t.up);
	gateway_tick(1);
	return t;
}

static const char *behind_head(struct tcp_conn *c)
{
	const char *end;

	c->out[c->out_n] = '\0';
	end = strstr(c->out, "\r\n\r\n");
	assert_non_null(end);
	return end + 4;
}

/* Early data is held, and is the tunnel's with the 101. */
static void test_line_43(void **state)
{
	struct tunnel t = tunnel_asked("GET /smuggled HTTP/1.1\r\n" HOST "\r\n");

	(void)state;
	t.up->out[t.up->out_n] = '\0';
	assert_non_null(strstr(t.up->out, "connection: upgrade\r\nupgrade: websocket\r\n"));
	assert_non_null(strstr(t.up->out, "Sec-WebSocket-Key: k\r\n"));
	assert_string_equal(behind_head(t.up), "");
	assert_true(t.down->owed > 0);
	say(t.up, SWITCHING "hello");
	gateway_tick(1);
	assert_string_equal(answers(t.down), "101 ");
	assert_non_null(strstr(t.down->out, "connection: upgrade\r\nupgrade: WebSocket\r\n"));
	assert_non_null(strstr(t.down->out, "Sec-WebSocket-Accept: s\r\n"));
	assert_string_equal(behind_head(t.down), "hello");
	assert_string_equal(behind_head(t.up), "GET /smuggled HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(counted(C_tunnels_opened), 1);
	gateway_end();

	/* Not accepted: it is a request, behind the first one's response, and judged as one. */
	t = tunnel_asked("GET /second HTTP/1.1\r\n" HOST "\r\n");
	say(t.up, OK_2);
	gateway_tick(1);
	assert_non_null(strstr(behind_head(t.up), "GET /second HTTP/1.1\r\n"));
	gateway_end();
}

#define CONNECT "CONNECT proxy.example:443 HTTP/1.1\r\nHost: proxy.example:443\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"

/* The same of CONNECT, where every 2xx is the agreement, whatever it says of a body; nothing else is. */
static void test_line_43_connect(void **state)
{
	static const struct {
		const char *name;
		const char *response;
		const char *said;        /* to the client */
		bool tunnel;
	} cases[] = {
		{"200", "HTTP/1.1 200 Connection established\r\nServer: s\r\n\r\nhello",
		 "HTTP/1.1 200 Connection established\r\nServer: s\r\n", true},
		{"200 with a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", "HTTP/1.1 200 OK\r\n", true},
		{"200 in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello", "HTTP/1.1 200 OK\r\n", true},
		{"204", "HTTP/1.1 204 No Content\r\n\r\nhello", "HTTP/1.1 204 No Content\r\n", true},
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nhello",
		 "HTTP/1.1 403 Forbidden\r\n", false},
		{"101", SWITCHING "hello", "HTTP/1.1 502 Bad Gateway\r\n", false},
	};

	(void)state;
	for (unsigned i = 0; i < LENGTH(cases); i++) {
		struct tcp_conn *down = gateway_client(), *up;
		const uint64_t before = counted(C_tunnels_opened);

		say(down, CONNECT);
		say(down, "GET /smuggled HTTP/1.1\r\n" HOST "\r\n");
		up = origin_conn();
		gateway_tick(1);
		up->out[up->out_n] = '\0';
		if (strstr(up->out, "CONNECT proxy.example:443 HTTP/1.1\r\nhost: proxy.example:443\r\n") != up->out ||
		    strcasestr(up->out, "upgrade") != NULL || behind_head(up)[0] != '\0')
			fail_msg("line 43, %s: the upstream got %s", cases[i].name, up->out);
		say(up, cases[i].response);
		gateway_tick(1);
		down->out[down->out_n] = '\0';
		if (strncmp(down->out, cases[i].said, strlen(cases[i].said)) != 0)
			fail_msg("line 43, %s: the client got %s", cases[i].name, down->out);
		if (counted(C_tunnels_opened) - before != cases[i].tunnel)
			fail_msg("line 43, %s: tunnels", cases[i].name);
		if (cases[i].tunnel) {
			assert_null(strcasestr(down->out, "content-length"));
			assert_null(strcasestr(down->out, "transfer-encoding"));
			assert_string_equal(behind_head(down), "hello");
			assert_string_equal(behind_head(up), "GET /smuggled HTTP/1.1\r\n" HOST "\r\n");
		} else {
			assert_non_null(strstr(down->out, "connection: close\r\n"));
			assert_string_equal(behind_head(up), "");
			assert_int_equal(origin_conns(), 1);
		}
		gateway_end();
	}
}

/* Bytes both ways, half-closes in either order, the last bytes included. */
static void test_line_44_tunnel(void **state)
{
	(void)state;
	for (int client_first = 0; client_first < 2; client_first++) {
		struct tunnel t = tunnel_asked("");
		struct tcp_conn *first = client_first ? t.down : t.up, *second = client_first ? t.up : t.down;

		say(t.up, SWITCHING);
		say(t.down, "ping");
		say(t.up, "pong");
		gateway_tick(1);
		assert_string_equal(behind_head(t.up), "ping");
		assert_string_equal(behind_head(t.down), "pong");
		rig_ack_all(t.up);
		rig_ack_all(t.down);
		assert_int_equal(t.up->owed, 0);
		say(first, "bye");
		rig_eof(first);
		gateway_tick(1);
		assert_true(second->shut);
		assert_false(first->shut);
		say(second, "good bye");
		rig_eof(second);
		gateway_tick(1);
		assert_true(first->shut);
		assert_string_equal(behind_head(t.up), client_first ? "pingbye" : "pinggood bye");
		assert_string_equal(behind_head(t.down), client_first ? "ponggood bye" : "pongbye");
		gateway_tick(1);
		assert_int_equal(proxy_exchanges(gateway.proxy), 0);
		gateway_end();
	}
	assert_int_equal(counted(C_exchanges_1xx), 2);
}

/* A peer that does not take what is sent stops the other; nothing is lost, and what is owed stays within the window. */
static void test_line_44_back_pressure(void **state)
{
	static char piece[1400];

	(void)state;
	for (int to_client = 0; to_client < 2; to_client++) {
		struct tunnel t = tunnel_asked("");
		struct tcp_conn *from = to_client ? t.up : t.down, *to = to_client ? t.down : t.up;
		size_t sent = 0;
		uint32_t before;

		say(t.up, SWITCHING);
		gateway_tick(1);
		rig_ack_all(t.down);
		rig_ack_all(t.up);
		before = to->out_n;
		to->limit = 100000;
		for (unsigned i = 0; i < 600; i++) {
			if (from->owed < LIMIT_tcp_recv_buffer) {
				memset(piece, 'a' + (int)(i % 26), sizeof(piece));
				rig_input(from, piece, sizeof(piece));
				sent += sizeof(piece);
			} else {
				rig_ack(to, unacked(to) < 30000 ? unacked(to) : 30000);
			}
			assert_true(from->owed <= LIMIT_tcp_recv_buffer + 4096);
			gateway_tick(1);
		}
		rig_eof(from);
		for (unsigned i = 0; i < 100; i++) {
			rig_ack_all(to);
			gateway_tick(1);
		}
		assert_int_equal(to->out_n - before, sent);
		assert_true(to->shut);
		assert_int_equal(from->owed, 0);
		gateway_end();
	}
}

/* A tunnel that the upstream opens unasked, or to another protocol, is no tunnel. */
static void test_line_44_refused(void **state)
{
	static const struct { const char *name, *request, *response; } cases[] = {
		{"not asked for", GET_A "\r\n", SWITCHING},
		{"h2c was stripped", GET_A "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"},
		{"to another protocol", UPGRADE,
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"},
		{"to none", UPGRADE, "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct tcp_conn *c = gateway_client(), *up;

		say(c, cases[i].request);
		up = origin_conn();
		say(up, cases[i].response);
		gateway_tick(1);
		if (strcmp(answers(c), "502 ") || !(up->closed || up->shut))
			fail_msg("line 44, %s: %s", cases[i].name, answers(c));
		assert_int_equal(counted(C_tunnels_opened), 0);
		gateway_end();
	}
	/* 426 says to what: that passes. */
	{
		struct tcp_conn *c = gateway_client();

		say(c, UPGRADE);
		say(origin_conn(), "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		    "Content-Length: 0\r\n\r\n");
		gateway_tick(1);
		assert_string_equal(answers(c), "426 ");
		assert_non_null(strstr(c->out, "connection: upgrade\r\nupgrade: websocket\r\n"));
		gateway_end();
	}
}

static void test_line_44_idle(void **state)
{
	struct tunnel t = tunnel_asked("");

	(void)state;
	say(t.up, SWITCHING);
	gateway_tick(1);
	rig_ack_all(t.down);
	/* Alive as long as something moves, */
	for (unsigned s = 0; s < 1000; s++) {
		if (s % 200 == 0)
			say(t.down, "x");
		rig_ack_all(t.up);
		gateway_tick(1000);
	}
	assert_false(t.down->aborted);
	/* and no longer. */
	for (unsigned s = 0; s < LIMIT_stream_idle_s + 10; s++)
		gateway_tick(1000);
	assert_true(t.down->aborted && t.up->aborted);
	assert_int_equal(counted(C_limit_stream_idle_s), 1);
	gateway_end();
}

/* Tunnels among each other, every event in any order, one end after the other breaking: nothing leaks. */
static void test_line_44_any_order(void **state)
{
	enum { ROUNDS = 300, STEPS = 120 };
	struct rng r;

	(void)state;
	rng_init(&r, 1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct tunnel t = tunnel_asked(rng_below(&r, 2) ? "early" : "");
		static char piece[1400];
		bool switched = false;

		t.down->limit = t.up->limit = 70000 + rng_below(&r, 100000);
		for (unsigned i = 0; i < STEPS; i++) {
			struct tcp_conn *c = rng_below(&r, 2) ? t.down : t.up;

			switch (rng_below(&r, 8)) {
			case 0:
				if (!switched && i > 3 && !t.up->eof)
					say(t.up, SWITCHING);
				switched = true;
				break;
			case 1:
			case 2:
			case 3:
				if (c->owed < LIMIT_tcp_recv_buffer && !c->eof && switched)
					rig_input(c, piece, 1 + rng_below(&r, sizeof(piece)));
				break;
			case 4:
				rig_ack(c, rng_below(&r, unacked(c) + 1));
				break;
			case 5:
				if (rng_below(&r, 20) == 0)
					rig_eof(c);
				break;
			case 6:
				if (rng_below(&r, 60) == 0)
					rig_closed(c, ERR_CONN_RESET);
				break;
			default:
				gateway_tick(rng_below(&r, 50));
				break;
			}
		}
		gateway_end();
	}
	assert_true(counted(C_tunnels_opened) > ROUNDS / 2);
}

/* ---- 45: Expect ---- */

static unsigned occurrences(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void test_line_45(void **state)
{
	struct tcp_conn *c = gateway_client(), *up;

	(void)state;
	/* Forwarded once, answered once, by the upstream. */
	say(c, POST_A "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	up = origin_conn();
	gateway_tick(1);
	up->out[up->out_n] = '\0';
	assert_int_equal(occurrences(up->out, "Expect: 100-continue\r\n"), 1);
	assert_string_equal(answers(c), "");
	say(up, "HTTP/1.1 100 Continue\r\n\r\n");
	gateway_tick(1);
	assert_string_equal(answers(c), "100 ");
	say(c, "hello");
	say(up, OK_2);
	gateway_tick(1);
	assert_string_equal(answers(c), "100 200 ");
	assert_string_equal(behind_head(up), "hello");
	gateway_end();

	/* A final status instead: whether the body comes is not known, so nothing is read any more. */
	c = gateway_client();
	say(c, POST_A "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	up = origin_conn();
	say(up, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	gateway_tick(1);
	assert_string_equal(answers(c), "403 x");
	assert_non_null(strstr(c->out, "connection: close\r\n"));
	say(c, GET_A "\r\n");
	gateway_tick(1);
	assert_string_equal(answers(c), "403 x");
	assert_true(up->shut || up->closed);
	gateway_end();
}

/* ---- 46: pipelining ---- */

/* Answers what the upstream's connections hold: never more than one request on each. */
static unsigned answer_each(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < rig.conns_n; i++) {
		struct tcp_conn *up = rig.conns[i];

		if (!is_upstream(up) || up->closed || up->out_n == 0)
			continue;
		up->out[up->out_n] = '\0';
		assert_int_equal(occurrences(up->out, " HTTP/1.1\r\n"), 1);
		rig_ack_all(up);
		up->out_n = up->acked = 0;
		say(up, "HTTP/1.1 204 No Content\r\n\r\n");
		n++;
	}
	return n;
}

/* All responses that came so far are taken and forgotten; how many there were. */
static unsigned take_responses(struct tcp_conn *c)
{
	unsigned n;

	c->out[c->out_n] = '\0';
	n = occurrences(c->out, "HTTP/1.1 204 ");
	rig_ack_all(c);
	c->out_n = c->acked = 0;
	return n;
}

static void test_line_46(void **state)
{
	/* Ten times what a client that pipelines is given (it has enough, http.h): its buffer has grown before. */
	enum { REQUESTS = 10000, BATCH = 200, OTHERS = 20, BUFFER = 10 * LIMIT_tcp_recv_start };
	static char bytes[BATCH * 80];
	struct tcp_conn *c = gateway_client(), *other = gateway_client();
	unsigned sent = 0, taken = 0, others_sent = 0, others_taken = 0, waited = 0;

	(void)state;
	for (unsigned round = 0; taken < REQUESTS && round < 4 * REQUESTS; round++) {
		/* The client sends as fast as its window allows, and never waits. */
		if (sent < REQUESTS && c->owed < BUFFER - 20 * 2200) {
			const unsigned batch = REQUESTS - sent < BATCH ? REQUESTS - sent : BATCH;
			size_t n = 0;

			for (unsigned i = 0; i < batch; i++)
				n += (size_t)sprintf(bytes + n, "GET /%u HTTP/1.1\r\n" HOST "\r\n", sent++);
			rig_input(c, bytes, n);
		}
		assert_true(c->owed <= BUFFER);
		if (others_sent == others_taken && taken >= others_sent * (REQUESTS / OTHERS)) {
			say(other, GET_A "\r\n");
			others_sent++;
		}
		origin_open();
		answer_each();
		gateway_tick(1);
		taken += take_responses(c);
		others_taken += take_responses(other);
		/* Another client waits for nobody but itself. */
		waited = others_sent > others_taken ? waited + 1 : 0;
		assert_true(waited <= 3);
	}
	assert_int_equal(taken, REQUESTS);
	assert_int_equal(others_taken, OTHERS);
	gateway_end();
}

/* What the gateway itself can answer at once: each round its share, so that others get theirs. */
static void test_line_46_fairness(void **state)
{
	enum { REQUESTS = 2000 };
	static char bytes[REQUESTS * 60];
	struct tcp_conn *c = gateway_client();
	size_t n = 0;
	uint64_t before = 0;

	(void)state;
	for (unsigned i = 0; i < REQUESTS; i++)
		n += (size_t)sprintf(bytes + n, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
	for (size_t at = 0; at < n;) {
		const size_t part = n - at < 1400 ? n - at : 1400;

		rig_input(c, bytes + at, part);
		at += part;
		assert_true(counted(C_http_requests_received) - before <= 2 * LIMIT_http_pipelined);
		before = counted(C_http_requests_received);
		rig_ack_all(c);
		gateway_tick(1);
	}
	for (unsigned i = 0; i < REQUESTS; i++) {
		rig_ack_all(c);
		gateway_tick(1);
	}
	assert_int_equal(counted(C_http_requests_received), REQUESTS);
	assert_true(counted(C_limit_http_pipelined) > 0);
	gateway_end();
}

/* ---- 47: slow clients ---- */

static void test_line_47_header(void **state)
{
	static const char head[] = GET_A "X-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct tcp_conn *c = gateway_client();
	unsigned s = 0;

	(void)state;
	for (; s < 60 && !c->shut; s++) {
		rig_input(c, head + s, 1);
		gateway_tick(1000);
	}
	assert_in_range(s, LIMIT_http_header_s - 1, LIMIT_http_header_s + 1);
	assert_string_equal(answers(c), "408 x");
	assert_non_null(strstr(c->out, "request header timeout"));
	assert_string_equal(gateway_logged(), "408 - request_header_timeout - -");
	assert_int_equal(counted(C_limit_http_header_s), 1);
	gateway_end();
}

/* A body that drips is refused; one that the upstream holds up, or that comes at a fair rate, is not. */
static void test_line_47_body(void **state)
{
	static const struct {
		const char *name;
		bool chunked, upstream_takes;
		unsigned every_s, bytes;
		bool cut;
	} cases[] = {
		{"a byte now and then", false, true, 10, 1, true},
		{"a chunk now and then", true, true, 10, 1, true},
		{"nothing at all", false, true, 1000, 1, true},
		{"a fair rate", false, true, 1, 200, false},
		{"a fair rate in bursts", false, true, 50, 9000, false},
		{"the upstream takes nothing", false, false, 1, 9000, false},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		static char bytes[10000];
		struct tcp_conn *c = gateway_client(), *up;
		char line[32];
		unsigned s = 0;

		memset(bytes, 'b', sizeof(bytes));
		say(c, cases[i].chunked ? CHUNKED : POST_A "Content-Length: 1000000\r\n\r\nx");
		up = origin_conn();
		for (; s < 4 * 60 && !c->shut && !c->aborted; s++) {
			if (s % cases[i].every_s == cases[i].every_s - 1 && c->owed < LIMIT_tcp_recv_buffer / 2) {
				sprintf(line, "%x\r\n", cases[i].bytes);
				say(c, cases[i].chunked ? line : "");
				rig_input(c, bytes, cases[i].bytes);
				say(c, cases[i].chunked ? "\r\n" : "");
			}
			if (cases[i].upstream_takes)
				rig_ack_all(up);
			gateway_tick(1000);
		}
		if ((c->shut || c->aborted) != cases[i].cut || counted(C_limit_http_body_rate) != (cases[i].cut ? 1 : 0))
			fail_msg("line 47, %s: after %u s %s", cases[i].name, s, answers(c));
		if (cases[i].cut) {
			assert_string_equal(answers(c), "408 x");
			assert_in_range(s, 60, 62); /* a connection's first request: from its head on */
			assert_string_equal(gateway_logged(), "408 - request_overall_timeout POST /a");
			assert_true(up->closed || up->shut);
		}
		rig.counters.cell[C_limit_http_body_rate] = 0;
		gateway_end();
	}
}

/* A client that does not take its response, or only drops of it. */
static void test_line_47_read(void **state)
{
	static const struct {
		const char *name;
		unsigned response_bytes, every_s, takes;
		bool cut;
	} cases[] = {
		{"takes nothing of a small one", 1000, 1000, 0, true},
		{"takes nothing of a large one", 400000, 1000, 0, true},
		{"a byte a second", 400000, 1, 1, true},
		{"a fair rate", 400000, 1, 300, false},
		{"a fair rate in bursts", 400000, 50, 20000, false},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		static char bytes[400000];
		struct tcp_conn *c = gateway_client(), *up;
		size_t given = 0;
		unsigned s = 0;

		memset(bytes, 'r', sizeof(bytes));
		say(c, GET_A "\r\n");
		up = origin_conn();
		given = (size_t)sprintf(bytes, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", cases[i].response_bytes);
		rig_input(up, bytes, given);
		for (given = 0; s < 4 * 60 && !c->aborted; s++) {
			while (given < cases[i].response_bytes && up->owed < LIMIT_tcp_recv_buffer - 4000 && !up->closed) {
				const unsigned left = (unsigned)(cases[i].response_bytes - given);

				rig_input(up, bytes + 1000, left < 1400 ? left : 1400);
				given += left < 1400 ? left : 1400;
			}
			if (s % cases[i].every_s == cases[i].every_s - 1)
				rig_ack(c, unacked(c) < cases[i].takes ? unacked(c) : cases[i].takes);
			rig_ack_all(up);
			gateway_tick(1000);
		}
		if (c->aborted != cases[i].cut || counted(C_limit_http_read_rate) != (cases[i].cut ? 1 : 0))
			fail_msg("line 47, %s: after %u s", cases[i].name, s);
		rig.counters.cell[C_limit_http_read_rate] = 0;
		gateway_end();
	}
}

/* ---- 48: hop by hop ---- */

static void test_line_48(void **state)
{
	struct tcp_conn *c = gateway_client(), *up;

	(void)state;
	say(c, GET_A "Connection: X-Real-IP, Authorization, X-Forwarded-For, X-Request-Id, Host, Content-Length, close, TE\r\n"
	    "X-Real-IP: 6.6.6.6\r\nAuthorization: secret\r\nTE: gzip, trailers\r\n\r\n");
	up = origin_conn();
	gateway_tick(1);
	up->out[up->out_n] = '\0';
	assert_non_null(strstr(up->out, "x-forwarded-for: 198.18.0.2\r\n"));
	assert_non_null(strstr(up->out, "x-request-id: "));
	assert_non_null(strstr(up->out, "Authorization: secret\r\n"));
	assert_non_null(strstr(up->out, "host: a.example\r\n"));
	assert_non_null(strstr(up->out, "connection: te\r\nte: trailers\r\n"));
	assert_null(strstr(up->out, "6.6.6.6"));
	assert_null(strstr(up->out, "gzip"));
	say(up, OK_2);
	gateway_tick(1);
	assert_string_equal(answers(c), "200 x");
	gateway_end();

	c = gateway_client();
	say(c, GET_A "TE: gzip\r\n\r\n");
	up = origin_conn();
	gateway_tick(1);
	up->out[up->out_n] = '\0';
	assert_null(strcasestr(up->out, "\r\nte:"));
	gateway_end();
}

/* ---- 78: what a client may not say about itself and its way here ---- */

static const struct {
	const char *name;
	const char *field;
	const char *seen;        /* by the upstream; null: nothing with that value */
} claims[] = {
	{"X-Forwarded-For is continued", "X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 6.6.6.6,198.18.0.2\r\n"},
	{"garbage in it as well", "X-Forwarded-For: fe80::1%eth0, 6.6.6.6x", "x-forwarded-for: fe80::1%eth0, 6.6.6.6x,198.18.0.2\r\n"},
	{"X-Forwarded-Proto", "X-Forwarded-Proto: 6.6.6.6", NULL},
	{"X-Forwarded-Host", "X-Forwarded-Host: 6.6.6.6", NULL},
	{"X-Forwarded-Port", "X-Forwarded-Port: 6.6.6.6", NULL},
	{"X-Forwarded-Server, any case", "x-fORWARDED-sERVER: 6.6.6.6", NULL},
	{"X-Forwarded-Client-Cert", "X-Forwarded-Client-Cert: 6.6.6.6", NULL},
	{"what is yet to be thought of", "X-Forwarded-Whatever: 6.6.6.6", NULL},
	{"Forwarded", "Forwarded: for=6.6.6.6", NULL},
	{"X-Real-IP", "X-Real-IP: 6.6.6.6", NULL},
	{"X-Real-IP, any case", "x-real-Ip: 6.6.6.6", NULL},
	{"X-Envoy-External-Address", "X-Envoy-External-Address: 6.6.6.6", NULL},
	{"X-Envoy-Peer-Metadata", "X-Envoy-Peer-Metadata: 6.6.6.6", NULL},
	{"X-Request-Id", "X-Request-Id: 6.6.6.6", NULL},
	{"a name that only begins so", "X-Forwarded: 6.6.6.6", "X-Forwarded: 6.6.6.6\r\n"},
	{"a name that goes on", "X-Real-IPs: 6.6.6.6", "X-Real-IPs: 6.6.6.6\r\n"},
	{"traceparent is the application's", "traceparent: 6.6.6.6", "traceparent: 6.6.6.6\r\n"},
};

static void test_line_78(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LENGTH(claims); i++) {
		struct tcp_conn *c = gateway_client(), *up;
		char head[512];

		snprintf(head, sizeof(head), GET_A "%s\r\n\r\n", claims[i].field);
		say(c, head);
		up = origin_conn();
		gateway_tick(1);
		up->out[up->out_n] = '\0';
		if (claims[i].seen != NULL ? strstr(up->out, claims[i].seen) == NULL : strstr(up->out, "6.6.6.6") != NULL)
			fail_msg("line 78, %s: %s", claims[i].name, up->out);
		gateway_end();
	}
}

/* ---- 49, 65 to 72: what upstreams do ---- */

enum then { NOTHING, FIN, RESET };

struct upstream_case {
	unsigned line;
	const char *name;
	const char *request;     /* null: GET */
	const char *response;    /* what the upstream says */
	enum then then;
	const char *said;        /* answers() to the client */
	const char *body;        /* what stands behind the client's head; null: anything */
	bool reused;             /* the next request goes on the same connection */
};

static const struct upstream_case upstreams[] = {
	{49, "HEAD with a body", "HEAD /a HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", NOTHING,
	 "200 ", "", false},
	{49, "HEAD", "HEAD /a HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", NOTHING, "200 ", "", true},
	{49, "204 with a body", NULL, "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc", NOTHING, "204 ", "", false},
	{49, "304 with a body", NULL, "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nabc", NOTHING, "304 ", "", false},
	{49, "304", NULL, "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", NOTHING, "304 ", "", true},
	{49, "1.0 without a length", NULL, "HTTP/1.0 200 OK\r\n\r\nabc", FIN, "200 ", "3\r\nabc\r\n0\r\n\r\n", false},
	{49, "1.0 with chunks", NULL, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{49, "205", NULL, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", NOTHING, "205 ", "", true},
	{49, "until close for a 1.0 client", "GET /a HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nabc",
	 FIN, "200 x", "abc", false},
	{49, "chunks for a 1.0 client", "GET /a HTTP/1.0\r\n" HOST "\r\n",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n", NOTHING, "200 x", "abc", true},

	{65, "reset before a byte", NULL, "", RESET, "503 ", NULL, false},
	{65, "reset in the head", NULL, "HTTP/1.1 200 OK\r\nContent-", RESET, "503 ", NULL, false},
	{65, "FIN in the head", NULL, "HTTP/1.1 200 OK\r\nContent-", FIN, "503 ", NULL, false},
	{65, "reset in the body", NULL, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", RESET, "200 reset", "hel", false},
	{65, "FIN in the body", NULL, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", FIN, "200 reset", "hel", false},
	{65, "FIN before the last chunk", NULL, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", FIN, "200 reset",
	 "3\r\nabc", false},
	{65, "reset of a body that lasts until close", NULL, "HTTP/1.1 200 OK\r\n\r\nabc", RESET, "200 reset", "3\r\nabc", false},

	{68, "bad chunk size", NULL, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", NOTHING, "200 reset", "", false},
	{68, "chunk size of 17 digits", NULL, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\nx", NOTHING,
	 "200 reset", "", false},
	{68, "length and chunked", NULL, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", NOTHING, "502 ",
	 NULL, false},
	{68, "two lengths", NULL, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", NOTHING, "502 ", NULL, false},
	{68, "length +3", NULL, "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc", NOTHING, "502 ", NULL, false},
	{68, "status 99", NULL, "HTTP/1.1 099 X\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "status 1000", NULL, "HTTP/1.1 1000 X\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "status 600", NULL, "HTTP/1.1 600 X\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "not HTTP", NULL, "SSH-2.0-OpenSSH_10.0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "bare LF", NULL, "HTTP/1.1 200 OK\nContent-Length: 0\n\n", NOTHING, "502 ", NULL, false},
	{68, "folded line", NULL, "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "two codings", NULL, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "another coding", NULL, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "chunked in 1.0", NULL, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "length -1", NULL, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "space before the colon", NULL, "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "no name", NULL, "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "no colon", NULL, "HTTP/1.1 200 OK\r\nX\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "CR in a value", NULL, "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "empty line first", NULL, "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "space first", NULL, " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "two spaces", NULL, "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "no space", NULL, "HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "status 20", NULL, "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "another version", NULL, "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "101 nobody asked for", NULL, "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", NOTHING, "502 ", NULL, false},
	{68, "HTTP/2.0", NULL, "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", NOTHING, "502 ", NULL, false},

	{69, "two hints", NULL, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" OK_2, NOTHING, "103 103 200 ",
	 NULL, true},
	{69, "hints for a 1.0 client", "GET /a HTTP/1.0\r\n" HOST "\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n" OK_2, NOTHING, "200 x", "ok", true},

	{71, "another response behind it", NULL, OK_2 "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", NOTHING, "200 ", "ok", false},
	{71, "a line end behind it", NULL, OK_2 "\r\n", NOTHING, "200 ", "ok", false},
	{71, "connection close", NULL, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", NOTHING, "200 ", "ok", false},
};

static void test_upstreams(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(upstreams); i++) {
		const struct upstream_case *t = &upstreams[i];
		struct origin o = {.answer = OK_2};
		struct tcp_conn *c = gateway_client(), *other, *up;

		say(c, t->request ? t->request : GET_A "\r\n");
		up = origin_conn();
		assert_non_null(up);
		say(up, t->response);
		if (t->then == FIN)
			rig_eof(up);
		else if (t->then == RESET)
			rig_closed(up, ERR_CONN_RESET);
		gateway_tick(1);
		if (strcmp(answers(c), t->said))
			fail_msg("line %u, %s: the client got \"%s\", wanted \"%s\"", t->line, t->name, answers(c), t->said);
		if (t->body && strcmp(behind_head(c), t->body))
			fail_msg("line %u, %s: the client got \"%s\"", t->line, t->name, behind_head(c));
		other = gateway_client();
		rig_ack_all(up);
		if (!up->closed)
			up->out_n = up->acked = 0;
		say(other, "GET /next HTTP/1.1\r\n" HOST "\r\n");
		origin_serve(&o);
		if (strcmp(answers(other), "200 ") || strcmp(behind_head(other), "ok"))
			fail_msg("line %u, %s: the next client got \"%s\"", t->line, t->name, other->out);
		if ((origin_conns() == 1) != t->reused)
			fail_msg("line %u, %s: the connection was %sused again", t->line, t->name, t->reused ? "not " : "");
		gateway_end();
	}
}

/* 66: silence. 67, a connection that does not open, is the same to the client. */
static void test_lines_66_67(void **state)
{
	struct tcp_conn *c = gateway_client();

	(void)state;
	say(c, "GET /timed HTTP/1.1\r\n" HOST "\r\n");
	assert_non_null(origin_conn());
	gateway_tick(990);
	assert_string_equal(answers(c), "");
	gateway_tick(20);
	assert_string_equal(answers(c), "504 ");
	gateway_end();

	c = gateway_client();
	say(c, GET_A "\r\n");
	gateway_tick(1);
	rig_closed(rig.tcp.last, ERR_CONN_TIMEOUT);
	gateway_tick(1);
	assert_string_equal(answers(c), "503 ");
	assert_non_null(strstr(c->out, "connection timeout"));
	gateway_end();
}

/* 68: a head of 1 MiB is not gathered. */
static void test_line_68_large_head(void **state)
{
	static char piece[1400];
	struct tcp_conn *c = gateway_client(), *up;
	size_t given = 0;

	(void)state;
	memset(piece, 'v', sizeof(piece));
	say(c, GET_A "\r\n");
	up = origin_conn();
	say(up, "HTTP/1.1 200 OK\r\nX: ");
	for (; given < 1 << 20 && !up->closed; given += sizeof(piece))
		rig_input(up, piece, sizeof(piece));
	gateway_tick(1);
	assert_string_equal(answers(c), "502 ");
	assert_true(up->closed && given < 2 * LIMIT_http_header_bytes);
	gateway_end();
}

/* 69: 10,000 hints. */
static void test_line_69(void **state)
{
	struct tcp_conn *c = gateway_client(), *up;

	(void)state;
	say(c, GET_A "\r\n");
	up = origin_conn();
	for (unsigned i = 0; i < 10000 && !up->closed; i++)
		say(up, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
	gateway_tick(1);
	assert_true(up->closed);
	assert_int_equal(counted(C_limit_http_interim), 1);
	c->out[c->out_n] = '\0';
	assert_int_equal(occurrences(c->out, "HTTP/1.1 103 "), LIMIT_http_interim);
	assert_non_null(strstr(c->out, "HTTP/1.1 502 "));
	gateway_end();
}

/* 70: an answer while the body is still on its way is passed on, and the upload stops. */
static void test_line_70(void **state)
{
	static char piece[1400];
	struct origin o = {.answer = OK_2};
	struct tcp_conn *c = gateway_client(), *up;
	uint32_t before;

	(void)state;
	say(c, POST_A "Content-Length: 1000000\r\n\r\n");
	rig_input(c, piece, sizeof(piece));
	up = origin_conn();
	gateway_tick(1);
	before = up->out_n;
	say(up, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
	gateway_tick(1);
	assert_string_equal(answers(c), "413 x");
	for (unsigned i = 0; i < 100 && !c->closed; i++)
		rig_input(c, piece, sizeof(piece));
	gateway_tick(1);
	assert_int_equal(up->out_n, before);
	assert_true(up->closed || up->shut);
	assert_int_equal(c->owed, 0);
	c = gateway_client();
	say(c, GET_A "\r\n");
	origin_serve(&o);
	assert_string_equal(answers(c), "200 ");
	assert_int_equal(origin_conns(), 2);
	gateway_end();
}

/* 72: the pooled connection had died: once more, on a fresh one; what is not safe to repeat is not repeated. */
static void test_line_72(void **state)
{
	static const struct { const char *name, *request; enum then then; const char *said; } cases[] = {
		{"GET, FIN", GET_A "\r\n", FIN, "200 "},
		{"GET, reset", GET_A "\r\n", RESET, "200 "},
		{"POST, reset", POST_A "Content-Length: 2\r\n\r\nhi", RESET, "503 "},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct origin o = {.answer = OK_2};
		struct tcp_conn *c = gateway_client(), *up;

		say(c, GET_A "\r\n");
		up = origin_conn();
		say(up, OK_2);
		gateway_tick(1);
		rig_ack_all(up);
		c = gateway_client();
		say(c, cases[i].request);
		gateway_tick(1);
		assert_true(up->out_n > 200); /* it was sent there, */
		if (cases[i].then == FIN)     /* and nobody was at home */
			rig_eof(up);
		else
			rig_closed(up, ERR_CONN_RESET);
		o.answered[1] = 2;
		origin_serve(&o);
		if (strcmp(answers(c), cases[i].said))
			fail_msg("line 72, %s: %s", cases[i].name, answers(c));
		gateway_end();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines), TEST(test_line_37), TEST(test_line_38), TEST(test_line_41), TEST(test_line_43), TEST(test_line_43_connect),
		TEST(test_line_44_tunnel), TEST(test_line_44_back_pressure), TEST(test_line_44_refused),
		TEST(test_line_44_idle), TEST(test_line_44_any_order), TEST(test_line_45), TEST(test_line_46),
		TEST(test_line_46_fairness), TEST(test_line_47_header), TEST(test_line_47_body), TEST(test_line_47_read),
		TEST(test_line_48), TEST(test_line_78), TEST(test_upstreams), TEST(test_lines_66_67), TEST(test_line_68_large_head),
		TEST(test_line_69), TEST(test_line_70), TEST(test_line_72),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
