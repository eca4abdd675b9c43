/*
 * What a request asks for, done against a ledger: for a write one object after the other, where the first failure is
 * that of all. Nothing of it is final: request.c rolls back, merges or takes it anew, and writes the reply.
 */
#ifndef SERVER_TRANSACTION_H
#define SERVER_TRANSACTION_H

#include "control/server/failure.h"
#include "control/server/request.h"

enum verb {
	VERB_NONE,
	VERB_AUTHENTICATE,
	VERB_READY,
	VERB_APPLY,
	VERB_CREATE,
	VERB_UPDATE,
	VERB_DELETE,
	VERB_GET,
	VERB_LIST
};
enum validation { VALIDATE_STRICT, VALIDATE_WARN, VALIDATE_IGNORE };

/* What became of one object. */
struct result {
	int code;                       /* 0: nothing yet */
	const char *what;
	const struct object *object;    /* owned */
};

struct transaction {
	const struct request_context *c;
	struct ledger *ledger;          /* the context's, or a draft above it */
	enum verb verb;
	enum validation validation;
	bool status_only;
	yyjson_val *root;
	yyjson_mut_doc *reply;          /* all of it but the results */
	yyjson_mut_val *reply_root;
	yyjson_mut_val *warnings;
	struct result *results;         /* null: the verb has none */
	size_t results_n;
	struct failure failure;
	struct causes causes;
	/* where it is: Namespaces in pass 0, the others in pass 1 */
	int pass;
	size_t at;
	yyjson_arr_iter iter;
};

void result_tell(struct result *r, int code, const char *what, const struct object *o);

/* All of it but the objects of a write. A ledger that is not the context's is a draft, and the transaction's own. */
void transaction_begin(struct transaction *t, const struct request_context *c, struct ledger *l, yyjson_val *root);
void transaction_fini(struct transaction *t);           /* one that was never begun is fine */
bool transaction_writes(const struct transaction *t);
/* Takes the next object of a write; false when there is none left, or one has failed. */
bool transaction_next(struct transaction *t);
void transaction_add_version(struct transaction *t, const char *name, uint64_t version); /* a member of the reply */

#endif
