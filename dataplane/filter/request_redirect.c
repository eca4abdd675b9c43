/*
 * RequestRedirect: answers with a redirect whose Location is the request's own URL with some parts replaced.
 *
 *   scheme    given, or the request's
 *   host      given, or the request's (its port left out); a request without one: the address that it came to
 *   port      given; or that of the given scheme; or the listener's. Left out: 80 for http and 443 for https
 *   path      unchanged, or as url.h says
 *   query     kept, unless the full path that replaces has one of its own
 *
 * The target is always absolute, so a path that begins with "//" cannot become another host.
 */
#include <stdio.h>
#include <string.h>

#include "filter/url.h"

enum { SCHEME_SAME, SCHEME_HTTP, SCHEME_HTTPS, SCHEMES };

struct config {
	uint16_t status;
	uint16_t port;            /* 0: not given */
	uint8_t scheme;
	uint8_t spare[3];
	struct table_text hostname;
	struct url_path path;
};

/* ---- control ---- */

static enum err compile_scheme(yyjson_val *spec, struct config *c, struct filter_problem *problem)
{
	yyjson_val *scheme = doc_get(spec, "scheme");

	if (scheme == NULL)
		return OK;
	if (yyjson_equals_str(scheme, "http"))
		c->scheme = SCHEME_HTTP;
	else if (yyjson_equals_str(scheme, "https"))
		c->scheme = SCHEME_HTTPS;
	else
		return filter_refuse(problem, "requestRedirect.scheme", "must be \"http\" or \"https\"");
	return OK;
}

static enum err compile_host(yyjson_val *spec, struct builder *b, struct config *c, struct filter_problem *problem)
{
	yyjson_val *hostname = doc_get(spec, "hostname"), *port = doc_get(spec, "port");

	if (hostname != NULL) {
		if (!yyjson_is_str(hostname) || !url_is_hostname(yyjson_get_str(hostname), yyjson_get_len(hostname)))
			return filter_refuse(problem, "requestRedirect.hostname",
			                     "must be a lower-case DNS name without wildcard");
		c->hostname = builder_text(b, yyjson_get_str(hostname), yyjson_get_len(hostname));
	}
	if (port != NULL) {
		if (!yyjson_is_int(port) || yyjson_get_sint(port) < 1 || yyjson_get_sint(port) > 65535)
			return filter_refuse(problem, "requestRedirect.port", "must be a number from 1 to 65535");
		c->port = (uint16_t)yyjson_get_sint(port);
	}
	return OK;
}

static bool is_status(int64_t status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static enum err compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                        struct filter_problem *problem)
{
	yyjson_val *status = doc_get(from->spec, "statusCode");
	struct config c = {.status = 302};
	enum err e;

	if (status != NULL) {
		if (!yyjson_is_int(status) || !is_status(yyjson_get_sint(status)))
			return filter_refuse(problem, "requestRedirect.statusCode",
			                     "must be 301, 302, 303, 307 or 308");
		c.status = (uint16_t)yyjson_get_sint(status);
	}
	e = compile_scheme(from->spec, &c, problem);
	if (e == OK)
		e = compile_host(from->spec, b, &c, problem);
	if (e == OK)
		e = url_path_compile(from->spec, "requestRedirect", b, &c.path, problem);
	if (e == OK)
		*offset = builder_put(b, &c, sizeof(c));
	return e;
}

/* ---- verifier ---- */

static enum err verify(const void *block, size_t bytes, const void *config)
{
	const struct config *c = config;
	enum err e;

	if (!is_status(c->status) || c->scheme >= SCHEMES)
		return ERR_TABLE_VALUE;
	e = url_hostname_verify(block, bytes, c->hostname);
	return e != OK ? e : url_path_verify(block, bytes, &c->path);
}

/* ---- data plane ---- */

struct copied {
	uint16_t status;
	uint16_t port;
	uint8_t scheme;
	struct text hostname;
	struct url_path_copy path;
};

static void *copy(struct arena *a, const struct table *t, const void *config)
{
	const struct config *c = config;
	struct copied *to = arena_get(a, sizeof(*to));

	if (to == NULL)
		return NULL;
	*to = (struct copied){.status = c->status, .port = c->port, .scheme = c->scheme,
	                      .hostname = filter_copy_text(a, t, c->hostname)};
	return to->hostname.at != NULL && url_path_copy(a, t, &c->path, &to->path) ? to : NULL;
}

static void put_port(struct url_text *l, unsigned port, bool https)
{
	char text[8];

	if (port != (https ? 443 : 80))
		url_put(l, text, (size_t)snprintf(text, sizeof(text), ":%u", port));
}

/* The request's host without its port, or the address that it came to. */
static void put_own_host(struct url_text *l, const struct filter_exchange *x)
{
	const struct text a = x->request->authority;
	const char *port = a.len > 0 && a.at[0] == '[' ? memchr(a.at, ']', a.len) : memchr(a.at, ':', a.len);
	char text[ADDR_TEXT_MAX];

	if (a.len == 0) {
		const bool v4 = addr_is_v4(&x->client->local);

		addr_print(&x->client->local, text);
		url_put(l, "[", v4 ? 0 : 1);
		url_put(l, text, strlen(text));
		url_put(l, "]", v4 ? 0 : 1);
	} else if (port == NULL) {
		url_put(l, a.at, a.len);
	} else {
		url_put(l, a.at, (size_t)(port - a.at) + (*port == ']' ? 1 : 0));
	}
}

static bool is_https(const struct filter_exchange *x, const struct copied *c)
{
	if (c->scheme == SCHEME_SAME)
		return text_equal_nocase(x->request->scheme, TEXT("https"));
	return c->scheme == SCHEME_HTTPS;
}

static enum filter_verdict on_request(struct filter_exchange *x, void *copied)
{
	const struct copied *c = copied;
	const bool https = is_https(x, c);
	/* Scheme and port, and the request's host or our address in its place. */
	const size_t own = sizeof("https://:65535") + x->request->authority.len + ADDR_TEXT_MAX + 2;
	struct url_text l;

	if (!url_text_init(&l, x->arena, own + c->hostname.len + url_path_bound(x, &c->path)))
		return filter_no_memory(x);
	url_put(&l, https ? "https://" : "http://", https ? 8 : 7);
	if (c->hostname.len > 0)
		url_put(&l, c->hostname.at, c->hostname.len);
	else
		put_own_host(&l, x);
	if (c->port != 0)
		put_port(&l, c->port, https);
	else if (c->scheme == SCHEME_SAME)
		put_port(&l, x->client->local_port, https);
	url_put_path(&l, x, &c->path);
	if (l.full)
		x->reply = (struct filter_reply){.status = 414, .details = "redirect_target_too_long"};
	else
		x->reply = (struct filter_reply){.status = c->status, .location = {.at = l.at, .len = (uint32_t)l.len},
		                                 .details = "direct_response"};
	return FILTER_REPLY;
}

const struct filter filter_request_redirect = {
	.name = "request_redirect",
	.type = "RequestRedirect",
	.member = "requestRedirect",
	.config_bytes = sizeof(struct config),
	.compile = compile,
	.verify = verify,
	.copy = copy,
	.on_request = on_request,
};
