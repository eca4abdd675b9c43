/*
 * Planted faults: bugs on purpose, to prove that the tests can see. They exist only in builds with SLUICE_FAULTS (the
 * flavour `faults`); everywhere else FAULT() is a constant 0 and the compiler removes what it guards.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

enum fault {
	FAULT_none,
#define PLANTED(name, what) FAULT_##name,
#define PLANTED_HTTP(name, what) FAULT_##name,
#define PLANTED_STREAMS(name, what) FAULT_##name,
#define PLANTED_FAR(name, what) FAULT_##name,
#define PLANTED_LIVE(name, what, test) FAULT_##name,
#include "base/faults.def"
#undef PLANTED
#undef PLANTED_HTTP
#undef PLANTED_STREAMS
#undef PLANTED_FAR
#undef PLANTED_LIVE
	FAULTS
};

#ifdef SLUICE_FAULTS
extern volatile enum fault fault_planted; /* written by a signal handler */
#define FAULT(name) (__builtin_expect(fault_planted == FAULT_##name, 0))
#else
#define FAULT(name) 0
#endif

bool fault_plant(const char *name);        /* false: no such fault, or not in this build */
const char *fault_name(enum fault f);      /* null at the end of the list */

#endif
