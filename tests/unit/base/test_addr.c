/* Addresses as text, and the symmetric hash against DPDK's bit by bit Toeplitz. */
#include "../test.h"

#include <netinet/in.h>
#include <rte_thash.h>
#include <string.h>

#include "base/addr.h"
#include "base/rng.h"

static const struct {
	const char *name, *text, *printed; /* printed null: refused */
} texts[] = {
	{"v4", "198.18.0.1", "198.18.0.1"},
	{"v4 all ones", "255.255.255.255", "255.255.255.255"},
	{"v6", "2001:2:0:0::10", "2001:2::10"},
	{"v6 any", "::", "::"},
	{"v6 upper case", "2001:DB8::A", "2001:db8::a"},
	{"leading zero", "010.0.0.1", NULL},
	{"three parts", "10.0.1", NULL},
	{"too large", "10.0.0.256", NULL},
	{"trailing space", "10.0.0.1 ", NULL},
	{"empty", "", NULL},
	{"port", "10.0.0.1:80", NULL},
	{"zone", "fe80::1%eth0", NULL},
	{"brackets", "[::1]", NULL},
	{"mapped", "::ffff:10.0.0.1", NULL},
	{"two gaps", "1::2::3", NULL},
};

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		char out[ADDR_TEXT_MAX];
		struct addr a;
		enum err e = addr_parse(texts[i].text, &a);

		if (!texts[i].printed) {
			assert_int_equal(e, ERR_INVALID);
			continue;
		}
		assert_int_equal(e, OK);
		assert_string_equal(addr_print(&a, out), texts[i].printed);
	}
}

static const struct {
	const char *name, *text;
	bool unicast, link_local;
} kinds[] = {
	{"a host", "198.18.0.1", true, false},
	{"a host of IPv6", "2001:db8::1", true, false},
	{"this network", "0.1.2.3", false, false},
	{"unspecified", "::", false, false},
	{"loopback", "127.0.0.53", false, false},
	{"loopback of IPv6", "::1", false, false},
	{"compatible", "::198.18.0.1", false, false},
	{"the last below multicast", "223.255.255.255", true, false},
	{"multicast", "224.0.0.1", false, false},
	{"multicast of IPv6", "ff05::1", false, false},
	{"reserved", "240.0.0.1", false, false},
	{"broadcast", "255.255.255.255", false, false},
	{"link-local", "169.254.169.254", true, true},
	{"beside link-local", "169.255.0.1", true, false},
	{"link-local of IPv6", "febf::1", true, true},
	{"beside link-local of IPv6", "fec0::1", true, false},
};

static void test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(kinds); i++) {
		struct addr a;

		assert_int_equal(addr_parse(kinds[i].text, &a), OK);
		if (addr_is_unicast(&a) != kinds[i].unicast || addr_is_link_local(&a) != kinds[i].link_local)
			fail_msg("%s: %s", kinds[i].name, kinds[i].text);
	}
}

static struct tuple random_tuple(struct rng *r, int v4)
{
	struct tuple t = {.local_port = (uint16_t)rng_u64(r), .remote_port = (uint16_t)rng_u64(r),
	                  .protocol = IPPROTO_TCP};

	for (unsigned i = 0; i < 2; i++) {
		t.local.q[i] = rng_u64(r);
		t.remote.q[i] = rng_u64(r);
	}
	if (v4) {
		t.local = addr_v4(t.local.w[0]);
		t.remote = addr_v4(t.remote.w[0]);
	}
	return t;
}

/* The hash as a NIC computes it: remote is the source of what arrives. */
static uint32_t by_the_book(const struct tuple *t)
{
	uint8_t key[40];
	uint32_t input[9];
	unsigned words = addr_is_v4(&t->local) ? 1 : 4;

	for (unsigned i = 0; i < sizeof(key); i += 2) {
		key[i] = 0x6d;
		key[i + 1] = 0x5a;
	}
	for (unsigned i = 0; i < words; i++) {
		input[i] = ntohl(t->remote.w[4 - words + i]);
		input[words + i] = ntohl(t->local.w[4 - words + i]);
	}
	input[2 * words] = (uint32_t)t->remote_port << 16 | t->local_port;
	return rte_softrss(input, 2 * words + 1, key);
}

static void test_hash(void **state)
{
	struct rng r;

	(void)state;
	rng_init(&r, 1);
	for (unsigned i = 0; i < 20000; i++) {
		struct tuple t = random_tuple(&r, i & 1), turned = t;

		turned.local = t.remote;
		turned.remote = t.local;
		turned.local_port = t.remote_port;
		turned.remote_port = t.local_port;
		assert_int_equal(tuple_hash(&t), by_the_book(&t));
		assert_int_equal(tuple_hash(&t), tuple_hash(&turned));
	}
}

static void test_owner(void **state)
{
	(void)state;
	for (uint16_t workers = 1; workers <= 16; workers++) {
		unsigned owned[16] = {0};
		struct tuple t = {.protocol = IPPROTO_TCP, .local_port = 80};

		assert_int_equal(addr_parse("198.18.0.10", &t.local), OK);
		assert_int_equal(addr_parse("198.18.0.2", &t.remote), OK);
		for (unsigned port = 32768; port < 61000; port += 2) { /* Linux connects from even ports first */
			uint16_t owner;

			t.remote_port = (uint16_t)port;
			owner = tuple_owner(&t, workers);
			assert_true(owner < workers);
			owned[owner]++;
		}
		for (uint16_t w = 0; w < workers; w++)
			assert_true(owned[w] > 14116u / workers / 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
