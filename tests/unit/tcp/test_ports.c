/* Ports of connections that we open: whose, at random, how many are looked at, what TIME_WAIT gives back, NO_PORTS. */
#include "../test.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/wire/codec.c"
#include "tests/wire/ip_double.c"
#include "tests/wire/stand.c"

#include "tcp/conn.h"
#include "tcp/wait.h"

/* How many ports a connect() looks at: all that ports.c asks of the table of connections is counted. */
static unsigned looks_n;

static void *counted_find(const struct table_tcp *t, const struct tuple *u, uint32_t hash, bool *wait);

#define table_tcp_find counted_find
#include "tcp/ports.c"
#undef table_tcp_find

static struct packet_pools pools;
static struct stand *s;

static int setup(void **state)
{
	(void)state;
	s = aligned_alloc(64, sizeof(*s));
	stand_open(s, &pools, 1000 * NS_PER_S, 3);
	return 0;
}

static int teardown(void **state)
{
	char why[128];
	const bool clean = stand_close(s, why, sizeof(why));

	(void)state;
	free(s);
	if (!clean)
		print_error("%s\n", why);
	return clean ? 0 : 1;
}

static struct addr remote(unsigned i)
{
	return addr_v4(__builtin_bswap32(0xc6120100 + i));
}

static void forget_sent(void)
{
	s->sent_n = 0;
	s->event_n = 0;
	s->wrong = NULL;
}

static void nothing(void *user)
{
	(void)user;
}

static void nothing_closed(void *user, enum err why)
{
	(void)user;
	(void)why;
}

static const struct tcp_user_ops silent = {.on_open = nothing, .on_eof = nothing, .on_closed = nothing_closed};

static void *counted_find(const struct table_tcp *t, const struct tuple *u, uint32_t hash, bool *wait)
{
	looks_n += t == &s->tcp->table;
	return table_tcp_find(t, u, hash, wait);
}

/* A connection to one of many destinations, by a bounded number of looks. */
static enum err connect_to(unsigned i, struct tcp_conn **c)
{
	const struct tcp_connect how = {.remote = remote(i), .remote_port = 80, .ops = &silent};
	enum err e;

	looks_n = 0;
	e = tcp_connect(s->tcp, &how, c);
	assert_in_range(looks_n, 0, PORTS_LOOKS_MAX);
	return e;
}

/* How many ports of the first destination are a worker's, one by one. */
static unsigned owned(uint16_t worker, uint16_t workers)
{
	struct tuple t = {.local = addr_v4(__builtin_bswap32(0xc6120001)), .remote = remote(1), .remote_port = 80,
	                  .protocol = IPPROTO_TCP};
	unsigned n = 0;

	for (unsigned port = PORTS_FIRST; port <= PORTS_LAST; port++) {
		t.local_port = (uint16_t)port;
		n += tuple_owner(&t, workers) == worker;
	}
	return n;
}

/* All ports of one destination, each once, each ours; then NO_PORTS at once; another destination is not touched. */
static void ports_of_worker(uint16_t worker, uint16_t workers)
{
	static struct tcp_conn *c[PORTS_LAST - PORTS_FIRST + 2];
	const uint64_t before = s->counters.cell[C_tcp_no_ports];
	bool *seen = calloc(65536, 1);
	unsigned n = 0;
	enum err e;

	s->shard.worker = worker;
	s->shard.workers = workers;
	while ((e = connect_to(1, &c[n])) == OK) {
		const struct tuple *t = tcp_tuple(c[n++]);

		assert_in_range(t->local_port, PORTS_FIRST, PORTS_LAST);
		assert_false(seen[t->local_port]);
		assert_int_equal(tuple_owner(t, workers), worker);
		seen[t->local_port] = true;
	}
	assert_int_equal(e, ERR_NO_PORTS);
	assert_int_equal(n, owned(worker, workers));
	assert_int_equal(looks_n, 0);
	assert_int_equal(s->counters.cell[C_tcp_no_ports], before + 1);
	assert_int_equal(connect_to(1, &c[n]), ERR_NO_PORTS);
	assert_int_equal(looks_n, 0);
	/* One that becomes free is found, and no other. */
	const uint16_t port = tcp_tuple(c[5])->local_port;
	tcp_abort(c[5], ERR_CONN_ABORTED);
	assert_int_equal(connect_to(1, &c[5]), OK);
	assert_int_equal(tcp_tuple(c[5])->local_port, port);
	assert_int_equal(connect_to(1, &c[n]), ERR_NO_PORTS);
	assert_int_equal(connect_to(2, &c[n]), OK);
	tcp_abort(c[n], ERR_CONN_ABORTED);
	for (unsigned i = 0; i < n; i++)
		tcp_abort(c[i], ERR_CONN_ABORTED);
	assert_int_equal(connect_to(1, &c[0]), OK);
	tcp_abort(c[0], ERR_CONN_ABORTED);
	stand_flush(s);
	forget_sent();
	s->shard.worker = 0;
	s->shard.workers = 1;
	free(seen);
}

