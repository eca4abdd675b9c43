/*
 * The balancer contract: one file per algorithm (balance/<name>.c), listed in balancers.def. A balancer picks an
 * endpoint among those of one cluster; its state lives with the worker's cluster and survives generations.
 */
#ifndef BALANCE_BALANCE_H
#define BALANCE_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

enum balancer_kind {
#define BALANCER(id) BALANCER_##id,
#include "balance/balancers.def"
#undef BALANCER
	BALANCERS
};

/* What a balancer sees of one endpoint. */
struct balance_endpoint {
	uint64_t id;
	uint16_t weight;
	uint16_t usable;       /* 0: ejected (and the cluster is not in panic) */
	uint32_t active;       /* requests in flight from this worker */
	int64_t current;       /* the algorithm's own: smooth weighted round robin */
};

/* The endpoints of one cluster. */
struct balance_row {
	struct balance_endpoint *endpoints;
	uint32_t n;
	bool weighted;         /* their weights differ */
};

enum { BALANCE_NONE = 0xffffffff };

struct balancer {
	const char *name;
	/* The index of the endpoint for the next request, or BALANCE_NONE when none is usable. skip: an endpoint that
	 * was already tried, or BALANCE_NONE. O(n) at most, n = endpoints. */
	uint32_t (*pick)(struct balance_row *row, uint32_t skip, struct rng *rng);
};

/* Any of the usable endpoints, each as likely as the others, whatever their weights; BALANCE_NONE: there is none. */
uint32_t balance_any(const struct balance_row *row, uint32_t skip, struct rng *rng);

/* What an endpoint counts for in a weighted choice. */
typedef uint32_t balance_share(const struct balance_endpoint *e);

/*
 * Smoothly weighted round robin: every pick adds each usable endpoint's share to its current value, takes the largest,
 * and subtracts the sum of the shares from it. Shares 5, 1, 1 give a a b a c a a, not a a a a a b c. Shares may change
 * from one pick to the next.
 */
uint32_t balance_smooth(struct balance_row *row, uint32_t skip, balance_share *share);

extern const struct balancer *const balancer_list[BALANCERS];

/*
 * Weighted choice among the backends of a rule: the index that `draw` (below the sum of the weights) falls to. Draws
 * come from balance_draw(): steps of the golden ratio around the circle, which cover it evenly, any arithmetic
 * subsequence of them too. So each worker holds the weights of every rule by itself, closely (within a request or two
 * of hundreds, where random numbers would be off by dozens), with one word of state for all rules.
 */
static inline uint32_t balance_draw(uint32_t *cursor, uint32_t weights_sum)
{
	*cursor += UINT32_C(2654435769); /* 2^32 / golden ratio */
	return (uint32_t)(((uint64_t)*cursor * weights_sum) >> 32);
}

uint32_t balance_weighted(const uint32_t *weights, size_t stride, uint32_t n, uint32_t draw);

#endif
