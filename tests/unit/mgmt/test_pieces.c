/* The pieces of the API and of sluicectl that are pure: paths, media types, selectors, columns, Tables, grids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mgmt-api/api/api.h"
#include "mgmt-api/api/column.h"
#include "mgmt-api/api/select.h"
#include "mgmt-api/api/server.h"
#include "mgmt-api/api/table.h"
#include "mgmt-api/ctl/ctl.h"
#include "mgmt-api/ctl/grid.h"

static const struct path_case {
	const char *name;
	const char *text;
	struct path path;
} path_cases[] = {
	{"root", "/", {.type = PATH_ROOT}},
	{"health", "/healthz", {.type = PATH_HEALTH}},
	{"live", "/livez", {.type = PATH_HEALTH}},
	{"ready", "/readyz", {.type = PATH_READY}},
	{"version", "/version", {.type = PATH_VERSION}},
	{"version with a slash", "/version/", {.type = PATH_VERSION}},
	{"apply", "/sluice/v1/apply", {.type = PATH_APPLY}},
	{"core", "/api", {.type = PATH_CORE}},
	{"groups", "/apis", {.type = PATH_GROUPS}},
	{"group", "/apis/g.io", {.type = PATH_GROUP, .group = "g.io"}},
	{"core resources", "/api/v1", {.type = PATH_RESOURCES, .version = "v1"}},
	{"resources", "/apis/g.io/v1", {.type = PATH_RESOURCES, .group = "g.io", .version = "v1"}},
	{"openapi", "/openapi/v3", {.type = PATH_OPENAPI}},
	{"openapi core", "/openapi/v3/api/v1", {.type = PATH_OPENAPI_GROUP, .version = "v1"}},
	{"openapi group", "/openapi/v3/apis/g.io/v1", {.type = PATH_OPENAPI_GROUP, .group = "g.io", .version = "v1"}},
	{"all namespaces", "/api/v1/secrets", {.type = PATH_COLLECTION, .version = "v1", .plural = "secrets"}},
	{"one namespace",
	 "/api/v1/namespaces/a/secrets",
	 {.type = PATH_COLLECTION, .version = "v1", .namespace = "a", .plural = "secrets", .namespaced = true}},
	{"an object",
	 "/api/v1/namespaces/a/secrets/s",
	 {.type = PATH_OBJECT,
	  .version = "v1",
	  .namespace = "a",
	  .plural = "secrets",
	  .name = "s",
	  .namespaced = true}},
	{"namespaces", "/api/v1/namespaces", {.type = PATH_COLLECTION, .version = "v1", .plural = "namespaces"}},
	{"a namespace",
	 "/api/v1/namespaces/a",
	 {.type = PATH_OBJECT, .version = "v1", .plural = "namespaces", .name = "a"}},
	{"a namespace's status",
	 "/api/v1/namespaces/a/status",
	 {.type = PATH_SUBRESOURCE, .version = "v1", .plural = "namespaces", .name = "a", .subresource = "status"}},
	{"cluster-scoped",
	 "/apis/g.io/v1/gatewayclasses/c",
	 {.type = PATH_OBJECT, .group = "g.io", .version = "v1", .plural = "gatewayclasses", .name = "c"}},
	{"group collection",
	 "/apis/g.io/v1/namespaces/a/gateways",
	 {.type = PATH_COLLECTION,
	  .group = "g.io",
	  .version = "v1",
	  .namespace = "a",
	  .plural = "gateways",
	  .namespaced = true}},
	{"group status",
	 "/apis/g.io/v1/namespaces/a/gateways/x/status",
	 {.type = PATH_SUBRESOURCE,
	  .group = "g.io",
	  .version = "v1",
	  .namespace = "a",
	  .plural = "gateways",
	  .name = "x",
	  .subresource = "status",
	  .namespaced = true}},
	{"nothing", "", {.type = PATH_UNKNOWN}},
	{"unknown", "/metrics", {.type = PATH_UNKNOWN}},
	{"empty segment", "/api//secrets", {.type = PATH_UNKNOWN}},
	{"empty name", "/api/v1/namespaces//secrets", {.type = PATH_UNKNOWN}},
	{"too long", "/apis/g.io/v1/namespaces/a/gateways/x/status/y", {.type = PATH_UNKNOWN}},
	{"not at the root", "x/api", {.type = PATH_UNKNOWN}},
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(path_cases) / sizeof(path_cases[0]); i++) {
		const struct path_case *c = &path_cases[i];
		struct path got;

		path_parse(c->text, &got);
		if (got.type != c->path.type || strcmp(got.group, c->path.group) != 0 ||
		    strcmp(got.version, c->path.version) != 0 || strcmp(got.namespace, c->path.namespace) != 0 ||
		    strcmp(got.name, c->path.name) != 0 || strcmp(got.subresource, c->path.subresource) != 0 ||
		    got.namespaced != c->path.namespaced || strcmp(got.plural, c->path.plural) != 0)
			fail_msg("%s: type %d group %s version %s namespace %s plural %s name %s sub %s", c->name,
				 got.type, got.group, got.version, got.namespace, got.plural, got.name,
				 got.subresource);
	}
}

static void test_path_segment_bound(void **state)
{
	char text[600] = "/api/v1/secrets/";
	struct path got;

	(void)state;
	memset(text + strlen(text), 'x', PATH_SEGMENT_MAX - 1);
	path_parse(text, &got);
	assert_int_equal(got.type, PATH_OBJECT);
	strcat(text, "x");
	path_parse(text, &got);
	assert_int_equal(got.type, PATH_UNKNOWN);
}

static const struct accept_case {
	const char *name;
	const char *header;
	enum media media;
	bool table;
} accept_cases[] = {
	{"none", NULL, MEDIA_JSON, false},
	{"any", "*/*", MEDIA_JSON, false},
	{"json", "application/json", MEDIA_JSON, false},
	{"yaml", "application/yaml", MEDIA_YAML, false},
	{"case and space", "  Application/YAML ; q=1", MEDIA_YAML, false},
	{"kubectl get",
	 "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,"
	 "application/json",
	 MEDIA_JSON, true},
	{"spaces in parameters", "application/json; as=Table; g=meta.k8s.io; v=v1", MEDIA_JSON, true},
	{"aggregated discovery falls through",
	 "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
	 "application/json",
	 MEDIA_JSON, false},
	{"protobuf falls through", "application/vnd.kubernetes.protobuf,application/json", MEDIA_JSON, false},
	{"only protobuf", "application/vnd.kubernetes.protobuf", MEDIA_NONE, false},
	{"html", "text/html", MEDIA_NONE, false},
	{"a browser", "text/html,application/xhtml+xml,*/*;q=0.8", MEDIA_JSON, false},
	{"a patch is nothing to read", "application/merge-patch+json", MEDIA_NONE, false},
};

