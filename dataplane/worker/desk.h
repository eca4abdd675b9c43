/*
 * The desk: who comes to dataplane.sock, one frame in and one frame out. What a request means is the business of the
 * function that the desk is given (worker/requests.c).
 */
#ifndef WORKER_DESK_H
#define WORKER_DESK_H

#include <poll.h>
#include <stddef.h>

#include "base/doc.h"
#include "base/err.h"

enum { DESK_CLIENTS = 16, DESK_REQUEST_MAX = 1 << 16, DESK_TIMEOUT_MS = 200 };

/* Answers into `reply`; memfd is -1 or the descriptor that came with the request (closed by the desk). */
typedef void desk_answer(void *arg, yyjson_val *request, int memfd, yyjson_mut_doc *reply, yyjson_mut_val *root);

struct desk {
	int listener;
	int client[DESK_CLIENTS];  /* -1: free */
	desk_answer *answer;
	void *arg;
};

enum err desk_open(struct desk *d, const char *run_dir, desk_answer *answer, void *arg) MUST_CHECK;
void desk_close(struct desk *d);
void desk_serve(struct desk *d, int timeout_ms);   /* waits at most that long, answers what came */

#endif
