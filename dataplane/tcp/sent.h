/*
 * What is in flight, segment by segment: one record per segment that was sent and is not acknowledged, in order of
 * sequence numbers, without gaps from snd_una to snd_nxt.
 *
 *      snd_una                                    snd_nxt
 *         |  flying  | sacked |  lost  |  flying  |
 *
 * Only connections with SACK have them (conn_tracked()); others recover by duplicate ACKs (dupack.h), for which
 * snd_una says enough. Records are objects of a pool, held while something is in flight; a connection whose next one
 * does not come goes on without any, as if there were no SACK, until all that it has sent is acknowledged.
 *
 * The records form a ring: the connection knows its last one, whose successor is the first.
 *
 * Cost: a segment takes a record from the pool and gives it back, and an ACK of all that is in flight looks at nothing
 * but sequence numbers. Whatever else there is to know about segments is the scoreboard's, which exists from the first
 * sign of a loss on (scoreboard.h).
 */
#ifndef TCP_SENT_H
#define TCP_SENT_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/conn.h"
#include "tcp/sendq.h"

enum sent_state {
	SENT_FLYING,               /* on its way, as far as we know */
	SENT_SACKED,               /* the peer has it, and may still forget it (RFC 2018, 8) */
	SENT_LOST,                 /* to be sent again */
};

struct sent {
	_Alignas(64)
	struct sent *next;         /* by sequence number; of the last: the first */
	struct sent *older, *newer;/* in the scoreboard's list of its state */
	struct sendq_chunk *chunk; /* where its first byte lies in the send queue */
	uint16_t off;
	uint8_t i;
	uint8_t state;
	uint32_t seq, end;         /* FIN included */
	uint32_t xmit_us;          /* when it was sent last */
	uint8_t again;             /* it was retransmitted so often */
};

static_assert(sizeof(struct sent) == 64, "a cache line");

struct news;

static inline bool conn_tracked(const struct tcp_conn *c)
{
	return (c->flags & (CONN_SACK | CONN_UNTRACKED)) == CONN_SACK;
}

static inline struct sent *sent_last(const struct tcp_conn *c)
{
	return c->sent_last ? (struct sent *)c->tcp->sents.objects + (c->sent_last - 1) : NULL;
}

static inline struct sent *sent_first(const struct tcp_conn *c)
{
	return c->sent_last ? sent_last(c)->next : NULL;
}

/* The one behind s; null: s is the last. */
static inline struct sent *sent_next(const struct tcp_conn *c, const struct sent *s)
{
	return s == sent_last(c) ? NULL : s->next;
}

static inline uint32_t sent_bytes(const struct sent *s)
{
	return s->end - s->seq;
}

static inline struct sendq_at sent_at(const struct sent *s)
{
	return (struct sendq_at){.chunk = s->chunk, .off = s->off, .i = s->i};
}

/* Up to end was sent now, from snd_nxt on, out of the queue at `at`. */
void sent_add(struct tcp_conn *c, uint32_t end, struct sendq_at at);

/* snd_una has moved, and the send queue with it. */
void sent_acked(struct tcp_conn *c, struct news *n);

/* Cuts s behind its first `bytes`. False: there is no record for the rest. */
bool sent_split(struct tcp_conn *c, struct sent *s, uint32_t bytes);

/* Frees all of them, and the scoreboard. */
void sent_clear(struct tcp_conn *c);

/* There is no memory to keep account: goes on without, until all is acknowledged. */
void sent_give_up(struct tcp_conn *c);

#endif
