#include "tests/wire/ip_double.h"

enum err ip_output(struct ip *ip, struct ip_path *path, const struct tuple *t, struct rte_mbuf *m, uint8_t ttl,
                   uint8_t traffic_class)
{
	(void)path;
	(void)ttl;
	if (ip->no_route) {
		rte_pktmbuf_free(m);
		return ERR_NO_ROUTE;
	}
	ip->traffic_class = traffic_class;
	ip->sent(ip->arg, t, m);
	return OK;
}

enum err ip_source(struct ip *ip, const struct addr *remote, struct addr *local)
{
	if (ip->no_route)
		return ERR_NO_ROUTE;
	*local = addr_is_v4(remote) ? ip->source4 : ip->source6;
	return OK;
}

uint16_t ip_mtu_here(struct ip *ip, struct ip_path *path, const struct tuple *t)
{
	(void)path;
	(void)t;
	return ip->no_route ? 0 : ip->mtu_here ? ip->mtu_here : ip->mtu;
}

bool ip_mtu_lower(struct ip *ip, struct ip_path *path, const struct tuple *t, uint32_t mtu)
{
	const bool v4 = addr_is_v4(&t->remote);

	(void)path;
	if (mtu >= ip->mtu || mtu < (uint32_t)(v4 ? IP4_MTU_MIN : IP6_MTU_FLOOR) || ip->fragile)
		return false;
	ip->fragile = v4 && mtu < IP4_MTU_FLOOR;
	ip->mtu = ip->fragile ? IP4_MTU_FLOOR : (uint16_t)mtu;
	return true;
}

uint16_t ip_mtu(struct ip *ip, struct ip_path *path, const struct tuple *t)
{
	(void)path;
	(void)t;
	return ip->no_route ? 0 : ip->mtu;
}
