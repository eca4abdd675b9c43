/*
 * Loss recovery: what is lost, when a recovery begins and ends, and whether it was for nothing. Congestion control
 * (cc.h) is told, and decides how far the window falls and how it grows.
 *
 *    with SACK      scoreboard.h  what has arrived (RFC 2018, 6675)
 *                   rack.h        what is lost (RFC 8985), and the probe that finds it out
 *                   prr.h         how much is sent meanwhile (RFC 9937)
 *                   undo.h        it was late, not lost (RFC 3522, 3708, 4015), and so was a timeout: frto.h (RFC 5682)
 *    without        dupack.h      NewReno (RFC 6582)
 */
#ifndef TCP_RECOVERY_H
#define TCP_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

struct segment;
struct tcp_conn;

/* snd_una has moved by `bytes`, and the send queue with it. Sets the timer. */
void recovery_advanced(struct tcp_conn *c, const struct segment *g, uint32_t bytes);
/* An ACK of snd_una, once more. duplicate: it has the marks of RFC 5681, 2. */
void recovery_repeated(struct tcp_conn *c, const struct segment *g, bool duplicate);
void recovery_timeout(struct tcp_conn *c);                       /* the RTO has expired */
void recovery_resegment(struct tcp_conn *c);                     /* mss fell: all in flight is lost for its size */
void recovery_reordering(struct tcp_conn *c);                    /* RACK's timer has */
void recovery_forget(struct tcp_conn *c);                        /* nothing is in flight, and no D-SACK came in time */

#endif
