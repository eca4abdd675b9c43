/*
 * Clients: each has one connection, on which it sends some requests (or what only looks like one), and checks that what
 * comes back is the answer to what it asked, in order.
 *
 * What a connection may do wrong is drawn when it begins: one that does nothing wrong must get every answer, unless an
 * upstream went wrong.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "tests/sim/tunnel.h"
#include "tests/support/smuggle.h"

enum { PIPELINE_MAX = 12 };

struct asker {
	struct hostile *h;
	struct peer peer;
	uint32_t id, left, depth;
	bool started, over, half_close;
	bool last;                  /* nothing may be sent behind what is queued */
	bool wild;                  /* what it sent is anyone's guess: answers to nobody are right too */
	bool excused;               /* it, or an upstream for it, misbehaved: what follows may come to nothing */
	bool closing_said;          /* the gateway said Connection: close: no answer may follow */
	struct entry *due[PIPELINE_MAX];
	uint32_t due_head, due_tail;
	uint64_t start_ns, next_ns;
	uint64_t give_up_ns;        /* who sent what only looks like a request waits no longer for more */
	bool in_answer;             /* its head has come */
	bool in_tunnel;             /* 101 has come */
	bool foreign;               /* it is to something wild */
	unsigned attempt;
	const struct attempt *of;   /* null: an answer of the gateway's own */
	const struct site *favourite; /* asked for every other time */
	char cookie[256];           /* of its session, and who gave it */
	unsigned stay;
};

static struct entry *front(const struct asker *a)
{
	return a->due_head == a->due_tail ? NULL : a->due[a->due_head % PIPELINE_MAX];
}

static void fail(struct asker *a, const char *what)
{
	const struct entry *e = front(a);

	sim_fail(a->h->sim, "client %u, %s %s (request %s): %s (%s)", a->id, e ? e->method : "", e ? e->target : "nothing",
	         e ? e->name : "", what, a->peer.in.start ? a->peer.in.start : "");
}

static bool excused(const struct asker *a, const struct entry *e)
{
	return a->excused || (e && (e->excused || e->site->excuses));
}

/* ---- requests ---- */

/* A GET that names protocols to go on with: of those it is a WebSocket that passes, or nothing that is taken away. */
static void draw_upgrade(struct asker *a, struct entry *e)
{
	static const struct {
		const char *protocols;
		bool tunnel, refused;
	} upgrades[] = {{"websocket", true, false}, {"websocket", true, false}, {"h2c, WebSocket", true, false},
	                {"h2c", false, false}, {"chat/1", false, true}};
	const unsigned i = rng_below(&a->h->rng, sizeof(upgrades) / sizeof(upgrades[0]));

	e->upgrade = upgrades[i].protocols;
	e->tunnel = upgrades[i].tunnel;
	if (upgrades[i].refused)
		e->local = 403;
	/* One that is cut for its client's sake is cut for the upstream as well. */
	e->excused = e->excused || (e->tunnel && a->excused);
}

