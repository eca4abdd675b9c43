#include "tests/support/tcp_invariants.h"

#include "tcp/ooo.h"
#include "tcp/recv_buffer.h"
#include "tcp/scoreboard.h"

/* Timers that bring a silent connection on: all but those of a peer that owes us nothing. */
enum { PASSIVE_TIMERS = 1 << TIMER_LIFE | 1 << TIMER_DELACK | 1 << TIMER_KEEP };

static bool waits_for_peer(const struct tcp_conn *c)
{
	if (c->snd_max != c->snd_una)
		return true;
	/* What tcp_more() holds waits for the user. */
	return (c->queued > 0 && !(c->flags & CONN_MORE)) || c->flags & CONN_FIN;
}

/* Records lie side by side, and the scoreboard's sums and lists are theirs. */
static const char *records_broken(const struct tcp_conn *c)
{
	const struct scoreboard *b = board_of(c);
	uint32_t at = c->snd_una, sacked = 0, lost = 0, flying_n = 0, lost_n = 0;

	if (!conn_tracked(c))
		return c->sent_last || b ? "who is not tracked has no records" : NULL;
	for (const struct sent *s = sent_first(c); s; s = sent_next(c, s)) {
		if (s->seq != at || !seq_lt(s->seq, s->end))
			return "records have no gaps";
		at = s->end;
		sacked += s->state == SENT_SACKED ? sent_bytes(s) : 0;
		lost += s->state == SENT_LOST ? sent_bytes(s) : 0;
		flying_n += s->state == SENT_FLYING;
		lost_n += s->state == SENT_LOST;
	}
	if (at != c->snd_nxt)
		return "records end at snd_nxt";
	if (!b)
		return sacked + lost > 0 ? "what is SACKed or lost has a scoreboard" : NULL;
	if (b->sacked != sacked || b->lost_bytes != lost || conn_in_flight(c) > c->snd_nxt - c->snd_una)
		return "the pipe is the sum of what flies";
	for (const struct sent *s = b->flying.oldest; s; s = s->newer)
		flying_n--;
	for (const struct sent *s = b->lost.oldest; s; s = s->newer)
		lost_n--;
	return flying_n != 0 || lost_n != 0 ? "each record is on its state's list" : NULL;
}

const char *invariant_broken(const struct tcp_conn *c, uint32_t user_credit)
{
	const bool syn = c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED;

	if (c->magic != CONN_MAGIC)
		return "it is no connection";
	if (c->flags & CONN_TOUCHED)
		return NULL; /* its round is not over */
	if (seq_gt(c->snd_una, c->snd_nxt) || seq_gt(c->snd_nxt, c->snd_max))
		return "snd_una <= snd_nxt <= snd_max";
	if (c->snd_max - c->snd_una > c->queued + 1)
		return "no more is in flight than is queued, and FIN";
	if (!syn && seq_gt(c->rcv_nxt, c->rcv_adv))
		return "no more is taken than was offered";
	if (c->rcv_held < user_credit)
		return "the user's credit is charged";
	if (!c->ooo && c->rcv_held != user_credit)
		return "nobody else's credit is charged";
	if (!syn && (c->mss == 0 || c->cwnd < c->mss))
		return "cwnd is a segment at least";
	if (c->timers && !timer_armed(&c->timer))
		return "a logical timer is on, and the wheel's is armed";
	if (waits_for_peer(c) && !(c->timers & ~PASSIVE_TIMERS))
		return "what waits for the peer has a timer";
	return syn ? NULL : records_broken(c);
}

/* Null when the range is what its mbufs are; adds what they cost. */
static const char *broken_range(const struct ooo_range *r, uint32_t *held)
{
	uint32_t bytes = 0;

	for (const struct rte_mbuf *m = r->first; m; m = m->next) {
		bytes += m->data_len;
		*held += tcp_cost(m);
		if (!m->next && m != r->last)
			return "a range of early bytes ends with its last mbuf";
	}
	if (bytes == 0 || bytes != r->bytes.right - r->bytes.left)
		return "a range of early bytes is as long as its mbufs";
	return NULL;
}

const char *invariant_broken_in_queues(const struct tcp_conn *c, uint32_t user_credit)
{
	uint32_t held = user_credit;

	if (c->queued > LIMIT_tcp_send_buffer || c->sendq.slices > LIMIT_tcp_send_slices)
		return "the send queue has its limits";
	if (c->flags & CONN_TOUCHED || !conn_synchronised(c))
		return NULL;
	if (seq_gt(c->snd_max, conn_fin_seq(c) + (c->flags & CONN_FIN ? 1 : 0)))
		return "nothing is in flight but what is queued, and FIN";
	if (recv_buffer(c) < LIMIT_tcp_recv_start || recv_buffer(c) > LIMIT_tcp_recv_buffer)
		return "the receive buffer has its limits";
	if (c->rcv_held > recv_buffer(c) / 2 * 3 && c->rcv_held > recv_buffer(c) + 2 * LIMIT_tcp_recv_start)
		return "what is received is bounded by the credit and its reserve";
	if (!c->ooo)
		return NULL;
	if (ooo_empty(c->ooo))
		return "an out-of-order queue is held only while there is something in it";
	for (uint32_t i = 0, edge = c->rcv_nxt; i < c->ooo->n; i++) {
		const struct ooo_range *r = &c->ooo->range[c->ooo->order[i]];
		const char *broken = broken_range(r, &held);

		if (broken)
			return broken;
		if (!seq_gt(r->bytes.left, edge))
			return "early bytes are sorted, with holes between them";
		edge = r->bytes.right;
	}
	return c->rcv_held == held ? NULL : "the credit of what came early is charged";
}
