/*
 * What went wrong, in Kubernetes' words: a metav1.Status before it is written. Clients switch on code and reason, and
 * people and scripts match on the message, so both are what a kube-apiserver says in the same case.
 */
#ifndef MGMT_API_API_REFUSAL_H
#define MGMT_API_API_REFUSAL_H

#include "base/doc.h"
#include "control/schema/kind.h"

/* REFUSAL(name, HTTP status, reason) */
#define REFUSALS(X) \
	X(BAD_REQUEST, 400, "BadRequest") \
	X(UNAUTHORIZED, 401, "Unauthorized") \
	X(FORBIDDEN, 403, "Forbidden") \
	X(NOT_FOUND, 404, "NotFound") \
	X(METHOD_NOT_ALLOWED, 405, "MethodNotAllowed") \
	X(NOT_ACCEPTABLE, 406, "NotAcceptable") \
	X(ALREADY_EXISTS, 409, "AlreadyExists") \
	X(CONFLICT, 409, "Conflict") \
	X(TOO_LARGE, 413, "RequestEntityTooLarge") \
	X(UNSUPPORTED_MEDIA, 415, "UnsupportedMediaType") \
	X(INVALID, 422, "Invalid") \
	X(TOO_MANY, 429, "TooManyRequests") \
	X(INTERNAL, 500, "InternalError") \
	X(UNAVAILABLE, 503, "ServiceUnavailable") \
	X(TIMEOUT, 504, "Timeout")

enum refusal_type {
	REFUSAL_NONE,
#define X(name, code, reason) REFUSAL_##name,
	REFUSALS(X)
#undef X
};

struct refusal {
	enum refusal_type type;
	const struct kind *kind;        /* details; may be null */
	char name[254];                 /* details; may be empty */
	char message[768];
};

__attribute__((format(printf, 3, 4)))
void refusal_set(struct refusal *f, enum refusal_type type, const char *format, ...);
/* With the object in the details: `httproutes.gateway.networking.k8s.io "shop" not found`. */
void refusal_not_found(struct refusal *f, const struct kind *kind, const char *name);
/* "httproutes.gateway.networking.k8s.io", "secrets" */
enum { RESOURCE_NAME_MAX = 160 };
const char *refusal_resource(const struct kind *kind, char text[static RESOURCE_NAME_MAX]);

unsigned refusal_code(enum refusal_type type);
yyjson_mut_val *refusal_status(const struct refusal *f, yyjson_mut_doc *doc);

#endif
