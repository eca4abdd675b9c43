/* What table_verify() leaves to the layers above table/: see proxy.h. The lists themselves were verified there. */
#include "balance/balance.h"
#include "filter/header_edits.h"
#include "proxy/proxy.h"

/* A name that is no token would end its line in the response. */
static enum err session(const struct table *t, uint32_t from, const char **where)
{
	const struct table_session *s = table_at(t, from);

	*where = "name of a session";
	return from == 0 || header_is_token(table_text(t, s->name), s->name.len) ? OK : ERR_TABLE_VALUE;
}

static enum err rules(const struct table *t, const char **where)
{
	const struct table_rule *r = TABLE_LIST(t, t->rules, struct table_rule);

	for (uint32_t i = 0; i < t->rules.n; i++) {
		const struct table_backend *b = TABLE_LIST(t, r[i].backends, struct table_backend);
		enum err e = session(t, r[i].session, where);

		if (e == OK)
			e = filter_verify(t, r[i].filters, where);
		for (uint32_t k = 0; e == OK && k < r[i].backends.n; k++)
			e = filter_verify(t, b[k].filters, where);
		if (e != OK)
			return e;
	}
	return OK;
}

static enum err matches(const struct table *t, struct table_list list, const char **where)
{
	const struct table_match *m = TABLE_LIST(t, list, struct table_match);

	for (uint32_t i = 0; i < list.n; i++) {
		const struct table_predicate *p = TABLE_LIST(t, m[i].headers, struct table_predicate);

		*where = "method of a match";
		if (m[i].method > HTTP_METHOD_OTHER && m[i].method != TABLE_ANY_METHOD)
			return ERR_TABLE_VALUE;
		*where = "field number of a predicate";
		for (uint32_t k = 0; k < m[i].headers.n; k++) {
			const struct text name = {.at = table_text(t, p[k].name), .len = p[k].name.len};

			if (p[k].field_id != HTTP_FIELD_OTHER && p[k].field_id != http_field_id(name))
				return ERR_TABLE_VALUE;
		}
	}
	return OK;
}

enum err proxy_verify(const struct table *t, const char **where)
{
	const struct table_cluster *c = TABLE_LIST(t, t->clusters, struct table_cluster);
	const struct table_node *n = TABLE_LIST(t, t->nodes, struct table_node);
	const struct table_vhost *v = TABLE_LIST(t, t->vhosts, struct table_vhost);
	const char *nowhere;
	enum err e;

	where = where != NULL ? where : &nowhere;
	e = rules(t, where);
	for (uint32_t i = 0; e == OK && i < t->nodes.n; i++) {
		e = matches(t, n[i].exact, where);
		if (e == OK)
			e = matches(t, n[i].prefix, where);
	}
	for (uint32_t i = 0; e == OK && i < t->vhosts.n; i++)
		e = matches(t, v[i].regexes, where);
	if (e != OK)
		return e;
	*where = "balancer of a cluster";
	for (uint32_t i = 0; i < t->clusters.n; i++) {
		if (c[i].balancer >= BALANCERS)
			return ERR_TABLE_VALUE;
	}
	*where = "";
	return OK;
}
