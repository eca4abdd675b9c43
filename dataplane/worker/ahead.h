/*
 * A look ahead at a burst of frames: with thousands of routes what a lookup reads comes from memory, each piece known
 * by the one before it. The lookup of one request waits for that, those of a burst need not: what they will read is
 * asked for before the first frame is taken, for all of them together. Tables that fit a core's own cache are not
 * worth it.
 *
 * All of this is a hint. Frames are looked at before anything has checked them, within their bounds and no further than
 * most requests need; what is read wrongly, or not at all, costs the lookup its wait.
 */
#ifndef WORKER_AHEAD_H
#define WORKER_AHEAD_H

#include <rte_mbuf.h>

#include "base/addr.h"
#include "http/http.h"
#include "table/table.h"

void ahead_look(const struct table *t, struct rte_mbuf *const *m, unsigned n);

/* The value of Host in a TCP segment that begins with a request, and where it is sent to. False: not found. */
bool ahead_host(const struct rte_mbuf *m, struct addr *local, uint16_t *port, struct text *host);

#endif
