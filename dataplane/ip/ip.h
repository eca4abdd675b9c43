/*
 * The IP layer of one worker: Ethernet, ARP, ND, IPv4, IPv6, ICMP, next hops; and whose packet it is.
 *
 * Input:  ip_input() takes a frame, checks it (every refusal is a drop with a reason), finds its owner, and either
 *         calls on_hand_over() (another worker's) or delivers the datagram upward. ICMP errors are steered and
 *         delivered by the embedded tuple.
 * Output: ip_output() takes a transport segment in a header mbuf with headroom, puts IP and Ethernet before it and
 *         gives it to the port; if the next hop's address is not known, the packet goes to the link owner
 *         (worker 0), which holds ARP and ND, queues it, resolves, and publishes the answer to all.
 *
 * Both families from the start: RFC 791, 826, 5227 (address conflict detection), 792, 1122; RFC 8200, 4861, 4862,
 * 4443. Fragments are put together by the worker that (source, destination, identification, protocol) names; the
 * whole datagram then goes to its owner like any other.
 */
#ifndef IP_IP_H
#define IP_IP_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "port/port.h"

struct ip;
struct ip_link;  /* shared by all workers: neighbours and address states, written by the link owner only */
struct shard;

enum { IP_LINK_OWNER = 0 };

/* A datagram on its way up. m's data starts at the transport header; the IP header is still before it. */
struct ip_datagram {
	struct tuple tuple;     /* ports are filled for TCP and UDP */
	struct rte_mbuf *m;     /* taken by the callee; single-segment, or the first of a chain (the transport header,
	                         * TCP options included, in the first) */
	uint16_t l4_bytes;      /* transport header and payload; padding is already cut off */
	uint8_t traffic_class;  /* TOS or traffic class: the low two bits are ECN */
	uint8_t iface;
	bool checksum_ok;       /* the port has verified the transport checksum */
};

/* An ICMP error about a segment that we sent (RFC 5927: validate before use). */
struct ip_icmp_error {
	struct tuple tuple;     /* of the embedded packet, turned to our view */
	uint8_t type, code;     /* ICMP's, or ICMPv6's when the tuple is IPv6 */
	uint32_t mtu;           /* of "too big" */
	uint16_t bytes;         /* of the embedded datagram, as its header says */
	uint32_t sequence;      /* first 32 bits after the embedded ports: TCP's sequence number */
};

/* Whom the layer speaks to above it, and beside it through the worker. */
struct ip_up {
	void (*on_tcp)(void *up, const struct ip_datagram *d);
	void (*on_udp)(void *up, const struct ip_datagram *d);  /* may be null: port unreachable is answered */
	void (*on_icmp_error)(void *up, const struct ip_icmp_error *e);
	/* Passes m (packet_meta filled) to another worker's ring; takes it also when it has to drop it. */
	void (*on_hand_over)(void *up, struct rte_mbuf *m, uint16_t worker);
	void *up;
};

/* Shared state: one per process (per gateway in the simulator). Boot only. */
struct ip_link *ip_link_new(uint16_t workers);
void ip_link_free(struct ip_link *l);

/* Before the first generation: the box had these until just now, and those of them that the first generation has are
 * used while they are probed. At most LIMIT_addresses; the others are probed first. */
void ip_link_held(struct ip_link *l, const struct addr *a, uint32_t n);

/* The port's link was down and is up again: in its next turn the link owner probes what it has there, and on its VLANs,
 * once more (RFC 5227, 2.1). Any thread. */
void ip_link_came_up(struct ip_link *l, uint8_t port);

/* tx[i] belongs to port i; ports_n <= LIMIT_ports. Boot only. */
struct ip *ip_new(struct shard *s, struct ip_link *link, struct port_tx *tx, uint16_t ports_n, const struct ip_up *up);
void ip_free(struct ip *ip);

/*
 * Takes over interfaces, addresses and routes of the shard's table; called by the worker in the first round with a
 * new generation. Addresses that stay keep their state. The link owner probes and announces new ones (RFC 5227,
 * RFC 4862) and withdraws those that left.
 */
void ip_apply(struct ip *ip);

/* Once a round: what other threads have left for the link owner. */
void ip_turn(struct ip *ip);

void ip_input(struct ip *ip, struct rte_mbuf *m, uint8_t iface);   /* a frame from port iface; takes m */
void ip_take_over(struct ip *ip, struct rte_mbuf *m);               /* from a hand-over ring; takes m */

