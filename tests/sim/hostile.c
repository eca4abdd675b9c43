#include "tests/sim/hostile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- routes ---- */

const struct site sites[] = {
	{SITE_PLAIN, "/plain", 0, false, 0},
	{SITE_PLAIN, "/plain", 0, false, 0},
	{SITE_MODIFIED, "/modified", 0, false, 0},
	{SITE_REWRITTEN, "/rewritten-from", 0, false, 0},
	{SITE_MIRRORED, "/mirrored", 0, false, 0},
	{SITE_TIMED, "/timed", 0, true, 0},
	{SITE_CORS, "/cors", 0, false, 0},
	{SITE_REDIRECTED, "/redirected", 302, false, 0},
	{SITE_INVALID, "/invalid", 500, false, 0},
	{SITE_EMPTY, "/empty", 503, false, 0},
	{SITE_NOWHERE, "/nowhere", 404, false, 0},
	{SITE_RETRIED, "/retried", 0, false, 2},
	{SITE_RETRIED, "/tries-timed", 0, true, 1},
	{SITE_SESSION, "/session", 0, false, 0},
	{SITE_PLAIN, "/regex", 0, false, 0},
};
const unsigned sites_n = sizeof(sites) / sizeof(sites[0]);

/* The texts of a generation, until the next one is made. */
static char modified[512], rewritten[512], regex[64];

/* Each generation has its number in what its filters write and its expressions match, and other weights and timeouts. */
static void routes_of(struct fixture *f, uint64_t variant)
{
	const uint32_t one = (uint32_t)(1 + variant % 7), two = (uint32_t)(1 + variant % 5);
	const uint64_t generation = variant + 1;

	f->clusters[2] = (struct fixture_cluster){.name = "mirror", .endpoints = {{"198.18.1.12", 9090, 1}}};
	f->clusters[3] = (struct fixture_cluster){.name = "empty"};
	snprintf(modified, sizeof(modified),
	         "[{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{\"set\":[{\"name\":\"x-generation\","
	         "\"value\":\"%" PRIu64 "\"}]}},{\"type\":\"ResponseHeaderModifier\",\"responseHeaderModifier\":{\"set\":"
	         "[{\"name\":\"x-generation-out\",\"value\":\"%" PRIu64 "\"}],\"remove\":[\"x-inner\"]}}]", generation, generation);
	snprintf(rewritten, sizeof(rewritten),
	         "[{\"type\":\"RequestHeaderModifier\",\"requestHeaderModifier\":{\"set\":[{\"name\":\"x-generation\","
	         "\"value\":\"%" PRIu64 "\"}]}},{\"type\":\"URLRewrite\",\"urlRewrite\":{\"hostname\":\"g%" PRIu64 ".example\","
	         "\"path\":{\"type\":\"ReplacePrefixMatch\",\"replacePrefixMatch\":\"/rewritten/%" PRIu64 "\"}}}]",
	         generation, generation, generation);
	snprintf(regex, sizeof(regex), "/regex(/.*)?|/of-generation-%" PRIu64, generation);
	const struct fixture_route routes[] = {
		{.path = "/plain", .backends = {{"one", one, NULL}, {"two", two, NULL}}},
		{.path = "/modified", .backends = {{"two", two, NULL}, {"one", one, NULL}}, .filters = modified},
		{.path = "/rewritten-from", .backends = {{"one", one, NULL}, {"two", two, NULL}}, .filters = rewritten},
		{.path = "/mirrored", .backends = {{"one", one, NULL}},
		 .filters = "[{\"type\":\"RequestMirror\",\"requestMirror\":{\"backendRef\":{\"name\":\"mirror\"}}}]"},
		{.path = "/timed", .backends = {{"two", 1, NULL}}, .request_timeout_ms = (uint32_t)(500 + variant % 3000),
		 .backend_timeout_ms = (uint32_t)(300 + variant % 2000)},
		{.path = "/cors", .backends = {{"one", 1, NULL}},
		 .filters = "[{\"type\":\"CORS\",\"cors\":{\"allowOrigins\":[\"http://a.example\"],\"allowMethods\":[\"GET\"]}}]"},
		{.path = "/redirected", .backends = {{NULL, 0, NULL}},
		 .filters = "[{\"type\":\"RequestRedirect\",\"requestRedirect\":{\"hostname\":\"b.example\"}}]"},
		{.path = "/retried", .backends = {{"one", one, NULL}, {"two", two, NULL}},
		 .retry = {.codes = {503}, .attempts = 2, .backoff_ms = (uint32_t)(1 + variant % 20)}},
		{.path = "/tries-timed", .backends = {{"two", 1, NULL}}, .backend_timeout_ms = (uint32_t)(100 + variant % 1000),
		 .retry = {.codes = {503}, .attempts = 1, .backoff_ms = 5}},
		{.path = "/session", .backends = {{"one", one, NULL}, {"two", two, NULL}},
		 .session = {.name = "stay", .permanent = variant % 2, .timeout_s = variant % 2 ? 3600 : 0}},
		{.path = regex, .regex = true, .headers = {{"x-exchange", ".+", true}},
		 .backends = {{"one", one, NULL}, {"two", two, NULL}}},
		{.path = "/invalid", .backends = {{"!", 1, NULL}}},
		{.path = "/empty", .backends = {{"empty", 1, NULL}}},
		{.path = "/foreign", .backends = {{"one", 1, NULL}, {"two", 1, NULL}}},
		{.path = "/smuggled", .backends = {{"one", 1, NULL}}},
		{.path = "/te", .backends = {{"one", 1, NULL}}},
		{.path = "/cl", .backends = {{"one", 1, NULL}}},
		{.path = "/chunks", .backends = {{"one", 1, NULL}}},
	};
	memcpy(f->routes, routes, sizeof(routes));
}

