/* Memory pressure: at which fill of which kind of pool which step of shedding begins, and where it ends. */
#include "../dpdk.h"
#include "../test.h"

#include <rte_lcore.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/packet.h"
#include "base/pressure.h"

enum { ALL = SHED_LARGE | SHED_SYNS | SHED_REQUESTS | SHED_IDLE | SHED_SEGMENTS | SHED_TEXT, OBJECTS = 1000 };

static struct pressure gauge;
static struct counters counters;

static uint64_t counted(enum counter c)
{
	return counters.cell[c];
}

static uint8_t look(void)
{
	return pressure_look(&gauge, rte_lcore_id(), &counters);
}

static void start(void)
{
	memset(&gauge, 0, sizeof(gauge));
	memset(&counters, 0, sizeof(counters));
}

/* One after the other: a step that has begun lasts until its pool is shed_relief percent below where it began. */
static const struct {
	const char *name;
	uint32_t used;          /* of 1000 */
	uint8_t memory, conns;  /* what is shed then */
} cases[] = {
	{"empty", 0, 0, 0},
	{"half", 500, 0, 0},
	{"at 75 percent", 750, 0, 0},
	{"above 75 percent: large buffers", 751, SHED_LARGE, 0},
	{"at 80 percent", 800, SHED_LARGE, 0},
	{"above 80 percent: SYNs", 801, SHED_LARGE | SHED_SYNS, 0},
	{"at 85 percent", 850, SHED_LARGE | SHED_SYNS, 0},
	{"above 85 percent: requests", 851, SHED_LARGE | SHED_SYNS | SHED_REQUESTS, 0},
	{"above 90 percent: idle ones", 901, SHED_LARGE | SHED_SYNS | SHED_REQUESTS | SHED_IDLE, SHED_IDLE},
	{"above 95 percent: segments", 951, ALL & ~SHED_TEXT, SHED_IDLE | SHED_SYNS},
	{"above 98 percent: text", 981, ALL, SHED_IDLE | SHED_SYNS},
	{"full", 1000, ALL, SHED_IDLE | SHED_SYNS},
	{"text lasts to 93 percent", 931, ALL, SHED_IDLE | SHED_SYNS},
	{"and ends", 930, ALL & ~SHED_TEXT, SHED_IDLE | SHED_SYNS},
	{"segments last to 90 percent", 901, ALL & ~SHED_TEXT, SHED_IDLE | SHED_SYNS},
	{"and end", 900, SHED_LARGE | SHED_SYNS | SHED_REQUESTS | SHED_IDLE, SHED_IDLE},
	{"idle ones last to 85 percent", 851, SHED_LARGE | SHED_SYNS | SHED_REQUESTS | SHED_IDLE, SHED_IDLE},
	{"and end", 850, SHED_LARGE | SHED_SYNS | SHED_REQUESTS, 0},
	{"up again", 870, SHED_LARGE | SHED_SYNS | SHED_REQUESTS, 0},
	{"requests last to 80 percent", 801, SHED_LARGE | SHED_SYNS | SHED_REQUESTS, 0},
	{"and end", 800, SHED_LARGE | SHED_SYNS, 0},
	{"SYNs last to 75 percent", 751, SHED_LARGE | SHED_SYNS, 0},
	{"and end", 750, SHED_LARGE, 0},
	{"large buffers last to 70 percent", 701, SHED_LARGE, 0},
	{"and end", 700, 0, 0},
	{"all at once", 1000, ALL, SHED_IDLE | SHED_SYNS},
	{"and all over", 0, 0, 0},
};

static void use_objects(struct pool *p, void **taken, uint32_t used)
{
	while (pool_used(p) < used) {
		void *o = pool_get(p);

		assert_non_null(o);
		taken[pool_used(p) - 1] = o;
	}
	while (pool_used(p) > used)
		pool_put(p, taken[pool_used(p) - 1]);
}

static void run_cases(bool conns)
{
	static void *taken[OBJECTS];
	struct pool p;

	start();
	pool_init(&p, "watched", 64, OBJECTS);
	conns ? pressure_watch_conns(&gauge, &p) : pressure_watch(&gauge, &p);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const uint8_t want = conns ? cases[i].conns : cases[i].memory;
		uint8_t got;

		use_objects(&p, taken, cases[i].used);
		got = look();
		if (got != want)
			fail_msg("%s: %02x is shed, not %02x", cases[i].name, got, want);
		assert_int_equal(look(), want);
	}
	pool_fini(&p);
}

static void test_memory(void **state)
{
	(void)state;
	run_cases(false);
	assert_int_equal(counted(C_limit_shed_large), 2);
	assert_int_equal(counted(C_limit_shed_syns), 2);
	assert_int_equal(counted(C_limit_shed_requests), 2);
	assert_int_equal(counted(C_limit_shed_idle), 2);
	assert_int_equal(counted(C_limit_shed_segments), 2);
	assert_int_equal(counted(C_limit_shed_text), 2);
	assert_int_equal(counted(C_limit_shed_relief), 12);
}

static void test_connections(void **state)
{
	(void)state;
	run_cases(true);
	assert_int_equal(counted(C_limit_shed_idle), 2);
	assert_int_equal(counted(C_limit_shed_syns_conns), 2);
	assert_int_equal(counted(C_limit_shed_syns), 0);
	assert_int_equal(counted(C_limit_shed_relief), 4);
}

