/*
 * Filters of other kinds: what an ExtensionRef leads to. Known is Envoy Gateway's HTTPRouteFilter of the route's
 * namespace; what of it the data plane does not do is refused by name, and so is an object that asks for nothing.
 *
 * A reference that leads nowhere makes the rule answer 500 and ResolvedRefs false, as from Envoy Gateway.
 */
#include <string.h>

#include "control/model/build.h"

static void fail(struct filter_reader *r, const char *why)
{
	if (r->invalid == NULL)
		r->invalid = why;
}

/* The reference, or one in the object that it leads to, leads nowhere. */
static void unresolved(struct filter_reader *r, const char *reason, const char *why)
{
	fail(r, why);
	if (r->route->resolved_refs.ok)
		r->route->resolved_refs =
			condition_false(reason, region_print(r->build->region, "rules[%zu].%s.", r->rule, why));
}

/* The text of a ConfigMap: its key response.body, or its first, as Envoy Gateway takes it. */
static bool read_config_map(struct filter_reader *r, yyjson_val *ref, const char *at, struct text *out)
{
	const char *name = doc_str(ref, "name");
	const struct object *o = snapshot_find(r->build->snapshot, "ConfigMap", r->route->object->namespace, name);
	yyjson_val *data = o != NULL ? doc_get(o->root, "data") : NULL, *value = doc_get(data, "response.body");
	yyjson_obj_iter first = yyjson_obj_iter_with(data);

	if (value == NULL)
		value = yyjson_obj_iter_get_val(yyjson_obj_iter_next(&first));
	if (!yyjson_is_str(value)) {
		unresolved(r, "BackendNotFound",
			   region_print(r->build->region, "%s: the ConfigMap %s/%s has no text", at,
					r->route->object->namespace, name));
		return false;
	}
	*out = (struct text){.at = yyjson_get_str(value), .len = (uint32_t)yyjson_get_len(value)};
	return true;
}

static void read_direct_response(struct filter_reader *r, yyjson_val *spec, const char *at, struct model_filters *out)
{
	struct filter_source source = {.type = "DirectResponse", .spec = spec};
	yyjson_val *body = doc_get(spec, "body"), *inline_text = doc_get(body, "inline");

	if (strcmp(doc_str(body, "type"), "ValueRef") == 0) {
		if (!read_config_map(r, doc_get(body, "valueRef"), at, &source.text))
			return;
	} else if (yyjson_is_str(inline_text)) {
		source.text = (struct text){.at = yyjson_get_str(inline_text),
		                            .len = (uint32_t)yyjson_get_len(inline_text)};
	}
	r->answers = true;
	add_filter(r, &(struct model_filter){.source = source}, at, out);
}

/* Null: all that the object asks for can be done. */
static const char *not_supported(yyjson_val *spec)
{
	static const char *const fields[] = {"credentialInjection", "matches", "urlRewrite.path",
	                                     "urlRewrite.hostname.pathRegex"};
	yyjson_val *hostname = doc_at(spec, "urlRewrite.hostname");

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (doc_at(spec, fields[i]) != NULL)
			return fields[i];
	}
	return hostname != NULL && strcmp(doc_str(hostname, "type"), "Header") != 0 ? "urlRewrite.hostname.type" : NULL;
}

static void read_route_filter(struct filter_reader *r, const struct object *o, const char *at,
                              struct model_filters *out)
{
	yyjson_val *spec = doc_get(o->root, "spec"), *rewrite = doc_get(spec, "urlRewrite");
	const char *what = not_supported(spec);
	const uint32_t before = out->n;

	if (what != NULL) {
		fail(r, region_print(r->build->region, "%s: %s of the HTTPRouteFilter %s is not supported", at, what,
				     o->name));
		return;
	}
	if (doc_get(rewrite, "hostname") != NULL)
		add_filter(r, &(struct model_filter){.source = {.type = "HostRewrite", .spec = rewrite}}, at, out);
	if (doc_get(spec, "directResponse") != NULL)
		read_direct_response(r, doc_get(spec, "directResponse"), at, out);
	if (out->n == before && r->invalid == NULL)
		fail(r, region_print(r->build->region, "%s: the HTTPRouteFilter %s asks for nothing", at, o->name));
}

void read_extension(struct filter_reader *r, yyjson_val *ref, const char *at, struct model_filters *out)
{
	const char *kind = doc_str(ref, "kind"), *name = doc_str(ref, "name"), *group = doc_str(ref, "group");
	const char *namespace = r->route->object->namespace;
	const struct object *o;

	if (strcmp(group, BACKEND_GROUP) != 0 || strcmp(kind, "HTTPRouteFilter") != 0) {
		unresolved(r, "InvalidKind",
			   region_print(r->build->region, "%s.extensionRef: the kind %s/%s is not supported (%s)", at,
					group, kind, name));
		return;
	}
	o = snapshot_find(r->build->snapshot, "HTTPRouteFilter", namespace, name);
	if (o == NULL)
		unresolved(r, "BackendNotFound",
			   region_print(r->build->region, "%s.extensionRef: the HTTPRouteFilter %s/%s does not exist",
					at, namespace, name));
	else
		read_route_filter(r, o, at, out);
}
