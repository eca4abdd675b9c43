/*
 * What a NIC does with what a stack leaves to it: checksums, and the cutting of large TCP segments (TSO); and what it
 * says of the checksums of what it receives. By RFC 9293, 8200 and 791 and by what DPDK says of its mbuf flags.
 */
#ifndef SIM_NIC_H
#define SIM_NIC_H

#include <rte_mbuf.h>
#include <stdint.h>

struct nic_sink {
	void (*frame)(void *arg, uint8_t *bytes, uint32_t n);
	void *arg;
};

/* Gives m's frames to the sink. Returns what is wrong with m, or null. */
const char *nic_transmit(const struct rte_mbuf *m, const struct nic_sink *sink);

/* Sets the flags of a received frame. */
void nic_receive(struct rte_mbuf *m);

#endif
