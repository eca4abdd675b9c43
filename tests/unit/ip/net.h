/*
 * A gateway of up to four workers with two ports, whose wires are lists of bytes, and an encoder of its own: nothing
 * here uses the code under test to make or to read a frame.
 *
 *   port 0: 02:00:00:00:00:01, 198.18.0.1/24, 2001:2::1/64, VIPs 198.18.0.10 and 2001:2::10; default gateways
 *           198.18.0.254 and 2001:2::fe; client 02:00:00:00:01:02 is 198.18.0.2 and 2001:2::2
 *   port 1: 02:00:00:00:00:02, 198.18.1.1/24, 2001:2:0:1::1/64; backend 02:00:00:00:02:11 is 198.18.1.11 and
 *           2001:2:0:1::11
 */
#ifndef TESTS_UNIT_IP_NET_H
#define TESTS_UNIT_IP_NET_H

#include "../dpdk.h"
#include "../test.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/shard.h"
#include "ip/ip.h"
#include "table/table.h"

enum { NET_WORKERS = 4, NET_PORTS = 2, SENT_MAX = 512, FRAME_MAX = 2048, ADDRESSES_MAX = 1200, ROUTES_MAX = 1200 };
enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58 };

#define HERE __attribute__((unused)) static

/* ---- bytes ---- */

struct bytes {
	uint8_t b[FRAME_MAX];
	uint32_t n;
};

HERE void put(struct bytes *f, const void *bytes, size_t n)
{
	assert_true(f->n + n <= FRAME_MAX);
	memcpy(f->b + f->n, bytes, n);
	f->n += (uint32_t)n;
}

HERE void put8(struct bytes *f, unsigned x)
{
	uint8_t b = (uint8_t)x;

	put(f, &b, 1);
}

HERE void put16(struct bytes *f, unsigned x)
{
	put8(f, x >> 8);
	put8(f, x & 0xff);
}

HERE void put32(struct bytes *f, uint32_t x)
{
	put16(f, x >> 16);
	put16(f, x & 0xffff);
}

HERE unsigned get16(const uint8_t *b)
{
	return (unsigned)b[0] << 8 | b[1];
}

HERE struct addr A(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), OK);
	return a;
}

HERE void put_addr(struct bytes *f, const char *text)
{
	const struct addr a = A(text);

	if (addr_is_v4(&a))
		put(f, a.b + 12, 4);
	else
		put(f, a.b, 16);
}

/* "02:00:00:00:01:02" */
HERE void put_mac(struct bytes *f, const char *text)
{
	unsigned m[6];

	assert_int_equal(sscanf(text, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]), 6);
	for (int i = 0; i < 6; i++)
		put8(f, m[i]);
}

/* RFC 1071, straight from the text: 16-bit words in network order. */
HERE uint32_t sum16(uint32_t sum, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)b[i] << 8 | (i + 1 < n ? b[i + 1] : 0u);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

HERE void set16(uint8_t *b, unsigned x)
{
	b[0] = (uint8_t)(x >> 8);
	b[1] = (uint8_t)x;
}

/* ---- frames ---- */

#define CLIENT_MAC  "02:00:00:00:01:02"
#define BACKEND_MAC "02:00:00:00:02:11"
#define OTHER_MAC   "02:00:00:00:99:99"
#define PORT0_MAC   "02:00:00:00:00:01"
#define PORT1_MAC   "02:00:00:00:00:02"
#define ALL_MAC     "ff:ff:ff:ff:ff:ff"

HERE void eth(struct bytes *f, const char *to, const char *from, unsigned type)
{
	f->n = 0;
	put_mac(f, to);
	put_mac(f, from);
	put16(f, type);
}

/* Sets the IPv4 header's length and checksum, and the transport checksum, of the frame's datagram at `at`. */
HERE void seal4_at(struct bytes *f, uint32_t at)
{
	uint8_t *h = f->b + at, *l4 = h + (h[0] & 15) * 4;
	const uint32_t n = f->n - at - (uint32_t)(h[0] & 15) * 4;
	const uint8_t pseudo[12] = {h[12], h[13], h[14], h[15], h[16], h[17], h[18], h[19], 0, h[9], (uint8_t)(n >> 8),
	                            (uint8_t)n};
	const int where = h[9] == TCP ? 16 : h[9] == UDP ? 6 : h[9] == ICMP ? 2 : -1;

	set16(h + 2, f->n - at);
	set16(h + 10, 0);
	set16(h + 10, ~sum16(0, h, (size_t)(h[0] & 15) * 4) & 0xffff);
	if (where < 0 || n < (uint32_t)where + 2)
		return;
	set16(l4 + where, 0);
	set16(l4 + where, ~sum16(h[9] == ICMP ? 0 : sum16(0, pseudo, 12), l4, n) & 0xffff);
}

