/*
 * Packets in: the input is a program in a small language, by which peers of four flows and the users of their
 * connections do what they like. Frames go in by the IP layer and come out of the port; between them is the true stack.
 *
 * Flows 0 and 1 are opened by their peers (IPv4, IPv6), 2 and 3 by us. An operation is a byte, whose low two bits say
 * which flow, and its arguments; bytes behind the end are 0, and 0 always means what is usual. What the peers send lies
 * where the true connection stands (its sequence numbers, timestamps, window), plus a difference: so most of it is
 * looked at closely, and whatever the stack must refuse has the wrong bytes, which then must never be delivered.
 *
 * What must hold after each operation: tests/support/tcp_invariants.c of every connection. Of each frame that is sent:
 * its checksums are right, and it is what its flow allows (packet_flow.h). Users get the peer's stream, each byte in
 * its place, its end once. At the end users leave, peers are silent, time passes; then nothing is left and every mbuf
 * is back.
 */
#include "tests/fuzz/packet_net.h"
#include "tests/fuzz/packet_segment.h"
#include "tests/fuzz/packet_user.h"

#include "tests/support/tcp_invariants.h"
#include "tests/unit/dpdk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { OPERATIONS_MAX = 300, CONNS_MAX = 64 };

/* ---- what is sent ---- */

static void check_tcp(const struct addr *from, const struct addr *to, unsigned ect, const uint8_t *at, size_t n)
{
	struct wire_segment g;

	MUST(wire_decode(&g, at, n) == NULL);
	for (struct flow *f = net.flow; f < net.flow + FLOWS; f++) {
		if (f->tuple.local_port != g.source || f->tuple.remote_port != g.destination ||
		    !addr_equal(&f->tuple.local, from) || !addr_equal(&f->tuple.remote, to))
			continue;
		flow_check(f, &g);
		/* RFC 3168, 6.1.1 and 6.1.5: what carries new data may be marked, when the peer has agreed. */
		MUST(ect == 0 || (f->ecn && g.len > 0 && !(g.flags & FLAG_S)));
		return;
	}
	MUST(g.len == 0); /* TIME_WAIT of an earlier connection of a flow that we opened, or a reset */
}

static struct addr addr_at(const uint8_t *at, bool v4)
{
	struct addr a;
	uint32_t word4;

	if (v4) {
		memcpy(&word4, at, sizeof(word4));
		return addr_v4(word4);
	}
	memcpy(&a, at, sizeof(a));
	return a;
}

static void check_frame(const uint8_t *f, size_t n)
{
	const uint8_t *h = f + ETH;
	const bool v4 = get(f + 12, 2) == 0x0800;
	const size_t header = v4 ? IP4 : IP6;
	const unsigned protocol = v4 ? h[9] : h[6];
	const struct addr none = {0};
	struct addr from, to;

	MUST(n >= ETH + 20 && n <= 1514);
	if (get(f + 12, 2) == 0x0806) {
		net.asked4 |= get(h + 6, 2) == 1 && h[27] == 2;
		return;
	}
	MUST(n >= ETH + header && (v4 || get(f + 12, 2) == 0x86dd));
	if (v4)
		MUST(h[0] == 0x45 && get(h + 2, 2) == n - ETH && sum_of(&none, &none, IPPROTO_ICMP, h, IP4) == 0xffff);
	else
		MUST(h[0] >> 4 == 6 && get(h + 4, 2) == n - ETH - IP6);
	from = addr_at(v4 ? h + 12 : h + 8, v4);
	to = addr_at(v4 ? h + 16 : h + 24, v4);
	MUST(sum_of(&from, &to, protocol, h + header, n - ETH - header) == 0xffff);
	if (protocol == IPPROTO_TCP)
		check_tcp(&from, &to, (v4 ? h[1] : h[1] >> 4) & 3u, h + header, n - ETH - header);
	else if (!v4 && h[IP6] == 135)
		net.asked6 |= h[IP6 + 23] == 2;
}

