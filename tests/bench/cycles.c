#include "tests/bench/cycles.h"

#include <rte_cycles.h>
#include <stdint.h>

/*
 * Core cycles per TSC cycle: a chain of dependent additions takes one core cycle each. The best of many short runs, so
 * that an interrupted one does not count.
 */
double cycles_core_per_tsc(void)
{
	enum { ADDS = 100000 };
	uint64_t best = UINT64_MAX;

	for (int run = 0; run < 200; run++) {
		uint64_t x = 1;
		const uint64_t start = rte_rdtsc_precise();

		for (int i = 0; i < ADDS / 10; i++)
			__asm__ volatile("add $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\n"
			                 "add $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\nimul $1,%0,%0" : "+r"(x));
		const uint64_t took = rte_rdtsc_precise() - start;
		best = took < best ? took : best;
	}
	/* Nine additions and a multiplication of three cycles (which keeps the chain from being folded). */
	return ADDS / 10 * 12.0 / (double)best;
}
