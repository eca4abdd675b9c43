/* What packet pools keep for the rings of ports. */
#include "../test.h"

#include <string.h>

#include "port/ethdev.h"
#include "worker/machine.h"

static const struct {
	const char *name;
	uint16_t ports_n;
	uint16_t queues[3];      /* per port */
	uint16_t worker;
	uint32_t rx, tx;         /* rings */
} cases[] = {
	{"one port", 1, {4}, 0, 1, 1},
	{"three ports, a queue on each", 3, {4, 4, 4}, 3, 3, 3},
	{"three ports, queues on two", 3, {4, 2, 3}, 2, 2, 3},
	{"the last worker has none", 2, {1, 3}, 3, 0, 2},
};

static void test_rings(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		static struct machine m;
		struct packet_rings r;

		m = (struct machine){.workers = 4, .ports_n = cases[i].ports_n};
		memcpy(m.queues, cases[i].queues, sizeof(cases[i].queues));
		r = machine_rings(&m, cases[i].worker);
		if (r.rx != cases[i].rx * ETHDEV_DESCRIPTORS || r.tx != cases[i].tx * ETHDEV_DESCRIPTORS)
			fail_msg("%s: %u received, %u sent", cases[i].name, r.rx, r.tx);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rings)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