/* The way to a destination, kept by whoever sends often. Zeroed is valid; it refreshes itself. */
struct ip_path {
	uint32_t epoch;     /* of the routes it was made from */
	uint32_t neigh;     /* the link's published neighbour: index, and its generation << 16 */
	uint16_t mtu;       /* IP datagram bytes */
	uint8_t iface : 7;
	uint8_t fragile : 1; /* IPv4, less than IP4_MTU_FLOOR was learned: routers may make fragments of it */
	uint8_t large;      /* mbufs of a TCP segment that the port cuts (TSO); 0: it does not */
};

/* Payload of a large segment, which is one IP datagram until it is cut. */
enum { IP_LARGE_MAX = 65535 - 40 - 60 };

/*
 * Sends an L4 segment from tuple.local to tuple.remote. m: data starts at the L4 header, at least PACKET_HEADROOM
 * before it; takes m in every case. The transport checksum is filled in here (by the port where it can).
 * A large TCP segment (path.large) has RTE_MBUF_F_TX_TCP_SEG, tso_segsz and l4_len set.
 */
enum err ip_output(struct ip *ip, struct ip_path *path, const struct tuple *t, struct rte_mbuf *m, uint8_t ttl,
                   uint8_t traffic_class);

/* Our address to speak from to `remote` (an own, not a virtual, address of the outgoing interface). */
enum err ip_source(struct ip *ip, const struct addr *remote, struct addr *local) MUST_CHECK;

/* Path MTU to a destination in IP datagram bytes, as far as it is known (RFC 1191, 8201); 0 when there is no route. */
uint16_t ip_mtu(struct ip *ip, struct ip_path *path, const struct tuple *t);
/* The part of it that is our own: of the interface and the route. What peers send need not come the same way back. */
uint16_t ip_mtu_here(struct ip *ip, struct ip_path *path, const struct tuple *t);

/*
 * Below these no datagram is made to be: RFC 8201, 4; for IPv4 what Linux and others have settled on. A path of IPv4
 * may have less, down to IP4_MTU_MIN (RFC 791): datagrams to there have no DF, and the router cuts them (RFC 1191, 3).
 */
enum { IP4_MTU_FLOOR = 552, IP4_MTU_MIN = 68, IP6_MTU_FLOOR = 1280 };

/*
 * Datagrams to t.remote may have at most so many bytes, it was found (pmtu.h). False: not less, or too little. True:
 * the path has this MTU now, or the floor and no DF.
 */
bool ip_mtu_lower(struct ip *ip, struct ip_path *path, const struct tuple *t, uint32_t mtu);

/* ICMP port or host unreachable for a datagram that nobody wanted (rate limited). Does not take d->m. */
void ip_unreachable(struct ip *ip, const struct ip_datagram *d);

/* Address states (design.md, section 3). The link owner moves them; all read them. */
enum ip_address_state { IP_ADDRESS_NONE, IP_ADDRESS_TENTATIVE, IP_ADDRESS_OPTIMISTIC, IP_ADDRESS_ACTIVE,
                        IP_ADDRESS_DRAINING, IP_ADDRESS_WITHDRAWN };
enum ip_address_state ip_address_state(const struct ip_link *l, const struct addr *a);

/*
 * What `sluicectl addresses` shows: those from *at on; returns how many were written, advances *at, 0 at the end. Any
 * thread.
 */
struct ip_address_info {
	struct addr addr;
	const char *state;      /* "tentative", "optimistic", "active", "draining" */
	struct rte_ether_addr claimant;
	uint8_t iface;
	bool virtual;
	bool usable;            /* it answers */
	bool contested;         /* another host, the claimant, uses it or wants to */
	uint64_t claimed_ms;    /* since it last claimed it */
};
unsigned ip_address_walk(const struct ip_link *l, uint64_t now_ns, uint32_t *at, struct ip_address_info *out,
                         unsigned max);

/* What `sluicectl neigh` shows: entries from *at on; returns how many were written, advances *at, 0 at the end. */
struct ip_neigh_info {
	struct addr addr;
	struct rte_ether_addr mac;
	uint8_t iface;
	const char *state;      /* "incomplete", "reachable", "stale", "delay", "probe", "failed" */
	uint64_t age_ms;        /* since confirmed */
	bool gateway;
};
unsigned ip_neigh_walk(const struct ip_link *l, uint64_t now_ns, uint32_t *at, struct ip_neigh_info *out, unsigned max);

#endif
