/* Output: headers and checksums byte by byte, offloads, paths, sizes. */
#include "net.h"

static struct rte_mbuf *segment(uint16_t w, uint32_t protocol, const char *text)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.shard[w].pools.header);
	struct bytes f = {.n = 0};

	if (protocol == TCP)
		tcp(&f, 80, 40000, text);
	else
		udp(&f, 53, 5000, text);
	memcpy(rte_pktmbuf_append(m, (uint16_t)f.n), f.b, f.n);
	return m;
}

static struct tuple tuple(const char *from, const char *to, uint32_t protocol)
{
	return (struct tuple){.local = A(from), .remote = A(to), .local_port = 80, .remote_port = 40000,
	                      .protocol = protocol};
}

static void test_ip4(void **state)
{
	const struct tuple t = tuple("198.18.0.10", "198.18.0.2", TCP);
	struct ip_path path = {0};
	unsigned id;

	(void)state;
	net_quiet(1);
	meet();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ip_output(net.ip[0], &path, &t, segment(0, TCP, "hello"), 61, 0xb9), OK);
		flush();
	}
	assert_int_equal(net.sent_n, 2);
	assert_string_equal(hex(&net.sent[0], 0, 14), "0200000001020200000000010800");
	assert_string_equal(hex(&net.sent[0], 14, 4), "45b9002d");
	assert_string_equal(hex(&net.sent[0], 20, 4), "40003d06");
	assert_string_equal(hex(&net.sent[0], 26, 8), "c612000ac6120002");
	assert_memory_equal(net.sent[0].f.b + 54, "hello", 5);
	check_sealed(&net.sent[0]);
	check_sealed(&net.sent[1]);
	id = get16(net.sent[0].f.b + 18);
	assert_int_equal(get16(net.sent[1].f.b + 18), (id + 1) & 0xffff);
	assert_int_equal(counted(C_ip_sent), 2);
	net_close();
}

/* RFC 1191, 3: what the path may not carry whole, routers may cut. Large segments are not left to the port then. */
static void test_narrow(void **state)
{
	const struct tuple t = tuple("198.18.0.10", "198.18.0.2", TCP);
	struct ip_path path = {0};

	(void)state;
	net_quiet(1);
	meet();
	for (int narrow = 0; narrow < 2; narrow++) {
		if (narrow)
			assert_true(ip_mtu_lower(net.ip[0], &path, &t, 400));
		assert_int_equal(ip_mtu(net.ip[0], &path, &t), narrow ? 552 : 1500);
		assert_int_equal(ip_output(net.ip[0], &path, &t, segment(0, TCP, "hello"), 64, 0), OK);
		flush();
		assert_string_equal(hex(only_sent(), 20, 2), narrow ? "0000" : "4000");
		check_sealed(only_sent());
		forget_sent();
	}
	assert_int_equal(path.large, 0);
	assert_false(ip_mtu_lower(net.ip[0], &path, &t, 300)); /* no router says so of what has no DF */
	net_close();
}

static void test_ip6(void **state)
{
	const struct tuple t = tuple("2001:2::10", "2001:2::2", TCP);
	struct ip_path path = {0};
	const struct sent *s;

	(void)state;
	net_quiet(1);
	meet();
	assert_int_equal(ip_output(net.ip[0], &path, &t, segment(0, TCP, "hello!"), 61, 0xb9), OK);
	flush();
	s = only_sent();
	assert_string_equal(hex(s, 0, 14), "02000000010202000000000186dd");
	assert_string_equal(hex(s, 14, 8), "6b900000001a063d");
	assert_string_equal(hex(s, 22, 32), "20010002000000000000000000000010" "20010002000000000000000000000002");
	check_sealed(s);
	net_close();
}

/* Payload by reference, in pieces of odd lengths, behind a header of odd length. */
static void test_chain(void **state)
{
	static const char *const remotes[] = {"198.18.0.2", "2001:2::2"};

	(void)state;
	for (unsigned r = 0; r < LENGTH(remotes); r++) {
		for (unsigned cut = 1; cut < 30; cut++) {
			const struct tuple t = tuple(r ? "2001:2::10" : "198.18.0.10", remotes[r], TCP);
			struct ip_path path = {0};
			struct rte_mbuf *m, *last;
			struct bytes text = {.n = 0};

			for (unsigned i = 0; i < 997; i++)
				put8(&text, i * 7 & 0xff);
			net_quiet(1);
			meet();
			m = last = segment(0, TCP, cut % 2 ? "odd" : "even");
			for (uint32_t at = 0; at < text.n; at += cut * 3) {
				const uint32_t n = text.n - at < cut * 3 ? text.n - at : cut * 3;
				struct rte_mbuf *p = rte_pktmbuf_alloc(net.shard[0].pools.payload);

				memcpy(rte_pktmbuf_append(p, (uint16_t)n), text.b + at, n);
				last->next = p;
				last = p;
				m->nb_segs++;
				m->pkt_len += n;
			}
			assert_int_equal(ip_output(net.ip[0], &path, &t, m, 64, 0), OK);
			flush();
			check_sealed(only_sent());
			assert_memory_equal(only_sent()->f.b + only_sent()->f.n - 997, text.b, 997);
			net_close();
		}
	}
}

