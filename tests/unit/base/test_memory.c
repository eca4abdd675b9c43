/* Pools, handles, arenas and log rings. */
#include "../test.h"

#include <string.h>

#include "base/arena.h"
#include "base/logring.h"
#include "base/pool.h"
#include "base/rng.h"

static void test_pool(void **state)
{
	struct pool p;
	void *got[8], *first;
	handle_t h;
	uint32_t at = 0;

	(void)state;
	pool_init(&p, "test", 100, 8);
	assert_int_equal(p.size, 128);
	for (unsigned i = 0; i < 8; i++) {
		got[i] = pool_get(&p);
		assert_non_null(got[i]);
		assert_int_equal((uintptr_t)got[i] % 64, 0);
		memset(got[i], 0x5a, 100);
	}
	assert_null(pool_get(&p));
	assert_int_equal(pool_used(&p), 8);
	first = got[3];
	h = pool_handle(&p, first);
	assert_true(h != 0);
	assert_ptr_equal(pool_find(&p, h), first);
	pool_put(&p, first);
	assert_null(pool_find(&p, h));
	assert_ptr_equal(pool_get(&p), first); /* most recently used first */
	assert_null(pool_find(&p, h));         /* the same place, another object */
	assert_true(pool_handle(&p, first) != h);
	assert_null(pool_find(&p, 0));
	assert_null(pool_find(&p, UINT64_MAX));
	pool_put(&p, got[0]);
	pool_put(&p, got[7]);
	for (unsigned i = 1; i < 7; i++)
		assert_ptr_equal(pool_next(&p, &at), got[i]);
	assert_null(pool_next(&p, &at));
	assert_null(pool_at(&p, 7));
	assert_ptr_equal(pool_at(&p, 1), got[1]);
	pool_fini(&p);
}

/* A pool that counts does so for each get that finds it empty, also for those of an arena. */
/* Indices are made of offsets by a multiplication. */
static void test_pool_sizes(void **state)
{
	enum { OBJECTS = 3000 };
	static void *got[OBJECTS];

	(void)state;
	for (size_t lines = 1; lines <= 70; lines++) {
		struct pool p;

		pool_init(&p, "test", lines * 64, OBJECTS);
		for (uint32_t i = 0; i < OBJECTS; i++) {
			got[i] = pool_get(&p);
			assert_int_equal((uint32_t)pool_handle(&p, got[i]), i);
		}
		for (uint32_t i = 0; i < OBJECTS; i++) {
			pool_put(&p, got[i]);
			assert_ptr_equal(pool_get(&p), got[i]);
		}
		pool_fini(&p);
	}
}

static void test_pool_counts(void **state)
{
	static struct counters c;
	struct pool chunks;
	struct arena a;

	(void)state;
	pool_init(&chunks, "chunks", ARENA_CHUNK, 2);
	pool_count_empty(&chunks, &c, C_limit_arena_chunks);
	arena_init(&a, &chunks, 3);
	assert_non_null(arena_get(&a, ARENA_PIECE_MAX));
	assert_non_null(arena_get(&a, ARENA_PIECE_MAX));
	assert_int_equal(c.cell[C_limit_arena_chunks], 0);
	assert_null(arena_get(&a, ARENA_PIECE_MAX));
	assert_null(pool_get(&chunks));
	assert_int_equal(c.cell[C_limit_arena_chunks], 2);
	arena_reset(&a);
	pool_fini(&chunks);
}

static void test_arena(void **state)
{
	struct pool chunks;
	struct arena a;
	char *text;

	(void)state;
	pool_init(&chunks, "chunks", ARENA_CHUNK, 4);
	arena_init(&a, &chunks, 3);
	for (unsigned round = 0; round < 3; round++) {
		text = arena_text(&a, "hello", 5);
		assert_memory_equal(text, "hello", 5);
		assert_int_equal((uintptr_t)text % 16, 0);
		assert_null(arena_get(&a, ARENA_PIECE_MAX + 1));
		for (unsigned i = 0; i < 3; i++) /* the first fits behind the text */
			assert_non_null(arena_get(&a, ARENA_PIECE_MAX));
		assert_int_equal(a.chunks_n, 3);
		assert_null(arena_get(&a, ARENA_PIECE_MAX)); /* chunks_max */
		assert_memory_equal(text, "hello", 5);
		arena_reset(&a);
		assert_int_equal(pool_used(&chunks), 0);
	}
	pool_fini(&chunks);
}

/* Random records in, the same records out, over many turns of a small ring. */
static void test_logring(void **state)
{
	struct logring *r = logring_new(512);
	struct rng in, out, lengths;
	unsigned written = 0, read = 0, full = 0;

	(void)state;
	rng_init(&in, 3);
	rng_init(&out, 3);
	rng_init(&lengths, 4);
	while (read < 5000) {
		size_t bytes;
		const unsigned char *record;

		if (rng_below(&lengths, 2)) {
			size_t length = rng_below(&lengths, 200);
			unsigned char *room = logring_reserve(r, length + 56);

			if (room) {
				unsigned char fill = (unsigned char)rng_u64(&in);

				memset(room, fill, length);
				logring_commit(r, length);
				written++;
			} else {
				full++;
			}
		} else if ((record = logring_peek(r, &bytes))) {
			unsigned char fill = (unsigned char)rng_u64(&out);

			for (size_t i = 0; i < bytes; i++)
				assert_int_equal(record[i], fill);
			logring_release(r);
			read++;
		}
	}
	assert_true(written >= read && full > 0);
	while (logring_peek(r, &(size_t){0})) {
		logring_release(r);
		read++;
	}
	assert_int_equal(written, read);
	assert_null(logring_reserve(r, 512));
	logring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_sizes),
		cmocka_unit_test(test_pool_counts),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_logring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
