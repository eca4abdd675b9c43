/*
 * sim [--seeds N] [--first S] [--jobs J] [--scenario traffic|ejection|swaps|squeeze|denial|http|streams|far]
 *     [--trace] [--fault NAME]
 *
 * traffic: clients and servers under faults drawn from the seed (each up to 5 %, fragments up to 50 %), 1 to 4 workers.
 * ejection: half of the endpoints of a cluster are dead; they are found out, and left alone but for a look now and then.
 * swaps: 10,000 generation swaps while 1,000 exchanges are suspended.
 * squeeze: small pools and clients that stop reading: load is shed in order, what has begun ends well.
 * http: clients and upstreams that need not behave, by every route (hostile.c).
 * streams: TCP alone, and applications that do as they like (streams.c).
 * far: round trips on both sides, and how long a large body may take (far.c).
 * denial: the n-th allocation of the gateway fails (n by the seed): nothing leaks, and whoever comes later is served.
 *
 * A failure prints what went wrong and the command that replays it. With --fault (in a build with planted faults) the
 * run succeeds when some seed finds the fault.
 */
#include <getopt.h>
#include <inttypes.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fault.h"
#include "tests/sim/far.h"
#include "tests/sim/hostile.h"
#include "tests/sim/memory.h"
#include "tests/sim/streams.h"
#include "tests/sim/world.h"

static bool clients_done(struct world *w)
{
	return app_done(&w->clients);
}

/* ---- traffic ---- */

static void draw(struct sim *s, struct world_options *o)
{
	struct rng *r = &s->rng;
	/* Each kind of fault is absent in a third of the seeds, else up to 5 %. */
	uint32_t *const kinds[] = {&o->faults.lose, &o->faults.duplicate, &o->faults.reorder, &o->faults.corrupt};

	for (unsigned i = 0; i < 4; i++)
		*kinds[i] = rng_below(r, 3) ? rng_below(r, 501) : 0;
	o->faults.mark = rng_below(r, 3) ? rng_below(r, 2001) : 0;
	if (!rng_below(r, 3)) {
		o->faults.pieces.fragment = rng_below(r, 5001);
		o->faults.pieces.overlap = rng_below(r, 2) ? 0 : rng_below(r, 501);
	}
	o->faults.delay_ns = 1000 + rng_below(r, 2000000);
	o->faults.jitter_ns = rng_below(r, 3) ? rng_below(r, 200000) : 0;
	o->faults.reorder_ns = 100000 + rng_below(r, 20000000);
	o->faults.hold_ns = rng_below(r, 2) ? rng_below(r, 50000000) : 0;
	o->workers = (uint16_t)(1 + rng_below(r, WORLD_WORKERS));
	o->tls_suspend_rounds = rng_below(r, 3) ? 0 : (uint16_t)rng_below(r, 20);
	o->isn_top = rng_below(r, 3) ? 0 : UINT32_MAX;
	o->bounded_sleep_ns = 1000 + rng_below(r, 1000000);
}

static void traffic(struct sim *s, struct world *w)
{
	struct world_options o = {0};

	draw(s, &o);
	world_init(w, s, &o);
	w->clients.conns_wanted = 2 + rng_below(&s->rng, 12);
	w->clients.requests_each = 1 + rng_below(&s->rng, 6);
	if (!rng_below(&s->rng, 6)) {
		/* Few clients with large bodies: send buffers fill, windows close. */
		w->clients.conns_wanted = 1 + rng_below(&s->rng, 3);
		w->clients.requests_each = 1;
		w->clients.body_max = 800000;
	}
	w->clients.target = rng_below(&s->rng, 2) ? "198.18.0.10" : "2001:2::10";
	w->clients.target_port = 80;
	w->servers1.think_max_ns = w->servers2.think_max_ns = rng_below(&s->rng, 3) ? rng_below(&s->rng, 20000000) : 0;
	if (rng_below(&s->rng, 2))
		world_keep_publishing(w, (1 + rng_below(&s->rng, 50)) * NS_PER_MS);
	app_connect(&w->clients);
	world_run(w, clients_done, 600 * NS_PER_S);
	world_check_clean(w);
	if (!s->failed && w->client_link->fragmented > 100 && !world_count(w, C_ip_reassembled))
		sim_fail(s, "%u segments were sent in fragments, none was put together", w->client_link->fragmented);
}

/* ---- ejection ---- */

