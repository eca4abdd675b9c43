/* Verdicts about endpoints: the owner's count, how long ejections take, what all workers read. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/shard.h"
#include "upstream/health.h"

enum { WORKERS = 3 };

static struct health *h;
static struct shard *shards[WORKERS];
static struct counters counters[WORKERS];

static int setup(void **state)
{
	(void)state;
	h = health_new(WORKERS);
	for (uint16_t i = 0; i < WORKERS; i++) {
		counters[i] = (struct counters){0};
		shards[i] = calloc(1, sizeof(*shards[i]));
		shards[i]->worker = i;
		shards[i]->workers = WORKERS;
		shards[i]->counters = &counters[i];
		shards[i]->now_ns = NS_PER_S;
		wheel_init(&shards[i]->wheel, NS_PER_S);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < WORKERS; i++)
		free(shards[i]);
	health_free(h);
	return 0;
}

static void advance(uint64_t ms)
{
	for (uint16_t i = 0; i < WORKERS; i++) {
		shards[i]->now_ns += ms * NS_PER_MS;
		while (wheel_advance(&shards[i]->wheel, shards[i]->now_ns, 1000) == 1000)
			;
	}
}

static void report(uint64_t key, bool reached, uint16_t failures)
{
	const struct health_report r = {.key = key, .reached = reached, .failures = failures, .failures_eject = 5,
	                                .ejection_ms = 3000, .ejection_max_ms = 10000};

	health_take(h, shards[health_owner(h, key)], &r);
}

static uint64_t cell(enum counter c)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < WORKERS; i++)
		sum += counters[i].cell[c];
	return sum;
}

static char verdict(uint64_t key)
{
	return health_ejected(h, key) ? 'e' : health_watched(h, key) ? 'w' : 'u';
}

/* Steps: '+' reached, '-' a failure, a digit: so many seconds go by. After each: ejected, watched or unknown. */
static void test_life(void **state)
{
	static const struct {
		const char *name;
		const char *steps, *want;
	} cases[] = {
		{"nothing happened", "+++", "uuu"},
		{"five failures in a row", "-----", "wwwwe"},
		{"a success between", "----+-----", "wwwwwwwwwe"},
		{"a few failures, well again after a while", "--+23", "wwwwu"},
		{"let back after 3 s", "-----21", "wwwweew"},
		{"on probation one failure is enough", "-----3-", "wwwwewe"},
		{"the second time takes 6 s", "-----3-51", "wwwwewee" "w"},
		{"the third and later ones 9 s and 10 s", "-----3-6-81-91", "wwwweweweewe" "ew"},
		{"reached after probation: five again", "-----3+----", "wwwweww" "wwww"},
		{"ejections are forgotten", "-----3+33-----3", "wwwwewwuuwwww" "ew"},
		{"not while on probation", "-----399-", "wwwwewwwe"},
		{"reached while ejected (panic)", "-----+", "wwwwew"},
		{"failures while ejected do not count", "-----------3", "wwwweeeeeeew"},
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		const uint64_t key = health_key(1, i);
		char got[32] = "";

		teardown(state);
		setup(state);
		for (size_t k = 0; cases[i].steps[k] != '\0'; k++) {
			const char step = cases[i].steps[k];

			if (step == '+' || step == '-')
				report(key, step == '+', step == '-');
			else
				advance((uint64_t)(step - '0') * 1000 + 1);
			got[k] = verdict(key);
		}
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: %s gives %s", cases[i].name, cases[i].steps, got);
	}
}

/* An endpoint that nobody asks for any more, or that is no more, gives its place back. */
static void test_forgotten(void **state)
{
	const uint64_t key = health_key(7, 8);

	(void)state;
	report(key, false, 9);
	assert_true(health_any_ejected(h));
	advance(3001);
	assert_false(health_any_ejected(h));
	assert_int_equal(verdict(key), 'w');
	advance(310000);
	assert_int_equal(verdict(key), 'u');
	for (uint16_t i = 0; i < WORKERS; i++)
		assert_int_equal(wheel_next_ns(&shards[i]->wheel), UINT64_MAX);
	assert_int_equal(cell(C_endpoints_ejected), 1);
	assert_int_equal(cell(C_endpoints_returned), 1);
}

/* The epoch moves exactly when somebody has to look again. */
static void test_epoch(void **state)
{
	const uint64_t key = health_key(1, 1);
	uint32_t epoch = health_epoch(h);

	(void)state;
	report(key, false, 4);
	report(key, true, 3);
	assert_int_equal(health_epoch(h), epoch);
	report(key, false, 2);
	assert_int_equal(health_epoch(h), ++epoch);
	advance(2999);
	assert_int_equal(health_epoch(h), epoch);
	advance(2);
	assert_int_equal(health_epoch(h), ++epoch);
}

/* The same endpoint in two clusters is two; a set that is full ejects no more, and says so. */
static void test_places(void **state)
{
	enum { KEYS = 4 * LIMIT_health_verdicts };
	uint32_t ejected = 0;

	(void)state;
	report(health_key(1, 5), false, 5);
	assert_true(health_ejected(h, health_key(1, 5)));
	assert_false(health_ejected(h, health_key(2, 5)));
	for (uint64_t i = 0; i < KEYS; i++)
		report(health_key(i % 97, i), false, 5);
	for (uint64_t i = 0; i < KEYS; i++)
		ejected += health_ejected(h, health_key(i % 97, i));
	assert_in_range(ejected, LIMIT_health_verdicts - 64, LIMIT_health_verdicts);
	assert_int_equal(cell(C_limit_health_verdicts), KEYS + 1 - cell(C_endpoints_ejected));
	advance(3001);
	assert_false(health_any_ejected(h));
	for (unsigned i = 0; i < 200; i++)
		advance(3001);
	for (uint64_t i = 0; i < KEYS; i++)
		assert_false(health_watched(h, health_key(i % 97, i)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_epoch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
