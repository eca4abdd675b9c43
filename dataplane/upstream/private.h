/*
 * What the files of this folder share: clusters and their endpoints (cluster.c), which of them are picked (watch.c),
 * connections and leases (lease.c), how much of it may be retries (budget.c).
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
#include "table/layout.h"
#include "upstream/health.h"
#include "upstream/upstream.h"

enum { CLUSTER_MAGIC = 0x636c7573, ENDPOINT_MAGIC = 0x656e6470, CONN_MAGIC = 0x75636f6e, LEASE_MAGIC = 0x6c656173 };

/* What balancers see, in rows of three sizes. */
enum { ROWS = 3 };

struct cluster {
	uint32_t magic;
	uint32_t generation;         /* of the upstream when it was last compared with the tables */
	uint64_t id;
	struct upstream *upstream;
	struct cluster *hash_next;
	struct balance_row row;      /* its endpoints are null when there are none */
	struct endpoint **row_endpoints;
	uint8_t row_class;
	uint8_t balancer;
	bool gone;                   /* no longer in the tables; lives until its last endpoint is free */
	bool panic;                  /* too few endpoints are well: all are picked */
	bool listed;                 /* in the upstream's list of clusters to be served */
	uint32_t health_epoch;       /* of the verdicts that the row was last marked by */
	uint32_t connect_timeout_ms;
	struct tcp_sending sending;
	uint32_t conns_max, pending_max; /* this worker's share */
	uint32_t conns_n;            /* to all endpoints, gone ones too */
	uint32_t waiting_n;
	uint32_t retries_n;          /* requests to it that were sent before (budget.c) */
	TAILQ_HEAD(lease_list, lease) waiting; /* for a connection, oldest first */
	TAILQ_ENTRY(cluster) to_serve;
	struct table_outlier outlier;
	LIST_HEAD(, endpoint) endpoints; /* those that are gone but still have connections too */
};

struct endpoint {
	uint32_t magic;
	uint32_t generation;
	uint64_t id;
	uint64_t health;             /* its key there */
	struct cluster *cluster;
	struct endpoint *hash_next;
	struct addr addr;
	uint16_t port;
	bool gone;                   /* no longer in the tables */
	bool noted;                  /* in the upstream's list: something was seen in this round */
	bool reached;                /* seen in this round: a connection was made, before the failures */
	uint16_t failures;           /* seen in this round */
	uint32_t row_at;             /* while not gone */
	uint32_t conns_n;            /* all of them */
	uint32_t idle_n;
	TAILQ_HEAD(conn_list, conn) idle; /* most recently used first */
	LIST_ENTRY(endpoint) of_cluster;
	TAILQ_ENTRY(endpoint) of_notes;
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
	bool fresh;                  /* while it waits: as it was asked for */
	struct upstream *upstream;
	struct conn *conn;           /* null: the connection is gone, or it waits for one */
	struct cluster *waits_for;   /* null: it does not wait */
	uint64_t endpoint_id;        /* 0: it waits */
	uint64_t skip_endpoint, wanted_endpoint;
	TAILQ_ENTRY(lease) of_cluster;
	struct tuple tuple;          /* when ready */
	const struct lease_ops *ops;
	const struct http_stream_ops *stream_ops;
	void *user;
};

struct upstream {
	struct shard *shard;
	struct http *http;
	struct upstream_up up;
	struct pool clusters, endpoints, conns, leases;
	struct pool rows[ROWS];
	struct cluster **cluster_buckets;
	struct endpoint **endpoint_buckets;
	uint32_t generation;
	uint32_t sweep_at;           /* index in the pool of clusters */
	struct timer sweep;
	struct timer reaper;         /* of connections that idle for too long */
	struct conn_list idle;
	TAILQ_HEAD(, endpoint) notes;    /* what this round saw: reported at its end */
	TAILQ_HEAD(, cluster) to_serve;  /* something became free for those who wait */
};

/* cluster.c */
/* The cluster as in the tables of this round; null: not there, or no room. */
struct cluster *cluster_find(struct upstream *u, uint64_t id);
/* Frees it when it is gone and nothing of it is left. */
void cluster_settle(struct upstream *u, struct cluster *c);
/* After the last connection of an endpoint closed: frees what is gone. */
void endpoint_settle(struct upstream *u, struct endpoint *e);
uint32_t endpoint_active(struct endpoint *e, int32_t change);
void upstream_sweep_start(struct upstream *u);

/* watch.c */
void endpoint_note(struct upstream *u, struct endpoint *e, bool reached);
void endpoint_forget_notes(struct upstream *u, struct endpoint *e);
void notes_report(struct upstream *u);
/* Marks the endpoints of the row that may be picked, when a verdict changed since it was last done. */
void cluster_mark(struct upstream *u, struct cluster *c);

/* lease.c */
void endpoint_close_idle(struct upstream *u, struct endpoint *e);
/* Requests that wait for the cluster are looked at in upstream_flush(). */
void cluster_serve_later(struct upstream *u, struct cluster *c);

#endif
