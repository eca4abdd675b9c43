/* YAML in and out: what scalars mean, where errors are, what the bounds refuse, and how documents are printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt-api/yaml/emit.h"
#include "mgmt-api/yaml/load.h"

/* All documents as one line of JSON each. */
static char *load_as_json(const char *text, struct yaml_error *error)
{
	struct yaml_documents documents;
	char *out = calloc(1, 1 << 20), *json;

	if (yaml_load(text, strlen(text), &documents, error) != OK) {
		free(out);
		return NULL;
	}
	for (size_t i = 0; i < documents.n; i++) {
		json = yyjson_mut_val_write(documents.items[i].root, 0, NULL);
		assert_non_null(json);
		strcat(out, json);
		strcat(out, "\n");
		free(json);
	}
	yaml_documents_fini(&documents);
	return out;
}

static const struct good {
	const char *name;
	const char *yaml;
	const char *json;
} goods[] = {
	{"nothing", "", ""},
	{"only comments", "# a\n---\n# b\n", ""},
	{"a mapping", "a: 1\nb: two\n", "{\"a\":1,\"b\":\"two\"}\n"},
	{"two documents", "a: 1\n---\nb: 2\n", "{\"a\":1}\n{\"b\":2}\n"},
	{"empty documents are left out", "---\n---\na: 1\n---\n~\n---\n# end\n", "{\"a\":1}\n"},
	{"document end marker", "a: 1\n...\n---\nb: 2\n...\n", "{\"a\":1}\n{\"b\":2}\n"},
	{"windows line ends", "a: 1\r\nb:\r\n- 2\r\n", "{\"a\":1,\"b\":[2]}\n"},
	{"byte order mark",
	 "\xef\xbb\xbf"
	 "a: 1\n",
	 "{\"a\":1}\n"},
	{"words that are true", "[true, True, TRUE, yes, Yes, YES, on, On, ON, y, Y]",
	 "[true,true,true,true,true,true,true,true,true,true,true]\n"},
	{"words that are false", "[false, False, FALSE, no, No, NO, off, Off, OFF, n, N]",
	 "[false,false,false,false,false,false,false,false,false,false,false]\n"},
	{"words that are not", "[tRUE, yEs, oN, nope, nO, nUll]",
	 "[\"tRUE\",\"yEs\",\"oN\",\"nope\",\"nO\",\"nUll\"]\n"},
	{"null", "[~, null, Null, NULL, ]", "[null,null,null,null]\n"},
	{"null value", "a:\nb: ~\n", "{\"a\":null,\"b\":null}\n"},
	{"quoted is a string", "['true', \"1\", '~', \"\"]", "[\"true\",\"1\",\"~\",\"\"]\n"},
	{"integers", "[0, 1, -1, +7, 9223372036854775807, -9223372036854775808, 18446744073709551615]",
	 "[0,1,-1,7,9223372036854775807,-9223372036854775808,18446744073709551615]\n"},
	{"bases", "[0x1F, 0o17, 017, 0b101, -0x10, 1_000]", "[31,15,15,5,-16,1000]\n"},
	{"no octal digit", "[0899]", "[899]\n"},
	{"fractions", "[1.5, .5, 1., 1e3, -2.5E-1]", "[1.5,0.5,1,1000,-0.25]\n"},
	{"fractions that are whole", "[1.0, 80.0, -0.0, 1e18, 1e-400]", "[1,80,0,1000000000000000000,0]\n"},
	{"beyond 64 bits", "[18446744073709551616]", "[18446744073709552000.0]\n"},
	{"what only looks like a number", "[1.2.3, 198.18.0.1, 1e, 0x, +, -, ., 1-2, 0b2, 10s, 1Mi, 1:30]",
	 "[\"1.2.3\",\"198.18.0.1\",\"1e\",\"0x\",\"+\",\"-\",\".\",\"1-2\",\"0b2\",\"10s\",\"1Mi\",\"1:30\"]\n"},
	{"dates are strings", "[2024-01-02, 2024-01-02T03:04:05Z, 2001-12-14 21:59:43]",
	 "[\"2024-01-02\",\"2024-01-02T03:04:05Z\",\"2001-12-14 21:59:43\"]\n"},
	{"keys become text", "1: a\n0x10: b\nyes: c\n1.5: d\n'no': e\n",
	 "{\"1\":\"a\",\"16\":\"b\",\"true\":\"c\",\"1.5\":\"d\",\"no\":\"e\"}\n"},
	{"a fraction as key", "1.23456789: a\n", "{\"1.2345679\":\"a\"}\n"},
	{"tags", "[!!str 1, !!int \"1\", !!float 1, !!bool \"yes\", !!null '', ! 5]", "[\"1\",1,1,true,null,\"5\"]\n"},
	{"literal block", "a: |\n  x\n   y\nb: |-\n  z\n", "{\"a\":\"x\\n y\\n\",\"b\":\"z\"}\n"},
	{"folded block", "a: >\n  x\n  y\n", "{\"a\":\"x y\\n\"}\n"},
	{"anchor and alias", "a: &x {p: 1}\nb: *x\n", "{\"a\":{\"p\":1},\"b\":{\"p\":1}}\n"},
	{"an anchor on a scalar", "a: &x 80\nb: [*x, *x]\n", "{\"a\":80,\"b\":[80,80]}\n"},
	{"an anchor on a key", "&k a: 1\nb: *k\n", "{\"a\":1,\"b\":\"a\"}\n"},
	{"a later anchor hides", "a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}\n"},
	{"merge key", "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  p: 3\n",
	 "{\"a\":{\"p\":1,\"q\":2},\"b\":{\"p\":3,\"q\":2}}\n"},
	{"merge key first wins", "b:\n  <<: [{p: 1}, {p: 2, q: 2}]\n", "{\"b\":{\"p\":1,\"q\":2}}\n"},
	{"quoted << is a key", "'<<': 1\n", "{\"<<\":1}\n"},
	{"flow style", "{a: [1, {b: c}], d: e}", "{\"a\":[1,{\"b\":\"c\"}],\"d\":\"e\"}\n"},
	{"JSON", "{\"a\": [1, 2.5, \"x\\u00e9\", null]}", "{\"a\":[1,2.5,\"x\u00e9\",null]}\n"},
	{"JSON, tabs and two values", "{\n\t\"a\": 1\n}\n\n{\"b\":2}\n", "{\"a\":1}\n{\"b\":2}\n"},
	{"JSON with separators", "{\"a\": 1}\n---\n{\"b\": 2}\n", "{\"a\":1}\n{\"b\":2}\n"},
	{"JSON words stay words", "{\"a\": \"yes\", \"b\": \"1\"}", "{\"a\":\"yes\",\"b\":\"1\"}\n"},
	{"JSON after a byte order mark", "\xef\xbb\xbf{\"a\":\n 1}", "{\"a\":1}\n"},
	{"unicode", "name: \u00fcber\n", "{\"name\":\"\u00fcber\"}\n"},
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
		struct yaml_error error;
		char *json = load_as_json(goods[i].yaml, &error);

		if (json == NULL)
			fail_msg("%s: refused at %u:%u: %s", goods[i].name, error.line, error.column, error.text);
		if (strcmp(json, goods[i].json) != 0)
			fail_msg("%s: got %s expected %s", goods[i].name, json, goods[i].json);
		free(json);
	}
}

