/*
 * One function per kind builds the whole new status into a scratch document; what is the same as the stored one is
 * forgotten, what differs becomes a patch. The condition texts come from the model; only Programmed and Ready are
 * decided here, since they depend on the data plane's verdict.
 */
#include "control/status/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/status/write.h"

struct status_round {
	const struct model *model;
	const struct publish_verdict *verdict;
	struct status_writer writer;
	struct status_patches *out;
	size_t room;
	char refused[256];
};

/* ---- addresses that other hosts claim ---- */

static bool has_address(const struct model_gateway *g, const struct addr *a)
{
	for (uint32_t i = 0; i < g->addresses_n; i++)
		if (addr_equal(&g->addresses[i], a))
			return true;
	return false;
}

/*
 * AddressConflict: of the addresses of a Gateway, or of the whole box (g null). Not there until there was one.
 * *unusable: how many are not used because of it.
 */
static struct model_condition address_conflict(struct status_round *s, const struct model_gateway *g, yyjson_val *old,
                                               unsigned *unusable)
{
	const struct publish_verdict *v = s->verdict;
	char all[1024], text[ADDR_TEXT_MAX];
	size_t n = 0;

	*unusable = 0;
	for (uint32_t i = 0; i < v->conflicts_n && n < sizeof(all); i++) {
		const struct publish_conflict *c = &v->conflicts[i];

		if (g != NULL && !has_address(g, &c->addr))
			continue;
		*unusable += !c->usable;
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s is also claimed by %s and %s", n ? "; " : "",
		                      addr_print(&c->addr, text), c->claimant,
		                      c->usable ? "is defended" : "is not used meanwhile");
	}
	if (n > 0)
		return (struct model_condition){.ok = true, .reason = "ClaimedByAnotherHost",
		                                .message = yyjson_mut_get_str(yyjson_mut_strcpy(s->writer.doc, all))};
	if (find_condition(old, "AddressConflict") == NULL)
		return (struct model_condition){.reason = NULL};
	return (struct model_condition){.reason = "NoConflict", .message = "No other host claims its addresses."};
}

/* ---- Programmed ---- */

/* What the verdict says about something that is in the tables. */
static struct model_condition programmed_by_verdict(struct status_round *s, yyjson_val *old, const char *type,
                                                    const char *ok_reason, const char *refused_reason)
{
	yyjson_val *before = find_condition(old, type);

	if (s->verdict->state == PUBLISH_LIVE)
		return (struct model_condition){
			.ok = true, .reason = ok_reason, .message = "The data plane serves it."};
	if (s->verdict->state == PUBLISH_REFUSED)
		return (struct model_condition){.reason = refused_reason, .message = s->refused};
	/* Nothing is known now: what was said of this generation stands. */
	if (before != NULL && doc_int(before, "observedGeneration", -1) == s->writer.generation &&
	    strcmp(doc_str(before, "reason"), ok_reason) == 0)
		return (struct model_condition){
			.ok = strcmp(doc_str(before, "status"), "True") == 0,
			.reason = doc_str(before, "reason"),
			.message = doc_str(before, "message"),
		};
	return (struct model_condition){.reason = "Pending", .message = "The data plane cannot be reached yet."};
}

static struct model_condition gateway_programmed(struct status_round *s, const struct model_gateway *g, yyjson_val *old)
{
	struct model_condition c;

	if (!g->accepted.ok)
		return (struct model_condition){.reason = "Invalid", .message = g->accepted.message};
	if (!g->addressed.ok)
		return g->addressed;
	c = programmed_by_verdict(s, old, "Programmed", "Programmed", "Invalid");
	/* Addresses are assigned, but there may be more to say about them. */
	if (s->verdict->state == PUBLISH_LIVE)
		c.message = g->addressed.message;
	return c;
}

static struct model_condition listener_programmed(struct status_round *s, const struct model_listener *l,
						  yyjson_val *old)
{
	if (!l->accepted.ok)
		return (struct model_condition){.reason = "Invalid", .message = l->accepted.message};
	if (!l->takes_http_routes)
		return (struct model_condition){.reason = "Invalid", .message = l->resolved_refs.message};
	if (!l->live)
		return (struct model_condition){.reason = "Pending",
						.message = "The Gateway is not accepted or has no address."};
	return programmed_by_verdict(s, old, "Programmed", "Programmed", "Invalid");
}

