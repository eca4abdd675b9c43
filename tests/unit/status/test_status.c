/*
 * Status: what is written for a world, that writing it once is enough, and what stays as it was.
 */
#include "../model/world.h"
#include "control/status/status.h"

#define DEFAULT_GW GATEWAY("gw", "01", HTTP)
#define RULE_A RULES("{" TO("a") "}")
#define T1 "2026-02-01T00:00:00Z"
#define T2 "2026-02-02T00:00:00Z"

static const struct publish_verdict live = {.state = PUBLISH_LIVE}, unreachable = {.state = PUBLISH_UNREACHABLE},
	refused = {.state = PUBLISH_REFUSED, .reason = "too many"};

/* The world after the patches were stored. */
static struct snapshot *store(struct snapshot *s, const struct status_patches *p)
{
	static const char *const kinds[] = {"Machine", "GatewayClass", "Gateway",      "HTTPRoute",
					    "Backend", "Service",      "EndpointSlice"};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *all = yyjson_mut_arr(doc);
	struct snapshot *next;
	char error[256] = "", *json;
	size_t n, json_n;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		const struct object *const *list = snapshot_list(s, kinds[k], &n);

		for (size_t i = 0; i < n; i++) {
			yyjson_mut_val *copy = yyjson_val_mut_copy(doc, list[i]->root);

			for (size_t j = 0; j < p->n; j++) {
				yyjson_doc *status;

				if (p->items[j].object != list[i])
					continue;
				status = yyjson_read(p->items[j].status, p->items[j].status_n, 0);
				assert_non_null(status);
				yyjson_mut_obj_remove_key(copy, "status");
				yyjson_mut_obj_add_val(doc, copy, "status",
						       yyjson_val_mut_copy(doc, yyjson_doc_get_root(status)));
				yyjson_doc_free(status);
			}
			yyjson_mut_arr_append(all, copy);
		}
	}
	json = yyjson_mut_val_write(all, 0, &json_n);
	next = snapshot_from_json(json, json_n, error);
	if (next == NULL)
		fail_msg("%s", error);
	free(json);
	yyjson_mut_doc_free(doc);
	snapshot_put(s);
	return next;
}

static struct status_patches compute(struct snapshot *s, const struct publish_verdict *v, const char *now)
{
	struct model *m = model_new(s, NULL, NULL);
	struct status_patches p;

	assert_int_equal(status_compute(m, v, now, &p), OK);
	model_free(m);
	return p;
}

static struct snapshot *settle(struct snapshot *s, const struct publish_verdict *v, const char *now)
{
	struct status_patches p = compute(s, v, now);

	s = store(s, &p);
	status_patches_fini(&p);
	return s;
}

/* ---- looking ---- */

static yyjson_val *status_of(struct snapshot *s, const char *kind, const char *namespace, const char *name)
{
	const struct object *o = snapshot_find(s, kind, namespace, name);

	assert_non_null(o);
	return doc_get(o->root, "status");
}

static yyjson_val *condition(yyjson_val *list, const char *type)
{
	size_t i, n;
	yyjson_val *item;

	yyjson_arr_foreach(list, i, n, item) {
		if (strcmp(doc_str(item, "type"), type) == 0)
			return item;
	}
	return NULL;
}

/* "True/Accepted 3 2026-..": status, reason, observedGeneration, lastTransitionTime. */
static const char *shown(yyjson_val *list, const char *type)
{
	static char text[256];
	yyjson_val *c = condition(list, type);

	snprintf(text, sizeof(text), "%s/%s %ld %s", doc_str(c, "status"), doc_str(c, "reason"),
	         (long)doc_int(c, "observedGeneration", -1), doc_str(c, "lastTransitionTime"));
	return c != NULL ? text : "none";
}

static yyjson_val *gateway_conditions(struct snapshot *s)
{
	return doc_get(status_of(s, "Gateway", "default", "gw"), "conditions");
}

static yyjson_val *listener(struct snapshot *s, size_t i)
{
	return yyjson_arr_get(doc_get(status_of(s, "Gateway", "default", "gw"), "listeners"), i);
}

static yyjson_val *parent(struct snapshot *s, size_t i)
{
	return yyjson_arr_get(doc_get(status_of(s, "HTTPRoute", "default", "r"), "parents"), i);
}

/* ---- tests ---- */

