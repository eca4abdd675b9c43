/*
 * Regular expressions: a shim over RE2, whose dialect and linear time are what users of Envoy rely on. The only C++ of
 * the tree. Control asks it whether a pattern is good, the data plane matches with it; both see the same limits.
 *
 * A match is always of the whole text, and of UTF-8, as in Envoy.
 *
 * What it costs. RE2 runs a DFA whose states it makes as it meets them. A text that needs no new state costs one to
 * six nanoseconds per byte, so 64 KiB are well below a millisecond; a new state costs microseconds. Most expressions
 * have a few dozen of them, but some ("(a|b)*a(a|b){20}") have more than fit anywhere, and then RE2 throws its states
 * away, begins anew, and in the end simulates the NFA: hundreds of milliseconds for those 64 KiB. Nobody can tell from
 * a pattern whether a text will do that, but RE2 tells when it happens (re2::hooks). So the memory for states is small
 * (REGEX_BYTES), and a match that fills it a second time is given up, by an exception from within the hook: at most two
 * fillings, together less than a millisecond (unit/route/test_regex.c). Expressions of that kind go on working for
 * texts of ordinary length, and what one client fills the memory with costs others some new states, not their answer.
 *
 * States are allocated while matching, by malloc: the one exception to the ban on the request path. It is bounded by
 * REGEX_BYTES, a small part of what a new state costs, and over when the states are there. regex_new() matches once, so
 * that the first request finds some.
 *
 * An expression belongs to one thread: RE2 would share it under a lock.
 */
#ifndef ROUTE_REGEX_H
#define ROUTE_REGEX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* REGEX_RESET_BYTES: what throwing states away and making others costs, in bytes of text that could be read instead. */
enum { REGEX_BYTES = 192 << 10, REGEX_RESET_BYTES = 1 << 16, REGEX_WHY_MAX = 128 };

struct regex;

enum regex_answer { REGEX_NO, REGEX_YES, REGEX_TOO_MUCH };

/* Not on the request path. Null: why says what is wrong with the pattern, as text (REGEX_WHY_MAX bytes). */
struct regex *regex_new(const char *pattern, size_t len, char *why);
void regex_free(struct regex *r);

/* *bytes: of text that may still be read for the request. TOO_MUCH: it would be more, or its states do not fit. */
enum regex_answer regex_match(struct regex *r, const char *at, size_t len, uint32_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