static const struct bad {
	const char *name;
	const char *yaml;
	enum err err;
	uint32_t line, column;
	const char *text;       /* found in the message */
} bads[] = {
	{"bad indentation", "a:\n  b: 1\n c: 2\n", ERR_INVALID, 3, 2, "did not find expected key"},
	{"a tab", "a:\n\tb: 1\n", ERR_INVALID, 2, 1, "cannot start any token"},
	{"unclosed quote", "a: \"x\nb: 1\n", ERR_INVALID, 3, 1, "unexpected end of stream"},
	{"unclosed list", "a: [1, 2\nb: 3\n", ERR_INVALID, 2, 2, "did not find expected ',' or ']'"},
	{"two values", "a: b: c\n", ERR_INVALID, 1, 5, "mapping values are not allowed"},
	{"duplicate key", "a: 1\nb: 2\na: 3\n", ERR_INVALID, 3, 1, "key \"a\" is given twice, first on line 1"},
	{"duplicate deep", "spec:\n  x:\n  - p: 1\n    q: 2\n    p: 3\n", ERR_INVALID, 5, 5,
	 "key \"p\" is given twice"},
	{"duplicate once resolved", "1: a\n0x1: b\n", ERR_INVALID, 2, 1, "key \"1\""},
	{"duplicate in JSON", "{\"a\": 1,\n \"a\": 2}", ERR_INVALID, 2, 2, "key \"a\" is given twice, first on line 1"},
	{"JSON syntax", "{\"a\": 1,\n  \"b\": }", ERR_INVALID, 2, 8, "unexpected character"},
	{"JSON cut", "{\"a\": [1, 2", ERR_INVALID, 1, 12, "unexpected end of data"},
	{"second JSON value", "{\"a\": 1}\n{\"b\" 2}", ERR_INVALID, 2, 6, "unexpected character"},
	{"null key", "~: 1\n", ERR_INVALID, 1, 1, "must not be null"},
	{"a list as key", "? [a]\n: 1\n", ERR_INVALID, 1, 3, "a key must be a word"},
	{"unknown alias", "a: *x\n", ERR_INVALID, 1, 4, "no anchor \"x\""},
	{"anchors end with their document", "a: &x 1\n---\nb: *x\n", ERR_INVALID, 3, 4, "no anchor \"x\""},
	{"circle", "a: &x\n  b: *x\n", ERR_INVALID, 2, 6, "contains itself"},
	{"unknown tag", "a: !thing 1\n", ERR_INVALID, 1, 4, "unknown tag \"!thing\""},
	{"binary tag", "a: !!binary aGk=\n", ERR_INVALID, 1, 4, "unknown tag"},
	{"tag does not fit", "a: !!int x\n", ERR_INVALID, 1, 4, "not of the type"},
	{"not a number", "a: .nan\n", ERR_INVALID, 1, 4, "not a number that JSON has"},
	{"infinity", "a:\n- -.Inf\n", ERR_INVALID, 2, 3, "not a number that JSON has"},
	{"NUL", "a: \"x\\0y\"\n", ERR_INVALID, 1, 4, "NUL"},
	{"not UTF-8", "a: 1\nb: \xff\n", ERR_INVALID, 2, 4, "UTF-8"},
	{"control character", "a: \x01\n", ERR_INVALID, 1, 4, "control characters"},
	{"merge of a scalar", "a:\n  <<: 5\n", ERR_INVALID, 2, 7, "a merge key"},
	{"place counts characters", "\u00fc: [\u00e9, }\n", ERR_INVALID, 1, 8, "did not find expected node"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		const struct bad *b = &bads[i];
		struct yaml_documents documents;
		struct yaml_error error;
		enum err e = yaml_load(b->yaml, strlen(b->yaml), &documents, &error);

		if (e != b->err || error.line != b->line || error.column != b->column ||
		    strstr(error.text, b->text) == NULL)
			fail_msg("%s: got %s at %u:%u: %s", b->name, err_name(e), error.line, error.column, error.text);
		assert_int_equal(documents.n, 0);
		assert_null(documents.doc);
	}
}

