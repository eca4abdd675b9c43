/*
 * RequestRedirect: answers with a redirect whose Location is the request's own URL with some parts replaced.
 *
 *   scheme    given, or the request's
 *   host      given, or the request's (its port left out); a request without one: the address that it came to
 *   port      given; or that of the given scheme; or the listener's. Left out: 80 for http and 443 for https
 *   path      unchanged; ReplaceFullPath; or ReplacePrefixMatch: the matched prefix is replaced, by segments
 *   query     kept, unless the full path that replaces has one of its own
 *
 * The target is always absolute, so a path that begins with "//" cannot become another host. ReplacePrefixMatch never
 * gives "//" at the seam or an empty path: of "/foo/bar" with prefix /foo and replacement /xyz/ comes "/xyz/bar", of
 * "/foo" with an empty one comes "/".
 */
#include <stdio.h>
#include <string.h>

#include "filter/filter.h"

enum { SCHEME_SAME, SCHEME_HTTP, SCHEME_HTTPS, SCHEMES };
enum { PATH_SAME, PATH_FULL, PATH_PREFIX, PATHS };
enum { HOSTNAME_MAX = 253, PATH_MAX_BYTES = 1024 };

struct config {
	uint16_t status;
	uint16_t port;            /* 0: not given */
	uint8_t scheme;
	uint8_t path_type;
	uint16_t spare;
	struct table_text hostname;
	struct table_text path;   /* begins with "/", or is empty (prefix only) */
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

static bool is_hostname(const char *text, size_t len)
{
	if (len < 1 || len > HOSTNAME_MAX || text[0] == '.' || text[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		const char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || (c == '.' && text[i - 1] != '.')))
			return false;
	}
	return text[len - 1] != '-' && text[len - 1] != '.';
}

static enum err compile_host(yyjson_val *spec, struct builder *b, struct config *c, struct filter_problem *problem)
{
	yyjson_val *hostname = doc_get(spec, "hostname"), *port = doc_get(spec, "port");

	if (hostname != NULL) {
		if (!yyjson_is_str(hostname) || !is_hostname(yyjson_get_str(hostname), yyjson_get_len(hostname)))
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

/* Only what may stand in a request target: visible ASCII, no fragment; a query in a full path only. */
static bool is_path(const char *text, size_t len, bool query)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '#' || (text[i] == '?' && !query))
			return false;
	}
	return true;
}

static enum err put_path(yyjson_val *value, bool full, struct builder *b, struct config *c,
                         struct filter_problem *problem)
{
	const char *at = full ? "requestRedirect.path.replaceFullPath" : "requestRedirect.path.replacePrefixMatch";
	const char *text = yyjson_get_str(value);
	const size_t len = yyjson_get_len(value);
	char with_slash[PATH_MAX_BYTES + 1] = "/";

	if (text == NULL)
		return filter_refuse(problem, at, "is required for this type and must be a string");
	if (len > PATH_MAX_BYTES)
		return filter_refuse(problem, at, "is longer than %d characters", PATH_MAX_BYTES);
	if (!is_path(text, len, full))
		return filter_refuse(problem, at, "has a character that cannot be in a path");
	c->path_type = full ? PATH_FULL : PATH_PREFIX;
	if (text[0] == '/' || (len == 0 && !full)) {
		c->path = builder_text(b, text, len);
	} else {
		memcpy(with_slash + 1, text, len);
		c->path = builder_text(b, with_slash, len + 1);
	}
	return OK;
}

static enum err compile_path(yyjson_val *spec, struct builder *b, struct config *c, struct filter_problem *problem)
{
	yyjson_val *path = doc_get(spec, "path"), *type = doc_get(path, "type");

	if (path == NULL)
		return OK;
	if (!yyjson_is_obj(path))
		return filter_refuse(problem, "requestRedirect.path", "must be an object");
	if (yyjson_equals_str(type, "ReplaceFullPath"))
		return put_path(doc_get(path, "replaceFullPath"), true, b, c, problem);
	if (yyjson_equals_str(type, "ReplacePrefixMatch"))
		return put_path(doc_get(path, "replacePrefixMatch"), false, b, c, problem);
	return filter_refuse(problem, "requestRedirect.path.type",
	                     "must be \"ReplaceFullPath\" or \"ReplacePrefixMatch\"");
}

