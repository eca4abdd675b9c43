/*
 * SYN cookies (RFC 4987, 3.6): with a full backlog a SYN is answered and nothing is kept; the ACK makes the connection
 * with what the SYN said. What is no cookie, or an old one, makes none.
 */
#include "../test.h"

#include <stdlib.h>
#include <string.h>

#include "tests/wire/codec.c"
#include "tests/wire/ip_double.c"
#include "tests/wire/stand.c"

#include "base/pressure.h"
#include "tcp/conn.h"

enum { PEER_ISS = 7000, PEER_TS = 0xfffffff0, CLIENT = LIMIT_tcp_syn_listener + 5, EPOCH_S = 69 };

static struct packet_pools pools;
static struct stand *s;

static int setup(void **state)
{
	(void)state;
	s = aligned_alloc(64, sizeof(*s));
	stand_open(s, &pools, 1000 * NS_PER_S, 3);
	s->listens = true;
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

static void peer_sends(unsigned i, struct wire_segment g)
{
	const struct tuple t = {.local = addr_v4(__builtin_bswap32(0xc612000a)), .local_port = 80, .remote_port = 1234,
	                        .remote = addr_v4(__builtin_bswap32(0xc6120100 + i)), .protocol = IPPROTO_TCP};
	uint8_t bytes[200];
	size_t n;

	g.source = 1234;
	g.destination = 80;
	g.window = 1000;
	n = wire_encode(&g, &t.remote, &t.local, bytes, sizeof(bytes));
	stand_input(s, &t, bytes, n);
	stand_flush(s);
}

/* What was sent last. */
static struct wire_segment answer(void)
{
	struct wire_segment g;

	assert_true(s->sent_n > 0);
	assert_null(wire_decode(&g, s->sent[(s->sent_first + s->sent_n - 1) % SENT_MAX].bytes,
	                        s->sent[(s->sent_first + s->sent_n - 1) % SENT_MAX].n));
	s->sent_n = 0;
	s->event_n = 0;
	return g;
}

static void flood(void)
{
	for (unsigned i = 0; i < LIMIT_tcp_syn_listener; i++) {
		peer_sends(i, (struct wire_segment){.flags = FLAG_S, .seq = 1});
		s->sent_n = 0;
	}
	assert_int_equal(tcp_conns(s->tcp), LIMIT_tcp_syn_listener);
}

static struct wire_segment syn_ack(struct wire_segment syn)
{
	struct wire_segment g;

	syn.flags = FLAG_S;
	syn.seq = PEER_ISS;
	peer_sends(CLIENT, syn);
	assert_int_equal(tcp_conns(s->tcp), LIMIT_tcp_syn_listener);
	g = answer();
	assert_int_equal(g.flags, FLAG_S | FLAG_A);
	assert_int_equal(g.ack, PEER_ISS + 1);
	assert_true(g.has_mss);
	assert_int_equal(g.has_ts, syn.has_ts);
	assert_int_equal(g.has_scale, syn.has_ts && syn.has_scale);
	assert_int_equal(g.sack_ok, syn.has_ts && syn.sack_ok);
	return g;
}

static struct wire_segment ack_of(const struct wire_segment *g)
{
	return (struct wire_segment){.flags = FLAG_A, .seq = PEER_ISS + 1, .ack = g->seq + 1, .has_ts = g->has_ts,
	                             .tsval = PEER_TS + 1, .tsecr = g->tsval};
}

static bool accepted(void)
{
	return s->counters.cell[C_tcp_cookies_accepted] == 1 && s->counters.cell[C_tcp_accepted] == 1 &&
	       tcp_conns(s->tcp) == LIMIT_tcp_syn_listener + 1;
}

static bool has(const struct tcp_conn *c, enum conn_flag flag)
{
	return c->flags & flag;
}

static void test_says_what_the_syn_said(void **state)
{
	static const struct {
		const char *name;
		struct wire_segment syn;
		uint16_t mss;
		uint8_t scale;
		bool ts, ws, sack;
	} rows[] = {
		{"nothing", {0}, 536, 0, false, false, false},
		{"mss", {.has_mss = true, .mss = 1460}, 1460, 0, false, false, false},
		{"mss between two", {.has_mss = true, .mss = 1459}, 1440, 0, false, false, false},
		{"mss too small", {.has_mss = true, .mss = 1}, 216, 0, false, false, false},
		{"scale without timestamps", {.has_mss = true, .mss = 1460, .has_scale = true, .scale = 7}, 1460, 0,
		 false, false, false},
		{"all", {.has_mss = true, .mss = 1460, .has_scale = true, .scale = 7, .has_ts = true, .tsval = PEER_TS,
		         .sack_ok = true}, 1448, 7, true, true, true},
		{"scale 14", {.has_mss = true, .mss = 1400, .has_scale = true, .scale = 14, .has_ts = true,
		              .tsval = PEER_TS}, 1348, 14, true, true, false},
		{"scale 0", {.has_scale = true, .has_ts = true, .tsval = PEER_TS}, 524, 0, true, true, false},
		{"no scale", {.has_ts = true, .tsval = PEER_TS, .sack_ok = true}, 524, 0, true, false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_segment g;
		struct tcp_conn *c;

		setup(NULL);
		flood();
		g = syn_ack(rows[i].syn);
		peer_sends(CLIENT, ack_of(&g));
		if (!accepted())
			fail_msg("%s: no connection", rows[i].name);
		c = s->conn;
		if (c->mss != rows[i].mss || c->snd_wscale != rows[i].scale || has(c, CONN_TS) != rows[i].ts ||
		    has(c, CONN_WS) != rows[i].ws || has(c, CONN_SACK) != rows[i].sack)
			fail_msg("%s: mss %u scale %u flags %x", rows[i].name, c->mss, c->snd_wscale, c->flags);
		assert_int_equal(c->state, TCP_ESTABLISHED);
		assert_int_equal(c->ts_recent, rows[i].ts ? PEER_TS + 1 : 0);
		assert_int_equal(teardown(NULL), 0);
	}
}

/* The ACK was lost, and the peer has ended already. Our timestamps go on from the cookie's. */
static void test_fin_makes_it_too(void **state)
{
	struct wire_segment g, d;

	(void)state;
	flood();
	g = syn_ack((struct wire_segment){.has_ts = true, .tsval = PEER_TS});
	d = ack_of(&g);
	d.flags |= FLAG_F;
	peer_sends(CLIENT, d);
	assert_true(accepted());
	assert_int_equal(s->conn->state, TCP_CLOSE_WAIT);
	d = answer();
	assert_int_equal(d.flags, FLAG_A);
	assert_int_equal(d.seq, g.seq + 1);
	assert_int_equal(d.ack, PEER_ISS + 2);
	assert_true((int32_t)(d.tsval - g.tsval) >= 0);
}

static void test_what_is_no_cookie(void **state)
{
	static const struct {
		const char *name;
		uint32_t seq, ack; /* added */
		unsigned peer, wait_s;
		bool right;
	} rows[] = {
		{"right", 0, 0, 0, 0, true},
		{"an epoch later", 0, 0, 0, EPOCH_S, true},
		{"two epochs later", 0, 0, 0, 2 * EPOCH_S, false},
		{"four epochs later: its bits come again", 0, 0, 0, 4 * EPOCH_S, false},
		{"another sequence number", 1, 0, 0, 0, false},
		{"another MAC", 0, 1, 0, 0, false},
		{"another epoch", 0, 1u << 27, 0, 0, false},
		{"another MSS", 0, 1u << 29, 0, 0, false},
		{"another peer", 0, 0, 1, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_segment g, a;
		uint32_t before;

		setup(NULL);
		flood();
		g = syn_ack((struct wire_segment){.has_mss = true, .mss = 1460});
		a = ack_of(&g);
		a.seq += rows[i].seq;
		a.ack += rows[i].ack;
		s->shard.now_ns += rows[i].wait_s * NS_PER_S;
		before = tcp_conns(s->tcp);
		peer_sends(CLIENT + rows[i].peer, a);
		if ((s->counters.cell[C_tcp_cookies_accepted] == 1) != rows[i].right)
			fail_msg("%s", rows[i].name);
		assert_int_equal(tcp_conns(s->tcp), before + rows[i].right);
		if (!rows[i].right)
			assert_int_equal(answer().flags & FLAG_R, FLAG_R);
		s->sent_n = 0;
		assert_int_equal(teardown(NULL), 0);
	}
}

/* A SYN at that time, and what has been drawn last. */
static struct wire_segment syn_ack_at(uint64_t at_ns, _Atomic uint64_t fresh[2], uint64_t drawn)
{
	s->shard.now_ns = at_ns;
	s->shard.fresh = fresh;
	fresh[0] = fresh[1] = drawn;
	return syn_ack((struct wire_segment){.has_mss = true, .mss = 1460});
}

static bool good(const struct wire_segment *g)
{
	const uint64_t before = s->counters.cell[C_tcp_cookies_accepted];

	peer_sends(CLIENT, ack_of(g));
	if (s->counters.cell[C_tcp_cookies_accepted] == before)
		return false;
	tcp_abort(s->conn, ERR_CONN_ABORTED);
	stand_flush(s);
	s->sent_n = s->event_n = 0;
	return true;
}

/* What the MAC says to one tuple, sequence number and MSS: told apart by nothing but its secret. */
static uint32_t mac_of(const struct wire_segment *g)
{
	return g->seq & ((1u << 27) - 1);
}

/* Both secrets are good while the second is new, then one. The clock of the test begins in the middle of an epoch. */
static void test_secrets_rotate(void **state)
{
	const uint64_t turn = ((s->shard.now_ns >> 36) + 1) << 36, epoch = UINT64_C(1) << 36;
	_Atomic uint64_t fresh[2];
	struct wire_segment last, first, third;

	(void)state;
	flood();
	last = syn_ack_at(turn - 1, fresh, 1);
	first = syn_ack_at(turn, fresh, 1);
	assert_int_not_equal(mac_of(&first), mac_of(&last));
	assert_true(good(&last));
	assert_true(good(&first));
	s->shard.now_ns = turn + epoch - 1;
	assert_true(good(&last));
	assert_true(good(&first));
	third = syn_ack_at(turn + epoch, fresh, 1);
	assert_false(good(&last));
	assert_true(good(&first));
	assert_true(good(&third));
	/* After a pause that was longer than both, none of them. */
	syn_ack_at(turn + 5 * epoch, fresh, 1);
	assert_false(good(&first));
	assert_false(good(&third));
}

/* The secret is of all that was drawn in the epochs before, and of nothing that is drawn later. */
static void test_secrets_are_fresh(void **state)
{
	static const struct {
		const char *name;
		uint64_t drawn[3];      /* before the first epoch, the second, the third */
		bool same[3];           /* as in the first row */
	} rows[] = {
		{"as it is", {1, 1, 1}, {true, true, true}},
		{"other ones at first", {2, 1, 1}, {false, false, false}},
		{"other ones in the second epoch", {1, 2, 1}, {true, false, false}},
		{"other ones in the third epoch", {1, 1, 2}, {true, true, false}},
	};
	uint32_t seen[3];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		setup(NULL);
		flood();
		for (unsigned epoch = 0; epoch < 3; epoch++) {
			_Atomic uint64_t fresh[2];
			const struct wire_segment g = syn_ack_at((20 + (uint64_t)epoch) << 36, fresh, rows[i].drawn[epoch]);

			if (i == 0)
				seen[epoch] = mac_of(&g);
			if ((mac_of(&g) == seen[epoch]) != rows[i].same[epoch])
				fail_msg("%s: epoch %u", rows[i].name, epoch);
		}
		s->shard.fresh = NULL;
		assert_int_equal(teardown(NULL), 0);
	}
}

/* Without a flood nobody may guess; with memory short no connection is made, and no reset is sent. */
static void test_when_not(void **state)
{
	struct wire_segment g;

	(void)state;
	flood();
	g = syn_ack((struct wire_segment){.has_mss = true, .mss = 1460});
	s->tcp->cookies.known = false;
	peer_sends(CLIENT, ack_of(&g));
	assert_int_equal(answer().flags, FLAG_R);
	s->tcp->cookies.known = true;
	s->shard.shed = SHED_SYNS;
	peer_sends(CLIENT, ack_of(&g));
	assert_int_equal(s->sent_n, 0);
	assert_int_equal(s->counters.cell[DROP_tcp_shed_syn], 1);
	s->shard.shed = 0;
	s->listens = false;
	peer_sends(CLIENT, ack_of(&g));
	assert_int_equal(answer().flags, FLAG_R);
	assert_int_equal(s->counters.cell[C_tcp_cookies_accepted], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_says_what_the_syn_said),
		cmocka_unit_test_setup_teardown(test_fin_makes_it_too, setup, teardown),
		cmocka_unit_test(test_what_is_no_cookie),
		cmocka_unit_test_setup_teardown(test_secrets_rotate, setup, teardown),
		cmocka_unit_test(test_secrets_are_fresh),
		cmocka_unit_test_setup_teardown(test_when_not, setup, teardown),
	};

	stand_boot(&pools);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
