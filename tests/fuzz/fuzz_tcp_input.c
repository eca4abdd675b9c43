/*
 * Segments in, in any order, on four tuples that are open, closing or nobody's; the user does what users do in between
 * and in the middle of callbacks, memory runs short, time passes.
 *
 * The input is a list of records. The first byte says what, its low two bits which tuple; arguments follow:
 *   0x00-0x7f  a segment: flags, 16-bit offsets of seq and ack from where the connection stands, window, payload length
 *              (times 8), a byte of options (bit 0: timestamps, with a 16-bit offset; bits 1-2: mss, window scale;
 *              bit 3: raw bytes, bit 4: a wrong checksum); bit 6 of the record: the round goes on
 *   0x80-0x9f  time: one byte, times itself, in ms; after that the round ends
 *   0xa0-0xdf  the user: one byte of what (see act()), one of how much
 *   0xe0-0xef  memory: takes or gives back all header or reference mbufs
 *   0xf0-0xff  ICMP error
 *
 * What must hold after each record: check_conn(). What the user gets is the peer's stream, what is sent is ours; every
 * segment decodes. At the end, with the users gone and the peers silent, all connections end by themselves and every
 * mbuf is back.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/wire/codec.c"
#include "tests/wire/ip_double.c"

#include <rte_eal.h>
#include <rte_mempool.h>

#include "tcp/conn.h"
#include "tcp/ooo.h"
#include "tcp/wait.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { FLOWS = 4, HELD = 256, HOARD = 4096, CONNS_MAX = 512 };

#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), abort()))

struct user {
	struct tcp_conn *conn;     /* null: none, or gone */
	bool told;                 /* on_closed() came */
	bool hold, abort_next, detach_next, shut_next, send_next;
	uint32_t irs, iss;
	uint64_t in_offset, out_offset;
	struct rte_mbuf *held[HELD];
	unsigned held_n;
	uint32_t held_cost;
};

static struct {
	struct packet_pools pools;
	struct shard shard;
	struct counters counters;
	struct ip ip;
	struct tcp *tcp;
	struct user user[FLOWS];
	struct tuple tuple[FLOWS];
	struct rte_mbuf *hoard[HOARD];
	unsigned hoard_n;
} net;

struct input {
	const uint8_t *at, *end;
};

static unsigned byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static uint32_t offset16(struct input *in)
{
	const unsigned low = byte(in);

	return (uint32_t)(int16_t)(low | byte(in) << 8);
}

/* By sequence number, so that it does not matter how often a byte comes. */
static uint8_t stream(uint64_t at, unsigned direction)
{
	return (uint8_t)(at * 13 + at / 256 + direction);
}

/* ---- the user ---- */

static void send_some(struct user *u, unsigned n, unsigned slice)
{
	while (n > 0 && u->conn) {
		const unsigned some = n < slice ? n : slice;
		struct rte_mbuf *m = rte_pktmbuf_alloc(net.pools.payload);
		struct slice s;
		char *at;

		if (!m)
			return;
		at = rte_pktmbuf_append(m, (uint16_t)some);
		for (unsigned i = 0; i < some; i++)
			at[i] = (char)stream(u->out_offset + i, 1);
		s = slice_of(m, at, (uint16_t)some);
		rte_pktmbuf_free(m);
		if (!tcp_send(u->conn, s)) {
			slice_free(&s);
			return;
		}
		u->out_offset += some;
		n -= some;
	}
}

/* What a user may do inside of any callback. */
static void misbehave(struct user *u)
{
	if (u->send_next)
		send_some(u, 3000, 700);
	if (u->shut_next && u->conn)
		tcp_shutdown(u->conn);
	if (u->detach_next && u->conn) {
		struct tcp_conn *c = u->conn;

		u->conn = NULL;
		tcp_detach(c);
	}
	if (u->abort_next && u->conn)
		tcp_abort(u->conn, ERR_CONN_ABORTED);
	u->send_next = u->shut_next = u->detach_next = u->abort_next = false;
}

