/*
 * Upstreams: they check that what comes is a request that a client sent, then answer it, well or badly.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/tunnel.h"

enum { MIRROR_PORT = 9090 };

struct answerer {
	struct hostile *h;
	struct peer peer;
	struct entry *entry;        /* being read or answered; null: none, or one that no client wrote down */
	struct attempt *attempt;    /* null: a mirrored one, or nobody's */
	unsigned attempt_n;
	bool mirror;                /* of the port for mirrors */
	unsigned endpoint;
	bool reading;               /* a request's head has come, its end has not */
	bool pending;               /* an answer is due */
	bool early;                 /* it was given before the request's end */
	bool last;                  /* no request may follow on this connection */
	bool in_tunnel;             /* it has said 101 */
	uint64_t answer_at_ns, close_at_ns;
	struct answerer *next;
};

static void fail(struct answerer *a, const char *what)
{
	sim_fail(a->h->sim, "%s, request %s: %s (%s)", a->peer.host->actor.name, a->entry ? a->entry->name : "of nobody", what,
	         a->peer.in.start ? a->peer.in.start : "");
}

/* ---- is it what the client sent? ---- */

/* "/m/<name>..." to the entry; null: nobody's. The name follows one of the prefixes, or what a rewrite makes of it. */
static struct entry *entry_of(struct answerer *a, const char *target)
{
	for (const char *at = strchr(target, '/'); at; at = strchr(at + 1, '/')) {
		struct entry *e = ledger_find(&a->h->ledger, at + 1);

		if (e)
			return e;
	}
	return NULL;
}

/* The target that the upstream must see. */
static bool target_right(const struct entry *e, const char *target, uint64_t *generation)
{
	const char *rest = e->path + strlen(e->site->prefix);
	int n = 0;

	*generation = 0;
	if (e->site->kind != SITE_REWRITTEN)
		return !strcmp(target, e->path);
	return sscanf(target, "/rewritten/%" SCNu64 "%n", generation, &n) == 1 && !strcmp(target + n, rest);
}

static bool host_right(const struct answerer *a, const struct entry *e, const char *host, uint64_t generation)
{
	const int name = (int)strcspn(e->host, ":");
	char wanted[96];

	if (e->site->kind == SITE_REWRITTEN)
		snprintf(wanted, sizeof(wanted), "g%" PRIu64 ".example", generation);
	else
		snprintf(wanted, sizeof(wanted), "%.*s%s%s", name, e->host, a->mirror ? "-shadow" : "", e->host + name);
	return !strcmp(host, wanted);
}

static const char *field_wrong(const struct answerer *a, const struct entry *e)
{
	static const char *const may[] = {
		"host", "x-exchange", "x-check", "content-length", "transfer-encoding", "x-forwarded-for", "x-forwarded-proto",
		"x-request-id", "x-envoy-external-address", "x-generation", "expect", "origin", "te", "trailer",
		"x-forwarded-host", "cookie",
	};
	const struct wire *r = &a->peer.in;
	unsigned pads = 0;

	for (unsigned i = 0; i < r->fields_n; i++) {
		const char *name = r->fields[i].name, *value = r->fields[i].value;
		bool known = e->tunnel && ((!strcmp(name, "connection") && !strcmp(value, "upgrade")) ||
		                           (!strcmp(name, "upgrade") && !strcmp(value, "websocket")));

		if (!strncmp(name, "x-pad-", 6)) {
			pads++;
			continue;
		}
		for (unsigned k = 0; k < sizeof(may) / sizeof(may[0]) && !known; k++)
			known = !strcmp(name, may[k]) && wire_count(r, name) == 1;
		if (!known)
			return name;
	}
	return pads == e->pads ? NULL : "x-pad";
}