/* ---- writing ---- */

static void add_condition(struct status_round *s, yyjson_mut_val *list, yyjson_val *old, const char *type,
                          const struct model_condition *c)
{
	if (c->reason != NULL)
		write_condition(&s->writer, list, old, type, c->ok, c->reason, c->message);
}

/* Takes the new status of an object; a patch comes of it when it differs. */
static enum err finish(struct status_round *s, const struct object *o, yyjson_mut_val *status)
{
	struct status_patches *out = s->out;
	struct status_patch patch = {.object = o};

	if (doc_same(status, doc_get(o->root, "status")))
		return OK;
	patch.status = yyjson_mut_val_write(status, 0, &patch.status_n);
	if (patch.status == NULL)
		return ERR_NO_MEMORY;
	if (out->n == s->room) {
		struct status_patch *larger;

		s->room = s->room == 0 ? 64 : s->room * 2;
		larger = realloc(out->items, s->room * sizeof(larger[0]));
		if (larger == NULL) {
			free(patch.status);
			return ERR_NO_MEMORY;
		}
		out->items = larger;
	}
	out->items[out->n++] = patch;
	return OK;
}

static yyjson_val *stored(const struct object *o, const char *member)
{
	return doc_get(doc_get(o->root, "status"), member);
}

/* Begins an object's status: everything that is not ours is kept. */
static yyjson_mut_val *begin(struct status_round *s, const struct object *o, const char *const *ours)
{
	yyjson_mut_val *status = yyjson_mut_obj(s->writer.doc);

	s->writer.generation = o->generation;
	copy_others(&s->writer, status, doc_get(o->root, "status"), ours);
	return status;
}

static yyjson_mut_val *add_list(struct status_round *s, yyjson_mut_val *object, const char *name)
{
	return yyjson_mut_obj_add_arr(s->writer.doc, object, name);
}

/* ---- GatewayClass ---- */

/* What the conformance suite calls what this version does. In the order of the names. */
static const char *const supported_features[] = {
	"Gateway",
	"GatewayAddressEmpty",
	"GatewayHTTPListenerIsolation",
	"GatewayPort8080",
	"GatewayStaticAddresses",
	"HTTPRoute",
	"HTTPRoute303RedirectStatusCode",
	"HTTPRoute307RedirectStatusCode",
	"HTTPRoute308RedirectStatusCode",
	"HTTPRouteBackendProtocolWebSocket",
	"HTTPRouteBackendRequestHeaderModification",
	"HTTPRouteBackendTimeout",
	"HTTPRouteCORS",
	"HTTPRouteDestinationPortMatching",
	"HTTPRouteHostRewrite",
	"HTTPRouteMethodMatching",
	"HTTPRouteNamedRouteRule",
	"HTTPRouteParentRefPort",
	"HTTPRoutePathRedirect",
	"HTTPRoutePathRewrite",
	"HTTPRoutePortRedirect",
	"HTTPRouteQueryParamMatching",
	"HTTPRouteRequestMirror",
	"HTTPRouteRequestMultipleMirrors",
	"HTTPRouteRequestPercentageMirror",
	"HTTPRouteRequestTimeout",
	"HTTPRouteResponseHeaderModification",
	"HTTPRouteRetry",
	"HTTPRouteRetryBackendTimeout",
	"HTTPRouteRetryConnectionError",
	"HTTPRouteSchemeRedirect",
	"ReferenceGrant",
};

static enum err class_status(struct status_round *s, const struct model_class *c)
{
	static const char *const members[] = {"conditions", "supportedFeatures", NULL};
	static const char *const types[] = {"Accepted", NULL};
	yyjson_mut_val *status = begin(s, c->object, members);
	yyjson_val *old = stored(c->object, "conditions");
	yyjson_mut_val *list = add_list(s, status, "conditions");

