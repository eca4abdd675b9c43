/*
 * What it costs to bring a configuration to the data plane, stage by stage: 10,000 HTTPRoutes of 3 rules each (matches on
 * paths and headers, 2 backends) and 300 Services of 4 endpoints. The best of several runs counts, in CPU time of one
 * core: what others do on the machine is not ours.
 *
 *   bench-compile [ROUTES [RUNS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "control/compile/compile.h"
#include "control/schema/kind.h"
#include "control/status/status.h"
#include "proxy/proxy.h"
#include "table/table.h"

enum { ROUTES = 10000, RUNS = 7, SERVICES = 300, ENDPOINTS = 4, RULES = 3 };

enum stage { READ, SNAPSHOT, MODEL, COMPILE, VERIFY, HASH, STATUS, STAGES };

static const char *const stage_names[STAGES] = {
	[READ] = "read all objects (at start only)",
	[SNAPSHOT] = "snapshot with one change",
	[MODEL] = "model",
	[COMPILE] = "compile, with hash and verify",
	[VERIFY] = "verify in the data plane, with hash",
	[HASH] = "hash of the block alone",
	[STATUS] = "status of all objects, all new",
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- the objects ---- */

static const char *const base =
	"{\"apiVersion\":\"sluice.internal/v1alpha1\",\"kind\":\"Machine\",\"metadata\":{\"name\":\"self\"},\"spec\":{"
	"\"workers\":2,\"ports\":[{\"name\":\"a\",\"device\":\"net_null0\"}],"
	"\"addresses\":[{\"address\":\"198.18.0.1/16\",\"port\":\"a\"}],\"vipPool\":[{\"cidr\":\"198.19.0.0/24\"}]}},"
	"{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"GatewayClass\",\"metadata\":{\"name\":\"sluice\"},"
	"\"spec\":{\"controllerName\":\"sluice.internal/gateway-controller\"}},"
	"{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"Gateway\",\"metadata\":{\"namespace\":\"default\","
	"\"name\":\"gw\",\"creationTimestamp\":\"2026-01-01T00:00:00Z\"},\"spec\":{\"gatewayClassName\":\"sluice\","
	"\"listeners\":[{\"name\":\"http\",\"port\":80,\"protocol\":\"HTTP\"}]}}";

static void put_service(FILE *out, int i)
{
	fprintf(out, ",{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"namespace\":\"default\",\"name\":"
	        "\"svc-%d\"},\"spec\":{\"ports\":[{\"name\":\"\",\"port\":80,\"protocol\":\"TCP\"}]}}", i);
	fprintf(out, ",{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"namespace\":"
	        "\"default\",\"name\":\"svc-%d-1\",\"labels\":{\"kubernetes.io/service-name\":\"svc-%d\"}},"
	        "\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"\",\"port\":8080}],\"endpoints\":[", i, i);
	for (int k = 0; k < ENDPOINTS; k++)
		fprintf(out, "%s{\"addresses\":[\"198.18.%d.%d\"]}", k > 0 ? "," : "", 1 + i / 60, 1 + i % 60 * 4 + k);
	fprintf(out, "]}");
}

static void put_rule(FILE *out, int route, int rule)
{
	fprintf(out, "%s{\"matches\":[{\"path\":{\"type\":\"%s\",\"value\":\"/api/v%d/team-%d/items\"},\"headers\":[{"
	        "\"type\":\"Exact\",\"name\":\"X-Version\",\"value\":\"%d\"}]}],\"backendRefs\":[",
	        rule > 0 ? "," : "", rule == 1 ? "Exact" : "PathPrefix", rule + 1, route % 500, route % 7);
	for (int k = 0; k < 2; k++)
		fprintf(out, "%s{\"group\":\"\",\"kind\":\"Service\",\"name\":\"svc-%d\",\"port\":80,\"weight\":%d}",
		        k > 0 ? "," : "", (route + rule * 7 + k * 11) % SERVICES, k > 0 ? 1 : 9);
	fprintf(out, "]}");
}

