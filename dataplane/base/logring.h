/*
 * A log ring: one producer (a worker), one consumer (the housekeeping core), records of bytes, never blocking.
 * A record that does not fit is lost; the producer counts it.
 */
#ifndef BASE_LOGRING_H
#define BASE_LOGRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct logring;

struct logring *logring_new(size_t bytes);              /* boot; a power of two */
void logring_free(struct logring *r);

/* Room for one record of at most `bytes`, contiguous, or null when full; commit publishes `used` of them. */
void *logring_reserve(struct logring *r, size_t bytes);
void logring_commit(struct logring *r, size_t used);

/* The oldest record, valid until released; null when empty. */
const void *logring_peek(struct logring *r, size_t *bytes);
void logring_release(struct logring *r);

#endif
