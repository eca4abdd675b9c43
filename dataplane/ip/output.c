/*
 * Output: a transport segment gets its checksum, a fresh IP header and a fresh Ethernet header, all in the headroom
 * of its first mbuf, and goes to the port.
 *
 * The short way has two tests: the path is of the present routes, and its neighbour's word holds a MAC address of the
 * generation that the path remembers. Everything else (a new path, a neighbour that is not known, a worker without a
 * queue on that port) is the long way: the IP packet is finished and passed to the link owner, which resolves and
 * sends it.
 *
 * Datagrams are atomic in the sense of RFC 6864: DF is set and nothing is fragmented (but for echo replies, in
 * split.c), so the identification may be anything; it counts, for those that a narrow path may cut (ip_mtu_lower()).
 */
#include "ip/checksum.h"
#include "ip/layer.h"

/* Where a transport keeps its checksum; the table is indexed by the protocol number. */
static inline uint32_t checksum_at(uint32_t protocol)
{
	return protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;
}

static inline void put_transport_checksum(const struct iface *iface, const struct tuple *t, struct rte_mbuf *m)
{
	char *at = rte_pktmbuf_mtod_offset(m, char *, checksum_at(t->protocol));
	const uint64_t pseudo = t->protocol == PROTOCOL_ICMP4 ? 0 : checksum_pseudo(t, m->pkt_len);
	uint16_t sum = 0;

	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
		sum = checksum_fold(checksum_pseudo(t, 0)); /* each piece has a length of its own */
		m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	} else if ((iface->offloads & PORT_TX_L4_CSUM) != 0 &&
	           (t->protocol == IPPROTO_TCP || t->protocol == IPPROTO_UDP)) {
		sum = checksum_fold(pseudo);
		m->ol_flags |= t->protocol == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	} else {
		memcpy(at, &sum, sizeof(sum));
		sum = (uint16_t)~checksum_fold(checksum_add_mbuf(pseudo, m, 0, m->pkt_len));
		if (sum == 0 && t->protocol == IPPROTO_UDP)
			sum = 0xffff; /* RFC 768: zero means that there is none */
	}
	memcpy(at, &sum, sizeof(sum));
}

static inline void put_ip4(struct ip *ip, const struct iface *iface, const struct tuple *t, struct rte_mbuf *m,
                           uint8_t ttl, uint8_t tos, bool df)
{
	struct ip4_header *h = (struct ip4_header *)rte_pktmbuf_prepend(m, IP4_BYTES);

	CHECK(h != NULL);
	*h = (struct ip4_header){
		.version_ihl = IP4_PLAIN,
		.tos = tos,
		.total_length = rte_cpu_to_be_16((uint16_t)m->pkt_len),
		.id = rte_cpu_to_be_16(++ip->ip4_id),
		.fragment = df ? RTE_BE16(IP4_DF) : 0,
		.ttl = ttl,
		.protocol = (uint8_t)t->protocol,
		.source = t->local.w[3],
		.destination = t->remote.w[3],
	};
	m->l2_len = ETH_BYTES;
	m->l3_len = IP4_BYTES;
	if (iface->offloads & PORT_TX_IP_CSUM)
		m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	else
		h->checksum = (uint16_t)~checksum_fold(checksum_ip4_header(h, IP4_BYTES));
	/* The pieces of a large segment are numbered from here on. */
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		ip->ip4_id = (uint16_t)(ip->ip4_id + m->pkt_len / m->tso_segsz);
	if (m->ol_flags & RTE_MBUF_F_TX_L4_MASK)
		m->ol_flags |= RTE_MBUF_F_TX_IPV4;
}

static inline void put_ip6(const struct tuple *t, struct rte_mbuf *m, uint8_t hop_limit, uint8_t traffic_class)
{
	const uint32_t bytes = m->pkt_len;
	struct ip6_header *h = (struct ip6_header *)rte_pktmbuf_prepend(m, IP6_BYTES);

	CHECK(h != NULL);
	h->flow = rte_cpu_to_be_32(UINT32_C(6) << 28 | (uint32_t)traffic_class << 20);
	h->payload_length = rte_cpu_to_be_16((uint16_t)bytes);
	h->next_header = (uint8_t)t->protocol;
	h->hop_limit = hop_limit;
	memcpy(h->source, &t->local, sizeof(h->source));
	memcpy(h->destination, &t->remote, sizeof(h->destination));
	m->l2_len = ETH_BYTES;
	m->l3_len = IP6_BYTES;
	if (m->ol_flags & RTE_MBUF_F_TX_L4_MASK)
		m->ol_flags |= RTE_MBUF_F_TX_IPV6;
}

