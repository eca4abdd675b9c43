/* What explain says of a request: the rule that won, those that lost and why, and what follows from it, with its sources. */
#include "../test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shard.h"
#include "tests/support/table_fixture.h"
#include "worker/explain.h"

#define HEADERS "[{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{\"set\":[{\"name\":\"a\",\"value\":\"1\"}]}}"
#define REWRITE "{\"type\":\"URLRewrite\",\"urlRewrite\":{\"hostname\":\"b.example\"}}]"

static const struct fixture lab = {
	.listeners = {
		{"default/lab/http", "198.18.0.10", 80},
		{"default/lab/only", "198.18.0.10", 81, "one.example"},
	},
	.clusters = {
		{.name = "web", .endpoints = {{"198.18.1.11", 8080, 1}, {"2001:2::11", 8080, 1}}, .connect_timeout_ms = 5000},
		{.name = "canary", .endpoints = {{"198.18.1.12", 8080, 1}}},
	},
	.routes = {
		{.name = "httproute/default/shop/rule/0", .path = "/shop", .method = "POST", .backends = {{"web", 1, NULL}}},
		{.name = "httproute/default/shop/rule/1", .path = "/shop", .headers = {{"x-user", "[0-9]+", true}},
		 .backends = {{"web", 1, NULL}}},
		{.name = "httproute/default/shop/rule/2", .path = "/shop", .query = {{"q", "1"}}, .backends = {{"web", 1, NULL}}},
		{.name = "httproute/default/shop/rule/3", .section = "cart", .path = "/shop", .filters = HEADERS "," REWRITE,
		 .backends = {{"web", 2, NULL}, {"canary", 1, HEADERS "]"}, {"!", 1, NULL}}, .request_timeout_ms = 7000,
		 .backend_timeout_ms = 400000, .retry = {.codes = {500, 503}, .attempts = 3, .backoff_ms = 50},
		 .session = {.name = "stay", .permanent = true, .timeout_s = 60}},
		{.name = "httproute/default/plain/rule/0", .path = "/", .backends = {{"canary", 1, NULL}}},
		{.name = "mirror of something", .path = "/broken", .direct_status = 500},
	},
};

static struct health *health;    /* null: nobody knows */

/* Answers a question; the caller frees the document. */
static yyjson_doc *ask(const char *question)
{
	size_t bytes;
	struct table *t = fixture_table(&lab, &bytes);
	yyjson_doc *asked = yyjson_read(question, strlen(question), 0), *answer;
	yyjson_mut_doc *reply = yyjson_mut_doc_new(NULL);
	struct desk_question q = {.request = yyjson_doc_get_root(asked), .memfd = -1, .reply = reply,
	                          .root = yyjson_mut_obj(reply)};
	char *text;

	assert_non_null(asked);
	yyjson_mut_doc_set_root(reply, q.root);
	explain_answer(t, health, &q);
	/* Nothing of the table or the question may be needed any more. */
	text = yyjson_mut_write(reply, 0, &bytes);
	answer = yyjson_read(text, bytes, 0);
	free(text);
	yyjson_mut_doc_free(reply);
	yyjson_doc_free(asked);
	free(t);
	return answer;
}

static yyjson_val *only(yyjson_doc *answer)
{
	yyjson_val *items = doc_get(yyjson_doc_get_root(answer), "items");

	assert_true(doc_bool(yyjson_doc_get_root(answer), "ok", false));
	assert_int_equal(yyjson_arr_size(items), 1);
	return yyjson_arr_get(items, 0);
}

/* Both as JSON. */
static void expect(const char *name, yyjson_val *got, const char *want)
{
	char *text = got != NULL ? yyjson_val_write(got, 0, NULL) : strdup("nothing");

	if (strcmp(text, want) != 0)
		fail_msg("%s: %s", name, text);
	free(text);
}

#define GET(host, path) "{\"op\":\"explain\",\"method\":\"GET\",\"host\":\"" host "\",\"path\":\"" path "\""

