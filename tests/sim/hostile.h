/*
 * HTTP between parties that need not behave (scenario `http`): what a seed allows them, the routes between them, and
 * what they share. asker.c are the clients, answerer.c the upstreams, tunnel.c what both do behind a 101, hostile.c the
 * scenario and its routes.
 *
 * Whatever they do, a client is told what an upstream answered to this very request, byte for byte, or a status of the
 * gateway's own, or its connection visibly ends; and an upstream sees requests that a client sent, whole or visibly
 * cut, as often as is allowed. Where nobody on the way misbehaved (no `excused`), only the first will do.
 */
#ifndef SIM_HOSTILE_H
#define SIM_HOSTILE_H

#include "tests/sim/ledger.h"
#include "tests/sim/peer.h"
#include "tests/sim/world.h"

/* Chances in percent; 0: not in this seed. */
struct mood {
	uint32_t slow_write, stall_write, slow_read, stall_read, half_close, client_cut, odd_head, smuggle, mutate; /* clients */
	uint32_t late, slow_answer, interim, early, answer_cut, silent, bad_answer, extra, idle_close, error;     /* upstreams */
	uint32_t depth_max;         /* of pipelines */
	uint32_t large;             /* bodies of up to 600,000 bytes */
	uint32_t upgrade;           /* requests for a WebSocket */
	bool refusing;              /* some connections to upstreams are refused */
	bool lossy;
};

enum site_kind { SITE_PLAIN, SITE_MODIFIED, SITE_REWRITTEN, SITE_MIRRORED, SITE_TIMED, SITE_CORS, SITE_REDIRECTED,
                 SITE_INVALID, SITE_EMPTY, SITE_NOWHERE, SITE_RETRIED, SITE_SESSION };

/* A route, as clients and upstreams know it. */
struct site {
	enum site_kind kind;
	const char *prefix;
	int local;                  /* the status of an answer of the gateway's own that is always right; 0: none */
	bool excuses;               /* its timeouts may end any exchange */
	unsigned attempts;          /* beyond the first, for 503; and when the time for a try is over, if it has one */
};

extern const struct site sites[];
extern const unsigned sites_n;

struct hostile {
	struct sim *sim;
	struct world *world;
	struct rng rng;
	struct mood mood;
	struct ledger ledger;
	struct asker *askers;
	uint32_t askers_n, askers_done;
	struct answerer *answerers;
	bool closing;               /* upstreams end connections when they are idle */
	uint64_t requests_seen, answers_seen, locals_seen, foreign_seen;
	uint64_t tunnels_made, tunnels_told;
};

static inline bool chance(struct hostile *h, uint32_t percent)
{
	return percent && rng_below(&h->rng, 100) < percent;
}

void askers_init(struct hostile *h, uint32_t n);
void askers_free(struct hostile *h);
void answerers_init(struct hostile *h);
void answerers_close(struct hostile *h);
void answerers_free(struct hostile *h);
void scenario_http(struct sim *s, struct world *w);

/* Body bytes, whole or in chunks of random sizes, behind what the peer has queued. */
void put_body(struct hostile *h, struct peer *p, uint64_t key, uint64_t n, bool chunked, const char *trailer);
uint64_t body_size(struct hostile *h);

#endif
