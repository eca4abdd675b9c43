/*
 * Object pools: the linker gives every call of pool_get() from another file to the wrapper here. Packet pools: their
 * operations are replaced by ones that pass everything on but what is denied; their caches are turned off, so that every
 * allocation comes by. Three pools are left alone. Two are never empty by construction: rows, which keep a spare of every
 * size, and TIME_WAIT, which evicts its oldest. The third, of endpoints, is for the tables and not for load: endpoints that
 * find no room in it are not used until the next generation, so the cluster would stay empty.
 */
#include "tests/sim/deny.h"

#include <errno.h>
#include <rte_mempool.h>
#include <string.h>

#include "base/check.h"
#include "base/pool.h"

void *__real_pool_get(struct pool *p);
void *__wrap_pool_get(struct pool *p);

static struct {
	bool armed;
	uint64_t seen, from, many, denied;
	int real_ops, ops;           /* index of the operations in use before, and of ours */
} deny = {.real_ops = -1};

static bool deny_this(void)
{
	if (!deny.armed)
		return false;
	deny.seen++;
	if (deny.seen < deny.from || deny.seen >= deny.from + deny.many)
		return false;
	deny.denied++;
	return true;
}

static bool left_alone(const struct pool *p)
{
	static const char *const names[] = {"balancer rows", "tcp_time_wait", "endpoints"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(p->name, names[i]))
			return true;
	return false;
}

void *__wrap_pool_get(struct pool *p)
{
	return !left_alone(p) && deny_this() ? NULL : __real_pool_get(p);
}

static struct rte_mempool_ops *real(void)
{
	return rte_mempool_get_ops(deny.real_ops);
}

static int pass_alloc(struct rte_mempool *mp)
{
	return real()->alloc(mp);
}

static void pass_free(struct rte_mempool *mp)
{
	real()->free(mp);
}

static int pass_enqueue(struct rte_mempool *mp, void *const *objects, unsigned n)
{
	return real()->enqueue(mp, objects, n);
}

static int deny_dequeue(struct rte_mempool *mp, void **objects, unsigned n)
{
	return deny_this() ? -ENOBUFS : real()->dequeue(mp, objects, n);
}

static unsigned pass_count(const struct rte_mempool *mp)
{
	return real()->get_count(mp);
}

static const struct rte_mempool_ops denying = {
	.name = "denying", .alloc = pass_alloc, .free = pass_free, .enqueue = pass_enqueue, .dequeue = deny_dequeue,
	.get_count = pass_count,
};

void deny_pools(const struct packet_pools *p)
{
	struct rte_mempool *const pools[] = {p->rx, p->header, p->payload, p->reference};

	if (deny.real_ops < 0) {
		deny.real_ops = p->rx->ops_index;
		deny.ops = rte_mempool_register_ops(&denying);
		CHECK(deny.ops >= 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		CHECK(pools[i]->ops_index == deny.real_ops);
		rte_mempool_cache_flush(NULL, pools[i]); /* what has been used before */
		pools[i]->ops_index = deny.ops;
		pools[i]->cache_size = 0;
	}
}

void deny_from(uint64_t n, uint64_t many)
{
	deny.seen = deny.denied = 0;
	deny.from = n;
	deny.many = many;
}

void deny_armed(bool armed)
{
	deny.armed = armed;
}

uint64_t deny_seen(void)
{
	return deny.seen;
}

uint64_t denied(void)
{
	return deny.denied;
}
