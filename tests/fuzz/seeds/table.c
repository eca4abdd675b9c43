/*
 * make fuzz-seeds: writes the seeds of fuzz_table into the folder that is named: small generations that have everything
 * which the layout knows. To be run again when the layout changes (unit/table/test_seeds.c says when).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "tests/support/table_fixture.h"

#define PREFIX_REWRITE "\"path\":{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":\"/b\"}"

static const struct {
	const char *name;
	struct fixture fixture;
} seeds[] = {
	{"machine", {
		.workers = 2,
		.ports = {{.name = "client", .device = "net_null0"}, {.name = "backend", .device = "net_null1", .mtu = 9000}},
		.addresses = {{"198.18.0.1/24", 0, false}, {"2001:2::1/64", 0, false}, {"198.18.0.10/24", 1, true}},
		.ip_routes = {{"0.0.0.0/0", "198.18.0.254", 0}, {"2001:db8::/32", "2001:2::fe", 1}},
	}},
	{"hosts", {
		.listeners = {{"a", "198.18.0.10", 80}, {"b", "198.18.0.10", 80, "*.example.com"},
		              {"c", "2001:2::10", 80, "a.example.com"}},
		.routes = {{.path = "/"}, {.path = "/a", .hostname = "a.example.com"}, {.path = "/", .hostname = "*.example.com"},
		           {.path = "/a/b", .exact = true, .hostname = "b.c.example.com", .listener = "b"}},
	}},
	{"paths", {
		.listeners = {{"a", "198.18.0.10", 80}},
		.routes = {{.path = "/a"}, {.path = "/b"}, {.path = "/c"}, {.path = "/d"}, {.path = "/e/f/g"}, {.path = "/a//b/"},
		           {.path = "/a/", .exact = true}, {.path = "/"}},
	}},
	{"predicates", {
		.listeners = {{"a", "198.18.0.10", 80}},
		.routes = {{.path = "/a", .method = "POST"}, {.path = "/a", .headers = {{"x-a", "1"}, {"origin", "[a-z]+", true}}},
		           {.path = "/a", .query = {{"q", "2"}, {"r", "(a|b)*", true}}}, {.path = "/a"}},
	}},
	{"rules", {
		.listeners = {{"a", "198.18.0.10", 80}},
		.clusters = {{.name = "web", .endpoints = {{"198.18.1.11", 8080, 1}, {"2001:2::11", 8081, 3}},
		              .outlier = {.connect_failures = 5, .ejection_ms = 1000, .ejection_max_ms = 9000}},
		             {.name = "none", .balancer = 1, .conns_max = 7}},
		.routes = {{.path = "/", .backends = {{"web", 3, NULL}, {"none", 0, NULL}, {"!", 1, NULL}}, .request_timeout_ms = 1000,
		            .backend_timeout_ms = 500, .retry = {.codes = {500, 599}, .attempts = 2, .backoff_ms = 25},
		            .session = {.name = "stay", .permanent = true, .timeout_s = 60}},
		           {.path = "/gone", .direct_status = 500},
		           {.path = "/h", .session = {.name = "x-stay", .header = true}}},
	}},
	{"filters", {
		.listeners = {{"a", "198.18.0.10", 80}},
		.clusters = {{.name = "web", .endpoints = {{"198.18.1.11", 8080, 1}}}},
		.routes = {
			{.path = "/a", .backends = {{"web", 1, NULL}},
			 .filters = "[{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{\"set\":[{\"name\":\"x-a\",\"value\":\"1\"}],"
			            "\"add\":[{\"name\":\"b\",\"value\":\"2\"}],\"remove\":[\"c\"]}},"
			            "{\"type\":\"URLRewrite\",\"urlRewrite\":{\"hostname\":\"b.example\"," PREFIX_REWRITE "}}]"},
			{.path = "/r", .filters = "[{\"type\":\"RequestRedirect\",\"requestRedirect\":{\"scheme\":\"https\",\"port\":8443,"
			                          "\"statusCode\":301," PREFIX_REWRITE "}}]"},
			{.path = "/", .backends = {{"web", 1, NULL}},
			 .filters = "[{\"type\":\"CORS\",\"cors\":{\"allowOrigins\":[\"https://*.b:1\",\"https://a.b:1\"],"
			            "\"allowMethods\":[\"PUT\"],\"allowCredentials\":true,\"maxAge\":5}},"
			            "{\"type\":\"RequestMirror\",\"requestMirror\":{\"backendRef\":{\"name\":\"web\"},\"percent\":50}}]"},
		},
	}},
};

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		size_t bytes;
		struct table *t = fixture_table(&seeds[i].fixture, &bytes);
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", argv[1], seeds[i].name);
		f = fopen(path, "w");
		CHECK(f != NULL && fwrite(t, 1, bytes, f) == bytes && fclose(f) == 0);
		printf("%s: %zu bytes\n", path, bytes);
		free(t);
	}
	return 0;
}
