/*
 * The compiler, judged by what the data plane's own lookup decides on the compiled block: each case is a world and
 * requests with the rule that must serve them. And: the same objects in any order give the same bytes, the verifier
 * takes every block, and ten thousand routes are compiled in time.
 */
#include <time.h>

#include "../model/world.h"
#include "control/compile/compile.h"
#include "filter/filter.h"
#include "route/route.h"
#include "table/table.h"

/* "GET a.example/path name:value name:value", and "default/r/0" or "404" or "default/r/0 500". */
struct request_row {
	const char *to;              /* "198.18.0.10:80" by default */
	const char *request;
	const char *served_by;
};

struct row {
	const char *name;
	const char *objects[WORLD_MAX];
	struct request_row requests[14];
};

#define DEFAULT_GW GATEWAY("gw", "01", HTTP)
#define MATCH(match, to) "{'matches':[{" match "}]," TO(to) "}"
#define PREFIX(value) PATH("PathPrefix", value)
#define EXACT(value) PATH("Exact", value)
#define HEADER(name, value) "{'name':'" name "','value':'" value "'}"
#define HEADERS(list) "'headers':[" list "]"
#define QUERY(list) "'queryParams':[" list "]"
#define HOST(name) ",'hostname':'" name "'"
#define HOSTS(list) ",'hostnames':[" list "]"
#define WORLD(...) {MACHINE, CLASS, SERVICE("a"), SLICE("a", "198.18.1.11"), __VA_ARGS__}

