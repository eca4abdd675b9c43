/*
 * Cycles per routing lookup by the number of routes: those of tests/bench/routes.h. Requests are for a route drawn at random
 * each, so the table's cache misses are in the figures, those of the request's own text are not: it has just been parsed.
 *
 * Alone a lookup waits for each piece that the next one hangs on. In a burst each of its three steps (route.h) is done for
 * all requests before the next step is, as with worker/ahead.h; the time is that of the whole burst, for each of its
 * lookups. Both with the table wherever it lies, and taken out of all caches before (routes_cool()).
 *
 * Prints medians, the cost of reading the clock taken off.
 */
#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "route/regexes.h"
#include "route/route.h"
#include "tests/bench/routes.h"
#include "worker/block.h"

enum { LOOKUPS = 200000, COOL_LOOKUPS = 2000, BURST = 32 };

#define MACHINE \
	"{'workers':1,'ports':[{'name':'p','device':'net_null0'}],'addresses':[{'address':'198.18.0.1/24','port':'p'}]," \
	"'vipPool':[{'first':'198.18.0.10','last':'198.18.0.10'},{'first':'2001:2::10','last':'2001:2::10'}]}"

static int by_size(const void *x, const void *y)
{
	const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a > b) - (a < b);
}

static uint64_t clock_cost(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 10000; i++) {
		const uint64_t from = rte_rdtsc_precise(), took = rte_rdtsc_precise() - from;

		least = took < least ? took : least;
	}
	return least;
}

struct bench {
	const struct table *table;
	struct regex *const *regexes;
	struct addr to;
	struct rng rng;
	uint64_t clock;
	unsigned routes;
};

/* Of n lookups in one burst, cycles for all. */
static uint64_t burst(struct bench *b, unsigned n, bool cool)
{
	static struct routes_asked asked[BURST];
	static struct route_host hosts[BURST];
	uint64_t took;

	if (cool)
		routes_cool(b->table, b->regexes, b->routes);
	for (unsigned i = 0; i < n; i++)
		routes_asked(&asked[i], rng_below(&b->rng, b->routes));
	took = rte_rdtsc_precise();
	for (unsigned i = 0; i < n; i++)
		route_host(b->table, &b->to, 80, asked[i].m.authority, &hosts[i]);
	for (unsigned i = 0; i < n; i++)
		route_fetch(b->table, &hosts[i]);
	for (unsigned i = 0; i < n; i++) {
		struct route_result found;

		CHECK(route_find_at(b->table, b->regexes, &hosts[i], &asked[i].m, &found) == ROUTE_FOUND);
	}
	took = rte_rdtsc_precise() - took;
	return took > b->clock ? took - b->clock : 0;
}

static double median(struct bench *b, unsigned lookups, unsigned n, bool cool)
{
	static uint64_t took[LOOKUPS];
	const unsigned bursts = lookups / n;

	for (unsigned i = 0; i < bursts / 10; i++)
		(void)burst(b, n, cool);
	for (unsigned i = 0; i < bursts; i++)
		took[i] = burst(b, n, cool);
	qsort(took, bursts, sizeof(took[0]), by_size);
	return (double)took[bursts / 2] / n;
}

static void run(unsigned routes)
{
	struct generation g = routes_compile(routes, MACHINE, "", "");
	struct bench b = {.table = routes_serve(g.table, g.bytes), .routes = routes, .clock = clock_cost()};
	struct regexes *all = regexes_new(1);
	struct regex_set *set;

	CHECK(regexes_take(all, b.table, &set) == OK && addr_parse("198.18.0.10", &b.to) == OK);
	b.regexes = regex_set_of(set, 0);
	rng_init(&b.rng, routes);
	printf("%6u routes %9zu bytes %8.0f %8.0f", routes, g.bytes, median(&b, LOOKUPS, 1, false),
	       median(&b, LOOKUPS, BURST, false));
	printf(" %8.0f %8.0f\n", median(&b, COOL_LOOKUPS, 1, true), median(&b, COOL_LOOKUPS * 8, BURST, true));
	regexes_drop(all, set);
	regexes_free(all);
	block_close(b.table);
	generation_fini(&g);
}

int main(void)
{
	printf("TSC cycles per lookup %15s %8s %8s %8s\n", "alone", "burst", "cool", "cool burst");
	for (unsigned routes = 10; routes <= 10000; routes *= 10)
		run(routes);
	return 0;
}
