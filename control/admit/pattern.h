/*
 * The patterns of schemas. They are written in RE2's dialect; the part of it that the schemas use is translated to
 * POSIX extended expressions, compiled once and kept. (RE2 itself is for the users' own expressions, in routes.)
 */
#ifndef ADMIT_PATTERN_H
#define ADMIT_PATTERN_H

#include <stdbool.h>

/* pattern must come from a schema: its address is its name. A pattern that does not compile is a bug. */
bool pattern_matches(const char *pattern, const char *text);

#endif
