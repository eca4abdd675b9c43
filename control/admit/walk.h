/*
 * The walk of an object along its schema: unknown fields are found and pruned, nulls dropped, missing fields given
 * their defaults, and every value checked. What is wrong is added to the causes, with the field's path.
 */
#ifndef ADMIT_WALK_H
#define ADMIT_WALK_H

#include "base/doc.h"
#include "control/admit/causes.h"
#include "control/schema/kind.h"

struct walk_options {
	bool hide_values;       /* messages do not quote values (Secrets) */
};

void walk(const struct schema *schema, yyjson_mut_doc *doc, yyjson_mut_val *root, struct walk_options options,
          struct causes *causes);

/* Is any value nested deeper than this? Looked at before parsing, so that no recursion of ours is ever that deep. */
bool json_is_deep(const char *text, size_t n, unsigned depth_max);
/* Code points, which is what maxLength counts. */
size_t text_characters(const char *text, size_t n);

#endif
