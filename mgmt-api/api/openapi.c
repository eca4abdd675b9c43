/*
 * OpenAPI v3, one document per group and version, walked from the kinds' schemas: what `kubectl explain` prints, and
 * what kubectl asks for before it writes (it looks for a patch operation that takes fieldValidation).
 *
 * Named types become components; a component's name carries the group so that documents can be merged. Descriptions are
 * the schemas' own.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/api/api.h"

static void reference(yyjson_mut_doc *doc, yyjson_mut_val *out, const char *type)
{
	char text[256];

	snprintf(text, sizeof(text), "#/components/schemas/%s", type);
	yyjson_mut_obj_add_strcpy(doc, out, "$ref", text);
}

static const char *type_of(enum shape shape)
{
	switch (shape) {
	case SHAPE_OBJECT: case SHAPE_MAP:
		return "object";
	case SHAPE_LIST:
		return "array";
	case SHAPE_STRING:
		return "string";
	case SHAPE_INTEGER:
		return "integer";
	case SHAPE_BOOLEAN:
		return "boolean";
	case SHAPE_INT_OR_STRING: case SHAPE_ANY:
		break;
	}
	return NULL;
}

static void bounds(yyjson_mut_doc *doc, yyjson_mut_val *out, const struct schema *s)
{
	static const char *const names[][2] = {
		[SHAPE_OBJECT] = {"minProperties", "maxProperties"}, [SHAPE_MAP] = {"minProperties", "maxProperties"},
		[SHAPE_LIST] = {"minItems", "maxItems"}, [SHAPE_STRING] = {"minLength", "maxLength"},
		[SHAPE_INTEGER] = {"minimum", "maximum"},
	};

	if (s->shape > SHAPE_INTEGER)
		return;
	if (s->min != INT64_MIN)
		yyjson_mut_obj_add_sint(doc, out, names[s->shape][0], s->min);
	if (s->max != INT64_MAX)
		yyjson_mut_obj_add_sint(doc, out, names[s->shape][1], s->max);
}

struct writer {
	yyjson_mut_doc *doc;
	yyjson_mut_val *components;
};

static void describe(struct writer *w, yyjson_mut_val *out, const struct schema *s);

/* A use of a schema: a reference to a component, made when it is first met, or the schema itself. */
static yyjson_mut_val *use(struct writer *w, const struct schema *s)
{
	yyjson_mut_val *out = yyjson_mut_obj(w->doc), *component;

	if (s->type_name == NULL) {
		describe(w, out, s);
		return out;
	}
	if (yyjson_mut_obj_get(w->components, s->type_name) == NULL) {
		component = yyjson_mut_obj_add_obj(w->doc, w->components, s->type_name);
		if (s->description != NULL)
			yyjson_mut_obj_add_str(w->doc, component, "description", s->description);
		describe(w, component, s);
	}
	reference(w->doc, out, s->type_name);
	return out;
}

/* A property: a reference that has a description or a default stands in an allOf, as Kubernetes writes it. */
static yyjson_mut_val *property(struct writer *w, const struct field *f)
{
	yyjson_mut_val *used = use(w, f->schema), *out = used;
	yyjson_doc *value;

	if (f->schema->type_name != NULL) {
		out = yyjson_mut_obj(w->doc);
		yyjson_mut_arr_append(yyjson_mut_obj_add_arr(w->doc, out, "allOf"), used);
	}
	if (f->description != NULL)
		yyjson_mut_obj_add_str(w->doc, out, "description", f->description);
	if (f->default_json != NULL && (value = yyjson_read(f->default_json, strlen(f->default_json), 0)) != NULL) {
		yyjson_mut_obj_add_val(w->doc, out, "default", yyjson_val_mut_copy(w->doc, yyjson_doc_get_root(value)));
		yyjson_doc_free(value);
	}
	return out;
}

static void describe_fields(struct writer *w, yyjson_mut_val *out, const struct schema *s)
{
	yyjson_mut_val *properties = yyjson_mut_obj_add_obj(w->doc, out, "properties"), *required = NULL;

	for (const struct field *f = s->fields; f != NULL && f->name != NULL; f++) {
		yyjson_mut_obj_add_val(w->doc, properties, f->name, property(w, f));
		if (!f->required)
			continue;
		if (required == NULL)
			required = yyjson_mut_obj_add_arr(w->doc, out, "required");
		yyjson_mut_arr_add_str(w->doc, required, f->name);
	}
}

