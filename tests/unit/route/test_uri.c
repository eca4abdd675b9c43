/* The normal form of paths: reliability's list of evasions (reference, number 76) and the rules of route/uri.h. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/uri.h"

static const char *const verdicts[] = {
	[URI_PLAIN] = "plain", [URI_CHANGED] = "changed", [URI_REDIRECT] = "redirect", [URI_REFUSED] = "refused",
	[URI_TOO_LONG] = "too long",
};

static const struct {
	const char *name, *path;
	enum uri_verdict want;
	const char *normal;      /* null: as it was */
} cases[] = {
	{"ordinary", "/a/b", URI_PLAIN, NULL},
	{"root", "/", URI_PLAIN, NULL},
	{"asterisk", "*", URI_PLAIN, NULL},
	{"every byte that may stand", "/!$&'()*+,-.0189:;=@AZ_az~[]", URI_PLAIN, NULL},
	{"dots that are no segments", "/.a/..b/...//", URI_CHANGED, "/.a/..b/.../"},
	{"well-known", "/.well-known/acme", URI_PLAIN, NULL},
	{"matrix parameter", "/a;x=1/b", URI_PLAIN, NULL},
	{"query is not touched", "/a?b=/../c//d%41%00", URI_PLAIN, NULL},
	{"query stays behind what changed", "/a/../b?x=%2F/..//", URI_CHANGED, "/b?x=%2F/..//"},
	{"empty query", "/a//?", URI_CHANGED, "/a/?"},

	{"dot", "/a/./b", URI_CHANGED, "/a/b"},
	{"dot at the end", "/a/.", URI_CHANGED, "/a/"},
	{"two dots", "/a/b/../c", URI_CHANGED, "/a/c"},
	{"two dots at the end", "/a/b/..", URI_CHANGED, "/a/"},
	{"two dots and a slash", "/a/b/../", URI_CHANGED, "/a/"},
	{"above the root", "/../../etc/passwd", URI_CHANGED, "/etc/passwd"},
	{"only dots", "/..", URI_CHANGED, "/"},
	{"one dot", "/.", URI_CHANGED, "/"},
	{"dots before a query", "/a/..?b", URI_CHANGED, "/?b"},
	{"escaped dot", "/a/%2e/b", URI_CHANGED, "/a/b"},
	{"escaped dots", "/admin/%2e%2e/public", URI_CHANGED, "/public"},
	{"upper and lower case", "/a/%2E%2e/b", URI_CHANGED, "/b"},
	{"half escaped dots", "/a/.%2e/b", URI_CHANGED, "/b"},
	{"half escaped dots, other half", "/a/%2e./b", URI_CHANGED, "/b"},
	{"escaped dot in a name", "/a%2eb", URI_CHANGED, "/a.b"},
	{"three escaped dots are a name", "/%2e%2e%2e", URI_CHANGED, "/..."},

	{"slashes", "//a///b//", URI_CHANGED, "/a/b/"},
	{"only slashes", "////", URI_CHANGED, "/"},
	{"dots are removed before slashes are merged", "/a//../b", URI_CHANGED, "/a/b"},
	{"another host", "//evil.example/x", URI_CHANGED, "/evil.example/x"},

	{"escaped slash", "/admin%2fx", URI_REDIRECT, "/admin/x"},
	{"escaped slash, upper case", "/admin%2Fx", URI_REDIRECT, "/admin/x"},
	{"dots and an escaped slash", "/admin/..%2fpublic", URI_REDIRECT, "/public"},
	{"all escaped", "/admin%2f%2e%2e%2fpublic", URI_REDIRECT, "/public"},
	{"escaped slash behind the dots at the end", "/a/..%2f", URI_REDIRECT, "/"},
	{"escaped slash behind a dot", "/a/.%2fb", URI_REDIRECT, "/a/b"},
	{"no other host by a redirect", "/%2fevil.example", URI_REDIRECT, "/evil.example"},
	{"no other host by a backslash", "/%5cevil.example", URI_REDIRECT, "/evil.example"},
	{"escaped backslash", "/a%5cb", URI_REDIRECT, "/a/b"},
	{"escaped backslash, upper case", "/a%5Cb", URI_REDIRECT, "/a/b"},
	{"dots between escaped backslashes", "/a%5c..%5cb", URI_REDIRECT, "/b"},
	{"backslash", "/a\\b", URI_CHANGED, "/a/b"},
	{"dots between backslashes", "/a\\..\\b", URI_CHANGED, "/b"},
	{"dots and a backslash", "/a/..\\b", URI_CHANGED, "/b"},
	{"redirect keeps the query", "/a%2fb?c=%2f", URI_REDIRECT, "/a/b?c=%2f"},

	{"unreserved characters", "/%41%7a%30%2d%5f%7e", URI_CHANGED, "/Az0-_~"},
	{"reserved ones stay, as written", "/%3b%3D%40%20%c3%A9", URI_PLAIN, NULL},
	{"overlong slash is no slash", "/a%c0%af..%c0%afb", URI_PLAIN, NULL},
	{"twice escaped slash", "/a%252fb", URI_PLAIN, NULL},
	{"twice escaped dots", "/a/%252e%252e/b", URI_PLAIN, NULL},
	{"escaped question mark", "/a%3Fb/../c", URI_CHANGED, "/c"},
	{"escaped line end", "/a%0d%0ab", URI_PLAIN, NULL},
	{"NUL", "/a%00b", URI_REFUSED, NULL},
	{"NUL behind what changes", "/a/../%00", URI_REFUSED, NULL},
	{"NUL in a segment that goes", "/%00/../a", URI_REFUSED, NULL},

	{"no escape", "/100%", URI_PLAIN, NULL},
	{"no escape, letters", "/%zz%4", URI_PLAIN, NULL},
	{"an escape made by unescaping both", "/%%34%31", URI_CHANGED, "/%2541"},
	{"made by unescaping the first", "/%%341", URI_CHANGED, "/%2541"},
	{"made by unescaping the second", "/%4%31", URI_CHANGED, "/%2541"},
	{"a slash made by unescaping", "/%2%46", URI_CHANGED, "/%252F"},
	{"a NUL made by unescaping", "/%%30%30", URI_CHANGED, "/%2500"},
	{"not one", "/%%7a1", URI_CHANGED, "/%z1"},
	{"the % before", "/%%%34%31", URI_CHANGED, "/%%2541"},
	{"gone with its segment", "/a%/../%34%31", URI_CHANGED, "/41"},

	{"what browsers escape", "/\"<>^`{|}", URI_CHANGED, "/%22%3C%3E%5E%60%7B%7C%7D"},
	{"bytes beyond ASCII", "/\xc3\xa9", URI_CHANGED, "/%C3%A9"},
	{"space", "/a b", URI_CHANGED, "/a%20b"},
	{"control character", "/\x01\x7f", URI_CHANGED, "/%01%7F"},
	{"fragment", "/a#b", URI_CHANGED, "/a%23b"},
	{"31 bytes, then two dots", "/234567890123456789012345678901/../x", URI_CHANGED, "/x"},
	{"32 bytes, then two slashes", "/2345678901234567890123456789012//x", URI_CHANGED,
	 "/2345678901234567890123456789012/x"},
	{"slash at the end of a piece, slash behind", "/234567890123456789012345678901//x", URI_CHANGED,
	 "/234567890123456789012345678901/x"},
	{"slash at the end of a piece, dot behind", "/234567890123456789012345678901/./x", URI_CHANGED,
	 "/234567890123456789012345678901/x"},
	{"long query that looks bad", "/2345?890123456789012345678901//../%00", URI_PLAIN, NULL},
};

