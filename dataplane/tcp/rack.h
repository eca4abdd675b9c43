/*
 * RACK and TLP (RFC 8985): losses by time.
 *
 * RACK. A segment is lost when one that was sent after it has arrived and a round trip and a little more have passed
 * since it was sent. How much more is the reordering window: nothing while the path was never seen to reorder and
 * three segments have been SACKed (which is the rule of three duplicate ACKs), else a quarter of the smallest round
 * trip, and more each time that a D-SACK tells that it was too little, up to SRTT; so a path that reorders costs
 * retransmissions only until it is known. Retransmissions have times like all others: they are found lost like them.
 *
 * TLP. When nothing comes back, there is nothing to compare times with: what was lost at the end of a flight would
 * wait for the timeout. After two round trips the last segment is sent again (or a new one), for the sake of the SACK
 * that answers it. If the probe itself mended the only loss, the ACK shows no loss at all, but for the D-SACK or
 * duplicate ACK that does not come: the window is reduced then all the same.
 *
 * One timer serves the timeout, the probe and the reordering window, whichever is due first; what it is set for is
 * c->rexmit.
 */
#ifndef TCP_RACK_H
#define TCP_RACK_H

#include <stdbool.h>
#include <stdint.h>

struct news;
struct segment;
struct sent;
struct tcp_conn;

/* In this order: the last two give way when new data is sent. */
enum rexmit { REXMIT_TIMEOUT, REXMIT_REORDERING, REXMIT_PROBE, REXMIT_FORGET };

/* s has arrived (step 2 and 3 of RFC 8985, 6.2). g is the ACK that says so. */
void rack_arrived(struct tcp_conn *c, const struct sent *s, const struct segment *g);

void rack_duplicate(struct tcp_conn *c);         /* a D-SACK: step 4 */
void rack_recovered(struct tcp_conn *c);         /* a recovery is over: step 4, too */

/* Marks what is lost (step 5). Returns when to look again, in us from now; 0: when the next ACK comes. */
uint32_t rack_detect(struct tcp_conn *c, struct news *n);

/* What is lost when the retransmission timer has fired (6.3). */
void rack_timeout(struct tcp_conn *c);

/* Sets the timer for a probe, if one may be sent, else for the timeout. */
void tlp_start(struct tcp_conn *c);
/* The probe's timer has fired. */
void tlp_probe(struct tcp_conn *c);
/* An ACK while a probe is out (7.4). True: the probe has mended a loss. */
bool tlp_acked(struct tcp_conn *c, const struct news *n);

#endif
