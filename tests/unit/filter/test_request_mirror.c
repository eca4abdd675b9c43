/* RequestMirror: what it is compiled from, and the host that a copy is sent. Copies at work: unit/proxy/test_mirror.c. */
#include "compiled.h"

#include "base/shard.h"

#define MIRROR(spec) "{\"type\":\"RequestMirror\",\"requestMirror\":{" spec "}}"

static enum err compile_mirror(struct compiled *c, const char *json, uint64_t cluster, struct filter_problem *problem)
{
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	struct filter_source from;
	size_t bytes;
	enum err e;

	assert_non_null(doc);
	from = filter_source(yyjson_doc_get_root(doc));
	from.cluster = cluster;
	c->b = builder_new();
	e = filter_compile(&from, c->b, &c->filter, problem);
	yyjson_doc_free(doc);
	if (e == OK)
		assert_int_equal(builder_finish(c->b, &c->t, &bytes), OK);
	return e;
}

static void test_refused(void **state)
{
	static const struct { const char *name, *spec; uint64_t cluster; const char *path; } cases[] = {
		{"no backend", MIRROR(""), 0, "requestMirror.backendRef"},
		{"percent 101", MIRROR("\"percent\":101"), 1, "requestMirror.percent"},
		{"percent negative", MIRROR("\"percent\":-1"), 1, "requestMirror.percent"},
		{"percent is a text", MIRROR("\"percent\":\"1\""), 1, "requestMirror.percent"},
		{"both", MIRROR("\"percent\":1,\"fraction\":{\"numerator\":1}"), 1, "requestMirror.percent"},
		{"numerator missing", MIRROR("\"fraction\":{}"), 1, "requestMirror.fraction.numerator"},
		{"numerator above the denominator", MIRROR("\"fraction\":{\"numerator\":101}"), 1,
		 "requestMirror.fraction.numerator"},
		{"denominator 0", MIRROR("\"fraction\":{\"numerator\":0,\"denominator\":0}"), 1,
		 "requestMirror.fraction.denominator"},
		{"denominator too large", MIRROR("\"fraction\":{\"numerator\":0,\"denominator\":4294967296}"), 1,
		 "requestMirror.fraction.denominator"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem = {0};
		struct compiled c;
		enum err e;

		e = compile_mirror(&c, cases[i].spec, cases[i].cluster, &problem);
		assert_refused(cases[i].name, &c, e, &problem, cases[i].path);
	}
}

/* A double of the callouts: remembers what it was asked for. */
static struct {
	unsigned starts;
	uint64_t cluster;
	char host[64];
} asked;

static handle_t start(void *owner, uint64_t cluster, const struct http_message *head)
{
	assert_ptr_equal(owner, &asked);
	asked.starts++;
	asked.cluster = cluster;
	snprintf(asked.host, sizeof(asked.host), "%.*s", (int)head->authority.len, head->authority.at);
	return 0; /* it could not be: nothing more is asked */
}

static void test_host(void **state)
{
	static const struct { const char *name, *host, *want; bool connect; } cases[] = {
		{"a name", "a.example", "a.example-shadow", false},
		{"a name and a port", "a.example:8080", "a.example-shadow:8080", false},
		{"none", "-", "", false},
		{"an IPv4 address", "198.18.0.1", "198.18.0.1-shadow", false},
		{"an IPv6 address stays", "[2001:2::1]:80", "[2001:2::1]:80", false},
		{"CONNECT is not copied", "a.example:443", "", true},
	};
	const struct filter_callouts callouts = {.start = start, .owner = &asked};
	struct shard shard = {0};

	(void)state;
	rng_init(&shard.rng, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter_problem problem;
		struct filter_exchange x;
		struct compiled c;
		struct request r;
		char head[128];

		memset(&asked, 0, sizeof(asked));
		assert_int_equal(compile_mirror(&c, MIRROR(""), 77, &problem), OK);
		snprintf(head, sizeof(head), "%s %s /", cases[i].connect ? "CONNECT" : "GET", cases[i].host);
		request_init(&r, head);
		exchange_of(&r, &x, "http", 80, 1);
		x.shard = &shard;
		x.callouts = &callouts;
		assert_int_equal(run_request(&c, &x), FILTER_CONTINUE);
		assert_int_equal(asked.starts, cases[i].connect ? 0 : 1);
		assert_int_equal(asked.cluster, cases[i].connect ? 0 : 77);
		if (strcmp(asked.host, cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].name, asked.host);
		/* The request itself keeps its host. */
		assert_text(cases[i].name, r.m.authority, strcmp(cases[i].host, "-") == 0 ? "" : cases[i].host);
		request_fini(&r);
		builder_free(c.b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
