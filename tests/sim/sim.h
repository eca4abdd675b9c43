/*
 * The simulator: clients, a gateway and servers in one process, on virtual time.
 *
 * One seed decides everything: what clients ask, how links fail, in which order workers and hosts run. The gateway is
 * the very objects of sluice-dataplane (struct gateway, its workers, all layers); clients and servers are our own
 * IP and TCP under an HTTP that shares no code with the gateway's. Foreign peers are the business of `make peer` and
 * of tests/wire.
 *
 * Time moves from event to event. An actor is something that runs in rounds (a worker, a host); it is due at a time,
 * and anyone may make it due earlier. Two actors due at the same time run in an order drawn from the seed.
 *
 * Oracles: every body byte is computed from (exchange, offset) and compared; every connection ends in order; when all
 * is over, every pool of every shard is as full as at the start.
 *
 * In most scenarios clients and servers are honest (app.c), and everything must succeed. In `http` they are not
 * (hostile.h): there a ledger says what each side may be told, whoever misbehaved is excused from success only, and
 * nobody is excused from hearing what was meant for another.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/wheel.h"

/* ---- time and actors (clock.c) ---- */

struct sim;

struct actor {
	struct sim *sim;
	const char *name;
	uint64_t due_ns;                       /* UINT64_MAX: only when woken */
	uint64_t order;                        /* breaks ties, drawn anew with each schedule */
	uint32_t heap_index;                   /* 0: not scheduled */
	void (*run)(struct actor *a);          /* runs once; schedules itself anew */
};

enum { SIM_ACTORS = 64 };

struct sim {
	uint64_t seed;
	uint64_t now_ns;
	uint64_t events;
	struct rng rng;                        /* order and links */
	struct actor *heap[SIM_ACTORS + 1];
	uint32_t heap_n;
	bool failed;
	char failure[512];
	bool trace;
};

void sim_init(struct sim *s, uint64_t seed);
void actor_at(struct actor *a, uint64_t due_ns);       /* due at due_ns, or earlier if it already is */
void actor_reschedule(struct actor *a, uint64_t due_ns); /* due at exactly due_ns */
bool sim_step(struct sim *s);                          /* runs the next actor; false: nothing is due, ever */
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Body byte i of exchange k. */
static inline uint8_t sim_byte(uint64_t k, uint64_t i)
{
	return (uint8_t)((k * 131 + i * 7 + (i >> 8) * 13 + (i >> 16)) ^ (k >> 8));
}

#endif
