/*
 * The exchange between doubles of HTTP streams, over the real routing, filters, balancing and pools: what is sent to
 * whom, credit, retries, timeouts, and every order in which things can end.
 */
#include "base/limits.h"
#include "base/pressure.h"
#include "proxy/exchange.h"
#include "rig.h"

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {
		{.name = "web", .endpoints = {{"10.0.0.1", 8080}}},
		{.name = "empty"},
	},
	.routes = {
		{.name = "web", .path = "/", .backends = {{"web", 1}}},
		{.name = "timed", .path = "/timed", .backends = {{"web", 1}}, .request_timeout_ms = 1000},
		{.name = "tried", .path = "/tried", .backends = {{"web", 1}}, .request_timeout_ms = 5000,
		 .backend_timeout_ms = 200},
		{.name = "patient", .path = "/patient", .backends = {{"web", 1}}, .request_timeout_ms = 400000},
		{.name = "again", .path = "/again", .backends = {{"web", 1}}, .request_timeout_ms = 5000,
		 .backend_timeout_ms = 200, .retry = {{404, 500}, 2, 10}, .session = {"s"}},
		{.name = "gone", .path = "/gone", .backends = {{"empty", 1}}},
		{.name = "half", .path = "/half", .backends = {{"empty", 1}, {"web", 0}}},
		{.name = "bad", .path = "/bad", .backends = {{"!", 1}}},
		{.name = "none", .path = "/none"},
		{.name = "broken", .path = "/broken", .direct_status = 500},
		{.name = "only", .path = "/only", .hostname = "only.example", .backends = {{"web", 1}}},
		{.name = "redirect", .path = "/old",
		 .filters = "[{\"type\":\"RequestRedirect\",\"requestRedirect\":{\"statusCode\":301,\"path\":"
		            "{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":\"/new\"}}}]"},
		{.name = "changed", .path = "/changed",
		 .backends = {{"web", 1, "[{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":"
		                         "{\"add\":[{\"name\":\"X-B\",\"value\":\"backend\"}]}}]"}},
		 .filters = "[{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{"
		            "\"set\":[{\"name\":\"X-A\",\"value\":\"rule\"},"
		            "{\"name\":\"Host\",\"value\":\"inner.example\"}],\"remove\":[\"x-secret\"]}}]"},
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
	if (proxy_exchanges(rig.proxy) != 0) /* a test has failed in the middle: clear up, so that its message is seen */
		rig_end();
	CHECK(proxy_exchanges(rig.proxy) == 0);
	CHECK(rig_counted(C_exchanges_opened) == rig_counted(C_exchanges_closed));
	CHECK(rig_counted(C_access_logged) + rig_counted(C_access_lost) ==
	      rig_counted(C_exchanges_closed) + rig_counted(C_shed_requests));
	rig_fini();
	return 0;
}

/* ---- helpers ---- */

/* The newest record of the log, its texts after each other. */
static const struct access_record *logged(char texts[static 512])
{
	const struct access_record *r = rig_logged();

	snprintf(texts, 512, "%s", r->texts);
	return r;
}

static struct http_stream *get(const char *path)
{
	return double_request("GET", "a.example", path, HTTP_BODY_NONE, 0, "");
}

/* Leaves a pooled connection behind. */
static struct http_client *warm(void)
{
	struct http_stream *up;

	get("/");
	up = rig_up_one();
	double_respond(up, 200, HTTP_BODY_NONE, 0, "");
	double_settle();
	assert_int_equal(double_streams(), 0);
	return double_client(0);
}

/* ---- what is said to whom ---- */

static void test_simple(void **state)
{
	struct http_stream *down = get("/x?y=1"), *up = rig_up_one();
	const struct access_record *r;
	char texts[512];

	(void)state;
	assert_true(up->end_sent);
	assert_has(up->head, "GET a.example /x?y=1\n");
	assert_has(up->head, "x-forwarded-for: 198.18.0.2\n");
	assert_has(up->head, "x-forwarded-proto: http\n");
	assert_has(up->head, "x-envoy-external-address: 198.18.0.2\n");
	assert_has(up->head, "x-request-id: ");
	double_respond(up, 200, HTTP_BODY_LENGTH, 3000, "Server: nginx\nX: y");
	double_give_body(up, 3000);
	double_give_end(up);
	assert_true(down->end_sent);
	assert_int_equal(down->status, 200);
	assert_int_equal(down->sent, 3000);
	assert_has(down->head, "200\nServer: nginx\nX: y\ndate: Sun, 06 Nov 1994 08:49:37 GMT\n");
	assert_true(up->owed > 0);
	double_ack(down, 3000);
	assert_int_equal(up->owed, 0);
	double_settle();
	assert_int_equal(double_streams(), 0);
	assert_int_equal(rig_counted(C_exchanges_2xx), 1);
	r = logged(texts);
	assert_int_equal(r->status, 200);
	assert_int_equal(r->response_bytes, 3000);
	assert_int_equal(r->upstream_port, 8080);
	assert_string_equal(r->flags, "");
	assert_int_equal(r->request_id_len, 36);
	assert_true(strncmp(texts, "GET/x?y=1a.example", 18) == 0);
	assert_true(strcmp(texts + strlen(texts) - 14, "198.18.0.2web") == 0 || strstr(texts, "198.18.0.2web") != NULL);
}

