/*
 * RequestMirror: sends a copy of the request to another cluster and forgets about it. The copy is made where the
 * filter stands: it has what the filters before it have changed, and not what those behind it will.
 *
 * Every filter draws for itself whether this request is copied (percent or fraction). The copy is a callout: it never
 * holds up the request, and it is cut when it does not keep up, or when the request is given up half way. It is sent
 * even when the request itself comes to nothing. CONNECT is not copied: what follows it is the client's talk with one
 * peer.
 *
 * As from Envoy Gateway, "-shadow" is appended to the name of the host (not to an IPv6 address, which would be no
 * host any more), so that the logs of a backend tell copies apart.
 */
#include <string.h>

#include "base/fault.h"
#include "base/shard.h"
#include "filter/filter.h"

struct config {
	uint64_t cluster;
	uint32_t numerator, denominator;
};

/* ---- control ---- */

static enum err compile_fraction(yyjson_val *fraction, struct config *c, struct filter_problem *problem)
{
	const int64_t numerator = doc_int(fraction, "numerator", -1);
	const int64_t denominator = doc_int(fraction, "denominator", 100);

	if (denominator < 1 || denominator > INT32_MAX)
		return filter_refuse(problem, "requestMirror.fraction.denominator", "must be a number of at least 1");
	if (numerator < 0 || numerator > denominator)
		return filter_refuse(problem, "requestMirror.fraction.numerator",
		                     "must be a number from 0 to the denominator");
	c->numerator = (uint32_t)numerator;
	c->denominator = (uint32_t)denominator;
	return OK;
}

static enum err compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                        struct filter_problem *problem)
{
	yyjson_val *percent = doc_get(from->spec, "percent"), *fraction = doc_get(from->spec, "fraction");
	struct config c = {.cluster = from->cluster, .numerator = 1, .denominator = 1};
	enum err e = OK;

	if (from->cluster == 0)
		return filter_refuse(problem, "requestMirror.backendRef", "leads nowhere");
	if (percent != NULL && fraction != NULL)
		return filter_refuse(problem, "requestMirror.percent", "there is a fraction already");
	if (percent != NULL) {
		if (!yyjson_is_int(percent) || yyjson_get_sint(percent) < 0 || yyjson_get_sint(percent) > 100)
			return filter_refuse(problem, "requestMirror.percent", "must be a number from 0 to 100");
		c.numerator = (uint32_t)yyjson_get_sint(percent);
		c.denominator = 100;
	}
	if (fraction != NULL)
		e = compile_fraction(fraction, &c, problem);
	if (e == OK)
		*offset = builder_put(b, &c, sizeof(c));
	return e;
}

/* ---- verifier ---- */

static enum err verify(const void *block, size_t bytes, const void *config)
{
	const struct config *c = config;

	(void)block;
	(void)bytes;
	return c->denominator > 0 && c->numerator <= c->denominator ? OK : ERR_TABLE_VALUE;
}

/* ---- data plane ---- */

struct copied {
	struct config c;
	const struct filter_callouts *callouts;
	handle_t callout;            /* 0: none is under way */
};

static void *copy(struct arena *a, const struct table *t, const void *config)
{
	struct copied *to = arena_get(a, sizeof(*to));

	(void)t;
	if (to != NULL)
		*to = (struct copied){.c = *(const struct config *)config};
	return to;
}

/* "a.example:80" becomes "a.example-shadow:80"; without memory it stays as it is. */
static struct text shadow(struct arena *a, struct text host)
{
	static const struct text suffix = TEXT("-shadow");
	const char *colon = memchr(host.at, ':', host.len);
	const uint32_t name_len = colon != NULL ? (uint32_t)(colon - host.at) : host.len;
	char *text = NULL;

	if (host.len > 0 && host.at[0] != '[')
		text = arena_get(a, host.len + suffix.len);
	if (text == NULL)
		return host;
	memcpy(text, host.at, name_len);
	memcpy(text + name_len, suffix.at, suffix.len);
	memcpy(text + name_len + suffix.len, host.at + name_len, host.len - name_len);
	return (struct text){.at = text, .len = host.len + suffix.len};
}

static enum filter_verdict on_request(struct filter_exchange *x, void *copied)
{
	struct copied *m = copied;
	struct http_message head;

	if (x->request->method == HTTP_CONNECT)
		return FILTER_CONTINUE;
	if (rng_below(&x->shard->rng, m->c.denominator) >= m->c.numerator)
		return FILTER_CONTINUE;
	head = *x->request;
	head.authority = shadow(x->arena, head.authority);
	m->callouts = x->callouts;
	if (FAULT(mirror_doubled))
		(void)x->callouts->start(x->callouts->owner, m->c.cluster, &head);
	m->callout = x->callouts->start(x->callouts->owner, m->c.cluster, &head);
	return FILTER_CONTINUE;
}

static enum filter_verdict on_request_body(struct filter_exchange *x, void *copied, struct filter_piece *piece)
{
	struct copied *m = copied;

	(void)x;
	if (m->callout != 0 && piece->slice.m != NULL)
		m->callouts->body(m->callouts->owner, m->callout, &piece->slice);
	return FILTER_CONTINUE;
}

static enum filter_verdict on_request_end(struct filter_exchange *x, void *copied)
{
	struct copied *m = copied;

	if (m->callout != 0)
		m->callouts->end(m->callouts->owner, m->callout, x->trailers);
	m->callout = 0;
	return FILTER_CONTINUE;
}

static void done(void *copied)
{
	struct copied *m = copied;

	if (m->callout != 0)
		m->callouts->cut(m->callouts->owner, m->callout);
}

const struct filter filter_request_mirror = {
	.name = "request_mirror",
	.type = "RequestMirror",
	.member = "requestMirror",
	.config_bytes = sizeof(struct config),
	.compile = compile,
	.verify = verify,
	.copy = copy,
	.on_request = on_request,
	.on_request_body = on_request_body,
	.on_request_end = on_request_end,
	.done = done,
};
