/*
 * What is wrong with an object: field paths and sentences, as Kubernetes clients know them, and the metav1.Status that
 * carries them. Bounded: after CAUSES_MAX only the count goes on.
 */
#ifndef ADMIT_CAUSES_H
#define ADMIT_CAUSES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/doc.h"

enum { CAUSES_MAX = 64 };

enum cause_reason {
	CAUSE_REQUIRED,
	CAUSE_INVALID,
	CAUSE_TYPE,
	CAUSE_NOT_SUPPORTED,
	CAUSE_DUPLICATE,
	CAUSE_TOO_LONG,
	CAUSE_TOO_MANY,
	CAUSE_FORBIDDEN,
	CAUSE_UNKNOWN_FIELD,    /* strict decoding: 400 instead of 422 */
	CAUSE_DUPLICATE_FIELD,
};

struct cause {
	enum cause_reason reason;
	char *field;            /* "spec.rules[0].matches[0].path.type" */
	char *message;          /* without the field */
};

struct causes {
	struct cause items[CAUSES_MAX];
	size_t n;
	size_t total;
};

void causes_init(struct causes *c);
void causes_fini(struct causes *c);
void causes_add(struct causes *c, enum cause_reason reason, const char *field, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool cause_is_strictness(enum cause_reason reason);
const char *cause_reason_name(enum cause_reason reason);        /* "FieldValueInvalid" */

#endif
