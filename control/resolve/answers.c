/* See answers.h. One block of memory: the set, its items, their addresses and texts. */
#include "control/resolve/answers.h"

#include <stdlib.h>
#include <string.h>

struct answers *answers_get(struct answers *a)
{
	if (a != NULL)
		atomic_fetch_add(&a->references, 1);
	return a;
}

void answers_put(struct answers *a)
{
	if (a != NULL && atomic_fetch_sub(&a->references, 1) == 1)
		free(a);
}

static int compare(const void *name, const void *item)
{
	return strcmp(name, ((const struct answer *)item)->name);
}

const struct answer *answers_find(const struct answers *a, const char *name)
{
	return a != NULL && a->n > 0 ? bsearch(name, a->items, a->n, sizeof(a->items[0]), compare) : NULL;
}
