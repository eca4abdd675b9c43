/* Regular expressions: what matches, what is refused, and what the worst of them cost. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "route/regex.h"

static struct regex *made(const char *pattern)
{
	char why[REGEX_WHY_MAX] = "";
	struct regex *r = regex_new(pattern, strlen(pattern), why);

	if (r == NULL)
		fail_msg("%s: %s", pattern, why);
	return r;
}

static enum regex_answer ask(struct regex *r, const char *text)
{
	uint32_t bytes = LIMIT_regex_bytes;

	return regex_match(r, text, strlen(text), &bytes);
}

static void test_matches(void **state)
{
	static const struct {
		const char *name, *pattern, *text;
		enum regex_answer want;
	} cases[] = {
		{"whole text", "/api/v[0-9]+", "/api/v12", REGEX_YES},
		{"not a part: more behind", "/api/v[0-9]+", "/api/v12/x", REGEX_NO},
		{"not a part: more before", "api/v[0-9]+", "/api/v12", REGEX_NO},
		{"alternatives are of the whole", "a|b", "ab", REGEX_NO},
		{"alternatives", "a|b", "b", REGEX_YES},
		{"anchors are no harm", "^/a$", "/a", REGEX_YES},
		{"empty pattern", "", "", REGEX_YES},
		{"empty text", "a*", "", REGEX_YES},
		{"empty text, prefix", "a+", "", REGEX_NO},
		{"case", "/A", "/a", REGEX_NO},
		{"case flag", "(?i)/A", "/a", REGEX_YES},
		{"lazy", "/a.*?b", "/axxb", REGEX_YES},
		{"class", "[[:alpha:]]+", "abc", REGEX_YES},
		{"a character of two bytes", "/.", "/\xc3\xa9", REGEX_YES},
		{"not UTF-8", "/.", "/\xff", REGEX_NO},
		{"literal prefix longer than is kept", "/0123456789012345678901234567890123456789/.*",
		 "/0123456789012345678901234567890123456789/x", REGEX_YES},
		{"literal prefix that differs late", "/0123456789012345678901234567890123456789/.*",
		 "/0123456789012345678901234567890123456788/x", REGEX_NO},
		{"literal alone", "/exact", "/exact", REGEX_YES},
		{"literal alone, longer", "/exact", "/exactly", REGEX_NO},
		{"dot of the dialect", "/a\\.b", "/axb", REGEX_NO},
		{"bytes of a prefix that are high", "/\xc3\xa9.*", "/\xc3\xa9t\xc3\xa9", REGEX_YES},
		{"exponential, ordinary text", "(a|b)*a(a|b){60}", "ab", REGEX_NO},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct regex *r = made(cases[i].pattern);
		const enum regex_answer got = ask(r, cases[i].text);

		if (got != cases[i].want)
			fail_msg("%s: %d", cases[i].name, got);
		regex_free(r);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *pattern, *why;
	} cases[] = {
		{"bracket", "[a", "missing ]: [a"},
		{"group", "(a", "missing ): (a"},
		{"repetition", "*", "no argument for repetition operator: *"},
		{"back reference", "(a)\\1", "invalid escape sequence: \\1"},
		{"look ahead", "(?=a)b", "invalid perl operator: (?="},
		{"repeated too often", "a{2000}", "invalid repetition size: {2000}"},
		{"not UTF-8", "\xff", "invalid UTF-8"},
		{"too many instructions", "a{600}", "it has "},
		{"repetitions of repetitions", "((a{100}){100}){100}", "invalid repetition size: {100}"},
		{"states too large", "(a|b)*a(a|b){400}", "it needs more than 196608 bytes of memory"},
		{"too large to compile", "\\pL{100}", "pattern too large - compile failed"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		char why[REGEX_WHY_MAX] = "";
		struct regex *r = regex_new(cases[i].pattern, strlen(cases[i].pattern), why);

		if (r != NULL || strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("%s: %s", cases[i].name, r != NULL ? "taken" : why);
		regex_free(r);
	}
}

/* ---- what it costs ---- */

enum { TEXT_BYTES = 65536, TRIES = 5 };

static double ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fill(char *text, const char *alphabet, uint64_t seed)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	const size_t n = strlen(alphabet);

	for (size_t i = 0; i < TEXT_BYTES; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		text[i] = alphabet[(x >> 20) % n];
	}
}

