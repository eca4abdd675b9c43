/*
 * The out-of-order queue: what came behind a hole, sorted and without overlaps. What was received first stays
 * (checklist: an overlap with other bytes must not change what the user will see), so a new segment is cut to the
 * gaps between those that are there.
 *
 * At most LIMIT_tcp_ooo_segments pieces, found by binary search; an object of a pool, held only while not empty.
 */
#ifndef TCP_OOO_H
#define TCP_OOO_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/pool.h"

struct ooo_piece {
	uint32_t seq;
	uint32_t len;
	struct rte_mbuf *m;      /* data..data_len is the piece; exactly len */
};

struct ooo {
	uint16_t n;
	uint16_t first;          /* the pieces are piece[first] to piece[first + n - 1]: taking one moves no other */
	bool fin;                /* a FIN came, at fin_seq */
	uint32_t fin_seq;
	struct ooo_piece piece[LIMIT_tcp_ooo_segments];
};

enum ooo_answer { OOO_KEPT, OOO_DUPLICATE, OOO_FULL };

/*
 * m holds len bytes from seq on. KEPT: m was taken (cut to the first gap that it fills; if it fills several, the rest
 * comes again by retransmission). Else it is still the caller's.
 */
enum ooo_answer ooo_put(struct ooo *q, uint32_t seq, uint32_t len, struct rte_mbuf *m);

/* The first piece, when it begins at or before seq: cut to begin there. A piece wholly before it is freed, and the
 * next looked at. *freed_cost grows by tcp_cost() of what was freed. Null: there is still a hole. */
struct rte_mbuf *ooo_take(struct ooo *q, uint32_t seq, uint32_t *freed_cost);

/* Frees the last piece; returns its cost. */
uint32_t ooo_drop_last(struct ooo *q);

static inline bool ooo_empty(const struct ooo *q)
{
	return q->n == 0 && !q->fin;
}

static inline void ooo_init(struct ooo *q)
{
	q->n = q->first = 0;
	q->fin = false;
}

void ooo_free(struct pool *ooos, struct ooo **q);

#endif
