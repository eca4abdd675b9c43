/* Tries: what is sent again and what is not, when, to whom, with which body; how long a try and all of them may take. */
#include "rig.h"

#define BEFORE "upstream connect error or disconnect/reset before headers. reset reason: "

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {
		{.name = "one", .endpoints = {{"10.0.0.1", 80}}},
		{.name = "two", .endpoints = {{"10.0.0.1", 80}, {"10.0.0.2", 80}}},
	},
	.routes = {
		{.name = "plain", .path = "/plain", .backends = {{"two", 1}}},
		{.name = "alone", .path = "/alone", .backends = {{"one", 1}}},
		{.name = "codes", .path = "/codes", .backends = {{"two", 1}}, .retry = {{500, 503}, 2, 100}},
		{.name = "quick", .path = "/quick", .backends = {{"two", 1}}, .retry = {{503}, 1, 0}},
		{.name = "each", .path = "/each", .backends = {{"two", 1}}, .retry = {{503}, 2, 100},
		 .backend_timeout_ms = 200},
		{.name = "both", .path = "/both", .backends = {{"two", 1}}, .retry = {{503}, 5, 100},
		 .backend_timeout_ms = 200, .request_timeout_ms = 500},
		{.name = "try", .path = "/try", .backends = {{"two", 1}}, .backend_timeout_ms = 200},
	},
};

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

static struct http_stream *get(const char *path)
{
	return double_request("GET", "a.example", path, HTTP_BODY_NONE, 0, "");
}

/* The one stream to an upstream; its connection is opened if need be. */
static struct http_stream *up_stream(void)
{
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		struct http_client *c = dbl.clients[i];

		if (c == NULL || c->state == DOUBLE_DYING)
			continue;
		if (c->state == DOUBLE_CONNECTING)
			double_open(c);
		if (c->stream != NULL)
			return c->stream;
	}
	return NULL;
}

static struct http_client *connecting(void)
{
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		if (dbl.clients[i] != NULL && dbl.clients[i]->state == DOUBLE_CONNECTING)
			return dbl.clients[i];
	}
	return NULL;
}

static void answer(uint16_t status)
{
	double_respond(up_stream(), status, HTTP_BODY_LENGTH, 0, "");
	double_settle();
}

/* The backoff is a minimum; what is added to it at most is known. */
static void wait_for_try(uint32_t at_least_ms, uint32_t at_most_ms)
{
	double_settle();
	if (at_least_ms > 0) {
		double_advance((at_least_ms - 1) * NS_PER_MS);
		assert_null(up_stream());
	}
	double_advance((at_most_ms - at_least_ms + 2) * NS_PER_MS);
}

