/*
 * Ports for connections that we open: a random start among the ephemeral ones (RFC 6056), then the next port whose
 * tuple is this worker's, and not in use, TIME_WAIT included.
 *
 * When all of a destination's ports are in use that is remembered, so that the answer costs nothing until one of them
 * becomes free; that one is then handed out without a search.
 */
#ifndef TCP_PORTS_H
#define TCP_PORTS_H

#include "base/addr.h"
#include "base/err.h"

struct tcp;

enum { PORTS_FIRST = 32768, PORTS_LAST = 60999 };

enum err ports_choose(struct tcp *t, struct tuple *tuple) MUST_CHECK; /* fills local_port; NO_PORTS */
void ports_freed(struct tcp *t, const struct tuple *tuple);           /* a tuple that we opened has left the table */

#endif
