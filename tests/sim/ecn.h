/*
 * What two hosts say to each other about congestion (RFC 3168), as a link sees it: no stack marks a segment itself, only
 * data is ECT, and whoever hears often of marks reduces its window and says so.
 */
#ifndef SIM_ECN_H
#define SIM_ECN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "tests/sim/sim.h"

struct ecn_side {
	uint64_t ect, ece, cwr;                /* segments that it has sent */
	uint64_t told;                         /* those with ECE that came to a connection of its own that lives */
};

struct ecn_watch {
	struct sim *sim;
	bool (*lives)(void *arg, unsigned side, uint16_t local_port, uint16_t remote_port);
	void *arg;
	struct ecn_side sides[2];              /* by the last byte of the MAC address: 1, 2 */
};

/* A link's taps, out and in. */
void ecn_see(void *watch, const uint8_t *frame, uint32_t n);
void ecn_hear(void *watch, const uint8_t *frame, uint32_t n);

/* At the end of a run. own, peer: the counters of side `side` and of the other one. */
void ecn_check(struct ecn_watch *w, unsigned side, const struct counters *own, const struct counters *peer);

/* A router's queue fills: the frame, if it is ECT, is CE now. False: it was not. */
bool ecn_mark(uint8_t *frame, uint32_t n);

#endif
