/* delete KIND NAME..., or delete -f: of files, all objects in one transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/ctl/ctl.h"
#include "mgmt-api/ctl/manifest.h"

static void deleted(const struct options *o, const struct kind *kind, const char *name)
{
	printf("%s%s%s \"%s\" deleted%s\n", kind->singular, kind->group[0] == '\0' ? "" : ".", kind->group, name,
	       o->dry_run ? " (server dry run)" : "");
}

static int by_name(struct client *client, const struct options *o, const struct kind *kind, const char *name)
{
	struct client_request q = {.method = "DELETE"};
	char path[CTL_PATH_MAX + 32];
	struct client_reply reply;
	int code = CTL_DONE;

	ctl_path(path, kind, o->namespace == NULL ? "default" : o->namespace, name);
	if (o->dry_run)
		strcat(path, "?dryRun=All");
	q.path = path;
	if (!client_send(client, &q, &reply))
		return CTL_NO_ANSWER;
	if (reply.code < 300)
		deleted(o, kind, name);
	else if (!(reply.code == 404 && o->ignore_not_found))
		code = ctl_refused(&reply);
	client_reply_fini(&reply);
	return code;
}

static int by_names(const struct command *self, const struct options *o)
{
	const struct kind *kind;
	struct client *client;
	int code = CTL_DONE, one;

	if (o->arguments_n < 2)
		return usage_error(self, "a kind and a name, or -f, must be given");
	kind = ctl_kind(o->arguments[0]);
	if (kind == NULL)
		return CTL_FAILED;
	client = client_new(&o->client);
	if (client == NULL)
		return CTL_USAGE;
	for (size_t i = 1; i < o->arguments_n && code != CTL_NO_ANSWER; i++)
		if ((one = by_name(client, o, kind, o->arguments[i])) != CTL_DONE)
			code = one;
	client_free(client);
	return code;
}

static void print_deleted(const struct options *o, const struct client_reply *r)
{
	yyjson_doc *doc = yyjson_read(r->body, r->body_bytes, 0);
	yyjson_arr_iter results = yyjson_arr_iter_with(doc_get(yyjson_doc_get_root(doc), "results"));
	yyjson_val *result;

	while ((result = yyjson_arr_iter_next(&results)) != NULL) {
		const struct kind *kind = kind_find(doc_str(result, "apiVersion"), doc_str(result, "kind"));

		if (kind != NULL)
			deleted(o, kind, doc_str(result, "name"));
	}
	yyjson_doc_free(doc);
}

/* The n-th object that is not skipped. */
static size_t nth(const struct manifest *m, const bool *skip, size_t n)
{
	size_t i = 0;

	while (i < m->objects_n && (skip[i] || n-- > 0))
		i++;
	return i;
}

/* One transaction; an object that is not there is left out of the next try when that is allowed. */
static int transaction(struct client *client, const struct options *o, const struct manifest *m, bool *skip)
{
	char path[CTL_PATH_MAX] = "/sluice/v1/apply?delete=true&namespace=";
	struct client_request q = {.method = "POST", .path = path, .content_type = "application/json"};
	struct client_reply reply;
	int code = CTL_DONE;
	bool again;

	ctl_encode(path + strlen(path), sizeof(path) - strlen(path), o->namespace == NULL ? "default" : o->namespace);
	if (o->dry_run)
		strcat(path, "&dryRun=All");
	do {
		yyjson_doc *doc;
		size_t missing;
		char *body;

		if (nth(m, skip, 0) == m->objects_n)
			return CTL_DONE; /* none of them is there */
		q.body = body = manifest_list(m, skip, &q.body_bytes);
		again = false;
		if (!client_send(client, &q, &reply)) {
			free(body);
			return CTL_NO_ANSWER;
		}
		doc = yyjson_read(reply.body, reply.body_bytes, 0);
		missing = nth(m, skip, (size_t)doc_int(yyjson_doc_get_root(doc), "failed", -1));
		yyjson_doc_free(doc);
		if (reply.code == 404 && o->ignore_not_found && missing < m->objects_n)
			again = skip[missing] = true;
		else if (reply.code >= 300)
			code = ctl_refused(&reply);
		else
			print_deleted(o, &reply);
		client_reply_fini(&reply);
		free(body);
	} while (again);
	if (code != CTL_DONE)
		fprintf(stderr, "error: nothing was changed\n");
	return code;
}

/* What stands last goes first, and namespaces, which take what is in them along, go last of all. */
static void order(struct manifest *m)
{
	struct manifest_object *sorted = calloc(m->objects_n, sizeof(*sorted));
	size_t n = 0;

	CHECK(sorted != NULL);
	for (int namespaces = 0; namespaces < 2; namespaces++) {
		for (size_t i = m->objects_n; i > 0; i--) {
			const char *kind = yyjson_mut_get_str(yyjson_mut_obj_get(m->objects[i - 1].value, "kind"));

			if ((kind != NULL && strcmp(kind, "Namespace") == 0) == namespaces)
				sorted[n++] = m->objects[i - 1];
		}
	}
	free(m->objects);
	m->objects = sorted;
}

static int by_files(const struct options *o)
{
	struct client *client;
	struct manifest m;
	bool *skip;
	int code = CTL_INPUT;

	if (manifest_read(&m, o->files, o->files_n)) {
		order(&m);
		skip = calloc(m.objects_n, sizeof(*skip));
		CHECK(skip != NULL);
		client = client_new(&o->client);
		code = client == NULL ? CTL_USAGE : transaction(client, o, &m, skip);
		client_free(client);
		free(skip);
	}
	manifest_fini(&m);
	return code;
}

int delete_run(const struct command *self, const struct options *o)
{
	if (o->files_n > 0 && o->arguments_n > 0)
		return usage_error(self, "-f and names exclude each other");
	return o->files_n > 0 ? by_files(o) : by_names(self, o);
}
