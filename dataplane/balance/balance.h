/*
 * The balancer contract: one file per algorithm (balance/<name>.c), listed in balancers.def. A balancer picks an
 * endpoint among those of one cluster; its state lives with the worker's cluster and survives generations.
 */
#ifndef BALANCE_BALANCE_H
#define BALANCE_BALANCE_H

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
	uint16_t usable;       /* 0: ejected, failing or removed */
	uint32_t active;       /* requests in flight from this worker */
	int32_t current;       /* the algorithm's own: smooth weighted round robin */
};

enum { BALANCE_NONE = 0xffffffff };

struct balancer {
	const char *name;
	/* The index of the endpoint for the next request, or BALANCE_NONE when none is usable. skip: an endpoint that
	 * was already tried, or BALANCE_NONE. O(n) at most, n = endpoints. */
	uint32_t (*pick)(struct balance_endpoint *e, uint32_t n, uint32_t skip, struct rng *rng);
};

extern const struct balancer *const balancer_list[BALANCERS];

/* Weighted choice among the backends of a rule: an index, drawn by weight, so that each worker holds the weights by
 * itself and nothing is kept between requests. draw is below the sum of the weights, which is positive. */
uint32_t balance_weighted(const uint32_t *weights, size_t stride, uint32_t n, uint32_t draw);

#endif
