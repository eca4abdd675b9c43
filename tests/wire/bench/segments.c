/*
 * Cycles of the TCP layer alone. No IP layer, no port: what is sent is freed, and what comes in was made before.
 *
 *   segments      N connections in turn receive a request of 128 bytes and send a response of 128 or 1400 bytes, which
 *                 the next request acknowledges
 *   connections   SYN; ACK; request, response with FIN; the peer's FIN and our TIME_WAIT; its end
 *   holes         the second of two requests comes first, and is answered by SACK; then the first
 *   SACK blocks   64 segments are in flight, and an ACK has three blocks of them
 *
 * Prints the median of the better quarter of the rounds, which leaves out those that the machine spent elsewhere.
 */
#include <netinet/in.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/shard.h"
#include "tcp/conn.h"
#include "tests/wire/codec.h"
#include "tests/wire/ip_double.h"

enum { CONNS_MAX = 4096, ROUNDS = 2000, BURST = 32, REQUEST = 128, IN_FLIGHT = 64, SEGMENT = 1448 };

/* Connections that come and go have places behind those that stay. */
enum { PLACES = CONNS_MAX + BURST };

static struct {
	struct shard shard;
	struct counters counters;
	struct packet_pools pools;
	struct ip ip;
	struct tcp *tcp;
	struct tcp_conn *conn[PLACES];
	struct tuple tuple[PLACES];
	uint32_t seq[PLACES], ack[PLACES];
	unsigned accepted, response, sent;
	bool ends;                 /* a response is the last one */
	struct rte_mbuf *text;
	struct tcp_sending sending;
} net;

static void on_data(void *user, struct rte_mbuf *m)
{
	const uint32_t cost = tcp_cost(m);
	struct tcp_conn *c = net.conn[(uintptr_t)user];

	rte_pktmbuf_free(m);
	tcp_credit(c, cost);
	CHECK(tcp_send(c, slice_of(net.text, rte_pktmbuf_mtod(net.text, char *), (uint16_t)net.response)));
	if (net.ends)
		tcp_shutdown(c);
}

static void on_eof(void *user)
{
	(void)user;
}

static void on_acked(void *user, uint32_t bytes)
{
	(void)user;
	(void)bytes;
}

static void on_closed(void *user, enum err why)
{
	(void)user;
	(void)why;
}

static const struct tcp_user_ops ops = {
	.on_data = on_data, .on_eof = on_eof, .on_acked = on_acked, .on_closed = on_closed,
};

static bool accepts(void *up, const struct tuple *t, struct tcp_sending *sending)
{
	(void)up;
	(void)t;
	*sending = net.sending;
	return true;
}

static void on_accept(void *up, struct tcp_conn *c)
{
	(void)up;
	net.conn[net.accepted] = c;
	tcp_set_user(c, &ops, (void *)(uintptr_t)net.accepted++);
}

static void on_sent(void *arg, const struct tuple *t, struct rte_mbuf *m)
{
	(void)arg;
	(void)t;
	net.sent++;
	rte_pktmbuf_free(m);
}

static struct rte_mbuf *encode(unsigned i, const struct wire_segment *g)
{
	static uint8_t bytes[300];
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.pools.rx);
	const size_t n = wire_encode(g, &net.tuple[i].remote, &net.tuple[i].local, bytes, sizeof(bytes));

	CHECK(m && n > 0);
	memcpy(rte_pktmbuf_append(m, (uint16_t)n), bytes, n);
	return m;
}

static struct wire_segment segment(unsigned i, uint8_t flags, unsigned len)
{
	static uint8_t payload[REQUEST];

	return (struct wire_segment){
		.source = net.tuple[i].remote_port, .destination = 80, .seq = net.seq[i], .ack = net.ack[i], .flags = flags,
		.window = 65535, .has_mss = flags & FLAG_S, .mss = 1460, .has_scale = flags & FLAG_S, .scale = 7,
		.sack_ok = flags & FLAG_S, .has_ts = true, .tsval = net.tcp->now_ms, .payload = payload, .len = len,
		.raw_options = {1, 1}, .raw_bytes = flags & FLAG_S ? 0 : 2,
	};
}

static struct rte_mbuf *make(unsigned i, uint8_t flags, unsigned len)
{
	const struct wire_segment g = segment(i, flags, len);

	return encode(i, &g);
}

static void give(unsigned i, struct rte_mbuf *m)
{
	const struct ip_datagram d = {
		.tuple = net.tuple[i], .m = m, .l4_bytes = (uint16_t)m->pkt_len, .checksum_ok = true,
	};

	tcp_input(net.tcp, &d);
}

