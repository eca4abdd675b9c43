#include "tcp/undo.h"

#include "tcp/cc.h"
#include "tcp/frto.h"
#include "tcp/scoreboard.h"

void undo_start(struct tcp_conn *c)
{
	struct scoreboard *b = board_of(c);

	b->undo = !(c->flags & CONN_REDUCED); /* or a mark has reduced it already (ecn.c) */
	b->undo_sent = false;
	b->undo_left = 0;
	b->undo_una = c->snd_una;
}

void undo_forbid(struct tcp_conn *c)
{
	if (c->board)
		board_of(c)->undo = false;
}

void undo_sent_again(struct tcp_conn *c)
{
	struct scoreboard *b = board_of(c);

	if (!b || !b->undo)
		return;
	if (!b->undo_sent)
		b->undo_ts = c->tcp->now_ms + c->ts_offset;
	b->undo_sent = true;
	b->undo_left++;
}

static bool eifel(const struct tcp_conn *c, const struct news *n)
{
	const struct segment *g = n->g;

	return n->again_acked && c->flags & CONN_TS && g->ts && g->tsecr != 0 &&
	       (int32_t)(g->tsecr - board_of(c)->undo_ts) < 0;
}

static bool all_needless(struct tcp_conn *c, const struct news *n)
{
	struct scoreboard *b = board_of(c);

	if (!n->dsack || seq_lt(n->duplicate.left, b->undo_una) || b->undo_left == 0)
		return false;
	return --b->undo_left == 0;
}

bool undo_possible(const struct tcp_conn *c)
{
	const struct scoreboard *b = board_of(c);

	return b->undo && b->undo_sent && b->undo_left > 0;
}

void undo_acked(struct tcp_conn *c, const struct news *n)
{
	struct scoreboard *b = board_of(c);
	const bool spurious = frto_acked(c, n);

	if (!b->undo || !b->undo_sent || (!spurious && !eifel(c, n) && !all_needless(c, n)))
		return;
	b->undo = b->timeout = false;
	b->frto = FRTO_OFF;
	b->rack_valid = false; /* as of a retransmission that nobody needed */
	c->flags |= CONN_REORDERED;
	conn_clear(c, CONN_RECOVERY);
	c->recover = c->snd_una;
	scoreboard_find_all(c);
	cc_undo(c);
	tcp_count(c->tcp, C_tcp_undos);
}
