#include "base/fault.h"

#include <stddef.h>
#include <string.h>

static const char *const names[] = {
	"none",
#define PLANTED(name, what) #name,
#define PLANTED_HTTP(name, what) #name,
#define PLANTED_STREAMS(name, what) #name,
#define PLANTED_FAR(name, what) #name,
#define PLANTED_LIVE(name, what, test) #name,
#include "base/faults.def"
#undef PLANTED
#undef PLANTED_HTTP
#undef PLANTED_STREAMS
#undef PLANTED_FAR
#undef PLANTED_LIVE
};

const char *fault_name(enum fault f)
{
	return f < FAULTS ? names[f] : NULL;
}

#ifdef SLUICE_FAULTS
volatile enum fault fault_planted;

bool fault_plant(const char *name)
{
	for (enum fault f = FAULT_none; f < FAULTS; f++)
		if (!strcmp(names[f], name)) {
			fault_planted = f;
			return true;
		}
	return false;
}
#else
bool fault_plant(const char *name)
{
	(void)name;
	return false;
}
#endif
