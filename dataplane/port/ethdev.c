/*
 * Ports over DPDK's ethdev. One code for vdevs (af_packet, memif, ring, tap) and PCI devices: everything is asked of
 * the device, nothing is known about it, with one exception (packet sockets, below).
 *
 * Receive side scaling: where the device can hash TCP, it gets the key that makes its hash symmetric and equal to
 * tuple_hash(), and an indirection table that makes its choice equal to tuple_owner(). That needs an indirection
 * table of a multiple of 128 entries. Everything else arrives where it likes and is handed over by software.
 *
 * Checksums and segmentation (TSO): what the device offers is used. Devices want to look at such frames before they
 * are sent (rte_eth_tx_prepare()): each has its own wishes for pseudo headers, and says no to what it cannot do.
 *
 * Packet sockets: net_af_packet offers no receive interrupts, yet each of its queues is a socket that can be waited
 * for. The driver keeps the descriptors to itself; they are found by asking every descriptor of the process whether
 * it is a packet socket on that interface. Queues are opened in order, hence in the order of their numbers. Should
 * the count not be that of the queues, the port says that it has none, and workers sleep in short bounded steps.
 */
#include "port/ethdev.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "base/check.h"
#include "base/limits.h"
#include "port/tap.h"

enum {
	RSS_KEY_MAX = 64,
	RETA_MAX = 2048,
	QUEUES_MAX = LIMIT_workers,
};

#define RSS_WANTED (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP | \
                    RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)
#define RSS_TCP    (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)

/* Descriptors to wait for, per device and queue; -1: none. Written when a device is opened. */
static int rx_fds[RTE_MAX_ETHPORTS][QUEUES_MAX];
static uint64_t sockets_missed[RTE_MAX_ETHPORTS]; /* housekeeping's */

static enum err complain(const char *device, const char *what, int why)
{
	fprintf(stderr, "port %s: %s: %s\n", device, what, why ? rte_strerror(why < 0 ? -why : why) : "not supported");
	return ERR_IO;
}

