/*
 * More than the data plane has room for: each case is a world that asks for too much, what of it is in the model (never
 * more than the limit), and the condition that names the limit.
 */
#include "world.h"

#include "base/limits.h"
#include "control/model/model.h"

enum { OBJECTS_MAX = 50000, TEXT_MAX = 64 << 10 };

static char *objects[OBJECTS_MAX];
static size_t objects_n;

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *format, ...)
{
	va_list args;

	assert_true(objects_n < OBJECTS_MAX - 1);
	va_start(args, format);
	assert_true(vasprintf(&objects[objects_n++], format, args) > 0);
	va_end(args);
}

static void add_base(void)
{
	add("%s", MACHINE);
	add("%s", CLASS);
	add("%s", GATEWAY("gw", "01", HTTP));
}

/* A Service of so many endpoints, in a network of its own, and a route to it. */
static void add_service(int i, int endpoints)
{
	char list[TEXT_MAX] = "";
	int n = 0;

	for (int k = 0; k < endpoints; k++)
		n += snprintf(list + n, sizeof(list) - (size_t)n, "%s{'addresses':['10.%d.%d.%d']}", k > 0 ? "," : "",
		              i & 255, k / 250, k % 250 + 1);
	assert_true(n < TEXT_MAX);
	add(SERVICE_WITH("default", "s%05d", "{'port':80}"), i);
	add(SLICE_WITH("default", "s%05d-1", "s%05d", "IPv4", "{'port':8080}", "%s"), i, i, list);
}

static void add_route(int i)
{
	add(ROUTE("r%05d", "02", RULES("{'backendRefs':[{'name':'s%05d','port':80}]}")), i, i);
}

static struct model *build(struct snapshot **s)
{
	struct model *m;

	*s = world_new((const char *const *)objects, NULL);
	m = model_new(*s, NULL, NULL);
	for (size_t i = 0; i < objects_n; i++) {
		free(objects[i]);
		objects[i] = NULL;
	}
	objects_n = 0;
	return m;
}

static void says(const struct model_condition *c, const char *reason, const char *text)
{
	if (c->reason == NULL || strcmp(c->reason, reason) != 0 || strstr(c->message, text) == NULL)
		fail_msg("wanted %s and \"%s\", got %s: %s", reason, text, c->reason != NULL ? c->reason : "nothing",
		         c->reason != NULL ? c->message : "");
}

/* ---- addresses and routes of the machine ---- */

/* From the pool, or by name; the last one asks for one of the machine's own, for which there is always room. */
static void check_addresses(bool named, const char *reason)
{
	enum { GATEWAYS = 1100, OWN = 2 + 2 + 1 };   /* an IPv4 address and its broadcast, two ports, an IPv6 one */
	struct snapshot *s;
	struct model *m;

	add("%s", MACHINE_WITH("'ports':[{'name':'a','device':'x'},{'name':'b','device':'y'}],'addresses':["
	                       "{'address':'10.0.0.1/16','port':'a'},{'address':'2001:2::1/64','port':'b'}],"
	                       "'vipPool':[{'cidr':'10.0.0.0/16'}]"));
	add("%s", CLASS);
	for (int i = 0; i < GATEWAYS; i++) {
		if (named)
			add(GATEWAY_WITH("default", "g%04d", "01", "'addresses':[{'value':'10.0.%d.%d'}],'listeners':["
			                 HTTP "]", ""), i, 1 + i / 200, 1 + i % 200);
		else
			add(GATEWAY("g%04d", "01", HTTP), i);
	}
	add("%s", GATEWAY_WITH("default", "own", "02", "'addresses':[{'value':'10.0.0.1'}],'listeners':[" HTTP "]", ""));
	m = build(&s);
	assert_true(m->machine.accepted.ok);
	assert_int_equal(m->machine.addresses_n + OWN - 2, LIMIT_addresses);
	for (uint32_t i = 0; i < GATEWAYS; i++) {
		assert_int_equal(m->gateways[i].addresses_n, i < LIMIT_addresses - OWN);
		if (i < LIMIT_addresses - OWN)
			assert_true(m->gateways[i].addressed.ok);
		else
			says(&m->gateways[i].addressed, reason, "limit addresses: 1024");
	}
	assert_int_equal(m->gateways[GATEWAYS].addresses_n, 1);
	model_free(m);
	snapshot_put(s);
}

static void test_addresses(void **state)
{
	(void)state;
	check_addresses(false, "AddressNotAssigned");
}

static void test_addresses_by_name(void **state)
{
	(void)state;
	check_addresses(true, "AddressNotUsable");
}

static void test_ip_routes(void **state)
{
	enum { ROUTES = 1100 };
	static char list[ROUTES * 64];
	struct snapshot *s;
	struct model *m;
	int n = 0;

	(void)state;
	for (int i = 0; i < ROUTES; i++)
		n += snprintf(list + n, sizeof(list) - (size_t)n, "%s{'to':'20.%d.%d.0/24','via':'10.0.0.2'}",
		              i > 0 ? "," : "", i / 256, i % 256);
	add(MACHINE_WITH("'ports':[{'name':'a','device':'x'}],'addresses':[{'address':'10.0.0.1/16','port':'a'}],"
	                 "'routes':[%s]"), list);
	m = build(&s);
	assert_int_equal(m->machine.routes_n, LIMIT_ip_routes - 1);
	says(&m->machine.accepted, "Invalid", "spec.routes[1023].to: there is no room for it (limit ip_routes: 1024)");
	model_free(m);
	snapshot_put(s);
}

