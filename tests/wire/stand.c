#include "tests/wire/stand.h"

#include <netinet/in.h>
#include <rte_eal.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"

void stand_boot(struct packet_pools *pools)
{
	static char *args[] = {"wire", "--no-huge", "--no-shconf", "--no-pci", "-m", "256", "--log-level", "error",
	                       "--lcores", "0@0", NULL};

	CHECK(rte_eal_init(10, args) >= 0);
	CHECK(packet_pools_init(pools, "wire", SOCKET_ID_ANY, 20) == OK);
}

static void tell(struct stand *s, const char *what)
{
	if (s->event_n == EVENTS_MAX) {
		s->wrong = "the user is told more than the stand can note";
		return;
	}
	snprintf(s->event[s->event_n++], sizeof(s->event[0]), "%s", what);
}

static void on_open(void *user)
{
	tell(user, "open");
}

static void credit(struct stand *s, struct rte_mbuf *m)
{
	uint32_t cost = tcp_cost(m);

	rte_pktmbuf_free(m);
	if (s->conn)
		tcp_credit(s->conn, cost);
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct stand *s = user;
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->nb_segs != 1 || m->pkt_len != m->data_len || m->data_len == 0)
		s->wrong = "on_data() with an mbuf that is empty or a chain";
	for (unsigned i = 0; i < m->data_len; i++)
		if (at[i] != stream_byte(s->in_offset + i, 0))
			s->wrong = "the user got a byte that the peer's stream does not have there";
	s->in_offset += m->data_len;
	s->got_bytes += m->data_len;
	if (s->abort_on_data && s->conn)
		tcp_abort(s->conn, ERR_CONN_ABORTED);
	if (s->hold && s->held_n < HELD_MAX)
		s->held[s->held_n++] = m;
	else
		credit(s, m);
}

static void on_eof(void *user)
{
	struct stand *s = user;

	tell(s, "eof");
	if (s->shutdown_on_eof)
		tcp_shutdown(s->conn);
}

static void on_acked(void *user, uint32_t bytes)
{
	((struct stand *)user)->acked_bytes += bytes;
}

static void on_closed(void *user, enum err why)
{
	struct stand *s = user;
	char text[48];

	snprintf(text, sizeof(text), "closed %s", why == OK ? "ok" : err_name(why));
	tell(s, text);
	s->conn = NULL;
}

static const struct tcp_user_ops ops = {
	.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_acked = on_acked, .on_closed = on_closed,
};

static bool accepts(void *up, const struct tuple *t, struct tcp_sending *sending)
{
	struct stand *s = up;

	(void)t;
	*sending = s->sending;
	return s->listens;
}

static void on_accept(void *up, struct tcp_conn *c)
{
	struct stand *s = up;

	tell(s, "accept");
	if (s->detach_on_accept) {
		tcp_detach(c);
		return;
	}
	s->conn = c;
	s->in_offset = s->out_offset = 0;
	tcp_set_user(c, &ops, s);
}

static void on_sent(void *arg, const struct tuple *t, struct rte_mbuf *m)
{
	struct stand *s = arg;
	struct stand_sent *sent;
	uint32_t total = 0;

	if (s->sent_n == SENT_MAX || m->pkt_len > SENT_BYTES) {
		s->wrong = "more segments, or longer ones, than the stand can note";
		rte_pktmbuf_free(m);
		return;
	}
	sent = &s->sent[(s->sent_first + s->sent_n++) % SENT_MAX];
	for (const struct rte_mbuf *at = m; at; at = at->next) {
		memcpy(sent->bytes + total, rte_pktmbuf_mtod(at, const void *), at->data_len);
		total += at->data_len;
	}
	if (total != m->pkt_len)
		s->wrong = "a segment whose length is not the sum of its mbufs";
	if (rte_pktmbuf_headroom(m) < PACKET_HEADROOM)
		s->wrong = "a segment without headroom";
	if (rte_mbuf_refcnt_read(m) != 1 || !RTE_MBUF_DIRECT(m))
		s->wrong = "a segment whose header mbuf is not its own";
	sent->n = total;
	sent->at_ns = s->shard.now_ns;
	sent->tuple = *t;
	sent->ecn = s->ip.traffic_class & 3;
	if (s->ip.traffic_class > 3)
		s->wrong = "a segment with a traffic class that nobody asked for";
	rte_pktmbuf_free(m);
}

