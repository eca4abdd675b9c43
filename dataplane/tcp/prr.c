#include "tcp/prr.h"

#include "tcp/scoreboard.h"

void prr_start(struct tcp_conn *c, const struct news *n)
{
	struct scoreboard *b = board_of(c);
	/* What was SACKed before is no part of what is delivered in this recovery; what this ACK brought is. */
	const uint32_t before = b->sacked - n->sacked;

	b->prr_delivered = b->prr_out = 0;
	b->recover_fs = c->snd_nxt - c->snd_una - before + n->acked;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

void prr_acked(struct tcp_conn *c, const struct news *n)
{
	struct scoreboard *b = board_of(c);
	const uint32_t pipe = conn_in_flight(c);
	const bool safe = n->acked > 0 && !n->lost;
	uint32_t send;

	b->prr_delivered += n->delivered;
	if (pipe > c->ssthresh) {
		const uint64_t fs = larger(b->recover_fs, 1);
		const uint64_t due = ((uint64_t)b->prr_delivered * c->ssthresh + fs - 1) / fs;

		send = due > b->prr_out ? (uint32_t)(due - b->prr_out) : 0;
	} else {
		const uint32_t behind = b->prr_delivered > b->prr_out ? b->prr_delivered - b->prr_out : 0;

		send = larger(behind, n->delivered) + (safe ? c->mss : 0);
		if (send > c->ssthresh - pipe)
			send = c->ssthresh - pipe;
	}
	/* The fast retransmit itself. */
	if (b->prr_out == 0 && send < c->mss)
		send = c->mss;
	c->cwnd = larger(pipe + send, c->mss);
}