static const char *head_wrong(struct answerer *a, struct entry *e)
{
	const struct wire *r = &a->peer.in;
	const char *space = strchr(r->start, ' '), *said = wire_find(r, "x-generation"), *check = wire_find(r, "x-check");
	const char *name = wire_find(r, "x-exchange"), *odd = field_wrong(a, e);
	const char *before = wire_find(r, "x-forwarded-host");
	char target[512];
	uint64_t generation, by_field = said ? strtoull(said, NULL, 10) : 0;

	snprintf(target, sizeof(target), "%.*s", (int)strcspn(space + 1, " "), space + 1);
	if ((size_t)(space - r->start) != strlen(e->method) || strncmp(r->start, e->method, strlen(e->method)))
		return "another method";
	if (!target_right(e, target, &generation))
		return "another target";
	if (!host_right(a, e, wire_find(r, "host"), generation))
		return "another host";
	if (!name || strcmp(name, e->name))
		return "another name";
	if (!check || strcmp(check, e->check))
		return "another X-Check";
	if (odd)
		return odd;
	if (e->tunnel && (wire_count(r, "connection") != 1 || wire_count(r, "upgrade") != 1))
		return "another upgrade";
	if (e->site->kind == SITE_REWRITTEN ? !before || strcmp(before, e->host) : before != NULL)
		return "X-Forwarded-Host";
	if (e->site->kind == SITE_REWRITTEN && generation != by_field)
		return "filters of two generations";
	if ((e->site->kind == SITE_MODIFIED || e->site->kind == SITE_REWRITTEN) != (by_field != 0))
		return "the header modifier";
	if (wire_find(r, "x-request-id") && !strcmp(wire_find(r, "x-request-id"), "forged"))
		return "a forged field";
	if (e->chunked != r->chunked)
		return "another framing";
	if (!e->chunked && r->length != e->body_n)
		return "another length";
	if (a->attempt)
		a->attempt->generation = by_field;
	return NULL;
}

static unsigned endpoint_of(const struct tcp_conn *tcp)
{
	const struct addr *local = &tcp_tuple(tcp)->local;

	return addr_is_v4(local) ? (local->b[15] == 11 ? 1 : 2) : 3;
}

/*
 * May it be sent once more? What broke off without a word is, when it is idempotent; what was answered by a status
 * that is listed, or not within its time, as often as the rule says.
 */
static bool again_right(const struct entry *e)
{
	const struct attempt *before = &e->attempts[e->seen - 1];

	if (e->seen > 1 + e->site->attempts + (e->idempotent ? 1 : 0))
		return false;
	if (e->site->attempts && (e->site->excuses || before->status == 503))
		return true;
	return e->idempotent && (!before->status || !before->whole);
}

/* ---- answers ---- */

static void put_interim(struct answerer *a)
{
	static const int statuses[] = {100, 102, 103, 103};
	const int status = statuses[rng_below(&a->h->rng, 4)];

	peer_text(&a->peer, "HTTP/1.1 %d Hint\r\nx-answer: %s-%u\r\n%s\r\n", status, a->entry->name, a->attempt_n,
	          status == 103 ? "Link: </a>; rel=preload\r\n" : "");
}

static int draw_status(struct hostile *h)
{
	static const int statuses[] = {200, 200, 200, 201, 204, 206, 301, 304, 404, 429};

	if (chance(h, h->mood.error))
		return rng_below(&h->rng, 2) ? 503 : 500;
	return statuses[rng_below(&h->rng, 10)];
}

static void put_start(struct answerer *a, const struct attempt *t)
{
	struct hostile *h = a->h;
	struct peer *p = &a->peer;

	peer_text(p, "HTTP/1.1 %d %s\r\nX-Answer: %s-%u\r\nx-check: %s\r\nx-inner: 1\r\n", t->status,
	          rng_below(&h->rng, 4) ? "Said so" : "", a->entry->name, a->attempt_n, a->entry->check);
	for (uint32_t i = rng_below(&h->rng, 4) ? 0 : rng_below(&h->rng, 50); i; i--)
		peer_text(p, "x-more-%u: %0*d\r\n", i, 1 + (int)rng_below(&h->rng, 200), 7);
	if (!rng_below(&h->rng, 4))
		peer_text(p, "Connection: x-hop\r\nx-hop: 1\r\nKeep-Alive: timeout=5\r\n");
}

