/*
 * Requests that two parsers may understand differently, by rule and not by hand: names, values and companions of the
 * framing fields in all combinations, lengths, chunk sizes, line ends, extensions, trailers, request lines. Each ends
 * with a request for /smuggled that a parser meets only when it has mistaken where the first request ends.
 *
 * The list is the same in every run; a variant is known by its number and described by its name.
 */
#ifndef TESTS_SMUGGLE_H
#define TESTS_SMUGGLE_H

#include <stddef.h>

enum { SMUGGLE_BYTES_MAX = 4096, SMUGGLE_NAME_MAX = 160 };

struct smuggle {
	char name[SMUGGLE_NAME_MAX];      /* printable */
	char bytes[SMUGGLE_BYTES_MAX];
	size_t n;
};

unsigned smuggle_count(void);
void smuggle_make(unsigned i, struct smuggle *out);

#endif
