/* What a connection starts from: initial sequence numbers (RFC 6528) and timestamp offsets, both per tuple. */
#ifndef TCP_ISN_H
#define TCP_ISN_H

#include <stdint.h>

#include "base/shard.h"

/*
 * ISN = M + F(tuple, secret), M a clock of 4 us: so a new incarnation of a tuple begins above the last one, and
 * nobody who does not hold the secret can tell where.
 */
uint32_t isn_make(const struct shard *s, const struct tuple *t);

/* Our timestamps are milliseconds plus this, so that they tell neither our uptime nor which flows are one host's. */
uint32_t isn_ts_offset(const struct shard *s, const struct tuple *t);

#endif
