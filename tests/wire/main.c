/* Runs packet scripts: wire SCRIPT... Each is one test; see README.md for the language. */
#include <stdio.h>

#include "tests/wire/script.h"
#include "tests/wire/stand.h"

int main(int argc, char **argv)
{
	struct packet_pools pools;
	unsigned passed = 0, failed = 0;
	char why[512];

	stand_boot(&pools);
	for (int i = 1; i < argc; i++) {
		if (script_run(argv[i], &pools, why, sizeof(why))) {
			passed++;
		} else {
			failed++;
			printf("FAILED %s\n", why);
		}
	}
	packet_pools_fini(&pools);
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
