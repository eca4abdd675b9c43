/*
 * The desk: who comes to dataplane.sock, one frame in and one frame out. It waits for nobody: a frame may come and go
 * in pieces, and an answer that is not ready is asked for again in every turn. What a request means is the business of
 * whom the desk asks (worker/housekeeping.c, worker/requests.c).
 *
 *   FREE --a client--> READING --a whole frame--> ASKING --answered--> SENDING --all sent--> READING
 */
#ifndef WORKER_DESK_H
#define WORKER_DESK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"
#include "base/frame.h"

enum {
	DESK_CLIENTS = 16,
	DESK_REQUEST_MAX = 1 << 16,
	DESK_PATIENCE_MS = 2000,   /* with a client that sends half a frame, or takes nothing of its answer */
};

/* What one client asks, until it is answered. */
struct desk_question {
	yyjson_val *request;
	int memfd;                 /* came with the request, or -1; closed by the desk */
	yyjson_mut_doc *reply;     /* the answer is written into root, whole, before answer() returns true */
	yyjson_mut_val *root;
};

struct desk_up {
	bool (*answer)(void *up, struct desk_question *q);       /* false: not yet */
	void (*abandon)(void *up, struct desk_question *q);      /* the client left before it was answered */
	void *up;
};

enum desk_state { DESK_FREE, DESK_READING, DESK_ASKING, DESK_SENDING };

struct desk_client {
	enum desk_state state;
	int fd;
	int64_t moved_ms;          /* when something of the frame under way last came or went */
	struct frame_in in;
	yyjson_doc *asked;
	struct desk_question question;
	char *answer;
	size_t answer_bytes, sent;
	bool last;                 /* what it sent cannot be followed any more: it gets the reason, and the end */
};

struct desk {
	int listener;
	struct desk_client client[DESK_CLIENTS];
	struct desk_up up;
};

enum err desk_open(struct desk *d, const char *run_dir, const struct desk_up *up) MUST_CHECK;
void desk_close(struct desk *d);
/* One turn: waits at most that long for clients (less while a question is open), serves them. */
void desk_serve(struct desk *d, unsigned timeout_ms);

/* {"ok": false, "reason": why}; why is copied. */
void desk_refuse(struct desk_question *q, const char *why);

#endif
