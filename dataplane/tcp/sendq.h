/*
 * The send queue: references to bytes that are queued or in flight, in chunks of eight from a pool of the worker.
 *
 * It has two positions: its head (snd_una) and a cursor (snd_nxt). A transmission copies a position and reads from
 * it; only the caller moves the cursor. A position stays what it is until its byte is acknowledged. An empty queue
 * holds no chunk.
 */
#ifndef TCP_SENDQ_H
#define TCP_SENDQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"
#include "base/pool.h"

enum { SENDQ_CHUNK_SLICES = 7 };

struct sendq_chunk {
	struct sendq_chunk *next;
	uint64_t spare;
	struct slice s[SENDQ_CHUNK_SLICES];
};

struct sendq_at {
	struct sendq_chunk *chunk;
	uint32_t off;              /* bytes of the slice that lie before the position */
	uint8_t i;
};

struct sendq {
	struct sendq_chunk *first, *last, *at;
	uint16_t slices;
	uint16_t at_off;
	uint16_t first_off;        /* acknowledged bytes of the head slice */
	uint8_t first_i : 4, last_n : 4; /* the head slice in first; slices in last */
	uint8_t at_i;
};

/* Takes the slice's reference. False: no chunk is left, nothing was taken. */
bool sendq_put(struct sendq *q, struct pool *chunks, struct slice s);
void sendq_drop(struct sendq *q, struct pool *chunks, uint32_t bytes); /* acknowledged bytes, from the head */
void sendq_clear(struct sendq *q, struct pool *chunks);

struct sendq_at sendq_head(const struct sendq *q);
struct sendq_at sendq_cursor(const struct sendq *q);
void sendq_set_cursor(struct sendq *q, struct sendq_at at);

/*
 * The piece at a position, at most max bytes (max > 0), and the position moves behind it. Null length: the end.
 * *m is the mbuf that holds it (no reference is taken).
 */
uint32_t sendq_read(struct sendq_at *at, uint32_t max, struct rte_mbuf **m, uint32_t *off);

/* The position of the byte itself, when it was written as the one behind the last of a full chunk. */
static inline struct sendq_at sendq_settle(struct sendq_at at)
{
	if (at.i == SENDQ_CHUNK_SLICES && at.chunk->next)
		return (struct sendq_at){.chunk = at.chunk->next};
	return at;
}

#endif
