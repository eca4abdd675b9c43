/* Who may be half open: bounds of all, of a listener, of a source; what is given back is another's. */
#include "../test.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/limits.h"
#include "tcp/backlog.h"

static const uint8_t secret[16] = {1, 2, 3};

enum family { V4, V6 };

/* The n-th peer: another address, another host of one /64, or another port of one address; of the listener at a port. */
enum kind { OTHER_ADDRESS, OTHER_HOST, OTHER_PORT };

static struct tuple tuple(enum family family, enum kind kind, uint32_t n, uint16_t listener)
{
	struct tuple t = {.local_port = listener, .remote_port = 1000, .protocol = IPPROTO_TCP};

	if (family == V4) {
		t.local = addr_v4(__builtin_bswap32(0xc612000a));
		t.remote = addr_v4(__builtin_bswap32(0x2d000000 + (kind == OTHER_ADDRESS ? n : 0)));
	} else {
		t.local = (struct addr){.w = {__builtin_bswap32(0x20010002), 0, 0, __builtin_bswap32(0x10)}};
		t.remote = (struct addr){.w = {__builtin_bswap32(0x20010db8), kind == OTHER_ADDRESS ? n : 0,
		                               kind == OTHER_HOST ? n : 0, __builtin_bswap32(1)}};
	}
	if (kind == OTHER_PORT)
		t.remote_port = (uint16_t)(1000 + n);
	return t;
}

static const struct row {
	const char *name;
	enum family family;
	enum kind kind;
	unsigned listeners;
	uint32_t fit;              /* so many have room */
	enum counter limit;        /* and the next meets this */
} rows[] = {
	{"one IPv4 address", V4, OTHER_PORT, 1, LIMIT_tcp_syn_source, C_limit_tcp_syn_source},
	{"one IPv6 address", V6, OTHER_PORT, 1, LIMIT_tcp_syn_source, C_limit_tcp_syn_source},
	{"one IPv6 /64", V6, OTHER_HOST, 1, LIMIT_tcp_syn_source, C_limit_tcp_syn_source},
	{"one /64, several listeners", V6, OTHER_HOST, 3, LIMIT_tcp_syn_source, C_limit_tcp_syn_source},
	{"one listener, many IPv4 addresses", V4, OTHER_ADDRESS, 1, LIMIT_tcp_syn_listener, C_limit_tcp_syn_listener},
	{"one listener, many /64", V6, OTHER_ADDRESS, 1, LIMIT_tcp_syn_listener, C_limit_tcp_syn_listener},
	{"all", V4, OTHER_ADDRESS, 2, LIMIT_tcp_syn_backlog, C_limit_tcp_syn_backlog},
};

static struct tuple peer(const struct row *r, uint32_t n)
{
	return tuple(r->family, r->kind, n, (uint16_t)(80 + n % r->listeners));
}

static void test_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		const struct row *r = &rows[i];
		struct backlog *b = calloc(1, sizeof(*b));
		struct tuple next = peer(r, r->fit), other = tuple(V4, OTHER_PORT, 0, 443);

		other.remote = addr_v4(__builtin_bswap32(0x4d000001));
		for (uint32_t n = 0; n < r->fit; n++) {
			const struct tuple t = peer(r, n);

			if (backlog_take(b, secret, &t) != COUNTERS)
				fail_msg("%s: no room for %u", r->name, n);
		}
		assert_int_equal(backlog_take(b, secret, &next), r->limit);
		/* Others at another listener have room, but for when there is none at all. */
		if (r->limit != C_limit_tcp_syn_backlog) {
			assert_int_equal(backlog_take(b, secret, &other), COUNTERS);
			backlog_give(b, secret, &other);
		}
		/* One is through; its place is another's. */
		const struct tuple first = peer(r, 0);
		backlog_give(b, secret, &first);
		next.local_port = first.local_port;
		assert_int_equal(backlog_take(b, secret, &next), COUNTERS);
		assert_int_equal(backlog_take(b, secret, &first), r->limit);
		backlog_give(b, secret, &next);
		for (uint32_t n = 1; n < r->fit; n++) {
			const struct tuple t = peer(r, n);

			backlog_give(b, secret, &t);
		}
		assert_int_equal(b->all, 0);
		for (unsigned n = 0; n < BACKLOG_SOURCES; n++)
			assert_int_equal(b->source[n], 0);
		for (unsigned n = 0; n < BACKLOG_LISTENERS; n++)
			assert_int_equal(b->listener[n], 0);
		free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
