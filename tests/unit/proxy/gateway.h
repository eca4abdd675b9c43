/*
 * A gateway in memory: the double of TCP that tests of http use (tests/unit/http/pipe.h), and above it http, upstream
 * and proxy as they are, with a table. The test plays the client and the upstream, byte for byte:
 *
 *     gateway_open(&fixture)                 a listener at 198.18.0.10:80, an upstream behind every route
 *     c = gateway_client()                   a client's connection; rig_input(), rig_eof(), c->out
 *     origin_serve(&o)                       opens what was connected, judges what came, answers what is whole
 *
 * The judge is a reader of its own, for the language that the gateway writes and nothing else: any other byte is wrong.
 */
#ifndef TESTS_UNIT_PROXY_GATEWAY_H
#define TESTS_UNIT_PROXY_GATEWAY_H

#include <ctype.h>

#include "proxy/proxy.h"
#include "tests/support/logged.h"
#include "tests/support/table_fixture.h"
#include "tests/unit/http/pipe.h"
#include "upstream/health.h"
#include "upstream/upstream.h"

static struct {
	struct proxy *proxy;
	struct upstream *upstream;
	struct health *health;
	struct table *table;
	struct logring *log;
	unsigned refused;              /* heads that http refused */
	uint16_t refused_status;
} gateway;

const struct tuple *tcp_tuple(const struct tcp_conn *c)
{
	return &c->tuple;
}

static void gateway_on_stream(void *up, struct http_stream *s)
{
	(void)up;
	proxy_on_stream(gateway.proxy, s);
}

static void gateway_on_bad_request(void *up, struct tls_conn *c, enum err why, struct http_refusal answer)
{
	(void)up;
	gateway.refused++;
	gateway.refused_status = answer.status;
	proxy_on_bad_request(gateway.proxy, c, why, answer);
}

static inline void gateway_open(const struct fixture *f)
{
	static const struct http_up up = {.on_stream = gateway_on_stream, .on_bad_request = gateway_on_bad_request};
	size_t bytes;

	rig_open(&up);
	memset(&gateway, 0, sizeof(gateway));
	rig.shard.workers = 1;
	rig.shard.wall_us = UINT64_C(784111777000000);
	rig.shard.table = gateway.table = fixture_table(f, &bytes);
	rig.shard.access_log = gateway.log = logring_new(1 << 20);
	gateway.health = health_new(1);
	gateway.upstream = upstream_new(&rig.shard, rig.http, &(struct upstream_up){.health = gateway.health});
	gateway.proxy = proxy_new(&rig.shard, gateway.upstream);
}

static inline void gateway_close(void)
{
	http_free(rig.http);
	proxy_free(gateway.proxy);
	upstream_free(gateway.upstream);
	health_free(gateway.health);
	logring_free(gateway.log);
	tls_free(rig.tls);
	for (unsigned i = 0; i < LENGTH(rig.conns); i++)
		free(rig.conns[i]);
	pool_fini(&rig.shard.chunks);
	packet_pools_fini(&rig.shard.pools);
	free(gateway.table);
}

/* A round that ends that much later. */
static inline void gateway_tick(uint64_t ms)
{
	rig_tick(ms);
	upstream_flush(gateway.upstream);
}

/* All far ends go away; nothing may be left. */
static inline void gateway_end(void)
{
	rig_end();
	assert_int_equal(proxy_exchanges(gateway.proxy), 0);
	assert_int_equal(upstream_conns(gateway.upstream), 0);
	assert_int_equal(rig.counters.cell[C_exchanges_opened], rig.counters.cell[C_exchanges_closed]);
	rig.tcp.last = NULL;
}

static inline struct tcp_conn *gateway_client(void)
{
	struct tcp_conn *c = conn_make();

	c->tuple = (struct tuple){.local = addr_v4(__builtin_bswap32(0xc612000a)), .local_port = 80,
	                          .remote = addr_v4(__builtin_bswap32(0xc6120002)), .remote_port = 40000};
	http_serve(rig.http, c);
	return c;
}

/* The newest line of the log (logged_line()); "" if there is none. */
static inline const char *gateway_logged(void)
{
	const struct access_record *r = logged_newest(gateway.log);

	return r != NULL ? logged_line(r) : "";
}

static inline uint64_t counted(enum counter c)
{
	return rig.counters.cell[c];
}

/* ---- the origin: what the upstream's side reads and says ---- */

enum { TARGET_MAX = 64 };

