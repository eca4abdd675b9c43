/* The steps of input, one file each; input.c has the order. */
#ifndef TCP_INPUT_H
#define TCP_INPUT_H

#include <stdbool.h>

#include "tcp/conn.h"
#include "tcp/segment.h"

/* ack.c: an ACK that may be the peer's, and the window (RFC 9293, 3.10.7.4, fifth). False: the connection is gone. */
bool ack_step(struct tcp_conn *c, struct segment *g);

/* receive.c: segment text and FIN (seventh and eighth). */
void receive_step(struct tcp_conn *c, struct segment *g);

/* open.c: SYN to nobody's tuple; iss 0: to be made. */
void open_passive(struct tcp *t, struct segment *g, uint32_t iss);
/* open.c: does an ACK to nobody's tuple bring back a cookie? *c is then in SYN_RECEIVED, or null (it was counted). */
bool open_by_cookie(struct tcp *t, const struct segment *g, struct tcp_conn **c);
/* open.c: segments in SYN_SENT. */
void open_answered(struct tcp_conn *c, struct segment *g);      /* SYN,ACK */
void open_crossed(struct tcp_conn *c, struct segment *g);       /* SYN: simultaneous open */
/* open.c: the ACK of our SYN in SYN_RECEIVED, with the peer's window in bytes. False: the user did not want it. */
bool open_established(struct tcp_conn *c, struct segment *g, uint32_t wnd);

/* The window field of a segment behind the handshake, scaled. */
static inline uint32_t segment_window(const struct tcp_conn *c, const struct segment *g)
{
	return g->wnd << c->snd_wscale;
}

#endif
