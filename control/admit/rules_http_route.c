/*
 * Rules of HTTPRoutes. A filter is a union: the field of its type and no other. Most filters may be there once;
 * redirects and rewrites exclude each other; a prefix can only be replaced where exactly one prefix was matched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/admit/pattern.h"
#include "control/admit/rules.h"

enum { MATCHES_MAX = 128 };

static size_t size_of(yyjson_mut_val *object, const char *name)
{
	return yyjson_mut_arr_size(yyjson_mut_obj_get(object, name));
}

/* ---- parentRefs ---- */

static uint64_t port_of(yyjson_mut_val *parent)
{
	return yyjson_mut_get_uint(yyjson_mut_obj_get(parent, "port"));
}

static bool same_parent(yyjson_mut_val *a, yyjson_mut_val *b)
{
	return mut_is(a, "group", mut_text(b, "group")) && mut_is(a, "kind", mut_text(b, "kind")) &&
	       mut_is(a, "name", mut_text(b, "name")) && mut_is(a, "namespace", mut_text(b, "namespace"));
}

static void check_parents(yyjson_mut_val *parents, struct causes *causes)
{
	yyjson_mut_val *parent, *earlier;
	size_t i, max, j, earlier_max;

	yyjson_mut_arr_foreach(parents, i, max, parent) {
		yyjson_mut_arr_foreach(parents, j, earlier_max, earlier) {
			const char *section = mut_text(parent, "sectionName"),
				   *other = mut_text(earlier, "sectionName");

			if (j >= i)
				break;
			if (!same_parent(parent, earlier))
				continue;
			if (!*section != !*other)
				causes_add(causes, CAUSE_REQUIRED,
					   rule_path("spec.parentRefs[%zu].sectionName", *section ? j : i).text,
					   "Required value: the route refers to the same parent twice");
			else if (!port_of(parent) != !port_of(earlier))
				causes_add(causes, CAUSE_REQUIRED,
					   rule_path("spec.parentRefs[%zu].port", port_of(parent) ? j : i).text,
					   "Required value: the route refers to the same parent twice");
			else if (strcmp(section, other) == 0 && port_of(parent) == port_of(earlier))
				causes_add(causes, CAUSE_DUPLICATE, rule_path("spec.parentRefs[%zu]", i).text,
					   "Duplicate value: the same parent, section and port as parentRefs[%zu]", j);
		}
	}
}

/* ---- matches ---- */

/* What paths that are compared as they are must not contain, or end in. */
static const struct {
	const char *text;
	bool at_end;
} not_in_paths[] = {
	{"//", false},  {"/./", false}, {"/../", false}, {"%2f", false},
	{"%2F", false}, {"#", false},   {"/..", true},   {"/.", true},
};

static bool has(const char *value, const char *text, bool at_end)
{
	size_t n = strlen(value), m = strlen(text);

	return at_end ? n >= m && strcmp(value + n - m, text) == 0 : strstr(value, text) != NULL;
}

static void check_path(yyjson_mut_val *path, struct rule_path at, struct causes *causes)
{
	static const char characters[] = "^([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F][0-9a-fA-F])+$";
	const char *value = mut_text(path, "value");

	if (mut_is(path, "type", "RegularExpression"))
		return;
	if (*value != '/') {
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: \"%s\": must begin with \"/\"", value);
		return;
	}
	for (size_t i = 0; i < sizeof(not_in_paths) / sizeof(not_in_paths[0]); i++) {
		if (!has(value, not_in_paths[i].text, not_in_paths[i].at_end))
			continue;
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: \"%s\": must not %s \"%s\"", value,
			   not_in_paths[i].at_end ? "end with" : "contain", not_in_paths[i].text);
		return;
	}
	if (!pattern_matches(characters, value))
		causes_add(causes, CAUSE_INVALID, at.text,
			   "Invalid value: \"%s\": must consist of path characters (RFC 3986), others as %%XX", value);
}

static size_t check_matches(yyjson_mut_val *rule, size_t i, struct causes *causes)
{
	yyjson_mut_val *match;
	size_t j, max;

	yyjson_mut_arr_foreach(yyjson_mut_obj_get(rule, "matches"), j, max, match) {
		yyjson_mut_val *path = yyjson_mut_obj_get(match, "path");

		if (path)
			check_path(path, rule_path("spec.rules[%zu].matches[%zu].path.value", i, j), causes);
	}
	return max;
}

/* ---- backends ---- */

static void check_backend(yyjson_mut_val *backend, const char *at, struct causes *causes)
{
	if (!*mut_text(backend, "group") && mut_is(backend, "kind", "Service") && !yyjson_mut_obj_get(backend, "port"))
		causes_add(causes, CAUSE_REQUIRED, rule_path("%s.port", at).text,
			   "Required value: a Service needs a port");
}

/* ---- filters ---- */

