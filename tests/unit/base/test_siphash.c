/* SipHash-2-4 against vectors of its authors: key 00..0f, input 00, 01, 02 ... of growing length. */
#include "../test.h"

#include "base/siphash.h"

static const struct {
	const char *name;
	size_t n;
	uint64_t want;
} cases[] = {
	{"empty", 0, UINT64_C(0x726fdb47dd0e0e31)},     {"one byte", 1, UINT64_C(0x74f839c593dc67fd)},
	{"two bytes", 2, UINT64_C(0x0d6c8009d9a94f5a)}, {"seven bytes", 7, UINT64_C(0xab0200f58b01d137)},
	{"a word", 8, UINT64_C(0x93f5f5799a932462)},    {"fifteen bytes", 15, UINT64_C(0xa129ca6149be45e5)},
};

static void test_vectors(void **state)
{
	uint8_t key[16], input[64];

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	for (unsigned i = 0; i < 64; i++)
		input[i] = (uint8_t)i;
	for (size_t i = 0; i < LENGTH(cases); i++)
		if (siphash(key, input, cases[i].n) != cases[i].want)
			fail_msg("%s: %016lx", cases[i].name, siphash(key, input, cases[i].n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
