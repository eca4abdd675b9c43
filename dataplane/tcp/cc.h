/*
 * Congestion control: one file per algorithm, listed in controls.def. It decides how cwnd grows outside of loss
 * recovery and where ssthresh falls; recovery.c decides what is lost, and where cwnd is while it is mended.
 *
 *    open > acked, acked, ... > ssthresh (cc_reduce) > recovery > acked, ...
 *                                                    > timeout: everything is sent again
 *                                                    > undo: nothing was lost, all is as before ssthresh()
 */
#ifndef TCP_CC_H
#define TCP_CC_H

#include <stdint.h>

#include "tcp/conn.h"

struct tcp_cc {
	const char *name;
	void (*open)(struct tcp_conn *c);                              /* cc_words are zero, cwnd is initial */
	void (*acked)(struct tcp_conn *c, uint32_t bytes);             /* new data is acknowledged, no recovery */
	/* The path is full: the new ssthresh. cwnd and ssthresh are still as before; what undo() needs is noted. */
	uint32_t (*ssthresh)(struct tcp_conn *c, uint32_t flight);
	void (*timeout)(struct tcp_conn *c);                           /* cwnd is one segment now */
	void (*undo)(struct tcp_conn *c);                              /* the last ssthresh() was for nothing */
	void (*rtt)(struct tcp_conn *c, uint32_t us);                  /* a sample; null: it does not look at them */
	void (*restart)(struct tcp_conn *c);                           /* after cc_restart(); may be null */
};

enum {
	SSTHRESH_INITIAL = INT32_MAX,              /* the first slow start goes on until something is lost */
	CWND_MAX = 2 * LIMIT_tcp_send_buffer,      /* more than can ever be in flight is of no use */
};

extern const struct tcp_cc *const cc_list[TCP_CONTROLS];

static inline const struct tcp_cc *cc_of(const struct tcp_conn *c)
{
	return cc_list[c->cc];
}

/* The initial window and the first state of the algorithm; c->cc and mss are known. */
void cc_start(struct tcp_conn *c);

/*
 * Something is lost, or marked: ssthresh falls, but only once for what is in flight now, whatever else says that the
 * path is full (RFC 3168, 6.1.2). `flight` is the bytes in flight. Where cwnd goes is the caller's to say, later.
 */
void cc_reduce(struct tcp_conn *c, uint32_t flight);

/* What was called lost was not: cwnd, ssthresh and the algorithm's state are as before cc_reduce(), or better. */
void cc_undo(struct tcp_conn *c);

/* The round trip time of a segment that was sent once. */
static inline void cc_rtt(struct tcp_conn *c, uint32_t us)
{
	if (cc_of(c)->rtt)
		cc_of(c)->rtt(c, us);
}

/* snd_una has moved: is a window that was reduced over? */
static inline void cc_window_over(struct tcp_conn *c)
{
	if (c->flags & CONN_REDUCED && seq_ge(c->snd_una, c->reduced_end))
		conn_clear(c, CONN_REDUCED);
}

/* Nothing was sent for a retransmission timeout: cwnd is no longer known to fit the path (RFC 5681, 4.1). */
void cc_restart(struct tcp_conn *c);

#endif