static void put_head(struct answerer *a, struct attempt *t, bool chunked, bool until_close)
{
	struct hostile *h = a->h;
	struct peer *p = &a->peer;

	put_start(a, t);
	if (a->last)
		peer_text(p, "Connection: close\r\n");
	if (t->status == 204)
		peer_text(p, "\r\n");
	else if (chunked)
		peer_text(p, "%s\r\n", rng_below(&h->rng, 2) ? "Transfer-Encoding: chunked\r\n" : "transfer-encoding:Chunked\r\n");
	else if (until_close)
		peer_text(p, "\r\n");
	else
		peer_text(p, "Content-Length: %" PRIu64 "\r\n\r\n", t->body_n);
}

/* Heads that no gateway may pass on. */
static void put_bad_head(struct answerer *a)
{
	static const char *const bad[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
		"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 2x0 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
		"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: nothing\r\nConnection: upgrade\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"ICY 200 OK\r\n\r\n",
		"\r\n\r\n",
	};

	peer_text(&a->peer, "%s", bad[rng_below(&a->h->rng, sizeof(bad) / sizeof(bad[0]))]);
}

/* Bodies that it must cut. */
static void put_bad_body(struct answerer *a)
{
	static const char *const bad[] = {
		"+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n",
		"\r\nhello\r\n0\r\n\r\n", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", "0\n\n", "0\r\nX : y\r\n\r\n", "0\r\n y\r\n\r\n",
	};
	struct attempt *t = a->attempt;

	*t = (struct attempt){.status = 200, .body_n = rng_below(&a->h->rng, 500), .generation = t->generation};
	put_head(a, t, true, false);
	if (t->body_n) {
		peer_text(&a->peer, "%x\r\n", (unsigned)t->body_n);
		for (unsigned i = 0; i < t->body_n; i++)
			peer_put(&a->peer, (const uint8_t[]){sim_byte(answer_key(a->entry, a->attempt_n), i)}, 1);
		peer_text(&a->peer, "\r\n");
	}
	peer_text(&a->peer, "%s", bad[rng_below(&a->h->rng, sizeof(bad) / sizeof(bad[0]))]);
}

static void put_bad(struct answerer *a)
{
	a->last = true;
	if (a->entry->head || rng_below(&a->h->rng, 2))
		put_bad_head(a);
	else
		put_bad_body(a);
	if (rng_below(&a->h->rng, 4))
		peer_cut(&a->peer, peer_end(&a->peer), rng_below(&a->h->rng, 2));
}

/* All bytes in one segment: then whoever reads the answer sees at once that there is too much. */
static void put_extra(struct answerer *a)
{
	peer_text(&a->peer, "HTTP/1.1 200 OK\r\nx-answer: %s-%u\r\nContent-Length: 0\r\n\r\n", a->entry->name,
	          LEDGER_ATTEMPTS - 1);
	a->last = true;
}

static void draw_pace(struct answerer *a, bool may_be_slow)
{
	struct hostile *h = a->h;
	struct peer *p = &a->peer;

	p->piece_max = 0;
	p->write_gap_ns = 0;
	if (may_be_slow && chance(h, h->mood.slow_answer)) {
		p->piece_max = 1 + rng_below(&h->rng, 400);
		p->write_gap_ns = 1 + rng_below(&h->rng, 20000000);
	}
}