static void test_offload(void **state)
{
	struct ip_path path = {0};
	const struct tuple t = tuple("198.18.0.10", "198.18.0.2", TCP), t6 = tuple("2001:2::10", "2001:2::2", UDP);
	const uint8_t pseudo[12] = {198, 18, 0, 10, 198, 18, 0, 2, 0, 6, 0, 25};

	(void)state;
	net_open(1, 1);
	net.port[0].offloads |= PORT_TX_IP_CSUM | PORT_TX_L4_CSUM;
	net_ips();
	g_lab();
	net.g.t.ip_routes.n = 0;
	apply();
	advance(5000);
	forget_sent();
	meet();
	assert_int_equal(ip_output(net.ip[0], &path, &t, segment(0, TCP, "hello"), 64, 0), OK);
	path = (struct ip_path){0};
	assert_int_equal(ip_output(net.ip[0], &path, &t6, segment(0, UDP, "hello"), 64, 0), OK);
	flush();
	assert_int_equal(net.sent[0].flags & (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IPV4 |
	                                      RTE_MBUF_F_TX_IPV6),
	                 RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4);
	assert_int_equal(get16(net.sent[0].f.b + 24), 0);
	assert_int_equal(get16(net.sent[0].f.b + 50), sum16(0, pseudo, 12)); /* the pseudo header, not inverted */
	assert_int_equal(net.sent[1].flags & (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IPV4 |
	                                      RTE_MBUF_F_TX_IPV6),
	                 RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV6);
	net_close();
}

/* A segment that the port cuts: what DPDK wants to stand in it, and only where the path has such a port. */
static void test_large(void **state)
{
	const struct tuple t = tuple("198.18.0.10", "198.18.0.2", TCP), t1 = tuple("198.18.1.1", "198.18.1.11", TCP);
	const uint8_t pseudo[12] = {198, 18, 0, 10, 198, 18, 0, 2, 0, 6, 0, 0};

	(void)state;
	for (unsigned segsz = 1000; segsz <= 1461; segsz += 461) {
		struct ip_path path = {0}, path1 = {0};

		net_open(1, 1);
		net.port[0].offloads |= PORT_TX_MULTI_SEGS | PORT_TX_L4_CSUM | PORT_TX_TSO;
		net_ips();
		g_lab();
		net.g.t.ip_routes.n = 0;
		apply();
		advance(5000);
		forget_sent();
		meet();
		assert_int_equal(ip_mtu(net.ip[0], &path, &t), 1500);
		assert_in_range(path.large, 16, 64);
		assert_int_equal(ip_mtu(net.ip[0], &path1, &t1), 1500);
		assert_int_equal(path1.large, 0);
		for (int to = 0; to < 2; to++) {
			struct rte_mbuf *m = segment(0, TCP, ""), *p = rte_pktmbuf_alloc(net.shard[0].pools.payload);
			const bool taken = to == 0 && segsz <= 1460;

			memset(rte_pktmbuf_append(p, 1900), 'x', 1900);
			rte_pktmbuf_chain(m, p);
			m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
			m->tso_segsz = (uint16_t)segsz;
			m->l4_len = 20;
			assert_int_equal(ip_output(net.ip[0], to ? &path1 : &path, to ? &t1 : &t, m, 64, 0), taken ? OK : ERR_LIMIT);
			flush();
			assert_int_equal(net.sent_n, taken);
			if (!taken)
				continue;
			assert_int_equal(net.sent[0].flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IPV4),
			                 RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4);
			assert_int_equal(get16(net.sent[0].f.b + 16), 1940); /* the length of all of it */
			assert_int_equal(get16(net.sent[0].f.b + 50), sum16(0, pseudo, 12));
			assert_int_equal(counted(C_port_tx_large), 1);
			forget_sent();
		}
		net_close();
	}
}

