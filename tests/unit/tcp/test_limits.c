/* What is bounded, and what happens at the bound: half-open connections, TIME_WAIT, send queue chunks. */
#include "../test.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tests/wire/codec.c"
#include "tests/wire/ip_double.c"
#include "tests/wire/stand.c"

#include "base/pressure.h"
#include "tcp/conn.h"
#include "tcp/recv_buffer.h"

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

static void peer_sends(unsigned i, uint8_t flags, uint32_t seq, uint32_t ack)
{
	/* Two listeners fill the backlog, one cannot. */
	const uint16_t port = i < LIMIT_tcp_syn_listener ? 80 : 81;
	const struct wire_segment g = {.source = 1234, .destination = port, .seq = seq, .ack = ack, .flags = flags,
	                               .window = 1000, .has_mss = flags & FLAG_S, .mss = 1460};
	const struct tuple t = {.local = addr_v4(__builtin_bswap32(0xc612000a)), .remote = remote(i), .local_port = port,
	                        .remote_port = 1234, .protocol = IPPROTO_TCP};
	uint8_t bytes[100];
	const size_t n = wire_encode(&g, &t.remote, &t.local, bytes, sizeof(bytes));

	stand_input(s, &t, bytes, n);
	stand_flush(s);
}

/* The sequence number of the segment that was sent last. */
static uint32_t sent_seq(void)
{
	struct wire_segment g;

	assert_true(s->sent_n > 0);
	assert_null(wire_decode(&g, s->sent[(s->sent_first + s->sent_n - 1) % SENT_MAX].bytes,
	                        s->sent[(s->sent_first + s->sent_n - 1) % SENT_MAX].n));
	forget_sent();
	return g.seq;
}

static void test_backlog(void **state)
{
	(void)state;
	s->listens = true;
	for (unsigned i = 0; i < LIMIT_tcp_syn_backlog; i++) {
		peer_sends(i, FLAG_S, 100, 0);
		assert_int_equal(s->sent_n, 1);
		forget_sent();
	}
	/* Answered, and nothing is kept (test_cookie.c). */
	peer_sends(LIMIT_tcp_syn_backlog, FLAG_S, 100, 0);
	assert_int_equal(s->sent_n, 1);
	forget_sent();
	assert_int_equal(s->counters.cell[C_limit_tcp_syn_backlog], 1);
	assert_int_equal(tcp_conns(s->tcp), LIMIT_tcp_syn_backlog);
	/* One gives up, the next one fits. */
	peer_sends(7, FLAG_R, 101, 0);
	peer_sends(LIMIT_tcp_syn_backlog, FLAG_S, 100, 0);
	assert_int_equal(s->sent_n, 1);
	assert_int_equal(tcp_conns(s->tcp), LIMIT_tcp_syn_backlog);
	forget_sent();
}

/* Segments of no connection, as many in a second: not more than twice the limit are answered; the next second begins anew. */
static void test_resets(void **state)
{
	enum { MANY = LIMIT_tcp_resets_per_s * 2 + 100 };
	unsigned answered[2] = {0};

	(void)state;
	for (unsigned second = 0; second < 2; second++) {
		stand_tick(s, NS_PER_S);
		for (unsigned i = 0; i < MANY; i++) {
			peer_sends(i, FLAG_A, 100, 200);
			answered[second] += s->sent_n;
			forget_sent();
		}
		assert_in_range(answered[second], LIMIT_tcp_resets_per_s, 2 * LIMIT_tcp_resets_per_s - 1);
		assert_int_equal(s->counters.cell[C_tcp_resets_sent], answered[0] + answered[1]);
		assert_int_equal(s->counters.cell[C_limit_tcp_resets_per_s], MANY * (second + 1) - answered[0] - answered[1]);
	}
}

static void to_time_wait(unsigned i)
{
	uint32_t iss;

	peer_sends(i, FLAG_S, 100, 0);
	iss = sent_seq();
	peer_sends(i, FLAG_A, 101, iss + 1);
	tcp_shutdown(s->conn);
	stand_flush(s);
	peer_sends(i, FLAG_F | FLAG_A, 101, iss + 2);
	forget_sent();
}

