/* Which addresses the next process goes on with: those that this one had in use, for a while, and of a sound file only. */
#include "../ip/net.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "ip/timing.h"
#include "worker/holdings.h"

enum { BOOT_MS = 5000000 };

static char dir[] = "/tmp/holdings-XXXXXX", path[64];
static struct addr held[LIMIT_addresses];

static bool holds(uint32_t n, const char *text)
{
	const struct addr a = A(text);

	for (uint32_t i = 0; i < n; i++)
		if (addr_equal(&held[i], &a))
			return true;
	return false;
}

static void keep(int64_t boot_ms)
{
	struct holdings *h = holdings_open(dir);

	assert_non_null(h);
	holdings_keep(h, net.link, net.shard[0].now_ns, boot_ms);
	holdings_close(h);
}

static void test_round_trip(void **state)
{
	uint32_t n;

	(void)state;
	assert_int_equal(holdings_read(dir, BOOT_MS, held), 0);
	net_open(1, 1);
	net_ips();
	g_lab();
	apply();
	keep(BOOT_MS);
	assert_int_equal(holdings_read(dir, BOOT_MS, held), 0); /* all tentative */
	advance(1000);
	net.g.t.addresses.n--;                                   /* 2001:2:0:1::1 drains, and the link-local one of its port */
	g_address("198.18.0.11", 24, 0, true);
	apply();
	keep(BOOT_MS);
	n = holdings_read(dir, BOOT_MS, held);
	assert_int_equal(n, 6);
	assert_true(holds(n, "198.18.0.10"));
	assert_true(holds(n, "fe80::ff:fe00:1"));
	assert_false(holds(n, "198.18.0.11"));
	assert_false(holds(n, "198.18.0.255"));
	forget_sent();
	net_close();
}

static void test_time(void **state)
{
	static const struct {
		const char *name;
		int64_t boot_ms;
		bool held;
	} cases[] = {
		{"at once", BOOT_MS, true},
		{"as late as can be", BOOT_MS + HOLDINGS_MS, true},
		{"too late", BOOT_MS + HOLDINGS_MS + 1, false},
		{"after a reboot", BOOT_MS - 1, false},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		print_message("%s\n", cases[i].name);
		assert_int_equal(holdings_read(dir, cases[i].boot_ms, held) > 0, cases[i].held);
	}
}

static void test_unsound(void **state)
{
	static const struct {
		const char *name;
		size_t at, bytes; /* at: set to 0xff, or with bytes 0 the file's end */
		int value;
	} cases[] = {
		{"another magic", 0, 1, 0xff},
		{"being written", 8, 8, 0},
		{"of a time before all", 15, 1, 0xff},
		{"too many", 18, 1, 0xff},
		{"cut", 4000, 0, 0},
		{"empty", 0, 0, 0},
	};
	char sound[65536];
	ssize_t n;
	int fd = open(path, O_RDONLY);

	(void)state;
	assert_true(holdings_read(dir, BOOT_MS, held) > 0);
	n = read(fd, sound, sizeof(sound));
	close(fd);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		char broken[sizeof(sound)];

		print_message("%s\n", cases[i].name);
		memcpy(broken, sound, sizeof(sound));
		memset(broken + cases[i].at, cases[i].value, cases[i].bytes);
		fd = open(path, O_WRONLY | O_TRUNC);
		assert_true(write(fd, broken, cases[i].bytes > 0 ? (size_t)n : cases[i].at) >= 0);
		close(fd);
		assert_int_equal(holdings_read(dir, BOOT_MS, held), 0);
		assert_non_null(holdings_open(dir)); /* it is made anew */
	}
	assert_null(holdings_open("/no/such/folder"));
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/addresses", dir);
	return net_setup(state);
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_unsound),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
