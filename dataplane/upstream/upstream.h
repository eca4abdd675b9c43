/*
 * Upstreams of one worker: clusters, their endpoints, and the pools of connections to them. Keyed by stable ids, so
 * all of it survives generations: upstream_apply() adds what is new, drains what is gone.
 *
 * A worker knows a cluster from its first use on. upstream_apply() itself is short: a cluster is compared with the new
 * tables when it is next used, and by a sweep that does some of them per tick, so that a generation of ten thousand
 * clusters does not stall a round. An endpoint that is gone closes its idle connections and lives until the leased ones
 * came back.
 *
 * A lease is the use of one connection for one exchange. A cluster has so many connections at most; a request beyond
 * them waits until one is free (Envoy's circuit breaker), so many requests at most.
 */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "http/http.h"

struct health;
struct health_report;        /* upstream/health.h */
struct upstream;
struct lease;
struct pressure;

/* What workers share, and how one reports to another (worker/). */
struct upstream_up {
	struct health *health;       /* of the gateway; outlives this */
	/* For the worker `owner`, which gives it to upstream_take_report(). A report may be lost. */
	void (*on_report)(void *up, uint16_t owner, const struct health_report *r);
	void *up;
};

struct upstream *upstream_new(struct shard *s, struct http *h, const struct upstream_up *up);
void upstream_free(struct upstream *u);
void upstream_apply(struct upstream *u);            /* first round with a new generation */
/* At the end of a round, before tcp sends: reports what was seen of endpoints, serves requests that wait. */
void upstream_flush(struct upstream *u);
void upstream_take_report(struct upstream *u, const struct health_report *r);
void upstream_watch(const struct upstream *u, struct pressure *p); /* boot: what of it may run short */
void upstream_shed(struct upstream *u);             /* closes the connection that idled longest: memory is short */
uint32_t upstream_conns(const struct upstream *u);  /* connections alive, idle or not */

struct lease_ops {
	/* A connection is ready: stream is the exchange's to use, with the ops given to upstream_lease(). */
	void (*on_ready)(void *user, struct lease *l, struct http_stream *stream);
	void (*on_failed)(void *user, struct lease *l, enum err why);  /* the lease is gone */
};

struct lease_wish {                  /* stable ids */
	uint64_t cluster;
	uint64_t endpoint;           /* this one, when it may be picked; 0: whichever */
	uint64_t skip_endpoint;      /* not this one, which just failed, when there is another; 0: none */
	bool fresh;                  /* never a pooled connection (after a stale one) */
};

/*
 * Picks an endpoint of the cluster and gets a connection to it: from the pool (on_ready is called before this returns),
 * a new one, or the next that is free. Errors: NO_HEALTHY_UPSTREAM, UPSTREAM_OVERFLOW, NO_PORTS, NOT_FOUND.
 * *out is written before on_ready() is called, and not after it.
 */
enum err upstream_lease(struct upstream *u, const struct lease_wish *wish, const struct lease_ops *ops,
                        const struct http_stream_ops *stream_ops, void *user, struct lease **out) MUST_CHECK;
/*
 * The exchange is done with it; forgets user, no callbacks follow. The stream, if there is one, has ended or was
 * reset before. A connection that is still being made is kept for the next request. After on_failed() there is nothing
 * to release.
 */
void upstream_release(struct lease *l);

/*
 * The retry budget: whether one more request of the cluster may be one that was sent before; then it is counted until
 * upstream_retry_end().
 */
bool upstream_retry_begin(struct upstream *u, uint64_t cluster) MUST_CHECK;
void upstream_retry_end(struct upstream *u, uint64_t cluster);
bool upstream_has_other(struct upstream *u, uint64_t cluster, uint64_t endpoint); /* that may be picked */

bool lease_reused(const struct lease *l);           /* the connection came from the pool */
uint64_t lease_endpoint(const struct lease *l);
const struct tuple *lease_tuple(const struct lease *l); /* null before on_ready */

#endif