static const struct row rows[] = {
	{"prefixes by segments",
	 WORLD(DEFAULT_GW, ROUTE("r", "01", RULES(MATCH(PREFIX("/v2"), "a") "," MATCH(PREFIX("/s/"), "a")))),
	 {{NULL, "GET x/v2", "default/r/0"},
	  {NULL, "GET x/v2/", "default/r/0"},
	  {NULL, "GET x/v2/y", "default/r/0"},
	  {NULL, "GET x/v2?q=1", "default/r/0"},
	  {NULL, "GET x/v2example", "404"},
	  {NULL, "GET x/V2", "404"},
	  {NULL, "GET x/", "404"},
	  {NULL, "GET x/s", "default/r/1"},
	  {NULL, "GET x/s/t", "default/r/1"},
	  {NULL, "GET x/st", "404"}}},
	{"exact paths",
	 WORLD(DEFAULT_GW,
	       ROUTE("r", "01",
		     RULES(MATCH(EXACT("/one"), "a") "," MATCH(EXACT("/two/"), "a") "," MATCH(EXACT("/"), "a")))),
	 {{NULL, "GET x/one", "default/r/0"},
	  {NULL, "GET x/one/", "404"},
	  {NULL, "GET x/one/two", "404"},
	  {NULL, "GET x/One", "404"},
	  {NULL, "GET x/two/", "default/r/1"},
	  {NULL, "GET x/two", "404"},
	  {NULL, "GET x/", "default/r/2"},
	  {NULL, "GET x/?a=b", "default/r/2"}}},
	{"exact before prefix, longest prefix, whatever the order",
	 WORLD(DEFAULT_GW, ROUTE("r", "01",
				 RULES(MATCH(PREFIX("/"), "a") "," MATCH(PREFIX("/m"), "a") "," MATCH(
					 PREFIX("/m/n"), "a") "," MATCH(EXACT("/m/n"), "a")))),
	 {{NULL, "GET x/m/n", "default/r/3"},
	  {NULL, "GET x/m/n/o", "default/r/2"},
	  {NULL, "GET x/m/n/", "default/r/2"},
	  {NULL, "GET x/m/o", "default/r/1"},
	  {NULL, "GET x/z", "default/r/0"}}},
	{"method, headers, parameters decide in this order",
	 WORLD(DEFAULT_GW,
	       ROUTE("r", "01",
		     RULES(MATCH(PREFIX("/"), "a") "," MATCH(QUERY(HEADER("q", "1")), "a") "," MATCH(
			     HEADERS(HEADER("One", "1")),
			     "a") "," MATCH(HEADERS(HEADER("one", "1") "," HEADER("two", "2")),
					    "a") "," MATCH("'method':'POST'",
							   "a") "," MATCH(QUERY(HEADER("q", "1") "," HEADER("p", "2")),
									  "a")))),
	 {{NULL, "GET x/", "default/r/0"},
	  {NULL, "GET x/?q=1", "default/r/1"},
	  {NULL, "GET x/?p=2&q=1", "default/r/5"},
	  {NULL, "GET x/?Q=1", "default/r/0"},
	  {NULL, "GET x/?q=1 ONE:1", "default/r/2"},
	  {NULL, "GET x/?q=1 one:1 two:2", "default/r/3"},
	  {NULL, "POST x/?q=1 one:1 two:2", "default/r/4"},
	  {NULL, "GET x/ one:x", "default/r/0"}}},
	{"conditions of a match are all needed, matches any",
	 WORLD(DEFAULT_GW, ROUTE("r", "01",
				 RULES("{'matches':[{" PREFIX("/a") "," HEADERS(HEADER("v", "2")) "},{" EXACT(
					 "/b") ",'method':'PUT'}]," TO("a") "}"))),
	 {{NULL, "GET x/a v:2", "default/r/0"},
	  {NULL, "GET x/a", "404"},
	  {NULL, "PUT x/b", "default/r/0"},
	  {NULL, "GET x/b", "404"}}},
	{"of a repeated header name the first counts",
	 WORLD(DEFAULT_GW, ROUTE("r", "01", RULES(MATCH(HEADERS(HEADER("X", "1") "," HEADER("x", "2")), "a")))),
	 {{NULL, "GET x/ x:1", "default/r/0"}, {NULL, "GET x/ x:2", "404"}}},
	{"equal matches: the older route",
	 WORLD(DEFAULT_GW, ROUTE("a-young", "03", RULES(MATCH(PREFIX("/"), "a"))),
	       ROUTE("b-old", "02", RULES(MATCH(PREFIX("/"), "a")))),
	 {{NULL, "GET x/", "default/b-old/0"}}},
	{"equal matches and age: by name, then the first rule",
	 WORLD(DEFAULT_GW, ROUTE("b", "02", RULES(MATCH(PREFIX("/"), "a"))),
	       ROUTE("a", "02", RULES(MATCH(PREFIX("/"), "a") "," MATCH(PREFIX("/"), "a")))),
	 {{NULL, "GET x/", "default/a/0"}}},
	{"more specific wins across routes",
	 WORLD(DEFAULT_GW, ROUTE("old", "01", HOSTS("'x.example'") RULES(MATCH(PREFIX("/"), "a"))),
	       ROUTE("new", "02",
		     HOSTS("'x.example'")
			     RULES(MATCH(PREFIX("/long"), "a") "," MATCH(HEADERS(HEADER("h", "1")), "a")))),
	 {{NULL, "GET x.example/long/x", "default/new/0"},
	  {NULL, "GET x.example/", "default/old/0"},
	  {NULL, "GET x.example/ h:1", "default/new/1"}}},
	{"hostnames of routes: exact, wildcards by length, all",
	 WORLD(DEFAULT_GW, ROUTE("e", "01", HOSTS("'a.b.example'") RULES(MATCH(PREFIX("/e"), "a"))),
	       ROUTE("w2", "01", HOSTS("'*.b.example'") RULES(MATCH(PREFIX("/w"), "a"))),
	       ROUTE("w1", "01", HOSTS("'*.example'") RULES(MATCH(PREFIX("/w1"), "a") "," MATCH(PREFIX("/w"), "a"))),
	       ROUTE("all", "01", RULES(MATCH(PREFIX("/"), "a")))),
	 {{NULL, "GET a.b.example/e", "default/e/0"},
	  {NULL, "GET A.B.Example:8080/e", "default/e/0"},
	  {NULL, "GET a.b.example/w", "default/w2/0"},
	  {NULL, "GET x.y.b.example/w", "default/w2/0"},
	  {NULL, "GET a.b.example/w1", "default/w1/0"},
	  {NULL, "GET b.example/w", "default/w1/1"},
	  {NULL, "GET a.b.example/z", "default/all/0"},
	  {NULL, "GET example/w", "default/all/0"},
	  {NULL, "GET /w", "default/all/0"},
	  {NULL, "GET b.example/e", "default/all/0"}}},
	{"isolation: the most specific listener only",
	 WORLD(GATEWAY("gw", "01",
		       LISTENER("all", "80", "") "," LISTENER("w1", "80", HOST("*.example")) "," LISTENER(
			       "w2", "80", HOST("*.foo.example")) "," LISTENER("e", "80", HOST("abc.foo.example"))),
	       ROUTE_IN("default", "all", "01", "{'name':'gw','sectionName':'all'}", RULES(MATCH(PREFIX("/all"), "a"))),
	       ROUTE_IN("default", "w1", "01", "{'name':'gw','sectionName':'w1'}", RULES(MATCH(PREFIX("/w1"), "a"))),
	       ROUTE_IN("default", "w2", "01", "{'name':'gw','sectionName':'w2'}",
			HOSTS("'bar.foo.example','*.foo.example'") RULES(MATCH(PREFIX("/w2"), "a"))),
	       ROUTE_IN("default", "e", "01", "{'name':'gw','sectionName':'e'}", RULES(MATCH(PREFIX("/e"), "a")))),
	 {{NULL, "GET bar.test/all", "default/all/0"},
	  {NULL, "GET bar.test/w1", "404"},
	  {NULL, "GET bar.example/w1", "default/w1/0"},
	  {NULL, "GET bar.example/all", "404"},
	  {NULL, "GET bar.foo.example/w2", "default/w2/0"},
	  {NULL, "GET zip.foo.example/w2", "default/w2/0"},
	  {NULL, "GET bar.foo.example/w1", "404"},
	  {NULL, "GET abc.foo.example/e", "default/e/0"},
	  {NULL, "GET abc.foo.example/w2", "404"},
	  {NULL, "GET foo.example/w1", "default/w1/0"},
	  {NULL, "GET example/all", "default/all/0"}}},
	{"a listener's hostname binds routes without one",
	 WORLD(GATEWAY("gw", "01",
		       LISTENER("e", "80", HOST("very.specific.example")) "," LISTENER("w", "80",
										       HOST("*.wildcard.io"))),
	       ROUTE("r", "01", RULES(MATCH(PREFIX("/"), "a")))),
	 {{NULL, "GET very.specific.example/", "default/r/0"},
	  {NULL, "GET x.y.wildcard.io/", "default/r/0"},
	  {NULL, "GET wildcard.io/", "404"},
	  {NULL, "GET non.matching.example/", "404"}}},
	{"ports and addresses are apart",
	 WORLD(GATEWAY("gw", "01", HTTP "," LISTENER("alt", "8080", "")), GATEWAY("two", "02", HTTP),
	       ROUTE_IN("default", "one", "01", "{'name':'gw','port':80}", RULES(MATCH(PREFIX("/"), "a"))),
	       ROUTE_IN("default", "alt", "01", "{'name':'gw','port':8080}", RULES(MATCH(PREFIX("/"), "a"))),
	       ROUTE_IN("default", "two", "01", "{'name':'two'}", RULES(MATCH(PREFIX("/"), "a")))),
	 {{"198.18.0.10:80", "GET x/", "default/one/0"},
	  {"198.18.0.10:8080", "GET x/", "default/alt/0"},
	  {"198.18.0.11:80", "GET x/", "default/two/0"},
	  {"2001:2::11:80", "GET x/", "default/two/0"},
	  {"198.18.0.11:8080", "GET x/", "404"},
	  {"198.18.0.12:80", "GET x/", "404"}}},
	{"a rule that cannot be obeyed answers 500 alone",
	 WORLD(DEFAULT_GW,
	       ROUTE("r", "01",
		     RULES(MATCH(PREFIX("/ok"), "a") ",{'matches':[{" PREFIX("/late") "}],'timeouts':{'request':'1y'}," TO(
			     "a") "},{'matches':[{" PREFIX("/none") "}]}"))),
	 {{NULL, "GET x/ok", "default/r/0"},
	  {NULL, "GET x/late", "default/r/1 500"},
	  {NULL, "GET x/none", "default/r/2 500"}}},
	{"a route on a listener that is refused is nowhere",
	 WORLD(GATEWAY("gw", "01",
		       LISTENER("a", "80", "") ",{'name':'b','port':80,'protocol':'TLS'}," LISTENER("c", "81", "")),
	       ROUTE("r", "01", RULES(MATCH(PREFIX("/"), "a")))),
	 {{"198.18.0.10:80", "GET x/", "404"}, {"198.18.0.10:81", "GET x/", "default/r/0"}}},
};

