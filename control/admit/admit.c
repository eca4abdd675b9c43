/* See admit.h. */
#include "control/admit/admit.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/admit/metadata.h"
#include "control/admit/rules.h"
#include "control/admit/walk.h"
#include "control/base64.h"
#include "control/wipe.h"

static void put(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, yyjson_mut_val *value)
{
	yyjson_mut_obj_remove_str(object, name);
	if (value)
		yyjson_mut_obj_add_val(doc, object, name, value);
}

/* Every served version has the same shape: converting is changing the label. */
static void relabel(const struct kind *kind, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
	char text[API_VERSION_MAX];

	put(doc, root, "apiVersion", yyjson_mut_strcpy(doc, kind_api_version(kind, text)));
	put(doc, root, "kind", yyjson_mut_str(doc, kind->name));
}

/* In the order in which people read an object: what it is, who it is, what it should be, what it is like. */
static void put_in_order(yyjson_mut_doc *doc, yyjson_mut_val *root)
{
	static const char *const first[] = {"status", "spec", "metadata", "kind", "apiVersion"};

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		yyjson_mut_val *value = yyjson_mut_obj_remove_key(root, first[i]);

		if (!value)
			continue;
		if (i == 0)
			yyjson_mut_obj_add_val(doc, root, first[i], value);
		else
			yyjson_mut_obj_insert(root, yyjson_mut_str(doc, first[i]), value, 0);
	}
}

/* What is written in plain in stringData wins over data. */
static void fold_string_data(yyjson_mut_doc *doc, yyjson_mut_val *root)
{
	yyjson_mut_val *plain = yyjson_mut_obj_get(root, "stringData"), *data = yyjson_mut_obj_get(root, "data");
	yyjson_mut_val *key, *value;
	size_t i, max;

	if (!yyjson_mut_is_obj(plain))
		return;
	if (!yyjson_mut_is_obj(data)) {
		data = yyjson_mut_obj(doc);
		put(doc, root, "data", data);
	}
	yyjson_mut_obj_foreach(plain, i, max, key, value) {
		if (!yyjson_mut_is_str(value))
			return;         /* the walk says what is wrong */
		char *text = base64_encode(yyjson_mut_get_str(value), yyjson_mut_get_len(value));

		yyjson_mut_obj_put(data, yyjson_mut_val_mut_copy(doc, key), yyjson_mut_strcpy(doc, text));
		explicit_bzero(text, strlen(text));
		free(text);
	}
	yyjson_mut_obj_remove_str(root, "stringData");
}

/* A write of the object leaves its status alone; a write of the status leaves all else. */
static void keep_other_half(const struct admission *a, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
	yyjson_mut_val *key, *value;
	yyjson_val *old_key, *old_value;
	size_t i, max;

	if (!a->kind->has_status)
		return;
	if (!a->status_only) {
		put(doc, root, "status", yyjson_val_mut_copy(doc, doc_get(a->old, "status")));
		return;
	}
	yyjson_mut_val *status = NULL;

	yyjson_mut_obj_foreach(root, i, max, key, value)
		if (yyjson_mut_equals_str(key, "status"))
			status = value;
	yyjson_mut_obj_clear(root);
	yyjson_obj_foreach(a->old, i, max, old_key, old_value) {
		if (yyjson_equals_str(old_key, "status"))
			continue;
		yyjson_mut_obj_add(root, yyjson_val_mut_copy(doc, old_key), yyjson_val_mut_copy(doc, old_value));
	}
	if (status)
		yyjson_mut_obj_add_val(doc, root, "status", status);
}

