#include "tcp/ooo.h"

#include <string.h>

#include "base/check.h"
#include "tcp/tcp.h"

static struct ooo_range *at(struct ooo *q, uint32_t i)
{
	return &q->range[q->order[i]];
}

static const struct ooo_range *at_const(const struct ooo *q, uint32_t i)
{
	return &q->range[q->order[i]];
}

/* The number of ranges that begin at or before seq. */
static uint32_t rank(const struct ooo *q, uint32_t seq)
{
	uint32_t low = 0, high = q->n;

	/* Most segments come in order behind the hole. */
	if (q->n > 0 && seq_ge(seq, at_const(q, q->n - 1u)->bytes.left))
		return q->n;
	while (low < high) {
		const uint32_t middle = (low + high) / 2;

		if (seq_le(at_const(q, middle)->bytes.left, seq))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- the ring of ages ---- */

static void leave_ring(struct ooo *q, uint8_t place)
{
	q->newer[q->older[place]] = q->newer[place];
	q->older[q->newer[place]] = q->older[place];
}

static void join_ring(struct ooo *q, uint8_t place)
{
	const uint8_t second = q->older[OOO_RING];

	q->older[place] = second;
	q->newer[place] = OOO_RING;
	q->newer[second] = place;
	q->older[OOO_RING] = place;
}

static void renew(struct ooo *q, uint32_t i)
{
	leave_ring(q, q->order[i]);
	join_ring(q, q->order[i]);
}

/* ---- ranges ---- */

/* A new range, the i-th. */
static struct ooo_range *insert(struct ooo *q, uint32_t i)
{
	const uint8_t place = q->order[q->n];

	memmove(&q->order[i + 1], &q->order[i], q->n - i);
	q->order[i] = place;
	q->n++;
	join_ring(q, place);
	return &q->range[place];
}

/* What it holds is someone else's already. */
static void forget(struct ooo *q, uint32_t i)
{
	const uint8_t place = q->order[i];

	leave_ring(q, place);
	q->n--;
	memmove(&q->order[i], &q->order[i + 1], q->n - i);
	q->order[q->n] = place;
}

/* Behind the last mbuf, or into it when m is small and the last one is nobody else's. Returns what it costs. */
static uint32_t append(struct ooo_range *r, struct rte_mbuf *m)
{
	const uint16_t len = m->data_len;

	r->bytes.right += len;
	if (len <= PACKET_COPY_MAX && RTE_MBUF_DIRECT(r->last) && rte_mbuf_refcnt_read(r->last) == 1 &&
	    rte_pktmbuf_tailroom(r->last) >= len) {
		memcpy(rte_pktmbuf_append(r->last, len), rte_pktmbuf_mtod(m, char *), len);
		rte_pktmbuf_free_seg(m);
		return 0;
	}
	r->last->next = m;
	r->last = m;
	return tcp_cost(m);
}

static uint32_t prepend(struct ooo_range *r, struct rte_mbuf *m)
{
	r->bytes.left -= m->data_len;
	m->next = r->first;
	r->first = m;
	return tcp_cost(m);
}

/* The i-th range and the next one touch: they become one. */
static void unite(struct ooo *q, uint32_t i)
{
	struct ooo_range *r = at(q, i), *next = at(q, i + 1);

	r->last->next = next->first;
	r->last = next->last;
	r->bytes.right = next->bytes.right;
	forget(q, i + 1);
}

static void cut(struct rte_mbuf *m, uint32_t front, uint32_t back)
{
	if (front > 0)
		CHECK(rte_pktmbuf_adj(m, (uint16_t)front) != NULL);
	if (back > 0)
		CHECK(rte_pktmbuf_trim(m, (uint16_t)back) == 0);
}

/* m is what the queue lacks, behind the i-th range, and touches it, or the next one, or both, or none. */
static bool keep(struct ooo *q, uint32_t before_n, struct seq_range bytes, struct rte_mbuf *m, uint32_t *cost)
{
	const bool touches_next = before_n < q->n && at(q, before_n)->bytes.left == bytes.right;

	if (before_n > 0 && at(q, before_n - 1)->bytes.right == bytes.left) {
		*cost = append(at(q, before_n - 1), m);
		renew(q, before_n - 1);
		if (touches_next)
			unite(q, before_n - 1);
	} else if (touches_next) {
		*cost = prepend(at(q, before_n), m);
		renew(q, before_n);
	} else if (q->n < OOO_RANGES) {
		*insert(q, before_n) = (struct ooo_range){.bytes = bytes, .first = m, .last = m};
		*cost = tcp_cost(m);
	} else {
		return false;
	}
	return true;
}

static struct seq_range common(struct seq_range a, struct seq_range b)
{
	return (struct seq_range){seq_max(a.left, b.left), seq_lt(a.right, b.right) ? a.right : b.right};
}

enum ooo_answer ooo_put(struct ooo *q, uint32_t seq, struct rte_mbuf *m, uint32_t *cost, struct seq_range *again)
{
	const struct seq_range whole = {seq, seq + m->data_len};
	const uint32_t before_n = rank(q, seq);
	struct seq_range bytes = whole;

	*again = (struct seq_range){0};
	if (before_n < q->n && seq_lt(at(q, before_n)->bytes.left, whole.right)) {
		*again = common(at(q, before_n)->bytes, whole);
		bytes.right = again->left;
	}
	if (before_n > 0 && seq_gt(at(q, before_n - 1)->bytes.right, seq)) {
		*again = common(at(q, before_n - 1)->bytes, whole);
		bytes.left = again->right;
		if (again->right == whole.right) {
			renew(q, before_n - 1);
			return OOO_DUPLICATE;
		}
	}
	cut(m, bytes.left - whole.left, whole.right - bytes.right);
	return keep(q, before_n, bytes, m, cost) ? OOO_KEPT : OOO_FULL;
}

struct rte_mbuf *ooo_take(struct ooo *q, uint32_t seq)
{
	struct ooo_range *r;
	struct rte_mbuf *m;

	if (q->n == 0 || seq_gt(at(q, 0)->bytes.left, seq))
		return NULL;
	r = at(q, 0);
	m = r->first;
	r->first = m->next;
	r->bytes.left += m->data_len;
	if (!r->first)
		forget(q, 0);
	m->next = NULL;
	return m;
}

struct seq_range ooo_behind(const struct ooo *q, uint32_t seq)
{
	const uint32_t i = rank(q, seq);

	return i < q->n ? at_const(q, i)->bytes : (struct seq_range){0};
}

struct seq_range ooo_first_in(const struct ooo *q, struct seq_range bytes)
{
	if (q->n == 0 || seq_ge(at_const(q, 0)->bytes.left, bytes.right))
		return (struct seq_range){0};
	return common(at_const(q, 0)->bytes, bytes);
}

unsigned ooo_newest(const struct ooo *q, struct seq_range *out, unsigned n)
{
	unsigned found = 0;

	for (uint8_t place = q->older[OOO_RING]; place != OOO_RING && found < n; place = q->older[place]) {
		out[found] = q->range[place].bytes;
		if (q->fin && q->fin_seq == out[found].right)
			out[found].right++;
		found++;
	}
	return found;
}

static uint32_t free_chain(struct rte_mbuf *m)
{
	uint32_t cost = 0;

	while (m) {
		struct rte_mbuf *next = m->next;

		cost += tcp_cost(m);
		m->next = NULL; /* somebody else may read it on */
		rte_pktmbuf_free_seg(m);
		m = next;
	}
	return cost;
}

uint32_t ooo_drop_last(struct ooo *q)
{
	struct rte_mbuf *first;

	CHECK(q->n > 0);
	first = at(q, q->n - 1u)->first;
	forget(q, q->n - 1u);
	return free_chain(first);
}

void ooo_init(struct ooo *q)
{
	q->n = 0;
	q->fin = false;
	q->newer[OOO_RING] = q->older[OOO_RING] = OOO_RING;
	for (unsigned i = 0; i < OOO_RANGES; i++)
		q->order[i] = (uint8_t)i;
}

void ooo_free(struct pool *ooos, struct ooo **q)
{
	for (uint32_t i = 0; i < (*q)->n; i++)
		free_chain(at(*q, i)->first);
	pool_put(ooos, *q);
	*q = NULL;
}
