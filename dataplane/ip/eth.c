/* Ethernet: to whom a frame is sent, and what it carries. */
#include <rte_ether.h>

#include "ip/layer.h"

void eth_input(struct ip *ip, struct rte_mbuf *m)
{
	const struct iface *iface = &ip->iface[packet_meta(m)->iface];
	const struct rte_ether_hdr *h;
	rte_be16_t type;

	if (unlikely_(m->data_len < ETH_BYTES)) {
		ip_drop(ip, m, DROP_eth_short);
		return;
	}
	/* No port is asked to take tags off: one that does it nevertheless costs putting them back. */
	if (unlikely_(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) && rte_vlan_insert(&m) != 0) {
		ip_drop(ip, m, DROP_eth_vlan);
		return;
	}
	h = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	if (!rte_is_same_ether_addr(&h->dst_addr, &iface->mac) && !rte_is_multicast_ether_addr(&h->dst_addr)) {
		ip_drop(ip, m, DROP_eth_not_ours);
		return;
	}
	type = h->ether_type;
again:
	switch (type) {
	case RTE_BE16(RTE_ETHER_TYPE_IPV4):
		ip4_input(ip, m);
		return;
	case RTE_BE16(RTE_ETHER_TYPE_IPV6):
		ip6_input(ip, m);
		return;
	case RTE_BE16(RTE_ETHER_TYPE_ARP):
		arp_input(ip, m);
		return;
	case RTE_BE16(RTE_ETHER_TYPE_VLAN):
	case RTE_BE16(RTE_ETHER_TYPE_QINQ):
		if (!vlan_untag(ip, m))
			return;
		type = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->ether_type;
		goto again; /* once: no tag is left */
	default:
		ip_drop(ip, m, DROP_eth_type);
	}
}

void mbuf_cut(struct rte_mbuf *m, uint32_t bytes)
{
	struct rte_mbuf *last = m;
	uint32_t left = bytes;

	if (likely_(m->next == NULL)) {
		m->data_len = (uint16_t)bytes;
		m->pkt_len = bytes;
		return;
	}
	while (left > last->data_len) {
		left -= last->data_len;
		last = last->next;
	}
	last->data_len = (uint16_t)left;
	rte_pktmbuf_free(last->next);
	last->next = NULL;
	m->pkt_len = bytes;
	m->nb_segs = 1;
	for (const struct rte_mbuf *s = m; s->next != NULL; s = s->next)
		m->nb_segs++;
}

void arrival_strip(struct arrival *a)
{
	struct rte_mbuf *m = a->d.m;

	m->l3_len = (uint64_t)(a->l4 - ETH_BYTES) & 0x1ff;
	rte_pktmbuf_adj(m, a->l4);
}
