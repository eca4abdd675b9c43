/*
 * Hostnames of listeners and routes: "" is all, "*.a.b" is any number of labels before "a.b" but never "a.b" itself.
 */
#ifndef MODEL_HOSTNAME_H
#define MODEL_HOSTNAME_H

#include <stdbool.h>

/* What both allow: one of the two texts, or null when nothing is in both. */
const char *hostname_intersect(const char *a, const char *b);
/* Whether every host that `b` allows is allowed by `a`. */
bool hostname_covers(const char *a, const char *b);

#endif
