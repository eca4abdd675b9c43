/* Ports over DPDK's ethdev: the only face of the only folder that includes rte_ethdev.h. */
#ifndef PORT_ETHDEV_H
#define PORT_ETHDEV_H

#include "base/packet.h"
#include "port/port.h"

/* Of every queue, each way. Packet pools keep that many mbufs for it: a device that insists on more is refused. */
enum { ETHDEV_DESCRIPTORS = 1024 };

struct ethdev_want {
	const char *device;      /* PCI address or vdev name ("net_af_packet0"), as EAL knows it */
	uint16_t queues;         /* one per worker where the device can; less is not an error */
	uint16_t mtu;
	/* One rx pool per queue. */
	struct rte_mempool *const *rx_pools;
};

/* Configures and starts the device; *port is filled and valid until ethdev_close(). The error is logged. LIMIT: it
 * wants more than ETHDEV_DESCRIPTORS. */
enum err ethdev_open(const struct ethdev_want *want, struct port *port) MUST_CHECK;
void ethdev_close(struct port *port);

#endif
