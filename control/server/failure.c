/* See failure.h. The sentences are the API's own: tools match on them. */
#include "control/server/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { RESOURCE_MAX = 160 };

void failure_fini(struct failure *f)
{
	free(f->message);
	free(f->name);
	*f = (struct failure){.index = -1};
}

void failure_set(struct failure *f, int code, const char *reason, const char *format, ...)
{
	va_list arguments;

	free(f->message);
	f->code = code;
	f->reason = reason;
	va_start(arguments, format);
	CHECK(vasprintf(&f->message, format, arguments) >= 0);
	va_end(arguments);
}

static void about(struct failure *f, const struct kind *kind, const char *name)
{
	f->kind = kind;
	free(f->name);
	f->name = strdup(name);
}

/* "httproutes.gateway.networking.k8s.io", "secrets" */
static const char *resource(const struct kind *kind, char text[static RESOURCE_MAX])
{
	snprintf(text, RESOURCE_MAX, "%s%s%s", kind->plural, *kind->group ? "." : "", kind->group);
	return text;
}

void failure_not_found(struct failure *f, const struct kind *kind, const char *name)
{
	char text[RESOURCE_MAX];

	about(f, kind, name);
	failure_set(f, 404, "NotFound", "%s \"%s\" not found", resource(kind, text), name);
}

void failure_exists(struct failure *f, const struct kind *kind, const char *name)
{
	char text[RESOURCE_MAX];

	about(f, kind, name);
	failure_set(f, 409, "AlreadyExists", "%s \"%s\" already exists", resource(kind, text), name);
}

void failure_conflict(struct failure *f, const struct kind *kind, const char *name, const char *why)
{
	char text[RESOURCE_MAX];

	about(f, kind, name);
	failure_set(f, 409, "Conflict", "Operation cannot be fulfilled on %s \"%s\": %s", resource(kind, text), name,
		    why);
}

void failure_forbidden(struct failure *f, const struct kind *kind, const char *name, const char *why)
{
	char text[RESOURCE_MAX];

	about(f, kind, name);
	failure_set(f, 403, "Forbidden", "%s \"%s\" is forbidden: %s", resource(kind, text), name, why);
}

static bool only_strictness(const struct causes *causes)
{
	for (size_t i = 0; i < causes->n; i++)
		if (!cause_is_strictness(causes->items[i].reason))
			return false;
	return true;
}

void failure_invalid(struct failure *f, const struct kind *kind, const char *name, struct causes *causes)
{
	bool strictness = only_strictness(causes);
	size_t n;
	char *list;
	FILE *out = open_memstream(&list, &n);

	CHECK(out);
	for (size_t i = 0; i < causes->n; i++)
		if (cause_is_strictness(causes->items[i].reason))
			fprintf(out, "%s%s", i ? ", " : "", causes->items[i].message);
		else
			fprintf(out, "%s%s: %s", i ? ", " : "", causes->items[i].field, causes->items[i].message);
	if (causes->total > causes->n)
		fprintf(out, ", and %zu more", causes->total - causes->n);
	CHECK(fclose(out) == 0);
	about(f, kind, name);
	f->causes = causes;
	if (strictness)
		failure_set(f, 400, "BadRequest", "%s \"%s\" cannot be handled: strict decoding error: %s", kind->name,
			    name, list);
	else
		failure_set(f, 422, "Invalid", "%s%s%s \"%s\" is invalid: %s%s%s", kind->name, *kind->group ? "." : "",
			    kind->group, name, causes->total > 1 ? "[" : "", list, causes->total > 1 ? "]" : "");
	free(list);
}

static yyjson_mut_val *cause_value(const struct cause *c, yyjson_mut_doc *doc)
{
	yyjson_mut_val *v = yyjson_mut_obj(doc);

	yyjson_mut_obj_add_str(doc, v, "reason", cause_reason_name(c->reason));
	yyjson_mut_obj_add_strcpy(doc, v, "message", c->message);
	yyjson_mut_obj_add_strcpy(doc, v, "field", c->field);
	return v;
}

yyjson_mut_val *failure_status(const struct failure *f, yyjson_mut_doc *doc)
{
	yyjson_mut_val *v = yyjson_mut_obj(doc), *details, *causes;

	yyjson_mut_obj_add_str(doc, v, "kind", "Status");
	yyjson_mut_obj_add_str(doc, v, "apiVersion", "v1");
	yyjson_mut_obj_add_obj(doc, v, "metadata");
	yyjson_mut_obj_add_str(doc, v, "status", "Failure");
	yyjson_mut_obj_add_strcpy(doc, v, "message", f->message);
	yyjson_mut_obj_add_str(doc, v, "reason", f->reason);
	if (f->kind) {
		details = yyjson_mut_obj_add_obj(doc, v, "details");
		yyjson_mut_obj_add_strcpy(doc, details, "name", f->name);
		if (*f->kind->group)
			yyjson_mut_obj_add_str(doc, details, "group", f->kind->group);
		yyjson_mut_obj_add_str(doc, details, "kind", f->causes ? f->kind->name : f->kind->plural);
		if (f->causes) {
			causes = yyjson_mut_obj_add_arr(doc, details, "causes");
			for (size_t i = 0; i < f->causes->n; i++)
				yyjson_mut_arr_append(causes, cause_value(&f->causes->items[i], doc));
		}
	}
	yyjson_mut_obj_add_int(doc, v, "code", f->code);
	return v;
}
