/*
 * metav1.LabelSelector: matchLabels and matchExpressions (In, NotIn, Exists, DoesNotExist), all of which must hold.
 */
#ifndef MODEL_SELECTOR_H
#define MODEL_SELECTOR_H

#include <stdbool.h>

#include "base/doc.h"

struct labels {
	yyjson_val *map;             /* metadata.labels; may be null */
	const char *namespace;       /* not null: of this namespace, which has kubernetes.io/metadata.name by itself */
};

struct selector_fault {
	const char *field, *why;     /* of an expression, or "" when there is no selector */
	size_t expression;
};

const char *labels_get(const struct labels *l, const char *key);   /* or null */

/* An empty selector matches everything, none (null) nothing. An operator that is not known matches nothing. */
bool selector_matches(yyjson_val *selector, const struct labels *l);
/* False: as it is written it says nothing (metav1.LabelSelectorAsSelector would refuse it), and why. */
bool selector_is_sound(yyjson_val *selector, struct selector_fault *fault);

#endif