static void test_request_fields(void **state)
{
	static const char sent[] = "X-Forwarded-For: 1.1.1.1, 2.2.2.2\nConnection: close, X-Named, x-forwarded-for\n"
	                           "X-Named: n\nKeep-Alive: 5\nTE: trailers\nUpgrade: h2c\nProxy-Connection: x\n"
	                           "x-forwarded-for: 3.3.3.3\nX-Forwarded-Proto: https\nX-Request-Id: mine\n"
	                           "X-Envoy-Retry-On: 5xx\nX-Envoy-External-Address: 9.9.9.9\nx-envoy: kept\n"
	                           "X-Forwarded-Client-Cert: By=mine;Hash=0\n"
	                           "Host: a.example\nExpect: 100-continue\nCookie: c=1";
	struct http_stream *down = double_request("GET", "a.example", "/", HTTP_BODY_NONE, 0, sent), *up = rig_up_one();

	(void)state;
	assert_has(up->head, "x-forwarded-for: 1.1.1.1, 2.2.2.2,3.3.3.3,198.18.0.2\n");
	assert_has_not(up->head, "x-named");
	assert_has_not(up->head, "keep-alive");
	assert_has_not(up->head, "\nte:");
	assert_has_not(up->head, "upgrade");
	assert_has_not(up->head, "proxy-connection");
	assert_has_not(up->head, "https");
	assert_has_not(up->head, "mine");
	assert_has_not(up->head, "retry-on");
	assert_has_not(up->head, "9.9.9.9");
	assert_has_not(up->head, "client-cert");
	assert_has(up->head, "x-envoy: kept\n");
	assert_has(up->head, "Expect: 100-continue\n");
	assert_has(up->head, "Cookie: c=1\n");
	assert_has(up->head, "x-envoy-external-address: 198.18.0.2\n");
	double_respond(up, 204, HTTP_BODY_NONE, 0, "Connection: x-gone\nX-Gone: 1\nKeep-Alive: 1\nDate: theirs");
	assert_has(down->head, "Date: theirs\n");
	assert_has_not(down->head, "x-gone");
	assert_has_not(down->head, "keep-alive");
	double_settle();
}

/* Many names in Connection would cost a look at all fields each. */
static void test_connection_options(void **state)
{
	static char sent[3000] = "Connection: ";
	struct http_stream *down;

	(void)state;
	for (int i = 0; i < 600; i++)
		strcat(sent, "x,");
	strcat(sent, "x");
	down = double_request("GET", "a.example", "/", HTTP_BODY_NONE, 0, sent);
	assert_int_equal(down->status, 431);
	double_settle();
	down = get("/");
	double_respond(rig_up_one(), 200, HTTP_BODY_NONE, 0, sent);
	assert_int_equal(down->status, 502);
	double_settle();
	assert_int_equal(rig_counted(C_limit_connection_options), 2);
}

/* The request id is a version 4 UUID and another one each time. */
static void test_request_id(void **state)
{
	char first[40] = "";

	(void)state;
	for (int i = 0; i < 20; i++) {
		const char *id;

		get("/");
		id = strstr(rig_up_one()->head, "x-request-id: ") + 14;
		assert_int_equal(strspn(id, "0123456789abcdef-"), 36);
		assert_true(id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' && id[14] == '4');
		assert_non_null(strchr("89ab", id[19]));
		assert_int_not_equal(strncmp(first, id, 36), 0);
		memcpy(first, id, 36);
		double_respond(rig_up_one(), 200, HTTP_BODY_NONE, 0, "");
		double_settle();
	}
}

static void test_filters(void **state)
{
	struct http_stream *up;

	(void)state;
	double_request("GET", "a.example", "/changed", HTTP_BODY_NONE, 0, "X-Secret: s\nx-a: client");
	rig_use(&without_listener); /* the tables change while the connection is made */
	up = rig_up_one();
	assert_has(up->head, "GET inner.example /changed\n");
	assert_has(up->head, "x-a: rule\n");
	assert_has(up->head, "X-B: backend\n");
	assert_has_not(up->head, "secret");
	double_respond(up, 200, HTTP_BODY_NONE, 0, "");
	double_settle();
}

static void test_local_replies(void **state)
{
	static const struct {
		const char *name, *method, *host, *path;
		uint16_t status;
		const char *body, *flags, *field;
	} cases[] = {
		{"redirect", "GET", "a.example", "/old/x?q=1", 301, "", "", "location: http://a.example/new/x?q=1\n"},
		{"broken rule", "GET", "a.example", "/broken", 500, "", "", "date: "},
		{"invalid backend", "POST", "a.example", "/bad", 500, "", "", "date: "},
		{"no backends", "GET", "a.example", "/none", 500, "", "", "date: "},
		{"no endpoints", "GET", "a.example", "/gone", 503, "", "UH", "date: "},
		{"no endpoints, others have weight 0", "GET", "a.example", "/half", 503, "", "UH", "date: "},
		{"no route", "OPTIONS", "a.example", "*", 404, "", "NR", "date: "},
	};
	char texts[512];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down = double_request(cases[i].method, cases[i].host, cases[i].path, HTTP_BODY_NONE,
		                                          0, "");

		if (down->status != cases[i].status || strcmp(down->text, cases[i].body) != 0 || !down->end_sent)
			fail_msg("%s: %u %s", cases[i].name, down->status, down->text);
		assert_has(down->head, cases[i].field);
		assert_has_not(down->head, "server");
		double_settle();
		assert_string_equal(logged(texts)->flags, cases[i].flags);
	}
	assert_int_equal(rig_counted(C_local_replies), LENGTH(cases));
	assert_int_equal(dbl.connects, 0);
}