static void test_time_wait_is_bounded(void **state)
{
	const unsigned more = 10;

	(void)state;
	s->listens = true;
	for (unsigned i = 0; i < LIMIT_tcp_time_wait + more; i++)
		to_time_wait(i);
	assert_int_equal(tcp_conns(s->tcp), LIMIT_tcp_time_wait);
	assert_int_equal(s->counters.cell[C_limit_tcp_time_wait], more);
	/* The oldest are forgotten: their peer gets a RST, the others' an ACK. */
	peer_sends(0, FLAG_F | FLAG_A, 101, 7777);
	assert_int_equal(sent_seq(), 7777);
	peer_sends(more, FLAG_F | FLAG_A, 101, 7777);
	assert_int_not_equal(sent_seq(), 7777);
	stand_tick(s, 61 * NS_PER_S);
	for (unsigned i = 0; i < 200; i++)
		stand_tick(s, NS_PER_MS);
	assert_int_equal(tcp_conns(s->tcp), 0);
}

/* A writer that is refused while it has nothing in flight is called again when there is room. */
static void test_starved_writer(void **state)
{
	uint32_t iss;

	(void)state;
	s->listens = true;
	peer_sends(0, FLAG_S, 100, 0);
	iss = sent_seq();
	peer_sends(0, FLAG_A, 101, iss + 1);
	const uint32_t chunks = s->tcp->chunks.free_n;
	struct sendq_chunk **all = calloc(chunks, sizeof(*all));

	for (uint32_t i = 0; i < chunks; i++)
		all[i] = pool_get(&s->tcp->chunks);
	forget_sent();
	stand_send(s, 10, 10);
	assert_string_equal(s->event[0], "send refused");
	assert_int_equal(s->tcp->starved_n, 1);
	stand_flush(s);
	assert_int_equal(s->tcp->starved_n, 1);
	for (uint32_t i = 0; i < chunks; i++)
		pool_put(&s->tcp->chunks, all[i]);
	stand_flush(s);
	assert_int_equal(s->tcp->starved_n, 0);
	forget_sent();
	stand_send(s, 10, 10);
	stand_flush(s);
	assert_int_equal(s->sent_n, 1);
	free(all);
	forget_sent();
}

/* NewReno's mark is of the last loss. Two gigabytes later it must not look like one that lies ahead. */
static void test_loss_after_gigabytes(void **state)
{
	uint32_t iss;

	(void)state;
	s->listens = true;
	peer_sends(0, FLAG_S, 100, 0);
	iss = sent_seq();
	peer_sends(0, FLAG_A, 101, iss + 1);
	for (uint32_t sent = 0; sent < 5; sent++) {
		/* As if half a gigabyte had gone by between these. */
		s->conn->recover -= UINT32_C(1) << 29;
		forget_sent();
		stand_send(s, 100, 100);
		stand_flush(s);
		peer_sends(0, FLAG_A, 101, iss + 1 + 100 * (sent + 1));
	}
	forget_sent();
	stand_send(s, 900, 900);
	stand_flush(s);
	for (unsigned i = 0; i < DUPACKS; i++)
		peer_sends(0, FLAG_A, 101, iss + 501);
	assert_int_equal(s->counters.cell[C_tcp_fast_retransmits], 1);
	forget_sent();
}

/* What is sent again is what was sent: bytes that the window held back until now stay back, and the peer's ACK is good. */
static void test_retransmits_what_was_sent(void **state)
{
	struct wire_segment g;
	uint32_t iss;

	(void)state;
	s->listens = true;
	peer_sends(0, FLAG_S, 100, 0);
	iss = sent_seq();
	peer_sends(0, FLAG_A, 101, iss + 1);
	forget_sent();
	stand_send(s, 3000, 1000); /* the window is 1000 */
	stand_flush(s);
	assert_int_equal(s->sent_n, 1);
	forget_sent();
	for (unsigned i = 0; i < DUPACKS; i++)
		peer_sends(0, FLAG_A, 101, iss + 1);
	assert_int_equal(s->counters.cell[C_tcp_fast_retransmits], 1);
	assert_null(wire_decode(&g, s->sent[s->sent_first].bytes, s->sent[s->sent_first].n));
	assert_int_equal(g.seq, iss + 1);
	assert_int_equal(g.len, 1000);
	peer_sends(0, FLAG_A, 101, iss + 1 + 1000);
	assert_int_equal(s->counters.cell[DROP_tcp_ack], 0);
	assert_int_equal(s->acked_bytes, 1000);
	forget_sent();
}

