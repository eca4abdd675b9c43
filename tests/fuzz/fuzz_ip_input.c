/*
 * Packet in: any sequence of frames, in any number of segments, on two ports of a gateway of two workers; time
 * passes and generations change in between.
 *
 * The input is a list of records: one byte of what to do, then its arguments.
 *   0x00-0x1f  a frame: 16 bits of length (little-endian), one byte of segment size (0: one segment), the bytes.
 *              Bit 0: port; bit 1: worker; bit 2: checksums are put right before it is given (or no input would get
 *              far); bit 3: the port says that checksums are good
 *   0x20-0x3f  the same, but its datagram is given as fragments, and the byte says how: bits 0-3 their size (8 bytes
 *              times one more), bit 4 from the last to the first, bit 5 the second twice, bit 6 the second overlaps the
 *              third, bit 7 the last is left out
 *   0x40-0x7f  time passes: one byte, times 16 ms
 *   0x80-0xbf  another generation: one byte of which addresses are in it
 *   0xc0-0xff  a segment is sent to the address in the next four bytes (bit 0: to an IPv6 address of that end)
 *
 * What must hold: every frame is given memory of exactly its own size (asan sees one byte too far), what is sent has
 * lengths and checksums that fit, a packet is handed over at most once (and once more when it has become whole), and at
 * the end every mbuf is back.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shard.h"
#include "ip/ip.h"
#include "table/table.h"
#include "tests/unit/dpdk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { WORKERS = 2, PORTS = 2, HANDED_MAX = 64, FRAMES_MAX = 200, STEP_MS = 16 };

#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), abort()))

struct generation {
	struct table t;
	struct table_vlan vlans[2];
	struct table_address addresses[8];
	struct table_ip_route routes[2];
};

static struct {
	struct shard shard[WORKERS];
	struct counters cells[WORKERS];
	struct port port[PORTS];
	struct port_tx tx[WORKERS][PORTS];
	struct ip_link *link;
	struct ip *ip[WORKERS];
	struct generation g;
	struct rte_mbuf *handed[HANDED_MAX];
	uint16_t handed_to[HANDED_MAX];
	unsigned handed_n;
	unsigned rooms;          /* malloc'ed rooms of frames that are alive */
} net;

/* ---- sums ---- */

static uint32_t sum16(uint32_t sum, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)b[i] << 8 | (i + 1 < n ? b[i + 1] : 0u);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static unsigned get16(const uint8_t *b)
{
	return (unsigned)b[0] << 8 | b[1];
}

static void set16(uint8_t *b, unsigned x)
{
	b[0] = (uint8_t)(x >> 8);
	b[1] = (uint8_t)x;
}

static int checksum_at(uint8_t protocol)
{
	return protocol == 6 ? 16 : protocol == 17 ? 6 : protocol == 1 || protocol == 58 ? 2 : -1;
}

/* The transport sum of a datagram whose l4 part is [l4, l4 + n): 0xffff when right. */
static uint32_t l4_sum(const uint8_t *h, const uint8_t *l4, size_t n, uint8_t protocol)
{
	uint8_t pseudo[36] = {0};

	if (protocol == 1)
		return sum16(0, l4, n);
	if (h[0] >> 4 == 4)
		memcpy(pseudo, h + 12, 8);
	else
		memcpy(pseudo, h + 8, 32);
	set16(pseudo + 32, (unsigned)n);
	pseudo[35] = protocol;
	return sum16(sum16(0, pseudo, sizeof(pseudo)), l4, n);
}

