/*
 * Callouts of one worker: requests that the gateway itself makes, beside those that it passes on. What comes back is
 * thrown away so far: mirrors are the only ones who ask.
 *
 * A callout never holds up who started it. It copies the head; of a body it takes references to packets, never bytes,
 * and has no back-pressure: one that does not keep up, that makes no progress, or that would hold too many packets is
 * cut, by a limit with a counter (limits.def), and whoever goes on with it then talks to a dead handle, which is a
 * no-op. Failures are counted and seen by nobody else.
 *
 * Packets that a callout holds are paid for by nobody: the client's window opens when the main exchange is done with
 * them. That is why they are bounded per callout and for all of them together.
 */
#ifndef CALLOUT_CALLOUT_H
#define CALLOUT_CALLOUT_H

#include "base/pool.h"
#include "filter/filter.h"
#include "http/http.h"
#include "upstream/upstream.h"

struct callouts;

struct callouts *callouts_new(struct shard *s, struct upstream *u);
void callouts_free(struct callouts *c);
uint32_t callouts_alive(const struct callouts *c);

/*
 * Starts a request to an endpoint of the cluster with this stable id. head->body says whether a body follows; the head
 * is copied, without Expect: nobody would wait for the answer to it. 0: it could not be started, which is counted.
 */
handle_t callout_start(struct callouts *c, uint64_t cluster, const struct http_message *head);
void callout_body(struct callouts *c, handle_t callout, const struct slice *s);   /* takes a reference of its own */
void callout_end(struct callouts *c, handle_t callout, const struct http_message *trailers); /* copied; may be null */
void callout_cut(struct callouts *c, handle_t callout);                           /* the body will not be whole */

/* The same as filters are given it. */
struct filter_callouts callouts_for_filters(struct callouts *c);

#endif
