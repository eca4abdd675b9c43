/* The checksum against the RFC's own way to compute it, on every odd and even cut of a chain. */
#include "net.h"

#include "ip/checksum.h"

static void fill(uint8_t *b, size_t n, uint64_t seed)
{
	struct rng r;

	rng_init(&r, seed);
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)rng_u64(&r);
}

static void test_bytes(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 19, 20, 40, 63, 64, 65, 1459, 1460, 65535};
	static uint8_t b[65536 + 8];

	(void)state;
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		for (size_t shift = 0; shift < 8; shift++) {
			fill(b, sizeof(b), i * 8 + shift);
			const uint16_t got = checksum_fold(checksum_add(0, b + shift, sizes[i]));

			assert_int_equal(__builtin_bswap16(got), sum16(0, b + shift, sizes[i]));
		}
	}
}

static void test_all_ones(void **state)
{
	static uint8_t b[65535];

	(void)state;
	memset(b, 0xff, sizeof(b));
	assert_int_equal(checksum_fold(checksum_add(0, b, 65534)), 0xffff);
	assert_int_equal(__builtin_bswap16(checksum_fold(checksum_add(0, b, 65535))), sum16(0, b, 65535));
}

static void test_chains(void **state)
{
	struct bytes f = {.n = 201};

	(void)state;
	net_open(1, 1);
	net_ips();
	fill(f.b, f.n, 1);
	for (uint32_t first = 1; first < 40; first++) {
		for (uint32_t segment = 1; segment < 60; segment += 3) {
			struct rte_mbuf *m = mbuf_of(0, &f, first, segment);

			for (uint32_t at = 0; at < 60; at += 7) {
				for (uint32_t n = 0; n <= f.n - at; n += 29) {
					const uint16_t got = checksum_fold(checksum_add_mbuf(0, m, at, n));

					assert_int_equal(__builtin_bswap16(got), sum16(0, f.b + at, n));
				}
			}
			rte_pktmbuf_free(m);
		}
	}
	net_close();
}

/* A mapped address in the pseudo header is worth its last four bytes. */
static void test_pseudo(void **state)
{
	const struct tuple t = {.local = A("198.18.0.10"), .remote = A("203.0.113.77"), .protocol = TCP};
	const struct tuple t6 = {.local = A("2001:2::10"), .remote = A("2001:db8::ffff:1"), .protocol = UDP};
	const uint8_t plain[12] = {198, 18, 0, 10, 203, 0, 113, 77, 0, 6, 0x12, 0x34};
	uint8_t plain6[40] = {0};

	(void)state;
	assert_int_equal(__builtin_bswap16(checksum_fold(checksum_pseudo(&t, 0x1234))), sum16(0, plain, 12));
	memcpy(plain6, &t6.local, 16);
	memcpy(plain6 + 16, &t6.remote, 16);
	set16(plain6 + 34, 77);
	plain6[39] = UDP;
	assert_int_equal(__builtin_bswap16(checksum_fold(checksum_pseudo(&t6, 77))), sum16(0, plain6, 40));
}

static void test_datagram(void **state)
{
	struct bytes f;

	(void)state;
	for (uint32_t segment = 0; segment < 30; segment++) {
		net_lab(1);
		net.keep = true;
		eth(&f, PORT0_MAC, CLIENT_MAC, 0x0800);
		ip4(&f, "198.18.0.2", "198.18.0.10", TCP);
		tcp(&f, 40000, 80, "an odd number of bytes of text goes here in pieces of many sizes");
		seal4(&f);
		for (int broken = 0; broken < 2; broken++) {
			f.b[60] ^= (uint8_t)broken;
			ip_input(net.ip[0], mbuf_of(0, &f, 54 + segment, segment), 0);
			assert_int_equal(net.tcp_n, broken + 1);
			assert_int_equal(checksum_datagram_ok(&net.up), !broken);
			rte_pktmbuf_free(net.kept);
		}
		net_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_all_ones),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_pseudo),
		cmocka_unit_test(test_datagram),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
