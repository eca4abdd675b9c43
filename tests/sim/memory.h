/* Scenarios of memory that runs short (sim/main.c has the others). */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include "tests/sim/world.h"

void scenario_squeeze(struct sim *s, struct world *w);
void scenario_denial(struct sim *s, struct world *w);

#endif