static void ejection(struct sim *s, struct world *w)
{
	struct world_options o = {.dead_endpoints = true};
	uint64_t failed, ejected, allowed;

	draw(s, &o);
	world_init(w, s, &o);
	w->clients.conns_wanted = 2 + rng_below(&s->rng, 8);
	w->clients.requests_each = 400;
	w->clients.body_max = 2000;
	w->clients.target = rng_below(&s->rng, 2) ? "198.18.0.10" : "2001:2::10";
	w->clients.target_port = 80;
	w->clients.tolerant = w->clients.bodiless = true;
	if (rng_below(&s->rng, 2))
		world_keep_publishing(w, (100 + rng_below(&s->rng, 1000)) * NS_PER_MS);
	app_connect(&w->clients);
	world_run(w, clients_done, 6000 * NS_PER_S);
	world_check_clean(w);
	/* Five in a row for each of the two at first and one for each return, and those that were under way then. */
	failed = world_count(w, C_upstream_connect_failures);
	ejected = world_count(w, C_endpoints_ejected);
	allowed = 2 * 5 + world_count(w, C_endpoints_returned) + (ejected + 2) * w->clients.conns_wanted;
	if (!s->failed && ejected < 2)
		sim_fail(s, "%" PRIu64 " ejections after %" PRIu64 " failures", ejected, failed);
	if (!s->failed && failed > allowed)
		sim_fail(s, "%" PRIu64 " connect failures, %" PRIu64 " allowed", failed, allowed);
	if (!s->failed && w->clients.refused + w->clients.broken > failed)
		sim_fail(s, "%" PRIu64 " requests refused, %" PRIu64 " failures", w->clients.refused, failed);
}

/* ---- swaps ---- */

enum { SWAPS = 10000, SUSPENDED = 1000 };

static bool all_suspended(struct world *w)
{
	uint32_t n = 0;

	for (const struct app *a = &w->servers1; a; a = a == &w->servers1 ? &w->servers2 : NULL)
		for (const struct app_conn *c = a->conns; c; c = c->next)
			n += c->have_request;
	return n >= SUSPENDED;
}

static void swaps(struct sim *s, struct world *w)
{
	struct world_options o = {.workers = 4, .faults = {.delay_ns = 20000}, .bounded_sleep_ns = 200000};

	world_init(w, s, &o);
	w->clients.conns_wanted = SUSPENDED;
	w->clients.requests_each = 2;
	w->clients.body_max = 3000;
	w->clients.target = "198.18.0.10";
	w->clients.target_port = 80;
	w->servers1.hold_until_ns = w->servers2.hold_until_ns = s->now_ns + 100000 * NS_PER_S;
	app_connect(&w->clients);
	world_run(w, all_suspended, 600 * NS_PER_S);
	for (uint64_t n = 1; n <= SWAPS && !s->failed;) {
		n += world_publish(w, n);
		for (unsigned i = rng_below(&s->rng, 12); i && sim_step(s); i--)
			;
		gateway_reclaim(w->gateway);
		if (gateway_generations(w->gateway) > LIMIT_generations)
			sim_fail(s, "%u generations alive", gateway_generations(w->gateway));
	}
	w->servers1.hold_until_ns = w->servers2.hold_until_ns = s->now_ns;
	for (struct app *a = &w->servers1; a; a = a == &w->servers1 ? &w->servers2 : NULL)
		for (struct app_conn *c = a->conns; c; c = c->next)
			c->answer_at_ns = s->now_ns + rng_below(&s->rng, 1000000);
	host_kick(&w->server1);
	host_kick(&w->server2);
	world_run(w, clients_done, 600 * NS_PER_S);
	world_check_clean(w);
	gateway_reclaim(w->gateway);
	if (!s->failed && w->published < SWAPS)
		sim_fail(s, "only %" PRIu64 " generations", w->published);
	if (!s->failed && w->published - w->freed > LIMIT_generations)
		sim_fail(s, "%" PRIu64 " generations published, %" PRIu64 " freed", w->published, w->freed);
}

/* ---- running seeds ---- */

struct scenario {
	const char *name;
	void (*run)(struct sim *s, struct world *w);
};

static const struct scenario scenarios[] = {
	{"traffic", traffic}, {"ejection", ejection}, {"swaps", swaps}, {"squeeze", scenario_squeeze},
	{"denial", scenario_denial}, {"http", scenario_http}, {"streams", scenario_streams},
	{"far", scenario_far},
};

struct command {
	uint64_t seeds, first;
	unsigned jobs;
	const struct scenario *scenario;
	bool trace;
	const char *fault;
	const char *program;
};

