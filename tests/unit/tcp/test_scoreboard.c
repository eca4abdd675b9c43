/*
 * The scoreboard against a naive model: random segments are sent, and random ACKs with random SACK blocks come back, right,
 * old, overlapping, cut at any byte, or made up. After each, what is SACKed must be what the model says, and the records'
 * invariants hold. And what one ACK can cost is bounded.
 */
#include "../dpdk.h"
#include "../test.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/tcp_invariants.c"
#include "tests/wire/codec.c"
#include "tests/wire/ip_double.c"
#include "tests/wire/stand.c"

#include "base/rng.h"
#include "tcp/scoreboard.h"

enum { SEGMENTS_MAX = 4096, ROUNDS = 400, SEEDS = 60, MSS = 1000, PEER_ISN = 77 };

struct piece {
	uint32_t seq, end;
	bool sacked;
};

static struct packet_pools pools;
static struct stand *s;

static struct model {
	struct rng r;
	struct tuple tuple;
	struct piece piece[SEGMENTS_MAX];
	unsigned first, n;
	uint32_t una, max;
	uint64_t reneged;
} model;

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

static void give(uint8_t flags, uint32_t seq, uint32_t ack, const struct wire_block *blocks, unsigned n)
{
	uint8_t bytes[128];
	struct wire_segment g = {
		.source = model.tuple.remote_port, .destination = model.tuple.local_port, .seq = seq, .ack = ack, .flags = flags,
		.window = 65535, .has_mss = flags & FLAG_S, .mss = MSS, .has_scale = flags & FLAG_S, .scale = 5,
		.sack_ok = flags & FLAG_S, .blocks = n,
	};

	for (unsigned i = 0; i < n; i++)
		g.block[i] = blocks[i];
	stand_input(s, &model.tuple, bytes, wire_encode(&g, &model.tuple.remote, &model.tuple.local, bytes, sizeof(bytes)));
	stand_flush(s);
}

/* What was sent for the first time is noted. */
static void note_sent(void)
{
	for (; s->sent_n > 0; s->sent_n--, s->sent_first = (s->sent_first + 1) % SENT_MAX) {
		struct wire_segment g;

		assert_null(wire_decode(&g, s->sent[s->sent_first].bytes, s->sent[s->sent_first].n));
		if (g.len == 0 || !seq_gt(g.seq + g.len, model.max))
			continue;
		assert_int_equal(g.seq, model.max);
		assert_true(model.n < SEGMENTS_MAX);
		model.piece[model.n++] = (struct piece){.seq = g.seq, .end = g.seq + g.len};
		model.max = g.seq + g.len;
	}
	s->event_n = 0;
}

static void queue(uint32_t bytes, uint32_t slice_bytes)
{
	stand_send(s, bytes, slice_bytes);
	stand_flush(s);
}

static void open_one(uint64_t seed)
{
	struct wire_segment g;

	memset(&model, 0, sizeof(model));
	rng_init(&model.r, seed);
	model.tuple = (struct tuple){.local_port = 80, .remote_port = (uint16_t)(2000 + seed), .protocol = IPPROTO_TCP};
	assert_int_equal(addr_parse("198.18.0.10", &model.tuple.local), OK);
	assert_int_equal(addr_parse("198.18.0.2", &model.tuple.remote), OK);
	s->listens = true;
	give(FLAG_S, PEER_ISN, 0, NULL, 0);
	assert_null(wire_decode(&g, s->sent[s->sent_first].bytes, s->sent[s->sent_first].n));
	note_sent();
	model.una = model.max = g.seq + 1;
	give(FLAG_A, PEER_ISN + 1, model.una, NULL, 0);
	assert_non_null(s->conn);
	note_sent();
}

static uint32_t somewhere(void)
{
	const uint32_t span = model.max - model.una;

	/* At the edge of a segment mostly. */
	if (rng_below(&model.r, 4) && model.first < model.n)
		return model.piece[model.first + rng_below(&model.r, model.n - model.first)].seq;
	return model.una + rng_below(&model.r, span + 1);
}

static struct wire_block block(void)
{
	struct wire_block b = {.left = somewhere(), .right = somewhere()};

	if (seq_gt(b.left, b.right) && rng_below(&model.r, 20))
		b = (struct wire_block){.left = b.right, .right = b.left};
	if (!rng_below(&model.r, 20))
		b.right += rng_below(&model.r, 100000);
	if (!rng_below(&model.r, 20))
		b.left -= rng_below(&model.r, 100000);
	return b;
}

static void expect_ack(uint32_t ack, const struct wire_block *b, unsigned n)
{
	const bool duplicate = n > 0 && seq_lt(b[0].left, b[0].right) && seq_le(b[0].right, model.max) &&
	                       (seq_lt(b[0].left, ack) ? seq_le(b[0].right, ack)
	                                               : n > 1 && seq_le(b[1].left, b[0].left) && seq_ge(b[1].right, b[0].right));

	if (seq_lt(ack, model.una))
		return;
	model.una = ack;
	while (model.first < model.n && seq_le(model.piece[model.first].end, model.una))
		model.first++;
	for (unsigned i = duplicate; i < n; i++) {
		if (!seq_lt(b[i].left, b[i].right) || seq_lt(b[i].left, model.una) || seq_gt(b[i].right, model.max))
			continue;
		for (unsigned k = model.first; k < model.n; k++) {
			struct piece *p = &model.piece[k];
			/* Of the first one, a part may be acknowledged. */
			const uint32_t from = seq_lt(p->seq, model.una) ? model.una : p->seq;

			p->sacked |= seq_ge(from, b[i].left) && seq_le(p->end, b[i].right);
		}
	}
}

