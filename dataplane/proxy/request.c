/*
 * What happens to the heads of a request and its response.
 *
 * On the way in, in this order: hop-by-hop fields go (those that Connection names included), then the fields that
 * only a gateway may set are taken away and set anew, so a client can neither forge them nor have them removed.
 * These are the defaults of Envoy Gateway for a listener without policies (the client is not trusted):
 *
 *   x-forwarded-for           the client's address is appended to what the client sent, in one field
 *   x-forwarded-proto         replaced by the scheme of the connection
 *   x-envoy-external-address  replaced by the client's address
 *   x-request-id              replaced by a new UUID, version 4 (RFC 9562)
 *   x-forwarded-*             every other one is removed, like those of the next three lines: Envoy lets some of them
 *   forwarded, x-real-ip      pass, but a backend that believes one would believe it of anybody; the client's
 *                             certificate (x-forwarded-client-cert) only a gateway can tell that has seen it
 *   x-envoy-*                 every other one that a client sends is removed
 *
 * The layer below writes TE (trailers are welcome, or nothing is said) and, for what tunnel.c admits, Upgrade.
 *
 * A header name with an underscore is refused (400): many servers read it as the name with a hyphen, and a client could
 * so say what the gateway's own fields say. So it is in trailers, since some servers read those as header fields; when
 * the response is under way already, the exchange is cut.
 *
 * A request without a host is refused (400), as by Envoy: HTTP/1.0 allows it, but which host should be matched, and
 * told to the upstream, nobody has said. HTTP/1.0 itself is taken (Envoy Gateway's default is to refuse it).
 *
 * The path is brought into its normal form (route/uri.h) before anything looks at it.
 *
 * On the way out: hop-by-hop fields go; Date is added when the upstream has not sent one (RFC 9110, 6.6.1); Server and
 * everything else pass; the upstream's x-envoy-upstream-service-time is not made (Envoy Gateway suppresses it).
 *
 * Routing copies out of the tables what later rounds need: the rule's name, timeouts, the cluster's stable id and what
 * the filters need. The backend is chosen before its rule's filters run, since they may outlive the round.
 */
#include <immintrin.h>
#include <string.h>

#include "balance/balance.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/fault.h"
#include "http/copy.h"
#include "proxy/exchange.h"
#include "route/route.h"
#include "route/uri.h"

enum {
	FORWARDED_MAX = 2048,
	UUID = 36,
	/* What add_own() writes besides the values. */
	LINES_BYTES = sizeof("x-forwarded-for: x-forwarded-proto: x-envoy-external-address: x-request-id: ") + 4 * 2,
};

/* ---- texts ---- */

static size_t print_v4(const struct addr *a, char *text)
{
	char *p = text;

	for (unsigned i = 12; i < 16; i++) {
		const unsigned n = a->b[i];

		if (n >= 100)
			*p++ = (char)('0' + n / 100);
		if (n >= 10)
			*p++ = (char)('0' + n / 10 % 10);
		*p++ = (char)('0' + n % 10);
		*p++ = '.';
	}
	return (size_t)(p - text) - 1;
}

/* The client's address as text; valid until another client's is asked for. */
static struct text peer_text(struct proxy *p, const struct addr *a)
{
	const uint64_t mix = (a->q[0] ^ a->q[1]) * UINT64_C(0x9e3779b97f4a7c15);
	struct peer *peer = &p->peers[mix >> 56];

	static_assert(PEERS == 256, "one byte picks the place");
	if (peer->len == 0 || !addr_equal(&peer->addr, a)) {
		peer->addr = *a;
		peer->len = (uint32_t)(addr_is_v4(a) ? print_v4(a, peer->text) : strlen(addr_print(a, peer->text)));
	}
	return (struct text){.at = peer->text, .len = peer->len};
}

/* Eight hexadecimal digits, the highest first. */
static inline void print_hex(uint32_t v, char text[static 8])
{
	const uint64_t nibbles = __builtin_bswap64(_pdep_u64(v, UINT64_C(0x0f0f0f0f0f0f0f0f)));
	const uint64_t letters = (nibbles + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
	const uint64_t digits = nibbles + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10);

	memcpy(text, &digits, sizeof(digits));
}

