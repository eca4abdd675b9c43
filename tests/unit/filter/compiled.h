/* One compiled filter, and one request to run it on: for the tests of filters. */
#ifndef TEST_FILTER_COMPILED_H
#define TEST_FILTER_COMPILED_H

#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/filter.h"
#include "tests/support/request.h"
#include "tests/support/table_fixture.h"

/* A block with one filter list; the list is at the rule's place. */
struct compiled {
	struct builder *b;
	const struct table *t;
	struct table_filter filter;
};

static inline enum err compile(struct compiled *c, const char *json, struct filter_problem *problem)
{
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	struct filter_source from;
	size_t bytes;
	enum err e;

	assert_non_null(doc);
	from = filter_source(yyjson_doc_get_root(doc));
	c->b = builder_new();
	e = filter_compile(&from, c->b, &c->filter, problem);
	yyjson_doc_free(doc);
	if (e == OK)
		assert_int_equal(builder_finish(c->b, &c->t, &bytes), OK);
	return e;
}

static inline void exchange_of(struct request *r, struct filter_exchange *x, const char *scheme, uint16_t port,
                               uint32_t match_bytes)
{
	static struct tuple client;

	client.local = fixture_addr("198.18.0.10");
	client.local_port = port;
	r->m.scheme = (struct text){.at = scheme, .len = (uint32_t)strlen(scheme)};
	*x = (struct filter_exchange){
		.arena = &r->arena, .request = &r->m, .client = &client, .path_match_bytes = match_bytes};
}

/* The request may be sent, and the response come, when the tables are gone. */
static inline void *copied_of(const struct compiled *c, struct filter_exchange *x)
{
	const void *config = table_at(c->t, c->filter.config);

	return filter_list[c->filter.kind]->copy(x->arena, c->t, config);
}

static inline enum filter_verdict run_request(const struct compiled *c, struct filter_exchange *x)
{
	void *copied = copied_of(c, x);

	assert_non_null(copied);
	return filter_list[c->filter.kind]->on_request(x, copied);
}

static inline enum filter_verdict run(const struct compiled *c, struct request *r, struct filter_exchange *x,
                                      const char *scheme, uint16_t port, uint32_t match_bytes)
{
	exchange_of(r, x, scheme, port, match_bytes);
	assert_int_equal(filter_list[c->filter.kind]->verify(c->t, c->t->bytes, table_at(c->t, c->filter.config)), OK);
	return run_request(c, x);
}

/* The request's way and the response's, which is in *m. */
static inline enum filter_verdict run_both(const struct compiled *c, struct filter_exchange *x, struct http_message *m)
{
	const struct filter *f = filter_list[c->filter.kind];
	enum filter_verdict verdict = FILTER_CONTINUE;
	void *copied = copied_of(c, x);

	assert_non_null(copied);
	builder_free(c->b);
	if (f->on_request != NULL)
		verdict = f->on_request(x, copied);
	if (verdict != FILTER_CONTINUE || f->on_response == NULL)
		return verdict;
	x->response = m;
	return f->on_response(x, copied);
}

/* What compile() answered is a refusal that names the place. */
static inline void assert_refused(const char *name, struct compiled *c, enum err e,
                                  const struct filter_problem *problem, const char *path)
{
	if (e != ERR_INVALID)
		fail_msg("%s: accepted", name);
	if (strcmp(problem->path, path) != 0 || problem->message[0] == '\0')
		fail_msg("%s: got %s: %s", name, problem->path, problem->message);
	builder_free(c->b);
}

static inline void assert_text(const char *name, struct text got, const char *want)
{
	if (got.len != strlen(want) || memcmp(got.at, want, got.len) != 0)
		fail_msg("%s: got \"%.*s\", want \"%s\"", name, (int)got.len, got.at, want);
}

#endif