static void test_status(void **state)
{
	static const struct {
		const char *name, *path;
		uint16_t statuses[4], want;
		unsigned retries;
		const char *flags;
	} cases[] = {
		{"recovers at once", "/codes", {503, 200}, 200, 1, ""},
		{"recovers at the last try", "/codes", {503, 500, 200}, 200, 2, ""},
		{"the last answer of the backend", "/codes", {503, 500, 503}, 503, 2, "URX"},
		{"what is not listed", "/codes", {502}, 502, 0, ""},
		{"another that is not listed, after one that is", "/codes", {500, 404}, 404, 1, ""},
		{"no retry", "/plain", {503}, 503, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const uint64_t before = rig_counted(C_upstream_retries);
		struct http_stream *down = get(cases[i].path);
		struct tuple last = {0};

		for (unsigned n = 0; n <= cases[i].retries; n++) {
			struct http_stream *up = up_stream();

			if (up == NULL)
				fail_msg("%s: no try %u", cases[i].name, n);
			/* To the other endpoint each time. */
			assert_false(addr_equal(&up->tuple.remote, &last.remote));
			last = up->tuple;
			assert_int_equal(down->status, 0);
			double_respond(up, cases[i].statuses[n], HTTP_BODY_LENGTH, 0, "");
			if (n < cases[i].retries)
				wait_for_try(100, 100 + (100u << n));
		}
		if (down->status != cases[i].want)
			fail_msg("%s: %u", cases[i].name, down->status);
		double_settle();
		assert_int_equal(rig_counted(C_upstream_retries) - before, cases[i].retries);
		assert_string_equal(rig_logged()->flags, cases[i].flags);
	}
}

static void test_connect(void **state)
{
	static const struct {
		const char *name, *path;
		enum err why;
		unsigned tries;
		const char *flags, *text;
	} cases[] = {
		{"without retry, to the other endpoint", "/plain", ERR_CONN_REFUSED, 3, "UF",
		 BEFORE "remote connection failure"},
		{"without another endpoint", "/alone", ERR_CONN_REFUSED, 1, "UF", BEFORE "remote connection failure"},
		{"with retry", "/quick", ERR_CONN_TIMEOUT, 2, "UF,URX", BEFORE "connection timeout"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down = get(cases[i].path);
		unsigned tries = 0;

		for (; connecting() != NULL; tries++) {
			assert_int_equal(down->status, 0);
			double_client_close(connecting(), cases[i].why);
			double_advance(60 * NS_PER_MS);
		}
		if (tries != cases[i].tries || down->status != 503)
			fail_msg("%s: %u tries, %u", cases[i].name, tries, down->status);
		assert_string_equal(down->text, cases[i].text);
		double_settle();
		assert_string_equal(rig_logged()->flags, cases[i].flags);
		double_advance(400 * NS_PER_S); /* nobody is ejected any more */
	}
	/* It recovers. */
	{
		struct http_stream *down = double_request("POST", "a.example", "/plain", HTTP_BODY_LENGTH, 3000, "");
		struct addr first = connecting()->how.remote;

		double_give_body(down, 3000);
		double_client_close(connecting(), ERR_CONN_REFUSED);
		double_advance(NS_PER_MS);
		assert_false(addr_equal(&connecting()->how.remote, &first));
		double_give_end(down);
		assert_int_equal(up_stream()->sent, 3000);
		answer(200);
		assert_int_equal(rig_logged()->status, 200);
	}
}

/* A request that a backend may have acted upon is not sent again. */
static void test_broken(void **state)
{
	static const struct { const char *name, *method, *path; bool again; } cases[] = {
		{"idempotent", "GET", "/quick", true},
		{"not idempotent", "POST", "/quick", false},
		{"no retry", "GET", "/plain", false},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down = double_request(cases[i].method, "a.example", cases[i].path, HTTP_BODY_NONE, 0,
		                                          "");

		double_close(up_stream(), ERR_CONN_RESET);
		double_settle();
		double_advance(60 * NS_PER_MS);
		if (cases[i].again != (up_stream() != NULL))
			fail_msg("%s", cases[i].name);
		if (cases[i].again)
			answer(200);
		else
			assert_int_equal(rig_logged()->status, 503);
		(void)down;
	}
}

/* ---- bodies ---- */

static void test_replay(void **state)
{
	static const struct { const char *name; uint32_t before, after; bool acked; } cases[] = {
		{"all of it was sent", 5000, 0, false},
		{"and acknowledged", 5000, 0, true},
		{"some is still to come", 5000, 7000, true},
		{"nothing has come", 0, 5000, false},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down = double_request("POST", "a.example", "/codes", HTTP_BODY_CHUNKED, 0, ""), *up;

		up = up_stream();
		double_give_body(down, cases[i].before);
		if (cases[i].after == 0)
			double_give_end(down);
		assert_int_equal(up->sent, cases[i].before);
		if (cases[i].acked)
			double_ack(up, cases[i].before);
		if (cases[i].before > 0)
			assert_true(down->owed > 0); /* what is kept is owed */
		double_respond(up, 503, HTTP_BODY_LENGTH, 10, "");
		double_settle();
		if (cases[i].after > 0) {
			double_give_body(down, cases[i].after);
			double_give_end(down);
		}
		double_advance(300 * NS_PER_MS);
		up = up_stream();
		if (up == NULL || up->sent != cases[i].before + cases[i].after || !up->end_sent)
			fail_msg("%s", cases[i].name);
		double_respond(up, 200, HTTP_BODY_LENGTH, 0, "");
		double_ack(up, up->sent);
		assert_int_equal(down->owed, 0);
		assert_int_equal(down->status, 200);
		double_settle();
		assert_int_equal(double_mbufs(), 0);
	}
}

static void test_replay_keeps_trailers(void **state)
{
	struct http_stream *down = double_request("POST", "a.example", "/codes", HTTP_BODY_CHUNKED, 0, "");
	struct http_message m;
	char value[2] = "1";

	(void)state;
	up_stream();
	double_give_body(down, 10);
	http_message_init(&m);
	assert_int_equal(http_add(&m, &down->arena, TEXT("x-sum"), (struct text){.at = value, .len = 1}), OK);
	double_give_trailers(down, &m);
	assert_true(up_stream()->trailers_sent);
	value[0] = '\0'; /* their packet is gone */
	answer(503);
	double_advance(300 * NS_PER_MS);
	assert_true(up_stream()->end_sent && up_stream()->trailers_sent);
	answer(200);
}

/* Nothing is kept while memory is short: the client's window could close over it. */
static void test_no_replay_when_memory_is_short(void **state)
{
	struct http_stream *down = double_request("POST", "a.example", "/codes", HTTP_BODY_CHUNKED, 0, ""), *up;

	(void)state;
	up = up_stream();
	down->memory_short = true;
	double_give_body(down, 5000);
	double_ack(up, 5000);
	assert_int_equal(down->owed, 0);
	double_give_end(down);
	double_respond(up, 503, HTTP_BODY_LENGTH, 0, "");
	assert_int_equal(down->status, 503);
	double_settle();
	assert_int_equal(rig_counted(C_upstream_retries), 0);
}

/* More than can be kept goes on, and is sent once only. */
static void test_replay_limit(void **state)
{
	struct http_stream *down = double_request("POST", "a.example", "/codes", HTTP_BODY_CHUNKED, 0, ""), *up;

	(void)state;
	up = up_stream();
	double_give_body(down, 40000);
	double_ack(up, 40000);
	assert_true(down->owed > 40000);
	assert_int_equal(down->wanted, down->owed); /* or the client's window would close over it */
	double_give_body(down, 100000);
	assert_int_equal(rig_counted(C_limit_replay_bytes), 1);
	assert_int_equal(up->sent, 140000);
	double_ack(up, 100000);
	assert_int_equal(down->owed, 0);
	double_give_end(down);
	double_respond(up, 503, HTTP_BODY_LENGTH, 0, "");
	assert_int_equal(down->status, 503);
	double_settle();
	assert_int_equal(rig_counted(C_upstream_retries), 0);
}

/* ---- times ---- */

static void test_timeout_of_each_try(void **state)
{
	struct http_stream *down = get("/each");

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		assert_non_null(up_stream());
		double_advance(190 * NS_PER_MS);
		assert_non_null(up_stream());
		assert_int_equal(down->status, 0);
		double_advance(11 * NS_PER_MS);
		if (n < 2)
			wait_for_try(100, 100 + (100u << n));
	}
	assert_int_equal(down->status, 504);
	assert_string_equal(down->text, "upstream request timeout");
	double_settle();
	assert_string_equal(rig_logged()->flags, "UT,URX");
	/* Without retry the only try is the last. */
	down = get("/try");
	up_stream();
	double_advance(201 * NS_PER_MS);
	assert_int_equal(down->status, 504);
	double_settle();
	assert_string_equal(rig_logged()->flags, "UT");
	/* It covers the whole response. */
	down = get("/each");
	double_respond(up_stream(), 200, HTTP_BODY_LENGTH, 10, "");
	double_advance(201 * NS_PER_MS);
	double_settle();
	assert_int_equal(rig_counted(C_exchanges_cut), 1);
}

/* The request's timeout covers tries and the pauses between them. */
static void test_timeout_of_all(void **state)
{
	struct http_stream *down = get("/both");
	unsigned tries = 0;

	(void)state;
	for (unsigned ms = 0; ms < 499; ms++) {
		struct http_stream *before = up_stream();

		double_advance(NS_PER_MS);
		double_settle();
		tries += before != NULL && up_stream() != before;
		assert_int_equal(down->status, 0);
	}
	double_advance(2 * NS_PER_MS);
	assert_int_equal(down->status, 504);
	assert_in_range(tries, 1, 2);
	double_settle();
	assert_string_equal(rig_logged()->flags, "UT");
	double_advance(NS_PER_S);
	assert_null(up_stream());
}

/* A client that leaves in the pause takes the next try with it. */
static void test_client_leaves_in_pause(void **state)
{
	struct http_stream *down = get("/codes");

	(void)state;
	answer(503);
	double_close(down, ERR_CONN_RESET);
	assert_int_equal(proxy_exchanges(rig.proxy), 0);
	double_advance(NS_PER_S);
	assert_null(up_stream());
}

/* ---- storms ---- */

static void test_budget(void **state)
{
	struct http_stream *up[40];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		get("/codes");
	for (unsigned i = 0; i < DOUBLES_MAX && n < 40; i++) {
		struct http_client *c = dbl.clients[i];

		if (c == NULL)
			continue;
		double_open(c);
		up[n++] = c->stream;
	}
	assert_int_equal(n, 40);
	for (unsigned i = 0; i < 40; i++)
		double_respond(up[i], 503, HTTP_BODY_LENGTH, 0, "");
	/* A fifth of what was in flight when it was asked: it sinks while they are answered, but not below three. */
	assert_in_range(rig_counted(C_upstream_retries), 5, 8);
	assert_int_equal(rig_counted(C_limit_retry_percent), 40 - rig_counted(C_upstream_retries));
	double_settle();
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		if (dbl.streams[i] != NULL && dbl.streams[i]->server)
			double_close(dbl.streams[i], ERR_CONN_RESET);
	}
	double_settle();
	/* They have given back their part. */
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t before = rig_counted(C_upstream_retries);

		get("/codes");
		answer(503);
		assert_int_equal(rig_counted(C_upstream_retries), before + 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status), TEST(test_connect), TEST(test_broken), TEST(test_replay),
		TEST(test_replay_keeps_trailers), TEST(test_replay_limit), TEST(test_no_replay_when_memory_is_short),
		TEST(test_timeout_of_each_try), TEST(test_timeout_of_all), TEST(test_client_leaves_in_pause), TEST(test_budget),
	};

	double_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
