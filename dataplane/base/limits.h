/* Every limit as a constant LIMIT_<name> (values, units and consequences: limits.def). */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum {
#define LIMIT(name, value, unit, consequence) LIMIT_##name = (value),
#define BOUND(name, value, unit, refuser) LIMIT_##name = (value),
#include "base/limits.def"
#undef LIMIT
#undef BOUND
};

struct limit_description {
	const char *name;
	long value;
	const char *unit;
	const char *consequence;
};

extern const struct limit_description limits[]; /* ends with a null name */

#endif
