/*
 * Congestion control: one file per algorithm, listed in controls.def. It decides how cwnd grows outside of loss
 * recovery and where ssthresh falls; recovery.c does the rest.
 */
#ifndef TCP_CC_H
#define TCP_CC_H

#include <stdint.h>

#include "tcp/conn.h"

struct tcp_cc {
	const char *name;
	void (*open)(struct tcp_conn *c);                              /* cc_words are zero, cwnd is initial */
	void (*acked)(struct tcp_conn *c, uint32_t bytes);             /* new data is acknowledged, no recovery */
	uint32_t (*ssthresh)(struct tcp_conn *c, uint32_t flight);     /* something is lost: the new ssthresh */
	void (*timeout)(struct tcp_conn *c);                           /* cwnd is one segment now */
};

enum cc {
#define CONTROL(name) CC_##name,
#include "tcp/controls.def"
#undef CONTROL
	CCS
};

extern const struct tcp_cc *const cc_list[CCS];

static inline const struct tcp_cc *cc_of(const struct tcp_conn *c)
{
	return cc_list[c->cc];
}

/* The initial window and the first state of the algorithm; mss is known. */
void cc_start(struct tcp_conn *c, enum cc which);

/* Nothing was sent for a retransmission timeout: cwnd is no longer known to fit the path (RFC 5681, 4.1). */
void cc_restart(struct tcp_conn *c);

#endif