/* Whatever looks at a path sees its normal form: routing, the upstream and the log. */
static void test_normal_form(void **state)
{
	static char long_path[6000];
	struct http_stream *down = get("/old/../x/%7Eu//v?q=/../%41"), *up = rig_up_one();
	char texts[512];

	(void)state;
	assert_has(up->head, "GET a.example /x/~u/v?q=/../%41\n");
	double_respond(up, 200, HTTP_BODY_NONE, 0, "");
	double_settle();
	logged(texts);
	assert_has(texts, "/x/~u/v?q=/../%41");
	assert_int_equal(rig_counted(C_uri_normalised), 1);
	down = get("/none/..%2fold?q=%2f");
	assert_int_equal(down->status, 307);
	assert_has(down->head, "location: /old?q=%2f\n");
	double_settle();
	assert_int_equal(rig_counted(C_uri_redirected), 1);
	assert_int_equal(get("/a%00")->status, 400);
	double_settle();
	memset(long_path, '{', sizeof(long_path) - 1);
	long_path[0] = '/';
	assert_int_equal(get(long_path)->status, 414);
	double_settle();
	assert_int_equal(rig_counted(C_limit_uri_normal_form), 1);
	assert_int_equal(double_request("OPTIONS", "a.example", "*", HTTP_BODY_NONE, 0, "")->status, 404);
	double_settle();
}

static void test_underscore(void **state)
{
	static const struct {
		const char *name, *fields;
		uint16_t status;
	} cases[] = {
		{"a twin of the gateway's own", "X_Forwarded_For: 1.2.3.4", 400},
		{"behind others", "a: 1\nb: 2\ninternal_id: 7", 400},
		{"alone", "_: 7", 400},
		{"in the value", "a: b_c", 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down = double_request("GET", "a.example", "/", HTTP_BODY_NONE, 0, cases[i].fields);

		if (down->status != cases[i].status)
			fail_msg("%s: %u", cases[i].name, down->status);
		if (cases[i].status == 0)
			double_respond(rig_up_one(), 200, HTTP_BODY_NONE, 0, "");
		double_settle();
	}
	assert_int_equal(rig_counted(C_underscores_refused), 3);
}

/* Trailers are held to the same, as long as somebody would get them. */
static void test_underscore_in_trailers(void **state)
{
	static const struct {
		const char *name, *field;
		bool answered;           /* the response is under way */
		bool refused, sent, removed;
	} cases[] = {
		{"a twin of the gateway's own", "X_Forwarded_For", false, true, false, false},
		{"the response is under way", "x_sum", true, true, false, false},
		{"an ordinary one", "x-sum", false, false, true, false},
		{"Envoy's own", "X-Envoy-Internal", false, false, true, true},
		{"Envoy's own that the gateway sets", "X-Envoy-External-Address", false, false, true, true},
		{"the client's address", "X-Forwarded-For", false, false, true, true},
		{"the host that was asked for", "X-Forwarded-Host", false, false, true, true},
		{"the same by RFC 7239", "Forwarded", false, false, true, true},
		{"the client's address as nginx says it", "X-Real-IP", false, false, true, true},
	};
	unsigned refused = 0;

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down = double_request("POST", "a.example", "/", HTTP_BODY_CHUNKED, 0, "");
		struct http_stream *up = rig_up_one();
		struct http_message m;

		double_give_body(down, 10);
		if (cases[i].answered)
			double_respond(up, 200, HTTP_BODY_CHUNKED, 0, "");
		http_message_init(&m);
		assert_int_equal(http_add(&m, &down->arena, (struct text){cases[i].field, (uint32_t)strlen(cases[i].field)},
		                          TEXT("1")), OK);
		double_give_trailers(down, &m);
		refused += cases[i].refused;
		if (rig_counted(C_underscores_refused) != refused || (!cases[i].refused && up->trailers_sent != cases[i].sent))
			fail_msg("%s: refused %lu", cases[i].name, (unsigned long)rig_counted(C_underscores_refused));
		if (cases[i].refused && !cases[i].answered)
			assert_int_equal(down->status, 400);
		if (!cases[i].refused) {
			assert_int_equal(m.fields[0].removed, cases[i].removed);
			double_respond(up, 200, HTTP_BODY_NONE, 0, "");
		}
		double_settle();
		assert_int_equal(double_streams(), 0);
	}
}

static void test_no_tables(void **state)
{
	struct http_stream *down;

	(void)state;
	dbl.shard.table = NULL;
	down = get("/");
	assert_int_equal(down->status, 404);
	double_settle();
	rig_use(&without_listener);
	down = get("/");
	assert_int_equal(down->status, 404);
	double_settle();
}

/* What the upstream does wrong before the response, and what the client is told. */
static void test_upstream_failures(void **state)
{
#define BEFORE "upstream connect error or disconnect/reset before headers. reset reason: "
	static const struct {
		const char *name;
		bool connected;
		enum err why;
		uint16_t status;
		const char *body, *flags;
	} cases[] = {
		{"refused", false, ERR_CONN_REFUSED, 503, BEFORE "remote connection failure", "UF"},
		{"connect timeout", false, ERR_CONN_TIMEOUT, 503, BEFORE "connection timeout", "UF"},
		{"closed at once", false, OK, 503, BEFORE "remote connection failure", "UF"},
		{"reset", true, ERR_CONN_RESET, 503, BEFORE "connection termination", "UC"},
		{"closed", true, ERR_UPSTREAM_CLOSED, 503, BEFORE "connection termination", "UC"},
		{"not HTTP", true, ERR_HTTP_SYNTAX, 502, BEFORE "protocol error", "UPE"},
		{"framing", true, ERR_HTTP_FRAMING, 502, BEFORE "protocol error", "UPE"},
		{"large head", true, ERR_HTTP_HEADERS_TOO_LARGE, 502, BEFORE "protocol error", "UPE"},
	};
	char texts[512];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down = get("/");

		if (cases[i].connected)
			double_close(rig_up_one(), cases[i].why);
		else
			double_client_close(double_client(0), cases[i].why);
		if (down->status != cases[i].status || strcmp(down->text, cases[i].body) != 0)
			fail_msg("%s: %u %s", cases[i].name, down->status, down->text);
		assert_has(down->head, "content-type: text/plain\n");
		double_settle();
		assert_string_equal(logged(texts)->flags, cases[i].flags);
	}
	dbl.connect_error = ERR_UPSTREAM_OVERFLOW;
	assert_has(get("/")->head, "x-envoy-overloaded: true\n");
	double_settle();
	assert_string_equal(logged(texts)->flags, "UO");
	dbl.connect_error = ERR_NO_PORTS;
	assert_string_equal(get("/")->text, BEFORE "local connection failure");
	double_settle();
	assert_int_equal(rig_counted(C_upstream_retries), 0);
}

