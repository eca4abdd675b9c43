/*
 * The integers of CUBIC against the formulas of RFC 9438 in floating point, ACK by ACK; and what its steps keep and
 * bring back.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../dataplane/tcp/cc_cubic.c"

static struct tcp t;
static struct tcp_conn c;

/* The RFC's names; windows in segments, times in seconds. */
struct oracle {
	double cwnd, w_max, cwnd_prior, epoch, k, w_est;
	bool running;
};

static void oracle_reduce(struct oracle *o, double flight)
{
	o->w_max = o->cwnd < o->w_max ? o->cwnd * (1 + 0.7) / 2 : o->cwnd;
	o->cwnd_prior = o->cwnd;
	o->cwnd = fmax(flight * 0.7, 2);
	o->running = false;
}

static void oracle_acked(struct oracle *o, double segments, double now, double rtt)
{
	const double alpha = 3 * (1 - 0.7) / (1 + 0.7);
	double target;

	if (!o->running) {
		o->running = true;
		o->w_max = fmax(o->w_max, o->cwnd);
		o->epoch = now;
		o->k = cbrt((o->w_max - o->cwnd) / 0.4);
		o->w_est = o->cwnd;
	}
	o->w_est += (o->w_est >= o->cwnd_prior ? 1 : alpha) * segments / o->cwnd;
	if (0.4 * pow(now - o->epoch - o->k, 3) + o->w_max < o->w_est) {
		o->cwnd = fmax(o->cwnd, o->w_est);
		return;
	}
	target = 0.4 * pow(now - o->epoch + rtt - o->k, 3) + o->w_max;
	o->cwnd += segments * (fmin(fmax(target, o->cwnd), 1.5 * o->cwnd) - o->cwnd) / o->cwnd;
}

static void setup_conn(uint32_t mss, uint32_t cwnd, uint32_t rtt_ms)
{
	memset(&t, 0, sizeof(t));
	memset(&c, 0, sizeof(c));
	t.now_ms = UINT32_MAX - 5000; /* the clock wraps */
	c.tcp = &t;
	c.cc = TCP_CONTROL_cubic;
	c.mss = (uint16_t)mss;
	c.cwnd = cwnd;
	c.ssthresh = SSTHRESH_INITIAL;
	c.srtt_us = rtt_ms * 1000;
	cubic_control.open(&c);
}

static const struct {
	const char *name;
	uint32_t mss, rtt_ms, segments, again;  /* the window when it is lost; after so many round trips once more, 0: not */
	uint32_t rounds;
} runs[] = {
	{"short round trips: as Reno", 1448, 5, 40, 0, 400},
	{"concave, plateau, convex", 1448, 50, 200, 0, 150},
	{"long round trips", 1448, 200, 100, 0, 60},
	{"jumbo frames", 8948, 30, 40, 0, 200},
	{"small segments", 536, 80, 400, 0, 100},
	{"a second loss below the first: fast convergence", 1448, 50, 200, 20, 100},
	{"a second loss above the first", 1448, 50, 100, 150, 100},
	{"two segments", 1448, 20, 2, 0, 200},
};

static void reduce(struct oracle *o)
{
	oracle_reduce(o, (double)c.cwnd / c.mss);
	c.ssthresh = cubic_control.ssthresh(&c, c.cwnd);
	c.cwnd = c.ssthresh;
}

/* One window is acknowledged, two segments at a time, evenly over the round trip. */
static void round_trip(struct oracle *o, uint32_t start_ms, double *now, uint32_t rtt_ms)
{
	const uint32_t acks = c.cwnd / (2u * c.mss) + 1;
	const double start = *now;

	for (uint32_t i = 1; i <= acks; i++) {
		t.now_ms = start_ms + i * rtt_ms / acks;
		*now = start + floor((double)i * rtt_ms / acks) / 1000;
		c.flags |= CONN_CWND_LIMITED;
		oracle_acked(o, 2, *now, rtt_ms / 1000.0);
		cubic_control.acked(&c, 2u * c.mss);
	}
}

static void test_formula(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		struct oracle o = {.cwnd = runs[i].segments};
		double now = 0, worst = 0;

		setup_conn(runs[i].mss, runs[i].segments * runs[i].mss, runs[i].rtt_ms);
		reduce(&o);
		for (uint32_t r = 1; r <= runs[i].rounds && c.cwnd < CWND_MAX * 9 / 10; r++) {
			double off;

			round_trip(&o, t.now_ms, &now, runs[i].rtt_ms);
			off = fabs((double)c.cwnd / c.mss - o.cwnd);
			worst = fmax(worst, off / fmax(o.cwnd, 1));
			if (off > 1 && off > o.cwnd * 0.02)
				fail_msg("%s: after %u round trips cwnd is %.2f segments, not %.2f", runs[i].name, r,
				         (double)c.cwnd / c.mss, o.cwnd);
			if (r == runs[i].again)
				reduce(&o);
		}
		print_message("%s: %.1f segments at the end, at most %.2f %% off\n", runs[i].name,
		              (double)c.cwnd / c.mss, worst * 100);
		assert_true(c.cwnd > c.ssthresh);
	}
}

