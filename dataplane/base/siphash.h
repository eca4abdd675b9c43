/*
 * SipHash-2-4: a keyed hash whose output tells nothing about its key. For what a peer sees or may try to steer:
 * initial sequence numbers (RFC 6528), timestamp offsets, cookies.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint8_t key[static 16], const void *bytes, size_t n);

#endif
