/* POST, PUT, PATCH and DELETE of objects: checked for shape here, decided by control. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/api/body.h"
#include "mgmt-api/api/control.h"
#include "mgmt-api/api/select.h"
#include "mgmt-api/api/source.h"

enum { ATTEMPTS_MAX = 5 };

static void warn_all(struct answer *a, const struct control_reply *r)
{
	yyjson_arr_iter warnings = yyjson_arr_iter_with(doc_get(r->root, "warnings"));
	yyjson_val *w;

	while ((w = yyjson_arr_iter_next(&warnings)) != NULL)
		if (yyjson_is_str(w))
			answer_warn(a, yyjson_get_str(w));
}

/* The answer to a write of one object is the object, in the version of the path. */
static void answer_object(struct answer *a, const struct request *q, const struct control_reply *r)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *object;
	char version[REQUEST_VERSION_MAX];
	struct refusal f;

	CHECK(doc != NULL);
	object = yyjson_val_mut_copy(doc, control_object(r, 0));
	if (object == NULL) {
		refusal_set(&f, REFUSAL_INTERNAL, "control's reply holds no object");
		answer_refusal(a, q, &f);
	} else {
		yyjson_mut_obj_replace(object, yyjson_mut_str(doc, "apiVersion"),
				       yyjson_mut_strcpy(doc, request_api_version(q, version)));
		yyjson_mut_doc_set_root(doc, object);
		answer_document(a, q, r->code == 201 ? 201 : 200, doc);
	}
	yyjson_mut_doc_free(doc);
}

/* Sends one object with a verb. False only when no answer was made: the refusal says why. */
static bool send(struct api *api, const struct request *q, const char *verb, yyjson_mut_val *object,
		 struct control_reply *reply, struct refusal *f)
{
	yyjson_mut_doc *request = control_request(verb, q->user);
	yyjson_mut_val *root = yyjson_mut_doc_get_root(request), *objects;

	if (!body_options(q, request, "Warn", f)) {
		yyjson_mut_doc_free(request);
		return false;
	}
	if (q->path.subresource[0] != '\0')
		yyjson_mut_obj_add_strcpy(request, root, "subresource", q->path.subresource);
	objects = yyjson_mut_obj_add_arr(request, root, "objects");
	yyjson_mut_arr_append(objects, yyjson_mut_val_mut_copy(request, object));
	return control_ask(api->control_path, request, reply, f);
}

static void write_object(struct api *api, const struct request *q, struct answer *a, const char *verb)
{
	struct yaml_documents documents = {0};
	struct control_reply reply;
	yyjson_mut_val *object;
	struct refusal f;

	if (!body_read(q, &documents, &f) || (object = body_object(q, &documents, &f)) == NULL ||
	    !send(api, q, verb, object, &reply, &f)) {
		answer_refusal(a, q, &f);
	} else {
		warn_all(a, &reply);
		if (reply.code >= 300)
			control_pass_on(&reply, q, a);
		else
			answer_object(a, q, &reply);
		control_reply_fini(&reply);
	}
	yaml_documents_fini(&documents);
}

void serve_collection_post(struct api *api, const struct request *q, struct answer *a)
{
	write_object(api, q, a, "create");
}

void serve_object_put(struct api *api, const struct request *q, struct answer *a)
{
	write_object(api, q, a, "update");
}

/*
 * A JSON merge patch (RFC 7386) is a read, a merge and an update that fails when the object changed in between; then
 * all of it is done again, unless the patch itself names the version that it is for.
 */
static bool patch_once(struct api *api, const struct request *q, yyjson_mut_val *patch, struct control_reply *reply,
		       struct refusal *f)
{
	struct source_query query = {.kind = q->kind, .version = q->path.version, .namespace = q->path.namespace,
				     .name = q->path.name};
	yyjson_mut_val *merged;
	struct reading r;
	bool good;

	if (!source_read(api, q->user, &query, &r, f))
		return false;
	merged =
		yyjson_mut_merge_patch(r.doc, yyjson_mut_arr_get_first(r.items), yyjson_mut_val_mut_copy(r.doc, patch));
	CHECK(merged != NULL);
	good = send(api, q, "update", merged, reply, f);
	reading_fini(&r);
	return good;
}

