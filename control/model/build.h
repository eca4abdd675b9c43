/*
 * The making of a model: what the steps share. The order of the steps is model_new()'s, each is one file.
 */
#ifndef MODEL_BUILD_H
#define MODEL_BUILD_H

#include "control/model/model.h"
#include "control/model/names.h"
#include "control/model/region.h"
#include "table/builder.h"

#define GATEWAY_GROUP "gateway.networking.k8s.io"
#define BACKEND_GROUP "gateway.envoyproxy.io"

/* A range of addresses that Gateways are given, as numbers; IPv4 ones are mapped. */
struct vip_range {
	unsigned __int128 first, last;
	unsigned __int128 next;      /* where to look for the next free one */
};

/* What a backendRef leads to: a cluster, or why there is none. */
struct resolved {
	struct model_cluster *cluster;
	const char *reason;
	const char *message;
};

/* What is left of the data plane's room. */
struct capacity {
	uint32_t clusters, endpoints, rows_medium, rows_large;
	uint64_t bytes;
	struct names *ids;           /* of clusters: struct model_cluster */
};

struct build {
	const struct snapshot *snapshot;
	const struct snapshot *machine_from; /* when there is no Machine in the snapshot; may be null */
	const struct answers *known;
	struct model *model;
	struct region *region;

	uint32_t addresses_left;     /* places for addresses of the machine (LIMIT_addresses) */
	struct vip_range *pool;
	uint32_t pool_n;
	struct names *gateways;      /* namespace, name: struct model_gateway */
	struct names *classes;       /* name: struct model_class */
	struct names *slices;        /* namespace, service: struct slice_list */
	struct names *grants;        /* what grants allow: see grant.c */
	struct names *refs;          /* backendRefs met so far: struct resolved */
	struct names *regexes;       /* patterns met so far: see regex.c */
	uint32_t regexes_tried;      /* good ones among them */
	uint32_t *seen;              /* by listener: order + 1 of the last route that was attached to it */
	size_t attachments_room;
	size_t clusters_room;
	struct capacity capacity;
	struct builder *scratch;     /* filters are compiled into it to see whether they can be */
};

struct model_condition condition_true(const char *reason, const char *message);
struct model_condition condition_false(const char *reason, const char *message);

/* The steps, in order. */
void build_machine(struct build *b);
void build_gateways(struct build *b);
void build_vips(struct build *b);
void build_backends(struct build *b);    /* indices for what follows, and the Backends' own conditions */
void build_routes(struct build *b);

/* Pieces that one step lends to another. */
uint32_t machine_address_places(const struct table_address *a);   /* how many of LIMIT_addresses it takes */
const char *object_created(const struct object *o);   /* metadata.creationTimestamp; "" when missing */
int object_age_compare(const struct object *a, const struct object *b);  /* by age, namespace, name */
bool grant_allows(const struct build *b, const char *from_group, const char *from_kind, const char *from_namespace,
                  const char *to_group, const char *to_kind, const char *to_namespace, const char *to_name);
void build_grants(struct build *b);
const struct resolved *backend_resolve(struct build *b, yyjson_val *ref, const char *route_namespace);
/* filters: reads the HTTPRouteFilters of one rule or backend, and tells what is wrong. */
struct filter_reader {
	struct build *build;
	struct model_route *route;
	size_t rule;                 /* its index in the route */
	const char *place;           /* "filters", "backendRefs[1].filters": what messages call the list */
	const char *invalid;         /* out: why the data plane cannot do it; null: it can */
	bool answers;                /* out: one of the filters answers by itself */
};
enum { EXTENSION_FILTERS_MAX = 2 };
void read_filters(struct filter_reader *r, yyjson_val *list, struct model_filters *out);
/* `at`: the manifest's place of what is compiled, "filters[0]". */
void add_filter(struct filter_reader *r, const struct model_filter *filter, const char *at, struct model_filters *out);
/* One ExtensionRef: at most EXTENSION_FILTERS_MAX filters. */
void read_extension(struct filter_reader *r, yyjson_val *ref, const char *at, struct model_filters *out);

/* rule.retry and rule.sessionPersistence, which may be null. Null, or why the data plane cannot do it. */
const char *read_retry(struct build *b, yyjson_val *spec, struct table_retry *out);
const char *read_session(struct build *b, const struct object *route, size_t rule, yyjson_val *spec,
                         struct model_session *out);

/* Gives the cluster an index: an attached route leads to it. Null, or why there is no room for it. */
const char *cluster_use(struct build *b, struct model_cluster *c);
void capacity_init(struct capacity *c, struct region *r);
/* Takes the room for a cluster, of which endpoints may be cut. Null, or why it cannot be had. */
const char *capacity_cluster(struct build *b, struct model_cluster *c);
/* What the rules of a route need at most; filter_bytes is what their filters came to. */
uint64_t capacity_rules(const struct model_route *route, size_t filter_bytes);
/* Takes the bytes that the route needs on one more listener, under so many hostnames. False: there are none left. */
bool capacity_attach(struct build *b, struct model_route *route, size_t hostnames);
/* What the data plane can match with; null: why says what is wrong with the pattern. */
struct model_regex *regex_resolve(struct build *b, const char *pattern, const char **why);
void regex_use(struct build *b, struct model_regex *r);  /* the same, of an attached route's match; null is none */
/* rules: whether the rules can be obeyed, which is the Accepted condition of a route that finds its listeners. */
void attach_route(struct build *b, struct model_route *route, const struct model_condition *rules);

/* The rules of one route; says in the route's conditions what is wrong with them, and returns Accepted. */
struct model_condition read_rules(struct build *b, struct model_route *route);

/* "198.18.0.1/24": the address, and its prefix length in the IPv6 form. */
bool prefix_parse(const char *text, struct addr *addr, uint8_t *bits);
unsigned __int128 addr_number(const struct addr *a);
struct addr addr_of_number(unsigned __int128 n);
bool addr_in_prefix(const struct addr *a, const struct addr *prefix, uint8_t bits);
/* How long a Gateway API duration ("1h30m", "500ms") is. */
bool duration_parse(const char *text, uint32_t *ms);
bool duration_parse_long(const char *text, uint64_t *ms);

#endif