static void test_all_kinds(void **state)
{
	static const char *const objects[] = {
		MACHINE,
		CLASS,
		DEFAULT_GW,
		ROUTE("r", "01", RULE_A),
		SERVICE("a"),
		SLICE("a", "198.18.1.11"),
		BACKEND_WITH("b", "'endpoints':[{'ip':{'address':'198.18.1.12','port':81}}]"),
		NULL};
	struct snapshot *s = settle(world_new(objects, NULL), &live, T1);
	struct status_patches p;
	yyjson_val *status;

	(void)state;
	status = status_of(s, "GatewayClass", "", "sluice");
	assert_string_equal(shown(doc_get(status, "conditions"), "Accepted"), "True/Accepted 1 " T1);
	assert_true(yyjson_arr_size(doc_get(status, "supportedFeatures")) > 10);
	for (size_t i = 1; i < yyjson_arr_size(doc_get(status, "supportedFeatures")); i++)
		assert_true(strcmp(doc_str(yyjson_arr_get(doc_get(status, "supportedFeatures"), i - 1), "name"),
		                   doc_str(yyjson_arr_get(doc_get(status, "supportedFeatures"), i), "name")) < 0);

	assert_string_equal(shown(gateway_conditions(s), "Accepted"), "True/Accepted 3 " T1);
	assert_string_equal(shown(gateway_conditions(s), "Programmed"), "True/Programmed 3 " T1);
	status = doc_get(status_of(s, "Gateway", "default", "gw"), "addresses");
	assert_int_equal(yyjson_arr_size(status), 2);
	assert_string_equal(doc_str(yyjson_arr_get(status, 0), "value"), "198.18.0.10");
	assert_string_equal(doc_str(yyjson_arr_get(status, 0), "type"), "IPAddress");
	assert_string_equal(doc_str(yyjson_arr_get(status, 1), "value"), "2001:2::10");
	assert_int_equal(doc_int(listener(s, 0), "attachedRoutes", -1), 1);
	assert_string_equal(doc_str(yyjson_arr_get(doc_get(listener(s, 0), "supportedKinds"), 0), "kind"), "HTTPRoute");
	for (size_t i = 0; i < 3; i++) {
		static const char *const types[] = {"Accepted", "Programmed", "ResolvedRefs"};

		assert_memory_equal(shown(doc_get(listener(s, 0), "conditions"), types[i]), "True/", 5);
	}
	assert_string_equal(shown(doc_get(listener(s, 0), "conditions"), "Conflicted"), "False/NoConflicts 3 " T1);

	assert_string_equal(doc_str(parent(s, 0), "controllerName"), "sluice.internal/gateway-controller");
	assert_string_equal(doc_str(doc_get(parent(s, 0), "parentRef"), "group"), "gateway.networking.k8s.io");
	assert_string_equal(doc_str(doc_get(parent(s, 0), "parentRef"), "kind"), "Gateway");
	assert_null(doc_get(doc_get(parent(s, 0), "parentRef"), "namespace"));
	assert_string_equal(shown(doc_get(parent(s, 0), "conditions"), "Accepted"), "True/Accepted 3 " T1);
	assert_string_equal(shown(doc_get(parent(s, 0), "conditions"), "ResolvedRefs"), "True/ResolvedRefs 3 " T1);
	assert_string_equal(shown(doc_get(parent(s, 0), "conditions"), "PartiallyInvalid"), "none");

	assert_string_equal(shown(doc_get(status_of(s, "Machine", "", "self"), "conditions"), "Ready"),
			    "True/Ready 2 " T1);
	assert_int_equal(yyjson_arr_size(doc_get(status_of(s, "Machine", "", "self"), "vips")), 2);
	assert_string_equal(shown(doc_get(status_of(s, "Backend", "default", "b"), "conditions"), "Accepted"),
			    "True/Accepted 3 " T1);

	/* Once is enough. */
	p = compute(s, &live, T2);
	assert_int_equal(p.n, 0);
	status_patches_fini(&p);
	snapshot_put(s);
}