static void describe_list(struct writer *w, yyjson_mut_val *out, const struct schema *s)
{
	static const char *const types[] = {"atomic", "set", "map"};
	yyjson_mut_val *keys;

	yyjson_mut_obj_add_val(w->doc, out, "items", use(w, s->item));
	yyjson_mut_obj_add_str(w->doc, out, "x-kubernetes-list-type", types[s->list_type]);
	if (s->list_type != LIST_MAP || s->keys == NULL)
		return;
	keys = yyjson_mut_obj_add_arr(w->doc, out, "x-kubernetes-list-map-keys");
	for (const char *const *k = s->keys; *k != NULL; k++)
		yyjson_mut_arr_add_str(w->doc, keys, *k);
}

static void describe(struct writer *w, yyjson_mut_val *out, const struct schema *s)
{
	yyjson_mut_val *values;

	if (type_of(s->shape) != NULL)
		yyjson_mut_obj_add_str(w->doc, out, "type", type_of(s->shape));
	if (s->shape == SHAPE_INT_OR_STRING)
		yyjson_mut_obj_add_bool(w->doc, out, "x-kubernetes-int-or-string", true);
	if (s->shape == SHAPE_ANY)
		yyjson_mut_obj_add_bool(w->doc, out, "x-kubernetes-preserve-unknown-fields", true);
	if (s->format != NULL)
		yyjson_mut_obj_add_str(w->doc, out, "format", s->format);
	if (s->pattern != NULL)
		yyjson_mut_obj_add_str(w->doc, out, "pattern", s->pattern);
	bounds(w->doc, out, s);
	if (s->values != NULL) {
		values = yyjson_mut_obj_add_arr(w->doc, out, "enum");
		for (const char *const *v = s->values; *v != NULL; v++)
			yyjson_mut_arr_add_str(w->doc, values, *v);
	}
	if (s->shape == SHAPE_OBJECT)
		describe_fields(w, out, s);
	else if (s->shape == SHAPE_MAP)
		yyjson_mut_obj_add_val(w->doc, out, "additionalProperties", use(w, s->item));
	else if (s->shape == SHAPE_LIST)
		describe_list(w, out, s);
}

static yyjson_mut_val *group_version_kind(yyjson_mut_doc *doc, const struct kind *k, const char *version)
{
	yyjson_mut_val *gvk = yyjson_mut_obj(doc);

	yyjson_mut_obj_add_str(doc, gvk, "group", k->group);
	yyjson_mut_obj_add_strcpy(doc, gvk, "version", version);
	yyjson_mut_obj_add_str(doc, gvk, "kind", k->name);
	return gvk;
}

/* The schema of a kind: its own, and the three members that every object has. */
static void add_kind(struct writer *w, const struct kind *k, const char *version)
{
	static const char *const members[][3] = {
		{"apiVersion", "string", "Group and version of this object."},
		{"kind", "string", "The kind of this object."},
		{"metadata", "object", "Name, namespace, labels and annotations."},
	};
	yyjson_mut_val *component, *properties;
	char name[256];

	snprintf(name, sizeof(name), "%s.%s.%s", k->group[0] == '\0' ? "core" : k->group, version, k->name);
	component = yyjson_mut_obj(w->doc);
	yyjson_mut_obj_add(w->components, yyjson_mut_strcpy(w->doc, name), component);
	if (k->description != NULL)
		yyjson_mut_obj_add_str(w->doc, component, "description", k->description);
	describe(w, component, k->schema);
	properties = yyjson_mut_obj_get(component, "properties");
	for (size_t i = 0; properties != NULL && i < sizeof(members) / sizeof(members[0]); i++) {
		yyjson_mut_val *p;

		if (yyjson_mut_obj_get(properties, members[i][0]) != NULL)
			continue;
		p = yyjson_mut_obj_add_obj(w->doc, properties, members[i][0]);
		yyjson_mut_obj_add_str(w->doc, p, "type", members[i][1]);
		yyjson_mut_obj_add_str(w->doc, p, "description", members[i][2]);
	}
	yyjson_mut_arr_append(yyjson_mut_obj_add_arr(w->doc, component, "x-kubernetes-group-version-kind"),
			      group_version_kind(w->doc, k, version));
}

