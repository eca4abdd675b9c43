#include "tests/sim/invariants.h"

#include "tcp/conn.h"

/* Timers that bring a silent connection on: all but those of a peer that owes us nothing. */
enum { PASSIVE_TIMERS = 1 << TIMER_LIFE | 1 << TIMER_DELACK | 1 << TIMER_KEEP };

static bool waits_for_peer(const struct tcp_conn *c)
{
	if (c->snd_max != c->snd_una)
		return true;
	/* What tcp_more() holds waits for the user. */
	return (c->queued > 0 && !(c->flags & CONN_MORE)) || c->flags & CONN_FIN;
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
	if (!syn && seq_gt(c->rcv_nxt, c->rcv_adv + 1))
		return "no more is taken than was offered, and FIN";
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
	return NULL;
}