/* What any pool asks for is shed, and no pool ends what another asked for. */
static void test_several(void **state)
{
	static void *a[OBJECTS], *b[OBJECTS];
	struct pool one, two;

	(void)state;
	start();
	pool_init(&one, "one", 64, OBJECTS);
	pool_init(&two, "two", 64, OBJECTS);
	pressure_watch(&gauge, &one);
	pressure_watch_conns(&gauge, &two);
	use_objects(&one, a, 860);
	use_objects(&two, b, 910);
	assert_int_equal(look(), SHED_LARGE | SHED_SYNS | SHED_REQUESTS | SHED_IDLE);
	use_objects(&one, a, 0);
	assert_int_equal(look(), SHED_IDLE);
	use_objects(&two, b, 0);
	assert_int_equal(look(), 0);
	pool_fini(&one);
	pool_fini(&two);
}

static void take(struct rte_mempool *pool, struct rte_mbuf **m, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_non_null(m[i] = rte_pktmbuf_alloc(pool));
}

/*
 * Full rings: whatever ports hold is added to the pool, is not seen as use, and leaves the whole limit to the worker. A
 * packet that lies in the cache of this core is free.
 */
static void test_rings(void **state)
{
	enum { PERCENT = 3, RX = 3000, TX = 2000, LIMIT = LIMIT_rx_mbufs * PERCENT / 100 };
	static struct rte_mbuf *ring[RX], *held[LIMIT];
	const struct packet_rings rings = {.rx = RX, .tx = TX};
	struct packet_pools p;

	(void)state;
	start();
	assert_int_equal(packet_pools_for(&p, "rings", 0, PERCENT, &rings), OK);
	assert_in_range(p.rx->size, RX + LIMIT - 1, RX + LIMIT);
	assert_in_range(p.header->size, TX + LIMIT_header_mbufs * PERCENT / 100 - 1, TX + LIMIT_header_mbufs * PERCENT / 100);
	assert_int_equal(p.rings.rx, RX);
	pressure_watch_mbufs(&gauge, &(struct pressure_mbufs){p.rx, p.rings.rx, 0, C_limit_rx_mbufs});
	assert_int_equal(look(), 0);
	take(p.rx, ring, RX);
	assert_int_equal(look(), 0);
	take(p.rx, held, LIMIT * 74 / 100);
	assert_int_equal(look(), 0);
	take(p.rx, held + LIMIT * 74 / 100, LIMIT * 3 / 100);
	assert_int_equal(look(), SHED_LARGE);
	take(p.rx, held + LIMIT * 74 / 100 + LIMIT * 3 / 100, LIMIT - 1 - LIMIT * 74 / 100 - LIMIT * 3 / 100);
	assert_null(rte_pktmbuf_alloc(p.rx));
	assert_int_equal(counted(C_limit_rx_mbufs), 0);
	assert_int_equal(look(), ALL);
	assert_int_equal(look(), ALL);
	assert_int_equal(counted(C_limit_rx_mbufs), 2);
	rte_pktmbuf_free_bulk(held, LIMIT - 1);
	assert_int_equal(look(), 0);
	rte_pktmbuf_free_bulk(ring, RX);
	packet_pools_fini(&p);
}

/* So many mbufs must stay for packets without text; in a small pool all steps begin earlier, in the same order. */
static void test_floor(void **state)
{
	enum { FLOOR = 100 };
	static struct rte_mbuf *m[1000];
	static const uint8_t order[] = {0, SHED_LARGE, SHED_LARGE | SHED_SYNS, SHED_LARGE | SHED_SYNS | SHED_REQUESTS,
	                                SHED_LARGE | SHED_SYNS | SHED_REQUESTS | SHED_IDLE, ALL & ~SHED_TEXT, ALL};
	struct packet_pools p;
	unsigned n = 0, at = 0;

	(void)state;
	start();
	assert_int_equal(packet_pools_init(&p, "floor", 0, 1), OK);
	pressure_watch_mbufs(&gauge, &(struct pressure_mbufs){p.rx, 0, FLOOR, COUNTERS});
	while (at + 1 < LENGTH(order)) {
		uint8_t shed = look();

		if (shed == order[at + 1])
			at++;
		assert_int_equal(shed, order[at]);
		if (shed == ALL)
			break;
		assert_non_null(m[n++] = rte_pktmbuf_alloc(p.rx));
	}
	assert_int_equal(p.rx->size - n, FLOOR - 1);
	rte_pktmbuf_free_bulk(m, n);
	assert_int_equal(look(), 0);
	packet_pools_fini(&p);
}

static void test_tell(void **state)
{
	struct pressure_info told[8];
	struct packet_pools p;
	struct rte_mbuf *m;
	struct pool objects;
	void *object;

	(void)state;
	start();
	pool_init(&objects, "objects", 64, 10);
	assert_int_equal(packet_pools_init(&p, "tell", 0, 1), OK);
	pressure_watch(&gauge, &objects);
	pressure_watch_mbufs(&gauge, &(struct pressure_mbufs){p.rx, 0, 0, COUNTERS});
	assert_non_null(object = pool_get(&objects));
	assert_non_null(m = rte_pktmbuf_alloc(p.rx));
	assert_int_equal(pressure_tell(&gauge, told, 1), 1);
	assert_int_equal(pressure_tell(&gauge, told, LENGTH(told)), 2);
	assert_string_equal(told[0].name, "objects");
	assert_int_equal(told[0].used, 1);
	assert_int_equal(told[0].capacity, 10);
	assert_int_equal(told[1].used, 1);
	assert_int_equal(told[1].capacity, p.rx->size);
	rte_pktmbuf_free(m);
	pool_put(&objects, object);
	assert_int_equal(pressure_tell(&gauge, told, LENGTH(told)), 2);
	assert_int_equal(told[0].used + told[1].used, 0);
	packet_pools_fini(&p);
	pool_fini(&objects);
}

static int boot(void **state)
{
	(void)state;
	dpdk_start();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_rings),
		cmocka_unit_test(test_floor),
		cmocka_unit_test(test_tell),
	};

	return cmocka_run_group_tests(tests, boot, NULL);
}