/* The one path that kubectl looks for: PATCH of an object, with the parameters of writes. */
static void add_path(yyjson_mut_doc *doc, yyjson_mut_val *paths, const struct kind *k, const char *version)
{
	static const char *const parameters[] = {"dryRun", "fieldManager", "fieldValidation", "force"};
	yyjson_mut_val *path = yyjson_mut_obj(doc), *patch, *list, *p, *responses;
	char text[512];

	snprintf(text, sizeof(text), "/%s%s/%s%s/%s/{name}", k->group[0] == '\0' ? "api" : "apis/", k->group, version,
		 k->namespaced ? "/namespaces/{namespace}" : "", k->plural);
	yyjson_mut_obj_add(paths, yyjson_mut_strcpy(doc, text), path);
	patch = yyjson_mut_obj_add_obj(doc, path, "patch");
	yyjson_mut_obj_add_str(doc, patch, "x-kubernetes-action", "patch");
	yyjson_mut_obj_add_val(doc, patch, "x-kubernetes-group-version-kind", group_version_kind(doc, k, version));
	list = yyjson_mut_obj_add_arr(doc, patch, "parameters");
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
		p = yyjson_mut_arr_add_obj(doc, list);
		yyjson_mut_obj_add_str(doc, p, "name", parameters[i]);
		yyjson_mut_obj_add_str(doc, p, "in", "query");
		yyjson_mut_obj_add_str(doc, yyjson_mut_obj_add_obj(doc, p, "schema"), "type",
				       strcmp(parameters[i], "force") == 0 ? "boolean" : "string");
	}
	responses = yyjson_mut_obj_add_obj(doc, patch, "responses");
	yyjson_mut_obj_add_str(doc, yyjson_mut_obj_add_obj(doc, responses, "200"), "description", "OK");
}

static void add_document(yyjson_mut_doc *doc, yyjson_mut_val *paths, const struct kind *k, const char *version)
{
	char name[256], url[300];
	yyjson_mut_val *entry;

	snprintf(name, sizeof(name), "%s%s/%s", k->group[0] == '\0' ? "api" : "apis/", k->group, version);
	if (yyjson_mut_obj_get(paths, name) != NULL)
		return;
	/* No hash in the URL: the documents are small, and a client that caches by it could keep an old one. */
	snprintf(url, sizeof(url), "/openapi/v3/%s", name);
	entry = yyjson_mut_obj(doc);
	yyjson_mut_obj_add(paths, yyjson_mut_strcpy(doc, name), entry);
	yyjson_mut_obj_add_strcpy(doc, entry, "serverRelativeURL", url);
}

void serve_openapi_get(struct api *api, const struct request *q, struct answer *a)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root, *paths;

	(void)api;
	CHECK(doc != NULL);
	root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	paths = yyjson_mut_obj_add_obj(doc, root, "paths");
	for (const struct kind *const *k = kinds; *k != NULL; k++)
		for (const char *const *v = (*k)->versions; *v != NULL; v++)
			add_document(doc, paths, *k, *v);
	answer_document(a, q, 200, doc);
	yyjson_mut_doc_free(doc);
}

void serve_openapi_group_get(struct api *api, const struct request *q, struct answer *a)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root, *info, *paths, *components;
	struct writer w = {.doc = doc};
	struct refusal f;

	(void)api;
	CHECK(doc != NULL);
	root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_str(doc, root, "openapi", "3.0.0");
	info = yyjson_mut_obj_add_obj(doc, root, "info");
	yyjson_mut_obj_add_str(doc, info, "title", "Sluice");
	yyjson_mut_obj_add_str(doc, info, "version", "v1");
	paths = yyjson_mut_obj_add_obj(doc, root, "paths");
	components = yyjson_mut_obj_add_obj(doc, root, "components");
	w.components = yyjson_mut_obj_add_obj(doc, components, "schemas");
	for (const struct kind *const *k = kinds; *k != NULL; k++) {
		if (strcmp((*k)->group, q->path.group) != 0 || !kind_serves(*k, q->path.version))
			continue;
		add_path(doc, paths, *k, q->path.version);
		add_kind(&w, *k, q->path.version);
	}
	if (yyjson_mut_obj_size(paths) == 0) {
		refusal_set(&f, REFUSAL_NOT_FOUND, "the server could not find the requested resource");
		answer_refusal(a, q, &f);
	} else {
		answer_document(a, q, 200, doc);
	}
	yyjson_mut_doc_free(doc);
}
