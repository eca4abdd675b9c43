/*
 * The model: a plain, resolved graph of what the objects of one snapshot mean. Gateways with their addresses and
 * listeners, the routes attached to them, rules in the order of the Gateway API, clusters with their endpoints; and
 * for everything that could not be done, the condition that says so. compile/ turns it into tables, status/ into
 * conditions.
 *
 * One bad thing fails alone: a rule that the data plane cannot obey answers 500 and is named in the route's
 * condition; a listener that is refused takes nothing with it. Nothing is accepted and then ignored.
 *
 * The model depends on the objects (with their metadata and status) and on what names resolve to, never on the order
 * that objects were loaded in.
 *
 * VIPs. A Gateway without spec.addresses gets one IPv4 and one IPv6 address from Machine.spec.vipPool. The allocation
 * is stored where the Gateway API shows it, in Gateway.status.addresses: what is there and still in the pool is kept,
 * the others get the lowest free addresses, oldest Gateway first. So it survives restarts, and until the status is
 * written the same snapshot gives the same answer.
 *
 * Everything belongs to the model's region; texts and yyjson values are borrowed from the snapshot, which the caller
 * keeps until model_free().
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "control/objects.h"
#include "control/resolve/answers.h"
#include "filter/filter.h"
#include "table/layout.h"

struct model_condition {
	bool ok;                     /* the condition's status: True or False */
	const char *reason;          /* null: not present */
	const char *message;
};

/* Machine (sluice.internal): the one named "self", else the first; others have no effect, and are told so. */
struct model_port {
	const char *name;
	const char *device;
	uint16_t mtu;
	uint16_t queues;
};

struct model_vlan {
	const char *name;
	uint16_t id, service, mtu;
	uint8_t port;                /* index into ports */
};

struct model_machine {
	const struct object *object; /* null: there is none (any more) */
	struct model_condition accepted;
	uint32_t workers;
	enum table_access_log access_log;
	struct model_port *ports;
	uint32_t ports_n;
	struct model_vlan *vlans;
	uint32_t vlans_n;
	struct table_address *addresses;   /* own ones, then VIPs */
	uint32_t addresses_n;
	struct table_ip_route *routes;     /* longest prefix first */
	uint32_t routes_n;
	struct table_sending listeners, upstreams; /* how TCP sends to clients, and to backends */
	struct addr *nameservers;          /* none: the host's own */
	uint32_t nameservers_n;
	const struct object **others;
	uint32_t others_n;
};

struct model_class {
	const struct object *object;
	const char *controller;
	struct model_condition accepted;
};

struct model_listener {
	struct model_gateway *gateway;
	const char *name;
	const char *hostname;        /* lower case; "" for all */
	const char *protocol;
	uint16_t port;
	bool takes_http_routes;      /* HTTPRoute is among its supported kinds */
	bool live;                   /* is in the tables */
	struct model_condition accepted, conflicted, resolved_refs;
	uint32_t attached_routes;
	uint32_t index;              /* among all listeners, and in the table when live */
	yyjson_val *spec;
};

struct model_gateway {
	const struct object *object;
	const struct model_class *class;
	struct model_condition accepted, resolved_refs;
	struct model_condition addressed;  /* ok, or why there is none: AddressNotAssigned, AddressNotUsable */
	struct addr *addresses;
	uint32_t addresses_n;
	struct model_listener *listeners;
	uint32_t listeners_n;
};

/* A parentRef that names a Gateway of ours. */
struct model_parent {
	yyjson_val *ref;
	const struct model_gateway *gateway;
	struct model_condition accepted;
};

enum { MODEL_UNUSED = 0xffffffff };

struct model_predicate {
	const char *name;            /* header names in lower case */
	const char *value;
	struct model_regex *regex;   /* of the value; null: it is compared as it is */
};

/* A regular expression that the data plane can match with. */
struct model_regex {
	const char *pattern;
	uint32_t index;              /* in the table, in the order of first use by attached routes; MODEL_UNUSED */
};

enum model_path { MODEL_PATH_EXACT, MODEL_PATH_REGEX, MODEL_PATH_PREFIX };

struct model_match {
	enum model_path path_kind;
	const char *path;            /* in normal form, begins with '/'; or the pattern */
	struct model_regex *regex;   /* of the path, when that is its kind */
	uint8_t method;              /* enum http_method or TABLE_ANY_METHOD */
	struct model_predicate *headers, *query;
	uint32_t headers_n, query_n;
};

