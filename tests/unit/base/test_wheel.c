/* The wheel against a plain list: timers armed, re-armed and cancelled by a seed, clocks that step and leap. */
#include "../test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/wheel.h"

enum { TICK = 1 << WHEEL_TICK_SHIFT };

struct probe {
	struct timer timer;
	uint64_t due_ns;
	uint64_t fired_ns;
	unsigned fires;
	struct wheel *again; /* re-arms itself in the past */
};

static void on_fire(struct timer *t, uint64_t now_ns)
{
	struct probe *p = container_of(t, struct probe, timer);

	p->fired_ns = now_ns;
	p->fires++;
	if (p->again)
		timer_arm(p->again, t, 0, on_fire);
}

static const struct {
	const char *name;
	uint64_t start_ns, delay_ns;
} delays[] = {
	{"at once", 0, 0},
	{"one tick", 0, TICK},
	{"less than a tick", 12345, 10},
	{"255 ticks", 0, 255ull * TICK},
	{"256 ticks", 0, 256ull * TICK},
	{"257 ticks from an odd start", 77ull * TICK + 5, 257ull * TICK},
	{"a turn of level 0 across a boundary", 255ull * TICK, 256ull * TICK},
	{"65536 ticks", TICK, 65536ull * TICK},
	{"an hour", 999, 3600 * NS_PER_S},
	{"beyond the wheel", 5, 100 * 3600 * NS_PER_S},
	{"ten years of uptime", 315360000 * NS_PER_S, 60 * NS_PER_S},
};

static void test_delays(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(delays); i++) {
		struct wheel w;
		struct probe p = {0};
		uint64_t due = delays[i].start_ns + delays[i].delay_ns, now;

		wheel_init(&w, delays[i].start_ns);
		timer_arm(&w, &p.timer, due, on_fire);
		/* Sleeping as long as wheel_next_ns() allows reaches the due time in a few steps and never passes it. */
		for (now = delays[i].start_ns; p.fires == 0;) {
			uint64_t next = wheel_next_ns(&w);

			assert_true(next <= due + TICK);
			now = next > now ? next : now + 1;
			wheel_advance(&w, now, 100);
		}
		assert_true(p.fired_ns >= due);
		assert_true(p.fired_ns < due + 2 * TICK);
		assert_int_equal(w.armed, 0);
		assert_true(wheel_next_ns(&w) == UINT64_MAX);
	}
}

static void test_random(void **state)
{
	enum { N = 300 };
	struct probe *p = calloc(N, sizeof(*p));
	struct wheel w;
	struct rng r;
	uint64_t now = 123456789;

	(void)state;
	rng_init(&r, 7);
	wheel_init(&w, now);
	for (unsigned round = 0; round < 20000; round++) {
		struct probe *one = &p[rng_below(&r, N)];
		unsigned armed = 0;

		if (rng_below(&r, 4) == 0) {
			timer_cancel(&w, &one->timer);
		} else {
			one->due_ns = now + (rng_u64(&r) >> (24 + rng_below(&r, 36)));
			one->fires = 0;
			timer_arm(&w, &one->timer, one->due_ns, on_fire);
		}
		if (rng_below(&r, 3) == 0) {
			now += rng_u64(&r) >> (34 + rng_below(&r, 26));
			wheel_advance(&w, now, UINT32_MAX);
			for (unsigned i = 0; i < N; i++)
				assert_in_range(p[i].fires, 0, 1);
		}
		for (unsigned i = 0; i < N; i++) {
			armed += timer_armed(&p[i].timer);
			if (timer_armed(&p[i].timer))
				assert_true(p[i].due_ns + 2 * TICK > now);
			if (p[i].fires)
				assert_true(p[i].fired_ns >= p[i].due_ns);
		}
		assert_int_equal(armed, w.armed);
	}
	free(p);
}

static void test_budget(void **state)
{
	enum { N = 1000 };
	struct probe *p = calloc(N, sizeof(*p));
	struct wheel w;
	unsigned fired = 0, calls = 0;

	(void)state;
	wheel_init(&w, 0);
	for (unsigned i = 0; i < N; i++)
		timer_arm(&w, &p[i].timer, 256ull * TICK + i % 3 * TICK, on_fire);
	while (w.armed) {
		unsigned n = wheel_advance(&w, 600ull * TICK, 64);

		assert_true(n <= 64);
		fired += n;
		calls++;
	}
	assert_int_equal(fired, N);
	assert_int_equal(calls, (N + 63) / 64);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(p[i].fires, 1);
	free(p);
}

/* A timer that always arms itself in the past fires once per tick and cannot hold the loop. */
static void test_past(void **state)
{
	struct wheel w;
	struct probe p = {.again = &w};

	(void)state;
	wheel_init(&w, 0);
	timer_arm(&w, &p.timer, 0, on_fire);
	wheel_advance(&w, 10ull * TICK, 1000);
	assert_int_equal(p.fires, 10);
	timer_cancel(&w, &p.timer);
	timer_cancel(&w, &p.timer);
	assert_int_equal(w.armed, 0);
}

static unsigned yet_to_be_moved(const struct wheel *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->turned_n; i++)
		for (const struct timer *t = w->turned[i]; t; t = t->next)
			n++;
	return n;
}

/* So many timers in a slot far away that a round has no time to move them all: it moves some, and near ones fire in time. */
static void test_crowd(void **state)
{
	enum { N = 20000, BUDGET = 64, MOVES = 8 * BUDGET };
	const uint64_t start = 65536ull * TICK, far = 2 * start;
	struct probe *p = calloc(N, sizeof(*p)), near = {0};
	unsigned calls = 0, gone = 0, before = N;
	struct wheel w;

	(void)state;
	wheel_init(&w, start);
	for (unsigned i = 0; i < N; i++) {
		p[i].due_ns = far + i % 1000 * TICK;
		timer_arm(&w, &p[i].timer, p[i].due_ns, on_fire);
	}
	wheel_advance(&w, far - TICK, BUDGET);
	assert_int_equal(yet_to_be_moved(&w), 0);
	timer_arm(&w, &near.timer, far + TICK, on_fire);
	for (uint64_t now = far; w.armed; now += TICK / 4, calls++) {
		assert_in_range(wheel_advance(&w, now, BUDGET), 0, BUDGET);
		assert_true(before <= yet_to_be_moved(&w) + MOVES);
		before = yet_to_be_moved(&w);
		if (before > 0)
			assert_true(wheel_next_ns(&w) <= now);
		if (now < far + 2 * TICK && now >= far + TICK)
			assert_int_equal(near.fires, 1);
		/* Some are cancelled while they wait to be moved, and one is put off. */
		if (calls == 2)
			for (unsigned i = 0; i < N; i += 2, gone++)
				timer_cancel(&w, &p[i].timer);
		if (calls == 3) {
			p[1].due_ns = far + start;
			timer_arm(&w, &p[1].timer, p[1].due_ns, on_fire);
		}
		before = yet_to_be_moved(&w);
		assert_true(calls < 10 * N);
		if (w.armed == 1 && p[1].fires == 0)
			now = now < p[1].due_ns ? p[1].due_ns : now;
	}
	assert_int_equal(gone, N / 2);
	assert_int_equal(near.fires, 1);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(p[i].fires, i % 2 || p[i].fires ? 1 : 0);
		assert_true(!p[i].fires || p[i].fired_ns >= p[i].due_ns);
	}
	assert_true(wheel_next_ns(&w) == UINT64_MAX);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_delays),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
