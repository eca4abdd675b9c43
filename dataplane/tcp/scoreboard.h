/*
 * The scoreboard (RFC 6675, 3): which of the segments in flight have arrived, which are lost, and when each was sent.
 *
 * It is an object of a pool, made when there is something to note: a SACK block, or a timeout. It then has a list of
 * the segments that are flying, the one sent longest ago first, which is the order in which losses are found (rack.h),
 * and one of those that are lost, which is the order in which they are sent again. It goes when all is acknowledged,
 * or when a whole window of data was since its last entry.
 *
 * SACK blocks are the peer's word and may be made up. What one ACK can cost is bounded: blocks that were in the ACK
 * before are not looked at again; the walk over the records goes on where the last one ended, and it ends after
 * LIMIT_tcp_sack_walk of them. Records are never split at a block's edge (a block that covers a part of one says
 * nothing), so blocks cannot make more of them.
 */
#ifndef TCP_SCOREBOARD_H
#define TCP_SCOREBOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/segment.h"
#include "tcp/sent.h"

struct sent_list {
	struct sent *oldest, *newest;
};

struct scoreboard {
	_Alignas(64)
	struct sent_list flying;       /* by xmit_us */
	struct sent_list lost;         /* in the order in which they are sent again */
	struct sent *hint;             /* where the last walk ended; null: at the first record */
	uint32_t sacked;               /* bytes ... */
	uint32_t lost_bytes;
	uint32_t sacked_n;             /* ... and segments */
	uint32_t until;                /* snd_max at the last entry */
	struct seq_range seen[SACK_BLOCKS_MAX]; /* of the last ACK */
	uint8_t seen_n;

	/* RACK (RFC 8985, 5.2), in its names. */
	bool rack_valid;
	bool timeout;                  /* recovery after a retransmission timeout, until recover is acknowledged */
	bool dsack_round_valid;
	uint32_t rack_xmit_us;         /* RACK.xmit_ts: of the most recently sent segment that has arrived */
	uint32_t rack_end;             /* RACK.end_seq */
	uint32_t rack_rtt_us;
	uint32_t fack;                 /* RACK.fack: the highest end of what has arrived */
	uint32_t dsack_round;

	/* PRR (RFC 9937), in its names. */
	uint32_t prr_delivered, prr_out, recover_fs;

	/* What an undo needs (undo.h). */
	uint32_t undo_una;             /* undo_n: the reduction was for what lies from here on */
	uint32_t undo_ts;              /* timestamp of the first retransmission */
	uint32_t undo_left;            /* retransmissions that no D-SACK has called needless */
	bool undo;                     /* the last reduction may be undone */
	bool undo_sent;                /* something was retransmitted since */
	uint8_t frto;                  /* enum frto */
};

/* What an ACK has brought. */
struct news {
	const struct segment *g;
	uint32_t acked;                /* bytes that snd_una moved over */
	uint32_t delivered;            /* bytes of which it is news that they have arrived (RFC 9937: DeliveredData) */
	uint32_t sacked;               /* of these: by SACK */
	uint32_t rtt_us;               /* of the last segment that was sent once; 0: none */
	bool again_acked;              /* snd_una moved over something that was retransmitted */
	bool original;                 /* something below recover has arrived that was not */
	bool lost;                     /* segments were marked as lost */
	bool dsack;                    /* a segment has arrived twice: this one */
	struct seq_range duplicate;
};

static inline struct scoreboard *board_of(const struct tcp_conn *c)
{
	return c->board ? (struct scoreboard *)c->tcp->boards.objects + (c->board - 1) : NULL;
}

/* Null: the pool is empty (counted); the caller does without. */
struct scoreboard *scoreboard_get(struct tcp_conn *c);
void scoreboard_free(struct tcp_conn *c);

/* The SACK option of an acceptable ACK; snd_una and the records are up to date. */
void scoreboard_take(struct tcp_conn *c, struct news *n);

void scoreboard_lose(struct tcp_conn *c, struct sent *s);        /* a flying one */
void scoreboard_find_all(struct tcp_conn *c);                    /* all that are lost are flying again */
void scoreboard_forget_sacks(struct tcp_conn *c);                /* the peer has thrown away what it had SACKed */

/* From the records (sent.c) and from output. */
void scoreboard_sent(struct tcp_conn *c, struct sent *s);        /* s is new */
void scoreboard_sent_again(struct tcp_conn *c, struct sent *s);  /* xmit_us is already now */
void scoreboard_acked(struct tcp_conn *c, struct sent *s, struct news *n);
void scoreboard_cut(struct tcp_conn *c, struct sent *s, uint32_t bytes, struct news *n);
void scoreboard_split(struct tcp_conn *c, struct sent *s, struct sent *rest);

/* The pipe of RFC 6675, 4: bytes that are on their way, retransmissions included. */
static inline uint32_t conn_in_flight(const struct tcp_conn *c)
{
	const uint32_t outstanding = c->snd_nxt - c->snd_una;

	return c->board ? outstanding - board_of(c)->sacked - board_of(c)->lost_bytes : outstanding;
}

#endif
