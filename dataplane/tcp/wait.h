/*
 * TIME_WAIT (RFC 9293, 3.6.1): what is left of a connection for 2 MSL, in a small object of a bounded pool. When the
 * pool is empty the oldest is forgotten.
 */
#ifndef TCP_WAIT_H
#define TCP_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/check.h"

struct segment;
struct tcp;
struct tcp_conn;

struct tcp_wait {
	struct tuple tuple;
	struct tcp_wait *next, *prev;  /* all have the same duration: a list in order of expiry */
	uint32_t expires_ms;
	uint32_t snd_nxt, rcv_nxt;
	uint32_t ts_recent, ts_offset;
	uint32_t challenge_ms;         /* when the last rate-limited ACK went out */
	uint16_t wnd;
	struct tcp_wait *next_port, *prev_port; /* of the destination's (ports.h), if the port may be taken some time */
	bool ts;
	bool active;                   /* the tuple's port is ours */
};

void wait_new(struct tcp *t, const struct tcp_conn *c, bool active);
void wait_clear(struct tcp *t);    /* all */

/*
 * A segment of its tuple. True: it is a SYN that may open a new incarnation (RFC 9293, 3.10.7.4; RFC 6191); w is gone
 * and *iss above everything that the old incarnation has sent.
 */
bool wait_input(struct tcp *t, struct tcp_wait *w, const struct segment *g, uint32_t *iss);

/*
 * May we open its tuple anew? The port must be ours, and our timestamps later than any that the old incarnation sent,
 * so that the peer tells its late segments by PAWS (RFC 6191, 2, from the other side): by a whole second, since our
 * clock of milliseconds is not all that clocks go by. wait_reuse() ends w, which was reusable, and returns the new
 * connection's initial sequence number: above everything that the old incarnation has sent.
 */
bool wait_reusable(const struct tcp *t, const struct tcp_wait *w);
uint32_t wait_reuse(struct tcp *t, struct tcp_wait *w) MUST_CHECK;

#endif
