/*
 * Label and field selectors (Kubernetes API concepts, "Label selectors"): "a=b,c!=d,e,!f,g in (h,i),j notin (k)" and,
 * of the fields, metadata.name and metadata.namespace.
 */
#ifndef MGMT_API_API_SELECT_H
#define MGMT_API_API_SELECT_H

#include "base/doc.h"
#include "mgmt-api/api/refusal.h"

enum { SELECT_TERMS_MAX = 32, SELECT_TEXT_MAX = 4096 };

enum select_op { SELECT_IN, SELECT_NOT_IN, SELECT_EXISTS, SELECT_NOT_EXISTS };

struct select_term {
	enum select_op op;
	bool field;             /* of a field selector */
	const char *key;
	const char *values;     /* separated and ended by NUL, then an empty one */
	uint32_t values_n;
};

struct select {
	struct select_term terms[SELECT_TERMS_MAX];
	uint32_t terms_n;
	uint32_t used;
	char text[2 * SELECT_TEXT_MAX];
};

/* Both texts may be empty. False: 400 in the refusal. */
bool select_parse(struct select *s, const char *labels, const char *fields, struct refusal *f);
bool select_matches(const struct select *s, yyjson_mut_val *object);

#endif
