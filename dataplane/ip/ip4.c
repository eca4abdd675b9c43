/*
 * IPv4 input (RFC 791, RFC 1122): the checks of the header, in one pass.
 *
 *    0                   1                   2                   3
 *   +-------+-------+---------------+-------------------------------+
 *   |version|  IHL  | type of service (DSCP, ECN)                   |  total length: 16 bits
 *   +-------+-------+---------------+-----+-------------------------+
 *   |         identification        |flags|      fragment offset    |
 *   +---------------+---------------+-----+-------------------------+
 *   | time to live  |   protocol    |        header checksum        |
 *   +---------------+---------------+-------------------------------+
 *   |                       source address                          |
 *   |                    destination address                        |
 *
 * Options are refused (source routes are attacks, the others of no use to a host), fragments too as long as nobody
 * reassembles. The host model is the weak one (RFC 1122, 3.3.4.2): an address of ours may be reached by any of our
 * interfaces, because backends reach virtual addresses through the gateway's other side.
 */
#include "ip/checksum.h"
#include "ip/layer.h"

/* Addresses that no datagram on a wire may come from: "this network", loopback, multicast, reserved, broadcast. */
static inline bool martian(rte_be32_t a)
{
	const uint8_t top = (uint8_t)a;

	return top == 0 || top == 127 || top >= 224;
}

/* OK (0), or the reason to drop it. Bytes behind the datagram are padding. */
static inline enum counter check_header(const struct rte_mbuf *m, const struct ip4_header *h)
{
	const uint16_t total = rte_be_to_cpu_16(h->total_length);

	if (unlikely_(h->version_ihl != IP4_PLAIN))
		return h->version_ihl > IP4_PLAIN && h->version_ihl >> 4 == 4 ? DROP_ip4_options : DROP_ip4_header;
	if (unlikely_(total < IP4_BYTES || total > m->pkt_len - ETH_BYTES))
		return DROP_ip4_length;
	if (unlikely_((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) != RTE_MBUF_F_RX_IP_CKSUM_GOOD) &&
	    checksum_fold(checksum_add(0, h, IP4_BYTES)) != 0xffff)
		return DROP_ip4_checksum;
	if (unlikely_((h->fragment & RTE_BE16(IP4_MF | IP4_OFFSET)) != 0))
		return DROP_ip_fragment;
	if (unlikely_(h->ttl == 0))
		return DROP_ip_ttl;
	return 0;
}

static inline enum counter check_addresses(const struct ip *ip, const struct rte_mbuf *m, const struct arrival *a)
{
	const struct address_table *t = &ip->link->addresses;
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	if (unlikely_(martian(a->d.tuple.remote.w[3]) || martian(a->d.tuple.local.w[3])))
		return (uint8_t)a->d.tuple.local.w[3] >= 224 && !martian(a->d.tuple.remote.w[3]) ? DROP_ip_not_ours
		                                                                             : DROP_ip4_martian;
	if (unlikely_(address_claimed(address_find(t, &a->d.tuple.remote))))
		return DROP_ip4_martian; /* our own address or a subnet broadcast as source */
	if (unlikely_(!address_up(address_find(t, &a->d.tuple.local))))
		return DROP_ip_not_ours;
	if (unlikely_(rte_is_multicast_ether_addr(&eth->dst_addr)))
		return DROP_eth_multicast; /* RFC 1122, 3.3.6 */
	return 0;
}

void ip4_input(struct ip *ip, struct rte_mbuf *m)
{
	const struct ip4_header *h = rte_pktmbuf_mtod_offset(m, const struct ip4_header *, ETH_BYTES);
	enum counter why;
	struct arrival a;
	uint16_t total;

	if (unlikely_(!mbuf_holds(m, ETH_BYTES, IP4_BYTES))) {
		ip_drop(ip, m, DROP_ip4_header);
		return;
	}
	if (unlikely_((why = check_header(m, h)) != 0)) {
		ip_drop(ip, m, why);
		return;
	}
	total = rte_be_to_cpu_16(h->total_length);
	a = (struct arrival){
		.d = {
			.tuple = {.local = addr_v4(h->destination), .remote = addr_v4(h->source),
			          .protocol = h->protocol},
			.m = m,
			.l4_bytes = (uint16_t)(total - IP4_BYTES),
			.traffic_class = h->tos,
			.iface = packet_meta(m)->iface,
		},
		.l4 = ETH_BYTES + IP4_BYTES,
		.hop_limit = h->ttl,
	};
	if (unlikely_((why = check_addresses(ip, m, &a)) != 0)) {
		ip_drop(ip, m, why);
		return;
	}
	if (m->pkt_len > (uint32_t)total + ETH_BYTES)
		mbuf_cut(m, (uint32_t)total + ETH_BYTES);
	if (likely_(h->protocol == IPPROTO_TCP))
		tcp_arrive(ip, &a);
	else if (h->protocol == IPPROTO_UDP)
		udp_arrive(ip, &a);
	else if (h->protocol == IPPROTO_ICMP)
		icmp4_arrive(ip, &a);
	else
		protocol_unknown(ip, &a, 0);
}
