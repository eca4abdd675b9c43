/*
 * A port: where frames come from and go to. One queue pair per worker.
 *
 * Layers above see only this face. port/ethdev.c puts it over DPDK's ethdev (af_packet, memif, PCI: the same code);
 * the simulator and the tests bring ports of their own (links that lose, delay and hold what was transmitted).
 */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

struct port_tap;
struct shard;

enum { PORT_BURST = 32 };

enum port_offload {
	PORT_RX_IP_CSUM = 1 << 0,  /* mbuf flags tell whether the IPv4 header checksum was right */
	PORT_RX_L4_CSUM = 1 << 1,
	PORT_TX_IP_CSUM = 1 << 2,
	PORT_TX_L4_CSUM = 1 << 3,
	PORT_TX_MULTI_SEGS = 1 << 4, /* without it a chain is copied into one mbuf before it is sent */
	PORT_RSS = 1 << 5,         /* delivers to tuple_owner() by itself */
	PORT_TX_TSO = 1 << 6,      /* cuts large TCP segments; has PORT_TX_L4_CSUM and PORT_TX_MULTI_SEGS too */
};

struct port {
	uint16_t id;
	uint16_t queues;            /* at least 1; workers beyond it have no queue on this port */
	uint16_t mtu;               /* of the IP layer: 1500 */
	uint16_t socket;
	uint32_t offloads;          /* enum port_offload */
	uint16_t segs_max;          /* mbufs of a chain that is one frame; 0: any number */
	uint16_t tso_segs_max;      /* mbufs of a chain that the port cuts; 0: any number */
	struct rte_ether_addr mac;
	char name[32];
	/* Takes up to n frames; the caller owns them. */
	uint16_t (*rx_burst)(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n);
	/* Looks at n frames before they are given; null: no need to. Less than n: it cannot send m[result]. */
	uint16_t (*tx_prepare)(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n);
	/* Gives up to n frames; those taken belong to the port, which may hold them for any time. */
	uint16_t (*tx_burst)(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n);
	/* Link state and rx interrupt; may be null. */
	int (*link_up)(struct port *p);
	/* A descriptor that becomes readable when frames arrive (level triggered), or -1: then sleeps are short. */
	int (*rx_fd)(struct port *p, uint16_t queue);
	/* Frames that the port itself dropped before anybody saw them; may be null. Housekeeping only. */
	uint64_t (*missed)(struct port *p);
	/* One per queue: who sees the frames that pass (port/tap.h), or null. Ports that are no devices have none. */
	_Atomic(const struct port_tap *) taps[LIMIT_workers];
};

/* The transmit side of one worker on one port: gathers frames, sends bursts, counts what the port refused. */
struct port_tx {
	struct port *port;
	struct shard *shard;
	uint16_t queue;
	uint16_t n;
	struct rte_mbuf *m[PORT_BURST];
};

void port_tx_put(struct port_tx *tx, struct rte_mbuf *m); /* takes m; flushes when the burst is full */
void port_tx_flush(struct port_tx *tx);

#endif
