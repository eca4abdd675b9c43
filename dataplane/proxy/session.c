/*
 * Session persistence: a client stays with the backend, and the endpoint of it, that it was given first (Gateway API:
 * SessionPersistence; GEP-1619). Also when the weights change, to 0 even, when tables change or the gateway starts
 * anew: there is no state here, the client carries it, in a cookie or a header field:
 *
 *     cluster (16 hex digits) endpoint (16) second of issue (8)
 *
 * Both are the stable ids of the tables. They name things, they are not addresses: a token leads to an endpoint that
 * the rule has now, or to nothing. So there is nothing to forge but the wish for another endpoint of the same rule, and
 * a later end of one's own session, and the token needs no key, which would have to outlive the machine.
 *
 * A token that leads to nothing, is too old, or whose endpoint could not be used is replaced with the response.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "proxy/exchange.h"

enum { TOKEN_LEN = 40, ID_LEN = 16, COOKIE_MAX = 2048 };

/* ---- the token ---- */

static bool read_hex(const char *at, unsigned digits, uint64_t *out)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < digits; i++) {
		const char c = at[i];

		if (c >= '0' && c <= '9')
			n = n << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			n = n << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*out = n;
	return true;
}

static void write_hex(char *at, unsigned digits, uint64_t n)
{
	for (; digits > 0; n >>= 4)
		at[--digits] = "0123456789abcdef"[n & 15];
}

static uint64_t now_s(const struct exchange *x)
{
	return x->proxy->shard->wall_us / 1000000;
}

static void read_token(struct exchange *x, struct text token)
{
	struct session *s = x->session;
	uint64_t issued_s;

	if (token.len != TOKEN_LEN || !read_hex(token.at, ID_LEN, &s->cluster) ||
	    !read_hex(token.at + ID_LEN, ID_LEN, &s->endpoint) ||
	    !read_hex(token.at + 2 * ID_LEN, TOKEN_LEN - 2 * ID_LEN, &issued_s) ||
	    (s->timeout_s != 0 && now_s(x) >= issued_s + s->timeout_s))
		s->cluster = s->endpoint = 0;
}

/* ---- the request ---- */

/* The value of the cookie of this name in one field ("a=1; b=2"), the first of several. */
static bool find_cookie(struct text field, struct text name, struct text *value)
{
	const char *at = field.at, *end = field.at + field.len;

	while (at < end) {
		const char *semicolon = memchr(at, ';', (size_t)(end - at));
		const char *stop = semicolon != NULL ? semicolon : end;

		while (at < stop && (*at == ' ' || *at == '\t'))
			at++;
		if ((size_t)(stop - at) > name.len && at[name.len] == '=' && memcmp(at, name.at, name.len) == 0) {
			*value = (struct text){.at = at + name.len + 1, .len = (uint32_t)(stop - at) - name.len - 1};
			return true;
		}
		at = stop + 1;
	}
	return false;
}

static void find_token(struct exchange *x)
{
	const struct http_message *m = x->request;
	struct text token = {0};

	for (unsigned i = 0; i < m->fields_n; i++) {
		const struct http_field *f = &m->fields[i];

		if (f->removed)
			continue;
		if (x->session->kind == TABLE_SESSION_COOKIE && f->id == HTTP_FIELD_COOKIE) {
			if (find_cookie(f->value, x->session->name, &token))
				break;
		} else if (x->session->kind == TABLE_SESSION_HEADER && text_equal_nocase(f->name, x->session->name)) {
			token = f->value;
			break;
		}
	}
	read_token(x, token);
}

static bool has_endpoint(const struct table *t, const struct table_cluster *c, uint64_t id)
{
	const struct table_endpoint *e = TABLE_LIST(t, c->endpoints, struct table_endpoint);

	for (uint32_t i = 0; i < c->endpoints.n; i++) {
		if (e[i].id == id)
			return true;
	}
	return false;
}

