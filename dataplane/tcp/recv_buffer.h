/*
 * How large the receive buffer of a connection is, in buffer bytes; the window that we offer follows (output.c).
 *
 * It begins with LIMIT_tcp_recv_start, which takes in a sender's initial window (RFC 6928); so much is all that a
 * reader who stalls can pin. It doubles, up to LIMIT_tcp_recv_buffer, whenever the user has given back half of it
 * within a turn, and the window was in the sender's way:
 *
 *    - the window was nearly closed, since the user holds what came. In a proxy that is what the other side's peer has
 *      not acknowledged: so the buffer comes to cover the round trips of both connections, of which neither knows the
 *      sum;
 *    - or the half came within one round trip of this connection. The user holds nothing then; the window is all that
 *      a far sender may have on its way (as dynamic right-sizing has it, Fisk and Feng).
 *
 * A turn ends after LIMIT_tcp_recv_turn_ms, which is more than the round trips of both connections together, be one of
 * them by satellite: of who reads slower than that, more would only be held, so at a rate r a buffer never is larger
 * than 4 x r x that time. It also ends when the user says that it has enough (tcp_enough()): it cannot pass on what it
 * has. What is held then does not count in the turn that begins, when it is given back. And a buffer may grow to an
 * eighth of what is free of half of the packet memory at most (LIMIT_tcp_recv_share; the worker looks,
 * shard.recv_max): the first ones to the maximum, later ones to less, and when half is in use none does.
 *
 * A buffer never shrinks, since what was offered is never taken back (RFC 9293, 3.8.6.2.2).
 */
#ifndef TCP_RECV_BUFFER_H
#define TCP_RECV_BUFFER_H

#include "tcp/conn.h"

/* Sizes are kept in units of so many buffer bytes; all mbufs are multiples of it. */
enum { RECV_UNIT = 128 };

static_assert(PACKET_ROOM % RECV_UNIT == 0 && PACKET_HEADER_ROOM % RECV_UNIT == 0, "of received and of compacted text");
static_assert(LIMIT_tcp_recv_start % RECV_UNIT == 0 && LIMIT_tcp_recv_buffer / RECV_UNIT <= UINT16_MAX, "it fits");

/* The size, in buffer bytes. */
static inline uint32_t recv_buffer(const struct tcp_conn *c)
{
	return (uint32_t)c->rcv_units * RECV_UNIT;
}

void recv_buffer_start(struct tcp_conn *c);
/* That much less is held (rcv_held says so already). */
void recv_buffer_drained(struct tcp_conn *c, uint32_t buffer_bytes);
void recv_buffer_enough(struct tcp_conn *c);
/* At least so large, or as large as any may be. False: memory is short, it stays as it is. */
bool recv_buffer_want(struct tcp_conn *c, uint32_t buffer_bytes);

#endif