static void test_cube_root(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 2000; n++)
		assert_int_equal(cube_root(n), (uint32_t)floor(cbrt((double)n) + 1e-9));
	for (uint32_t root = 3; root < (1u << 21); root = root * 5 / 3) {
		const uint64_t n = (uint64_t)root * root * root;

		assert_int_equal(cube_root(n), root);
		assert_int_equal(cube_root(n - 1), root - 1);
	}
}

static void grow(uint32_t rounds, uint32_t rtt_ms, bool limited)
{
	for (uint32_t i = 0; i < rounds; i++) {
		t.now_ms += rtt_ms;
		if (limited)
			c.flags |= CONN_CWND_LIMITED;
		else
			conn_clear(&c, CONN_CWND_LIMITED);
		cubic_control.acked(&c, c.cwnd);
	}
}

/* Section 4.9: after a loss that was none, all is as if the window had never fallen. */
static void test_undo(void **state)
{
	uint32_t cwnd, ssthresh_before, words[CONN_CC_WORDS];

	(void)state;
	setup_conn(1000, 100000, 50);
	c.ssthresh = c.cwnd = cubic_control.ssthresh(&c, c.cwnd);
	grow(20, 50, true);
	cwnd = c.cwnd;
	ssthresh_before = c.ssthresh;
	memcpy(words, c.cc_words, sizeof(words));
	c.ssthresh = c.cwnd = cubic_control.ssthresh(&c, c.cwnd);
	assert_true(c.cwnd < cwnd);
	cubic_control.undo(&c);
	assert_int_equal(c.cwnd, cwnd);
	assert_int_equal(c.ssthresh, ssthresh_before);
	assert_int_equal(state_of(&c)->cubic.w_max, ((struct cubic *)words)->w_max);
	assert_int_equal(state_of(&c)->cubic.plateau_ms, ((struct cubic *)words)->plateau_ms);
	assert_int_equal(state_of(&c)->cubic.w_est, ((struct cubic *)words)->w_est);
	/* And slow start goes on when it was that which was interrupted. */
	setup_conn(1000, 20000, 50);
	c.ssthresh = cubic_control.ssthresh(&c, c.cwnd);
	c.cwnd = c.mss;
	cubic_control.timeout(&c);
	cubic_control.undo(&c);
	assert_int_equal(c.cwnd, 20000);
	assert_true(first_slow_start(&c));
}

/* Section 4.2: time in which the window was not needed brings nobody closer to W_max. */
static void test_not_limited(void **state)
{
	uint32_t busy;

	(void)state;
	setup_conn(1000, 200000, 50);
	c.ssthresh = c.cwnd = cubic_control.ssthresh(&c, c.cwnd);
	grow(40, 50, true);
	busy = c.cwnd;
	setup_conn(1000, 200000, 50);
	c.ssthresh = c.cwnd = cubic_control.ssthresh(&c, c.cwnd);
	grow(10, 50, true);
	grow(400, 50, false);
	t.now_ms += 60000;
	grow(30, 50, true);
	assert_true(c.cwnd >= busy - 4 * c.mss && c.cwnd <= busy + 4 * c.mss);
}

/* After an idle time (RFC 5681, 4.1) the window grows from the initial one, not from where W_est had been. */
static void test_restart(void **state)
{
	(void)state;
	setup_conn(1000, 100000, 5);
	c.ssthresh = c.cwnd = cubic_control.ssthresh(&c, c.cwnd);
	grow(50, 5, true);
	c.ssthresh = 5000;
	t.now_ms += 10000;
	cc_restart(&c);
	assert_int_equal(c.cwnd, 10000);
	grow(4, 5, true);
	assert_true(c.cwnd > 10000 && c.cwnd <= 14000);
}

/* Section 4.8: after a timeout the plateau is where congestion avoidance begins. */
static void test_timeout(void **state)
{
	(void)state;
	setup_conn(1000, 100000, 50);
	c.ssthresh = cubic_control.ssthresh(&c, c.cwnd);
	c.cwnd = c.mss;
	cubic_control.timeout(&c);
	c.cwnd = c.ssthresh;
	grow(1, 50, true);
	assert_int_equal(state_of(&c)->cubic.w_max, c.ssthresh);
	grow(60, 50, true);
	/* 3 s later: C t^3 = 10.8 segments above it, or what Reno gives (9/17 of 60), whichever is more. */
	assert_true(c.cwnd > c.ssthresh + 28000 && c.cwnd < c.ssthresh + 36000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formula),
		cmocka_unit_test(test_cube_root),
		cmocka_unit_test(test_undo),
		cmocka_unit_test(test_not_limited),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests_name("cubic", tests, NULL, NULL);
}
