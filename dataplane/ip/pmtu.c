#include "ip/pmtu.h"

#include "ip/layer.h"

enum { LIFE_S = 600, SWEEP_S = 10 };

static uint16_t *bucket_of(struct pmtus *p, const struct ip *ip, const struct addr *to)
{
	return &p->bucket[address_hash(ip->link->addresses.key, to) & (PMTU_BUCKETS - 1)];
}

uint16_t pmtu_find(const struct ip *ip, const struct addr *to)
{
	const struct pmtus *p = &ip->pmtus;

	if (p->n == 0)
		return 0;
	for (uint16_t i = *bucket_of((struct pmtus *)(uintptr_t)p, ip, to); i != 0; i = p->entry[i - 1].next) {
		if (addr_equal(&p->entry[i - 1].to, to))
			return p->entry[i - 1].mtu;
	}
	return 0;
}

static void forget(struct ip *ip, uint16_t i)
{
	struct pmtus *p = &ip->pmtus;
	uint16_t *at = bucket_of(p, ip, &p->entry[i - 1].to);

	while (*at != i)
		at = &p->entry[*at - 1].next;
	*at = p->entry[i - 1].next;
	p->entry[i - 1].until_ns = 0;
	p->n--;
}

static void sweep(struct timer *timer, uint64_t now_ns)
{
	struct ip *ip = container_of(timer, struct ip, pmtus.sweep);
	const uint32_t before = ip->pmtus.n;

	CHECK_MAGIC(ip, IP_MAGIC);
	for (uint16_t i = 1; i <= LIMIT_path_mtus; i++) {
		const uint64_t until_ns = ip->pmtus.entry[i - 1].until_ns;

		if (until_ns != 0 && until_ns <= now_ns)
			forget(ip, i);
	}
	if (ip->pmtus.n < before)
		ip_renew_paths(ip);
	if (ip->pmtus.n > 0)
		timer_arm(&ip->shard->wheel, timer, now_ns + SWEEP_S * NS_PER_S, sweep);
}

/* An entry for `to`: its own, a free one, or the one that would be forgotten first. */
static struct pmtu *place(struct ip *ip, const struct addr *to)
{
	struct pmtus *p = &ip->pmtus;
	uint16_t *const bucket = bucket_of(p, ip, to);
	uint16_t best = 1;

	for (uint16_t i = *bucket; i != 0; i = p->entry[i - 1].next) {
		if (addr_equal(&p->entry[i - 1].to, to))
			return &p->entry[i - 1];
	}
	for (uint16_t i = 2; i <= LIMIT_path_mtus; i++) {
		if (p->entry[i - 1].until_ns < p->entry[best - 1].until_ns)
			best = i;
	}
	if (p->entry[best - 1].until_ns != 0) {
		count(ip->shard->counters, C_limit_path_mtus);
		forget(ip, best);
	}
	p->entry[best - 1].to = *to;
	p->entry[best - 1].next = *bucket;
	*bucket = best;
	p->n++;
	return &p->entry[best - 1];
}

void pmtu_learn(struct ip *ip, const struct addr *to, uint16_t mtu)
{
	struct pmtu *e = place(ip, to);

	e->mtu = mtu;
	e->until_ns = ip_now(ip) + LIFE_S * NS_PER_S;
	count(ip->shard->counters, C_ip_path_mtus_learned);
	if (!timer_armed(&ip->pmtus.sweep))
		timer_arm(&ip->shard->wheel, &ip->pmtus.sweep, ip_now(ip) + SWEEP_S * NS_PER_S, sweep);
	ip_renew_paths(ip);
}

void pmtu_fini(struct ip *ip)
{
	timer_cancel(&ip->shard->wheel, &ip->pmtus.sweep);
}
