/*
 * The ledger: the current objects in memory, the store behind them, and what the requests of this round want to change.
 *
 * A request stages its changes one by one, and sees what was staged before it (by itself and by the requests before
 * it in the same round). One that fails rolls back to its mark and leaves no trace. ledger_commit() writes all that is
 * left in one synchronous transaction; only then may anybody be told that it worked. When the commit fails, all of the
 * round is undone.
 *
 * Staging decides the resourceVersion: the next value for each event, which the store checks.
 *
 * A request that takes longer than a round stages into a draft above the ledger, over as many rounds as it needs.
 * Nobody sees what is in it until ledger_merge(), which stages all of it at once if everything that the draft was made
 * from is still so.
 */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include <stdbool.h>

#include "control/objects.h"
#include "control/schema/kind.h"
#include "control/store/seal.h"
#include "control/store/store.h"

struct ledger;

struct ledger *ledger_open(const char *state_directory, size_t map_bytes, char error[static 256]);
void ledger_close(struct ledger *l);
struct store *ledger_store(struct ledger *l);
const struct seal *ledger_seal(const struct ledger *l);

/* What is committed; the caller gets and puts if it keeps it. */
struct snapshot *ledger_snapshot(const struct ledger *l);
/* What will be, if all that is staged is committed. Borrowed until the next stage, rollback or commit. */
const struct object *ledger_find(const struct ledger *l, const struct kind *kind, const char *namespace,
				 const char *name);
/* All objects of a namespace that will be, got; the array is malloc'ed. */
const struct object **ledger_namespace(struct ledger *l, const char *namespace, size_t *n);

/*
 * Puts a document (admitted; Secrets in plain) in place of what is there; FULL when the store is too full for it. The
 * object has its new resourceVersion (in a draft: 0, until it is merged); borrowed like ledger_find().
 */
enum err ledger_put(struct ledger *l, const struct kind *kind, yyjson_mut_doc *doc,
		    const struct object **out) MUST_CHECK;
void ledger_delete(struct ledger *l, const struct object *o);

size_t ledger_mark(const struct ledger *l);
void ledger_rollback(struct ledger *l, size_t mark);
bool ledger_is_dirty(const struct ledger *l);
enum err ledger_commit(struct ledger *l, int64_t now_ms) MUST_CHECK;
/* A draft is a ledger to all functions above but commit. The ledger must outlive it. */
struct ledger *ledger_draft(struct ledger *l);
void ledger_draft_free(struct ledger *draft);
/* Its events become the ledger's, in their order. False: it was overtaken, and must be made anew. */
bool ledger_merge(struct ledger *draft) MUST_CHECK;

/* The object with its Secret data opened, in wiping memory; INVALID when the seal does not fit. */
enum err ledger_open_object(const struct ledger *l, const struct object *o, yyjson_mut_doc **doc) MUST_CHECK;

#endif
