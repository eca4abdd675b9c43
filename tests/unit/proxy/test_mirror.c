/*
 * Mirrors: what they are sent, that they never hold up the request, that they end, and that the limits hold. The
 * cluster "web" is where requests go, "shadow" and "second" are where their copies go.
 */
#include "rig.h"

#define MIRROR(cluster, share) "{\"type\":\"RequestMirror\",\"requestMirror\":{\"backendRef\":{\"name\":\"" cluster \
	"\"}" share "}}"
#define SET(name, value) "{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{" \
	"\"set\":[{\"name\":\"" name "\",\"value\":\"" value "\"}]}}"

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {
		{.name = "web", .endpoints = {{"10.0.0.1", 8080}}},
		{.name = "shadow", .endpoints = {{"10.0.0.2", 8080}}},
		{.name = "second", .endpoints = {{"10.0.0.3", 8080}}},
		{.name = "empty"},
	},
	.routes = {
		{.name = "one", .path = "/", .filters = "[" MIRROR("shadow", "") "]", .backends = {{"web", 1}}},
		{.name = "two", .path = "/two", .backends = {{"web", 1}},
		 .filters = "[" SET("x-a", "1") "," MIRROR("shadow", "") "," SET("x-b", "2") "," MIRROR("second", "") "]"},
		{.name = "nowhere", .path = "/nowhere", .filters = "[" MIRROR("empty", "") "]", .backends = {{"web", 1}}},
		{.name = "never", .path = "/never", .filters = "[" MIRROR("shadow", ",\"percent\":0") "]",
		 .backends = {{"web", 1}}},
		{.name = "some", .path = "/some", .backends = {{"web", 1}},
		 .filters = "[" MIRROR("shadow", ",\"fraction\":{\"numerator\":1,\"denominator\":4}") ","
		            MIRROR("second", ",\"percent\":50") "]"},
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
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		if (dbl.clients[i] != NULL && dbl.clients[i]->stream != NULL)
			double_close(dbl.clients[i]->stream, ERR_CONN_RESET);
	}
	double_settle();
	CHECK(proxy_callouts(rig.proxy) == 0);
	CHECK(rig_counted(C_callouts_opened) == rig_counted(C_callouts_closed));
	rig_fini();
	return 0;
}

/* The connection to 10.0.0.<last>, opened, and its stream. */
static struct http_stream *to_host(unsigned last)
{
	for (unsigned i = 0; double_client(i) != NULL; i++) {
		struct http_client *c = double_client(i);

		if (c->how.remote.b[15] == last && c->state != DOUBLE_DYING)
			return rig_up(i);
	}
	fail_msg("no connection to 10.0.0.%u", last);
	return NULL;
}

static struct http_stream *request(const char *method, const char *path, enum http_body body, uint64_t length)
{
	return double_request(method, "a.example:80", path, body, length, "Expect: 100-continue\nX-C: 3");
}

static void test_two(void **state)
{
	struct http_stream *down = request("GET", "/two?q=1", HTTP_BODY_NONE, 0), *web, *shadow, *second;

	(void)state;
	web = to_host(1);
	shadow = to_host(2);
	second = to_host(3);
	assert_has(web->head, "GET a.example:80 /two?q=1\n");
	assert_has(shadow->head, "GET a.example-shadow:80 /two?q=1\n");
	assert_has(second->head, "GET a.example-shadow:80 /two?q=1\n");
	/* Each copy has what the filters before it have changed, and no more. */
	assert_has(shadow->head, "x-a: 1\n");
	assert_has_not(shadow->head, "x-b");
	assert_has(second->head, "x-a: 1\nx-b: 2\n");
	assert_has(second->head, "x-forwarded-for: 198.18.0.2\n");
	assert_has(web->head, "Expect: 100-continue\n");
	assert_has_not(shadow->head, "expect");
	/* The first answer to come is a mirror's, and the client hears nothing of it. */
	double_respond(shadow, 500, HTTP_BODY_LENGTH, 10, "");
	double_give_body(shadow, 10);
	double_give_end(shadow);
	assert_false(down->head_sent);
	double_respond(web, 204, HTTP_BODY_NONE, 0, "");
	assert_int_equal(down->status, 204);
	double_settle();
	/* The exchange is over, a copy of it is not. */
	assert_int_equal(proxy_exchanges(rig.proxy), 0);
	assert_int_equal(proxy_callouts(rig.proxy), 1);
	double_respond(second, 200, HTTP_BODY_NONE, 0, "");
	double_settle();
	assert_int_equal(proxy_callouts(rig.proxy), 0);
	assert_int_equal(rig_counted(C_callouts_failed), 0);
	assert_int_equal(upstream_conns(rig.upstream), 3); /* all of them go back to their pools */
}