static bool is_named(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* Metadata but its resourceVersion, which is that of the write. */
static bool same_metadata(yyjson_mut_val *mine, yyjson_val *theirs)
{
	yyjson_mut_val *key, *value;
	size_t i, max, n = 0;

	yyjson_mut_obj_foreach(mine, i, max, key, value) {
		yyjson_val *other = yyjson_obj_getn(theirs, yyjson_mut_get_str(key), yyjson_mut_get_len(key));

		if (yyjson_mut_equals_str(key, "resourceVersion"))
			continue;
		if (!other || !doc_same(value, other))
			return false;
		n++;
	}
	return n + (doc_get(theirs, "resourceVersion") != NULL) == yyjson_obj_size(theirs);
}

/* Are all members but those named equal? Defaults are there on both sides, so equal means equal. */
static bool same_but(yyjson_mut_val *root, yyjson_val *old, const char *const *except)
{
	yyjson_mut_val *key, *value;
	yyjson_val *old_key, *old_value;
	size_t i, max, mine = 0, theirs = 0;

	yyjson_mut_obj_foreach(root, i, max, key, value) {
		const char *name = yyjson_mut_get_str(key);
		yyjson_val *other = yyjson_obj_getn(old, name, yyjson_mut_get_len(key));

		if (is_named(except, name))
			continue;
		if (!other || !(strcmp(name, "metadata") == 0 ? same_metadata(value, other) : doc_same(value, other)))
			return false;
		mine++;
	}
	yyjson_obj_foreach(old, i, max, old_key, old_value)
		theirs += !is_named(except, yyjson_get_str(old_key));
	return mine == theirs;
}

static void count_generation(const struct admission *a, yyjson_mut_doc *doc, yyjson_mut_val *root,
			     yyjson_mut_val *metadata)
{
	static const char *const not_spec[] = {"metadata", "status", NULL};

	if (a->old && !a->status_only && !same_but(root, a->old, not_spec))
		put(doc, metadata, "generation",
		    yyjson_mut_sint(doc, doc_int(doc_get(a->old, "metadata"), "generation", 0) + 1));
}

/* Is there anything worse than a field that was pruned? Then the rules cannot rely on the schema. */
static bool is_refused(const struct causes *causes)
{
	for (size_t i = 0; i < causes->n; i++)
		if (!cause_is_strictness(causes->items[i].reason))
			return true;
	return false;
}

static void check_immutable(const struct admission *a, yyjson_mut_val *root, struct causes *causes)
{
	static const char *const mutable[] = {"metadata", NULL};

	if (a->old && doc_bool(a->old, "immutable", false) && !same_but(root, a->old, mutable))
		causes_add(causes, CAUSE_FORBIDDEN, "data", "Forbidden: field is immutable when `immutable` is set");
}

/* Selectors of namespaces choose one by its name through this label. */
static void label_namespace(yyjson_mut_doc *doc, yyjson_mut_val *metadata)
{
	yyjson_mut_val *labels = yyjson_mut_obj_get(metadata, "labels");

	if (!labels) {
		labels = yyjson_mut_obj(doc);
		put(doc, metadata, "labels", labels);
	}
	put(doc, labels, "kubernetes.io/metadata.name",
	    yyjson_mut_strcpy(doc, yyjson_mut_get_str(yyjson_mut_obj_get(metadata, "name"))));
}

void admit_identity(const struct kind *kind, yyjson_mut_doc *doc, struct causes *causes)
{
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *metadata = yyjson_mut_obj_get(root, "metadata");

	if (metadata && !yyjson_mut_is_obj(metadata)) {
		causes_add(causes, CAUSE_TYPE, "metadata", "Invalid value: must be of type object");
		return;
	}
	if (!metadata) {
		metadata = yyjson_mut_obj(doc);
		put(doc, root, "metadata", metadata);
	}
	metadata_identity(kind, doc, metadata, causes);
}

void admit(const struct admission *a, yyjson_mut_doc *doc, struct causes *causes, bool *changed)
{
	static const char *const nothing[] = {NULL};
	yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *metadata;
	struct walk_options options = {.hide_values = strcmp(a->kind->name, "Secret") == 0};

	CHECK(yyjson_mut_is_obj(root) && (a->old || !a->status_only));
	relabel(a->kind, doc, root);
	keep_other_half(a, doc, root);
	if (options.hide_values)
		fold_string_data(doc, root);
	walk(a->kind->schema, doc, root, options, causes);
	metadata = yyjson_mut_obj_get(root, "metadata");
	if (causes->total && !yyjson_mut_is_obj(metadata))
		return;
	metadata_check(metadata, causes);
	if (strcmp(a->kind->name, "Namespace") == 0 && !is_refused(causes))
		label_namespace(doc, metadata);
	metadata_stamp(doc, metadata, a->old, a->now);
	check_immutable(a, root, causes);
	if (!is_refused(causes))
		rules_check(a->kind, root, a->old, causes);
	count_generation(a, doc, root, metadata);
	put_in_order(doc, root);
	*changed = !a->old || !same_but(root, a->old, nothing);
}
