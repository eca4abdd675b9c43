/*
 * Routing one request.
 *
 * The host picks the listener (isolation: a request belongs to one listener, even if that has no route for it), then
 * the virtual host. There the path walks down the trie, one lookup per segment, remembering the nodes where prefixes
 * hang; candidates are tried from the most specific one: the exact matches of the last node, then the prefixes from
 * the deepest node up. A node's matches are in the order of precedence already, so the first that holds is the
 * answer. When nothing holds, the next less specific virtual host is tried: precedence is by hostname first.
 *
 * A request's repeated header or query parameter counts by its first occurrence (where a manifest repeats a name,
 * control has dropped the repetition). Query names and values are compared as they came, not decoded, as Envoy does.
 * A regular expression in a predicate is never true here: control compiles none yet, and an unknown condition must
 * not open a route.
 */
#include "route/route.h"

#include <string.h>

#include "base/check.h"

enum { HOST_MAX = 255, DEPTH_MAX = 1040 };

/* ---- host ---- */

/* The host of an authority in the form of the tables: lower case, without port and trailing dot. 0: none, or one
 * that no hostname can equal. */
static size_t normalise(struct text authority, char host[static HOST_MAX])
{
	size_t n = authority.len;

	if (n > 0 && authority.at[0] == '[') {
		const char *end = memchr(authority.at, ']', n);

		n = end != NULL ? (size_t)(end - authority.at) + 1 : 0;
	} else {
		const char *colon = memchr(authority.at, ':', n);

		if (colon != NULL)
			n = (size_t)(colon - authority.at);
	}
	if (n > 0 && authority.at[n - 1] == '.')
		n--;
	if (n > HOST_MAX)
		return 0;
	for (size_t i = 0; i < n; i++) {
		const char c = authority.at[i];

		host[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	return n;
}

/* ---- predicates ---- */

static inline struct text as_text(const struct table *t, struct table_text x)
{
	return (struct text){.at = table_text(t, x), .len = x.len};
}

static inline bool equal(const struct table *t, struct table_text want, struct text got)
{
	return want.len == got.len && memcmp(table_text(t, want), got.at, got.len) == 0;
}

static bool headers_hold(const struct table *t, struct table_list list, const struct http_message *request)
{
	const struct table_predicate *p = TABLE_LIST(t, list, struct table_predicate);

	for (uint32_t i = 0; i < list.n; i++, p++) {
		const struct http_field *f = p->field_id != HTTP_FIELD_OTHER
		                                     ? http_find(request, (enum http_field_id)p->field_id)
		                                     : http_find_name(request, as_text(t, p->name));

		if (f == NULL || p->compare != TABLE_EQUAL || !equal(t, p->value, f->value))
			return false;
	}
	return true;
}

/* The first parameter of that name: "a=1&b&c=" has a "1", b "" and c "". */
static bool find_parameter(struct text query, const struct table *t, struct table_text name, struct text *value)
{
	const char *p = query.at, *const end = query.at + query.len;

	while (p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		const char *stop = amp != NULL ? amp : end;
		const char *sign = memchr(p, '=', (size_t)(stop - p));
		const char *name_end = sign != NULL ? sign : stop;

		if (equal(t, name, (struct text){.at = p, .len = (uint32_t)(name_end - p)})) {
			*value = (struct text){.at = sign != NULL ? sign + 1 : stop};
			value->len = (uint32_t)(stop - value->at);
			return true;
		}
		p = stop + 1;
	}
	return false;
}

static bool query_holds(const struct table *t, struct table_list list, struct text query)
{
	const struct table_predicate *p = TABLE_LIST(t, list, struct table_predicate);

	for (uint32_t i = 0; i < list.n; i++, p++) {
		struct text value;

		if (p->compare != TABLE_EQUAL || !find_parameter(query, t, p->name, &value))
			return false;
		if (!equal(t, p->value, value))
			return false;
	}
	return true;
}

/* ---- paths ---- */

struct target {
	const struct http_message *request;
	struct text path;
	struct text query;
};

static const struct table_match *first_match(const struct table *t, struct table_list list, const struct target *x)
{
	const struct table_match *m = TABLE_LIST(t, list, struct table_match);

	for (uint32_t i = 0; i < list.n; i++, m++) {
		if ((m->method == TABLE_ANY_METHOD || m->method == x->request->method) &&
		    headers_hold(t, m->headers, x->request) && query_holds(t, m->query, x->query))
			return m;
	}
	return NULL;
}

static const struct table_match *find_in_trie(const struct table *t, uint32_t root, const struct target *x)
{
	const struct table_node *nodes = TABLE_LIST(t, t->nodes, struct table_node);
	const struct table_match *m = NULL;
	const char *p = x->path.at + 1, *const end = x->path.at + x->path.len;
	uint32_t visited[DEPTH_MAX], depth = 0, node = root;

	/* "/a/b" ends with p behind the end; "/a/" has an empty segment at the end. */
	while (p <= end && depth < DEPTH_MAX) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		const char *stop = slash != NULL ? slash : end;

		visited[depth++] = node;
		node = table_find_edge(t, node, p, (size_t)(stop - p));
		if (node == TABLE_NONE)
			break;
		p = stop + 1;
	}
	if (node != TABLE_NONE && p > end) {
		m = first_match(t, nodes[node].exact, x);
		if (m == NULL)
			m = first_match(t, nodes[node].prefix, x);
	}
	while (m == NULL && depth > 0)
		m = first_match(t, nodes[visited[--depth]].prefix, x);
	return m;
}

static void split(const struct http_message *request, struct target *x)
{
	const struct text all = request->path;
	const char *mark = memchr(all.at, '?', all.len);

	x->request = request;
	x->path = all;
	x->query = (struct text){0};
	if (mark != NULL) {
		x->path.len = (uint32_t)(mark - all.at);
		x->query = (struct text){.at = mark + 1, .len = all.len - x->path.len - 1};
	}
}

/* ---- the whole ---- */

enum route_answer route_find(const struct table *t, const struct addr *local, uint16_t port,
                             const struct http_message *request, struct route_result *out)
{
	const struct table_bind *bind = table_find_bind(t, local, port);
	const struct table_vhost *vhosts = TABLE_LIST(t, t->vhosts, struct table_vhost);
	struct target x;
	char host[HOST_MAX];
	const size_t host_len = normalise(request->authority, host);
	uint32_t listener, v;

	*out = (struct route_result){0};
	if (bind == NULL)
		return ROUTE_NO_LISTENER;
	listener = table_find_listener(t, bind, host, host_len);
	if (listener == TABLE_NONE)
		return ROUTE_NO_LISTENER;
	out->listener = &TABLE_LIST(t, t->listeners, struct table_listener)[listener];
	split(request, &x);
	if (x.path.len == 0 || x.path.at[0] != '/')
		return ROUTE_NO_RULE;
	v = table_find_vhost(t, out->listener, host, host_len);
	for (; v != TABLE_NONE; v = vhosts[v].less_specific) {
		out->match = find_in_trie(t, vhosts[v].root, &x);
		if (out->match != NULL) {
			out->rule = &TABLE_LIST(t, t->rules, struct table_rule)[out->match->rule];
			return ROUTE_FOUND;
		}
	}
	return ROUTE_NO_RULE;
}