/* Makes checksums of a frame right where its headers allow to tell where they are. */
static void seal(uint8_t *f, size_t n)
{
	uint8_t *h, *l4;
	uint8_t protocol;
	size_t l4_n;
	int at;

	/* Behind tags all is as without them. */
	for (int tags = 0; tags < 2 && n >= 38 && (get16(f + 12) == 0x8100 || get16(f + 12) == 0x88a8); tags++) {
		f += 4;
		n -= 4;
	}
	h = f + 14;
	if (n < 34)
		return;
	if (get16(f + 12) == 0x0800) {
		const size_t total = get16(h + 2);
		const size_t header = (size_t)(h[0] & 15) * 4;

		if (header < 20 || header > n - 14)
			return;
		set16(h + 10, 0);
		set16(h + 10, ~sum16(0, h, header) & 0xffff);
		if (total < header || total > n - 14 || (get16(h + 6) & 0x3fff) != 0)
			return;
		l4 = h + header;
		l4_n = total - header;
		protocol = h[9];
	} else if (get16(f + 12) == 0x86dd && n >= 54) {
		l4_n = get16(h + 4);
		if (l4_n > n - 54)
			return;
		l4 = h + 40;
		protocol = h[6];
		/* Over one extension header, as a seed may have it. */
		if ((protocol == 0 || protocol == 60 || protocol == 43 || protocol == 44) && l4_n >= 8 && l4[1] == 0) {
			protocol = l4[0];
			l4 += 8;
			l4_n -= 8;
		}
	} else {
		return;
	}
	at = checksum_at(protocol);
	if (at < 0 || l4_n < (size_t)at + 2)
		return;
	set16(l4 + at, 0);
	set16(l4 + at, ~l4_sum(h, l4, l4_n, protocol) & 0xffff);
}

/* ---- what is sent ---- */

