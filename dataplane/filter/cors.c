/*
 * CORS: tells browsers which scripts may call (Fetch standard, 3.2; Gateway API: HTTPCORSFilter).
 *
 * A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered here with 200 and never reaches a
 * backend; of an origin that is not allowed it gets an answer without the fields that would allow it. Every other
 * request goes on; when its origin is allowed, its response, also one that the gateway makes itself, is marked, and
 * what the backend said about it is replaced.
 *
 *   allow-origin       always the request's own Origin, never "*": so it is right with credentials too, and as from
 *                      Envoy Gateway. Since it depends on the request, responses say Vary: Origin
 *   allow-credentials  "true", or not there
 *   allow-methods      the list; of "*" the method that the preflight asks for
 *   allow-headers      the list; of "*" those that the preflight asks for
 *   expose-headers     the list; of "*" the same, but with credentials, where "*" is just a name, the names of the
 *                      response's fields
 *   max-age            given, or 5
 *
 * Origins are compared as scheme, host and port; a port that is left out is that of the scheme. "*." in front of a
 * host stands for any number of labels, at least one; "*" in place of a host for every host; "*" alone for everything,
 * "null" included.
 *
 * Control puts this filter before all others of its rule, wherever it stands, so that none answers a preflight first.
 */
#include <stdio.h>
#include <string.h>

#include "filter/header_edits.h"

enum { ORIGINS_MAX = 64, NAMES_MAX = 64, LIST_BYTES_MAX = ARENA_PIECE_MAX, EXPOSED_MAX = 1024 };
enum { ANY_ORIGIN = 1, ANY_METHOD = 2, ANY_HEADER = 4, ANY_EXPOSED = 8, CREDENTIALS = 16 };
enum { HOST_EXACT, HOST_BELOW, HOST_ANY, HOSTS };

struct origin {
	struct table_text host;      /* lower case, without "*." */
	uint16_t port;
	uint8_t https;
	uint8_t host_kind;           /* HOST_EXACT, ... */
	uint32_t spare;
};

struct config {
	struct table_list origins;   /* struct origin */
	struct table_text methods, headers, exposed; /* joined */
	struct table_text max_age;   /* in digits */
	uint32_t flags;
	uint32_t spare;
};

/* ---- control ---- */

struct draft {
	yyjson_val *spec;
	struct builder *b;
	struct config *c;
	struct filter_problem *problem;
};

static bool parse_port(const char *text, size_t len, uint16_t *port)
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (unsigned)(text[i] - '0');
		if (n > UINT16_MAX)
			return false;
	}
	*port = (uint16_t)n;
	return n > 0;
}

/* "https://a.example:8443" taken apart, as a browser sends it; false: it is not of this form. */
static bool parse_origin(struct text o, bool *https, struct text *host, uint16_t *port)
{
	static const struct text schemes[] = {TEXT("http://"), TEXT("https://")};
	const char *colon;

	for (unsigned i = 0; i < 2; i++) {
		const struct text scheme = schemes[i];

		if (o.len <= scheme.len || !text_equal_nocase((struct text){.at = o.at, .len = scheme.len}, scheme))
			continue;
		*https = i == 1;
		*host = (struct text){.at = o.at + scheme.len, .len = o.len - scheme.len};
		/* The brackets of an IPv6 address hold colons that do not begin a port. */
		colon = host->at[0] == '[' ? memchr(host->at, ']', host->len) : host->at;
		if (colon == NULL)
			return false;
		colon = memchr(colon, ':', (size_t)(host->at + host->len - colon));
		*port = *https ? 443 : 80;
		if (colon != NULL && !parse_port(colon + 1, (size_t)(host->at + host->len - colon - 1), port))
			return false;
		if (colon != NULL)
			host->len = (uint32_t)(colon - host->at);
		return host->len > 0;
	}
	return false;
}

static bool is_origin_host(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char c = text[i];

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '.'))
			return false;
	}
	return len > 0 && text[0] != '.';
}

static bool read_origin(struct draft *d, const char *text, size_t len, struct origin *out)
{
	struct text host;
	bool https;

	if (!parse_origin((struct text){.at = text, .len = (uint32_t)len}, &https, &host, &out->port))
		return false;
	out->https = https;
	if (text_equal(host, TEXT("*"))) {
		out->host_kind = HOST_ANY;
		return true;
	}
	if (host.len > 2 && memcmp(host.at, "*.", 2) == 0) {
		out->host_kind = HOST_BELOW;
		host = (struct text){.at = host.at + 2, .len = host.len - 2};
	}
	out->host = builder_text(d->b, host.at, host.len);
	return is_origin_host(host.at, host.len);
}

