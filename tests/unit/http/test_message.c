/* Texts, field names and lists of fields. */
#include <stdlib.h>
#include <string.h>

#include "http/http.h"
#include "tests/unit/test.h"

static struct pool chunks;
static struct arena arena;

static int setup(void **state)
{
	(void)state;
	pool_init(&chunks, "chunks", ARENA_CHUNK, 8);
	arena_init(&arena, &chunks, 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	pool_fini(&chunks);
	return 0;
}

static struct text text(const char *s)
{
	return (struct text){s, (uint32_t)strlen(s)};
}

static const char *const names[] = {
	"",
#define FIELD(id, name, flags) name,
#include "http/fields.def"
#undef FIELD
};

/* Every name is found in every mix of cases, and no byte of it may be another. */
static void test_field_ids(void **state)
{
	(void)state;
	for (unsigned id = 1; id < HTTP_FIELDS; id++) {
		const size_t n = strlen(names[id]);
		/* On the heap, exactly as long: reading past the end is seen. */
		char *copy = malloc(n);

		for (unsigned mask = 0; mask < 8; mask++) {
			for (size_t i = 0; i < n; i++)
				copy[i] = (char)(mask >> (i % 3) & 1 && names[id][i] >= 'a' && names[id][i] <= 'z' ?
				                 names[id][i] - 32 : names[id][i]);
			assert_int_equal(http_field_id((struct text){copy, (uint32_t)n}), id);
		}
		memcpy(copy, names[id], n);
		for (size_t i = 0; i < n; i++) {
			copy[i] = names[id][i] == 'x' ? 'y' : 'x';
			assert_int_not_equal(http_field_id((struct text){copy, (uint32_t)n}), id);
			copy[i] = names[id][i];
		}
		assert_int_not_equal(http_field_id((struct text){copy, (uint32_t)n - 1}), id);
		free(copy);
	}
	assert_int_equal(http_field_id(text("")), HTTP_FIELD_OTHER);
	assert_int_equal(http_field_id(text("x")), HTTP_FIELD_OTHER);
	assert_int_equal(http_field_id(text("content_length")), HTTP_FIELD_OTHER);
}

struct compare_case {
	const char *name, *a, *b;
	bool same, same_nocase;
};

static const struct compare_case compares[] = {
	{"empty", "", "", true, true},
	{"same", "abc", "abc", true, true},
	{"case", "aBc", "AbC", false, true},
	{"length", "abc", "abcd", false, false},
	{"long, case", "The-Quick-Brown-Fox-Jumps", "tHE-qUICK-bROWN-fOX-jUMPS", false, true},
	{"long, last byte", "the-quick-brown-fox-jumps", "the-quick-brown-fox-jumpt", false, false},
	{"only the case bit differs: @ `", "@", "`", false, false},
	{"only the case bit differs: [ {", "[[[[[[[[[", "{{{{{{{{{", false, false},
	{"only the case bit differs: 8 bits", "\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1", "\xe1\xe1\xe1\xe1\xe1\xe1\xe1\xe1", false, false},
	{"Z and z", "ZZZZZZZZZ", "zzzzzzzzz", false, true},
	{"_ and DEL", "_", "\x7f", false, false},
};

static void test_compare(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(compares); i++) {
		const struct compare_case *t = &compares[i];

		if (text_equal(text(t->a), text(t->b)) != t->same || text_equal_nocase(text(t->a), text(t->b)) != t->same_nocase) {
			print_error("%s\n", t->name);
			fail();
		}
	}
	/* Against the C library, every pair of bytes at every place of a word. */
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++)
			for (unsigned at = 0; at < 9; at++) {
				char x[9] = "aaaaaaaa", y[9] = "aaaaaaaa";
				const bool letter = (a | 32) >= 'a' && (a | 32) <= 'z' && a < 128;

				x[at] = (char)a;
				y[at] = (char)b;
				assert_int_equal(text_equal_nocase((struct text){x, 9}, (struct text){y, 9}),
				                 a == b || (letter && (a ^ b) == 32));
			}
}

static void list(const struct http_message *m, char *out)
{
	*out = 0;
	for (unsigned i = 0; i < m->fields_n; i++)
		if (!m->fields[i].removed)
			out += sprintf(out, "%.*s=%.*s;", (int)m->fields[i].name.len, m->fields[i].name.at,
			               (int)m->fields[i].value.len, m->fields[i].value.at);
}

