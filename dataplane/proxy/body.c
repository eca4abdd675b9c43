/* See the header for the model. */
#include "proxy/body.h"

#include <string.h>

#include "base/check.h"
#include "base/limits.h"

/* ---- credit ---- */

static struct body_grain *grain(struct body *b, uint32_t i)
{
	return &b->grains[(b->grains_at + i) % BODY_GRAINS];
}

/* The ring is full: of each two neighbours one grain. */
static __attribute__((noinline, cold)) void merge_grains(struct body *b)
{
	for (uint32_t i = 0; i < BODY_GRAINS / 2; i++) {
		const struct body_grain *one = grain(b, 2 * i), *two = grain(b, 2 * i + 1);

		*grain(b, i) = (struct body_grain){.bytes = one->bytes + two->bytes,
		                                   .credit = one->credit + two->credit};
	}
	b->grains_n = BODY_GRAINS / 2;
}

static uint32_t grain_credit(const struct body *b)
{
	return FAULT(credit_in_lumps) ? 16384 : b->owed / BODY_GRAIN_PART;
}

static void owe(struct body *b, uint32_t bytes, uint32_t credit)
{
	struct body_grain *last = grain(b, b->grains_n + BODY_GRAINS - 1u);

	b->owed += credit;
	if (b->grains_n > 0 && (last->credit < grain_credit(b) || credit == 0)) {
		last->bytes += bytes;
		last->credit += credit;
		return;
	}
	if (b->grains_n == BODY_GRAINS)
		merge_grains(b);
	*grain(b, b->grains_n++) = (struct body_grain){.bytes = bytes, .credit = credit};
}

static void give_back(struct body *b, uint32_t credit)
{
	if (credit > 0 && b->from != NULL)
		http_credit(b->from, credit);
}

void body_acked(struct body *b, uint64_t bytes)
{
	uint32_t credit = 0;

	if (b->keeps) {
		b->acked += bytes;
		return;
	}
	while (bytes > 0 && b->grains_n > 0) {
		struct body_grain *g = &b->grains[b->grains_at];

		if (g->bytes > bytes) {
			g->bytes -= (uint32_t)bytes;
			break;
		}
		bytes -= g->bytes;
		credit += g->credit;
		b->grains_at = (uint8_t)((b->grains_at + 1) % BODY_GRAINS);
		b->grains_n--;
	}
	b->owed -= credit;
	give_back(b, credit);
}

/* ---- the queue ---- */

/* A small slice goes behind the last one, into an mbuf of ours. */
static bool append_small(struct body *b, const struct slice *s)
{
	struct slice *last;

	if (b->compact == NULL || s->len > rte_pktmbuf_tailroom(b->compact))
		return false;
	last = &b->tail->slices[b->tail->first + b->tail->n - 1];
	CHECK(last->m == b->compact);
	memcpy(rte_pktmbuf_append(b->compact, s->len), slice_at(s), s->len);
	last->len = (uint16_t)(last->len + s->len);
	return true;
}

/* A small slice becomes the start of an mbuf of ours; without memory it stays as it is. */
static void make_compact(struct body *b, struct slice *s)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(b->payload);
	char *at;

	if (m == NULL)
		return;
	at = rte_pktmbuf_append(m, s->len);
	memcpy(at, slice_at(s), s->len);
	slice_free(s);
	*s = (struct slice){.m = m, .off = (uint16_t)(at - (char *)m->buf_addr), .len = s->len};
	b->compact = m;
}

/* A place at the end of a list of blocks. */
static struct body_block *room(struct body *b, struct body_block **head, struct body_block **tail)
{
	struct body_block *last = *tail;

	if (last != NULL && last->first + last->n < BODY_BLOCK_SLICES)
		return last;
	last = pool_get(b->blocks);
	if (last == NULL)
		return NULL;
	last->next = NULL;
	last->first = last->n = 0;
	if (*tail != NULL)
		(*tail)->next = last;
	else
		*head = last;
	*tail = last;
	return last;
}

static enum err enqueue(struct body *b, struct slice s)
{
	struct body_block *block;

	if (b->from != NULL)
		http_enough(b->from);
	if (s.len < BODY_SMALL && append_small(b, &s)) {
		slice_free(&s);
		return OK;
	}
	block = room(b, &b->head, &b->tail);
	if (block == NULL) {
		slice_free(&s);
		return ERR_NO_MEMORY;
	}
	b->compact = NULL;
	if (s.len < BODY_SMALL)
		make_compact(b, &s);
	block->slices[block->first + block->n++] = s;
	return OK;
}

