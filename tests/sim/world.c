#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "base/check.h"
#include "tests/sim/deny.h"

#define OUTLIER {.connect_failures = 5, .ejection_ms = 300, .ejection_max_ms = 3000, .panic_percent = 50}

static const struct fixture lab = {
	.workers = 1,
	.ports = {{.name = "client"}, {.name = "backend"}},
	.addresses = {{"198.18.0.1/24", 0, false},
                      {"2001:2:0:0::1/64", 0, false},
                      {"198.18.0.10/24", 0, true},
                      {"2001:2:0:0::10/64", 0, true},
                      {"198.18.1.1/24", 1, false},
                      {"2001:2:0:1::1/64", 1, false}},
	.listeners = {{.name = "default/lab/http", .addr = "198.18.0.10", .port = 80},
                      {.name = "default/lab/http", .addr = "2001:2::10", .port = 80}},
	.clusters = {{.name = "one", .endpoints = {{"198.18.1.11", 8080, 1}}, .balancer = BALANCER_least_request,
                      .outlier = OUTLIER},
                     {.name = "two", .endpoints = {{"2001:2:0:1::12", 8080, 1}, {"198.18.1.12", 8080, 1}},
                      .balancer = BALANCER_least_request, .outlier = OUTLIER}},
};
/* One refuses, one is not there. */
static const struct fixture_endpoint dead[] = {{"198.18.1.12", HOST_CLOSED_PORT, 1}, {"198.18.1.13", 8080, 1}};

/* ---- generations ---- */

static void on_free(void *arg, const struct table *t)
{
	struct world *w = arg;

	/* Kept mapped but out of reach: whoever touches a freed generation faults at once. */
	CHECK(!mprotect((void *)(uintptr_t)t, (t->bytes + 4095) & ~4095u, PROT_NONE));
	w->freed++;
}

static void standard_routes(struct fixture *f, uint64_t variant)
{
	f->routes[0] = (struct fixture_route){.path = "/x", .backends = {{"one", (uint32_t)(1 + variant % 7), NULL},
	                                                                 {"two", (uint32_t)(1 + variant % 5), NULL}}};
	f->routes[1] = (struct fixture_route){.path = variant % 2 ? "/odd" : "/even", .backends = {{"one", 1, NULL}}};
}

bool world_publish(struct world *w, uint64_t variant)
{
	struct fixture f = lab;
	size_t bytes;

	f.workers = w->workers_n;
	f.resource_version = variant + 1;
	/* Each generation sends in another way, and so do the peers. */
	f.sending = (struct table_sending){.control = variant % TABLE_CONTROLS, .pacing = variant / 2 % 2,
	                                   .ecn = variant % 3 != 0};
	if (w->dead_endpoints)
		memcpy(&f.clusters[1].endpoints[2], dead, sizeof(dead));
	w->routes(&f, variant);
	struct table *t = fixture_table(&f, &bytes);
	const size_t mapped = (bytes + 4095) & ~(size_t)4095;
	void *block = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(block != MAP_FAILED);
	memcpy(block, t, bytes);
	free(t);
	CHECK(!mprotect(block, mapped, PROT_READ));
	const enum err e = gateway_publish(w->gateway, block, on_free, w);
	if (e != OK) {
		munmap(block, mapped);
		return false;
	}
	w->published++;
	for (uint16_t i = 0; i < w->workers_n; i++)
		actor_at(&w->workers[i].actor, w->sim->now_ns + rng_below(&w->sim->rng, 100000));
	return true;
}

static void run_publisher(struct actor *a)
{
	struct world *w = container_of(a, struct world, publisher);

	gateway_reclaim(w->gateway);
	world_publish(w, w->published);
	actor_at(a, a->sim->now_ns + 1 + rng_u64(&a->sim->rng) % w->publish_every_ns);
}

void world_keep_publishing(struct world *w, uint64_t every_ns)
{
	w->publish_every_ns = every_ns;
	w->publisher = (struct actor){.sim = w->sim, .name = "publisher", .run = run_publisher, .due_ns = UINT64_MAX};
	actor_at(&w->publisher, w->sim->now_ns + 1 + rng_u64(&w->sim->rng) % every_ns);
}

/* ---- workers ---- */

static void run_worker(struct actor *a)
{
	struct world_worker *ww = container_of(a, struct world_worker, actor);
	struct sim *s = a->sim;
	uint64_t until = UINT64_MAX;

	if (ww->parked) {
		/* Something that only a producer's wake tells of has come, but nobody woke us. */
		if (!ww->woken && worker_waiting(ww->worker))
			sim_fail(s, "%s: lost wake-up: packets wait in a hand-over ring of a parked worker", a->name);
		worker_unpark(ww->worker);
		ww->parked = ww->woken = false;
	}
	deny_armed(true);
	const unsigned done = worker_round(ww->worker, s->now_ns, s->now_ns / NS_PER_US);
	deny_armed(false);
	if (!done && worker_sleepable(ww->worker, &until) && worker_park(ww->worker)) {
		ww->parked = true;
		ww->parks++;
		actor_at(a, until);
		/* The other workers go on while this one sleeps; a frame makes it due by itself (link.c). */
		return;
	}
	actor_at(a, s->now_ns + 500 + rng_below(&s->rng, 8000));
}