void stand_open(struct stand *s, const struct packet_pools *pools, uint64_t now_ns, uint64_t seed)
{
	const struct tcp_up up = {.accepts = accepts, .on_accept = on_accept, .up = s};

	memset(s, 0, sizeof(*s));
	s->shard = (struct shard){.now_ns = now_ns, .counters = &s->counters, .workers = 1, .pools = *pools,
	                          .recv_max = LIMIT_tcp_recv_buffer};
	rng_init(&s->shard.rng, seed);
	for (unsigned i = 0; i < sizeof(s->shard.secret); i++)
		s->shard.secret[i] = (uint8_t)rng_u64(&s->shard.rng);
	wheel_init(&s->shard.wheel, now_ns);
	s->ip = (struct ip){.mtu = 1500, .sent = on_sent, .arg = s};
	CHECK(addr_parse("198.18.0.1", &s->ip.source4) == OK && addr_parse("2001:2::1", &s->ip.source6) == OK);
	s->tcp = tcp_new(&s->shard, &s->ip, &up);
}

bool stand_close(struct stand *s, char *why, size_t n)
{
	const struct {
		const char *name;
		struct rte_mempool *pool;
	} pools[] = {
		{"rx", s->shard.pools.rx}, {"header", s->shard.pools.header}, {"payload", s->shard.pools.payload},
		{"reference", s->shard.pools.reference},
	};

	stand_release(s);
	for (unsigned i = 0; i < s->held_n; i++)
		rte_pktmbuf_free(s->held[i]);
	tcp_free(s->tcp);
	if (s->shard.wheel.armed != 0) {
		snprintf(why, n, "%lu timers are still armed", s->shard.wheel.armed);
		return false;
	}
	for (unsigned i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
		if (rte_mempool_in_use_count(pools[i].pool) != 0) {
			snprintf(why, n, "%u mbufs of the %s pool leaked", rte_mempool_in_use_count(pools[i].pool),
			         pools[i].name);
			return false;
		}
	return true;
}

void stand_input(struct stand *s, const struct tuple *t, const uint8_t *bytes, size_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(s->shard.pools.rx);
	struct ip_datagram d = {.tuple = *t, .m = m, .l4_bytes = (uint16_t)n, .traffic_class = 0xb8 | s->ecn};

	CHECK(m != NULL);
	rte_pktmbuf_append(m, (uint16_t)(40 + n));
	memset(rte_pktmbuf_mtod(m, void *), 0xee, 40); /* the IP header is still before it */
	rte_pktmbuf_adj(m, 40);
	memcpy(rte_pktmbuf_mtod(m, void *), bytes, n);
	tcp_input(s->tcp, &d);
}

void stand_flush(struct stand *s)
{
	tcp_flush(s->tcp);
}

void stand_tick(struct stand *s, uint64_t ns)
{
	s->shard.now_ns += ns;
	wheel_advance(&s->shard.wheel, s->shard.now_ns, 1024);
	stand_flush(s);
}

void stand_send(struct stand *s, uint32_t bytes, uint32_t slice_bytes)
{
	while (bytes > 0) {
		const uint32_t n = bytes < slice_bytes ? bytes : slice_bytes;
		struct rte_mbuf *m = rte_pktmbuf_alloc(s->shard.pools.payload);
		struct slice slice;
		char *at;

		CHECK(m != NULL);
		at = rte_pktmbuf_append(m, (uint16_t)n);
		CHECK(at != NULL);
		for (uint32_t i = 0; i < n; i++)
			at[i] = (char)stream_byte(s->out_offset + i, 1);
		slice = slice_of(m, at, (uint16_t)n);
		rte_pktmbuf_free(m);
		if (!s->conn || !tcp_send(s->conn, slice)) {
			slice_free(&slice);
			tell(s, "send refused");
			return;
		}
		s->out_offset += n;
		bytes -= n;
	}
}

void stand_credit(struct stand *s, unsigned n)
{
	unsigned i = 0;

	for (; i < n && i < s->held_n; i++)
		credit(s, s->held[i]);
	memmove(s->held, s->held + i, (s->held_n - i) * sizeof(s->held[0]));
	s->held_n -= i;
}

void stand_hoard(struct stand *s, struct rte_mempool *pool)
{
	struct rte_mbuf *m;

	while ((m = rte_pktmbuf_alloc(pool)) != NULL)
		s->hoard[s->hoard_n++] = m;
}

void stand_release(struct stand *s)
{
	rte_pktmbuf_free_bulk(s->hoard, s->hoard_n);
	s->hoard_n = 0;
}

enum err stand_connect(struct stand *s, const struct addr *to, uint16_t port, uint32_t timeout_ms)
{
	const struct tcp_connect how = {
		.remote = *to, .remote_port = port, .connect_timeout_ms = timeout_ms, .ops = &ops, .user = s,
		.impatient = s->impatient, .sending = s->sending,
	};

	s->in_offset = s->out_offset = 0;
	return tcp_connect(s->tcp, &how, &s->conn);
}