static enum err compile_origins(struct draft *d)
{
	yyjson_val *list = doc_get(d->spec, "allowOrigins"), *item;
	struct origin origins[ORIGINS_MAX] = {0};
	uint32_t n = 0;
	size_t i, all;
	char path[96];

	if (list != NULL && (!yyjson_is_arr(list) || yyjson_arr_size(list) > ORIGINS_MAX))
		return filter_refuse(d->problem, "cors.allowOrigins", "must be a list of at most %d items",
		                     ORIGINS_MAX);
	yyjson_arr_foreach(list, i, all, item) {
		if (yyjson_equals_str(item, "*")) {
			d->c->flags |= ANY_ORIGIN;
			continue;
		}
		snprintf(path, sizeof(path), "cors.allowOrigins[%zu]", i);
		if (!yyjson_is_str(item) ||
		    !read_origin(d, yyjson_get_str(item), yyjson_get_len(item), &origins[n++]))
			return filter_refuse(d->problem, path, "must be \"*\", or a scheme and a host, and may have a "
			                     "port: \"https://*.example.com\"");
	}
	d->c->origins = builder_list(d->b, origins, sizeof(origins[0]), n);
	return OK;
}

/* Names joined by ", " are what goes into the response. */
static enum err compile_names(struct draft *d, const char *member, uint32_t any, struct table_text *out)
{
	yyjson_val *list = doc_get(d->spec, member), *item;
	char text[LIST_BYTES_MAX], path[96];
	size_t at = 0, i, all;

	snprintf(path, sizeof(path), "cors.%s", member);
	if (list != NULL && (!yyjson_is_arr(list) || yyjson_arr_size(list) > NAMES_MAX))
		return filter_refuse(d->problem, path, "must be a list of at most %d items", NAMES_MAX);
	yyjson_arr_foreach(list, i, all, item) {
		const size_t len = yyjson_get_len(item);

		if (yyjson_equals_str(item, "*")) {
			d->c->flags |= any;
			continue;
		}
		snprintf(path, sizeof(path), "cors.%s[%zu]", member, i);
		if (!yyjson_is_str(item) || !header_is_token(yyjson_get_str(item), len))
			return filter_refuse(d->problem, path, "is not a valid name");
		if (len + 2 > sizeof(text) - at)
			return filter_refuse(d->problem, path, "the list is longer than %d bytes", LIST_BYTES_MAX);
		memcpy(text + at, ", ", at > 0 ? 2 : 0);
		at += at > 0 ? 2 : 0;
		memcpy(text + at, yyjson_get_str(item), len);
		at += len;
	}
	*out = builder_text(d->b, text, at);
	return OK;
}

static enum err compile_rest(struct draft *d)
{
	yyjson_val *credentials = doc_get(d->spec, "allowCredentials"), *max_age = doc_get(d->spec, "maxAge");
	int64_t seconds = 5;
	char digits[24];

	if (credentials != NULL && !yyjson_is_bool(credentials))
		return filter_refuse(d->problem, "cors.allowCredentials", "must be true or false");
	if (yyjson_get_bool(credentials))
		d->c->flags |= CREDENTIALS;
	if (max_age != NULL) {
		seconds = yyjson_get_sint(max_age);
		if (!yyjson_is_int(max_age) || seconds < 1 || seconds > INT32_MAX)
			return filter_refuse(d->problem, "cors.maxAge", "must be a number of at least 1");
	}
	d->c->max_age = builder_text(d->b, digits, (size_t)snprintf(digits, sizeof(digits), "%lld",
	                                                            (long long)seconds));
	return OK;
}

static enum err compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                        struct filter_problem *problem)
{
	struct config c = {0};
	struct draft d = {.spec = from->spec, .b = b, .c = &c, .problem = problem};
	enum err e = compile_origins(&d);

	if (e == OK)
		e = compile_names(&d, "allowMethods", ANY_METHOD, &c.methods);
	if (e == OK)
		e = compile_names(&d, "allowHeaders", ANY_HEADER, &c.headers);
	if (e == OK)
		e = compile_names(&d, "exposeHeaders", ANY_EXPOSED, &c.exposed);
	if (e == OK)
		e = compile_rest(&d);
	if (e == OK)
		*offset = builder_put(b, &c, sizeof(c));
	return e;
}

