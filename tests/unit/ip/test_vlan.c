/* VLANs: whose a tagged frame is, what is dropped, and what is sent with which tags. */
#include "net.h"

enum { SHOP = NET_PORTS, GUESTS, BACK }; /* numbers of the interfaces */

#define VLANS(...) vlans((struct table_vlan[]){__VA_ARGS__}, sizeof((struct table_vlan[]){__VA_ARGS__}) / sizeof(struct table_vlan))
#define LAB_VLANS {.id = 5, .mtu = 1500}, {.id = 5, .service = 100, .mtu = 1496}, {.id = 5, .mtu = 1400, .port = 1}

static void vlans(const struct table_vlan *v, uint32_t n)
{
	net.g.t.vlans = (struct table_list){.at = offsetof(struct generation, vlans), .n = n};
	memcpy(net.g.vlans, v, n * sizeof(*v));
}

static void vlan_lab(uint16_t workers)
{
	net_open(workers, workers);
	net_ips();
	g_clear();
	VLANS(LAB_VLANS);
	g_address("198.18.0.1", 24, 0, false);
	g_address("198.18.5.1", 24, SHOP, false);
	g_address("2001:2:5::1", 64, SHOP, false);
	g_address("198.18.6.1", 24, GUESTS, false);
	g_address("198.18.7.1", 24, BACK, false);
	apply();
	advance(4000);
	forget_sent();
	for (uint16_t w = 0; w < workers; w++)
		net.cells[w] = (struct counters){0};
}

/* The frame with `n` tags, each type and tag control information. */
static struct bytes tagged(const struct bytes *f, const uint32_t *tags, unsigned n)
{
	struct bytes t = {.n = 0};

	put(&t, f->b, 12);
	for (unsigned i = 0; i < n; i++)
		put32(&t, tags[i]);
	put(&t, f->b + 12, f->n - 12);
	return t;
}

static const struct in {
	const char *name;
	uint32_t tags[3];
	uint8_t port;
	const char *about;       /* an ARP request for it */
	int iface;               /* whence it is answered; -1: it is dropped */
	enum counter why;
} ins[] = {
	{"no tag", {0}, 0, "198.18.0.1", 0, 0},
	{"a tag", {0x81000005}, 0, "198.18.5.1", SHOP, 0},
	{"with a priority", {0x8100e005}, 0, "198.18.5.1", SHOP, 0},
	{"a priority alone (802.1Q, 6.9)", {0x8100a000}, 0, "198.18.0.1", 0, 0},
	{"one tag of the service type", {0x88a80005}, 0, "198.18.5.1", SHOP, 0},
	{"two tags (802.1ad)", {0x88a80064, 0x81000005}, 0, "198.18.6.1", GUESTS, 0},
	{"two tags, the outer one of the other type", {0x81000064, 0x81000005}, 0, "198.18.6.1", GUESTS, 0},
	{"the same tag on another port", {0x81000005}, 1, "198.18.7.1", BACK, 0},
	{"an address of the port behind a tag", {0x81000005}, 0, "198.18.0.1", -1, DROP_arp_not_ours},
	{"an address of the VLAN without its tag", {0}, 0, "198.18.5.1", -1, DROP_arp_not_ours},
	{"an address of another VLAN", {0x81000005}, 0, "198.18.6.1", -1, DROP_arp_not_ours},
	{"a VLAN that is not there", {0x81000006}, 0, "198.18.5.1", -1, DROP_eth_vlan},
	{"one that is on the other port", {0x88a80064, 0x81000005}, 1, "198.18.6.1", -1, DROP_eth_vlan},
	{"an outer tag that is not there", {0x88a80065, 0x81000005}, 0, "198.18.6.1", -1, DROP_eth_vlan},
	{"an outer tag alone", {0x88a80064}, 0, "198.18.6.1", -1, DROP_eth_vlan},
	{"a tag around a priority", {0x81000005, 0x81000000}, 0, "198.18.5.1", -1, DROP_eth_vlan},
	{"a priority around a tag", {0x81000000, 0x81000005}, 0, "198.18.5.1", -1, DROP_eth_vlan},
	{"three tags", {0x88a80064, 0x81000005, 0x81000005}, 0, "198.18.6.1", -1, DROP_eth_vlan},
};

static const char *const tags_out[] = {"", "", "81000005", "88a8006481000005", "81000005"};

