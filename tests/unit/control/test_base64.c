/* Base64: RFC 4648's vectors, and strictness. */
#include "../test.h"

#include <stdlib.h>
#include <string.h>

#include "control/base64.h"

static const struct {
	const char *plain, *text;
} vectors[] = {
	{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"}, {"\xff\xfe\xfd", "//79"},
};

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(vectors); i++) {
		char *text = base64_encode(vectors[i].plain, strlen(vectors[i].plain)), *bytes;
		size_t n;

		assert_string_equal(text, vectors[i].text);
		assert_int_equal(base64_decode(text, strlen(text), &bytes, &n), OK);
		assert_int_equal(n, strlen(vectors[i].plain));
		assert_memory_equal(bytes, vectors[i].plain, n);
		free(bytes);
		free(text);
	}
}

static const char *const wrong[] = {
	"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm-_"};

static void test_wrong(void **state)
{
	char *bytes;
	size_t n;

	(void)state;
	for (size_t i = 0; i < LENGTH(wrong); i++)
		if (base64_decode(wrong[i], strlen(wrong[i]), &bytes, &n) != ERR_INVALID)
			fail_msg("%s is taken", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_wrong)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
