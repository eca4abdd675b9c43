/*
 * Cycles per routing lookup by the number of routes: those of tests/bench/routes.h. Requests are for a route drawn at random
 * each, so the table's cache misses are in the figures, those of the request's own text are not: it has just been parsed.
 *
 * Prints the median and the lowest quartile of single lookups, the cost of reading the clock taken off.
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

enum { LOOKUPS = 200000, WARM = 20000 };

#define MACHINE \
	"{'workers':1,'ports':[{'name':'p','device':'net_null0'}],'addresses':[{'address':'198.18.0.1/24','port':'p'}]," \
	"'vipPool':[{'first':'198.18.0.10','last':'198.18.0.10'},{'first':'2001:2::10','last':'2001:2::10'}]}"

/* A request as it lies after parsing: texts behind each other. */
struct asked {
	struct routes_request text;
	struct http_field fields[4];
	struct http_message m;
};

static void ask(struct asked *a, unsigned i)
{
	static const char *const names[] = {"user-agent", "accept", "x-tenant", "x-request-class"};
	static const char *const values[] = {"bench/1", "*/*", NULL, "a"};

	a->m = (struct http_message){.method = HTTP_GET, .fields = a->fields, .fields_n = 4, .fields_max = 4};
	routes_ask(&a->text, i);
	a->m.authority = (struct text){a->text.host, (uint32_t)strlen(a->text.host)};
	a->m.path = (struct text){a->text.path, (uint32_t)strlen(a->text.path)};
	for (unsigned k = 0; k < 4; k++) {
		const char *value = values[k] != NULL ? values[k] : a->text.tenant;

		a->fields[k] = (struct http_field){.name = {names[k], (uint32_t)strlen(names[k])},
		                                   .value = {value, (uint32_t)strlen(value)}};
		a->fields[k].id = (uint16_t)http_field_id(a->fields[k].name);
	}
}

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

static void run(unsigned routes)
{
	static uint64_t took[LOOKUPS];
	struct generation g = routes_compile(routes, MACHINE, "", "");
	const struct table *t = routes_serve(g.table, g.bytes);
	struct regexes *all = regexes_new(1);
	const uint64_t cost = clock_cost();
	struct regex_set *set;
	struct asked a;
	struct rng rng;
	struct addr to;

	CHECK(regexes_take(all, t, &set) == OK && addr_parse("198.18.0.10", &to) == OK);
	rng_init(&rng, routes);
	for (unsigned i = 0; i < LOOKUPS + WARM; i++) {
		struct route_result found;
		enum route_answer answer;
		uint64_t from;

		ask(&a, rng_below(&rng, routes));
		from = rte_rdtsc_precise();
		answer = route_find(t, regex_set_of(set, 0), &to, 80, &a.m, &found);
		from = rte_rdtsc_precise() - from;
		CHECK(answer == ROUTE_FOUND);
		if (i >= WARM)
			took[i - WARM] = from > cost ? from - cost : 0;
	}
	qsort(took, LOOKUPS, sizeof(took[0]), by_size);
	printf("%6u routes %9zu bytes: %4lu cycles per lookup (lowest quartile %lu)\n", routes, g.bytes,
	       (unsigned long)took[LOOKUPS / 2], (unsigned long)took[LOOKUPS / 4]);
	regexes_drop(all, set);
	regexes_free(all);
	block_close(t);
	generation_fini(&g);
}

int main(void)
{
	for (unsigned routes = 10; routes <= 10000; routes *= 10)
		run(routes);
	return 0;
}