static void put_route(FILE *out, int i)
{
	fprintf(out, "{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"HTTPRoute\",\"metadata\":{\"namespace\":"
	        "\"default\",\"name\":\"route-%d\",\"uid\":\"0e1f5d7c-7a4e-4a55-9e0b-2f4c1f%06x\",\"generation\":1,"
	        "\"creationTimestamp\":\"2026-01-02T00:%02d:%02dZ\"},\"spec\":{\"parentRefs\":[{\"group\":"
	        "\"gateway.networking.k8s.io\",\"kind\":\"Gateway\",\"name\":\"gw\"}],\"hostnames\":[\"host-%d.example\"],"
	        "\"rules\":[", i, (unsigned)i, i / 60 % 60, i % 60, i);
	for (int k = 0; k < RULES; k++)
		put_rule(out, i, k);
	fprintf(out, "]}}");
}

static char *objects(int routes, size_t *n)
{
	char *text;
	FILE *out = open_memstream(&text, n);

	CHECK(out != NULL);
	fprintf(out, "[%s", base);
	for (int i = 0; i < SERVICES; i++)
		put_service(out, i);
	for (int i = 0; i < routes; i++) {
		fputc(',', out);
		put_route(out, i);
	}
	fputc(']', out);
	CHECK(fclose(out) == 0);
	return text;
}

/* The same route again, as another object. */
static struct snapshot *change_one(const struct snapshot *s, const struct object **route)
{
	const struct kind *kind = kind_by_name("HTTPRoute");
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	struct object_change change;

	put_route(out, 1);
	CHECK(fclose(out) == 0);
	*route = object_new(kind, yyjson_read(text, n, 0));
	free(text);
	change = (struct object_change){kind, (*route)->namespace, (*route)->name, *route};
	return snapshot_with(s, &change, 1, 2);
}

/* ---- the stages ---- */

struct result {
	double ms[STAGES];
	size_t bytes;
};

static void lap(struct result *r, enum stage s, double *since)
{
	const double now = now_ms();

	r->ms[s] = now - *since;
	*since = now_ms();
}

static void run(const char *text, size_t n, struct result *r)
{
	double since = now_ms();
	const struct object *route;
	struct snapshot *first, *s;
	struct status_patches patches;
	struct generation g;
	struct model *m;
	char error[256];
	const char *where = "";

	first = snapshot_from_json(text, n, error);
	CHECK(first != NULL);
	lap(r, READ, &since);
	s = change_one(first, &route);
	lap(r, SNAPSHOT, &since);
	m = model_new(s, NULL, NULL);
	lap(r, MODEL, &since);
	CHECK(generation_compile(m, &g) == OK);
	lap(r, COMPILE, &since);
	CHECK(table_verify(g.table, g.bytes, &where) == OK && proxy_verify(g.table, &where) == OK);
	lap(r, VERIFY, &since);
	CHECK(table_checksum(g.table, g.bytes) == g.table->checksum);
	lap(r, HASH, &since);
	CHECK(status_compute(m, &(struct publish_verdict){.state = PUBLISH_LIVE}, "2026-01-31T12:00:00Z", &patches) == OK);
	lap(r, STATUS, &since);
	status_patches_fini(&patches);
	r->bytes = g.bytes;
	generation_fini(&g);
	model_free(m);
	snapshot_put(s);
	snapshot_put(first);
	object_put(route);
}

int main(int argc, char **argv)
{
	const int routes = argc > 1 ? atoi(argv[1]) : ROUTES, runs = argc > 2 ? atoi(argv[2]) : RUNS;
	struct result best = {0}, r = {0};
	double sum = 0;
	size_t n;
	char *text = objects(routes, &n);

	for (int i = 0; i < runs; i++) {
		run(text, n, &r);
		for (enum stage s = 0; s < STAGES; s++)
			best.ms[s] = i == 0 || r.ms[s] < best.ms[s] ? r.ms[s] : best.ms[s];
	}
	for (enum stage s = 0; s < STAGES; s++)
		printf("%-36s %8.2f ms\n", stage_names[s], best.ms[s]);
	for (enum stage s = SNAPSHOT; s <= VERIFY; s++)
		sum += best.ms[s];
	printf("%d routes, one changed, are live in  %8.2f ms\n", routes, sum);
	printf("table: %zu bytes, %.0f a route\n", r.bytes, (double)r.bytes / routes);
	free(text);
	return 0;
}