static void test_body(void **state)
{
	struct http_stream *down = request("POST", "/", HTTP_BODY_LENGTH, 9000), *web = to_host(1), *shadow;

	(void)state;
	double_give_body(down, 5000);
	shadow = to_host(2); /* connected later: what came so far waits */
	assert_int_equal(shadow->sent, 5000);
	double_give_body(down, 4000);
	double_give_end(down);
	assert_int_equal(web->sent, 9000);
	assert_int_equal(shadow->sent, 9000);
	assert_true(web->end_sent && shadow->end_sent);
	/* Credit follows the request alone: the copy is not asked. */
	double_ack(web, 9000);
	assert_int_equal(down->owed, 0);
	double_ack(shadow, 9000);
	double_respond(web, 200, HTTP_BODY_NONE, 0, "");
	double_respond(shadow, 200, HTTP_BODY_NONE, 0, "");
	double_settle();
	assert_int_equal(proxy_callouts(rig.proxy), 0);
	assert_int_equal(rig_counted(C_callouts_failed), 0);
}

static void test_trailers(void **state)
{
	struct http_stream *down = request("POST", "/", HTTP_BODY_CHUNKED, 0), *shadow;
	static struct http_message trailers;

	(void)state;
	to_host(1);
	double_give_body(down, 10);
	http_message_init(&trailers);
	assert_int_equal(http_add(&trailers, &down->arena, TEXT("x-sum"), TEXT("1")), OK);
	double_give_trailers(down, &trailers);
	shadow = to_host(2);
	assert_true(shadow->end_sent && shadow->trailers_sent);
}

/* A mirror that breaks, in every state: the request does not notice. */
static void test_mirror_dies(void **state)
{
	static const char *const names[] = {"refused", "after the head", "in the body", "before its answer",
	                                    "in its answer", "no endpoint"};

	(void)state;
	for (unsigned i = 0; i < LENGTH(names); i++) {
		struct http_stream *down = request("POST", i == 5 ? "/nowhere" : "/", HTTP_BODY_LENGTH, 4000), *web, *shadow;

		web = to_host(1);
		if (i == 0) {
			for (unsigned k = 0; double_client(k) != NULL; k++) {
				if (double_client(k)->how.remote.b[15] == 2) {
					double_client_close(double_client(k), ERR_CONN_RESET);
					break;
				}
			}
		}
		shadow = i > 0 && i < 5 ? to_host(2) : NULL;
		if (i == 1)
			double_close(shadow, ERR_CONN_RESET);
		double_give_body(down, 2000);
		if (i == 2)
			double_close(shadow, ERR_CONN_RESET);
		double_give_body(down, 2000);
		double_give_end(down);
		if (i == 3)
			double_close(shadow, ERR_UPSTREAM_CLOSED);
		if (i == 4) {
			double_respond(shadow, 200, HTTP_BODY_LENGTH, 100, "");
			double_give_body(shadow, 50);
			double_close(shadow, ERR_HTTP_TRUNCATED);
		}
		double_settle();
		double_respond(web, 200, HTTP_BODY_NONE, 0, "");
		if (down->status != 200 || !down->end_sent)
			fail_msg("%s: %u", names[i], down->status);
		double_ack(web, 4000);
		double_settle();
		if (rig_counted(C_callouts_failed) != i + 1 || proxy_callouts(rig.proxy) != 0)
			fail_msg("%s: %lu failed, %u alive", names[i], (unsigned long)rig_counted(C_callouts_failed),
			         proxy_callouts(rig.proxy));
	}
}

/* An answer before the request is whole ends the copy; nobody counts that as a failure. */
static void test_early_answer(void **state)
{
	struct http_stream *down = request("POST", "/", HTTP_BODY_LENGTH, 4000), *web = to_host(1), *shadow = to_host(2);

	(void)state;
	double_give_body(down, 100);
	double_respond(shadow, 413, HTTP_BODY_NONE, 0, "");
	assert_int_equal(proxy_callouts(rig.proxy), 0);
	assert_int_equal(rig_counted(C_callouts_failed), 0);
	double_settle();
	double_give_body(down, 3900);
	double_give_end(down);
	assert_int_equal(web->sent, 4000);
	assert_true(rig_counted(C_handles_dead) > 0);
}