static void wake(void *waker, uint16_t worker)
{
	struct world *w = waker;
	struct world_worker *ww = &w->workers[worker];

	ww->woken = true;
	ww->wakes++;
	actor_at(&ww->actor, w->sim->now_ns + rng_below(&w->sim->rng, 20000));
}

/* ---- making and ending ---- */

static const uint8_t mac_gw[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 1, 1}};

static void make_gateway(struct world *w, const struct world_options *o)
{
	struct port *ports[2] = {&w->ports[0].port, &w->ports[1].port};
	struct gateway_options g = {
		.workers = o->workers, .ports_n = 2, .ports = ports, .seed = rng_u64(&w->sim->rng), .pools_percent = o->pools_percent ? o->pools_percent : 10,
		.tls_suspend_rounds = o->tls_suspend_rounds, .wake = wake, .waker = w, .counters = w->counters,
	};
	static const char *const names[WORLD_WORKERS] = {"worker0", "worker1", "worker2", "worker3"};

	for (unsigned i = 0; i < sizeof(g.secret); i++)
		g.secret[i] = (uint8_t)rng_u64(&w->sim->rng);
	link_attach(w->client_link, &w->ports[0], mac_gw[0], 0, o->workers);
	link_attach(w->server_link, &w->ports[1], mac_gw[1], 1, o->workers);
	w->gateway = gateway_new(&g);
	CHECK(w->gateway);
	w->workers_n = o->workers;
	for (uint16_t i = 0; i < o->workers; i++) {
		struct world_worker *ww = &w->workers[i];

		*ww = (struct world_worker){.world = w, .index = i, .worker = gateway_worker(w->gateway, i)};
		ww->actor = (struct actor){.sim = w->sim, .name = names[i], .run = run_worker, .due_ns = UINT64_MAX};
		for (int p = 0; p < 2; p++) {
			w->ports[p].pools[i] = worker_shard(ww->worker)->pools.rx;
			w->ports[p].readers[i] = &ww->actor;
			w->ports[p].wake_ns = o->bounded_sleep_ns;
		}
		pools_available(&worker_shard(ww->worker)->pools, ww->pool_full);
		ww->chunks_full = worker_shard(ww->worker)->chunks.free_n;
		actor_reschedule(&ww->actor, w->sim->now_ns + rng_below(&w->sim->rng, 1000));
	}
}

void world_init(struct world *w, struct sim *s, const struct world_options *o)
{
	static const struct host_config client = {"client", {2, 0, 0, 0, 0, 2}, "198.18.0.2/24", "2001:2:0:0::2/64", NULL, NULL};
	static const struct host_config server1 = {"server1", {2, 0, 0, 0, 1, 11}, "198.18.1.11/24", "2001:2:0:1::11/64",
	                                           "198.18.1.1", "2001:2:0:1::1"};
	static const struct host_config server2 = {"server2", {2, 0, 0, 0, 1, 12}, "198.18.1.12/24", "2001:2:0:1::12/64",
	                                           "198.18.1.1", "2001:2:0:1::1"};

	memset(w, 0, sizeof(*w));
	w->sim = s;
	w->dead_endpoints = o->dead_endpoints;
	w->routes = o->routes ? o->routes : standard_routes;
	w->client_link = link_new(s, "client-link", &o->faults);
	w->server_link = link_new(s, "server-link", &o->faults);
	make_gateway(w, o);
	host_init(&w->client, w->client_link, &client);
	host_init(&w->server1, w->server_link, &server1);
	host_init(&w->server2, w->server_link, &server2);
	w->server1.sending = (struct tcp_sending){.control = TCP_CONTROL_cubic, .pacing = true, .ecn = true};
	w->server2.sending = (struct tcp_sending){.control = TCP_CONTROL_newreno, .ecn = true};
	w->client.sending = w->server1.sending;
	app_client_init(&w->clients, &w->client, rng_u64(&s->rng));
	app_server_init(&w->servers1, &w->server1, rng_u64(&s->rng));
	app_server_init(&w->servers2, &w->server2, rng_u64(&s->rng));
	w->client.shard.isn_top = w->server1.shard.isn_top = w->server2.shard.isn_top = o->isn_top;
	for (uint16_t i = 0; i < w->workers_n; i++)
		worker_shard(w->workers[i].worker)->isn_top = o->isn_top;
	CHECK(world_publish(w, 0));
	hosts_settle(s);
}

void world_fini(struct world *w)
{
	app_free(&w->clients);
	app_free(&w->servers1);
	app_free(&w->servers2);
	for (int p = 0; p < 2; p++)
		link_port_drain(&w->ports[p]);
	link_free(w->client_link);
	link_free(w->server_link);
	host_fini(&w->client);
	host_fini(&w->server1);
	host_fini(&w->server2);
	gateway_free(w->gateway);
}

