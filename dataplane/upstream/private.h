/*
 * What the two files of this folder share: clusters and their endpoints (cluster.c), connections and leases
 * (lease.c).
 *
 *     cluster 1 --- n endpoint 1 --- n conn 1 --- 0..1 lease
 *
 * All of them come from pools and link to each other by pointers: an object is freed only when nothing below it is
 * left (a cluster without endpoints, an endpoint without connections), so every upward pointer is good.
 */
#ifndef UPSTREAM_PRIVATE_H
#define UPSTREAM_PRIVATE_H

#include <sys/queue.h>

#include "balance/balance.h"
#include "base/addr.h"
#include "base/pool.h"
#include "base/wheel.h"
#include "upstream/upstream.h"

enum { CLUSTER_MAGIC = 0x636c7573, ENDPOINT_MAGIC = 0x656e6470, CONN_MAGIC = 0x75636f6e, LEASE_MAGIC = 0x6c656173 };

/* What balancers see, in rows of three sizes. */
enum { ROWS = 3 };

struct cluster {
	uint32_t magic;
	uint32_t generation;         /* of the upstream when it was last compared with the tables */
	uint64_t id;
	struct cluster *hash_next;
	struct balance_endpoint *row; /* row_n of them; null when row_n == 0 */
	struct endpoint **row_endpoints;
	uint32_t row_n;
	uint8_t row_class;
	uint8_t balancer;
	bool gone;                   /* no longer in the tables; lives until its last endpoint is free */
	uint32_t connect_timeout_ms;
	LIST_HEAD(, endpoint) endpoints; /* those that are gone but still have connections too */
};

struct endpoint {
	uint32_t magic;
	uint32_t generation;
	uint64_t id;
	struct cluster *cluster;
	struct endpoint *hash_next;
	struct addr addr;
	uint16_t port;
	bool gone;                   /* no longer in the tables */
	uint32_t row_at;             /* while not gone */
	uint32_t conns_n;            /* all of them */
	uint32_t idle_n;
	TAILQ_HEAD(conn_list, conn) idle; /* most recently used first */
	LIST_ENTRY(endpoint) of_cluster;
};

enum conn_state { CONN_CONNECTING, CONN_BUSY, CONN_IDLE };

struct conn {
	uint32_t magic;
	uint8_t state;               /* enum conn_state */
	bool http_idle;              /* http said so, the lease is not released yet */
	struct upstream *upstream;
	struct endpoint *endpoint;
	struct http_client *client;
	struct lease *lease;         /* null: idle, or nobody waits for it any more */
	uint64_t idle_since_ns;
	TAILQ_ENTRY(conn) of_endpoint;
	TAILQ_ENTRY(conn) of_all;    /* idle ones of all endpoints, most recently used first */
};

struct lease {
	uint32_t magic;
	bool reused;
	bool ready;
	struct upstream *upstream;
	struct conn *conn;           /* null: the connection is gone */
	uint64_t endpoint_id;
	struct tuple tuple;          /* when ready */
	const struct lease_ops *ops;
	const struct http_stream_ops *stream_ops;
	void *user;
};

struct upstream {
	struct shard *shard;
	struct http *http;
	struct pool clusters, endpoints, conns, leases;
	struct pool rows[ROWS];
	struct cluster **cluster_buckets;
	struct endpoint **endpoint_buckets;
	uint32_t generation;
	uint32_t sweep_at;           /* index in the pool of clusters */
	struct timer sweep;
	struct timer reaper;         /* of connections that idle for too long */
	struct conn_list idle;
};

/* cluster.c */
/* The cluster as in the tables of this round; null: not there, or no room. */
struct cluster *cluster_find(struct upstream *u, uint64_t id);
/* After the last connection of an endpoint closed: frees what is gone. */
void endpoint_settle(struct upstream *u, struct endpoint *e);
uint32_t endpoint_active(struct endpoint *e, int32_t change);
void upstream_sweep_start(struct upstream *u);

/* lease.c */
void endpoint_close_idle(struct upstream *u, struct endpoint *e);

#endif
