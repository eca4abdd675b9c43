/*
 * The states of our addresses. Runs on the link owner; the other workers only read (address.h).
 *
 *                  in the tables              nobody objected             left the tables
 *   none, withdrawn --------------> TENTATIVE -----------------> ACTIVE ----------------------> DRAINING
 *    |                               | ^  ^                       ^  ^   back in the tables      |   |
 *    |         conflict: again later +-+  | conflict              |  +---------------------------+   |
 *    |                                    |                       |                                  |
 *    +-- we had it just now -----> OPTIMISTIC --------------------+      withdrawn <- 60 s, conflict +
 *
 * Who leaves the tables while it is TENTATIVE is withdrawn at once.
 *
 * Every address is probed before it is used (RFC 5227, RFC 4862): a virtual one may just be moving away from another
 * box, and one of the machine's own may have been given twice. timing.h says how long that is. Until then it neither
 * answers nor speaks. Except when the box has it already: a process that follows another one on the same box
 * (ip_link_held()) goes on with its addresses, which its neighbours know and send to, and probes them meanwhile, in
 * case somebody took them over in between. It does not announce them in that time, nor override what others say of
 * them (RFC 4429, 3.2; the machine's own ask with their link-layer address all the same, nd.c).
 *
 * The same goes for active addresses of an interface whose link was down: they become optimistic again (RFC 5227, 2.1).
 *
 * An active address is never given up to another claimant: it is defended, once in DEFEND_INTERVAL (RFC 5227, 2.4
 * (c)). A draining one is: its claimant is where the address has moved to.
 *
 * Who claims an address is remembered, for an alarm that stands as long as the address cannot be used, or for a minute
 * after the last claim: `sluicectl addresses`, a line in the log, conditions of the Gateway and the Machine.
 */
#include "ip/address.h"

#include "ip/layer.h"
#include "ip/timing.h"
#include "table/table.h"

static void fire(struct timer *timer, uint64_t now_ns);

static uint32_t word_of(const struct address *s)
{
	return __atomic_load_n(&s->word, __ATOMIC_RELAXED);
}

static struct address_owned *owned_of(struct address_table *t, const struct address *s)
{
	return &t->owned[s - t->slot];
}

static bool edge_legal(enum ip_address_state from, enum ip_address_state to)
{
	static const uint8_t legal[] = {
		[IP_ADDRESS_NONE] = 1 << IP_ADDRESS_TENTATIVE | 1 << IP_ADDRESS_OPTIMISTIC | 1 << IP_ADDRESS_ACTIVE,
		[IP_ADDRESS_TENTATIVE] = 1 << IP_ADDRESS_TENTATIVE | 1 << IP_ADDRESS_ACTIVE | 1 << IP_ADDRESS_WITHDRAWN,
		[IP_ADDRESS_OPTIMISTIC] = 1 << IP_ADDRESS_OPTIMISTIC | 1 << IP_ADDRESS_TENTATIVE |
		                          1 << IP_ADDRESS_ACTIVE | 1 << IP_ADDRESS_DRAINING,
		[IP_ADDRESS_ACTIVE] = 1 << IP_ADDRESS_ACTIVE | 1 << IP_ADDRESS_OPTIMISTIC | 1 << IP_ADDRESS_DRAINING |
		                      1 << IP_ADDRESS_WITHDRAWN,
		[IP_ADDRESS_DRAINING] = 1 << IP_ADDRESS_ACTIVE | 1 << IP_ADDRESS_WITHDRAWN,
		[IP_ADDRESS_WITHDRAWN] = 1 << IP_ADDRESS_TENTATIVE | 1 << IP_ADDRESS_ACTIVE,
	};

	return legal[from] >> to & 1;
}

static void set_word(struct address_table *t, struct address *s, enum ip_address_state state, uint8_t iface,
                     enum address_kind kind)
{
	const uint32_t old = word_of(s);

	CHECK(edge_legal(address_state(old), state));
	t->n += (uint32_t)(state != IP_ADDRESS_WITHDRAWN) - (uint32_t)address_claimed(old);
	__atomic_store_n(&s->word, address_word(state, iface, kind), __ATOMIC_RELEASE);
}

static void set_state(struct address_table *t, struct address *s, enum ip_address_state state)
{
	set_word(t, s, state, address_iface(word_of(s)), address_kind(word_of(s)));
}

static void arm(struct ip *ip, struct address_owned *o, uint64_t in_ms)
{
	timer_arm(&ip->shard->wheel, &o->timer, ip_now(ip) + in_ms * NS_PER_MS, fire);
}

