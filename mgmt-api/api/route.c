/* The router: path and method to handler, in one visible table. */
#include <string.h>

#include "base/check.h"
#include "mgmt-api/api/api.h"

typedef void handler(struct api *api, const struct request *q, struct answer *a);

static const struct {
	enum path_type path;
	enum method method;
	handler *handler;
} routes[] = {
	{PATH_ROOT, METHOD_GET, serve_root_get},
	{PATH_HEALTH, METHOD_GET, serve_health_get},
	{PATH_READY, METHOD_GET, serve_ready_get},
	{PATH_VERSION, METHOD_GET, serve_version_get},
	{PATH_CORE, METHOD_GET, serve_core_get},
	{PATH_GROUPS, METHOD_GET, serve_groups_get},
	{PATH_GROUP, METHOD_GET, serve_group_get},
	{PATH_RESOURCES, METHOD_GET, serve_resources_get},
	{PATH_OPENAPI, METHOD_GET, serve_openapi_get},
	{PATH_OPENAPI_GROUP, METHOD_GET, serve_openapi_group_get},
	{PATH_APPLY, METHOD_POST, serve_apply_post},
	{PATH_COLLECTION, METHOD_GET, serve_collection_get},
	{PATH_COLLECTION, METHOD_POST, serve_collection_post},
	{PATH_COLLECTION, METHOD_DELETE, serve_collection_delete},
	{PATH_OBJECT, METHOD_GET, serve_object_get},
	{PATH_OBJECT, METHOD_PUT, serve_object_put},
	{PATH_OBJECT, METHOD_PATCH, serve_object_patch},
	{PATH_OBJECT, METHOD_DELETE, serve_object_delete},
	{PATH_SUBRESOURCE, METHOD_GET, serve_object_get},
	{PATH_SUBRESOURCE, METHOD_PUT, serve_object_put},
	{PATH_SUBRESOURCE, METHOD_PATCH, serve_object_patch},
};

/* Does the path name something that exists? Finds the kind of a resource. */
static bool resolve(struct request *q)
{
	const struct path *p = &q->path;

	if (p->type == PATH_UNKNOWN)
		return false;
	if (p->type != PATH_COLLECTION && p->type != PATH_OBJECT && p->type != PATH_SUBRESOURCE)
		return true;
	q->kind = kind_by_plural(p->group, p->plural);
	if (q->kind == NULL || !kind_serves(q->kind, p->version))
		return false;
	if (p->type == PATH_SUBRESOURCE && (!q->kind->has_status || strcmp(p->subresource, "status") != 0))
		return false;
	/* All namespaces may be listed at once; an object is only found in its own. */
	if (q->kind->namespaced)
		return p->namespaced || p->type == PATH_COLLECTION;
	return !p->namespaced;
}

/* A collection of all namespaces can only be read. */
static bool allows(const struct request *q)
{
	return q->path.type != PATH_COLLECTION || q->path.namespaced || !q->kind->namespaced || q->method == METHOD_GET;
}

void api_handle(struct api *api, struct request *q, struct answer *a)
{
	bool acceptable = q->wanted.media != MEDIA_NONE;
	struct refusal f;

	CHECK(api != NULL && q->body != NULL && q->user != NULL);
	if (!acceptable)
		q->wanted.media = MEDIA_JSON; /* of the refusal */
	if (!resolve(q)) {
		refusal_set(&f, REFUSAL_NOT_FOUND, "the server could not find the requested resource");
		answer_refusal(a, q, &f);
		return;
	}
	if (!acceptable) {
		refusal_set(&f, REFUSAL_NOT_ACCEPTABLE,
			    "only the following media types are accepted: application/json, application/yaml");
		answer_refusal(a, q, &f);
		return;
	}
	for (size_t i = 0; allows(q) && i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (routes[i].path == q->path.type && routes[i].method == q->method) {
			routes[i].handler(api, q, a);
			CHECK(a->code != 0);
			return;
		}
	}
	refusal_set(&f, REFUSAL_METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource");
	answer_refusal(a, q, &f);
}
