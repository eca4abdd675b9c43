/*
 * One request of control/protocol.h, from its JSON to its reply. Writes are staged in the ledger: their reply may be
 * sent only after the round's commit, and becomes another one when that fails.
 *
 * A long one is sliced: it is worked on a little in each round, while others are answered, and staged at its end.
 */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <stdbool.h>
#include <sys/types.h>

#include "control/store/ledger.h"

/* What `ready` tells. */
struct readiness {
	uint64_t published;     /* the newest version that the data plane is known to serve; 0: none */
	bool dataplane;         /* it answers */
	char refusal[192];      /* why it does not serve the newest generation; "": it does, or does not answer */
};

struct request_context {
	struct ledger *ledger;
	uid_t peer;             /* SO_PEERCRED */
	struct readiness readiness;
	const char *now;        /* "2026-01-31T12:00:00Z" */
};

struct reply {
	char *json;             /* wiping_free() */
	size_t n;
	bool staged;            /* wait for the commit */
};

struct request;

/* The text is borrowed. Not sliced: all steps are taken in the round that it is finished in, as its commit wants. */
struct request *request_new(const struct request_context *c, char *text, size_t n, bool sliced);
void request_free(struct request *r);       /* null is fine; what it staged in the ledger stays */
/* Takes steps until the time, at least one. True: all are taken, request_stage() it in this round. */
bool request_step(struct request *r, int64_t until_ms);
/* Stages it for this round's commit. False: it was overtaken by other requests, and takes its steps anew. */
bool request_stage(struct request *r);
/* How the commit went; not told: it is not over yet. */
void request_settle(struct request *r, enum err committed);
/* Writes its reply until the time. True: it is whole. */
bool request_reply(struct request *r, int64_t until_ms, struct reply *reply);
/* In place of a staged reply, when the commit failed. */
void request_answer_lost(enum err e, struct reply *reply);

#endif
