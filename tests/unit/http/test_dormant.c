/* Client connections that idle hold nothing of HTTP: when they fall asleep, what wakes them, how they end. */
#include "base/pressure.h"
#include "http/dormant.h"
#include "tests/unit/http/rig.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static uint64_t counted(enum counter id)
{
	return rig.counters.cell[id];
}

static void ask(struct tcp_conn *c)
{
	rig_input(c, GET, strlen(GET));
	rig_tick(1);
	rig_ack_all(c);
}

/* A whole window without anything: what is not busy sleeps. */
static void window(void)
{
	for (unsigned i = 0; i < H1_WINDOW_MS / 1000 + 1; i++)
		rig_tick(1000);
}

/* As if a window ended for all of them now. */
static void dormant_now(void)
{
	struct h1_conn *c;

	for (uint32_t at = 0; (c = pool_next(&rig.http->conns, &at));)
		dormant_try(c);
}

/* What a client has said when the window ends, and whether its connection may sleep then. */
static const struct {
	const char *name, *input;
	bool ack, sleeps;
} cases[] = {
	{"never asked", "", true, true},
	{"one request, answered", GET, true, true},
	{"two requests at once", GET GET, true, true},
	{"the answer is not acknowledged", GET, false, false},
	{"half a head", GET "GET / HT", true, false},
	{"an empty line before the next head", GET "\r\n", true, false},
	{"half of that", GET "\r", true, false},
	{"a body is missing", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc", true, false},
	{"asked to close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true, false},
};

static void test_who(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct tcp_conn *c;

		rig_start(REPLY);
		memset(&rig.counters, 0, sizeof(rig.counters));
		c = rig_accept();
		rig_input(c, cases[i].input, strlen(cases[i].input));
		rig_tick(1);
		if (cases[i].ack)
			rig_ack_all(c);
		rig_tick(28000); /* a head may take 30 s */
		assert_int_equal(counted(C_http_conns_dormant), 0);
		dormant_now();
		if ((counted(C_http_conns_dormant) == 1) != cases[i].sleeps)
			fail_msg("%s", cases[i].name);
		assert_int_equal(pool_used(&rig.http->conns), cases[i].sleeps ? 0 : c->closed || c->detached ? 0 : 1);
		assert_int_equal(counted(C_http_server_conns_opened), 1);
		rig_end();
		assert_int_equal(counted(C_http_server_conns_closed), 1);
	}
}

/* Awake again with the next byte: whole requests, and heads in pieces; then it sleeps again. */
static void test_wakes(void **state)
{
	struct tcp_conn *c;

	(void)state;
	rig_start(REPLY);
	c = rig_accept();
	ask(c);
	for (unsigned i = 1; i <= 3; i++) {
		window();
		assert_int_equal(counted(C_http_conns_dormant), i);
		assert_int_equal(pool_used(&rig.http->conns), 0);
		if (i == 2)
			for (size_t k = 0; k < strlen(GET); k++)
				rig_input(c, GET + k, 1);
		else
			rig_input(c, GET GET, 2 * strlen(GET));
		assert_int_equal(counted(C_http_conns_woken), i);
		rig_tick(1);
		rig_ack_all(c);
	}
	assert_int_equal(counted(C_http_requests_received), 6);
	assert_int_equal(counted(C_http_server_conns_opened), 1);
	assert_int_equal(counted(C_http_server_conns_closed), 0);
	assert_int_equal(c->owed, 0);
	rig_end();
	assert_int_equal(counted(C_http_server_conns_closed), 1);
}

/* Its time is that of any idle connection, from its last exchange on. */
static void test_idle_time(void **state)
{
	struct tcp_conn *c;

	(void)state;
	rig_start(REPLY);
	c = rig_accept();
	ask(c);
	for (unsigned s = 0; s < LIMIT_http_idle_s - 1; s++)
		rig_tick(1000);
	assert_false(c->shut);
	assert_int_equal(counted(C_http_conns_dormant), 1);
	rig_tick(1001);
	assert_true(c->shut && c->detached);
	assert_int_equal(counted(C_limit_http_idle_s), 1);
	assert_int_equal(counted(C_http_server_conns_closed), 1);
	rig_end();
	assert_int_equal(counted(C_http_server_conns_closed), 1);
}

enum ending { CLIENT_CLOSES, CLIENT_RESETS, DRAIN };

static void test_ends(void **state)
{
	(void)state;
	for (enum ending how = CLIENT_CLOSES; how <= DRAIN; how++) {
		struct tcp_conn *c;

		rig_start(REPLY);
		memset(&rig.counters, 0, sizeof(rig.counters));
		c = rig_accept();
		ask(c);
		window();
		assert_int_equal(counted(C_http_conns_dormant), 1);
		if (how == CLIENT_CLOSES)
			rig_eof(c);
		else if (how == CLIENT_RESETS)
			rig_closed(c, ERR_CONN_RESET);
		else
			http_drain(rig.http);
		rig_tick(1);
		assert_int_equal(c->shut && c->detached, how != CLIENT_RESETS);
		assert_int_equal(counted(C_http_server_conns_closed), 1);
		rig_end();
		assert_int_equal(counted(C_http_server_conns_closed), 1);
	}
}

/* No object is left for one that wakes: it is reset, and nothing leaks. */
static void test_no_object(void **state)
{
	static void *taken[LIMIT_http_conns + LIMIT_upstream_conns + 1]; /* and the null */
	unsigned n = 0;
	struct tcp_conn *c;

	(void)state;
	rig_start(REPLY);
	c = rig_accept();
	window();
	while ((taken[n] = pool_get(&rig.http->conns)))
		memset(taken[n++], 0, sizeof(struct h1_conn));
	rig_input(c, GET, strlen(GET));
	assert_true(c->aborted);
	assert_int_equal(c->why, ERR_LIMIT);
	assert_int_equal(counted(C_limit_http_conns), 1);
	assert_int_equal(counted(C_http_server_conns_closed), 1);
	while (n > 0)
		pool_put(&rig.http->conns, taken[--n]);
	rig_end();
}

/* More connections than objects: those that come make room by those that idle; the busy one stays. */
static void test_crowd(void **state)
{
	static void *taken[LIMIT_http_conns + LIMIT_upstream_conns];
	const uint32_t all = LIMIT_http_conns + LIMIT_upstream_conns;
	struct tcp_conn *busy;
	unsigned n = 0;

	(void)state;
	rig_start(HOLD);
	while (n < all / 2)
		memset(taken[n++] = pool_get(&rig.http->conns), 0, sizeof(struct h1_conn));
	busy = rig_accept();
	rig_input(busy, GET, strlen(GET));
	for (unsigned i = 0; i < 40; i++)
		rig_accept();
	/* The hand looks at four places for each that comes, so it is not there yet. */
	assert_int_equal(counted(C_http_conns_dormant), 0);
	rig.http->dormant_hand = n;
	for (unsigned i = 0; i < 20; i++)
		rig_accept();
	assert_in_range(counted(C_http_conns_dormant), 40, 60);
	assert_in_range(pool_used(&rig.http->conns), n + 1, n + 21);
	assert_false(busy->closed);
	while (n > 0)
		pool_put(&rig.http->conns, taken[--n]);
	rig_end();
}

/* Places in TCP are short: of the dormant ones those go that have been quiet for longest; else none goes. */
static void test_shed(void **state)
{
	enum { CONNS = SHED_OLDEST + 8 };
	struct tcp_conn *conns[CONNS];

	(void)state;
	rig_start(REPLY);
	for (unsigned i = 0; i < CONNS; i++)
		conns[i] = rig_accept();
	for (unsigned i = 0; i < CONNS; i++) {
		ask(conns[(i * 7 + 3) % CONNS]);
		rig_tick(1);
	}
	window();
	assert_int_equal(counted(C_http_conns_dormant), CONNS);
	http_shed(rig.http);
	assert_int_equal(counted(C_shed_client_conns), 0);
	rig.tcp.crowded = true;
	http_shed(rig.http);
	assert_int_equal(counted(C_shed_client_conns), SHED_OLDEST);
	for (unsigned i = 0; i < CONNS; i++)
		assert_int_equal(conns[(i * 7 + 3) % CONNS]->detached, i < SHED_OLDEST);
	http_shed(rig.http);
	assert_int_equal(counted(C_shed_client_conns), CONNS);
	rig_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who),
		TEST(test_wakes),
		TEST(test_idle_time),
		TEST(test_ends),
		TEST(test_no_object),
		TEST(test_crowd),
		TEST(test_shed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
