/* Making and ending the layer; generations; the two doors by which packets come in. */
#include "ip/ip.h"

#include <stdlib.h>

#include "base/fault.h"
#include "ip/layer.h"
#include "table/table.h"

/* Zeroed, on a cache line, and touched only where it is used (calloc asks the kernel for zeroed pages). *room is to
 * be freed. Boot only: failure stops the program. */
static void *boot_alloc(size_t bytes, void **room)
{
	*room = calloc(1, bytes + 63);
	CHECK(*room != NULL);
	return (void *)(((uintptr_t)*room + 63) & ~(uintptr_t)63);
}

struct ip_link *ip_link_new(uint16_t workers)
{
	void *room;
	struct ip_link *l = boot_alloc(sizeof(*l), &room);

	CHECK(workers > 0 && workers <= LIMIT_workers);
	l->magic = IP_LINK_MAGIC;
	l->room = room;
	l->workers = workers;
	return l;
}

void ip_link_free(struct ip_link *l)
{
	if (l == NULL)
		return;
	CHECK_MAGIC(l, IP_LINK_MAGIC);
	l->magic = 0;
	free(l->room);
}

void ip_link_held(struct ip_link *l, const struct addr *a, uint32_t n)
{
	CHECK_MAGIC(l, IP_LINK_MAGIC);
	l->held_n = n < LIMIT_addresses ? n : LIMIT_addresses;
	for (uint32_t i = 0; i < l->held_n; i++)
		l->held[i] = a[i];
}

void ip_link_came_up(struct ip_link *l, uint8_t port)
{
	CHECK_MAGIC(l, IP_LINK_MAGIC);
	CHECK(port < LIMIT_ports);
	__atomic_fetch_or(&l->came_up, 1u << port, __ATOMIC_RELAXED);
}

/* Fewer are not worth it; and more than the port takes must not come of the last segment that is put into one. */
static uint8_t large_of(const struct port *p)
{
	enum { LEAST = 16, MOST = 64, MARGIN = 8 };
	const unsigned takes = p->tso_segs_max == 0 || p->tso_segs_max > MOST ? MOST : p->tso_segs_max;

	return p->offloads & PORT_TX_TSO && takes >= LEAST ? (uint8_t)(takes - MARGIN) : 0;
}

static void open_iface(struct ip *ip, uint8_t i, uint8_t port)
{
	struct port_tx *tx = &ip->tx[port];

	ip->iface[i] = (struct iface){
		.mac = tx->port->mac,
		.mtu = tx->port->mtu,
		.offloads = tx->port->offloads,
		.large = large_of(tx->port),
		.usable = tx->queue < tx->port->queues,
		.steered = ip->shard->workers == 1 ||
		           ((tx->port->offloads & PORT_RSS) != 0 && tx->port->queues >= ip->shard->workers),
		.port = port,
		.tx = tx,
	};
}

struct ip *ip_new(struct shard *s, struct ip_link *link, struct port_tx *tx, uint16_t ports_n, const struct ip_up *up)
{
	void *room;
	struct ip *ip = boot_alloc(sizeof(*ip), &room);

	CHECK_MAGIC(link, IP_LINK_MAGIC);
	CHECK(ports_n <= LIMIT_ports && s->workers == link->workers && s->worker < s->workers);
	CHECK(up->on_tcp != NULL && up->on_icmp_error != NULL && (up->on_hand_over != NULL || s->workers == 1));
	ip->magic = IP_MAGIC;
	ip->room = room;
	ip->shard = s;
	ip->link = link;
	ip->tx = tx;
	ip->epoch = 1;
	ip->ports_n = ip->ifaces_n = ports_n;
	ip->up = *up;
	ip->link_owner = s->worker == IP_LINK_OWNER;
	ip->ip4_id = (uint16_t)rng_u64(&s->rng);
	/* Another worker may hand over what it got on a VLAN that this one has not taken over yet. */
	for (uint8_t i = 0; i < IFACES && ports_n > 0; i++)
		open_iface(ip, i, i < ports_n ? i : 0);
	reassembly_init(ip);
	/* The same in all shards of a process, so it does not matter who writes it last. */
	memcpy(&link->addresses.key, s->secret, sizeof(link->addresses.key));
	memcpy(&link->neighs.key, s->secret + 8, sizeof(link->neighs.key));
	return ip;
}

void ip_free(struct ip *ip)
{
	if (ip == NULL)
		return;
	CHECK_MAGIC(ip, IP_MAGIC);
	pmtu_fini(ip);
	if (ip->link_owner) {
		address_fini(ip);
		neigh_fini(ip);
	}
	reassembly_fini(ip);
	ip->magic = 0;
	free(ip->room);
}

void ip_apply(struct ip *ip)
{
	CHECK_MAGIC(ip, IP_MAGIC);
	if (ip->shard->table == NULL)
		return;
	ip_renew_paths(ip);
	vlan_apply(ip);
	route_apply(ip);
	if (!ip->link_owner)
		return;
	address_apply(ip);
	neigh_apply(ip);
}

void ip_turn(struct ip *ip)
{
	uint32_t came_up;

	CHECK_SLOW(ip->magic == IP_MAGIC);
	if (likely_(!ip->link_owner || __atomic_load_n(&ip->link->came_up, __ATOMIC_RELAXED) == 0))
		return;
	came_up = __atomic_exchange_n(&ip->link->came_up, 0, __ATOMIC_RELAXED);
	for (uint8_t i = 0; i < ip->ifaces_n; i++) {
		if (came_up >> ip->iface[i].port & 1)
			address_probe_again(ip, i);
	}
}

void ip_input(struct ip *ip, struct rte_mbuf *m, uint8_t iface)
{
	struct packet_meta *meta = packet_meta(m);

	CHECK_SLOW(ip->magic == IP_MAGIC && iface < ip->ports_n);
	meta->iface = iface;
	meta->hops = meta->whole = 0;
	eth_input(ip, m);
}

void ip_take_over(struct ip *ip, struct rte_mbuf *m)
{
	const struct packet_meta *meta = packet_meta(m);

	CHECK_MAGIC(ip, IP_MAGIC);
	CHECK(meta->hops == 1 && meta->iface < IFACES);
	if (meta->kind == PACKET_RESOLVE)
		neigh_send(ip, m);
	else
		eth_input(ip, m);
}

bool ip_steer(struct ip *ip, struct rte_mbuf *m, uint16_t worker)
{
	struct packet_meta *meta = packet_meta(m);

	if (worker == ip->shard->worker || FAULT(wrong_owner))
		return false;
	/* Owners are computed alike everywhere, so the second worker keeps what it was given. */
	if (meta->hops != 0)
		return false;
	meta->kind = PACKET_INPUT;
	meta->hops = 1;
	ip->up.on_hand_over(ip->up.up, m, worker);
	return true;
}

bool ip_own_mac(const struct ip *ip, const struct rte_ether_addr *mac)
{
	for (uint16_t i = 0; i < ip->ports_n; i++) {
		if (rte_is_same_ether_addr(mac, &ip->iface[i].mac))
			return true;
	}
	return false;
}

struct rte_mbuf *ip_mbuf(struct ip *ip, uint16_t bytes)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ip->shard->pools.header);

	if (m == NULL) {
		count(ip->shard->counters, DROP_ip_no_mbuf);
		count(ip->shard->counters, C_limit_header_mbufs);
		return NULL;
	}
	memset(rte_pktmbuf_append(m, bytes), 0, bytes);
	return m;
}
