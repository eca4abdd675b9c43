/* Regular expressions of generations: made once per worker and pattern, shared by generations, gone with the last. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "route/regexes.h"
#include "table/builder.h"

enum { WORKERS = 3 };

static const struct table *with(struct builder *b, const char *const *patterns, size_t n)
{
	struct table_regex all[8];
	struct table_list list;
	const struct table *t;
	size_t bytes;

	for (size_t i = 0; i < n; i++) {
		const size_t len = strlen(patterns[i]);

		all[i] = (struct table_regex){.id = table_id(patterns[i], len), .pattern = builder_text(b, patterns[i], len)};
	}
	list = builder_list(b, all, sizeof(all[0]), n);
	builder_root(b)->regexes = list;
	assert_int_equal(builder_finish(b, &t, &bytes), OK);
	return t;
}

static void test_shared(void **state)
{
	static const char *const first[] = {"/a.*", "/b.*"}, *const second[] = {"/c.*", "/a.*"};
	struct builder *b[] = {builder_new(), builder_new(), builder_new()};
	struct regexes *all = regexes_new(WORKERS);
	struct regex_set *sets[3];
	uint32_t bytes = LIMIT_regex_bytes;

	(void)state;
	assert_int_equal(regexes_take(all, with(b[0], first, 2), &sets[0]), OK);
	assert_int_equal(regexes_n(all), 2);
	assert_int_equal(regexes_take(all, with(b[1], second, 2), &sets[1]), OK);
	assert_int_equal(regexes_n(all), 3);
	assert_int_equal(regexes_take(all, with(b[2], NULL, 0), &sets[2]), OK);
	for (unsigned w = 0; w < WORKERS; w++) {
		assert_ptr_equal(regex_set_of(sets[0], w)[0], regex_set_of(sets[1], w)[1]);
		assert_ptr_not_equal(regex_set_of(sets[0], w)[0], regex_set_of(sets[0], (w + 1) % WORKERS)[0]);
	}
	/* The older generation goes: what the newer one has stays. */
	regexes_drop(all, sets[0]);
	assert_int_equal(regexes_n(all), 2);
	assert_int_equal(regex_match(regex_set_of(sets[1], 2)[1], "/abc", 4, &bytes), REGEX_YES);
	assert_int_equal(regex_match(regex_set_of(sets[1], 2)[0], "/abc", 4, &bytes), REGEX_NO);
	regexes_drop(all, sets[1]);
	regexes_drop(all, sets[2]);
	assert_int_equal(regexes_n(all), 0);
	regexes_free(all);
	for (size_t i = 0; i < LENGTH(b); i++)
		builder_free(b[i]);
}

static void test_bad(void **state)
{
	static const char *const patterns[] = {"/a.*", "/b[", "/c.*"};
	struct regexes *all = regexes_new(WORKERS);
	struct builder *b = builder_new();
	struct regex_set *set;

	(void)state;
	assert_int_equal(regexes_take(all, with(b, patterns, 3), &set), ERR_INVALID);
	assert_int_equal(regexes_n(all), 0);
	regexes_free(all);
	builder_free(b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared), cmocka_unit_test(test_bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