static void test_fields(void **state)
{
	struct http_message m;
	char out[1024];

	(void)state;
	http_message_init(&m);
	assert_int_equal(http_add(&m, &arena, text("A"), text("1")), OK);
	assert_int_equal(http_add(&m, &arena, text("Host"), text("h")), OK);
	assert_int_equal(http_add(&m, &arena, text("a"), text("2")), OK);
	assert_int_equal(http_add(&m, &arena, text("b"), text("3")), OK);
	assert_ptr_equal(http_find(&m, HTTP_FIELD_HOST), &m.fields[1]);
	assert_null(http_find(&m, HTTP_FIELD_DATE));
	assert_ptr_equal(http_find_name(&m, text("a")), &m.fields[0]);
	assert_ptr_equal(http_find_name(&m, text("host")), &m.fields[1]);
	assert_null(http_find_name(&m, text("c")));
	assert_int_equal(http_set(&m, &arena, text("a"), text("9")), OK);
	list(&m, out);
	assert_string_equal(out, "A=9;Host=h;b=3;");
	http_remove(&m, text("HOST"));
	assert_null(http_find(&m, HTTP_FIELD_HOST));
	assert_int_equal(http_set(&m, &arena, text("Host"), text("i")), OK);
	assert_int_equal(http_set(&m, &arena, text("c"), text("")), OK);
	list(&m, out);
	assert_string_equal(out, "A=9;b=3;Host=i;c=;");
}

/* The array grows up to a piece of the arena, then says so. */
static void test_many_fields(void **state)
{
	struct http_message m;
	unsigned n = 0;

	(void)state;
	http_message_init(&m);
	while (http_add(&m, &arena, text("a"), text("b")) == OK)
		n++;
	assert_int_equal(n, ARENA_PIECE_MAX / sizeof(struct http_field));
	assert_true(n >= 144);
	assert_int_equal(http_add(&m, &arena, text("a"), text("b")), ERR_LIMIT);
}

struct hop_case {
	const char *name;
	const char *fields[12];      /* name, value, ... */
	const char *out;
};

static const struct hop_case hops[] = {
	{"fixed ones", {"Connection", "close", "Keep-Alive", "1", "TE", "trailers", "Upgrade", "h2c", "Transfer-Encoding", "x",
	                "Proxy-Connection", "y"}, ""},
	{"named ones", {"Connection", "X-A, x-b ,,close", "x-a", "1", "X-B", "2", "x-c", "3"}, "x-c=3;"},
	{"two Connection fields", {"Connection", "x-a", "x-a", "1", "connection", "x-b", "X-B", "2"}, ""},
	{"what nobody may take away", {"Connection", "host, x-forwarded-for, content-length, authorization", "Host", "h",
	                               "X-Forwarded-For", "f", "Content-Length", "3", "Authorization", "z"},
	 "Host=h;X-Forwarded-For=f;Content-Length=3;Authorization=z;"},
	{"h2c", {"Connection", "Upgrade, HTTP2-Settings", "HTTP2-Settings", "AAAA", "Upgrade", "h2c", "a", "b"}, "a=b;"},
	{"nothing to do", {"a", "b"}, "a=b;"},
};

static void test_hop_by_hop(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(hops); i++) {
		struct http_message m;
		char out[1024];

		http_message_init(&m);
		for (unsigned f = 0; f < LENGTH(hops[i].fields) && hops[i].fields[f]; f += 2)
			assert_int_equal(http_add(&m, &arena, text(hops[i].fields[f]), text(hops[i].fields[f + 1])), OK);
		http_remove_hop_by_hop(&m);
		list(&m, out);
		if (strcmp(out, hops[i].out)) {
			print_error("%s: %s\n", hops[i].name, out);
			fail();
		}
	}
}

static void test_list(void **state)
{
	struct text rest = text(" a ,, b\t,c d ,"), e;

	(void)state;
	assert_true(http_list_next(&rest, &e) && text_equal(e, text("a")));
	assert_true(http_list_next(&rest, &e) && text_equal(e, text("b")));
	assert_true(http_list_next(&rest, &e) && text_equal(e, text("c d")));
	assert_false(http_list_next(&rest, &e));
}

static void test_methods(void **state)
{
	(void)state;
	assert_int_equal(http_method(text("GET")), HTTP_GET);
	assert_int_equal(http_method(text("PATCH")), HTTP_PATCH);
	assert_int_equal(http_method(text("get")), HTTP_METHOD_OTHER);
	assert_int_equal(http_method(text("")), HTTP_METHOD_OTHER);
	assert_string_equal(http_reason(404), "Not Found");
	assert_string_equal(http_reason(999), "");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_field_ids), TEST(test_compare), TEST(test_fields), TEST(test_many_fields), TEST(test_hop_by_hop),
		TEST(test_list), TEST(test_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
