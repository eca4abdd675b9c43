/*
 * The steps of building a model, in the order in which they need each other:
 *
 *   machine  >  classes, gateways, listeners  >  VIPs  >  Backends, grants, slices  >  routes (rules, attachment)
 *
 * Each is linear in the objects it reads: names are found in hash tables, orders are made by sorting.
 */
#include "control/model/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/model/build.h"

struct model_condition condition_true(const char *reason, const char *message)
{
	return (struct model_condition){.ok = true, .reason = reason, .message = message};
}

struct model_condition condition_false(const char *reason, const char *message)
{
	return (struct model_condition){.ok = false, .reason = reason, .message = message};
}

/* RFC 3339 in UTC with seconds, so that the order of the texts is the order of the times. */
const char *object_created(const struct object *o)
{
	return doc_str(doc_get(o->root, "metadata"), "creationTimestamp");
}

int object_age_compare(const struct object *a, const struct object *b)
{
	int by = strcmp(object_created(a), object_created(b));

	if (by == 0)
		by = strcmp(a->namespace, b->namespace);
	return by != 0 ? by : strcmp(a->name, b->name);
}

/* A listener is in the tables when it is accepted and has somewhere to be. */
static void decide_live(struct model *m)
{
	for (uint32_t i = 0; i < m->gateways_n; i++) {
		struct model_gateway *g = &m->gateways[i];

		for (uint32_t k = 0; k < g->listeners_n; k++)
			g->listeners[k].live = g->accepted.ok && g->listeners[k].accepted.ok && g->addresses_n > 0 &&
			                       g->listeners[k].takes_http_routes;
	}
}

/* ---- routes ---- */

/* Sorting looks at the time of creation often: it is taken out first. */
struct aged {
	const char *created;
	const struct object *object;
};

static int compare_aged(const void *x, const void *y)
{
	const struct aged *a = x, *b = y;
	int by = strcmp(a->created, b->created);

	if (by == 0)
		by = strcmp(a->object->namespace, b->object->namespace);
	return by != 0 ? by : strcmp(a->object->name, b->object->name);
}

/* False: there is no room for it, and the conditions say so. One that got less room than it asked for is told too. */
static bool take_cluster(struct build *b, struct model_route *route, struct model_cluster *c, uint32_t rule,
                         const char *list, uint32_t i)
{
	const char *refused = cluster_use(b, c);
	struct model_condition *partially = &route->partially_invalid;

	if (refused != NULL && route->resolved_refs.ok)
		route->resolved_refs = condition_false("LimitReached", region_print(b->region, "rules[%u].%s[%u]: %s.",
		                                                                    rule, list, i, refused));
	if (refused != NULL)
		return false;
	if (c->cut != NULL && partially->reason == NULL)
		*partially = condition_true("LimitReached", region_print(b->region, "rules[%u].%s[%u]: %s.", rule, list,
		                                                         i, c->cut));
	else if (c->cut != NULL && !route->told_of_cut)
		partially->message = region_print(b->region, "%s rules[%u].%s[%u]: %s.", partially->message, rule, list,
		                                  i, c->cut);
	route->told_of_cut |= c->cut != NULL;
	return true;
}

/* A mirror that there is no room for is left out. */
static void take_filters(struct build *b, struct model_route *route, uint32_t rule, struct model_filters *filters)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < filters->n; i++) {
		struct model_cluster *c = filters->items[i].cluster;

		if (c == NULL || take_cluster(b, route, c, rule, "filters", i))
			filters->items[kept++] = filters->items[i];
	}
	filters->n = kept;
}

static void use_predicates(struct build *b, const struct model_predicate *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		regex_use(b, p[i].regex);
}

static void use_regexes(struct build *b, const struct model_rule *rule)
{
	for (uint32_t i = 0; i < rule->matches_n; i++) {
		regex_use(b, rule->matches[i].regex);
		use_predicates(b, rule->matches[i].headers, rule->matches[i].headers_n);
		use_predicates(b, rule->matches[i].query, rule->matches[i].query_n);
	}
}

/* Rules that answer by themselves need no place for their backends. A backend without room is 500 for its share. */
static void take_places(struct build *b, struct model_route *route)
{
	for (uint32_t i = 0; i < route->rules_n; i++) {
		struct model_rule *rule = &route->rules[i];

		rule->index = b->model->rules_n++;
		use_regexes(b, rule);
		if (rule->direct_status != 0)
			continue;
		take_filters(b, route, i, &rule->filters);
		for (uint32_t k = 0; k < rule->backends_n; k++) {
			struct model_backend *backend = &rule->backends[k];

			if (backend->cluster != NULL &&
			    !take_cluster(b, route, backend->cluster, i, "backendRefs", k))
				backend->cluster = NULL;
			take_filters(b, route, i, &backend->filters);
		}
	}
}

void build_routes(struct build *b)
{
	size_t n;
	const struct object *const *all = snapshot_list(b->snapshot, "HTTPRoute", &n);
	struct aged *by_age = REGION_ARRAY(b->region, struct aged, n);
	struct model *m = b->model;

	for (size_t i = 0; i < n; i++)
		by_age[i] = (struct aged){.created = object_created(all[i]), .object = all[i]};
	if (n > 1)
		qsort(by_age, n, sizeof(by_age[0]), compare_aged);
	m->routes = REGION_ARRAY(b->region, struct model_route, n);
	m->routes_n = (uint32_t)n;
	b->scratch = builder_new();
	capacity_init(&b->capacity, b->region);
	for (uint32_t i = 0; i < m->routes_n; i++) {
		struct model_route *route = &m->routes[i];
		const size_t before = builder_bytes(b->scratch);
		struct model_condition rules;

		route->object = by_age[i].object;
		route->order = i;
		rules = read_rules(b, route);
		route->own_bytes = capacity_rules(route, builder_bytes(b->scratch) - before);
		attach_route(b, route, &rules);
		if (route->attached)
			take_places(b, route);
	}
	builder_free(b->scratch);
}

struct model *model_new(const struct snapshot *s, const struct answers *known, const struct snapshot *machine_from)
{
	struct region *r = region_new();
	struct model *m = region_take(r, sizeof(*m));
	struct build b = {.snapshot = s, .machine_from = machine_from, .known = known, .model = m, .region = r};

	m->region = r;
	m->resource_version = snapshot_resource_version(s);
	build_machine(&b);
	build_gateways(&b);
	build_vips(&b);
	decide_live(m);
	build_backends(&b);
	build_routes(&b);
	return m;
}

void model_free(struct model *m)
{
	if (m != NULL)
		region_free(m->region);
}