static void compare(uint64_t seed)
{
	const struct tcp_conn *c = s->conn;
	const char *broken;
	unsigned k = model.first;

	if (s->counters.cell[C_tcp_sacks_reneged] != model.reneged)
		for (unsigned i = 0; i < model.n; i++)
			model.piece[i].sacked = false;
	model.reneged = s->counters.cell[C_tcp_sacks_reneged];
	broken = invariant_broken(c, 0);
	if (broken)
		fail_msg("seed %lu: it does not hold that %s", seed, broken);
	for (const struct sent *r = sent_first(c); r; r = sent_next(c, r), k++) {
		assert_true(k < model.n);
		assert_int_equal(r->end, model.piece[k].end);
		if ((r->state == SENT_SACKED) != model.piece[k].sacked)
			fail_msg("seed %lu: the segment at %u is %sSACKed", seed, r->seq - model.una,
			         model.piece[k].sacked ? "" : "not ");
	}
}

static void run(uint64_t seed)
{
	open_one(seed);
	for (unsigned i = 0; i < ROUNDS && s->conn && model.n < SEGMENTS_MAX - 300; i++) {
		struct wire_block b[WIRE_BLOCKS_MAX];
		const unsigned n = rng_below(&model.r, WIRE_BLOCKS_MAX + 1);
		uint32_t ack;

		if (tcp_send_room(s->conn) > 20000)
			queue(1 + rng_below(&model.r, 20000), 700);
		stand_tick(s, rng_below(&model.r, 30) ? rng_below(&model.r, 3000000) : 300000000);
		note_sent();
		if (!s->conn)
			break;
		for (unsigned k = 0; k < n; k++)
			b[k] = block();
		ack = rng_below(&model.r, 2) ? model.una : somewhere();
		/* What the timers did in this tick comes before the ACK. */
		compare(seed);
		expect_ack(ack, b, n);
		give(FLAG_A, PEER_ISN + 1, ack, b, n);
		note_sent();
		compare(seed);
	}
	if (s->conn)
		tcp_abort(s->conn, ERR_CONN_ABORTED);
	stand_flush(s);
	s->sent_n = s->event_n = 0;
}

static void test_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run(seed);
	assert_true(s->counters.cell[C_tcp_sack_invalid] > 0);
	assert_true(s->counters.cell[C_tcp_dsacks] > 0);
	assert_true(s->counters.cell[C_tcp_sacks_reneged] > 0);
}

/* More segments in flight than one ACK is compared with, and a block that covers them all but the first. */
static void test_walk_is_bounded(void **state)
{
	struct wire_block b;

	(void)state;
	open_one(1);
	s->conn->cwnd = 1 << 20;
	for (unsigned i = 0; i < LIMIT_tcp_sack_walk * 3; i++) {
		queue(10, 10);
		note_sent();
	}
	b = (struct wire_block){.left = model.una + 10, .right = model.max};
	for (unsigned i = 0; i < 5; i++) {
		give(FLAG_A, PEER_ISN + 1, model.una, &b, 1);
		note_sent();
		assert_int_equal(board_of(s->conn)->sacked_n, LIMIT_tcp_sack_walk - 1);
		assert_int_equal(s->counters.cell[C_limit_tcp_sack_walk], i + 1);
	}
}

/* Without memory for records what is in flight is recovered as if there were no SACK; with the next flight they are back. */
static void test_no_records(void **state)
{
	static struct sent *hoard[LIMIT_tcp_sent_segments + 1];
	unsigned n = 0;

	(void)state;
	open_one(1);
	while ((hoard[n] = pool_get(&s->tcp->sents)) != NULL)
		n++;
	queue(5000, 1000);
	note_sent();
	assert_int_equal(s->counters.cell[C_limit_tcp_sent_segments], 1);
	assert_false(conn_tracked(s->conn));
	for (unsigned i = 0; i < DUPACKS; i++)
		give(FLAG_A, PEER_ISN + 1, model.una, NULL, 0);
	assert_int_equal(s->counters.cell[C_tcp_retransmits], 1);
	while (n > 0)
		pool_put(&s->tcp->sents, hoard[--n]);
	give(FLAG_A, PEER_ISN + 1, model.max, NULL, 0);
	assert_true(conn_tracked(s->conn));
	queue(1000, 1000);
	note_sent();
	assert_non_null(sent_last(s->conn));
	assert_null(invariant_broken(s->conn, 0));
}

/* Without a scoreboard SACK blocks are not read, and a timeout sends all again. */
static void test_no_scoreboards(void **state)
{
	static struct scoreboard *hoard[LIMIT_tcp_scoreboards + 1];
	struct wire_block b;
	unsigned n = 0;

	(void)state;
	open_one(1);
	while ((hoard[n] = pool_get(&s->tcp->boards)) != NULL)
		n++;
	queue(5000, 1000);
	note_sent();
	b = (struct wire_block){.left = model.una + 1000, .right = model.max};
	give(FLAG_A, PEER_ISN + 1, model.una, &b, 1);
	assert_int_equal(s->counters.cell[C_limit_tcp_scoreboards], 1);
	assert_null(board_of(s->conn));
	for (unsigned i = 0; i < 600; i++)
		stand_tick(s, 1000000);
	assert_true(s->counters.cell[C_tcp_rto] > 0);
	assert_false(conn_tracked(s->conn));
	while (n > 0)
		pool_put(&s->tcp->boards, hoard[--n]);
	give(FLAG_A, PEER_ISN + 1, model.max, NULL, 0);
	assert_true(conn_tracked(s->conn));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_walk_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_scoreboards, setup, teardown),
	};
	int failed;

	stand_boot(&pools);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	packet_pools_fini(&pools);
	return failed;
}
