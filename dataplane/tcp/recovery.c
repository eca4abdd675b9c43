#include "tcp/recovery.h"

#include "tcp/cc.h"
#include "tcp/dupack.h"
#include "tcp/frto.h"
#include "tcp/output.h"
#include "tcp/prr.h"
#include "tcp/rack.h"
#include "tcp/rtt.h"
#include "tcp/scoreboard.h"
#include "tcp/undo.h"

enum { RECOVER_FAR = 1 << 30 };

/*
 * What cc calls the flight: at most the window. What limited transmit added to it does not count (RFC 5681, 3.2,
 * step 2).
 */
static uint32_t flight(const struct tcp_conn *c)
{
	const uint32_t outstanding = c->snd_max - c->snd_una;

	return outstanding < c->cwnd ? outstanding : c->cwnd;
}

static void enter(struct tcp_conn *c, const struct news *n)
{
	tcp_count(c->tcp, C_tcp_fast_retransmits);
	cc_window_over(c);
	undo_start(c);
	cc_reduce(c, flight(c));
	c->recover = c->snd_max;
	c->flags |= CONN_RECOVERY;
	prr_start(c, n);
	prr_acked(c, n);
}

static void leave(struct tcp_conn *c)
{
	c->cwnd = c->ssthresh;
	conn_clear(c, CONN_RECOVERY);
	rack_recovered(c);
}

/* A probe has mended the only loss: it counts as one all the same (RFC 8985, 7.4.2). */
static void mended(struct tcp_conn *c)
{
	if (c->flags & CONN_RECOVERY || seq_lt(c->snd_una, c->recover))
		return;
	cc_reduce(c, flight(c));
	if (c->cwnd > c->ssthresh)
		c->cwnd = c->ssthresh;
}

/* Which recovery goes on, ends or begins. A loss before recover belongs to the recovery that it is the mark of. */
static void step(struct tcp_conn *c, const struct news *n)
{
	struct scoreboard *b = board_of(c);
	const bool over = seq_ge(c->snd_una, c->recover), left = over && c->flags & CONN_RECOVERY;

	if (left)
		leave(c);
	if (over && b->timeout) {
		b->timeout = false;
		rack_recovered(c);
	}
	if (c->flags & CONN_RECOVERY)
		prr_acked(c, n);
	else if (over && b->lost.oldest)
		enter(c, n);
	else if (b->frto == FRTO_NEW_DATA)
		c->cwnd = conn_in_flight(c) + 2u * c->mss;
	else if (n->acked > 0 && !left)
		cc_of(c)->acked(c, n->acked);
}

/*
 * Karn, and a little more: beside a retransmission also what was sent once proves nothing. It may have arrived long
 * ago, and the ACK that said so was lost; this one came only because something was sent again.
 */
static void sample(struct tcp_conn *c, const struct news *n)
{
	if (n->rtt_us == 0 || n->again_acked)
		return;
	rtt_measured(c, n->rtt_us);
	c->backoff = 0;
}

/* What was sent again last may still be called needless, behind the ACK of all that is in flight (undo.h). */
static bool needed_without_records(const struct tcp_conn *c)
{
	return seq_le(c->snd_una, board_of(c)->until) && undo_possible(c);
}

/* Nothing was noted for a whole window, and more. */
static void put_away(struct tcp_conn *c)
{
	const struct scoreboard *b = board_of(c);

	if (!c->sent_last ? !needed_without_records(c)
	                  : b->sacked == 0 && !b->lost.oldest && seq_gt(c->snd_una, b->until) &&
	                            !(c->flags & CONN_RECOVERY) && !b->timeout)
		scoreboard_free(c);
}

/* Returns when RACK wants to look again; 0: not. */
static uint32_t take(struct tcp_conn *c, struct news *n)
{
	uint32_t wait_us = 0;

	sent_acked(c, n);
	if (n->g->sacks > 0)
		scoreboard_take(c, n);
	if (n->dsack)
		rack_duplicate(c);
	if (c->flags & CONN_PROBED && tlp_acked(c, n))
		mended(c);
	if (!c->board) {
		if (n->acked > 0)
			cc_of(c)->acked(c, n->acked);
		return 0;
	}
	sample(c, n);
	undo_acked(c, n);
	wait_us = rack_detect(c, n);
	step(c, n);
	put_away(c);
	return wait_us;
}

/* Nothing is in flight. A scoreboard that waits for a D-SACK waits as long as an ACK may take. */
static void rest(struct tcp_conn *c)
{
	conn_clear(c, CONN_UNTRACKED);
	if (!c->board) {
		timer_clear(c, TIMER_REXMIT);
		return;
	}
	timer_set(c, TIMER_REXMIT, rtt_rto_ms(c));
	c->rexmit = REXMIT_FORGET;
}