struct model_cluster {
	uint64_t id;                 /* of the referenced object and port */
	const char *name;            /* "service/default/shop/80", "backend/default/shop" */
	struct table_endpoint *endpoints;  /* in the order of address and port */
	uint32_t endpoints_n;
	uint32_t index;              /* in the table; MODEL_UNUSED when no attached rule leads to it */
	const char *cut;             /* why it has fewer endpoints than there are; null: it has all */
	const char *refused;         /* why the data plane has no room for it; null: it has */
};

/* A Backend of Envoy Gateway, whether it is used or not: for its status. */
struct model_upstream {
	const struct object *object;
	struct model_condition accepted;
	struct model_condition resolved;   /* its names; reason null: it has none */
};

/* A filter of a rule or a backend; all of them compile, unless the rule is invalid. */
struct model_filter {
	struct filter_source source;
	struct model_cluster *cluster;   /* of its backendRef; null: it has none */
};

struct model_filters {
	struct model_filter *items;  /* in the order in which they are done */
	uint32_t n;
};

struct model_backend {
	struct model_cluster *cluster;   /* null: an invalid ref, 500 for its share */
	uint32_t weight;
	struct model_filters filters;
};

struct model_session {
	uint8_t kind;                /* enum table_session_kind; 0: none */
	bool permanent;
	uint32_t timeout_s;
	const char *name;
};

struct model_rule {
	const char *section;         /* what the route calls it; "": nothing */
	struct model_match *matches;
	uint32_t matches_n;
	struct model_filters filters;    /* not read when direct_status is set */
	struct model_backend *backends;
	uint32_t backends_n;
	uint32_t weight_sum;
	uint32_t request_timeout_ms, backend_timeout_ms;
	struct table_retry retry;        /* attempts 0: none */
	struct model_session session;
	uint16_t direct_status;      /* nonzero: the rule answers with it */
	const char *invalid;         /* why the data plane cannot obey it; null: it can */
	uint32_t index;              /* in the table */
};

struct model_route {
	const struct object *object;
	uint32_t order;              /* by age, namespace, name */
	struct model_parent *parents;
	uint32_t parents_n;
	struct model_rule *rules;
	uint32_t rules_n;
	struct model_condition resolved_refs;
	struct model_condition partially_invalid;  /* reason null: not present */
	bool attached;               /* to at least one listener */
	bool told_of_cut;            /* the conditions name one of the clusters that were cut */
	uint64_t own_bytes;          /* what its rules need in the tables at most, and each of its attachments */
	uint64_t attachment_bytes;
};

/* One for each hostname that a route has on a listener. */
struct model_attachment {
	const struct model_listener *listener;
	const char *hostname;        /* the intersection; "" for all */
	const struct model_route *route;
};

struct model {
	uint64_t resource_version;
	struct model_machine machine;
	struct model_class *classes;             /* ours, in the order of their names */
	struct model_gateway *gateways;          /* ours, oldest first */
	struct model_route *routes;              /* all HTTPRoutes, oldest first */
	struct model_attachment *attachments;    /* in no particular, but always the same order */
	struct model_cluster **clusters;         /* what attached rules lead to, in the order of their first use */
	struct model_upstream *upstreams;        /* all Backends, in the order of their names */
	const char **names;                      /* of hosts, that Backends lead to; one may come several times */
	uint32_t names_n;
	uint32_t classes_n, gateways_n, routes_n, clusters_n, upstreams_n, attachments_n, listeners_n;
	uint32_t rules_n;                        /* of attached routes: those with an index */
	struct model_regex **regexes;            /* what attached rules match with, in the order of their index */
	uint32_t regexes_n;
	struct region *region;
};

/* Controller names that are ours: Envoy Gateway's, so that its manifests run unchanged, and our own. */
bool model_controller_is_ours(const char *name);

/*
 * known: what names resolve to, or null. machine_from: where the machine is read from when `s` has no Machine, or null:
 * a box whose Machine was deleted goes on with the ports and addresses that it has, and obeys everything else. Both are
 * kept by the caller until model_free().
 */
struct model *model_new(const struct snapshot *s, const struct answers *known, const struct snapshot *machine_from);
void model_free(struct model *m);

#endif
