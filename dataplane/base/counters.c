/* What each counter cell is called and means. Drops are "drop_<reason>", limits "limit_<name>": names are unique. */
#include "base/counters.h"

const struct counter_description counter_descriptions[COUNTERS] = {
#define COUNTER(name, help) [C_##name] = {#name, help, COUNTER_EVENT},
#include "base/counters.def"
#undef COUNTER
#define DROP(name, help) [DROP_##name] = {"drop_" #name, help, COUNTER_DROP},
#include "base/drops.def"
#undef DROP
#define LIMIT(name, value, unit, consequence) [C_limit_##name] = {"limit_" #name, consequence, COUNTER_LIMIT},
#define BOUND(name, value, unit, refuser)
#include "base/limits.def"
#undef LIMIT
#undef BOUND
};
