/*
 * Admission: from what a client sent to what may be stored. Defaults, pruning, the checks of the schema, the rules of
 * metadata, the rules across fields (rules.h), and what the server alone decides: uid, creationTimestamp, generation.
 *
 * A function of its arguments only: it looks nothing up. Whether a namespace exists, whether the version is the
 * expected one, is for the caller, who holds the objects.
 */
#ifndef ADMIT_ADMIT_H
#define ADMIT_ADMIT_H

#include "control/admit/causes.h"
#include "control/schema/kind.h"

struct admission {
	const struct kind *kind;
	yyjson_val *old;            /* the stored object, Secrets opened; null when it is new */
	bool status_only;           /* the status subresource: all but status is taken from old */
	const char *now;            /* "2026-01-31T12:00:00Z" */
};

/*
 * Changes doc's root, an object, into the one to store (without resourceVersion). *changed: differs from old in
 * anything but resourceVersion. Nothing is to be stored when there are causes; those that are only strictness (unknown
 * fields, pruned) the caller may turn into warnings.
 */
void admit(const struct admission *a, yyjson_mut_doc *doc, struct causes *causes, bool *changed);

/* Identity, before anything is looked up: the name (made from generateName) and namespace that the object has. */
void admit_identity(const struct kind *kind, yyjson_mut_doc *doc, struct causes *causes);

#endif
