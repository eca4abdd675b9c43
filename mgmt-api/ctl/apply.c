/*
 * apply -f: all objects of all files as one transaction. Either everything is stored, or nothing is and every error
 * says file, line, object and field. Asked again until it is acknowledged: applying twice changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt-api/ctl/ctl.h"
#include "mgmt-api/ctl/manifest.h"

static const char *text(yyjson_mut_val *object, const char *name)
{
	const char *value = yyjson_mut_get_str(yyjson_mut_obj_get(object, name));

	return value == NULL ? "" : value;
}

/* "HTTPRoute default/shop" */
static void print_object(yyjson_mut_val *object, const char *default_namespace)
{
	yyjson_mut_val *metadata = yyjson_mut_obj_get(object, "metadata");
	const char *namespace = text(metadata, "namespace"), *kind_name = text(object, "kind");
	const struct kind *kind = kind_by_name(kind_name);

	if (namespace[0] == '\0' && kind != NULL && kind->namespaced)
		namespace = default_namespace;
	fprintf(stderr, "%s %s%s%s: ", kind_name[0] == '\0' ? "object" : kind_name, namespace,
		namespace[0] == '\0' ? "" : "/", text(metadata, "name"));
}

static void print_cause(const struct manifest *m, size_t object, const char *namespace, yyjson_val *cause)
{
	const char *field = doc_str(cause, "field");

	manifest_print_place(m, object, field);
	print_object(m->objects[object].value, namespace);
	fprintf(stderr, "%s%s%s\n", field, field[0] == '\0' ? "" : ": ", doc_str(cause, "message"));
}

static int refused(const struct manifest *m, const struct options *o, const struct client_reply *r)
{
	yyjson_doc *doc = yyjson_read(r->body, r->body_bytes, 0);
	yyjson_val *status = yyjson_doc_get_root(doc), *causes = doc_at(status, "details.causes"), *cause;
	size_t failed = (size_t)doc_int(status, "failed", -1);
	const char *namespace = o->namespace == NULL ? "default" : o->namespace;
	yyjson_arr_iter iter = yyjson_arr_iter_with(causes);
	int code;

	if (failed >= m->objects_n) {
		code = ctl_refused(r);
	} else {
		code = CTL_FAILED;
		ctl_warnings(r);
		while ((cause = yyjson_arr_iter_next(&iter)) != NULL)
			print_cause(m, failed, namespace, cause);
		if (yyjson_arr_size(causes) == 0) {
			manifest_print_place(m, failed, "");
			print_object(m->objects[failed].value, namespace);
			fprintf(stderr, "%s\n", doc_str(status, "message"));
		}
	}
	fprintf(stderr, "error: nothing was changed\n");
	yyjson_doc_free(doc);
	return code;
}

static int print_results(const struct options *o, const struct client_reply *r)
{
	yyjson_doc *doc = yyjson_read(r->body, r->body_bytes, 0);
	yyjson_arr_iter results = yyjson_arr_iter_with(doc_get(yyjson_doc_get_root(doc), "results"));
	yyjson_val *result;

	ctl_warnings(r);
	if (doc == NULL) {
		fprintf(stderr, "error: the server's answer cannot be understood: %.200s\n", r->body);
		return CTL_FAILED;
	}
	while ((result = yyjson_arr_iter_next(&results)) != NULL) {
		const struct kind *kind = kind_find(doc_str(result, "apiVersion"), doc_str(result, "kind"));

		if (kind != NULL)
			ctl_print_name(kind, doc_str(result, "name"));
		printf(" %s%s\n", doc_str(result, "result"), o->dry_run ? " (server dry run)" : "");
	}
	yyjson_doc_free(doc);
	return CTL_DONE;
}

int apply_run(const struct command *self, const struct options *o)
{
	struct client_request q = {.method = "POST", .content_type = "application/json"};
	char path[CTL_PATH_MAX] = "/sluice/v1/apply?fieldValidation=Strict&namespace=";
	struct client_reply reply;
	struct client *client;
	struct manifest m;
	int code = CTL_INPUT;
	char *body;

	if (o->files_n == 0)
		return usage_error(self, "must specify -f");
	if (o->arguments_n > 0)
		return usage_error(self, "unexpected argument \"%s\"", o->arguments[0]);
	if (manifest_read(&m, o->files, o->files_n)) {
		ctl_encode(path + strlen(path), sizeof(path) - strlen(path),
			   o->namespace == NULL ? "default" : o->namespace);
		if (o->dry_run)
			strcat(path, "&dryRun=All");
		q.path = path;
		q.body = body = manifest_list(&m, NULL, &q.body_bytes);
		client = client_new(&o->client);
		code = CTL_USAGE;
		if (client != NULL) {
			code = !client_send(client, &q, &reply) ? CTL_NO_ANSWER :
			       reply.code >= 300 ? refused(&m, o, &reply) : print_results(o, &reply);
			client_reply_fini(&reply);
		}
		client_free(client);
		free(body);
	}
	manifest_fini(&m);
	return code;
}
