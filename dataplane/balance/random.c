/*
 * Random: each usable endpoint with the probability of its weight. Keeps nothing, so endpoints that come and go and
 * workers that do not know of each other disturb nothing; over few requests it is less even than round robin.
 */
#include "balance/balance.h"

static uint32_t weight_of(const struct balance_row *row, uint32_t i, uint32_t skip)
{
	return row->endpoints[i].usable && i != skip ? row->endpoints[i].weight : 0;
}

static uint32_t pick(struct balance_row *row, uint32_t skip, struct rng *rng)
{
	uint32_t sum = 0, draw;

	if (!row->weighted)
		return balance_any(row, skip, rng);
	for (uint32_t i = 0; i < row->n; i++)
		sum += weight_of(row, i, skip);
	if (sum == 0)
		return BALANCE_NONE;
	draw = rng_below(rng, sum);
	for (uint32_t i = 0;; i++) {
		const uint32_t weight = weight_of(row, i, skip);

		if (draw < weight)
			return i;
		draw -= weight;
	}
}

const struct balancer balancer_random = {
	.name = "random",
	.pick = pick,
};