static void test_accept(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(accept_cases) / sizeof(accept_cases[0]); i++) {
		struct wanted got = media_of_accept(accept_cases[i].header);

		if (got.media != accept_cases[i].media || got.table != accept_cases[i].table)
			fail_msg("%s: media %d table %d", accept_cases[i].name, got.media, got.table);
	}
	assert_int_equal(media_of_content_type(NULL), MEDIA_JSON);
	assert_int_equal(media_of_content_type("application/json; charset=utf-8"), MEDIA_JSON);
	assert_int_equal(media_of_content_type("text/yaml"), MEDIA_YAML);
	assert_int_equal(media_of_content_type("application/merge-patch+json"), MEDIA_MERGE_PATCH);
	assert_int_equal(media_of_content_type("application/x-www-form-urlencoded"), MEDIA_NONE);
	assert_int_equal(media_of_content_type("*/*"), MEDIA_NONE);
}

static const struct select_case {
	const char *name;
	const char *labels;
	const char *fields;
	int matches;            /* -1: refused */
} select_cases[] = {
	{"nothing", "", "", 1},
	{"equal", "app=shop", "", 1},
	{"double equal", "app==shop", "", 1},
	{"not equal", "app!=shop", "", 0},
	{"missing is not equal", "color!=red", "", 1},
	{"exists", "app", "", 1},
	{"exists not", "!app", "", 0},
	{"missing exists not", "!color", "", 1},
	{"in", "app in (a, shop)", "", 1},
	{"not in", "app notin (a, shop)", "", 0},
	{"missing is not in", "color notin (red)", "", 1},
	{"all must hold", "app=shop,tier=web", "", 1},
	{"one does not", "app=shop,tier=db", "", 0},
	{"with spaces", " app = shop , tier in (web) ", "", 1},
	{"a label with a domain", "sluice.internal/site=north", "", 1},
	{"empty value", "empty=", "", 1},
	{"name", "", "metadata.name=x", 1},
	{"other name", "", "metadata.name=y", 0},
	{"name and namespace", "", "metadata.name=x,metadata.namespace!=other", 1},
	{"unknown field", "", "spec.x=1", -1},
	{"a field that exists", "", "metadata.name", -1},
	{"no bracket", "app in shop", "", -1},
	{"open bracket", "app in (shop", "", -1},
	{"no operator", "app shop", "", -1},
	{"no key", "=shop", "", -1},
	{"not and equal", "!app=shop", "", -1},
};

