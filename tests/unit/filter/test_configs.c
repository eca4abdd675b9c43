/*
 * The verifiers of the filters' configs, 32-bit word by word: each is refused when it is broken, or harmless whatever
 * it is (then the row's value is only one of many). No word may be without a row, and no filter.
 */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "filter/filter.h"
#include "tests/support/table_whole.h"

enum { CONFIG = 0xff, WORDS_MAX = 64 };

struct row {
	const char *name;            /* null: no more rows */
	unsigned list;               /* CONFIG, or the config's word with the `at` of the list whose first item it is */
	unsigned word;
	uint32_t value;
	enum err want;               /* OK: harmless */
	const char *text;            /* not null: what it is the `at` of begins with that instead */
};

#define BOUNDS ERR_TABLE_BOUNDS
#define VALUE ERR_TABLE_VALUE
#define BEYOND 0xfffffff0
#define WORD(name, list, at, value, want) {name, list, at, value, want, NULL}
#define BYTES(name, list, at, text, want) {name, list, at, 0, want, text}
#define SPAN(name, list, at) \
	WORD(name ".at", list, at, BEYOND, BOUNDS), WORD(name ".len", list, (at) + 1, 1 << 30, BOUNDS)
#define LINE(name, list, at) SPAN(name, list, at), BYTES(name, list, at, "\n", VALUE)
#define LIST(name, at, max) \
	WORD(name ".at", CONFIG, at, BEYOND, BOUNDS), WORD(name ".at", CONFIG, at, 8, BOUNDS), \
	WORD(name ".n", CONFIG, (at) + 1, (max) + 1, VALUE)
#define EDIT(name, list) \
	LINE(name ".name", list, 0), WORD(name ".name.len", list, 1, 0, VALUE), LINE(name ".value", list, 2)
#define EDITS(at) \
	LIST("set", at, 16), EDIT("set", at), BYTES("set.name", at, 0, "te", VALUE), \
	LIST("add", (at) + 2, 16), EDIT("add", (at) + 2)
#define PATH(at) \
	WORD("path.by.at", CONFIG, at, BEYOND, BOUNDS), WORD("path.by.len", CONFIG, (at) + 1, 1026, VALUE), \
	BYTES("path.by", CONFIG, at, "/\n", VALUE), BYTES("path.by", CONFIG, at, "x", VALUE), \
	WORD("path.type", CONFIG, (at) + 2, 3, VALUE), \
	WORD("path.spare", CONFIG, (at) + 3, UINT32_MAX, OK)

static const struct row modifier_rows[] = {
	EDITS(0),
	LIST("remove", 4, 16),
	LINE("remove.name", 4, 0),
	SPAN("remove.value", 4, 2),
	{0},
};

static const struct row redirect_rows[] = {
	WORD("status", CONFIG, 0, 200, VALUE),
	WORD("port", CONFIG, 0, 0xffff0000 | 301, OK),
	WORD("scheme", CONFIG, 1, 3, VALUE),
	WORD("spare", CONFIG, 1, 0xffffff02, OK),
	LINE("hostname", CONFIG, 2),
	WORD("hostname.len", CONFIG, 3, 254, VALUE),
	PATH(4),
	WORD("path.by.len, full", CONFIG, 5, 0, VALUE),
	{0},
};

static const struct row rewrite_rows[] = {
	LINE("hostname", CONFIG, 0), WORD("hostname.len", CONFIG, 1, 254, VALUE), PATH(2),
	BYTES("path.by, a query in a prefix", CONFIG, 2, "/?", VALUE),
	{0},
};

static const struct row cors_rows[] = {
	LIST("origins", 0, 64),
	SPAN("origin.host", 0, 0),
	BYTES("origin.host: compared", 0, 0, "\n", OK),
	WORD("origin.host_kind", 0, 2, 0x03010050, VALUE),
	WORD("origin.port, https: compared", 0, 2, 0x02ffffff, OK),
	WORD("origin.spare", 0, 3, UINT32_MAX, OK),
	LINE("methods", CONFIG, 2),
	LINE("headers", CONFIG, 4),
	LINE("exposed", CONFIG, 6),
	LINE("max_age", CONFIG, 8),
	WORD("flags: others are not looked at", CONFIG, 10, UINT32_MAX, OK),
	WORD("spare", CONFIG, 11, UINT32_MAX, OK),
	{0},
};