/* ---- paths ---- */

static bool link_local(const struct addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

struct hop {
	struct addr addr;
	uint16_t mtu;
	uint8_t iface;
};

/* Interface and next hop of a destination; a link-local one is reached where our own end lives. */
static enum err find_hop(const struct ip *ip, const struct tuple *t, struct hop *hop)
{
	const struct route *r;
	const uint32_t word = address_find(&ip->link->addresses, &t->remote);

	if (unlikely_(address_claimed(word)))
		return ERR_NO_ROUTE; /* ourselves, or a subnet broadcast */
	hop->addr = t->remote;
	if (link_local(&t->remote)) {
		hop->iface = address_iface(address_find(&ip->link->addresses, &t->local));
		hop->mtu = ip->iface[hop->iface].mtu;
		return OK;
	}
	if ((r = ip_route_find(ip, &t->remote)) == NULL)
		return ERR_NO_ROUTE;
	hop->iface = r->iface;
	hop->mtu = r->mtu != 0 && r->mtu < ip->iface[r->iface].mtu ? r->mtu : ip->iface[r->iface].mtu;
	if (!r->connected)
		hop->addr = r->gateway;
	return OK;
}

/* Makes the path anew. *mac_word 0: to be resolved, hop says whom. */
static enum err refresh(const struct ip *ip, struct ip_path *path, const struct tuple *t, struct hop *hop,
                        uint64_t *mac_word)
{
	const uint16_t learned = pmtu_find(ip, &t->remote);
	enum err e = find_hop(ip, t, hop);

	if (e != OK) {
		path->epoch = 0;
		return e;
	}
	*path = (struct ip_path){.epoch = ip->epoch, .iface = hop->iface & 0x7fu, .large = ip->iface[hop->iface].large,
	                         .mtu = learned != 0 && learned < hop->mtu ? learned : hop->mtu};
	if (addr_is_v4(&t->remote) && path->mtu < IP4_MTU_FLOOR && learned == path->mtu) {
		path->mtu = hop->mtu < IP4_MTU_FLOOR ? hop->mtu : IP4_MTU_FLOOR;
		path->fragile = true;
		path->large = 0;
	}
	path->neigh = neigh_find(&ip->link->neighs, hop->iface, &hop->addr);
	*mac_word = neigh_mac(&ip->link->neighs, path->neigh);
	if (*mac_word == 0 && neigh_state(&ip->link->neighs, path->neigh) == NEIGH_FAILED)
		return ERR_NEIGH_FAILED;
	return OK;
}

uint16_t ip_mtu(struct ip *ip, struct ip_path *path, const struct tuple *t)
{
	struct hop hop;
	uint64_t mac_word;

	CHECK_SLOW(ip->magic == IP_MAGIC);
	if (likely_(path->epoch == ip->epoch))
		return path->mtu;
	return refresh(ip, path, t, &hop, &mac_word) == ERR_NO_ROUTE ? 0 : path->mtu;
}

uint16_t ip_mtu_here(struct ip *ip, struct ip_path *path, const struct tuple *t)
{
	struct hop hop;

	CHECK_MAGIC(ip, IP_MAGIC);
	/* Nothing was learned of anybody: it is the same. */
	if (ip->pmtus.n == 0)
		return ip_mtu(ip, path, t);
	return find_hop(ip, t, &hop) == OK ? hop.mtu : 0;
}

bool ip_mtu_lower(struct ip *ip, struct ip_path *path, const struct tuple *t, uint32_t mtu)
{
	const bool v4 = addr_is_v4(&t->remote);

	/* What is sent without DF, no router says again that it is too big. */
	if (mtu < (v4 ? IP4_MTU_MIN : IP6_MTU_FLOOR) || mtu >= ip_mtu(ip, path, t) || path->fragile)
		return false;
	pmtu_learn(ip, &t->remote, (uint16_t)mtu);
	return ip_mtu(ip, path, t) == mtu || path->fragile;
}

enum err ip_source(struct ip *ip, const struct addr *remote, struct addr *local)
{
	const struct route *r;
	const struct addr *from;

	CHECK_MAGIC(ip, IP_MAGIC);
	if ((r = ip_route_find(ip, remote)) == NULL)
		return ERR_NO_ROUTE;
	from = route_source(ip, r->iface, r->connected ? remote : &r->gateway, true);
	if (from == NULL)
		return ERR_NO_ADDRESS;
	*local = *from;
	return OK;
}

/* ---- sending ---- */

/* The link owner finds out where it goes; on that worker itself at once, else by a hand-over. */
static void resolve(struct ip *ip, struct rte_mbuf *m, const struct hop *hop)
{
	*packet_meta(m) = (struct packet_meta){.next_hop = hop->addr, .kind = PACKET_RESOLVE, .iface = hop->iface,
	                                       .hops = 1};
	if (ip->link_owner)
		neigh_send(ip, m);
	else
		ip->up.on_hand_over(ip->up.up, m, IP_LINK_OWNER);
}

static enum err refuse(struct ip *ip, struct rte_mbuf *m, enum err e)
{
	ip_drop(ip, m, e == ERR_NO_ROUTE       ? DROP_ip_no_route
	               : e == ERR_NEIGH_FAILED ? DROP_neigh_failed
	                                       : DROP_ip_too_big);
	return e;
}

/* A large segment, of a size that the path takes now: it may have changed since TCP looked. */
static bool cut_later(const struct ip_path *path, const struct rte_mbuf *m, bool v4)
{
	return m->ol_flags & RTE_MBUF_F_TX_TCP_SEG && path->large != 0 &&
	       (uint32_t)m->tso_segsz + m->l4_len + (v4 ? IP4_BYTES : IP6_BYTES) <= path->mtu;
}

enum err ip_output(struct ip *ip, struct ip_path *path, const struct tuple *t, struct rte_mbuf *m, uint8_t ttl,
                   uint8_t traffic_class)
{
	const bool v4 = addr_is_v4(&t->remote);
	const struct iface *iface;
	uint64_t mac_word = 0;
	struct hop hop;
	bool fresh = false;

	CHECK_SLOW(ip->magic == IP_MAGIC && addr_is_v4(&t->local) == v4);
	if (likely_(path->epoch == ip->epoch))
		mac_word = neigh_mac(&ip->link->neighs, path->neigh);
	if (unlikely_(mac_word == 0)) {
		const enum err e = refresh(ip, path, t, &hop, &mac_word);

		if (e != OK)
			return refuse(ip, m, e);
		fresh = true;
	}
	iface = &ip->iface[path->iface];
	if (unlikely_(m->pkt_len + (v4 ? IP4_BYTES : IP6_BYTES) > path->mtu) && !cut_later(path, m, v4))
		return refuse(ip, m, ERR_LIMIT);
	put_transport_checksum(iface, t, m);
	if (v4)
		put_ip4(ip, iface, t, m, ttl, traffic_class, !path->fragile);
	else
		put_ip6(t, m, ttl, traffic_class);
	count(ip->shard->counters, C_ip_sent);
	if (m->ol_flags & RTE_MBUF_F_TX_L4_MASK)
		count(ip->shard->counters, C_ip_checksums_left);
	if (unlikely_(mac_word == 0 || !iface->usable)) {
		if (!fresh)
			find_hop(ip, t, &hop);
		resolve(ip, m, &hop);
		return OK;
	}
	neigh_use(&ip->link->neighs, path->neigh);
	eth_output(ip, m, path->iface, mac_word, v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6));
	return OK;
}

enum err ip_output_finished(struct ip *ip, struct ip_path *path, const struct tuple *t, struct rte_mbuf *m)
{
	uint64_t mac_word;
	struct hop hop;
	const enum err e = refresh(ip, path, t, &hop, &mac_word);

	if (e != OK)
		return refuse(ip, m, e);
	count(ip->shard->counters, C_ip_sent);
	if (mac_word == 0 || !ip->iface[path->iface].usable) {
		resolve(ip, m, &hop);
		return OK;
	}
	neigh_use(&ip->link->neighs, path->neigh);
	eth_output(ip, m, path->iface, mac_word, ip_ether_type(m));
	return OK;
}
