/*
 * What names resolve to: a set that never changes, shared by reference between the resolver's thread, which makes it,
 * and the reconciler's, which builds models from it.
 */
#ifndef RESOLVE_ANSWERS_H
#define RESOLVE_ANSWERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum { HOST_NAME_MAX_BYTES = 254 };   /* of a DNS name as text, its NUL included */

struct answer {
	const char *name;
	const struct addr *addrs;    /* IPv4 ones first, each family in order, each once */
	uint32_t v4_n, n;            /* n == 0: it has never been resolved */
	const char *trouble;         /* why the last question brought nothing new; null: it did; a constant text */
	bool asked;                  /* there was an answer, or an end of the waiting for one */
};

struct answers {
	_Atomic unsigned references;
	uint32_t n;
	struct answer *items;        /* in the order of their names */
};

struct answers *answers_get(struct answers *a);
void answers_put(struct answers *a);                                        /* null is fine */
const struct answer *answers_find(const struct answers *a, const char *name);   /* null when unknown; a may be null */

#endif
