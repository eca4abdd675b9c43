/*
 * The verifiers on any bytes, and everything that reads a generation without checks on whatever they accept: lookups,
 * routing, filters.
 *
 * An input that begins with the magic is a block. Its first fields are put right (magic, format, size, checksum), or no
 * input would get past them. Any other input is a list of changes to a block that has one of everything
 * (tests/support/table_whole.h), so that every struct is a change away, whatever the layout has become.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/shard.h"
#include "filter/filter.h"
#include "proxy/proxy.h"
#include "route/regexes.h"
#include "route/route.h"
#include "table/table.h"
#include "tests/support/request.h"
#include "tests/support/table_whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *const heads[] = {
	"GET a.example.com /a?q=2\nX-A: 1", "POST b.c.example.com:80 /a/b/\nx-a: 2", "GET - /", "GET example. //a//",
	"OPTIONS a.example.com /a\nOrigin: https://a.b:1\nAccess-Control-Request-Method: PUT",
	"GET - /regexre\nX-B: b",
	/* These meet the first rule of the block that has one of everything. */
	"GET - /a/b?q=2\nX-A: 1\nX-B: a\nts: 0\nOrigin: https://a.b:1",
	"OPTIONS other /a/b?q=2\nX-A: 1\nX-B: a\nOrigin: http://c\nAccess-Control-Request-Method: PUT",
};

/* ---- what reads without checks ---- */

static handle_t start_callout(void *owner, uint64_t cluster, const struct http_message *head)
{
	(void)cluster;
	(void)head;
	return ++*(handle_t *)owner;
}

static void cut_callout(void *owner, handle_t callout)
{
	if (callout > *(handle_t *)owner)
		abort();
}

static void run_filter(const struct table *t, const struct table_filter *from, struct filter_exchange *x)
{
	const struct filter *f = filter_list[from->kind];
	void *copied = f->copy(x->arena, t, table_at(t, from->config));
	struct http_message response;

	if (copied == NULL)
		return;
	if (f->on_request != NULL)
		f->on_request(x, copied);
	if (f->on_response != NULL) {
		http_message_init(&response);
		x->response = &response;
		f->on_response(x, copied);
		x->response = NULL;
	}
	if (f->done != NULL)
		f->done(copied);
}

static void run_list(const struct table *t, struct table_list filters, struct filter_exchange *x)
{
	const struct table_filter *f = TABLE_LIST(t, filters, struct table_filter);

	for (uint32_t i = 0; i < filters.n && i < 16; i++)
		run_filter(t, &f[i], x);
}

static void run_filters(const struct table *t, const struct route_result *found, struct request *r,
                        const struct tuple *client)
{
	const struct table_backend *b = TABLE_LIST(t, found->rule->backends, struct table_backend);
	struct shard s = {0};
	handle_t callouts_n = 0;
	const struct filter_callouts callouts = {.start = start_callout, .cut = cut_callout, .owner = &callouts_n};
	struct filter_exchange x = {.shard = &s, .arena = &r->arena, .request = &r->m, .client = client,
	                            .path_match_bytes = found->match->path_bytes, .callouts = &callouts};

	rng_init(&s.rng, 1);
	run_list(t, found->rule->filters, &x);
	for (uint32_t i = 0; i < found->rule->backends.n && i < 4; i++)
		run_list(t, b[i].filters, &x);
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

/* ---- the block ---- */

static struct table *own(const void *bytes, size_t n)
{
	struct table *t = aligned_alloc(TABLE_ALIGN, (n + TABLE_ALIGN) & ~(size_t)(TABLE_ALIGN - 1));

	memcpy(t, bytes, n);
	return t;
}

/* Changes of four bytes: which word, what is done to it, with what. */
static void change(uint32_t *words, size_t words_n, const uint8_t *from, size_t n)
{
	static const uint32_t nasty[] = {0, 1, 7, 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};

	for (size_t i = 0; i + 4 <= n; i += 4) {
		const size_t at = (size_t)(from[i] | from[i + 1] << 8) % words_n;
		const uint8_t how = from[i + 2], by = from[i + 3];

		switch (how % 6) {
		case 0: words[at] = nasty[by % 8]; break;
		case 1: words[at] += (uint32_t)(int8_t)by; break;
		case 2: words[at] = by; break;
		case 3: ((uint8_t *)&words[at])[how >> 6] = by; break;
		case 4: words[at] = words[(at + by) % words_n]; break;
		case 5: words[at] ^= UINT32_C(1) << by % 32; break;
		}
	}
}

static struct table *changed(const uint8_t *changes, size_t changes_n, size_t *n)
{
	static struct table *whole;
	static size_t whole_bytes;
	struct table *t;

	if (whole == NULL)
		whole = fixture_table(&table_whole, &whole_bytes);
	*n = whole_bytes;
	t = own(whole, whole_bytes);
	change((uint32_t *)t, whole_bytes / 4, changes, changes_n);
	return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const uint64_t magic = TABLE_MAGIC;
	const bool is_block = n >= sizeof(magic) && memcmp(bytes, &magic, sizeof(magic)) == 0;
	struct table *t = is_block ? own(bytes, n) : changed(bytes, n, &n);
	const char *where;

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
