/*
 * Routing one request.
 *
 * The host picks the listener (isolation: a request belongs to one listener, even if that has no route for it), then
 * the virtual host. There the path walks down the trie, one lookup per segment, remembering the nodes where prefixes
 * hang; candidates are tried from the most specific one: the exact matches of the last node, the regular expressions
 * of the virtual host, then the prefixes from the deepest node up. A list's matches are in the order of precedence
 * already, so the first that holds is the answer. When nothing holds, the next less specific virtual host is tried:
 * precedence is by hostname first.
 *
 * The path is in its normal form already (uri.h). A request's repeated header or query parameter counts by its first
 * occurrence (where a manifest repeats a name, control has dropped the repetition). Query names and values are compared
 * as they came, not decoded, as Envoy does.
 *
 * CONNECT asks for a tunnel past everything that rules say about requests: "any method" does not mean it, so that only
 * who names it allows it. It has no path; "/" stands for it.
 *
 * A request whose regular expressions cost too much gets no rule at all, not the next one: a long header must not lead
 * around a rule that would have refused it.
 *
 * Everything is compiled twice, with a trace and without, so that explanations come from the very code that serves.
 */
#include "route/route.h"

#include <string.h>

#include "base/check.h"
#include "base/limits.h"

enum { DEPTH_MAX = 1040 };

/* A request as it is being routed. */
struct search {
	const struct table *t;
	struct regex *const *regexes;
	const struct http_message *request;
	struct text path, query;
	const struct table_vhost *vhost;
	const struct table_match *won;
	const struct route_trace *trace;
	uint32_t regex_bytes;        /* what regular expressions may still read */
	bool too_much;
};

#define INLINE static inline __attribute__((always_inline))

/* ---- predicates ---- */

INLINE struct text as_text(const struct table *t, struct table_text x)
{
	return (struct text){.at = table_text(t, x), .len = x.len};
}

INLINE bool equal(const struct table *t, struct table_text want, struct text got)
{
	return want.len == got.len && memcmp(table_text(t, want), got.at, got.len) == 0;
}

static bool regex_holds(struct search *s, uint32_t regex, struct text got)
{
	enum regex_answer a = REGEX_NO;

	if (!s->too_much)
		a = regex_match(s->regexes[regex], got.at, got.len, &s->regex_bytes);
	s->too_much |= a == REGEX_TOO_MUCH;
	return a == REGEX_YES;
}

INLINE bool value_holds(struct search *s, const struct table_predicate *p, struct text got)
{
	return p->compare == TABLE_EQUAL ? equal(s->t, p->value, got) : regex_holds(s, p->regex, got);
}

/* The first header condition that does not hold; null: all do. */
INLINE const struct table_predicate *other_header(struct search *s, struct table_list list)
{
	const struct table_predicate *p = TABLE_LIST(s->t, list, struct table_predicate);

	for (uint32_t i = 0; i < list.n; i++, p++) {
		const struct http_field *f = p->field_id != HTTP_FIELD_OTHER
		                                     ? http_find(s->request, (enum http_field_id)p->field_id)
		                                     : http_find_name(s->request, as_text(s->t, p->name));

		if (f == NULL || !value_holds(s, p, f->value))
			return p;
	}
	return NULL;
}

INLINE const struct table_predicate *other_parameter(struct search *s, struct table_list list)
{
	const struct table_predicate *p = TABLE_LIST(s->t, list, struct table_predicate);

	for (uint32_t i = 0; i < list.n; i++, p++) {
		struct text value;

		if (!target_parameter(s->query, as_text(s->t, p->name), &value) || !value_holds(s, p, value))
			return p;
	}
	return NULL;
}

INLINE bool method_holds(const struct search *s, const struct table_match *m)
{
	return m->method == s->request->method ||
	       (m->method == TABLE_ANY_METHOD && s->request->method != HTTP_CONNECT);
}

INLINE bool path_holds(struct search *s, const struct table_match *m, enum route_kind kind)
{
	return kind != ROUTE_REGEX || regex_holds(s, m->regex, s->path);
}

/* ---- lists ---- */

static void tell(struct search *s, const struct table_match *m, enum route_kind kind)
{
	struct route_look look = {.vhost = s->vhost, .match = m, .kind = kind};

	if (!path_holds(s, m, kind))
		look.verdict = ROUTE_OTHER_PATH;
	else if (!method_holds(s, m))
		look.verdict = ROUTE_OTHER_METHOD;
	else if ((look.predicate = other_header(s, m->headers)) != NULL)
		look.verdict = ROUTE_OTHER_HEADER;
	else if ((look.predicate = other_parameter(s, m->query)) != NULL)
		look.verdict = ROUTE_OTHER_QUERY;
	else
		look.verdict = s->won != NULL ? ROUTE_LESS_SPECIFIC : ROUTE_WON;
	if (look.verdict == ROUTE_WON)
		s->won = m;
	s->trace->on_look(s->trace->user, &look);
}

/* It is read next if the match holds, and may come from far away meanwhile. */
INLINE void fetch_rule(const struct table *t, const struct table_match *m)
{
	__builtin_prefetch(&TABLE_LIST(t, t->rules, struct table_rule)[m->rule]);
}

