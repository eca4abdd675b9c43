/* Runs packet scripts: wire SCRIPT..., which may be patterns. Each is one test; see README.md for the language. */
#include <glob.h>
#include <stdio.h>

#include "tests/wire/script.h"
#include "tests/wire/stand.h"

int main(int argc, char **argv)
{
	struct packet_pools pools;
	unsigned passed = 0, failed = 0;
	glob_t scripts = {0};
	char why[512];

	stand_boot(&pools);
	for (int i = 1; i < argc; i++)
		glob(argv[i], i > 1 ? GLOB_APPEND | GLOB_NOCHECK : GLOB_NOCHECK, NULL, &scripts);
	for (size_t i = 0; i < scripts.gl_pathc; i++) {
		if (script_run(scripts.gl_pathv[i], &pools, why, sizeof(why))) {
			passed++;
		} else {
			failed++;
			printf("FAILED %s\n", why);
		}
	}
	globfree(&scripts);
	packet_pools_fini(&pools);
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
