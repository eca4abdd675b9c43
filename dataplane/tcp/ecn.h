/*
 * Explicit congestion notification (RFC 3168): a router whose queue fills marks a segment (CE) instead of dropping it.
 *
 *     sender                           router             receiver
 *     data, ECT(0) ------------------>  CE  ------------> notes it (CONN_ECE)
 *     cwnd falls, once per window <---------------------- every ACK says ECE
 *     new data, CWR (CONN_CWR) ------------------------->  stops saying it
 *
 * Both ends agree with their SYNs: ECE and CWR ask, ECE alone agrees. A SYN that is sent again does not ask any more,
 * since there are boxes on the way that drop what does (section 6.1.1.1). Only segments with new data are ECT: no SYNs,
 * ACKs, window probes, retransmissions, nor what has no connection (sections 6.1.1 and 6.1.4 to 6.1.6).
 */
#ifndef TCP_ECN_H
#define TCP_ECN_H

#include "base/fault.h"
#include "tcp/conn.h"
#include "tcp/segment.h"

enum { ECN_MASK = 3, ECN_ECT0 = 2, ECN_CE = 3 };

/* The bits that our SYN or SYN,ACK carries. */
static inline uint8_t ecn_syn_flags(const struct tcp_conn *c)
{
	if (!(c->flags & CONN_ECN))
		return 0;
	return c->state == TCP_SYN_SENT ? SEGMENT_ECE | SEGMENT_CWR : SEGMENT_ECE;
}

/* Does this SYN ask? */
static inline bool ecn_asks(const struct segment *syn)
{
	return (syn->flags & (SEGMENT_ECE | SEGMENT_CWR)) == (SEGMENT_ECE | SEGMENT_CWR);
}

/* Does this answer to our SYN agree? Both bits are the echo of a stack that does not know them. */
static inline bool ecn_agrees(const struct segment *syn_ack)
{
	return (syn_ack->flags & (SEGMENT_ECE | SEGMENT_CWR)) == SEGMENT_ECE;
}

/* An acceptable segment of a connection with ECN: what it says about congestion, before its ACK is looked at. */
void ecn_input(struct tcp_conn *c, const struct segment *g);

/* The bits of a segment that goes out and is no SYN or RST. new_data: it has payload, for the first time. */
static inline uint8_t ecn_flags(struct tcp_conn *c, bool new_data)
{
	uint8_t flags = c->flags & CONN_ECE ? SEGMENT_ECE : 0;

	if (new_data && c->flags & CONN_CWR) {
		flags |= FAULT(cwr_lost) ? 0 : SEGMENT_CWR;
		conn_clear(c, CONN_CWR);
	}
	return flags;
}

#endif
