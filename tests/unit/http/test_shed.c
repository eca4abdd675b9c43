/* Closing idle client connections when memory is short: whom, in which order, and what they are told. */
#include "base/pressure.h"
#include "tests/unit/http/rig.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

/* A whole pass over the connections: those that it found are closed at its end. */
static void pass(void)
{
	do
		http_shed(rig.http);
	while (rig.http->shed.at != 0);
	rig_tick(1);
}

static bool ended(const struct tcp_conn *c)
{
	return c->shut || c->detached || c->aborted;
}

/* More than one pass can close, each used last at another time, in an order that is not that of their making. */
static void test_oldest_first(void **state)
{
	enum { CONNS = SHED_OLDEST + 20 };
	struct tcp_conn *order[CONNS];

	(void)state;
	rig_start(REPLY);
	for (unsigned i = 0; i < CONNS; i++)
		order[i] = rig_accept();
	for (unsigned i = 0; i < CONNS; i++) {
		const unsigned other = (i * 7 + 3) % CONNS;
		struct tcp_conn *c = order[i];

		order[i] = order[other];
		order[other] = c;
	}
	for (unsigned i = 0; i < CONNS; i++) {
		rig_input(order[i], GET, strlen(GET));
		rig_ack_all(order[i]);
		rig_tick(1);
	}
	for (unsigned i = 0; i < CONNS; i++)
		assert_false(ended(order[i]));
	pass();
	assert_int_equal(rig.counters.cell[C_shed_client_conns], SHED_OLDEST);
	for (unsigned i = 0; i < CONNS; i++)
		assert_int_equal(ended(order[i]), i < SHED_OLDEST);
	pass();
	assert_int_equal(rig.counters.cell[C_shed_client_conns], CONNS);
	pass();
	assert_int_equal(rig.counters.cell[C_shed_client_conns], CONNS);
	rig_end();
}

/* An exchange is never cut; nor is one that began after the pass had seen its connection idle. */
static void test_busy_ones_stay(void **state)
{
	struct tcp_conn *idle, *busy, *late;

	(void)state;
	rig_start(HOLD);
	busy = rig_accept();
	rig_input(busy, GET, strlen(GET));
	assert_non_null(recorder.stream);
	idle = rig_accept();
	pass();
	assert_false(ended(busy));
	assert_true(ended(idle));
	reply(recorder.stream);
	rig_tick(1);
	late = rig_accept();
	http_shed(rig.http); /* sees both idle, is not at its end yet */
	assert_int_equal(rig.http->shed.n, 2);
	rig_input(late, GET, strlen(GET));
	pass();
	assert_true(ended(busy));
	assert_false(ended(late));
	reply(recorder.stream);
	rig_end();
}

/* Part of a head holds memory, and no exchange has begun: it is told 503. */
static void test_part_of_a_head(void **state)
{
	struct tcp_conn *c;

	(void)state;
	rig_start(REPLY);
	c = rig_accept();
	rig_input(c, "GET / HT", 8);
	assert_true(c->owed > 0);
	pass();
	assert_true(ended(c));
	assert_int_equal(c->owed, 0);
	assert_int_equal(recorder.refused_status, 503);
	assert_int_equal(strncmp(c->out, "HTTP/1.1 503 Service Unavailable\r\n", 34), 0);
	rig_end();
}

/* Seconds until a body of which only the first byte comes is ended; our memory is short at the tenth, if at all. */
static unsigned slow_body_lasts(uint8_t shed)
{
	static const char text[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx";
	struct tcp_conn *c;
	unsigned s;

	rig_start(HOLD);
	c = rig_accept();
	rig_input(c, text, strlen(text));
	for (s = 1; s < 300 && recorder.closed == 0; s++) {
		rig_ack_all(c);
		if (s == 10 && shed) {
			rig.shard.shed = shed;
			http_shed(rig.http);
			rig.shard.shed = 0;
		}
		rig_tick(1000);
	}
	assert_int_equal(recorder.why, ERR_HTTP_TIMEOUT);
	rig_end();
	return s;
}

/* A client whose text we drop is not slow: it waits to send it again. */
static void test_dropped_text_is_not_slow(void **state)
{
	(void)state;
	assert_in_range(slow_body_lasts(0), 60, 65);
	assert_in_range(slow_body_lasts(SHED_IDLE), 60, 65);
	assert_in_range(slow_body_lasts(SHED_IDLE | SHED_SEGMENTS), 119, 125);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_oldest_first),
		TEST(test_busy_ones_stay),
		TEST(test_part_of_a_head),
		TEST(test_dropped_text_is_not_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
