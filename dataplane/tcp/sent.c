#include "tcp/sent.h"

#include "tcp/scoreboard.h"

static struct sent *get(struct tcp_conn *c)
{
	struct sent *s = pool_get(&c->tcp->sents);

	if (!s)
		tcp_count(c->tcp, C_limit_tcp_sent_segments);
	return s;
}

static void set_last(struct tcp_conn *c, const struct sent *s)
{
	c->sent_last = s ? (uint32_t)(s - (struct sent *)c->tcp->sents.objects) + 1 : 0;
}

static void place(struct sent *s, struct sendq_at at)
{
	at = sendq_settle(at);
	s->chunk = at.chunk;
	s->off = (uint16_t)at.off;
	s->i = at.i;
}

void sent_add(struct tcp_conn *c, uint32_t end, struct sendq_at at)
{
	struct sent *s = get(c), *last = sent_last(c);

	if (!s) {
		sent_give_up(c);
		return;
	}
	s->seq = c->snd_nxt;
	s->end = end;
	s->xmit_us = c->tcp->now_us;
	s->state = SENT_FLYING;
	s->again = 0;
	place(s, at);
	s->next = last ? last->next : s;
	if (last)
		last->next = s;
	set_last(c, s);
	if (__builtin_expect(c->board != 0, 0))
		scoreboard_sent(c, s);
}

/* The first record ends at or before snd_una. */
static void take_first(struct tcp_conn *c, struct news *n)
{
	struct sent *s = sent_first(c);

	if (__builtin_expect(c->board != 0, 0))
		scoreboard_acked(c, s, n);
	if (s == sent_last(c))
		set_last(c, NULL);
	else
		sent_last(c)->next = s->next;
	pool_put(&c->tcp->sents, s);
}

/* A part of it is acknowledged. */
static void cut_first(struct tcp_conn *c, struct sent *s, struct news *n)
{
	if (c->board)
		scoreboard_cut(c, s, c->snd_una - s->seq, n);
	s->seq = c->snd_una;
	place(s, sendq_head(&c->sendq));
}

void sent_acked(struct tcp_conn *c, struct news *n)
{
	struct sent *s;

	while ((s = sent_first(c)) != NULL && seq_le(s->end, c->snd_una))
		take_first(c, n);
	if (s && seq_lt(s->seq, c->snd_una))
		cut_first(c, s, n);
}

bool sent_split(struct tcp_conn *c, struct sent *s, uint32_t bytes)
{
	struct sent *rest = get(c);
	struct sendq_at at = sent_at(s);
	struct rte_mbuf *m;
	uint32_t off;

	CHECK(bytes > 0 && bytes < sent_bytes(s));
	if (!rest)
		return false;
	*rest = *s;
	for (uint32_t left = bytes; left > 0;) {
		const uint32_t n = sendq_read(&at, left, &m, &off);

		CHECK(n > 0);
		left -= n;
	}
	place(rest, at);
	s->end = rest->seq = s->seq + bytes;
	s->next = rest;
	if (sent_last(c) == s)
		set_last(c, rest);
	if (c->board)
		scoreboard_split(c, s, rest);
	return true;
}

void sent_clear(struct tcp_conn *c)
{
	for (struct sent *s = sent_first(c), *next; s; s = next) {
		next = sent_next(c, s);
		pool_put(&c->tcp->sents, s);
	}
	set_last(c, NULL);
	if (c->board)
		scoreboard_free(c);
}

void sent_give_up(struct tcp_conn *c)
{
	/* Duplicate ACKs may begin a recovery, unless one goes on (dupack.c). */
	if (!(c->flags & CONN_RECOVERY) && !(c->board && board_of(c)->timeout))
		c->recover = c->snd_una - 1;
	sent_clear(c);
	c->flags |= CONN_UNTRACKED;
	c->dupacks = 0;
	conn_clear(c, CONN_TIMED | CONN_PROBED | CONN_PROBED_AGAIN);
	if (c->flags & CONN_RECOVERY)
		c->cwnd = c->ssthresh;
	conn_clear(c, CONN_RECOVERY);
}
