/*
 * VLANs (IEEE 802.1Q): interfaces that share a port and are told apart by the tags of their frames.
 *
 *   | destination | source | 88a8 | service VLAN | 8100 | VLAN | type | ...       Tag control information is
 *                            `--- outer tag ---'   `- inner -'                    3 bits of priority, 1, 12 of VLAN.
 *
 * An interface has one tag, or two (802.1ad, "QinQ"): frames come and go with exactly these. A tag of VLAN 0 has a
 * priority only and is taken off. Whatever has other tags is dropped (eth_vlan), and so nothing crosses from one VLAN
 * into another. An outer tag may have either type on the way in: kernels and NICs that take it off do not say
 * which it had, and many switches use 8100 for both.
 *
 * The tables may change VLANs at any time. An interface that is another one in a new generation forgets its neighbours,
 * and what addresses it keeps are probed again.
 */
#ifndef IP_VLAN_H
#define IP_VLAN_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

struct ip;

enum { IFACES = LIMIT_ports + LIMIT_vlans }; /* the ports, then the VLANs of the tables */
_Static_assert(IFACES <= 32, "they are bits of words");

struct vlan_tags {
	uint8_t n;               /* 0: an interface without a tag */
	uint16_t outer, vlan;    /* VLANs; outer: 0 with one tag */
	uint8_t bytes[8];        /* as they stand in frames */
};

/* Takes over the VLANs of the shard's table: interfaces behind those of the ports. */
void vlan_apply(struct ip *ip);

/* Takes the tags off a frame that has some, and names the interface in its packet_meta. False: it is dropped. */
bool vlan_untag(struct ip *ip, struct rte_mbuf *m);

/* Puts an interface's tags into a frame. */
void vlan_tag(const struct vlan_tags *tags, struct rte_mbuf *m);

#endif
