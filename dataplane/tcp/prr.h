/*
 * Proportional Rate Reduction (RFC 9937): how much may be sent for each ACK of a fast recovery, so that cwnd comes down
 * to ssthresh over one round trip instead of at once, and does not fall below it for long when more was lost.
 */
#ifndef TCP_PRR_H
#define TCP_PRR_H

struct news;
struct tcp_conn;

void prr_start(struct tcp_conn *c, const struct news *n);  /* recovery begins; ssthresh is set */
void prr_acked(struct tcp_conn *c, const struct news *n);  /* each ACK of it, the first included: sets cwnd */

#endif
