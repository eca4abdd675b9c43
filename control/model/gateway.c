/*
 * GatewayClasses, Gateways and their listeners: which are ours, which listeners can be served, and which stand in each
 * other's way.
 *
 * Conflicts (Gateway API, Listener): listeners of one Gateway on one port must agree on the protocol and differ in
 * their hostname. All that do not are refused: there is no winner among them. A listener whose protocol is not
 * supported is refused for that alone.
 */
#include <stdlib.h>
#include <string.h>

#include "control/model/build.h"
#include "control/model/selector.h"

static const char *const controllers[] = {
	"gateway.envoyproxy.io/gatewayclass-controller",
	"sluice.internal/gateway-controller",
};

bool model_controller_is_ours(const char *name)
{
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
		if (strcmp(name, controllers[i]) == 0)
			return true;
	}
	return false;
}

/* ---- classes ---- */

static void build_classes(struct build *b)
{
	size_t n;
	const struct object *const *all = snapshot_list(b->snapshot, "GatewayClass", &n);
	struct model *m = b->model;

	m->classes = REGION_ARRAY(b->region, struct model_class, n);
	b->classes = names_new(b->region);
	for (size_t i = 0; i < n; i++) {
		yyjson_val *spec = doc_get(all[i]->root, "spec");
		struct model_class *c;

		if (!model_controller_is_ours(doc_str(spec, "controllerName")))
			continue;
		c = &m->classes[m->classes_n++];
		*c = (struct model_class){.object = all[i], .controller = doc_str(spec, "controllerName")};
		c->accepted = doc_get(spec, "parametersRef") == NULL ?
			condition_true("Accepted", "The GatewayClass is accepted.") :
			condition_false("InvalidParameters", region_print(b->region,
				"spec.parametersRef: the kind %s is not supported.",
				doc_str(doc_get(spec, "parametersRef"), "kind")));
		*names_slot(b->classes, all[i]->name, strlen(all[i]->name)) = c;
	}
}

/* ---- listeners ---- */

static bool is_http_route(yyjson_val *kind)
{
	yyjson_val *group = doc_get(kind, "group");

	return strcmp(doc_str(kind, "kind"), "HTTPRoute") == 0 &&
	       (group == NULL || yyjson_equals_str(group, GATEWAY_GROUP));
}

/* allowedRoutes.kinds: what is not a kind of the protocol is dropped and named. */
static void read_kinds(struct build *b, struct model_listener *l)
{
	yyjson_val *kinds = doc_at(l->spec, "allowedRoutes.kinds"), *kind;
	size_t i, n;

	l->takes_http_routes = yyjson_arr_size(kinds) == 0;
	yyjson_arr_foreach(kinds, i, n, kind) {
		if (is_http_route(kind))
			l->takes_http_routes = true;
		else if (l->resolved_refs.ok)
			l->resolved_refs = condition_false("InvalidRouteKinds", region_print(b->region,
				"allowedRoutes.kinds[%zu]: %s cannot be attached to a listener of protocol %s.", i,
				doc_str(kind, "kind"), l->protocol));
	}
}

/* allowedRoutes.namespaces.selector: one that says nothing is no reason to let nobody in without a word. */
static void read_namespaces(struct build *b, struct model_listener *l)
{
	static const char place[] = "allowedRoutes.namespaces.selector";
	yyjson_val *namespaces = doc_at(l->spec, "allowedRoutes.namespaces");
	struct selector_fault fault;

	if (strcmp(doc_str(namespaces, "from"), "Selector") != 0 ||
	    selector_is_sound(doc_get(namespaces, "selector"), &fault))
		return;
	l->accepted = condition_false("Invalid", fault.field[0] == '\0' ?
		region_print(b->region, "%s: %s.", place, fault.why) :
		region_print(b->region, "%s.matchExpressions[%zu].%s: %s.", place, fault.expression, fault.field,
		             fault.why));
}

static void read_listener(struct build *b, struct model_gateway *g, yyjson_val *spec, struct model_listener *l)
{
	*l = (struct model_listener){
		.gateway = g,
		.spec = spec,
		.name = doc_str(spec, "name"),
		.hostname = doc_str(spec, "hostname"),
		.protocol = doc_str(spec, "protocol"),
		.port = (uint16_t)doc_int(spec, "port", 0),
		.index = b->model->listeners_n++,
		.accepted = condition_true("Accepted", "The listener is accepted."),
		.conflicted = condition_false("NoConflicts", "No other listener is in its way."),
		.resolved_refs = condition_true("ResolvedRefs", "All references are resolved."),
	};
	if (strcmp(l->protocol, "HTTP") == 0) {
		read_kinds(b, l);
		read_namespaces(b, l);
		return;
	}
	l->accepted = condition_false("UnsupportedProtocol", region_print(b->region,
		"The protocol %s is not supported by this version, only HTTP is.", l->protocol));
}

/* Protocols that cannot share a port: all over TCP that differ. UDP is by itself. Unknown ones stand in nobody's way.
 */
