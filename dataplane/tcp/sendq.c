#include "tcp/sendq.h"

#include <assert.h>
#include <string.h>

#include "base/check.h"
#include "base/fault.h"

static_assert(sizeof(struct sendq_chunk) == 128, "two cache lines");

bool sendq_put(struct sendq *q, struct pool *chunks, struct slice s)
{
	CHECK_SLOW(s.m && s.len > 0);
	if (!q->last || q->last_n == SENDQ_CHUNK_SLICES) {
		struct sendq_chunk *chunk = pool_get(chunks);

		if (!chunk)
			return false;
		chunk->next = NULL;
		if (q->last) {
			q->last->next = chunk;
		} else {
			q->first = q->at = chunk;
			q->first_i = 0;
			q->at_i = 0;
			q->first_off = q->at_off = 0;
		}
		q->last = chunk;
		q->last_n = 0;
	}
	q->last->s[q->last_n] = s;
	q->last_n++;
	q->slices++;
	return true;
}

/* The head slice is done with; its chunk too when it was the chunk's last. */
static void pop(struct sendq *q, struct pool *chunks)
{
	struct sendq_chunk *chunk = q->first;

	if (q->at == chunk && q->at_i == q->first_i) {
		q->at_i++;
		q->at_off = 0;
	}
	if (FAULT(double_free))
		rte_pktmbuf_free_seg(chunk->s[q->first_i].m);
	slice_free(&chunk->s[q->first_i]);
	q->first_off = 0;
	q->first_i++;
	q->slices--;
	if (chunk == q->last ? q->first_i < q->last_n : q->first_i < SENDQ_CHUNK_SLICES)
		return;
	if (chunk == q->last) {
		memset(q, 0, sizeof(*q));
	} else {
		q->first = chunk->next;
		q->first_i = 0;
		if (q->at == chunk) {
			q->at = chunk->next;
			q->at_i = 0;
		}
	}
	pool_put(chunks, chunk);
}

void sendq_drop(struct sendq *q, struct pool *chunks, uint32_t bytes)
{
	while (bytes > 0) {
		uint32_t left;

		CHECK(q->first != NULL);
		left = (uint32_t)q->first->s[q->first_i].len - q->first_off;
		if (left > bytes) {
			q->first_off = (uint16_t)(q->first_off + bytes);
			if (q->at == q->first && q->at_i == q->first_i && q->at_off < q->first_off)
				q->at_off = q->first_off;
			return;
		}
		bytes -= left;
		pop(q, chunks);
	}
}

void sendq_clear(struct sendq *q, struct pool *chunks)
{
	while (q->first)
		pop(q, chunks);
}

struct sendq_at sendq_head(const struct sendq *q)
{
	return (struct sendq_at){.chunk = q->first, .off = q->first_off, .i = q->first_i};
}

struct sendq_at sendq_cursor(const struct sendq *q)
{
	return (struct sendq_at){.chunk = q->at, .off = q->at_off, .i = q->at_i};
}

void sendq_set_cursor(struct sendq *q, struct sendq_at at)
{
	q->at = at.chunk;
	q->at_i = at.i;
	q->at_off = (uint16_t)at.off;
}

/*
 * A position at the end of the queue stays valid while the queue grows: it names the slot that the next slice will
 * take, or the slot behind the last of a full chunk, whose successor comes later.
 */
uint32_t sendq_read(struct sendq_at *at, uint32_t max, struct rte_mbuf **m, uint32_t *off)
{
	const struct slice *s;
	uint32_t n;

	if (at->i == SENDQ_CHUNK_SLICES) {
		if (!at->chunk->next)
			return 0;
		at->chunk = at->chunk->next;
		at->i = 0;
	}
	s = &at->chunk->s[at->i];
	n = s->len - at->off < max ? s->len - at->off : max;
	*m = s->m;
	*off = s->off + at->off;
	at->off += n;
	if (at->off == s->len) {
		at->off = 0;
		at->i++;
	}
	return n;
}
