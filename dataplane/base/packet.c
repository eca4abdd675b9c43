/*
 * The mbuf pools of a shard.
 *
 * Release: DPDK's multi-producer multi-consumer ring with a cache per lcore. Several producers, because a packet that
 * was handed over is freed by the worker that took it.
 *
 * In the asan flavour the ring is behind operations of our own, without caches, so that every free goes through
 * enqueue: it poisons the whole element (struct, private area, room), dequeue makes it readable again. The ring holds
 * the pointers, so nothing of a free element has to be read. Elements are poisoned only once the pool is built,
 * because DPDK fills them in after it has put them into the ring.
 */
#include "base/packet.h"

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/poison.h"

enum { POOL_MIN = 255 };

static_assert(sizeof(struct packet_meta) % RTE_MBUF_PRIV_ALIGN == 0, "private area of mbufs");
static_assert((int)PACKET_HEADER_ROOM >= (int)PACKET_HEADROOM + 60 + (int)PACKET_COPY_MAX,
              "TCP header and copied payload");

#ifdef SLUICE_ASAN

static unsigned cache_size(unsigned n)
{
	(void)n;
	return 0;
}

struct guarded {
	struct rte_ring *ring;
	bool armed;
};

static int guarded_alloc(struct rte_mempool *mp)
{
	struct guarded *g = rte_zmalloc(NULL, sizeof(*g), 0);
	char name[RTE_RING_NAMESIZE];

	if (!g)
		return -ENOMEM;
	snprintf(name, sizeof(name), "MP_%s", mp->name);
	g->ring = rte_ring_create(name, rte_align32pow2(mp->size + 1), mp->socket_id, 0);
	if (!g->ring) {
		rte_free(g);
		return -rte_errno;
	}
	mp->pool_data = g;
	return 0;
}

static void unguard(struct rte_mempool *mp, void *arg, void *object, unsigned index)
{
	(void)arg;
	(void)index;
	UNPOISON(object, mp->elt_size);
}

static void guarded_free(struct rte_mempool *mp)
{
	struct guarded *g = mp->pool_data;

	rte_mempool_obj_iter(mp, unguard, NULL);
	rte_ring_free(g->ring);
	rte_free(g);
}

static int guarded_enqueue(struct rte_mempool *mp, void *const *objects, unsigned n)
{
	struct guarded *g = mp->pool_data;

	for (unsigned i = 0; g->armed && i < n; i++)
		POISON(objects[i], mp->elt_size);
	return rte_ring_enqueue_bulk(g->ring, objects, n, NULL) == n ? 0 : -ENOBUFS;
}

static int guarded_dequeue(struct rte_mempool *mp, void **objects, unsigned n)
{
	struct guarded *g = mp->pool_data;

	if (rte_ring_dequeue_bulk(g->ring, objects, n, NULL) != n)
		return -ENOBUFS;
	for (unsigned i = 0; i < n; i++)
		UNPOISON(objects[i], mp->elt_size);
	return 0;
}

static unsigned guarded_count(const struct rte_mempool *mp)
{
	const struct guarded *g = mp->pool_data;

	return rte_ring_count(g->ring);
}

static const struct rte_mempool_ops guarded_ops = {
	.name = "guarded",
	.alloc = guarded_alloc,
	.free = guarded_free,
	.enqueue = guarded_enqueue,
	.dequeue = guarded_dequeue,
	.get_count = guarded_count,
};

static const char *ops_name(void)
{
	static bool registered;

	if (!registered)
		CHECK(rte_mempool_register_ops(&guarded_ops) >= 0);
	registered = true;
	return guarded_ops.name;
}

static void guard(struct rte_mempool *mp, void *arg, void *object, unsigned index)
{
	(void)arg;
	(void)index;
	POISON(object, mp->elt_size);
}

static void arm(struct rte_mempool *mp)
{
	((struct guarded *)mp->pool_data)->armed = true;
	rte_mempool_obj_iter(mp, guard, NULL);
}

#else

/* What lies in the caches of other cores cannot be had here: in a small pool it must not be much. */
static unsigned cache_size(unsigned n)
{
	return n / 16 < 256 ? n / 16 : 256;
}

static const char *ops_name(void)
{
	return "ring_mp_mc";
}

static void arm(struct rte_mempool *mp)
{
	(void)mp;
}

#endif

struct kind {
	const char *name;
	unsigned limit, in_rings;
	uint16_t meta, room;
};

static struct rte_mempool *make(const char *name, const struct kind *k, unsigned percent, int socket)
{
	char full[RTE_MEMPOOL_NAMESIZE];
	unsigned scaled = (unsigned)((uint64_t)k->limit * percent / 100);
	unsigned n = (scaled > POOL_MIN ? scaled - 1 : POOL_MIN) + k->in_rings;
	struct rte_mempool *mp;

	if (snprintf(full, sizeof(full), "%s.%s", name, k->name) >= (int)sizeof(full)) {
		fprintf(stderr, "packet pool %s.%s: the name is too long\n", name, k->name);
		return NULL;
	}
	mp = rte_pktmbuf_pool_create_by_ops(full, n, cache_size(n), k->meta, k->room, socket, ops_name());
	if (!mp) {
		fprintf(stderr, "packet pool %s: %u mbufs: %s\n", full, n, rte_strerror(rte_errno));
		return NULL;
	}
	arm(mp);
	return mp;
}

enum err packet_pools_for(struct packet_pools *p, const char *name, int socket, unsigned scale_percent,
                          const struct packet_rings *rings)
{
	const uint16_t meta = sizeof(struct packet_meta);
	const struct kind rx = {"rx", LIMIT_rx_mbufs, rings->rx, meta, PACKET_ROOM};
	const struct kind header = {"hdr", LIMIT_header_mbufs, rings->tx, meta, PACKET_HEADER_ROOM};
	const struct kind payload = {"pay", LIMIT_payload_mbufs, 0, meta, PACKET_ROOM};
	const struct kind reference = {"ref", LIMIT_reference_mbufs, rings->tx, 0, 0};

	memset(p, 0, sizeof(*p));
	p->rings = *rings;
	p->rx = make(name, &rx, scale_percent, socket);
	p->header = make(name, &header, scale_percent, socket);
	p->payload = make(name, &payload, scale_percent, socket);
	p->reference = make(name, &reference, scale_percent, socket);
	if (p->rx && p->header && p->payload && p->reference)
		return OK;
	packet_pools_fini(p);
	return ERR_NO_MEMORY;
}

enum err packet_pools_init(struct packet_pools *p, const char *name, int socket, unsigned scale_percent)
{
	return packet_pools_for(p, name, socket, scale_percent, &(struct packet_rings){0});
}

void packet_pools_fini(struct packet_pools *p)
{
	rte_mempool_free(p->rx);
	rte_mempool_free(p->header);
	rte_mempool_free(p->payload);
	rte_mempool_free(p->reference);
	memset(p, 0, sizeof(*p));
}
