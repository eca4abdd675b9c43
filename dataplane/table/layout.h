/*
 * THE contract between control and the data plane: the layout of a generation.
 *
 * A generation is one position-independent block: struct table at its start, everything else reached by offsets
 * from it, never by pointers. Control builds it (table/builder.h), seals it in a memfd and hands it over; the data
 * plane verifies it once (table/verify.c, a fuzz target), then reads it without checks. The same objects give the
 * same bytes, so control can compare.
 *
 * Offset 0 means "none". Texts are not ended by NUL. All integers are little-endian and naturally aligned. A table
 * pointer is never kept across loop rounds; what outlives a generation (pools, health, counters) is keyed by the
 * 64-bit stable ids, which control derives from names.
 */
#ifndef TABLE_LAYOUT_H
#define TABLE_LAYOUT_H

#include <stdint.h>

#include "base/addr.h"

enum { TABLE_FORMAT = 9, TABLE_ALIGN = 8, TABLE_NONE = 0xffffffff };
#define TABLE_MAGIC UINT64_C(0x454c424143554c53) /* "SLUCABLE" */
enum { TABLE_BYTES_MAX = 1 << 30 }; /* the largest block that is built, and that the data plane takes */

struct table_text {  /* bytes */
	uint32_t at;
	uint32_t len;
};

struct table_list {  /* an array of n structs, aligned to TABLE_ALIGN */
	uint32_t at;
	uint32_t n;
};

/*
 * An index: open addressing, linear probing, slots_n a power of two, at most 70 % full. No run of used slots is longer
 * than TABLE_PROBES_MAX. By chance none ever is; since names can be chosen so that their hashes meet, all hashes depend
 * on hash_seed, which is then another one.
 */
enum { TABLE_PROBES_MAX = 1024 };

struct table_hash {
	uint32_t at;         /* struct table_slot[slots_n] */
	uint32_t slots_n;
};

struct table_slot {
	uint32_t hash;       /* 0: empty (a computed 0 is stored as 1) */
	uint32_t value;      /* index into the list that the hash indexes */
};

/* ---- the machine ---- */

enum table_iface_flags { TABLE_IFACE_MANAGEMENT = 1 };

struct table_port {          /* what EAL is started with; a change needs a restart of the data plane */
	struct table_text name;      /* "client" */
	struct table_text device;    /* "net_af_packet0,iface=gw0,qpairs=4" or a PCI address */
	uint16_t mtu;
	uint16_t queues;             /* 0: one per worker */
	uint32_t flags;
};

enum { TABLE_MTU_MIN = 1280 /* RFC 8200, 5 */, TABLE_VLAN_MAX = 4094 };

/* An interface on a port, told apart by tags (ip/vlan.h). Interfaces are numbered: the ports, then the VLANs. */
struct table_vlan {
	struct table_text name;      /* "customers" */
	uint16_t id;
	uint16_t service;            /* VLAN of the outer tag; 0: there is one tag */
	uint16_t mtu;
	uint8_t port;                /* index into ports */
	uint8_t spare;
};

struct table_address {       /* an address of ours */
	struct addr addr;
	uint8_t prefix_bits;         /* of the IPv6 form: 96 more for IPv4 */
	uint8_t port;                /* the interface's number */
	uint8_t virtual;             /* 1: a Gateway's VIP; 0: the machine's own */
	uint8_t spare[5];
};

struct table_ip_route {
	struct addr prefix;
	struct addr gateway;
	uint8_t prefix_bits;         /* of the IPv6 form; 96: the IPv4 default route, 0: the IPv6 one */
	uint8_t port;                /* the interface's number */
	uint16_t mtu;                /* 0: the interface's */
	uint8_t spare[4];
};

/* ---- how TCP sends (tcp/tcp.h), on new connections ---- */

enum table_control { TABLE_NEWRENO, TABLE_CUBIC, TABLE_CONTROLS }; /* as in tcp/controls.def */

struct table_sending {
	uint8_t control;             /* enum table_control */
	uint8_t pacing;
	uint8_t ecn;                 /* a listener agrees when it is asked; a cluster asks */
};

/* ---- listeners: (address, port) > listener by Host > virtual host > rules ---- */

enum table_protocol { TABLE_HTTP = 1, TABLE_HTTPS = 2 };