static void test_head(void **state)
{
	struct http_stream *down = double_request("HEAD", "a.example", "/", HTTP_BODY_NONE, 0, "");

	(void)state;
	double_respond(rig_up_one(), 200, HTTP_BODY_LENGTH, 5000, "");
	assert_true(down->end_sent);
	assert_int_equal(down->length, 5000);
	double_give_end(rig_up_one());
	double_settle();
	assert_int_equal(double_streams(), 0);
	/* A local reply to HEAD has its length and no body. */
	down = double_request("HEAD", "a.example", "/", HTTP_BODY_NONE, 0, "");
	double_close(rig_up_one(), ERR_HTTP_SYNTAX);
	assert_true(down->end_sent);
	assert_true(down->length > 20);
	assert_int_equal(down->sent, 0);
	double_settle();
}

static void test_interim(void **state)
{
	struct http_stream *down = double_request("POST", "a.example", "/", HTTP_BODY_LENGTH, 10,
	                                          "Expect: 100-continue");
	struct http_stream *up = rig_up_one();

	(void)state;
	double_respond(up, 100, HTTP_BODY_NONE, 0, "");
	assert_true(down->interim_sent);
	assert_has(down->head, "100\n");
	double_respond(up, 103, HTTP_BODY_NONE, 0, "Link: x\nConnection: y\nY: z");
	assert_has(down->head, "103\nLink: x\n");
	assert_has_not(down->head, "y: z");
	double_give_body(down, 10);
	double_give_end(down);
	assert_int_equal(up->sent, 10);
	assert_true(up->end_sent);
	double_respond(up, 200, HTTP_BODY_NONE, 0, "");
	double_settle();
	assert_int_equal(double_streams(), 0);
	/* Nobody asked for an upgrade. */
	down = get("/");
	double_respond(rig_up_one(), 101, HTTP_BODY_NONE, 0, "Upgrade: websocket");
	assert_int_equal(down->status, 502);
	double_settle();
}

/* ---- bodies and credit ---- */

static void test_upload_waits_for_connection(void **state)
{
	struct http_stream *down = double_request("POST", "a.example", "/", HTTP_BODY_CHUNKED, 0, ""), *up;

	(void)state;
	double_give_body(down, 100000);
	double_give_end(down);
	assert_true(down->owed > 100000);
	up = rig_up_one();
	assert_int_equal(up->sent, 100000);
	assert_true(up->end_sent);
	double_ack(up, 50000);
	assert_in_range(down->owed, 50000, 120000);
	double_ack(up, 50000);
	assert_int_equal(down->owed, 0);
	double_respond(up, 200, HTTP_BODY_NONE, 0, "");
	double_settle();
	assert_int_equal(double_streams(), 0);
}

static void test_back_pressure(void **state)
{
	struct http_stream *down = get("/"), *up = rig_up_one();
	uint64_t total = 0;

	(void)state;
	double_respond(up, 200, HTTP_BODY_CHUNKED, 0, "");
	double_room(down, 10000);
	for (int i = 0; i < 50; i++) {
		double_give_body(up, 1400);
		total += 1400;
	}
	assert_in_range(down->sent, 1, 10000);
	assert_true(up->enough); /* what has to wait makes no case for a larger window */
	assert_int_equal(up->owed, 50 * (PACKET_ROOM));
	while (down->sent < total) {
		double_ack(down, 3000);
		double_room(down, 3000);
	}
	double_give_end(up);
	assert_true(down->end_sent);
	double_ack(down, total);
	assert_int_equal(up->owed, 0);
	double_settle();
	assert_int_equal(double_streams(), 0);
}

/* However much is on its way, its credit comes back in small parts of that, not long after what it is for. */
static void test_credit_in_parts(void **state)
{
	static const struct {
		const char *name;
		uint32_t packets;
		bool up;
	} rows[] = {
		{"download, the smallest window", LIMIT_tcp_recv_start / PACKET_ROOM, false},
		{"upload, the smallest window", LIMIT_tcp_recv_start / PACKET_ROOM, true},
		{"download, as the ring fills", 33, false},
		{"download, large", 500, false},
		{"upload, large", 500, true},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint32_t all = rows[i].packets * PACKET_ROOM, late = all / 8 + 2 * PACKET_ROOM;
		struct http_stream *down = rows[i].up ? double_request("POST", "a.example", "/", HTTP_BODY_CHUNKED, 0, "")
		                                      : get("/");
		struct http_stream *up = rig_up_one(), *from = rows[i].up ? down : up, *to = rows[i].up ? up : down;

		if (!rows[i].up)
			double_respond(up, 200, HTTP_BODY_CHUNKED, 0, "");
		double_give_body(from, rows[i].packets * DOUBLE_PACKET_MAX);
		assert_false(from->enough);
		assert_int_equal(from->owed, all);
		for (uint32_t left = rows[i].packets; left > 0; left--) {
			if (from->owed < left * PACKET_ROOM || from->owed > left * PACKET_ROOM + late)
				fail_msg("%s: %u are owed, %u packets are on their way", rows[i].name, from->owed, left);
			double_ack(to, DOUBLE_PACKET_MAX);
		}
		assert_int_equal(from->owed, 0);
		double_give_end(from);
		if (rows[i].up)
			double_respond(up, 200, HTTP_BODY_NONE, 0, "");
		double_settle();
	}
}