/* ---- verifier ---- */

static enum err verify(const void *block, size_t bytes, const void *config)
{
	const struct config *c = config;
	const struct table_text texts[] = {c->methods, c->headers, c->exposed, c->max_age};
	const struct origin *o = (const struct origin *)((const char *)block + c->origins.at);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const enum err e = header_verify_value(block, bytes, texts[i]);

		if (e != OK)
			return e;
	}
	if (c->origins.n > ORIGINS_MAX)
		return ERR_TABLE_VALUE;
	if (filter_verify_list(bytes, c->origins, sizeof(*o)) != OK)
		return ERR_TABLE_BOUNDS;
	for (uint32_t i = 0; i < c->origins.n; i++) {
		if (filter_verify_text(block, bytes, o[i].host) != OK)
			return ERR_TABLE_BOUNDS;
		if (o[i].host_kind >= HOSTS)
			return ERR_TABLE_VALUE;
	}
	return OK;
}

/* ---- data plane ---- */

struct copied {
	struct text methods, headers, exposed, max_age;
	uint32_t flags;
	uint32_t origins_n;
	struct text marked;          /* the request's origin when it is allowed; else empty */
	struct allowed {
		struct text host;
		uint16_t port;
		uint8_t https, host_kind;
	} origins[];
};

static void *copy(struct arena *a, const struct table *t, const void *config)
{
	const struct config *c = config;
	const struct origin *from = TABLE_LIST(t, c->origins, struct origin);
	struct copied *to;

	static_assert(sizeof(*to) + ORIGINS_MAX * sizeof(to->origins[0]) <= ARENA_PIECE_MAX, "one piece");
	to = arena_get(a, sizeof(*to) + c->origins.n * sizeof(to->origins[0]));
	if (to == NULL)
		return NULL;
	*to = (struct copied){
		.methods = filter_copy_text(a, t, c->methods), .headers = filter_copy_text(a, t, c->headers),
		.exposed = filter_copy_text(a, t, c->exposed), .max_age = filter_copy_text(a, t, c->max_age),
		.flags = c->flags, .origins_n = c->origins.n,
	};
	if (to->methods.at == NULL || to->headers.at == NULL || to->exposed.at == NULL || to->max_age.at == NULL)
		return NULL;
	for (uint32_t i = 0; i < c->origins.n; i++) {
		to->origins[i] = (struct allowed){.host = filter_copy_text(a, t, from[i].host), .port = from[i].port,
		                                  .https = from[i].https, .host_kind = from[i].host_kind};
		if (to->origins[i].host.at == NULL)
			return NULL;
	}
	return to;
}

static bool host_allowed(const struct allowed *o, struct text host)
{
	const struct text end = {.at = host.at + host.len - o->host.len, .len = o->host.len};

	switch (o->host_kind) {
	case HOST_ANY:
		return true;
	case HOST_BELOW:
		/* Something, and the dot, stand in front. */
		return host.len > o->host.len + 1 && end.at[-1] == '.' && text_equal_nocase(end, o->host);
	default:
		return text_equal_nocase(host, o->host);
	}
}

static bool origin_allowed(const struct copied *c, struct text origin)
{
	struct text host;
	uint16_t port;
	bool https;

	if (c->flags & ANY_ORIGIN)
		return true;
	if (!parse_origin(origin, &https, &host, &port))
		return false;
	for (uint32_t i = 0; i < c->origins_n; i++) {
		const struct allowed *o = &c->origins[i];

		if (o->https == https && o->port == port && host_allowed(o, host))
			return true;
	}
	return false;
}

static struct text value_of(const struct http_message *m, struct text name)
{
	const struct http_field *f = http_find_name(m, name);

	return f != NULL ? f->value : (struct text){0};
}

static void reply_with(struct filter_exchange *x, struct text name, struct text value)
{
	if (value.len > 0)
		x->reply.fields[x->reply.fields_n++] = (struct filter_field){.name = name, .value = value};
}

static enum filter_verdict answer_preflight(struct filter_exchange *x, const struct copied *c, struct text origin,
                                            struct text method)
{
	const struct text wanted = value_of(x->request, TEXT("access-control-request-headers"));