HERE void seal4(struct bytes *f)
{
	seal4_at(f, 14);
}

/* The same for IPv6; l4 is `extensions` bytes behind the fixed header, of protocol `protocol`. */
HERE void seal6_at(struct bytes *f, uint32_t at, uint32_t extensions, uint8_t protocol)
{
	uint8_t *h = f->b + at, *l4 = h + 40 + extensions;
	const uint32_t n = f->n - at - 40 - extensions;
	uint8_t pseudo[40] = {0};
	const int where = protocol == TCP ? 16 : protocol == UDP ? 6 : protocol == ICMP6 ? 2 : -1;

	set16(h + 4, f->n - at - 40);
	if (where < 0 || n < (uint32_t)where + 2)
		return;
	memcpy(pseudo, h + 8, 32);
	set16(pseudo + 34, n);
	pseudo[39] = protocol;
	set16(l4 + where, 0);
	set16(l4 + where, ~sum16(sum16(0, pseudo, 40), l4, n) & 0xffff);
}

HERE void seal6(struct bytes *f)
{
	seal6_at(f, 14, 0, f->b[14 + 6]);
}

HERE void ip4(struct bytes *f, const char *from, const char *to, unsigned protocol)
{
	put(f, "\x45\x00\x00\x00\x12\x34\x40\x00\x40", 9);
	put8(f, protocol);
	put16(f, 0);
	put_addr(f, from);
	put_addr(f, to);
}

HERE void ip6(struct bytes *f, const char *from, const char *to, unsigned next, unsigned hop_limit)
{
	put32(f, 0x60000000);
	put16(f, 0);
	put8(f, next);
	put8(f, hop_limit);
	put_addr(f, from);
	put_addr(f, to);
}

HERE void tcp(struct bytes *f, unsigned from, unsigned to, const char *text)
{
	put16(f, from);
	put16(f, to);
	put32(f, 0x01020304);
	put32(f, 0);
	put(f, "\x50\x02\xff\xff\0\0\0\0", 8);
	put(f, text, strlen(text));
}

HERE void udp(struct bytes *f, unsigned from, unsigned to, const char *text)
{
	put16(f, from);
	put16(f, to);
	put16(f, 8 + (unsigned)strlen(text));
	put16(f, 0);
	put(f, text, strlen(text));
}

HERE void arp(struct bytes *f, const char *eth_to, unsigned operation, const char *mac, const char *from,
              const char *target_mac, const char *to)
{
	eth(f, eth_to, mac, 0x0806);
	put(f, "\0\1\x08\0\6\4", 6);
	put16(f, operation);
	put_mac(f, mac);
	put_addr(f, from);
	put_mac(f, target_mac);
	put_addr(f, to);
}

HERE void arp_ask(struct bytes *f, const char *mac, const char *from, const char *to)
{
	arp(f, ALL_MAC, 1, mac, from, "0:0:0:0:0:0", to);
}

HERE void arp_answer(struct bytes *f, const char *port_mac, const char *mac, const char *from, const char *to)
{
	arp(f, port_mac, 2, mac, from, port_mac, to);
}

/* A neighbour message; option 0: none. */
HERE void nd(struct bytes *f, const char *eth_to, const char *mac, const char *from, const char *to, unsigned type,
             unsigned flags, const char *target, unsigned option)
{
	eth(f, eth_to, mac, 0x86dd);
	ip6(f, from, to, ICMP6, 255);
	put8(f, type);
	put8(f, 0);
	put16(f, 0);
	put32(f, (uint32_t)flags << 24);
	put_addr(f, target);
	if (option != 0) {
		put8(f, option);
		put8(f, 1);
		put_mac(f, mac);
	}
	seal6(f);
}

/* ---- the gateway ---- */

struct generation {
	struct table t;
	struct table_address addresses[ADDRESSES_MAX];
	struct table_vlan vlans[LIMIT_vlans];
	struct table_ip_route routes[ROUTES_MAX];
};

struct sent {
	struct bytes f;
	uint8_t port;
	uint16_t queue;
	uint64_t flags;          /* of the mbuf */
	uint64_t at_ns;
	uint16_t segments;
};

