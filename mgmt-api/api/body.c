/*
 * What a write must be before control is asked: readable, one object, of the kind, name and namespace that its path
 * says. Everything about its fields is control's affair (admission).
 */
#include "mgmt-api/api/body.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"

bool body_read(const struct request *q, struct yaml_documents *out, struct refusal *f)
{
	struct yaml_error error;
	enum err e;

	if (q->content != MEDIA_JSON && q->content != MEDIA_YAML && q->content != MEDIA_MERGE_PATCH) {
		refusal_set(f, REFUSAL_UNSUPPORTED_MEDIA,
			    "the body of the request was in an unknown format - accepted media "
			    "types include: application/json, application/yaml");
		return false;
	}
	e = yaml_load(q->body, q->body_bytes, out, &error);
	if (e == OK)
		return true;
	if (e == ERR_NO_MEMORY)
		refusal_set(f, REFUSAL_INTERNAL, "out of memory");
	else if (error.line == 0)
		refusal_set(f, REFUSAL_BAD_REQUEST, "error decoding the body: %s", error.text);
	else
		refusal_set(f, REFUSAL_BAD_REQUEST, "error decoding the body: line %u, column %u: %s", error.line,
			    error.column, error.text);
	return false;
}

static const char *text(yyjson_mut_val *object, const char *name)
{
	const char *value = yyjson_mut_get_str(yyjson_mut_obj_get(object, name));

	return value == NULL ? "" : value;
}

static bool check_type(const struct request *q, yyjson_mut_val *object, struct refusal *f)
{
	const char *version = text(object, "apiVersion"), *kind = text(object, "kind");
	char expected[REQUEST_VERSION_MAX];

	if (kind[0] == '\0' || version[0] == '\0') {
		refusal_set(f, REFUSAL_BAD_REQUEST, "Object '%s' is missing in the body",
			    kind[0] == '\0' ? "Kind" : "apiVersion");
		return false;
	}
	request_api_version(q, expected);
	if (strcmp(expected, version) != 0) {
		refusal_set(f, REFUSAL_BAD_REQUEST,
			    "the API version in the data (%.100s) does not match the expected API "
			    "version (%s)",
			    version, expected);
		return false;
	}
	if (strcmp(kind, q->kind->name) != 0) {
		refusal_set(f, REFUSAL_BAD_REQUEST, "%.100s in version \"%s\" cannot be handled as a %s", kind,
			    q->path.version, q->kind->name);
		return false;
	}
	return true;
}

/* generateName: five characters of the alphabet that Kubernetes uses, which spells no words. */
static void generate_name(yyjson_mut_doc *doc, yyjson_mut_val *metadata)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	char name[PATH_SEGMENT_MAX];
	unsigned char random[5];

	CHECK(getrandom(random, sizeof(random), 0) == sizeof(random));
	snprintf(name, sizeof(name), "%.240s%c%c%c%c%c", text(metadata, "generateName"), alphabet[random[0] % 27],
		 alphabet[random[1] % 27], alphabet[random[2] % 27], alphabet[random[3] % 27],
		 alphabet[random[4] % 27]);
	yyjson_mut_obj_put(metadata, yyjson_mut_str(doc, "name"), yyjson_mut_strcpy(doc, name));
}

static bool check_name(const struct request *q, yyjson_mut_doc *doc, yyjson_mut_val *metadata, struct refusal *f)
{
	const char *name = text(metadata, "name"), *namespace = text(metadata, "namespace");

	if (q->path.name[0] != '\0' && strcmp(name, q->path.name) != 0) {
		refusal_set(f, REFUSAL_BAD_REQUEST,
			    "the name of the object (%.253s) does not match the name on the URL (%s)", name,
			    q->path.name);
		return false;
	}
	if (q->kind->namespaced && namespace[0] != '\0' && strcmp(namespace, q->path.namespace) != 0) {
		refusal_set(f, REFUSAL_BAD_REQUEST,
			    "the namespace of the provided object does not match the namespace sent on the request");
		return false;
	}
	if (q->kind->namespaced && namespace[0] == '\0')
		yyjson_mut_obj_put(metadata, yyjson_mut_str(doc, "namespace"),
				   yyjson_mut_strcpy(doc, q->path.namespace));
	if (name[0] == '\0' && text(metadata, "generateName")[0] != '\0')
		generate_name(doc, metadata);
	return true;
}

yyjson_mut_val *body_object(const struct request *q, struct yaml_documents *documents, struct refusal *f)
{
	yyjson_mut_val *object, *metadata;

	if (documents->n != 1 || !yyjson_mut_is_obj(documents->items[0].root)) {
		refusal_set(f, REFUSAL_BAD_REQUEST, "the body must be one object");
		return NULL;
	}
	object = documents->items[0].root;
	if (!check_type(q, object, f))
		return NULL;
	metadata = yyjson_mut_obj_get(object, "metadata");
	if (metadata == NULL)
		metadata = yyjson_mut_obj_add_obj(documents->doc, object, "metadata");
	if (!yyjson_mut_is_obj(metadata)) {
		refusal_set(f, REFUSAL_BAD_REQUEST, "metadata must be an object");
		return NULL;
	}
	return check_name(q, documents->doc, metadata, f) ? object : NULL;
}

bool body_options(const struct request *q, yyjson_mut_doc *request, const char *validation_default, struct refusal *f)
{
	const char *dry_run = request_query(q, "dryRun"), *validation = request_query(q, "fieldValidation");
	yyjson_mut_val *root = yyjson_mut_doc_get_root(request);

	if (dry_run[0] != '\0' && strcmp(dry_run, "All") != 0) {
		refusal_set(f, REFUSAL_BAD_REQUEST,
			    "invalid dryRun: Unsupported value: \"%.100s\": supported values: \"All\"", dry_run);
		return false;
	}
	if (validation[0] == '\0')
		validation = validation_default;
	if (strcmp(validation, "Strict") != 0 && strcmp(validation, "Warn") != 0 && strcmp(validation, "Ignore") != 0) {
		refusal_set(f, REFUSAL_BAD_REQUEST, "fieldValidation: Unsupported value: \"%.100s\": supported values: "
			    "\"Ignore\", \"Strict\", \"Warn\"", validation);
		return false;
	}
	yyjson_mut_obj_add_bool(request, root, "dryRun", dry_run[0] != '\0');
	yyjson_mut_obj_add_strcpy(request, root, "fieldValidation", validation);
	return true;
}
