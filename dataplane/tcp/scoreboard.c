#include "tcp/scoreboard.h"

#include <string.h>

#include "base/fault.h"
#include "tcp/rack.h"

/* ---- lists ---- */

static void append(struct sent_list *l, struct sent *s)
{
	s->newer = NULL;
	s->older = l->newest;
	if (l->newest)
		l->newest->newer = s;
	else
		l->oldest = s;
	l->newest = s;
}

static void prepend(struct sent_list *l, struct sent *s)
{
	s->older = NULL;
	s->newer = l->oldest;
	if (l->oldest)
		l->oldest->older = s;
	else
		l->newest = s;
	l->oldest = s;
}

static void take(struct sent_list *l, struct sent *s)
{
	if (s->older)
		s->older->newer = s->newer;
	else
		l->oldest = s->newer;
	if (s->newer)
		s->newer->older = s->older;
	else
		l->newest = s->older;
}

static void insert_behind(struct sent_list *l, struct sent *s, struct sent *rest)
{
	rest->older = s;
	rest->newer = s->newer;
	if (s->newer)
		s->newer->older = rest;
	else
		l->newest = rest;
	s->newer = rest;
}

/* ---- life ---- */

/* Until now nothing was lost or retransmitted but the last: the order of sequence numbers is the order of time. */
struct scoreboard *scoreboard_get(struct tcp_conn *c)
{
	struct scoreboard *b = board_of(c);

	if (b)
		return b;
	b = pool_get(&c->tcp->boards);
	if (!b) {
		tcp_count(c->tcp, C_limit_tcp_scoreboards);
		return NULL;
	}
	memset(b, 0, sizeof(*b));
	b->fack = c->snd_una;
	b->until = c->snd_max;
	for (struct sent *s = sent_first(c); s; s = sent_next(c, s))
		append(&b->flying, s);
	c->board = (uint32_t)(b - (struct scoreboard *)c->tcp->boards.objects) + 1;
	conn_clear(c, CONN_TIMED);
	return b;
}

void scoreboard_free(struct tcp_conn *c)
{
	pool_put(&c->tcp->boards, board_of(c));
	c->board = 0;
}

/* ---- states of a segment ---- */

static void leave_state(struct scoreboard *b, struct sent *s)
{
	switch ((enum sent_state)s->state) {
	case SENT_FLYING:
		take(&b->flying, s);
		break;
	case SENT_SACKED:
		b->sacked -= sent_bytes(s);
		b->sacked_n--;
		break;
	case SENT_LOST:
		take(&b->lost, s);
		b->lost_bytes -= sent_bytes(s);
		break;
	}
}

static void arrived(struct tcp_conn *c, struct sent *s, struct news *n)
{
	n->delivered += sent_bytes(s);
	if (s->again == 0) {
		n->original |= seq_le(s->end, c->recover);
		n->rtt_us = c->tcp->now_us - s->xmit_us;
		if (n->rtt_us == 0)
			n->rtt_us = 1;
	}
	rack_arrived(c, s, n->g);
}

static void sack(struct tcp_conn *c, struct sent *s, struct news *n)
{
	struct scoreboard *b = board_of(c);

	arrived(c, s, n);
	n->sacked += sent_bytes(s);
	leave_state(b, s);
	s->state = SENT_SACKED;
	b->sacked += sent_bytes(s);
	b->sacked_n++;
	b->until = c->snd_max;
}

/* What is lost first in sequence space holds the peer's user up: it goes first. */
void scoreboard_lose(struct tcp_conn *c, struct sent *s)
{
	struct scoreboard *b = board_of(c);

	CHECK_SLOW(s->state == SENT_FLYING);
	take(&b->flying, s);
	s->state = SENT_LOST;
	b->lost_bytes += sent_bytes(s);
	if (b->lost.oldest && seq_lt(s->seq, b->lost.oldest->seq))
		prepend(&b->lost, s);
	else if (!FAULT(lost_forgotten))
		append(&b->lost, s);
	b->until = c->snd_max;
}

void scoreboard_find_all(struct tcp_conn *c)
{
	struct scoreboard *b = board_of(c);

	while (b->lost.newest) {
		struct sent *s = b->lost.newest;

		leave_state(b, s);
		s->state = SENT_FLYING;
		prepend(&b->flying, s);
	}
}

void scoreboard_forget_sacks(struct tcp_conn *c)
{
	struct scoreboard *b = board_of(c);

	for (struct sent *s = sent_first(c); s; s = sent_next(c, s))
		if (s->state == SENT_SACKED) {
			leave_state(b, s);
			s->state = SENT_FLYING;
			prepend(&b->flying, s);
		}
	b->seen_n = 0;
	b->hint = NULL;
}

void scoreboard_sent(struct tcp_conn *c, struct sent *s)
{
	append(&board_of(c)->flying, s);
}