static void expect_limit(const char *name, const char *text, size_t bytes)
{
	struct yaml_documents documents;
	struct yaml_error error;
	enum err e = yaml_load(text, bytes, &documents, &error);

	if (e != ERR_LIMIT)
		fail_msg("%s: got %s: %s", name, err_name(e), error.text);
	yaml_documents_fini(&documents);
}

static void test_bounds(void **state)
{
	char laughs[4096] = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
	size_t n = strlen(laughs);
	char *long_text = malloc(YAML_BYTES_MAX + 1);

	(void)state;
	for (int i = 1; i < 10; i++) {
		n += (size_t)snprintf(laughs + n, sizeof(laughs) - n, "a%d: &a%d [", i, i);
		for (int j = 0; j < 9; j++)
			n += (size_t)snprintf(laughs + n, sizeof(laughs) - n, "%s*a%d", j == 0 ? "" : ", ", i - 1);
		n += (size_t)snprintf(laughs + n, sizeof(laughs) - n, "]\n");
	}
	expect_limit("billion laughs", laughs, n);
	memset(long_text, '[', YAML_DEPTH_MAX + 1);
	expect_limit("deep YAML", long_text, YAML_DEPTH_MAX + 1);
	for (size_t i = 0; i < 200; i++)
		memcpy(long_text + i * 5, "{\"a\":", 5);
	memcpy(long_text + 1000, "1", 1);
	memset(long_text + 1001, '}', 200);
	expect_limit("deep JSON", long_text, 1201);
	memset(long_text, ' ', YAML_BYTES_MAX + 1);
	expect_limit("bytes", long_text, YAML_BYTES_MAX + 1);
	free(long_text);
}

