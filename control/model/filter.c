/*
 * The filters of a rule or of a backend, in the order in which they are done: what their references lead to, and
 * whether the data plane can do them.
 *
 * CORS goes before all others, so that a preflight request is never redirected or answered by anything else; the rest
 * stays as it is written. A mirror whose backend cannot be resolved is left out and the route's ResolvedRefs says so
 * (Gateway API: it must not be configured); everything else that is wrong makes the rule invalid.
 *
 * An ExtensionRef leads to Envoy Gateway's HTTPRouteFilter, of which one object may become several filters.
 */
#include <string.h>

#include "control/model/build.h"

static void fail(struct filter_reader *r, const char *why)
{
	if (r->invalid == NULL)
		r->invalid = why;
}

/* Compiles it into a scratch block, to see whether it can be. `at`: the manifest's place of what is compiled. */
void add_filter(struct filter_reader *r, const struct model_filter *filter, const char *at,
                struct model_filters *out)
{
	struct filter_problem problem = {.path = "", .message = ""};
	struct table_filter unused;

	out->items[out->n++] = *filter;
	if (filter_compile(&filter->source, r->build->scratch, &unused, &problem) != OK)
		fail(r, region_print(r->build->region, "%s.%s: %s", at, problem.path, problem.message));
}

static void unresolved(struct filter_reader *r, const char *reason, const char *at, const char *message)
{
	if (r->route->resolved_refs.ok)
		r->route->resolved_refs = condition_false(reason, region_print(r->build->region, "rules[%zu].%s: %s.",
			r->rule, at, message));
}

/* ---- mirrors ---- */

/* False: its backend is not there. */
static bool resolve_mirror(struct filter_reader *r, const char *at, struct model_filter *filter)
{
	yyjson_val *ref = doc_get(filter->source.spec, "backendRef");
	const struct resolved *to = backend_resolve(r->build, ref, r->route->object->namespace);

	if (to->cluster == NULL) {
		unresolved(r, to->reason, region_print(r->build->region, "%s.requestMirror.backendRef", at),
			   to->message);
		return false;
	}
	filter->cluster = to->cluster;
	filter->source.cluster = to->cluster->id;
	return true;
}

/* ---- the list ---- */

static void read_one(struct filter_reader *r, yyjson_val *item, const char *at, struct model_filters *out)
{
	struct model_filter filter = {.source = filter_source(item)};
	const char *type = filter.source.type;

	if (strcmp(type, "ExtensionRef") == 0) {
		read_extension(r, doc_get(item, "extensionRef"), at, out);
		return;
	}
	if (strcmp(type, "RequestMirror") == 0 && r->answers)
		fail(r, region_print(r->build->region, "%s: a mirror after a filter that answers sees nothing", at));
	if (strcmp(type, "RequestMirror") == 0 && !resolve_mirror(r, at, &filter))
		return;
	r->answers |= strcmp(type, "RequestRedirect") == 0;
	add_filter(r, &filter, at, out);
}

void read_filters(struct filter_reader *r, yyjson_val *list, struct model_filters *out)
{
	const size_t list_n = yyjson_arr_size(list);
	size_t i, n;
	yyjson_val *item;

	if (list_n == 0)
		return;
	out->items = REGION_ARRAY(r->build->region, struct model_filter, list_n * EXTENSION_FILTERS_MAX);
	for (int first = 1; first >= 0; first--) {
		yyjson_arr_foreach(list, i, n, item) {
			if ((strcmp(doc_str(item, "type"), "CORS") == 0) == (first == 1))
				read_one(r, item, region_print(r->build->region, "%s[%zu]", r->place, i), out);
		}
	}
}
