#include "tests/sim/memory.h"

#include <inttypes.h>

#include "tests/sim/deny.h"

/* ---- squeeze: small pools, clients that stop reading, others that come meanwhile ---- */

static const struct {
	const char *what;
	enum counter begins;   /* the step */
	enum counter does;     /* what it does, seen at least once */
} steps[] = {
	{"large buffers", C_limit_shed_large, DROP_tcp_shed_large},
	{"SYNs", C_limit_shed_syns, DROP_tcp_shed_syn},
	{"requests", C_limit_shed_requests, C_shed_requests},
	{"idle connections", C_limit_shed_idle, C_shed_client_conns},
	{"segments", C_limit_shed_segments, DROP_tcp_shed_text},
};

enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

/* No step has begun, or done anything, before those that come first. */
static void check_order(struct world *w)
{
	for (unsigned i = 1; i < STEPS; i++)
		if (world_count(w, steps[i].begins) && !world_count(w, steps[i - 1].begins))
			sim_fail(w->sim, "%s are shed before %s", steps[i].what, steps[i - 1].what);
	for (unsigned i = 0; i < STEPS; i++)
		if (world_count(w, steps[i].does) && !world_count(w, steps[i].begins))
			sim_fail(w->sim, "%s are shed without need", steps[i].what);
}

static bool clients_done(struct world *w)
{
	check_order(w);
	return app_done(&w->clients);
}

static bool stall_over(struct world *w)
{
	check_order(w);
	return w->sim->now_ns >= w->clients.stalled_until_ns || app_done(&w->clients);
}

static bool shed_at_all(struct world *w)
{
	check_order(w);
	return world_count(w, C_limit_shed_requests) > 0;
}

/*
 * Clients that ask for large bodies stop reading for a while, so their responses fill the gateway's memory; those that
 * come then are shed. In the end every exchange that was begun has every byte, and every step has ended.
 */
void scenario_squeeze(struct sim *s, struct world *w)
{
	struct world_options o = {.workers = (uint16_t)(1 + rng_below(&s->rng, 2)), .faults = {.delay_ns = 100000},
	                          .bounded_sleep_ns = 200000, .pools_percent = 2};
	struct app *a = &w->clients;
	uint64_t begun = 0;

	if (rng_below(&s->rng, 2))
		o.faults.lose = rng_below(&s->rng, 200);
	world_init(w, s, &o);
	/* Paced ones would not come all at once. */
	w->client.sending = w->server1.sending = w->server2.sending = (struct tcp_sending){0};
	a->tolerant = w->servers1.tolerant = w->servers2.tolerant = true;
	/* Each needs little of its host's memory, so that it is the gateway's that runs short. */
	a->unacked_max = w->servers1.unacked_max = w->servers2.unacked_max = 12000;
	a->conns_wanted = 80u * o.workers;
	a->requests_each = 2;
	a->body_min = 500000;
	a->body_max = 700000;
	a->target = "198.18.0.10";
	a->target_port = 80;
	a->stalled_until_ns = s->now_ns + 60 * NS_PER_S;
	app_connect(a);
	world_run(w, shed_at_all, 50 * NS_PER_S);
	app_connect_more(a, 20);
	a->stalled_until_ns = s->now_ns + 3 * NS_PER_S;
	host_kick(&w->client);
	world_run(w, stall_over, 60 * NS_PER_S);
	world_run(w, clients_done, 900 * NS_PER_S);
	/* Nothing that had begun was cut: exchanges_cut is 0 (world_check_clean), and all responses that came are whole. */
	world_check_clean(w);
	for (unsigned i = 0; i < STEPS; i++)
		begun += world_count(w, steps[i].begins);
	begun += world_count(w, C_limit_shed_text) + world_count(w, C_limit_shed_syns_conns);
	if (!s->failed && world_count(w, C_limit_shed_relief) != begun)
		sim_fail(s, "%" PRIu64 " steps began, %" PRIu64 " ended", begun, world_count(w, C_limit_shed_relief));
	if (!s->failed && a->refused != world_count(w, C_shed_requests))
		sim_fail(s, "%" PRIu64 " requests shed, %" PRIu64 " clients told so", world_count(w, C_shed_requests), a->refused);
	sim_trace(s, "shed: %" PRIu64 " SYNs, %" PRIu64 " requests, %" PRIu64 " idle, %" PRIu64 " segments",
	          world_count(w, DROP_tcp_shed_syn), world_count(w, C_shed_requests), world_count(w, C_shed_client_conns),
	          world_count(w, DROP_tcp_shed_text));
}

/* ---- denial: the n-th allocation of what clients ask fails; in every other run those behind it too ---- */

/* Twelve requests make 300 to 480 allocations. Every run takes another place among so many, few runs take all over it. */
enum { PLACES = 512, STRIDE = 211 };

static bool all_done(struct world *w)
{
	return app_done(&w->clients);
}

static uint64_t rest_until_ns;

static bool rested(struct world *w)
{
	return w->sim->now_ns >= rest_until_ns;
}

static void wave(struct world *w)
{
	w->clients.conns_done = 0;
	w->clients.conns_wanted = 4;
	w->clients.requests_each = 3;
	app_connect(&w->clients);
	world_run(w, all_done, 900 * NS_PER_S);
}

void scenario_denial(struct sim *s, struct world *w)
{
	const struct world_options o = {.workers = 2, .faults = {.delay_ns = 100000}, .bounded_sleep_ns = 200000};
	const uint64_t n = 1 + s->seed / 2 * STRIDE % PLACES, many = s->seed % 2 ? 1 : 1 + rng_below(&s->rng, 40);

	world_init(w, s, &o);
	for (uint16_t i = 0; i < w->workers_n; i++)
		deny_pools(&worker_shard(w->workers[i].worker)->pools);
	w->clients.tolerant = w->servers1.tolerant = w->servers2.tolerant = w->may_cut = true;
	w->clients.body_max = 20000;
	w->clients.target = "198.18.0.10";
	w->clients.target_port = 80;
	deny_from(n, many);
	wave(w);
	/* Each request was answered, refused by a status, or its connection ended, which is seen; of one only, if one fails. */
	if (!s->failed && many == 1 && (w->clients.refused > 1 || w->clients.broken > 1))
		sim_fail(s, "one allocation failed: %" PRIu64 " requests refused, %" PRIu64 " connections broken", w->clients.refused,
		         w->clients.broken);
	sim_trace(s, "denied %" PRIu64 " from %" PRIu64 " of %" PRIu64 ": %" PRIu64 " refused, %" PRIu64 " broken", denied(), n, deny_seen(),
	          w->clients.refused, w->clients.broken);
	/* It is over, also the time for which an endpoint whose connections broke is avoided: whoever comes now is served. */
	deny_from(0, 0);
	w->clients.tolerant = false;
	rest_until_ns = s->now_ns + 60 * NS_PER_S;
	actor_at(&w->client.actor, rest_until_ns);
	if (!s->failed)
		world_run(w, rested, 61 * NS_PER_S);
	if (!s->failed)
		wave(w);
	world_check_clean(w);
}