static void test_alias_depth(void **state)
{
	/* Each alias doubles the nesting: b is as deep as it may be only when the copies count too. */
	char text[2000];
	size_t n = 0;

	(void)state;
	n += (size_t)snprintf(text + n, sizeof(text) - n, "a: &a ");
	for (int i = 0; i < 60; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "[");
	for (int i = 0; i < 60; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "]");
	n += (size_t)snprintf(text + n, sizeof(text) - n, "\nb: ");
	for (int i = 0; i < 60; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "[");
	n += (size_t)snprintf(text + n, sizeof(text) - n, "*a");
	for (int i = 0; i < 60; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "]");
	expect_limit("depth by alias", text, n);
}

/* A mapping with very many keys is read in linear time, and its last key is still found to be a duplicate. */
static void test_many_keys(void **state)
{
	enum { KEYS = 100000 };
	char *text = malloc(KEYS * 12 + 100);
	struct yaml_documents documents;
	struct yaml_error error;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < KEYS; i++)
		n += (size_t)sprintf(text + n, "k%d: 1\n", i);
	assert_int_equal(yaml_load(text, n, &documents, &error), OK);
	assert_int_equal(yyjson_mut_obj_size(documents.items[0].root), KEYS);
	yaml_documents_fini(&documents);
	n += (size_t)sprintf(text + n, "k777: 1\n");
	assert_int_equal(yaml_load(text, n, &documents, &error), ERR_INVALID);
	assert_int_equal(error.line, KEYS + 1);
	assert_non_null(strstr(error.text, "first on line 778"));
	free(text);
}

static void test_document_lines(void **state)
{
	const char *yaml = "# one\na: 1\n---\n\n# two\n- x\n---\nb: [1,\n 2]\n";
	const char *json = "{\"a\": 1}\n\n {\"b\":\n2}\n{}";
	struct yaml_documents documents;
	struct yaml_error error;

	(void)state;
	assert_int_equal(yaml_load(yaml, strlen(yaml), &documents, &error), OK);
	assert_int_equal(documents.n, 3);
	assert_int_equal(documents.items[0].line, 2);
	assert_int_equal(documents.items[1].line, 6);
	assert_int_equal(documents.items[2].line, 8);
	yaml_documents_fini(&documents);
	assert_int_equal(yaml_load(json, strlen(json), &documents, &error), OK);
	assert_int_equal(documents.n, 3);
	assert_int_equal(documents.items[0].line, 1);
	assert_int_equal(documents.items[1].line, 3);
	assert_int_equal(documents.items[2].line, 5);
	yaml_documents_fini(&documents);
}

static const char located[] =
	"# first\n"                     /* 1 */
	"kind: A\n"
	"metadata:\n"
	"  annotations:\n"
	"    a.b/c: x\n"                /* 5 */
	"---\n"
	"# empty\n"
	"---\n"
	"kind: B\n"
	"spec:\n"                       /* 10 */
	"  rules:\n"
	"  - name: r0\n"
	"    matches: [{path: {value: /}}, {path: {value: x}}]\n"
	"  - name: r1\n"
	"    backendRefs:\n"            /* 15 */
	"    - port: 99999\n";

static const struct place {
	const char *name;
	size_t index;
	const char *path;
	bool found;
	uint32_t line, column;
} places[] = {
	{"a document", 0, "", true, 2, 1},
	{"a bracketed key", 0, "metadata.annotations[a.b/c]", true, 5, 5},
	{"empty documents do not count", 1, "kind", true, 9, 1},
	{"an element", 1, "spec.rules[1]", true, 14, 5},
	{"deep", 1, "spec.rules[1].backendRefs[0].port", true, 16, 7},
	{"in flow style", 1, "spec.rules[0].matches[1].path.value", true, 13, 43},
	{"a missing member is its parent", 1, "spec.rules[0].filters[2].type", true, 12, 5},
	{"a missing element is its list", 1, "spec.rules[7].name", true, 11, 3},
	{"no such document", 2, "kind", false, 0, 0},
};