/* One that does not take the body is cut when it holds too many packets; the request goes on at full speed. */
static void test_slow(void **state)
{
	struct http_stream *down = request("POST", "/", HTTP_BODY_CHUNKED, 0), *web = to_host(1), *shadow = to_host(2);
	unsigned pieces = 0;

	(void)state;
	shadow->room = 3000;
	while (proxy_callouts(rig.proxy) == 1 && pieces < 2 * LIMIT_callout_packets_each) {
		double_give_body(down, 1000);
		double_ack(web, 1000);
		pieces++;
	}
	assert_int_equal(pieces, LIMIT_callout_packets_each + 1);
	assert_int_equal(rig_counted(C_limit_callout_packets_each), 1);
	assert_int_equal(rig_counted(C_callouts_failed), 1);
	assert_int_equal(web->sent, 1000 * pieces);
	assert_int_equal(down->owed, 0);
	double_give_end(down);
	assert_true(web->end_sent);
}

/* Acknowledged packets make room: a copy that keeps up may be of any length. */
static void test_long_body(void **state)
{
	struct http_stream *down = request("POST", "/", HTTP_BODY_CHUNKED, 0), *web = to_host(1), *shadow = to_host(2);

	(void)state;
	for (unsigned i = 0; i < 3 * LIMIT_callout_packets_each; i++) {
		double_give_body(down, 1000);
		double_ack(web, 1000);
		double_ack(shadow, 999); /* not in step with the pieces */
		if (i % 50 == 49)
			double_ack(shadow, 50);
	}
	double_give_end(down);
	assert_int_equal(shadow->sent, web->sent);
	assert_true(shadow->end_sent);
	assert_int_equal(rig_counted(C_callouts_failed), 0);
}

static void test_silence(void **state)
{
	struct http_stream *down = request("GET", "/", HTTP_BODY_NONE, 0), *web = to_host(1);

	(void)state;
	to_host(2);
	double_respond(web, 200, HTTP_BODY_NONE, 0, "");
	assert_int_equal(down->status, 200);
	double_settle();
	double_advance((LIMIT_callout_s - 1) * NS_PER_S);
	assert_int_equal(proxy_callouts(rig.proxy), 1);
	double_advance(2 * NS_PER_S);
	assert_int_equal(proxy_callouts(rig.proxy), 0);
	assert_int_equal(rig_counted(C_limit_callout_s), 1);
	double_settle();
}

/* The client leaves in the middle of its body: its copy must not look whole. */
static void test_client_leaves(void **state)
{
	struct http_stream *down = request("POST", "/", HTTP_BODY_CHUNKED, 0), *shadow;

	(void)state;
	to_host(1);
	shadow = to_host(2);
	double_give_body(down, 1000);
	assert_false(shadow->end_sent);
	double_close(down, ERR_CONN_RESET);
	assert_int_equal(proxy_callouts(rig.proxy), 0);
	double_settle();
}

static void test_many(void **state)
{
	unsigned n = 0;

	(void)state;
	/* The request itself goes nowhere: its upstream does not answer the handshake either. */
	for (; n < 200; n++)
		request("GET", "/", HTTP_BODY_NONE, 0);
	assert_int_equal(proxy_callouts(rig.proxy), 200);
	assert_int_equal(rig_counted(C_callouts_opened), 200);
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		if (dbl.clients[i] != NULL)
			dbl.clients[i]->state = DOUBLE_DYING;
	}
	double_settle();
	assert_int_equal(proxy_callouts(rig.proxy), 0);
}

/* Three standard deviations around the mean, for two filters that draw for themselves. */
static void test_share(void **state)
{
	unsigned both = 0, shadow = 0, second = 0;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		struct http_stream *up[3] = {0};

		request("GET", "/some", HTTP_BODY_NONE, 0);
		for (unsigned k = 0; double_client(k) != NULL; k++) {
			struct http_client *c = double_client(k);

			if (c->state == DOUBLE_CONNECTING)
				double_open(c);
			if (c->stream != NULL)
				up[c->how.remote.b[15] - 1] = c->stream;
		}
		for (unsigned k = 0; k < 3; k++) {
			if (up[k] != NULL)
				double_respond(up[k], 200, HTTP_BODY_NONE, 0, "");
		}
		shadow += up[1] != NULL;
		second += up[2] != NULL;
		both += up[1] != NULL && up[2] != NULL;
		double_settle();
	}
	assert_in_range(shadow, 100 - 26, 100 + 26);
	assert_in_range(second, 200 - 30, 200 + 30);
	assert_in_range(both, 50 - 20, 50 + 20);
	request("GET", "/never", HTTP_BODY_NONE, 0);
	assert_int_equal(proxy_callouts(rig.proxy), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two), TEST(test_body), TEST(test_trailers), TEST(test_mirror_dies), TEST(test_early_answer),
		TEST(test_slow), TEST(test_long_body), TEST(test_silence), TEST(test_client_leaves), TEST(test_many),
		TEST(test_share),
	};

	double_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
