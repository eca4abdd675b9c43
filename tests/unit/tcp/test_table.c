/* The connection table against a plain list: put, find, remove, wrap around, chains over holes, both kinds of object */
#include "../test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tcp/conn.h"
#include "tcp/wait.h"

enum { CONNS = 400, WAITS = 100 };

struct fixture {
	struct table_tcp t;
	struct tcp_conn *conns;
	struct tcp_wait *waits;
	bool in[CONNS + WAITS];
};

static struct tuple tuple_of(unsigned i)
{
	struct tuple t = {.local = addr_v4(0x0a00c612), .remote = addr_v4(i * 2654435761u), .local_port = 80,
	                  .remote_port = (uint16_t)i, .protocol = 6};

	return t;
}

static void open_fixture(struct fixture *f)
{
	const uint8_t secret[32] = {7};

	memset(f, 0, sizeof(*f));
	f->conns = calloc(CONNS, sizeof(*f->conns));
	f->waits = calloc(WAITS, 128);
	table_tcp_init(&f->t, CONNS + WAITS, secret);
	f->t.conns = (char *)f->conns;
	f->t.waits = (char *)f->waits;
	f->t.conn_tuple = offsetof(struct tcp_conn, tuple);
	f->t.wait_tuple = offsetof(struct tcp_wait, tuple);
}

static void close_fixture(struct fixture *f)
{
	table_tcp_fini(&f->t);
	free(f->conns);
	free(f->waits);
}

static void *object(struct fixture *f, unsigned i)
{
	return i < CONNS ? (void *)&f->conns[i] : (char *)f->waits + (size_t)(i - CONNS) * 128;
}

static void toggle(struct fixture *f, unsigned i, uint32_t hash)
{
	const bool wait = i >= CONNS;

	if (f->in[i]) {
		table_tcp_remove(&f->t, hash, object(f, i), wait);
	} else {
		*(struct tuple *)((char *)object(f, i) + (wait ? f->t.wait_tuple : f->t.conn_tuple)) = tuple_of(i);
		table_tcp_put(&f->t, hash, object(f, i), wait);
	}
	f->in[i] = !f->in[i];
}

static void check_all(struct fixture *f, uint32_t mask)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < CONNS + WAITS; i++) {
		const struct tuple t = tuple_of(i);
		bool wait = false;
		void *found = table_tcp_find(&f->t, &t, table_tcp_hash(&f->t, &t) & mask, &wait);

		assert_ptr_equal(found, f->in[i] ? object(f, i) : NULL);
		assert_int_equal(wait, found && i >= CONNS);
		n += f->in[i];
	}
	assert_int_equal(f->t.used, n);
}

/* mask shortens the hash: with few values, long chains that wrap around the end. */
static const struct {
	const char *name;
	uint32_t mask;
} cases[] = {
	{"whole hash", UINT32_MAX}, {"16 values", 15}, {"two values", 1}, {"all at the end", 0xfff},
};

static void test_against_list(void **state)
{
	(void)state;
	for (size_t k = 0; k < LENGTH(cases); k++) {
		struct fixture f;
		struct rng r;

		open_fixture(&f);
		rng_init(&r, k);
		for (unsigned step = 0; step < 4000; step++) {
			const unsigned i = rng_below(&r, CONNS + WAITS);
			const struct tuple t = tuple_of(i);

			toggle(&f, i, table_tcp_hash(&f.t, &t) & cases[k].mask);
			if (step % 100 == 0)
				check_all(&f, cases[k].mask);
		}
		check_all(&f, cases[k].mask);
		close_fixture(&f);
	}
}

/* Tuples that an attacker can choose at will (same XOR of 16-bit words, hence the same owner) do not collide here. */
static void test_spread(void **state)
{
	struct fixture f;
	uint32_t most = 0, bins[256] = {0};

	(void)state;
	open_fixture(&f);
	for (unsigned i = 0; i < 65536; i++) {
		struct tuple t = tuple_of(0);

		t.remote.w[3] = i << 16 | i;
		t.remote_port = 4711;
		bins[table_tcp_hash(&f.t, &t) % 256]++;
	}
	for (unsigned i = 0; i < 256; i++)
		most = bins[i] > most ? bins[i] : most;
	assert_true(most < 256 * 2);
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_list), cmocka_unit_test(test_spread)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