/* 8-4-4-4-12 digits. */
static void print_uuid(struct rng *rng, char text[static UUID])
{
	const uint64_t high = (rng_u64(rng) & ~UINT64_C(0xf000)) | 0x4000;
	const uint64_t low = (rng_u64(rng) & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
	char digits[32];

	print_hex((uint32_t)(high >> 32), digits);
	print_hex((uint32_t)high, digits + 8);
	print_hex((uint32_t)(low >> 32), digits + 16);
	print_hex((uint32_t)low, digits + 24);
	memcpy(text, digits, 8);
	memcpy(text + 9, digits + 8, 4);
	memcpy(text + 14, digits + 12, 4);
	memcpy(text + 19, digits + 16, 4);
	memcpy(text + 24, digits + 20, 12);
	text[8] = text[13] = text[18] = text[23] = '-';
}

/* ---- the gateway's own fields ---- */

static bool begins(struct text name, struct text lower_prefix)
{
	return name.len >= lower_prefix.len &&
	       text_equal_nocase((struct text){.at = name.at, .len = lower_prefix.len}, lower_prefix);
}

/* What only a gateway says. */
static bool is_gateways(const struct http_field *f)
{
	switch (f->id) {
	case HTTP_FIELD_X_FORWARDED_FOR:
	case HTTP_FIELD_X_FORWARDED_PROTO:
	case HTTP_FIELD_X_FORWARDED_HOST:
	case HTTP_FIELD_X_FORWARDED_CLIENT_CERT:
	case HTTP_FIELD_FORWARDED:
	case HTTP_FIELD_X_REAL_IP:
	case HTTP_FIELD_X_REQUEST_ID:
	case HTTP_FIELD_X_ENVOY_EXTERNAL_ADDRESS:
	case HTTP_FIELD_X_ENVOY_ORIGINAL_PATH:
	case HTTP_FIELD_X_ENVOY_UPSTREAM_SERVICE_TIME:
		return true;
	case HTTP_FIELD_OTHER:
		return f->name.len > 2 && f->name.at[1] == '-' &&
		       (begins(f->name, TEXT("x-envoy-")) || begins(f->name, TEXT("x-forwarded-")));
	default:
		return false;
	}
}

/* Takes away what the client must not say; counts what it said about the way so far. */
static unsigned strip(struct http_message *m, bool *underscore)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->fields_n; i++) {
		struct http_field *f = &m->fields[i];

		if (f->removed)
			continue;
		if (f->id == HTTP_FIELD_X_FORWARDED_FOR)
			n++;
		else
			f->removed = is_gateways(f);
		if (f->id == HTTP_FIELD_OTHER)
			*underscore |= memchr(f->name.at, '_', f->name.len) != NULL;
	}
	return n;
}

/* "what came, what came, peer": all X-Forwarded-For fields become one, unless they are too long for that. */
static struct text join_forwarded(struct http_message *m, struct arena *a, struct text peer)
{
	size_t len = 0, at = 0;
	char *joined;

	for (unsigned i = 0; i < m->fields_n; i++) {
		if (m->fields[i].id == HTTP_FIELD_X_FORWARDED_FOR && !m->fields[i].removed)
			len += m->fields[i].value.len + 1;
	}
	if (len + peer.len > FORWARDED_MAX)
		return peer;
	joined = arena_get(a, len + peer.len);
	if (joined == NULL)
		return (struct text){0};
	for (unsigned i = 0; i < m->fields_n; i++) {
		struct http_field *f = &m->fields[i];

		if (f->id != HTTP_FIELD_X_FORWARDED_FOR || f->removed)
			continue;
		memcpy(joined + at, f->value.at, f->value.len);
		at += f->value.len;
		joined[at++] = ',';
		f->removed = true;
	}
	memcpy(joined + at, peer.at, peer.len);
	return (struct text){.at = joined, .len = (uint32_t)(at + peer.len)};
}

/* Where the lines of our own fields are written, one behind the other: they are sent as one piece. */
struct lines {
	struct http_message *m;
	struct arena *arena;
	char *at;
	enum err failed;
};

/* Returns the value where it was written to. `begin`: name, colon and space. */
static inline struct text put_line(struct lines *l, enum http_field_id id, struct text begin, struct text value)
{
	const struct text line = {.at = l->at, .len = begin.len + value.len + 2};
	char *at = l->at;

	copy_short(at, begin.at, begin.len);
	copy_short(at + begin.len, value.at, value.len);
	memcpy(at + begin.len + value.len, "\r\n", 2);
	l->at += line.len;
	if (l->failed == OK)
		l->failed = http_add_line(l->m, l->arena, id, line);
	return (struct text){.at = at + begin.len, .len = value.len};
}

static enum err add_own(struct exchange *x, struct arena *a, unsigned forwarded_n)
{
	static const struct text names[] = {TEXT("x-forwarded-for: "), TEXT("x-forwarded-proto: "),
	                                    TEXT("x-envoy-external-address: "), TEXT("x-request-id: ")};
	struct http_message *m = x->request;
	const struct text peer = peer_text(x->proxy, &x->client.remote);
	const struct text forwarded = forwarded_n > 0 ? join_forwarded(m, a, peer) : peer;
	struct lines l = {.m = m, .arena = a};
	char uuid[UUID];