struct table_bind {          /* one (address, port) pair that accepts connections; found by binds_index */
	struct addr addr;
	uint16_t port;
	uint8_t protocol;            /* enum table_protocol */
	struct table_sending sending;
	uint8_t spare[2];
	/* Which listener a Host belongs to. Key: host text ("a.example" or "*.example"); "" is the catch-all. */
	struct table_hash hosts;     /* values: indices into listeners */
	uint32_t catch_all;          /* index of the listener without hostname, or TABLE_NONE */
	uint32_t spare2;
};

struct table_listener {
	uint64_t id;
	struct table_text name;      /* "default/lab/http": namespace/gateway/listener */
	struct table_text hostname;  /* "" for all; the key text of the index */
	struct table_hash hosts;     /* route hostnames within this listener; values: indices into vhosts */
	uint32_t catch_all;          /* the vhost of routes without hostname, or TABLE_NONE */
	/*
	 * The index into vhosts at which that of slot 0 of `hosts` stands, those of the others behind it in the slots'
	 * order: so both can be fetched at once. A hint: nobody reads there because of it.
	 */
	uint32_t near_vhosts;
};

/*
 * All rules of one hostname on one listener; a cache line, and the list begins with one. Those that stand for empty
 * slots have no hostname and no rules.
 */
struct table_vhost {
	struct table_text hostname;  /* the key text of the index */
	uint32_t root;               /* index into nodes */
	uint32_t less_specific;      /* vhost to try when no rule here matches, or TABLE_NONE */
	struct table_list regexes;   /* struct table_match: those whose path is a regular expression */
	/*
	 * Where a lookup goes on, to be fetched while the hostname is compared: offsets of the root's first edge, of
	 * the first segment, of the first match of the trie with its predicates and texts, of the first rule, and of
	 * its name with the backends behind it. Hints: nobody reads there because of them.
	 */
	uint32_t near_edges;
	uint32_t near_segments;
	uint32_t near_matches;
	uint32_t near_rule;
	uint32_t near_backends;
	uint32_t spare[5];
};

/*
 * The path trie. An edge is one path segment. The edges of a node stand together: a few are looked through, which
 * mostly costs one cache line for a whole path; those of nodes that have more are in one index (key: node index and
 * segment).
 * "/a/b" is the segments "a", "b"; "/a/" is "a", ""; "/" is "". An exact match ends at the node of all segments; a
 * prefix match hangs at the node of its segments without a trailing "" ("/" hangs at the root). Candidates are
 * tried exact first, then the virtual host's regular expressions, then prefixes from the deepest node up; within a
 * list in the order given, which is that of the Gateway API (method, number of headers, number of query parameters,
 * age, name, rule), for regular expressions after the length of the pattern, as in Envoy Gateway.
 *
 * An edge leads to a node of a higher index, so the trie cannot have a cycle. A vhost's less_specific is one whose
 * hostname is less specific: a shorter wildcard, or "".
 */
enum { TABLE_EDGES_FEW = 4 };

struct table_node {
	struct table_list exact;     /* struct table_match */
	struct table_list prefix;    /* struct table_match */
	uint32_t edge;               /* index of its first edge */
	uint32_t edges_n;
};

struct table_edge {
	uint32_t node;               /* from */
	uint32_t to;
	struct table_text segment;
};

enum table_compare { TABLE_EQUAL = 1, TABLE_REGEX = 2 };

struct table_predicate {     /* a header or query parameter condition */
	struct table_text name;      /* lower case for headers */
	struct table_text value;     /* TABLE_REGEX: the pattern */
	uint16_t field_id;           /* enum http_field_id, 0 for others and for query parameters */
	uint8_t compare;             /* enum table_compare */
	uint8_t spare;
	uint32_t regex;              /* TABLE_REGEX: index into regexes */
};

/* A regular expression (RE2). What workers match with is made from it when the generation comes. */
struct table_regex {
	uint64_t id;                 /* of the pattern's bytes: equal ones are made once, and outlive a generation */
	struct table_text pattern;
};

enum { TABLE_ANY_METHOD = 0xff };

struct table_match {
	uint32_t rule;               /* index into rules */
	uint8_t method;              /* enum http_method, TABLE_ANY_METHOD */
	uint8_t spare[3];
	struct table_list headers;   /* struct table_predicate */
	struct table_list query;     /* struct table_predicate */
	uint32_t path_bytes;         /* of the path that matched: what ReplacePrefixMatch replaces */
	uint32_t regex;              /* of the path: index into regexes; TABLE_NONE in the lists of nodes */
};

enum { TABLE_RETRY_WORDS = 4 };

struct table_retry {         /* what is tried again (proxy/retry.c) */
	uint64_t codes[TABLE_RETRY_WORDS]; /* bit n: status 400 + n */
	uint32_t backoff_ms;         /* at least between two tries; 0: not given */
	uint16_t attempts;           /* beyond the first try, at least 1 */
	uint16_t spare;
};