	copy_other_conditions(&s->writer, list, old, types);
	add_condition(s, list, old, "Accepted", &c->accepted);
	list = add_list(s, status, "supportedFeatures");
	for (size_t i = 0; i < sizeof(supported_features) / sizeof(supported_features[0]); i++)
		yyjson_mut_obj_add_str(s->writer.doc, yyjson_mut_arr_add_obj(s->writer.doc, list), "name",
		                       supported_features[i]);
	return finish(s, c->object, status);
}

/* ---- Gateway ---- */

static yyjson_val *stored_listener(const struct object *o, const char *name)
{
	size_t i, n;
	yyjson_val *item;

	yyjson_arr_foreach(stored(o, "listeners"), i, n, item) {
		if (strcmp(doc_str(item, "name"), name) == 0)
			return item;
	}
	return NULL;
}

static void add_listener(struct status_round *s, yyjson_mut_val *list, const struct model_gateway *g,
                         const struct model_listener *l)
{
	yyjson_mut_doc *doc = s->writer.doc;
	yyjson_val *old = doc_get(stored_listener(g->object, l->name), "conditions");
	const struct model_condition programmed = listener_programmed(s, l, old);
	yyjson_mut_val *out = yyjson_mut_arr_add_obj(doc, list), *kinds, *kind, *conditions;

	yyjson_mut_obj_add_str(doc, out, "name", l->name);
	kinds = add_list(s, out, "supportedKinds");
	if (l->takes_http_routes) {
		kind = yyjson_mut_arr_add_obj(doc, kinds);
		yyjson_mut_obj_add_str(doc, kind, "group", "gateway.networking.k8s.io");
		yyjson_mut_obj_add_str(doc, kind, "kind", "HTTPRoute");
	}
	yyjson_mut_obj_add_int(doc, out, "attachedRoutes", l->attached_routes);
	conditions = add_list(s, out, "conditions");
	add_condition(s, conditions, old, "Accepted", &l->accepted);
	add_condition(s, conditions, old, "Conflicted", &l->conflicted);
	add_condition(s, conditions, old, "Programmed", &programmed);
	add_condition(s, conditions, old, "ResolvedRefs", &l->resolved_refs);
}

static void add_addresses(struct status_round *s, yyjson_mut_val *list, const struct model_gateway *g)
{
	for (uint32_t i = 0; i < g->addresses_n; i++) {
		yyjson_mut_val *a = yyjson_mut_arr_add_obj(s->writer.doc, list);
		char text[ADDR_TEXT_MAX];

		yyjson_mut_obj_add_str(s->writer.doc, a, "type", "IPAddress");
		yyjson_mut_obj_add_strcpy(s->writer.doc, a, "value", addr_print(&g->addresses[i], text));
	}
}

static enum err gateway_status(struct status_round *s, const struct model_gateway *g)
{
	static const char *const members[] = {"addresses", "conditions", "listeners", NULL};
	static const char *const types[] = {"Accepted", "AddressConflict", "Programmed", "ResolvedRefs", NULL};
	yyjson_mut_val *status = begin(s, g->object, members), *list;
	yyjson_val *old = stored(g->object, "conditions");
	struct model_condition programmed = gateway_programmed(s, g, old);
	unsigned unusable;
	const struct model_condition conflict = address_conflict(s, g, old, &unusable);

	if (programmed.ok && unusable > 0)
		programmed = (struct model_condition){.reason = "AddressNotUsable", .message = conflict.message};
	if (g->addresses_n > 0)
		add_addresses(s, add_list(s, status, "addresses"), g);
	list = add_list(s, status, "conditions");
	copy_other_conditions(&s->writer, list, old, types);
	add_condition(s, list, old, "Accepted", &g->accepted);
	add_condition(s, list, old, "AddressConflict", &conflict);
	add_condition(s, list, old, "Programmed", &programmed);
	add_condition(s, list, old, "ResolvedRefs", &g->resolved_refs);
	list = add_list(s, status, "listeners");
	for (uint32_t i = 0; i < g->listeners_n; i++)
		add_listener(s, list, g, &g->listeners[i]);
	return finish(s, g->object, status);
}

/* ---- HTTPRoute ---- */

