/*
 * The network headers as they are on the wire, all fields in network order. (DPDK's rte_ip.h is not used: it brings
 * the C library's own struct ip with it.)
 */
#ifndef IP_WIRE_H
#define IP_WIRE_H

#include <netinet/in.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <stdint.h>

#include "base/addr.h"

struct ip4_header {              /* RFC 791, 3.1 */
	uint8_t version_ihl;         /* 0x45: no options */
	uint8_t tos;
	rte_be16_t total_length;
	rte_be16_t id;
	rte_be16_t fragment;         /* flags and offset */
	uint8_t ttl;
	uint8_t protocol;
	rte_be16_t checksum;
	rte_be32_t source;
	rte_be32_t destination;
} __attribute__((packed, aligned(2)));

struct ip6_header {              /* RFC 8200, 3 */
	rte_be32_t flow;             /* version, traffic class, flow label */
	rte_be16_t payload_length;
	uint8_t next_header;
	uint8_t hop_limit;
	uint8_t source[16];
	uint8_t destination[16];
} __attribute__((packed, aligned(2)));

struct arp_packet {              /* RFC 826, for Ethernet and IPv4 */
	rte_be16_t hardware;
	rte_be16_t protocol;
	uint8_t hardware_bytes;
	uint8_t protocol_bytes;
	rte_be16_t operation;
	struct rte_ether_addr sender_mac;
	rte_be32_t sender;
	struct rte_ether_addr target_mac;
	rte_be32_t target;
} __attribute__((packed, aligned(2)));

enum {
	ETH_BYTES = RTE_ETHER_HDR_LEN,
	IP4_BYTES = sizeof(struct ip4_header),
	IP6_BYTES = sizeof(struct ip6_header),
	IP4_PLAIN = 0x45,
	IP4_DF = 0x4000,
	IP4_MF = 0x2000,
	IP4_OFFSET = 0x1fff,
	ARP_ETHERNET = 1,
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
	ND_HOP_LIMIT = 255,
	PROTOCOL_ICMP4 = IPPROTO_ICMP,
	PROTOCOL_ICMP6 = IPPROTO_ICMPV6,
};

_Static_assert(sizeof(struct ip4_header) == 20 && sizeof(struct ip6_header) == 40 && sizeof(struct arp_packet) == 28,
               "sizes on the wire");

static inline struct addr addr_of_bytes(const uint8_t bytes[static 16])
{
	struct addr a;

	__builtin_memcpy(&a, bytes, sizeof(a));
	return a;
}

#endif
