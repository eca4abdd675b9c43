/*
 * URLRewrite: changes the host and the path that the backend is sent.
 *
 * A hostname replaces the authority, port included; what was there is appended to X-Forwarded-Host, as Envoy Gateway
 * does. The path is changed as url.h says; what was put there is then what a
 * rewrite of a backendRef replaces.
 *
 * A path that becomes longer than a piece of an arena is answered 414. "*" (of OPTIONS) is no path and stays.
 */
#include "filter/url.h"

struct config {
	struct table_text hostname;  /* empty: not given */
	struct url_path path;
};

/* ---- control ---- */

static enum err compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                        struct filter_problem *problem)
{
	yyjson_val *hostname = doc_get(from->spec, "hostname");
	struct config c = {0};
	enum err e;

	if (hostname != NULL) {
		if (!yyjson_is_str(hostname) || !url_is_hostname(yyjson_get_str(hostname), yyjson_get_len(hostname)))
			return filter_refuse(problem, "urlRewrite.hostname",
			                     "must be a lower-case DNS name without wildcard");
		c.hostname = builder_text(b, yyjson_get_str(hostname), yyjson_get_len(hostname));
	}
	e = url_path_compile(from->spec, "urlRewrite", b, &c.path, problem);
	if (e == OK)
		*offset = builder_put(b, &c, sizeof(c));
	return e;
}

/* ---- verifier ---- */

static enum err verify(const void *block, size_t bytes, const void *config)
{
	const struct config *c = config;
	const enum err e = url_hostname_verify(block, bytes, c->hostname);

	return e != OK ? e : url_path_verify(block, bytes, &c->path);
}

/* ---- data plane ---- */

struct copied {
	struct text hostname;
	struct url_path_copy path;
};

static void *copy(struct arena *a, const struct table *t, const void *config)
{
	const struct config *c = config;
	struct copied *to = arena_get(a, sizeof(*to));

	if (to == NULL)
		return NULL;
	to->hostname = filter_copy_text(a, t, c->hostname);
	return to->hostname.at != NULL && url_path_copy(a, t, &c->path, &to->path) ? to : NULL;
}

static enum filter_verdict on_request(struct filter_exchange *x, void *copied)
{
	const struct copied *c = copied;
	struct url_text path;

	if (c->hostname.len > 0) {
		if (url_forward_host(x, x->request->authority) != OK)
			return filter_no_memory(x);
		x->request->authority = c->hostname;
	}
	if (c->path.type == URL_PATH_SAME || text_equal(x->request->path, TEXT("*")))
		return FILTER_CONTINUE;
	if (!url_text_init(&path, x->arena, url_path_bound(x, &c->path)))
		return filter_no_memory(x);
	url_put_path(&path, x, &c->path);
	if (path.full) {
		x->reply = (struct filter_reply){.status = 414, .details = "rewritten_path_too_long"};
		return FILTER_REPLY;
	}
	x->request->path = (struct text){.at = path.at, .len = (uint32_t)path.len};
	x->path_match_bytes = url_path_replaced(&c->path);
	return FILTER_CONTINUE;
}

const struct filter filter_url_rewrite = {
	.name = "url_rewrite",
	.type = "URLRewrite",
	.member = "urlRewrite",
	.config_bytes = sizeof(struct config),
	.compile = compile,
	.verify = verify,
	.copy = copy,
	.on_request = on_request,
};