static void accept_one(unsigned i, uint32_t *iss)
{
	s->listens = true;
	peer_sends(i, FLAG_S, 100, 0);
	*iss = sent_seq();
	peer_sends(i, FLAG_A, 101, *iss + 1);
	forget_sent();
}

/* n bytes of the peer's stream, as the stand's user expects them, from its first byte + `from` on. */
static void peer_says(unsigned i, uint32_t from, uint32_t n, uint32_t ack)
{
	uint8_t text[1448], bytes[1600];
	/* Two listeners fill the backlog, one cannot. */
	const uint16_t port = i < LIMIT_tcp_syn_listener ? 80 : 81;
	const struct wire_segment g = {.source = 1234, .destination = port, .seq = 101 + from, .ack = ack, .flags = FLAG_A,
	                               .window = 1000, .payload = text, .len = n};
	const struct tuple t = {.local = addr_v4(__builtin_bswap32(0xc612000a)), .remote = remote(i), .local_port = 80,
	                        .remote_port = 1234, .protocol = IPPROTO_TCP};

	for (uint32_t k = 0; k < n; k++)
		text[k] = stream_byte(from + k, 0);
	stand_input(s, &t, bytes, wire_encode(&g, &t.remote, &t.local, bytes, sizeof(bytes)));
	stand_flush(s);
}

/* While SYNs are shed they get no answer at all; what is established goes on, and one that listens to nobody gets RST. */
static void test_shed_syns(void **state)
{
	uint32_t iss;

	(void)state;
	accept_one(0, &iss);
	s->shard.shed = SHED_SYNS | SHED_REQUESTS | SHED_IDLE;
	peer_sends(1, FLAG_S, 100, 0);
	assert_int_equal(s->sent_n, 0);
	assert_int_equal(tcp_conns(s->tcp), 1);
	assert_int_equal(s->counters.cell[DROP_tcp_shed_syn], 1);
	peer_says(0, 0, 1000, iss + 1);
	assert_int_equal(s->got_bytes, 1000);
	s->listens = false;
	peer_sends(2, FLAG_S, 100, 0);
	assert_int_equal(s->counters.cell[DROP_tcp_no_listener], 1);
	forget_sent();
	s->listens = true;
	s->shard.shed = 0;
	peer_sends(1, FLAG_S, 100, 0); /* the peer asks again */
	assert_int_equal(s->sent_n, 1);
	forget_sent();
}

/*
 * Segments are shed: the next one of who holds at most a packet comes in, others do not, early ones never, and those
 * that came early before give their memory back. ACKs are taken. In the end everything arrives.
 */
