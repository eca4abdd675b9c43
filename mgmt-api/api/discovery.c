/* Discovery: which groups, versions and resources there are. All of it is written from the kinds' tables. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/api/api.h"

static yyjson_mut_doc *document(yyjson_mut_val **root, const char *kind, const char *version)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	CHECK(doc != NULL);
	*root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, *root);
	yyjson_mut_obj_add_str(doc, *root, "kind", kind);
	yyjson_mut_obj_add_str(doc, *root, "apiVersion", version);
	return doc;
}

static void finish(struct answer *a, const struct request *q, yyjson_mut_doc *doc)
{
	answer_document(a, q, 200, doc);
	yyjson_mut_doc_free(doc);
}

void serve_version_get(struct api *api, const struct request *q, struct answer *a)
{
	static const char *const members[][2] = {
		{"major", "1"},    {"minor", "32"},           {"gitVersion", "v1.32.0+sluice"},
		{"gitCommit", ""}, {"gitTreeState", "clean"}, {"buildDate", "1970-01-01T00:00:00Z"},
		{"goVersion", ""}, {"compiler", "gcc"},       {"platform", "linux/amd64"},
	};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root;

	(void)api;
	CHECK(doc != NULL);
	root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		yyjson_mut_obj_add_str(doc, root, members[i][0], members[i][1]);
	finish(a, q, doc);
}

void serve_root_get(struct api *api, const struct request *q, struct answer *a)
{
	static const char *const paths[] = {"/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz",
					    "/sluice/v1/apply", "/version"};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root, *list;

	(void)api;
	CHECK(doc != NULL);
	root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	list = yyjson_mut_obj_add_arr(doc, root, "paths");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		yyjson_mut_arr_add_str(doc, list, paths[i]);
	finish(a, q, doc);
}

void serve_core_get(struct api *api, const struct request *q, struct answer *a)
{
	yyjson_mut_val *root;
	yyjson_mut_doc *doc = document(&root, "APIVersions", "v1");

	(void)api;
	yyjson_mut_arr_add_str(doc, yyjson_mut_obj_add_arr(doc, root, "versions"), "v1");
	yyjson_mut_obj_add_arr(doc, root, "serverAddressByClientCIDRs");
	finish(a, q, doc);
}

static bool seen_before(const struct kind *const *k)
{
	for (const struct kind *const *earlier = kinds; earlier < k; earlier++)
		if (strcmp((*earlier)->group, (*k)->group) == 0)
			return true;
	return false;
}

static void add_version(yyjson_mut_doc *doc, yyjson_mut_val *list, const char *group, const char *version)
{
	yyjson_mut_arr_iter iter;
	yyjson_mut_val *v;
	char text[160];

	yyjson_mut_arr_iter_init(list, &iter);
	while ((v = yyjson_mut_arr_iter_next(&iter)) != NULL)
		if (strcmp(yyjson_mut_get_str(yyjson_mut_obj_get(v, "version")), version) == 0)
			return;
	snprintf(text, sizeof(text), "%s/%s", group, version);
	v = yyjson_mut_arr_add_obj(doc, list);
	yyjson_mut_obj_add_strcpy(doc, v, "groupVersion", text);
	yyjson_mut_obj_add_str(doc, v, "version", version);
}

/* Versions that all kinds store come first: the first is the preferred one. */
static void fill_group(yyjson_mut_doc *doc, yyjson_mut_val *out, const char *group)
{
	yyjson_mut_val *versions;

	yyjson_mut_obj_add_str(doc, out, "name", group);
	versions = yyjson_mut_obj_add_arr(doc, out, "versions");
	for (const struct kind *const *k = kinds; *k != NULL; k++)
		if (strcmp((*k)->group, group) == 0 && strcmp((*k)->stored_version, (*k)->versions[0]) == 0)
			add_version(doc, versions, group, (*k)->stored_version);
	for (const struct kind *const *k = kinds; *k != NULL; k++)
		for (const char *const *v = (*k)->versions; strcmp((*k)->group, group) == 0 && *v != NULL; v++)
			add_version(doc, versions, group, *v);
	yyjson_mut_obj_add_val(doc, out, "preferredVersion",
			       yyjson_mut_val_mut_copy(doc, yyjson_mut_arr_get_first(versions)));
}