/* ---- slots ---- */

static struct address *find(struct address_table *t, const struct addr *a)
{
	const uint32_t hash = address_hash(t->key, a);

	for (uint32_t n = 0; n < ADDRESS_SLOTS; n++) {
		const uint32_t i = (hash + n) & (ADDRESS_SLOTS - 1);

		if (t->tag[i] == 0)
			return NULL;
		if (addr_equal(&t->slot[i].addr, a))
			return &t->slot[i];
	}
	return NULL;
}

/* A slot for an address that has none: the first that is empty or was withdrawn. Null at the limit. */
static struct address *make(struct ip *ip, const struct addr *a)
{
	struct address_table *t = &ip->link->addresses;
	const uint32_t hash = address_hash(t->key, a);
	struct address *s;
	uint32_t i = hash & (ADDRESS_SLOTS - 1);

	if (t->n >= ADDRESS_CLAIMED_MAX) {
		count(ip->shard->counters, C_limit_addresses);
		return NULL;
	}
	while (t->tag[i] != 0 && address_claimed(word_of(&t->slot[i])))
		i = (i + 1) & (ADDRESS_SLOTS - 1);
	s = &t->slot[i];
	__atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&s->addr.q[0], a->q[0], __ATOMIC_RELAXED);
	__atomic_store_n(&s->addr.q[1], a->q[1], __ATOMIC_RELAXED);
	__atomic_store_n(&s->word, address_word(IP_ADDRESS_NONE, 0, ADDRESS_OWN), __ATOMIC_RELAXED);
	__atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&t->tag[i], address_tag(hash), __ATOMIC_RELEASE);
	*owned_of(t, s) = (struct address_owned){.ip = ip};
	return s;
}

/*
 * Withdraws a slot, and clears the tags of withdrawn slots that end their chain: what is followed by an empty slot
 * is passed over by no lookup. So tags do not fill up with addresses that are long gone.
 */
static void withdraw(struct ip *ip, struct address *s)
{
	struct address_table *t = &ip->link->addresses;
	uint32_t i = (uint32_t)(s - t->slot);

	timer_cancel(&ip->shard->wheel, &owned_of(t, s)->timer);
	set_state(t, s, IP_ADDRESS_WITHDRAWN);
	while (t->tag[(i + 1) & (ADDRESS_SLOTS - 1)] == 0 && t->tag[i] != 0 && !address_claimed(word_of(&t->slot[i]))) {
		__atomic_store_n(&t->tag[i], 0, __ATOMIC_RELEASE);
		i = (i - 1) & (ADDRESS_SLOTS - 1);
	}
}

/* ---- probing, announcing, defending ---- */

static void announce(struct ip *ip, const struct address *s)
{
	if (addr_is_v4(&s->addr))
		arp_announce(ip, address_iface(word_of(s)), &s->addr);
	else
		nd_announce(ip, address_iface(word_of(s)), &s->addr);
	count(ip->shard->counters, C_address_announcements_sent);
}

static void probe(struct ip *ip, const struct address *s)
{
	if (addr_is_v4(&s->addr))
		arp_request(ip, address_iface(word_of(s)), NULL, &s->addr, NULL);
	else
		nd_solicit(ip, address_iface(word_of(s)), NULL, &s->addr, NULL);
	count(ip->shard->counters, C_address_probes_sent);
}

static void start_probing(struct ip *ip, struct address *s, uint64_t in_ms)
{
	struct address_owned *o = owned_of(&ip->link->addresses, s);

	o->left = ADDRESS_PROBES;
	arm(ip, o, in_ms);
}

static void start_announcing(struct ip *ip, struct address *s, uint64_t in_ms)
{
	struct address_owned *o = owned_of(&ip->link->addresses, s);

	o->left = ADDRESS_ANNOUNCES;
	arm(ip, o, in_ms);
}

static void activate(struct ip *ip, struct address *s, uint64_t announce_in_ms)
{
	set_state(&ip->link->addresses, s, IP_ADDRESS_ACTIVE);
	if (address_kind(word_of(s)) != ADDRESS_BROADCAST)
		start_announcing(ip, s, announce_in_ms);
}

