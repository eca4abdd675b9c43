/*
 * The life of a neighbour entry (RFC 4861, 7.3; ARP entries follow the same rules). Runs on the link owner.
 *
 *      a packet for it                   answer
 *   NONE -----------> INCOMPLETE ---------------------> REACHABLE <------------------------+
 *    |  ^                 | 3 questions                    | 15 to 45 s                    |
 *    |  | 1 s             v                                v      used           5 s       | answer
 *    |  +-------------- FAILED <--- 3 questions --+     STALE ---------> DELAY ---------> PROBE
 *    |                                            +--------^-------------------------------+
 *    +------------- heard of it, not asked ----------------+
 *
 * Only INCOMPLETE and FAILED stop packets: in INCOMPLETE they wait in the entry's queue, in FAILED they are refused,
 * so that a transport learns soon. TCP gives no hints of reachability here: a used entry costs one unicast question
 * in about 35 s. A gateway's entry never ends: from FAILED it goes back to asking.
 *
 * Questions come from an address of ours that has been probed. Until there is one nobody is asked, and packets wait.
 */
#include "ip/layer.h"
#include "ip/timing.h"

enum { SOLICIT_BURST = 50 };

static void fire(struct timer *timer, uint64_t now_ns);

static uint16_t index_of(const struct neigh_table *t, const struct neigh_owned *o)
{
	return (uint16_t)(o - t->owned);
}

static void arm(struct ip *ip, uint16_t i, uint64_t in_ms)
{
	timer_arm(&ip->shard->wheel, &ip->link->neighs.owned[i].timer, ip_now(ip) + in_ms * NS_PER_MS, fire);
}

static uint64_t reachable_ms(struct ip *ip)
{
	return NEIGH_REACHABLE_MS / 2 + rng_below(&ip->shard->rng, NEIGH_REACHABLE_MS);
}

/* The one place where a state changes; the timer of the new state is armed here. */
void neigh_set_state(struct ip *ip, uint16_t i, enum neigh_state to)
{
	static const uint8_t legal[NEIGH_STATES] = {
		[NEIGH_NONE] = 1 << NEIGH_INCOMPLETE | 1 << NEIGH_STALE,
		[NEIGH_INCOMPLETE] = 1 << NEIGH_REACHABLE | 1 << NEIGH_STALE | 1 << NEIGH_FAILED,
		[NEIGH_REACHABLE] = 1 << NEIGH_STALE | 1 << NEIGH_REACHABLE,
		[NEIGH_STALE] = 1 << NEIGH_DELAY | 1 << NEIGH_REACHABLE | 1 << NEIGH_STALE,
		[NEIGH_DELAY] = 1 << NEIGH_PROBE | 1 << NEIGH_REACHABLE | 1 << NEIGH_STALE,
		[NEIGH_PROBE] = 1 << NEIGH_REACHABLE | 1 << NEIGH_STALE | 1 << NEIGH_FAILED,
		[NEIGH_FAILED] = 1 << NEIGH_INCOMPLETE | 1 << NEIGH_STALE,
	};
	struct neigh *n = &ip->link->neighs.entry[i];

	CHECK(legal[n->state] >> to & 1);
	if (to == NEIGH_REACHABLE && n->state != NEIGH_REACHABLE)
		count(ip->shard->counters, C_neigh_resolved);
	if (to == NEIGH_REACHABLE)
		__atomic_store_n(&n->confirmed_ns, ip_now(ip), __ATOMIC_RELAXED);
	__atomic_store_n(&n->state, (uint8_t)to, __ATOMIC_RELEASE);
	switch (to) {
	case NEIGH_REACHABLE:
		arm(ip, i, reachable_ms(ip));
		return;
	case NEIGH_STALE:
		arm(ip, i, NEIGH_UNUSED_MS);
		return;
	case NEIGH_DELAY:
		arm(ip, i, NEIGH_DELAY_MS);
		return;
	case NEIGH_FAILED:
		arm(ip, i, NEIGH_FAILED_MS);
		return;
	default:
		return; /* INCOMPLETE and PROBE: solicit() arms */
	}
}

static uint64_t mac_of(const struct neigh_table *t, uint16_t i)
{
	return t->entry[i].hot & NEIGH_MAC_MASK;
}

