/* The limits as data, for documentation and for `sluicectl stats`. */
#include "base/limits.h"

#include <stddef.h>

const struct limit_description limits[] = {
#define LIMIT(name, value, unit, consequence) {#name, (value), unit, consequence},
#include "base/limits.def"
#undef LIMIT
	{NULL, 0, NULL, NULL},
};
