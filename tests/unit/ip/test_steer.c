/* Whose packet it is: four workers, frames that arrive on each of them, and who ends up with them. */
#include "net.h"

static void segment(struct bytes *f, bool v4, unsigned port)
{
	eth(f, PORT0_MAC, CLIENT_MAC, v4 ? 0x0800 : 0x86dd);
	if (v4)
		ip4(f, "198.18.0.2", "198.18.0.10", TCP);
	else
		ip6(f, "2001:2::2", "2001:2::10", TCP, 64);
	tcp(f, port, 80, "hello");
	if (v4)
		seal4(f);
	else
		seal6(f);
}

static void error_about(struct bytes *f, bool v4, unsigned port)
{
	eth(f, PORT0_MAC, OTHER_MAC, v4 ? 0x0800 : 0x86dd);
	if (v4)
		ip4(f, "8.8.8.8", "198.18.0.10", ICMP);
	else
		ip6(f, "2400::1", "2001:2::10", ICMP6, 64);
	put(f, v4 ? "\3\1\0\0\0\0\0\0" : "\1\0\0\0\0\0\0\0", 8);
	if (v4)
		ip4(f, "198.18.0.10", "198.18.0.2", TCP);
	else
		ip6(f, "2001:2::10", "2001:2::2", TCP, 64);
	put16(f, 80);
	put16(f, port);
	put32(f, 0x01020304);
	if (v4)
		seal4(f);
	else
		seal6(f);
}

static uint16_t owner_of(bool v4, unsigned port)
{
	const struct tuple t = {.local = A(v4 ? "198.18.0.10" : "2001:2::10"),
	                        .remote = A(v4 ? "198.18.0.2" : "2001:2::2"),
	                        .local_port = 80, .remote_port = (uint16_t)port, .protocol = TCP};

	return tuple_owner(&t, net.workers);
}

static void test_segments(void **state)
{
	unsigned to[NET_WORKERS] = {0};

	(void)state;
	net_quiet(NET_WORKERS);
	for (unsigned port = 40000; port < 40100; port++) {
		for (int v4 = 0; v4 < 2; v4++) {
			const uint16_t owner = owner_of(v4, port);

			for (uint16_t w = 0; w < NET_WORKERS; w++) {
				const unsigned tcp_n = net.tcp_n, handed = net.handed_total;
				struct bytes f;

				segment(&f, v4, port);
				receive_at(w, 0, &f);
				assert_int_equal(net.tcp_n, tcp_n + 1);
				assert_int_equal(net.up_worker, owner);
				assert_int_equal(net.handed_total, handed + (w != owner));
				assert_memory_equal(net.up_bytes.b + 20, "hello", 5);
			}
			to[owner]++;
		}
	}
	for (int w = 0; w < NET_WORKERS; w++)
		assert_in_range(to[w], 20, 100);
	net_close();
}

static void test_errors(void **state)
{
	(void)state;
	net_quiet(NET_WORKERS);
	for (unsigned port = 40000; port < 40020; port++) {
		for (int v4 = 0; v4 < 2; v4++) {
			for (uint16_t w = 0; w < NET_WORKERS; w++) {
				struct bytes f;
				const unsigned n = net.error_n;

				error_about(&f, v4, port);
				receive_at(w, 0, &f);
				assert_int_equal(net.error_n, n + 1);
				assert_int_equal(net.up_worker, owner_of(v4, port));
				assert_int_equal(net.error.tuple.remote_port, port);
			}
		}
	}
	net_close();
}

/* ARP and ND go to the link owner from wherever they arrive, echo is answered where it arrives. */
static void test_link(void **state)
{
	(void)state;
	for (uint16_t w = 0; w < NET_WORKERS; w++) {
		struct bytes f;

		net_quiet(NET_WORKERS);
		arp_ask(&f, CLIENT_MAC, "198.18.0.2", "198.18.0.10");
		receive_at(w, 0, &f);
		assert_int_equal(only_sent()->queue, 0);
		assert_int_equal(net.handed_total, w != 0);
		nd(&f, "33:33:ff:00:00:10", CLIENT_MAC, "2001:2::2", "ff02::1:ff00:10", 135, 0, "2001:2::10", 1);
		receive_at(w, 0, &f);
		assert_int_equal(net.sent_n, 2);
		assert_int_equal(net.handed_total, 2 * (w != 0));
		forget_sent();
		eth(&f, PORT0_MAC, CLIENT_MAC, 0x0800);
		ip4(&f, "198.18.0.2", "198.18.0.10", ICMP);
		put(&f, "\10\0\0\0\1\2\3\4ping", 12);
		seal4(&f);
		receive_at(w, 0, &f);
		assert_int_equal(only_sent()->queue, w);
		assert_int_equal(net.handed_total, 2 * (w != 0));
		net_close();
	}
}