static void fire(struct timer *timer, uint64_t now_ns)
{
	struct address_owned *o = container_of(timer, struct address_owned, timer);
	struct ip *ip = o->ip;
	struct address_table *t = &ip->link->addresses;
	struct address *s = &t->slot[o - t->owned];

	(void)now_ns;
	switch (address_state(word_of(s))) {
	case IP_ADDRESS_TENTATIVE:
	case IP_ADDRESS_OPTIMISTIC:
		if (o->left == 0) {
			__atomic_store_n(&o->conflicts, 0, __ATOMIC_RELAXED);
			__atomic_store_n(&o->claimed_ns, 0, __ATOMIC_RELAXED);
			activate(ip, s, 0);
			return;
		}
		o->left--;
		probe(ip, s);
		arm(ip, o, ADDRESS_PROBE_MS);
		return;
	case IP_ADDRESS_ACTIVE:
		announce(ip, s);
		if (--o->left > 0)
			arm(ip, o, ADDRESS_ANNOUNCE_MS);
		return;
	case IP_ADDRESS_DRAINING:
		withdraw(ip, s);
		return;
	default:
		CHECK(!"a timer of an address without state");
	}
}

/*
 * Rarer and rarer. By chance because two gateways that were switched on together with the same address see each
 * other's probes, would give way to each other, and try again together (RFC 5227, 2.1).
 */
static uint64_t retry_ms(struct ip *ip, const struct address_owned *o)
{
	const uint32_t ms = o->conflicts * (uint32_t)ADDRESS_RETRY_MS;
	const bool often = o->conflicts == ADDRESS_CONFLICTS_MAX;

	return (often ? (uint32_t)ADDRESS_RATE_LIMIT_MS : ms) + rng_below(&ip->shard->rng, ms);
}

static void remember_claim(struct ip *ip, struct address_owned *o, const struct rte_ether_addr *mac)
{
	count(ip->shard->counters, C_neigh_conflicts);
	__atomic_store_n(&o->claimant, neigh_mac_word(mac), __ATOMIC_RELAXED);
	__atomic_store_n(&o->claimed_ns, ip_now(ip), __ATOMIC_RELAXED);
}

void address_conflict(struct ip *ip, const struct addr *a, const struct rte_ether_addr *mac)
{
	struct address *s = find(&ip->link->addresses, a);
	struct address_owned *o;

	if (s == NULL || ip_own_mac(ip, mac) || address_kind(word_of(s)) == ADDRESS_BROADCAST)
		return;
	o = owned_of(&ip->link->addresses, s);
	switch (address_state(word_of(s))) {
	case IP_ADDRESS_OPTIMISTIC:
		set_state(&ip->link->addresses, s, IP_ADDRESS_TENTATIVE);
		__attribute__((fallthrough));
	case IP_ADDRESS_TENTATIVE:
		remember_claim(ip, o, mac);
		if (o->conflicts < ADDRESS_CONFLICTS_MAX)
			__atomic_store_n(&o->conflicts, o->conflicts + 1, __ATOMIC_RELAXED);
		start_probing(ip, s, retry_ms(ip, o));
		return;
	case IP_ADDRESS_ACTIVE:
		remember_claim(ip, o, mac);
		if (o->defended_ns != 0 && ip_now(ip) - o->defended_ns < ADDRESS_DEFEND_MS * NS_PER_MS)
			return;
		o->defended_ns = ip_now(ip);
		announce(ip, s);
		return;
	case IP_ADDRESS_DRAINING:
		count(ip->shard->counters, C_neigh_conflicts);
		withdraw(ip, s);
		return;
	default:
		return;
	}
}

/* ---- links that come up ---- */

void address_probe_again(struct ip *ip, uint8_t iface)
{
	struct address_table *t = &ip->link->addresses;
	uint32_t n = 0;

	for (uint32_t i = 0; i < ADDRESS_SLOTS; i++) {
		struct address *s = &t->slot[i];
		const uint32_t word = word_of(s);

		if (t->tag[i] == 0 || address_iface(word) != iface || address_kind(word) == ADDRESS_BROADCAST)
			continue;
		if (address_state(word) == IP_ADDRESS_ACTIVE)
			set_state(t, s, IP_ADDRESS_OPTIMISTIC);
		else if (address_state(word) != IP_ADDRESS_OPTIMISTIC)
			continue; /* who has it, or may, is known or being asked */
		start_probing(ip, s, n++ / ADDRESS_PER_MS);
	}
}

/* ---- generations ---- */

static enum ip_address_state first_state(const struct ip *ip, const struct addr *a)
{
	for (uint32_t i = 0; i < ip->link->held_n; i++) {
		if (addr_equal(&ip->link->held[i], a))
			return IP_ADDRESS_OPTIMISTIC;
	}
	return IP_ADDRESS_TENTATIVE;
}

