/*
 * Undo: what was taken for lost was late, so the reduction of the window was for nothing.
 *
 * Eifel (RFC 3522, response by RFC 4015): the ACK of something that was sent again echoes a timestamp from before the
 * retransmission, so the first transmission is what has arrived. One ACK suffices, after a timeout as well.
 *
 * D-SACK (RFC 3708): everything that was sent again is reported to have come twice. Later, but without timestamps.
 *
 * F-RTO (frto.h): two ACKs after a timeout suffice, also without timestamps.
 *
 * A router that marks (ecn.h) has told of congestion, whatever becomes of the loss: then nothing is undone.
 *
 * What is still marked as lost then flies again; the path is known to reorder from then on, and RACK will see.
 */
#ifndef TCP_UNDO_H
#define TCP_UNDO_H

#include <stdbool.h>

struct news;
struct tcp_conn;

void undo_start(struct tcp_conn *c);                       /* the window is about to be reduced for a loss */
void undo_forbid(struct tcp_conn *c);                      /* the path is full, as a mark says */
void undo_sent_again(struct tcp_conn *c);                  /* something was retransmitted */
bool undo_possible(const struct tcp_conn *c);              /* there is a scoreboard: a D-SACK that comes may do it */
void undo_acked(struct tcp_conn *c, const struct news *n); /* an ACK: ends a recovery that was for nothing */

#endif