/* ---- asking ---- */

static void ask(struct ip *ip, uint16_t i, const struct addr *from, bool unicast)
{
	const struct neigh *n = &ip->link->neighs.entry[i];
	const uint64_t word = mac_of(&ip->link->neighs, i);
	struct rte_ether_addr mac;

	memcpy(&mac, &word, sizeof(mac));
	if (addr_is_v4(&n->addr))
		arp_request(ip, n->iface, from, &n->addr, unicast ? &mac : NULL);
	else
		nd_solicit(ip, n->iface, from, &n->addr, unicast ? &mac : NULL);
	count(ip->shard->counters, C_neigh_solicits_sent);
}

/* Gateways are few, and what lies behind them must not wait for who makes us ask for others. */
static bool may_ask(struct ip *ip, uint16_t i)
{
	struct neigh_table *t = &ip->link->neighs;
	struct rate *r = &t->solicits[t->entry[i].iface];

	if (t->entry[i].gateway || rate_allow(r, ip_now(ip), LIMIT_solicits_per_s, SOLICIT_BURST))
		return true;
	count(ip->shard->counters, C_limit_solicits_per_s);
	return false;
}

/*
 * One question of INCOMPLETE or PROBE; one that the rate limit swallows is not counted as asked, and tried again at a
 * time that others do not try at as well. In INCOMPLETE there is an end to that too, since packets wait. One for which
 * there is no address to ask from is counted, so that it fails like one that is not answered if there never is.
 */
static void solicit(struct ip *ip, uint16_t i)
{
	struct neigh_table *t = &ip->link->neighs;
	const struct addr *from = route_source(ip, t->entry[i].iface, &t->entry[i].addr, false);

	if (from == NULL) {
		t->owned[i].solicits++;
		arm(ip, i, NEIGH_NO_SOURCE_MS);
	} else if (may_ask(ip, i)) {
		t->owned[i].solicits++;
		ask(ip, i, from, t->entry[i].state == NEIGH_PROBE);
		arm(ip, i, NEIGH_RETRANS_MS);
	} else {
		if (t->entry[i].state == NEIGH_INCOMPLETE)
			t->owned[i].swallowed++;
		arm(ip, i, NEIGH_RETRANS_MS / 2 + rng_below(&ip->shard->rng, NEIGH_RETRANS_MS));
	}
}

static void begin(struct ip *ip, uint16_t i, enum neigh_state state)
{
	ip->link->neighs.owned[i].solicits = ip->link->neighs.owned[i].swallowed = 0;
	neigh_set_state(ip, i, state);
	solicit(ip, i);
}

static void fail(struct ip *ip, uint16_t i)
{
	struct neigh_table *t = &ip->link->neighs;
	struct rte_mbuf *m;

	count(ip->shard->counters, C_neigh_failed);
	neigh_publish(t, i, 0);
	while ((m = neigh_dequeue(t, i)) != NULL)
		ip_drop(ip, m, DROP_neigh_failed);
	neigh_set_state(ip, i, NEIGH_FAILED);
}

static void fire(struct timer *timer, uint64_t now_ns)
{
	struct neigh_owned *o = container_of(timer, struct neigh_owned, timer);
	struct ip *ip = o->ip;
	struct neigh_table *t = &ip->link->neighs;
	const uint16_t i = index_of(t, o);

	(void)now_ns;
	switch ((enum neigh_state)t->entry[i].state) {
	case NEIGH_INCOMPLETE:
	case NEIGH_PROBE:
		if (o->solicits < NEIGH_SOLICITS && o->solicits + o->swallowed < NEIGH_TRIES)
			solicit(ip, i);
		else
			fail(ip, i);
		return;
	case NEIGH_REACHABLE:
		neigh_set_state(ip, i, NEIGH_STALE);
		return;
	case NEIGH_DELAY:
		begin(ip, i, NEIGH_PROBE);
		return;
	case NEIGH_STALE:
		if (t->entry[i].gateway)
			arm(ip, i, NEIGH_UNUSED_MS);
		else
			neigh_free(ip, i);
		return;
	case NEIGH_FAILED:
		if (t->entry[i].gateway)
			begin(ip, i, NEIGH_INCOMPLETE);
		else
			neigh_free(ip, i);
		return;
	default:
		CHECK(!"a timer of an entry without state");
	}
}