/* 64 KiB that ask for as many states as they can. Of some tries the quickest counts: the machine has other work. */
static void test_cost(void **state)
{
	static const struct {
		const char *pattern, *alphabet;
	} cases[] = {
		{"(a|b)*a(a|b){12}", "ab"}, {"(a|b)*a(a|b){20}", "ab"}, {"(a|b)*a(a|b){60}", "ab"},
		{"(a|b)*a(a|b){200}", "ab"}, {"(a|b)*a(a|b){200}", "ab"}, {".*a.{10}", "ab"}, {".*a.{30}", "ab"},
		{".*a.{45}", "ab"}, {"[ab]*a[ab]{40}", "ab"}, {"[ab]*a[ab]{150}", "ab"}, {"[ab]*a[ab]{300}", "ab"},
		{"(x+x+)+y", "x"}, {"(.*a.*){8}", "ab"}, {"(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)a", "ab"},
		{"(a?){60}a{60}", "a"}, {"(a*)*b", "a"}, {"(.*)a(.*)b(.*)c(.*)d(.*)e(.*)f", "abcdefgh"},
		{".*[a-f0-9]{8}-[a-f0-9]{4}.*", "0123456789abcdef-"}, {"[\\w.]*a[\\w.]{30}", "abc._1"},
		{"(a|aa|aaa|aaaa|aaaaa)*b", "a"}, {"((a{0,9}){0,9}){0,2}b", "a"},
		{"/api/v[0-9]+/users/[^/]+/items", "/apiv0123"}, {".*session=[a-z0-9]+.*", "session=ab1; "},
		{"(?i).*(select|union|insert|update|delete|drop|alter).*", "selctuniornpdah "},
		{"(a.*b|b.*c|c.*d|d.*e|e.*f|f.*a)*a.{8}", "abcdef"}, {"([a-z]+)*[a-z]{20}[0-9]", "abcdefghijklmnopqrstuvwxyz0"},
		{"(.*x[^y]{3}){3}.*z[^y]{20}", "xyzabc"}, {"(\\S+\\s*){0,20}end", "ab c end"},
	};
	char *text = malloc(TEXT_BYTES);
	double worst = 0, limit = 1.0;

	(void)state;
#ifdef SLUICE_ASAN
	limit = 50.0;
#endif
	for (size_t i = 0; i < LENGTH(cases); i++) {
		double best = 1e9;

		for (unsigned k = 0; k < TRIES; k++) {
			struct regex *r = made(cases[i].pattern);
			uint32_t bytes = LIMIT_regex_bytes;
			double from, took;
			enum regex_answer first;

			fill(text, cases[i].alphabet, k + 1);
			from = ms();
			first = regex_match(r, text, TEXT_BYTES, &bytes);
			took = ms() - from;
			best = took < best ? took : best;
			/* Once more on the states that are there: never another answer but for giving up. */
			bytes = LIMIT_regex_bytes;
			assert_true(regex_match(r, text, TEXT_BYTES, &bytes) == first);
			regex_free(r);
		}
		if (best > limit)
			fail_msg("%s: %.3f ms", cases[i].pattern, best);
		worst = best > worst ? best : worst;
	}
	print_message("64 KiB: %.3f ms at most\n", worst);
	free(text);
}

/* Who has filled the memory with states does not take others' answers away. */
static void test_recovers(void **state)
{
	struct regex *r = made("(a|b)*a(a|b){20}");
	char *text = malloc(TEXT_BYTES);
	uint32_t bytes = LIMIT_regex_bytes;

	(void)state;
	fill(text, "ab", 1);
	assert_int_equal(regex_match(r, text, TEXT_BYTES, &bytes), REGEX_TOO_MUCH);
	assert_true(bytes < LIMIT_regex_bytes - 2 * REGEX_RESET_BYTES);
	assert_int_equal(ask(r, "aabababababababababab"), REGEX_YES);
	assert_int_equal(ask(r, "babababababababababab"), REGEX_NO);
	for (int i = 0; i < 200; i++) {
		bytes = LIMIT_regex_bytes;
		fill(text, "ab", (uint64_t)i);
		text[100 - 21] = i % 2 == 0 ? 'a' : 'b';
		assert_int_equal(regex_match(r, text, 100, &bytes), i % 2 == 0 ? REGEX_YES : REGEX_NO);
	}
	free(text);
	regex_free(r);
}

static void test_request_budget(void **state)
{
	struct regex *r = made(".*a");
	uint32_t bytes = 20;

	(void)state;
	assert_int_equal(regex_match(r, "xxxxxxxxxa", 10, &bytes), REGEX_YES);
	assert_int_equal(bytes, 9);
	assert_int_equal(regex_match(r, "xxxxxxxxxa", 10, &bytes), REGEX_TOO_MUCH);
	assert_int_equal(regex_match(r, "xxxxxxxa", 8, &bytes), REGEX_YES);
	assert_int_equal(bytes, 0);
	regex_free(r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches), cmocka_unit_test(test_refused), cmocka_unit_test(test_cost),
		cmocka_unit_test(test_recovers), cmocka_unit_test(test_request_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
