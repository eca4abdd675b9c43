/*
 * The resolver: a thread that keeps the addresses of names up to date, by c-ares (which is at home in this folder).
 *
 * Questions go to the name servers that it is given, else to those of /etc/resolv.conf, each from a port of its own
 * with a random number; answers to other questions are not taken, nor are records for other names than the one asked
 * for and its aliases. See book.h for what becomes of the answers.
 */
#ifndef RESOLVE_RESOLVER_H
#define RESOLVE_RESOLVER_H

#include <stddef.h>

#include "control/resolve/answers.h"

struct resolver;

/* file: where last good addresses are kept; null: nowhere. on_change comes from the resolver's thread. */
struct resolver *resolver_new(const char *file, void (*on_change)(void *arg), void *arg);
void resolver_free(struct resolver *r);

/* The names to keep up to date, and whom to ask: none for the servers of the host. Copied. */
void resolver_want(struct resolver *r, const char *const *names, size_t n, const struct addr *servers,
                   size_t servers_n);

struct answers *resolver_answers(struct resolver *r);   /* the newest set, a reference for the caller; or null */

#endif
