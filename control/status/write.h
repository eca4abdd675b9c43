/*
 * Writing conditions, the same way for every kind.
 */
#ifndef STATUS_WRITE_H
#define STATUS_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/doc.h"

/* What a list of conditions is written from, besides the conditions. */
struct status_writer {
	yyjson_mut_doc *doc;
	const char *now;
	int64_t generation;          /* of the object: observedGeneration */
};

/* A condition to be written; `old` is the stored list it replaces its namesake of. */
void write_condition(const struct status_writer *w, yyjson_mut_val *list, yyjson_val *old, const char *type, bool ok,
                     const char *reason, const char *message);
yyjson_val *find_condition(yyjson_val *list, const char *type);      /* or null */
/* Copies the members of an object, or the conditions of a list, that are not named in `ours` (ends with null). */
void copy_others(const struct status_writer *w, yyjson_mut_val *to, yyjson_val *from, const char *const *ours);
void copy_other_conditions(const struct status_writer *w, yyjson_mut_val *to, yyjson_val *from,
			   const char *const *ours);

#endif
