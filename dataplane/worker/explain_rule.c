/* See the header. What counts is taken from the fields and limits that the proxy reads (proxy/times.c, retry.c). */
#include "worker/explain_rule.h"

#include <stdio.h>
#include <string.h>

#include "balance/balance.h"
#include "base/limits.h"
#include "filter/filter.h"
#include "proxy/proxy.h"

enum { ENDPOINTS_MAX = 100, CODE_MIN = 400, FROM_MAX = 900 };

struct writer {
	yyjson_mut_doc *d;
	const struct table *t;
	const struct health *health;
	const struct table_rule *rule;
	char from[FROM_MAX];         /* the object that the rule is of */
};

static void add_text(const struct writer *w, yyjson_mut_val *to, const char *name, struct table_text x)
{
	yyjson_mut_obj_add_strncpy(w->d, to, name, table_text(w->t, x), x.len);
}

/*
 * "httproute/default/shop/rule/0" is "HTTPRoute default/shop rule 0", and the rule's own name behind it. Other names
 * are said as they are.
 */
static void name_object(struct writer *w)
{
	static const struct {
		const char *word, *kind;
	} kinds[] = {{"httproute/", "HTTPRoute"}, {"grpcroute/", "GRPCRoute"}};
	static const char rule[] = "/rule/";
	const char *name = table_text(w->t, w->rule->name);
	const size_t len = w->rule->name.len;

	snprintf(w->from, sizeof(w->from), "%.*s", (int)len, name);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const size_t word = strlen(kinds[i].word);
		const char *at = len > word && memcmp(name, kinds[i].word, word) == 0
		                         ? memmem(name, len, rule, sizeof(rule) - 1) : NULL;

		if (at == NULL)
			continue;
		snprintf(w->from, sizeof(w->from), "%s %.*s rule %.*s%s%.*s", kinds[i].kind,
		         (int)(at - name - (long)word), name + word, (int)(name + len - at - (long)(sizeof(rule) - 1)),
		         at + sizeof(rule) - 1, w->rule->section.len > 0 ? " " : "", (int)w->rule->section.len,
		         table_text(w->t, w->rule->section));
	}
}

/* ---- backends ---- */

static yyjson_mut_val *filters(const struct writer *w, struct table_list list)
{
	const struct table_filter *f = TABLE_LIST(w->t, list, struct table_filter);
	yyjson_mut_val *names = yyjson_mut_arr(w->d);

	for (uint32_t i = 0; i < list.n; i++)
		yyjson_mut_arr_add_str(w->d, names, filter_list[f[i].kind]->type);
	return names;
}

static void add_endpoints(const struct writer *w, yyjson_mut_val *item, const struct table_cluster *c)
{
	const struct table_endpoint *e = TABLE_LIST(w->t, c->endpoints, struct table_endpoint);
	yyjson_mut_val *list = yyjson_mut_arr(w->d);
	uint32_t out = 0;

	for (uint32_t i = 0; i < c->endpoints.n; i++) {
		const bool ejected = w->health != NULL && health_ejected(w->health, health_key(c->id, e[i].id));
		char address[ADDR_TEXT_MAX], both[ADDR_TEXT_MAX + 16];
		yyjson_mut_val *one;

		out += ejected;
		if (i >= ENDPOINTS_MAX)
			continue;
		one = yyjson_mut_arr_add_obj(w->d, list);
		snprintf(both, sizeof(both), addr_is_v4(&e[i].addr) ? "%s:%u" : "[%s]:%u",
		         addr_print(&e[i].addr, address), e[i].port);
		yyjson_mut_obj_add_strcpy(w->d, one, "address", both);
		yyjson_mut_obj_add_uint(w->d, one, "weight", e[i].weight);
		yyjson_mut_obj_add_bool(w->d, one, "ejected", ejected);
	}
	yyjson_mut_obj_add_uint(w->d, item, "endpointsTotal", c->endpoints.n);
	yyjson_mut_obj_add_uint(w->d, item, "endpointsEjected", out);
	yyjson_mut_obj_add_val(w->d, item, "endpoints", list);
}

static void add_backend(const struct writer *w, yyjson_mut_val *list, const struct table_backend *b)
{
	const struct table_cluster *c = TABLE_LIST(w->t, w->t->clusters, struct table_cluster);
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, list);
	const uint32_t sum = w->rule->weight_sum;

	if (b->cluster == TABLE_NONE)
		yyjson_mut_obj_add_null(w->d, item, "cluster");
	else
		add_text(w, item, "cluster", c[b->cluster].name);
	yyjson_mut_obj_add_uint(w->d, item, "weight", b->weight);
	yyjson_mut_obj_add_uint(w->d, item, "sharePerMille", sum != 0 ? b->weight * UINT64_C(1000) / sum : 0);
	if (b->cluster != TABLE_NONE) {
		yyjson_mut_obj_add_str(w->d, item, "balancer", balancer_list[c[b->cluster].balancer]->name);
		add_endpoints(w, item, &c[b->cluster]);
	}
	yyjson_mut_obj_add_val(w->d, item, "filters", filters(w, b->filters));
}

static void add_backends(const struct writer *w, yyjson_mut_val *item)
{
	const struct table_backend *b = TABLE_LIST(w->t, w->rule->backends, struct table_backend);
	yyjson_mut_val *list = yyjson_mut_obj_add_arr(w->d, item, "backends");

	for (uint32_t i = 0; i < w->rule->backends.n; i++)
		add_backend(w, list, &b[i]);
}