static bool same_member(yyjson_val *a, yyjson_val *b, const char *name, const char *fallback)
{
	yyjson_val *x = doc_get(a, name), *y = doc_get(b, name);

	if (x == NULL && y == NULL)
		return true;
	if (fallback != NULL && (x == NULL || y == NULL))
		return yyjson_equals_str(x != NULL ? x : y, fallback);
	return x != NULL && y != NULL && yyjson_equals(x, y);
}

static bool same_ref(yyjson_val *a, yyjson_val *b, const char *namespace)
{
	return same_member(a, b, "name", NULL) && same_member(a, b, "namespace", namespace) &&
	       same_member(a, b, "sectionName", NULL) && same_member(a, b, "port", NULL) &&
	       same_member(a, b, "kind", "Gateway") && same_member(a, b, "group", "gateway.networking.k8s.io");
}

static yyjson_val *stored_parent(const struct object *o, yyjson_val *ref)
{
	size_t i, n;
	yyjson_val *item;

	yyjson_arr_foreach(stored(o, "parents"), i, n, item) {
		if (model_controller_is_ours(doc_str(item, "controllerName")) &&
		    same_ref(doc_get(item, "parentRef"), ref, o->namespace))
			return item;
	}
	return NULL;
}

/* The reference as it was declared, with its group and kind said in any case. */
static void add_ref(struct status_round *s, yyjson_mut_val *entry, yyjson_val *ref)
{
	static const char *const as_given[] = {"namespace", "name", "sectionName", "port"};
	yyjson_mut_doc *doc = s->writer.doc;
	yyjson_mut_val *out = yyjson_mut_obj_add_obj(doc, entry, "parentRef");

	yyjson_mut_obj_add_str(doc, out, "group", "gateway.networking.k8s.io");
	yyjson_mut_obj_add_str(doc, out, "kind", "Gateway");
	for (size_t i = 0; i < sizeof(as_given) / sizeof(as_given[0]); i++) {
		yyjson_val *value = doc_get(ref, as_given[i]);

		if (value != NULL)
			yyjson_mut_obj_add_val(doc, out, as_given[i], yyjson_val_mut_copy(doc, value));
	}
}

static void add_parent(struct status_round *s, yyjson_mut_val *list, const struct model_route *r,
                       const struct model_parent *p)
{
	yyjson_val *old = doc_get(stored_parent(r->object, p->ref), "conditions");
	yyjson_mut_val *entry = yyjson_mut_arr_add_obj(s->writer.doc, list), *conditions;

	add_ref(s, entry, p->ref);
	yyjson_mut_obj_add_str(s->writer.doc, entry, "controllerName", p->gateway->class->controller);
	conditions = add_list(s, entry, "conditions");
	add_condition(s, conditions, old, "Accepted", &p->accepted);
	add_condition(s, conditions, old, "ResolvedRefs", &r->resolved_refs);
	add_condition(s, conditions, old, "PartiallyInvalid", &r->partially_invalid);
}

static enum err route_status(struct status_round *s, const struct model_route *r)
{
	static const char *const members[] = {"parents", NULL};
	yyjson_mut_val *status, *list;
	yyjson_val *old = stored(r->object, "parents"), *item;
	size_t i, n;

	/* Not a route of ours, and never was: its status is nobody's business here. */
	if (r->parents_n == 0 && yyjson_arr_size(old) == 0)
		return OK;
	status = begin(s, r->object, members);
	list = add_list(s, status, "parents");
	yyjson_arr_foreach(old, i, n, item) {
		if (!model_controller_is_ours(doc_str(item, "controllerName")))
			yyjson_mut_arr_append(list, yyjson_val_mut_copy(s->writer.doc, item));
	}
	for (uint32_t k = 0; k < r->parents_n; k++)
		add_parent(s, list, r, &r->parents[k]);
	return finish(s, r->object, status);
}

/* ---- Backend, Machine ---- */

static enum err upstream_status(struct status_round *s, const struct model_upstream *u)
{
	static const char *const members[] = {"conditions", NULL};
	static const char *const types[] = {"Accepted", "Resolved", NULL};
	yyjson_mut_val *status = begin(s, u->object, members), *list = add_list(s, status, "conditions");
	yyjson_val *old = stored(u->object, "conditions");

	copy_other_conditions(&s->writer, list, old, types);
	add_condition(s, list, old, "Accepted", &u->accepted);
	add_condition(s, list, old, "Resolved", &u->resolved);
	return finish(s, u->object, status);
}

