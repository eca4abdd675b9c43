/* The inside of a gateway and of its workers: what the files of this folder share, and nobody else sees. */
#ifndef WORKER_GATEWAY_H
#define WORKER_GATEWAY_H

#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "base/pressure.h"
#include "base/shard.h"
#include "http/http.h"
#include "ip/ip.h"
#include "port/port.h"
#include "proxy/proxy.h"
#include "route/regexes.h"
#include "tcp/tcp.h"
#include "tls/tls.h"
#include "upstream/health.h"
#include "upstream/upstream.h"
#include "worker/worker.h"

enum { WORKER_BURST = 32 };

enum generation_state { GENERATION_NONE, GENERATION_CURRENT, GENERATION_RETIRED };

struct generation {
	const struct table *table;
	uint64_t serial;             /* told apart by this: a new block may lie where a freed one was */
	uint64_t token;              /* retired: of the grace period that has to pass */
	enum generation_state state;
	struct regex_set *regexes;
	void (*on_free)(void *arg, const struct table *t);
	void *arg;
};

/* 1 while the worker sleeps or is about to; on a line of its own, since every producer reads it. */
struct sleeper {
	_Alignas(64) _Atomic uint32_t asleep;
};

struct gateway {
	struct gateway_options options;
	struct port *ports[LIMIT_ports];
	_Atomic(struct generation *) current;
	struct generation generations[LIMIT_generations];
	uint64_t serial;
	struct rte_rcu_qsbr *rounds; /* who may still be reading which generation */
	struct regexes *regexes;
	struct ip_link *link;
	struct health *health;
	struct rte_ring *rings[LIMIT_workers][LIMIT_workers]; /* [to][from], single producer, single consumer */
	struct sleeper sleepers[LIMIT_workers];
	/* What each worker sheds because its rx pool is short: who holds its packets sheds too. Seldom written. */
	_Alignas(64) _Atomic uint8_t rx_sheds[LIMIT_workers];
	_Alignas(64) _Atomic uint64_t fresh[2]; /* randomness for secrets that rotate */
	struct worker *workers[LIMIT_workers];
	struct counters *own_counters;
};

/* A port on which the worker has no queue: frames go over the ring of a worker that has one. */
struct relay {
	struct port port;
	struct worker *worker;
	uint8_t iface;
	uint16_t via;
};

/* Frames on their way to another worker, sent once a round. */
struct hand_over {
	unsigned n;
	struct rte_mbuf *m[WORKER_BURST];
};

enum walk_state { WALK_IDLE, WALK_ASKED, WALK_ANSWERED };

struct worker {
	struct shard shard;
	struct gateway *gateway;
	struct ip *ip;
	struct tcp *tcp;
	struct tls *tls;
	struct http *http;
	struct upstream *upstream;
	struct proxy *proxy;
	struct port_tx tx[LIMIT_ports];
	struct relay relays[LIMIT_ports];
	struct hand_over out[LIMIT_workers];
	struct pressure pressure;
	uint64_t taken_from;         /* bit per worker: packets of its pools came here since nothing was shed */
	uint64_t pushed;             /* bit per worker: something was put into its ring in this round */
	_Atomic uint64_t serial;     /* of the generation in use */
	_Atomic uint64_t heartbeat;
	_Atomic uint64_t late_max_ns;
	_Atomic bool drain;
	bool draining;
	bool online;
	_Atomic int walk_state;      /* enum walk_state */
	struct worker_walk walk;
};

struct worker *worker_new(struct gateway *g, uint16_t index, const char *name);
void worker_close(struct worker *w);                         /* every layer: gives back packets of all workers' pools */
void worker_free(struct worker *w);                          /* after all are closed */
void walk_run(struct worker *w);                             /* end of a round */
void hand_over_flush(struct worker *w);
void hand_over_put(struct worker *w, struct rte_mbuf *m, uint16_t to);

#endif
