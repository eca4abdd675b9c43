/* UDP input (RFC 768; RFC 8200, 8.1): lengths, checksum, and port unreachable when nobody listens. */
#include <rte_udp.h>

#include "ip/checksum.h"
#include "ip/layer.h"

static bool well_formed(struct arrival *a)
{
	const struct rte_udp_hdr *h = rte_pktmbuf_mtod_offset(a->d.m, const struct rte_udp_hdr *, a->l4);
	uint16_t bytes;

	if (!mbuf_holds(a->d.m, a->l4, sizeof(*h)))
		return false;
	bytes = rte_be_to_cpu_16(h->dgram_len);
	if (bytes < sizeof(*h) || bytes > a->d.l4_bytes)
		return false;
	a->d.tuple.local_port = rte_be_to_cpu_16(h->dst_port);
	a->d.tuple.remote_port = rte_be_to_cpu_16(h->src_port);
	if (bytes < a->d.l4_bytes)
		mbuf_cut(a->d.m, (uint32_t)a->l4 + bytes);
	a->d.l4_bytes = bytes;
	return true;
}

/* m's data is at the UDP header. Over IPv4 a sender may leave the checksum out, over IPv6 not. */
static bool checksum_right(struct ip_datagram *d)
{
	const struct rte_udp_hdr *h = rte_pktmbuf_mtod(d->m, const struct rte_udp_hdr *);

	if (h->dgram_cksum == 0)
		return addr_is_v4(&d->tuple.local);
	switch (d->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) {
	case RTE_MBUF_F_RX_L4_CKSUM_BAD:
		return false;
	case RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN:
		d->checksum_ok = checksum_datagram_ok(d);
		return d->checksum_ok;
	default: /* good, or never on a wire (transport.c) */
		d->checksum_ok = true;
		return true;
	}
}

void udp_arrive(struct ip *ip, struct arrival *a)
{
	if (!well_formed(a)) {
		ip_drop(ip, a->d.m, DROP_udp_malformed);
		return;
	}
	if (ip->up.on_udp != NULL && !arrival_steered(ip, a) &&
	    ip_steer(ip, a->d.m, tuple_owner(&a->d.tuple, ip->shard->workers)))
		return;
	arrival_strip(a);
	if (!checksum_right(&a->d)) {
		ip_drop(ip, a->d.m, DROP_udp_checksum);
		return;
	}
	if (ip->up.on_udp == NULL) {
		ip_unreachable(ip, &a->d);
		ip_drop(ip, a->d.m, DROP_udp_no_port);
		return;
	}
	count(ip->shard->counters, C_ip_delivered);
	ip->up.on_udp(ip->up.up, &a->d);
}