static void draw_request(struct asker *a, struct entry *e)
{
	static const char *const methods[] = {"GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
	static const struct {
		const char *asked, *seen;
		int local;
	} ends[] = {
		{"", "", 0}, {"", "", 0}, {"/", "/", 0}, {"?", "?", 0}, {"?q=1&r=%20%00", "?q=1&r=%20%00", 0},
		{"/a;p=1", "/a;p=1", 0},
		{"/~:@!$&'()*+,=", "/~:@!$&'()*+,=", 0}, {"/%41%7e", "/A~", 0}, {"?a?b/c//d", "?a?b/c//d", 0}, {"//a///b", "/a/b", 0},
		{"/x/%2e%2e/./y", "/y", 0}, {"/a\\b", "/a/b", 0}, {"/%20%?%41", "/%20%?%41", 0}, {"/a%2Fb", "/a/b", 307},
		{"/a%00b", "", 400},
	};
	struct rng *r = &a->h->rng;
	const bool upgrade = chance(a->h, a->h->mood.upgrade);
	const char *method = upgrade ? "GET" : methods[rng_below(r, 9)];
	const unsigned end = rng_below(r, sizeof(ends) / sizeof(ends[0]));
	const bool absolute = !rng_below(r, 12);
	const bool body = strcmp(method, "GET") && strcmp(method, "HEAD") && rng_below(r, 5);

	e->site = rng_below(r, 2) ? a->favourite : &sites[rng_below(r, sites_n)];
	snprintf(e->method, sizeof(e->method), "%s", method);
	e->head = !strcmp(method, "HEAD");
	e->idempotent = strcmp(method, "POST") && strcmp(method, "PATCH");
	e->old = !upgrade && !rng_below(r, 12);
	e->chunked = body && !e->old && rng_below(r, 2);
	e->trailers = e->chunked && !rng_below(r, 3);
	e->body_n = body ? body_size(a->h) : 0;
	e->pads = rng_below(r, 8);
	e->origin = e->site->kind == SITE_CORS ? (rng_below(r, 2) ? "http://a.example" : "http://evil.example") : NULL;
	snprintf(e->host, sizeof(e->host), rng_below(r, 4) ? "sim.example" : "Sim.example:80");
	e->local = ends[end].local ? ends[end].local : e->site->local;
	snprintf(e->target, sizeof(e->target), "%s%s%s/%s%s", absolute ? "http://" : "", absolute ? e->host : "",
	         e->site->prefix, e->name, ends[end].asked);
	snprintf(e->path, sizeof(e->path), "%s/%s%s", e->site->prefix, e->name, ends[end].seen);
	if (e->site->kind == SITE_SESSION && a->stay) {
		memcpy(e->cookie, a->cookie, sizeof(e->cookie));
		e->stay = a->stay;
	}
	/* A pooled connection may end under it, and it may not be sent twice. */
	if ((a->h->mood.idle_close || a->h->mood.extra) && (!e->idempotent || e->body_n || e->chunked))
		e->excused = true;
	if (a->h->mood.refusing)
		e->excused = true;
	if (upgrade)
		draw_upgrade(a, e);
}

static void put_fields(struct asker *a, const struct entry *e)
{
	struct rng *r = &a->h->rng;
	struct peer *p = &a->peer;

	peer_text(p, "Host:%s%s\r\n", rng_below(r, 4) ? " " : "", e->host);
	if (!rng_below(r, 4))
		peer_text(p, "Connection: x-hop, X-Hop-Too\r\nx-hop: 1\r\nX-Hop-Too: 2\r\nKeep-Alive: 5\r\n");
	if (!rng_below(r, 6))
		peer_text(p, "X-Forwarded-For: 10.0.0.1\r\nX-Request-Id: forged\r\nX-Envoy-Internal: true\r\n"
		          "x-forwarded-proto: https\r\n");
	for (unsigned i = 0; i < e->pads; i++)
		peer_text(p, "X-Pad-%u:%*s%0*d\r\n", i, (int)rng_below(r, 3), "",
		          1 + (int)rng_below(r, rng_below(r, 20) ? 60 : 3000), 7);
	if (e->origin)
		peer_text(p, "Origin: %s\r\n", e->origin);
	if (e->stay)
		peer_text(p, "Cookie: %s\r\n", e->cookie);
	peer_text(p, "x-exchange: %s\r\nX-CHECK: \t %s \t\r\n", e->name, e->check);
	if (e->upgrade)
		peer_text(p, "Connection: Upgrade\r\nUpgrade: %s\r\n", e->upgrade);
	if (e->chunked)
		peer_text(p, rng_below(r, 4) ? "Transfer-Encoding: chunked\r\n" : "tRANSFER-eNCODING:  CHUNKED \r\n");
	else if (e->body_n || (strcmp(e->method, "GET") && rng_below(r, 2)))
		peer_text(p, "Content-Length: %" PRIu64 "\r\n", e->body_n);
}

static bool put_request(struct asker *a)
{
	struct hostile *h = a->h;
	struct peer *p = &a->peer;
	struct entry *e = ledger_open(&h->ledger, a->id);
	const uint64_t begin = peer_end(p);
	char trailer[64] = "";

	if (!e)
		return false;
	draw_request(a, e);
	peer_text(p, "%s%s %s HTTP/1.%d\r\n", rng_below(&h->rng, 16) || begin ? "" : "\r\n", e->method, e->target, e->old ? 0 : 1);
	put_fields(a, e);
	if (e->old && rng_below(&h->rng, 2))
		peer_text(p, "Connection: keep-alive\r\n");
	else
		a->last = a->last || e->old;
	if (!e->old && (e->body_n || e->chunked) && !rng_below(&h->rng, 4)) {
		peer_text(p, "Expect: 100-continue\r\n");
		p->hold_at = peer_end(p) + 2;
		p->hold_until_ns = h->sim->now_ns + NS_PER_S + rng_below(&h->rng, 1000000000);
	}
	if (!a->left && !e->tunnel && !rng_below(&h->rng, 3)) {
		peer_text(p, "Connection: close\r\n");
		a->last = true;
	}
	peer_text(p, "\r\n");
	if (e->trailers)
		snprintf(trailer, sizeof(trailer), "X-Trailer: %s\r\nContent-Length: 5\r\n", e->name);
	put_body(h, p, request_key(e), e->body_n, e->chunked, trailer);
	if (e->tunnel) {
		tunnel_ask(h, p, e, a->half_close);
		a->last = true;
		a->left = 0;
	} else if (chance(h, h->mood.client_cut)) {
		const uint64_t at = begin + rng_u64(&h->rng) % (peer_end(p) - begin + 1);

		e->cut = at < peer_end(p);
		a->excused = a->last = true;
		peer_cut(p, at, rng_below(&h->rng, 2));
	}
	a->due[a->due_tail++ % PIPELINE_MAX] = e;
	return true;
}

/* ---- what only looks like a request ---- */

/* A list of what must be refused without a word to an upstream, or closed. */
static void put_odd(struct asker *a)
{
	static const char *const odd[] = {
		"GET /x HTTP/1.1\r\n\r\n", "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /x HTTP/1.1\nHost: a\n\n",
		"GET  /x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "GET /x HTTP/3.0\r\nHost: a\r\n\r\n",
		"GET /x HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", "GET /x\r\n\r\n", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
		"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02",
		"POST /x HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nContent-Length: 0\r\n\r\n", "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /x HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n",
	};
	static const char big[] = "GET /x HTTP/1.1\r\nHost: a\r\n";
	struct peer *p = &a->peer;

	if (!rng_below(&a->h->rng, 6)) {
		peer_text(p, "%s", big);
		for (unsigned i = 0; i < 40; i++)
			peer_text(p, "x-big-%u: %02000d\r\n", i, 1);
		peer_text(p, "\r\n");
	} else if (!rng_below(&a->h->rng, 6)) {
		peer_text(p, "GET /%04000d%04000d%04000d HTTP/1.1\r\nHost: a\r\n\r\n", 1, 1, 1);
	} else {
		peer_text(p, "%s", odd[rng_below(&a->h->rng, sizeof(odd) / sizeof(odd[0]))]);
	}
	a->last = a->wild = a->excused = true;
}

static void put_smuggle(struct asker *a)
{
	struct smuggle s;

	smuggle_make(rng_below(&a->h->rng, smuggle_count()), &s);
	peer_put(&a->peer, s.bytes, s.n);
	a->last = a->wild = a->excused = true;
}

/* A request whose bytes were changed: nobody's, as its name or its bytes may be among them. */
static void put_mutated(struct asker *a)
{
	static const char bytes[] = "\r\n\t :;,0123456789aAfFxX\"\\%#\x7f\x80\xff";
	struct rng *r = &a->h->rng;
	char text[1024];
	int n = snprintf(text, sizeof(text),
	                 "POST /foreign/a HTTP/1.1\r\nHost: sim.example\r\nX-A: b\r\n%s%s\r\n5\r\nhello\r\n0\r\n\r\n"
	                 "GET /foreign/b HTTP/1.1\r\nHost: sim.example\r\n\r\n",
	                 rng_below(r, 3) ? "Transfer-Encoding: chunked\r\n" : "", rng_below(r, 3) ? "" : "Content-Length: 15\r\n");

	for (uint32_t i = 1 + rng_below(r, 4); i; i--) {
		const uint32_t at = rng_below(r, (uint32_t)n);

		switch (rng_below(r, 3)) {
		case 0:
			text[at] = bytes[rng_below(r, sizeof(bytes))];
			break;
		case 1:
			memmove(text + at, text + at + 1, (size_t)(--n) - at);
			break;
		default:
			memmove(text + at + 1, text + at, (size_t)(n++) - at);
			text[at] = bytes[rng_below(r, sizeof(bytes))];
			break;
		}
	}
	peer_put(&a->peer, text, (size_t)n);
	a->last = a->wild = a->excused = true;
}

/* ---- answers ---- */

/* "<name>-<attempt>": of the request that is due, and of one of its attempts. Null: it is not. */
static const struct attempt *attempt_of(struct asker *a, const char *said)
{
	struct entry *e = front(a);

	if (!e || strlen(said) != LEDGER_NAME + 2 || strncmp(said, e->name, LEDGER_NAME) || said[LEDGER_NAME] != '-')
		return NULL;
	a->attempt = (unsigned)(said[LEDGER_NAME + 1] - '0');
	return a->attempt < e->seen ? &e->attempts[a->attempt] : NULL;
}

static const char *answer_wrong(struct asker *a, const struct entry *e, const struct attempt *t, int status)
{
	struct wire *r = &a->peer.in;
	const char *check = wire_find(r, "x-check"), *generation = wire_find(r, "x-generation-out");
	const char *allowed = wire_find(r, "access-control-allow-origin");

	if (t != &e->attempts[e->seen - 1])
		return "the answer to a try that was given up";
	if (status != t->status)
		return "another status";
	if ((wire_find(r, "set-cookie") != NULL) > (e->site->kind == SITE_SESSION))
		return "a cookie that nobody asked for";
	if (e->site->kind == SITE_SESSION && wire_find(r, "set-cookie")) {
		const char *cookie = wire_find(r, "set-cookie");

		snprintf(a->cookie, sizeof(a->cookie), "%.*s", (int)strcspn(cookie, ";"), cookie);
		a->stay = t->endpoint;
	}
	if (!check || strcmp(check, e->check))
		return "another X-Check";
	if ((e->site->kind == SITE_MODIFIED) != (generation != NULL))
		return "the response's header modifier";
	if (generation && strtoull(generation, NULL, 10) != t->generation)
		return "filters of two generations";
	if ((wire_find(r, "x-inner") != NULL) == (e->site->kind == SITE_MODIFIED))
		return "X-Inner";
	if (wire_find(r, "x-hop") || wire_find(r, "keep-alive"))
		return "a hop-by-hop field";
	if (!wire_find(r, "date"))
		return "no Date";
	if ((allowed != NULL) != (e->origin && !strcmp(e->origin, "http://a.example")))
		return "Access-Control-Allow-Origin";
	if (r->has_length && !t->bodiless && r->length != t->body_n)
		return "another length";
	return NULL;
}

static bool local_right(const struct asker *a, const struct entry *e, int status)
{
	static const int any[] = {400, 408, 413, 414, 417, 431, 500, 501, 502, 503, 504, 505};

	if (e && e->local)
		return status == e->local || (excused(a, e) && status == 408);
	/* CORS answers a preflight itself. */
	if (e && e->site->kind == SITE_CORS && !strcmp(e->method, "OPTIONS") && status == 200)
		return true;
	for (unsigned i = 0; i < sizeof(any) / sizeof(any[0]); i++)
		if (status == any[i])
			return excused(a, e);
	return a->wild && (status == 404 || status == 403 || status == 204 || status == 301);
}

static void on_interim(struct asker *a, int status, const char *said)
{
	struct peer *p = &a->peer;
	const struct entry *e = front(a);

	if (!e || e->old)
		fail(a, "an interim answer to HTTP/1.0, or to nothing");
	if (said && !attempt_of(a, said))
		fail(a, "an interim answer to another request");
	if (status == 100) {
		p->hold_at = UINT64_MAX;
		p->hold_until_ns = 0;
	}
}

static void on_switch(struct asker *a, const char *said)
{
	const char *upgrade = wire_find(&a->peer.in, "upgrade"), *connection = wire_find(&a->peer.in, "connection"), *wrong;
	struct entry *e = front(a);

	a->of = e && e->tunnel && said ? attempt_of(a, said) : NULL;
	if (!a->of) {
		fail(a, "an upgrade that nobody asked for");
		return;
	}
	wrong = answer_wrong(a, e, a->of, 101);
	if (!upgrade || strcasecmp(upgrade, "websocket") || !connection || strcasecmp(connection, "upgrade"))
		wrong = "an upgrade to something else";
	if (wrong)
		fail(a, wrong);
	e->status = 101;
	e->excused = e->excused || a->excused;
	a->in_tunnel = true;
	tunnel_told(a->h, &a->peer, e, a->attempt);
}

static void on_head(void *user)
{
	struct asker *a = user;
	struct wire *r = &a->peer.in;
	struct entry *e = front(a);
	const int status = atoi(r->start + 9);
	const char *said = wire_find(r, "x-answer"), *connection = wire_find(r, "connection"), *wrong;

	a->foreign = said && !strcmp(said, "foreign");
	if (status == 101) {
		on_switch(a, said);
		return;
	}
	if (status < 200) {
		on_interim(a, status, said);
		return;
	}
	/* What was meant for a tunnel is none of HTTP's, where there is no tunnel. */
	if (e && e->up.early_n)
		a->wild = a->excused = true;
	if (a->closing_said)
		fail(a, "an answer behind Connection: close");
	a->closing_said = connection && !strcasecmp(connection, "close");
	a->in_answer = true;
	a->of = NULL;
	if ((!e || a->foreign) && a->wild) {
		a->foreign = true;
		return; /* to what only looked like a request */
	}
	/* Refused before a request began: nobody asked for it, but all is over. */
	if (!e && a->excused && !said && local_right(a, NULL, status))
		return;
	if (!e) {
		fail(a, "an answer that nobody asked for");
		return;
	}
	r->no_body = e->head;
	if (e->old && r->chunked)
		fail(a, "chunks to HTTP/1.0");
	e->status = status;
	if (!said) {
		if (!local_right(a, e, status))
			fail(a, "not an answer of an upstream");
		a->h->locals_seen++;
		return;
	}
	a->of = attempt_of(a, said);
	if (!a->of) {
		fail(a, "the answer to another request");
		return;
	}
	r->key = answer_key(e, a->attempt);
	wrong = answer_wrong(a, e, a->of, status);
	if (wrong)
		fail(a, wrong);
}

static void on_message_end(void *user)
{
	struct asker *a = user;
	struct wire *r = &a->peer.in;
	struct entry *e = front(a);

	a->in_answer = false;
	if (a->foreign || !e)
		return;
	a->due_head++;
	e->answered = true;
	a->h->answers_seen++;
	if (a->of && !a->of->whole)
		sim_fail(a->h->sim, "client %u, request %s: whole, though the upstream sent only a part", a->id, e->name);
	if (a->of && !a->of->bodiless && r->body_n != a->of->body_n)
		sim_fail(a->h->sim, "client %u, request %s: %lu bytes of %lu", a->id, e->name, (unsigned long)r->body_n,
		         (unsigned long)a->of->body_n);
	/* Whoever was answered before it had said all need not be listened to any longer. */
	a->excused = a->excused || e->excused || (e->local && (e->body_n || e->chunked)) || (!a->of && (e->body_n || e->chunked));
	a->next_ns = a->h->sim->now_ns + rng_below(&a->h->rng, 5000000);
}

static void on_malformed(void *user, const char *why)
{
	fail(user, why);
}

static void on_end(void *user)
{
	struct asker *a = user;
	struct peer *p = &a->peer;
	struct entry *e = front(a);

	if (a->in_tunnel) {
		const char *wrong = tunnel_wrong(p, e, &e->down);

		if (wrong)
			fail(a, wrong);
		return;
	}
	if (!p->reset && p->in.state == WIRE_IN_UNTIL_CLOSE)
		wire_eof(&p->in);
	e = front(a);
	/* A reset for the sake of a later request takes with it the answers that are still on their way. */
	for (uint32_t i = a->due_head; p->reset && i != a->due_tail; i++)
		a->excused = a->excused || excused(a, a->due[i % PIPELINE_MAX]);
	if (e && !excused(a, e) && !a->closing_said)
		fail(a, "ended without an answer");
	if (e && a->closing_said && a->in_answer && !excused(a, e))
		fail(a, "ended in an answer");
	if (!e && a->left && !excused(a, NULL) && !a->closing_said)
		fail(a, "ended between requests");
	a->last = true;
	a->left = 0;
	peer_cut(p, p->sent, false);
}

static const struct wire_ops wire_ops = {.on_head = on_head, .on_end = on_message_end};
static const struct peer_ops peer_ops = {.on_end = on_end, .on_malformed = on_malformed};

/* ---- the life of a client ---- */

static void next_message(struct asker *a)
{
	struct hostile *h = a->h;

	a->left--;
	a->give_up_ns = h->sim->now_ns;
	if (chance(h, h->mood.odd_head))
		put_odd(a);
	else if (chance(h, h->mood.smuggle))
		put_smuggle(a);
	else if (chance(h, h->mood.mutate))
		put_mutated(a);
	else if (!put_request(a))
		a->left = 0;
	if (a->wild)
		a->give_up_ns += rng_u64(&h->rng) % (40 * NS_PER_S);
}

static void start(struct asker *a)
{
	struct hostile *h = a->h;
	const char *vip = rng_below(&h->rng, 2) ? "198.18.0.10" : "2001:2::10";
	const enum err e = peer_connect(&a->peer, vip, 80);

	a->started = true;
	if (e != OK)
		fail(a, err_name(e));
}

static void asker_round(struct asker *a)
{
	struct hostile *h = a->h;
	struct peer *p = &a->peer;
	const uint64_t now_ns = h->sim->now_ns;

	if (a->over)
		return;
	if (now_ns < a->start_ns || now_ns < a->next_ns)
		actor_at(&p->host->actor, a->start_ns > a->next_ns ? a->start_ns : a->next_ns);
	if (now_ns < a->start_ns)
		return;
	if (!a->started)
		start(a);
	peer_round(p);
	while (p->tcp && p->opened && !p->told && a->left && !a->last && !a->closing_said && now_ns >= a->next_ns &&
	       a->due_tail - a->due_head < a->depth && peer_written(p))
		next_message(a);
	/* All is asked: half of the connection may end at once, the other when all is answered. */
	if (p->tcp && p->opened && !p->told && (!a->left || a->last || a->closing_said) &&
	    (a->half_close || a->closing_said || (a->due_head == a->due_tail && now_ns >= a->give_up_ns)))
		peer_cut(p, peer_end(p), false);
	else if (a->wild && now_ns < a->give_up_ns)
		actor_at(&p->host->actor, a->give_up_ns);
	peer_round(p);
	if (a->started && p->opened && !p->tcp && p->told) {
		a->over = true;
		h->askers_done++;
	}
}

static void on_round(void *up)
{
	struct hostile *h = up;

	for (uint32_t i = 0; i < h->askers_n && !h->sim->failed; i++)
		asker_round(&h->askers[i]);
}

static void draw_manners(struct asker *a)
{
	struct hostile *h = a->h;
	struct peer *p = &a->peer;

	a->left = 1 + rng_below(&h->rng, 6);
	a->favourite = &sites[rng_below(&h->rng, sites_n)];
	a->depth = 1 + rng_below(&h->rng, h->mood.depth_max);
	a->half_close = chance(h, h->mood.half_close);
	a->start_ns = h->sim->now_ns + rng_below(&h->rng, 200000000);
	if (chance(h, h->mood.slow_write)) {
		p->piece_max = 1 + rng_below(&h->rng, 300);
		p->write_gap_ns = 1 + rng_below(&h->rng, 10000000);
	} else if (chance(h, h->mood.stall_write)) { /* past the time for a head, and the rate for a body */
		p->piece_max = 1 + rng_below(&h->rng, 100);
		p->write_gap_ns = 8 * NS_PER_S;
		a->excused = true;
	}
	if (chance(h, h->mood.slow_read)) {
		p->read_gap_ns = 1 + rng_below(&h->rng, 30000000);
	} else if (chance(h, h->mood.stall_read)) {
		p->read_gap_ns = 200 * NS_PER_S;
		a->excused = true;
	}
}

void askers_init(struct hostile *h, uint32_t n)
{
	struct host *host = &h->world->client;

	h->askers = calloc(n, sizeof(*h->askers));
	CHECK(h->askers);
	h->askers_n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct asker *a = &h->askers[i];

		a->h = h;
		a->id = i;
		peer_init(&a->peer, host, &h->rng, false, &wire_ops, &peer_ops, a);
		draw_manners(a);
	}
	host->up = h;
	host->on_round = on_round;
	host_kick(host);
}

void askers_free(struct hostile *h)
{
	for (uint32_t i = 0; i < h->askers_n; i++)
		peer_fini(&h->askers[i].peer);
	free(h->askers);
}