static void on_open(void *user)
{
	MUST(((struct user *)user)->conn != NULL);
	misbehave(user);
}

static void give_back(struct user *u, unsigned n)
{
	unsigned i = 0;

	for (; i < n && i < u->held_n; i++) {
		const uint32_t cost = tcp_cost(u->held[i]);

		u->held_cost -= cost;
		rte_pktmbuf_free(u->held[i]);
		if (u->conn)
			tcp_credit(u->conn, cost);
	}
	memmove(u->held, u->held + i, (u->held_n - i) * sizeof(u->held[0]));
	u->held_n -= i;
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct user *u = user;
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);

	MUST(u->conn != NULL && m->nb_segs == 1 && m->next == NULL && m->pkt_len == m->data_len && m->data_len > 0);
	for (unsigned i = 0; i < m->data_len; i++)
		MUST(at[i] == stream(u->in_offset + i, 0));
	u->in_offset += m->data_len;
	MUST(u->held_n < HELD || !u->hold);
	u->held[u->held_n++] = m;
	u->held_cost += tcp_cost(m);
	MUST(u->held_cost <= LIMIT_tcp_recv_buffer / 2 * 3);
	if (!u->hold || u->held_n == HELD)
		give_back(u, u->held_n);
	misbehave(u);
}

static void on_eof(void *user)
{
	MUST(((struct user *)user)->conn != NULL);
	misbehave(user);
}

static void on_acked(void *user, uint32_t bytes)
{
	(void)bytes;
	MUST(((struct user *)user)->conn != NULL);
	misbehave(user);
}

static void on_closed(void *user, enum err why)
{
	struct user *u = user;

	(void)why;
	MUST(u->conn != NULL && !u->told);
	u->told = true;
	u->conn = NULL;
}

static const struct tcp_user_ops ops = {
	.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_acked = on_acked, .on_closed = on_closed,
};

static void adopt(struct user *u, struct tcp_conn *c)
{
	give_back(u, u->held_n);
	u->conn = c;
	u->told = false;
	u->in_offset = u->out_offset = 0;
}

static bool accepts(void *up, const struct tuple *t, struct tcp_sending *sending)
{
	(void)up;
	/* By port, so that a case keeps its meaning. */
	*sending = (struct tcp_sending){.control = TCP_CONTROL_cubic, .pacing = t->remote_port & 1, .ecn = t->remote_port & 2};
	return t->remote_port != 4003;
}

static void on_accept(void *up, struct tcp_conn *c)
{
	struct user *u = &net.user[tcp_tuple(c)->remote_port & 3];

	(void)up;
	MUST(u->conn == NULL);
	adopt(u, c);
	tcp_set_user(c, &ops, u);
	misbehave(u);
}

/* ---- what is sent ---- */

static void on_sent(void *arg, const struct tuple *t, struct rte_mbuf *m)
{
	static uint8_t bytes[4096];
	struct wire_segment g;
	uint32_t n = 0;

	(void)arg;
	MUST(rte_mbuf_refcnt_read(m) == 1 && rte_pktmbuf_headroom(m) >= PACKET_HEADROOM && m->pkt_len <= 1480);
	for (const struct rte_mbuf *s = m; s; s = s->next) {
		memcpy(bytes + n, rte_pktmbuf_mtod(s, void *), s->data_len);
		n += s->data_len;
	}
	MUST(n == m->pkt_len);
	MUST(wire_decode(&g, bytes, n) == NULL);
	MUST(g.source == t->local_port && g.destination == t->remote_port);
	for (const struct user *u = net.user; u < net.user + FLOWS; u++) {
		if (!u->conn || !tuple_equal(tcp_tuple(u->conn), t))
			continue;
		const uint64_t at = u->out_offset - u->conn->queued + (g.seq - u->conn->snd_una);

		for (unsigned i = 0; i < g.len; i++)
			MUST(g.payload[i] == stream(at + i, 1));
	}
	rte_pktmbuf_free(m);
}

