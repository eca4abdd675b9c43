/* Time stamp counters run at one rate, cores at theirs. */
#ifndef BENCH_CYCLES_H
#define BENCH_CYCLES_H

/* Core cycles per cycle of the time stamp counter, at present. */
double cycles_core_per_tsc(void);

#endif