static void add_vips(struct status_round *s, yyjson_mut_val *list)
{
	yyjson_mut_doc *doc = s->writer.doc;

	for (uint32_t i = 0; i < s->model->gateways_n; i++) {
		const struct model_gateway *g = &s->model->gateways[i];

		for (uint32_t k = 0; k < g->addresses_n; k++) {
			yyjson_mut_val *vip = yyjson_mut_arr_add_obj(doc, list);
			char address[ADDR_TEXT_MAX], name[640];

			snprintf(name, sizeof(name), "%s/%s", g->object->namespace, g->object->name);
			yyjson_mut_obj_add_strcpy(doc, vip, "address", addr_print(&g->addresses[k], address));
			yyjson_mut_obj_add_strcpy(doc, vip, "gateway", name);
		}
	}
}

static enum err machine_status(struct status_round *s)
{
	static const char *const members[] = {"conditions", "vips", NULL};
	static const char *const types[] = {"AddressConflict", "Ready", NULL};
	const struct model_machine *m = &s->model->machine;
	yyjson_mut_val *status, *list;
	struct model_condition ready, conflict;
	yyjson_val *old;
	unsigned unusable;

	if (m->object == NULL)
		return OK;
	status = begin(s, m->object, members);
	old = stored(m->object, "conditions");
	ready = m->accepted.ok ? programmed_by_verdict(s, old, "Ready", "Ready", "Refused") : m->accepted;
	list = add_list(s, status, "conditions");
	copy_other_conditions(&s->writer, list, old, types);
	conflict = address_conflict(s, NULL, old, &unusable);
	add_condition(s, list, old, "AddressConflict", &conflict);
	add_condition(s, list, old, "Ready", &ready);
	add_vips(s, add_list(s, status, "vips"));
	return finish(s, m->object, status);
}

/* A box is one Machine. */
static enum err other_machine_status(struct status_round *s, const struct object *o)
{
	static const char *const members[] = {"conditions", "vips", NULL};
	static const char *const types[] = {"Ready", NULL};
	const struct model_condition ready = {
		.reason = "Ignored",
		.message = "The box is described by the Machine \"self\"; this one has no effect.",
	};
	yyjson_mut_val *status = begin(s, o, members), *list = add_list(s, status, "conditions");

	copy_other_conditions(&s->writer, list, stored(o, "conditions"), types);
	add_condition(s, list, stored(o, "conditions"), "Ready", &ready);
	return finish(s, o, status);
}

/* ---- all of them ---- */

static enum err compute(struct status_round *s)
{
	const struct model *m = s->model;
	enum err e = machine_status(s);

	for (uint32_t i = 0; i < m->machine.others_n && e == OK; i++)
		e = other_machine_status(s, m->machine.others[i]);
	for (uint32_t i = 0; i < m->classes_n && e == OK; i++)
		e = class_status(s, &m->classes[i]);
	for (uint32_t i = 0; i < m->gateways_n && e == OK; i++)
		e = gateway_status(s, &m->gateways[i]);
	for (uint32_t i = 0; i < m->routes_n && e == OK; i++)
		e = route_status(s, &m->routes[i]);
	for (uint32_t i = 0; i < m->upstreams_n && e == OK; i++)
		e = upstream_status(s, &m->upstreams[i]);
	return e;
}

enum err status_compute(const struct model *m, const struct publish_verdict *v, const char *now,
                        struct status_patches *out)
{
	struct status_round s = {.model = m, .verdict = v, .out = out};
	enum err e;

	*out = (struct status_patches){0};
	s.writer.doc = yyjson_mut_doc_new(NULL);
	s.writer.now = now;
	if (s.writer.doc == NULL)
		return ERR_NO_MEMORY;
	snprintf(s.refused, sizeof(s.refused), "The configuration was refused: %s.", v->reason);
	e = compute(&s);
	yyjson_mut_doc_free(s.writer.doc);
	if (e != OK)
		status_patches_fini(out);
	return e;
}

void status_patches_fini(struct status_patches *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->items[i].status);
	free(p->items);
	*p = (struct status_patches){0};
}