/* ---- requests ---- */

enum { FIELDS_MAX = 8 };

static struct text word(const char **at)
{
	const size_t len = strcspn(*at, " ");
	const struct text t = {.at = *at, .len = (uint32_t)len};

	*at += len + ((*at)[len] == ' ');
	return t;
}

static void parse(const char *line, struct http_message *m, struct http_field fields[static FIELDS_MAX])
{
	struct text url;
	const char *slash;

	*m = (struct http_message){.fields = fields, .fields_max = FIELDS_MAX};
	m->method_text = word(&line);
	m->method = (uint8_t)http_method(m->method_text);
	url = word(&line);
	slash = memchr(url.at, '/', url.len);
	m->authority = (struct text){.at = url.at, .len = (uint32_t)(slash - url.at)};
	m->path = (struct text){.at = slash, .len = url.len - m->authority.len};
	while (*line != '\0') {
		const struct text f = word(&line);
		const char *colon = memchr(f.at, ':', f.len);
		struct http_field *out = &fields[m->fields_n++];

		out->name = (struct text){.at = f.at, .len = (uint32_t)(colon - f.at)};
		out->value = (struct text){.at = colon + 1, .len = f.len - out->name.len - 1};
		out->id = (uint16_t)http_field_id(out->name);
		out->removed = false;
	}
}

