/* A queue of pieces, against a plain array, in any order of putting, taking and putting back, and without blocks. */
#include "../test.h"

#include <string.h>

#include "base/pool.h"
#include "base/rng.h"
#include "proxy/body.h"
#include "proxy/pieces.h"

enum { BLOCKS = 4, STEPS = 20000, PIECES_MAX = 1000 };

static struct pool blocks;
static struct counters counters;
static struct pieces queue;
static uint32_t model[2 * PIECES_MAX], first, n; /* credits, in order, from model[first] on */

static int setup(void **state)
{
	(void)state;
	memset(&counters, 0, sizeof(counters));
	pool_init(&blocks, "body blocks", sizeof(struct body_block), BLOCKS);
	pool_count_empty(&blocks, &counters, C_limit_body_blocks);
	queue = (struct pieces){0};
	first = PIECES_MAX;
	n = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pool_fini(&blocks);
	return 0;
}

static void take_one(void)
{
	assert_true(pieces_any(&queue));
	assert_int_equal(pieces_take(&queue, &blocks).credit, model[first++]);
	n--;
}

static void take_all(void)
{
	while (n > 0)
		take_one();
	assert_false(pieces_any(&queue));
	assert_int_equal(pool_used(&blocks), 0);
}

static bool put(uint32_t credit)
{
	if (!pieces_put(&queue, &blocks, (struct filter_piece){.credit = credit}))
		return false;
	model[first + n++] = credit;
	return true;
}

static void test_any_order(void **state)
{
	struct rng rng;

	(void)state;
	rng_init(&rng, 1);
	for (uint32_t step = 1; step <= STEPS; step++) {
		const uint32_t dice = rng_below(&rng, 8);

		if (dice < 4) {
			put(step);
		} else if (dice < 7 && n > 0) {
			take_one();
		} else if (n > 0 && first > 0) {
			const struct filter_piece piece = pieces_take(&queue, &blocks);

			if (rng_below(&rng, 2) == 0 && pieces_put_back(&queue, &blocks, piece))
				continue;
			assert_int_equal(piece.credit, model[first++]);
			n--;
		}
		if (n == 0 || first + n == 2 * PIECES_MAX) {
			take_all();
			first = PIECES_MAX;
		}
	}
	take_all();
}

/* Before the first of a block that is full from its beginning on there is no place: another block comes before it. */
static void test_put_back_before_a_full_block(void **state)
{
	uint32_t per_block = 0;

	(void)state;
	while (pool_used(&blocks) < 2) {
		assert_true(put(per_block));
		per_block++;
	}
	per_block--;
	assert_true(pieces_put_back(&queue, &blocks, (struct filter_piece){.credit = 4711}));
	model[--first] = 4711;
	n++;
	assert_int_equal(pool_used(&blocks), 3);
	assert_int_equal(n, per_block + 2);
	take_all();
}

/* What finds no block is its caller's, what was there is as it was, and it counts once. */
static void test_no_blocks(void **state)
{
	(void)state;
	while (put(n + 1))
		assert_true(n < PIECES_MAX);
	assert_int_equal(pool_used(&blocks), BLOCKS);
	assert_int_equal(counters.cell[C_limit_body_blocks], 1);
	assert_false(pieces_put_back(&queue, &blocks, (struct filter_piece){.credit = 1}));
	assert_int_equal(counters.cell[C_limit_body_blocks], 2);
	take_all();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_any_order),
		TEST(test_put_back_before_a_full_block),
		TEST(test_no_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