static void want(struct ip *ip, const struct addr *a, uint8_t iface, enum address_kind kind, uint64_t in_ms)
{
	struct address_table *t = &ip->link->addresses;
	struct address *s = find(t, a);
	struct address_owned *o;
	uint32_t word;

	if (s != NULL && owned_of(t, s)->stamp == ip->epoch)
		return; /* given twice: the first one counts */
	if (t->wanted >= LIMIT_addresses) {
		count(ip->shard->counters, C_limit_addresses);
		return;
	}
	if (s == NULL && (s = make(ip, a)) == NULL)
		return;
	t->wanted++;
	o = owned_of(t, s);
	word = word_of(s);
	o->stamp = ip->epoch;
	switch (address_state(word)) {
	case IP_ADDRESS_NONE:
	case IP_ADDRESS_WITHDRAWN:
		if (t->n >= ADDRESS_CLAIMED_MAX) {
			count(ip->shard->counters, C_limit_addresses);
			return;
		}
		*o = (struct address_owned){.ip = ip, .stamp = ip->epoch};
		set_word(t, s, kind == ADDRESS_BROADCAST ? IP_ADDRESS_ACTIVE : first_state(ip, a), iface, kind);
		if (kind != ADDRESS_BROADCAST)
			start_probing(ip, s, in_ms);
		return;
	case IP_ADDRESS_TENTATIVE:
	case IP_ADDRESS_OPTIMISTIC:
		set_word(t, s, kind == ADDRESS_BROADCAST ? IP_ADDRESS_ACTIVE : address_state(word), iface, kind);
		if (kind == ADDRESS_BROADCAST)
			timer_cancel(&ip->shard->wheel, &o->timer);
		else if (address_iface(word) != iface)
			start_probing(ip, s, in_ms);
		return;
	case IP_ADDRESS_ACTIVE:
		set_word(t, s, IP_ADDRESS_ACTIVE, iface, kind);
		if (kind == ADDRESS_BROADCAST)
			timer_cancel(&ip->shard->wheel, &o->timer);
		else if (address_iface(word) != iface)
			start_announcing(ip, s, in_ms);
		return;
	case IP_ADDRESS_DRAINING:
		/* It never stopped answering; the others are told again, in case they have seen a claimant. */
		set_word(t, s, IP_ADDRESS_ACTIVE, iface, kind);
		timer_cancel(&ip->shard->wheel, &o->timer);
		if (kind != ADDRESS_BROADCAST)
			start_announcing(ip, s, in_ms);
		return;
	}
}

static void want_broadcast(struct ip *ip, const struct table_address *ta)
{
	struct addr b = ta->addr;

	if (!addr_is_v4(&ta->addr) || ta->prefix_bits < 96 || ta->prefix_bits > 126)
		return; /* RFC 3021: a /31 has none */
	b.w[3] |= rte_cpu_to_be_32(UINT32_MAX >> (ta->prefix_bits - 96));
	want(ip, &b, ta->port, ADDRESS_BROADCAST, 0);
}

/*
 * The link-local address that every IPv6 interface must have, from its MAC address (RFC 4291, 2.5.1 and appendix A).
 * VLANs of one port share that, but an address of ours is on one interface only: there the VLANs stand where the
 * appendix has ff:fe.
 */
static void want_link_local(struct ip *ip, uint8_t iface)
{
	const uint8_t *m = ip->iface[iface].mac.addr_bytes;
	const struct vlan_tags *tags = &ip->iface[iface].tags;
	const uint16_t middle = tags->n == 0 ? 0xfffe : tags->vlan;
	const struct addr a = {.b = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, (uint8_t)(m[0] ^ 2),
	                             (uint8_t)(m[1] ^ tags->outer >> 8), (uint8_t)(m[2] ^ tags->outer),
	                             (uint8_t)(middle >> 8), (uint8_t)middle, m[3], m[4], m[5]}};

	want(ip, &a, iface, ADDRESS_OWN, 0);
}

static void unwant(struct ip *ip, struct address *s)
{
	struct address_table *t = &ip->link->addresses;

	switch (address_state(word_of(s))) {
	case IP_ADDRESS_TENTATIVE:
		withdraw(ip, s);
		return;
	case IP_ADDRESS_OPTIMISTIC:
	case IP_ADDRESS_ACTIVE:
		if (address_kind(word_of(s)) == ADDRESS_BROADCAST) {
			withdraw(ip, s);
			return;
		}
		set_state(t, s, IP_ADDRESS_DRAINING);
		arm(ip, owned_of(t, s), ADDRESS_DRAIN_MS);
		return;
	default:
		return;
	}
}