static void parse_target(const char *to, struct addr *a, uint16_t *port)
{
	char text[64];
	char *colon;

	snprintf(text, sizeof(text), "%s", to != NULL ? to : "198.18.0.10:80");
	colon = strrchr(text, ':');
	*colon = '\0';
	*port = (uint16_t)atoi(colon + 1);
	assert_int_equal(addr_parse(text, a), OK);
}

static void decide(const struct table *t, const struct request_row *row, char *out, size_t size)
{
	struct http_field fields[FIELDS_MAX];
	struct http_message request;
	struct route_result found;
	struct addr to;
	uint16_t port;

	parse(row->request, &request, fields);
	parse_target(row->to, &to, &port);
	if (route_find(t, NULL, &to, port, &request, &found) != ROUTE_FOUND) {
		snprintf(out, size, "404");
		return;
	}
	/* "httproute/default/r/rule/0" is "default/r/0" here. */
	const char *name = table_text(t, found.rule->name) + strlen("httproute/");
	const int len = (int)(found.rule->name.len - strlen("httproute/"));
	const char *rule = memmem(name, (size_t)len, "/rule/", 6);

	snprintf(out, size, "%.*s/%.*s", (int)(rule - name), name, (int)(len - (rule - name) - 6), rule + 6);
	if (found.rule->direct_status != 0)
		snprintf(out + strlen(out), size - strlen(out), " %u", found.rule->direct_status);
}

/* The first rule is one of this virtual host's; behind its name come its filters and backends. */
static void check_rule_hints(const struct table *t, const struct table_vhost *v)
{
	const struct table_rule *r = table_at(t, v->near_rule);

	assert_int_equal((v->near_rule - t->rules.at) % sizeof(*r), 0);
	assert_true(v->near_rule >= t->rules.at && v->near_rule < t->rules.at + t->rules.n * sizeof(*r));
	assert_int_equal(v->near_backends, r->name.at);
	assert_true(r->backends.n == 0 || r->backends.at > r->name.at);
	assert_true(v->near_segments > v->near_rule && v->near_segments <= t->nodes.at);
}

/* Virtual hosts stand in the order of the slots of their listener. */
static void check_slot_hints(const struct table *t, const struct table_listener *l)
{
	const struct table_slot *slots = TABLE_LIST(t, l->hosts, struct table_slot);

	for (uint32_t i = 0; i < l->hosts.slots_n; i++)
		assert_true(slots[i].hash == 0 || slots[i].value == l->near_vhosts + i);
}

/* The one whose trie begins behind that of v[i]; null: none. */
static const struct table_vhost *next_vhost(const struct table *t, uint32_t i)
{
	const struct table_vhost *v = TABLE_LIST(t, t->vhosts, struct table_vhost), *next = NULL;

	for (uint32_t k = 0; k < t->vhosts.n; k++) {
		if (v[k].root > v[i].root && (next == NULL || v[k].root < next->root))
			next = &v[k];
	}
	return next;
}