static void test_ports(void **state)
{
	(void)state;
	ports_of_worker(0, 1);
	ports_of_worker(2, 4);
	ports_of_worker(6, 7);
	ports_of_worker(15, 16);
}

static void test_ports_are_random(void **state)
{
	unsigned in_row = 0;
	uint16_t last = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct tcp_conn *c;

		assert_int_equal(connect_to(1, &c), OK);
		in_row += tcp_tuple(c)->local_port == last + 1;
		last = tcp_tuple(c)->local_port;
	}
	assert_true(in_row < 10);
	forget_sent();
}

/* What the server at remote(1), port 80, sends to the port that a connection of ours has. */
static void server_sends(uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t tsecr)
{
	const struct wire_segment g = {.source = 80, .destination = port, .seq = seq, .ack = ack, .flags = flags,
	                               .window = 1000, .has_mss = flags & FLAG_S, .mss = 1460,
	                               .has_ts = true, .tsval = 5000, .tsecr = tsecr};
	const struct tuple t = {.local = addr_v4(__builtin_bswap32(0xc6120001)), .remote = remote(1), .local_port = port,
	                        .remote_port = 80, .protocol = IPPROTO_TCP};
	uint8_t bytes[100];
	const size_t n = wire_encode(&g, &t.remote, &t.local, bytes, sizeof(bytes));

	stand_input(s, &t, bytes, n);
	stand_flush(s);
}

static struct wire_segment sent_last(void)
{
	struct wire_segment g;

	stand_flush(s);
	assert_true(s->sent_n > 0);
	assert_null(wire_decode(&g, s->sent[(s->sent_first + s->sent_n - 1) % SENT_MAX].bytes,
	                        s->sent[(s->sent_first + s->sent_n - 1) % SENT_MAX].n));
	forget_sent();
	return g;
}

/*
 * All ports but one are in use, and that one is in TIME_WAIT: it is handed out after a second, with a later timestamp
 * and higher sequence numbers, and not before.
 */
static void test_port_in_time_wait(void **state)
{
	static struct tcp_conn *c[SENT_MAX];
	struct wire_segment syn, again;
	unsigned n = 0;

	(void)state;
	s->shard.workers = 2048; /* so that few ports are this one's, and all SYNs can be kept */
	assert_int_equal(connect_to(1, &c[0]), OK);
	syn = sent_last();
	server_sends(syn.source, FLAG_S | FLAG_A, 100, syn.seq + 1, syn.tsval);
	assert_int_equal(c[0]->state, TCP_ESTABLISHED);
	tcp_shutdown(c[0]);
	stand_flush(s);
	server_sends(syn.source, FLAG_F | FLAG_A, 101, syn.seq + 2, syn.tsval);
	while (n < SENT_MAX - 1 && connect_to(1, &c[n]) == OK) {
		assert_int_not_equal(tcp_tuple(c[n])->local_port, syn.source);
		n++;
	}
	assert_in_range(n, 20, SENT_MAX - 1);
	stand_tick(s, 900 * NS_PER_MS);
	assert_int_equal(connect_to(1, &c[n]), ERR_NO_PORTS);
	stand_tick(s, 200 * NS_PER_MS);
	forget_sent();
	assert_int_equal(connect_to(1, &c[n]), OK);
	again = sent_last();
	assert_int_equal(again.source, syn.source);
	assert_true((int32_t)(again.tsval - syn.tsval) >= 1000);
	assert_int_equal(again.seq - syn.seq, 2 + 65536 + 1);
	assert_int_equal(s->counters.cell[C_tcp_time_wait_reused], 1);
	for (unsigned i = 0; i <= n; i++)
		tcp_abort(c[i], ERR_CONN_ABORTED);
	forget_sent();
	s->shard.workers = 1;
}


