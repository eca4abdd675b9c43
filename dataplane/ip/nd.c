/*
 * Neighbour discovery (RFC 4861) and duplicate address detection (RFC 4862, 5.4). Runs on the link owner.
 *
 *   +---------------+---------------+-------------------------------+
 *   |   135 or 136  |       0       |           checksum            |
 *   +-+-+-+---------+---------------+-------------------------------+
 *   |R|S|O|  reserved (flags: advertisements only)                  |
 *   +---------------------------------------------------------------+
 *   |  target address (16 bytes), then options: type, length in 8 bytes, value
 *
 * We are a host that proxies, not a router: R is never set. O is set in all answers, our addresses are nobody
 * else's, but for the optimistic ones (address.c). Router advertisements and redirects are ignored (icmp.c): routes
 * are configured.
 */
#include "ip/checksum.h"
#include "ip/layer.h"

enum {
	SOLICITATION = 135,
	ADVERTISEMENT = 136,
	ND_BYTES = 24,
	OPTION_BYTES = 8,
	OPTION_SOURCE = 1,
	OPTION_TARGET = 2,
	FLAG_SOLICITED = 0x40,
	FLAG_OVERRIDE = 0x20,
};

static const struct addr all_nodes = {.b = {0xff, 0x02, [15] = 1}};

/* ---- out ---- */

static struct addr solicited_node(const struct addr *a)
{
	return (struct addr){.b = {0xff, 0x02, [11] = 1, 0xff, a->b[13], a->b[14], a->b[15]}};
}

/* RFC 2464, 7: 33:33 and the last four bytes. */
static uint64_t multicast_mac(const struct addr *a)
{
	struct rte_ether_addr mac = {.addr_bytes = {0x33, 0x33, a->b[12], a->b[13], a->b[14], a->b[15]}};

	return neigh_mac_word(&mac);
}

struct message {
	struct addr from, to, target;
	uint64_t mac_word;
	uint8_t type, flags;
	uint8_t option;          /* that holds our MAC address; 0: none */
};

static void write_message(struct ip *ip, uint8_t iface, const struct message *x)
{
	const uint16_t bytes = (uint16_t)(ND_BYTES + (x->option != 0 ? OPTION_BYTES : 0));
	const struct tuple t = {.local = x->from, .remote = x->to, .protocol = PROTOCOL_ICMP6};
	struct rte_mbuf *m = ip_mbuf(ip, (uint16_t)(IP6_BYTES + bytes));
	struct ip6_header *ip6;
	uint16_t sum;
	uint8_t *h;

	if (m == NULL)
		return;
	h = rte_pktmbuf_mtod(m, uint8_t *);
	ip6 = (struct ip6_header *)h;
	ip6->flow = RTE_BE32(UINT32_C(6) << 28);
	ip6->payload_length = rte_cpu_to_be_16(bytes);
	ip6->next_header = PROTOCOL_ICMP6;
	ip6->hop_limit = ND_HOP_LIMIT;
	memcpy(ip6->source, &x->from, sizeof(ip6->source));
	memcpy(ip6->destination, &x->to, sizeof(ip6->destination));
	h += IP6_BYTES;
	h[0] = x->type;
	h[4] = x->flags;
	memcpy(h + 8, &x->target, sizeof(x->target));
	if (x->option != 0) {
		h[ND_BYTES] = x->option;
		h[ND_BYTES + 1] = 1;
		memcpy(h + ND_BYTES + 2, &ip->iface[iface].mac, RTE_ETHER_ADDR_LEN);
	}
	sum = (uint16_t)~checksum_fold(checksum_add(checksum_pseudo(&t, bytes), h, bytes));
	memcpy(h + 2, &sum, sizeof(sum));
	eth_output(ip, m, iface, x->mac_word, RTE_BE16(RTE_ETHER_TYPE_IPV6));
}

