/*
 * One request of control/protocol.h, from its JSON to its reply. Writes are staged in the ledger: their reply may be
 * sent only after the round's commit, and becomes another one when that fails.
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

/* The text is the frame; it may be changed. */
void request_answer(const struct request_context *c, char *text, size_t n, struct reply *reply);
/* In place of a staged reply, when the commit failed. */
void request_answer_lost(enum err e, struct reply *reply);

#endif