/* True: the search is over. */
INLINE bool try(struct search *s, struct table_list list, enum route_kind kind)
{
	const struct table_match *m = TABLE_LIST(s->t, list, struct table_match);

	for (uint32_t i = 0; i < list.n; i++, m++) {
		fetch_rule(s->t, m);
		if (s->trace != NULL) {
			tell(s, m, kind);
			continue;
		}
		/* What is cheap is asked first; they all have to hold. */
		if (method_holds(s, m) && other_header(s, m->headers) == NULL && other_parameter(s, m->query) == NULL &&
		    path_holds(s, m, kind)) {
			s->won = m;
			return true;
		}
	}
	return false;
}

/* ---- paths ---- */

INLINE bool search_vhost(struct search *s)
{
	const struct table_node *nodes = TABLE_LIST(s->t, s->t->nodes, struct table_node);
	const char *p = s->path.at + 1, *const end = s->path.at + s->path.len;
	uint32_t visited[DEPTH_MAX + 1], depth = 0, node = s->vhost->root;

	/* "/a/b" ends with p behind the end; "/a/" has an empty segment at the end. */
	while (p <= end && depth < DEPTH_MAX) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		const char *stop = slash != NULL ? slash : end;

		visited[depth++] = node;
		node = table_find_edge(s->t, node, p, (size_t)(stop - p));
		if (node == TABLE_NONE)
			break;
		p = stop + 1;
	}
	if (node != TABLE_NONE && p > end) {
		visited[depth++] = node;
		if (try(s, nodes[node].exact, ROUTE_EXACT))
			return true;
	}
	if (try(s, s->vhost->regexes, ROUTE_REGEX))
		return true;
	while (depth > 0) {
		if (try(s, nodes[visited[--depth]].prefix, ROUTE_PREFIX))
			return true;
	}
	return false;
}

INLINE void split(struct search *s)
{
	const struct text all = s->request->path;
	const char *mark = memchr(all.at, '?', all.len);

	s->path = all;
	if (mark != NULL) {
		s->path.len = (uint32_t)(mark - all.at);
		s->query = (struct text){.at = mark + 1, .len = all.len - s->path.len - 1};
	}
}

/* ---- the whole ---- */

void route_host(const struct table *t, const struct addr *local, uint16_t port, struct text authority,
                struct route_host *out)
{
	const struct table_bind *bind = table_find_bind(t, local, port);
	uint32_t listener = TABLE_NONE;

	out->text = target_host(authority, out->room);
	out->listener = NULL;
	out->hash = 0;
	out->likely = TABLE_NONE;
	if (bind != NULL)
		listener = table_find_listener(t, bind, out->text.at, out->text.len);
	if (listener == TABLE_NONE)
		return;
	out->listener = &TABLE_LIST(t, t->listeners, struct table_listener)[listener];
	out->hash = table_seek_vhost(t, out->listener, out->text.at, out->text.len);
}

void route_fetch(const struct table *t, struct route_host *h)
{
	if (h->listener != NULL)
		h->likely = table_fetch_vhost(t, h->listener, h->hash);
}

INLINE enum route_answer find(struct search *s, const struct route_host *h, struct route_result *out)
{
	const struct table *t = s->t;
	const struct table_vhost *vhosts = TABLE_LIST(t, t->vhosts, struct table_vhost);
	uint32_t v;

	*out = (struct route_result){.listener = h->listener};
	if (h->listener == NULL)
		return ROUTE_NO_LISTENER;
	split(s);
	if (s->path.len == 0 || s->path.at[0] != '/')
		return ROUTE_NO_RULE;
	v = table_take_vhost(t, h->listener, h->text.at, h->text.len, h->hash, h->likely);
	for (; v != TABLE_NONE && s->won == NULL; v = vhosts[v].less_specific) {
		out->vhost = s->vhost = &vhosts[v];
		(void)search_vhost(s);
	}
	if (s->too_much)
		return ROUTE_TOO_MUCH;
	if (s->won == NULL)
		return ROUTE_NO_RULE;
	out->match = s->won;
	out->rule = &TABLE_LIST(t, t->rules, struct table_rule)[s->won->rule];
	return ROUTE_FOUND;
}

enum route_answer route_find_at(const struct table *t, struct regex *const *regexes, const struct route_host *h,
                                const struct http_message *request, struct route_result *out)
{
	struct search s = {.t = t, .regexes = regexes, .request = request, .regex_bytes = LIMIT_regex_bytes};

	CHECK(regexes != NULL || t->regexes.n == 0);
	return find(&s, h, out);
}

enum route_answer route_find(const struct table *t, struct regex *const *regexes, const struct addr *local,
                             uint16_t port, const struct http_message *request, struct route_result *out)
{
	struct route_host h;

	route_host(t, local, port, request->authority, &h);
	route_fetch(t, &h);
	return route_find_at(t, regexes, &h, request, out);
}

enum route_answer route_explain(const struct table *t, struct regex *const *regexes, const struct addr *local,
                                uint16_t port, const struct http_message *request, struct route_result *out,
                                const struct route_trace *trace)
{
	struct search s = {.t = t, .regexes = regexes, .request = request, .regex_bytes = LIMIT_regex_bytes,
	                   .trace = trace};
	struct route_host h;

	CHECK(regexes != NULL || t->regexes.n == 0);
	route_host(t, local, port, request->authority, &h);
	return find(&s, &h, out);
}