/* Nobody is to replace what he knows of it by what we say (RFC 4429, 3.2). */
static bool optimistic(const struct ip *ip, const struct addr *a)
{
	return address_state(address_find(&ip->link->addresses, a)) == IP_ADDRESS_OPTIMISTIC;
}

/*
 * Whether a solicitation from this address tells its link-layer address, which whom we ask remembers, even over another
 * one (RFC 4429, 3.2). That must not be if the address may have moved to another box, as a virtual one does. One of the
 * machine's own has not moved, and from it we speak first, to neighbours that need not know us: many answer a multicast
 * solicitation without the option only if they do, and a connection to a backend would wait for the probes.
 */
static bool tells_mac(const struct ip *ip, const struct addr *from)
{
	const uint32_t word = address_find(&ip->link->addresses, from);

	return address_state(word) != IP_ADDRESS_OPTIMISTIC || address_kind(word) == ADDRESS_OWN;
}

void nd_solicit(struct ip *ip, uint8_t iface, const struct addr *from, const struct addr *about,
                const struct rte_ether_addr *mac)
{
	struct message x = {.target = *about, .type = SOLICITATION};

	if (from != NULL) {
		x.from = *from;
		x.option = tells_mac(ip, from) ? OPTION_SOURCE : 0;
	}
	x.to = mac != NULL ? *about : solicited_node(about);
	x.mac_word = mac != NULL ? neigh_mac_word(mac) : multicast_mac(&x.to);
	write_message(ip, iface, &x);
}

/* to null: all. */
static void advertise(struct ip *ip, uint8_t iface, const struct addr *a, const struct addr *to, uint64_t mac_word)
{
	const uint8_t override = optimistic(ip, a) ? 0 : FLAG_OVERRIDE;
	const struct message x = {
		.from = *a,
		.to = to != NULL ? *to : all_nodes,
		.target = *a,
		.mac_word = to != NULL ? mac_word : multicast_mac(&all_nodes),
		.type = ADVERTISEMENT,
		.flags = (uint8_t)(override | (to != NULL ? FLAG_SOLICITED : 0)),
		.option = OPTION_TARGET,
	};

	write_message(ip, iface, &x);
}

void nd_announce(struct ip *ip, uint8_t iface, const struct addr *a)
{
	advertise(ip, iface, a, NULL, 0);
}

/* ---- in ---- */

struct heard {
	struct addr from, to, target;
	const struct rte_ether_addr *frame_mac; /* source of the frame */
	const struct rte_ether_addr *mac;       /* of the option that belongs to the message's type; null: none */
	uint8_t flags;
	uint8_t iface;
};

/* RFC 4861, 4.6: an option of length 0 makes the message invalid; unknown ones are skipped. */
static bool parse_options(const uint8_t *at, const uint8_t *end, uint8_t wanted, const struct rte_ether_addr **mac)
{
	while (at < end) {
		const ptrdiff_t left = end - at;

		if (left < 2 || at[1] == 0 || at[1] * 8 > left)
			return false;
		if (at[0] == wanted && at[1] == 1) {
			*mac = (const struct rte_ether_addr *)(at + 2);
			if (!rte_is_valid_assigned_ether_addr(*mac))
				return false;
		}
		at += at[1] * 8;
	}
	return true;
}

static bool unspecified(const struct addr *a)
{
	return (a->q[0] | a->q[1]) == 0;
}