static void test_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(ins); i++) {
		const struct in *c = &ins[i];
		unsigned n = 0;
		struct bytes f, t;
		const struct sent *s;
		uint32_t bytes;

		print_message("%s\n", c->name);
		vlan_lab(1);
		while (n < LENGTH(c->tags) && c->tags[n] != 0)
			n++;
		arp_ask(&f, CLIENT_MAC, "198.18.99.2", c->about);
		t = tagged(&f, c->tags, n);
		receive(c->port, &t);
		if (c->iface < 0) {
			assert_int_equal(net.sent_n, 0);
			assert_int_equal(counted(c->why), 1);
			net_close();
			continue;
		}
		s = only_sent();
		bytes = (uint32_t)strlen(tags_out[c->iface]) / 2;
		assert_int_equal(s->port, c->port);
		assert_string_equal(hex(s, 0, 12), c->port ? "020000000102020000000002" : "020000000102020000000001");
		assert_string_equal(hex(s, 12, bytes), tags_out[c->iface]);
		assert_string_equal(hex(s, 12 + bytes, 10), "08060001080006040002");
		net_close();
	}
}

/* Cut anywhere within its tags, and as a chain whose first segment ends there. */
static void test_short(void **state)
{
	static const uint32_t tags[] = {0x88a80064, 0x81000005};
	struct bytes f, t;

	(void)state;
	vlan_lab(1);
	arp_ask(&f, CLIENT_MAC, "198.18.6.2", "198.18.6.1");
	for (uint32_t n = 14; n < 22; n++) {
		t = tagged(&f, tags, 2);
		ip_input(net.ip[0], mbuf_of(0, &t, n, 3), 0);
		t.n = n;
		receive(0, &t);
	}
	assert_int_equal(counted(DROP_eth_short), 2 * 8);
	net_close();
}

/* A port that took the tag off: the frame is like any other. */
static void test_stripped(void **state)
{
	static const uint16_t tcis[] = {0xa005, 0xa006, 0xa000};
	static const unsigned answers[] = {1, 0, 0};

	(void)state;
	for (size_t i = 0; i < LENGTH(tcis); i++) {
		struct bytes f;
		struct rte_mbuf *m;

		vlan_lab(1);
		arp_ask(&f, CLIENT_MAC, "198.18.5.2", "198.18.5.1");
		m = mbuf_of(0, &f, 0, 0);
		m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		m->vlan_tci = tcis[i];
		ip_input(net.ip[0], m, 0);
		settle();
		assert_int_equal(net.sent_n, answers[i]);
		net_close();
	}
}

static struct rte_mbuf *segment(uint16_t w)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.shard[w].pools.header);
	struct bytes f = {.n = 0};

	tcp(&f, 80, 40000, "hello");
	memcpy(rte_pktmbuf_append(m, (uint16_t)f.n), f.b, f.n);
	return m;
}

/* From a worker that is not the link owner, to a neighbour that has to be asked for first. */
static void test_out(void **state)
{
	static const uint32_t tag[] = {0x81000005};
	const struct tuple t = {.local = A("198.18.5.1"), .remote = A("198.18.5.2"), .local_port = 80, .remote_port = 40000,
	                        .protocol = TCP};
	struct ip_path path = {0};
	struct bytes f, in;

	(void)state;
	vlan_lab(2);
	assert_int_equal(ip_mtu(net.ip[1], &path, &t), 1500);
	assert_int_equal(ip_output(net.ip[1], &path, &t, segment(1), 64, 0), OK);
	settle();
	assert_string_equal(hex(only_sent(), 0, 26), "ffffffffffff020000000001" "81000005" "08060001080006040001");
	forget_sent();
	arp_ask(&f, CLIENT_MAC, "198.18.5.2", "198.18.5.1");
	f.b[21] = 2; /* the answer */
	in = tagged(&f, tag, 1);
	receive(0, &in);
	assert_string_equal(hex(only_sent(), 0, 18), "020000000102020000000001" "81000005" "0800");
	forget_sent();
	assert_int_equal(ip_output(net.ip[1], &path, &t, segment(1), 64, 0), OK);
	settle();
	assert_string_equal(hex(only_sent(), 0, 18), "020000000102020000000001" "81000005" "0800");
	assert_int_equal(only_sent()->queue, 1);
	net_close();
}

