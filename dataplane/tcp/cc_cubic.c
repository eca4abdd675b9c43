/*
 * CUBIC (RFC 9438), in bytes and milliseconds, and in the names of the RFC:
 *
 *    cwnd
 *    W_max |- - - - - - - - - - - - -.----------.- - - - - /    W_cubic(t) = C (t - K)^3 + W_max    (segments, seconds)
 *          |                  .                        .   /
 *          |             .                                     K = cbrt((W_max - cwnd_epoch) / C)
 *          |         .
 *          |      .          concave               convex
 *          |----.-------------------+---------------------> t
 *            epoch                  K
 *
 * After a reduction the window returns quickly to where the path was full (W_max), waits there, then looks for more.
 * Where that is slower than Reno would be (short round trips), it grows as Reno does (W_est, section 4.3). The time of
 * the plateau, epoch + K, is all of t and K that has to be kept.
 *
 * No epoch runs until the first ACK in congestion avoidance. If W_max is not known then (slow start ended by HyStart++,
 * or by a timeout; sections 4.8 and 4.10), the plateau is here and now. Time in which the window was not what held the
 * sender back does not count (4.2): the plateau moves along.
 */
#include <string.h>

#include "tcp/cc.h"
#include "tcp/hystart.h"

struct cubic {
	uint32_t w_max;            /* bytes; 0: not known */
	uint32_t plateau_ms;       /* when W_cubic is W_max; with w_est */
	uint32_t w_est;            /* in 1 / EST_UNITS bytes; 0: no epoch runs */
	uint32_t cwnd_prior;       /* cwnd when the last congestion event came */
	uint32_t acked_ms;         /* when the epoch last went on */
	/* As they were before that event, for undo(). */
	uint32_t was_ssthresh, was_w_max, was_plateau_ms, was_w_est;
};

/* The first slow start has no use for what CUBIC keeps of a path that was full once. */
union state {
	struct cubic cubic;
	struct hystart hystart;
};

static_assert(sizeof(union state) == sizeof(uint32_t) * CONN_CC_WORDS, "the state lies in cc_words");

enum {
	EST_SHIFT = 4, EST_UNITS = 1 << EST_SHIFT,
	SHARE_SHIFT = 24,
	BETA_TENTHS = 7,
	ALPHA_NUMERATOR = 9, ALPHA_DENOMINATOR = 17, /* 3 (1 - beta) / (1 + beta) */
	FAR_MS = 120000,           /* further from the plateau than anyone comes */
	IDLE_RTTS = 2,
};

static union state *state_of(struct tcp_conn *c)
{
	return (union state *)c->cc_words;
}

static bool first_slow_start(const struct tcp_conn *c)
{
	return c->ssthresh >= (uint32_t)SSTHRESH_INITIAL;
}

static uint32_t cube_root(uint64_t n)
{
	uint64_t root = 0;

	for (int bit = 20; bit >= 0; bit--) {
		const uint64_t try = root | UINT64_C(1) << bit;

		if (try * try * try <= n)
			root = try;
	}
	return (uint32_t)root;
}

/* C = 0.4: seconds^3 = segments / 0.4, so milliseconds^3 = segments * 2.5e9. */
static uint32_t k_ms(uint32_t below_bytes, uint32_t mss)
{
	return cube_root((uint64_t)below_bytes * UINT64_C(2500000000) / mss);
}

/* C (t - K)^3 in bytes, dt_ms being t - K. */
static int64_t cubic_bytes(int64_t dt_ms, uint32_t mss)
{
	/* Thousandths of a segment: 0.4 / 1e9 * 1000 = 1 / 2.5e6. */
	if (dt_ms > FAR_MS)
		dt_ms = FAR_MS;
	else if (dt_ms < -FAR_MS)
		dt_ms = -FAR_MS;
	return dt_ms * dt_ms * dt_ms / 2500000 * mss / 1000;
}

static void begin_epoch(struct tcp_conn *c, struct cubic *s)
{
	const uint32_t now_ms = c->tcp->now_ms;

	if (s->w_max <= c->cwnd)
		s->w_max = c->cwnd;
	s->plateau_ms = now_ms + k_ms(s->w_max - c->cwnd, c->mss);
	s->w_est = c->cwnd << EST_SHIFT;
	s->acked_ms = now_ms;
}

/* When nothing was acknowledged for some round trips, or what was had not filled the window, time stood still. */
static void pass_time(struct tcp_conn *c, struct cubic *s)
{
	const uint32_t passed_ms = c->tcp->now_ms - s->acked_ms, rtt_ms = c->srtt_us / 1000 + 1;

	s->acked_ms = c->tcp->now_ms;
	if (!(c->flags & CONN_CWND_LIMITED))
		s->plateau_ms += passed_ms;
	else if (passed_ms > IDLE_RTTS * rtt_ms)
		s->plateau_ms += passed_ms - rtt_ms;
	/* Nobody comes further; else the difference would wrap one day. */
	if ((int32_t)(c->tcp->now_ms - s->plateau_ms) > FAR_MS)
		s->plateau_ms = c->tcp->now_ms - FAR_MS;
}

