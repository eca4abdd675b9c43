#include "worker/explain.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "route/regexes.h"
#include "route/route.h"
#include "route/uri.h"
#include "worker/explain_rule.h"

enum { CHUNKS = 32, ITEMS_MAX = 64, LOOKS_MAX = 1000, LINE_MAX_BYTES = 8192 };

struct explainer {
	const struct table *t;
	const struct health *health;
	struct regex *const *regexes;
	yyjson_mut_doc *d;
	struct http_message m;
	yyjson_mut_val *looks;
	struct pool chunks;
	struct arena arena;
};

static struct text text_of(const char *s)
{
	return (struct text){.at = s, .len = (uint32_t)strlen(s)};
}

static void add_text(struct explainer *e, yyjson_mut_val *to, const char *name, struct table_text x)
{
	yyjson_mut_obj_add_strncpy(e->d, to, name, table_text(e->t, x), x.len);
}

/* ---- what a match asks for, as a line ---- */

struct line {
	char at[LINE_MAX_BYTES];
	size_t n;
};

static void put(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->at + l->n, sizeof(l->at) - l->n, format, args);
	va_end(args);
	if (n > 0)
		l->n = l->n + (size_t)n < sizeof(l->at) ? l->n + (size_t)n : sizeof(l->at) - 1;
}

static void put_predicates(const struct explainer *e, struct line *l, struct table_list list, const char *what)
{
	const struct table_predicate *p = TABLE_LIST(e->t, list, struct table_predicate);

	for (uint32_t i = 0; i < list.n; i++)
		put(l, ", %s %.*s %s %.*s", what, (int)p[i].name.len, table_text(e->t, p[i].name),
		    p[i].compare == TABLE_REGEX ? "~" : "=", (int)p[i].value.len, table_text(e->t, p[i].value));
}

