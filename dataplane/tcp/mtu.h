/* How large segments may be, over a connection's life: what the path carries, as far as it is known. */
#ifndef TCP_MTU_H
#define TCP_MTU_H

#include <stdint.h>

struct ip_icmp_error;
struct tcp_conn;

/* The connection opens; the peer takes segments of so many bytes. */
void mtu_start(struct tcp_conn *c, uint16_t peer_mss);
/* The path's MTU, in datagram bytes, is not that which mss was made of (0: there is no route at the moment). */
void mtu_follow(struct tcp_conn *c, uint16_t mtu);
/* ICMP "too big" about something in flight. */
void mtu_too_big(struct tcp_conn *c, const struct ip_icmp_error *e);
/* The retransmission timer has expired: c->retries times in a row before this. */
void mtu_timeout(struct tcp_conn *c);
/* snd_una has moved by so many bytes while CONN_PROBES_DOWN or CONN_HOLE was set; their records are still there. */
void mtu_answered(struct tcp_conn *c, uint32_t bytes);

#endif