static void check_frame(const uint8_t *f, size_t n)
{
	static const uint8_t outer[4] = {0x88, 0xa8, 0, 100}, inner[4] = {0x81, 0, 0, 5};
	const uint8_t *h, *macs = f;

	MUST(n >= 14);
	MUST(f[6] == 2 && f[10] == 0);
	/* The tags of the second VLAN, or of both. */
	if (get16(f + 12) == 0x88a8) {
		MUST(n >= 22 && memcmp(f + 12, outer, 4) == 0 && memcmp(f + 16, inner, 4) == 0);
		f += 8;
		n -= 8;
	} else if (get16(f + 12) == 0x8100) {
		MUST(n >= 18 && memcmp(f + 12, inner, 4) == 0);
		f += 4;
		n -= 4;
	}
	h = f + 14;
	MUST(n <= 1514);
	switch (get16(f + 12)) {
	case 0x0806:
		MUST(n == 42);
		return;
	case 0x0800:
		MUST(n >= 34 && h[0] == 0x45 && get16(h + 2) == n - 14 && sum16(0, h, 20) == 0xffff);
		MUST((macs[0] & 1) == 0 && h[16] < 224);
		if ((get16(h + 6) & 0x3fff) != 0)
			MUST(h[9] == 1 && n > 34 && ((get16(h + 6) & 0x2000) == 0 || (n - 34) % 8 == 0));
		else
			MUST(l4_sum(h, h + 20, n - 34, h[9]) == 0xffff);
		return;
	case 0x86dd:
		MUST(n >= 54 && h[0] >> 4 == 6 && get16(h + 4) == n - 54);
		if (h[6] == 44) {
			MUST(n > 62 && h[40] == 58 && ((h[43] & 1) == 0 || (n - 62) % 8 == 0));
			return;
		}
		MUST(l4_sum(h, h + 40, n - 54, h[6]) == 0xffff);
		return;
	default:
		MUST(!"a type that we do not speak");
	}
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

/* ---- what comes up ---- */

static void took(void *up, const struct ip_datagram *d)
{
	volatile uint8_t sink = 0;

	(void)up;
	MUST(d->m->pkt_len == d->l4_bytes && d->l4_bytes >= 8);
	for (const struct rte_mbuf *m = d->m; m != NULL; m = m->next) {
		for (uint16_t i = 0; i < m->data_len; i++)
			sink ^= *rte_pktmbuf_mtod_offset(m, uint8_t *, i);
	}
	MUST(addr_is_v4(&d->tuple.local) == addr_is_v4(&d->tuple.remote));
	if (d->tuple.local_port & 1)
		ip_unreachable(net.ip[*(uint16_t *)up], d);
	rte_pktmbuf_free(d->m);
}

static void took_error(void *up, const struct ip_icmp_error *e)
{
	(void)up;
	MUST(e->tuple.protocol == 6 || e->tuple.protocol == 17);
}

static void hand_over(void *up, struct rte_mbuf *m, uint16_t worker)
{
	MUST(packet_meta(m)->hops == 1 && worker < WORKERS && worker != *(uint16_t *)up);
	if (net.handed_n == HANDED_MAX) {
		rte_pktmbuf_free(m);
		return;
	}
	net.handed_to[net.handed_n] = worker;
	net.handed[net.handed_n++] = m;
}

static void settle(void)
{
	for (unsigned i = 0; i < net.handed_n; i++) {
		const unsigned before = net.handed_n;
		const bool was_whole = packet_meta(net.handed[i])->whole;

		ip_take_over(net.ip[net.handed_to[i]], net.handed[i]);
		/* What it causes may be handed over (a reply to resolve), the packet itself not again. */
		for (unsigned j = before; j < net.handed_n; j++)
			MUST(net.handed[j] != net.handed[i] || packet_meta(net.handed[j])->kind == PACKET_RESOLVE ||
			     (packet_meta(net.handed[j])->whole && !was_whole));
	}
	net.handed_n = 0;
	for (int w = 0; w < WORKERS; w++) {
		for (int p = 0; p < PORTS; p++)
			port_tx_flush(&net.tx[w][p]);
	}
}

/* ---- records ---- */

static struct addr parse(const char *text)
{
	struct addr a;

	MUST(addr_parse(text, &a) == OK);
	return a;
}

static void generation(uint8_t which)
{
	static const struct {
		const char *addr;
		uint8_t bits, port, virtual;
	} all[8] = {
		{"198.18.0.1", 120, 0, 0}, {"2001:2::1", 64, 0, 0}, {"198.18.1.1", 120, 1, 0},
		{"2001:2:0:1::1", 64, 1, 0},
		{"198.18.0.10", 120, 0, 1}, {"2001:2::10", 64, 0, 1}, {"198.18.0.11", 128, 2, 1},
		{"2001:2::11", 64, 3, 1},
	};

	memset(&net.g, 0, sizeof(net.g));
	net.g.t.addresses.at = offsetof(struct generation, addresses);
	net.g.t.ip_routes.at = offsetof(struct generation, routes);
	net.g.t.vlans = (struct table_list){.at = offsetof(struct generation, vlans), .n = 2};
	net.g.vlans[0] = (struct table_vlan){.id = 5, .mtu = 1500};
	net.g.vlans[1] = (struct table_vlan){.id = 5, .service = 100, .mtu = 1496, .port = 1};
	for (int i = 0; i < 8; i++) {
		if (which >> i & 1)
			net.g.addresses[net.g.t.addresses.n++] = (struct table_address){.addr = parse(all[i].addr),
				.prefix_bits = all[i].bits, .port = all[i].port, .virtual = all[i].virtual};
	}
	net.g.routes[0] = (struct table_ip_route){.prefix = addr_v4(0), .gateway = parse("198.18.0.254"),
	                                          .prefix_bits = 96};
	net.g.routes[1] = (struct table_ip_route){.gateway = parse("2001:2::fe")};
	net.g.t.ip_routes.n = which & 1 ? 2 : 0;
	for (int w = 0; w < WORKERS; w++) {
		net.shard[w].table = &net.g.t;
		ip_apply(net.ip[w]);
	}
}

/* In steps: a timer that is armed anew counts from the step in which it fired. */
static void pass(unsigned steps)
{
	for (unsigned i = 0; i < steps; i++) {
		for (int w = 0; w < WORKERS; w++) {
			net.shard[w].now_ns += STEP_MS * NS_PER_MS;
			wheel_advance(&net.shard[w].wheel, net.shard[w].now_ns, 10000);
		}
	}
}

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
	net.rooms--;
}

