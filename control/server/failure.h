/*
 * Failures as clients of the Kubernetes API know them (metav1.Status): code, reason, message, details. One request has
 * at most one; which object of the request it was is `index`.
 */
#ifndef SERVER_FAILURE_H
#define SERVER_FAILURE_H

#include "control/admit/causes.h"
#include "control/schema/kind.h"

struct failure {
	int code;               /* HTTP; 0: none */
	const char *reason;     /* "NotFound" */
	char *message;
	const struct kind *kind;        /* null: not about an object */
	char *name;
	int index;              /* -1: the request as a whole */
	struct causes *causes;  /* borrowed; null: none */
};

void failure_fini(struct failure *f);
void failure_set(struct failure *f, int code, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The usual ones about an object: what is wrong follows `httproutes.gateway.networking.k8s.io "shop"`. */
void failure_not_found(struct failure *f, const struct kind *kind, const char *name);
void failure_exists(struct failure *f, const struct kind *kind, const char *name);
void failure_conflict(struct failure *f, const struct kind *kind, const char *name, const char *why);
void failure_forbidden(struct failure *f, const struct kind *kind, const char *name, const char *why);
/* 422 Invalid, or 400 BadRequest when only the strictness of decoding is offended. */
void failure_invalid(struct failure *f, const struct kind *kind, const char *name, struct causes *causes);
yyjson_mut_val *failure_status(const struct failure *f, yyjson_mut_doc *doc);

#endif