static bool is_status(int64_t status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static enum err compile(yyjson_val *spec, struct builder *b, uint32_t *offset, struct filter_problem *problem)
{
	yyjson_val *status = doc_get(spec, "statusCode");
	struct config c = {.status = 302};
	enum err e;

	if (status != NULL) {
		if (!yyjson_is_int(status) || !is_status(yyjson_get_sint(status)))
			return filter_refuse(problem, "requestRedirect.statusCode",
			                     "must be 301, 302, 303, 307 or 308");
		c.status = (uint16_t)yyjson_get_sint(status);
	}
	e = compile_scheme(spec, &c, problem);
	if (e == OK)
		e = compile_host(spec, b, &c, problem);
	if (e == OK)
		e = compile_path(spec, b, &c, problem);
	if (e == OK)
		*offset = builder_put(b, &c, sizeof(c));
	return e;
}

/* ---- verifier ---- */

static enum err verify(const void *block, size_t bytes, const void *config)
{
	const struct config *c = config;

	if (!is_status(c->status) || c->scheme >= SCHEMES || c->path_type >= PATHS)
		return ERR_TABLE_VALUE;
	if (c->hostname.len > HOSTNAME_MAX || c->path.len > PATH_MAX_BYTES + 1)
		return ERR_TABLE_VALUE;
	if (filter_verify_text(block, bytes, c->hostname) != OK || filter_verify_text(block, bytes, c->path) != OK)
		return ERR_TABLE_BOUNDS;
	if (c->path_type == PATH_FULL && c->path.len == 0)
		return ERR_TABLE_VALUE;
	return OK;
}

/* ---- data plane ---- */

/* The Location, built in one pass into a bounded buffer. */
struct target {
	char *at;
	size_t len;
	size_t room;
	bool full;
};

static void put(struct target *l, const char *text, size_t n)
{
	if (n > l->room - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->at + l->len, text, n);
	l->len += n;
}

static void put_port(struct target *l, unsigned port, bool https)
{
	char text[8];

	if (port != (https ? 443 : 80))
		put(l, text, (size_t)snprintf(text, sizeof(text), ":%u", port));
}

/* The request's host without its port, or the address that it came to. */
static void put_own_host(struct target *l, const struct filter_exchange *x)
{
	const struct text a = x->request->authority;
	const char *port = a.len > 0 && a.at[0] == '[' ? memchr(a.at, ']', a.len) : memchr(a.at, ':', a.len);
	char text[ADDR_TEXT_MAX];

	if (a.len == 0) {
		const bool v4 = addr_is_v4(&x->client->local);

		addr_print(&x->client->local, text);
		put(l, "[", v4 ? 0 : 1);
		put(l, text, strlen(text));
		put(l, "]", v4 ? 0 : 1);
	} else if (port == NULL) {
		put(l, a.at, a.len);
	} else {
		put(l, a.at, (size_t)(port - a.at) + (*port == ']' ? 1 : 0));
	}
}

static void put_path_and_query(struct target *l, const struct filter_exchange *x, const struct table *t,
                               const struct config *c)
{
	const struct text all = x->request->path;
	const char *mark = memchr(all.at, '?', all.len), *by = table_text(t, c->path);
	const size_t path_len = mark != NULL ? (size_t)(mark - all.at) : all.len;
	size_t prefix = x->path_match_bytes, by_len = c->path.len;

	if (c->path_type == PATH_SAME) {
		put(l, all.at, all.len);
		return;
	}
	if (c->path_type == PATH_FULL) {
		put(l, by, by_len);
		if (memchr(by, '?', by_len) != NULL)
			return;
	} else {
		if (prefix == 1 || prefix > path_len) /* the prefix "/" is the one without segments */
			prefix = 0;
		/* The rest is empty or begins with its slash: then the replacement gives up its own last one. */
		if (prefix < path_len && by_len > 0 && by[by_len - 1] == '/')
			by_len--;
		if (by_len == 0 && prefix == path_len)
			put(l, "/", 1);
		put(l, by, by_len);
		put(l, all.at + prefix, path_len - prefix);
	}
	put(l, all.at + path_len, all.len - path_len);
}

static bool is_https(const struct filter_exchange *x, const struct config *c)
{
	if (c->scheme == SCHEME_SAME)
		return text_equal_nocase(x->request->scheme, TEXT("https"));
	return c->scheme == SCHEME_HTTPS;
}

static enum filter_verdict on_request(struct filter_exchange *x, const struct table *t, const void *config)
{
	const struct config *c = config;
	const bool https = is_https(x, c);
	struct target l = {.room = ARENA_PIECE_MAX};

	/* The Location is bounded by the size of an arena piece; what is longer cannot be redirected. */
	l.at = arena_get(x->arena, l.room);
	if (l.at == NULL) {
		x->reply = (struct filter_reply){.status = 503, .details = "no_memory"};
		return FILTER_REPLY;
	}
	put(&l, https ? "https://" : "http://", https ? 8 : 7);
	if (c->hostname.len > 0)
		put(&l, table_text(t, c->hostname), c->hostname.len);
	else
		put_own_host(&l, x);
	if (c->port != 0)
		put_port(&l, c->port, https);
	else if (c->scheme == SCHEME_SAME)
		put_port(&l, x->client->local_port, https);
	put_path_and_query(&l, x, t, c);
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
	.config_bytes = sizeof(struct config),
	.compile = compile,
	.verify = verify,
	.on_request = on_request,
};
