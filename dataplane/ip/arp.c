/*
 * ARP (RFC 826) and address conflict detection (RFC 5227). Runs on the link owner.
 *
 *    0                   1                   2                   3
 *   +-------------------------------+-------------------------------+
 *   | hardware type: 1              | protocol type: 0x0800         |
 *   +---------------+---------------+-------------------------------+
 *   | 6             | 4             | operation: 1 request, 2 reply |
 *   +---------------+---------------+-------------------------------+
 *   | sender: 6 bytes MAC, 4 bytes IPv4; target: 6 bytes MAC, 4 bytes IPv4
 *
 * RFC 826 says to merge first and answer then. We merge what we know already, learn a new neighbour only from one
 * who asks for an address of ours, and learn nothing that the routes do not place on that interface. A probe (sender
 * 0.0.0.0) is answered like any request when the address is ours, and is a conflict while we are probing ourselves.
 */
#include "ip/layer.h"

static void reply(struct ip *ip, uint8_t iface, const struct arp_packet *to)
{
	struct rte_mbuf *m = ip_mbuf(ip, sizeof(struct arp_packet));
	struct arp_packet *h;

	if (m == NULL)
		return;
	h = rte_pktmbuf_mtod(m, struct arp_packet *);
	*h = *to;
	h->operation = RTE_BE16(ARP_REPLY);
	h->sender_mac = ip->iface[iface].mac;
	h->sender = to->target;
	h->target_mac = to->sender_mac;
	h->target = to->sender;
	eth_output(ip, m, iface, neigh_mac_word(&to->sender_mac), RTE_BE16(RTE_ETHER_TYPE_ARP));
	count(ip->shard->counters, C_neigh_replies_sent);
}

void arp_request(struct ip *ip, uint8_t iface, const struct addr *from, const struct addr *about,
                 const struct rte_ether_addr *mac)
{
	struct rte_mbuf *m = ip_mbuf(ip, sizeof(struct arp_packet));
	struct arp_packet *h;

	if (m == NULL)
		return;
	h = rte_pktmbuf_mtod(m, struct arp_packet *);
	h->hardware = RTE_BE16(ARP_ETHERNET);
	h->protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	h->hardware_bytes = RTE_ETHER_ADDR_LEN;
	h->protocol_bytes = sizeof(rte_be32_t);
	h->operation = RTE_BE16(ARP_REQUEST);
	h->sender_mac = ip->iface[iface].mac;
	h->sender = from != NULL ? from->w[3] : 0;
	h->target = about->w[3];
	eth_output(ip, m, iface, mac != NULL ? neigh_mac_word(mac) : NEIGH_MAC_MASK, RTE_BE16(RTE_ETHER_TYPE_ARP));
}

void arp_announce(struct ip *ip, uint8_t iface, const struct addr *a)
{
	arp_request(ip, iface, a, a, NULL);
}

static bool well_formed(const struct rte_mbuf *m)
{
	const struct arp_packet *h = rte_pktmbuf_mtod_offset(m, const struct arp_packet *, ETH_BYTES);

	return mbuf_holds(m, ETH_BYTES, sizeof(*h)) && h->hardware == RTE_BE16(ARP_ETHERNET) &&
	       h->protocol == RTE_BE16(RTE_ETHER_TYPE_IPV4) && h->hardware_bytes == RTE_ETHER_ADDR_LEN &&
	       h->protocol_bytes == sizeof(rte_be32_t) &&
	       (h->operation == RTE_BE16(ARP_REQUEST) || h->operation == RTE_BE16(ARP_REPLY)) &&
	       rte_is_valid_assigned_ether_addr(&h->sender_mac);
}

static void learn(struct ip *ip, uint8_t iface, const struct arp_packet *h, const struct addr *sender, bool for_us)
{
	const bool answer = h->operation == RTE_BE16(ARP_REPLY) && for_us;
	const struct neigh_news news = {
		.addr = *sender,
		.mac = &h->sender_mac,
		.iface = iface,
		.solicited = answer && neigh_asked(ip, iface, sender),
		.override = true,
		.create = for_us && !answer,
	};

	if (route_on_link(ip, iface, sender))
		neigh_learn(ip, &news);
}

static void take(struct ip *ip, uint8_t iface, const struct arp_packet *h)
{
	const struct addr sender = addr_v4(h->sender), target = addr_v4(h->target);
	const uint32_t sender_word = address_find(&ip->link->addresses, &sender);
	const uint32_t target_word = address_find(&ip->link->addresses, &target);
	const bool request = h->operation == RTE_BE16(ARP_REQUEST);
	const bool for_us = address_up(target_word) && address_iface(target_word) == iface;

	if (address_claimed(sender_word)) {
		address_conflict(ip, &sender, &h->sender_mac);
		return;
	}
	if (h->sender != 0)
		learn(ip, iface, h, &sender, for_us);
	else if (address_state(target_word) == IP_ADDRESS_TENTATIVE)
		address_conflict(ip, &target, &h->sender_mac);
	if (request && for_us)
		reply(ip, iface, h);
	else if (request && sender.w[3] != target.w[3])
		count(ip->shard->counters, DROP_arp_not_ours);
}

void arp_input(struct ip *ip, struct rte_mbuf *m)
{
	const uint8_t iface = packet_meta(m)->iface;

	if (!well_formed(m)) {
		ip_drop(ip, m, DROP_arp_malformed);
		return;
	}
	if (ip_steer(ip, m, IP_LINK_OWNER))
		return;
	count(ip->shard->counters, C_arp_received);
	take(ip, iface, rte_pktmbuf_mtod_offset(m, const struct arp_packet *, ETH_BYTES));
	rte_pktmbuf_free(m);
}