static void reordering_timer(struct tcp_conn *c, uint32_t us)
{
	timer_set(c, TIMER_REXMIT, us / 1000 + 1);
	c->rexmit = REXMIT_REORDERING;
}

void recovery_advanced(struct tcp_conn *c, const struct segment *g, uint32_t bytes)
{
	const bool recovering = c->flags & CONN_RECOVERY;
	struct news n = {.g = g, .acked = bytes};
	uint32_t wait_us = 0;

	/* The mark of a loss long ago comes along, or after 2^31 bytes it would lie ahead of us. */
	if ((int32_t)(c->snd_una - c->recover) > RECOVER_FAR)
		c->recover = c->snd_una - RECOVER_FAR;
	if (conn_tracked(c))
		wait_us = take(c, &n);
	else
		dupack_advanced(c, bytes);
	if (c->snd_una == c->snd_max) {
		rest(c);
	} else if (wait_us > 0) {
		reordering_timer(c, wait_us);
	} else if (conn_tracked(c)) {
		tlp_start(c);
	} else if (!recovering || !(c->flags & CONN_RECOVERY)) {
		rtt_start(c);
	}
}

void recovery_repeated(struct tcp_conn *c, const struct segment *g, bool duplicate)
{
	struct news n = {.g = g};
	uint32_t wait_us;

	if (!conn_tracked(c)) {
		if (duplicate)
			dupack_came(c);
		return;
	}
	if (g->sacks == 0 && !c->board && !(c->flags & CONN_PROBED))
		return;
	wait_us = take(c, &n);
	if (wait_us > 0)
		reordering_timer(c, wait_us);
	else if (c->rexmit != REXMIT_TIMEOUT && c->board && c->sent_last && timer_on(c, TIMER_REXMIT))
		rtt_resume(c);
	if (c->board)
		conn_touch(c);
}

void recovery_reordering(struct tcp_conn *c)
{
	struct news n = {0};
	uint32_t wait_us;

	if (c->board) {
		wait_us = rack_detect(c, &n);
		step(c, &n);
		conn_touch(c);
		if (wait_us > 0) {
			reordering_timer(c, wait_us);
			return;
		}
	}
	rtt_resume(c);
}

void recovery_forget(struct tcp_conn *c)
{
	if (c->board && !c->sent_last)
		scoreboard_free(c);
	conn_touch(c); /* what was sent meanwhile without records, or waits for the window, has no timer yet */
}

void recovery_resegment(struct tcp_conn *c)
{
	if (conn_tracked(c) && !scoreboard_get(c))
		sent_give_up(c);
	c->recover = c->snd_max;
	c->dupacks = 0;
	conn_clear(c, CONN_RECOVERY | CONN_TIMED | CONN_PROBED | CONN_PROBED_AGAIN);
	conn_touch(c);
	if (!conn_tracked(c)) {
		c->snd_nxt = c->snd_una;
		sendq_set_cursor(&c->sendq, sendq_head(&c->sendq));
		return;
	}
	/* Each is cut when it is sent again (output_record()). */
	for (struct sent *s = sent_first(c); s; s = sent_next(c, s))
		if (s->state == SENT_FLYING && sent_bytes(s) > c->mss)
			scoreboard_lose(c, s);
}

void recovery_timeout(struct tcp_conn *c)
{
	/* Without a scoreboard there is no order but that of sequence numbers: back N. */
	if (conn_tracked(c) && !scoreboard_get(c))
		sent_give_up(c);
	if (!conn_tracked(c)) {
		dupack_timeout(c);
		return;
	}
	/* The peer has thrown away what it had SACKed, or it would acknowledge it (RFC 2018, 8). */
	if (sent_first(c) && sent_first(c)->state == SENT_SACKED) {
		tcp_count(c->tcp, C_tcp_sacks_reneged);
		scoreboard_forget_sacks(c);
	}
	board_of(c)->frto = FRTO_OFF;
	/* A segment that times out again says nothing new about the path (RFC 5681, 3.1). */
	if (c->retries == 0 && !(c->flags & CONN_RECOVERY) && !board_of(c)->timeout) {
		board_of(c)->frto = FRTO_TIMEOUT;
		conn_clear(c, CONN_REDUCED);
		undo_start(c);
		cc_reduce(c, c->snd_max - c->snd_una);
	}
	rack_timeout(c);
	c->cwnd = c->mss;
	c->recover = c->snd_max;
	board_of(c)->timeout = true;
	conn_clear(c, CONN_RECOVERY | CONN_TIMED | CONN_PROBED | CONN_PROBED_AGAIN);
	cc_of(c)->timeout(c);
	output_record(c, sent_first(c));
}