/* RFC 4861, 7.1.1 and 7.1.2 (hop limit and checksum have been looked at). */
static bool parse(const struct arrival *a, uint8_t type, struct heard *x)
{
	const uint8_t *h = rte_pktmbuf_mtod_offset(a->d.m, const uint8_t *, a->l4);

	if (a->d.l4_bytes < ND_BYTES || !mbuf_holds(a->d.m, a->l4, a->d.l4_bytes) || h[1] != 0)
		return false;
	*x = (struct heard){.from = a->d.tuple.remote, .to = a->d.tuple.local, .flags = h[4], .iface = a->d.iface};
	x->frame_mac = &rte_pktmbuf_mtod(a->d.m, const struct rte_ether_hdr *)->src_addr;
	memcpy(&x->target, h + 8, sizeof(x->target));
	if (x->target.b[0] == 0xff || addr_is_v4(&x->target) || unspecified(&x->target) ||
	    !parse_options(h + ND_BYTES, h + a->d.l4_bytes, type == SOLICITATION ? OPTION_SOURCE : OPTION_TARGET,
	                   &x->mac))
		return false;
	if (type == ADVERTISEMENT)
		return !unspecified(&x->from) && (x->to.b[0] != 0xff || (x->flags & FLAG_SOLICITED) == 0);
	if (unspecified(&x->from)) {
		const struct addr group = solicited_node(&x->target);

		return x->mac == NULL && addr_equal(&x->to, &group);
	}
	return true;
}

static void learn(struct ip *ip, const struct heard *x, bool create)
{
	const struct neigh_news news = {.addr = x->from, .mac = x->mac, .iface = x->iface, .override = true,
	                                .create = create};

	if (x->mac != NULL && route_on_link(ip, x->iface, &x->from))
		neigh_learn(ip, &news);
}

static void take_solicitation(struct ip *ip, const struct heard *x)
{
	const uint32_t word = address_find(&ip->link->addresses, &x->target);

	if (address_claimed(address_find(&ip->link->addresses, &x->from))) {
		address_conflict(ip, &x->from, x->frame_mac);
		return;
	}
	if (address_iface(word) != x->iface || !address_claimed(word)) {
		count(ip->shard->counters, DROP_nd_not_ours);
		return;
	}
	if (address_state(word) == IP_ADDRESS_TENTATIVE) {
		/* Somebody else is trying to get it, too (RFC 4862, 5.4.3); questions of others go unanswered. */
		if (unspecified(&x->from))
			address_conflict(ip, &x->target, x->frame_mac);
		return;
	}
	if (unspecified(&x->from)) {
		advertise(ip, x->iface, &x->target, NULL, 0);
	} else {
		/* The answer goes to where the question came from, even if there is no room to remember it. */
		learn(ip, x, true);
		advertise(ip, x->iface, &x->target, &x->from, neigh_mac_word(x->mac != NULL ? x->mac : x->frame_mac));
	}
	count(ip->shard->counters, C_neigh_replies_sent);
}

static void take_advertisement(struct ip *ip, const struct heard *x)
{
	struct neigh_news news = {
		.addr = x->target,
		.mac = x->mac,
		.iface = x->iface,
		.override = (x->flags & FLAG_OVERRIDE) != 0,
	};

	if (address_claimed(address_find(&ip->link->addresses, &x->target))) {
		address_conflict(ip, &x->target, x->frame_mac);
		return;
	}
	news.solicited = (x->flags & FLAG_SOLICITED) != 0 && neigh_asked(ip, x->iface, &x->target);
	neigh_learn(ip, &news);
}

void nd_arrive(struct ip *ip, struct arrival *a, uint8_t type)
{
	struct heard x;

	if (a->fragment) {
		ip_drop(ip, a->d.m, DROP_nd_fragment); /* RFC 6980, 5 */
		return;
	}
	if (a->hop_limit != ND_HOP_LIMIT) {
		ip_drop(ip, a->d.m, DROP_nd_hop_limit);
		return;
	}
	if (!parse(a, type, &x)) {
		ip_drop(ip, a->d.m, DROP_nd_malformed);
		return;
	}
	if (ip_steer(ip, a->d.m, IP_LINK_OWNER))
		return;
	count(ip->shard->counters, C_nd_received);
	if (type == SOLICITATION)
		take_solicitation(ip, &x);
	else
		take_advertisement(ip, &x);
	rte_pktmbuf_free(a->d.m);
}
