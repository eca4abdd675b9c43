/* The balancers, and the weighted choice among backends. */
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
		struct balance_row row = {.endpoints = e};
		char got[32] = "";
		uint32_t n = 0;

		for (; n < 4 && cases[i].weights[n] != 0; n++)
			e[n] = (struct balance_endpoint){.id = n, .weight = cases[i].weights[n], .usable =
			                                 cases[i].usable[n]};
		row.n = n;
		for (size_t k = 0; cases[i].want[k] != '\0'; k++) {
			const uint32_t at = balancer_list[BALANCER_round_robin]->pick(&row, cases[i].skip, &rng);

			got[k] = at == BALANCE_NONE ? '-' : (char)('a' + at);
		}
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got %s", cases[i].name, got);
	}
}

/* The values of the smooth ones stay bounded, whatever goes and comes. */
static void test_bounded(void **state)
{
	static const enum balancer_kind kinds[] = {BALANCER_round_robin, BALANCER_least_request};
	struct balance_endpoint e[16];
	struct balance_row row = {.endpoints = e, .n = 16, .weighted = true};
	struct rng rng;

	(void)state;
	rng_init(&rng, 2);
	for (uint32_t i = 0; i < 16; i++)
		e[i] = (struct balance_endpoint){.weight = (uint16_t)(1 + rng_below(&rng, 65535)), .usable = 1};
	for (int k = 0; k < 200000; k++) {
		e[rng_below(&rng, 16)].usable ^= rng_below(&rng, 10) == 0;
		e[rng_below(&rng, 16)].active = rng_below(&rng, 100);
		balancer_list[kinds[k % 2]]->pick(&row, BALANCE_NONE, &rng);
	}
	for (uint32_t i = 0; i < 16; i++)
		assert_true(llabs(e[i].current) < (INT64_C(1) << 24) * 64);
}

/* What each of four endpoints gets of 10,000 picks, in hundredths. */
static void test_shares(void **state)
{
	static const struct {
		const char *name;
		enum balancer_kind kind;
		uint16_t weights[4], usable[4];
		uint32_t active[4];
		uint32_t skip;
		uint32_t want[4], off;
	} cases[] = {
		{"round robin, weights", BALANCER_round_robin, {1, 2, 3, 4}, {1, 1, 1, 1}, {0}, 9, {10, 20, 30, 40}, 0},
		{"random", BALANCER_random, {1, 1, 1, 1}, {1, 1, 1, 1}, {0}, 9, {25, 25, 25, 25}, 2},
		{"random, one ejected", BALANCER_random, {1, 1, 1, 1}, {1, 0, 1, 1}, {0}, 9, {33, 0, 33, 33}, 2},
		{"random, one skipped", BALANCER_random, {1, 1, 1, 1}, {1, 1, 1, 1}, {0}, 2, {33, 33, 0, 33}, 2},
		{"random, only the last", BALANCER_random, {1, 1, 1, 1}, {0, 0, 0, 1}, {0}, 9, {0, 0, 0, 100}, 0},
		{"random, weights", BALANCER_random, {1, 2, 3, 4}, {1, 1, 1, 1}, {0}, 9, {10, 20, 30, 40}, 2},
		{"random, weights, ejected", BALANCER_random, {1, 2, 3, 4}, {1, 1, 0, 0}, {0}, 9, {33, 67, 0, 0}, 2},
		{"least request, idle", BALANCER_least_request, {1, 1, 1, 1}, {1, 1, 1, 1}, {0}, 9, {25, 25, 25, 25}, 2},
		{"least request, one busy", BALANCER_least_request, {1, 1, 1, 1}, {1, 1, 1, 1}, {0, 0, 9, 0}, 9,
		 {33, 33, 0, 33}, 2},
		{"least request, two, one busy", BALANCER_least_request, {1, 1}, {1, 1}, {3, 0}, 9, {0, 100}, 0},
		{"least request, one ejected", BALANCER_least_request, {1, 1, 1, 1}, {1, 0, 1, 1}, {0}, 9, {33, 0, 33, 33}, 2},
		{"least request, one left", BALANCER_least_request, {1, 1}, {0, 1}, {0, 9}, 9, {0, 100}, 0},
		{"least request, weights, idle", BALANCER_least_request, {1, 2, 3, 4}, {1, 1, 1, 1}, {0}, 9, {10, 20, 30, 40}, 0},
		{"least request, weight / (active + 1)", BALANCER_least_request, {4, 4, 8, 2}, {1, 1, 1, 1}, {0, 3, 7, 1}, 9,
		 {57, 14, 14, 14}, 1},
	};
	struct rng rng;

	(void)state;
	rng_init(&rng, 3);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct balance_endpoint e[4] = {0};
		struct balance_row row = {.endpoints = e};
		uint32_t got[4] = {0};

		for (; row.n < 4 && cases[i].weights[row.n] != 0; row.n++) {
			e[row.n] = (struct balance_endpoint){.weight = cases[i].weights[row.n],
			                                     .usable = cases[i].usable[row.n],
			                                     .active = cases[i].active[row.n]};
			row.weighted |= e[row.n].weight != e[0].weight;
		}
		for (int k = 0; k < 10000; k++)
			got[balancer_list[cases[i].kind]->pick(&row, cases[i].skip, &rng)]++;
		for (uint32_t k = 0; k < row.n; k++) {
			const uint32_t got_100 = (got[k] + 50) / 100, want = cases[i].want[k];

			if (got_100 > want + cases[i].off || got_100 + cases[i].off < want)
				fail_msg("%s: endpoint %u got %u of 10000", cases[i].name, k, got[k]);
		}
	}
}