static void place(unsigned i)
{
	net.tuple[i] = (struct tuple){.local = addr_v4(0x0a00c612), .remote = addr_v4(0x0200c612 + i),
	                              .local_port = 80, .remote_port = (uint16_t)(1024 + i), .protocol = IPPROTO_TCP};
	net.seq[i] = i * 1000;
	net.ack[i] = 0;
}

/* The SYN was answered: what the peer says next. */
static void answered(unsigned i)
{
	bool wait;
	const struct tcp_conn *c =
		table_tcp_find(&net.tcp->table, &net.tuple[i], table_tcp_hash(&net.tcp->table, &net.tuple[i]), &wait);

	net.seq[i]++;
	net.ack[i] = c->snd_nxt;
}

static void open_all(unsigned conns)
{
	for (unsigned i = 0; i < conns; i++) {
		place(i);
		give(i, make(i, FLAG_S, 0));
		tcp_flush(net.tcp);
		answered(i);
		give(i, make(i, FLAG_A, 0));
		tcp_flush(net.tcp);
	}
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Of each: the median of the better quarter. */
static uint64_t best(uint64_t *of, unsigned rounds, unsigned each)
{
	qsort(of, rounds, sizeof(of[0]), by_size);
	return of[rounds / 8] / each;
}

/* A burst of segments and the end of its round: cycles. */
static uint64_t burst(unsigned first, struct rte_mbuf *m[BURST])
{
	const uint64_t t0 = rte_rdtsc_precise();

	for (unsigned k = 0; k < BURST; k++)
		give(first + k, m[k]);
	tcp_flush(net.tcp);
	return rte_rdtsc_precise() - t0;
}

static void pass(uint64_t ns)
{
	net.shard.now_ns += ns;
	wheel_advance(&net.shard.wheel, net.shard.now_ns, 2 * PLACES);
	tcp_flush(net.tcp);
}

static void measure(unsigned conns, unsigned response)
{
	static uint64_t in[ROUNDS], out[ROUNDS];
	struct rte_mbuf *m[BURST];
	unsigned at = 0;

	net.response = response;
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t t0, t1, t2;

		pass(20000);
		for (unsigned k = 0; k < BURST; k++)
			m[k] = make((at + k) % conns, FLAG_A | FLAG_P, REQUEST);
		t0 = rte_rdtsc_precise();
		for (unsigned k = 0; k < BURST; k++)
			give((at + k) % conns, m[k]);
		t1 = rte_rdtsc_precise();
		tcp_flush(net.tcp);
		t2 = rte_rdtsc_precise();
		for (unsigned k = 0; k < BURST; k++) {
			net.seq[(at + k) % conns] += REQUEST;
			net.ack[(at + k) % conns] += response;
		}
		at = (at + BURST) % conns;
		in[r] = t1 - t0;
		out[r] = t2 - t1;
	}
	printf("%5u connections, response %4u: in %4lu, out %4lu cycles per segment\n", conns, response,
	       best(in, ROUNDS, BURST), best(out, ROUNDS, BURST));
}

/* The peer's next segments to connections that come and go. */
static uint64_t all_say(uint8_t flags, unsigned len)
{
	struct rte_mbuf *m[BURST];

	for (unsigned k = 0; k < BURST; k++)
		m[k] = make(CONNS_MAX + k, flags, len);
	return burst(CONNS_MAX, m);
}

/* Whatever is still in flight arrives; nothing is left that a timer would send again. */
static void acknowledge_all(void)
{
	for (unsigned i = 0; i < CONNS_MAX; i++)
		give(i, make(i, FLAG_A, 0));
	tcp_flush(net.tcp);
	pass(NS_PER_S);
}

static void measure_connections(void)
{
	static uint64_t open[ROUNDS], request[ROUNDS], close[ROUNDS], over[ROUNDS], all[ROUNDS];

	acknowledge_all();
	net.response = REQUEST;
	net.ends = true;
	for (unsigned r = 0; r < ROUNDS; r++) {
		const uint32_t before = tcp_conns(net.tcp);
		uint64_t t0;

		net.accepted = CONNS_MAX;
		for (unsigned k = 0; k < BURST; k++)
			place(CONNS_MAX + k);
		open[r] = all_say(FLAG_S, 0);
		for (unsigned k = 0; k < BURST; k++)
			answered(CONNS_MAX + k);
		open[r] += all_say(FLAG_A, 0);
		request[r] = all_say(FLAG_A | FLAG_P, REQUEST);
		for (unsigned k = 0; k < BURST; k++) {
			net.seq[CONNS_MAX + k] += REQUEST;
			net.ack[CONNS_MAX + k] += REQUEST + 1;
		}
		close[r] = all_say(FLAG_A | FLAG_F, 0);
		CHECK(tcp_conns(net.tcp) == before + BURST); /* TIME_WAIT */
		t0 = rte_rdtsc_precise();
		pass((TIME_WAIT_MS + 10) * NS_PER_MS);
		over[r] = rte_rdtsc_precise() - t0;
		CHECK(tcp_conns(net.tcp) == before);
		all[r] = open[r] + request[r] + close[r] + over[r];
	}
	net.ends = false;
	printf("one connection: open %4lu, request and response %4lu, close %4lu, end of TIME_WAIT %4lu, all %5lu cycles\n",
	       best(open, ROUNDS, BURST), best(request, ROUNDS, BURST), best(close, ROUNDS, BURST),
	       best(over, ROUNDS, BURST), best(all, ROUNDS, BURST));
}

