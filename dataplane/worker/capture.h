/*
 * `sluicectl capture`: frames of the ports as a pcapng stream, to the descriptor that came with the request.
 *
 *   IDLE --a request--> RUNNING --its writer ended--> WITHDRAWN --no worker looks any more--> IDLE
 *
 * Workers copy what the filter takes (port/tap.h); a thread of the capture writes, and may be blocked by a reader who
 * is slow or stopped: then copies are lost, never frames. It ends when the reader closes or says that it wants no more
 * (shuts down its sending half of the socket), when as many frames as were asked for are written, or when the program
 * ends. One capture at a time.
 */
#ifndef WORKER_CAPTURE_H
#define WORKER_CAPTURE_H

#include "base/counters.h"
#include "worker/desk.h"
#include "worker/machine.h"

struct capture;
struct gateway;

/* Null: no memory. counters: one per worker. */
struct capture *capture_new(struct gateway *g, const struct machine *m, struct counters *counters);
void capture_free(struct capture *c);   /* after all workers have ended */

/* {"op": "capture", "filter": [[code, jt, jf, k]...], "port": name, "snap": bytes, "count": frames}, all optional. */
void capture_answer(struct capture *c, struct desk_question *q);

/* Each turn of housekeeping. */
void capture_turn(struct capture *c);

#endif
