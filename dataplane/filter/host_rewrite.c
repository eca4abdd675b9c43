/*
 * HostRewrite: the host that the backend is sent comes out of a header field of the request (Envoy Gateway:
 * HTTPRouteFilter.urlRewrite.hostname of type Header). Without that field the host stays. What the host was is appended
 * to X-Forwarded-Host, unless the manifest says not to.
 */
#include "filter/header_edits.h"
#include "filter/url.h"

struct config {
	struct table_text header;
	uint32_t forward;
	uint32_t spare;
};

/* ---- control ---- */

static enum err compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                        struct filter_problem *problem)
{
	yyjson_val *header = doc_at(from->spec, "hostname.header");
	struct config c = {.forward = doc_bool(from->spec, "appendXForwardedHost", true)};

	if (!yyjson_is_str(header) || yyjson_get_len(header) > ARENA_PIECE_MAX ||
	    !header_is_token(yyjson_get_str(header), yyjson_get_len(header)))
		return filter_refuse(problem, "urlRewrite.hostname.header", "must be the name of a header field");
	c.header = builder_text(b, yyjson_get_str(header), yyjson_get_len(header));
	*offset = builder_put(b, &c, sizeof(c));
	return OK;
}

/* ---- verifier ---- */

static enum err verify(const void *block, size_t bytes, const void *config)
{
	const struct config *c = config;

	return header_verify_name(block, bytes, c->header);
}

/* ---- data plane ---- */

struct copied {
	struct text header;
	bool forward;
};

static void *copy(struct arena *a, const struct table *t, const void *config)
{
	const struct config *c = config;
	struct copied *to = arena_get(a, sizeof(*to));

	if (to == NULL)
		return NULL;
	*to = (struct copied){.header = filter_copy_text(a, t, c->header), .forward = c->forward != 0};
	return to->header.at != NULL ? to : NULL;
}

/* What may stand in a Host field (RFC 3986, 3.2): the client's word must not become another part of the request. */
static bool is_host(struct text host)
{
	for (uint32_t i = 0; i < host.len; i++) {
		const char c = host.at[i];

		if (c <= ' ' || c >= 0x7f || c == '/' || c == '?' || c == '#' || c == '@' || c == '\\' || c == ',')
			return false;
	}
	return host.len > 0;
}

static enum filter_verdict on_request(struct filter_exchange *x, void *copied)
{
	const struct copied *c = copied;
	const struct http_field *f = http_find_name(x->request, c->header);

	if (f == NULL || !is_host(f->value))
		return FILTER_CONTINUE;
	const struct text host = f->value; /* f may move when a field is added */

	if (c->forward && url_forward_host(x, x->request->authority) != OK)
		return filter_no_memory(x);
	x->request->authority = host;
	return FILTER_CONTINUE;
}

const struct filter filter_host_rewrite = {
	.name = "host_rewrite",
	.type = "HostRewrite",
	.member = "urlRewrite",
	.config_bytes = sizeof(struct config),
	.compile = compile,
	.verify = verify,
	.copy = copy,
	.on_request = on_request,
};