/* What is fetched ahead is what a lookup reads: nothing else would tell when it is not. */
static void check_hints(const struct table *t)
{
	const struct table_vhost *v = TABLE_LIST(t, t->vhosts, struct table_vhost);
	const struct table_node *n = TABLE_LIST(t, t->nodes, struct table_node);

	for (uint32_t i = 0; i < t->listeners.n; i++)
		check_slot_hints(t, &TABLE_LIST(t, t->listeners, struct table_listener)[i]);
	for (uint32_t i = 0; i < t->vhosts.n; i++) {
		const struct table_vhost *next = next_vhost(t, i);
		const uint32_t end = next != NULL ? next->root : t->nodes.n;
		const uint32_t matches_end = next != NULL ? next->near_matches : t->nodes.at;

		if (v[i].near_segments == 0) /* of an empty slot */
			continue;
		assert_int_equal(v[i].near_edges, t->edges.at + n[v[i].root].edge * sizeof(struct table_edge));
		check_rule_hints(t, &v[i]);
		for (uint32_t k = v[i].root; k < end; k++) {
			assert_true(n[k].exact.n == 0 || (n[k].exact.at >= v[i].near_matches && n[k].exact.at < matches_end));
			assert_true(n[k].prefix.n == 0 || (n[k].prefix.at >= v[i].near_matches && n[k].prefix.at < matches_end));
		}
	}
}

static void verify(const struct generation *g)
{
	const struct table *t = g->table;
	const struct table_rule *rules = TABLE_LIST(t, t->rules, struct table_rule);
	const char *where = "";

	if (table_verify(t, g->bytes, &where) != OK)
		fail_msg("the verifier refuses the block: %s", where);
	check_hints(t);
	for (uint32_t i = 0; i < t->rules.n; i++)
		assert_int_equal(filter_verify(t, rules[i].filters, &where), OK);
}

static struct generation compile(struct snapshot *s)
{
	struct model *m = model_new(s, NULL, NULL);
	struct generation g;

	assert_int_equal(generation_compile(m, &g), OK);
	model_free(m);
	verify(&g);
	return g;
}

static void run_row(void **state)
{
	const struct row *row = *state;
	struct snapshot *s = world_new(row->objects, NULL);
	struct generation g = compile(s);

	for (size_t i = 0; i < sizeof(row->requests) / sizeof(row->requests[0]) && row->requests[i].request != NULL;
	     i++) {
		char got[256];

		decide(g.table, &row->requests[i], got, sizeof(got));
		if (strcmp(got, row->requests[i].served_by) != 0)
			fail_msg("%s: \"%s\" is served by %s, not %s", row->name, row->requests[i].request, got,
				 row->requests[i].served_by);
	}
	generation_fini(&g);
	snapshot_put(s);
}

/* ---- what the block says besides ---- */

#define SENDING(more) "{'apiVersion':'sluice.internal/v1alpha1','kind':'Machine','metadata':{'name':'self'},'spec':{" \
	"'ports':[{'name':'p','device':'net_null0'}],'addresses':[{'address':'198.18.0.1/24','port':'p'}],"         \
	"'vipPool':[{'first':'198.18.0.10','last':'198.18.0.12'}]" more "}}"

/* How TCP sends, as binds and clusters have it: "control pacing ecn". */
static const struct {
	const char *name, *machine, *binds, *clusters;
} sendings[] = {
	{"nothing said", SENDING(""), "1 1 1", "1 1 0"},
	{"each for itself", SENDING(",'tcp':{'listeners':{'congestionControl':'newreno','ecn':false,'pacing':false},"
	                            "'upstreams':{'ecn':true}}"), "0 0 0", "1 1 1"},
	{"upstreams only", SENDING(",'tcp':{'upstreams':{'congestionControl':'newreno','pacing':false}}"), "1 1 1", "0 0 0"},
	{"a control that is none, past admission", SENDING(",'tcp':{'listeners':{'congestionControl':'vegas'}}"), "1 1 1",
	 "1 1 0"},
};

static const char *sending_text(const struct table_sending *s, char text[static 16])
{
	snprintf(text, 16, "%u %u %u", s->control, s->pacing, s->ecn);
	return text;
}

static void test_sending(void **state)
{
	(void)state;
	assert_int_equal(TABLE_CUBIC, 1);
	for (size_t i = 0; i < sizeof(sendings) / sizeof(sendings[0]); i++) {
		const char *objects[] = {sendings[i].machine, CLASS, DEFAULT_GW, SERVICE("a"), SLICE("a", "198.18.1.11"),
		                         ROUTE("r", "01", RULES("{" TO("a") "}")), NULL};
		struct snapshot *s = world_new(objects, NULL);
		struct generation g = compile(s);
		char text[16];

		print_message("%s\n", sendings[i].name);
		assert_true(g.table->binds.n > 0 && g.table->clusters.n > 0);
		assert_string_equal(sending_text(&TABLE_LIST(g.table, g.table->binds, struct table_bind)->sending, text),
		                    sendings[i].binds);
		assert_string_equal(
			sending_text(&TABLE_LIST(g.table, g.table->clusters, struct table_cluster)->sending, text),
			sendings[i].clusters);
		generation_fini(&g);
		snapshot_put(s);
	}
}