static void test_answers(void **state)
{
	static const struct {
		const char *name, *question;
		const char *answer, *rule;
		int64_t status;
	} cases[] = {
		{"served", GET("a", "/x") "}", "served", "httproute/default/plain/rule/0", 0},
		{"broken rule", GET("a", "/broken") "}", "served", "mirror of something", 500},
		{"normal form", GET("a", "/x/../broken") "}", "served", "mirror of something", 500},
		{"redirected", GET("a", "/x%2f") "}", "redirected to the normal form of its path", "", 307},
		{"refused", GET("a", "/x%00") "}", "its path is refused", "", 400},
		{"no host", GET("two.example", "/") ",\"port\":81}", "no listener has this host", "", 404},
		{"host", GET("one.example", "/") ",\"port\":81}", "served", "httproute/default/plain/rule/0", 0},
		{"no rule", GET("a", "*") "}", "no rule matches", "", 404},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		yyjson_doc *d = ask(cases[i].question);
		yyjson_val *item = only(d);

		if (strcmp(doc_str(item, "answer"), cases[i].answer) != 0 || strcmp(doc_str(item, "rule"), cases[i].rule) != 0 ||
		    doc_int(item, "status", 0) != cases[i].status)
			fail_msg("%s: %s, %s", cases[i].name, doc_str(item, "answer"), doc_str(item, "rule"));
		yyjson_doc_free(d);
	}
}

static void test_nothing_listens(void **state)
{
	yyjson_doc *d = ask(GET("a", "/") ",\"port\":82}");

	(void)state;
	expect("items", doc_get(yyjson_doc_get_root(d), "items"), "[]");
	yyjson_doc_free(d);
	d = ask("{\"method\":\"GET\",\"host\":\"a\"}");
	expect("reason", doc_get(yyjson_doc_get_root(d), "reason"), "\"path: must be there, and not be longer than a request's\"");
	yyjson_doc_free(d);
}

/* Every match that was looked at, in the order of precedence. */
static void test_matches(void **state)
{
	static const char *const want[][3] = {
		{"httproute/default/shop/rule/0", "PathPrefix /shop, method POST", "another method"},
		{"httproute/default/shop/rule/1", "PathPrefix /shop, header x-user ~ [0-9]+", "another header x-user, or none"},
		{"httproute/default/shop/rule/2", "PathPrefix /shop, query parameter q = 1", "another query parameter q, or none"},
		{"httproute/default/shop/rule/3", "PathPrefix /shop", "won"},
		{"httproute/default/plain/rule/0", "PathPrefix /", "holds, but is less specific"},
	};
	yyjson_doc *d = ask(GET("a", "/shop/1?q=2") ",\"headers\":[{\"name\":\"X-User\",\"value\":\"12x\"}]}");
	yyjson_val *list = doc_get(only(d), "matches");

	(void)state;
	assert_int_equal(yyjson_arr_size(list), LENGTH(want));
	for (size_t i = 0; i < LENGTH(want); i++) {
		yyjson_val *m = yyjson_arr_get(list, i);

		assert_string_equal(doc_str(m, "rule"), want[i][0]);
		assert_string_equal(doc_str(m, "match"), want[i][1]);
		assert_string_equal(doc_str(m, "verdict"), want[i][2]);
		assert_int_equal(doc_bool(m, "won", false), strcmp(want[i][2], "won") == 0);
	}
	yyjson_doc_free(d);
}

#define OF_RULE "\"from\":\"HTTPRoute default/shop rule 3 cart\"}"
#define FROM_LIMIT(name) "\"from\":\"default (limits: " name ")\""
#define OF_LIMIT(name) FROM_LIMIT(name) "}"

