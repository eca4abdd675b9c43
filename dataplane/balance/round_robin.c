/*
 * Round robin, smoothly weighted: every pick adds each usable endpoint's weight to its current value, takes the
 * largest, and subtracts the sum of the weights from it. Weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
 *
 * An endpoint that becomes unusable keeps its current value; the values stay bounded by the sum of the weights.
 * Endpoints start from current values drawn at random (upstream_apply), so that workers do not march in step.
 */
#include "balance/balance.h"

static uint32_t pick(struct balance_endpoint *e, uint32_t n, uint32_t skip, struct rng *rng)
{
	uint32_t best = BALANCE_NONE;
	int32_t sum = 0;

	(void)rng;
	for (uint32_t i = 0; i < n; i++) {
		if (!e[i].usable || i == skip)
			continue;
		e[i].current += e[i].weight;
		sum += e[i].weight;
		if (best == BALANCE_NONE || e[i].current > e[best].current)
			best = i;
	}
	if (best != BALANCE_NONE)
		e[best].current -= sum;
	return best;
}

const struct balancer balancer_round_robin = {
	.name = "round_robin",
	.pick = pick,
};
