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
 * Options are looked at only as far as RFC 1122, 3.2.1.8 demands: their lengths must fit; source routes, which are
 * attacks, are refused (RFC 7126, 4.3 and 4.4); all others are of no use to a host and skipped. Fragments wait in
 * reassembly.c for the rest of their datagram, which then comes here once more. The host model is the weak one (RFC
 * 1122, 3.3.4.2): an address of ours may be reached by any of our interfaces, because backends reach virtual addresses
 * through the gateway's other side.
 */
#include "ip/checksum.h"
#include "ip/layer.h"

/* Addresses that no datagram on a wire may come from: "this network", loopback, multicast, reserved, broadcast. */
static inline bool martian(rte_be32_t a)
{
	const uint8_t top = (uint8_t)a;

	return top == 0 || top == 127 || top >= 224;
}

/* Bytes of the header; 0 when it is none. */
static inline uint32_t header_bytes(const struct rte_mbuf *m, const struct ip4_header *h)
{
	const uint32_t bytes = (uint32_t)(h->version_ihl & 0xf) * 4;

	if (likely_(h->version_ihl == IP4_PLAIN))
		return IP4_BYTES;
	return h->version_ihl >> 4 == 4 && bytes >= IP4_BYTES && mbuf_holds(m, ETH_BYTES, bytes) ? bytes : 0;
}

/* A port's word is taken; without one we look. "None": the header has not been on a wire, and is right. */
static inline bool checksum_wrong(const struct rte_mbuf *m, const struct ip4_header *h, uint32_t bytes)
{
	const uint64_t said = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;

	if (said == RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN)
		return checksum_fold(checksum_ip4_header(h, bytes)) != 0xffff;
	return said == RTE_MBUF_F_RX_IP_CKSUM_BAD;
}

/* OK (0), or the reason to drop it. Bytes behind the datagram are padding. */
static inline enum counter check_header(const struct rte_mbuf *m, const struct ip4_header *h, uint32_t bytes)
{
	const uint16_t total = rte_be_to_cpu_16(h->total_length);

	if (unlikely_(bytes == 0))
		return DROP_ip4_header;
	if (unlikely_(total < bytes || total > m->pkt_len - ETH_BYTES))
		return DROP_ip4_length;
	if (unlikely_(checksum_wrong(m, h, bytes)))
		return DROP_ip4_checksum;
	if (unlikely_(h->ttl == 0))
		return DROP_ip_ttl;
	return 0;
}

static inline bool link_local(rte_be32_t a)
{
	return (a & RTE_BE32(0xffff0000)) == RTE_BE32(0xa9fe0000); /* 169.254/16 */
}

static inline enum counter check_addresses(const struct ip *ip, const struct rte_mbuf *m, const struct arrival *a)
{
	const struct address_table *t = &ip->link->addresses;
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const uint32_t from = address_find(t, &a->d.tuple.remote);

	if (unlikely_(martian(a->d.tuple.remote.w[3]) || martian(a->d.tuple.local.w[3])))
		return (uint8_t)a->d.tuple.local.w[3] >= 224 && !martian(a->d.tuple.remote.w[3]) ? DROP_ip_not_ours
		                                                                             : DROP_ip4_martian;
	if (unlikely_(link_local(a->d.tuple.remote.w[3])) && !route_on_link(ip, a->d.iface, &a->d.tuple.remote))
		return DROP_ip_link_local; /* RFC 3927, 2.7 */
	if (unlikely_(address_claimed(from)))
		return address_kind(from) == ADDRESS_BROADCAST ? DROP_ip4_martian : DROP_ip_land;
	if (unlikely_(!address_up(address_find(t, &a->d.tuple.local))))
		return DROP_ip_not_ours;
	if (unlikely_(rte_is_multicast_ether_addr(&eth->dst_addr)))
		return DROP_eth_multicast; /* RFC 1122, 3.3.6 */
	return 0;
}

enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_LOOSE_SOURCE_ROUTE = 131,
	OPTION_STRICT_SOURCE_ROUTE = 137,
	PARAMETER_PROBLEM = 12,
};

/* The options between the fixed header and `end`. *at: the one that is refused. */
static enum counter check_options(const uint8_t *h, uint32_t end, uint32_t *at)
{
	for (*at = IP4_BYTES; *at < end; ) {
		const uint8_t type = h[*at];
		uint32_t bytes = 1;

		if (type == OPTION_END)
			return 0;
		if (type != OPTION_NOP) {
			if (*at + 2 > end || h[*at + 1] < 2 || *at + h[*at + 1] > end)
				return DROP_ip4_options;
			bytes = h[*at + 1];
		}
		if (type == OPTION_LOOSE_SOURCE_ROUTE || type == OPTION_STRICT_SOURCE_ROUTE)
			return DROP_ip4_source_route;
		*at += bytes;
	}
	return 0;
}