void serve_object_patch(struct api *api, const struct request *q, struct answer *a)
{
	struct yaml_documents documents = {0};
	struct control_reply reply = {0};
	struct refusal f = {0};
	yyjson_mut_val *patch;
	bool versioned, asked = false;

	if (q->content != MEDIA_MERGE_PATCH) {
		refusal_set(&f, REFUSAL_UNSUPPORTED_MEDIA,
			    "the body of the request was in an unknown format - accepted media "
			    "types include: application/merge-patch+json");
		answer_refusal(a, q, &f);
		return;
	}
	if (body_read(q, &documents, &f) && (documents.n != 1 || !yyjson_mut_is_obj(documents.items[0].root)))
		refusal_set(&f, REFUSAL_BAD_REQUEST, "a merge patch must be one object");
	if (f.type == REFUSAL_NONE) {
		patch = documents.items[0].root;
		versioned = yyjson_mut_obj_get(yyjson_mut_obj_get(patch, "metadata"), "resourceVersion") != NULL;
		for (int i = 0; i < ATTEMPTS_MAX && (i == 0 || (asked && reply.code == 409 && !versioned)); i++) {
			control_reply_fini(&reply);
			asked = patch_once(api, q, patch, &reply, &f);
		}
	}
	if (!asked) {
		answer_refusal(a, q, &f);
	} else if (reply.code >= 300) {
		control_pass_on(&reply, q, a);
	} else {
		warn_all(a, &reply);
		answer_object(a, q, &reply);
	}
	control_reply_fini(&reply);
	yaml_documents_fini(&documents);
}

/* DELETE. */

/* What is asked to be deleted: kind, namespace and name, and preconditions. */
static yyjson_mut_val *target_add(yyjson_mut_doc *doc, yyjson_mut_val *objects, const struct kind *kind,
				  const char *namespace, const char *name)
{
	yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, objects), *metadata;
	char version[API_VERSION_MAX];

	yyjson_mut_obj_add_strcpy(doc, object, "apiVersion", kind_api_version(kind, version));
	yyjson_mut_obj_add_str(doc, object, "kind", kind->name);
	metadata = yyjson_mut_obj_add_obj(doc, object, "metadata");
	if (kind->namespaced)
		yyjson_mut_obj_add_strcpy(doc, metadata, "namespace", namespace);
	yyjson_mut_obj_add_strcpy(doc, metadata, "name", name);
	return metadata;
}

/* DeleteOptions in the body: preconditions and dryRun; propagation is always immediate. */
static bool delete_options(const struct request *q, yyjson_mut_doc *request, yyjson_mut_val *metadata,
			   struct refusal *f)
{
	static const char *const preconditions[] = {"uid", "resourceVersion"};
	struct yaml_documents documents = {0};
	yyjson_mut_val *options, *wanted;

	if (q->body_bytes == 0)
		return true;
	if (!body_read(q, &documents, f))
		return false;
	options = documents.n == 1 ? documents.items[0].root : NULL;
	if (yyjson_mut_arr_size(yyjson_mut_obj_get(options, "dryRun")) > 0)
		yyjson_mut_obj_put(yyjson_mut_doc_get_root(request), yyjson_mut_str(request, "dryRun"),
				   yyjson_mut_bool(request, true));
	for (size_t i = 0; metadata != NULL && i < sizeof(preconditions) / sizeof(preconditions[0]); i++) {
		wanted = yyjson_mut_obj_get(yyjson_mut_obj_get(options, "preconditions"), preconditions[i]);
		if (yyjson_mut_is_str(wanted))
			yyjson_mut_obj_add_val(request, metadata, preconditions[i],
					       yyjson_mut_val_mut_copy(request, wanted));
	}
	yaml_documents_fini(&documents);
	return true;
}

static void answer_deleted(struct answer *a, const struct request *q, const struct control_reply *r)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	const char *uid = doc_str(doc_get(control_object(r, 0), "metadata"), "uid");
	yyjson_mut_val *status, *details;

	CHECK(doc != NULL);
	status = yyjson_mut_obj(doc);
	yyjson_mut_obj_add_str(doc, status, "kind", "Status");
	yyjson_mut_obj_add_str(doc, status, "apiVersion", "v1");
	yyjson_mut_obj_add_obj(doc, status, "metadata");
	yyjson_mut_obj_add_str(doc, status, "status", "Success");
	details = yyjson_mut_obj_add_obj(doc, status, "details");
	yyjson_mut_obj_add_str(doc, details, "name", q->path.name);
	if (q->kind->group[0] != '\0')
		yyjson_mut_obj_add_str(doc, details, "group", q->kind->group);
	yyjson_mut_obj_add_str(doc, details, "kind", q->kind->plural);
	yyjson_mut_obj_add_strcpy(doc, details, "uid", uid);
	yyjson_mut_doc_set_root(doc, status);
	answer_document(a, q, 200, doc);
	yyjson_mut_doc_free(doc);
}

