/*
 * The network of fuzz_packet_in.c: one worker's IP and TCP behind one port, four flows, their users; and how a frame
 * gets in.
 */
#ifndef TESTS_FUZZ_PACKET_NET_H
#define TESTS_FUZZ_PACKET_NET_H

#include <netinet/in.h>
#include <rte_mempool.h>

#include "tests/fuzz/packet_flow.h"
#include "tests/wire/codec.c"

#include "base/shard.h"
#include "ip/ip.h"
#include "table/table.h"
#include "tcp/conn.h"

enum { FLOWS = 4, HELD = 512, HOARD = 8192, FRAME_MAX = 2048, ETH = 14, IP4 = 20, IP6 = 40, PEER_MAC = 9 };

struct user {
	struct tcp_conn *conn;        /* null: none, or gone */
	struct tcp_conn *left;        /* detached */
	uint32_t in;                  /* the sequence number of the byte that comes next */
	bool hold, eof;
	bool abort_next, detach_next, shut_next, send_next; /* in the next callback */
	struct rte_mbuf *held[HELD];
	unsigned held_n;
	uint32_t held_cost;
	uint32_t left_cost;           /* held when it left */
};

static struct {
	struct packet_pools pools;
	struct shard shard;
	struct counters counters;
	struct port port;
	struct port_tx tx;
	struct ip_link *link;
	struct ip *ip;
	struct tcp *tcp;
	struct {
		struct table t;
		struct table_address addresses[4];
	} g;
	struct flow flow[FLOWS];
	struct user user[FLOWS];
	struct rte_mbuf *hoard[HOARD];
	unsigned hoard_n;
	bool deaf;                    /* peers answer no question about their addresses */
	bool asked4, asked6;
} net;

static void *found(const struct tuple *t, bool *wait)
{
	return table_tcp_find(&net.tcp->table, t, table_tcp_hash(&net.tcp->table, t), wait);
}

/* The connection of a flow, or null. */
static struct tcp_conn *conn_of(const struct flow *f)
{
	bool wait = false;
	void *c = found(&f->tuple, &wait);

	return wait ? NULL : c;
}

static uint16_t sum_of(const struct addr *from, const struct addr *to, unsigned protocol, const uint8_t *at, size_t n)
{
	const bool v4 = addr_is_v4(from);
	uint32_t sum = protocol == IPPROTO_ICMP ? 0 : (uint32_t)n + protocol;

	if (protocol != IPPROTO_ICMP)
		sum = sum16(sum16(sum, from->b + (v4 ? 12 : 0), v4 ? 4 : 16), to->b + (v4 ? 12 : 0), v4 ? 4 : 16);
	sum = sum16(sum, at, n);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* ---- frames to the stack ---- */

struct room {
	struct rte_mbuf_ext_shared_info shared;
	void *bytes;
};

static void free_room(void *bytes, void *arg)
{
	struct room *r = arg;

	(void)bytes;
	free(r->bytes);
	free(r);
}

/* An mbuf whose room is exactly these bytes, so that asan sees one too far; or one as ports fill them. */
static struct rte_mbuf *piece(const uint8_t *bytes, uint16_t n, bool exact)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.pools.rx);
	struct room *r;

	if (!m)
		return NULL;
	if (!exact) {
		memcpy(rte_pktmbuf_append(m, n), bytes, n);
		return m;
	}
	r = malloc(sizeof(*r));
	r->bytes = malloc(n);
	memcpy(r->bytes, bytes, n);
	r->shared.free_cb = free_room;
	r->shared.fcb_opaque = r;
	rte_mbuf_ext_refcnt_set(&r->shared, 1);
	rte_pktmbuf_attach_extbuf(m, r->bytes, RTE_BAD_IOVA, n, &r->shared);
	m->data_off = 0;
	m->data_len = n;
	m->pkt_len = n;
	return m;
}

/* how: bits 0-6 the size of each mbuf behind the first 96 bytes, in 16 bytes (0: one mbuf); bit 7: exact rooms. */
static void receive(const uint8_t *f, size_t n, unsigned how)
{
	const unsigned each = (how & 127) * 16;
	struct rte_mbuf *head = NULL, *last = NULL;

	for (size_t at = 0; at < n;) {
		const size_t most = each == 0 ? n : at == 0 ? 114 : each;
		const uint16_t here = (uint16_t)(n - at < most ? n - at : most);
		struct rte_mbuf *m = piece(f + at, here, how & 128);

		if (!m) {
			rte_pktmbuf_free(head);
			return;
		}
		if (head) {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += here;
		} else {
			head = m;
		}
		last = m;
		at += here;
	}
	ip_input(net.ip, head, 0);
	port_tx_flush(&net.tx); /* what answers it at once belongs to the connection that there was */
}