static void test_verdicts(void **state)
{
	static const char *const objects[] = {MACHINE, CLASS, DEFAULT_GW, NULL};
	struct snapshot *s = settle(world_new(objects, NULL), &unreachable, T1);
	struct status_patches p;

	(void)state;
	assert_string_equal(shown(gateway_conditions(s), "Programmed"), "False/Pending 3 " T1);
	assert_string_equal(shown(gateway_conditions(s), "Accepted"), "True/Accepted 3 " T1);
	assert_string_equal(shown(doc_get(status_of(s, "Machine", "", "self"), "conditions"), "Ready"),
			    "False/Pending 2 " T1);
	s = settle(s, &live, T2);
	assert_string_equal(shown(gateway_conditions(s), "Programmed"), "True/Programmed 3 " T2);
	assert_string_equal(shown(gateway_conditions(s), "Accepted"), "True/Accepted 3 " T1);
	/* Control starts again and has not found the data plane yet: nothing changes. */
	p = compute(s, &unreachable, "2026-02-03T00:00:00Z");
	assert_int_equal(p.n, 0);
	status_patches_fini(&p);
	s = settle(s, &refused, "2026-02-04T00:00:00Z");
	assert_string_equal(shown(gateway_conditions(s), "Programmed"), "False/Invalid 3 2026-02-04T00:00:00Z");
	assert_string_equal(doc_str(condition(gateway_conditions(s), "Programmed"), "message"),
	                    "The configuration was refused: too many.");
	assert_string_equal(shown(doc_get(listener(s, 0), "conditions"), "Programmed"),
			    "False/Invalid 3 2026-02-04T00:00:00Z");
	snapshot_put(s);
}

/* Another host claims an address: told while it does, and whether the address is used; never told before it was so. */
static void test_address_conflicts(void **state)
{
	static const struct {
		const char *name;
		struct publish_verdict verdict;
		const char *gateway, *programmed, *machine;
		const char *message;         /* of the Gateway's condition */
	} cases[] = {
		{"none", {.state = PUBLISH_LIVE}, "none", "True/Programmed 3 " T2, "none", ""},
		{"a VIP, defended", {.state = PUBLISH_LIVE, .conflicts_n = 1,
		 .conflicts = {{.claimant = "02:00:00:00:00:99", .usable = true}}},
		 "True/ClaimedByAnotherHost 3 " T2, "True/Programmed 3 " T2, "True/ClaimedByAnotherHost 2 " T2,
		 "198.18.0.10 is also claimed by 02:00:00:00:00:99 and is defended"},
		{"a VIP, not used", {.state = PUBLISH_LIVE, .conflicts_n = 1, .conflicts = {{.claimant = "02:00:00:00:00:99"}}},
		 "True/ClaimedByAnotherHost 3 " T2, "False/AddressNotUsable 3 " T2, "True/ClaimedByAnotherHost 2 " T2,
		 "198.18.0.10 is also claimed by 02:00:00:00:00:99 and is not used meanwhile"},
	};
	static const char *const objects[] = {MACHINE, CLASS, DEFAULT_GW, NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct publish_verdict v = cases[i].verdict;
		struct snapshot *s;

		print_message("%s\n", cases[i].name);
		assert_int_equal(addr_parse("198.18.0.10", &v.conflicts[0].addr), OK);
		s = settle(world_new(objects, NULL), &v, T2);
		assert_string_equal(shown(gateway_conditions(s), "AddressConflict"), cases[i].gateway);
		assert_string_equal(shown(gateway_conditions(s), "Programmed"), cases[i].programmed);
		assert_string_equal(doc_str(condition(gateway_conditions(s), "AddressConflict"), "message"), cases[i].message);
		assert_string_equal(shown(doc_get(status_of(s, "Machine", "", "self"), "conditions"), "AddressConflict"),
		                    cases[i].machine);
		/* When it is over that is said, if it was said before. */
		s = settle(s, &live, "2026-02-03T00:00:00Z");
		assert_string_equal(shown(gateway_conditions(s), "AddressConflict"),
		                    i == 0 ? "none" : "False/NoConflict 3 2026-02-03T00:00:00Z");
		assert_memory_equal(shown(gateway_conditions(s), "Programmed"), "True/", 5);
		snapshot_put(s);
	}
}

/* One of the machine's own addresses is told of the Machine alone. */
static void test_own_address_conflict(void **state)
{
	static const char *const objects[] = {MACHINE, CLASS, DEFAULT_GW, NULL};
	struct publish_verdict v = {.state = PUBLISH_LIVE, .conflicts_n = 1,
	                            .conflicts = {{.claimant = "02:00:00:00:00:99", .usable = true}}};
	struct snapshot *s;

	(void)state;
	assert_int_equal(addr_parse("198.18.0.1", &v.conflicts[0].addr), OK);
	s = settle(world_new(objects, NULL), &v, T1);
	assert_string_equal(shown(gateway_conditions(s), "AddressConflict"), "none");
	assert_string_equal(shown(doc_get(status_of(s, "Machine", "", "self"), "conditions"), "AddressConflict"),
	                    "True/ClaimedByAnotherHost 2 " T1);
	snapshot_put(s);
}

