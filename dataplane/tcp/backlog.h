/*
 * The SYN backlog: how many connections are half open, of all, of each listener, and of each source (an IPv4 address,
 * an IPv6 /64, which is what one customer gets). What has no room is answered by a cookie (cookie.h): nobody is shut
 * out, but a flood of one source, or of one listener, leaves the others whole handshakes.
 *
 * Sources and listeners are counted in buckets of a keyed hash: no memory is taken for either. Who shares a bucket with
 * a flood gets cookies as well.
 */
#ifndef TCP_BACKLOG_H
#define TCP_BACKLOG_H

#include <stdint.h>

#include "base/addr.h"
#include "base/counters.h"

enum { BACKLOG_SOURCES = 1024, BACKLOG_LISTENERS = 64 };

struct backlog {
	uint32_t all;
	uint16_t listener[BACKLOG_LISTENERS];
	uint16_t source[BACKLOG_SOURCES];
};

/* COUNTERS: there was room, and it is taken. Else the limit that was reached. */
enum counter backlog_take(struct backlog *b, const uint8_t secret[static 16], const struct tuple *t);
void backlog_give(struct backlog *b, const uint8_t secret[static 16], const struct tuple *t);

#endif