/* A UDP checksum that comes out as zero is sent as all ones. */
static void test_udp_zero(void **state)
{
	const struct tuple t = tuple("198.18.0.10", "198.18.0.2", UDP);
	bool found = false;

	(void)state;
	net_quiet(1);
	meet();
	for (unsigned i = 0; i < 65536 && !found; i++) {
		struct ip_path path = {0};
		struct rte_mbuf *m = segment(0, UDP, "xx");

		set16(rte_pktmbuf_mtod_offset(m, uint8_t *, 8), i);
		assert_int_equal(ip_output(net.ip[0], &path, &t, m, 64, 0), OK);
		flush();
		assert_int_not_equal(get16(only_sent()->f.b + 40), 0);
		found = get16(only_sent()->f.b + 40) == 0xffff;
		forget_sent();
	}
	assert_true(found);
	net_close();
}

static void test_too_big(void **state)
{
	static const struct {
		const char *from, *to;
		unsigned bytes;
		enum err e;
	} cases[] = {
		{"198.18.0.10", "198.18.0.2", 1460, OK}, {"198.18.0.10", "198.18.0.2", 1461, ERR_LIMIT},
		{"2001:2::10", "2001:2::2", 1440, OK}, {"2001:2::10", "2001:2::2", 1441, ERR_LIMIT},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const struct tuple t = tuple(cases[i].from, cases[i].to, TCP);
		struct ip_path path = {0};
		struct rte_mbuf *m, *p;

		net_quiet(1);
		meet();
		m = segment(0, TCP, "");
		p = rte_pktmbuf_alloc(net.shard[0].pools.payload);
		memset(rte_pktmbuf_append(p, (uint16_t)cases[i].bytes), 'x', cases[i].bytes);
		rte_pktmbuf_chain(m, p);
		assert_int_equal(ip_output(net.ip[0], &path, &t, m, 64, 0), cases[i].e);
		flush();
		assert_int_equal(net.sent_n, cases[i].e == OK);
		assert_int_equal(counted(DROP_ip_too_big), cases[i].e != OK);
		assert_int_equal(ip_mtu(net.ip[0], &path, &t), 1500);
		net_close();
	}
}

/* To ourselves, to a subnet broadcast, to nowhere. */
static void test_no_route(void **state)
{
	static const char *const to[] = {"198.18.0.10", "198.18.1.1", "198.18.0.255", "8.8.8.8"};

	(void)state;
	net_quiet(1);
	for (size_t i = 0; i < LENGTH(to); i++) {
		const struct tuple t = tuple("198.18.0.10", to[i], TCP);
		struct ip_path path = {0};

		assert_int_equal(ip_output(net.ip[0], &path, &t, segment(0, TCP, "x"), 64, 0), ERR_NO_ROUTE);
		assert_int_equal(ip_mtu(net.ip[0], &path, &t), 0);
		assert_int_equal(counted(DROP_ip_no_route), i + 1);
	}
	assert_int_equal(net.sent_n, 0);
	net_close();
}

/* A path made from one generation's routes is made anew with the next. */
static void test_new_routes(void **state)
{
	const struct tuple t = tuple("198.18.0.10", "8.8.8.8", TCP);
	struct ip_path path = {0};

	(void)state;
	net_quiet(1);
	meet();
	g_route("8.8.8.0", 24, "198.18.0.2", 0);
	apply();
	assert_int_equal(ip_output(net.ip[0], &path, &t, segment(0, TCP, "x"), 64, 0), OK);
	flush();
	assert_string_equal(hex(only_sent(), 0, 6), "020000000102");
	assert_int_equal(net.sent[0].port, 0);
	forget_sent();
	g_lab();
	net.g.t.ip_routes.n = 0;
	g_route("8.8.8.0", 24, "198.18.1.11", 1);
	apply();
	assert_int_equal(ip_output(net.ip[0], &path, &t, segment(0, TCP, "x"), 64, 0), OK);
	flush();
	assert_string_equal(hex(only_sent(), 0, 12), "020000000211020000000002");
	assert_int_equal(net.sent[0].port, 1);
	net_close();
}

static void test_no_mbuf(void **state)
{
	struct rte_mbuf *all[4096];
	unsigned n = 0;
	struct bytes f;

	(void)state;
	net_quiet(1);
	while (n < LENGTH(all) && (all[n] = rte_pktmbuf_alloc(net.shard[0].pools.header)) != NULL)
		n++;
	arp_ask(&f, CLIENT_MAC, "198.18.0.2", "198.18.0.10");
	receive(0, &f);
	assert_int_equal(net.sent_n, 0);
	assert_int_equal(counted(DROP_ip_no_mbuf), 1);
	rte_pktmbuf_free_bulk(all, n);
	net_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip4),
		cmocka_unit_test(test_narrow),
		cmocka_unit_test(test_ip6),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_offload),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_udp_zero),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_no_route),
		cmocka_unit_test(test_new_routes),
		cmocka_unit_test(test_no_mbuf),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
