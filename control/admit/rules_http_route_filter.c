/* Rules of HTTPRouteFilters: the body of an answer and the parts of a rewrite are unions. */
#include "control/admit/rules.h"

/* `field` is there when `type` is `name`, and with no other type. */
static void check_member(yyjson_mut_val *object, const char *at, const char *name, const char *field, bool forbidden,
                         struct causes *causes)
{
	const bool chosen = mut_is(object, "type", name), there = yyjson_mut_obj_get(object, field);

	if (chosen && !there)
		causes_add(causes, CAUSE_REQUIRED, rule_path("%s.%s", at, field).text, "Required value: the type is %s",
			   name);
	else if (there && !chosen && forbidden)
		causes_add(causes, CAUSE_FORBIDDEN, rule_path("%s.%s", at, field).text, "Forbidden: the type is %s",
			   mut_text(object, "type"));
}

static void check_direct_response(yyjson_mut_val *answer, struct causes *causes)
{
	yyjson_mut_val *body = yyjson_mut_obj_get(answer, "body"), *ref = yyjson_mut_obj_get(body, "valueRef");

	if (body) {
		check_member(body, "spec.directResponse.body", "Inline", "inline", false, causes);
		check_member(body, "spec.directResponse.body", "ValueRef", "valueRef", false, causes);
	}
	if (ref && !mut_is(ref, "kind", "ConfigMap"))
		causes_add(causes, CAUSE_NOT_SUPPORTED, "spec.directResponse.body.valueRef.kind",
			   "Unsupported value: \"%.80s\": supported values: \"ConfigMap\"", mut_text(ref, "kind"));
	if (mut_at(answer, "header.remove"))
		causes_add(causes, CAUSE_FORBIDDEN, "spec.directResponse.header.remove",
			   "Forbidden: there is nothing to remove from an answer of the gateway");
}

static void check_rewrite(yyjson_mut_val *rewrite, struct causes *causes)
{
	yyjson_mut_val *hostname = yyjson_mut_obj_get(rewrite, "hostname"), *path = yyjson_mut_obj_get(rewrite, "path");

	if (hostname) {
		check_member(hostname, "spec.urlRewrite.hostname", "Header", "header", true, causes);
		check_member(hostname, "spec.urlRewrite.hostname", "PathRegex", "pathRegex", true, causes);
	}
	if (path)
		check_member(path, "spec.urlRewrite.path", "ReplaceRegexMatch", "replaceRegexMatch", true, causes);
}

void rules_http_route_filter(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	yyjson_mut_val *spec = yyjson_mut_obj_get(root, "spec");

	(void)old;
	check_direct_response(yyjson_mut_obj_get(spec, "directResponse"), causes);
	check_rewrite(yyjson_mut_obj_get(spec, "urlRewrite"), causes);
}
