/*
 * The rules of a route: what each of them matches, does and leads to, and whether the data plane can obey it.
 *
 * A rule that asks for something that this version does not do fails closed and alone: it answers 500 for the
 * requests that it matches, and the route's condition names it (PartiallyInvalid; Accepted=False when no rule is left).
 * A match that cannot be evaluated at all (a regular expression that is none) is left out, since nobody can say which
 * requests it means: answering 500 for all that it might mean would break its neighbours.
 *
 * Paths are compared with the normal form of requests' paths (route/uri.h), so they are brought into it here.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "control/model/build.h"
#include "http/http.h"
#include "route/uri.h"

enum { PROBLEMS_BYTES_MAX = 1000, STATUS_BROKEN = 500, PATH_BYTES_MAX = 1024 };

struct rule_reader {
	struct build *b;
	struct model_route *route;
	struct model_rule *rule;
	size_t index;                /* of the rule in the route */
};

/* The first problem of a rule is the one that is told. */
static void break_rule(struct rule_reader *r, const char *why)
{
	if (r->rule->invalid == NULL)
		r->rule->invalid = why;
}

/* ---- matches ---- */

static const char *lower(struct build *b, const char *name)
{
	const size_t len = strlen(name);
	char *copy = region_copy(b->region, name, len);

	for (size_t i = 0; i < len; i++)
		copy[i] = (char)tolower((unsigned char)copy[i]);
	return copy;
}

/* False: a type that this version does not know. `prefix`: PathPrefix is one. */
static bool type_known(struct rule_reader *r, yyjson_val *match, const char *what, bool prefix)
{
	const char *type = doc_str(match, "type");

	if (type[0] == '\0' || strcmp(type, "Exact") == 0 || strcmp(type, "RegularExpression") == 0 ||
	    (prefix && strcmp(type, "PathPrefix") == 0))
		return true;
	break_rule(r, region_print(r->b->region, "%s match of type %s is not supported", what, type));
	return false;
}

static bool is_regex(struct rule_reader *r, yyjson_val *match, const char *what, const char *pattern,
                     struct model_regex **out)
{
	const char *why;

	if (strcmp(doc_str(match, "type"), "RegularExpression") != 0)
		return false;
	*out = regex_resolve(r->b, pattern, &why);
	if (*out == NULL)
		break_rule(r, region_print(r->b->region, "%s %.200s: not a regular expression that can be used: %s",
		                           what, pattern, why));
	return true;
}

/* Header names (lower case) or query names; of several of one name the first counts. */
static bool read_predicates(struct rule_reader *r, yyjson_val *list, bool headers, struct model_predicate **out,
                            uint32_t *out_n)
{
	struct model_predicate *items;
	uint32_t items_n = 0;
	size_t i, n;
	yyjson_val *item;

	if (yyjson_arr_size(list) == 0)
		return true;
	items = REGION_ARRAY(r->b->region, struct model_predicate, yyjson_arr_size(list));
	yyjson_arr_foreach(list, i, n, item) {
		const char *value = doc_str(item, "value"), *name = doc_str(item, "name");
		struct model_regex *regex = NULL;
		bool known = false;

		if (!type_known(r, item, headers ? "header" : "query parameter", false))
			return false;
		if (is_regex(r, item, headers ? "value of a header" : "value of a query parameter", value, &regex) &&
		    regex == NULL)
			return false;
		if (headers)
			name = lower(r->b, name);
		for (uint32_t k = 0; k < items_n; k++)
			known |= strcmp(items[k].name, name) == 0;
		if (!known)
			items[items_n++] = (struct model_predicate){.name = name, .value = value, .regex = regex};
	}
	*out = items;
	*out_n = items_n;
	return true;
}

