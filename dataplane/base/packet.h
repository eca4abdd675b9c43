/*
 * Packet memory: the mbuf pools of a shard, and slices, the references to payload bytes that layers pass around.
 *
 * Four pools: rx (filled by the ports), header (an Ethernet + IP + TCP header and up to PACKET_COPY_MAX payload
 * bytes behind it), payload (text that we write ourselves), reference (indirect mbufs, no room of their own).
 * Received payload is immutable. A slice owns one reference on a direct, single-segment mbuf. A transmission never
 * sends a payload mbuf itself: it sends a fresh header mbuf, followed by indirect mbufs that point into the
 * payload, because the NIC may still hold those of the last transmission.
 *
 * In the asan flavour the pools poison an mbuf (its struct and its room) while it is free.
 */
#ifndef BASE_PACKET_H
#define BASE_PACKET_H

#include <rte_mbuf.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

enum {
	PACKET_HEADROOM = RTE_PKTMBUF_HEADROOM,
	PACKET_ROOM = 2048 + RTE_PKTMBUF_HEADROOM, /* data room of rx and payload mbufs */
	PACKET_HEADER_ROOM = 768,                  /* data room of header mbufs, headroom included */
	PACKET_COPY_MAX = 512,                     /* payload up to this size is copied behind the header */
	PACKET_PAYLOAD_MAX = 2048,                 /* text bytes that one payload mbuf holds */
};

/*
 * Descriptors of all queues whose rings hold mbufs of these pools. That many mbufs are added to the pools that such
 * rings take from (received: rx; sent: header and reference), so that full rings leave the rest of a pool untouched.
 */
struct packet_rings {
	uint32_t rx, tx;
};

struct packet_pools {
	struct rte_mempool *rx, *header, *payload, *reference;
	struct packet_rings rings;
};

/* What a packet is to the worker that receives it over a hand-over ring. */
enum packet_kind {
	PACKET_INPUT,   /* a frame to put through ip_input() */
	PACKET_RESOLVE, /* an IP packet to send once the neighbour is known (link owner only) */
	PACKET_TRANSMIT, /* a finished frame for a port on which its worker has no queue */
	PACKET_REPORT,   /* no packet: a struct health_report for the owner of an endpoint */
};

/* A fragment that waits for the rest of its datagram (ip/reassembly.c). */
struct packet_fragment {
	struct rte_mbuf *next; /* the one behind it that was received, by place in the datagram */
	uint16_t from, to;     /* its place: bytes of what was fragmented */
	uint16_t at;           /* where these begin in the frame */
	uint16_t more;         /* not the last one */
};

/* Lives in the private area of rx, header and payload mbufs. */
struct packet_meta {
	union {
		struct addr next_hop;            /* PACKET_RESOLVE: whom to resolve */
		struct packet_fragment fragment; /* PACKET_INPUT */
	};
	uint8_t kind;         /* enum packet_kind */
	uint8_t iface;        /* logical interface it came in by or goes out by */
	uint8_t hops;         /* hand-overs so far: at most 1 */
	uint8_t whole;        /* put together from fragments, each of which had its own hand-over */
	uint8_t spare[4];
	uint64_t rx_ns;       /* when its burst was taken */
};

static inline struct packet_meta *packet_meta(struct rte_mbuf *m)
{
	return (struct packet_meta *)rte_mbuf_to_priv(m);
}

/* Boot only. `name` makes pool names unique; scale_percent shrinks every pool, but not what its rings need. */
enum err packet_pools_for(struct packet_pools *p, const char *name, int socket, unsigned scale_percent,
                          const struct packet_rings *rings) MUST_CHECK;
/* The same without rings: tests. */
enum err packet_pools_init(struct packet_pools *p, const char *name, int socket, unsigned scale_percent) MUST_CHECK;
void packet_pools_fini(struct packet_pools *p);

struct slice {
	struct rte_mbuf *m; /* one reference is owned by the slice */
	uint16_t off;       /* from the start of m's buffer (buf_addr), so that it survives adj and prepend */
	uint16_t len;
};

static inline const char *slice_at(const struct slice *s)
{
	return (const char *)s->m->buf_addr + s->off;
}

/* A slice of [at, at+len) of m's bytes; takes a new reference. */
static inline struct slice slice_of(struct rte_mbuf *m, const char *at, uint16_t len)
{
	rte_mbuf_refcnt_update(m, 1);
	return (struct slice){.m = m, .off = (uint16_t)(at - (const char *)m->buf_addr), .len = len};
}

static inline void slice_free(struct slice *s)
{
	rte_pktmbuf_free_seg(s->m);
	s->m = NULL;
}

#endif
