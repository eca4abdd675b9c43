/*
 * Output: which segments leave, and how one is built.
 *
 * output_flush() is the rule for everything that may wait for the end of the round; the others send one segment at
 * once, because their moment matters.
 */
#ifndef TCP_OUTPUT_H
#define TCP_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/seq.h"

struct sent;
struct tcp_conn;

void output_flush(struct tcp_conn *c);          /* what may leave now: data, FIN, the pending ACK, SYN */
void output_ack(struct tcp_conn *c);            /* an ACK without data, at once */
void output_ack_of(struct tcp_conn *c, struct seq_range again); /* the same, and these bytes came again (RFC 2883) */
void output_syn(struct tcp_conn *c);            /* SYN, or SYN,ACK in SYN_RECEIVED */
void output_again(struct tcp_conn *c);          /* retransmits the segment at snd_una: there are no records */
bool output_record(struct tcp_conn *c, struct sent *s); /* retransmits it. False: no memory */
bool output_beyond_cwnd(struct tcp_conn *c);    /* one more segment of new data. False: there is none, or no window */
void output_probe(struct tcp_conn *c);          /* the persist timer has expired */
void output_keepalive(struct tcp_conn *c);      /* RFC 1122, 4.2.3.6: an old sequence number, answered by an ACK */

/* Whether tcp_credit() has opened the window so far that the peer must hear of it at once. */
bool output_window_opened(const struct tcp_conn *c);

#endif