/* Whether the options may stay; else the datagram has been dropped, and the sender of broken ones told (RFC 1122,
 * 3.2.2.5) if it is no fragment behind the first. */
static bool take_options(struct ip *ip, const struct arrival *a, const struct ip4_header *h)
{
	uint32_t at;
	const enum counter why = check_options((const uint8_t *)h, a->l4 - (uint32_t)ETH_BYTES, &at);

	if (why == 0)
		return true;
	if (why == DROP_ip4_options && (h->fragment & RTE_BE16(IP4_OFFSET)) == 0)
		icmp_error_send(ip, &a->d, &(struct icmp_complaint){.l3 = ETH_BYTES, .type = PARAMETER_PROBLEM,
		                                                    .pointer = at});
	ip_drop(ip, a->d.m, why);
	return false;
}

/*
 * A fragment (RFC 791, 3.2). One that TCP's header is cut by is refused, wherever the cut is (RFC 1858, RFC 3128): no
 * sender needs to, and who filters by the first fragment must have seen the same ports and flags.
 */
static void take_fragment(struct ip *ip, const struct arrival *a, const struct ip4_header *h)
{
	const uint32_t word = rte_be_to_cpu_16(h->fragment), from = (word & IP4_OFFSET) * 8;
	const uint32_t bytes = a->d.l4_bytes;
	const struct fragment f = {
		.local = a->d.tuple.local,
		.remote = a->d.tuple.remote,
		.id = rte_be_to_cpu_16(h->id),
		.protocol = h->protocol,
		.from = from,
		.to = from + bytes,
		.at = a->l4,
		.more = (word & IP4_MF) != 0,
		.ecn = h->tos & 3,
	};
	enum counter why = 0;

	if (bytes == 0 || (f.more && bytes % 8 != 0))
		why = DROP_ip_fragment_malformed;
	else if (f.to + (a->l4 - (uint32_t)ETH_BYTES) > UINT16_MAX)
		why = DROP_ip_fragment_size;
	else if (h->protocol == IPPROTO_TCP &&
	         (from == 0 ? !transport_whole(a->d.m, a->l4, IPPROTO_TCP) : from < TCP_BYTES_MIN))
		why = DROP_ip_fragment_tiny;
	if (why != 0)
		ip_drop(ip, a->d.m, why);
	else
		reassembly_take(ip, a->d.m, &f);
}

void ip4_input(struct ip *ip, struct rte_mbuf *m)
{
	const struct ip4_header *h = rte_pktmbuf_mtod_offset(m, const struct ip4_header *, ETH_BYTES);
	enum counter why;
	struct arrival a;
	uint32_t header;
	uint16_t total;

	if (unlikely_(!mbuf_holds(m, ETH_BYTES, IP4_BYTES))) {
		ip_drop(ip, m, DROP_ip4_header);
		return;
	}
	header = header_bytes(m, h);
	if (unlikely_((why = check_header(m, h, header)) != 0)) {
		ip_drop(ip, m, why);
		return;
	}
	total = rte_be_to_cpu_16(h->total_length);
	a = (struct arrival){
		.d = {
			.tuple = {.local = addr_v4(h->destination), .remote = addr_v4(h->source),
			          .protocol = h->protocol},
			.m = m,
			.l4_bytes = (uint16_t)(total - header),
			.traffic_class = h->tos,
			.iface = packet_meta(m)->iface,
		},
		.l4 = (uint16_t)(ETH_BYTES + header),
		.hop_limit = h->ttl,
	};
	if (unlikely_((why = check_addresses(ip, m, &a)) != 0)) {
		ip_drop(ip, m, why);
		return;
	}
	if (m->pkt_len > (uint32_t)total + ETH_BYTES)
		mbuf_cut(m, (uint32_t)total + ETH_BYTES);
	if (unlikely_(header != IP4_BYTES) && !take_options(ip, &a, h))
		return;
	if (unlikely_((h->fragment & RTE_BE16(IP4_MF | IP4_OFFSET)) != 0))
		take_fragment(ip, &a, h);
	else if (likely_(h->protocol == IPPROTO_TCP))
		tcp_arrive(ip, &a);
	else if (h->protocol == IPPROTO_UDP)
		udp_arrive(ip, &a);
	else if (h->protocol == IPPROTO_ICMP)
		icmp4_arrive(ip, &a);
	else
		protocol_unknown(ip, &a, 0);
}
