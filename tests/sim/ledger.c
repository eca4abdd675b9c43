#include "tests/sim/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t check_of(const struct ledger *l, uint32_t index)
{
	return (uint32_t)(((index + l->secret) * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

struct entry *ledger_open(struct ledger *l, uint32_t client)
{
	static const char bytes[] = "abcXYZ019 \t!#$%&'*+-.^_`|~\"(),/:;<=>?@[]{}\\";
	struct entry *e;
	uint64_t mix;

	if (l->n + 1 == LEDGER_MAX)
		return NULL;
	e = &l->entries[++l->n];
	*e = (struct entry){.index = l->n, .client = client};
	snprintf(e->name, sizeof(e->name), "%08" PRIx32 "%08" PRIx32, e->index, check_of(l, e->index));
	mix = check_of(l, e->index) * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (unsigned i = 0; i < LEDGER_CHECK; i++, mix = mix * UINT64_C(6364136223846793005) + 1442695040888963407)
		e->check[i] = bytes[(mix >> 40) % (sizeof(bytes) - 1)];
	e->check[0] = e->check[LEDGER_CHECK - 1] = 'x'; /* white space there is not of the value */
	return e;
}

struct entry *ledger_find(struct ledger *l, const char *name)
{
	uint32_t index, check;

	if (strspn(name, "0123456789abcdef") < LEDGER_NAME || sscanf(name, "%8" SCNx32 "%8" SCNx32, &index, &check) != 2)
		return NULL;
	return index && index <= l->n && check == check_of(l, index) ? &l->entries[index] : NULL;
}
