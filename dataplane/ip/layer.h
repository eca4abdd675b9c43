/*
 * Inside the IP layer: the state of one worker, the shared link, and the steps of a frame's way through the files.
 *
 *   eth.c > arp.c                      > address.c, nud.c      (link owner)
 *    vlan.c takes tags off and puts them on
 *         > ip4.c, ip6.c > transport.c > TCP above; udp.c; icmp.c, icmp_error.c; nd.c (link owner)
 *              ^  reassembly.c           takes fragments and gives whole datagrams back
 *   output.c < everyone                > nud.c when the neighbour is not known
 *   split.c  < icmp.c                  answers that are too large for one frame
 */
#ifndef IP_LAYER_H
#define IP_LAYER_H

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <string.h>

#include "base/check.h"
#include "base/shard.h"
#include "ip/address.h"
#include "ip/ip.h"
#include "ip/neigh.h"
#include "ip/pmtu.h"
#include "ip/rate.h"
#include "ip/reassembly.h"
#include "ip/route.h"
#include "ip/vlan.h"
#include "ip/wire.h"

#define IP_MAGIC      UINT64_C(0x49504c4159455221)
#define IP_LINK_MAGIC UINT64_C(0x49504c494e4b2121)

#define likely_(x)   __builtin_expect(!!(x), 1)
#define unlikely_(x) __builtin_expect(!!(x), 0)

enum { HOP_LIMIT = 64 };      /* of what we send, but for neighbour discovery */

struct ip_link {
	uint64_t magic;
	void *room;              /* what calloc gave */
	uint16_t workers;
	uint32_t held_n;         /* before the first generation: what the process before this one had */
	struct addr held[LIMIT_addresses];
	uint32_t came_up;        /* ports, as bits, whose link has; any thread */
	struct address_table addresses;
	struct neigh_table neighs;
};

/* Those that the tables no longer have stay as they were. */
struct iface {
	struct rte_ether_addr mac;
	uint16_t mtu;
	uint32_t offloads;
	uint8_t large;           /* of struct ip_path */
	bool usable;             /* this worker has a queue on it */
	bool steered;            /* it delivers to the owner by itself */
	uint8_t port;
	struct port_tx *tx;
	struct vlan_tags tags;   /* of every frame */
};

struct ip {
	uint64_t magic;
	void *room;              /* what calloc gave */
	struct shard *shard;
	struct ip_link *link;
	struct port_tx *tx;
	uint32_t epoch;          /* of the routes; never 0 */
	uint16_t ports_n;
	uint16_t ifaces_n;
	uint16_t ip4_id;
	bool link_owner;
	struct iface iface[IFACES];
	struct ip_up up;
	struct rate icmp_errors;
	struct routes routes;
	struct reassembly reassembly;
	struct pmtus pmtus;
};

/* A datagram that passed the checks of its IP header. d.tuple has the addresses; m still starts at Ethernet. */
struct arrival {
	struct ip_datagram d;
	uint16_t l4;             /* offset of the transport header in m */
	uint8_t hop_limit;
	bool fragment;           /* it came in fragments, or had a fragment header */
};

static inline void ip_drop(struct ip *ip, struct rte_mbuf *m, enum counter why)
{
	count(ip->shard->counters, why);
	rte_pktmbuf_free(m);
}

/* Every path is made anew when it is used next. */
static inline void ip_renew_paths(struct ip *ip)
{
	if (++ip->epoch == 0)
		ip->epoch = 1;
}

static inline uint64_t ip_now(const struct ip *ip)
{
	return ip->shard->now_ns;
}

/* Whether `bytes` from the offset on lie in the first segment. */
static inline bool mbuf_holds(const struct rte_mbuf *m, uint32_t at, uint32_t bytes)
{
	return at + bytes <= m->data_len;
}

/* Whether its port has brought it to its owner: ports know no owner of fragments. */
static inline bool arrival_steered(const struct ip *ip, const struct arrival *a)
{
	return ip->iface[a->d.iface].steered && likely_(packet_meta(a->d.m)->whole == 0);
}

/* Whether this worker must give the frame away because another one owns the tuple; true: it has been given. */
bool ip_steer(struct ip *ip, struct rte_mbuf *m, uint16_t worker);

enum { TCP_BYTES_MIN = 20, TCP_DATA_OFFSET_AT = 12 };

/* Whether the whole header of a transport lies in the first segment at `at` (of one that we do not know: its ports). */
static inline bool transport_whole(const struct rte_mbuf *m, uint32_t at, uint32_t protocol)
{
	if (protocol != IPPROTO_TCP)
		return mbuf_holds(m, at, 8);
	return mbuf_holds(m, at, TCP_BYTES_MIN) &&
	       mbuf_holds(m, at, (uint32_t)(*rte_pktmbuf_mtod_offset(m, uint8_t *, at + TCP_DATA_OFFSET_AT) >> 4) * 4);
}

