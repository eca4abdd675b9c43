/* Round trip times and what they are for: the retransmission timeout (RFC 6298). */
#ifndef TCP_RTT_H
#define TCP_RTT_H

#include <stdint.h>

struct tcp_conn;

void rtt_sample(struct tcp_conn *c, uint32_t us);
void rtt_measured(struct tcp_conn *c, uint32_t us);  /* a sample by our own clock, of a segment that was sent once */
/* So long the segment took that was timed, and there is more to send: a sample of the delivery rate. */
void rtt_delivered(struct tcp_conn *c, uint32_t us);
uint32_t rtt_rto_ms(const struct tcp_conn *c);      /* with the back-off */

/* Something is in flight, or waits for the window: (re)starts the timer. */
void rtt_start(struct tcp_conn *c);
/* The timer was set for something else meanwhile: for the timeout again, as if it never had been (sent.h). */
void rtt_resume(struct tcp_conn *c);

/* TIMER_REXMIT fired. */
void rtt_timeout(struct tcp_conn *c);

#endif
