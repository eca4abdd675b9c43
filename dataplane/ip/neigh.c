/*
 * The neighbour table: entries, their hash chains, the order of eviction. What an entry lives through is in nud.c.
 */
#include "ip/neigh.h"

#include "ip/layer.h"

enum { CHAIN_MAX = 64, SECOND_CHANCES = 8, READS_MAX = 4 };

static uint32_t bucket_of(const struct neigh_table *t, uint8_t iface, const struct addr *a)
{
	const uint32_t hash = address_hash(t->key + iface, a);

	return hash & (NEIGH_BUCKETS - 1);
}

/* Whether entry i is this neighbour; false also while it is being written. *hot belongs to the same moment. */
static bool identity(const struct neigh *n, uint8_t iface, const struct addr *a, uint64_t *hot)
{
	for (unsigned tries = 0; tries < READS_MAX; tries++) {
		const uint32_t seq = __atomic_load_n(&n->seq, __ATOMIC_ACQUIRE);
		struct addr is;
		uint8_t on;

		is.q[0] = __atomic_load_n(&n->addr.q[0], __ATOMIC_RELAXED);
		is.q[1] = __atomic_load_n(&n->addr.q[1], __ATOMIC_RELAXED);
		on = __atomic_load_n(&n->iface, __ATOMIC_RELAXED);
		*hot = __atomic_load_n(&n->hot, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if ((seq & 1) == 0 && seq == __atomic_load_n(&n->seq, __ATOMIC_RELAXED))
			return on == iface && addr_equal(&is, a);
	}
	return false;
}

uint32_t neigh_find(const struct neigh_table *t, uint8_t iface, const struct addr *a)
{
	uint16_t i = __atomic_load_n(&t->bucket[bucket_of(t, iface, a)], __ATOMIC_ACQUIRE);

	/* A reader may follow an entry into another chain while it is being moved: so steps are counted. */
	for (unsigned steps = 0; i != 0 && steps < CHAIN_MAX; steps++) {
		const struct neigh *n = &t->entry[i];
		uint64_t hot;

		if (identity(n, iface, a, &hot) && neigh_state(t, i) != NEIGH_NONE)
			return i | (uint32_t)(hot >> 48) << 16;
		i = __atomic_load_n(&n->next, __ATOMIC_ACQUIRE);
	}
	return 0;
}

/* ---- the order of use ---- */

static void unlink_used(struct neigh_table *t, uint16_t i)
{
	struct neigh_owned *o = &t->owned[i];

	*(o->newer != 0 ? &t->owned[o->newer].older : &t->newest) = o->older;
	*(o->older != 0 ? &t->owned[o->older].newer : &t->oldest) = o->newer;
	o->newer = o->older = 0;
}

static void link_newest(struct neigh_table *t, uint16_t i)
{
	struct neigh_owned *o = &t->owned[i];

	o->newer = 0;
	o->older = t->newest;
	*(t->newest != 0 ? &t->owned[t->newest].newer : &t->oldest) = i;
	t->newest = i;
}

void neigh_touch(struct neigh_table *t, uint16_t i)
{
	if (t->entry[i].gateway || t->newest == i)
		return;
	unlink_used(t, i);
	link_newest(t, i);
}

void neigh_pin(struct neigh_table *t, uint16_t i, bool gateway)
{
	if (gateway == (bool)t->entry[i].gateway)
		return;
	if (gateway)
		unlink_used(t, i);
	else
		link_newest(t, i);
	__atomic_store_n(&t->entry[i].gateway, gateway, __ATOMIC_RELAXED);
}

/* ---- entries ---- */

void neigh_publish(struct neigh_table *t, uint16_t i, uint64_t mac_word)
{
	struct neigh *n = &t->entry[i];

	__atomic_store_n(&n->hot, (n->hot & ~NEIGH_MAC_MASK) | mac_word, __ATOMIC_RELEASE);
}

static void write_identity(struct neigh *n, uint8_t iface, const struct addr *a)
{
	const uint64_t generation = n->hot >> 48 == UINT16_MAX ? 1 : (n->hot >> 48) + 1;

	__atomic_store_n(&n->seq, n->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&n->hot, generation << 48, __ATOMIC_RELAXED);
	__atomic_store_n(&n->addr.q[0], a->q[0], __ATOMIC_RELAXED);
	__atomic_store_n(&n->addr.q[1], a->q[1], __ATOMIC_RELAXED);
	__atomic_store_n(&n->iface, iface, __ATOMIC_RELAXED);
	__atomic_store_n(&n->seq, n->seq + 1, __ATOMIC_RELEASE);
}

/* Frees the least recently used entry; those that were used since the last sweep get another chance. */
static void evict(struct ip *ip)
{
	struct neigh_table *t = &ip->link->neighs;

	for (unsigned n = 0; n < SECOND_CHANCES && t->oldest != 0 && t->used[t->oldest]; n++) {
		__atomic_store_n(&t->used[t->oldest], 0, __ATOMIC_RELAXED);
		neigh_touch(t, t->oldest);
	}
	if (t->oldest == 0)
		return;
	count(ip->shard->counters, C_neigh_evicted);
	neigh_free(ip, t->oldest);
}

uint16_t neigh_make(struct ip *ip, uint8_t iface, const struct addr *a)
{
	struct neigh_table *t = &ip->link->neighs;
	const uint32_t bucket = bucket_of(t, iface, a);
	struct neigh *n;
	uint16_t i;

	if (t->free == 0 && t->made == LIMIT_neighbours) {
		count(ip->shard->counters, C_limit_neighbours);
		evict(ip);
		if (t->free == 0)
			return 0;
	}
	if (t->free != 0) {
		i = t->free;
		t->free = t->entry[i].next;
	} else {
		i = (uint16_t)(t->made + 1);
		__atomic_store_n(&t->made, i, __ATOMIC_RELAXED);
	}
	n = &t->entry[i];
	t->n++;
	t->owned[i].ip = ip;
	__atomic_store_n(&t->used[i], 0, __ATOMIC_RELAXED);
	write_identity(n, iface, a);
	link_newest(t, i);
	__atomic_store_n(&n->next, t->bucket[bucket], __ATOMIC_RELEASE);
	__atomic_store_n(&t->bucket[bucket], i, __ATOMIC_RELEASE);
	return i;
}

struct rte_mbuf *neigh_dequeue(struct neigh_table *t, uint16_t i)
{
	struct neigh_owned *o = &t->owned[i];
	struct rte_mbuf *m;

	if (o->queued == 0)
		return NULL;
	m = o->queue[o->head];
	o->head = (uint8_t)((o->head + 1) % LIMIT_neighbour_queue);
	o->queued--;
	t->queued--;
	return m;
}

void neigh_free(struct ip *ip, uint16_t i)
{
	struct neigh_table *t = &ip->link->neighs;
	struct neigh *n = &t->entry[i];
	struct neigh_owned *o = &t->owned[i];
	uint16_t *at = &t->bucket[bucket_of(t, n->iface, &n->addr)];
	struct rte_mbuf *m;

	CHECK(i != 0 && t->n > 0);
	timer_cancel(&ip->shard->wheel, &o->timer);
	while ((m = neigh_dequeue(t, i)) != NULL)
		ip_drop(ip, m, DROP_neigh_queue_full);
	while (*at != i) {
		CHECK(*at != 0);
		at = &t->entry[*at].next;
	}
	__atomic_store_n(at, n->next, __ATOMIC_RELEASE);
	neigh_pin(t, i, false);
	unlink_used(t, i);
	__atomic_store_n(&n->state, NEIGH_NONE, __ATOMIC_RELAXED);
	write_identity(n, 0, &(struct addr){0});
	__atomic_store_n(&n->next, t->free, __ATOMIC_RELEASE);
	t->free = i;
	t->n--;
}

/* ---- what `sluicectl neigh` shows ---- */

unsigned ip_neigh_walk(const struct ip_link *l, uint64_t now_ns, uint32_t *at, struct ip_neigh_info *out, unsigned max)
{
	static const char *const names[NEIGH_STATES] = {
		[NEIGH_INCOMPLETE] = "incomplete", [NEIGH_REACHABLE] = "reachable", [NEIGH_STALE] = "stale",
		[NEIGH_DELAY] = "delay", [NEIGH_PROBE] = "probe", [NEIGH_FAILED] = "failed",
	};
	const struct neigh_table *t = &l->neighs;
	unsigned n = 0;

	CHECK_MAGIC(l, IP_LINK_MAGIC);
	for (uint32_t i = *at == 0 ? 1 : *at; ; i++) {
		const struct neigh *e = &t->entry[i];
		struct ip_neigh_info info = {0};
		uint64_t hot, confirmed_ns;

		if (i > __atomic_load_n(&t->made, __ATOMIC_RELAXED)) {
			*at = 0;
			return n;
		}
		if (n == max) {
			*at = i;
			return n;
		}
		info.addr.q[0] = __atomic_load_n(&e->addr.q[0], __ATOMIC_RELAXED);
		info.addr.q[1] = __atomic_load_n(&e->addr.q[1], __ATOMIC_RELAXED);
		info.iface = __atomic_load_n(&e->iface, __ATOMIC_RELAXED);
		if (!identity(e, info.iface, &info.addr, &hot) || neigh_state(t, i) == NEIGH_NONE)
			continue;
		info.state = names[neigh_state(t, i)];
		memcpy(&info.mac, &hot, sizeof(info.mac));
		confirmed_ns = __atomic_load_n(&e->confirmed_ns, __ATOMIC_RELAXED);
		info.age_ms = confirmed_ns != 0 && now_ns > confirmed_ns ? (now_ns - confirmed_ns) / NS_PER_MS : 0;
		info.gateway = __atomic_load_n(&e->gateway, __ATOMIC_RELAXED);
		out[n++] = info;
	}
}