static void test_consequences(void **state)
{
	yyjson_doc *d = ask(GET("a", "/shop") "}");
	yyjson_val *item = only(d);

	(void)state;
	expect("ruleName", doc_get(item, "ruleName"), "\"cart\"");
	expect("filters", doc_get(item, "filters"), "[\"RequestHeaderModifier\",\"URLRewrite\"]");
	expect("backends", doc_get(item, "backends"),
	       "[{\"cluster\":\"web\",\"weight\":2,\"sharePerMille\":500,\"balancer\":\"round_robin\",\"endpointsTotal\":2,"
	       "\"endpointsEjected\":0,\"endpoints\":[{\"address\":\"198.18.1.11:8080\",\"weight\":1,\"ejected\":false},"
	       "{\"address\":\"[2001:2::11]:8080\",\"weight\":1,\"ejected\":false}],\"filters\":[]},"
	       "{\"cluster\":\"canary\",\"weight\":1,\"sharePerMille\":250,\"balancer\":\"round_robin\",\"endpointsTotal\":1,"
	       "\"endpointsEjected\":0,\"endpoints\":[{\"address\":\"198.18.1.12:8080\",\"weight\":1,\"ejected\":false}],"
	       "\"filters\":[\"RequestHeaderModifier\"]},"
	       "{\"cluster\":null,\"weight\":1,\"sharePerMille\":250,\"filters\":[]}]");
	expect("timeouts", doc_get(item, "timeouts"),
	       "[{\"name\":\"request\",\"ms\":7000," OF_RULE ",{\"name\":\"backendRequest\",\"ms\":400000," OF_RULE
	       ",{\"name\":\"connect\",\"ms\":5000,\"from\":\"the cluster\",\"cluster\":\"web\"}"
	       ",{\"name\":\"connect\",\"ms\":10000," FROM_LIMIT("upstream_connect_s") ",\"cluster\":\"canary\"}"
	       ",{\"name\":\"streamIdle\",\"ms\":400000," OF_RULE ",{\"name\":\"requestHeader\",\"ms\":30000,"
	       OF_LIMIT("http_header_s") ",{\"name\":\"keepAlive\",\"ms\":3600000," OF_LIMIT("http_idle_s") "]");
	expect("retry", doc_get(item, "retry"), "{\"attempts\":3,\"codes\":[500,503],\"backoffMs\":50," OF_RULE);
	expect("session", doc_get(item, "session"),
	       "{\"kind\":\"cookie\",\"name\":\"stay\",\"timeoutS\":60,\"permanent\":true," OF_RULE);
	yyjson_doc_free(d);
}

static void test_defaults(void **state)
{
	yyjson_doc *d = ask(GET("a", "/") "}");
	yyjson_val *item = only(d);

	(void)state;
	expect("timeouts", doc_get(item, "timeouts"),
	       "[{\"name\":\"request\",\"ms\":null,\"from\":\"default\"},{\"name\":\"backendRequest\",\"ms\":null,"
	       "\"from\":\"default\"},{\"name\":\"connect\",\"ms\":10000," FROM_LIMIT("upstream_connect_s") ",\"cluster\":\"canary\"},"
	       "{\"name\":\"streamIdle\",\"ms\":300000," OF_LIMIT("stream_idle_s") ",{\"name\":\"requestHeader\",\"ms\":30000,"
	       OF_LIMIT("http_header_s") ",{\"name\":\"keepAlive\",\"ms\":3600000," OF_LIMIT("http_idle_s") "]");
	expect("retry", doc_get(item, "retry"), "{\"attempts\":2,\"codes\":[],\"backoffMs\":0,\"from\":\"default\"}");
	expect("session", doc_get(item, "session"), "nothing");
	expect("ruleName", doc_get(item, "ruleName"), "nothing");
	yyjson_doc_free(d);
}

static void test_ejected(void **state)
{
	const struct health_report bad = {
		.key = health_key(fixture_cluster_id("web"), fixture_endpoint_id("2001:2::11", 8080)), .failures = 5,
		.failures_eject = 5, .ejection_ms = 3000, .ejection_max_ms = 10000};
	struct shard *s = calloc(1, sizeof(*s));
	struct counters counters = {0};
	yyjson_val *web;
	yyjson_doc *d;

	(void)state;
	s->workers = 1;
	s->counters = &counters;
	wheel_init(&s->wheel, NS_PER_S);
	health = health_new(1);
	health_take(health, s, &bad);
	d = ask(GET("a", "/shop") "}");
	web = yyjson_arr_get(doc_get(only(d), "backends"), 0);
	expect("ejected", doc_get(web, "endpointsEjected"), "1");
	expect("the one", yyjson_arr_get(doc_get(web, "endpoints"), 1),
	       "{\"address\":\"[2001:2::11]:8080\",\"weight\":1,\"ejected\":true}");
	expect("the other", yyjson_arr_get(doc_get(web, "endpoints"), 0),
	       "{\"address\":\"198.18.1.11:8080\",\"weight\":1,\"ejected\":false}");
	yyjson_doc_free(d);
	health_free(health);
	health = NULL;
	free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers), cmocka_unit_test(test_nothing_listens), cmocka_unit_test(test_matches),
		cmocka_unit_test(test_consequences), cmocka_unit_test(test_defaults), cmocka_unit_test(test_ejected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
