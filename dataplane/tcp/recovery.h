/*
 * Loss recovery: fast retransmit and NewReno (RFC 5681, 3.2; RFC 6582), and the retransmission timeout's part
 * (RFC 5681, 3.1). SACK, RACK and TLP will stand beside it, behind the same functions.
 */
#ifndef TCP_RECOVERY_H
#define TCP_RECOVERY_H

#include <stdint.h>

struct tcp_conn;

void recovery_dupack(struct tcp_conn *c);                        /* a duplicate ACK */
void recovery_acked(struct tcp_conn *c, uint32_t bytes);         /* snd_una has moved by bytes */
void recovery_timeout(struct tcp_conn *c);                       /* the RTO has expired */
void recovery_resegment(struct tcp_conn *c);                     /* mss fell: all in flight is lost for its size */

#endif
