/*
 * Generations: how a new table gets to the workers, and when an old one may go.
 *
 * Publishing is one release store. A worker loads the pointer once at the start of a round and reports at its end
 * that it holds nothing any more (rte_rcu_qsbr: quiescent). A retired generation has a token, taken after the swap;
 * when every worker has reported since then, or is offline because it sleeps, nobody can still read it, and its
 * owner is told to free it. What outlives a generation (pools, neighbours, weights) is carried over by the layers
 * in their apply functions, keyed by stable ids. What needs pointers (regular expressions, for every worker its own)
 * is made before the swap, and let go with the generation that nobody reads any more.
 *
 *        publish             the next publish         every worker was quiescent
 *   NONE -------> CURRENT ---------------> RETIRED -----------------------------> NONE
 *
 * All of it runs on the publisher's thread (the housekeeping core, or the simulator).
 */
#include "base/check.h"
#include "worker/gateway.h"

static void move(struct generation *n, enum generation_state to)
{
	CHECK((n->state == GENERATION_NONE && to == GENERATION_CURRENT) ||
	      (n->state == GENERATION_CURRENT && to == GENERATION_RETIRED) ||
	      (n->state == GENERATION_RETIRED && to == GENERATION_NONE));
	n->state = to;
}

static struct generation *vacancy(struct gateway *g)
{
	for (unsigned i = 0; i < LIMIT_generations; i++)
		if (g->generations[i].state == GENERATION_NONE)
			return &g->generations[i];
	return NULL;
}

enum err gateway_publish(struct gateway *g, const struct table *t, void (*on_free)(void *arg, const struct table *t),
                         void *arg)
{
	struct generation *old = atomic_load_explicit(&g->current, memory_order_relaxed), *new;
	enum err e;

	CHECK(t != NULL && t->magic == TABLE_MAGIC);
	gateway_reclaim(g);
	new = vacancy(g);
	if (!new) {
		/* Nobody but the publisher writes this cell: it stands in worker 0's block. */
		count(&g->options.counters[0], C_limit_generations);
		return ERR_LIMIT;
	}
	e = regexes_take(g->regexes, t, &new->regexes);
	if (e)
		return e;
	new->table = t;
	new->serial = ++g->serial;
	new->on_free = on_free;
	new->arg = arg;
	move(new, GENERATION_CURRENT);
	atomic_store_explicit(&g->current, new, memory_order_release);
	if (old) {
		move(old, GENERATION_RETIRED);
		old->token = rte_rcu_qsbr_start(g->rounds);
	}
	for (uint16_t w = 0; w < g->options.workers; w++)
		gateway_kick(g, w);
	return OK;
}

void gateway_reclaim(struct gateway *g)
{
	for (unsigned i = 0; i < LIMIT_generations; i++) {
		struct generation *n = &g->generations[i];

		if (n->state != GENERATION_RETIRED || rte_rcu_qsbr_check(g->rounds, n->token, false) != 1)
			continue;
		move(n, GENERATION_NONE);
		regexes_drop(g->regexes, n->regexes);
		n->regexes = NULL;
		if (n->on_free)
			n->on_free(n->arg, n->table);
		n->table = NULL;
	}
}

uint64_t gateway_grace(struct gateway *g)
{
	return rte_rcu_qsbr_start(g->rounds);
}

bool gateway_grace_over(struct gateway *g, uint64_t token)
{
	return rte_rcu_qsbr_check(g->rounds, token, false) == 1;
}

unsigned gateway_generations(const struct gateway *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LIMIT_generations; i++)
		n += g->generations[i].state != GENERATION_NONE;
	return n;
}

const struct table *gateway_table(const struct gateway *g)
{
	const struct generation *n = atomic_load_explicit(&g->current, memory_order_relaxed);

	return n ? n->table : NULL;
}

uint64_t gateway_serial(const struct gateway *g)
{
	return g->serial;
}
