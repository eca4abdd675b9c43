/*
 * A body on its way from one stream to the other: slices are passed on as they come; those that the receiving side
 * does not take yet wait in a queue. Nothing is copied but small slices that have to wait (many chunks of a few bytes
 * would hold one packet each).
 *
 * Credit. Each slice carries credit that is owed to the sending side. It is given back when the receiving peer's TCP
 * has acknowledged the bytes, since until then their packets are held. What is outstanding is kept as a short ring of
 * (bytes, credit) grains in the order of sending; new ones are merged into the youngest until that is a sixteenth of
 * all that is outstanding, and if there are too many since that was less once, two become one. So credit comes back in
 * small parts of what the sender may have on its way, however much that is.
 *
 * When slices have to wait, the sending side is told that it need not be given more room (http_enough()).
 *
 * Replay. While a request may have to be sent again, what was passed on is kept (references, no copies), and its credit
 * with it, up to a limit of buffer bytes: when more comes, or memory is short, it is let go, and the request can only
 * be sent once. The sending side is told of what is kept (http_want()), or its window would close over it.
 *
 * Owns the queued slices. Borrows both streams: `from` until it ends, `to` until it ends; each is told by the
 * functions below.
 */
#ifndef PROXY_BODY_H
#define PROXY_BODY_H

#include "base/fault.h"
#include "base/shard.h"
#include "http/http.h"

enum { BODY_GRAINS = 20, BODY_GRAIN_PART = 16, BODY_BLOCK_SLICES = 31, BODY_SMALL = 256 };

struct body_block {
	struct body_block *next;
	uint16_t first, n;
	struct slice slices[BODY_BLOCK_SLICES];
};

struct body_grain {
	uint32_t bytes, credit;
};

struct body {
	struct http_stream *from;       /* null: ended, owes nothing any more */
	struct http_stream *to;         /* null: not there yet, or ended */
	struct pool *blocks;
	struct rte_mempool *payload;    /* for small slices that wait */
	struct body_block *head, *tail; /* the queue */
	struct body_block *kept, *kept_tail; /* passed on before that */
	struct counters *counters;
	struct rte_mbuf *compact;       /* under the queue's last slice, when that one is ours to grow */
	const struct http_message *trailers;
	uint64_t bytes;                 /* received so far */
	uint64_t taken;                 /* passed on so far, to this receiver */
	uint64_t acked;                 /* while keeping: by this receiver */
	uint32_t kept_credit;           /* received while keeping */
	uint32_t owed;                  /* credit of all grains */
	bool keeps;
	bool whole;                     /* the sender has sent all */
	bool end_sent;                  /* the receiver was told so */
	bool dropped;                   /* nobody wants the rest */
	uint8_t grains_n, grains_at;
	struct body_grain grains[BODY_GRAINS];
};

/* Initialises only what it needs (grains are left as they are). */
static inline void body_init(struct body *b, struct shard *s, struct pool *blocks, struct http_stream *from,
                             struct http_stream *to)
{
	b->from = from;
	b->to = to;
	b->blocks = blocks;
	b->payload = s->pools.payload;
	b->head = b->tail = b->kept = b->kept_tail = NULL;
	b->counters = s->counters;
	b->acked = 0;
	b->kept_credit = b->owed = 0;
	b->keeps = false;
	b->compact = NULL;
	b->trailers = NULL;
	b->bytes = b->taken = 0;
	b->whole = b->end_sent = b->dropped = false;
	b->grains_n = b->grains_at = 0;
}

/* Takes s. An error (NO_MEMORY, or of sending the end) means that the exchange must be cut. */
enum err body_push(struct body *b, struct slice s, uint32_t credit) MUST_CHECK;
/* The sender is done. Trailers that cannot be sent at once are copied to the arena. */
enum err body_end(struct body *b, const struct http_message *trailers, struct arena *a) MUST_CHECK;
/* Passes on what waits: after the receiver became ready or writable. */
enum err body_flush(struct body *b) MUST_CHECK;
/* The receiving peer acknowledged that much. */
void body_acked(struct body *b, uint64_t bytes);
/* From its beginning on it may be wanted again. */
void body_keep(struct body *b);
/* Back to the beginning, for another receiver that is not there yet. Only when body_replayable(). */
void body_rewind(struct body *b);
/* It is not wanted again. */
void body_let_go(struct body *b);
static inline bool body_replayable(const struct body *b)
{
	return !b->dropped && (b->keeps || b->taken == 0 || FAULT(body_begun));
}
/* Nobody wants the rest: frees the queue, gives all credit back, and does so with what still comes. */
void body_drop(struct body *b);

#endif