void serve_groups_get(struct api *api, const struct request *q, struct answer *a)
{
	yyjson_mut_val *root, *groups;
	yyjson_mut_doc *doc = document(&root, "APIGroupList", "v1");

	(void)api;
	groups = yyjson_mut_obj_add_arr(doc, root, "groups");
	for (const struct kind *const *k = kinds; *k != NULL; k++)
		if ((*k)->group[0] != '\0' && !seen_before(k))
			fill_group(doc, yyjson_mut_arr_add_obj(doc, groups), (*k)->group);
	finish(a, q, doc);
}

static void answer_unknown(struct answer *a, const struct request *q)
{
	struct refusal f;

	refusal_set(&f, REFUSAL_NOT_FOUND, "the server could not find the requested resource");
	answer_refusal(a, q, &f);
}

void serve_group_get(struct api *api, const struct request *q, struct answer *a)
{
	yyjson_mut_val *root;
	yyjson_mut_doc *doc = document(&root, "APIGroup", "v1");

	(void)api;
	fill_group(doc, root, q->path.group);
	if (yyjson_mut_arr_size(yyjson_mut_obj_get(root, "versions")) == 0)
		answer_unknown(a, q);
	else
		answer_document(a, q, 200, doc);
	yyjson_mut_doc_free(doc);
}

static void strings(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, const char *const *texts)
{
	yyjson_mut_val *list;

	if (texts == NULL || *texts == NULL)
		return;
	list = yyjson_mut_obj_add_arr(doc, object, name);
	for (; *texts != NULL; texts++)
		yyjson_mut_arr_add_str(doc, list, *texts);
}

static void add_resource(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct kind *k, const char *suffix)
{
	static const char *const verbs[] = {"create", "delete", "deletecollection", "get",
					    "list",   "patch",  "update",           NULL};
	static const char *const status_verbs[] = {"get", "patch", "update", NULL};
	yyjson_mut_val *r = yyjson_mut_arr_add_obj(doc, list);
	char name[160];

	snprintf(name, sizeof(name), "%s%s", k->plural, suffix);
	yyjson_mut_obj_add_strcpy(doc, r, "name", name);
	yyjson_mut_obj_add_str(doc, r, "singularName", suffix[0] == '\0' ? k->singular : "");
	yyjson_mut_obj_add_bool(doc, r, "namespaced", k->namespaced);
	yyjson_mut_obj_add_str(doc, r, "kind", k->name);
	strings(doc, r, "verbs", suffix[0] == '\0' ? verbs : status_verbs);
	if (suffix[0] != '\0')
		return;
	strings(doc, r, "shortNames", k->short_names);
	strings(doc, r, "categories", k->categories);
}

void serve_resources_get(struct api *api, const struct request *q, struct answer *a)
{
	yyjson_mut_val *root, *list;
	yyjson_mut_doc *doc = document(&root, "APIResourceList", "v1");
	char text[2 * PATH_SEGMENT_MAX];

	(void)api;
	snprintf(text, sizeof(text), "%s%s%s", q->path.group, q->path.group[0] == '\0' ? "" : "/", q->path.version);
	yyjson_mut_obj_add_strcpy(doc, root, "groupVersion", text);
	list = yyjson_mut_obj_add_arr(doc, root, "resources");
	for (const struct kind *const *k = kinds; *k != NULL; k++) {
		if (strcmp((*k)->group, q->path.group) != 0 || !kind_serves(*k, q->path.version))
			continue;
		add_resource(doc, list, *k, "");
		if ((*k)->has_status)
			add_resource(doc, list, *k, "/status");
	}
	if (yyjson_mut_arr_size(list) == 0)
		answer_unknown(a, q);
	else
		answer_document(a, q, 200, doc);
	yyjson_mut_doc_free(doc);
}