/* ---- what must hold ---- */

static void check_conn(const struct tcp_conn *c)
{
	const struct user *u = c->user;
	uint32_t held = 0;
	bool waits;

	MUST(c->magic == CONN_MAGIC && c->state != TCP_CLOSED && c->state != TCP_TIME_WAIT);
	MUST(seq_le(c->snd_una, c->snd_nxt) && seq_le(c->snd_nxt, c->snd_max));
	MUST(seq_le(c->rcv_nxt, c->rcv_adv) || !conn_synchronised(c));
	if (c->ooo) {
		MUST(!ooo_empty(c->ooo));
		for (uint32_t i = 0, edge = c->rcv_nxt; i < c->ooo->n; i++) {
			const struct ooo_range *r = &c->ooo->range[c->ooo->order[i]];
			uint32_t bytes = 0;

			MUST(seq_gt(r->bytes.left, edge));
			edge = r->bytes.right;
			for (const struct rte_mbuf *m = r->first; m; m = m->next) {
				bytes += m->data_len;
				held += tcp_cost(m);
				MUST(m->next || m == r->last);
			}
			MUST(bytes > 0 && bytes == r->bytes.right - r->bytes.left);
		}
	}
	if (c->ops)
		MUST(c->rcv_held == held + u->held_cost);
	MUST(c->rcv_held <= LIMIT_tcp_recv_buffer / 2 * 3);
	if (!conn_synchronised(c)) {
		MUST(timer_on(c, TIMER_REXMIT));
		return;
	}
	MUST(c->cwnd >= c->mss && c->mss >= MSS_MIN - 12);
	MUST(c->queued <= LIMIT_tcp_send_buffer);
	MUST(seq_le(c->snd_max, conn_fin_seq(c) + 1));
	/* Whatever waits for something that may never come has a timer. */
	waits = seq_lt(c->snd_nxt, conn_fin_seq(c) + (c->flags & CONN_FIN ? 1 : 0)) && !(c->flags & CONN_MORE);
	MUST(!(c->snd_max != c->snd_una || waits) || timer_on(c, TIMER_REXMIT));
	MUST(c->timers == 0 || timer_armed(&c->timer));
	MUST(c->ops || timer_on(c, TIMER_LIFE));
}

static void check_all(void)
{
	const struct pool *p = &net.tcp->conns;

	/* The pool hands out low indices first, and there are few connections: no need to look at all of it. */
	MUST(pool_used(p) < CONNS_MAX);
	for (uint32_t i = 0; i < CONNS_MAX; i++)
		if (p->generation[i] & 1)
			check_conn((const struct tcp_conn *)(p->objects + (size_t)i * p->size));
	MUST(net.tcp->half_open <= LIMIT_tcp_syn_backlog);
}

static void end_round(void)
{
	tcp_flush(net.tcp);
	check_all();
}

/* ---- records ---- */

