/*
 * Ports for connections that we open: a random start among the ephemeral ones (RFC 6056, 3.2 and 3.3.1), then the next
 * port whose tuple is this worker's and not in use. One that only TIME_WAIT holds is taken when no free one is near,
 * and when it is sure that the peer takes nothing of the old incarnation for the new one's (wait.h).
 *
 * When all of a destination's ports are in use that is remembered, so that the answer costs nothing until one of them
 * becomes free; that one is then handed out without a search.
 */
#ifndef TCP_PORTS_H
#define TCP_PORTS_H

#include "base/addr.h"
#include "base/err.h"

struct tcp;

enum { PORTS_FIRST = 1024, PORTS_LAST = 65535 };

/* Fills local_port. *iss: where the new connection's sequence numbers must begin, 0: anywhere. NO_PORTS. */
enum err ports_choose(struct tcp *t, struct tuple *tuple, uint32_t *iss) MUST_CHECK;
void ports_freed(struct tcp *t, const struct tuple *tuple); /* a tuple that we opened has left the table */

#endif