	x->reply = (struct filter_reply){.status = 200, .details = "cors_preflight",
	                                 .fields = arena_get(x->arena, FILTER_REPLY_FIELDS *
	                                                     sizeof(struct filter_field))};
	if (x->reply.fields == NULL)
		return filter_no_memory(x);
	if (origin_allowed(c, origin)) {
		reply_with(x, TEXT("access-control-allow-origin"), origin);
		if (c->flags & CREDENTIALS)
			reply_with(x, TEXT("access-control-allow-credentials"), TEXT("true"));
		reply_with(x, TEXT("access-control-allow-methods"), c->flags & ANY_METHOD ? method : c->methods);
		reply_with(x, TEXT("access-control-allow-headers"), c->flags & ANY_HEADER ? wanted : c->headers);
		reply_with(x, TEXT("access-control-max-age"), c->max_age);
	}
	return FILTER_REPLY;
}

static enum filter_verdict on_request(struct filter_exchange *x, void *copied)
{
	const struct text origin = value_of(x->request, TEXT("origin"));
	struct copied *c = copied;
	struct text method;

	if (origin.len == 0)
		return FILTER_CONTINUE;
	if (x->request->method == HTTP_OPTIONS) {
		method = value_of(x->request, TEXT("access-control-request-method"));
		if (method.len > 0)
			return answer_preflight(x, c, origin, method);
	}
	if (origin_allowed(c, origin))
		c->marked = origin;
	return FILTER_CONTINUE;
}

/* ---- responses ---- */

/* Those that the Fetch standard exposes anyway, and those that it never does. */
static bool needs_exposing(const struct http_field *f)
{
	static const struct text others[] = {
		TEXT("cache-control"), TEXT("content-language"), TEXT("content-length"), TEXT("content-type"),
		TEXT("expires"), TEXT("last-modified"), TEXT("pragma"), TEXT("set-cookie"), TEXT("set-cookie2"),
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (text_equal_nocase(f->name, others[i]))
			return false;
	}
	return !f->removed;
}

/* The names of all fields, as many as there is room for. */
static bool expose_all(struct filter_exchange *x, struct text *out)
{
	const struct http_message *m = x->response;
	char *text = arena_get(x->arena, EXPOSED_MAX);
	uint32_t at = 0;

	if (text == NULL)
		return false;
	for (unsigned i = 0; i < m->fields_n; i++) {
		const struct http_field *f = &m->fields[i];
		const uint32_t comma = at > 0 ? 2 : 0;

		if (!needs_exposing(f) || f->name.len + comma > EXPOSED_MAX - at)
			continue;
		memcpy(text + at, ", ", comma);
		memcpy(text + at + comma, f->name.at, f->name.len);
		at += comma + f->name.len;
	}
	*out = (struct text){.at = text, .len = at};
	return true;
}

static bool mark(struct filter_exchange *x, struct text name, struct text value)
{
	if (value.len == 0) {
		http_remove(x->response, name);
		return true;
	}
	return http_set(x->response, x->arena, name, value) == OK;
}

static enum filter_verdict on_response(struct filter_exchange *x, void *copied)
{
	const struct copied *c = copied;
	const bool credentials = c->flags & CREDENTIALS;
	struct text exposed = c->exposed;

	if (http_add(x->response, x->arena, TEXT("vary"), TEXT("Origin")) != OK)
		return filter_no_memory(x);
	if (c->marked.len == 0)
		return FILTER_CONTINUE;
	if ((c->flags & ANY_EXPOSED) && !credentials)
		exposed = TEXT("*");
	else if ((c->flags & ANY_EXPOSED) && !expose_all(x, &exposed))
		return filter_no_memory(x);
	if (!mark(x, TEXT("access-control-allow-origin"), c->marked) ||
	    !mark(x, TEXT("access-control-allow-credentials"), credentials ? TEXT("true") : TEXT("")) ||
	    !mark(x, TEXT("access-control-expose-headers"), exposed))
		return filter_no_memory(x);
	return FILTER_CONTINUE;
}

const struct filter filter_cors = {
	.name = "cors",
	.type = "CORS",
	.member = "cors",
	.config_bytes = sizeof(struct config),
	.of_replies = true,
	.compile = compile,
	.verify = verify,
	.copy = copy,
	.on_request = on_request,
	.on_response = on_response,
};
