/*
 * Which listeners a route is attached to (Gateway API: ParentReference, AllowedRoutes, hostnames).
 *
 * Each parentRef is judged by itself, in steps that each may leave nothing: listeners that it selects, those that
 * allow the route's kind and namespace, those whose hostname has something in common with the route's. What is left is
 * attached; the step that left nothing is the reason.
 */
#include <string.h>

#include "control/model/build.h"
#include "control/model/hostname.h"
#include "control/model/selector.h"

enum { ATTACHMENTS_FIRST = 256, HOSTNAMES_MAX = 64 };

static struct model_gateway *parent_gateway(const struct build *b, yyjson_val *ref, const char *route_namespace)
{
	const char *group = doc_str(ref, "group"), *kind = doc_str(ref, "kind"), *namespace = doc_str(ref, "namespace");
	struct name_key key;

	if ((group[0] != '\0' && strcmp(group, GATEWAY_GROUP) != 0) ||
	    (kind[0] != '\0' && strcmp(kind, "Gateway") != 0))
		return NULL;
	/* An explicit empty group is the core group, which has no Gateway. */
	if (group[0] == '\0' && doc_get(ref, "group") != NULL)
		return NULL;
	name_key_clear(&key);
	name_key_add(&key, namespace[0] != '\0' ? namespace : route_namespace);
	name_key_add(&key, doc_str(ref, "name"));
	return names_find(b->gateways, key.bytes, key.len);
}

static bool selected(const struct model_listener *l, yyjson_val *ref)
{
	const char *section = doc_str(ref, "sectionName");
	const int64_t port = doc_int(ref, "port", 0);

	return (section[0] == '\0' || strcmp(section, l->name) == 0) && (port == 0 || port == l->port);
}

static bool namespace_allowed(const struct build *b, const struct model_listener *l, const char *route_namespace)
{
	yyjson_val *namespaces = doc_at(l->spec, "allowedRoutes.namespaces");
	const char *from = doc_str(namespaces, "from");
	const struct object *o;
	struct labels labels = {.namespace = route_namespace};

	if (strcmp(from, "All") == 0)
		return true;
	if (strcmp(from, "Selector") != 0)
		return (from[0] == '\0' || strcmp(from, "Same") == 0) &&
		       strcmp(l->gateway->object->namespace, route_namespace) == 0;
	o = snapshot_find(b->snapshot, "Namespace", "", route_namespace);
	if (o == NULL)
		return false;
	labels.map = doc_at(o->root, "metadata.labels");
	return selector_matches(doc_get(namespaces, "selector"), &labels);
}

/* What the route's hostnames and the listener's have in common, each text once. */
static size_t intersect(const struct model_listener *l, const struct model_route *route,
                        const char *out[static HOSTNAMES_MAX])
{
	yyjson_val *hostnames = doc_at(route->object->root, "spec.hostnames"), *hostname;
	size_t i, n, out_n = 0;

	if (yyjson_arr_size(hostnames) == 0) {
		out[0] = l->hostname;
		return 1;
	}
	yyjson_arr_foreach(hostnames, i, n, hostname) {
		const char *text = yyjson_get_str(hostname);
		const char *both = text != NULL ? hostname_intersect(l->hostname, text) : NULL;
		bool known = both == NULL || out_n == HOSTNAMES_MAX;

		for (size_t k = 0; k < out_n && !known; k++)
			known = strcmp(out[k], both) == 0;
		if (!known)
			out[out_n++] = both;
	}
	return out_n;
}

static void add_attachment(struct build *b, const struct model_attachment *a)
{
	struct model *m = b->model;

	if (m->attachments_n == b->attachments_room) {
		struct model_attachment *larger;

		b->attachments_room = b->attachments_room == 0 ? ATTACHMENTS_FIRST : b->attachments_room * 2;
		larger = REGION_ARRAY(b->region, struct model_attachment, b->attachments_room);
		if (m->attachments_n > 0)
			memcpy(larger, m->attachments, m->attachments_n * sizeof(larger[0]));
		m->attachments = larger;
	}
	m->attachments[m->attachments_n++] = *a;
}

/* A route that two parentRefs bring to one listener is attached to it once. False: there is no room for it. */
static bool attach(struct build *b, struct model_route *route, struct model_listener *l, const char *const *hostnames,
                   size_t n, bool counts)
{
	if (b->seen[l->index] == route->order + 1)
		return true;
	if (l->live && !capacity_attach(b, route, n))
		return false;
	b->seen[l->index] = route->order + 1;
	l->attached_routes += counts;
	if (!l->live)
		return true;
	route->attached = true;
	for (size_t i = 0; i < n; i++)
		add_attachment(b, &(struct model_attachment){.listener = l, .hostname = hostnames[i], .route = route});
	return true;
}

static struct model_condition join(struct build *b, struct model_route *route, struct model_gateway *g, yyjson_val *ref,
                                   const struct model_condition *rules)
{
	bool any_selected = false, any_allowed = false, any_common = false;
	const struct model_listener *full = NULL;

	for (uint32_t i = 0; i < g->listeners_n; i++) {
		struct model_listener *l = &g->listeners[i];
		const char *hostnames[HOSTNAMES_MAX];
		size_t n;

		if (!selected(l, ref))
			continue;
		any_selected = true;
		if (!l->takes_http_routes || !namespace_allowed(b, l, route->object->namespace))
			continue;
		any_allowed = true;
		n = intersect(l, route, hostnames);
		if (n == 0)
			continue;
		any_common = true;
		if (!attach(b, route, l, hostnames, n, rules->ok))
			full = l;
	}
	if (!any_selected)
		return condition_false("NoMatchingParent", "The Gateway has no listener of that name and port.");
	if (!any_allowed)
		return condition_false("NotAllowedByListeners", "No listener allows HTTPRoutes of this namespace.");
	if (!any_common)
		return condition_false("NoMatchingListenerHostname",
				       "No listener has a hostname in common with the route.");
	if (full != NULL)
		return condition_false("LimitReached", region_print(b->region,
			"There is no room for the route on the listener %s (a generation has at most %d bytes).",
			full->name, TABLE_BYTES_MAX));
	return *rules;
}

void attach_route(struct build *b, struct model_route *route, const struct model_condition *rules)
{
	yyjson_val *refs = doc_at(route->object->root, "spec.parentRefs"), *ref;
	size_t i, n;

	route->parents = REGION_ARRAY(b->region, struct model_parent, yyjson_arr_size(refs));
	yyjson_arr_foreach(refs, i, n, ref) {
		struct model_gateway *g = parent_gateway(b, ref, route->object->namespace);

		if (g != NULL)
			route->parents[route->parents_n++] = (struct model_parent){
				.ref = ref, .gateway = g, .accepted = join(b, route, g, ref, rules),
			};
	}
}
