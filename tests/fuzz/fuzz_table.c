/*
 * The verifiers on any bytes, and everything that reads a generation without checks on whatever they accept: lookups,
 * routing, filters. The first fields of the block are put right (magic, format, size, checksum), or no input would
 * get past them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "filter/filter.h"
#include "proxy/proxy.h"
#include "route/regexes.h"
#include "route/route.h"
#include "table/table.h"
#include "tests/support/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *const heads[] = {
	"GET a.example.com /a?q=2\nX-A: 1", "POST b.c.example.com:80 /a/b/\nx-a: 2", "GET - /", "GET example. //a//",
	"OPTIONS a.example.com /a\nOrigin: https://a.b:1\nAccess-Control-Request-Method: PUT",
};

static void run_filter(const struct table *t, const struct table_filter *from, struct filter_exchange *x)
{
	const struct filter *f = filter_list[from->kind];
	void *copied = f->copy(x->arena, t, table_at(t, from->config));
	struct http_message response;

	if (copied == NULL)
		return;
	if (f->on_request != NULL)
		f->on_request(x, copied);
	if (f->on_response == NULL)
		return;
	http_message_init(&response);
	x->response = &response;
	f->on_response(x, copied);
	x->response = NULL;
}

static void run_filters(const struct table *t, const struct route_result *found, struct request *r,
                        const struct tuple *client)
{
	const struct table_list filters = found->rule->filters;
	const struct table_filter *f = TABLE_LIST(t, filters, struct table_filter);
	struct filter_exchange x = {.arena = &r->arena, .request = &r->m, .client = client,
	                            .path_match_bytes = found->match->path_bytes};

	for (uint32_t i = 0; i < filters.n && i < 16; i++)
		run_filter(t, &f[i], &x);
}

static void serve(const struct table *t, const struct regex_set *set, const struct table_bind *b, struct request *r)
{
	const struct tuple client = {.local = b->addr, .local_port = b->port};
	struct route_result found;

	if (route_find(t, regex_set_of(set, 0), &b->addr, b->port, &r->m, &found) == ROUTE_FOUND)
		run_filters(t, &found, r, &client);
}

static void look_up(const struct table *t, const struct regex_set *set)
{
	const struct table_bind *b = TABLE_LIST(t, t->binds, struct table_bind);

	for (uint32_t i = 0; i < t->binds.n; i++) {
		if (table_find_bind(t, &b[i].addr, b[i].port) == NULL)
			abort();
		for (size_t k = 0; k < sizeof(heads) / sizeof(heads[0]) && i < 8; k++) {
			struct request r;

			request_init(&r, heads[k]);
			serve(t, set, &b[i], &r);
			request_fini(&r);
		}
	}
	table_find_cluster(t, 1);
}

/* A pattern that is none makes the generation one that is refused. */
static void look_up_with_regexes(const struct table *t)
{
	struct regexes *all = regexes_new(1);
	struct regex_set *set;

	if (regexes_take(all, t, &set) == OK) {
		look_up(t, set);
		regexes_drop(all, set);
	}
	regexes_free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct table *t = aligned_alloc(TABLE_ALIGN, (n + TABLE_ALIGN) & ~(size_t)(TABLE_ALIGN - 1));
	const char *where;

	memcpy(t, bytes, n);
	if (n >= sizeof(*t)) {
		t->magic = TABLE_MAGIC;
		t->format = TABLE_FORMAT;
		t->bytes = (uint32_t)n;
		t->checksum = table_checksum(t, n);
	}
	if (table_verify(t, n, &where) != OK) {
		if (where == NULL || *where == '\0')
			abort();
	} else if (proxy_verify(t, &where) == OK) {
		look_up_with_regexes(t);
	}
	free(t);
	return 0;
}
