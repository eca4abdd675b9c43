/*
 * A segment in fragments, as a router that ignores DF cuts it, or as its sender may over IPv6 (RFC 791, 3.2; RFC 8200, 4.5).
 */
#ifndef SIM_PIECES_H
#define SIM_PIECES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

struct pieces_faults {
	uint32_t fragment;                     /* chance in 1/10,000 that a TCP segment comes in fragments */
	uint32_t overlap;                      /* of a fragment, that it overlaps the one before: the segment is as good as lost */
};

/* Gives the fragments of a frame to `frame`, one by one. False: it goes whole. */
bool pieces_cut(const struct pieces_faults *f, struct rng *r, uint32_t id, const uint8_t *whole, uint32_t n,
                void (*frame)(void *arg, uint8_t *bytes, uint32_t n), void *arg);

#endif
