/*
 * Cycles per routing lookup by the number of routes: each of them with a hostname and a path of its own, every second one
 * with a header condition, every fourth with a regular expression for it. Objects are compiled as control does; requests
 * are for a route drawn at random each, so the table's cache misses are in the figures, those of the request's own text
 * are not: it has just been parsed.
 *
 * Prints the median and the lowest quartile of single lookups, the cost of reading the clock taken off.
 */
#include <rte_cycles.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "control/compile/compile.h"
#include "control/objects.h"
#include "route/regexes.h"
#include "route/route.h"

enum { LOOKUPS = 200000, WARM = 20000, JSON_PER_ROUTE = 640, JSON_HEAD = 4096 };

static void put(char **at, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(char **at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	*at += vsprintf(*at, format, args);
	va_end(args);
}

static void put_route(char **at, unsigned i)
{
	put(at, ",{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute','metadata':{'namespace':'default',"
	        "'name':'r%u','creationTimestamp':'2026-01-01T00:00:00Z'},'spec':{'parentRefs':[{'name':'gw'}],"
	        "'hostnames':['h%u.shop%u.example.com'],'rules':[{'matches':[{'path':{'type':'PathPrefix',"
	        "'value':'/team%u/service-%u/v1'}", i, i, i % 50, i % 100, i);
	if (i % 2 == 0)
		put(at, ",'headers':[{'name':'x-tenant','type':'%s','value':'tenant-%u'}]",
		    i % 4 == 0 ? "RegularExpression" : "Exact", i % 4 == 0 ? i % 64 : i);
	put(at, "}]}]}}");
}

static struct generation compile(unsigned routes)
{
	char *json = malloc(JSON_HEAD + (size_t)routes * JSON_PER_ROUTE), *at = json, error[256];
	struct generation g;
	struct snapshot *s;
	struct model *m;

	put(&at, "[{'apiVersion':'sluice.internal/v1alpha1','kind':'Machine','metadata':{'name':'self'},'spec':{'workers':1,"
	         "'ports':[{'name':'p','device':'net_null0'}],'addresses':[{'address':'198.18.0.1/24','port':'p'}],"
	         "'vipPool':[{'first':'198.18.0.10','last':'198.18.0.10'},{'first':'2001:2::10','last':'2001:2::10'}]}},"
	         "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GatewayClass','metadata':{'name':'sluice'},'spec':"
	         "{'controllerName':'sluice.internal/gateway-controller'}},"
	         "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'Gateway','metadata':{'namespace':'default','name':'gw'},"
	         "'spec':{'gatewayClassName':'sluice','listeners':[{'name':'http','port':80,'protocol':'HTTP'}]}}");
	for (unsigned i = 0; i < routes; i++)
		put_route(&at, i);
	put(&at, "]");
	for (char *c = json; c < at; c++)
		*c = *c == '\'' ? '"' : *c;
	s = snapshot_from_json(json, (size_t)(at - json), error);
	CHECK(s != NULL);
	m = model_new(s, NULL, NULL);
	CHECK(generation_compile(m, &g) == OK);
	model_free(m);
	snapshot_put(s);
	free(json);
	return g;
}

/* A request as it lies after parsing: texts behind each other. */
struct asked {
	char host[64], path[128], tenant[32];
	struct http_field fields[4];
	struct http_message m;
};

static void ask(struct asked *a, unsigned i)
{
	static const char *const names[] = {"user-agent", "accept", "x-tenant", "x-request-class"};
	static const char *const values[] = {"bench/1", "*/*", NULL, "a"};

	a->m = (struct http_message){.method = HTTP_GET, .fields = a->fields, .fields_n = 4, .fields_max = 4};
	a->m.authority = (struct text){a->host, (uint32_t)sprintf(a->host, "h%u.shop%u.example.com", i, i % 50)};
	a->m.path = (struct text){a->path,
	                          (uint32_t)sprintf(a->path, "/team%u/service-%u/v1/items/7?page=2", i % 100, i)};
	sprintf(a->tenant, "tenant-%u", i % 4 == 0 ? i % 64 : i);
	for (unsigned k = 0; k < 4; k++) {
		const char *value = values[k] != NULL ? values[k] : a->tenant;

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
	struct generation g = compile(routes);
	struct regexes *all = regexes_new(1);
	const uint64_t cost = clock_cost();
	struct regex_set *set;
	struct asked a;
	struct rng rng;
	struct addr to;

	CHECK(regexes_take(all, g.table, &set) == OK && addr_parse("198.18.0.10", &to) == OK);
	rng_init(&rng, routes);
	for (unsigned i = 0; i < LOOKUPS + WARM; i++) {
		struct route_result found;
		enum route_answer answer;
		uint64_t from;

		ask(&a, rng_below(&rng, routes));
		from = rte_rdtsc_precise();
		answer = route_find(g.table, regex_set_of(set, 0), &to, 80, &a.m, &found);
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
	generation_fini(&g);
}

int main(void)
{
	for (unsigned routes = 10; routes <= 10000; routes *= 10)
		run(routes);
	return 0;
}