static const struct row mirror_rows[] = {
	WORD("cluster, unknown", CONFIG, 0, UINT32_MAX, OK),
	WORD("cluster, unknown", CONFIG, 1, UINT32_MAX, OK),
	WORD("numerator", CONFIG, 2, 101, VALUE),
	WORD("denominator", CONFIG, 3, 0, VALUE),
	{0},
};

static const struct row answer_rows[] = {
	WORD("status", CONFIG, 0, 199, VALUE),
	WORD("status", CONFIG, 0, 600, VALUE),
	WORD("status without a body", CONFIG, 0, 204, VALUE),
	WORD("spare", CONFIG, 1, UINT32_MAX, OK),
	SPAN("body", CONFIG, 2),
	BYTES("body: any bytes", CONFIG, 2, "\n", OK),
	LINE("content_type", CONFIG, 4),
	EDITS(6),
	WORD("remove.at, of none", CONFIG, 10, BEYOND, OK),
	WORD("remove.n", CONFIG, 11, 17, VALUE),
	{0},
};

static const struct row host_rows[] = {
	LINE("header", CONFIG, 0),
	WORD("header.len", CONFIG, 1, 0, VALUE),
	WORD("forward: 0 or not", CONFIG, 2, UINT32_MAX, OK),
	WORD("spare", CONFIG, 3, UINT32_MAX, OK),
	{0},
};

static const struct row *const rows_of[FILTERS] = {
	[FILTER_request_header_modifier] = modifier_rows, [FILTER_response_header_modifier] = modifier_rows,
	[FILTER_request_redirect] = redirect_rows, [FILTER_url_rewrite] = rewrite_rows, [FILTER_cors] = cors_rows,
	[FILTER_request_mirror] = mirror_rows, [FILTER_direct_response] = answer_rows,
	[FILTER_host_rewrite] = host_rows,
};

static const struct table_filter *find(const struct table *t, struct table_list filters, uint32_t kind)
{
	const struct table_filter *f = TABLE_LIST(t, filters, struct table_filter);

	for (uint32_t i = 0; i < filters.n; i++) {
		if (f[i].kind == kind)
			return &f[i];
	}
	return NULL;
}

static const struct table_filter *filter_of(const struct table *t, uint32_t kind)
{
	const struct table_rule *r = TABLE_LIST(t, t->rules, struct table_rule);
	const struct table_backend *b = TABLE_LIST(t, r->backends, struct table_backend);
	const struct table_filter *f = find(t, r->filters, kind);

	f = f != NULL ? f : find(t, b->filters, kind);
	if (f == NULL)
		fail_msg("table_whole has no filter %s", filter_list[kind]->name);
	return f;
}

static void change(struct table *t, uint32_t *config, const struct row *r)
{
	uint32_t *from = r->list == CONFIG ? config : (uint32_t *)((char *)t + config[r->list]);

	if (r->text != NULL)
		memcpy((char *)t + from[r->word], r->text, strlen(r->text));
	else
		from[r->word] = r->value;
}

static void test_words(void **state)
{
	(void)state;
	for (uint32_t kind = 0; kind < FILTERS; kind++) {
		for (const struct row *r = rows_of[kind]; r != NULL && r->name != NULL; r++) {
			size_t bytes;
			struct table *t = fixture_table(&table_whole, &bytes);
			uint32_t *config = (uint32_t *)((char *)t + filter_of(t, kind)->config);
			enum err e;

			assert_int_equal(filter_list[kind]->verify(t, bytes, config), OK);
			change(t, config, r);
			e = filter_list[kind]->verify(t, bytes, config);
			if (e != r->want)
				fail_msg("%s: %s: got %d", filter_list[kind]->name, r->name, e);
			free(t);
		}
	}
}

static void test_none_is_forgotten(void **state)
{
	(void)state;
	for (uint32_t kind = 0; kind < FILTERS; kind++) {
		const struct filter *f = filter_list[kind];
		bool has_row[WORDS_MAX] = {false};

		for (const struct row *r = rows_of[kind]; r != NULL && r->name != NULL; r++)
			has_row[r->word] |= r->list == CONFIG;
		for (unsigned i = 0; i < f->config_bytes / 4; i++) {
			if (!has_row[i])
				fail_msg("filter %s: no row for word %u of its config", f->name, i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_none_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
