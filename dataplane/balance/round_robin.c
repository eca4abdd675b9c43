/*
 * Round robin, smoothly weighted (balance_smooth()).
 *
 * An endpoint that becomes unusable keeps its current value; the values stay bounded by the sum of the weights.
 * Endpoints start from a random point of the round (upstream_apply), so that workers do not march in step.
 */
#include "balance/balance.h"

static uint32_t weight(const struct balance_endpoint *e)
{
	return e->weight;
}

static uint32_t pick(struct balance_row *row, uint32_t skip, struct rng *rng)
{
	(void)rng;
	return balance_smooth(row, skip, weight);
}

const struct balancer balancer_round_robin = {
	.name = "round_robin",
	.pick = pick,
};
