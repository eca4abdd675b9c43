/* The tables of kinds: how they are found, and that every pattern and every default in them is sound. */
#include "../test.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "control/admit/pattern.h"
#include "control/admit/walk.h"

static const struct {
	const char *word, *kind;
} words[] = {
	{"httproutes", "HTTPRoute"}, {"HTTPRoute", "HTTPRoute"}, {"gtw", "Gateway"}, {"gc", "GatewayClass"},
	{"svc", "Service"}, {"ns", "Namespace"}, {"secrets", "Secret"}, {"cm", "ConfigMap"}, {"be", "Backend"},
	{"machines", "Machine"}, {"backends.gateway.envoyproxy.io", "Backend"}, {"backends.example.com", NULL},
	{"referencegrant", "ReferenceGrant"}, {"endpointslices", "EndpointSlice"}, {"httproute.", NULL}, {"pods", NULL},
	{"", NULL}, {"g", NULL},
};

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(words); i++) {
		const struct kind *kind = kind_by_word(words[i].word);

		if (strcmp(kind ? kind->name : "none", words[i].kind ? words[i].kind : "none") != 0)
			fail_msg("%s: %s", words[i].word, kind ? kind->name : "none");
	}
}

static const struct {
	const char *api_version, *name;
	bool found;
} versions[] = {
	{"gateway.networking.k8s.io/v1", "HTTPRoute", true}, {"gateway.networking.k8s.io/v1beta1", "HTTPRoute", true},
	{"gateway.networking.k8s.io/v1alpha2", "HTTPRoute", false}, {"gateway.networking.k8s.io/", "HTTPRoute", false},
	{"gateway.networking.k8s.io", "HTTPRoute", false}, {"v1", "HTTPRoute", false}, {"v1", "Secret", true},
	{"/v1", "Secret", true}, {"v2", "Secret", false}, {"", "Secret", false}, {"v1", "secret", false},
	{"gateway.networking.k8s.io/v1", "ReferenceGrant", true}, {"sluice.internal/v1alpha1", "Machine", true},
};

static void test_versions(void **state)
{
	char text[API_VERSION_MAX];

	(void)state;
	for (size_t i = 0; i < LENGTH(versions); i++)
		if ((kind_find(versions[i].api_version, versions[i].name) != NULL) != versions[i].found)
			fail_msg("%s %s", versions[i].api_version, versions[i].name);
	assert_string_equal(kind_api_version(kind_by_name("ReferenceGrant"), text),
			    "gateway.networking.k8s.io/v1beta1");
	assert_string_equal(kind_api_version(kind_by_name("Secret"), text), "v1");
}

/* Every pattern is translated and compiled by using it once; a mistake crashes here, not in a running program. */
static void look_at(const struct schema *s);

static void look_at_default(const struct field *f)
{
	struct causes causes;
	char json[2048];
	yyjson_doc *parsed;
	yyjson_mut_doc *doc;
	struct schema holder = {.shape = SHAPE_LIST, .min = INT64_MIN, .max = INT64_MAX, .item = f->schema};

	snprintf(json, sizeof(json), "[%s]", f->default_json);
	parsed = yyjson_read(json, strlen(json), 0);
	assert_non_null(parsed);
	doc = yyjson_doc_mut_copy(parsed, NULL);
	causes_init(&causes);
	walk(&holder, doc, yyjson_mut_doc_get_root(doc), (struct walk_options){0}, &causes);
	if (causes.total)
		fail_msg("%s: default %s: %s: %s", f->name, f->default_json, causes.items[0].field,
			 causes.items[0].message);
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(parsed);
}

static void look_at(const struct schema *s)
{
	if (s->pattern)
		pattern_matches(s->pattern, "x");
	assert_true(s->min == INT64_MIN || s->max == INT64_MAX || s->min <= s->max);
	if (s->item)
		look_at(s->item);
	for (const char *const *key = s->list_type == LIST_MAP ? s->keys : NULL; key && *key; key++)
		assert_non_null(schema_field(s->item, *key));
	for (const struct field *f = s->fields; f && f->name; f++) {
		look_at(f->schema);
		if (f->default_json)
			look_at_default(f);
	}
}

static void test_all_kinds(void **state)
{
	(void)state;
	assert_true(kinds_count > 0);
	for (size_t i = 0; i < kinds_count; i++) {
		const struct kind *k = kinds[i];

		if (i)
			assert_true(strcmp(kinds[i - 1]->name, k->name) < 0);
		assert_int_equal(kind_index(k), i);
		assert_ptr_equal(kind_by_name(k->name), k);
		assert_ptr_equal(kind_by_plural(k->group, k->plural), k);
		assert_true(kind_serves(k, k->stored_version));
		assert_non_null(schema_field(k->schema, "metadata"));
		assert_true(k->description && *k->description);
		look_at(k->schema);
	}
}

/* RE2's dialect on the left, and what must and must not match. */
static const struct {
	const char *pattern, *yes, *no;
} patterns[] = {
	{"^[a-z]+$", "abc", "aBc"},
	{"^(?:a|b)+$", "abba", "abc"},
	{"^\\d{2}$", "42", "4x"},
	{"^a\\/b$", "a/b", "a\\/b"},
	{"^[\\x60~]$", "`", "6"},
	{"^[a\\-z]+$", "-az", "b"},
	{"^[-a-c]+$", "-b", "d"},
	{"^[+\\-.^_]+$", "^-._+", "a"},
	{"^[^:/?#]+$", "abc", "a:b"},
	{"^\\.$", ".", "x"},
	{"^[a\\]]$", "]", "b"},
	{"^[\\\\]$", "\\", "x"},
	{"^$|^a$", "", "b"},
	{"^a{1,3}$", "aa", "aaaa"},
};

static void test_patterns(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(patterns); i++) {
		if (!pattern_matches(patterns[i].pattern, patterns[i].yes))
			fail_msg("%s does not match %s", patterns[i].pattern, patterns[i].yes);
		if (pattern_matches(patterns[i].pattern, patterns[i].no))
			fail_msg("%s matches %s", patterns[i].pattern, patterns[i].no);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_all_kinds),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