static void test_select(void **state)
{
	static const char json[] = "{\"metadata\":{\"name\":\"x\",\"namespace\":\"n\",\"labels\":{\"app\":\"shop\","
				   "\"tier\":\"web\",\"empty\":\"\",\"sluice.internal/site\":\"north\"}}}";
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	yyjson_mut_doc *object = yyjson_doc_mut_copy(doc, NULL);
	struct refusal f;

	(void)state;
	for (size_t i = 0; i < sizeof(select_cases) / sizeof(select_cases[0]); i++) {
		const struct select_case *c = &select_cases[i];
		struct select s;
		int got = -1;

		if (select_parse(&s, c->labels, c->fields, &f))
			got = select_matches(&s, yyjson_mut_doc_get_root(object));
		if (got != c->matches)
			fail_msg("%s: got %d", c->name, got);
	}
	yyjson_mut_doc_free(object);
	yyjson_doc_free(doc);
}

static void test_select_bounds(void **state)
{
	char many[SELECT_TEXT_MAX + 2] = "a";
	struct select s;
	struct refusal f;

	(void)state;
	for (int i = 0; i < SELECT_TERMS_MAX; i++)
		strcat(many, ",a");
	assert_false(select_parse(&s, many, "", &f));
	memset(many, 'x', SELECT_TEXT_MAX + 1);
	many[SELECT_TEXT_MAX + 1] = '\0';
	assert_false(select_parse(&s, many, "", &f));
	many[SELECT_TEXT_MAX] = '\0';
	assert_true(select_parse(&s, many, "", &f));
}

static const struct age_case {
	int64_t seconds;
	const char *text;
} age_cases[] = {
	{-5, "0s"}, {0, "0s"}, {119, "119s"}, {120, "2m"}, {135, "2m15s"}, {600, "10m"}, {10799, "179m"}, {10800, "3h"},
	{11000, "3h3m"}, {28800, "8h"}, {172799, "47h"}, {172800, "2d"}, {180000, "2d2h"}, {691200, "8d"},
	{31536000, "365d"}, {63072000, "2y"}, {64000000, "2y10d"}, {252288000, "8y"},
};

