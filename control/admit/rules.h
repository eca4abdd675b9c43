/*
 * Rules across fields: what a schema alone cannot say. Native code for now; the expressions that the API definitions
 * carry are to be evaluated by an interpreter later.
 */
#ifndef ADMIT_RULES_H
#define ADMIT_RULES_H

#include "control/admit/causes.h"
#include "control/schema/kind.h"

/* The object has passed its schema. old is null when it is new. */
void rules_check(const struct kind *kind, yyjson_mut_val *root, yyjson_val *old, struct causes *causes);

#endif
