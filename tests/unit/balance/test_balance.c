/* Round robin and the weighted choice among backends. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"

static void test_sequences(void **state)
{
	static const struct {
		const char *name;
		uint16_t weights[4], usable[4];
		uint32_t skip;
		const char *want;
	} cases[] = {
		{"two equal", {1, 1}, {1, 1}, BALANCE_NONE, "abababab"},
		{"smooth", {5, 1, 1}, {1, 1, 1}, BALANCE_NONE, "aabacaaaabacaa"},
		{"one", {7}, {1}, BALANCE_NONE, "aaaa"},
		{"unusable", {1, 1, 1}, {1, 0, 1}, BALANCE_NONE, "acacac"},
		{"none usable", {1, 1}, {0, 0}, BALANCE_NONE, "--"},
		{"skipped", {3, 1}, {1, 1}, 0, "bbb"},
		{"only one and skipped", {3}, {1}, 0, "-"},
		{"3 to 1", {3, 1}, {1, 1}, BALANCE_NONE, "aabaaaba"},
	};
	struct rng rng;

	(void)state;
	rng_init(&rng, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct balance_endpoint e[4] = {0};
		char got[32] = "";
		uint32_t n = 0;

		for (; n < 4 && cases[i].weights[n] != 0; n++)
			e[n] = (struct balance_endpoint){.id = n, .weight = cases[i].weights[n], .usable =
			                                 cases[i].usable[n]};
		for (size_t k = 0; cases[i].want[k] != '\0'; k++) {
			const uint32_t at = balancer_list[BALANCER_round_robin]->pick(e, n, cases[i].skip, &rng);

			got[k] = at == BALANCE_NONE ? '-' : (char)('a' + at);
		}
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got %s", cases[i].name, got);
	}
}

/* Values stay bounded, whatever goes and comes. */
static void test_bounded(void **state)
{
	struct balance_endpoint e[16];
	struct rng rng;

	(void)state;
	rng_init(&rng, 2);
	for (uint32_t i = 0; i < 16; i++)
		e[i] = (struct balance_endpoint){.weight = (uint16_t)(1 + rng_below(&rng, 65535)), .usable = 1};
	for (int k = 0; k < 100000; k++) {
		e[rng_below(&rng, 16)].usable ^= rng_below(&rng, 10) == 0;
		balancer_list[BALANCER_round_robin]->pick(e, 16, BALANCE_NONE, &rng);
	}
	for (uint32_t i = 0; i < 16; i++)
		assert_in_range(abs(e[i].current), 0, 65535 * 64);
}

static void test_weighted(void **state)
{
	static const uint32_t weights[] = {3, 0, 1, 6}, equal[] = {1, 1};
	static const uint32_t want[] = {0, 0, 0, 2, 3, 3, 3, 3, 3, 3};
	uint32_t drawn[4] = {0};
	(void)state;
	for (uint32_t draw = 0; draw < 10; draw++)
		assert_int_equal(balance_weighted(weights, sizeof(weights[0]), 4, draw), want[draw]);
	/* Two rules that share the cursor, in turns of 1 and 3 requests: each holds its weights closely. */
	for (uint32_t start = 0; start < 20; start++) {
		uint32_t cursor = start * 0x12345679, other[2] = {0};

		memset(drawn, 0, sizeof(drawn));
		for (int i = 0; i < 500; i++) {
			drawn[balance_weighted(weights, sizeof(weights[0]), 4, balance_draw(&cursor, 10))]++;
			for (int k = 0; k < 3; k++)
				other[balance_weighted(equal, sizeof(equal[0]), 2, balance_draw(&cursor, 2))]++;
		}
		assert_int_equal(drawn[1], 0);
		assert_in_range(drawn[0], 145, 155);
		assert_in_range(drawn[2], 45, 55);
		assert_in_range(other[0], 742, 758);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_weighted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