struct origin {
	const char *answer;            /* null: none */
	unsigned whole;                /* requests, on all connections */
	unsigned partial;              /* connections that stand in the middle of one */
	unsigned partial_open;         /* of those, how many are still alive */
	char targets[8][TARGET_MAX];
	size_t body_bytes;             /* of the last whole request */
	char why[160];                 /* what was wrong; empty: nothing */
	bool upgrade;                  /* the last whole request asks for websocket */
	unsigned answered[LENGTH(rig.conns)];
};

struct reader {
	const char *at, *end;
	struct origin *o;
};

static inline bool wrong(struct reader *r, const char *what)
{
	if (r->o->why[0] == '\0')
		snprintf(r->o->why, sizeof(r->o->why), "%s at \"%.60s\"", what, r->at);
	return false;
}

/* The line at r, without CR LF; null: it is not whole. */
static inline const char *reader_line(struct reader *r, size_t *n)
{
	const char *line = r->at;

	for (const char *p = r->at; p < r->end; p++)
		if (*p == '\n' && p > line && p[-1] == '\r') {
			*n = (size_t)(p - 1 - line);
			r->at = p + 1;
			return line;
		} else if (*p == '\n' || (p > line && p[-1] == '\r')) {
			r->at = p;
			wrong(r, "a line end of one byte");
		}
	return NULL;
}