/* share: which part of the window was acknowledged, in 2^-SHARE_SHIFT. Figures 4 and 5 of the RFC: W_est. */
static void grow_est(const struct tcp_conn *c, struct cubic *s, uint64_t share)
{
	uint64_t units = share * c->mss >> (SHARE_SHIFT - EST_SHIFT);

	if (s->w_est >> EST_SHIFT < s->cwnd_prior)
		units = units * ALPHA_NUMERATOR / ALPHA_DENOMINATOR;
	s->w_est += (uint32_t)units;
}

/* Section 4.4 and 4.5: towards where W_cubic will be in a round trip, at most half of the window more. */
static uint32_t grow_cubic(const struct tcp_conn *c, const struct cubic *s, int64_t dt_ms, uint64_t share)
{
	const int64_t target = s->w_max + cubic_bytes(dt_ms + c->srtt_us / 1000, c->mss);
	const int64_t above = target - c->cwnd, most = c->cwnd / 2;

	if (above <= 0)
		return 0;
	return (uint32_t)((uint64_t)(above < most ? above : most) * share >> SHARE_SHIFT);
}

static void avoid_congestion(struct tcp_conn *c, struct cubic *s, uint32_t bytes)
{
	uint64_t share;
	uint32_t est;
	int64_t dt_ms;

	if (s->w_est == 0)
		begin_epoch(c, s);
	pass_time(c, s);
	if (!(c->flags & CONN_CWND_LIMITED) || c->cwnd >= CWND_MAX)
		return;
	share = ((uint64_t)(bytes < c->cwnd ? bytes : c->cwnd) << SHARE_SHIFT) / c->cwnd;
	dt_ms = (int32_t)(c->tcp->now_ms - s->plateau_ms);
	grow_est(c, s, share);
	est = s->w_est >> EST_SHIFT;
	if (s->w_max + cubic_bytes(dt_ms, c->mss) < est) {
		if (est > c->cwnd)
			c->cwnd = est;
		return;
	}
	c->cwnd += grow_cubic(c, s, dt_ms, share);
}

static void start_again(struct tcp_conn *c)
{
	memset(c->cc_words, 0, sizeof(c->cc_words));
	if (first_slow_start(c))
		hystart_open(&state_of(c)->hystart, c);
}

static void slow_start(struct tcp_conn *c, uint32_t bytes)
{
	const bool again = seq_le(c->snd_una, c->recover);
	bool over = false;

	if (first_slow_start(c))
		bytes = hystart_acked(&state_of(c)->hystart, c, bytes, &over);
	else if (again && bytes > 2u * c->mss)
		bytes = 2u * c->mss; /* after a timeout one ACK may jump over a window that had arrived before */
	c->cwnd += bytes;
	if (!over)
		return;
	c->ssthresh = c->cwnd;
	memset(c->cc_words, 0, sizeof(c->cc_words));
}

static void acked(struct tcp_conn *c, uint32_t bytes)
{
	if (c->cwnd >= c->ssthresh)
		avoid_congestion(c, &state_of(c)->cubic, bytes);
	else if (c->flags & CONN_CWND_LIMITED && c->cwnd < CWND_MAX)
		slow_start(c, bytes);
}

static void rtt(struct tcp_conn *c, uint32_t us)
{
	if (first_slow_start(c))
		hystart_rtt(&state_of(c)->hystart, us);
}

/* Sections 4.6 and 4.7. */
static uint32_t ssthresh(struct tcp_conn *c, uint32_t flight)
{
	const uint32_t two = 2u * c->mss, reduced = (uint32_t)((uint64_t)flight * BETA_TENTHS / 10);
	struct cubic *s = &state_of(c)->cubic;

	if (first_slow_start(c))
		memset(s, 0, sizeof(*s));
	s->was_ssthresh = c->ssthresh;
	s->was_w_max = s->w_max;
	s->was_plateau_ms = s->plateau_ms;
	s->was_w_est = s->w_est;
	/* Fast convergence: less than last time means that another flow wants its share. */
	s->w_max = c->cwnd < s->w_max ? (uint32_t)((uint64_t)c->cwnd * (10 + BETA_TENTHS) / 20) : c->cwnd;
	s->cwnd_prior = c->cwnd;
	s->w_est = 0;
	return reduced > two ? reduced : two;
}

static void timeout(struct tcp_conn *c)
{
	struct cubic *s = &state_of(c)->cubic;

	s->w_max = 0;
	s->w_est = 0;
}

/* W_est is of the window that was. W_max stays: the path may still be full there. */
static void restart(struct tcp_conn *c)
{
	if (!first_slow_start(c))
		state_of(c)->cubic.w_est = 0;
}

/* Section 4.9. Time went on meanwhile, but the window did not. */
static void undo(struct tcp_conn *c)
{
	struct cubic *s = &state_of(c)->cubic;

	if (c->cwnd < s->cwnd_prior)
		c->cwnd = s->cwnd_prior;
	if (c->ssthresh < s->was_ssthresh)
		c->ssthresh = s->was_ssthresh;
	if (first_slow_start(c)) {
		start_again(c);
		return;
	}
	s->w_max = s->was_w_max;
	s->plateau_ms = s->was_plateau_ms;
	s->w_est = s->was_w_est;
}

const struct tcp_cc cubic_control = {
	.name = "cubic",
	.open = start_again,
	.acked = acked,
	.ssthresh = ssthresh,
	.timeout = timeout,
	.undo = undo,
	.rtt = rtt,
	.restart = restart,
};