/* The MTU is the VLAN's own; ports that fill in checksums are told where the IP header begins behind tags. */
static void test_offloads(void **state)
{
	static const struct {
		const char *local, *remote;
		uint32_t tags[2];
		unsigned n, mtu;
		uint8_t port;
	} cases[] = {
		{"198.18.7.1", "198.18.7.2", {0x81000005}, 1, 1400, 1},
		{"198.18.6.1", "198.18.6.2", {0x88a80064, 0x81000005}, 2, 1496, 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const struct tuple t = {.local = A(cases[i].local), .remote = A(cases[i].remote), .local_port = 80,
		                        .remote_port = 40000, .protocol = TCP};
		struct rte_mbuf *m;
		struct ip_path path = {0};
		struct bytes f, in;

		vlan_lab(1);
		assert_int_equal(ip_mtu(net.ip[0], &path, &t), cases[i].mtu);
		arp_ask(&f, CLIENT_MAC, cases[i].remote, cases[i].local);
		in = tagged(&f, cases[i].tags, cases[i].n);
		receive(cases[i].port, &in);
		m = segment(0);
		rte_mbuf_refcnt_update(m, 1);
		assert_int_equal(ip_output(net.ip[0], &path, &t, m, 64, 0), OK);
		flush();
		assert_int_equal(m->l2_len, 14 + 4 * cases[i].n);
		assert_int_equal(m->l3_len, 20);
		rte_pktmbuf_free(m);
		net_close();
	}
}

/* A VLAN that becomes another one: its neighbours are forgotten, its addresses probed where they are now. */
static void test_change(void **state)
{
	static const uint32_t tag[] = {0x81000005};
	struct ip_neigh_info some[8];
	struct bytes f, in;
	uint32_t at = 0;

	(void)state;
	vlan_lab(2);
	arp_ask(&f, CLIENT_MAC, "198.18.5.2", "198.18.5.1");
	in = tagged(&f, tag, 1);
	receive(0, &in);
	assert_int_equal(ip_neigh_walk(net.link, net.shard[0].now_ns, &at, some, 8), 1);
	assert_int_equal(some[0].iface, SHOP);
	forget_sent();
	VLANS({.id = 9, .mtu = 1500}, {.id = 5, .service = 100, .mtu = 1496}, {.id = 5, .mtu = 1400, .port = 1});
	apply();
	at = 0;
	assert_int_equal(ip_neigh_walk(net.link, net.shard[0].now_ns, &at, some, 8), 0);
	receive(0, &in);
	assert_int_equal(counted(DROP_eth_vlan), 1);
	advance(4000);
	assert_true(net.sent_n > 0);
	for (unsigned i = 0; i < net.sent_n; i++)
		assert_string_equal(hex(&net.sent[i], 12, 4), "81000009");
	forget_sent();
	/* All gone: what another worker still hands over is nobody's, and nothing is sent to where it was. */
	net.g.t.vlans.n = 0;
	net.g.t.addresses.n = 1;
	apply();
	advance(40000);
	receive_at(1, 0, &in);
	assert_int_equal(counted(DROP_eth_vlan), 2);
	net_close();
}

/* As many as there may be: the last one is asked on like the first. */
static void test_many(void **state)
{
	struct table_vlan all[LIMIT_vlans];
	struct tuple t = {.local = A("198.18.5.1"), .remote = A("198.18.5.2"), .local_port = 80, .remote_port = 40000,
	                  .protocol = TCP};
	struct ip_path path = {0};

	(void)state;
	for (uint16_t i = 0; i < LIMIT_vlans; i++)
		all[i] = (struct table_vlan){.id = (uint16_t)(i + 1), .mtu = 1500, .port = 1};
	net_open(1, 1);
	net_ips();
	g_clear();
	vlans(all, LIMIT_vlans);
	g_address("198.18.5.1", 24, NET_PORTS + LIMIT_vlans - 1, false);
	apply();
	advance(4000);
	forget_sent();
	assert_int_equal(ip_output(net.ip[0], &path, &t, segment(0), 64, 0), OK);
	settle();
	assert_string_equal(hex(only_sent(), 12, 6), "81000018" "0806");
	advance(30000);
	net_close();
}

/* VLANs of a port have its MAC address, but not its link-local address (RFC 4862: one per interface). */
static void test_link_local(void **state)
{
	struct ip_address_info some[32];
	uint32_t at = 0;
	unsigned n, found = 0;

	(void)state;
	vlan_lab(1);
	g_address("2001:2::1", 64, 0, false);
	g_address("2001:2:6::1", 64, GUESTS, false);
	apply();
	n = ip_address_walk(net.link, net.shard[0].now_ns, &at, some, 32);
	for (unsigned i = 0; i < n; i++)
		found |= some[i].addr.b[0] == 0xfe ? 1u << some[i].iface : 0;
	assert_int_equal(found, 1 << 0 | 1 << SHOP | 1 << GUESTS);
	advance(4000);
	net_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in),      cmocka_unit_test(test_short),  cmocka_unit_test(test_stripped),
		cmocka_unit_test(test_out),     cmocka_unit_test(test_offloads), cmocka_unit_test(test_change),
		cmocka_unit_test(test_link_local), cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