/* Many small pieces that have to wait are put together: they do not hold a packet each. */
static void test_small_pieces(void **state)
{
	struct http_stream *down = get("/"), *up = rig_up_one();

	(void)state;
	double_respond(up, 200, HTTP_BODY_CHUNKED, 0, "");
	double_room(down, 0);
	for (int i = 0; i < 300; i++)
		double_give_pieces(up, 3, 40);
	assert_in_range(double_mbufs(), 1, 40000 / 2000 + 3);
	double_give_end(up);
	assert_false(down->end_sent);
	double_room(down, 1 << 20);
	assert_int_equal(down->sent, 36000);
	assert_true(down->end_sent);
	double_ack(down, 36000);
	assert_int_equal(up->owed, 0);
	double_settle();
}

static void test_end_waits_for_room(void **state)
{
	struct http_stream *down = get("/"), *up = rig_up_one();

	(void)state;
	double_respond(up, 200, HTTP_BODY_CHUNKED, 0, "");
	double_room(down, 100);
	double_give_body(up, 100);
	double_give_end(up);
	assert_int_equal(down->sent, 100);
	assert_false(down->end_sent);
	/* The upstream's stream ends first: its connection is free for others. */
	double_settle();
	assert_int_equal(double_streams(), 1);
	assert_int_equal(upstream_conns(rig.upstream), 1);
	double_room(down, 10);
	assert_true(down->end_sent);
	double_settle();
	assert_int_equal(double_streams(), 0);
	assert_int_equal(rig_counted(C_exchanges_2xx), 1);
}

/* Trailers that cannot be sent at once outlive the upstream's stream. */
static void test_trailers_wait(void **state)
{
	struct http_stream *down = get("/"), *up = rig_up_one();
	struct http_message m;

	(void)state;
	double_respond(up, 200, HTTP_BODY_CHUNKED, 0, "");
	double_room(down, 0);
	double_give_body(up, 100);
	http_message_init(&m);
	assert_int_equal(http_add(&m, &up->arena, TEXT("x-sum"), TEXT("1")), OK);
	m.fields[0].value.at = arena_text(&up->arena, "1", 1);
	double_give_trailers(up, &m);
	double_settle();
	double_room(down, 1000);
	assert_true(down->end_sent && down->trailers_sent);
	double_settle();
}

static void test_early_answer(void **state)
{
	struct http_stream *down = double_request("POST", "a.example", "/", HTTP_BODY_LENGTH, 100000, ""), *up =
		rig_up_one();

	(void)state;
	double_give_body(down, 5000);
	double_respond(up, 413, HTTP_BODY_LENGTH, 4, "");
	double_give_body(up, 4);
	double_give_end(up);
	assert_int_equal(down->status, 413);
	assert_true(down->end_sent);
	/* The rest of the upload is thrown away with its credit; the connection is not used again. */
	assert_int_equal(down->owed, 0);
	double_give_body(down, 5000);
	assert_int_equal(down->owed, 0);
	double_settle();
	assert_int_equal(double_streams(), 0);
	assert_int_equal(upstream_conns(rig.upstream), 0);
	assert_int_equal(rig_counted(C_exchanges_4xx), 1);
}

static void test_body_after_local_reply(void **state)
{
	struct http_stream *down = double_request("POST", "a.example", "/broken", HTTP_BODY_LENGTH, 100000, "");

	(void)state;
	assert_int_equal(down->status, 500);
	double_give_body(down, 5000);
	assert_int_equal(down->owed, 0);
	double_settle();
}

/* ---- ends ---- */

static void test_client_leaves(void **state)
{
	char texts[512];

	(void)state;
	/* While connecting: the connection is kept. */
	double_close(get("/"), ERR_CONN_RESET);
	assert_string_equal(logged(texts)->flags, "DC");
	double_open(double_client(0));
	assert_int_equal(upstream_conns(rig.upstream), 1);
	/* While waiting: the request is given up, and its connection with it. */
	double_close(get("/"), ERR_CONN_RESET);
	double_settle();
	assert_int_equal(upstream_conns(rig.upstream), 0);
	/* While the response comes. */
	{
		struct http_stream *down = get("/"), *up = rig_up_one();

		double_respond(up, 200, HTTP_BODY_LENGTH, 100000, "");
		double_give_body(up, 5000);
		double_close(down, ERR_CONN_RESET);
		double_settle();
	}
	assert_int_equal(double_streams(), 0);
	assert_int_equal(upstream_conns(rig.upstream), 0);
	assert_int_equal(logged(texts)->status, 200);
	assert_int_equal(rig_counted(C_exchanges_cut), 3);
}

static void test_upstream_breaks_off(void **state)
{
	struct http_stream *down = get("/"), *up = rig_up_one();
	char texts[512];

	(void)state;
	double_respond(up, 200, HTTP_BODY_LENGTH, 100000, "");
	double_give_body(up, 5000);
	double_close(up, ERR_CONN_RESET);
	/* The client sees it: its stream was cut. */
	assert_false(double_alive(down));
	double_settle();
	assert_int_equal(rig_counted(C_exchanges_cut), 1);
	assert_string_equal(logged(texts)->flags, "UC");
}

/* ---- retries ---- */

