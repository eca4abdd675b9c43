/* The book of names: when they are asked for, what stays of their answers, the copy in a file. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/resolve/book.h"

static struct book *b;
static int64_t now_ms;

static int setup(void **state)
{
	(void)state;
	b = book_new();
	now_ms = 1000000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	book_free(b);
	return 0;
}

static void want(const char *a, const char *c)
{
	const char *names[] = {a, c};

	book_want(b, names, c != NULL ? 2 : a != NULL ? 1 : 0, now_ms);
}

/* "1 2": 192.0.2.1 and .2; "-": none; "!": the question failed. */
static void reply_of(const char *text, unsigned family, uint32_t ttl_s, struct reply *out)
{
	static struct addr addrs[FAMILIES][8];

	*out = (struct reply){.kind = REPLY_ADDRESSES, .addrs = addrs[family], .ttl_s = ttl_s};
	if (text[0] == '-')
		*out = (struct reply){.kind = REPLY_NONE, .why = "none"};
	else if (text[0] == '!')
		*out = (struct reply){.kind = REPLY_FAILED, .why = "failed"};
	for (; out->kind == REPLY_ADDRESSES && *text != '\0'; text++) {
		char host[] = "192.0.2.0", host6[] = "2001:db8::0";

		if (*text == ' ')
			continue;
		host[8] = host6[10] = *text;
		assert_int_equal(addr_parse(family == FAMILY_V4 ? host : host6, &addrs[family][out->n++]), OK);
	}
}

static bool answer(const char *name, const char *v4, const char *v6, uint32_t ttl_s)
{
	struct reply reply[FAMILIES];

	reply_of(v4, FAMILY_V4, ttl_s, &reply[FAMILY_V4]);
	reply_of(v6, FAMILY_V6, ttl_s, &reply[FAMILY_V6]);
	return book_answer(b, name, reply, now_ms);
}

/* "12/3 trouble": the last digits of the addresses of both families. */
static const char *known(const char *name)
{
	static char text[128];
	struct answers *all = book_answers(b);
	const struct answer *a = answers_find(all, name);
	size_t used = 0;

	if (a == NULL) {
		answers_put(all);
		return "unknown";
	}
	for (uint32_t i = 0; i < a->n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%x", i == a->v4_n ? "/" : "",
		                         a->addrs[i].b[15]);
	snprintf(text + used, sizeof(text) - used, "%s%s%s", a->v4_n == a->n ? "/" : "", a->trouble != NULL ? " " : "",
	         a->trouble != NULL ? a->trouble : "");
	answers_put(all);
	return text;
}

static void test_answers(void **state)
{
	static const struct {
		const char *name;
		const char *first[2], *second[2]; /* IPv4, IPv6 */
		const char *want;
		bool changed;
	} cases[] = {
		{"sorted, each once", {"3 1 3", "-"}, {"1 3", "-"}, "13/", false},
		{"other addresses", {"1", "-"}, {"2", "-"}, "2/", true},
		{"both families", {"1", "2"}, {"1", "2"}, "1/2", false},
		{"a family becomes empty", {"1", "2"}, {"1", "-"}, "1/", true},
		{"a family fails and stays", {"1", "2"}, {"3", "!"}, "3/2", true},
		{"the name is gone: kept", {"1", "2"}, {"-", "-"}, "1/2 none", true},
		{"nobody answers: kept", {"1", "2"}, {"!", "!"}, "1/2 failed", true},
		{"a failure is told before an absence", {"1", "-"}, {"-", "!"}, "1/ failed", true},
		{"an absence before a failure", {"1", "-"}, {"!", "-"}, "1/ failed", true},
		{"nothing, twice", {"-", "-"}, {"-", "-"}, "/ none", false},
		{"nothing, then something", {"!", "!"}, {"5", "!"}, "5/", true},
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		bool changed;

		teardown(state);
		setup(state);
		want("x.example", NULL);
		assert_string_equal(known("x.example"), "/");
		answer("x.example", cases[i].first[0], cases[i].first[1], 60);
		changed = answer("x.example", cases[i].second[0], cases[i].second[1], 60);
		if (strcmp(known("x.example"), cases[i].want) != 0 || changed != cases[i].changed)
			fail_msg("%s: %s, changed %d", cases[i].name, known("x.example"), changed);
	}
}

static void test_times(void **state)
{
	static const struct {
		const char *name;
		const char *v4, *v6;
		uint32_t ttl_s;
		int64_t after_ms;
	} cases[] = {
		{"its TTL", "1", "-", 60, 60000},
		{"TTL 0", "1", "-", 0, TTL_MIN_MS},
		{"a TTL of years", "1", "2", UINT32_MAX, TTL_MAX_MS},
		{"a family failed", "1", "!", 200, RETRY_MAX_MS},
		{"nothing", "-", "-", 0, RETRY_MIN_MS},
		{"failed", "!", "!", 0, RETRY_MIN_MS},
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		teardown(state);
		setup(state);
		want("x.example", NULL);
		assert_int_equal(book_next_ms(b), now_ms);
		assert_string_equal(book_ask(b, now_ms), "x.example");
		assert_null(book_ask(b, now_ms));
		assert_int_equal(book_next_ms(b), INT64_MAX);
		answer("x.example", cases[i].v4, cases[i].v6, cases[i].ttl_s);
		if (book_next_ms(b) != now_ms + cases[i].after_ms)
			fail_msg("%s: after %ld ms", cases[i].name, (long)(book_next_ms(b) - now_ms));
		assert_null(book_ask(b, now_ms + cases[i].after_ms - 1));
		assert_non_null(book_ask(b, now_ms + cases[i].after_ms));
	}
}