static const struct table_backend *find_backend(const struct exchange *x, const struct table *t,
                                                const struct table_rule *r)
{
	const struct table_backend *b = TABLE_LIST(t, r->backends, struct table_backend);
	const struct table_cluster *clusters = TABLE_LIST(t, t->clusters, struct table_cluster);

	for (uint32_t i = 0; i < r->backends.n; i++) {
		if (b[i].cluster != TABLE_NONE && clusters[b[i].cluster].id == x->session->cluster &&
		    has_endpoint(t, &clusters[b[i].cluster], x->session->endpoint))
			return &b[i];
	}
	return NULL;
}

/* The part of the path that the rule matched, as a cookie's Path; "/" when it cannot be one. */
static struct text matched_path(const struct exchange *x, uint32_t path_match_bytes)
{
	const struct text path = x->request->path;

	if (path_match_bytes == 0 || path_match_bytes > path.len || path_match_bytes > COOKIE_MAX / 2 ||
	    memchr(path.at, ';', path_match_bytes) != NULL || memchr(path.at, '?', path_match_bytes) != NULL)
		return TEXT("/");
	return (struct text){.at = path.at, .len = path_match_bytes};
}

bool session_begin(struct exchange *x, const struct table *t, uint32_t from, uint32_t path_match_bytes)
{
	const struct table_session *session = table_at(t, from);
	struct arena *a = http_stream_arena(x->down);
	struct session *s;

	if (from == 0)
		return true;
	s = arena_get(a, sizeof(*s));
	if (s == NULL)
		return false;
	*s = (struct session){.kind = session->kind, .permanent = session->permanent != 0,
	                      .timeout_s = session->timeout_s, .path = matched_path(x, path_match_bytes),
	                      .name = filter_copy_text(a, t, session->name)};
	x->session = s;
	return s->name.at != NULL;
}

const struct table_backend *session_backend(struct exchange *x, const struct table *t, const struct table_rule *r)
{
	const struct table_backend *b;

	if (x->session == NULL)
		return NULL;
	find_token(x);
	b = x->session->endpoint != 0 ? find_backend(x, t, r) : NULL;
	if (b == NULL)
		x->session->cluster = x->session->endpoint = 0;
	return b;
}

/* ---- the response ---- */

static enum err set_cookie(struct exchange *x, struct http_message *m, struct text token)
{
	const struct session *s = x->session;
	struct arena *a = http_stream_arena(x->down);
	char age[32] = "";
	char *text = arena_get(a, COOKIE_MAX);
	int n;

	if (text == NULL)
		return ERR_NO_MEMORY;
	if (s->permanent)
		snprintf(age, sizeof(age), "; Max-Age=%u", s->timeout_s);
	n = snprintf(text, COOKIE_MAX, "%.*s=%.*s; Path=%.*s; HttpOnly%s", (int)s->name.len, s->name.at, (int)token.len,
	             token.at, (int)s->path.len, s->path.at, age);
	CHECK(n > 0 && n < COOKIE_MAX);
	return http_add(m, a, TEXT("set-cookie"), (struct text){.at = text, .len = (uint32_t)n});
}

enum err session_mark(struct exchange *x, struct http_message *m)
{
	const uint64_t endpoint = lease_endpoint(x->lease);
	struct arena *a = http_stream_arena(x->down);
	struct text token = {.len = TOKEN_LEN};
	char *text;

	if (x->session == NULL || (x->session->cluster == x->cluster && x->session->endpoint == endpoint))
		return OK;
	text = arena_get(a, TOKEN_LEN);
	if (text == NULL)
		return ERR_NO_MEMORY;
	write_hex(text, ID_LEN, x->cluster);
	write_hex(text + ID_LEN, ID_LEN, endpoint);
	write_hex(text + 2 * ID_LEN, TOKEN_LEN - 2 * ID_LEN, now_s(x));
	token.at = text;
	if (x->session->kind == TABLE_SESSION_COOKIE)
		return set_cookie(x, m, token);
	return http_set(m, a, x->session->name, token);
}
