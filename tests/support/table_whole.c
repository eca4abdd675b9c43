/* See the header. */
#include "tests/support/table_whole.h"

#define EDITS "\"set\":[{\"name\":\"ts\",\"value\":\"1\"}],\"add\":[{\"name\":\"a\",\"value\":\"2\"}]"

const struct fixture table_whole = {
	.workers = 2,
	.resource_version = 7,
	.ports = {{.name = "client", .device = "net_ring0"}, {.name = "backend", .device = "net_ring1"}},
	.vlans = {{.name = "shop", .id = 5}, {.name = "guests", .id = 5, .service = 100, .port = 1, .mtu = 1496}},
	.addresses = {{"198.18.0.1/24", 0}, {"198.18.0.10/32", 0, true}, {"2001:2::10/128", 0, true},
	              {"198.18.1.1/24", 1}},
	.ip_routes = {{"0.0.0.0/0", "198.18.0.2", 0}, {"10.0.0.0/8", "198.18.1.2", 1}, {"::/0", "2001:2::2", 0}},
	.listeners = {
		{"ns/gw/wild", "198.18.0.10", 80, "*.example.com"},
		{"ns/gw/all", "198.18.0.10", 80},
		{"ns/gw/deep", "198.18.0.10", 80, "*.foo.example.com"},
		{"ns/gw/one", "198.18.0.10", 80, "www.example.com"},
		{"ns/gw/other", "198.18.0.10", 81, "www.example.com"},
		{"ns/gw/six", "2001:2::10", 80},
	},
	.clusters = {
		{.name = "web", .endpoints = {{"198.18.1.11", 8080}, {"198.18.1.12", 8080, 3}}, .balancer = 2,
		 .outlier = {.ejection_ms = 1000, .ejection_max_ms = 9000, .connect_failures = 5, .panic_percent = 50}},
		{.name = "none"},
	},
	.routes = {
		{.path = "/a/b", .section = "all", .exact = true, .headers = {{"X-A", "1"}, {"X-B", "[a-z]+", true}},
		 .query = {{"q", "2"}},
		 .filters = "[{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{" EDITS
		            ",\"remove\":[\"r\"]}},"
		            "{\"type\":\"ResponseHeaderModifier\",\"responseHeaderModifier\":{" EDITS
		            ",\"remove\":[\"r\"]}},"
		            "{\"type\":\"CORS\",\"cors\":{\"allowOrigins\":[\"https://*.b:1\",\"http://c\"],"
		            "\"allowMethods\":[\"PUT\"],\"allowHeaders\":[\"x-a\"],\"exposeHeaders\":[\"x-c\"]}},"
		            "{\"type\":\"RequestMirror\",\"requestMirror\":{\"backendRef\":{\"name\":\"web\"},"
		            "\"percent\":50}},"
		            "{\"type\":\"URLRewrite\",\"urlRewrite\":{\"hostname\":\"b.c\","
		            "\"path\":{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":\"/xyz/\"}}},"
		            "{\"type\":\"HostRewrite\",\"urlRewrite\":{\"hostname\":{\"header\":\"x-a\"}}},"
		            "{\"type\":\"DirectResponse\",\"directResponse\":{\"statusCode\":418,"
		            "\"contentType\":\"text/plain\",\"body\":{\"inline\":\"short\"},\"header\":{" EDITS "}}}]",
		 .backends = {{"web", 1, "[{\"type\":\"RequestRedirect\",\"requestRedirect\":{\"scheme\":\"https\","
		                         "\"hostname\":\"d.e\",\"port\":8443,\"statusCode\":301,"
		                         "\"path\":{\"type\":\"ReplaceFullPath\",\"replaceFullPath\":\"/full\"}}}]"},
		              {"!", 1}},
		 .request_timeout_ms = 9000, .backend_timeout_ms = 3000,
		 .retry = {.codes = {503, 500}, .attempts = 2, .backoff_ms = 20},
		 .session = {.name = "stay", .permanent = true, .timeout_s = 60}},
		{.path = "/", .backends = {{"web", 1}, {"!", 1}}, .session = {.name = "X-Stay", .header = true}},
		{.path = "/(re|gex)+", .regex = true, .headers = {{"X-B", "[a-z]+", true}}, .backends = {{"web", 1}}},
		{.path = "/a/", .hostname = "*.example.com", .backends = {{"none", 3}}},
		{.path = "/x", .hostname = "www.example.com", .method = "POST", .direct_status = 500},
		/* A node with so many edges that they are indexed. */
		{.path = "/1", .listener = "ns/gw/other", .backends = {{"web", 1}}},
		{.path = "/2", .listener = "ns/gw/other", .backends = {{"web", 1}}},
		{.path = "/3", .listener = "ns/gw/other", .backends = {{"web", 1}}},
		{.path = "/4", .listener = "ns/gw/other", .backends = {{"web", 1}}},
	},
};