static void test_retries(void **state)
{
	static const int64_t want_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};

	(void)state;
	want("x.example", NULL);
	for (size_t i = 0; i < LENGTH(want_ms); i++) {
		answer("x.example", "!", "!", 0);
		assert_int_equal(book_next_ms(b) - now_ms, want_ms[i]);
	}
	answer("x.example", "1", "-", 10);
	answer("x.example", "!", "!", 0);
	assert_int_equal(book_next_ms(b) - now_ms, 1000);
	book_ask(b, now_ms + 1000);
	book_ask_again(b, "x.example", now_ms);
	assert_int_equal(book_next_ms(b), now_ms);
}

static void test_wanted(void **state)
{
	char **many = malloc(5000 * sizeof(*many));
	struct answers *all;

	(void)state;
	want("b.example", "a.example");
	answer("a.example", "1", "-", 60);
	answer("b.example", "2", "-", 60);
	want("c.example", "a.example");
	assert_string_equal(known("a.example"), "1/");
	assert_string_equal(known("b.example"), "unknown");
	assert_string_equal(known("c.example"), "/");
	assert_false(answer("b.example", "9", "-", 60));
	want("a.example", "a.example");
	assert_string_equal(known("a.example"), "1/");
	want(NULL, NULL);
	assert_string_equal(known("a.example"), "unknown");
	assert_int_equal(book_next_ms(b), INT64_MAX);
	for (int i = 0; i < 5000; i++)
		assert_true(asprintf(&many[i], "n%d.example", i) > 0);
	book_want(b, (const char *const *)many, 5000, now_ms);
	all = book_answers(b);
	assert_int_equal(all->n, BOOK_NAMES_MAX);
	answers_put(all);
	for (int i = 0; i < 5000; i++)
		free(many[i]);
	free(many);
}

/* More addresses than a cluster can have: the first in order. */
static void test_many_addresses(void **state)
{
	enum { MANY = 3000 };
	struct addr *addrs = calloc(MANY, sizeof(*addrs));
	struct reply reply[FAMILIES] = {{.kind = REPLY_ADDRESSES, .addrs = addrs, .n = MANY, .ttl_s = 9},
	                                {.kind = REPLY_NONE}};
	struct answers *all;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		addrs[MANY - 1 - i] = addr_v4(__builtin_bswap32(0x0a000000 + i));
	want("x.example", NULL);
	assert_true(book_answer(b, "x.example", reply, now_ms));
	free(addrs);
	all = book_answers(b);
	assert_int_equal(all->items[0].n, BOOK_ADDRESSES_MAX);
	assert_int_equal(all->items[0].addrs[BOOK_ADDRESSES_MAX - 1].w[3], __builtin_bswap32(0x0a000000 + 1023));
	answers_put(all);
}

static void test_file(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		const char *a, *c;
	} cases[] = {
		{"good", "a.example 192.0.2.1 2001:db8::2\nc.example 192.0.2.3\n", "1/2", "3/"},
		{"not in order", "c.example 192.0.2.3\na.example 192.0.2.1\n", "1/", "3/"},
		{"twice", "a.example 192.0.2.1\na.example 192.0.2.2\n", "1/", "unknown"},
		{"a line that is not sound", "a.example 192.0.2.1 nonsense\nc.example 192.0.2.3\n", "unknown", "3/"},
		{"cut in the middle", "c.example 192.0.2.3\na.example 192.0.", "unknown", "3/"},
		{"empty lines", "\n \na.example 192.0.2.1", "1/", "unknown"},
		{"empty", "", "unknown", "unknown"},
	};
	char path[] = "/tmp/test_book.XXXXXX";
	const int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		FILE *f = fopen(path, "w");

		assert_non_null(f);
		fputs(cases[i].text, f);
		fclose(f);
		teardown(state);
		setup(state);
		book_load(b, path);
		if (strcmp(known("a.example"), cases[i].a) != 0)
			fail_msg("%s: a.example %s", cases[i].name, known("a.example"));
		if (strcmp(known("c.example"), cases[i].c) != 0)
			fail_msg("%s: c.example %s", cases[i].name, known("c.example"));
	}
	teardown(state);
	setup(state);
	want("a.example", "never.example");
	answer("a.example", "2 1", "7", 60);
	answer("never.example", "-", "-", 60);
	assert_true(book_save(b, path));
	book_free(b);
	b = book_new();
	book_load(b, path);
	assert_string_equal(known("a.example"), "12/7");
	assert_string_equal(known("never.example"), "unknown");
	/* Asked for at once, and a name that is not wanted any more is forgotten. */
	want("a.example", NULL);
	assert_string_equal(book_ask(b, now_ms), "a.example");
	assert_string_equal(known("a.example"), "12/7");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