/* What the link owner learned, all can use; what is not known, it finds out for them. */
static void test_resolve(void **state)
{
	(void)state;
	for (uint16_t w = 0; w < NET_WORKERS; w++) {
		const struct tuple t = {.local = A("198.18.0.10"), .remote = A("198.18.0.2"), .protocol = TCP};
		struct ip_path path = {0};
		struct bytes s = {.n = 0}, f;

		net_quiet(NET_WORKERS);
		tcp(&s, 80, 40000, "hello");
		for (int i = 0; i < 3; i++) {
			struct rte_mbuf *m = rte_pktmbuf_alloc(net.shard[w].pools.header);

			memcpy(rte_pktmbuf_append(m, (uint16_t)s.n), s.b, s.n);
			assert_int_equal(ip_output(net.ip[w], &path, &t, m, 64, 0), OK);
			settle();
			if (i == 0) {
				assert_int_equal(only_sent()->f.b[13], 6);
				assert_int_equal(net.sent[0].queue, 0);
				arp_answer(&f, PORT0_MAC, CLIENT_MAC, "198.18.0.2", "198.18.0.1");
				forget_sent();
				receive_at(3, 0, &f);
			}
			assert_int_equal(only_sent()->queue, i == 0 ? 0 : w);
			assert_memory_equal(net.sent[0].f.b + 54, "hello", 5);
			check_sealed(&net.sent[0]);
			forget_sent();
		}
		net_close();
	}
}

/* A port with fewer queues than there are workers: those without send by the link owner. */
static void test_few_queues(void **state)
{
	const struct tuple t = {.local = A("198.18.0.10"), .remote = A("198.18.0.2"), .protocol = TCP};
	struct bytes s = {.n = 0};

	(void)state;
	net_open(NET_WORKERS, 2);
	net_ips();
	g_lab();
	net.g.t.ip_routes.n = 0;
	apply();
	advance(5000);
	forget_sent();
	meet();
	tcp(&s, 80, 40000, "hello");
	for (uint16_t w = 0; w < NET_WORKERS; w++) {
		struct ip_path path = {0};

		for (int i = 0; i < 2; i++) {
			struct rte_mbuf *m = rte_pktmbuf_alloc(net.shard[w].pools.header);

			memcpy(rte_pktmbuf_append(m, (uint16_t)s.n), s.b, s.n);
			assert_int_equal(ip_output(net.ip[w], &path, &t, m, 64, 0), OK);
			settle();
			assert_int_equal(only_sent()->queue, w < 2 ? w : 0);
			check_sealed(only_sent());
			forget_sent();
		}
	}
	net_close();
}

/* A port that delivers to the owner itself is believed. */
static void test_rss(void **state)
{
	struct bytes f;

	(void)state;
	net_open(NET_WORKERS, NET_WORKERS);
	net.port[0].offloads |= PORT_RSS;
	net_ips();
	g_lab();
	apply();
	advance(1000);
	for (uint16_t w = 0; w < NET_WORKERS; w++) {
		segment(&f, true, 40000);
		net.handed_total = 0;
		receive_at(w, 0, &f);
		assert_int_equal(net.handed_total, 0);
		assert_int_equal(net.up_worker, w);
	}
	net_close();
}

/* A worker that has the new generation before the link owner: the address is not ours yet, and no harm is done. */
static void test_early_worker(void **state)
{
	struct bytes f;

	(void)state;
	net_quiet(2);
	g_address("198.18.0.11", 24, 0, true);
	net.shard[1].table = &net.g.t;
	ip_apply(net.ip[1]);
	eth(&f, PORT0_MAC, CLIENT_MAC, 0x0800);
	ip4(&f, "198.18.0.2", "198.18.0.11", TCP);
	tcp(&f, 40000, 80, "x");
	seal4(&f);
	receive_at(1, 0, &f);
	assert_int_equal(counted(DROP_ip_not_ours), 1);
	assert_int_equal(net.sent_n, 0);
	apply();
	advance(700);
	receive_at(1, 0, &f);
	assert_int_equal(net.tcp_n, 1);
	net_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_few_queues),
		cmocka_unit_test(test_rss),
		cmocka_unit_test(test_early_worker),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
