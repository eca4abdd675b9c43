/*
 * POST /sluice/v1/apply: many objects, one transaction.
 *
 * The body is a stream of YAML or JSON documents of any kinds; a List is its items. Either all of them are stored or
 * none is. ?namespace= is where namespaced objects go that name none; ?delete=true takes the objects away instead (all
 * must be there). Unknown fields are refused unless ?fieldValidation= says otherwise.
 *
 *   -> {"apiVersion":"sluice.internal/v1alpha1","kind":"ApplyResult","resourceVersion":"123",
 *       "results":[{"result":"created"|"configured"|"unchanged"|"deleted","apiVersion":..,"kind":..,"resource":
 *       "httproutes.gateway.networking.k8s.io","namespace":..,"name":..}]}
 *   or a Status, whose member "failed" is the number of the object (from 0, items of a List count) that was refused.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/api/body.h"
#include "mgmt-api/api/control.h"

struct batch {
	yyjson_mut_doc *request;
	yyjson_mut_val *objects;
	const char *namespace;
	size_t n;
	struct refusal *f;
};

static void fail_at(struct batch *b, uint32_t line, const char *what)
{
	refusal_set(b->f, REFUSAL_BAD_REQUEST, "document on line %u: %s", line, what);
}

static const char *text(yyjson_mut_val *object, const char *name)
{
	const char *value = yyjson_mut_get_str(yyjson_mut_obj_get(object, name));

	return value == NULL ? "" : value;
}

static bool is_list(yyjson_mut_val *object)
{
	const char *kind = text(object, "kind");
	size_t n = strlen(kind);

	return n >= 4 && strcmp(kind + n - 4, "List") == 0 && yyjson_mut_is_arr(yyjson_mut_obj_get(object, "items"));
}

static bool add(struct batch *b, yyjson_mut_val *object, uint32_t line)
{
	const struct kind *kind;
	yyjson_mut_val *copy, *metadata;
	yyjson_mut_arr_iter items;

	if (!yyjson_mut_is_obj(object)) {
		fail_at(b, line, "not an object");
		return false;
	}
	if (is_list(object)) {
		yyjson_mut_arr_iter_init(yyjson_mut_obj_get(object, "items"), &items);
		while ((copy = yyjson_mut_arr_iter_next(&items)) != NULL)
			if (is_list(copy) ? (fail_at(b, line, "a List inside of a List"), true) : !add(b, copy, line))
				return false;
		return true;
	}
	copy = yyjson_mut_val_mut_copy(b->request, object);
	CHECK(copy != NULL);
	kind = kind_find(text(object, "apiVersion"), text(object, "kind"));
	metadata = yyjson_mut_obj_get(copy, "metadata");
	if (kind != NULL && kind->namespaced && yyjson_mut_is_obj(metadata) && text(metadata, "namespace")[0] == '\0')
		yyjson_mut_obj_put(metadata, yyjson_mut_str(b->request, "namespace"),
				   yyjson_mut_strcpy(b->request, b->namespace));
	yyjson_mut_arr_append(b->objects, copy);
	b->n++;
	return true;
}

static void answer_results(struct answer *a, const struct request *q, const struct control_reply *r)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_arr_iter results = yyjson_arr_iter_with(doc_get(r->root, "results"));
	yyjson_mut_val *root, *out, *o;
	yyjson_val *result;

	CHECK(doc != NULL);
	root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_str(doc, root, "apiVersion", "sluice.internal/v1alpha1");
	yyjson_mut_obj_add_str(doc, root, "kind", "ApplyResult");
	yyjson_mut_obj_add_strcpy(doc, root, "resourceVersion", doc_str(r->root, "resourceVersion"));
	out = yyjson_mut_obj_add_arr(doc, root, "results");
	while ((result = yyjson_arr_iter_next(&results)) != NULL) {
		yyjson_val *object = doc_get(result, "object"), *metadata = doc_get(object, "metadata");
		const struct kind *kind = kind_find(doc_str(object, "apiVersion"), doc_str(object, "kind"));
		char resource[RESOURCE_NAME_MAX];

		o = yyjson_mut_arr_add_obj(doc, out);
		yyjson_mut_obj_add_strcpy(doc, o, "result", doc_str(result, "result"));
		yyjson_mut_obj_add_strcpy(doc, o, "apiVersion", doc_str(object, "apiVersion"));
		yyjson_mut_obj_add_strcpy(doc, o, "kind", doc_str(object, "kind"));
		yyjson_mut_obj_add_strcpy(doc, o, "resource", kind == NULL ? "" : refusal_resource(kind, resource));
		yyjson_mut_obj_add_strcpy(doc, o, "namespace", doc_str(metadata, "namespace"));
		yyjson_mut_obj_add_strcpy(doc, o, "name", doc_str(metadata, "name"));
	}
	answer_document(a, q, 200, doc);
	yyjson_mut_doc_free(doc);
}

static void warn_all(struct answer *a, const struct control_reply *r)
{
	yyjson_arr_iter warnings = yyjson_arr_iter_with(doc_get(r->root, "warnings"));
	yyjson_val *w;

	while ((w = yyjson_arr_iter_next(&warnings)) != NULL)
		if (yyjson_is_str(w))
			answer_warn(a, yyjson_get_str(w));
}

static bool batch_fill(struct batch *b, const struct request *q, const struct yaml_documents *documents)
{
	const char *namespace = request_query(q, "namespace");

	b->namespace = namespace[0] == '\0' ? "default" : namespace;
	b->objects = yyjson_mut_obj_add_arr(b->request, yyjson_mut_doc_get_root(b->request), "objects");
	for (size_t i = 0; i < documents->n; i++)
		if (!add(b, documents->items[i].root, documents->items[i].line))
			return false;
	return body_options(q, b->request, "Strict", b->f);
}

static void answer_nothing(struct answer *a, const struct request *q)
{
	struct refusal f;

	refusal_set(&f, REFUSAL_BAD_REQUEST, "the body holds no objects");
	answer_refusal(a, q, &f);
}

void serve_apply_post(struct api *api, const struct request *q, struct answer *a)
{
	const char *verb = strcmp(request_query(q, "delete"), "true") == 0 ? "delete" : "apply";
	struct yaml_documents documents;
	struct control_reply reply;
	struct refusal f;
	struct batch b = {.f = &f};

	if (!body_read(q, &documents, &f)) {
		answer_refusal(a, q, &f);
		return;
	}
	b.request = control_request(verb, q->user);
	if (!batch_fill(&b, q, &documents)) {
		yyjson_mut_doc_free(b.request);
		answer_refusal(a, q, &f);
	} else if (b.n == 0) {
		yyjson_mut_doc_free(b.request);
		answer_nothing(a, q);
	} else if (!control_ask(api->control_path, b.request, &reply, &f)) {
		answer_refusal(a, q, &f);
	} else {
		warn_all(a, &reply);
		if (reply.code >= 300)
			control_pass_on(&reply, q, a);
		else
			answer_results(a, q, &reply);
		control_reply_fini(&reply);
	}
	yaml_documents_fini(&documents);
}