static void test_shed_segments(void **state)
{
	uint32_t iss;

	(void)state;
	accept_one(0, &iss);
	s->hold = true;
	peer_says(0, 2000, 1000, iss + 1);
	assert_int_equal(pool_used(&s->tcp->ooos), 1);
	forget_sent();
	s->shard.shed = SHED_SYNS | SHED_REQUESTS | SHED_IDLE | SHED_SEGMENTS;
	peer_says(0, 1000, 1000, iss + 1); /* early: dropped, with what was early before */
	assert_int_equal(s->counters.cell[DROP_tcp_shed_text], 1);
	assert_int_equal(pool_used(&s->tcp->ooos), 0);
	assert_int_equal(s->conn->rcv_held, 0);
	assert_int_equal(s->sent_n, 0); /* an ACK would make the peer send again at once */
	peer_says(0, 0, 1000, iss + 1);    /* the next, and the one after it */
	peer_says(0, 1000, 1000, iss + 1);
	assert_int_equal(s->got_bytes, 2000);
	peer_says(0, 2000, 1000, iss + 1); /* two packets are held */
	assert_int_equal(s->got_bytes, 2000);
	assert_int_equal(s->counters.cell[DROP_tcp_shed_text], 2);
	stand_credit(s, 1);
	s->shard.shed |= SHED_TEXT;
	peer_says(0, 2000, 1000, iss + 1);
	assert_int_equal(s->got_bytes, 2000);
	assert_int_equal(s->counters.cell[DROP_tcp_shed_text], 3);
	stand_send(s, 500, 500);           /* what carries no text is taken: memory comes back by it */
	stand_flush(s);
	peer_sends(0, FLAG_A, 2101, iss + 501);
	assert_int_equal(s->acked_bytes, 500);
	assert_int_equal(pool_used(&s->tcp->chunks), 0);
	s->shard.shed &= (uint8_t)~SHED_TEXT;
	peer_says(0, 2000, 1000, iss + 501);
	assert_int_equal(s->got_bytes, 3000);
	stand_credit(s, 2);
	s->shard.shed = 0;
	peer_says(0, 3000, 1000, iss + 501);
	assert_int_equal(s->got_bytes, 4000);
	stand_credit(s, s->held_n);
	assert_null(s->wrong);
	forget_sent();
}

/* Of who holds more than a small buffer, text is dropped before anything else is shed; others notice nothing. */
static void test_shed_large(void **state)
{
	enum { PACKET = 1000, SMALL = LIMIT_tcp_recv_start / PACKET_ROOM + 1 };
	uint32_t iss, at = 0;

	(void)state;
	accept_one(0, &iss);
	s->shard.recv_max = LIMIT_tcp_recv_buffer;
	assert_true(tcp_want(s->conn, 10 * LIMIT_tcp_recv_start));
	peer_says(0, at, PACKET, iss + 1);  /* which tells the peer of the window */
	stand_credit(s, s->held_n);
	at += PACKET;
	s->hold = true;
	s->shard.shed = SHED_LARGE;
	peer_says(0, at + PACKET, PACKET, iss + 1); /* early, and kept */
	assert_int_equal(pool_used(&s->tcp->ooos), 1);
	for (; s->conn->rcv_held <= LIMIT_tcp_recv_start; at += PACKET)
		peer_says(0, at, PACKET, iss + 1);
	assert_int_equal(s->conn->rcv_held, SMALL * PACKET_ROOM);
	assert_int_equal(s->counters.cell[DROP_tcp_shed_large], 0);
	forget_sent();
	peer_says(0, at, PACKET, iss + 1);
	peer_says(0, at + PACKET, PACKET, iss + 1);
	assert_int_equal(s->counters.cell[DROP_tcp_shed_large], 2);
	assert_int_equal(s->conn->rcv_held, SMALL * PACKET_ROOM);
	assert_int_equal(s->sent_n, 0);
	stand_credit(s, 1);                 /* one goes, one may come */
	peer_says(0, at, PACKET, iss + 1);
	assert_int_equal(s->counters.cell[DROP_tcp_shed_large], 2);
	assert_int_equal(s->conn->rcv_held, SMALL * PACKET_ROOM);
	s->shard.shed = 0;
	peer_says(0, at + PACKET, PACKET, iss + 1);
	assert_int_equal(s->conn->rcv_held, (SMALL + 1) * PACKET_ROOM);
	stand_credit(s, s->held_n);
	assert_int_equal(s->counters.cell[DROP_tcp_shed_text], 0);
	assert_null(s->wrong);
	forget_sent();
}

