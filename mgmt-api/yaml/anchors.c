/* A list, searched from its newest end: documents have few anchors, and their number is bounded. */
#include "mgmt-api/yaml/anchors.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct anchor {
	char *name;
	yyjson_mut_val *value;
};

enum err anchors_open(struct anchors *a, const char *name, uint32_t *number)
{
	struct anchor *bigger;

	*number = 0;
	if (name == NULL)
		return OK;
	if (a->n == ANCHORS_MAX)
		return ERR_LIMIT;
	if ((a->n & (a->n - 1)) == 0) {
		bigger = realloc(a->items, (a->n == 0 ? 1 : a->n * 2) * sizeof(*bigger));
		if (bigger == NULL)
			return ERR_NO_MEMORY;
		a->items = bigger;
	}
	a->items[a->n] = (struct anchor){.name = strdup(name)};
	if (a->items[a->n].name == NULL)
		return ERR_NO_MEMORY;
	*number = ++a->n;
	return OK;
}

void anchors_close(struct anchors *a, uint32_t number, yyjson_mut_val *value)
{
	CHECK(number <= a->n);
	if (number != 0)
		a->items[number - 1].value = value;
}

enum err anchors_find(const struct anchors *a, const char *name, yyjson_mut_val **value)
{
	uint32_t i = a->n;

	while (i > 0 && strcmp(a->items[i - 1].name, name) != 0)
		i--;
	*value = i == 0 ? NULL : a->items[i - 1].value;
	return i == 0 ? ERR_NOT_FOUND : OK;
}

void anchors_forget(struct anchors *a)
{
	for (uint32_t i = 0; i < a->n; i++)
		free(a->items[i].name);
	free(a->items);
	*a = (struct anchors){0};
}
