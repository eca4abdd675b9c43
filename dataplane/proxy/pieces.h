/*
 * A queue of pieces of a body, each with its credit: what waits in front of a filter (chain.h). It lives in the proxy's
 * body blocks, which may run out: then a piece is not taken, and stays its caller's.
 */
#ifndef PROXY_PIECES_H
#define PROXY_PIECES_H

#include "base/pool.h"
#include "filter/filter.h"

struct pieces_block;

struct pieces {
	struct pieces_block *head, *tail;
};

static inline bool pieces_any(const struct pieces *q)
{
	return q->head != NULL;
}

bool pieces_put(struct pieces *q, struct pool *blocks, struct filter_piece piece) MUST_CHECK; /* behind the last */
/* Before the first, from where it was taken. */
bool pieces_put_back(struct pieces *q, struct pool *blocks, struct filter_piece piece) MUST_CHECK;
/* The first; there is one. */
struct filter_piece pieces_take(struct pieces *q, struct pool *blocks);

#endif
