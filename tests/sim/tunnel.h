/*
 * What becomes of a request that asks for a WebSocket (scenario `http`), when an upstream says 101: bytes in both
 * directions, of which each end knows all that the other sends, and how it ends.
 *
 *   client    asks, sends some bytes at once, and may end its half before it has an answer
 *   upstream  101 and, behind it in the same segment, what it has to say
 *   either    ends its half when all is said, or not before the other has ended; or resets the connection somewhere
 *
 * An end that comes in order comes behind every byte; where one end resets, the other sees no end in order.
 */
#ifndef SIM_TUNNEL_H
#define SIM_TUNNEL_H

#include "tests/sim/hostile.h"

/* The client's half, behind its request: what it sends before it is asked to. half_close: and no more. */
void tunnel_ask(struct hostile *h, struct peer *p, struct entry *e, bool half_close);
/* The client is told 101 by this attempt: the rest of its half. */
void tunnel_told(struct hostile *h, struct peer *p, struct entry *e, unsigned attempt);
/* The upstream's half, behind the head of its 101, which began at `begin`. */
void tunnel_open(struct hostile *h, struct peer *p, struct entry *e, unsigned attempt, uint64_t begin);

/* One end has read all that comes: what is wrong with it; null: nothing. Then it ends its half, if it waited for that. */
const char *tunnel_wrong(struct peer *p, const struct entry *e, const struct tunnel_half *theirs);

#endif