static void test_backends(void **state)
{
	static const char *const objects[] = {
		MACHINE,
		CLASS,
		DEFAULT_GW,
		SERVICE("a"),
		SLICE("a", "198.18.1.11"),
		SERVICE("b"),
		ROUTE("r", "01",
		      RULES("{'name':'first','timeouts':{'request':'1s','backendRequest':'500ms'},'backendRefs':[{'name':'a','port':"
			    "80,'weight':9,"
			    "'filters':[{'type':'RequestHeaderModifier','requestHeaderModifier':{'set':[{'name':'x','"
			    "value':'y'}]}}]},"
			    "{'name':'gone','port':80,'weight':2},{'name':'b','port':80,'weight':1}]},"
			    "{'filters':[{'type':'RequestRedirect','requestRedirect':{'scheme':'https'}}]}")),
		NULL};
	struct snapshot *s = world_new(objects, NULL);
	struct generation g = compile(s);
	const struct table *t = g.table;
	const struct table_rule *r = TABLE_LIST(t, t->rules, struct table_rule);
	const struct table_backend *b = TABLE_LIST(t, r[0].backends, struct table_backend);
	const struct table_cluster *c = TABLE_LIST(t, t->clusters, struct table_cluster);

	(void)state;
	assert_int_equal(t->workers, 2);
	assert_int_equal(t->access_log, TABLE_ACCESS_TEXT);
	assert_int_equal(t->ports.n, 2);
	assert_int_equal(t->addresses.n, 6);
	assert_int_equal(t->rules.n, 2);
	assert_int_equal(r[0].section.len, 5);
	assert_memory_equal(table_text(t, r[0].section), "first", 5);
	assert_int_equal(r[1].section.len, 0);
	assert_int_equal(r[0].weight_sum, 12);
	assert_int_equal(r[0].request_timeout_ms, 1000);
	assert_int_equal(r[0].backend_timeout_ms, 500);
	assert_int_equal(r[0].backends.n, 3);
	assert_int_equal(b[0].filters.n, 1);
	assert_int_equal(b[1].cluster, TABLE_NONE);
	assert_int_equal(b[1].weight, 2);
	assert_int_equal(c[b[0].cluster].endpoints.n, 1);
	assert_int_equal(c[b[2].cluster].endpoints.n, 0);
	assert_int_equal(table_find_cluster(t, c[b[0].cluster].id), b[0].cluster);
	assert_int_equal(r[1].filters.n, 1);
	assert_int_equal(r[1].direct_status, 0);
	assert_int_equal(TABLE_LIST(t, r[1].filters, struct table_filter)->kind, FILTER_request_redirect);
	generation_fini(&g);
	snapshot_put(s);
}

static void test_access_log(void **state)
{
	static const struct {
		const char *name, *objects[2];
		enum table_access_log want;
	} cases[] = {
		{"not said", {MACHINE_WITH("'workers':1")}, TABLE_ACCESS_TEXT},
		{"nothing is said of it", {MACHINE_WITH("'accessLog':{}")}, TABLE_ACCESS_TEXT},
		{"text", {MACHINE_WITH("'accessLog':{'format':'Text'}")}, TABLE_ACCESS_TEXT},
		{"JSON", {MACHINE_WITH("'accessLog':{'format':'JSON'}")}, TABLE_ACCESS_JSON},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snapshot *s = world_new(cases[i].objects, NULL);
		struct generation g = compile(s);

		if (g.table->access_log != cases[i].want)
			fail_msg("%s: %u", cases[i].name, g.table->access_log);
		generation_fini(&g);
		snapshot_put(s);
	}
}