/* ---- the marks of use ---- */

static void gather(struct ip *ip, uint16_t i)
{
	struct neigh_table *t = &ip->link->neighs;

	__atomic_store_n(&t->used[i], 0, __ATOMIC_RELAXED);
	if (t->entry[i].state == NEIGH_NONE)
		return;
	neigh_touch(t, i);
	if (t->entry[i].state == NEIGH_STALE)
		neigh_set_state(ip, i, NEIGH_DELAY);
}

static void sweep(struct timer *timer, uint64_t now_ns)
{
	struct neigh_table *t = container_of(timer, struct neigh_table, sweep);
	struct ip *ip = t->ip;

	/* Eight bytes at a time: half a microsecond a second when all entries are in use and none is marked. */
	for (uint32_t i = 0; i <= t->made; i += 8) {
		uint64_t marks = 0;

		memcpy(&marks, &t->used[i], i + 8 <= sizeof(t->used) ? 8 : sizeof(t->used) - i);
		for (; marks != 0; marks &= marks - 1)
			gather(ip, (uint16_t)(i + (uint32_t)__builtin_ctzll(marks) / 8));
	}
	if (t->n > 0)
		timer_arm(&ip->shard->wheel, &t->sweep, now_ns + NEIGH_SWEEP_MS * NS_PER_MS, sweep);
}

static uint16_t make(struct ip *ip, uint8_t iface, const struct addr *a)
{
	struct neigh_table *t = &ip->link->neighs;
	const uint16_t i = neigh_make(ip, iface, a);

	if (!timer_armed(&t->sweep)) {
		t->ip = ip;
		timer_arm(&ip->shard->wheel, &t->sweep, ip_now(ip) + NEIGH_SWEEP_MS * NS_PER_MS, sweep);
	}
	return i;
}

/* ---- packets ---- */

static void enqueue(struct ip *ip, uint16_t i, struct rte_mbuf *m)
{
	struct neigh_table *t = &ip->link->neighs;
	struct neigh_owned *o = &t->owned[i];

	if (t->queued >= LIMIT_neighbours_queued) {
		/* Silent neighbours by the hundred must not hold the pool of headers. */
		count(ip->shard->counters, C_limit_neighbours_queued);
		ip_drop(ip, m, DROP_neigh_queue_full);
		return;
	}
	if (o->queued == LIMIT_neighbour_queue) {
		count(ip->shard->counters, C_limit_neighbour_queue);
		ip_drop(ip, neigh_dequeue(t, i), DROP_neigh_queue_full);
	}
	o->queue[(o->head + o->queued++) % LIMIT_neighbour_queue] = m;
	t->queued++;
}

static void flush(struct ip *ip, uint16_t i)
{
	struct neigh_table *t = &ip->link->neighs;
	struct rte_mbuf *m;

	while ((m = neigh_dequeue(t, i)) != NULL)
		eth_output(ip, m, t->entry[i].iface, mac_of(t, i), ip_ether_type(m));
}

void neigh_send(struct ip *ip, struct rte_mbuf *m)
{
	struct neigh_table *t = &ip->link->neighs;
	const struct packet_meta *meta = packet_meta(m);
	const uint8_t iface = meta->iface;
	uint16_t i = (uint16_t)neigh_find(t, iface, &meta->next_hop);

	CHECK(ip->link_owner && iface < IFACES);
	if (i == 0) {
		/* Asked for before there is an entry, so that a scan cannot evict more than the rate. */
		if (!rate_ready(&t->solicits[iface], ip_now(ip), LIMIT_solicits_per_s, SOLICIT_BURST)) {
			count(ip->shard->counters, C_limit_solicits_per_s);
			ip_drop(ip, m, DROP_neigh_rate);
			return;
		}
		if ((i = make(ip, iface, &meta->next_hop)) == 0) {
			ip_drop(ip, m, DROP_neigh_queue_full);
			return;
		}
		begin(ip, i, NEIGH_INCOMPLETE);
	}
	if (mac_of(t, i) != 0) {
		neigh_use(t, i);
		eth_output(ip, m, iface, mac_of(t, i), ip_ether_type(m));
	} else if (t->entry[i].state == NEIGH_INCOMPLETE) {
		enqueue(ip, i, m);
	} else {
		ip_drop(ip, m, DROP_neigh_failed);
	}
}