/* ---- bodies ---- */

void put_body(struct hostile *h, struct peer *p, uint64_t key, uint64_t n, bool chunked, const char *trailer)
{
	uint8_t piece[4096];

	for (uint64_t at = 0; at < n;) {
		uint32_t len = chunked && rng_below(&h->rng, 3) ? 1 + rng_below(&h->rng, 40) : 1 + rng_below(&h->rng, sizeof(piece));

		if (n > 20000)
			len = sizeof(piece);
		if (len > n - at)
			len = (uint32_t)(n - at);
		for (uint32_t i = 0; i < len; i++)
			piece[i] = sim_byte(key, at + i);
		if (chunked)
			peer_text(p, rng_below(&h->rng, 8) ? "%x\r\n" : "0%X;a=\"b\";c\r\n", len);
		peer_put(p, piece, len);
		if (chunked)
			peer_text(p, "\r\n");
		at += len;
	}
	if (chunked)
		peer_text(p, "0%s\r\n%s\r\n", rng_below(&h->rng, 8) ? "" : ";end", trailer);
}

uint64_t body_size(struct hostile *h)
{
	if (chance(h, h->mood.large))
		return rng_below(&h->rng, 600000);
	switch (rng_below(&h->rng, 4)) {
	case 0: return 0;
	case 1: return rng_below(&h->rng, 30);
	case 2: return rng_below(&h->rng, 3000);
	default: return rng_below(&h->rng, 20000);
	}
}

/* ---- the scenario ---- */