/* ---- clusters ---- */

static uint32_t endpoints_of(const struct model *m, uint32_t route)
{
	const struct model_cluster *c = m->routes[route].rules[0].backends[0].cluster;

	return c != NULL ? c->endpoints_n : UINT32_MAX;
}

static const struct {
	const char *name;
	uint32_t services, endpoints;
	uint32_t whole;              /* so many have all of them, and are not told anything */
	uint32_t next, next_n;       /* so many after these have so many, and are told the limit */
	const char *limit;
	const char *last;            /* what the last one is told; null: the same */
} cluster_rows[] = {
	{"endpoints of one cluster", 1, 1100, 0, LIMIT_cluster_endpoints, 1, "limit cluster_endpoints: 1024", NULL},
	{"clusters of many endpoints", 67, 65, 64, 64, 3, "limit cluster_rows_large: 64", NULL},
	{"clusters of some endpoints", 1100, 9, 1024 + 64, 8, 12, "limit cluster_rows_medium: 1024", NULL},
	{"endpoints of all clusters", 35, 1000, 32, 768, 1, "limit upstream_endpoints: 32768",
	 "limit upstream_endpoints: 32768"},
	{"clusters", 16386, 1, 16384, UINT32_MAX, 2, NULL, "limit upstream_clusters: 16384"},
};

static void test_clusters(void **state)
{
	const size_t row = (size_t)*state;
	const uint32_t whole = cluster_rows[row].whole, cut_end = whole + cluster_rows[row].next_n;
	struct snapshot *s;
	struct model *m;

	add_base();
	for (uint32_t i = 0; i < cluster_rows[row].services; i++) {
		add_service((int)i, (int)cluster_rows[row].endpoints);
		add_route((int)i);
	}
	m = build(&s);
	assert_int_equal(m->routes_n, cluster_rows[row].services);
	for (uint32_t i = 0; i < m->routes_n; i++) {
		const struct model_route *r = &m->routes[i];

		if (i < whole) {
			assert_int_equal(endpoints_of(m, i), cluster_rows[row].endpoints);
			assert_true(r->resolved_refs.ok && r->partially_invalid.reason == NULL);
		} else if (i < cut_end && cluster_rows[row].limit != NULL) {
			assert_int_equal(endpoints_of(m, i), cluster_rows[row].next);
			says(&r->partially_invalid, "LimitReached", cluster_rows[row].limit);
			assert_true(r->resolved_refs.ok && r->parents[0].accepted.ok);
		} else {
			assert_int_equal(endpoints_of(m, i), UINT32_MAX);
			assert_int_equal(r->rules[0].weight_sum, 1);
			says(&r->resolved_refs, "LimitReached", cluster_rows[row].last);
		}
	}
	model_free(m);
	snapshot_put(s);
}

/* ---- bytes ---- */

/* Two hundred kilobytes of manifest that ask for more than a gigabyte of tables: the oldest routes are served. */
static void test_bytes(void **state)
{
	enum { ROUTES = 14, LISTENERS = 64, HOSTNAMES = 16, RULES_N = 2, MATCHES = 64, HEADERS = 16 };
	static char listeners[LISTENERS * 64], hosts[HOSTNAMES * 32], headers[HEADERS * 40], matches[MATCHES * 1024];
	struct snapshot *s;
	struct model *m;
	bool full = false;
	int n;

	(void)state;
	add("%s", MACHINE);
	add("%s", CLASS);
	n = 0;
	for (int i = 0; i < LISTENERS; i++)
		n += sprintf(listeners + n, "%s" LISTENER("l%d", "%d", ""), i > 0 ? "," : "", i, 1000 + i);
	add(GATEWAY("gw", "01", "%s"), listeners);
	n = 0;
	for (int i = 0; i < HOSTNAMES; i++)
		n += sprintf(hosts + n, "%s'h%d.example'", i > 0 ? "," : "", i);
	n = 0;
	for (int i = 0; i < HEADERS; i++)
		n += sprintf(headers + n, "%s{'name':'h%d','value':'v'}", i > 0 ? "," : "", i);
	n = 0;
	for (int i = 0; i < MATCHES; i++)
		n += sprintf(matches + n, "%s{" PATH("PathPrefix", "/p%d") ",'headers':[%s]}", i > 0 ? "," : "", i, headers);
	for (int i = 0; i < ROUTES; i++)
		add(ROUTE("r%02d", "02", ",'hostnames':[%s]" RULES("{'matches':[%s]},{'matches':[%s]}")), i, hosts,
		    matches, matches);
	m = build(&s);
	for (uint32_t i = 0; i < m->routes_n; i++) {
		const struct model_route *r = &m->routes[i];

		if (!r->parents[0].accepted.ok)
			says(&r->parents[0].accepted, "LimitReached", "a generation has at most 1073741824 bytes");
		else
			assert_false(full);
		full |= !r->parents[0].accepted.ok;
	}
	assert_true(full);
	assert_true(m->routes[0].parents[0].accepted.ok);
	model_free(m);
	snapshot_put(s);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_addresses_by_name),
		cmocka_unit_test(test_ip_routes), cmocka_unit_test(test_bytes),
	};
	enum { ROWS = sizeof(cluster_rows) / sizeof(cluster_rows[0]), OTHERS = sizeof(others) / sizeof(others[0]) };
	struct CMUnitTest tests[ROWS + OTHERS];

	for (size_t i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = cluster_rows[i].name, .test_func = test_clusters, .initial_state = (void *)i,
		};
	memcpy(&tests[ROWS], others, sizeof(others));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
