#include "proxy/pieces.h"

#include <assert.h>

#include "base/check.h"
#include "proxy/body.h"

enum { PIECES = 20 };

struct pieces_block {
	struct pieces_block *next;
	uint16_t first, n;
	struct filter_piece all[PIECES];
};
static_assert(sizeof(struct pieces_block) <= sizeof(struct body_block), "it is one of the proxy's body blocks");

static struct pieces_block *new_block(struct pool *blocks)
{
	struct pieces_block *b = pool_get(blocks);

	if (b != NULL) {
		b->next = NULL;
		b->first = b->n = 0;
	}
	return b;
}

bool pieces_put(struct pieces *q, struct pool *blocks, struct filter_piece piece)
{
	struct pieces_block *b = q->tail;

	if (b == NULL || b->first + b->n == PIECES) {
		b = new_block(blocks);
		if (b == NULL)
			return false;
		if (q->tail != NULL)
			q->tail->next = b;
		else
			q->head = b;
		q->tail = b;
	}
	b->all[b->first + b->n++] = piece;
	return true;
}

bool pieces_put_back(struct pieces *q, struct pool *blocks, struct filter_piece piece)
{
	struct pieces_block *b = q->head;

	if (b == NULL || b->first == 0) {
		b = new_block(blocks);
		if (b == NULL)
			return false;
		b->next = q->head;
		b->first = 1;
		q->head = b;
		q->tail = q->tail != NULL ? q->tail : b;
	}
	b->all[--b->first] = piece;
	b->n++;
	return true;
}

struct filter_piece pieces_take(struct pieces *q, struct pool *blocks)
{
	struct pieces_block *b = q->head;
	struct filter_piece piece;

	CHECK(b != NULL && b->n > 0);
	piece = b->all[b->first++];
	if (--b->n == 0) {
		q->head = b->next;
		if (q->head == NULL)
			q->tail = NULL;
		pool_put(blocks, b);
	}
	return piece;
}
