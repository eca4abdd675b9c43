/* What must hold of a TCP connection between two events, whatever has happened. */
#ifndef SIM_INVARIANTS_H
#define SIM_INVARIANTS_H

#include <stdint.h>

struct tcp_conn;

/* Null, or what does not hold. user_credit: buffer bytes that the user of the connection holds. */
const char *invariant_broken(const struct tcp_conn *c, uint32_t user_credit);

#endif
