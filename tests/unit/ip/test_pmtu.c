/* Path MTUs: learned per destination, forgotten after ten minutes, bounded. */
#include "net.h"

#include "base/limits.h"

static struct tuple tuple_to(const char *to)
{
	const struct addr remote = A(to);

	return (struct tuple){.local = A(addr_is_v4(&remote) ? "198.18.0.10" : "2001:2::10"), .remote = remote,
	                      .local_port = 80, .remote_port = 40000, .protocol = TCP};
}

static uint16_t mtu_to(const char *to)
{
	const struct tuple t = tuple_to(to);
	struct ip_path path = {0};

	return ip_mtu(net.ip[0], &path, &t);
}

static uint16_t mtu_here_to(const char *to)
{
	const struct tuple t = tuple_to(to);
	struct ip_path path = {0};

	return ip_mtu_here(net.ip[0], &path, &t);
}

static bool lower(const char *to, uint32_t mtu)
{
	const struct tuple t = tuple_to(to);
	struct ip_path path = {0};

	return ip_mtu_lower(net.ip[0], &path, &t, mtu);
}

static void test_lower(void **state)
{
	static const struct {
		const char *name, *to;
		uint32_t mtu;
		bool taken;
		uint16_t then;
	} cases[] = {
		{"less", "198.18.0.7", 1400, true, 1400},
		{"the floor", "198.18.0.7", 552, true, 552},
		{"below the floor", "198.18.0.7", 551, true, 552},
		{"the least of all", "198.18.0.7", 68, true, 552},
		{"below that", "198.18.0.7", 67, false, 1500},
		{"nothing", "198.18.0.7", 0, false, 1500},
		{"what it is", "198.18.0.7", 1500, false, 1500},
		{"more", "198.18.0.7", 65536 + 1400, false, 1500},
		{"IPv6, less", "2001:2::7", 1400, true, 1400},
		{"IPv6, the floor", "2001:2::7", 1280, true, 1280},
		{"IPv6, below the floor", "2001:2::7", 1279, false, 1500},
		{"on the other port", "198.18.1.11", 1400, true, 1400},
		{"no route", "8.8.8.8", 1400, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		print_message("%s\n", cases[i].name);
		net_quiet(1);
		assert_int_equal(lower(cases[i].to, cases[i].mtu), cases[i].taken);
		assert_int_equal(mtu_to(cases[i].to), cases[i].then);
		assert_int_equal(mtu_here_to(cases[i].to), cases[i].then ? 1500 : 0);
		assert_int_equal(mtu_to("198.18.0.8"), 1500);
		assert_int_equal(counted(C_ip_path_mtus_learned), cases[i].taken);
		net_close();
	}
}

/* Paths that were made before follow; so they do when it is forgotten, ten minutes after the last word of it. */
static void test_forgotten(void **state)
{
	const struct tuple t = tuple_to("198.18.0.7");
	struct ip_path path = {0};

	(void)state;
	net_quiet(1);
	assert_int_equal(ip_mtu(net.ip[0], &path, &t), 1500);
	assert_true(lower("198.18.0.7", 1400));
	assert_int_equal(ip_mtu(net.ip[0], &path, &t), 1400);
	advance(400 * 1000);
	assert_true(lower("198.18.0.7", 1300));
	advance(599 * 1000);
	assert_int_equal(ip_mtu(net.ip[0], &path, &t), 1300);
	advance(12 * 1000);
	assert_int_equal(ip_mtu(net.ip[0], &path, &t), 1500);
	assert_true(lower("198.18.0.7", 1400));
	apply();
	assert_int_equal(ip_mtu(net.ip[0], &path, &t), 1400); /* a new generation changes nothing */
	net_close();
}

/* Full: the first is forgotten, the others stay. */
static void test_full(void **state)
{
	char to[32];

	(void)state;
	net_quiet(1);
	for (unsigned i = 0; i < LIMIT_path_mtus + 10; i++) {
		snprintf(to, sizeof(to), "2001:2::9:%x", i);
		assert_true(lower(to, 1400));
		advance(1);
	}
	assert_int_equal(counted(C_limit_path_mtus), 10);
	for (unsigned i = 0; i < LIMIT_path_mtus + 10; i++) {
		snprintf(to, sizeof(to), "2001:2::9:%x", i);
		assert_int_equal(mtu_to(to), i < 10 ? 1500 : 1400);
	}
	advance(612 * 1000);
	assert_int_equal(mtu_to("2001:2::9:202"), 1500);
	assert_true(lower("2001:2::9:1", 1400));
	assert_int_equal(counted(C_limit_path_mtus), 10);
	net_close();
}

/* A route's MTU, unless that of its port is smaller; both are our own end. */
static void test_route(void **state)
{
	(void)state;
	net_quiet(1);
	g_lab();
	net.g.t.ip_routes.n = 0;
	g_route("8.8.8.0", 24, "198.18.0.2", 0);
	net.g.routes[0].mtu = 1400;
	g_route("9.9.9.0", 24, "198.18.0.2", 0);
	net.g.routes[1].mtu = 9000;
	g_route("0.0.0.0", 0, "198.18.0.254", 0);
	apply();
	assert_int_equal(mtu_to("8.8.8.8"), 1400);
	assert_int_equal(mtu_to("9.9.9.9"), 1500);
	assert_int_equal(mtu_to("10.0.0.1"), 1500);
	assert_true(lower("8.8.8.8", 1300));
	assert_int_equal(mtu_to("8.8.8.8"), 1300);
	assert_int_equal(mtu_here_to("8.8.8.8"), 1400);
	assert_int_equal(mtu_here_to("9.9.9.9"), 1500);
	net_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lower),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_route),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