/* Most seeds allow a few things and not all: where less goes wrong, more must come right. */
static void draw_mood(struct hostile *h)
{
	struct mood *m = &h->mood;
	uint32_t *const chances[] = {
		&m->slow_write, &m->stall_write, &m->slow_read, &m->stall_read, &m->half_close, &m->client_cut, &m->odd_head,
		&m->smuggle, &m->mutate, &m->late, &m->slow_answer, &m->interim, &m->early, &m->answer_cut, &m->silent,
		&m->bad_answer, &m->extra, &m->idle_close, &m->error,
	};
	const uint32_t one_in = 1 + rng_below(&h->rng, 6);

	for (unsigned i = 0; i < sizeof(chances) / sizeof(chances[0]); i++)
		*chances[i] = rng_below(&h->rng, one_in) ? 0 : 1 + rng_below(&h->rng, 30);
	m->silent = m->silent > 3 ? 3 : m->silent;
	m->large = rng_below(&h->rng, 4) ? 0 : 15;
	m->upgrade = rng_below(&h->rng, 2) ? 0 : 5 + rng_below(&h->rng, 40);
	m->depth_max = rng_below(&h->rng, 2) ? 1 : 8;
	m->refusing = !rng_below(&h->rng, 8);
	m->lossy = !rng_below(&h->rng, 4);
	if (m->lossy)
		m->extra = 0; /* it must come in the segment that the answer ends in */
}

enum { GENERATIONS_MAX = 300 };

static bool all_over(struct world *w)
{
	const struct hostile *h = w->client.up;

	/* What is slow lasts for minutes: by then it has met enough generations. */
	if (w->publish_every_ns && w->published > GENERATIONS_MAX)
		actor_reschedule(&w->publisher, UINT64_MAX);
	return h->askers_done == h->askers_n;
}

/* A 101 may be lost with the connection that it comes on, on either side of the gateway; none comes from elsewhere. */
static void check_tunnels(struct hostile *h)
{
	const uint64_t opened = world_count(h->world, C_tunnels_opened);

	if (!h->sim->failed && (opened > h->tunnels_made || opened < h->tunnels_told))
		sim_fail(h->sim, "%" PRIu64 " tunnels, but upstreams opened %" PRIu64 " and clients know of %" PRIu64, opened,
		         h->tunnels_made, h->tunnels_told);
}

void scenario_http(struct sim *s, struct world *w)
{
	static struct hostile h;
	struct world_options o = {.faults = {.delay_ns = 1000 + rng_below(&s->rng, 500000)}, .routes = routes_of};

	memset(&h, 0, sizeof(h));
	h.sim = s;
	h.world = w;
	rng_init(&h.rng, rng_u64(&s->rng));
	h.ledger.secret = rng_u64(&s->rng);
	draw_mood(&h);
	if (h.mood.lossy) {
		o.faults.lose = rng_below(&s->rng, 200);
		o.faults.duplicate = rng_below(&s->rng, 200);
		o.faults.reorder = rng_below(&s->rng, 200);
		o.faults.reorder_ns = 5000000;
		o.faults.hold_ns = rng_below(&s->rng, 20000000);
	}
	o.workers = (uint16_t)(1 + rng_below(&s->rng, WORLD_WORKERS));
	o.bounded_sleep_ns = 1000 + rng_below(&s->rng, 1000000);
	world_init(w, s, &o);
	w->may_cut = true;
	answerers_init(&h);
	askers_init(&h, 4 + rng_below(&s->rng, 20));
	if (rng_below(&s->rng, 3))
		world_keep_publishing(w, (1 + rng_below(&s->rng, 200)) * NS_PER_MS);
	world_run(w, all_over, 20000 * NS_PER_S);
	answerers_close(&h);
	world_check_clean(w);
	check_tunnels(&h);
	sim_trace(s, "%u requests written, %" PRIu64 " seen (%" PRIu64 " of nobody), %" PRIu64 " answers, %" PRIu64 " of the gateway's own",
	          h.ledger.n, h.requests_seen, h.foreign_seen, h.answers_seen, h.locals_seen);
	sim_trace(s, "%" PRIu64 " tunnels opened by upstreams, %" PRIu64 " known to clients", h.tunnels_made, h.tunnels_told);
	if (s->failed)
		return; /* a broken world is not taken apart */
	w->client.on_round = w->server1.on_round = w->server2.on_round = NULL;
	askers_free(&h);
	answerers_free(&h);
}