static void test_locate(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct place *p = &places[i];
		uint32_t line = 0, column = 0;
		bool found = yaml_locate(located, strlen(located), p->index, p->path, &line, &column);

		if (found != p->found || (found && (line != p->line || column != p->column)))
			fail_msg("%s: %s at %u:%u", p->name, found ? "found" : "not found", line, column);
	}
}

static const struct emitted {
	const char *name;
	const char *json;
	const char *yaml;
} emitteds[] = {
	{"a mapping, sorted", "{\"kind\":\"A\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\"}}",
	 "apiVersion: v1\nkind: A\nmetadata:\n  name: x\n"},
	{"lists are not indented", "{\"a\":[1,{\"b\":2,\"c\":[3]}]}", "a:\n- 1\n- b: 2\n  c:\n  - 3\n"},
	{"empty collections", "{\"a\":{},\"b\":[]}", "a: {}\nb: []\n"},
	{"words and numbers as strings", "[\"true\",\"yes\",\"1\",\"1.5\",\"\",\"null\",\"~\",\"0x1\",\"y\"]",
	 "- \"true\"\n- \"yes\"\n- \"1\"\n- \"1.5\"\n- \"\"\n- \"null\"\n- \"~\"\n- \"0x1\"\n- \"y\"\n"},
	{"dates and base 60", "[\"2024-01-02T03:04:05Z\",\"1:30\",\"10:00:00\"]",
	 "- \"2024-01-02T03:04:05Z\"\n- \"1:30\"\n- \"10:00:00\"\n"},
	{"syntax characters", "[\"a: b\",\"*.example.com\",\"- x\",\"a #b\",\"{x}\",\"@x\",\"/path\",\"a:b\"]",
	 "- 'a: b'\n- '*.example.com'\n- '- x'\n- 'a #b'\n- '{x}'\n- '@x'\n- /path\n- a:b\n"},
	{"lines", "{\"a\":\"x\\ny\\n\",\"b\":\"x\\ny\"}", "a: |\n  x\n  y\nb: |-\n  x\n  y\n"},
	{"null, booleans and numbers", "[null,true,false,-3,18446744073709551615,1.5,0.1]",
	 "- null\n- true\n- false\n- -3\n- 18446744073709551615\n- 1.5\n- 0.1\n"},
	{"unicode stays", "[\"\u00fcber\"]", "- \u00fcber\n"},
	{"long strings are not folded",
	 "[\"aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa\"]",
	 "- aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa\n"},
	{"natural order", "{\"k10\":1,\"k9\":1,\"a-b\":1,\"aB\":1}", "a-b: 1\naB: 1\nk9: 1\nk10: 1\n"},
};

static void test_emit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(emitteds) / sizeof(emitteds[0]); i++) {
		yyjson_doc *doc = yyjson_read(emitteds[i].json, strlen(emitteds[i].json), 0);
		struct yaml_documents again;
		struct yaml_error error;
		yyjson_doc *back;
		size_t bytes;
		char *yaml;

		assert_non_null(doc);
		assert_int_equal(yaml_emit(yyjson_doc_get_root(doc), &yaml, &bytes), OK);
		if (strcmp(yaml, emitteds[i].yaml) != 0)
			fail_msg("%s: got\n%s", emitteds[i].name, yaml);
		/* And it is read back as the same value. */
		assert_int_equal(yaml_load(yaml, bytes, &again, &error), OK);
		back = yyjson_mut_val_imut_copy(again.items[0].root, NULL);
		if (!yyjson_equals(yyjson_doc_get_root(doc), yyjson_doc_get_root(back)))
			fail_msg("%s: not the same when read back", emitteds[i].name);
		yyjson_doc_free(back);
		yaml_documents_fini(&again);
		yyjson_doc_free(doc);
		free(yaml);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_alias_depth),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_document_lines),
		cmocka_unit_test(test_locate),
		cmocka_unit_test(test_emit),
	};

	return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
