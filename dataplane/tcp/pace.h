/*
 * Pacing: what the congestion window lets out at once is spread over the round trip, so that it does not arrive at a
 * router's queue as a burst. The rate is cwnd per smoothed round trip time, and a fifth more, so that it is still the
 * window that holds the sender back; twice as much in slow start, where the window doubles within a round trip.
 *
 * A burst is allowed: ten segments, as many as an initial window has, or what two milliseconds carry at that rate,
 * whichever is more. So pacing costs one comparison when all that is queued fits, or when the round trip is as short as
 * the burst; else some divisions per round. What has to wait is called by the connection's wheel timer; a tick of it is
 * 66 us, which is how fine the spreading is.
 *
 * Only one time is kept: until when the rate is used by what was sent. It lies in the past, at most a burst's time: the
 * distance is the credit.
 *
 * What recovery sends again is not held back: it has its own measure of what may leave.
 */
#ifndef TCP_PACE_H
#define TCP_PACE_H

#include "tcp/conn.h"

enum { PACE_BURST_US = 2000 };

/* The first burst is free. */
void pace_open(struct tcp_conn *c);

/* May pacing hold anything back? */
static inline bool pace_applies(const struct tcp_conn *c)
{
	return c->flags & CONN_PACED && c->queued > (uint32_t)INITIAL_SEGMENTS * c->mss && c->srtt_us > PACE_BURST_US;
}

/* Bytes that may leave now. */
uint32_t pace_credit(struct tcp_conn *c);
void pace_spend(struct tcp_conn *c, uint32_t bytes);

/* More would leave: the connection is touched when there is credit for a segment. */
void pace_wait(struct tcp_conn *c);
uint32_t pace_wait_us(const struct tcp_conn *c);

/* Bytes per second; 0: not paced, or not known yet. */
uint64_t pace_rate(const struct tcp_conn *c);

#endif
