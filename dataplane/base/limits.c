/* The limits as data, for documentation and for `sluicectl stats`. */
#include "base/limits.h"

#include <stddef.h>

const struct limit_description limits[] = {
#define LIMIT(name, value, unit, consequence) {#name, (value), unit, consequence},
#define BOUND(name, value, unit, refuser) {#name, (value), unit, refuser},
#include "base/limits.def"
#undef LIMIT
#undef BOUND
	{NULL, 0, NULL, NULL},
};
