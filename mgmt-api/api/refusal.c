/* Refusals as metav1.Status. */
#include "mgmt-api/api/refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

static const struct {
	unsigned code;
	const char *reason;
} types[] = {
	{200, ""},
#define X(name, code, reason) {code, reason},
	REFUSALS(X)
#undef X
};

void refusal_set(struct refusal *f, enum refusal_type type, const char *format, ...)
{
	va_list args;

	CHECK(f != NULL && type != REFUSAL_NONE);
	*f = (struct refusal){.type = type};
	va_start(args, format);
	vsnprintf(f->message, sizeof(f->message), format, args);
	va_end(args);
}

const char *refusal_resource(const struct kind *kind, char text[static RESOURCE_NAME_MAX])
{
	snprintf(text, RESOURCE_NAME_MAX, "%s%s%s", kind->plural, kind->group[0] == '\0' ? "" : ".", kind->group);
	return text;
}

void refusal_not_found(struct refusal *f, const struct kind *kind, const char *name)
{
	char resource[RESOURCE_NAME_MAX];

	refusal_set(f, REFUSAL_NOT_FOUND, "%s \"%.253s\" not found", refusal_resource(kind, resource), name);
	f->kind = kind;
	snprintf(f->name, sizeof(f->name), "%s", name);
}

unsigned refusal_code(enum refusal_type type)
{
	CHECK(type < sizeof(types) / sizeof(types[0]));
	return types[type].code;
}

yyjson_mut_val *refusal_status(const struct refusal *f, yyjson_mut_doc *doc)
{
	yyjson_mut_val *status = yyjson_mut_obj(doc), *details;

	yyjson_mut_obj_add_str(doc, status, "kind", "Status");
	yyjson_mut_obj_add_str(doc, status, "apiVersion", "v1");
	yyjson_mut_obj_add_val(doc, status, "metadata", yyjson_mut_obj(doc));
	yyjson_mut_obj_add_str(doc, status, "status", "Failure");
	yyjson_mut_obj_add_strcpy(doc, status, "message", f->message);
	yyjson_mut_obj_add_str(doc, status, "reason", types[f->type].reason);
	if (f->kind != NULL || f->type == REFUSAL_UNAVAILABLE || f->type == REFUSAL_TOO_MANY) {
		details = yyjson_mut_obj_add_obj(doc, status, "details");
		if (f->name[0] != '\0')
			yyjson_mut_obj_add_strcpy(doc, details, "name", f->name);
		if (f->kind != NULL && f->kind->group[0] != '\0')
			yyjson_mut_obj_add_str(doc, details, "group", f->kind->group);
		if (f->kind != NULL)
			yyjson_mut_obj_add_str(doc, details, "kind", f->kind->plural);
		if (f->type == REFUSAL_UNAVAILABLE || f->type == REFUSAL_TOO_MANY)
			yyjson_mut_obj_add_uint(doc, details, "retryAfterSeconds", 1);
	}
	yyjson_mut_obj_add_uint(doc, status, "code", types[f->type].code);
	return status;
}
