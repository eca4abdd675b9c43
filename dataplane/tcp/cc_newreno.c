/*
 * Slow start and congestion avoidance of RFC 5681, counting bytes instead of ACKs (RFC 3465), because receivers that
 * gather their ACKs (ours does: one per burst) would otherwise slow the sender down. RFC 3465's bound of two segments
 * per ACK is kept only after a timeout, where one ACK may jump over a window that had arrived before.
 *
 * The window grows only while it is what holds the sender back.
 */
#include "tcp/cc.h"

enum { WORD_BYTES_ACKED, WORD_UNDO_CWND, WORD_UNDO_SSTHRESH };

static void start(struct tcp_conn *c)
{
	(void)c;
}

static void acked(struct tcp_conn *c, uint32_t bytes)
{
	uint32_t *bytes_acked = &c->cc_words[WORD_BYTES_ACKED];

	if (!(c->flags & CONN_CWND_LIMITED) || c->cwnd >= CWND_MAX)
		return;
	if (c->cwnd < c->ssthresh) {
		const bool again = seq_le(c->snd_una, c->recover);

		c->cwnd += again && bytes > 2u * c->mss ? 2u * c->mss : bytes;
		return;
	}
	*bytes_acked += bytes;
	if (*bytes_acked >= c->cwnd) {
		*bytes_acked -= c->cwnd;
		c->cwnd += c->mss;
	}
}

static uint32_t ssthresh(struct tcp_conn *c, uint32_t flight)
{
	const uint32_t half = flight / 2, two = 2u * c->mss;

	c->cc_words[WORD_BYTES_ACKED] = 0;
	c->cc_words[WORD_UNDO_CWND] = c->cwnd;
	c->cc_words[WORD_UNDO_SSTHRESH] = c->ssthresh;
	return half > two ? half : two;
}

static void timeout(struct tcp_conn *c)
{
	c->cc_words[WORD_BYTES_ACKED] = 0;
}

static void undo(struct tcp_conn *c)
{
	if (c->cwnd < c->cc_words[WORD_UNDO_CWND])
		c->cwnd = c->cc_words[WORD_UNDO_CWND];
	if (c->ssthresh < c->cc_words[WORD_UNDO_SSTHRESH])
		c->ssthresh = c->cc_words[WORD_UNDO_SSTHRESH];
}

const struct tcp_cc newreno_control = {
	.name = "newreno",
	.open = start,
	.acked = acked,
	.ssthresh = ssthresh,
	.timeout = timeout,
	.undo = undo,
};
