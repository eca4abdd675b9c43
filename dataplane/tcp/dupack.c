/*
 * In the names of RFC 6582:
 *
 *   three duplicate ACKs   recover = snd_max, ssthresh = half of what is in flight, the first segment again,
 *                          cwnd = ssthresh + 3 MSS (three segments have left the network)
 *   each further one       cwnd += MSS, so new data may follow
 *   partial ACK            the next hole begins where it ends: that segment again; cwnd -= acked, += MSS
 *   full ACK               (up to recover) cwnd = min(ssthresh, flight + MSS), done
 *
 * Only once per window: until snd_una is beyond recover, duplicate ACKs may be the echo of our own retransmissions
 * (section 4). After a timeout everything is sent again from snd_una (go back N), and recover guards in the same way.
 */
#include "tcp/dupack.h"

#include "tcp/cc.h"
#include "tcp/conn.h"
#include "tcp/output.h"
#include "tcp/rtt.h"

static uint32_t flight(const struct tcp_conn *c)
{
	return c->snd_max - c->snd_una;
}

static void enter(struct tcp_conn *c)
{
	tcp_count(c->tcp, C_tcp_fast_retransmits);
	c->recover = c->snd_max;
	cc_reduce(c, flight(c));
	c->cwnd = c->ssthresh + DUPACKS * c->mss;
	c->flags |= CONN_RECOVERY;
	conn_clear(c, CONN_PARTIAL);
	output_again(c);
	rtt_start(c);
}

void dupack_came(struct tcp_conn *c)
{
	if (c->dupacks < UINT8_MAX)
		c->dupacks++;
	if (c->flags & CONN_RECOVERY) {
		/* Bounded: duplicate ACKs can be made up, and no queue is longer. */
		if (c->cwnd < CWND_MAX)
			c->cwnd += c->mss;
	} else if (c->dupacks == DUPACKS && seq_gt(c->snd_una, c->recover)) {
		enter(c);
	}
	conn_touch(c);
}

static void leave(struct tcp_conn *c)
{
	const uint32_t left = (flight(c) > c->mss ? flight(c) : c->mss) + c->mss;

	c->cwnd = c->ssthresh < left ? c->ssthresh : left;
	conn_clear(c, CONN_RECOVERY);
}

static void partial(struct tcp_conn *c, uint32_t bytes)
{
	c->cwnd = c->cwnd > bytes ? c->cwnd - bytes : 0;
	if (bytes >= c->mss || c->cwnd < c->mss)
		c->cwnd += c->mss;
	output_again(c);
	/* Only the first one restarts the timer ("impatient"): with many holes, a timeout and slow start are faster. */
	if (!(c->flags & CONN_PARTIAL))
		rtt_start(c);
	c->flags |= CONN_PARTIAL;
}

void dupack_advanced(struct tcp_conn *c, uint32_t bytes)
{
	c->dupacks = 0;
	if (!(c->flags & CONN_RECOVERY))
		cc_of(c)->acked(c, bytes);
	else if (seq_ge(c->snd_una, c->recover))
		leave(c);
	else
		partial(c, bytes);
}

void dupack_timeout(struct tcp_conn *c)
{
	/* A segment that times out again says nothing new about the path (RFC 5681, 3.1). */
	if (c->retries == 0) {
		conn_clear(c, CONN_REDUCED);
		cc_reduce(c, flight(c));
	}
	c->cwnd = c->mss;
	c->recover = c->snd_max;
	c->dupacks = 0;
	conn_clear(c, CONN_RECOVERY | CONN_TIMED);
	c->snd_nxt = c->snd_una;
	sendq_set_cursor(&c->sendq, sendq_head(&c->sendq));
	cc_of(c)->timeout(c);
}