static void test_age(void **state)
{
	char text[AGE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(age_cases) / sizeof(age_cases[0]); i++)
		assert_string_equal(age_print(age_cases[i].seconds, text), age_cases[i].text);
	assert_int_equal(time_parse("1970-01-02T00:00:01Z"), 86401);
	assert_int_equal(time_parse("2024-01-02T03:04:05.123456Z"), 1704164645);
	assert_int_equal(time_parse("yesterday"), -1);
	assert_int_equal(time_parse(""), -1);
}

static const struct column_case {
	const char *path;
	const char *json;       /* null: nothing there */
} column_cases[] = {
	{".a", "1"},
	{".b.c", "\"x\""},
	{".b.d", NULL},
	{".l[0]", "10"},
	{".l[7]", NULL},
	{".l[*]", "10"},
	{".o[*].v", "\"second\""},
	{".o[?(@.type==\"Two\")].v", "\"second\""},
	{".o[?(@.type==\"One\")].v", NULL},
	{".o[?(@.type==\"None\")].v", NULL},
	{".o[?(@.type=\"Two\")].v", NULL},
	{".o[?(@.type==\"Two", NULL},
	{".a.b", NULL},
	{".", NULL},
};

static void test_columns(void **state)
{
	static const char json[] = "{\"a\":1,\"b\":{\"c\":\"x\"},\"l\":[10,20],"
				   "\"o\":[{\"type\":\"One\"},{\"type\":\"Two\",\"v\":\"second\"}]}";
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	yyjson_mut_doc *object = yyjson_doc_mut_copy(doc, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(column_cases) / sizeof(column_cases[0]); i++) {
		yyjson_mut_val *v = column_find(yyjson_mut_doc_get_root(object), column_cases[i].path);
		char *text = v == NULL ? NULL : yyjson_mut_val_write(v, 0, NULL);

		if ((text == NULL) != (column_cases[i].json == NULL) ||
		    (text != NULL && strcmp(text, column_cases[i].json) != 0))
			fail_msg("%s: %s", column_cases[i].path, text == NULL ? "nothing" : text);
		free(text);
	}
	yyjson_mut_doc_free(object);
	yyjson_doc_free(doc);
}

