#include "ip/vlan.h"

#include <rte_ether.h>

#include "ip/layer.h"
#include "table/table.h"

enum { TAG_BYTES = sizeof(struct rte_vlan_hdr), MACS_BYTES = 2 * RTE_ETHER_ADDR_LEN, VLAN_MASK = 0xfff };

/* ---- in ---- */

/* There are few, and only tagged frames look for theirs. */
static bool find(struct ip *ip, struct rte_mbuf *m, uint16_t outer, uint16_t vlan)
{
	struct packet_meta *meta = packet_meta(m);
	const uint8_t port = ip->iface[meta->iface].port;

	for (uint16_t i = ip->ports_n; i < ip->ifaces_n; i++) {
		const struct iface *on = &ip->iface[i];

		if (on->tags.vlan != vlan || on->tags.outer != outer || on->port != port)
			continue;
		meta->iface = (uint8_t)i;
		return true;
	}
	ip_drop(ip, m, DROP_eth_vlan);
	return false;
}

static bool is_tag(rte_be16_t type)
{
	return type == RTE_BE16(RTE_ETHER_TYPE_VLAN) || type == RTE_BE16(RTE_ETHER_TYPE_QINQ);
}

/* The n-th tag: its VLAN, and the type behind it. */
static bool read_tag(const struct rte_mbuf *m, uint32_t n, uint16_t *vlan, rte_be16_t *next)
{
	struct rte_vlan_hdr h;

	if (!mbuf_holds(m, ETH_BYTES + n * TAG_BYTES, TAG_BYTES))
		return false;
	memcpy(&h, rte_pktmbuf_mtod_offset(m, const char *, ETH_BYTES + n * TAG_BYTES), sizeof(h));
	*vlan = rte_be_to_cpu_16(h.vlan_tci) & VLAN_MASK;
	*next = h.eth_proto;
	return true;
}

static void take_off(struct rte_mbuf *m, uint32_t bytes)
{
	char *h = rte_pktmbuf_mtod(m, char *);

	memmove(h + bytes, h, MACS_BYTES);
	rte_pktmbuf_adj(m, (uint16_t)bytes);
}

bool vlan_untag(struct ip *ip, struct rte_mbuf *m)
{
	uint16_t outer = 0, vlan;
	rte_be16_t next;
	uint32_t n = 1;
	bool whole = read_tag(m, 0, &vlan, &next);

	if (whole && is_tag(next)) {
		outer = vlan;
		whole = read_tag(m, n++, &vlan, &next);
	}
	if (!whole) {
		ip_drop(ip, m, DROP_eth_short);
		return false;
	}
	/* A third tag, one inside of a tag that says nothing, or one that says nothing inside of another. */
	if (is_tag(next) || (n == 2 && (outer == 0 || vlan == 0))) {
		ip_drop(ip, m, DROP_eth_vlan);
		return false;
	}
	if (vlan != 0 && !find(ip, m, outer, vlan))
		return false;
	take_off(m, n * TAG_BYTES);
	return true;
}

/* ---- out ---- */

void vlan_tag(const struct vlan_tags *tags, struct rte_mbuf *m)
{
	const uint32_t bytes = tags->n * (uint32_t)TAG_BYTES;
	char *h = rte_pktmbuf_prepend(m, (uint16_t)bytes);

	CHECK(h != NULL && bytes <= sizeof(tags->bytes));
	memmove(h, h + bytes, MACS_BYTES);
	memcpy(h + MACS_BYTES, tags->bytes, bytes);
	m->l2_len = (ETH_BYTES + bytes) & 0x7f;
}

/* ---- generations ---- */

static void put_tag(struct vlan_tags *tags, uint16_t type, uint16_t vlan)
{
	const uint16_t words[2] = {rte_cpu_to_be_16(type), rte_cpu_to_be_16(vlan)};

	memcpy(tags->bytes + tags->n++ * TAG_BYTES, words, sizeof(words));
}

static struct vlan_tags tags_of(const struct table_vlan *v)
{
	struct vlan_tags tags = {.outer = v->service, .vlan = v->id};

	if (v->service != 0)
		put_tag(&tags, RTE_ETHER_TYPE_QINQ, v->service);
	put_tag(&tags, RTE_ETHER_TYPE_VLAN, v->id);
	return tags;
}

/* What was known on an interface that is another one now. */
static void forget(struct ip *ip, uint8_t iface)
{
	if (!ip->link_owner)
		return;
	neigh_forget(ip, iface);
	address_probe_again(ip, iface);
}

void vlan_apply(struct ip *ip)
{
	const struct table *t = ip->shard->table;
	const struct table_vlan *v = TABLE_LIST(t, t->vlans, struct table_vlan);

	ip->ifaces_n = ip->ports_n;
	for (uint32_t i = 0; i < t->vlans.n && ip->ifaces_n < IFACES; i++) {
		const uint8_t at = (uint8_t)ip->ifaces_n++;
		const struct iface was = ip->iface[at], *port = &ip->iface[v[i].port < ip->ports_n ? v[i].port : 0];
		struct iface *on = &ip->iface[at];

		*on = *port;
		on->tags = tags_of(&v[i]);
		/* A port that spreads by the hash of addresses need not find them behind tags. */
		on->steered = ip->shard->workers == 1;
		on->mtu = v[i].mtu < port->mtu ? v[i].mtu : port->mtu;
		if (was.port != on->port || was.tags.vlan != on->tags.vlan || was.tags.outer != on->tags.outer)
			forget(ip, at);
	}
}
