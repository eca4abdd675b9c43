/*
 * A generation from a small description in C, for tests, the simulator and the bench: addresses, listeners, routes,
 * clusters as texts. It does what control's compiler does (binds, virtual hosts, trie, precedence), by other code.
 *
 *     static const struct fixture lab = {
 *             .workers = 1,
 *             .ports = {{.name = "client"}, {.name = "backend"}},
 *             .addresses = {{"198.18.0.1/24", 0}, {"198.18.0.10/24", 0, true}, {"198.18.1.1/24", 1}},
 *             .listeners = {{.name = "default/lab/http", .addr = "198.18.0.10", .port = 80}},
 *             .clusters = {{.name = "web", .endpoints = {{"198.18.1.11", 8080}, {"198.18.1.12", 8080}}}},
 *             .routes = {{.path = "/", .backends = {{"web", 1}}}},
 *     };
 *     size_t bytes;
 *     struct table *t = fixture_table(&lab, &bytes); ... free(t);
 *
 * Lists end at the first entry whose first text is null. A bad description stops the test with a message.
 */
#ifndef TESTS_TABLE_FIXTURE_H
#define TESTS_TABLE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/table.h"

enum { FIXTURE_FEW = 8, FIXTURE_SOME = 32, FIXTURE_MANY = 64 };

struct fixture_port {
	const char *name;
	const char *device;
	uint16_t mtu;            /* 0: 1500 */
};

struct fixture_vlan {
	const char *name;
	uint16_t id;
	uint16_t service;
	uint8_t port;
	uint16_t mtu;            /* 0: 1500 */
};

struct fixture_address {
	const char *cidr;        /* "198.18.0.1/24" */
	uint8_t port;
	bool virtual;
};

struct fixture_ip_route {
	const char *cidr;        /* "0.0.0.0/0" */
	const char *gateway;
	uint8_t port;
};

struct fixture_listener {
	const char *name;        /* "default/lab/http" */
	const char *addr;        /* one address; give a listener per address */
	uint16_t port;
	const char *hostname;    /* null: all */
};

struct fixture_pair {
	const char *name;
	const char *value;
	bool regex;              /* the value is a regular expression */
};

struct fixture_backend {
	const char *cluster;     /* "!": an invalid reference */
	uint32_t weight;
	const char *filters;     /* as in fixture_route */
};

struct fixture_route {
	const char *path;        /* a prefix, unless exact */
	bool exact;
	bool regex;              /* the path is a regular expression */
	const char *hostname;    /* null: all */
	const char *listener;    /* the name of the only listener that it hangs on; null: all of them */
	const char *method;      /* "GET"; null: any */
	struct fixture_pair headers[FIXTURE_FEW];
	struct fixture_pair query[FIXTURE_FEW];
	struct fixture_backend backends[FIXTURE_FEW];
	const char *filters;     /* JSON array of HTTPRouteFilter objects, or null */
	const char *name;        /* null: "route/<index>" */
	const char *section;     /* of the rule; null: none */
	uint32_t request_timeout_ms;
	uint32_t backend_timeout_ms;
	uint16_t direct_status;
	struct {
		uint16_t codes[FIXTURE_FEW];
		uint16_t attempts;       /* 0: no retry */
		uint32_t backoff_ms;
	} retry;
	struct {
		const char *name;        /* null: none */
		bool header, permanent;  /* else a cookie, a session's */
		uint32_t timeout_s;
	} session;
};

struct fixture_endpoint {
	const char *addr;
	uint16_t port;
	uint16_t weight;         /* 0: 1 */
};

struct fixture_cluster {
	const char *name;        /* its stable id is the hash of the name */
	struct fixture_endpoint endpoints[FIXTURE_SOME];
	uint32_t connect_timeout_ms; /* 0: 10 s */
	uint8_t balancer;       /* enum balancer_kind; 0: round robin */
	uint32_t conns_max, pending_max; /* 0: the limits of limits.def */
	struct table_outlier outlier;    /* all 0: nothing is ejected */
};

struct fixture {
	uint32_t workers;        /* 0: 1 */
	uint64_t resource_version;
	struct table_sending sending; /* of all binds and clusters */
	struct fixture_port ports[FIXTURE_FEW];
	struct fixture_vlan vlans[FIXTURE_FEW];
	struct fixture_address addresses[FIXTURE_MANY];
	struct fixture_ip_route ip_routes[FIXTURE_SOME];
	struct fixture_listener listeners[FIXTURE_MANY];
	struct fixture_cluster clusters[FIXTURE_SOME];
	struct fixture_route routes[FIXTURE_MANY];
};

/* A verified block of its own, from aligned_alloc(): free() it. */
struct table *fixture_table(const struct fixture *f, size_t *bytes);

/* The stable ids that the fixture gives. */
uint64_t fixture_cluster_id(const char *name);
uint64_t fixture_endpoint_id(const char *addr, uint16_t port);

/* Parses "198.18.0.1" or "2001:2::1"; stops the test when it is neither. */
struct addr fixture_addr(const char *text);

#endif
