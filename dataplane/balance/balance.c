/* The list of balancers, and the weighted choice among the backends of a rule. */
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
