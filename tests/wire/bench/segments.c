/*
 * Cycles per segment of the TCP layer alone: N connections in turn receive a request of 128 bytes and send a response of
 * 128 or 1400 bytes, which the next request acknowledges. No IP layer, no port: what is sent is freed.
 *
 * Prints the lowest quartile of the rounds, which leaves out those that the machine spent elsewhere.
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

enum { CONNS_MAX = 4096, ROUNDS = 2000, BURST = 32, REQUEST = 128 };

static struct {
	struct shard shard;
	struct counters counters;
	struct packet_pools pools;
	struct ip ip;
	struct tcp *tcp;
	struct tcp_conn *conn[CONNS_MAX];
	struct tuple tuple[CONNS_MAX];
	uint32_t seq[CONNS_MAX], ack[CONNS_MAX];
	unsigned accepted, response, sent;
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

static const struct tcp_user_ops ops = {.on_data = on_data, .on_acked = on_acked, .on_closed = on_closed};

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

static struct rte_mbuf *make(unsigned i, uint8_t flags, unsigned len, bool ts)
{
	static uint8_t payload[REQUEST], bytes[300];
	const struct wire_segment g = {
		.source = net.tuple[i].remote_port, .destination = 80, .seq = net.seq[i], .ack = net.ack[i], .flags = flags,
		.window = 65535, .has_mss = flags & FLAG_S, .mss = 1460, .has_scale = flags & FLAG_S, .scale = 7,
		.has_ts = ts, .tsval = net.tcp->now_ms, .payload = payload, .len = len,
		.raw_options = {1, 1}, .raw_bytes = flags & FLAG_S ? 0 : 2,
	};
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.pools.rx);
	const size_t n = wire_encode(&g, &net.tuple[i].remote, &net.tuple[i].local, bytes, sizeof(bytes));

	CHECK(m && n > 0);
	memcpy(rte_pktmbuf_append(m, (uint16_t)n), bytes, n);
	return m;
}

static void give(unsigned i, struct rte_mbuf *m)
{
	const struct ip_datagram d = {
		.tuple = net.tuple[i], .m = m, .l4_bytes = (uint16_t)m->pkt_len, .checksum_ok = true,
	};

	tcp_input(net.tcp, &d);
}

static void open_all(unsigned conns)
{
	for (unsigned i = 0; i < conns; i++) {
		struct tcp_conn *c;
		bool wait;

		net.tuple[i] = (struct tuple){.local = addr_v4(0x0a00c612), .remote = addr_v4(0x0200c612 + i),
		                              .local_port = 80, .remote_port = (uint16_t)(1024 + i), .protocol = IPPROTO_TCP};
		net.seq[i] = i * 1000;
		give(i, make(i, FLAG_S, 0, true));
		tcp_flush(net.tcp);
		c = table_tcp_find(&net.tcp->table, &net.tuple[i], table_tcp_hash(&net.tcp->table, &net.tuple[i]), &wait);
		net.seq[i]++;
		net.ack[i] = c->snd_nxt;
		give(i, make(i, FLAG_A, 0, true));
		tcp_flush(net.tcp);
	}
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(unsigned conns, unsigned response)
{
	static uint64_t in[ROUNDS], out[ROUNDS];
	struct rte_mbuf *m[BURST];
	unsigned at = 0;

	net.response = response;
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t t0, t1, t2;

		net.shard.now_ns += 20000;
		wheel_advance(&net.shard.wheel, net.shard.now_ns, 64);
		for (unsigned k = 0; k < BURST; k++)
			m[k] = make((at + k) % conns, FLAG_A | FLAG_P, REQUEST, true);
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
	qsort(in, ROUNDS, sizeof(in[0]), by_size);
	qsort(out, ROUNDS, sizeof(out[0]), by_size);
	printf("%5u connections, response %4u: in %4lu, out %4lu cycles per segment\n", conns, response,
	       in[ROUNDS / 8] / BURST, out[ROUNDS / 8] / BURST);
}

int main(void)
{
	static char *args[] = {"bench", "--no-huge", "--no-shconf", "--no-pci", "-m", "256", "--log-level", "error",
	                       "--lcores", "0@0", "--no-telemetry", NULL};
	const struct tcp_up up = {.accepts = accepts, .on_accept = on_accept};

	CHECK(rte_eal_init(11, args) >= 0 && packet_pools_init(&net.pools, "bench", -1, 20) == OK);
	net.shard = (struct shard){.now_ns = NS_PER_S, .counters = &net.counters, .workers = 1};
	net.shard.pools = net.pools;
	rng_init(&net.shard.rng, 1);
	wheel_init(&net.shard.wheel, net.shard.now_ns);
	net.ip = (struct ip){.mtu = 1500, .sent = on_sent};
	net.tcp = tcp_new(&net.shard, &net.ip, &up);
	net.text = rte_pktmbuf_alloc(net.pools.payload);
	memset(rte_pktmbuf_append(net.text, 1400), 'x', 1400);
	open_all(CONNS_MAX);
	measure(32, 128);
	measure(32, 1400);
	measure(CONNS_MAX, 128);
	measure(CONNS_MAX, 1400);
	net.sent = 0;
	measure(32, 128);
	CHECK(net.sent == ROUNDS * BURST); /* one segment out for each in: ACKs ride on responses */
	return 0;
}