static void segment(struct input *in, unsigned flow)
{
	const struct tuple *t = &net.tuple[flow];
	struct ip_datagram d = {.tuple = *t};
	struct wire_segment g = {.source = t->remote_port, .destination = t->local_port, .flags = byte(in) & 0x3f};
	uint32_t seq = offset16(in), ack = offset16(in);
	static uint8_t payload[2048], bytes[2304];
	uint64_t at = 0;
	unsigned options;
	bool wait = false;
	void *found = table_tcp_find(&net.tcp->table, t, table_tcp_hash(&net.tcp->table, t), &wait);

	g.window = (uint16_t)(byte(in) * byte(in));
	g.len = byte(in) * 8 % 1400;
	options = byte(in);
	g.has_ts = options & 1;
	g.tsval = net.tcp->now_ms + (g.has_ts ? offset16(in) : 0);
	g.has_mss = options & 2;
	g.mss = (uint16_t)(g.has_mss ? byte(in) * 16 : 0);
	g.has_scale = options & 4;
	g.scale = (uint8_t)(g.has_scale ? byte(in) : 0);
	if (options & 8)
		for (unsigned n = byte(in) % 20; g.raw_bytes < n;)
			g.raw_options[g.raw_bytes++] = (uint8_t)byte(in);
	g.bad_checksum = options & 16;
	if (found && wait) {
		seq += ((struct tcp_wait *)found)->rcv_nxt;
		ack += ((struct tcp_wait *)found)->snd_nxt;
	} else if (found) {
		const struct tcp_conn *c = found;

		/* Where that is in the peer's stream: what was delivered ends at rcv_nxt. */
		at = c->bytes_in + (uint64_t)(int64_t)(int32_t)seq;
		seq += c->rcv_nxt;
		ack += c->snd_max;
		g.tsecr = net.tcp->now_ms + c->ts_offset;
	}
	for (unsigned i = 0; i < g.len; i++)
		payload[i] = stream(at + i + (g.flags & FLAG_S ? 1 : 0), 0);
	g.payload = payload;
	g.seq = seq;
	g.ack = ack;
	d.l4_bytes = (uint16_t)wire_encode(&g, &t->remote, &t->local, bytes, sizeof(bytes));
	d.m = rte_pktmbuf_alloc(net.pools.rx);
	if (!d.m || d.l4_bytes == 0) {
		rte_pktmbuf_free(d.m);
		return;
	}
	memcpy(rte_pktmbuf_append(d.m, d.l4_bytes), bytes, d.l4_bytes);
	tcp_input(net.tcp, &d);
}

static void act(struct input *in, unsigned flow)
{
	struct user *u = &net.user[flow];
	const unsigned what = byte(in) % 16, much = byte(in);
	const struct tcp_connect how = {.remote = net.tuple[flow].remote, .remote_port = net.tuple[flow].remote_port,
	                                .connect_timeout_ms = much * 100, .ops = &ops, .user = u};

	if (what == 0 && !u->conn) {
		struct tcp_conn *c;

		if (tcp_connect(net.tcp, &how, &c) != OK)
			return;
		adopt(u, c);
		net.tuple[flow] = *tcp_tuple(c);
	}
	u->hold = what == 1 ? true : what == 2 ? false : u->hold;
	u->abort_next |= what == 3;
	u->detach_next |= what == 4;
	u->shut_next |= what == 5;
	u->send_next |= what == 6;
	if (what == 7)
		give_back(u, much);
	if (!u->conn)
		return;
	if (what == 8 || what == 9)
		send_some(u, much * much, what == 8 ? 2048 : 1 + much);
	else if (what == 10)
		tcp_more(u->conn, much & 1);
	else if (what == 11)
		tcp_shutdown(u->conn);
	else if (what == 12)
		tcp_keepalive(u->conn, much * 100, 1000, much % 5);
	else if (what == 13)
		u->detach_next = true, misbehave(u);
	else if (what == 14)
		u->abort_next = true, misbehave(u);
	else if (what == 15)
		send_some(u, 1 + much, 2048);
}

static void memory(struct input *in)
{
	struct rte_mempool *pool = byte(in) & 1 ? net.pools.header : net.pools.reference;
	struct rte_mbuf *m;

	if (net.hoard_n > 0) {
		rte_pktmbuf_free_bulk(net.hoard, net.hoard_n);
		net.hoard_n = 0;
		return;
	}
	while (net.hoard_n < HOARD && (m = rte_pktmbuf_alloc(pool)) != NULL)
		net.hoard[net.hoard_n++] = m;
}

static void icmp(struct input *in, unsigned flow)
{
	struct ip_icmp_error e = {.tuple = net.tuple[flow], .type = 3, .code = (uint8_t)byte(in)};
	bool wait = false;
	const struct tcp_conn *c =
		table_tcp_find(&net.tcp->table, &e.tuple, table_tcp_hash(&net.tcp->table, &e.tuple), &wait);

	e.sequence = offset16(in) + (c && !wait ? c->snd_una : 0);
	tcp_icmp_error(net.tcp, &e);
}

