/*
 * Initial sequence numbers and timestamp offsets (RFC 6528, 3; RFC 7323, 7.1): known answers, made by another SipHash of
 * the tuple's bytes (addresses, ports with the low byte first, the use) with the secret 00..1f; and what they promise.
 */
#include "../test.h"

#include <netinet/in.h>

#include "base/addr.h"
#include "tcp/isn.h"

enum { TICK_NS = 4096 };

static struct shard shard_at(uint64_t now_ns)
{
	struct shard s = {.now_ns = now_ns};

	for (unsigned i = 0; i < sizeof(s.secret); i++)
		s.secret[i] = (uint8_t)i;
	return s;
}

static struct tuple tuple_of(const char *local, const char *remote, uint16_t local_port, uint16_t remote_port)
{
	struct tuple t = {.local_port = local_port, .remote_port = remote_port, .protocol = IPPROTO_TCP};

	assert_int_equal(addr_parse(local, &t.local), OK);
	assert_int_equal(addr_parse(remote, &t.remote), OK);
	return t;
}

static const struct {
	const char *name, *local, *remote;
	uint16_t local_port, remote_port;
	uint64_t now_ns;
	uint32_t isn, offset;
} cases[] = {
	{"at the clock's beginning", "2001:2::10", "2001:2::99", 80, 40000, 0, 0xa93b928c, 0x32776afc},
	{"1000 s later", "2001:2::10", "2001:2::99", 80, 40000, 1000 * NS_PER_S, 0xb7c8dcdd, 0x32776afc},
	{"another port", "2001:2::10", "2001:2::99", 80, 40001, 1000 * NS_PER_S, 0x3d0c15a3, 0x60ac979c},
	{"IPv4, the clock has wrapped", "198.18.0.10", "198.18.0.2", 80, 40000, UINT64_C(1) << 45, 0xa2c4d027, 0xb237c018},
};

static void test_known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const struct shard s = shard_at(cases[i].now_ns);
		const struct tuple t =
			tuple_of(cases[i].local, cases[i].remote, cases[i].local_port, cases[i].remote_port);

		for (unsigned again = 0; again < 2; again++)
			if (isn_make(&s, &t) != cases[i].isn || isn_ts_offset(&s, &t) != cases[i].offset)
				fail_msg("%s: %08x %08x", cases[i].name, isn_make(&s, &t), isn_ts_offset(&s, &t));
	}
}

/* A tick of about 4 us is one number, whatever the tuple, also when the 32 bits wrap. */
static void test_clock(void **state)
{
	struct shard s = shard_at(0);
	const struct tuple t = tuple_of("198.18.0.10", "198.18.0.2", 80, 40000);
	const uint32_t at_0 = isn_make(&s, &t);

	(void)state;
	for (uint64_t tick = 1; tick < UINT64_C(1) << 34; tick = tick * 3 + 1) {
		s.now_ns = tick * TICK_NS;
		assert_int_equal(isn_make(&s, &t) - at_0, (uint32_t)tick);
		s.now_ns -= 1;
		assert_int_equal(isn_make(&s, &t) - at_0, (uint32_t)(tick - 1));
	}
}

/* Whatever of the tuple or of its own secret is another, so are both; and neither depends on the other's secret. */
static void test_secrets(void **state)
{
	const struct tuple tuples[] = {
		tuple_of("198.18.0.10", "198.18.0.2", 80, 40000), tuple_of("198.18.0.10", "198.18.0.2", 80, 40001),
		tuple_of("198.18.0.10", "198.18.0.2", 81, 40000), tuple_of("198.18.0.10", "198.18.0.3", 80, 40000),
		tuple_of("198.18.0.11", "198.18.0.2", 80, 40000), tuple_of("198.18.0.2", "198.18.0.10", 40000, 80),
	};
	const struct shard s = shard_at(1000 * NS_PER_S);

	(void)state;
	for (size_t i = 0; i < LENGTH(tuples); i++)
		for (size_t k = 0; k < i; k++) {
			assert_int_not_equal(isn_make(&s, &tuples[i]), isn_make(&s, &tuples[k]));
			assert_int_not_equal(isn_ts_offset(&s, &tuples[i]), isn_ts_offset(&s, &tuples[k]));
		}
	for (unsigned byte = 0; byte < sizeof(s.secret); byte++) {
		struct shard other = s;

		other.secret[byte] ^= 0x80;
		assert_int_equal(isn_make(&other, &tuples[0]) == isn_make(&s, &tuples[0]), byte >= 16);
		assert_int_equal(isn_ts_offset(&other, &tuples[0]) == isn_ts_offset(&s, &tuples[0]), byte < 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers), cmocka_unit_test(test_clock), cmocka_unit_test(test_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
