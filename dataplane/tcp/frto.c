#include "tcp/frto.h"

#include "tcp/scoreboard.h"

enum { REAL_SEGMENTS = 3 };    /* the window when the timeout was right (step 3.a) */

bool frto_acked(struct tcp_conn *c, const struct news *n)
{
	struct scoreboard *b = board_of(c);
	const enum frto was = (enum frto)b->frto;

	if (was == FRTO_OFF || (n->acked == 0 && n->g->sacks == 0))
		return false;
	b->frto = FRTO_OFF;
	if (was == FRTO_TIMEOUT) {
		if (n->acked > 0 && seq_lt(c->snd_una, c->recover))
			b->frto = FRTO_NEW_DATA;
		return false;
	}
	if (n->original)
		return true;
	if (c->cwnd > (uint32_t)REAL_SEGMENTS * c->mss)
		c->cwnd = (uint32_t)REAL_SEGMENTS * c->mss;
	return false;
}

bool frto_holds(struct tcp_conn *c, bool new_data)
{
	struct scoreboard *b = board_of(c);

	if (b->frto == FRTO_NEW_DATA && !new_data && seq_le(c->snd_nxt, c->recover))
		b->frto = FRTO_OFF;
	return b->frto == FRTO_NEW_DATA;
}
