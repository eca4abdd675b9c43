/*
 * A received segment, taken apart (RFC 9293, 3.1):
 *
 *    0                   1                   2                   3
 *   |          Source Port          |       Destination Port        |
 *   |                        Sequence Number                        |
 *   |                    Acknowledgment Number                      |
 *   |offset | resvd |flags          |             Window            |
 *   |           Checksum            |         Urgent Pointer        |
 *   |                     options, padded to 32 bits                |
 *
 * Urgent data is ordinary data here (RFC 6093). Options: MSS (RFC 6691), window scale and timestamps (RFC 7323),
 * SACK-permitted and SACK (RFC 2018); others are skipped.
 */
#ifndef TCP_SEGMENT_H
#define TCP_SEGMENT_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "ip/ip.h"
#include "tcp/seq.h"

enum tcp_event {
#define EVENT(name, help) EVENT_##name,
#include "tcp/events.def"
#undef EVENT
	EVENTS
};

enum { SEGMENT_FIN = 0x01, SEGMENT_SYN = 0x02, SEGMENT_RST = 0x04, SEGMENT_PSH = 0x08, SEGMENT_ACK = 0x10,
       SEGMENT_ECE = 0x40, SEGMENT_CWR = 0x80 };

enum { OPTION_END, OPTION_NOP, OPTION_MSS, OPTION_WSCALE, OPTION_SACK_OK, OPTION_SACK, OPTION_TS = 8 };

enum { SACK_BLOCKS_MAX = 4, WSCALE_NONE = 0xff };

struct segment {
	const struct tuple *tuple;
	struct rte_mbuf *m;        /* ours until taken (then null); data starts at the payload */
	uint32_t seq;
	uint32_t ack;
	uint32_t len;              /* payload bytes */
	uint32_t wnd;              /* as it stands in the header: not scaled */
	uint32_t tsval, tsecr;
	uint16_t mss;              /* 0: no such option */
	uint8_t flags;
	uint8_t event;             /* enum tcp_event */
	uint8_t wscale;            /* WSCALE_NONE: no such option */
	bool ts;
	bool sack_ok;
	bool ce;                   /* a router on the way says that its queue is filling (RFC 3168) */
	uint8_t sacks;             /* blocks */
	struct seq_range sack[SACK_BLOCKS_MAX];
	struct seq_range again;    /* what of its text we had already, as far as it was looked at */
};

/* Length in sequence space: SYN and FIN count. */
static inline uint32_t segment_span(const struct segment *g)
{
	return g->len + ((g->flags & SEGMENT_SYN) != 0) + ((g->flags & SEGMENT_FIN) != 0);
}

/* Takes d apart, g->m = d->m with the header cut off. On refusal *why is the drop's counter and d->m unchanged. */
bool segment_parse(struct segment *g, const struct ip_datagram *d, enum counter *why);

#endif