struct handed {
	struct rte_mbuf *m;
	uint16_t from, to;
};

static struct net {
	uint16_t workers;
	struct shard shard[NET_WORKERS];
	struct counters cells[NET_WORKERS];
	struct port port[NET_PORTS];
	struct port_tx tx[NET_WORKERS][NET_PORTS];
	struct ip_link *link;
	struct ip *ip[NET_WORKERS];
	struct generation g;
	bool pools_ready;

	struct sent sent[SENT_MAX];
	unsigned sent_n;
	struct handed handed[SENT_MAX];
	unsigned handed_n;       /* waiting */
	unsigned handed_total;

	/* What came up last, and how often. */
	struct ip_datagram up;
	struct bytes up_bytes;   /* of the transport segment */
	uint16_t up_worker;
	unsigned tcp_n, udp_n, error_n;
	bool udp_wanted, keep;
	struct ip_icmp_error error;
	struct rte_mbuf *kept;
} net;

struct net_up {
	uint16_t worker;
};
static struct net_up net_ups[NET_WORKERS] = {{0}, {1}, {2}, {3}};

HERE void took(void *up, const struct ip_datagram *d)
{
	uint32_t left = d->l4_bytes;

	net.up = *d;
	net.up_worker = ((struct net_up *)up)->worker;
	net.up_bytes.n = 0;
	for (const struct rte_mbuf *m = d->m; m != NULL && left > 0; m = m->next) {
		const uint32_t here = m->data_len < left ? m->data_len : left;

		put(&net.up_bytes, rte_pktmbuf_mtod(m, const char *), here);
		left -= here;
	}
	assert_int_equal(left, 0);
	assert_int_equal(d->m->pkt_len, d->l4_bytes);
	if (net.keep)
		net.kept = d->m;
	else
		rte_pktmbuf_free(d->m);
}

HERE void took_tcp(void *up, const struct ip_datagram *d)
{
	net.tcp_n++;
	took(up, d);
}

HERE void took_udp(void *up, const struct ip_datagram *d)
{
	net.udp_n++;
	took(up, d);
}

HERE void took_error(void *up, const struct ip_icmp_error *e)
{
	net.error_n++;
	net.error = *e;
	net.up_worker = ((struct net_up *)up)->worker;
}

HERE void hand_over(void *up, struct rte_mbuf *m, uint16_t worker)
{
	assert_true(net.handed_n < SENT_MAX && worker < net.workers);
	assert_int_equal(packet_meta(m)->hops, 1);
	net.handed[net.handed_n++] = (struct handed){m, ((struct net_up *)up)->worker, worker};
	net.handed_total++;
}

HERE uint16_t wire_tx(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct sent *s = &net.sent[net.sent_n++];

		assert_true(net.sent_n < SENT_MAX);
		assert_true(queue < p->queues);
		*s = (struct sent){.port = (uint8_t)p->id, .queue = queue, .flags = m[i]->ol_flags,
		                   .at_ns = net.shard[0].now_ns, .segments = m[i]->nb_segs};
		for (const struct rte_mbuf *x = m[i]; x != NULL; x = x->next)
			put(&s->f, rte_pktmbuf_mtod(x, const char *), x->data_len);
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

HERE void g_clear(void)
{
	memset(&net.g, 0, sizeof(net.g));
	net.g.t.addresses.at = offsetof(struct generation, addresses);
	net.g.t.ip_routes.at = offsetof(struct generation, routes);
}

/* bits of the family's own form */
HERE void g_address(const char *text, unsigned bits, uint8_t port, bool virtual)
{
	const struct addr a = A(text);

	assert_true(net.g.t.addresses.n < ADDRESSES_MAX);
	net.g.addresses[net.g.t.addresses.n++] = (struct table_address){
		.addr = a, .prefix_bits = (uint8_t)(bits + (addr_is_v4(&a) ? 96 : 0)), .port = port,
		.virtual = virtual};
}

HERE void g_route(const char *prefix, unsigned bits, const char *gateway, uint8_t port)
{
	const struct addr a = A(prefix);

	net.g.routes[net.g.t.ip_routes.n++] = (struct table_ip_route){
		.prefix = a, .gateway = A(gateway), .prefix_bits = (uint8_t)(bits + (addr_is_v4(&a) ? 96 : 0)),
		.port = port};
}

HERE void g_lab(void)
{
	g_clear();
	g_address("198.18.0.1", 24, 0, false);
	g_address("2001:2::1", 64, 0, false);
	g_address("198.18.0.10", 24, 0, true);
	g_address("2001:2::10", 64, 0, true);
	g_address("198.18.1.1", 24, 1, false);
	g_address("2001:2:0:1::1", 64, 1, false);
	g_route("0.0.0.0", 0, "198.18.0.254", 0);
	g_route("::", 0, "2001:2::fe", 0);
}

HERE void flush(void)
{
	for (uint16_t w = 0; w < net.workers; w++) {
		for (int p = 0; p < NET_PORTS; p++)
			port_tx_flush(&net.tx[w][p]);
	}
}

/* Delivers what waits in the hand-over rings, and what that causes. */
HERE void settle(void)
{
	for (unsigned i = 0; i < net.handed_n; i++) {
		const struct handed h = net.handed[i];

		ip_take_over(net.ip[h.to], h.m);
	}
	net.handed_n = 0;
	flush();
}

HERE void apply(void)
{
	for (uint16_t w = 0; w < net.workers; w++) {
		net.shard[w].table = &net.g.t;
		ip_apply(net.ip[w]);
	}
	settle();
}

HERE void advance(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i++) {
		for (uint16_t w = 0; w < net.workers; w++) {
			net.shard[w].now_ns += NS_PER_MS;
			wheel_advance(&net.shard[w].wheel, net.shard[w].now_ns, 1000);
		}
		settle();
	}
}