/* Ethernet and IP before n bytes of a transport. Returns the frame's length. */
static size_t encapsulate(uint8_t *f, const struct addr *from, const struct addr *to, unsigned protocol, unsigned class,
                          const uint8_t *l4, size_t n)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, PEER_MAC};
	const bool v4 = addr_is_v4(from);
	uint8_t *h = f + ETH;

	memcpy(f, macs, sizeof(macs));
	put(f, 12, v4 ? 0x0800 : 0x86dd, 2);
	memset(h, 0, IP6);
	if (v4) {
		h[0] = 0x45;
		h[1] = (uint8_t)class;
		put(h, 2, IP4 + n, 2);
		h[8] = 64;
		h[9] = (uint8_t)protocol;
		memcpy(h + 12, from->b + 12, 4);
		memcpy(h + 16, to->b + 12, 4);
		put(h, 10, (uint16_t)~sum_of(from, to, IPPROTO_ICMP, h, IP4), 2);
	} else {
		put(h, 0, 6u << 28 | class << 20, 4);
		put(h, 4, n, 2);
		h[6] = (uint8_t)protocol;
		h[7] = 255;
		memcpy(h + 8, from->b, 16);
		memcpy(h + 24, to->b, 16);
	}
	memcpy(h + (v4 ? IP4 : IP6), l4, n);
	return ETH + (v4 ? IP4 : IP6) + n;
}

/* One fragment of a frame's datagram: [from, from + bytes) behind the fixed header. */
static void fragment(const uint8_t *whole, bool v4, size_t from, size_t bytes, bool more, unsigned id)
{
	uint8_t f[FRAME_MAX + 8], *h = f + ETH;
	const size_t header = ETH + (v4 ? IP4 : IP6), add = v4 ? 0 : 8;

	memcpy(f, whole, header);
	memcpy(f + header + add, whole + header + from, bytes);
	if (v4) {
		put(h, 2, IP4 + bytes, 2);
		put(h, 4, id, 2);
		put(h, 6, from / 8 | (more ? 0x2000 : 0), 2);
		put(h, 10, 0, 2);
		put(h, 10, (uint16_t)~sum_of(&(struct addr){0}, &(struct addr){0}, IPPROTO_ICMP, h, IP4), 2);
	} else {
		put(h, 4, bytes + 8, 2);
		h[6] = 44;
		put(h, IP6, (uint64_t)IPPROTO_TCP << 56 | (uint64_t)(from | more) << 32 | id, 8);
	}
	receive(f, header + add + bytes, 0);
}

/* how: bits 0-4 their size, in 32 bytes and one more, bit 5 the last first, bit 6 the second twice, bit 7 the second
 * overlaps the third. */
static void fragments(const uint8_t *f, size_t n, bool v4, unsigned how, unsigned id)
{
	const size_t all = n - ETH - (v4 ? IP4 : IP6), each = ((how & 31) + 1) * 32, count = (all + each - 1) / each;

	for (size_t i = 0; i < count; i++) {
		const size_t k = how & 32 ? count - 1 - i : i, from = k * each;
		const bool more = k + 1 < count;
		const size_t bytes = !more ? all - from : how & 128 && k == 1 && from + each + 8 <= all ? each + 8 : each;

		for (int twice = 0; twice <= (how & 64 && k == 1); twice++)
			fragment(f, v4, from, bytes, more, id);
	}
}

/* Peers answer who asks for their addresses. */
static void answer4(void)
{
	uint8_t f[ETH + 28] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, PEER_MAC, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0,
	                       PEER_MAC, 198, 18, 0, 2, 2, 0, 0, 0, 0, 1, 198, 18, 0, 1};

	net.asked4 = false;
	receive(f, sizeof(f), 0);
}

static void answer6(void)
{
	const struct addr *from = &net.flow[1].tuple.remote, *to = &net.g.addresses[1].addr;
	uint8_t na[32] = {136, 0, 0, 0, 0x60}, frame[FRAME_MAX];
	size_t n;

	net.asked6 = false;
	memcpy(na + 8, from->b, 16);
	memcpy(na + 24, (uint8_t[]){2, 1, 2, 0, 0, 0, 0, PEER_MAC}, 8);
	put(na, 2, (uint16_t)~sum_of(from, to, IPPROTO_ICMPV6, na, sizeof(na)), 2);
	n = encapsulate(frame, from, to, IPPROTO_ICMPV6, 0, na, sizeof(na));
	receive(frame, n, 0);
}

/*
 * A flow may get another connection now. Whatever waits for a neighbour's address belongs to those before it, and could
 * not be told from what that one sends: so it leaves first, peers answer again, and there is memory for it.
 */
static void begin_anew(const struct flow *f)
{
	if (!f->known)
		return;
	if (net.hoard_n > 0)
		rte_pktmbuf_free_bulk(net.hoard, net.hoard_n);
	net.hoard_n = 0;
	net.deaf = false;
	answer4();
	answer6();
}

#endif
