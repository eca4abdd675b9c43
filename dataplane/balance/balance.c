/* The list of balancers, what several of them use, and the weighted choice among the backends of a rule. */
#include "balance/balance.h"

#include "base/check.h"

#define BALANCER(id) extern const struct balancer balancer_##id;
#include "balance/balancers.def"
#undef BALANCER

const struct balancer *const balancer_list[BALANCERS] = {
#define BALANCER(id) &balancer_##id,
#include "balance/balancers.def"
#undef BALANCER
};

/* Guesses before the usable endpoints are counted: half of a row is usable at least, unless panic is turned off. */
enum { GUESSES = 8 };

static bool pickable(const struct balance_row *row, uint32_t i, uint32_t skip)
{
	return row->endpoints[i].usable && i != skip;
}

uint32_t balance_any(const struct balance_row *row, uint32_t skip, struct rng *rng)
{
	uint32_t n = 0, draw;

	for (unsigned guess = 0; guess < GUESSES && row->n > 0; guess++) {
		const uint32_t i = rng_below(rng, row->n);

		if (pickable(row, i, skip))
			return i;
	}
	for (uint32_t i = 0; i < row->n; i++)
		n += pickable(row, i, skip);
	if (n == 0)
		return BALANCE_NONE;
	draw = rng_below(rng, n);
	for (uint32_t i = 0;; i++) {
		if (pickable(row, i, skip) && draw-- == 0)
			return i;
	}
}

uint32_t balance_smooth(struct balance_row *row, uint32_t skip, balance_share *share)
{
	struct balance_endpoint *e = row->endpoints;
	uint32_t best = BALANCE_NONE;
	int64_t sum = 0;

	for (uint32_t i = 0; i < row->n; i++) {
		uint32_t own;

		if (!pickable(row, i, skip))
			continue;
		own = share(&e[i]);
		e[i].current += own;
		sum += own;
		if (best == BALANCE_NONE || e[i].current > e[best].current)
			best = i;
	}
	if (best != BALANCE_NONE)
		e[best].current -= sum;
	return best;
}

uint32_t balance_weighted(const uint32_t *weights, size_t stride, uint32_t n, uint32_t draw)
{
	const char *at = (const char *)weights;

	for (uint32_t i = 0; i < n; i++, at += stride) {
		const uint32_t weight = *(const uint32_t *)at;

		if (draw < weight)
			return i;
		draw -= weight;
	}
	CHECK(!"the draw is below the sum of the weights");
	return 0;
}