static void test_table(void **state)
{
	static const char json[] =
		"[{\"apiVersion\":\"gateway.networking.k8s.io/"
		"v1\",\"kind\":\"Gateway\",\"metadata\":{\"name\":\"edge\","
		"\"namespace\":\"default\",\"creationTimestamp\":\"1970-01-01T00:01:00Z\"},\"spec\":{"
		"\"gatewayClassName\":"
		"\"sluice\"},\"status\":{\"addresses\":[{\"value\":\"198.18.0.10\"},{\"value\":\"2001:2::10\"}],"
		"\"conditions\":[{\"type\":\"Accepted\",\"status\":\"True\"},{\"type\":\"Programmed\",\"status\":"
		"\"False\"}]}},"
		"{\"metadata\":{\"name\":\"bare\"},\"spec\":{}}]";
	yyjson_doc *source = yyjson_read(json, strlen(json), 0);
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *objects = yyjson_val_mut_copy(doc, yyjson_doc_get_root(source));
	yyjson_mut_val *table = table_make(doc, kind_by_name("Gateway"), objects, 60 + 90, TABLE_OBJECT_METADATA);
	char *cells;

	(void)state;
	cells = yyjson_mut_val_write(yyjson_mut_ptr_get(table, "/rows/0/cells"), 0, NULL);
	assert_string_equal(cells, "[\"edge\",\"sluice\",\"198.18.0.10\",\"False\",\"90s\"]");
	free(cells);
	cells = yyjson_mut_val_write(yyjson_mut_ptr_get(table, "/rows/1/cells"), 0, NULL);
	assert_string_equal(cells, "[\"bare\",null,null,null,\"<unknown>\"]");
	free(cells);
	cells = yyjson_mut_val_write(yyjson_mut_ptr_get(table, "/rows/0/object"), 0, NULL);
	assert_string_equal(
		cells, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{"
		       "\"name\":\"edge\",\"namespace\":\"default\",\"creationTimestamp\":\"1970-01-01T00:01:00Z\"}}");
	free(cells);
	assert_int_equal(yyjson_mut_arr_size(yyjson_mut_obj_get(table, "columnDefinitions")), 5);
	/* Values of a Secret are counted, not shown. */
	objects = yyjson_mut_ptr_get(table, "/rows/0");
	yyjson_mut_obj_add_obj(doc, objects, "data");
	yyjson_mut_obj_add_str(doc, yyjson_mut_obj_get(objects, "data"), "password", "aGVsbG8=");
	objects = yyjson_mut_obj_get(table, "rows");
	table = table_make(doc, kind_by_name("Secret"), objects, 0, TABLE_OBJECT_NONE);
	cells = yyjson_mut_val_write(yyjson_mut_ptr_get(table, "/rows/0"), 0, NULL);
	assert_string_equal(cells, "{\"cells\":[\"\",null,1,\"<unknown>\"]}");
	free(cells);
	assert_string_equal(yyjson_mut_get_str(yyjson_mut_ptr_get(table, "/columnDefinitions/0/format")), "name");
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(source);
}

static void test_grid(void **state)
{
	static const char *const cells[] = {"NAME", "N", "STATE", "\u00fcber", "5", "ok", "x", "1234", ""};
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	struct grid g;

	(void)state;
	grid_init(&g, 3);
	g.right[1] = true;
	for (size_t i = 0; i < 9; i++)
		grid_add(&g, cells[i]);
	grid_print(&g, out);
	grid_fini(&g);
	fclose(out);
	assert_string_equal(text, "NAME      N   STATE\n\u00fcber      5   ok\nx      1234\n");
	free(text);
}

static void test_ctl_paths(void **state)
{
	char path[CTL_PATH_MAX];

	(void)state;
	ctl_path(path, kind_by_name("HTTPRoute"), "default", "a/b c");
	assert_string_equal(path, "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/a%2Fb%20c");
	ctl_path(path, kind_by_name("HTTPRoute"), NULL, NULL);
	assert_string_equal(path, "/apis/gateway.networking.k8s.io/v1/httproutes");
	ctl_path(path, kind_by_name("Namespace"), "default", "x");
	assert_string_equal(path, "/api/v1/namespaces/x");
}

static const struct listen_case {
	const char *text;
	const char *address;    /* null: refused */
	uint16_t port;
} listen_cases[] = {
	{"198.18.2.1:6443", "198.18.2.1", 6443},
	{"[::1]:0", "::1", 0},
	{"[2001:db8::1]:65535", "2001:db8::1", 65535},
	{"::1:80", NULL, 0},
	{"198.18.2.1", NULL, 0},
	{"198.18.2.1:", NULL, 0},
	{"198.18.2.1:65536", NULL, 0},
	{"[198.18.2.1]:1", NULL, 0},
	{"localhost:1", NULL, 0},
	{":1", NULL, 0},
	{"1.2.3.4:1x", NULL, 0},
	{"[]:1", NULL, 0},
};

static void test_listen(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(listen_cases) / sizeof(listen_cases[0]); i++) {
		const struct listen_case *c = &listen_cases[i];
		struct listen_address got;
		bool good = listen_address_parse(c->text, &got);

		if (good != (c->address != NULL) ||
		    (good && (strcmp(got.text, c->address) != 0 || got.port != c->port)))
			fail_msg("%s: %d", c->text, good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),       cmocka_unit_test(test_path_segment_bound),
		cmocka_unit_test(test_accept),      cmocka_unit_test(test_select),
		cmocka_unit_test(test_select_bounds), cmocka_unit_test(test_age),
		cmocka_unit_test(test_columns),     cmocka_unit_test(test_table),
		cmocka_unit_test(test_grid),        cmocka_unit_test(test_ctl_paths),
		cmocka_unit_test(test_listen),
	};

	return cmocka_run_group_tests_name("pieces", tests, NULL, NULL);
}