static uint16_t wire_tx(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	static uint8_t f[65536];

	(void)p;
	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		const void *bytes = rte_pktmbuf_read(m[i], 0, m[i]->pkt_len, f);

		MUST(bytes != NULL);
		check_frame(bytes, m[i]->pkt_len);
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

/* ---- operations ---- */

static void settle(void);

/* An opening as it should be: by the peer, or the answer to ours. */
static void op_open(struct input *in, unsigned i)
{
	struct flow *f = &net.flow[i];
	const struct bases b = bases_of(f);
	const bool ours = conn_of(f) != NULL;
	struct wire_segment g = {.flags = FLAG_S | (ours ? FLAG_A : 0), .ack = ours ? b.ack[0] : 0, .window = 65535,
	                         .tsval = b.tsval, .tsecr = ours ? b.tsecr : 0};
	const struct travel t = {0};

	syn_options(in, &g);
	g.seq = (uint32_t)byte(in) << 24 | 0x00fffff0;
	transmit(f, &g, &t);
	settle();
	if (!ours)
		behave(f, 0, 0);
}

static void op_connect(struct input *in, unsigned i)
{
	struct user *u = &net.user[i];
	struct flow *f = &net.flow[i];
	const struct tcp_connect how = {.remote = f->tuple.remote, .remote_port = f->tuple.remote_port,
	                                .connect_timeout_ms = byte(in) * 100, .sending = sending_to(&f->tuple.remote),
	                                .ops = &ops, .user = u};
	struct tcp_conn *c;

	if (u->conn || conn_of(f) || i < 2)
		return;
	begin_anew(f);
	if (tcp_connect(net.tcp, &how, &c) != OK)
		return;
	f->tuple = *tcp_tuple(c);
	flow_begin(f, c->snd_una);
	adopt(i, c);
}

static void op_segment(struct input *in, unsigned i)
{
	segment(in, &net.flow[i]);
}

static void op_behave(struct input *in, unsigned i)
{
	const unsigned how = byte(in);

	for (unsigned n = 0; n <= (how & 7); n++)
		behave(&net.flow[i], how & 8 ? byte(in) * 8 % 1424 : how & 16 ? 1400 : 0, how & 32 && n == (how & 7) ? FLAG_F : 0);
}

/* The same four segments behind a hole, at once: duplicate ACKs of the peer's, with SACK if it likes. */
static void op_repeat(struct input *in, unsigned i)
{
	const unsigned n = byte(in) % 16;
	const struct input again = *in;

	for (unsigned k = 0; k <= n; k++) {
		*in = again;
		segment(in, &net.flow[i]);
	}
}

static void op_send(struct input *in, unsigned i)
{
	const unsigned much = byte(in), slice = byte(in);

	send_some(i, much * much, slice == 0 ? 2048 : slice);
}

static void op_user(struct input *in, unsigned i)
{
	struct user *u = &net.user[i];
	const unsigned what = byte(in) % 16, much = what < 4 ? byte(in) : 0;

	u->hold = what == 4 ? true : what == 5 ? false : u->hold;
	u->abort_next |= what == 6;
	u->detach_next |= what == 7;
	u->shut_next |= what == 8;
	u->send_next |= what == 9;
	if (what == 0)
		give_back(i, much);
	if (!u->conn)
		return;
	if (what == 1)
		tcp_keepalive(u->conn, much * 100, 1000, much % 5);
	else if (what == 2)
		tcp_more(u->conn, much & 1);
	else if (what == 10)
		shut(i);
	else if (what == 11)
		leave(i);
	else if (what == 12)
		tcp_abort(u->conn, ERR_CONN_ABORTED);
}

static struct rte_mempool *pool_of(unsigned which)
{
	struct rte_mempool *const pools[4] = {net.pools.header, net.pools.reference, net.pools.payload, net.pools.rx};

	return pools[which & 3];
}

static void op_memory(struct input *in, unsigned i)
{
	const unsigned left = byte(in);
	struct rte_mbuf *m;

	if (net.hoard_n > 0) {
		rte_pktmbuf_free_bulk(net.hoard, net.hoard_n);
		net.hoard_n = 0;
		return;
	}
	while (net.hoard_n < HOARD && (m = rte_pktmbuf_alloc(pool_of(i))) != NULL)
		net.hoard[net.hoard_n++] = m;
	for (unsigned k = 0; k < (left & 15) && net.hoard_n > 0; k++)
		rte_pktmbuf_free(net.hoard[--net.hoard_n]);
}

static void op_shed(struct input *in, unsigned i)
{
	(void)i;
	net.shard.shed = (uint8_t)byte(in);
}

static void op_deaf(struct input *in, unsigned i)
{
	(void)in;
	net.deaf = i & 1;
}

/* An ICMP error about a segment that was sent, or that never was. */
static void op_icmp(struct input *in, unsigned i)
{
	static const uint8_t types4[8][2] = {{3, 0}, {3, 1}, {3, 3}, {3, 4}, {11, 0}, {12, 0}, {3, 2}, {3, 13}};
	static const uint8_t types6[8][2] = {{1, 0}, {1, 3}, {1, 4}, {2, 0}, {3, 0}, {4, 0}, {1, 1}, {1, 6}};
	const struct flow *f = &net.flow[i];
	const bool v4 = addr_is_v4(&f->tuple.local);
	const unsigned what = byte(in), mtu = word(in);
	const struct bases b = bases_of(f);
	uint8_t icmp[256] = {0}, about[128], segment_start[20] = {0}, frame[FRAME_MAX];
	size_t n;

	put(segment_start, 0, f->tuple.local_port, 2);
	put(segment_start, 2, f->tuple.remote_port ^ (what & 64 ? 1u : 0u), 2);
	put(segment_start, 4, b.ack[what >> 3 & 3] + difference(in, what & 32 ? 1 + byte(in) % 3 : 0, b.mss), 4);
	segment_start[12] = 5 << 4;
	n = encapsulate(about, &f->tuple.local, &f->tuple.remote, IPPROTO_TCP, 0, segment_start, what & 128 ? 8 : 20);
	memcpy(icmp, v4 ? types4[what & 7] : types6[what & 7], 2);
	put(icmp, 4, mtu, 4);
	memcpy(icmp + 8, about + ETH, n - ETH);
	n += 8 - ETH;
	put(icmp, 2, (uint16_t)~sum_of(&f->tuple.remote, &f->tuple.local, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, icmp, n), 2);
	n = encapsulate(frame, &f->tuple.remote, &f->tuple.local, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 0, icmp, n);
	receive(frame, n, 0);
}

/* ---- rounds and time ---- */

static uint32_t charged(const struct tcp_conn *c)
{
	for (unsigned i = 0; i < FLOWS; i++) {
		const struct user *u = &net.user[i];

		if (u->conn == c)
			return u->held_cost;
		if (u->left == c && tuple_equal(&net.flow[i].tuple, &c->tuple))
			return u->left_cost;
	}
	return 0;
}

static void must_be_null(const char *broken)
{
	if (!broken)
		return;
	fprintf(stderr, "does not hold: %s\n", broken);
	abort();
}

static void check_all(void)
{
	const struct pool *p = &net.tcp->conns;

	/* The pool hands out low indices first, and there are few connections: no need to look at all of it. */
	MUST(pool_used(p) < CONNS_MAX);
	for (uint32_t i = 0; i < CONNS_MAX; i++)
		if (p->generation[i] & 1) {
			const struct tcp_conn *c = (const struct tcp_conn *)(p->objects + (size_t)i * p->size);

			must_be_null(invariant_broken(c, charged(c)));
			must_be_null(invariant_broken_in_queues(c, charged(c)));
		}
}

/* The end of a round, and what follows from it at once. */
static void settle(void)
{
	for (int i = 0; i < 4; i++) {
		tcp_flush(net.tcp);
		port_tx_flush(&net.tx);
		if (net.deaf || (!net.asked4 && !net.asked6))
			break;
		if (net.asked4)
			answer4();
		if (net.asked6)
			answer6();
	}
	check_all();
}

/* From timer to timer, so that none fires late. */
static void pass(uint64_t ns)
{
	const uint64_t end = net.shard.now_ns + ns;

	for (int steps = 0; net.shard.now_ns < end && steps < 300; steps++) {
		const uint64_t next = wheel_next_ns(&net.shard.wheel), now = net.shard.now_ns;

		net.shard.now_ns = next >= end ? end : next > now + NS_PER_MS ? next : now + NS_PER_MS;
		wheel_advance(&net.shard.wheel, net.shard.now_ns, 1024);
		settle();
	}
}

static void op_time(struct input *in, unsigned i)
{
	static const uint32_t ms[16] = {0,    1,     10,    40,    100,   210,    500,    1000,
	                                3000, 10000, 30000, 60000, 65000, 120000, 600000, 3600000};
	const unsigned what = byte(in);
	const uint64_t next = wheel_next_ns(&net.shard.wheel), now = net.shard.now_ns;

	(void)i;
	if ((what & 15) == 0)
		pass(next > now && next - now < 3600 * NS_PER_S ? next - now : NS_PER_MS);
	else
		pass(ms[what & 15] * NS_PER_MS + (what >> 4) * NS_PER_MS);
}

static void (*const operations[32])(struct input *in, unsigned flow) = {
	op_open, op_segment, op_behave, op_send, op_time, op_user, op_connect, op_repeat, op_icmp, op_memory, op_deaf,
	op_shed,
	op_segment, op_segment, op_segment, op_time, op_behave, op_user, op_segment, op_segment, op_time, op_send, op_segment,
	op_segment, op_segment, op_segment, op_segment, op_segment, op_segment, op_segment, op_segment, op_segment,
};

static void operation(struct input *in)
{
	const unsigned what = byte(in);

	operations[what >> 2 & 31](in, what & 3);
	if (!(what & 128))
		settle(); /* else the round goes on */
}

/* ---- one input ---- */

static struct addr parse(const char *text)
{
	struct addr a;

	MUST(addr_parse(text, &a) == OK);
	return a;
}

static void on_tcp(void *up, const struct ip_datagram *d)
{
	(void)up;
	tcp_input(net.tcp, d);
}

static void on_icmp_error(void *up, const struct ip_icmp_error *e)
{
	(void)up;
	tcp_icmp_error(net.tcp, e);
}

static void on_hand_over(void *up, struct rte_mbuf *m, uint16_t worker)
{
	(void)up;
	(void)m;
	(void)worker;
	MUST(!"there is one worker");
}

static void addresses(void)
{
	static const struct {
		const char *addr;
		uint8_t bits, virtual;
	} all[4] = {{"198.18.0.1", 120, 0}, {"2001:2::1", 64, 0}, {"198.18.0.10", 120, 1}, {"2001:2::10", 64, 1}};

	memset(&net.g, 0, sizeof(net.g));
	net.g.t.addresses.at = (uint32_t)((char *)net.g.addresses - (char *)&net.g.t);
	for (int i = 0; i < 4; i++)
		net.g.addresses[net.g.t.addresses.n++] = (struct table_address){
			.addr = parse(all[i].addr), .prefix_bits = all[i].bits, .virtual = all[i].virtual};
	net.shard.table = &net.g.t;
}

static void start_ip(void)
{
	const struct ip_up up = {.on_tcp = on_tcp, .on_icmp_error = on_icmp_error, .on_hand_over = on_hand_over};

	net.port = (struct port){.queues = 1, .mtu = 1500, .mac = {{2, 0, 0, 0, 0, 1}}, .tx_burst = wire_tx,
	                         .offloads = PORT_TX_MULTI_SEGS};
	net.tx = (struct port_tx){.port = &net.port, .shard = &net.shard};
	net.link = ip_link_new(1);
	net.ip = ip_new(&net.shard, net.link, &net.tx, 1, &up);
	addresses();
	ip_apply(net.ip);
}

static void start(void)
{
	const struct tcp_up up = {.accepts = accepts, .on_accept = on_accept};

	memset(net.user, 0, sizeof(net.user));
	memset(net.flow, 0, sizeof(net.flow));
	net.deaf = net.asked4 = net.asked6 = false;
	net.shard = (struct shard){.now_ns = 1000 * NS_PER_S, .counters = &net.counters, .workers = 1, .pools = net.pools,
	                            .recv_max = LIMIT_tcp_recv_buffer};
	rng_init(&net.shard.rng, 1);
	wheel_init(&net.shard.wheel, net.shard.now_ns);
	for (unsigned i = 0; i < FLOWS; i++)
		net.flow[i].tuple = (struct tuple){
			.local = parse(i & 1 ? "2001:2::10" : "198.18.0.10"), .remote = parse(i & 1 ? "2001:2::2" : "198.18.0.2"),
			.local_port = (uint16_t)(i < 2 ? 80 : 81), .remote_port = (uint16_t)(4000 + i), .protocol = IPPROTO_TCP};
	start_ip();
	/* Pools of full size take longer to make than an input to run: one TCP serves all, and forgets all. */
	if (!net.tcp)
		net.tcp = tcp_new(&net.shard, net.ip, &up);
	net.tcp->ip = net.ip;
	net.tcp->clock_ns = 0;
	net.tcp->challenges = net.tcp->resets = (struct reply_budget){0};
	for (int i = 0; i < 60; i++) { /* the virtual addresses become active */
		net.shard.now_ns += 16 * NS_PER_MS;
		wheel_advance(&net.shard.wheel, net.shard.now_ns, 1024);
	}
	answer4();
	answer6();
	settle();
	MUST(ip_address_state(net.link, &net.flow[0].tuple.local) == IP_ADDRESS_ACTIVE);
}

static void finish(void)
{
	rte_pktmbuf_free_bulk(net.hoard, net.hoard_n);
	net.hoard_n = 0;
	for (unsigned i = 0; i < FLOWS; i++) {
		struct user *u = &net.user[i];

		u->send_next = u->shut_next = u->abort_next = u->detach_next = false;
		give_back(i, u->held_n);
		if (u->conn)
			leave(i);
	}
	settle();
	for (unsigned i = 0; i < 60 && (tcp_conns(net.tcp) > 0 || timer_armed(&net.tcp->wait_timer)); i++)
		pass(10 * NS_PER_S);
	MUST(tcp_conns(net.tcp) == 0 && net.tcp->backlog.all == 0);
	MUST(pool_used(&net.tcp->chunks) == 0 && pool_used(&net.tcp->ooos) == 0 && net.tcp->table.used == 0);
	MUST(pool_used(&net.tcp->ports.destinations) == 0 && pool_used(&net.tcp->ports.maps) == 0);
	ip_free(net.ip);
	ip_link_free(net.link);
	MUST(net.shard.wheel.armed == 0);
	for (unsigned i = 0; i < 4; i++)
		MUST(rte_mempool_in_use_count(pool_of(i)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct input in = {bytes, bytes + n};

	start();
	for (int i = 0; in.at < in.end && i < OPERATIONS_MAX; i++)
		operation(&in);
	finish();
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	dpdk_start();
	MUST(packet_pools_init(&net.pools, "fuzz", -1, 5) == OK);
	return 0;
}