HERE void forget_sent(void)
{
	net.sent_n = 0;
}

static const struct ip_up *net_up(uint16_t w)
{
	static struct ip_up ups[NET_WORKERS];

	ups[w] = (struct ip_up){.on_tcp = took_tcp, .on_udp = net.udp_wanted ? took_udp : NULL,
	                        .on_icmp_error = took_error,
	                        .on_hand_over = hand_over, .up = &net_ups[w]};
	return &ups[w];
}

HERE void open_shard(uint16_t w)
{
	struct shard *s = &net.shard[w];
	char name[16];

	snprintf(name, sizeof(name), "w%u", w);
	if (!net.pools_ready)
		assert_int_equal(packet_pools_init(&s->pools, name, -1, 10), OK);
	net.cells[w] = (struct counters){0};
	s->counters = &net.cells[w];
	s->worker = w;
	s->workers = net.workers;
	s->now_ns = 1000 * NS_PER_S;
	s->table = NULL;
	memset(s->secret, 7, sizeof(s->secret));
	wheel_init(&s->wheel, s->now_ns);
	rng_init(&s->rng, 42 + w);
}

/* A gateway whose table is applied later; queues: of both ports. */
HERE void net_open(uint16_t workers, uint16_t queues)
{
	static const struct rte_ether_addr macs[NET_PORTS] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}};

	net.workers = workers;
	net.sent_n = net.handed_n = net.handed_total = net.tcp_n = net.udp_n = net.error_n = 0;
	net.keep = false;
	for (uint16_t p = 0; p < NET_PORTS; p++) {
		net.port[p] = (struct port){.id = p, .queues = queues, .mtu = 1500, .mac = macs[p], .tx_burst = wire_tx,
		                            .offloads = PORT_TX_MULTI_SEGS};
	}
	for (uint16_t w = 0; w < NET_WORKERS; w++) {
		open_shard(w);
		for (int p = 0; p < NET_PORTS; p++)
			net.tx[w][p] = (struct port_tx){.port = &net.port[p], .shard = &net.shard[w], .queue = w};
	}
	net.pools_ready = true;
	net.link = ip_link_new(workers);
}

HERE void net_ips(void)
{
	for (uint16_t w = 0; w < net.workers; w++)
		net.ip[w] = ip_new(&net.shard[w], net.link, net.tx[w], NET_PORTS, net_up(w));
}

HERE void net_close(void)
{
	settle();
	for (uint16_t w = 0; w < net.workers; w++)
		ip_free(net.ip[w]);
	ip_link_free(net.link);
	net.udp_wanted = false;
	for (uint16_t w = 0; w < NET_WORKERS; w++) {
		const struct packet_pools *p = &net.shard[w].pools;

		assert_int_equal(net.shard[w].wheel.armed, 0);
		assert_int_equal(rte_mempool_in_use_count(p->rx), 0);
		assert_int_equal(rte_mempool_in_use_count(p->header), 0);
		assert_int_equal(rte_mempool_in_use_count(p->payload), 0);
		assert_int_equal(rte_mempool_in_use_count(p->reference), 0);
	}
}

