/*
 * A narrow place on a link, as of a router on the way: what is larger than its MTU is dropped there. The MTU changes now
 * and then. It says so by ICMP, or does not (a black hole); and somebody sends ICMP errors that are lies.
 */
#ifndef SIM_HOP_H
#define SIM_HOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

struct hop_faults {
	uint16_t mtu_min;                      /* 0: there is no hop; IPv6: 1280 at least */
	uint64_t change_every_ns;              /* between this and the port's MTU */
	bool silent;
	uint32_t lies;                         /* chance in 1/10,000 per frame that one is told about it */
};

struct hop {
	uint32_t mtu;
	uint64_t change_ns;
	uint64_t dropped, told, lied;
};

enum { HOP_ERROR_MAX = 600 };

/* Whether the frame, of IP and TCP, does not get through at this time. */
bool hop_refuses(struct hop *h, const struct hop_faults *f, struct rng *r, uint64_t now_ns, const uint8_t *frame, uint32_t n);
/* The ICMP error to its sender, as a frame; returns its bytes; 0: none. */
uint32_t hop_answer(struct hop *h, const struct hop_faults *f, const uint8_t *frame, uint32_t n, uint8_t *error);
uint32_t hop_lie(struct hop *h, const struct hop_faults *f, struct rng *r, const uint8_t *frame, uint32_t n, uint8_t *error);

#endif
