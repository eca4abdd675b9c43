#include "tcp/ooo.h"

#include <string.h>

#include "base/check.h"
#include "base/fault.h"
#include "tcp/seq.h"
#include "tcp/tcp.h"

/* The number of pieces that begin at or before seq. */
static uint32_t rank(const struct ooo_piece *piece, uint32_t n, uint32_t seq)
{
	uint32_t low = 0, high = n;

	/* Most segments come in order behind the hole. */
	if (n > 0 && seq_ge(seq, piece[n - 1].seq))
		return n;
	while (low < high) {
		const uint32_t middle = (low + high) / 2;

		if (seq_le(piece[middle].seq, seq))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t end_of(const struct ooo_piece *p)
{
	return p->seq + p->len;
}

static void cut(struct ooo_piece *p, uint32_t front, uint32_t back)
{
	p->seq += front;
	p->len -= front + back;
	if (front > 0)
		CHECK(rte_pktmbuf_adj(p->m, (uint16_t)front) != NULL);
	if (back > 0)
		CHECK(rte_pktmbuf_trim(p->m, (uint16_t)back) == 0);
}

/* Makes room for a piece before the i-th. */
static struct ooo_piece *insert(struct ooo *q, uint32_t i)
{
	struct ooo_piece *piece;

	if (q->first + q->n == LIMIT_tcp_ooo_segments) {
		memmove(&q->piece[0], &q->piece[q->first], q->n * sizeof(q->piece[0]));
		q->first = 0;
	}
	piece = &q->piece[q->first + i];
	memmove(piece + 1, piece, (q->n - i) * sizeof(*piece));
	q->n++;
	return piece;
}

enum ooo_answer ooo_put(struct ooo *q, uint32_t seq, uint32_t len, struct rte_mbuf *m)
{
	const struct ooo_piece *piece = &q->piece[q->first];
	struct ooo_piece fresh = {.seq = seq, .len = len, .m = m};
	uint32_t i = rank(piece, q->n, seq), front = 0, back = 0;

	/* Past the pieces that cover its beginning ... */
	while (i > 0 && seq_gt(end_of(&piece[i - 1]), seq + front)) {
		front = end_of(&piece[i - 1]) - seq;
		if (front >= len)
			return OOO_DUPLICATE;
		if (i == q->n || seq_gt(piece[i].seq, seq + front))
			break;
		i++;
	}
	/* ... and up to the next one. */
	if (i < q->n && seq_lt(piece[i].seq, seq + len))
		back = seq + len - piece[i].seq;
	if (q->n == LIMIT_tcp_ooo_segments)
		return OOO_FULL;
	cut(&fresh, front, back);
	*insert(q, i) = fresh;
	return OOO_KEPT;
}

struct rte_mbuf *ooo_take(struct ooo *q, uint32_t seq, uint32_t *freed_cost)
{
	while (q->n > 0 && seq_le(q->piece[q->first].seq, seq)) {
		struct ooo_piece p = q->piece[q->first];

		q->first++;
		q->n--;
		if (seq_gt(end_of(&p), seq)) {
			cut(&p, FAULT(ooo_overlap) ? 0 : seq - p.seq, 0);
			return p.m;
		}
		*freed_cost += tcp_cost(p.m);
		rte_pktmbuf_free_seg(p.m);
	}
	return NULL;
}

uint32_t ooo_drop_last(struct ooo *q)
{
	struct ooo_piece *p;
	uint32_t cost;

	CHECK(q->n > 0);
	p = &q->piece[q->first + --q->n];
	cost = tcp_cost(p->m);
	rte_pktmbuf_free_seg(p->m);
	return cost;
}

void ooo_free(struct pool *ooos, struct ooo **q)
{
	for (uint32_t i = 0; i < (*q)->n; i++)
		rte_pktmbuf_free_seg((*q)->piece[(*q)->first + i].m);
	pool_put(ooos, *q);
	*q = NULL;
}