/* ---- timeouts ---- */

#define LIMIT_OF(name) "default (limits: " #name ")"

/* ms 0: none. */
static yyjson_mut_val *add_timeout(const struct writer *w, yyjson_mut_val *list, const char *name, uint64_t ms,
                                   const char *from)
{
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, list);

	yyjson_mut_obj_add_str(w->d, item, "name", name);
	if (ms == 0)
		yyjson_mut_obj_add_null(w->d, item, "ms");
	else
		yyjson_mut_obj_add_uint(w->d, item, "ms", ms);
	yyjson_mut_obj_add_strcpy(w->d, item, "from", from);
	return item;
}

static void add_connect_timeouts(const struct writer *w, yyjson_mut_val *list)
{
	const struct table_backend *b = TABLE_LIST(w->t, w->rule->backends, struct table_backend);
	const struct table_cluster *c = TABLE_LIST(w->t, w->t->clusters, struct table_cluster);

	for (uint32_t i = 0; i < w->rule->backends.n; i++) {
		const struct table_cluster *to = b[i].cluster != TABLE_NONE ? &c[b[i].cluster] : NULL;
		const char *from;

		if (to == NULL)
			continue;
		from = to->connect_timeout_ms == LIMIT_upstream_connect_s * 1000 ? LIMIT_OF(upstream_connect_s)
		                                                                  : "the cluster";
		add_text(w, add_timeout(w, list, "connect", to->connect_timeout_ms, from), "cluster", to->name);
	}
}

static void add_timeouts(const struct writer *w, yyjson_mut_val *item)
{
	const struct table_rule *r = w->rule;
	const uint32_t longest = r->request_timeout_ms > r->backend_timeout_ms ? r->request_timeout_ms
	                                                                        : r->backend_timeout_ms;
	const bool raised = longest > LIMIT_stream_idle_s * 1000;
	yyjson_mut_val *list = yyjson_mut_obj_add_arr(w->d, item, "timeouts");

	add_timeout(w, list, "request", r->request_timeout_ms, r->request_timeout_ms != 0 ? w->from : "default");
	add_timeout(w, list, "backendRequest", r->backend_timeout_ms, r->backend_timeout_ms != 0 ? w->from : "default");
	add_connect_timeouts(w, list);
	add_timeout(w, list, "streamIdle", raised ? longest : LIMIT_stream_idle_s * 1000,
	            raised ? w->from : LIMIT_OF(stream_idle_s));
	add_timeout(w, list, "requestHeader", LIMIT_http_header_s * 1000, LIMIT_OF(http_header_s));
	add_timeout(w, list, "keepAlive", LIMIT_http_idle_s * 1000, LIMIT_OF(http_idle_s));
}

/* ---- tries ---- */

static void add_retry(const struct writer *w, yyjson_mut_val *item)
{
	const struct table_retry *r = w->rule->retry != 0 ? table_at(w->t, w->rule->retry) : NULL;
	yyjson_mut_val *retry = yyjson_mut_obj_add_obj(w->d, item, "retry"), *codes;

	yyjson_mut_obj_add_uint(w->d, retry, "attempts", r != NULL ? r->attempts : RETRY_CONNECT_TRIES);
	codes = yyjson_mut_obj_add_arr(w->d, retry, "codes");
	for (unsigned i = 0; r != NULL && i < 64 * TABLE_RETRY_WORDS; i++) {
		if ((r->codes[i / 64] >> i % 64 & 1) != 0)
			yyjson_mut_arr_add_uint(w->d, codes, CODE_MIN + i);
	}
	yyjson_mut_obj_add_uint(w->d, retry, "backoffMs", r == NULL ? 0 : r->backoff_ms);
	yyjson_mut_obj_add_strcpy(w->d, retry, "from", r != NULL ? w->from : "default");
}

static void add_session(const struct writer *w, yyjson_mut_val *item)
{
	const struct table_session *s = table_at(w->t, w->rule->session);
	yyjson_mut_val *session;

	if (w->rule->session == 0)
		return;
	session = yyjson_mut_obj_add_obj(w->d, item, "session");
	yyjson_mut_obj_add_str(w->d, session, "kind", s->kind == TABLE_SESSION_COOKIE ? "cookie" : "header");
	add_text(w, session, "name", s->name);
	yyjson_mut_obj_add_uint(w->d, session, "timeoutS", s->timeout_s);
	yyjson_mut_obj_add_bool(w->d, session, "permanent", s->permanent != 0);
	yyjson_mut_obj_add_strcpy(w->d, session, "from", w->from);
}

void explain_rule(yyjson_mut_doc *d, yyjson_mut_val *item, const struct table *t, const struct health *health,
                  const struct table_rule *r)
{
	struct writer w = {.d = d, .t = t, .health = health, .rule = r};

	name_object(&w);
	add_text(&w, item, "rule", r->name);
	if (r->section.len > 0)
		add_text(&w, item, "ruleName", r->section);
	if (r->direct_status != 0)
		yyjson_mut_obj_add_uint(d, item, "status", r->direct_status);
	yyjson_mut_obj_add_val(d, item, "filters", filters(&w, r->filters));
	add_backends(&w, item);
	add_timeouts(&w, item);
	add_retry(&w, item);
	add_session(&w, item);
}
