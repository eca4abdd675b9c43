/*
 * Least request: what a cluster gets by default, as from Envoy Gateway.
 *
 * Equal weights: of two endpoints drawn at random the one with fewer requests in flight. That is nearly as good as the
 * least of all, costs the same for any number of endpoints, and does not send every worker to the same idle one
 * (Mitzenmacher, "The power of two choices in randomized load balancing"). The two are different ones: Envoy may draw
 * one twice, which gives a stuck endpoint 1/n^2 of all requests, of two endpoints a quarter.
 *
 * Weights that differ: weighted round robin in which an endpoint counts for weight / (requests in flight + 1).
 *
 * In flight means from this worker: the workers' requests are spread alike, so each sees the same picture in small.
 */
#include "balance/balance.h"

enum { SCALE_SHIFT = 8 }; /* shares are in 1/256 of a weight */

static uint32_t share(const struct balance_endpoint *e)
{
	const uint32_t scaled = ((uint32_t)e->weight << SCALE_SHIFT) / (e->active + 1);

	return scaled > 0 ? scaled : 1;
}

static uint32_t pick(struct balance_row *row, uint32_t skip, struct rng *rng)
{
	uint32_t a, b;

	if (row->weighted)
		return balance_smooth(row, skip, share);
	a = balance_any(row, skip, rng);
	if (a == BALANCE_NONE || row->n == 1)
		return a;
	b = balance_any(row, a, rng);
	if (b == BALANCE_NONE || b == skip)
		return a;
	return row->endpoints[b].active < row->endpoints[a].active ? b : a;
}

const struct balancer balancer_least_request = {
	.name = "least_request",
	.pick = pick,
};