static void pass(uint64_t ns)
{
	net.shard.now_ns += ns;
	wheel_advance(&net.shard.wheel, net.shard.now_ns, 1024);
	end_round();
}

static void square(struct input *in)
{
	const uint64_t n = byte(in);

	pass(n * n * NS_PER_MS);
}

static void start(void)
{
	const struct tcp_up up = {.accepts = accepts, .on_accept = on_accept};

	memset(net.user, 0, sizeof(net.user));
	net.shard = (struct shard){.now_ns = 1000 * NS_PER_S, .counters = &net.counters, .workers = 1};
	net.shard.pools = net.pools;
	rng_init(&net.shard.rng, 1);
	wheel_init(&net.shard.wheel, net.shard.now_ns);
	net.ip = (struct ip){.mtu = 1500, .sent = on_sent, .source4 = addr_v4(0x0100007f)};
	for (unsigned i = 0; i < FLOWS; i++)
		net.tuple[i] = (struct tuple){.local = addr_v4(0x0a00c612), .remote = addr_v4(0x0200c612),
		                              .local_port = 80, .remote_port = (uint16_t)(4000 + i), .protocol = 6};
	/* Pools of full size take longer to make than an input to run: one TCP serves all, and forgets all. */
	if (!net.tcp)
		net.tcp = tcp_new(&net.shard, &net.ip, &up);
	net.tcp->clock_ns = 0;
	net.tcp->challenge_second = net.tcp->challenges_left = 0;
	net.tcp->ports_full_n = net.tcp->ports_full_next = 0;
	memset(net.tcp->ports_full, 0, sizeof(net.tcp->ports_full));
}

static void finish(void)
{
	rte_pktmbuf_free_bulk(net.hoard, net.hoard_n);
	net.hoard_n = 0;
	for (unsigned i = 0; i < FLOWS; i++) {
		struct user *u = &net.user[i];

		u->detach_next = true;
		u->send_next = u->shut_next = u->abort_next = false;
		give_back(u, u->held_n);
		misbehave(u);
	}
	for (unsigned i = 0; i < 400 && tcp_conns(net.tcp) > 0; i++)
		pass(NS_PER_S);
	MUST(tcp_conns(net.tcp) == 0 && net.tcp->half_open == 0);
	MUST(pool_used(&net.tcp->chunks) == 0 && pool_used(&net.tcp->ooos) == 0 && net.tcp->table.used == 0);
	MUST(net.shard.wheel.armed == 0);
	MUST(rte_mempool_in_use_count(net.pools.rx) == 0 && rte_mempool_in_use_count(net.pools.header) == 0);
	MUST(rte_mempool_in_use_count(net.pools.payload) == 0 && rte_mempool_in_use_count(net.pools.reference) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct input in = {bytes, bytes + n};

	start();
	while (in.at < in.end) {
		const unsigned what = byte(&in), flow = what & 3;

		if (what < 0x80)
			segment(&in, flow);
		else if (what < 0xa0)
			square(&in);
		else if (what < 0xe0)
			act(&in, flow);
		else if (what < 0xf0)
			memory(&in);
		else
			icmp(&in, flow);
		if (what >= 0x80 || !(what & 0x40))
			end_round();
	}
	finish();
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char *args[] = {"fuzz", "--no-huge", "--no-shconf", "--no-pci", "-m", "256", "--log-level", "error",
	                       "--lcores", "0@0", "--no-telemetry", NULL};

	(void)argc;
	(void)argv;
	MUST(rte_eal_init(11, args) >= 0);
	MUST(packet_pools_init(&net.pools, "fuzz", SOCKET_ID_ANY, 5) == OK);
	return 0;
}