static void test_stale_connection_is_retried(void **state)
{
	static const struct {
		const char *name, *method;
		enum http_body body;
		uint32_t given;           /* body bytes that came before the connection broke */
		bool retried;
	} cases[] = {
		{"GET", "GET", HTTP_BODY_NONE, 0, true},
		{"HEAD", "HEAD", HTTP_BODY_NONE, 0, true},
		{"DELETE", "DELETE", HTTP_BODY_NONE, 0, true},
		{"PUT whose body has not come", "PUT", HTTP_BODY_LENGTH, 0, true},
		{"PUT whose body was passed on", "PUT", HTTP_BODY_LENGTH, 10, false},
		{"POST: may have been done", "POST", HTTP_BODY_NONE, 0, false},
		{"PATCH", "PATCH", HTTP_BODY_NONE, 0, false},
		{"unknown method", "PURGE", HTTP_BODY_NONE, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down, *up;

		warm();
		down = double_request(cases[i].method, "a.example", "/", cases[i].body, 100, "");
		up = rig_up_one();
		if (cases[i].given > 0)
			double_give_body(down, cases[i].given);
		double_close(up, ERR_CONN_RESET);
		if (cases[i].retried != (down->status == 0))
			fail_msg("%s: %u", cases[i].name, down->status);
		double_settle();
		if (cases[i].retried) {
			up = rig_up_one();
			assert_true(up->head_sent);
			if (cases[i].body != HTTP_BODY_NONE) {
				double_give_body(down, 100);
				double_give_end(down);
			}
			double_respond(up, 200, HTTP_BODY_NONE, 0, "");
			assert_int_equal(down->status, 200);
			double_settle();
		}
		while (double_client(0) != NULL)
			double_client_close(double_client(0), OK);
		assert_int_equal(double_streams(), 0);
	}
	assert_int_equal(rig_counted(C_upstream_retries), 4);
}

static void test_retried_once_only(void **state)
{
	struct http_stream *down;

	(void)state;
	warm();
	down = get("/");
	double_close(rig_up_one(), ERR_CONN_RESET);
	double_settle();
	double_close(rig_up_one(), ERR_CONN_RESET);
	assert_int_equal(down->status, 503);
	double_settle();
	/* Not after the response began, not on a fresh connection. */
	warm();
	down = get("/");
	double_respond(rig_up_one(), 200, HTTP_BODY_LENGTH, 10, "");
	double_close(rig_up_one(), ERR_CONN_RESET);
	assert_false(double_alive(down));
	double_settle();
	assert_int_equal(rig_counted(C_upstream_retries), 1);
}

/* ---- times ---- */

static void test_timeouts(void **state)
{
	static const struct { const char *name, *path; uint32_t before_ms, after_ms; } cases[] = {
		{"request", "/timed", 990, 20},
		{"the nearer one", "/tried", 190, 20},
	};
	char texts[512];

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down = get(cases[i].path);

		rig_up_one();
		double_advance(cases[i].before_ms * NS_PER_MS);
		assert_int_equal(down->status, 0);
		double_advance(cases[i].after_ms * NS_PER_MS);
		if (down->status != 504 || strcmp(down->text, "upstream request timeout") != 0)
			fail_msg("%s: %u %s", cases[i].name, down->status, down->text);
		double_settle();
		assert_string_equal(logged(texts)->flags, "UT");
	}
	assert_int_equal(upstream_conns(rig.upstream), 0);
}

static void test_timeout_while_connecting_and_responding(void **state)
{
	struct http_stream *down = get("/timed"), *up;

	(void)state;
	double_advance(1010 * NS_PER_MS);
	assert_int_equal(down->status, 504);
	double_settle();
	down = get("/timed");
	up = rig_up_one();
	double_respond(up, 200, HTTP_BODY_LENGTH, 10, "");
	double_advance(1010 * NS_PER_MS);
	assert_false(double_alive(down));
	double_settle();
	/* A whole response that the client takes slowly is not cut. */
	down = get("/timed");
	up = rig_up_one();
	double_room(down, 0);
	double_respond(up, 200, HTTP_BODY_LENGTH, 10, "");
	double_give_body(up, 10);
	double_give_end(up);
	double_settle();
	double_advance(2000 * NS_PER_MS);
	double_room(down, 100);
	assert_true(down->end_sent);
	double_settle();
}

/* The clock runs from the end of the request. */
static void test_timeout_after_upload(void **state)
{
	struct http_stream *down = double_request("POST", "a.example", "/timed", HTTP_BODY_LENGTH, 10, "");

	(void)state;
	rig_up_one();
	double_advance(5000 * NS_PER_MS);
	assert_int_equal(down->status, 0);
	double_give_body(down, 10);
	double_give_end(down);
	double_advance(1010 * NS_PER_MS);
	assert_int_equal(down->status, 504);
	double_settle();
}

static void test_idle(void **state)
{
	struct http_stream *down = get("/"), *up;

	(void)state;
	rig_up_one();
	for (int i = 0; i < 290; i++)
		double_advance(NS_PER_S);
	assert_int_equal(down->status, 0);
	for (int i = 0; i < 15; i++)
		double_advance(NS_PER_S);
	assert_int_equal(down->status, 504);
	assert_string_equal(down->text, "stream timeout");
	double_settle();
	down = double_request("POST", "a.example", "/", HTTP_BODY_LENGTH, 10, "");
	up = rig_up_one();
	for (int i = 0; i < 305; i++)
		double_advance(NS_PER_S);
	assert_false(double_alive(up));
	assert_int_equal(down->status, 408);
	double_settle();
	/* A rule may give the response longer. */
	down = get("/patient");
	rig_up_one();
	for (int i = 0; i < 395; i++)
		double_advance(NS_PER_S);
	assert_int_equal(down->status, 0);
	for (int i = 0; i < 6; i++)
		double_advance(NS_PER_S);
	assert_int_equal(down->status, 504);
	assert_string_equal(down->text, "upstream request timeout");
	double_settle();
}

/* ---- limits ---- */