void address_apply(struct ip *ip)
{
	const struct table *table = ip->shard->table;
	const struct table_address *ta = TABLE_LIST(table, table->addresses, struct table_address);
	struct address_table *t = &ip->link->addresses;
	uint32_t v6_ifaces = 0;

	t->wanted = 0;
	for (uint32_t i = 0; i < table->addresses.n; i++) {
		if (ta[i].port >= ip->ifaces_n)
			continue;
		want(ip, &ta[i].addr, ta[i].port, ta[i].virtual ? ADDRESS_VIRTUAL : ADDRESS_OWN, i / ADDRESS_PER_MS);
		if (!addr_is_v4(&ta[i].addr))
			v6_ifaces |= 1u << ta[i].port;
	}
	/* After all addresses of hosts, so that one of these which is also a broadcast address stays what it is. */
	for (uint32_t i = 0; i < table->addresses.n; i++) {
		if (ta[i].port < ip->ifaces_n)
			want_broadcast(ip, &ta[i]);
	}
	for (uint8_t i = 0; i < ip->ifaces_n; i++) {
		if (v6_ifaces >> i & 1)
			want_link_local(ip, i);
	}
	for (uint32_t i = 0; i < ADDRESS_SLOTS; i++) {
		if (t->tag[i] != 0 && t->owned[i].stamp != ip->epoch)
			unwant(ip, &t->slot[i]);
	}
	ip->link->held_n = 0;
}

void address_fini(struct ip *ip)
{
	struct address_table *t = &ip->link->addresses;

	for (uint32_t i = 0; i < ADDRESS_SLOTS; i++) {
		if (t->tag[i] != 0)
			timer_cancel(&ip->shard->wheel, &t->owned[i].timer);
	}
}

enum ip_address_state ip_address_state(const struct ip_link *l, const struct addr *a)
{
	uint32_t word;

	CHECK_MAGIC(l, IP_LINK_MAGIC);
	word = address_find(&l->addresses, a);
	return address_kind(word) == ADDRESS_BROADCAST ? IP_ADDRESS_NONE : address_state(word);
}

/* ---- what `sluicectl addresses` shows ---- */

static bool contested(const struct address_owned *o, enum ip_address_state state, uint64_t now_ns,
                      struct ip_address_info *info)
{
	const uint64_t claimed_ns = __atomic_load_n(&o->claimed_ns, __ATOMIC_RELAXED);
	const uint64_t claimant = __atomic_load_n(&o->claimant, __ATOMIC_RELAXED);

	if (claimed_ns == 0)
		return false;
	info->claimed_ms = now_ns > claimed_ns ? (now_ns - claimed_ns) / NS_PER_MS : 0;
	memcpy(&info->claimant, &claimant, sizeof(info->claimant));
	return state == IP_ADDRESS_TENTATIVE || info->claimed_ms < ADDRESS_ALARM_MS;
}

unsigned ip_address_walk(const struct ip_link *l, uint64_t now_ns, uint32_t *at, struct ip_address_info *out,
                         unsigned max)
{
	static const char *const states[] = {
		[IP_ADDRESS_TENTATIVE] = "tentative",
		[IP_ADDRESS_OPTIMISTIC] = "optimistic",
		[IP_ADDRESS_ACTIVE] = "active",
		[IP_ADDRESS_DRAINING] = "draining",
	};
	const struct address_table *t = &l->addresses;
	unsigned n = 0;

	CHECK_MAGIC(l, IP_LINK_MAGIC);
	for (; *at < ADDRESS_SLOTS && n < max; ++*at) {
		const struct address *s = &t->slot[*at];
		struct ip_address_info info = {0};
		uint32_t word;

		if (__atomic_load_n(&t->tag[*at], __ATOMIC_ACQUIRE) == 0)
			continue;
		info.addr.q[0] = __atomic_load_n(&s->addr.q[0], __ATOMIC_RELAXED);
		info.addr.q[1] = __atomic_load_n(&s->addr.q[1], __ATOMIC_RELAXED);
		word = address_find(t, &info.addr); /* whole, or not found while it is being written */
		if (!address_claimed(word) || address_kind(word) == ADDRESS_BROADCAST)
			continue;
		info.iface = address_iface(word);
		info.virtual = address_kind(word) == ADDRESS_VIRTUAL;
		info.usable = address_up(word);
		info.state = states[address_state(word)];
		info.contested = contested(&t->owned[*at], address_state(word), now_ns, &info);
		out[n++] = info;
	}
	if (*at == ADDRESS_SLOTS)
		*at = 0;
	return n;
}