static bool protocols_conflict(const struct model_listener *x, const struct model_listener *y)
{
	static const char *const over_tcp[] = {"HTTP", "HTTPS", "TLS", "TCP"};
	const char *const both[] = {x->protocol, y->protocol};
	unsigned known = 0;

	if (strcmp(x->protocol, y->protocol) == 0)
		return false;
	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < sizeof(over_tcp) / sizeof(over_tcp[0]); k++)
			known += strcmp(both[i], over_tcp[k]) == 0;
	}
	/* Both are told apart by the server name of the TLS handshake. */
	if ((strcmp(both[0], "HTTPS") == 0 && strcmp(both[1], "TLS") == 0) ||
	    (strcmp(both[1], "HTTPS") == 0 && strcmp(both[0], "TLS") == 0))
		return false;
	return known == 2;
}

static void find_conflicts(struct build *b, struct model_gateway *g, struct model_listener *l)
{
	for (uint32_t i = 0; i < g->listeners_n; i++) {
		const struct model_listener *other = &g->listeners[i];
		const char *reason;

		if (other == l || other->port != l->port)
			continue;
		if (protocols_conflict(l, other))
			reason = "ProtocolConflict";
		else if (strcmp(l->protocol, other->protocol) == 0 && strcmp(l->hostname, other->hostname) == 0)
			reason = "HostnameConflict";
		else
			continue;
		l->conflicted = condition_true(reason, region_print(b->region,
			"The listener %s is on port %u too, with %s.", other->name, l->port,
			reason[0] == 'P' ? "another protocol" : "the same hostname"));
		if (l->accepted.ok)
			l->accepted = condition_false(reason, l->conflicted.message);
		return;
	}
}

static void read_listeners(struct build *b, struct model_gateway *g)
{
	yyjson_val *list = doc_at(g->object->root, "spec.listeners"), *spec;
	size_t i, n;

	g->listeners = REGION_ARRAY(b->region, struct model_listener, yyjson_arr_size(list));
	yyjson_arr_foreach(list, i, n, spec)
		read_listener(b, g, spec, &g->listeners[g->listeners_n++]);
	for (uint32_t k = 0; k < g->listeners_n; k++)
		find_conflicts(b, g, &g->listeners[k]);
}

/* ---- gateways ---- */

/* A field of the whole Gateway that this version does not obey; null when there is none. */
static const char *field_not_obeyed(const struct model_gateway *g)
{
	yyjson_val *spec = doc_get(g->object->root, "spec");
	const char *from = doc_str(doc_at(spec, "allowedListeners.namespaces"), "from");

	if (doc_get(spec, "tls") != NULL)
		return "spec.tls";
	/* None is what holds without the field, too. */
	return from[0] != '\0' && strcmp(from, "None") != 0 ? "spec.allowedListeners" : NULL;
}

static void judge(struct build *b, struct model_gateway *g)
{
	yyjson_val *parameters = doc_at(g->object->root, "spec.infrastructure.parametersRef");
	uint32_t good = 0, resolved = 0;

	for (uint32_t i = 0; i < g->listeners_n; i++) {
		good += g->listeners[i].accepted.ok;
		resolved += g->listeners[i].resolved_refs.ok;
	}
	g->resolved_refs = resolved == g->listeners_n ?
		condition_true("ResolvedRefs", "All references are resolved.") :
		condition_false("ListenersNotResolved", "Some listeners have references that cannot be resolved.");
	if (!g->class->accepted.ok)
		g->accepted = condition_false("Pending", region_print(b->region, "The GatewayClass %s is not accepted.",
		                              g->class->object->name));
	else if (parameters != NULL)
		g->accepted = condition_false(
			"InvalidParameters",
			region_print(b->region, "spec.infrastructure.parametersRef: the kind %s is not supported.",
				     doc_str(parameters, "kind")));
	else if (field_not_obeyed(g) != NULL)
		g->accepted = condition_false("Invalid", region_print(b->region, "%s is not supported by this version.",
		                              field_not_obeyed(g)));
	else if (good == g->listeners_n)
		g->accepted = condition_true("Accepted", "The Gateway is accepted.");
	else if (good > 0)
		g->accepted = condition_true("ListenersNotValid", "Some listeners are not valid.");
	else
		g->accepted = condition_false("ListenersNotValid", "No listener is valid.");
}

static int compare_ages(const void *x, const void *y)
{
	return object_age_compare(*(const struct object *const *)x, *(const struct object *const *)y);
}

void build_gateways(struct build *b)
{
	size_t n;
	const struct object *const *all = snapshot_list(b->snapshot, "Gateway", &n);
	const struct object **by_age = REGION_ARRAY(b->region, const struct object *, n);
	struct model *m = b->model;

	build_classes(b);
	b->gateways = names_new(b->region);
	m->gateways = REGION_ARRAY(b->region, struct model_gateway, n);
	if (n > 0)
		memcpy(by_age, all, n * sizeof(by_age[0]));
	if (n > 1)
		qsort(by_age, n, sizeof(by_age[0]), compare_ages);
	for (size_t i = 0; i < n; i++) {
		const char *class = doc_str(doc_get(by_age[i]->root, "spec"), "gatewayClassName");
		struct name_key key;
		struct model_gateway *g;

		if (names_find(b->classes, class, strlen(class)) == NULL)
			continue;
		g = &m->gateways[m->gateways_n++];
		g->object = by_age[i];
		g->class = names_find(b->classes, class, strlen(class));
		name_key_clear(&key);
		name_key_add(&key, g->object->namespace);
		name_key_add(&key, g->object->name);
		*names_slot(b->gateways, key.bytes, key.len) = g;
		read_listeners(b, g);
		judge(b, g);
	}
	b->seen = REGION_ARRAY(b->region, uint32_t, m->listeners_n);
}
