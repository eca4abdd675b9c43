#include "tests/bench/routes.h"

#include <emmintrin.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "control/objects.h"
#include "route/route.h"
#include "worker/block.h"

enum { JSON_PER_ROUTE = 1024, JSON_HEAD = 8192, LINE = 64 };

static void put(char **at, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(char **at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	*at += vsprintf(*at, format, args);
	va_end(args);
}

static void put_route(char **at, unsigned i, const char *backends)
{
	put(at, ",{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute','metadata':{'namespace':'default',"
	        "'name':'r%u','creationTimestamp':'2026-01-01T00:00:00Z'},'spec':{'parentRefs':[{'name':'gw'}],"
	        "'hostnames':['h%u.shop%u.example.com'],'rules':[{'matches':[{'path':{'type':'PathPrefix',"
	        "'value':'/team%u/service-%u/v1'}", i, i, i % 50, i % 100, i);
	if (i % 2 == 0)
		put(at, ",'headers':[{'name':'x-tenant','type':'%s','value':'tenant-%u'}]",
		    i % 4 == 0 ? "RegularExpression" : "Exact", i % 4 == 0 ? i % 64 : i);
	put(at, "}]%s}]}}", backends);
}

struct generation routes_compile(unsigned routes, const char *machine, const char *backends, const char *objects)
{
	char *json = malloc(JSON_HEAD + (size_t)routes * JSON_PER_ROUTE), *at = json, error[256];
	struct generation g;
	struct snapshot *s;
	struct model *m;

	CHECK(json != NULL);
	put(&at, "[{'apiVersion':'sluice.internal/v1alpha1','kind':'Machine','metadata':{'name':'self'},'spec':%s},"
	         "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GatewayClass','metadata':{'name':'sluice'},'spec':"
	         "{'controllerName':'sluice.internal/gateway-controller'}},"
	         "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'Gateway','metadata':{'namespace':'default','name':'gw'},"
	         "'spec':{'gatewayClassName':'sluice','listeners':[{'name':'http','port':80,'protocol':'HTTP'}]}}%s",
	    machine, objects);
	for (unsigned i = 0; i < routes; i++)
		put_route(&at, i, backends);
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

const struct table *routes_serve(const struct table *from, size_t bytes)
{
	const int fd = memfd_create("generation", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const struct table *t;
	char why[BLOCK_WHY_MAX];

	CHECK(fd >= 0 && write(fd, from, bytes) == (ssize_t)bytes);
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	CHECK(block_open(fd, &t, why) == OK);
	close(fd);
	return t;
}

void routes_ask(struct routes_request *r, unsigned i)
{
	snprintf(r->host, sizeof(r->host), "h%u.shop%u.example.com", i, i % 50);
	snprintf(r->path, sizeof(r->path), "/team%u/service-%u/v1/items/7?page=2", i % 100, i);
	snprintf(r->tenant, sizeof(r->tenant), "tenant-%u", i % 4 == 0 ? i % 64 : i);
}

void routes_asked(struct routes_asked *a, unsigned i)
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

void routes_cool(const struct table *t, struct regex *const *regexes, unsigned routes)
{
	static unsigned next; /* a stride that meets all routes, so that what comes back is a fair sample */
	struct route_result found;
	struct routes_asked a;
	struct addr to;

	CHECK(addr_parse("198.18.0.10", &to) == OK);
	for (size_t i = 0; i < t->bytes; i += LINE)
		_mm_clflush((const char *)t + i);
	_mm_mfence();
	for (unsigned i = 0; i < ROUTES_COOL_LOOKUPS; i++) {
		next = (next + 7919) % routes;
		routes_asked(&a, next);
		CHECK(route_find(t, regexes, &to, 80, &a.m, &found) == ROUTE_FOUND);
	}
}
