#include "tcp/ecn.h"

#include "tcp/cc.h"
#include "tcp/undo.h"

/*
 * The receiver (section 6.1.3). CWR ends what was said so far; a mark on the same segment begins anew. Both are
 * acknowledged at once: the first for a quick reaction, the other because the sender may have only one segment left to
 * send until the ACK comes.
 */
static void receiver(struct tcp_conn *c, const struct segment *g)
{
	if (g->flags & SEGMENT_CWR) {
		conn_clear(c, CONN_ECE);
		conn_ack_now(c);
	}
	if (!g->ce || g->len == 0)
		return;
	tcp_count(c->tcp, C_tcp_ecn_marked);
	if (c->flags & CONN_ECE)
		return;
	c->flags |= CONN_ECE;
	conn_ack_now(c);
}

/* The sender (section 6.1.2): as if something were lost, but nothing has to be sent again, and the ACK adds nothing. */
static void sender(struct tcp_conn *c, const struct segment *g)
{
	if (!(g->flags & SEGMENT_ECE) || seq_lt(g->ack, c->snd_una) || FAULT(ece_ignored))
		return;
	conn_clear(c, CONN_CWND_LIMITED);
	undo_forbid(c);
	/* Beyond the reduced window: whoever acknowledges that had our CWR, and tells of another mark. */
	if (seq_gt(g->ack, c->reduced_end))
		conn_clear(c, CONN_REDUCED);
	if (c->flags & CONN_REDUCED || c->snd_max == c->snd_una)
		return;
	tcp_count(c->tcp, C_tcp_ecn_reduced);
	cc_reduce(c, c->snd_max - c->snd_una);
	if (c->cwnd > c->ssthresh)
		c->cwnd = c->ssthresh;
}

void ecn_input(struct tcp_conn *c, const struct segment *g)
{
	if (!conn_synchronised(c))
		return;
	receiver(c, g);
	sender(c, g);
}