/* The path of an exact match or a prefix is not kept with the match, but the request's begins with it. */
static void put_match(const struct explainer *e, struct line *l, const struct table_match *m, enum route_kind kind)
{
	static const char *const kinds[] = {
		[ROUTE_EXACT] = "Exact", [ROUTE_REGEX] = "RegularExpression", [ROUTE_PREFIX] = "PathPrefix"};
	static const char *const methods[] = {
		[HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT",
		[HTTP_DELETE] = "DELETE", [HTTP_CONNECT] = "CONNECT", [HTTP_OPTIONS] = "OPTIONS",
		[HTTP_TRACE] = "TRACE", [HTTP_PATCH] = "PATCH", [HTTP_METHOD_OTHER] = "another method"};
	const struct table_regex *regexes = TABLE_LIST(e->t, e->t->regexes, struct table_regex);
	const uint32_t n = m->path_bytes < e->m.path.len ? m->path_bytes : e->m.path.len;

	if (kind == ROUTE_REGEX)
		put(l, "%s %.*s", kinds[kind], (int)regexes[m->regex].pattern.len,
		    table_text(e->t, regexes[m->regex].pattern));
	else
		put(l, "%s %.*s", kinds[kind], n > 0 ? (int)n : 1, n > 0 ? e->m.path.at : "/");
	if (m->method != TABLE_ANY_METHOD)
		put(l, ", method %s", methods[m->method]);
	put_predicates(e, l, m->headers, "header");
	put_predicates(e, l, m->query, "query parameter");
}

/* ---- the matches that were looked at ---- */

static void put_reason(const struct explainer *e, struct line *l, const struct route_look *look)
{
	const struct table_predicate *p = look->predicate;

	switch (look->verdict) {
	case ROUTE_WON:
		put(l, "won");
		break;
	case ROUTE_LESS_SPECIFIC:
		put(l, "holds, but is less specific");
		break;
	case ROUTE_OTHER_PATH:
		put(l, "another path");
		break;
	case ROUTE_OTHER_METHOD:
		put(l, "another method");
		break;
	case ROUTE_OTHER_HEADER:
	case ROUTE_OTHER_QUERY:
		put(l, "another %s %.*s, or none", look->verdict == ROUTE_OTHER_HEADER ? "header" : "query parameter",
		    (int)p->name.len, table_text(e->t, p->name));
		break;
	}
}

static void on_look(void *user, const struct route_look *look)
{
	struct explainer *e = user;
	const struct table_rule *rules = TABLE_LIST(e->t, e->t->rules, struct table_rule);
	struct line match = {.n = 0}, why = {.n = 0};
	yyjson_mut_val *item;

	if (yyjson_mut_arr_size(e->looks) == LOOKS_MAX)
		return;
	item = yyjson_mut_arr_add_obj(e->d, e->looks);
	put_match(e, &match, look->match, look->kind);
	put_reason(e, &why, look);
	add_text(e, item, "rule", rules[look->match->rule].name);
	add_text(e, item, "hostname", look->vhost->hostname);
	yyjson_mut_obj_add_strcpy(e->d, item, "match", match.at);
	yyjson_mut_obj_add_strcpy(e->d, item, "verdict", why.at);
	yyjson_mut_obj_add_bool(e->d, item, "won", look->verdict == ROUTE_WON);
}

/* ---- the request ---- */

static bool copy_headers(struct explainer *e, yyjson_val *list)
{
	size_t i, n;
	yyjson_val *item;

	yyjson_arr_foreach(list, i, n, item) {
		if (http_add(&e->m, &e->arena, text_of(doc_str(item, "name")), text_of(doc_str(item, "value"))) != OK)
			return false;
	}
	return true;
}

/* The answer that comes before routing, or null. */
static const char *normalise(struct explainer *e, uint16_t *status)
{
	uint32_t room = 3 * e->m.path.len, len;
	char *normal;
	enum uri_verdict v;

	room = room < LIMIT_uri_normal_form ? room : LIMIT_uri_normal_form;
	normal = arena_get(&e->arena, room);
	if (uri_is_plain(e->m.path) || normal == NULL)
		return NULL;
	v = uri_normalise(e->m.path, normal, room, &len);
	if (v == URI_CHANGED || v == URI_REDIRECT)
		e->m.path = (struct text){.at = normal, .len = len};
	*status = v == URI_REDIRECT ? 307 : v == URI_REFUSED ? 400 : v == URI_TOO_LONG ? 414 : 0;
	return v == URI_REDIRECT ? "redirected to the normal form of its path" :
	       v == URI_REFUSED ? "its path is refused" :
	       v == URI_TOO_LONG ? "its path has no room in normal form" : NULL;
}

/* ---- one address ---- */

static void add_answer(struct explainer *e, yyjson_mut_val *item, enum route_answer a)
{
	static const struct {
		const char *text;
		unsigned status;
	} answers[] = {
		[ROUTE_FOUND] = {"served", 0}, [ROUTE_NO_LISTENER] = {"no listener has this host", 404},
		[ROUTE_NO_RULE] = {"no rule matches", 404},
		[ROUTE_TOO_MUCH] = {"its regular expressions would cost too much", 431},
	};

	yyjson_mut_obj_add_str(e->d, item, "answer", answers[a].text);
	if (answers[a].status != 0)
		yyjson_mut_obj_add_uint(e->d, item, "status", answers[a].status);
}

static void add_bind(struct explainer *e, yyjson_mut_val *items, const struct table_bind *b)
{
	const struct route_trace trace = {.on_look = on_look, .user = e};
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(e->d, items);
	char address[ADDR_TEXT_MAX];
	struct route_result found;
	enum route_answer a;

	e->looks = yyjson_mut_arr(e->d);
	a = route_explain(e->t, e->regexes, &b->addr, b->port, &e->m, &found, &trace);
	yyjson_mut_obj_add_strcpy(e->d, item, "address", addr_print(&b->addr, address));
	yyjson_mut_obj_add_uint(e->d, item, "port", b->port);
	yyjson_mut_obj_add_strncpy(e->d, item, "path", e->m.path.at, e->m.path.len);
	add_answer(e, item, a);
	if (found.listener != NULL)
		add_text(e, item, "listener", found.listener->name);
	if (a == ROUTE_FOUND) {
		add_text(e, item, "hostname", found.vhost->hostname);
		explain_rule(e->d, item, e->t, e->health, found.rule);
	}
	yyjson_mut_obj_add_val(e->d, item, "matches", e->looks);
}

/* Addresses of one Gateway say the same: the first speaks for all that have the same listeners. */
static bool said(const struct table *t, uint32_t at)
{
	const struct table_bind *b = TABLE_LIST(t, t->binds, struct table_bind);

	for (uint32_t i = 0; i < at; i++) {
		if (b[i].port == b[at].port && b[i].catch_all == b[at].catch_all && b[i].hosts.slots_n == 0 &&
		    b[at].hosts.slots_n == 0)
			return true;
	}
	return false;
}

static void explain(struct explainer *e, yyjson_val *request, yyjson_mut_val *root)
{
	const struct table_bind *b = TABLE_LIST(e->t, e->t->binds, struct table_bind);
	yyjson_mut_val *items = yyjson_mut_arr(e->d);
	uint16_t status = 0;
	const char *early = normalise(e, &status);

	yyjson_mut_obj_add_bool(e->d, root, "ok", true);
	if (early != NULL) {
		yyjson_mut_val *item = yyjson_mut_arr_add_obj(e->d, items);

		yyjson_mut_obj_add_strncpy(e->d, item, "path", e->m.path.at, e->m.path.len);
		yyjson_mut_obj_add_str(e->d, item, "answer", early);
		yyjson_mut_obj_add_uint(e->d, item, "status", status);
	}
	for (uint32_t i = 0; early == NULL && i < e->t->binds.n && yyjson_mut_arr_size(items) < ITEMS_MAX; i++) {
		if (b[i].port == doc_int(request, "port", 80) && !said(e->t, i))
			add_bind(e, items, &b[i]);
	}
	yyjson_mut_obj_add_val(e->d, root, "items", items);
}

void explain_answer(const struct table *t, const struct health *health, struct desk_question *q)
{
	struct explainer e = {.t = t, .health = health, .d = q->reply};
	struct regexes *all = regexes_new(1);
	struct regex_set *set = NULL;

	pool_init(&e.chunks, "explain", ARENA_CHUNK, CHUNKS);
	arena_init(&e.arena, &e.chunks, CHUNKS);
	http_message_init(&e.m);
	e.m.method_text = text_of(doc_str(q->request, "method"));
	e.m.method = (uint8_t)http_method(e.m.method_text);
	e.m.authority = text_of(doc_str(q->request, "host"));
	e.m.path = text_of(doc_str(q->request, "path"));
	if (e.m.path.len == 0 || e.m.path.len > LIMIT_http_uri) {
		desk_refuse(q, "path: must be there, and not be longer than a request's");
	} else if (!copy_headers(&e, doc_get(q->request, "headers"))) {
		desk_refuse(q, "headers: too many");
	} else if (all == NULL || regexes_take(all, t, &set) != OK) {
		desk_refuse(q, "no memory");
	} else {
		e.regexes = regex_set_of(set, 0);
		explain(&e, q->request, q->root);
	}
	if (all != NULL) {
		regexes_drop(all, set);
		regexes_free(all);
	}
	arena_reset(&e.arena);
	pool_fini(&e.chunks);
}