/* As many full destinations as there are connections for: each further connect is answered without a look. */
static void test_many_full(void **state)
{
	enum { DESTINATIONS = 10, WORKERS = 16 };
	struct tcp_conn *c;

	(void)state;
	s->shard.worker = 3;
	s->shard.workers = WORKERS;
	ports_fini(&s->tcp->ports); /* so many maps as for these */
	ports_init(&s->tcp->ports, &s->shard);
	for (unsigned i = 0; i < DESTINATIONS; i++)
		while (connect_to(i, &c) == OK)
			;
	assert_int_equal(tcp_conns(s->tcp), DESTINATIONS * PORTS_OF_BUCKET * TUPLE_BUCKETS / WORKERS);
	for (unsigned i = 0; i < 10 * DESTINATIONS; i++) {
		assert_int_equal(connect_to(i % DESTINATIONS, &c), ERR_NO_PORTS);
		assert_int_equal(looks_n, 0);
	}
	assert_int_equal(s->counters.cell[C_tcp_no_ports], 11 * DESTINATIONS);
	s->shard.worker = 0;
	s->shard.workers = 1;
}

/* Opened and closed in any order near the limit: refused exactly when all are in use, never the same one twice. */
static void test_near_the_limit(void **state)
{
	static struct tcp_conn *c[PORTS_OF_BUCKET * 2];
	static bool used[65536];
	const unsigned all = PORTS_OF_BUCKET * 2;
	unsigned n = 0, refused = 0;
	struct rng r;

	(void)state;
	rng_init(&r, 7);
	s->shard.workers = 64;
	for (unsigned i = 0; i < 60000; i++) {
		struct tcp_conn *one = NULL;

		if (rng_below(&r, 100) < (i / 5000 % 2 ? 45 : 60)) {
			assert_int_equal(connect_to(1, &one), n < all ? OK : ERR_NO_PORTS);
			refused += !one;
			if (one) {
				assert_false(used[one->tuple.local_port]);
				used[one->tuple.local_port] = true;
				c[n++] = one;
			}
		} else if (n > 0) {
			const unsigned at = rng_below(&r, n);

			used[c[at]->tuple.local_port] = false;
			tcp_abort(c[at], ERR_CONN_ABORTED);
			c[at] = c[--n];
		}
		if (i % 100 == 0) {
			stand_flush(s);
			forget_sent();
		}
	}
	assert_true(refused > 100);
	while (n > 0)
		tcp_abort(c[--n], ERR_CONN_ABORTED);
	stand_flush(s);
	forget_sent();
	assert_int_equal(pool_used(&s->tcp->ports.destinations), 0);
	assert_int_equal(pool_used(&s->tcp->ports.maps), 0);
	s->shard.workers = 1;
}

/* A peer that comes from the destination's very port to a listener on one of its ports: that one is nobody's meanwhile. */
static void test_taken_by_a_peer(void **state)
{
	static struct tcp_conn *c[PORTS_OF_BUCKET];
	struct tcp_conn *one;
	unsigned n = 0;
	uint16_t port;

	(void)state;
	s->shard.workers = TUPLE_BUCKETS;
	s->listens = true;
	assert_int_equal(connect_to(1, &one), OK);
	port = one->tuple.local_port;
	tcp_abort(one, ERR_CONN_ABORTED);
	server_sends(port, FLAG_S, 100, 0, 0);
	while (connect_to(1, &c[n]) == OK)
		assert_int_not_equal(c[n++]->tuple.local_port, port);
	assert_int_equal(n, PORTS_OF_BUCKET - 1);
	server_sends(port, FLAG_R, 101, 0, 0);
	for (unsigned i = 0; i < 1 + PORTS_OF_BUCKET / PORTS_LOOKS_MAX && connect_to(1, &one) != OK; i++)
		;
	assert_int_equal(one->tuple.local_port, port);
	tcp_abort(one, ERR_CONN_ABORTED);
	while (n > 0)
		tcp_abort(c[--n], ERR_CONN_ABORTED);
	forget_sent();
	s->shard.workers = 1;
}

static void test_destinations_are_bounded(void **state)
{
	struct tcp_conn *c, *first;

	(void)state;
	assert_int_equal(connect_to(0, &first), OK);
	for (unsigned i = 1; i < LIMIT_tcp_destinations; i++)
		assert_int_equal(connect_to(i, &c), OK);
	assert_int_equal(connect_to(LIMIT_tcp_destinations, &c), ERR_LIMIT);
	assert_int_equal(s->counters.cell[C_limit_tcp_destinations], 1);
	assert_int_equal(connect_to(1, &c), OK);
	tcp_abort(first, ERR_CONN_ABORTED);
	assert_int_equal(connect_to(LIMIT_tcp_destinations, &c), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports_are_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_port_in_time_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_near_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_by_a_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destinations_are_bounded, setup, teardown),
	};
	int failed;

	stand_boot(&pools);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	packet_pools_fini(&pools);
	return failed;
}