#define STORED(generation)                                                                                             \
	",'status':{'attachedListenerSets':4,'addresses':[{'type':'IPAddress','value':'198.18.0.12'}],'conditions':["  \
	"{'type':'Accepted','status':'True','observedGeneration':" generation                                          \
	",'lastTransitionTime':'2020-01-01T00:00:00Z','reason':'Accepted','message':'old'},"                           \
	"{'type':'Programmed','status':'True','observedGeneration':" generation                                        \
	",'lastTransitionTime':'2020-01-01T00:00:00Z','reason':'Programmed','message':'old'},"                         \
	"{'type':'example.org/"                                                                                        \
	"Mine','status':'True','lastTransitionTime':'2020-01-01T00:00:00Z','reason':'R','message':'m'}],"              \
	"'listeners':[{'name':'gone','attachedRoutes':7,'conditions':[]},{'name':'http','attachedRoutes':7,'"          \
	"conditions':["                                                                                                \
	"{'type':'Accepted','status':'False','observedGeneration':1,'lastTransitionTime':'2020-01-01T00:00:00Z','"     \
	"reason':'X','message':'old'}]}]}"

static void test_what_was_there(void **state)
{
	static const char *const objects[] = {
		MACHINE, CLASS, GATEWAY_WITH("default", "gw", "01", "'listeners':[" HTTP "]", STORED("2")), NULL};
	struct snapshot *s = settle(world_new(objects, NULL), &live, T1);
	yyjson_val *status;

	(void)state;
	status = status_of(s, "Gateway", "default", "gw");
	assert_int_equal(doc_int(status, "attachedListenerSets", 0), 4);
	assert_string_equal(shown(gateway_conditions(s), "example.org/Mine"), "True/R -1 2020-01-01T00:00:00Z");
	assert_string_equal(shown(gateway_conditions(s), "Accepted"), "True/Accepted 3 2020-01-01T00:00:00Z");
	assert_string_equal(doc_str(condition(gateway_conditions(s), "Accepted"), "message"),
			    "The Gateway is accepted.");
	assert_int_equal(yyjson_arr_size(doc_get(status, "listeners")), 1);
	assert_string_equal(shown(doc_get(listener(s, 0), "conditions"), "Accepted"), "True/Accepted 3 " T1);
	assert_string_equal(doc_str(yyjson_arr_get(doc_get(status, "addresses"), 0), "value"), "198.18.0.12");
	snapshot_put(s);
}

/* What was said of an older generation of the object is no answer for this one. */
static void test_old_generation(void **state)
{
	static const char *const objects[] = {
		MACHINE, CLASS, GATEWAY_WITH("default", "gw", "01", "'listeners':[" HTTP "]", STORED("2")), NULL};
	struct snapshot *s = settle(world_new(objects, NULL), &unreachable, T1);

	(void)state;
	assert_string_equal(shown(gateway_conditions(s), "Programmed"), "False/Pending 3 " T1);
	snapshot_put(s);
}

#define ENTRY(controller, gateway, more)                                                                               \
	"{'controllerName':'" controller "','parentRef':{'name':'" gateway "'" more "},'conditions':["                 \
	"{'type':'Accepted','status':'True','observedGeneration':1,'lastTransitionTime':'2020-01-01T00:00:00Z','"      \
	"reason':'X','message':'old'}]}"
#define ROUTE_STORED(parents, entries)                                                                                 \
	"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute'," META(                                       \
		"default", "r", "01") ","                                                                              \
				      "'spec':{'parentRefs':[" parents "]},'status':{'parents':[" entries "]}}"

static void test_parents(void **state)
{
	static const char *const objects[] = {
		MACHINE, CLASS, DEFAULT_GW,
		ROUTE_STORED("{'name':'gw','sectionName':'http'},{'name':'gw','namespace':'default','port':81},{'name':"
			     "'unknown'}",
			     ENTRY("other.example/x", "theirs",
				   "") "," ENTRY("sluice.internal/gateway-controller", "gone",
						 "") "," ENTRY("sluice.internal/gateway-controller", "gw",
							       ",'group':'gateway.networking.k8s.io','kind':'Gateway','"
							       "sectionName':'http'")),
		NULL};
	struct snapshot *s = settle(world_new(objects, NULL), &live, T1);

	(void)state;
	assert_string_equal(doc_str(parent(s, 0), "controllerName"), "other.example/x");
	assert_string_equal(shown(doc_get(parent(s, 0), "conditions"), "Accepted"), "True/X 1 2020-01-01T00:00:00Z");
	assert_string_equal(doc_str(doc_get(parent(s, 1), "parentRef"), "sectionName"), "http");
	assert_string_equal(shown(doc_get(parent(s, 1), "conditions"), "Accepted"),
			    "True/Accepted 3 2020-01-01T00:00:00Z");
	assert_int_equal(doc_int(doc_get(parent(s, 2), "parentRef"), "port", 0), 81);
	assert_string_equal(doc_str(doc_get(parent(s, 2), "parentRef"), "namespace"), "default");
	assert_string_equal(shown(doc_get(parent(s, 2), "conditions"), "Accepted"), "False/NoMatchingParent 3 " T1);
	assert_null(parent(s, 3));
	snapshot_put(s);
}