/* An mbuf whose room is exactly the n bytes (n > 0). */
static struct rte_mbuf *exact(int w, const uint8_t *bytes, uint16_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.shard[w].pools.rx);
	struct room *r = malloc(sizeof(*r));

	MUST(m != NULL && r != NULL);
	r->bytes = malloc(n);
	memcpy(r->bytes, bytes, n);
	r->shared.free_cb = free_room;
	r->shared.fcb_opaque = r;
	rte_mbuf_ext_refcnt_set(&r->shared, 1);
	rte_pktmbuf_attach_extbuf(m, r->bytes, RTE_BAD_IOVA, n, &r->shared);
	m->data_off = 0;
	m->data_len = n;
	m->pkt_len = n;
	net.rooms++;
	return m;
}

static void give(uint8_t op, uint8_t segment, const uint8_t *bytes, uint16_t n)
{
	const int w = op >> 1 & 1;
	struct rte_mbuf *head = NULL, *last = NULL;

	for (uint16_t at = 0; at < n; ) {
		const uint16_t here = segment != 0 && segment < n - at ? segment : (uint16_t)(n - at);
		struct rte_mbuf *m = exact(w, bytes + at, here);

		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += here;
		}
		last = m;
		at = (uint16_t)(at + here);
		if (head->nb_segs == 60)
			segment = 0;
	}
	if (op & 8)
		head->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	ip_input(net.ip[w], head, op & 1);
}

/* One fragment of a frame's datagram, [from, from + bytes) of what is behind its fixed header of `header` bytes. */
static void piece(uint8_t op, const uint8_t *whole, size_t header, size_t from, size_t bytes, bool more)
{
	static uint8_t f[9100];
	uint8_t *h = f + 14;
	const size_t add = header == 54 ? 8 : 0;

	memcpy(f, whole, header);
	memcpy(f + header + add, whole + header + from, bytes);
	if (header == 54) {
		set16(h + 4, (unsigned)(bytes + 8));
		f[54] = h[6];
		h[6] = 44;
		f[55] = 0;
		set16(f + 56, (unsigned)from | more);
		memcpy(f + 58, h + 36, 4);
	} else {
		set16(h + 2, (unsigned)(header - 14 + bytes));
		set16(h + 6, (unsigned)(from / 8) | (more ? 0x2000 : 0));
		set16(h + 10, 0);
		set16(h + 10, ~sum16(0, h, header - 14) & 0xffff);
	}
	give(op, 0, f, (uint16_t)(header + add + bytes));
}

static void pieces(uint8_t op, uint8_t how, const uint8_t *bytes, uint16_t n)
{
	const size_t each = 8 * ((size_t)(how & 15) + 1);
	const size_t header = n > 14 && get16(bytes + 12) == 0x0800 ? 14 + (size_t)(bytes[14] & 15) * 4 : 54;
	size_t count;

	if (n <= header || header < 34) {
		give(op, 0, bytes, n);
		return;
	}
	count = (n - header + each - 1) / each;
	for (size_t i = 0; i < count && i < 80; i++) {
		const size_t k = how & 16 ? count - 1 - i : i, from = k * each;
		const bool more = k + 1 < count;
		size_t here = more ? each : n - header - from;

		if ((how & 128) && !more)
			continue;
		if ((how & 64) && k == 1 && more && from + here + 8 <= (size_t)n - header)
			here += 8;
		for (int twice = 0; twice <= ((how & 32) && k == 1); twice++)
			piece(op, bytes, header, from, here, more);
		settle();
	}
}

static void frame(uint8_t op, uint8_t how, const uint8_t *bytes, uint16_t n)
{
	uint8_t *copy = malloc(n);

	memcpy(copy, bytes, n);
	if (op & 4)
		seal(copy, n);
	if (op & 0x20)
		pieces(op, how, copy, n);
	else
		give(op, how, copy, n);
	free(copy);
}