/* Limits that a writer waits for, each by its counter. */
static void test_send_limits(void **state)
{
	uint32_t iss;

	(void)state;
	accept_one(0, &iss);
	s->conn->cwnd = s->conn->snd_wnd = LIMIT_tcp_send_buffer / 2;
	stand_send(s, LIMIT_tcp_send_slices + 1, 1);
	assert_int_equal(s->conn->sendq.slices, LIMIT_tcp_send_slices);
	assert_int_equal(s->counters.cell[C_limit_tcp_send_slices], 1);
	assert_int_equal(s->counters.cell[C_limit_tcp_send_buffer], 0);
	tcp_abort(s->conn, ERR_CONN_ABORTED);
	accept_one(1, &iss);
	s->conn->cwnd = s->conn->snd_wnd = LIMIT_tcp_send_buffer / 2;
	stand_send(s, LIMIT_tcp_send_buffer + 2000, 2000);
	assert_true(s->counters.cell[C_limit_tcp_send_buffer] > 0);
	assert_int_equal(s->counters.cell[C_limit_tcp_send_slices], 1);
	assert_int_equal(s->counters.cell[C_limit_tcp_send_start], 0);
	forget_sent();
}

/* How much may be queued follows the smaller window. */
static void test_send_buffer_follows_windows(void **state)
{
	enum { START = LIMIT_tcp_send_start, FULL = LIMIT_tcp_send_buffer };
	static const struct {
		const char *name;
		uint32_t cwnd, wnd, room;
	} cases[] = {
		{"closed window", FULL, 0, START},
		{"after a timeout", 1460, FULL, START},
		{"small windows", START / 2, START / 2, START},
		{"cwnd is smaller", START / 2 + 1, FULL, START + 2},
		{"the peer's is smaller", FULL, 200000, 400000},
		{"just full", FULL / 2, FULL, FULL},
		{"huge", 2 * FULL, UINT32_MAX, FULL},
	};
	uint32_t iss;

	(void)state;
	accept_one(0, &iss);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		s->conn->cwnd = cases[i].cwnd;
		s->conn->snd_wnd = cases[i].wnd;
		if (tcp_send_room(s->conn) != cases[i].room)
			fail_msg("%s: room for %u, not %u", cases[i].name, tcp_send_room(s->conn), cases[i].room);
	}
	s->conn->snd_wnd = 0;
	stand_send(s, START + 2000, 2000);
	assert_in_range(s->conn->queued, START - 2000 + 1, START);
	assert_true(s->counters.cell[C_limit_tcp_send_start] > 0);
	assert_int_equal(s->counters.cell[C_limit_tcp_send_buffer], 0);
	accept_one(1, &iss);
	stand_send(s, LIMIT_tcp_send_slices, 1); /* and their number in proportion */
	assert_int_equal(s->conn->sendq.slices, LIMIT_tcp_send_start / 128);
	assert_int_equal(s->counters.cell[C_limit_tcp_send_slices], 1);
	forget_sent();
}

/* A buffer grows to its part of the memory that is free, and not while memory is short, nor for who asks (tcp_want()). */
static void test_recv_buffer_under_pressure(void **state)
{
	static const struct {
		const char *name;
		uint32_t recv_max, size, counted;
	} rows[] = {
		{"memory is short", 0, LIMIT_tcp_recv_start, 2},
		{"half of what it wants", LIMIT_tcp_recv_start, LIMIT_tcp_recv_start, 2},
		{"some", 2 * LIMIT_tcp_recv_start, 2 * LIMIT_tcp_recv_start, 1},
		{"enough", LIMIT_tcp_recv_buffer, 4 * LIMIT_tcp_recv_start, 0},
	};

	(void)state;
	for (unsigned i = 0; i < LENGTH(rows); i++) {
		const uint64_t counted = s->counters.cell[C_limit_tcp_recv_share];
		uint32_t iss, at = 0;

		accept_one(i, &iss);
		s->conn->srtt_us = 10000;
		s->shard.recv_max = rows[i].recv_max;
		for (; at < 20000; at += 1000) /* a buffer's worth within a round trip, and half of the next one's */
			peer_says(i, at, 1000, iss + 1);
		if (recv_buffer(s->conn) != rows[i].size || s->counters.cell[C_limit_tcp_recv_share] - counted < rows[i].counted)
			fail_msg("%s: the buffer is of %u bytes", rows[i].name, recv_buffer(s->conn));
		assert_true(tcp_want(s->conn, LIMIT_tcp_recv_start));
		assert_int_equal(tcp_want(s->conn, 10 * LIMIT_tcp_recv_start), i == 3);
		forget_sent();
	}
	assert_true(tcp_want(s->conn, UINT32_MAX / 2));
	assert_int_equal(recv_buffer(s->conn), LIMIT_tcp_recv_buffer);
}