	l.at = arena_get(a, LINES_BYTES + forwarded.len + m->scheme.len + peer.len + UUID);
	if (forwarded.len == 0 || l.at == NULL)
		return ERR_NO_MEMORY;
	print_uuid(&x->proxy->shard->rng, uuid);
	x->forwarded_for = put_line(&l, HTTP_FIELD_X_FORWARDED_FOR, names[0], forwarded);
	put_line(&l, HTTP_FIELD_X_FORWARDED_PROTO, names[1], m->scheme);
	put_line(&l, HTTP_FIELD_X_ENVOY_EXTERNAL_ADDRESS, names[2], peer);
	x->request_id = put_line(&l, HTTP_FIELD_X_REQUEST_ID, names[3], (struct text){.at = uuid, .len = UUID});
	return l.failed;
}

/*
 * Each name in a Connection field costs a look at all fields: 60 KB of names times 100 fields would hold up a worker
 * for milliseconds. Real messages name a handful.
 */
static enum err take_hop_by_hop(struct exchange *x, struct http_message *m)
{
	uint32_t bytes = 0;

	for (unsigned i = 0; i < m->fields_n; i++)
		bytes += m->fields[i].id == HTTP_FIELD_CONNECTION ? m->fields[i].value.len : 0;
	if (bytes > LIMIT_connection_options) {
		count(x->proxy->shard->counters, C_limit_connection_options);
		return ERR_HTTP_HEADERS_TOO_LARGE;
	}
	http_remove_hop_by_hop(m);
	return OK;
}

void request_look(const struct exchange *x, struct route_host *host)
{
	const struct table *t = x->proxy->shard->table;

	host->listener = NULL;
	if (t != NULL)
		route_host(t, &x->client.local, x->client.local_port, x->request->authority, host);
}

enum err request_prepare(struct exchange *x, struct route_host *host)
{
	const struct table *t = x->proxy->shard->table;
	unsigned forwarded_n;
	bool underscore = false;
	enum err e = take_hop_by_hop(x, x->request);

	if (e != OK)
		return e;
	forwarded_n = strip(x->request, &underscore);
	if (underscore) {
		count(x->proxy->shard->counters, C_underscores_refused);
		return ERR_HTTP_SYNTAX;
	}
	if (t != NULL)
		route_fetch(t, host);
	return add_own(x, http_stream_arena(x->down), forwarded_n);
}

enum err request_trailers(struct exchange *x, struct http_message *trailers)
{
	for (unsigned i = 0; trailers != NULL && i < trailers->fields_n; i++) {
		struct http_field *f = &trailers->fields[i];

		if (f->removed)
			continue;
		if (f->id == HTTP_FIELD_OTHER && memchr(f->name.at, '_', f->name.len) != NULL) {
			count(x->proxy->shard->counters, C_underscores_refused);
			return ERR_HTTP_SYNTAX;
		}
		f->removed = is_gateways(f);
	}
	return OK;
}

enum err interim_prepare(struct exchange *x, struct http_message *m)
{
	return take_hop_by_hop(x, m);
}

enum err response_prepare(struct exchange *x, struct http_message *m)
{
	struct arena *a = http_stream_arena(x->down);
	enum err e = take_hop_by_hop(x, m);

	/* With other statuses Upgrade is an advertisement of that hop (RFC 9110, 7.8). */
	if (m->status != 101 && m->status != 426)
		m->upgrade = (struct text){0};
	if (e == OK && http_find(m, HTTP_FIELD_DATE) == NULL)
		e = http_add_line(m, a, HTTP_FIELD_DATE, proxy_date_line(x->proxy));
	return e == OK ? session_mark(x, m) : e;
}

/* ---- routing ---- */

static bool any_endpoints(const struct table *t, const struct table_rule *r)
{
	const struct table_backend *b = TABLE_LIST(t, r->backends, struct table_backend);

	for (uint32_t i = 0; i < r->backends.n; i++) {
		if (b[i].cluster != TABLE_NONE && b[i].weight > 0 &&
		    TABLE_LIST(t, t->clusters, struct table_cluster)[b[i].cluster].endpoints.n > 0)
			return true;
	}
	return false;
}

static const struct table_backend *choose(struct exchange *x, const struct table *t, const struct table_rule *r)
{
	const struct table_backend *b = TABLE_LIST(t, r->backends, struct table_backend);

	if (r->backends.n == 1)
		return b;
	return b + balance_weighted(&b->weight, sizeof(*b), r->backends.n,
	                            balance_draw(&x->proxy->draws, r->weight_sum));
}

static bool copy_retry(struct exchange *x, const struct table *t, uint32_t from)
{
	if (from == 0)
		return true;
	x->retry = arena_get(http_stream_arena(x->down), sizeof(*x->retry));
	if (x->retry == NULL)
		return false;
	*x->retry = *(const struct table_retry *)table_at(t, from);
	body_keep(&x->to_up);
	return true;
}

