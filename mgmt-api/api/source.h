/*
 * Where objects are read: from the store's file, by a read transaction that copies and ends; Secrets, which lie sealed
 * in the store, from control. The store is opened when it is first asked for, so this program may start before control.
 */
#ifndef MGMT_API_API_SOURCE_H
#define MGMT_API_API_SOURCE_H

#include "mgmt-api/api/api.h"

struct reading {
	yyjson_mut_doc *doc;
	yyjson_mut_val *items;          /* an array of objects, in the version that was asked for */
	uint64_t resource_version;      /* of the store that they show */
	bool more;                      /* the limit was reached */
};

struct source_query {
	const struct kind *kind;
	const char *version;            /* "v1beta1" */
	const char *namespace;          /* "" : all, or cluster-scoped */
	const char *name;               /* "" : all */
	const char *after_namespace;    /* with limit: continue after this object; null: from the beginning */
	const char *after_name;
	size_t limit;                   /* 0: all */
};

struct source *source_new(const char *store_directory);
void source_free(struct source *s);
/* False: the refusal says why. An object asked for by name that is not there is NOT_FOUND. */
bool source_read(struct api *api, const struct user *user, const struct source_query *q, struct reading *out,
		 struct refusal *f);
void reading_fini(struct reading *r);

#endif
