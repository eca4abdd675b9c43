/* From the network layer to a transport: whose packet it is, and the last checks before it goes up. */
#include <rte_tcp.h>

#include "ip/layer.h"

/*
 * What the port says of the checksum. "None" means that there is none that could be right, because the bytes have not
 * been on a wire: the other end of a virtual link left it to hardware.
 */
static inline bool verified(uint64_t said)
{
	return said == RTE_MBUF_F_RX_L4_CKSUM_GOOD || said == RTE_MBUF_F_RX_L4_CKSUM_NONE;
}

void tcp_arrive(struct ip *ip, struct arrival *a)
{
	struct rte_mbuf *m = a->d.m;
	const struct rte_tcp_hdr *h = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, a->l4);
	const uint64_t said = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	/* In a chain the whole header has to be in the first segment; one that lies about its length is TCP's to
	 * see. */
	if (unlikely_(!mbuf_holds(m, a->l4, sizeof(*h)) ||
	              (m->next != NULL && !mbuf_holds(m, a->l4, (uint32_t)(h->data_off >> 4) * 4)))) {
		ip_drop(ip, m, DROP_tcp_malformed);
		return;
	}
	a->d.tuple.local_port = rte_be_to_cpu_16(h->dst_port);
	a->d.tuple.remote_port = rte_be_to_cpu_16(h->src_port);
	if (!arrival_steered(ip, a) && ip_steer(ip, m, tuple_owner(&a->d.tuple, ip->shard->workers)))
		return;
	if (said != RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN) {
		if (unlikely_(!verified(said))) {
			ip_drop(ip, m, DROP_tcp_checksum);
			return;
		}
		a->d.checksum_ok = true;
		count(ip->shard->counters, C_ip_checksums_trusted);
	}
	arrival_strip(a);
	count(ip->shard->counters, C_ip_delivered);
	ip->up.on_tcp(ip->up.up, &a->d);
}

void protocol_unknown(struct ip *ip, struct arrival *a, uint32_t pointer)
{
	enum { UNREACHABLE = 3, UNREACHABLE_PROTOCOL = 2, PARAMETER_PROBLEM = 4, PROBLEM_NEXT_HEADER = 1 };

	const bool v4 = addr_is_v4(&a->d.tuple.local);
	const struct icmp_complaint c = {
		.l3 = ETH_BYTES,
		.type = v4 ? UNREACHABLE : PARAMETER_PROBLEM,
		.code = v4 ? UNREACHABLE_PROTOCOL : PROBLEM_NEXT_HEADER,
		.pointer = pointer,
	};

	icmp_error_send(ip, &a->d, &c);
	ip_drop(ip, a->d.m, DROP_ip_protocol);
}