static void dequeue(struct body *b)
{
	struct body_block *block = b->head;

	if (b->compact == block->slices[block->first].m)
		b->compact = NULL;
	block->first++;
	if (--block->n > 0)
		return;
	b->head = block->next;
	if (b->head == NULL)
		b->tail = NULL;
	pool_put(b->blocks, block);
}

/* ---- replay ---- */

static void free_slices(struct body *b, struct body_block **head, struct body_block **tail)
{
	while (*head != NULL) {
		struct body_block *block = *head;

		for (; block->n > 0; block->n--)
			slice_free(&block->slices[block->first++]);
		*head = block->next;
		pool_put(b->blocks, block);
	}
	*tail = NULL;
}

void body_keep(struct body *b)
{
	CHECK(b->taken == 0);
	b->keeps = true;
}

void body_let_go(struct body *b)
{
	const uint64_t acked = b->acked;

	if (!b->keeps)
		return;
	free_slices(b, &b->kept, &b->kept_tail);
	b->keeps = false;
	b->acked = 0;
	body_acked(b, acked);
}

void body_rewind(struct body *b)
{
	CHECK(body_replayable(b));
	if (b->kept != NULL) {
		b->kept_tail->next = b->head;
		b->tail = b->head != NULL ? b->tail : b->kept_tail;
		b->head = b->kept;
		b->kept = b->kept_tail = NULL;
	}
	b->to = NULL;
	b->taken = b->acked = 0;
	b->end_sent = false;
}

/* What is passed on is kept too; without memory for that, all that was kept is let go. */
static void keep(struct body *b, const struct slice *s)
{
	struct body_block *block = room(b, &b->kept, &b->kept_tail);

	if (block == NULL) {
		body_let_go(b);
		return;
	}
	rte_mbuf_refcnt_update(s->m, 1);
	block->slices[block->first + block->n++] = *s;
}

static void keep_credit(struct body *b, uint32_t credit)
{
	b->kept_credit += credit;
	if (b->kept_credit <= LIMIT_replay_bytes && (b->from == NULL || http_want(b->from, b->kept_credit)))
		return;
	count(b->counters, C_limit_replay_bytes);
	body_let_go(b);
}

/* ---- passing on ---- */

/* False: not now. s is the receiver's afterwards. */
static bool pass(struct body *b, struct slice s)
{
	const bool keeps = b->keeps;

	if (keeps)
		rte_mbuf_refcnt_update(s.m, 1);
	if (!http_send_body(b->to, s)) {
		if (keeps)
			rte_mbuf_refcnt_update(s.m, -1);
		return false;
	}
	b->taken += s.len;
	if (keeps) {
		keep(b, &s);
		slice_free(&s);
	}
	return true;
}

static enum err send_end(struct body *b)
{
	enum err e;

	if (!b->whole || b->end_sent || b->to == NULL)
		return OK;
	e = http_send_end(b->to, b->trailers);
	if (e == OK)
		b->end_sent = true;
	return e == ERR_FULL ? OK : e;
}

enum err body_flush(struct body *b)
{
	if (b->to == NULL)
		return OK;
	while (b->head != NULL) {
		const struct slice s = b->head->slices[b->head->first];

		if (!pass(b, s))
			return OK;
		dequeue(b);
	}
	return send_end(b);
}

enum err body_push(struct body *b, struct slice s, uint32_t credit)
{
	const uint32_t len = s.len;

	b->bytes += len;
	if (b->dropped || len == 0) {
		slice_free(&s);
		give_back(b, credit);
		return OK;
	}
	owe(b, len, credit);
	if (b->keeps)
		keep_credit(b, credit);
	return b->head != NULL || b->to == NULL || !pass(b, s) ? enqueue(b, s) : OK;
}

enum err body_end(struct body *b, const struct http_message *trailers, struct arena *a)
{
	enum err e;

	b->whole = true;
	if (b->dropped)
		return OK;
	b->trailers = trailers;
	e = b->head == NULL ? send_end(b) : OK;
	if (e == OK && (!b->end_sent || b->keeps) && trailers != NULL)
		b->trailers = http_message_copy(trailers, a, &e);
	return e;
}

void body_drop(struct body *b)
{
	uint32_t credit = 0;

	b->dropped = true;
	b->keeps = false;
	b->to = NULL;
	b->compact = NULL;
	free_slices(b, &b->kept, &b->kept_tail);
	free_slices(b, &b->head, &b->tail);
	for (; b->grains_n > 0; b->grains_n--) {
		credit += b->grains[b->grains_at].credit;
		b->grains_at = (uint8_t)((b->grains_at + 1) % BODY_GRAINS);
	}
	b->owed = 0;
	give_back(b, credit);
}
