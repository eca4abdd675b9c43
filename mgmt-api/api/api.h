/*
 * One request and its answer, as the handlers see them: no sockets, no libmicrohttpd. server.c fills a request and
 * sends the answer; tests may do the same.
 */
#ifndef MGMT_API_API_API_H
#define MGMT_API_API_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/doc.h"
#include "mgmt-api/api/refusal.h"
#include "mgmt-api/api/media.h"
#include "mgmt-api/api/path.h"

struct auth;
struct source;

enum {
	API_QUERY_MAX = 16,
	API_WARNINGS_MAX = 32,
	API_TOKEN_MAX = 4096,
	API_BODY_MAX = 3 << 20,         /* one object, as a kube-apiserver has it */
	API_APPLY_BODY_MAX = 15 << 20,  /* many objects in one transaction: what fits into a request to control */
	API_BODIES_MAX = 96 << 20,      /* of all requests at a time */
};

/* What outlives requests. */
struct api {
	char control_path[104];         /* control.sock */
	struct source *source;
	struct auth *auth;
};

enum method { METHOD_OTHER, METHOD_GET, METHOD_POST, METHOD_PUT, METHOD_PATCH, METHOD_DELETE };

/* Who asks. Local: the peer of the Unix socket is root or our own user. */
struct user {
	bool local;
	char token[API_TOKEN_MAX];
	char name[128];
};

struct query {
	const char *name;
	const char *value;
};

struct request {
	enum method method;
	bool head;
	struct path path;
	const struct kind *kind;        /* of a collection, object or subresource */
	struct query query[API_QUERY_MAX];
	uint32_t query_n;
	struct wanted wanted;
	enum media content;
	const char *body;               /* never null */
	size_t body_bytes;
	const struct user *user;
};

struct answer {
	unsigned code;
	const char *content_type;       /* static */
	char *body;                     /* malloc'ed */
	size_t body_bytes;
	char *warnings[API_WARNINGS_MAX];
	uint32_t warnings_n;
	bool retry_after;
};

/* The router: finds the handler and always leaves an answer. */
void api_handle(struct api *api, struct request *q, struct answer *a);
void answer_fini(struct answer *a);

/* A query parameter, "" when it is not given. */
const char *request_query(const struct request *q, const char *name);
/* "gateway.networking.k8s.io/v1", as the path says it. */
enum { REQUEST_VERSION_MAX = 2 * PATH_SEGMENT_MAX };
const char *request_api_version(const struct request *q, char text[static REQUEST_VERSION_MAX]);
/* An answer is a document, in the form that the client asked for, or a refusal, or a plain text. */
void answer_document(struct answer *a, const struct request *q, unsigned code, yyjson_mut_doc *doc);
void answer_refusal(struct answer *a, const struct request *q, const struct refusal *f);
void answer_text(struct answer *a, unsigned code, const char *text);
void answer_warn(struct answer *a, const char *text);

/* Handlers, by file. */
void serve_version_get(struct api *api, const struct request *q, struct answer *a);          /* discovery.c */
void serve_core_get(struct api *api, const struct request *q, struct answer *a);
void serve_groups_get(struct api *api, const struct request *q, struct answer *a);
void serve_group_get(struct api *api, const struct request *q, struct answer *a);
void serve_resources_get(struct api *api, const struct request *q, struct answer *a);
void serve_root_get(struct api *api, const struct request *q, struct answer *a);
void serve_openapi_get(struct api *api, const struct request *q, struct answer *a);          /* openapi.c */
void serve_openapi_group_get(struct api *api, const struct request *q, struct answer *a);
void serve_health_get(struct api *api, const struct request *q, struct answer *a);           /* health.c */
void serve_ready_get(struct api *api, const struct request *q, struct answer *a);
void serve_collection_get(struct api *api, const struct request *q, struct answer *a);       /* read.c */
void serve_object_get(struct api *api, const struct request *q, struct answer *a);
void serve_collection_post(struct api *api, const struct request *q, struct answer *a);      /* write.c */
void serve_object_put(struct api *api, const struct request *q, struct answer *a);
void serve_object_patch(struct api *api, const struct request *q, struct answer *a);
void serve_object_delete(struct api *api, const struct request *q, struct answer *a);
void serve_collection_delete(struct api *api, const struct request *q, struct answer *a);
void serve_apply_post(struct api *api, const struct request *q, struct answer *a);           /* apply.c */

#endif