/* CORS goes first, so that nothing else answers a preflight; the rest stays in its order. */
static void test_filter_order(void **state)
{
	static const uint32_t want[] = {FILTER_cors, FILTER_request_mirror, FILTER_request_redirect};
	static const char *const objects[] = {
		MACHINE, CLASS, DEFAULT_GW, SERVICE("a"),
		ROUTE("r", "01",
		      RULES("{'filters':[{'type':'RequestMirror','requestMirror':{'backendRef':{'name':'a','port':80}}},"
			    "{'type':'RequestRedirect','requestRedirect':{'scheme':'https'}},{'type':'CORS','cors':{}}]}")),
		NULL};
	struct snapshot *s = world_new(objects, NULL);
	struct generation g = compile(s);
	const struct table_rule *r = TABLE_LIST(g.table, g.table->rules, struct table_rule);
	const struct table_filter *f = TABLE_LIST(g.table, r[0].filters, struct table_filter);

	(void)state;
	assert_int_equal(r[0].filters.n, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(f[i].kind, want[i]);
	generation_fini(&g);
	snapshot_put(s);
}

/* ---- determinism ---- */

static void test_order(void **state)
{
	static const char *const objects[] = {
		MACHINE,
		CLASS,
		GATEWAY("gw", "01", LISTENER("w", "80", HOST("*.example") FROM_ALL) "," HTTP),
		GATEWAY("two", "01", HTTP),
		GATEWAY("three", "02", HTTP),
		SERVICE("a"),
		SERVICE("b"),
		SLICE("a", "198.18.1.11"),
		SLICE_WITH("default", "a-2", "a", "IPv4", "{'port':8080}",
			   "{'addresses':['198.18.1.13']},{'addresses':['198.18.1.12']}"),
		SLICE("b", "198.18.1.12"),
		BACKEND_WITH("x", "'endpoints':[{'ip':{'address':'198.18.1.12','port':81}}]"),
		ROUTE("r1", "03",
		      HOSTS("'a.example','*.example'")
			      RULES(MATCH(PREFIX("/x/y"), "b") "," MATCH(HEADERS(HEADER("h", "1")), "a"))),
		ROUTE("r2", "02", RULES(MATCH(EXACT("/x"), "a") "," MATCH(PREFIX("/x"), "missing"))),
		ROUTE("r3", "02", RULES(MATCH(EXACT("/x"), "b"))),
		ROUTE_IN("other", "r4", "01", "{'name':'gw','namespace':'default'}",
			 RULES("{'backendRefs':[{'name':'a','namespace':'default','port':80}]}")),
		ROUTE_IN("default", "r5", "01", "{'name':'two'},{'name':'three'}",
			 RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'x'}]}")),
		GRANT("default", "HTTPRoute", "other", "Service", ""),
		NULL};
	enum { OBJECTS = sizeof(objects) / sizeof(objects[0]) - 1, SHUFFLES = 50 };
	struct snapshot *s = world_new(objects, NULL);
	struct generation first = compile(s);
	unsigned order[OBJECTS];
	uint64_t seed = 42;

	(void)state;
	snapshot_put(s);
	for (unsigned i = 0; i < OBJECTS; i++)
		order[i] = i;
	for (int round = 0; round < SHUFFLES; round++) {
		struct generation again;

		for (unsigned i = OBJECTS - 1; i > 0; i--) {
			unsigned k, keep = order[i];

			seed = seed * 6364136223846793005u + 1442695040888963407u;
			k = (unsigned)((seed >> 33) % (i + 1));
			order[i] = order[k];
			order[k] = keep;
		}
		s = world_new(objects, order);
		again = compile(s);
		assert_int_equal(again.bytes, first.bytes);
		assert_memory_equal(again.table, first.table, first.bytes);
		generation_fini(&again);
		snapshot_put(s);
	}
	generation_fini(&first);
}

/* ---- names chosen so that their hashes meet ---- */

/* 1,500 hostnames in one run of 4,096 slots, which the verifier would not take: they get another seed, and are found. */
static void test_names_that_meet(void **state)
{
	enum { HOSTS_N = 1500, SLOTS = 4096, BASE = 5 };
	static const char *objects[BASE + HOSTS_N + 1] = {MACHINE, CLASS, DEFAULT_GW, SERVICE("a"),
	                                                  SLICE("a", "198.18.1.11")};
	static char names[HOSTS_N][32];
	struct snapshot *s;
	struct generation g, again;
	char *text;
	int found = 0;

	(void)state;
	for (int i = 0; found < HOSTS_N; i++) {
		snprintf(names[found], sizeof(names[0]), "h%d.example", i);
		if ((table_hash_host(0, names[found], strlen(names[found])) & (SLOTS - 1)) >= HOSTS_N)
			continue;
		assert_true(asprintf(&text, ROUTE("r%d", "01", HOSTS("'%s'") RULES(MATCH(PREFIX("/"), "a"))), found,
		                     names[found]) > 0);
		objects[BASE + found++] = text;
	}
	s = world_new(objects, NULL);
	g = compile(s);
	assert_int_not_equal(g.table->hash_seed, 0);
	for (int i = 0; i < HOSTS_N; i++) {
		char request[64], want[64], got[256];

		snprintf(request, sizeof(request), "GET %.31s/", names[i]);
		snprintf(want, sizeof(want), "default/r%d/0", i);
		decide(g.table, &(struct request_row){.request = request}, got, sizeof(got));
		assert_string_equal(got, want);
	}
	again = compile(s);
	assert_memory_equal(again.table, g.table, g.bytes);
	generation_fini(&again);
	generation_fini(&g);
	snapshot_put(s);
	for (int i = 0; i < HOSTS_N; i++)
		free((void *)(uintptr_t)objects[BASE + i]);
}

