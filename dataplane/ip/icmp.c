/*
 * ICMP and ICMPv6 (RFC 792, RFC 4443): which message it is; echo is answered here, by whichever worker it reached.
 *
 * An echo reply is the request itself, sent back: its mbuf is ours alone and nobody above has seen it. All of it goes
 * back (RFC 1122, 3.2.2.6), in fragments if it came in fragments.
 */
#include "ip/checksum.h"
#include "ip/layer.h"

enum {
	ICMP4_ECHO_REPLY = 0,
	ICMP4_UNREACHABLE = 3,
	ICMP4_ECHO = 8,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER_PROBLEM = 12,
	ICMP6_UNREACHABLE = 1,
	ICMP6_PARAMETER_PROBLEM = 4,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_NEIGHBOUR_SOLICITATION = 135,
	ICMP6_NEIGHBOUR_ADVERTISEMENT = 136,
	ICMP_HEADER_BYTES = 8,
};

static void answer_echo(struct ip *ip, struct arrival *a, uint8_t reply_type)
{
	struct rte_mbuf *m = a->d.m;
	uint8_t *h;

	arrival_strip(a);
	/* Flags of reception would be read as orders for transmission; those of attached rooms have to stay. */
	m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	h = rte_pktmbuf_mtod(m, uint8_t *);
	h[0] = reply_type;
	h[1] = 0;
	if (ip_output_split(ip, &a->d.tuple, m, a->d.traffic_class) == OK)
		count(ip->shard->counters, C_ip_echo_replies);
}

static bool checksum_right(const struct arrival *a, uint64_t pseudo)
{
	return checksum_fold(checksum_add_mbuf(pseudo, a->d.m, a->l4, a->d.l4_bytes)) == 0xffff;
}

/* False: it has been dropped. */
static bool well_formed(struct ip *ip, const struct arrival *a, uint64_t pseudo)
{
	if (!mbuf_holds(a->d.m, a->l4, ICMP_HEADER_BYTES) || a->d.l4_bytes < ICMP_HEADER_BYTES)
		ip_drop(ip, a->d.m, DROP_icmp_malformed);
	else if (!checksum_right(a, pseudo))
		ip_drop(ip, a->d.m, DROP_icmp_checksum);
	else
		return true;
	return false;
}

static const uint8_t *header(const struct arrival *a)
{
	return rte_pktmbuf_mtod_offset(a->d.m, const uint8_t *, a->l4);
}

void icmp4_arrive(struct ip *ip, struct arrival *a)
{
	if (!well_formed(ip, a, 0))
		return;
	switch (header(a)[0]) {
	case ICMP4_ECHO:
		answer_echo(ip, a, ICMP4_ECHO_REPLY);
		return;
	case ICMP4_UNREACHABLE:
	case ICMP4_TIME_EXCEEDED:
	case ICMP4_PARAMETER_PROBLEM:
		icmp_error_arrive(ip, a);
		return;
	default:
		ip_drop(ip, a->d.m, DROP_icmp_type);
	}
}

void icmp6_arrive(struct ip *ip, struct arrival *a)
{
	const bool multicast = a->d.tuple.local.b[0] == 0xff;
	uint8_t type;

	if (!well_formed(ip, a, checksum_pseudo(&a->d.tuple, a->d.l4_bytes)))
		return;
	type = header(a)[0];
	if (type == ICMP6_NEIGHBOUR_SOLICITATION || type == ICMP6_NEIGHBOUR_ADVERTISEMENT)
		nd_arrive(ip, a, type);
	else if (address_claimed(address_find(&ip->link->addresses, &a->d.tuple.remote)))
		ip_drop(ip, a->d.m, DROP_ip_land);
	else if (type == ICMP6_ECHO && !multicast)
		answer_echo(ip, a, ICMP6_ECHO_REPLY);
	else if (type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER_PROBLEM && !multicast)
		icmp_error_arrive(ip, a);
	else
		ip_drop(ip, a->d.m, DROP_icmp_type); /* routers are configured, not discovered: RA, redirect, MLD */
}
