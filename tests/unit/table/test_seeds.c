/* The seeds of fuzz_table are of today's layout: older ones would be refused at once, and seed nothing. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table/table.h"

#define FOLDER "tests/fuzz/corpus/fuzz_table"
/* BYTES_MAX: what the fuzzer changes. What it found may be anything, and has a hash for its name. */
enum { SEEDS_MIN = 6, BYTES_MAX = 4096, FOUND_NAME = 40 };

static void check(const char *name)
{
	char *block = aligned_alloc(64, BYTES_MAX), path[512];
	const char *where = "";
	size_t bytes;
	FILE *f;

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	f = fopen(path, "r");
	assert_non_null(f);
	bytes = fread(block, 1, BYTES_MAX, f);
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	if (table_verify(block, bytes, &where) != OK)
		fail_msg("%s: %s (make fuzz-seeds)", path, where);
	free(block);
}

static void test_seeds(void **state)
{
	DIR *d = opendir(FOLDER);
	unsigned n = 0;

	(void)state;
	assert_non_null(d);
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		if (e->d_name[0] == '.' || strlen(e->d_name) == FOUND_NAME)
			continue;
		check(e->d_name);
		n++;
	}
	closedir(d);
	assert_true(n >= SEEDS_MIN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