static void test_send_fails(void **state)
{
	struct http_stream *down, *up;

	(void)state;
	warm();
	dbl.send_head_error = ERR_NO_MEMORY; /* to the upstream */
	down = get("/");
	assert_int_equal(down->status, 503);
	double_settle();
	/* To the client, and the local reply too. */
	down = get("/");
	up = rig_up_one();
	dbl.send_head_error = ERR_NO_MEMORY;
	double_respond(up, 200, HTTP_BODY_NONE, 0, "");
	assert_int_equal(down->status, 503);
	double_settle();
	dbl.send_head_error = ERR_NO_MEMORY;
	down = get("/broken");
	assert_false(double_alive(down));
	double_settle();
	assert_int_equal(double_streams(), 0);
}

static void test_no_arena(void **state)
{
	void *taken[4097];
	unsigned n = 0;
	struct http_stream *down;

	(void)state;
	while ((taken[n] = pool_get(&dbl.shard.chunks)) != NULL)
		n++;
	down = get("/");
	/* Not even the reply's fields fit: cut, nothing leaks. */
	assert_false(double_alive(down));
	dbl.shard.shed = SHED_REQUESTS;
	assert_false(double_alive(get("/")));
	dbl.shard.shed = 0;
	while (n > 0)
		pool_put(&dbl.shard.chunks, taken[--n]);
	double_settle();
}

/* What cannot be sent at once finds no block to wait in: the client sees the cut, and it counts once. */
static void test_no_blocks(void **state)
{
	static void *taken[LIMIT_body_blocks + 1];
	struct http_stream *down = get("/"), *up = rig_up_one();
	unsigned n = 0;
	uint64_t before;

	(void)state;
	double_respond(up, 200, HTTP_BODY_CHUNKED, 0, "");
	double_room(down, 0);
	while ((taken[n] = pool_get(&rig.proxy->blocks)) != NULL)
		n++;
	before = rig_counted(C_limit_body_blocks);
	double_give_pieces(up, 40, 1);
	assert_int_equal(rig_counted(C_limit_body_blocks), before + 1);
	assert_false(double_alive(down));
	while (n > 0)
		pool_put(&rig.proxy->blocks, taken[--n]);
	double_settle();
}

/* ---- memory is short ---- */

/* New requests get 503, bodies and all; what has begun goes on. */
static void test_shed(void **state)
{
	struct http_stream *before = get("/"), *up = rig_up_one(), *down;
	char texts[512];

	(void)state;
	dbl.shard.shed = SHED_SYNS;
	down = get("/redirected/by/none");
	assert_int_equal(down->status, 0);
	double_close(down, ERR_CONN_RESET);
	dbl.shard.shed = SHED_SYNS | SHED_REQUESTS;
	down = double_request("POST", "a.example", "/", HTTP_BODY_LENGTH, 5000, "");
	assert_int_equal(down->status, 503);
	assert_true(down->end_sent);
	double_give_body(down, 1000);
	assert_int_equal(down->owed, 0);
	assert_int_equal(rig_counted(C_shed_requests), 1);
	assert_string_equal(logged_line(logged(texts)), "503 OM overload POST /");
	assert_int_equal(rig_counted(C_limit_exchanges), 0);
	assert_int_equal(proxy_exchanges(rig.proxy), 1);
	double_close(down, ERR_CONN_RESET);
	double_respond(up, 200, HTTP_BODY_LENGTH, 1000, "");
	double_give_body(up, 1000);
	double_give_end(up);
	assert_int_equal(before->status, 200);
	assert_true(before->end_sent);
	double_ack(before, 1000);
	double_settle();
	dbl.shard.shed = 0;
	down = get("/");
	double_respond(rig_up_one(), 200, HTTP_BODY_NONE, 0, "");
	assert_int_equal(down->status, 200);
	double_settle();
	assert_int_equal(rig_counted(C_shed_requests), 1);
}

/* ---- any order of events ---- */

struct script {
	struct rng r;
	unsigned requests;
};

static void new_request(struct script *s)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "HEAD", "DELETE"};
	static const char *const paths[] = {"/", "/timed", "/tried", "/x", "/again", "/old", "/changed", "/bad"};
	const unsigned kind = rng_below(&s->r, 3);

	if (double_streams() > 60)
		return;
	s->requests++;
	double_request(methods[rng_below(&s->r, 5)], "a.example", paths[rng_below(&s->r, 8)],
	               kind == 0 ? HTTP_BODY_NONE : kind == 1 ? HTTP_BODY_LENGTH : HTTP_BODY_CHUNKED,
	               kind == 1 ? 1 + rng_below(&s->r, 9000) : 0, rng_below(&s->r, 2)
	               	? "X-Forwarded-For: 1.2.3.4\nConnection: x" : "");
}

/* The sender of the body that s receives goes on. */
static void go_on(struct script *s, struct http_stream *x)
{
	const struct http_message *m = &x->message;
	uint64_t left = m->body == HTTP_BODY_LENGTH ? m->content_length - x->given : 100000;
	uint32_t n = 1 + rng_below(&s->r, rng_below(&s->r, 4) == 0 ? 20 : 3000);

	if (x->end_given || !x->head_given || x->ops == NULL)
		return;
	if (m->body == HTTP_BODY_NONE)
		return;
	if (!x->server && x->client == NULL)
		return;
	if (n > left)
		n = (uint32_t)left;
	if (left == 0 || (m->body == HTTP_BODY_CHUNKED && rng_below(&s->r, 6) == 0)) {
		double_give_end(x);
	} else if (rng_below(&s->r, 5) == 0 && n >= 30) {
		double_give_pieces(x, (uint16_t)(n / 30 < 40 ? n / 30 : 40), 30);
	} else {
		double_give_body(x, n <= DOUBLE_PACKET_MAX ? n : DOUBLE_PACKET_MAX);
	}
}

