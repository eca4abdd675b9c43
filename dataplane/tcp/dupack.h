/*
 * Loss recovery without SACK: fast retransmit and NewReno (RFC 5681, 3.2; RFC 6582), and going back N after a timeout.
 */
#ifndef TCP_DUPACK_H
#define TCP_DUPACK_H

#include <stdint.h>

struct tcp_conn;

void dupack_came(struct tcp_conn *c);                            /* a duplicate ACK */
void dupack_advanced(struct tcp_conn *c, uint32_t bytes);        /* snd_una has moved by bytes */
void dupack_timeout(struct tcp_conn *c);                         /* the RTO has expired */

#endif
