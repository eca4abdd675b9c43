/* Errors, counters and limits as data; documents. */
#include "../test.h"

#include <stdio.h>
#include <string.h>

#include "base/counters.h"
#include "base/doc.h"
#include "base/err.h"
#include "base/limits.h"

static void test_errors(void **state)
{
	(void)state;
	assert_string_equal(err_name(OK), "ok");
	assert_string_equal(err_name(ERR_CONN_RESET), "conn_reset");
	assert_int_equal(err_class(ERR_CONN_RESET), ERR_CLASS_PEER);
	assert_int_equal(err_class(ERR_BUG), ERR_CLASS_BUG);
	assert_string_equal(err_text(ERR_NO_MEMORY), "a pool or arena is empty");
	assert_string_equal(err_name(ERR_COUNT), "unknown");
}

static void test_counters(void **state)
{
	static struct counters c;

	(void)state;
	for (unsigned i = 0; i < COUNTERS; i++) {
		assert_non_null(counter_descriptions[i].name);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(counter_descriptions[i].name, counter_descriptions[k].name);
	}
	assert_int_equal(counter_descriptions[DROP_ip_ttl].kind, COUNTER_DROP);
	assert_string_equal(counter_descriptions[C_limit_tcp_conns].name, "limit_tcp_conns");
	count(&c, C_ip_sent);
	count_n(&c, C_ip_sent, 41);
	assert_int_equal(c.cell[C_ip_sent], 42);
}

static void test_limits(void **state)
{
	unsigned n = 0, bounds = 0;

	(void)state;
	for (; limits[n].name; n++)
		assert_true(limits[n].value > 0);
#define LIMIT(name, value, unit, consequence)
#define BOUND(name, value, unit, refuser) bounds++;
#include "base/limits.def"
#undef LIMIT
#undef BOUND
	assert_true(bounds > 0);
	assert_int_equal(n - bounds, COUNTERS - C_limit_tcp_conns);
	assert_int_equal(limits[0].value, LIMIT_tcp_conns);
}

static void test_doc(void **state)
{
	const char *text = "{\"a\":{\"b\":{\"n\":7,\"s\":\"x\",\"t\":true}},\"s\":3}";
	yyjson_doc *d = yyjson_read(text, strlen(text), 0);
	yyjson_val *root = yyjson_doc_get_root(d), *b = doc_at(root, "a.b");

	(void)state;
	assert_non_null(b);
	assert_int_equal(doc_int(b, "n", 0), 7);
	assert_int_equal(doc_int(b, "s", -1), -1);
	assert_int_equal(doc_int(NULL, "s", -1), -1);
	assert_string_equal(doc_str(b, "s"), "x");
	assert_string_equal(doc_str(root, "s"), "");
	assert_true(doc_bool(b, "t", false));
	assert_true(doc_bool(b, "u", true));
	assert_null(doc_at(root, "a.c.n"));
	assert_ptr_equal(doc_at(root, ""), root);
	yyjson_doc_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_doc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