enum { TABLE_SESSION_NAME_MAX = 128 };
enum table_session_kind { TABLE_SESSION_COOKIE = 1, TABLE_SESSION_HEADER = 2 };

struct table_session {       /* which clients stay with their endpoint (proxy/session.c) */
	struct table_text name;      /* of the cookie or header */
	uint32_t timeout_s;          /* from the first response on; 0: none */
	uint8_t kind;                /* enum table_session_kind */
	uint8_t permanent;           /* the cookie outlives the browser's session, until the timeout */
	uint16_t spare;
};

struct table_rule {          /* a cache line, and the list begins with one */
	uint64_t id;                 /* of namespace/route/rule index */
	struct table_text name;      /* "httproute/default/shop/rule/0": Envoy Gateway's naming, for the log */
	struct table_text section;   /* what the route calls it (rules[].name); empty: nothing */
	struct table_list filters;   /* struct table_filter, in order */
	struct table_list backends;  /* struct table_backend */
	uint32_t weight_sum;         /* 0: no backends, or all of weight 0 */
	uint32_t request_timeout_ms; /* 0: none */
	uint32_t backend_timeout_ms; /* 0: none */
	uint32_t retry;              /* offset of a struct table_retry; 0: none */
	uint32_t session;            /* offset of a struct table_session; 0: none */
	uint16_t direct_status;      /* nonzero: answer with it at once (500: invalid refs, not enforceable) */
	uint16_t spare;
};

struct table_filter {
	uint32_t kind;               /* enum filter_kind (filter/filters.def) */
	uint32_t config;             /* offset of the filter's own struct */
	uint32_t config_bytes;
	uint32_t spare;
};

struct table_backend {
	uint32_t cluster;            /* index into clusters; TABLE_NONE: an invalid ref, 500 for its share */
	uint32_t weight;
	struct table_list filters;   /* struct table_filter, after the rule's */
};

/* ---- upstreams ---- */

/* Passive health of endpoints (upstream/health.h). */
struct table_outlier {
	uint32_t ejection_ms;        /* the first ejection, and what each later one takes longer */
	uint32_t ejection_max_ms;
	uint16_t connect_failures;   /* so many in a row eject; 0: never */
	uint8_t panic_percent;       /* fewer usable endpoints than this share: all are used */
	uint8_t spare[5];
};

struct table_cluster {
	uint64_t id;                 /* stable: of the referenced object and port */
	struct table_text name;      /* "service/default/shop/80": routes that refer to the same port share a cluster */
	struct table_list endpoints; /* struct table_endpoint; empty: 503 */
	uint32_t connect_timeout_ms;
	uint8_t balancer;            /* enum balancer_kind (balance/balancers.def) */
	struct table_sending sending;
	uint32_t conns_max;          /* connections to all of its endpoints, at least 1: beyond it, requests wait */
	uint32_t pending_max;        /* requests that wait: beyond it, 503 overflow */
	struct table_outlier outlier;
};

struct table_endpoint {
	uint64_t id;                 /* stable: of address and port */
	struct addr addr;
	uint16_t port;
	uint16_t weight;             /* at least 1 */
	uint32_t spare;
};

/* ---- the block ---- */

enum table_access_log { TABLE_ACCESS_TEXT, TABLE_ACCESS_JSON, TABLE_ACCESS_LOGS };

struct table {
	uint64_t magic;
	uint32_t format;
	uint32_t bytes;              /* of the whole block */
	uint64_t checksum;           /* XXH3 of the block with this field 0 */
	uint64_t resource_version;   /* of the store snapshot it was compiled from */
	uint64_t content;            /* XXH3 of everything from `workers` on: equal content needs no publish */
	uint32_t workers;
	uint32_t hash_seed;
	uint32_t access_log;         /* enum table_access_log */
	uint32_t spare;
	struct table_list ports;
	struct table_list vlans;
	struct table_list addresses;
	struct table_list ip_routes;  /* longest prefix first */
	struct table_list binds;
	struct table_hash binds_index;    /* key: addr and port */
	struct table_list listeners;
	struct table_list vhosts;
	struct table_list nodes;
	struct table_list edges;
	struct table_hash edges_index;    /* of nodes that have more than TABLE_EDGES_FEW */
	struct table_list regexes;
	struct table_list rules;
	struct table_list clusters;
	struct table_hash clusters_index; /* key: the 64-bit id */
};

#endif