void scoreboard_sent_again(struct tcp_conn *c, struct sent *s)
{
	struct scoreboard *b = board_of(c);

	CHECK_SLOW(s->state != SENT_SACKED);
	leave_state(b, s);
	s->state = SENT_FLYING;
	append(&b->flying, s);
	b->until = c->snd_max;
}

void scoreboard_acked(struct tcp_conn *c, struct sent *s, struct news *n)
{
	struct scoreboard *b = board_of(c);

	if (s->state != SENT_SACKED)
		arrived(c, s, n);
	if (s->again > 0)
		n->again_acked = true;
	leave_state(b, s);
	if (b->hint == s)
		b->hint = NULL;
}

void scoreboard_cut(struct tcp_conn *c, struct sent *s, uint32_t bytes, struct news *n)
{
	struct scoreboard *b = board_of(c);

	if (s->state == SENT_SACKED)
		b->sacked -= bytes;
	else
		n->delivered += bytes;
	if (s->state == SENT_LOST)
		b->lost_bytes -= bytes;
	b->seen_n = 0; /* a block that covered a part of s may cover what is left */
}

void scoreboard_split(struct tcp_conn *c, struct sent *s, struct sent *rest)
{
	struct scoreboard *b = board_of(c);

	CHECK(s->state != SENT_SACKED);
	insert_behind(s->state == SENT_LOST ? &b->lost : &b->flying, s, rest);
}

/* ---- SACK blocks ---- */

/*
 * RFC 2883, 4: the first block tells of a segment that came twice, when it lies below the ACK or within the second
 * block. Of what was acknowledged longer ago than a window nothing is believed.
 */
static bool duplicate(const struct tcp_conn *c, const struct segment *g)
{
	const struct seq_range *b = g->sack;

	if (!seq_lt(b[0].left, b[0].right) || seq_gt(b[0].right, c->snd_max) ||
	    seq_lt(b[0].left, c->snd_una - conn_window_max(c)))
		return false;
	if (seq_lt(b[0].left, g->ack))
		return seq_le(b[0].right, g->ack);
	return g->sacks > 1 && seq_le(b[1].left, b[0].left) && seq_ge(b[1].right, b[0].right);
}

static bool seen(const struct scoreboard *b, const struct seq_range *r)
{
	for (unsigned i = 0; b && i < b->seen_n; i++)
		if (b->seen[i].left == r->left && b->seen[i].right == r->right)
			return true;
	return false;
}

/* Those that can be, in order of sequence numbers. Returns how many. */
static unsigned valid_blocks(struct tcp_conn *c, const struct segment *g, unsigned first,
                             struct seq_range out[static SACK_BLOCKS_MAX])
{
	unsigned n = 0;

	for (unsigned i = first; i < g->sacks; i++) {
		const struct seq_range *r = &g->sack[i];
		unsigned at = n;

		if (!seq_lt(r->left, r->right) || seq_lt(r->left, c->snd_una) || seq_gt(r->right, c->snd_nxt)) {
			/* Of before, come late, or made up. */
			if (seq_gt(r->right, c->snd_una))
				tcp_count(c->tcp, C_tcp_sack_invalid);
			continue;
		}
		for (; at > 0 && seq_gt(out[at - 1].left, r->left); at--)
			out[at] = out[at - 1];
		out[at] = *r;
		n++;
	}
	return n;
}

/* Returns what is left of the budget. */
static unsigned mark(struct tcp_conn *c, const struct seq_range *r, struct news *n, unsigned budget)
{
	struct scoreboard *b = board_of(c);
	struct sent *s = b->hint && seq_le(b->hint->seq, r->left) ? b->hint : sent_first(c);

	for (; s && seq_lt(s->seq, r->right); s = sent_next(c, s)) {
		if (budget-- == 0) {
			tcp_count(c->tcp, C_limit_tcp_sack_walk);
			return 0;
		}
		b->hint = s;
		if (s->state != SENT_SACKED && seq_ge(s->seq, r->left) && seq_le(s->end, r->right))
			sack(c, s, n);
	}
	return budget;
}

void scoreboard_take(struct tcp_conn *c, struct news *n)
{
	struct seq_range blocks[SACK_BLOCKS_MAX];
	unsigned count, budget = LIMIT_tcp_sack_walk;
	struct scoreboard *b;

	n->dsack = duplicate(c, n->g);
	if (n->dsack) {
		n->duplicate = n->g->sack[0];
		tcp_count(c->tcp, C_tcp_dsacks);
	}
	count = valid_blocks(c, n->g, n->dsack, blocks);
	if (count == 0 || !c->sent_last || !(b = scoreboard_get(c)))
		return;
	for (unsigned i = 0; i < count && budget > 0; i++)
		if (!seen(b, &blocks[i]))
			budget = mark(c, &blocks[i], n, budget);
	memcpy(b->seen, blocks, count * sizeof(blocks[0]));
	b->seen_n = budget > 0 ? (uint8_t)count : 0;
}
