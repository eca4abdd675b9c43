/*
 * A worker: one shard of every layer, and the loop that runs them. The only place where all layers meet.
 *
 * worker_round() is the whole of it: take packets from rings and ports, run each to the packets it causes, advance
 * timers, spend the handshake budget, flush, report quiescent. It knows neither threads nor clocks: the thread in
 * worker/thread.c or the simulator calls it with the time. Generations come by one pointer (struct gateway.current),
 * read once per round.
 *
 * Sleeping: worker_sleepable() says whether nothing is waiting and until when; worker_park() announces the sleep
 * (flag, full fence), looks again, and goes offline for QSBR; worker_unpark() comes back. A producer that puts
 * something in a worker's ring calls gateway_kick(), which wakes it when the flag is up.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pressure.h"
#include "ip/ip.h"
#include "port/port.h"
#include "table/table.h"
#include "tcp/tcp.h"

struct worker;

/* What the workers of one process (one gateway in the simulator) share. */
struct gateway;

struct gateway_options {
	uint16_t workers;
	uint16_t ports_n;
	struct port *const *ports;
	uint64_t seed;              /* randomness of all shards */
	uint8_t secret[32];         /* keyed hashes */
	unsigned pools_percent;     /* size of the packet pools */
	uint32_t tcp_conns;         /* per worker; 0: TCP_CONNS_LEAST */
	uint16_t tls_suspend_rounds;/* tests: see tls.h */
	/* Wakes a parked worker: writes its eventfd, or tells the simulator. */
	void (*wake)(void *waker, uint16_t worker);
	void *waker;
	/* Counter cells, one struct counters per worker; null: plain memory. */
	struct counters *counters;
	/* Addresses of the first generation that the box had just now (ip_link_held()). */
	const struct addr *held;
	uint32_t held_n;
	/* Packet pools, one per worker, when ports need them before the gateway is made; null: it makes its own. */
	const struct packet_pools *pools;
};

struct gateway *gateway_new(const struct gateway_options *o);      /* boot; null: no memory */
void gateway_free(struct gateway *g);
struct worker *gateway_worker(struct gateway *g, uint16_t index);
struct ip_link *gateway_link(struct gateway *g);                    /* any thread may walk its addresses */
const struct health *gateway_health(const struct gateway *g);       /* of endpoints; any thread may read it */

/* Generations (worker/generation.c). The block must stay mapped until the callback says it is free. */
enum err gateway_publish(struct gateway *g, const struct table *t, void (*on_free)(void *arg, const struct table *t),
                         void *arg) MUST_CHECK;                     /* LIMIT: too many alive; INVALID: a regex */
void gateway_reclaim(struct gateway *g);                            /* housekeeping: frees what no round uses */
/* A grace period: it is over when no worker uses what it could see before it began. Housekeeping's thread only. */
uint64_t gateway_grace(struct gateway *g);
bool gateway_grace_over(struct gateway *g, uint64_t token);
unsigned gateway_generations(const struct gateway *g);              /* alive */
void gateway_kick(struct gateway *g, uint16_t worker);
void gateway_refresh(struct gateway *g, const uint64_t fresh[static 2]); /* randomness, every minute; any thread */
const struct table *gateway_table(const struct gateway *g);         /* or null; publisher's thread only */
uint64_t gateway_serial(const struct gateway *g);                   /* how many were published */

/* One round; returns how many packets, timers and messages it handled (0: idle). */
unsigned worker_round(struct worker *w, uint64_t now_ns, uint64_t wall_us);
bool worker_sleepable(struct worker *w, uint64_t *until_ns);
bool worker_waiting(const struct worker *w);                        /* others left it something */
bool worker_park(struct worker *w);                                 /* false: something came, do not sleep */
void worker_unpark(struct worker *w);
void worker_drain(struct worker *w);                                /* close connections, busy ones when answered */

/*
 * Walks (worker/walk.c): housekeeping asks for some entries from a cursor on, the worker fills them in at the end of
 * one of its rounds, housekeeping reads them. One question at a time. A worker that hangs never answers: the
 * question stays open and later ones are refused.
 */
enum worker_walk_kind { WORKER_WALK_FLOWS, WORKER_WALK_NEIGH, WORKER_WALK_POOLS };
enum { WORKER_WALK_ENTRIES = 32 };

struct worker_walk {
	enum worker_walk_kind kind;
	uint32_t at;                /* cursor: 0 to begin, and 0 again in the answer when all was seen */
	unsigned n;
	union {
		struct tcp_flow_info flows[WORKER_WALK_ENTRIES];
		struct ip_neigh_info neigh[WORKER_WALK_ENTRIES];
		struct pressure_info pools[WORKER_WALK_ENTRIES];
	};
};

bool worker_ask(struct worker *w, enum worker_walk_kind kind, uint32_t at); /* false: the last is not answered yet */
const struct worker_walk *worker_answer(struct worker *w);          /* null: not yet; valid until the next ask */

struct shard *worker_shard(struct worker *w);
struct port_tx *worker_tx(struct worker *w, uint8_t port);          /* tests: its transmit side of a port */
uint64_t worker_generation(const struct worker *w);                 /* serial of the one in use; read by housekeeping */
uint64_t worker_heartbeat(const struct worker *w);                  /* rounds; read by housekeeping */

/*
 * Lateness: how long something that was due waited for the round that begins now, as far as it can be known. The thread
 * tells (worker/thread.c); what is below WORKER_LATE_NS is as good as at once and not even told.
 */
#define WORKER_LATE_NS (100 * NS_PER_US)
void worker_late(struct worker *w, uint64_t late_ns);
uint64_t worker_late_max_ns(const struct worker *w);                /* since the start; read by housekeeping */

#endif
