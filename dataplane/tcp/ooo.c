#include "tcp/ooo.h"

#include <string.h>

#include "base/check.h"
#include "base/fault.h"
#include "tcp/seq.h"
#include "tcp/tcp.h"

/* The number of pieces that begin at or before seq. */
static uint32_t rank(const struct ooo *q, uint32_t seq)
{
	uint32_t low = 0, high = q->n;

	/* Most segments come in order behind the hole. */
	if (q->n > 0 && seq_ge(seq, q->piece[q->n - 1].seq))
		return q->n;
	while (low < high) {
		const uint32_t middle = (low + high) / 2;

		if (seq_le(q->piece[middle].seq, seq))
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

enum ooo_answer ooo_put(struct ooo *q, uint32_t seq, uint32_t len, struct rte_mbuf *m)
{
	struct ooo_piece fresh = {.seq = seq, .len = len, .m = m};
	uint32_t i = rank(q, seq), front = 0, back = 0;

	/* Past the pieces that cover its beginning ... */
	while (i > 0 && seq_gt(end_of(&q->piece[i - 1]), seq + front)) {
		front = end_of(&q->piece[i - 1]) - seq;
		if (front >= len)
			return OOO_DUPLICATE;
		if (i == q->n || seq_gt(q->piece[i].seq, seq + front))
			break;
		i++;
	}
	/* ... and up to the next one. */
	if (i < q->n && seq_lt(q->piece[i].seq, seq + len))
		back = seq + len - q->piece[i].seq;
	if (q->n == LIMIT_tcp_ooo_segments)
		return OOO_FULL;
	cut(&fresh, front, back);
	memmove(&q->piece[i + 1], &q->piece[i], (q->n - i) * sizeof(q->piece[0]));
	q->piece[i] = fresh;
	q->n++;
	return OOO_KEPT;
}

static void shift(struct ooo *q)
{
	q->n--;
	memmove(&q->piece[0], &q->piece[1], q->n * sizeof(q->piece[0]));
}

struct rte_mbuf *ooo_take(struct ooo *q, uint32_t seq, uint32_t *freed_cost)
{
	while (q->n > 0 && seq_le(q->piece[0].seq, seq)) {
		struct ooo_piece p = q->piece[0];

		shift(q);
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
	p = &q->piece[--q->n];
	cost = tcp_cost(p->m);
	rte_pktmbuf_free_seg(p->m);
	return cost;
}

void ooo_free(struct pool *ooos, struct ooo **q)
{
	for (uint32_t i = 0; i < (*q)->n; i++)
		rte_pktmbuf_free_seg((*q)->piece[i].m);
	pool_put(ooos, *q);
	*q = NULL;
}
