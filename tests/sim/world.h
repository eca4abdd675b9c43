/*
 * The world of a run: a gateway of several workers between a client network and a server network.
 *
 *     clients (host, 198.18.0.2) --link-- [ gateway: N workers, N queues per port ] --link-- servers (198.18.1.11, .12)
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <sys/mman.h>

#include "base/limits.h"
#include "tests/sim/app.h"
#include "tests/support/table_fixture.h"
#include "worker/worker.h"

enum { WORLD_WORKERS = 4 };

struct world_options {
	uint16_t workers;
	struct link_faults faults;
	uint16_t tls_suspend_rounds;
	uint32_t isn_top;              /* see struct shard */
	uint64_t bounded_sleep_ns;     /* how late a parked worker may notice a frame */
	unsigned pools_percent;        /* 0: 10 */
	bool dead_endpoints;           /* cluster "two" has as many dead endpoints as good ones */
	void (*routes)(struct fixture *f, uint64_t variant); /* the routes of a generation; null: the standard ones */
};

struct world_worker {
	struct actor actor;
	struct world *world;
	struct worker *worker;
	uint16_t index;
	bool parked, woken;
	uint64_t parks, wakes;
	uint32_t pool_full[4];
	uint32_t chunks_full;
};

struct world {
	struct sim *sim;
	struct link *client_link, *server_link;
	struct link_port ports[2];
	struct gateway *gateway;
	struct world_worker workers[WORLD_WORKERS];
	uint16_t workers_n;
	bool dead_endpoints;
	void (*routes)(struct fixture *f, uint64_t variant);
	struct counters counters[WORLD_WORKERS];
	struct host client, server1, server2;
	struct app clients, servers1, servers2;
	uint64_t published, freed;     /* generations */
	struct actor publisher;        /* a new generation now and then, when publish_every_ns is not 0 */
	uint64_t publish_every_ns;
	bool may_cut;                  /* exchanges may end without a whole response */
};

void world_init(struct world *w, struct sim *s, const struct world_options *o);
void world_fini(struct world *w);

/* Publishes a table whose weights (and routes, where the scenario has its own) depend on `variant`; false: refused for now (4 alive). */
bool world_publish(struct world *w, uint64_t variant);

/* Publishes again and again, at random times that are every_ns apart at most; world_check_clean() ends it. */
void world_keep_publishing(struct world *w, uint64_t every_ns);

/* Runs until done(w) or the virtual deadline; a deadline that passes is a failure ("stalled"). */
void world_run(struct world *w, bool (*done)(struct world *), uint64_t deadline_ns);

/* After the clients are done: servers close, TIME_WAIT passes; then every pool must be full again. */
void world_check_clean(struct world *w);
uint64_t world_count(const struct world *w, enum counter id);

#endif
