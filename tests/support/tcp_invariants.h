/* What must hold of a TCP connection between two events, whatever has happened. */
#ifndef TESTS_SUPPORT_TCP_INVARIANTS_H
#define TESTS_SUPPORT_TCP_INVARIANTS_H

#include <stdint.h>

struct tcp_conn;

/* Null, or what does not hold. user_credit: buffer bytes that the user of the connection holds. */
const char *invariant_broken(const struct tcp_conn *c, uint32_t user_credit);

/* The same of its queues, byte by byte: what came early, what it costs, what is to be sent. Takes longer. */
const char *invariant_broken_in_queues(const struct tcp_conn *c, uint32_t user_credit);

#endif
