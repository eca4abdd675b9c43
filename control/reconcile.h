/*
 * The reconciler: a thread that brings the world to the newest snapshot: model, compile, publish, and what status says
 * about it. One compile in flight; snapshots that were overtaken meanwhile are never looked at. When nothing is new it
 * still looks after the data plane a few times a second, so that one that was restarted gets its tables. It also keeps
 * the resolver, whose answers are what a model needs beyond the objects: a change of them is compiled like one of
 * theirs.
 *
 * It writes nothing: status patches are handed back to the event loop, which stages them in the ledger like anybody's
 * writes. The two threads share refcounted snapshots and one short lock.
 */
#ifndef CONTROL_RECONCILE_H
#define CONTROL_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

#include "control/objects.h"
#include "control/publish/publish.h"
#include "control/status/status.h"

struct reconciler;

/* What one round found; the patches borrow from the snapshot. */
struct reconciled {
	struct snapshot *snapshot;
	struct status_patches patches;
};

/* names_file: where the resolver keeps the last good addresses of names. */
struct reconciler *reconciler_new(const char *dataplane_socket, const char *names_file);
void reconciler_free(struct reconciler *r);
/* Takes a reference of its own. */
void reconciler_offer(struct reconciler *r, struct snapshot *s);
/* Readable when there is something to take. */
int reconciler_fd(const struct reconciler *r);
bool reconciler_take(struct reconciler *r, struct reconciled *out);
void reconciled_fini(struct reconciled *r);
struct publish_verdict reconciler_verdict(struct reconciler *r);

#endif
