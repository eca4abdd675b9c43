/*
 * GET: one object, or a list of a kind in a namespace or in all, filtered by selectors, in pages, as objects or as a
 * Table.
 *
 * A page's continue token is where it stopped, "namespace/name". It needs no snapshot: what changes between
 * two pages shows or does not, as with an expired token that Kubernetes lets clients go on with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "mgmt-api/api/api.h"
#include "mgmt-api/api/select.h"
#include "mgmt-api/api/source.h"
#include "mgmt-api/api/table.h"

struct page_token {
	char text[2 * PATH_SEGMENT_MAX + 2];
	const char *namespace;
	const char *name;       /* null: from the beginning */
};

static bool token_read(const char *token, struct page_token *out, struct refusal *f)
{
	char *slash;

	*out = (struct page_token){0};
	if (*token == '\0')
		return true;
	snprintf(out->text, sizeof(out->text), "%s", token);
	slash = strchr(out->text, '/');
	if (slash == NULL || strlen(token) >= sizeof(out->text)) {
		refusal_set(f, REFUSAL_BAD_REQUEST, "continue key is not valid");
		return false;
	}
	*slash = '\0';
	out->namespace = out->text;
	out->name = slash + 1;
	return true;
}

static void token_write(yyjson_mut_doc *doc, yyjson_mut_val *metadata, yyjson_mut_val *last)
{
	yyjson_mut_val *m = yyjson_mut_obj_get(last, "metadata");
	const char *namespace = yyjson_mut_get_str(yyjson_mut_obj_get(m, "namespace"));
	const char *name = yyjson_mut_get_str(yyjson_mut_obj_get(m, "name"));
	char text[2 * PATH_SEGMENT_MAX + 2];
	int n = snprintf(text, sizeof(text), "%s/%s", namespace == NULL ? "" : namespace, name == NULL ? "" : name);

	CHECK(n > 0 && (size_t)n < sizeof(text));
	yyjson_mut_obj_add_strcpy(doc, metadata, "continue", text);
}

static bool is_true(const char *value)
{
	return strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

static enum table_object table_form(const struct request *q)
{
	const char *include = request_query(q, "includeObject");

	return strcmp(include, "None") == 0 ? TABLE_OBJECT_NONE :
	       strcmp(include, "Object") == 0 ? TABLE_OBJECT_WHOLE : TABLE_OBJECT_METADATA;
}

static yyjson_mut_val *list_make(yyjson_mut_doc *doc, const struct request *q, yyjson_mut_val *items)
{
	yyjson_mut_val *list = yyjson_mut_obj(doc);
	char text[REQUEST_VERSION_MAX];

	yyjson_mut_obj_add_strcpy(doc, list, "apiVersion", request_api_version(q, text));
	snprintf(text, sizeof(text), "%sList", q->kind->name);
	yyjson_mut_obj_add_strcpy(doc, list, "kind", text);
	yyjson_mut_obj_add_obj(doc, list, "metadata");
	yyjson_mut_obj_add_val(doc, list, "items", items);
	return list;
}

static void answer_reading(struct answer *a, const struct request *q, struct reading *r, yyjson_mut_val *items)
{
	yyjson_mut_val *root = q->wanted.table ? table_make(r->doc, q->kind, items, time(NULL), table_form(q)) :
			       list_make(r->doc, q, items);
	yyjson_mut_val *metadata = yyjson_mut_obj_get(root, "metadata");
	char version[24];

	snprintf(version, sizeof(version), "%llu", (unsigned long long)r->resource_version);
	yyjson_mut_obj_add_strcpy(r->doc, metadata, "resourceVersion", version);
	if (r->more)
		token_write(r->doc, metadata, yyjson_mut_arr_get_last(r->items));
	yyjson_mut_doc_set_root(r->doc, root);
	answer_document(a, q, 200, r->doc);
}

static yyjson_mut_val *filter(struct reading *r, const struct select *s)
{
	yyjson_mut_val *kept = yyjson_mut_arr(r->doc), *v;
	yyjson_mut_arr_iter items;

	yyjson_mut_arr_iter_init(r->items, &items);
	while ((v = yyjson_mut_arr_iter_next(&items)) != NULL)
		if (select_matches(s, v))
			yyjson_mut_arr_append(kept, yyjson_mut_val_mut_copy(r->doc, v));
	return kept;
}

void serve_collection_get(struct api *api, const struct request *q, struct answer *a)
{
	struct source_query query = {.kind = q->kind,
				     .version = q->path.version,
				     .namespace = q->path.namespace,
				     .name = "",
				     .limit = strtoul(request_query(q, "limit"), NULL, 10)};
	struct select *select = malloc(sizeof(*select));
	struct page_token token;
	struct reading r;
	struct refusal f;

	CHECK(select != NULL);
	if (is_true(request_query(q, "watch"))) {
		refusal_set(&f, REFUSAL_METHOD_NOT_ALLOWED, "watch is not supported on resources of this server");
		answer_refusal(a, q, &f);
	} else if (!select_parse(select, request_query(q, "labelSelector"), request_query(q, "fieldSelector"), &f) ||
		   !token_read(request_query(q, "continue"), &token, &f)) {
		answer_refusal(a, q, &f);
	} else {
		query.after_namespace = token.namespace;
		query.after_name = token.name;
		if (source_read(api, q->user, &query, &r, &f)) {
			answer_reading(a, q, &r, select->terms_n == 0 ? r.items : filter(&r, select));
			reading_fini(&r);
		} else {
			answer_refusal(a, q, &f);
		}
	}
	free(select);
}

void serve_object_get(struct api *api, const struct request *q, struct answer *a)
{
	struct source_query query = {.kind = q->kind, .version = q->path.version, .namespace = q->path.namespace,
				     .name = q->path.name};
	struct reading r;
	struct refusal f;

	if (!source_read(api, q->user, &query, &r, &f)) {
		answer_refusal(a, q, &f);
		return;
	}
	if (q->wanted.table) {
		answer_reading(a, q, &r, r.items);
	} else {
		yyjson_mut_doc_set_root(r.doc, yyjson_mut_arr_get_first(r.items));
		answer_document(a, q, 200, r.doc);
	}
	reading_fini(&r);
}
