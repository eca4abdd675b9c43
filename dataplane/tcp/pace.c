#include "tcp/pace.h"

enum { GAIN_SLOW_START = 200, GAIN = 120, PERCENT = 100, SECOND_US = 1000000,
       AHEAD_US = 1000 };

static uint32_t gain(const struct tcp_conn *c)
{
	return c->cwnd < c->ssthresh / 2 ? GAIN_SLOW_START : GAIN;
}

/* What the rate carries in so many microseconds. */
static uint64_t carried(const struct tcp_conn *c, uint32_t us)
{
	return (uint64_t)c->cwnd * us * gain(c) / ((uint64_t)c->srtt_us * PERCENT);
}

/* How long the rate takes for so many bytes. It cannot wrap: cwnd is a segment at least. */
static uint32_t taken_us(const struct tcp_conn *c, uint32_t bytes)
{
	return (uint32_t)((uint64_t)bytes * c->srtt_us * PERCENT / ((uint64_t)c->cwnd * gain(c)));
}

static uint32_t burst_us(const struct tcp_conn *c)
{
	const uint32_t ten_us = taken_us(c, (uint32_t)INITIAL_SEGMENTS * c->mss);

	return ten_us > PACE_BURST_US ? ten_us : PACE_BURST_US;
}

/* Rounding may put it a little ahead; anything else that looks like the future is the far past. */
static uint32_t unused_us(const struct tcp_conn *c)
{
	const uint32_t us = c->tcp->now_us - c->pace_us;

	return (int32_t)us < 0 && (int32_t)us >= -AHEAD_US ? 0 : us;
}

void pace_open(struct tcp_conn *c)
{
	c->pace_us = c->tcp->now_us - INT32_MAX;
}

uint32_t pace_credit(struct tcp_conn *c)
{
	const uint32_t most_us = burst_us(c);

	if (unused_us(c) > most_us)
		c->pace_us = c->tcp->now_us - most_us;
	return (uint32_t)carried(c, unused_us(c));
}

void pace_spend(struct tcp_conn *c, uint32_t bytes)
{
	if (bytes > 0)
		c->pace_us += taken_us(c, bytes) + 1;
}

uint32_t pace_wait_us(const struct tcp_conn *c)
{
	const uint32_t wanted_us = taken_us(c, c->mss) + 1, us = unused_us(c);

	return wanted_us > us ? wanted_us - us : 0;
}

void pace_wait(struct tcp_conn *c)
{
	const uint32_t us = pace_wait_us(c);

	timer_pace(c, us > 0 ? us : 1);
}

uint64_t pace_rate(const struct tcp_conn *c)
{
	return c->flags & CONN_PACED && c->srtt_us != 0 ? carried(c, SECOND_US) : 0;
}