void serve_object_delete(struct api *api, const struct request *q, struct answer *a)
{
	yyjson_mut_doc *request = control_request("delete", q->user);
	yyjson_mut_val *objects = yyjson_mut_obj_add_arr(request, yyjson_mut_doc_get_root(request), "objects");
	yyjson_mut_val *metadata = target_add(request, objects, q->kind, q->path.namespace, q->path.name);
	struct control_reply reply;
	struct refusal f;

	if (!body_options(q, request, "Warn", &f) || !delete_options(q, request, metadata, &f)) {
		yyjson_mut_doc_free(request);
		answer_refusal(a, q, &f);
		return;
	}
	if (!control_ask(api->control_path, request, &reply, &f)) {
		answer_refusal(a, q, &f);
		return;
	}
	if (reply.code >= 300)
		control_pass_on(&reply, q, a);
	else
		answer_deleted(a, q, &reply);
	control_reply_fini(&reply);
}

/* The request that deletes all that is there and matches; their number in *n. */
static yyjson_mut_doc *collect(struct api *api, const struct request *q, const struct select *select, size_t *n,
			       struct refusal *f)
{
	struct source_query query = {
		.kind = q->kind, .version = q->path.version, .namespace = q->path.namespace, .name = ""};
	yyjson_mut_doc *request;
	yyjson_mut_val *objects, *v;
	yyjson_mut_arr_iter items;
	struct reading r;

	*n = 0;
	if (!source_read(api, q->user, &query, &r, f))
		return NULL;
	request = control_request("delete", q->user);
	objects = yyjson_mut_obj_add_arr(request, yyjson_mut_doc_get_root(request), "objects");
	yyjson_mut_arr_iter_init(r.items, &items);
	while ((v = yyjson_mut_arr_iter_next(&items)) != NULL) {
		yyjson_mut_val *m = yyjson_mut_obj_get(v, "metadata");
		const char *namespace = yyjson_mut_get_str(yyjson_mut_obj_get(m, "namespace"));

		if (!select_matches(select, v))
			continue;
		target_add(request, objects, q->kind, namespace == NULL ? "" : namespace,
			   yyjson_mut_get_str(yyjson_mut_obj_get(m, "name")));
		*n += 1;
	}
	reading_fini(&r);
	if (!body_options(q, request, "Warn", f) || !delete_options(q, request, NULL, f)) {
		yyjson_mut_doc_free(request);
		return NULL;
	}
	return request;
}

/* The objects that were deleted, as a list. */
static void answer_list(struct answer *a, const struct request *q, const struct control_reply *r)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *list, *metadata, *items;
	char text[REQUEST_VERSION_MAX];

	CHECK(doc != NULL);
	list = yyjson_mut_obj(doc);
	yyjson_mut_obj_add_strcpy(doc, list, "apiVersion", request_api_version(q, text));
	snprintf(text, sizeof(text), "%sList", q->kind->name);
	yyjson_mut_obj_add_strcpy(doc, list, "kind", text);
	metadata = yyjson_mut_obj_add_obj(doc, list, "metadata");
	yyjson_mut_obj_add_strcpy(doc, metadata, "resourceVersion", doc_str(r->root, "resourceVersion"));
	items = yyjson_mut_obj_add_arr(doc, list, "items");
	for (size_t i = 0; i < yyjson_arr_size(doc_get(r->root, "results")); i++)
		if (control_object(r, i) != NULL)
			yyjson_mut_arr_append(items, yyjson_val_mut_copy(doc, control_object(r, i)));
	yyjson_mut_doc_set_root(doc, list);
	answer_document(a, q, 200, doc);
	yyjson_mut_doc_free(doc);
}

/* One transaction. When an object of it is gone meanwhile, the list is made anew. */
void serve_collection_delete(struct api *api, const struct request *q, struct answer *a)
{
	struct select *select = malloc(sizeof(*select));
	struct control_reply reply = {0};
	yyjson_mut_doc *request = NULL;
	struct refusal f;
	size_t n = 0;
	bool asked;

	CHECK(select != NULL);
	asked = select_parse(select, request_query(q, "labelSelector"), request_query(q, "fieldSelector"), &f);
	for (int i = 0; asked && i < ATTEMPTS_MAX && (i == 0 || reply.code == 404); i++) {
		control_reply_fini(&reply);
		request = collect(api, q, select, &n, &f);
		asked = request != NULL;
		if (asked && n == 0) {
			yyjson_mut_doc_free(request);
			break;
		}
		asked = asked && control_ask(api->control_path, request, &reply, &f);
	}
	if (!asked)
		answer_refusal(a, q, &f);
	else if (n > 0 && reply.code >= 300)
		control_pass_on(&reply, q, a);
	else
		answer_list(a, q, &reply);
	control_reply_fini(&reply);
	free(select);
}