static bool run_seed(const struct command *c, uint64_t seed)
{
	static struct world w;
	static struct sim s;

	s.trace = c->trace;
	sim_init(&s, seed);
	w.gateway = NULL;
	c->scenario->run(&s, &w);
	if (s.failed) {
		if (!c->fault)
			printf("seed %" PRIu64 ": %s\n  replay: %s --scenario %s --first %" PRIu64 " --seeds 1\n", seed, s.failure,
			       c->program, c->scenario->name, seed);
		else
			printf("fault %s found by seed %" PRIu64 ": %s\n", c->fault, seed, s.failure);
		fflush(stdout);
		/* A broken world is not taken apart: the process ends here, its parent goes on with the next seed. */
		return false;
	}
	if (c->trace)
		printf("seed %" PRIu64 ": %" PRIu64 " requests, %" PRIu64 " events, %.3f s\n", seed, w.clients.requests_done, s.events,
		       (double)s.now_ns / 1e9);
	if (w.gateway)
		world_fini(&w);
	return true;
}

static void start_eal(void)
{
	char prefix[] = "test", no_huge[] = "--no-huge", no_shconf[] = "--no-shconf", no_pci[] = "--no-pci", m[] = "-m",
	     mib[] = "1024", level[] = "--log-level", error[] = "error", lcores[] = "--lcores", lcore[] = "0@0",
	     no_telemetry[] = "--no-telemetry";
	char *arguments[] = {prefix, no_huge, no_shconf, no_pci, m, mib, level, error, lcores, lcore, no_telemetry, NULL};

	CHECK(rte_eal_init(11, arguments) >= 0);
}

/* Runs seeds in children, so that a crash is one failed seed; a child does many until one fails. */
static uint64_t run_seeds(const struct command *c)
{
	uint64_t failed = 0, next = c->first, end = c->first + c->seeds;

	while (next < end) {
		int progress[2];
		uint64_t seed = next, last = next;

		CHECK(!pipe(progress));
		fflush(stdout);
		const pid_t child = fork();
		CHECK(child >= 0);
		if (!child) {
			close(progress[0]);
			start_eal();
			for (; seed < end; seed++) {
				CHECK(write(progress[1], &seed, sizeof(seed)) == sizeof(seed));
				if (!run_seed(c, seed))
					_exit(3);
			}
			exit(0);
		}
		close(progress[1]);
		while (read(progress[0], &seed, sizeof(seed)) == sizeof(seed))
			last = seed;
		close(progress[0]);
		int status;
		CHECK(waitpid(child, &status, 0) == child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		failed++;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 3)
			printf(c->fault ? "fault %s found by seed %" PRIu64 ": crash\n"
			                : "%s: seed %" PRIu64 ": crashed\n", c->fault ? c->fault : c->program, last);
		if (c->fault)
			return failed;
		if (!c->fault && (!WIFEXITED(status) || WEXITSTATUS(status) != 3))
			printf("  replay: %s --scenario %s --first %" PRIu64 " --seeds 1\n", c->program, c->scenario->name, last);
		next = last + 1;
	}
	return failed;
}

static const struct scenario *scenario(const char *name)
{
	for (unsigned i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	fprintf(stderr, "no scenario %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	struct command c = {.seeds = 1, .first = 1, .jobs = 1, .scenario = &scenarios[0], .program = argv[0]};
	static const struct option options[] = {{"seeds", 1, NULL, 'n'}, {"first", 1, NULL, 's'}, {"scenario", 1, NULL, 'c'},
	                                        {"trace", 0, NULL, 't'}, {"fault", 1, NULL, 'f'}, {NULL, 0, NULL, 0}};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'n': c.seeds = strtoull(optarg, NULL, 10); break;
		case 's': c.first = strtoull(optarg, NULL, 10); break;
		case 'c': c.scenario = scenario(optarg); break;
		case 't': c.trace = true; break;
		case 'f': c.fault = optarg; break;
		default: return 2;
		}
	}
	if (c.fault && !fault_plant(c.fault)) {
		fprintf(stderr, "no fault %s in this build\n", c.fault);
		return 2;
	}
	const uint64_t failed = run_seeds(&c);
	if (c.fault) {
		printf("%d passed, %d failed, 0 skipped\n", failed != 0, failed == 0);
		return failed == 0;
	}
	printf("%" PRIu64 " passed, %" PRIu64 " failed, 0 skipped\n", c.seeds - failed, failed);
	return failed != 0;
}