/* The lab: addresses active, announcements done, wires empty, counters zero. */
HERE void lab(uint16_t workers, bool gateways)
{
	net_open(workers, workers);
	net_ips();
	g_lab();
	if (!gateways)
		net.g.t.ip_routes.n = 0;
	apply();
	advance(4000);
	assert_int_equal(net.handed_n, 0);
	forget_sent();
	for (uint16_t w = 0; w < workers; w++)
		net.cells[w] = (struct counters){0};
}

HERE void net_lab(uint16_t workers)
{
	lab(workers, true);
}

/* Without gateways, which would be asked for all the time. */
HERE void net_quiet(uint16_t workers)
{
	lab(workers, false);
}

/* ---- what a test does and sees ---- */

/* The frame as an mbuf of worker w; segment > 0: a chain of segments of so many bytes. */
HERE struct rte_mbuf *mbuf_of(uint16_t w, const struct bytes *f, uint32_t first, uint32_t segment)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(net.shard[w].pools.rx), *last = head;
	uint32_t at = segment == 0 || first > f->n ? f->n : first;

	assert_non_null(head);
	memcpy(rte_pktmbuf_append(head, (uint16_t)at), f->b, at);
	while (at < f->n) {
		const uint32_t n = f->n - at < segment ? f->n - at : segment;
		struct rte_mbuf *m = rte_pktmbuf_alloc(net.shard[w].pools.rx);

		memcpy(rte_pktmbuf_append(m, (uint16_t)n), f->b + at, n);
		last->next = m;
		last = m;
		head->nb_segs++;
		head->pkt_len += n;
		at += n;
	}
	return head;
}

HERE void receive_at(uint16_t w, uint8_t port, const struct bytes *f)
{
	ip_input(net.ip[w], mbuf_of(w, f, 0, 0), port);
	settle();
}

HERE void receive(uint8_t port, const struct bytes *f)
{
	receive_at(0, port, f);
}

HERE uint64_t counted(enum counter c)
{
	uint64_t n = 0;

	for (uint16_t w = 0; w < net.workers; w++)
		n += net.cells[w].cell[c];
	return n;
}

/* Text of a field of a sent frame: hex of n bytes. */
HERE const char *hex(const struct sent *s, uint32_t at, uint32_t n)
{
	static char text[4][512];
	static unsigned turn;
	char *t = text[turn++ % 4];

	assert_true(at + n <= s->f.n);
	t[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		snprintf(t + 2 * i, 3, "%02x", s->f.b[at + i]);
	return t;
}

HERE const struct sent *only_sent(void)
{
	assert_int_equal(net.sent_n, 1);
	return &net.sent[0];
}

/* Whether the IPv4 or IPv6 datagram in a sent frame has the right lengths and checksums, by this file's own sums. */
HERE void check_sealed(const struct sent *s)
{
	struct bytes f = s->f;

	if (f.b[12] == 0x08)
		seal4(&f);
	else
		seal6(&f);
	assert_memory_equal(f.b, s->f.b, f.n);
}

/* Neighbours learn of each other: the client and the backend ask for us. */
HERE void meet(void)
{
	struct bytes f;

	arp_ask(&f, CLIENT_MAC, "198.18.0.2", "198.18.0.1");
	receive(0, &f);
	arp_ask(&f, BACKEND_MAC, "198.18.1.11", "198.18.1.1");
	receive(1, &f);
	nd(&f, "33:33:ff:00:00:01", CLIENT_MAC, "2001:2::2", "ff02::1:ff00:1", 135, 0, "2001:2::1", 1);
	receive(0, &f);
	nd(&f, "33:33:ff:00:00:01", BACKEND_MAC, "2001:2:0:1::11", "ff02::1:ff00:1", 135, 0, "2001:2:0:1::1", 1);
	receive(1, &f);
	assert_int_equal(net.sent_n, 4);
	forget_sent();
}

HERE const char *neigh_state_of(const char *text)
{
	static struct ip_neigh_info info[64];
	uint32_t at = 0;
	const struct addr a = A(text);

	do {
		const unsigned n = ip_neigh_walk(net.link, net.shard[0].now_ns, &at, info, LENGTH(info));

		for (unsigned i = 0; i < n; i++) {
			if (addr_equal(&info[i].addr, &a))
				return info[i].state;
		}
	} while (at != 0);
	return "none";
}

HERE int net_setup(void **state)
{
	(void)state;
	dpdk_start();
	return 0;
}

#endif
