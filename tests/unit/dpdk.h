/* What unit tests need that use packet memory: EAL without hugepages, devices or shared files. */
#ifndef TESTS_UNIT_DPDK_H
#define TESTS_UNIT_DPDK_H

#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>

static inline void dpdk_start(void)
{
	static char *args[] = {"test", "--no-huge", "--no-shconf", "--no-pci", "-m", "256", "--log-level", "error",
	                       "--lcores", "0@0", NULL};

	if (rte_eal_init(10, args) < 0) {
		fprintf(stderr, "EAL does not start\n");
		exit(1);
	}
}

#endif
