/* Longest prefix match and source addresses, seen through the layer's private face. */
#include "net.h"

#include "ip/layer.h"
#include "ip/timing.h"

static const struct {
	const char *name, *to, *gateway; /* gateway "": connected; null: no route */
	int port;
} cases[] = {
	{"connected", "198.18.0.77", "", 0},
	{"connected on the other side", "198.18.1.11", "", 1},
	{"more specific than a connected prefix", "198.18.1.200", "198.18.1.7", 1},
	{"default", "8.8.8.8", "198.18.0.254", 0},
	{"static", "10.1.2.3", "198.18.1.8", 1},
	{"longer static", "10.1.99.3", "198.18.0.9", 0},
	{"host route", "10.1.99.4", "198.18.1.9", 1},
	{"IPv6 connected", "2001:2::abcd", "", 0},
	{"IPv6 default", "2400::1", "2001:2::fe", 0},
	{"IPv6 static", "fd00:1::5", "2001:2:0:1::9", 1},
};

static void routes(void)
{
	g_lab();
	g_route("10.1.0.0", 16, "198.18.1.8", 1);
	g_route("10.1.99.0", 24, "198.18.0.9", 0);
	g_route("10.1.99.4", 32, "198.18.1.9", 1);
	g_route("198.18.1.192", 26, "198.18.1.7", 1);
	g_route("fd00:1::", 32, "2001:2:0:1::9", 1);
	g_route("198.18.1.0", 24, "198.18.1.66", 1); /* the connected one wins */
	g_route("172.16.0.0", 12, "198.18.1.66", 7); /* no such port: ignored */
}

static void test_find(void **state)
{
	(void)state;
	net_open(1, 1);
	net_ips();
	routes();
	apply();
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const struct addr to = A(cases[i].to);
		const struct route *r = ip_route_find(net.ip[0], &to);

		print_message("%s\n", cases[i].name);
		assert_non_null(r);
		assert_int_equal(r->iface, cases[i].port);
		assert_int_equal(r->connected, cases[i].gateway[0] == '\0');
		if (!r->connected) {
			const struct addr gateway = A(cases[i].gateway);

			assert_true(addr_equal(&r->gateway, &gateway));
		}
	}
	net_close();
}

/* ::/0 must not carry IPv4, whose addresses lie within it in our form. */
static void test_families(void **state)
{
	const struct addr to = A("8.8.8.8");

	(void)state;
	net_open(1, 1);
	net_ips();
	g_clear();
	g_address("2001:2::1", 64, 0, false);
	g_route("::", 0, "2001:2::fe", 0);
	apply();
	assert_null(ip_route_find(net.ip[0], &to));
	net_close();
}

static void test_source(void **state)
{
	static const struct {
		const char *name, *to, *source;
		enum err e;
	} want[] = {
		{"connected", "198.18.1.11", "198.18.1.1", OK},
		{"by a gateway", "10.1.2.3", "198.18.1.1", OK},
		{"by the default gateway", "8.8.8.8", "198.18.0.1", OK},
		{"never a virtual address", "198.18.0.2", "198.18.0.1", OK},
		{"IPv6", "2001:2:0:1::11", "2001:2:0:1::1", OK},
	};
	const struct addr far = A("2400::1");
	struct addr a;

	(void)state;
	net_open(1, 1);
	net_ips();
	routes();
	apply();
	advance(1000); /* nobody speaks from an address before it was probed */
	for (size_t i = 0; i < LENGTH(want); i++) {
		const struct addr to = A(want[i].to), source = A(want[i].source);

		print_message("%s\n", want[i].name);
		assert_int_equal(ip_source(net.ip[0], &to, &a), want[i].e);
		assert_true(addr_equal(&a, &source));
	}
	g_clear();
	g_address("2001:2::10", 64, 0, true);
	g_route("::", 0, "2001:2::fe", 0);
	apply();
	advance(ADDRESS_DRAIN_MS + 1);
	assert_int_equal(ip_source(net.ip[0], &far, &a), ERR_NO_ADDRESS);
	g_clear();
	apply();
	assert_int_equal(ip_source(net.ip[0], &far, &a), ERR_NO_ROUTE);
	net_close();
}

static void expect_source(const char *to, const char *want)
{
	const struct addr a = A(to), w = A(want);

	for (uint16_t i = 0; i < net.workers; i++) {
		struct addr is;

		assert_int_equal(ip_source(net.ip[i], &a, &is), OK);
		assert_true(addr_equal(&is, &w));
	}
}

/* The box gets other addresses: it speaks from the old ones, which drain, until the new ones have been probed, through
 * any number of generations meanwhile; and again when what is new is another's. */
static void test_renumbered(void **state)
{
	const struct addr server = A("198.18.1.11");
	struct addr a;

	(void)state;
	net_open(2, 2);
	net_ips();
	routes();
	apply();
	advance(1000);
	for (int i = 0; i < 3; i++) {
		g_clear();
		g_address("198.18.1.2", 24, 1, false);
		g_address("2001:2:0:1::2", 64, 1, false);
		apply();
		expect_source("198.18.1.11", "198.18.1.1");
		expect_source("2001:2:0:1::11", "2001:2:0:1::1");
		advance(100);
	}
	advance(500);
	expect_source("198.18.1.11", "198.18.1.2");
	expect_source("2001:2:0:1::11", "2001:2:0:1::2");
	/* Without any that may be used there is none: the old ones have gone. */
	g_clear();
	g_address("198.18.1.3", 24, 1, false);
	apply();
	expect_source("198.18.1.11", "198.18.1.2");
	for (int s = 0; s < 61; s++) {
		struct bytes f;

		arp_ask(&f, OTHER_MAC, "198.18.1.3", "198.18.1.3");
		receive(1, &f);
		advance(1000);
		forget_sent();
	}
	assert_int_equal(ip_source(net.ip[0], &server, &a), ERR_NO_ADDRESS);
	net_close();
}

static void test_limit(void **state)
{
	char text[32];

	(void)state;
	net_open(1, 1);
	net_ips();
	g_clear();
	g_address("198.18.0.1", 24, 0, false);
	for (int i = 0; i < 1100; i++) {
		snprintf(text, sizeof(text), "10.%d.%d.0", i / 256, i % 256);
		g_route(text, 24, "198.18.0.9", 0);
	}
	apply();
	assert_int_equal(net.ip[0]->routes.n, LIMIT_ip_routes);
	assert_int_equal(counted(C_limit_ip_routes), 1101 - LIMIT_ip_routes);
	for (int i = 0; i < LIMIT_ip_routes - 1; i++) {
		struct addr a;

		snprintf(text, sizeof(text), "10.%d.%d.9", i / 256, i % 256);
		a = A(text);
		assert_non_null(ip_route_find(net.ip[0], &a));
	}
	net_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_renumbered),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