/* ---- news ---- */

/* An entry that has no usable MAC address, or none at all, gets one. */
static void first(struct ip *ip, uint16_t i, uint64_t word, bool solicited)
{
	const bool asked = ip->link->neighs.entry[i].state == NEIGH_INCOMPLETE;

	neigh_publish(&ip->link->neighs, i, word);
	neigh_set_state(ip, i, solicited && asked ? NEIGH_REACHABLE : NEIGH_STALE);
	flush(ip, i);
}

void neigh_learn(struct ip *ip, const struct neigh_news *news)
{
	struct neigh_table *t = &ip->link->neighs;
	const uint64_t word = news->mac != NULL ? neigh_mac_word(news->mac) : 0;
	uint16_t i = (uint16_t)neigh_find(t, news->iface, &news->addr);
	bool differs;

	if (i == 0 && news->create && word != 0)
		i = make(ip, news->iface, &news->addr);
	if (i == 0)
		return;
	if (mac_of(t, i) == 0) {
		if (word != 0)
			first(ip, i, word, news->solicited);
		return;
	}
	/* RFC 4861, 7.2.5. */
	differs = word != 0 && word != mac_of(t, i);
	if (differs && !news->override) {
		if (t->entry[i].state == NEIGH_REACHABLE)
			neigh_set_state(ip, i, NEIGH_STALE);
		return;
	}
	if (differs) {
		neigh_publish(t, i, word);
		if (t->entry[i].gateway)
			count(ip->shard->counters, C_neigh_gateway_moves);
	}
	if (news->solicited)
		neigh_set_state(ip, i, NEIGH_REACHABLE);
	else if (differs)
		neigh_set_state(ip, i, NEIGH_STALE);
}

bool neigh_asked(const struct ip *ip, uint8_t iface, const struct addr *a)
{
	const struct neigh_table *t = &ip->link->neighs;
	const uint32_t i = neigh_find(t, iface, a);
	const enum neigh_state s = neigh_state(t, i);

	return s == NEIGH_INCOMPLETE || s == NEIGH_PROBE;
}

/* ---- gateways ---- */

static bool is_gateway(const struct ip *ip, const struct neigh *n)
{
	for (uint32_t r = 0; r < ip->routes.n; r++) {
		const struct route *route = &ip->routes.route[r];

		if (!route->connected && route->iface == n->iface && addr_equal(&route->gateway, &n->addr))
			return true;
	}
	return false;
}

void neigh_apply(struct ip *ip)
{
	struct neigh_table *t = &ip->link->neighs;

	for (uint16_t i = 1; i <= t->made; i++) {
		if (t->entry[i].gateway && !is_gateway(ip, &t->entry[i]))
			neigh_pin(t, i, false);
	}
	for (uint32_t r = 0; r < ip->routes.n; r++) {
		const struct route *route = &ip->routes.route[r];
		uint16_t i;

		if (route->connected)
			continue;
		i = (uint16_t)neigh_find(t, route->iface, &route->gateway);
		if (i == 0 && (i = make(ip, route->iface, &route->gateway)) == 0)
			continue;
		neigh_pin(t, i, true);
		if (t->entry[i].state == NEIGH_NONE)
			begin(ip, i, NEIGH_INCOMPLETE);
	}
}

void neigh_forget(struct ip *ip, uint8_t iface)
{
	struct neigh_table *t = &ip->link->neighs;

	for (uint16_t i = 1; i <= t->made; i++) {
		if (t->entry[i].state != NEIGH_NONE && t->entry[i].iface == iface)
			neigh_free(ip, i);
	}
}

void neigh_fini(struct ip *ip)
{
	struct neigh_table *t = &ip->link->neighs;

	timer_cancel(&ip->shard->wheel, &t->sweep);
	for (uint16_t i = 1; i <= t->made; i++) {
		if (t->entry[i].state != NEIGH_NONE)
			neigh_free(ip, i);
	}
}
