/*
 * Cycles that each filter adds to an exchange: its copy out of the tables, its hooks for the heads of a request and of
 * a response. The request is one of a browser, the tables are warm. Lowest of many rounds, since what a machine does
 * besides only ever adds. Cycles are those of the time stamp counter.
 *
 * Not in it: what the chain costs once (some hundred bytes of the arena), and the body.
 */
#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/shard.h"
#include "filter/filter.h"
#include "tests/support/request.h"

enum { ROUNDS = 2000, RUNS = 64 };

static const char browser[] =
	"GET www.example.com:80 /shop/items/17?sort=price&page=2\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\n"
	"Accept: text/html,application/xhtml+xml\nAccept-Language: en\nAccept-Encoding: gzip, br\n"
	"Origin: https://app.example.com\nReferer: https://app.example.com/\nCookie: session=0123456789abcdef\n"
	"X-Forwarded-For: 198.18.0.2\nX-Request-Id: c26822ec-43d2-440f-82f4-7191a2ba45b4";

static const struct { const char *name, *json; } cases[] = {
	{"RequestHeaderModifier, sets one", "{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{"
	 "\"set\":[{\"name\":\"x-env\",\"value\":\"canary\"}]}}"},
	{"ResponseHeaderModifier, sets one", "{\"type\":\"ResponseHeaderModifier\",\"responseHeaderModifier\":{"
	 "\"set\":[{\"name\":\"x-env\",\"value\":\"canary\"}]}}"},
	{"URLRewrite, host and prefix", "{\"type\":\"URLRewrite\",\"urlRewrite\":{\"hostname\":\"inner.example\",\"path\":"
	 "{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":\"/store\"}}}"},
	{"RequestRedirect", "{\"type\":\"RequestRedirect\",\"requestRedirect\":{\"scheme\":\"https\"}}"},
	{"CORS, three origins", "{\"type\":\"CORS\",\"cors\":{\"allowOrigins\":[\"https://a.example\",\"https://b.example\","
	 "\"https://*.example.com\"],\"allowMethods\":[\"GET\",\"PUT\"],\"allowHeaders\":[\"x-token\"]}}"},
	{"RequestMirror, drawn and not copied", "{\"type\":\"RequestMirror\",\"requestMirror\":{\"percent\":0}}"},
};

struct compiled {
	struct builder *b;
	const struct table *t;
	struct table_filter filter;
};

static void compile(struct compiled *c, const char *json)
{
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	struct filter_problem problem;
	struct filter_source from;
	size_t bytes;

	CHECK(doc != NULL);
	from = filter_source(yyjson_doc_get_root(doc));
	from.cluster = 1;
	c->b = builder_new();
	CHECK(filter_compile(&from, c->b, &c->filter, &problem) == OK);
	CHECK(builder_finish(c->b, &c->t, &bytes) == OK);
	yyjson_doc_free(doc);
}

/* One exchange through the filter alone. */
static uint64_t run(const struct compiled *c, struct request *r, struct shard *shard)
{
	static const struct tuple client = {.local_port = 80};
	const struct filter *f = filter_list[c->filter.kind];
	const struct http_message untouched = r->m;
	struct http_field fields[32];
	struct http_message response;
	struct filter_exchange x;
	uint64_t start, cycles;
	void *copied;

	CHECK(r->m.fields_n <= 32);
	memcpy(fields, r->m.fields, r->m.fields_n * sizeof(fields[0]));
	http_message_init(&response);
	CHECK(http_add(&response, &r->arena, TEXT("server"), TEXT("nginx")) == OK);
	start = rte_rdtsc_precise();
	x = (struct filter_exchange){.shard = shard, .arena = &r->arena, .request = &r->m, .response = NULL,
	                             .client = &client, .path_match_bytes = 5};
	copied = f->copy(&r->arena, c->t, table_at(c->t, c->filter.config));
	if (f->on_request != NULL)
		f->on_request(&x, copied);
	x.response = &response;
	if (f->on_response != NULL)
		f->on_response(&x, copied);
	cycles = rte_rdtsc_precise() - start;
	memcpy(untouched.fields, fields, untouched.fields_n * sizeof(fields[0]));
	r->m = untouched;
	return cycles;
}

/* What reading the counter twice costs by itself. */
static uint64_t reading(void)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < ROUNDS; i++) {
		const uint64_t start = rte_rdtsc_precise(), cycles = rte_rdtsc_precise() - start;

		best = cycles < best ? cycles : best;
	}
	return best;
}

static uint64_t lowest(const struct compiled *c, struct shard *shard)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct request r;
		uint64_t sum = 0;

		/* A new arena per exchange, its chunk warm. */
		for (unsigned k = 0; k < RUNS; k++) {
			request_init(&r, browser);
			sum += run(c, &r, shard);
			request_fini(&r);
		}
		best = sum / RUNS < best ? sum / RUNS : best;
	}
	return best;
}

int main(void)
{
	struct shard shard = {0};

	rng_init(&shard.rng, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct compiled c;

		compile(&c, cases[i].json);
		printf("%-40s %5llu cycles\n", cases[i].name, (unsigned long long)(lowest(&c, &shard) - reading()));
		builder_free(c.b);
	}
	return 0;
}