/* ---- input ---- */
void eth_input(struct ip *ip, struct rte_mbuf *m);
void arp_input(struct ip *ip, struct rte_mbuf *m);
void ip4_input(struct ip *ip, struct rte_mbuf *m);
void ip6_input(struct ip *ip, struct rte_mbuf *m);
/* Of the headers that may stand between IPv6's and the transport's: whether `next` is one; how long the one at h is. */
bool ip6_is_extension(uint8_t next);
uint32_t ip6_extension_bytes(uint8_t next, const uint8_t *h);
void tcp_arrive(struct ip *ip, struct arrival *a);
void udp_arrive(struct ip *ip, struct arrival *a);
void icmp4_arrive(struct ip *ip, struct arrival *a);
void icmp6_arrive(struct ip *ip, struct arrival *a);
void icmp_error_arrive(struct ip *ip, struct arrival *a);
void nd_arrive(struct ip *ip, struct arrival *a, uint8_t type);
/* The protocol is not spoken: says so to the sender. pointer: where the next header field is (IPv6). Takes a->d.m. */
void protocol_unknown(struct ip *ip, struct arrival *a, uint32_t pointer);
/* Moves m's data to the transport header; remembers where the IP header was. */
void arrival_strip(struct arrival *a);
/* Cuts what is behind the first `bytes` (padding). */
void mbuf_cut(struct rte_mbuf *m, uint32_t bytes);

/* An ICMP error about a datagram (rate limited, and only when the rules allow one). l3: where its IP header is, from
 * the start of d->m's data (negative: before it). Does not take d->m. */
struct icmp_complaint {
	int l3;
	uint8_t type, code;
	uint32_t pointer;        /* of parameter problems */
};
void icmp_error_send(struct ip *ip, const struct ip_datagram *d, const struct icmp_complaint *c);

/* ---- output ---- */

/* Like ip_output(), but what is too large for the path goes in fragments. For what nobody sends again: echo replies. */
enum err ip_output_split(struct ip *ip, const struct tuple *t, struct rte_mbuf *m, uint8_t traffic_class);

/* Sends a finished IP packet on the way that ip_output() would take. Takes m. */
enum err ip_output_finished(struct ip *ip, struct ip_path *path, const struct tuple *t, struct rte_mbuf *m);

/* Puts an Ethernet header before an IP or ARP packet and gives it to the port. */
static inline void eth_output(struct ip *ip, struct rte_mbuf *m, uint8_t iface, uint64_t mac_word, rte_be16_t type)
{
	const struct iface *on = &ip->iface[iface];
	char *h = rte_pktmbuf_prepend(m, ETH_BYTES);

	CHECK(h != NULL);
	/* Eight bytes at once: two too many, which the source address then overwrites. */
	memcpy(h, &mac_word, 8);
	memcpy(h + RTE_ETHER_ADDR_LEN, &on->mac, RTE_ETHER_ADDR_LEN);
	memcpy(h + 2 * RTE_ETHER_ADDR_LEN, &type, sizeof(type));
	if (unlikely_(on->tags.n != 0))
		vlan_tag(&on->tags, m);
	port_tx_put(on->tx, m);
}

/* The Ethernet type of an IP packet by its first half byte. */
static inline rte_be16_t ip_ether_type(const struct rte_mbuf *m)
{
	return *rte_pktmbuf_mtod(m, const uint8_t *) >> 4 == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4)
	                                                      : RTE_BE16(RTE_ETHER_TYPE_IPV6);
}

/* A header mbuf with `bytes` of zeroed data; null (counted) when there is none. */
struct rte_mbuf *ip_mbuf(struct ip *ip, uint16_t bytes);

/* mac null: to all. `from` null: a probe for the address `about` (RFC 5227; RFC 4862, 5.4.2). */
void arp_request(struct ip *ip, uint8_t iface, const struct addr *from, const struct addr *about,
                 const struct rte_ether_addr *mac);
void arp_announce(struct ip *ip, uint8_t iface, const struct addr *a);
void nd_solicit(struct ip *ip, uint8_t iface, const struct addr *from, const struct addr *about,
                const struct rte_ether_addr *mac);
void nd_announce(struct ip *ip, uint8_t iface, const struct addr *a);

/* Whether the MAC address is that of one of our ports: such a frame came back to us. */
bool ip_own_mac(const struct ip *ip, const struct rte_ether_addr *mac);

#endif