static enum uri_verdict normalise(const char *path, size_t len, char *out, uint32_t room, uint32_t *n)
{
	/* In memory of exactly its length, so that a byte read too much is found. */
	char *copy = malloc(len + (len == 0));
	enum uri_verdict v;

	memcpy(copy, path, len);
	v = uri_normalise((struct text){.at = copy, .len = (uint32_t)len}, out, room, n);
	if (uri_is_plain((struct text){.at = copy, .len = (uint32_t)len}) && v != URI_PLAIN)
		fail_msg("%.*s: said to be plain", (int)len, path);
	free(copy);
	return v;
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		char out[512], again[512];
		uint32_t n = 0, m = 0;
		const enum uri_verdict v = normalise(cases[i].path, strlen(cases[i].path), out, sizeof(out), &n);

		if (v != cases[i].want)
			fail_msg("%s: %s", cases[i].name, verdicts[v]);
		if (cases[i].normal == NULL)
			continue;
		if (n != strlen(cases[i].normal) || memcmp(out, cases[i].normal, n) != 0)
			fail_msg("%s: %.*s", cases[i].name, (int)n, out);
		if (normalise(out, n, again, sizeof(again), &m) != URI_PLAIN)
			fail_msg("%s: again: %.*s", cases[i].name, (int)m, again);
	}
}

/* Each byte at each place of a piece: the quick look and the slow one agree on what is certainly plain. */
static void test_quick_look(void **state)
{
	char path[80], out[512];
	uint32_t n;

	(void)state;
	for (unsigned at = 1; at < 70; at++) {
		for (unsigned c = 1; c < 256; c++) {
			const struct text t = {.at = path, .len = 72};
			bool plain;

			memset(path, 'a', sizeof(path));
			path[0] = '/';
			path[at] = (char)c;
			plain = uri_is_plain(t);
			if (c == '%' || (at == 1 && (c == '/' || c == '.')))
				assert_false(plain);
			else if (plain != (uri_normalise(t, out, sizeof(out), &n) == URI_PLAIN))
				fail_msg("byte %u at %u", c, at);
		}
	}
}

static void test_room(void **state)
{
	char out[16];
	uint32_t n;

	(void)state;
	assert_int_equal(normalise("/{", 2, out, 4, &n), URI_CHANGED);
	assert_int_equal(n, 4);
	assert_int_equal(normalise("/{", 2, out, 3, &n), URI_TOO_LONG);
	assert_int_equal(normalise("/{", 2, out, 0, &n), URI_TOO_LONG);
	assert_int_equal(normalise("//a?bc", 6, out, 5, &n), URI_CHANGED);
	assert_int_equal(normalise("//a?bcd", 7, out, 5, &n), URI_TOO_LONG);
	assert_int_equal(normalise("/%%34%31", 8, out, 5, &n), URI_TOO_LONG);
	assert_int_equal(normalise("/%%34%31", 8, out, 6, &n), URI_CHANGED);
	assert_int_equal(normalise("", 0, out, 5, &n), URI_PLAIN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases), cmocka_unit_test(test_quick_look), cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