uint64_t world_count(const struct world *w, enum counter id)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < w->workers_n; i++)
		sum += w->counters[i].cell[id];
	return sum;
}

void world_run(struct world *w, bool (*done)(struct world *), uint64_t deadline_ns)
{
	struct sim *s = w->sim;
	const uint64_t deadline = s->now_ns + deadline_ns;

	while (!s->failed && !done(w)) {
		if (!sim_step(s) || s->now_ns > deadline) {
			sim_fail(s, "stalled: %u of %u clients done, %" PRIu64 " requests, %" PRIu64 " served", w->clients.conns_done,
			         w->clients.conns_wanted, w->clients.requests_done, w->servers1.served + w->servers2.served);
			return;
		}
		if (!(s->events & 0xff))
			gateway_reclaim(w->gateway);
		if (gateway_generations(w->gateway) > LIMIT_generations)
			sim_fail(s, "%u generations alive", gateway_generations(w->gateway));
	}
}

/* ---- is it clean? ---- */

static bool worker_clean(struct world_worker *ww, char *why, size_t n)
{
	static const char *const names[] = {"rx", "header", "payload", "reference"};
	struct shard *sh = worker_shard(ww->worker);
	uint32_t now[4];

	pools_available(&sh->pools, now);
	for (int i = 0; i < 4; i++)
		if (now[i] != ww->pool_full[i]) {
			snprintf(why, n, "%s: %d mbufs of pool %s leaked", ww->actor.name, (int)(ww->pool_full[i] - now[i]), names[i]);
			return false;
		}
	if (sh->chunks.free_n != ww->chunks_full) {
		snprintf(why, n, "%s: %u arena chunks leaked", ww->actor.name, ww->chunks_full - sh->chunks.free_n);
		return false;
	}
	return true;
}

static bool pair_equal(const struct world *w, enum counter opened, enum counter closed, const char *what, char *why, size_t n)
{
	if (world_count(w, opened) == world_count(w, closed))
		return true;
	snprintf(why, n, "%s: %" PRIu64 " opened, %" PRIu64 " closed", what, world_count(w, opened), world_count(w, closed));
	return false;
}

static bool clean(struct world *w, char *why, size_t n)
{
	if (w->client_link->flying || w->server_link->flying || w->client_link->held || w->server_link->held) {
		snprintf(why, n, "frames still fly");
		return false;
	}
	if (!host_clean(&w->client, why, n) || !host_clean(&w->server1, why, n) || !host_clean(&w->server2, why, n))
		return false;
	for (uint16_t i = 0; i < w->workers_n; i++)
		if (!worker_clean(&w->workers[i], why, n))
			return false;
	return pair_equal(w, C_exchanges_opened, C_exchanges_closed, "exchanges", why, n) &&
	       pair_equal(w, C_tcp_opened, C_tcp_closed, "connections", why, n) &&
	       pair_equal(w, C_http_server_conns_opened, C_http_server_conns_closed, "client connections", why, n) &&
	       pair_equal(w, C_http_client_conns_opened, C_http_client_conns_closed, "upstream connections", why, n);
}

/* Segments that came behind the offered window, but for the probes that are meant to. */
static uint64_t beyond_window(const struct world *w)
{
	const struct counters *hosts[] = {&w->client.counters, &w->server1.counters, &w->server2.counters};
	uint64_t dropped = world_count(w, DROP_tcp_window), probes = world_count(w, C_tcp_zero_window_probes);

	for (unsigned i = 0; i < 3; i++) {
		dropped += hosts[i]->cell[DROP_tcp_window];
		probes += hosts[i]->cell[C_tcp_zero_window_probes];
	}
	/* The link may double a probe. */
	return dropped > 2 * probes ? dropped : 0;
}

static bool is_clean(struct world *w)
{
	char why[256];

	return clean(w, why, sizeof(why));
}

void world_check_clean(struct world *w)
{
	struct sim *s = w->sim;
	const uint64_t deadline = s->now_ns + 400 * NS_PER_S; /* TIME_WAIT, back-offs */
	char why[256];

	app_close(&w->servers1);
	app_close(&w->servers2);
	if (w->publish_every_ns)
		actor_reschedule(&w->publisher, UINT64_MAX);
	while (!s->failed && !is_clean(w) && s->now_ns < deadline && sim_step(s))
		;
	if (!s->failed && !clean(w, why, sizeof(why)))
		sim_fail(s, "not clean at the end: %s", why);
	if (!s->failed && beyond_window(w))
		sim_fail(s, "%" PRIu64 " segments were sent beyond the window", beyond_window(w));
	if (!s->failed && !w->may_cut && world_count(w, C_exchanges_cut))
		sim_fail(s, "%" PRIu64 " exchanges were cut", world_count(w, C_exchanges_cut));
}
