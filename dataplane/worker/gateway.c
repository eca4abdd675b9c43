/*
 * A gateway: N workers, the rings between them, and what they share. Several may live in one process.
 *
 * Rings are N x N, single producer and single consumer each, so that handing over needs no atomic instruction. Who
 * has put something into rings kicks their owners once, at the end of its round: the fence stands between the put
 * and the look at the sleeper's flag, as it stands on the other side between the flag and the look at the rings
 * (worker_park), so at least one of the two sees the other.
 */
#include "worker/gateway.h"

#include <rte_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void *boot_memory(size_t bytes)
{
	void *memory = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(bytes, RTE_CACHE_LINE_SIZE));

	if (memory)
		memset(memory, 0, bytes);
	return memory;
}

/* Rings live in plain memory: named ones would collide when several gateways share a process. */
static struct rte_ring *ring_new(void)
{
	unsigned size = rte_align32pow2(LIMIT_hand_over_ring + 1);
	struct rte_ring *r = boot_memory((size_t)rte_ring_get_memsize(size));

	if (r && rte_ring_init(r, "hand over", size, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
		free(r);
		r = NULL;
	}
	return r;
}

static void ring_free(struct rte_ring *r)
{
	void *m;

	while (r && rte_ring_dequeue(r, &m) == 0)
		rte_pktmbuf_free(m);
	free(r);
}

static bool make_rings(struct gateway *g)
{
	for (uint16_t to = 0; to < g->options.workers; to++)
		for (uint16_t from = 0; from < g->options.workers; from++)
			if (to != from && !(g->rings[to][from] = ring_new()))
				return false;
	return true;
}

static bool make_rounds(struct gateway *g)
{
	g->rounds = boot_memory(rte_rcu_qsbr_get_memsize(g->options.workers));
	if (!g->rounds || rte_rcu_qsbr_init(g->rounds, g->options.workers) != 0)
		return false;
	for (uint16_t w = 0; w < g->options.workers; w++)
		if (rte_rcu_qsbr_thread_register(g->rounds, w) != 0)
			return false;
	return true;
}

static bool make_counters(struct gateway *g)
{
	if (g->options.counters)
		return true;
	g->own_counters = boot_memory(sizeof(struct counters) * g->options.workers);
	g->options.counters = g->own_counters;
	return g->own_counters != NULL;
}

static bool make_workers(struct gateway *g)
{
	static _Atomic unsigned serial;
	unsigned number = atomic_fetch_add(&serial, 1);

	for (uint16_t w = 0; w < g->options.workers; w++) {
		char name[16];

		snprintf(name, sizeof(name), "g%uw%u", number, w);
		g->workers[w] = worker_new(g, w, name);
		if (!g->workers[w])
			return false;
	}
	return true;
}

struct gateway *gateway_new(const struct gateway_options *o)
{
	struct gateway *g;

	CHECK(o->workers >= 1 && o->workers <= LIMIT_workers && o->ports_n <= LIMIT_ports);
	g = boot_memory(sizeof(*g));
	if (!g)
		return NULL;
	g->options = *o;
	for (uint16_t p = 0; p < o->ports_n; p++)
		g->ports[p] = o->ports[p];
	g->options.ports = g->ports;
	g->link = ip_link_new(o->workers);
	ip_link_held(g->link, o->held, o->held_n);
	g->health = health_new(o->workers);
	g->regexes = regexes_new(o->workers);
	if (!g->link || !g->health || !g->regexes || !make_rings(g) || !make_rounds(g) || !make_counters(g) ||
	    !make_workers(g)) {
		gateway_free(g);
		return NULL;
	}
	return g;
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	for (uint16_t to = 0; to < LIMIT_workers; to++)
		for (uint16_t from = 0; from < LIMIT_workers; from++)
			ring_free(g->rings[to][from]);
	/* A worker may hold packets of any other's pools: all let go before the first pool goes. */
	for (uint16_t w = 0; w < LIMIT_workers; w++)
		if (g->workers[w])
			worker_close(g->workers[w]);
	if (g->link)
		ip_link_free(g->link);
	for (uint16_t w = 0; w < LIMIT_workers; w++)
		if (g->workers[w])
			worker_free(g->workers[w]);
	health_free(g->health);
	/* No round will come: all generations are free. */
	for (unsigned i = 0; i < LIMIT_generations; i++) {
		regexes_drop(g->regexes, g->generations[i].regexes);
		if (g->generations[i].state != GENERATION_NONE && g->generations[i].on_free)
			g->generations[i].on_free(g->generations[i].arg, g->generations[i].table);
	}
	regexes_free(g->regexes);
	free(g->own_counters);
	free(g->rounds);
	free(g);
}

struct worker *gateway_worker(struct gateway *g, uint16_t index)
{
	CHECK(index < g->options.workers);
	return g->workers[index];
}

struct ip_link *gateway_link(struct gateway *g)
{
	return g->link;
}

const struct health *gateway_health(const struct gateway *g)
{
	return g->health;
}

void gateway_kick(struct gateway *g, uint16_t worker)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&g->sleepers[worker].asleep, memory_order_relaxed) == 0)
		return;
	if (atomic_exchange(&g->sleepers[worker].asleep, 0) && g->options.wake)
		g->options.wake(g->options.waker, worker);
}

void gateway_refresh(struct gateway *g, const uint64_t fresh[static 2])
{
	for (unsigned i = 0; i < 2; i++)
		atomic_store_explicit(&g->fresh[i], fresh[i], memory_order_relaxed);
}
