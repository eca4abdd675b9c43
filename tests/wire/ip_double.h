/*
 * A stand-in for the IP layer: what TCP gives it to send goes to a function of the test. Link ip_double.c before
 * libdataplane.a, and the archive's own IP layer stays out.
 */
#ifndef TESTS_WIRE_IP_DOUBLE_H
#define TESTS_WIRE_IP_DOUBLE_H

#include <stdbool.h>

#include "ip/ip.h"

struct ip {
	uint16_t mtu;
	uint16_t mtu_here;      /* of our own end; 0: the same */
	bool no_route;
	bool fragile;               /* IPv4, and narrower than the floor */
	uint8_t traffic_class;      /* of the segment that `sent` gets */
	struct addr source4, source6;
	void (*sent)(void *arg, const struct tuple *t, struct rte_mbuf *m); /* takes m */
	void *arg;
};

#endif