static void answer(struct script *s, struct http_stream *x)
{
	static const uint16_t statuses[] = {200, 200, 404, 500, 304, 204, 100, 103, 101};
	const uint16_t status = statuses[rng_below(&s->r, 9)];
	const bool bodiless = status == 304 || status == 204 || x->message.status != 0;
	const unsigned kind = bodiless ? 0 : rng_below(&s->r, 3);

	/* The response to HEAD never has a body; http would say so by an end right after the head. */
	if (x->head_given || !x->head_sent)
		return;
	double_respond(x, status, strncmp(x->head, "HEAD", 4) == 0 || kind == 0 ? HTTP_BODY_NONE : kind == 1
	               ? HTTP_BODY_LENGTH : HTTP_BODY_CHUNKED,
	               kind == 1 ? rng_below(&s->r, 9000) : 0, "X: y");
}

static void random_step(struct script *s)
{
	struct http_stream *x = dbl.streams[rng_below(&s->r, 64)];
	struct http_client *c = double_client(rng_below(&s->r, double_clients() + 1));

	switch (rng_below(&s->r, 16)) {
	case 0:
	case 1:
		new_request(s);
		break;
	case 2:
	case 3:
	case 4:
		if (x != NULL)
			go_on(s, x);
		break;
	case 5:
	case 6:
		if (x != NULL && !x->server)
			answer(s, x);
		break;
	case 7:
	case 8:
		if (x != NULL)
			double_ack(x, rng_below(&s->r, 3000));
		break;
	case 9:
	case 10:
		if (x != NULL)
			double_room(x, rng_below(&s->r, 4) == 0 ? 0 : rng_below(&s->r, 20000));
		break;
	case 11:
		if (x != NULL && rng_below(&s->r, 10) == 0)
			double_close(x, rng_below(&s->r, 2) ? ERR_CONN_RESET : ERR_HTTP_SYNTAX);
		break;
	case 12:
	case 13:
		if (c != NULL && c->state == DOUBLE_CONNECTING)
			double_open(c);
		break;
	case 14:
		if (c != NULL && rng_below(&s->r, 6) == 0)
			double_client_close(c, rng_below(&s->r, 2) ? ERR_CONN_RESET : ERR_CONN_REFUSED);
		else if (rng_below(&s->r, 8) == 0)
			dbl.send_head_error = ERR_NO_MEMORY;
		else
			dbl.connect_error = rng_below(&s->r, 8) == 0 ? ERR_NO_PORTS : OK;
		break;
	default:
		if (rng_below(&s->r, 10) == 0) {
			rig_use(rng_below(&s->r, 6) == 0 && dbl.shard.table->binds.n > 0 ? &without_listener : &lab);
			upstream_apply(rig.upstream);
		}
		double_advance(rng_below(&s->r, 400) == 0 ? 400 * NS_PER_S : rng_below(&s->r, 30) * NS_PER_MS);
		break;
	}
}

static void test_any_order(void **state)
{
	const char *from = getenv("SEED"), *many = getenv("SEEDS");
	const uint64_t first = from != NULL ? strtoull(from, NULL, 10) : 1;

	(void)state;
	for (uint64_t seed = first; seed < first + (many != NULL ? strtoull(many, NULL, 10) : from != NULL ? 1
	                                            : 8); seed++) {
		struct script s = {0};

		rng_init(&s.r, seed);
				for (int i = 0; i < 6000; i++) {
			random_step(&s);
			if (rng_below(&s.r, 3) > 0)
				double_settle();
		}
		rig_end();
		fprintf(stderr, "# SEED=%lu: %u requests, 2xx %lu, 3xx %lu, 4xx %lu, 5xx %lu, cut %lu, retries %lu\n",
		        (unsigned long)seed, s.requests, rig_counted(C_exchanges_2xx), rig_counted(C_exchanges_3xx),
		        rig_counted(C_exchanges_4xx), rig_counted(C_exchanges_5xx), rig_counted(C_exchanges_cut),
		        	rig_counted(C_upstream_retries));
		assert_int_equal(proxy_exchanges(rig.proxy), 0);
		assert_int_equal(double_streams(), 0);
		assert_int_equal(upstream_conns(rig.upstream), 0);
		assert_int_equal(double_mbufs(), 0);
		assert_int_equal(rig_counted(C_exchanges_opened), s.requests);
		assert_int_equal(rig_counted(C_exchanges_2xx) + rig_counted(C_exchanges_3xx) + rig_counted(C_exchanges_4xx) +
		                         rig_counted(C_exchanges_5xx) + rig_counted(C_exchanges_cut), s.requests);
		assert_true(rig_counted(C_exchanges_2xx) > 10);
		teardown(NULL);
		setup(NULL);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_simple), TEST(test_request_fields), TEST(test_request_id), TEST(test_connection_options), TEST(test_filters),
		TEST(test_local_replies), TEST(test_normal_form), TEST(test_underscore), TEST(test_underscore_in_trailers),
		TEST(test_no_tables),
		TEST(test_upstream_failures), TEST(test_head),
			TEST(test_interim),
		TEST(test_upload_waits_for_connection), TEST(test_back_pressure), TEST(test_credit_in_parts), TEST(test_small_pieces),
		TEST(test_end_waits_for_room), TEST(test_trailers_wait), TEST(test_early_answer),
		TEST(test_body_after_local_reply), TEST(test_client_leaves), TEST(test_upstream_breaks_off),
		TEST(test_stale_connection_is_retried), TEST(test_retried_once_only), TEST(test_timeouts),
		TEST(test_timeout_while_connecting_and_responding), TEST(test_timeout_after_upload), TEST(test_idle),
		TEST(test_send_fails), TEST(test_no_arena), TEST(test_no_blocks), TEST(test_shed), TEST(test_any_order),
	};

	double_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