/* False: no request can have it. */
static bool normalise_path(struct rule_reader *r, struct model_match *m)
{
	const struct text path = {.at = m->path, .len = (uint32_t)strlen(m->path)};
	char normal[3 * PATH_BYTES_MAX];
	uint32_t len = path.len;
	enum uri_verdict v = uri_is_plain(path) ? URI_PLAIN : uri_normalise(path, normal, sizeof(normal), &len);

	if (v == URI_PLAIN)
		return true;
	if (v == URI_CHANGED) {
		m->path = region_copy(r->b->region, normal, len);
		return true;
	}
	break_rule(r, region_print(r->b->region, "path %.200s: %s", m->path,
	                           v == URI_REDIRECT ? "requests with an escaped slash are redirected" :
	                           v == URI_REFUSED ? "requests with %00 are refused" : "it is too long"));
	return false;
}

static bool read_path(struct rule_reader *r, yyjson_val *path, struct model_match *m)
{
	yyjson_val *value = doc_get(path, "value");

	m->path_kind = MODEL_PATH_PREFIX;
	m->path = yyjson_is_str(value) ? yyjson_get_str(value) : "/";
	if (!type_known(r, path, "path", true))
		return false;
	if (is_regex(r, path, "path", m->path, &m->regex)) {
		m->path_kind = MODEL_PATH_REGEX;
		return m->regex != NULL;
	}
	if (strcmp(doc_str(path, "type"), "Exact") == 0)
		m->path_kind = MODEL_PATH_EXACT;
	if (m->path[0] != '/') {
		break_rule(r, region_print(r->b->region, "path %s does not begin with /", m->path));
		return false;
	}
	return normalise_path(r, m);
}

/* False: it cannot be evaluated. */
static bool read_match(struct rule_reader *r, yyjson_val *match, struct model_match *m)
{
	const char *method = doc_str(match, "method");
	bool good;

	*m = (struct model_match){.method = TABLE_ANY_METHOD};
	if (method[0] != '\0')
		m->method = (uint8_t)http_method((struct text){.at = method, .len = (uint32_t)strlen(method)});
	if (m->method == HTTP_METHOD_OTHER) {
		break_rule(r, region_print(r->b->region, "method %s is not supported", method));
		return false;
	}
	good = read_path(r, doc_get(match, "path"), m);
	good &= read_predicates(r, doc_get(match, "headers"), true, &m->headers, &m->headers_n);
	return good & read_predicates(r, doc_get(match, "queryParams"), false, &m->query, &m->query_n);
}

static void read_matches(struct rule_reader *r, yyjson_val *list)
{
	const size_t list_n = yyjson_arr_size(list);
	size_t i, n;
	yyjson_val *match;

	r->rule->matches = REGION_ARRAY(r->b->region, struct model_match, list_n + 1);
	if (list_n == 0) {
		r->rule->matches_n = read_match(r, NULL, &r->rule->matches[0]);
		return;
	}
	yyjson_arr_foreach(list, i, n, match)
		r->rule->matches_n += read_match(r, match, &r->rule->matches[r->rule->matches_n]);
	/* One that was given up half way may have left something in the next place, which nobody looks at. */
}

/* ---- backends ---- */

static void read_backend(struct rule_reader *r, yyjson_val *ref, size_t i, struct model_backend *out)
{
	const struct resolved *to = backend_resolve(r->b, ref, r->route->object->namespace);
	const int64_t weight = doc_int(ref, "weight", 1);
	struct filter_reader filters = {
		.build = r->b, .route = r->route, .rule = r->index,
		.place = region_print(r->b->region, "backendRefs[%zu].filters", i),
	};

	out->cluster = to->cluster;
	out->weight = weight > 0 ? (uint32_t)weight : 0;
	r->rule->weight_sum += out->weight;
	read_filters(&filters, doc_get(ref, "filters"), &out->filters);
	if (filters.invalid != NULL)
		break_rule(r, filters.invalid);
	if (to->cluster == NULL && r->route->resolved_refs.ok)
		r->route->resolved_refs = condition_false(to->reason, region_print(r->b->region,
			"rules[%zu].backendRefs[%zu]: %s.", r->index, i, to->message));
}