static uint16_t least(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

static uint16_t rx_burst(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	const struct port_tap *tap = atomic_load_explicit(&p->taps[queue], memory_order_acquire);
	const uint16_t got = rte_eth_rx_burst(p->id, queue, m, n);

	if (unlikely(tap && got))
		tap_see(tap, queue, m, got, true);
	return got;
}

static uint16_t tx_burst(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	const struct port_tap *tap = atomic_load_explicit(&p->taps[queue], memory_order_acquire);

	if (unlikely(tap))
		tap_see(tap, queue, m, n, false);
	return rte_eth_tx_burst(p->id, queue, m, n);
}

static uint16_t tx_prepare(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	return rte_eth_tx_prepare(p->id, queue, m, n);
}

/* net_af_packet says of every link that it is up: the kernel knows. */
static bool socket_link_up(int fd)
{
	struct sockaddr_ll at;
	socklen_t at_n = sizeof(at);
	struct ifreq interface = {0};

	return getsockname(fd, (struct sockaddr *)&at, &at_n) < 0 ||
	       if_indextoname((unsigned)at.sll_ifindex, interface.ifr_name) == NULL ||
	       ioctl(fd, SIOCGIFFLAGS, &interface) < 0 || (interface.ifr_flags & IFF_RUNNING) != 0;
}

static int link_up(struct port *p)
{
	struct rte_eth_link link = {0};

	if (rx_fds[p->id][0] >= 0)
		return socket_link_up(rx_fds[p->id][0]);
	return rte_eth_link_get_nowait(p->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

/* Packet sockets count what found no room in the ring, and begin anew with every look; the driver does not look. */
static void look_at_sockets(struct port *p)
{
	for (uint16_t q = 0; q < p->queues; q++) {
		struct tpacket_stats s;
		socklen_t n = sizeof(s);

		if (rx_fds[p->id][q] >= 0 && getsockopt(rx_fds[p->id][q], SOL_PACKET, PACKET_STATISTICS, &s, &n) == 0)
			sockets_missed[p->id] += s.tp_drops;
	}
}

static uint64_t missed(struct port *p)
{
	struct rte_eth_stats s;

	look_at_sockets(p);
	return sockets_missed[p->id] +
	       (rte_eth_stats_get(p->id, &s) == 0 ? s.imissed + s.ierrors + s.rx_nombuf : 0);
}

static int rx_fd(struct port *p, uint16_t queue)
{
	return queue < QUEUES_MAX ? rx_fds[p->id][queue] : -1;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static bool is_packet_socket(int fd, unsigned ifindex)
{
	struct sockaddr_ll at;
	socklen_t domain_n = sizeof(int), at_n = sizeof(at);
	int domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_n) == 0 && domain == AF_PACKET &&
	       getsockname(fd, (struct sockaddr *)&at, &at_n) == 0 && at.sll_ifindex == (int)ifindex;
}

static void find_packet_sockets(uint16_t id, unsigned ifindex, uint16_t queues)
{
	int found[QUEUES_MAX + 1];
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	struct dirent *entry;

	while (d && (entry = readdir(d)) && n <= QUEUES_MAX) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && is_packet_socket(fd, ifindex))
			found[n++] = fd;
	}
	if (d)
		closedir(d);
	if (n != queues)
		return;
	qsort(found, n, sizeof(found[0]), by_number);
	memcpy(rx_fds[id], found, n * sizeof(found[0]));
}

/* The offloads that we use, in our words, and which of the device's they need. */
static const struct {
	uint32_t ours;
	uint64_t rx, tx;
} offloads[] = {
	{PORT_RX_IP_CSUM, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, 0},
	{PORT_RX_L4_CSUM, RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM, 0},
	{PORT_TX_IP_CSUM, 0, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM},
	{PORT_TX_L4_CSUM, 0, RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM},
	{PORT_TX_MULTI_SEGS, 0, RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
	{PORT_TX_TSO, 0, RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
	                 RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
};

static void choose_offloads(const struct rte_eth_dev_info *device, struct rte_eth_conf *conf, struct port *port)
{
	for (size_t i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++) {
		if ((device->rx_offload_capa & offloads[i].rx) != offloads[i].rx ||
		    (device->tx_offload_capa & offloads[i].tx) != offloads[i].tx)
			continue;
		conf->rxmode.offloads |= offloads[i].rx;
		conf->txmode.offloads |= offloads[i].tx;
		port->offloads |= offloads[i].ours;
	}
	/* memif of DPDK 24.11 claims chains, but the ring comes out of step after the first. */
	if (strcmp(device->driver_name, "net_memif") == 0) {
		port->offloads &= ~(uint32_t)PORT_TX_MULTI_SEGS;
		conf->txmode.offloads &= ~RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	}
	port->segs_max = device->tx_desc_lim.nb_mtu_seg_max;
	port->tso_segs_max = device->tx_desc_lim.nb_seg_max;
	if (port->offloads & (PORT_TX_IP_CSUM | PORT_TX_L4_CSUM | PORT_TX_TSO))
		port->tx_prepare = tx_prepare;
}

static void choose_rss(const struct rte_eth_dev_info *device, struct rte_eth_conf *conf, uint8_t key[RSS_KEY_MAX])
{
	uint8_t bytes = device->hash_key_size ? device->hash_key_size : 40;

	if (bytes > RSS_KEY_MAX || !(device->flow_type_rss_offloads & RSS_WANTED))
		return;
	for (unsigned i = 0; i < bytes; i++)
		key[i] = i & 1 ? 0x5a : 0x6d;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_key = key;
	conf->rx_adv_conf.rss_conf.rss_key_len = bytes;
	conf->rx_adv_conf.rss_conf.rss_hf = device->flow_type_rss_offloads & RSS_WANTED;
}

/* Makes the device's choice of queue equal to tuple_owner(). Only after the start. */
static bool spread_by_owner(const struct rte_eth_dev_info *device, const struct rte_eth_conf *conf, struct port *port)
{
	struct rte_eth_rss_reta_entry64 reta[RETA_MAX / RTE_ETH_RETA_GROUP_SIZE] = {0};
	uint16_t n = device->reta_size;

	if (conf->rxmode.mq_mode != RTE_ETH_MQ_RX_RSS || n == 0 || n % TUPLE_BUCKETS || n > RETA_MAX)
		return false;
	for (uint16_t i = 0; i < n; i++) {
		reta[i / RTE_ETH_RETA_GROUP_SIZE].mask = UINT64_MAX;
		reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
			(uint16_t)(i % TUPLE_BUCKETS % port->queues);
	}
	return rte_eth_dev_rss_reta_update(port->id, reta, n) == 0 &&
	       (conf->rx_adv_conf.rss_conf.rss_hf & RSS_TCP) == RSS_TCP;
}

static enum err set_queues(const struct ethdev_want *want, struct port *port)
{
	uint16_t rx = ETHDEV_DESCRIPTORS, tx = ETHDEV_DESCRIPTORS;
	int why = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);

	if (why == 0 && (rx > ETHDEV_DESCRIPTORS || tx > ETHDEV_DESCRIPTORS)) {
		fprintf(stderr, "port %s: it wants %u and %u descriptors per queue, there is memory for %d\n",
		        want->device, rx, tx, ETHDEV_DESCRIPTORS);
		return ERR_LIMIT;
	}
	for (uint16_t q = 0; why == 0 && q < port->queues; q++) {
		why = rte_eth_rx_queue_setup(port->id, q, rx, port->socket, NULL, want->rx_pools[q]);
		if (why == 0)
			why = rte_eth_tx_queue_setup(port->id, q, tx, port->socket, NULL);
	}
	return why ? complain(want->device, "queues", why) : OK;
}

/*
 * It is set whatever the device says that it has: after rte_eth_dev_configure() that is DPDK's default, while the
 * interface behind a packet socket still has what an earlier Machine gave it, and would drop what is larger.
 */
static enum err set_mtu(const struct ethdev_want *want, struct port *port)
{
	const uint16_t wanted = want->mtu ? want->mtu : RTE_ETHER_MTU;
	int why = rte_eth_dev_get_mtu(port->id, &port->mtu);

	if (why == 0)
		why = rte_eth_dev_set_mtu(port->id, wanted);
	/* Devices of memory have none to be set. */
	if (why == -ENOTSUP && port->mtu == wanted)
		why = 0;
	port->mtu = wanted;
	return why ? complain(want->device, "MTU", why) : OK;
}

static enum err set_up(const struct ethdev_want *want, struct port *port, const struct rte_eth_dev_info *device)
{
	uint8_t key[RSS_KEY_MAX];
	struct rte_eth_conf conf = {0};
	enum err e;
	int why;

	choose_offloads(device, &conf, port);
	if (port->queues > 1)
		choose_rss(device, &conf, key);
	why = rte_eth_dev_configure(port->id, port->queues, port->queues, &conf);
	if (why)
		return complain(want->device, "configuration", why);
	e = set_mtu(want, port);
	if (!e)
		e = set_queues(want, port);
	if (e)
		return e;
	why = rte_eth_dev_start(port->id);
	if (why)
		return complain(want->device, "start", why);
	/* Neighbour solicitations are multicast; a device that cannot filter them takes all anyway. */
	(void)rte_eth_allmulticast_enable(port->id);
	if (port->queues == want->queues && spread_by_owner(device, &conf, port))
		port->offloads |= PORT_RSS;
	return OK;
}

enum err ethdev_open(const struct ethdev_want *want, struct port *port)
{
	struct rte_eth_dev_info device;
	enum err e;
	int why;

	CHECK(want->queues > 0);
	memset(port, 0, sizeof(*port));
	why = rte_eth_dev_get_port_by_name(want->device, &port->id);
	if (why)
		return complain(want->device, "no such device", why);
	why = rte_eth_dev_info_get(port->id, &device);
	if (why)
		return complain(want->device, "information", why);
	port->queues = least(least(device.max_rx_queues, device.max_tx_queues), least(want->queues, QUEUES_MAX));
	port->socket = (uint16_t)RTE_MAX(0, rte_eth_dev_socket_id(port->id));
	snprintf(port->name, sizeof(port->name), "%s", want->device);
	port->rx_burst = rx_burst;
	port->tx_burst = tx_burst;
	port->link_up = link_up;
	port->rx_fd = rx_fd;
	port->missed = missed;
	for (unsigned q = 0; q < QUEUES_MAX; q++)
		rx_fds[port->id][q] = -1;
	e = set_up(want, port, &device);
	if (!e && rte_eth_macaddr_get(port->id, &port->mac))
		e = complain(want->device, "MAC address", 0);
	if (e) {
		ethdev_close(port);
		return e;
	}
	if (device.if_index)
		find_packet_sockets(port->id, device.if_index, port->queues);
	return OK;
}

void ethdev_close(struct port *port)
{
	if (!port->rx_burst)
		return;
	(void)rte_eth_dev_stop(port->id);
	(void)rte_eth_dev_close(port->id);
	port->rx_burst = NULL;
}