/* ---- size ---- */

static double ms_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)(now.tv_sec - from->tv_sec) * 1e3 + (double)(now.tv_nsec - from->tv_nsec) / 1e6;
}

/* 10,000 routes of 3 rules: the aim is 100 ms; the bound leaves room for a busy machine and the sanitizers. */
static void test_many_routes(void **state)
{
	enum { ROUTES = 10000, SERVICES = 100, MS_MAX = 3000 };
	static const char *const base[] = {MACHINE, CLASS, DEFAULT_GW, NULL};
	const char **objects = calloc(ROUTES + 2 * SERVICES + 4, sizeof(*objects));
	struct timespec from;
	struct snapshot *s;
	struct model *m;
	struct generation g;
	size_t n = 0;
	double modelled, compiled;

	(void)state;
	for (; base[n] != NULL; n++)
		objects[n] = strdup(base[n]);
	for (int i = 0; i < SERVICES; i++) {
		char *text;

		assert_true(asprintf(&text, SERVICE_WITH("default", "svc-%d", "{'port':80}"), i) > 0);
		objects[n++] = text;
		assert_true(asprintf(&text,
				     SLICE_WITH("default", "svc-%d-1", "svc-%d", "IPv4", "{'port':8080}",
						"{'addresses':['198.18.1.%d']}"),
				     i, i, i + 1) > 0);
		objects[n++] = text;
	}
	for (int i = 0; i < ROUTES; i++) {
		char *text;

		assert_true(
			asprintf(&text,
				 ROUTE("route-%d", "02",
				       HOSTS("'host-%d.example'") RULES("{'matches':[{" PATH(
					       "PathPrefix",
					       "/api/v%d") "}],'filters':[{'type':'RequestHeaderModifier',"
							   "'requestHeaderModifier':{'set':[{'name':'x-route','value':'"
							   "%d'}]}}],'backendRefs':[{'name':'svc-%d','port':80,'weight'"
							   ":9},{'name':'svc-%d','port':80,'weight':1}]},"
							   "{'matches':[{" PATH(
								   "Exact",
								   "/login") ",'method':'POST'}],'backendRefs':[{'name'"
									     ":'svc-%d','port':80}]},"
									     "{'matches':[{'headers':[{'name':'X-"
									     "Version','value':'2'}]}],'backendRefs':[{"
									     "'name':'svc-%d','port':80}]}")),
				 i, i % 2000, i, i, i % SERVICES, (i + 1) % SERVICES, i % SERVICES, i % SERVICES) > 0);
		objects[n++] = text;
	}
	s = world_new(objects, NULL);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	m = model_new(s, NULL, NULL);
	modelled = ms_since(&from);
	assert_int_equal(generation_compile(m, &g), OK);
	compiled = ms_since(&from);
	print_message("10,000 routes: model %.1f ms, compile %.1f ms, %zu bytes\n", modelled, compiled - modelled,
		      g.bytes);
	assert_int_equal(g.table->rules.n, 3 * ROUTES);
	verify(&g);
	assert_true(compiled < MS_MAX);
	generation_fini(&g);
	model_free(m);
	snapshot_put(s);
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)objects[i]);
	free(objects);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_sending), cmocka_unit_test(test_access_log),
		cmocka_unit_test(test_backends),
		cmocka_unit_test(test_filter_order), cmocka_unit_test(test_order),
		cmocka_unit_test(test_names_that_meet), cmocka_unit_test(test_many_routes),
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]), OTHERS = sizeof(others) / sizeof(others[0]) };
	struct CMUnitTest tests[ROWS + OTHERS];

	for (size_t i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = run_row, .initial_state = (void *)(uintptr_t)&rows[i],
		};
	memcpy(&tests[ROWS], others, sizeof(others));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
