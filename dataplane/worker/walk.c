/*
 * Walks: the mailbox through which housekeeping looks into a worker's own structures without a lock.
 *
 *   IDLE or ANSWERED --ask--> ASKED --the worker's round--> ANSWERED
 *
 * The state passes the box from one side to the other: whoever sees its own state owns the contents.
 */
#include "worker/gateway.h"

static_assert((int)PRESSURE_POOLS <= (int)WORKER_WALK_ENTRIES, "all pools are one answer");

bool worker_ask(struct worker *w, enum worker_walk_kind kind, uint32_t at)
{
	if (atomic_load_explicit(&w->walk_state, memory_order_acquire) == WALK_ASKED)
		return false;
	w->walk.kind = kind;
	w->walk.at = at;
	w->walk.n = 0;
	atomic_store_explicit(&w->walk_state, WALK_ASKED, memory_order_release);
	gateway_kick(w->gateway, w->shard.worker);
	return true;
}

const struct worker_walk *worker_answer(struct worker *w)
{
	return atomic_load_explicit(&w->walk_state, memory_order_acquire) == WALK_ANSWERED ? &w->walk : NULL;
}

void walk_run(struct worker *w)
{
	struct worker_walk *a = &w->walk;

	if (likely(atomic_load_explicit(&w->walk_state, memory_order_acquire) != WALK_ASKED))
		return;
	switch (a->kind) {
	case WORKER_WALK_FLOWS:
		a->n = tcp_walk(w->tcp, &a->at, a->flows, WORKER_WALK_ENTRIES);
		break;
	case WORKER_WALK_NEIGH:
		a->n = ip_neigh_walk(w->gateway->link, w->shard.now_ns, &a->at, a->neigh, WORKER_WALK_ENTRIES);
		break;
	case WORKER_WALK_POOLS:
		a->n = pressure_tell(&w->pressure, a->pools, WORKER_WALK_ENTRIES);
		a->at = 0;
		break;
	}
	atomic_store_explicit(&w->walk_state, WALK_ANSWERED, memory_order_release);
}