/* Who cannot pass on what it has is given no more, however much it gives back. */
static void test_recv_buffer_enough(void **state)
{
	uint32_t iss, at = 0;

	(void)state;
	accept_one(0, &iss);
	s->conn->srtt_us = 10000;
	s->shard.recv_max = LIMIT_tcp_recv_buffer;
	for (; at < 100000; at += 1000) {
		if (at % 5000 == 0)
			tcp_enough(s->conn);
		peer_says(0, at, 1000, iss + 1);
	}
	assert_int_equal(recv_buffer(s->conn), LIMIT_tcp_recv_start);
	for (; at < 110000; at += 1000)
		peer_says(0, at, 1000, iss + 1);
	assert_true(recv_buffer(s->conn) > LIMIT_tcp_recv_start);
	forget_sent();
}

/* What an idle connection costs, its places in the table and in the pool's lists included: a million of them. */
static void test_idle_memory(void **state)
{
	struct table_tcp t;
	size_t places;

	(void)state;
	table_tcp_init(&t, LIMIT_tcp_conns + LIMIT_tcp_time_wait, s->shard.secret);
	places = sizeof(struct tcp_slot) * (t.mask + 1) + LIMIT_tcp_conns * (sizeof(uint32_t) + sizeof(uint32_t));
	table_tcp_fini(&t);
	assert_true(sizeof(struct tcp_conn) + places / 1000000 <= 384 + 32);
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

static unsigned alarms;

static void kept_alarm(void *user)
{
	assert_ptr_equal(tcp_keeper(user), &alarms);
	alarms++;
}

/* One that is kept is told as itself; the alarm comes once, in time, and not to whoever takes the connection over. */
static void test_kept(void **state)
{
	static const struct tcp_user_ops keeper = {.on_open = nothing, .on_eof = nothing, .on_closed = nothing_closed,
	                                           .on_alarm = kept_alarm};
	static const struct tcp_user_ops silent = {.on_open = nothing, .on_eof = nothing, .on_closed = nothing_closed};
	uint32_t iss, place;
	struct tcp_conn *c;

	(void)state;
	tcp_set_keeper(s->tcp, &keeper, &alarms);
	for (unsigned again = 0; again < 2; again++) {
		accept_one(again, &iss);
		c = s->conn;
		for (place = 0; place < tcp_kept_places(s->tcp); place++)
			assert_null(tcp_kept_at(s->tcp, place));
		tcp_keep(c, 5000);
		for (place = 0; !tcp_kept_at(s->tcp, place);)
			place++;
		assert_ptr_equal(tcp_kept_at(s->tcp, place), c);
		for (unsigned ms = 0; ms < 4999; ms++)
			stand_tick(s, NS_PER_MS);
		assert_int_equal(alarms, again);
		if (again)
			tcp_set_user(c, &silent, NULL);
		for (unsigned ms = 0; ms < 10000; ms++)
			stand_tick(s, NS_PER_MS);
		assert_int_equal(alarms, 1);
		assert_int_equal(c->state, TCP_ESTABLISHED);
		tcp_abort(c, ERR_CONN_ABORTED);
		stand_flush(s);
		assert_null(tcp_kept_at(s->tcp, place));
		forget_sent();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_backlog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_wait_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_starved_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loss_after_gigabytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retransmits_what_was_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shed_syns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shed_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shed_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_buffer_follows_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recv_buffer_under_pressure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_recv_buffer_enough, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
	};
	int failed;

	stand_boot(&pools);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	packet_pools_fini(&pools);
	return failed;
}
