/* Answers that are not part of a stream: resets, challenge ACKs, ACKs of what was out of the window. */
#ifndef TCP_REPLY_H
#define TCP_REPLY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdint.h>

struct segment;
struct tcp;
struct tcp_conn;
struct tuple;

/* The RST that a segment of no connection gets (RFC 9293, 3.10.7.1); nothing for a RST. */
void reply_reset(struct tcp *t, const struct segment *g);

/* The RST of a connection that we give up. */
void reply_reset_conn(struct tcp_conn *c);

/*
 * A segment was not acceptable: the peer is told where we stand. At once when it carries something (it repeats what we
 * have: our ACK was lost, or it was sent without need, which D-SACK tells), else limited, so that two ends that
 * disagree do not talk for ever.
 */
void reply_where(struct tcp_conn *c, const struct segment *g);

/* RFC 5961: what may be an attack, or a peer that forgot the connection; a true peer answers with an exact RST. */
void reply_challenge(struct tcp_conn *c);

/* May one leave? Once in CHALLENGE_MS for each of whom the last left at *last_ms, and within the worker's budget. */
bool reply_may_challenge(struct tcp *t, uint32_t *last_ms);

/* A bare segment of any tuple: RST, TIME_WAIT's ACKs, SYN,ACKs with a cookie. wnd and options only with an ACK. */
struct reply {
	const struct tuple *tuple;
	uint32_t seq, ack, tsval, tsecr;
	uint16_t wnd;
	uint16_t mss;      /* 0: no such option */
	uint8_t wscale;    /* 0: no such option */
	uint8_t flags;
	bool ts;
	bool sack_ok;
};
void reply_send(struct tcp *t, const struct reply *r);

#endif