static void test_none(void **state)
{
	struct balance_endpoint e[2] = {{.weight = 1, .usable = 0}, {.weight = 2, .usable = 1}};
	struct rng rng;

	(void)state;
	rng_init(&rng, 4);
	for (int kind = 0; kind < BALANCERS; kind++) {
		for (int weighted = 0; weighted < 2; weighted++) {
			struct balance_row row = {.endpoints = e, .n = 2, .weighted = weighted};

			assert_int_equal(balancer_list[kind]->pick(&row, BALANCE_NONE, &rng), 1);
			assert_int_equal(balancer_list[kind]->pick(&row, 1, &rng), BALANCE_NONE);
			row.n = 0;
			assert_int_equal(balancer_list[kind]->pick(&row, BALANCE_NONE, &rng), BALANCE_NONE);
		}
	}
}

/*
 * A slow endpoint under least request: 64 requests in flight, it takes ten times as long as the three others. Round
 * robin lets nearly all of them wait for the slow one; two choices keep it at what the others have.
 */
static void test_slow_endpoint(void **state)
{
	struct balance_endpoint e[4];
	struct balance_row row = {.endpoints = e, .n = 4};
	uint32_t served = 0, in_flight = 0;
	struct rng rng;

	(void)state;
	rng_init(&rng, 5);
	for (uint32_t i = 0; i < 4; i++)
		e[i] = (struct balance_endpoint){.weight = 1, .usable = 1};
	for (int tick = 0; tick < 10000; tick++) {
		for (; in_flight < 64; in_flight++)
			e[balancer_list[BALANCER_least_request]->pick(&row, BALANCE_NONE, &rng)].active++;
		for (uint32_t i = 0; i < 4; i++) {
			if (e[i].active > 0 && (i != 0 || tick % 10 == 0)) {
				e[i].active--;
				in_flight--;
				served++;
			}
		}
	}
	/* Of 31,000 that all four could have served. */
	assert_in_range(served, 30000, 31000);
	assert_in_range(e[0].active, 10, 40);
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
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_slow_endpoint),
		cmocka_unit_test(test_weighted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