static const struct {
	const char *type, *field;
	bool once;
} filters[] = {
	{"RequestHeaderModifier", "requestHeaderModifier", true},
	{"ResponseHeaderModifier", "responseHeaderModifier", true},
	{"RequestMirror", "requestMirror", false},
	{"RequestRedirect", "requestRedirect", true},
	{"URLRewrite", "urlRewrite", true},
	{"CORS", "cors", true},
	{"ExtensionRef", "extensionRef", false},
};

static void check_union(yyjson_mut_val *filter, const char *at, struct causes *causes)
{
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		bool chosen = mut_is(filter, "type", filters[i].type),
		     there = yyjson_mut_obj_get(filter, filters[i].field);

		if (chosen && !there)
			causes_add(causes, CAUSE_REQUIRED, rule_path("%s.%s", at, filters[i].field).text,
				   "Required value: the filter's type is %s", filters[i].type);
		else if (there && !chosen)
			causes_add(causes, CAUSE_FORBIDDEN, rule_path("%s.%s", at, filters[i].field).text,
				   "Forbidden: the filter's type is %s", mut_text(filter, "type"));
	}
}

/* The path of a redirect or a rewrite is a union too. */
static void check_modifier(yyjson_mut_val *path, const char *at, struct causes *causes)
{
	static const char *const both[][2] = {{"ReplaceFullPath", "replaceFullPath"},
					      {"ReplacePrefixMatch", "replacePrefixMatch"}};

	for (size_t i = 0; path && i < 2; i++) {
		bool chosen = mut_is(path, "type", both[i][0]), there = yyjson_mut_obj_get(path, both[i][1]);

		if (chosen && !there)
			causes_add(causes, CAUSE_REQUIRED, rule_path("%s.path.%s", at, both[i][1]).text,
				   "Required value: the path's type is %s", both[i][0]);
		else if (there && !chosen)
			causes_add(causes, CAUSE_FORBIDDEN, rule_path("%s.path.%s", at, both[i][1]).text,
				   "Forbidden: the path's type is %s", mut_text(path, "type"));
	}
}

static void check_mirror(yyjson_mut_val *mirror, const char *at, struct causes *causes)
{
	yyjson_mut_val *fraction = yyjson_mut_obj_get(mirror, "fraction");

	if (!mirror)
		return;
	check_backend(yyjson_mut_obj_get(mirror, "backendRef"), rule_path("%s.requestMirror.backendRef", at).text,
		      causes);
	if (fraction && yyjson_mut_obj_get(mirror, "percent"))
		causes_add(causes, CAUSE_FORBIDDEN, rule_path("%s.requestMirror.percent", at).text,
			   "Forbidden: there is a fraction already");
	if (yyjson_mut_get_sint(yyjson_mut_obj_get(fraction, "numerator")) >
	    yyjson_mut_get_sint(yyjson_mut_obj_get(fraction, "denominator")))
		causes_add(causes, CAUSE_INVALID, rule_path("%s.requestMirror.fraction", at).text,
			   "Invalid value: the numerator must not be greater than the denominator");
}

static void check_cors(yyjson_mut_val *cors, const char *at, struct causes *causes)
{
	static const char *const lists[] = {"allowOrigins", "allowMethods", "allowHeaders"};
	yyjson_mut_val *item;
	size_t i, max;

	for (size_t l = 0; cors && l < sizeof(lists) / sizeof(lists[0]); l++)
		yyjson_mut_arr_foreach(yyjson_mut_obj_get(cors, lists[l]), i, max, item)
			if (max > 1 && yyjson_mut_equals_str(item, "*"))
				causes_add(causes, CAUSE_INVALID, rule_path("%s.cors.%s[%zu]", at, lists[l], i).text,
					   "Invalid value: \"*\": must stand alone");
}

static size_t count_type(yyjson_mut_val *list, const char *type)
{
	yyjson_mut_val *filter;
	size_t i, max, n = 0;

	yyjson_mut_arr_foreach(list, i, max, filter)
		n += mut_is(filter, "type", type);
	return n;
}