static void measure_holes(void)
{
	static uint64_t early[ROUNDS], due[ROUNDS];

	net.response = REQUEST;
	for (unsigned r = 0; r < ROUNDS; r++) {
		struct rte_mbuf *first[BURST], *second[BURST];

		pass(20000);
		for (unsigned k = 0; k < BURST; k++) {
			first[k] = make(k, FLAG_A | FLAG_P, REQUEST);
			net.seq[k] += REQUEST;
			second[k] = make(k, FLAG_A | FLAG_P, REQUEST);
			net.seq[k] += REQUEST;
		}
		early[r] = burst(0, second);
		due[r] = burst(0, first);
		for (unsigned k = 0; k < BURST; k++)
			net.ack[k] += 2 * REQUEST;
	}
	printf("behind a hole: in, and SACK out, %4lu; the hole is filled, two responses out: %4lu cycles per segment\n",
	       best(early, ROUNDS, BURST), best(due, ROUNDS, BURST));
}

/* 64 segments are in flight; of an ACK that selects three runs of them, the cycles. */
static uint64_t selected(unsigned i)
{
	struct wire_segment g = segment(i, FLAG_A, 0);
	struct rte_mbuf *m;
	uint64_t t0;

	net.conn[i]->cwnd = 2 * IN_FLIGHT * SEGMENT;
	for (unsigned k = 0; k < IN_FLIGHT; k++)
		CHECK(tcp_send(net.conn[i], slice_of(net.text, rte_pktmbuf_mtod(net.text, char *), SEGMENT)));
	net.sent = 0;
	tcp_flush(net.tcp);
	CHECK(net.sent == IN_FLIGHT);
	for (g.blocks = 0; g.blocks < 3; g.blocks++) {
		g.block[g.blocks].left = g.ack + (40 - 16 * g.blocks) * SEGMENT;
		g.block[g.blocks].right = g.block[g.blocks].left + 8 * SEGMENT;
	}
	m = encode(i, &g);
	t0 = rte_rdtsc_precise();
	give(i, m);
	t0 = rte_rdtsc_precise() - t0;
	tcp_flush(net.tcp);
	net.ack[i] += IN_FLIGHT * SEGMENT;
	give(i, make(i, FLAG_A, 0));
	tcp_flush(net.tcp);
	return t0;
}

static void measure_sack(void)
{
	static uint64_t in[ROUNDS];

	for (unsigned r = 0; r < ROUNDS; r++) {
		pass(20000);
		in[r] = selected(r % BURST);
	}
	printf("three SACK blocks of %u segments in flight: in %4lu cycles per ACK\n", IN_FLIGHT, best(in, ROUNDS, 1));
}

int main(void)
{
	static char *args[] = {"bench", "--no-huge", "--no-shconf", "--no-pci", "-m", "256", "--log-level", "error",
	                       "--lcores", "0@0", "--no-telemetry", NULL};
	const struct tcp_up up = {.accepts = accepts, .on_accept = on_accept};

	CHECK(rte_eal_init(11, args) >= 0 && packet_pools_init(&net.pools, "bench", -1, 20) == OK);
	net.shard = (struct shard){.now_ns = NS_PER_S, .counters = &net.counters, .workers = 1,
	                            .recv_max = UINT32_MAX};
	net.shard.pools = net.pools;
	rng_init(&net.shard.rng, 1);
	wheel_init(&net.shard.wheel, net.shard.now_ns);
	net.ip = (struct ip){.mtu = 1500, .sent = on_sent};
	net.tcp = tcp_new(&net.shard, &net.ip, &up);
	net.text = rte_pktmbuf_alloc(net.pools.payload);
	memset(rte_pktmbuf_append(net.text, SEGMENT), 'x', SEGMENT);
	open_all(CONNS_MAX);
	measure(32, 128);
	measure(32, 1400);
	measure(CONNS_MAX, 128);
	measure(CONNS_MAX, 1400);
	net.sent = 0;
	measure(32, 128);
	CHECK(net.sent == ROUNDS * BURST); /* one segment out for each in: ACKs ride on responses */
	measure_holes();
	measure_sack();
	measure_connections();
	return 0;
}