static bool copy_rule(struct exchange *x, const struct table *t, const struct table_rule *r)
{
	const char *name = table_text(t, r->name);

	if (!FAULT(table_kept))
		name = arena_text(http_stream_arena(x->down), name, r->name.len);
	x->rule = (struct text){.at = name, .len = name != NULL ? r->name.len : 0};
	x->request_timeout_ms = r->request_timeout_ms;
	x->backend_timeout_ms = r->backend_timeout_ms;
	return name != NULL && copy_retry(x, t, r->retry);
}

/* The filters of the backend that was chosen. */
static struct table_list take_backend(struct exchange *x, const struct table *t, const struct table_rule *r)
{
	const struct table_cluster *clusters = TABLE_LIST(t, t->clusters, struct table_cluster);
	const struct table_backend *b;

	/* No backends, or an invalid reference: 500 for its share (Gateway API). */
	x->no_backend = &reason_no_backend;
	if (r->weight_sum == 0)
		return (struct table_list){0};
	b = session_backend(x, t, r);
	if (b == NULL)
		b = choose(x, t, r);
	if (b->cluster == TABLE_NONE)
		return (struct table_list){0};
	x->cluster = clusters[b->cluster].id;
	/* When no backend of the rule has endpoints the answer is empty, as from Envoy Gateway. */
	x->no_backend = NULL;
	if (clusters[b->cluster].endpoints.n == 0)
		x->no_backend = any_endpoints(t, r) ? &reason_no_endpoints : &reason_no_endpoints_at_all;
	return b->filters;
}

static const struct reason *direct(struct exchange *x, uint16_t status)
{
	struct reason *r = arena_get(http_stream_arena(x->down), sizeof(*r));

	if (r == NULL)
		return &reason_no_memory;
	*r = (struct reason){.status = status, .body = "", .details = "direct_response"};
	return r;
}

static const struct reason *route(struct exchange *x, const struct table *t, const struct route_result *found)
{
	const struct table_rule *r = found->rule;
	struct table_list filters;

	/* With thousands of routes both come from far away: together. */
	__builtin_prefetch(table_at(t, r->backends.at));
	__builtin_prefetch(table_text(t, r->name));
	if (!copy_rule(x, t, r) || !session_begin(x, t, r->session, found->match->path_bytes))
		return &reason_no_memory;
	if (r->direct_status != 0)
		return direct(x, r->direct_status);
	filters = take_backend(x, t, r);
	if (r->filters.n + filters.n == 0)
		return NULL;
	x->chain = chain_new(x, found->match->path_bytes, r->filters, filters);
	return x->chain != NULL ? NULL : &reason_no_memory;
}

/* The path in normal form: null, or why it cannot be, or should be asked for in it. */
static const struct reason *normalise_path(struct exchange *x)
{
	struct http_message *m = x->request;
	struct counters *c = x->proxy->shard->counters;
	uint32_t room = 3 * m->path.len, len = 0;
	enum uri_verdict v;
	char *normal;

	room = room < LIMIT_uri_normal_form ? room : LIMIT_uri_normal_form;
	normal = arena_get(http_stream_arena(x->down), room);
	if (normal == NULL)
		return &reason_no_memory;
	v = uri_normalise(m->path, normal, room, &len);
	if (v == URI_CHANGED || v == URI_REDIRECT)
		x->path = m->path = (struct text){.at = normal, .len = len};
	switch (v) {
	case URI_PLAIN:
		return NULL;
	case URI_CHANGED:
		count(c, C_uri_normalised);
		return NULL;
	case URI_REDIRECT:
		count(c, C_uri_redirected);
		return &reason_normal_form;
	case URI_TOO_LONG:
		count(c, C_limit_uri_normal_form);
		return &reason_long_path;
	case URI_REFUSED:
		break;
	}
	return &reason_bad_path;
}

const struct reason *request_route(struct exchange *x, const struct route_host *host)
{
	const struct shard *s = x->proxy->shard;
	const struct table *t = s->table;
	struct route_result found;

	if (t == NULL)
		return &reason_no_route;
	if (!uri_is_plain(x->request->path)) {
		const struct reason *answer = normalise_path(x);

		if (answer != NULL)
			return answer;
	}
	switch (route_find_at(t, s->regexes, host, x->request, &found)) {
	case ROUTE_FOUND:
		return route(x, t, &found);
	case ROUTE_TOO_MUCH:
		count(s->counters, C_limit_regex_bytes);
		return &reason_large_head;
	default:
		count(s->counters, C_route_not_found);
		return x->method == HTTP_CONNECT ? &reason_no_connect : &reason_no_route;
	}
}