static void read_backends(struct rule_reader *r, yyjson_val *list)
{
	size_t i, n;
	yyjson_val *ref;

	if (yyjson_arr_size(list) == 0)
		return;
	r->rule->backends = REGION_ARRAY(r->b->region, struct model_backend, yyjson_arr_size(list));
	yyjson_arr_foreach(list, i, n, ref)
		read_backend(r, ref, i, &r->rule->backends[r->rule->backends_n++]);
}

/* ---- rules ---- */

static void read_timeout(struct rule_reader *r, yyjson_val *timeouts, const char *name, uint32_t *ms)
{
	const char *text = doc_str(timeouts, name);

	if (text[0] != '\0' && !duration_parse(text, ms))
		break_rule(r, region_print(r->b->region, "timeouts.%s: \"%s\" is not a duration", name, text));
}

static void read_tries(struct rule_reader *r, yyjson_val *rule)
{
	yyjson_val *timeouts = doc_get(rule, "timeouts");
	const char *retry = read_retry(r->b, doc_get(rule, "retry"), &r->rule->retry);
	const char *session = read_session(r->b, r->route->object, r->index, doc_get(rule, "sessionPersistence"),
					   &r->rule->session);

	if (timeouts != NULL) {
		read_timeout(r, timeouts, "request", &r->rule->request_timeout_ms);
		read_timeout(r, timeouts, "backendRequest", &r->rule->backend_timeout_ms);
	}
	if (retry != NULL)
		break_rule(r, retry);
	if (session != NULL)
		break_rule(r, session);
}

static void read_rule(struct rule_reader *r, yyjson_val *rule)
{
	struct filter_reader filters = {.build = r->b, .route = r->route, .rule = r->index, .place = "filters"};

	r->rule->section = doc_str(rule, "name");
	read_matches(r, doc_get(rule, "matches"));
	read_filters(&filters, doc_get(rule, "filters"), &r->rule->filters);
	if (filters.invalid != NULL)
		break_rule(r, filters.invalid);
	read_backends(r, doc_get(rule, "backendRefs"));
	read_tries(r, rule);
	if (r->rule->invalid != NULL || (r->rule->weight_sum == 0 && !filters.answers))
		r->rule->direct_status = STATUS_BROKEN;
}

/* ---- the conditions that follow from the rules ---- */

static struct model_condition judge(struct build *b, struct model_route *route)
{
	char text[PROBLEMS_BYTES_MAX];
	size_t used = 0;
	uint32_t broken = 0;

	for (uint32_t i = 0; i < route->rules_n; i++) {
		if (route->rules[i].invalid == NULL)
			continue;
		broken++;
		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %u: %s",
						 used > 0 ? "; Rule" : "Dropped Rule", i, route->rules[i].invalid);
	}
	if (broken == 0)
		return condition_true("Accepted", "The route is accepted.");
	if (broken == route->rules_n)
		return condition_false("UnsupportedValue", region_print(b->region, "%s (answers 500).", text));
	route->partially_invalid =
		condition_true("UnsupportedValue", region_print(b->region, "%s (answers 500).", text));
	return condition_true("Accepted", "The route is accepted, but for some of its rules.");
}

struct model_condition read_rules(struct build *b, struct model_route *route)
{
	yyjson_val *list = doc_at(route->object->root, "spec.rules"), *rule;
	const size_t list_n = yyjson_arr_size(list);
	struct rule_reader r = {.b = b, .route = route};
	size_t i, n;

	route->resolved_refs = condition_true("ResolvedRefs", "All references are resolved.");
	route->rules = REGION_ARRAY(b->region, struct model_rule, list_n + 1);
	if (list_n == 0) {
		r.rule = &route->rules[route->rules_n++];
		read_rule(&r, NULL);
	}
	yyjson_arr_foreach(list, i, n, rule) {
		r.rule = &route->rules[route->rules_n++];
		r.index = i;
		read_rule(&r, rule);
	}
	return judge(b, route);
}
