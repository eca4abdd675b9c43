/*
 * What dataplane.sock is asked, beyond publishing: looks at the running gateway. Items are JSON objects.
 *
 * Counters and addresses are read at once. A walk (flows, neigh, pools) goes on over several turns of the desk: its
 * workers are asked through their mailboxes (worker.h), all at the same time, and what they answered is collected.
 * There is one walk at a time, since a mailbox holds one question; the next waits for its end. A worker that hangs, or
 * says nothing for REQUESTS_PATIENCE_MS, is given up: the answer holds what the others said and names it.
 */
#ifndef WORKER_REQUESTS_H
#define WORKER_REQUESTS_H

#include "base/counters.h"
#include "base/doc.h"
#include "worker/machine.h"
#include "worker/worker.h"

enum { REQUESTS_PATIENCE_MS = 2000 };

struct desk_question;

/* How far one worker has come in the walk. */
struct requests_told {
	yyjson_mut_val *items;     /* of the question's reply */
	uint32_t at;               /* the cursor */
	bool asked;                /* its mailbox holds our question, or the answer to it */
	bool done;
	bool silent;               /* given up */
	int64_t heard_ms;
};

struct requests_walk {
	const struct desk_question *of;  /* null: none is under way */
	enum worker_walk_kind kind;
	uint16_t first, end;             /* of the workers that are asked */
	struct requests_told told[LIMIT_workers];
};

struct requests {
	struct gateway *gateway;
	const struct machine *machine;
	const struct counters *counters;  /* one per worker */
	const bool *hung;                 /* one per worker */
	uint64_t now_ns;                  /* of the question that is being answered */
	struct requests_walk walk;
};

/* False: not yet, call again. An op that nobody knows is refused. */
bool requests_answer(struct requests *v, const char *op, struct desk_question *q, int64_t now_ms);
void requests_abandon(struct requests *v, const struct desk_question *q);

#endif
