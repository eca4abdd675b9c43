/*
 * The out-of-order queue: what came behind a hole, as ranges of sequence numbers with gaps between them. What was
 * received first stays (an overlap with other bytes must not change what the user will see), so a new segment is cut
 * to the first gap that it fills (receive.c has split one that fills several); ranges that then touch become one. A
 * range's bytes are a chain of mbufs, and a small segment that continues it is copied behind the last one, so that many
 * small ones do not hold a buffer each.
 *
 * Cost. A range has a place in which it stays; what is sorted is `order`, one byte per range. So a place is found by
 * binary search, and making room for it moves 191 bytes at most, three cache lines. Segments that come in order behind
 * the hole, nearly all, find the end of the last range at once. Bounded are the ranges (LIMIT_tcp_ooo_ranges: a peer
 * who sends islands of one byte gains nothing) and, by the credit of the connection, the buffers that they hold.
 *
 * A ring through all places keeps their ages: SACK tells of the ranges in which something came last (RFC 2018, 4). What
 * is dropped here although the peer was told of it is reneged upon (RFC 2018, 8): it happens only when memory is short.
 *
 * An object of a pool, held only while not empty.
 */
#ifndef TCP_OOO_H
#define TCP_OOO_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/pool.h"
#include "tcp/seq.h"

struct ooo_range {
	struct seq_range bytes;
	struct rte_mbuf *first, *last;   /* by ->next; data..data_len of each; together exactly these bytes */
};

enum { OOO_RANGES = LIMIT_tcp_ooo_ranges, OOO_RING = OOO_RANGES };

static_assert(OOO_RING <= UINT8_MAX, "a place is one byte");

struct ooo {
	uint16_t n;
	bool fin;                        /* a FIN came, at fin_seq */
	uint32_t fin_seq;
	uint8_t order[OOO_RANGES];       /* the places of the n ranges, sorted; behind them the places that are free */
	uint8_t newer[OOO_RANGES + 1], older[OOO_RANGES + 1]; /* the ring; in it OOO_RING is where it begins */
	struct ooo_range range[OOO_RANGES];
};

enum ooo_answer { OOO_KEPT, OOO_DUPLICATE, OOO_FULL };

/*
 * m holds the bytes from seq on. KEPT: m was taken, cut, and *cost is what it costs: nothing when it was copied behind
 * others. Else it is still the caller's. *again: what of it the queue had already (D-SACK, RFC 2883), or empty.
 */
enum ooo_answer ooo_put(struct ooo *q, uint32_t seq, struct rte_mbuf *m, uint32_t *cost, struct seq_range *again);

/* The first mbuf of the first range, when that begins at seq (or before it: never, unless faults are planted). Null:
 * there is still a hole. */
struct rte_mbuf *ooo_take(struct ooo *q, uint32_t seq);

/* The first range that begins behind seq; empty: none does. */
struct seq_range ooo_behind(const struct ooo *q, uint32_t seq);

/* What the first range has of these bytes; empty: nothing. */
struct seq_range ooo_first_in(const struct ooo *q, struct seq_range bytes);

/* At most n ranges, newest first; a FIN behind one counts as a byte of it. Returns how many. */
unsigned ooo_newest(const struct ooo *q, struct seq_range *out, unsigned n);

/* Frees the last range; returns its cost. */
uint32_t ooo_drop_last(struct ooo *q);

static inline bool ooo_empty(const struct ooo *q)
{
	return q->n == 0 && !q->fin;
}

void ooo_init(struct ooo *q);
void ooo_free(struct pool *ooos, struct ooo **q);

#endif