static void put_switch(struct answerer *a)
{
	const uint64_t begin = peer_end(&a->peer);

	*a->attempt = (struct attempt){.status = 101, .endpoint = a->endpoint, .generation = a->attempt->generation};
	put_start(a, a->attempt);
	peer_text(&a->peer, "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	draw_pace(a, true);
	tunnel_open(a->h, &a->peer, a->entry, a->attempt_n, begin);
	a->in_tunnel = a->last = true;
}

static void put_answer(struct answerer *a)
{
	struct hostile *h = a->h;
	struct peer *p = &a->peer;
	struct attempt *t = a->attempt;
	const uint64_t begin = peer_end(p);
	const bool extra = chance(h, h->mood.extra), cut = !extra && chance(h, h->mood.answer_cut);
	bool chunked, until_close;

	t->status = draw_status(h);
	t->body_n = extra ? rng_below(&h->rng, 200) : body_size(h);
	t->bodiless = a->entry->head || t->status == 204 || t->status == 304;
	t->early = a->reading;
	t->whole = !cut;
	chunked = rng_below(&h->rng, 2);
	until_close = !extra && !chunked && !t->bodiless && !rng_below(&h->rng, 6);
	a->last = a->last || until_close || !rng_below(&h->rng, 10);
	put_head(a, t, chunked, until_close);
	if (!t->bodiless)
		put_body(h, p, answer_key(a->entry, a->attempt_n), t->body_n, chunked, rng_below(&h->rng, 3) ? "" : "x-end: 1\r\n");
	if (extra)
		put_extra(a);
	if (cut) {
		/* A body that lasts until the connection's end is whole wherever it ends in order. */
		peer_cut(p, begin + rng_u64(&h->rng) % (peer_end(p) - begin), until_close || rng_below(&h->rng, 2));
		a->last = true;
	} else if (a->last) {
		peer_cut(p, peer_end(p), false);
	}
	draw_pace(a, !extra);
	if (cut || t->early)
		a->entry->excused = true;
}

static void answer(struct answerer *a)
{
	struct hostile *h = a->h;

	a->pending = false;
	if (!a->attempt) { /* a copy, or nobody's */
		peer_text(&a->peer, "HTTP/1.1 200 OK\r\nx-answer: foreign\r\nContent-Length: 2\r\n\r\nok");
	} else if (chance(h, h->mood.silent)) {
		a->entry->excused = true;
		a->last = true;
	} else if (chance(h, h->mood.bad_answer)) {
		a->entry->excused = true;
		put_bad(a);
	} else {
		for (uint32_t i = chance(h, h->mood.interim) ? 1 + rng_below(&h->rng, 3) : 0; i; i--)
			put_interim(a);
		if (a->entry->tunnel && rng_below(&h->rng, 4))
			put_switch(a);
		else
			put_answer(a);
	}
	if (!a->last && chance(h, h->mood.idle_close))
		a->close_at_ns = h->sim->now_ns + rng_below(&h->rng, 50000000);
}

/* ---- requests ---- */

static void on_head(void *user)
{
	struct answerer *a = user;
	struct hostile *h = a->h;
	struct wire *r = &a->peer.in;
	const char *space = strchr(r->start, ' '), *wrong;

	if (a->last) {
		/* Sent before our end was seen: a request too many, which is never answered. */
		r->halt = true;
		if ((a->entry = entry_of(a, space)))
			a->entry->excused = true;
		return;
	}
	if (a->reading || a->pending) {
		fail(a, "a request before the last was answered");
		return;
	}
	a->reading = true;
	a->early = false;
	a->close_at_ns = UINT64_MAX;
	a->entry = entry_of(a, space);
	a->attempt = NULL;
	h->requests_seen++;
	if (!a->entry) {
		h->foreign_seen++;
		return;
	}
	r->key = request_key(a->entry);
	if (a->mirror) {
		if (++a->entry->mirrored > 1)
			fail(a, "mirrored twice");
	} else {
		if (a->entry->seen && !again_right(a->entry)) {
			fail(a, "sent again");
			return;
		}
		a->attempt_n = a->entry->seen++;
		a->attempt = &a->entry->attempts[a->attempt_n];
		a->attempt->endpoint = a->endpoint;
		if (a->entry->stay && a->entry->stay != a->attempt->endpoint && !a->attempt_n && !h->mood.refusing)
			fail(a, "not the endpoint of its session");
	}
	if ((wrong = head_wrong(a, a->entry)))
		fail(a, wrong);
	if (a->attempt && chance(h, h->mood.early) && (a->entry->body_n || a->entry->chunked)) {
		a->early = a->pending = true;
		a->answer_at_ns = h->sim->now_ns + rng_below(&h->rng, 2000000);
	}
}

static void on_message_end(void *user)
{
	struct answerer *a = user;
	struct hostile *h = a->h;
	const struct wire *r = &a->peer.in;
	const char *trailer = wire_find(r, "x-trailer");

	a->reading = false;
	if (a->entry) {
		if (r->body_n != a->entry->body_n)
			fail(a, "a body of another length");
		if (a->entry->cut)
			fail(a, "whole, though the client sent only a part");
		if (r->chunked && a->entry->trailers != (trailer && !strcmp(trailer, a->entry->name)))
			fail(a, "other trailers");
		if (r->chunked && r->fields_n != (trailer ? 1 : 0))
			fail(a, "trailers that may not pass");
		a->entry->whole_seen = true;
	}
	if (a->early)
		return;
	a->pending = true;
	a->answer_at_ns = h->sim->now_ns + rng_u64(&h->rng) % (chance(h, h->mood.late) ? 4 * NS_PER_S : 3 * NS_PER_MS);
	actor_at(&a->peer.host->actor, a->answer_at_ns);
}

static void on_malformed(void *user, const char *why)
{
	struct answerer *a = user;

	/* Behind an early answer, or behind our end, nobody knows what the rest is. */
	fail(a, why);
}

static void on_end(void *user)
{
	struct answerer *a = user;

	a->pending = false;
	a->last = true;
	if (a->in_tunnel) {
		const char *wrong = tunnel_wrong(&a->peer, a->entry, &a->entry->up);

		if (wrong)
			fail(a, wrong);
		return;
	}
	peer_cut(&a->peer, peer_end(&a->peer), false);
}

static const struct wire_ops wire_ops = {.on_head = on_head, .on_end = on_message_end};
static const struct peer_ops peer_ops = {.on_end = on_end, .on_malformed = on_malformed};

static void answerer_round(struct answerer *a)
{
	struct hostile *h = a->h;
	struct peer *p = &a->peer;

	if (a->pending && h->sim->now_ns >= a->answer_at_ns)
		answer(a);
	if (a->pending)
		actor_at(&p->host->actor, a->answer_at_ns);
	const bool idle = !a->pending && !a->reading && !a->in_tunnel && peer_written(p);
	if (idle && (h->closing || h->sim->now_ns >= a->close_at_ns)) {
		a->last = true;
		/*
		 * A reset that is lost would leave the gateway with a dead connection for as long as it may be idle;
		 * one that overtakes an answer would take it away.
		 */
		peer_cut(p, peer_end(p), !h->closing && !h->mood.lossy && !rng_below(&h->rng, 3) && peer_delivered(p));
	} else if (idle && a->close_at_ns != UINT64_MAX) {
		actor_at(&p->host->actor, a->close_at_ns);
	}
	peer_round(p);
	if (a->pending)
		actor_at(&p->host->actor, a->answer_at_ns > h->sim->now_ns ? a->answer_at_ns : h->sim->now_ns + 1000);
}

static void on_round(void *up)
{
	struct hostile *h = up;

	for (struct answerer *a = h->answerers; a && !h->sim->failed; a = a->next)
		answerer_round(a);
}

static void accept_on(struct hostile *h, struct host *host, struct tcp_conn *tcp)
{
	struct answerer *a;

	if (h->mood.refusing && !rng_below(&h->rng, 4)) {
		tcp_abort(tcp, ERR_CONN_REFUSED);
		return;
	}
	a = calloc(1, sizeof(*a));
	CHECK(a);
	a->h = h;
	a->close_at_ns = UINT64_MAX;
	a->mirror = tcp_tuple(tcp)->local_port == MIRROR_PORT;
	a->endpoint = endpoint_of(tcp);
	peer_init(&a->peer, host, &h->rng, true, &wire_ops, &peer_ops, a);
	peer_attach(&a->peer, tcp);
	a->next = h->answerers;
	h->answerers = a;
}

static void on_accept1(void *up, struct tcp_conn *tcp)
{
	struct hostile *h = up;

	accept_on(h, &h->world->server1, tcp);
}

static void on_accept2(void *up, struct tcp_conn *tcp)
{
	struct hostile *h = up;

	accept_on(h, &h->world->server2, tcp);
}

void answerers_init(struct hostile *h)
{
	struct host *hosts[] = {&h->world->server1, &h->world->server2};

	for (unsigned i = 0; i < 2; i++) {
		hosts[i]->up = h;
		hosts[i]->on_round = on_round;
		hosts[i]->on_accept = i ? on_accept2 : on_accept1;
	}
}

void answerers_close(struct hostile *h)
{
	h->closing = true;
	host_kick(&h->world->server1);
	host_kick(&h->world->server2);
}

void answerers_free(struct hostile *h)
{
	for (struct answerer *a; (a = h->answerers);) {
		h->answerers = a->next;
		peer_fini(&a->peer);
		free(a);
	}
}