static void check_filters(yyjson_mut_val *list, const char *at, struct causes *causes)
{
	yyjson_mut_val *filter;
	size_t i, max;

	yyjson_mut_arr_foreach(list, i, max, filter) {
		struct rule_path here = rule_path("%.200s[%zu]", at, i);

		check_union(filter, here.text, causes);
		check_modifier(mut_at(filter, "requestRedirect.path"),
			       rule_path("%.200s.requestRedirect", here.text).text, causes);
		check_modifier(mut_at(filter, "urlRewrite.path"), rule_path("%.200s.urlRewrite", here.text).text,
			       causes);
		check_mirror(yyjson_mut_obj_get(filter, "requestMirror"), here.text, causes);
		check_cors(yyjson_mut_obj_get(filter, "cors"), here.text, causes);
	}
	for (i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (filters[i].once && count_type(list, filters[i].type) > 1)
			causes_add(causes, CAUSE_INVALID, at, "Invalid value: filter %s may be there only once",
				   filters[i].type);
	if (count_type(list, "RequestRedirect") && count_type(list, "URLRewrite"))
		causes_add(causes, CAUSE_INVALID, at,
			   "Invalid value: RequestRedirect and URLRewrite exclude each other");
}

/* ---- rules ---- */

static bool replaces_prefix(yyjson_mut_val *list)
{
	yyjson_mut_val *filter;
	size_t i, max;

	yyjson_mut_arr_foreach(list, i, max, filter)
		if (mut_is(mut_at(filter, "requestRedirect.path"), "type", "ReplacePrefixMatch") ||
		    mut_is(mut_at(filter, "urlRewrite.path"), "type", "ReplacePrefixMatch"))
			return true;
	return false;
}

static bool matches_one_prefix(yyjson_mut_val *rule)
{
	yyjson_mut_val *matches = yyjson_mut_obj_get(rule, "matches");

	return yyjson_mut_arr_size(matches) == 1 &&
	       mut_is(mut_at(yyjson_mut_arr_get_first(matches), "path"), "type", "PathPrefix");
}

/* "1h30m", at most five digits each: in milliseconds. The schema has seen that it is one. */
static int64_t duration_ms(const char *text)
{
	int64_t sum = 0;
	char *unit;

	while (*text) {
		int64_t n = strtol(text, &unit, 10);
		bool milli = strncmp(unit, "ms", 2) == 0;

		sum += n * (milli ? 1 : *unit == 's' ? 1000 : *unit == 'm' ? 60000 : 3600000);
		text = unit + (milli ? 2 : 1);
	}
	return sum;
}

static void check_timeouts(yyjson_mut_val *timeouts, size_t i, struct causes *causes)
{
	const char *request = mut_text(timeouts, "request"), *backend = mut_text(timeouts, "backendRequest");

	if (*request && *backend && duration_ms(request) != 0 && duration_ms(backend) > duration_ms(request))
		causes_add(causes, CAUSE_INVALID, rule_path("spec.rules[%zu].timeouts.backendRequest", i).text,
			   "Invalid value: \"%s\": must not be longer than the timeout of the request, %s", backend,
			   request);
}

static void check_session(yyjson_mut_val *session, size_t i, struct causes *causes)
{
	yyjson_mut_val *cookie = yyjson_mut_obj_get(session, "cookieConfig");

	if (mut_is(cookie, "lifetimeType", "Permanent") && !yyjson_mut_obj_get(session, "absoluteTimeout"))
		causes_add(causes, CAUSE_REQUIRED,
			   rule_path("spec.rules[%zu].sessionPersistence.absoluteTimeout", i).text,
			   "Required value: the cookie's lifetimeType is Permanent");
	if (cookie && !mut_is(session, "type", "Cookie"))
		causes_add(causes, CAUSE_FORBIDDEN,
			   rule_path("spec.rules[%zu].sessionPersistence.cookieConfig", i).text,
			   "Forbidden: the session's type is %s", mut_text(session, "type"));
}

static void check_rule(yyjson_mut_val *rule, size_t i, struct causes *causes)
{
	yyjson_mut_val *list = yyjson_mut_obj_get(rule, "filters"), *backend;
	bool replaces = replaces_prefix(list);
	size_t j, max;

	check_filters(list, rule_path("spec.rules[%zu].filters", i).text, causes);
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(rule, "backendRefs"), j, max, backend) {
		yyjson_mut_val *own = yyjson_mut_obj_get(backend, "filters");

		check_backend(backend, rule_path("spec.rules[%zu].backendRefs[%zu]", i, j).text, causes);
		check_filters(own, rule_path("spec.rules[%zu].backendRefs[%zu].filters", i, j).text, causes);
		replaces = replaces || replaces_prefix(own);
	}
	if (size_of(rule, "backendRefs") && count_type(list, "RequestRedirect"))
		causes_add(causes, CAUSE_FORBIDDEN, rule_path("spec.rules[%zu].backendRefs", i).text,
			   "Forbidden: a rule that redirects has no backends");
	if (replaces && !matches_one_prefix(rule))
		causes_add(causes, CAUSE_INVALID, rule_path("spec.rules[%zu].matches", i).text,
			   "Invalid value: ReplacePrefixMatch needs exactly one match, of type PathPrefix");
	check_timeouts(yyjson_mut_obj_get(rule, "timeouts"), i, causes);
	check_session(yyjson_mut_obj_get(rule, "sessionPersistence"), i, causes);
}

void rules_http_route(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	yyjson_mut_val *spec = yyjson_mut_obj_get(root, "spec"), *rule;
	size_t i, max, matches = 0;

	(void)old;
	check_parents(yyjson_mut_obj_get(spec, "parentRefs"), causes);
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(spec, "rules"), i, max, rule) {
		matches += check_matches(rule, i, causes);
		check_rule(rule, i, causes);
	}
	if (matches > MATCHES_MAX)
		causes_add(causes, CAUSE_TOO_MANY, "spec.rules",
			   "Too many: %zu: the rules may have at most %d matches together", matches, MATCHES_MAX);
}
