/*
 * The anchors of one document. An anchor is known from the start of its node but has a value only from its end: an
 * alias inside its own anchor would be a circle. A new anchor hides an older one of the same name.
 */
#ifndef MGMT_API_YAML_ANCHORS_H
#define MGMT_API_YAML_ANCHORS_H

#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"

enum { ANCHORS_MAX = 10000 };

struct anchors {
	struct anchor *items;
	uint32_t n;
};

/* *number names the anchor until anchors_forget; 0 when name is null. Errors: LIMIT, NO_MEMORY. */
enum err anchors_open(struct anchors *a, const char *name, uint32_t *number) MUST_CHECK;
void anchors_close(struct anchors *a, uint32_t number, yyjson_mut_val *value);  /* number 0: nothing */
/* Null when its node is still open. Errors: NOT_FOUND. */
enum err anchors_find(const struct anchors *a, const char *name, yyjson_mut_val **value) MUST_CHECK;
void anchors_forget(struct anchors *a);

#endif
