#include "base/pressure.h"

#include "base/check.h"
#include "base/limits.h"

/* Per cent of a pool in use at which a step begins, and what counts that it did; 0: it does not help this kind. */
static const struct shed_step {
	uint32_t percent;
	enum counter begins;
} memory[SHED_STEPS] = {
	{LIMIT_shed_large, C_limit_shed_large},
	{LIMIT_shed_syns, C_limit_shed_syns},
	{LIMIT_shed_requests, C_limit_shed_requests},
	{LIMIT_shed_idle, C_limit_shed_idle},
	{LIMIT_shed_segments, C_limit_shed_segments},
	{LIMIT_shed_text, C_limit_shed_text},
}, connections[SHED_STEPS] = {
	{0},
	{LIMIT_shed_syns_conns, C_limit_shed_syns_conns},
	{0},
	{LIMIT_shed_idle, C_limit_shed_idle},
};

static_assert(1 << (SHED_STEPS - 1) == SHED_TEXT, "a row per step");
static_assert(LIMIT_shed_large < LIMIT_shed_syns && LIMIT_shed_syns < LIMIT_shed_requests &&
              LIMIT_shed_requests < LIMIT_shed_idle && LIMIT_shed_idle < LIMIT_shed_segments &&
              LIMIT_shed_segments < LIMIT_shed_text, "new before old");
static_assert((int)LIMIT_shed_relief < (int)LIMIT_shed_large, "every step can end");

static uint32_t free_at(uint32_t capacity, uint32_t percent_used)
{
	return (uint32_t)(((uint64_t)capacity * (100 - percent_used) + 99) / 100);
}

static struct pressure_pool *watch(struct pressure *p, uint32_t capacity, const struct shed_step *steps)
{
	struct pressure_pool *w = &p->pools[p->pools_n++];

	CHECK(p->pools_n <= PRESSURE_POOLS);
	*w = (struct pressure_pool){.steps = steps, .empty = COUNTERS, .capacity = capacity, .free_n = capacity};
	for (unsigned i = 0; i < SHED_STEPS; i++) {
		const uint32_t percent = steps[i].percent;

		if (percent == 0)
			continue;
		w->begin[i] = free_at(capacity, percent);
		w->end[i] = free_at(capacity, percent - LIMIT_shed_relief);
		w->begin_first = w->begin[i] > w->begin_first ? w->begin[i] : w->begin_first;
	}
	return w;
}

void pressure_watch(struct pressure *p, const struct pool *objects)
{
	watch(p, objects->capacity, memory)->objects = objects;
}

void pressure_watch_conns(struct pressure *p, const struct pool *conns)
{
	watch(p, conns->capacity, connections)->objects = conns;
}

void pressure_watch_mbufs(struct pressure *p, const struct pressure_mbufs *m)
{
	struct pressure_pool *w;
	uint32_t last, more;

	CHECK(m->pool->size > m->reserve);
	w = watch(p, m->pool->size - m->reserve, memory);
	w->mbufs = m->pool;
	w->empty = m->empty;
	last = w->begin[SHED_STEPS - 1];
	more = last < m->floor ? m->floor - last : 0;
	/* In a small pool the floor is a large part: then the steps before it begin earlier too. */
	for (unsigned i = 0; i < SHED_STEPS; i++) {
		w->begin[i] += more;
		w->end[i] += more;
	}
	w->begin_first += more;
}

/* What this worker can get: what others keep in the caches of their cores is not to be had. */
static uint32_t mbufs_free(struct rte_mempool *pool, unsigned lcore)
{
	const struct rte_mempool_cache *cache = rte_mempool_default_cache(pool, lcore);

	return rte_mempool_ops_get_count(pool) + (cache ? cache->len : 0);
}

static void decide(struct pressure_pool *w, uint32_t free_n, struct counters *c)
{
	for (unsigned i = 0; i < SHED_STEPS; i++) {
		const uint8_t step = (uint8_t)(1u << i);

		if (!(w->shed & step) && free_n < w->begin[i]) {
			w->shed |= step;
			count(c, w->steps[i].begins);
		} else if (w->shed & step && free_n >= w->end[i]) {
			w->shed &= (uint8_t)~step;
			count(c, C_limit_shed_relief);
		}
	}
}

uint8_t pressure_look(struct pressure *p, unsigned lcore, struct counters *c)
{
	uint8_t shed = 0;

	for (uint32_t i = 0; i < p->pools_n; i++) {
		struct pressure_pool *w = &p->pools[i];
		const uint32_t free_n = w->objects ? w->objects->free_n : mbufs_free(w->mbufs, lcore);

		w->free_n = free_n;
		if (__builtin_expect(free_n >= w->begin_first && !w->shed, 1))
			continue;
		decide(w, free_n, c);
		if (free_n == 0 && w->empty != COUNTERS)
			count(c, w->empty);
		shed |= w->shed;
	}
	return shed;
}

unsigned pressure_tell(const struct pressure *p, struct pressure_info *out, unsigned n_max)
{
	unsigned n = 0;

	for (; n < p->pools_n && n < n_max; n++) {
		const struct pressure_pool *w = &p->pools[n];

		out[n] = w->objects ?
			(struct pressure_info){w->objects->name, pool_used(w->objects), w->objects->capacity} :
			(struct pressure_info){w->mbufs->name, rte_mempool_in_use_count(w->mbufs), w->mbufs->size};
	}
	return n;
}
