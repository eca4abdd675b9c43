/*
 * The regular expressions of all living generations, for every worker its own objects, keyed by the hash of the
 * pattern: a generation takes what it needs, which is made only when no other has it, and gives it back when no round
 * reads that generation any more. Everything here is the publisher's; a worker only reads the array it is given.
 */
#ifndef ROUTE_REGEXES_H
#define ROUTE_REGEXES_H

#include "route/regex.h"
#include "table/table.h"

struct regexes;
struct regex_set;    /* those of one generation */

struct regexes *regexes_new(unsigned workers);                /* boot; null: no memory */
void regexes_free(struct regexes *all);                       /* after all sets are dropped */

/* INVALID: a pattern does not compile (control has seen that it does, so it is another version's, or memory). */
enum err regexes_take(struct regexes *all, const struct table *t, struct regex_set **out) MUST_CHECK;
void regexes_drop(struct regexes *all, struct regex_set *set);

/* A worker's objects, by index in the table's list. */
struct regex *const *regex_set_of(const struct regex_set *set, unsigned worker);
unsigned regexes_n(const struct regexes *all);                /* distinct patterns alive */

#endif
