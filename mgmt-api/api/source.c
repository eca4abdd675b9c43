/* Reading objects, from the store or from control. */
#include "mgmt-api/api/source.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/store/store.h"
#include "mgmt-api/api/control.h"

struct source {
	pthread_mutex_t mutex;
	char directory[4096];
	struct store_reader *reader;    /* null until the store is there */
};

struct source *source_new(const char *store_directory)
{
	struct source *s = calloc(1, sizeof(*s));

	CHECK(s != NULL && strlen(store_directory) < sizeof(s->directory));
	pthread_mutex_init(&s->mutex, NULL);
	strcpy(s->directory, store_directory);
	return s;
}

void source_free(struct source *s)
{
	if (s == NULL)
		return;
	store_reader_close(s->reader);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

static struct store_reader *reader_get(struct source *s, struct refusal *f)
{
	char error[256];

	pthread_mutex_lock(&s->mutex);
	if (s->reader == NULL) {
		s->reader = store_reader_open(s->directory, error);
		if (s->reader == NULL)
			refusal_set(f, REFUSAL_UNAVAILABLE, "the store cannot be read (%s): try again", error);
	}
	pthread_mutex_unlock(&s->mutex);
	return s->reader;
}

/* A stored object is of the stored version; other served versions are a relabelling. */
static void relabel(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct source_query *q)
{
	char text[API_VERSION_MAX];
	int n = snprintf(text, sizeof(text), "%s%s%s", q->kind->group, q->kind->group[0] == '\0' ? "" : "/",
			 q->version);

	CHECK(n > 0 && (size_t)n < sizeof(text));
	if (strcmp(q->version, q->kind->stored_version) != 0)
		yyjson_mut_obj_replace(object, yyjson_mut_str(doc, "apiVersion"), yyjson_mut_strcpy(doc, text));
}

static bool add(struct reading *out, const struct source_query *q, const struct store_item *item)
{
	yyjson_doc *doc = yyjson_read(item->json, item->json_n, 0);
	yyjson_mut_val *object = yyjson_val_mut_copy(out->doc, yyjson_doc_get_root(doc));

	yyjson_doc_free(doc);
	if (!yyjson_mut_is_obj(object))
		return false;
	relabel(out->doc, object, q);
	return yyjson_mut_arr_append(out->items, object);
}

static bool read_store(struct api *api, const struct source_query *q, struct reading *out, struct refusal *f)
{
	struct store_page page = {
		.after_namespace = q->after_namespace, .after_name = q->after_name, .limit = q->limit};
	struct store_reader *reader = reader_get(api->source, f);
	struct store_list list;
	bool good = true;
	enum err e;

	if (reader == NULL)
		return false;
	e = q->name[0] != '\0' ? store_reader_get(reader, q->kind, q->namespace, q->name, &list) :
	    store_reader_list(reader, q->kind, q->namespace[0] == '\0' ? NULL : q->namespace, &page, &list);
	if (e == ERR_NOT_FOUND) {
		refusal_not_found(f, q->kind, q->name);
		return false;
	}
	if (e != OK) {
		refusal_set(f, REFUSAL_INTERNAL, "the store cannot be read: %s", err_text(e));
		return false;
	}
	out->resource_version = list.resource_version;
	out->more = list.more;
	for (size_t i = 0; good && i < list.n; i++)
		good = add(out, q, &list.items[i]);
	store_list_fini(&list);
	if (!good)
		refusal_set(f, REFUSAL_INTERNAL, "the store holds something that is no object");
	return good;
}

static void name_target(yyjson_mut_doc *doc, const struct source_query *q)
{
	yyjson_mut_val *objects = yyjson_mut_obj_add_arr(doc, yyjson_mut_doc_get_root(doc), "objects");
	yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, objects), *metadata;
	char text[API_VERSION_MAX];

	yyjson_mut_obj_add_strcpy(doc, object, "apiVersion", kind_api_version(q->kind, text));
	yyjson_mut_obj_add_str(doc, object, "kind", q->kind->name);
	metadata = yyjson_mut_obj_add_obj(doc, object, "metadata");
	if (q->namespace[0] != '\0')
		yyjson_mut_obj_add_strcpy(doc, metadata, "namespace", q->namespace);
	if (q->name[0] != '\0')
		yyjson_mut_obj_add_strcpy(doc, metadata, "name", q->name);
}

static void status_to_refusal(const struct control_reply *reply, const struct source_query *q, struct refusal *f)
{
	const char *message = doc_str(doc_get(reply->root, "status"), "message");

	if (reply->code == 404)
		refusal_not_found(f, q->kind, q->name);
	else if (reply->code == 403)
		refusal_set(f, REFUSAL_FORBIDDEN, "%s", message);
	else if (reply->code == 401)
		refusal_set(f, REFUSAL_UNAUTHORIZED, "Unauthorized");
	else
		refusal_set(f, REFUSAL_INTERNAL, "control refused: %s", message);
}

static bool read_control(struct api *api, const struct user *user, const struct source_query *q, struct reading *out,
			 struct refusal *f)
{
	yyjson_mut_doc *request = control_request(q->name[0] == '\0' ? "list" : "get", user);
	struct control_reply reply;
	yyjson_arr_iter results;
	yyjson_mut_val *copy;
	yyjson_val *result;

	name_target(request, q);
	if (!control_ask(api->control_path, request, &reply, f))
		return false;
	if (reply.code >= 300) {
		status_to_refusal(&reply, q, f);
		control_reply_fini(&reply);
		return false;
	}
	out->resource_version = strtoull(doc_str(reply.root, "resourceVersion"), NULL, 10);
	results = yyjson_arr_iter_with(doc_get(reply.root, "results"));
	while ((result = yyjson_arr_iter_next(&results)) != NULL) {
		copy = yyjson_val_mut_copy(out->doc, doc_get(result, "object"));
		if (copy == NULL)
			continue;
		relabel(out->doc, copy, q);
		yyjson_mut_arr_append(out->items, copy);
	}
	control_reply_fini(&reply);
	return true;
}

bool source_read(struct api *api, const struct user *user, const struct source_query *q, struct reading *out,
		 struct refusal *f)
{
	bool good;

	*out = (struct reading){.doc = yyjson_mut_doc_new(NULL)};
	CHECK(out->doc != NULL);
	out->items = yyjson_mut_arr(out->doc);
	if (strcmp(q->kind->name, "Secret") == 0)
		good = read_control(api, user, q, out, f);
	else
		good = read_store(api, q, out, f);
	if (good && q->name[0] != '\0' && yyjson_mut_arr_size(out->items) != 1) {
		refusal_not_found(f, q->kind, q->name);
		good = false;
	}
	if (!good)
		reading_fini(out);
	return good;
}

void reading_fini(struct reading *r)
{
	yyjson_mut_doc_free(r->doc);
	*r = (struct reading){0};
}
