/*
 * F-RTO (RFC 5682, 3.1, with SACK): was the timeout spurious? It finds out without timestamps, and before everything is
 * sent again for nothing.
 *
 *    timeout          the first segment is sent again, and nothing else
 *    1st ACK after    it moves snd_una: two new segments instead of what is marked as lost
 *    2nd ACK after    it tells of something that was not sent again: that was late, as was all the rest (undo.h);
 *                     else it is lost, and recovery goes on as after any timeout
 *
 * With nothing new to send, or no room for it in the peer's window, there is nothing to learn: what is lost goes again.
 */
#ifndef TCP_FRTO_H
#define TCP_FRTO_H

#include <stdbool.h>

struct news;
struct tcp_conn;

enum frto { FRTO_OFF, FRTO_TIMEOUT, FRTO_NEW_DATA };

/* An ACK. True: the timeout was spurious. */
bool frto_acked(struct tcp_conn *c, const struct news *n);
/* Must what is lost wait? new_data: there is some that the peer's window takes. */
bool frto_holds(struct tcp_conn *c, bool new_data);

#endif
