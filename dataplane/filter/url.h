/*
 * Parts of URLs that redirects and rewrites share: hostnames, and the path modifier (Gateway API: HTTPPathModifier).
 *
 *   ReplaceFullPath      the path becomes another; the query is kept, unless the new path has one of its own
 *   ReplacePrefixMatch   the matched prefix is replaced, by segments; the query is kept
 *
 * ReplacePrefixMatch never gives "//" at the seam or an empty path: of "/foo/bar" with prefix /foo and replacement
 * /xyz/ comes "/xyz/bar", of "/foo" with an empty one comes "/".
 *
 * Texts are built in one pass into a bounded buffer of one piece of an arena; what is longer does not fit, and its
 * request is answered 414.
 */
#ifndef FILTER_URL_H
#define FILTER_URL_H

#include "filter/filter.h"

enum { URL_PATH_SAME, URL_PATH_FULL, URL_PATH_PREFIX, URL_PATHS };
enum { URL_HOSTNAME_MAX = 253, URL_PATH_MAX = 1024 };

struct url_path {                 /* in the tables */
	struct table_text by;     /* begins with "/", or is empty (prefix only) */
	uint32_t type;
	uint32_t spare;
};

struct url_path_copy {            /* the same out of the tables, in an arena */
	struct text by;
	uint32_t type;
};

/* A lower-case DNS name without wildcard. */
bool url_is_hostname(const char *text, size_t len);
/* `spec`: the filter's object, whose "path" may be absent; `member`: what problems call it. */
enum err url_path_compile(yyjson_val *spec, const char *member, struct builder *b, struct url_path *out,
                          struct filter_problem *problem) MUST_CHECK;
/* Empty: there is none. */
enum err url_hostname_verify(const void *block, size_t bytes, struct table_text t) MUST_CHECK;
enum err url_path_verify(const void *block, size_t bytes, const struct url_path *p) MUST_CHECK;

bool url_path_copy(struct arena *a, const struct table *t, const struct url_path *p, struct url_path_copy *out);

struct url_text {
	char *at;
	size_t len, room;
	bool full;                /* something did not fit: of no use any more */
};

/* `bound`: the longest that it can become, if that is known to be less than a piece. False: no memory. */
bool url_text_init(struct url_text *u, struct arena *a, size_t bound);
void url_put(struct url_text *u, const char *text, size_t n);
/* The path and query of x->request as `p` changes it, at most url_path_bound() bytes. */
void url_put_path(struct url_text *u, const struct filter_exchange *x, const struct url_path_copy *p);
/* How much of the changed path stands for what was replaced. */
uint32_t url_path_replaced(const struct url_path_copy *p);
/* Appends to X-Forwarded-Host what the request's host was, unless that is what stands there last. */
enum err url_forward_host(struct filter_exchange *x, struct text host) MUST_CHECK;
static inline size_t url_path_bound(const struct filter_exchange *x, const struct url_path_copy *p)
{
	return (size_t)x->request->path.len + p->by.len + 1;
}

#endif