/* A route that left our gateways: our entries go, theirs stay; a route that never was ours is not touched. */
static void test_left(void **state)
{
	static const char *const left[] = {
		CLASS,
		ROUTE_STORED("{'name':'gw'}", ENTRY("other.example/x", "theirs", "") "," ENTRY(
						      "gateway.envoyproxy.io/gatewayclass-controller", "gw", "")),
		NULL};
	static const char *const never[] = {ROUTE("r", "01", ""), NULL};
	struct snapshot *s = settle(world_new(left, NULL), &live, T1);
	struct status_patches p;

	(void)state;
	assert_string_equal(doc_str(parent(s, 0), "controllerName"), "other.example/x");
	assert_null(parent(s, 1));
	snapshot_put(s);
	s = world_new(never, NULL);
	p = compute(s, &live, T1);
	assert_int_equal(p.n, 0);
	status_patches_fini(&p);
	snapshot_put(s);
}

static void test_partially_invalid(void **state)
{
	static const char *const objects[] = {
		MACHINE,      CLASS,
		DEFAULT_GW,   ROUTE("r", "01", RULES("{" TO("a") "},{'timeouts':{'request':'1y'}," TO("a") "}")),
		SERVICE("a"), NULL};
	struct snapshot *s = settle(world_new(objects, NULL), &live, T1);

	(void)state;
	assert_string_equal(shown(doc_get(parent(s, 0), "conditions"), "PartiallyInvalid"),
			    "True/UnsupportedValue 3 " T1);
	assert_string_equal(doc_str(condition(doc_get(parent(s, 0), "conditions"), "PartiallyInvalid"), "message"),
	                    "Dropped Rule 1: timeouts.request: \"1y\" is not a duration (answers 500).");
	snapshot_put(s);
}

static void test_refused_gateway(void **state)
{
	static const char *const objects[] = {
		MACHINE, CLASS, GATEWAY("gw", "01", "{'name':'https','port':443,'protocol':'HTTPS'}"), NULL};
	struct snapshot *s = settle(world_new(objects, NULL), &live, T1);

	(void)state;
	assert_string_equal(shown(gateway_conditions(s), "Accepted"), "False/ListenersNotValid 3 " T1);
	assert_string_equal(shown(gateway_conditions(s), "Programmed"), "False/Invalid 3 " T1);
	assert_string_equal(shown(doc_get(listener(s, 0), "conditions"), "Accepted"),
			    "False/UnsupportedProtocol 3 " T1);
	assert_string_equal(shown(doc_get(listener(s, 0), "conditions"), "Programmed"), "False/Invalid 3 " T1);
	assert_int_equal(yyjson_arr_size(doc_get(listener(s, 0), "supportedKinds")), 0);
	assert_non_null(doc_get(listener(s, 0), "supportedKinds"));
	snapshot_put(s);
}

static void test_second_machine(void **state)
{
	static const char *const objects[] = {
		MACHINE,
		"{'apiVersion':'sluice.internal/v1alpha1','kind':'Machine','metadata':{'name':'a','generation':1},"
		"'spec':{'workers':4}}", NULL};
	struct snapshot *s = settle(world_new(objects, NULL), &live, T1);

	(void)state;
	assert_string_equal(shown(doc_get(status_of(s, "Machine", "", "self"), "conditions"), "Ready"),
	                    "True/Ready 2 " T1);
	assert_string_equal(shown(doc_get(status_of(s, "Machine", "", "a"), "conditions"), "Ready"),
	                    "False/Ignored 1 " T1);
	snapshot_put(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_kinds),         cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_address_conflicts),
		cmocka_unit_test(test_own_address_conflict),
		cmocka_unit_test(test_what_was_there),    cmocka_unit_test(test_old_generation),
		cmocka_unit_test(test_parents),           cmocka_unit_test(test_left),
		cmocka_unit_test(test_partially_invalid), cmocka_unit_test(test_second_machine),
		cmocka_unit_test(test_refused_gateway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