static void send_to(uint8_t op, const uint8_t *to)
{
	const int w = op >> 1 & 1;
	struct tuple t = {.local = parse("198.18.0.10"), .protocol = 6};
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.shard[w].pools.header);
	struct ip_path path = {0};

	MUST(m != NULL);
	if (op & 1) {
		t.local = parse("2001:2::10");
		t.remote = parse("2001:2::");
		memcpy(t.remote.b + 12, to, 4);
	} else {
		uint32_t v4;

		memcpy(&v4, to, 4);
		t.remote = addr_v4(v4);
	}
	memset(rte_pktmbuf_append(m, 20), 0, 20);
	if (to[0] >= 224 && !(op & 1)) {
		rte_pktmbuf_free(m); /* nobody above speaks to many */
		return;
	}
	ip_output(net.ip[w], &path, &t, m, 64, 0);
}

static const uint8_t *record(const uint8_t *at, const uint8_t *end)
{
	const uint8_t op = *at++;

	if (op < 0x40) {
		uint16_t n;

		if (end - at < 4)
			return end;
		n = (uint16_t)(at[0] | at[1] << 8);
		if (n == 0 || n > end - at - 3)
			n = (uint16_t)(end - at - 3 < 9000 ? end - at - 3 : 9000);
		frame(op, at[2], at + 3, n);
		return at + 3 + n;
	}
	if (end - at < 4)
		return end;
	if (op < 0x80)
		pass(*at++);
	else if (op < 0xc0)
		generation(*at++);
	else {
		send_to(op, at);
		at += 4;
	}
	return at;
}

/* ---- one input ---- */

static void start(void)
{
	static uint16_t worker[WORKERS] = {0, 1};
	static const struct rte_ether_addr macs[PORTS] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}};

	net.link = ip_link_new(WORKERS);
	for (uint16_t p = 0; p < PORTS; p++)
		net.port[p] = (struct port){.id = p, .queues = WORKERS, .mtu = 1500, .mac = macs[p],
		                            .tx_burst = wire_tx,
		                            .offloads = PORT_TX_MULTI_SEGS};
	for (uint16_t w = 0; w < WORKERS; w++) {
		struct shard *s = &net.shard[w];
		const struct ip_up up = {.on_tcp = took, .on_udp = took, .on_icmp_error = took_error,
		                         .on_hand_over = hand_over,
		                         .up = &worker[w]};

		s->counters = &net.cells[w];
		s->worker = w;
		s->workers = WORKERS;
		s->now_ns = 1000 * NS_PER_S;
		wheel_init(&s->wheel, s->now_ns);
		rng_init(&s->rng, w);
		for (int p = 0; p < PORTS; p++)
			net.tx[w][p] = (struct port_tx){.port = &net.port[p], .shard = s, .queue = w};
		net.ip[w] = ip_new(s, net.link, net.tx[w], PORTS, &up);
	}
	generation(0xff);
	pass(50); /* the virtual addresses are active */
	MUST(ip_address_state(net.link, &net.g.addresses[4].addr) == IP_ADDRESS_ACTIVE);
	settle();
}

static void end(void)
{
	settle();
	for (int w = 0; w < WORKERS; w++)
		ip_free(net.ip[w]);
	ip_link_free(net.link);
	MUST(net.rooms == 0);
	for (int w = 0; w < WORKERS; w++) {
		const struct packet_pools *p = &net.shard[w].pools;

		MUST(net.shard[w].wheel.armed == 0);
		MUST(rte_mempool_in_use_count(p->rx) + rte_mempool_in_use_count(p->header) +
		     rte_mempool_in_use_count(p->payload) == 0);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	dpdk_start();
	MUST(packet_pools_init(&net.shard[0].pools, "w0", -1, 2) == OK);
	MUST(packet_pools_init(&net.shard[1].pools, "w1", -1, 2) == OK);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const uint8_t *at = bytes, *stop = bytes + n;

	start();
	for (int records = 0; at < stop && records < FRAMES_MAX; records++) {
		at = record(at, stop);
		settle();
	}
	end();
	return 0;
}
