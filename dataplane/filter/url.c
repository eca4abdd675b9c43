/* See the header for the rules. */
#include "filter/url.h"

#include <stdio.h>
#include <string.h>

enum { FORWARDED_HOST_MAX = 2048 };

/* ---- control ---- */

bool url_is_hostname(const char *text, size_t len)
{
	if (len < 1 || len > URL_HOSTNAME_MAX || text[0] == '.' || text[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		const char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || (c == '.' && text[i - 1] != '.')))
			return false;
	}
	return text[len - 1] != '-' && text[len - 1] != '.';
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

static enum err put_path(yyjson_val *value, bool full, const char *member, struct builder *b, struct url_path *out,
                         struct filter_problem *problem)
{
	const char *text = yyjson_get_str(value);
	const size_t len = yyjson_get_len(value);
	char with_slash[URL_PATH_MAX + 1] = "/", at[96];

	snprintf(at, sizeof(at), "%s.path.%s", member, full ? "replaceFullPath" : "replacePrefixMatch");
	if (text == NULL)
		return filter_refuse(problem, at, "is required for this type and must be a string");
	if (len > URL_PATH_MAX)
		return filter_refuse(problem, at, "is longer than %d characters", URL_PATH_MAX);
	if (!is_path(text, len, full))
		return filter_refuse(problem, at, "has a character that cannot be in a path");
	out->type = full ? URL_PATH_FULL : URL_PATH_PREFIX;
	if (text[0] == '/' || (len == 0 && !full)) {
		out->by = builder_text(b, text, len);
	} else {
		memcpy(with_slash + 1, text, len);
		out->by = builder_text(b, with_slash, len + 1);
	}
	return OK;
}

enum err url_path_compile(yyjson_val *spec, const char *member, struct builder *b, struct url_path *out,
                          struct filter_problem *problem)
{
	yyjson_val *path = doc_get(spec, "path"), *type = doc_get(path, "type");
	char at[96];

	*out = (struct url_path){0};
	if (path == NULL)
		return OK;
	snprintf(at, sizeof(at), "%s.path%s", member, yyjson_is_obj(path) ? ".type" : "");
	if (!yyjson_is_obj(path))
		return filter_refuse(problem, at, "must be an object");
	if (yyjson_equals_str(type, "ReplaceFullPath"))
		return put_path(doc_get(path, "replaceFullPath"), true, member, b, out, problem);
	if (yyjson_equals_str(type, "ReplacePrefixMatch"))
		return put_path(doc_get(path, "replacePrefixMatch"), false, member, b, out, problem);
	return filter_refuse(problem, at, "must be \"ReplaceFullPath\" or \"ReplacePrefixMatch\"");
}

/* ---- verifier ---- */

enum err url_hostname_verify(const void *block, size_t bytes, struct table_text t)
{
	if (filter_verify_text(block, bytes, t) != OK)
		return ERR_TABLE_BOUNDS;
	return t.len == 0 || url_is_hostname((const char *)block + t.at, t.len) ? OK : ERR_TABLE_VALUE;
}

enum err url_path_verify(const void *block, size_t bytes, const struct url_path *p)
{
	const char *by = (const char *)block + p->by.at;

	if (p->type >= URL_PATHS || p->by.len > URL_PATH_MAX + 1 || (p->type == URL_PATH_FULL && p->by.len == 0))
		return ERR_TABLE_VALUE;
	if (filter_verify_text(block, bytes, p->by) != OK)
		return ERR_TABLE_BOUNDS;
	if (p->by.len > 0 && (by[0] != '/' || !is_path(by, p->by.len, p->type == URL_PATH_FULL)))
		return ERR_TABLE_VALUE;
	return OK;
}

/* ---- data plane ---- */

bool url_text_init(struct url_text *u, struct arena *a, size_t bound)
{
	const size_t room = bound < ARENA_PIECE_MAX ? bound : ARENA_PIECE_MAX;

	*u = (struct url_text){.at = arena_get(a, room), .room = room};
	return u->at != NULL;
}

void url_put(struct url_text *u, const char *text, size_t n)
{
	if (n > u->room - u->len) {
		u->full = true;
		return;
	}
	memcpy(u->at + u->len, text, n);
	u->len += n;
}

bool url_path_copy(struct arena *a, const struct table *t, const struct url_path *p, struct url_path_copy *out)
{
	*out = (struct url_path_copy){.by = filter_copy_text(a, t, p->by), .type = p->type};
	return out->by.at != NULL;
}

void url_put_path(struct url_text *u, const struct filter_exchange *x, const struct url_path_copy *p)
{
	const struct text all = x->request->path;
	const char *mark = memchr(all.at, '?', all.len), *by = p->by.at;
	const size_t path_len = mark != NULL ? (size_t)(mark - all.at) : all.len;
	size_t prefix = x->path_match_bytes, by_len = p->by.len;

	if (p->type == URL_PATH_SAME) {
		url_put(u, all.at, all.len);
		return;
	}
	if (p->type == URL_PATH_FULL) {
		url_put(u, by, by_len);
		if (memchr(by, '?', by_len) != NULL)
			return;
	} else {
		if (prefix == 1 || prefix > path_len) /* the prefix "/" is the one without segments */
			prefix = 0;
		/* The rest is empty or begins with its slash: then the replacement gives up its own last one. */
		if (prefix < path_len && by_len > 0 && by[by_len - 1] == '/')
			by_len--;
		if (by_len == 0 && prefix == path_len)
			url_put(u, "/", 1);
		url_put(u, by, by_len);
		url_put(u, all.at + prefix, path_len - prefix);
	}
	url_put(u, all.at + path_len, all.len - path_len);
}

uint32_t url_path_replaced(const struct url_path_copy *p)
{
	const char *by = p->by.at, *mark = memchr(by, '?', p->by.len);
	const uint32_t len = mark != NULL ? (uint32_t)(mark - by) : p->by.len;

	/* The last slash of a prefix is the seam's. */
	return p->type == URL_PATH_PREFIX && len > 0 && by[len - 1] == '/' ? len - 1 : len;
}

static bool ends_with(struct text list, struct text last)
{
	struct text element = {0}, rest = list;

	while (http_list_next(&rest, &element))
		;
	return text_equal(element, last);
}

enum err url_forward_host(struct filter_exchange *x, struct text host)
{
	static const struct text name = TEXT("x-forwarded-host");
	const struct http_field *f = http_find_name(x->request, name);
	char *joined;

	if (host.len == 0 || (f != NULL && ends_with(f->value, host)))
		return OK;
	if (f == NULL || f->value.len + 1 + host.len > FORWARDED_HOST_MAX)
		return http_set(x->request, x->arena, name, host);
	joined = arena_get(x->arena, f->value.len + 1 + host.len);
	if (joined == NULL)
		return ERR_NO_MEMORY;
	memcpy(joined, f->value.at, f->value.len);
	joined[f->value.len] = ',';
	memcpy(joined + f->value.len + 1, host.at, host.len);
	return http_set(x->request, x->arena, name,
	                (struct text){.at = joined, .len = f->value.len + 1 + host.len});
}