/* As the most careless of readers compares names: without case, and with an underscore for a hyphen. */
static inline void careless(const char *name, size_t n, char out[static 64])
{
	n = n < 63 ? n : 63;
	for (size_t i = 0; i < n; i++)
		out[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
	out[n] = '\0';
}

struct framing_seen {
	bool chunked, length;
	uint64_t n;
	unsigned hosts;
};

static inline bool read_field(struct reader *r, const char *line, size_t n, struct framing_seen *f)
{
	static const char tchar[] = "!#$%&'*+-.^_`|~";
	const char *colon = memchr(line, ':', n);
	char name[64];

	r->at = line;
	if (!colon || colon == line || colon[1] != ' ')
		return wrong(r, "not \"name: value\"");
	for (const char *p = line; p < colon; p++)
		if (!isalnum((unsigned char)*p) && !strchr(tchar, *p))
			return wrong(r, "a field name that is no token");
	for (const char *p = colon; p < line + n; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return wrong(r, "a control byte in a value");
	careless(line, (size_t)(colon - line), name);
	if (!strcmp(name, "host"))
		f->hosts++;
	if (!strcmp(name, "upgrade"))
		r->o->upgrade = true;
	if (!strcmp(name, "transfer-encoding")) {
		if (f->chunked || f->length || n != strlen("transfer-encoding: chunked") ||
		    memcmp(line, "transfer-encoding: chunked", n))
			return wrong(r, "another transfer coding than ours");
		f->chunked = true;
	}
	if (!strcmp(name, "content-length")) {
		char *end;

		if (f->chunked || f->length || memcmp(line, "content-length: ", 16) || !isdigit((unsigned char)line[16]))
			return wrong(r, "another length than ours");
		f->n = strtoull(line + 16, &end, 10);
		if (end != line + n)
			return wrong(r, "a length that is not digits only");
		f->length = true;
	}
	return true;
}

/* Bytes: false when they are not all there. */
static inline bool reader_skip(struct reader *r, uint64_t n)
{
	if ((uint64_t)(r->end - r->at) < n)
		return false;
	r->at += n;
	return true;
}

static inline bool read_chunks(struct reader *r, size_t *bytes)
{
	for (;;) {
		size_t n;
		const char *line = reader_line(r, &n);
		uint64_t size;
		char *end;

		if (!line)
			return false;
		if (n == 0 || n > 8 || strspn(line, "0123456789abcdef") != n)
			return wrong(r, "a chunk size that is not ours");
		size = strtoull(line, &end, 16);
		if (size == 0)
			break;
		*bytes += size;
		if (!reader_skip(r, size + 2))
			return false;
		if (memcmp(r->at - 2, "\r\n", 2))
			return wrong(r, "no line end behind a chunk");
	}
	for (;;) {
		struct framing_seen none = {0};
		size_t n;
		const char *line = reader_line(r, &n);
		const char *behind = r->at;

		if (!line)
			return false;
		if (n == 0)
			return true;
		if (!read_field(r, line, n, &none))
			return false;
		r->at = behind;
		if (none.chunked || none.length || none.hosts)
			return wrong(r, "a trailer that frames or routes");
	}
}

/* One request: true when it is whole and right. */
static inline bool read_request(struct reader *r)
{
	struct framing_seen f = {0};
	size_t n, bytes = 0;
	const char *line = reader_line(r, &n), *target, *end;

	if (!line)
		return false;
	target = memchr(line, ' ', n);
	end = target ? memchr(target + 1, ' ', (size_t)(line + n - target - 1)) : NULL;
	if (!end || line + n - end != 9 || memcmp(end, " HTTP/1.1", 9))
		return wrong(r, "not a request line");
	for (const char *p = line; p < line + n; p++)
		if ((unsigned char)*p <= 0x20 && p != target && p != end)
			return wrong(r, "white space in a request line");
	r->o->upgrade = false;
	for (;;) {
		const char *field = reader_line(r, &n), *behind = r->at;

		if (!field)
			return false;
		if (n == 0)
			break;
		if (!read_field(r, field, n, &f))
			return false;
		r->at = behind;
	}
	if (f.hosts != 1)
		return wrong(r, "not one Host");
	if (f.chunked ? !read_chunks(r, &bytes) : !reader_skip(r, bytes = f.n))
		return false;
	r->o->body_bytes = bytes;
	if (r->o->whole < LENGTH(r->o->targets))
		snprintf(r->o->targets[r->o->whole], TARGET_MAX, "%.*s", (int)(end - target - 1), target + 1);
	r->o->whole++;
	return true;
}

static inline bool is_upstream(const struct tcp_conn *c)
{
	return c->tuple.remote_port == 8080;
}

/* Reads all connections from their start. */
static inline void origin_read(struct origin *o, unsigned whole[static LENGTH(rig.conns)])
{
	o->whole = o->partial = o->partial_open = 0;
	for (unsigned i = 0; i < rig.conns_n; i++) {
		struct tcp_conn *c = rig.conns[i];
		struct reader r = {c->out, c->out + c->out_n, o};
		const unsigned before = o->whole;

		if (!is_upstream(c))
			continue;
		c->out[c->out_n] = '\0';
		while (r.at < r.end && read_request(&r))
			;
		whole[i] = o->whole - before;
		if (r.at < r.end || o->why[0] != '\0') {
			o->partial++;
			o->partial_open += !c->closed && !c->shut;
		}
	}
}

/* Opens what the gateway connects; false: there was nothing. */
static inline bool origin_open(void)
{
	bool any = false;

	for (unsigned i = 0; i < rig.conns_n; i++) {
		struct tcp_conn *c = rig.conns[i];

		if (!is_upstream(c) || c->opened || c->closed)
			continue;
		c->opened = any = true;
		c->ops->on_open(c->user);
	}
	return any;
}

/* Opens, reads, answers, acknowledges, until nothing more happens. */
static inline void origin_serve(struct origin *o)
{
	bool again = true;

	while (again) {
		unsigned whole[LENGTH(rig.conns)] = {0};

		again = origin_open();
		gateway_tick(1);
		origin_read(o, whole);
		for (unsigned i = 0; i < rig.conns_n; i++) {
			while (o->answer && !rig.conns[i]->closed && o->answered[i] < whole[i]) {
				o->answered[i]++;
				again = true;
				rig_input(rig.conns[i], o->answer, strlen(o->answer));
			}
			rig_ack_all(rig.conns[i]);
		}
		gateway_tick(1);
	}
}

/* The latest connection to the upstream, opened. */
static inline struct tcp_conn *origin_conn(void)
{
	origin_open();
	for (unsigned i = rig.conns_n; i-- > 0;) {
		struct tcp_conn *c = rig.conns[i];

		if (!is_upstream(c) || c->closed)
			continue;
		c->out[c->out_n] = '\0';
		return c;
	}
	return NULL;
}

static inline unsigned origin_conns(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < rig.conns_n; i++)
		n += is_upstream(rig.conns[i]);
	return n;
}

/* ---- what the client was told ---- */

/* The status lines in c->out, as "200 400 "; "x" at the end: the connection was closed or reset. */
static inline const char *answers(struct tcp_conn *c)
{
	static char text[256];
	size_t n = 0;

	c->out[c->out_n] = '\0';
	text[0] = '\0';
	for (const char *p = c->out; (p = strstr(p, "HTTP/1.1 ")) && n < sizeof(text) - 16; p++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.3s ", p + 9);
	snprintf(text + n, sizeof(text) - n, "%s", c->aborted ? "reset" : c->shut ? "x" : "");
	return text;
}

static inline void say(struct tcp_conn *c, const char *text)
{
	rig_input(c, text, strlen(text));
}

#endif
