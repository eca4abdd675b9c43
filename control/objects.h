/*
 * Objects in memory: what the store holds, parsed. Control keeps one current set and hands immutable snapshots of it
 * to the model; a snapshot is cheap (it shares the objects).
 *
 * Order is by kind, namespace, name (bytewise), whatever order they were loaded in.
 */
#ifndef CONTROL_OBJECTS_H
#define CONTROL_OBJECTS_H

#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"

struct kind;     /* schema/kind.h */

struct object {
	const struct kind *kind;
	const char *namespace;      /* "" for cluster-scoped kinds */
	const char *name;
	uint64_t resource_version;
	int64_t generation;
	yyjson_val *root;           /* apiVersion, kind, metadata, spec, status ... immutable */
};

struct snapshot;

uint64_t snapshot_resource_version(const struct snapshot *s);
void snapshot_put(struct snapshot *s);
/* Objects of one kind ("HTTPRoute"), in order; n is their number. */
const struct object *const *snapshot_list(const struct snapshot *s, const char *kind, size_t *n);
const struct object *snapshot_find(const struct snapshot *s, const char *kind, const char *namespace, const char *name);
/* An opened Secret value (data key), malloc'ed; for the compiler only. NOT_FOUND when there is none. */
enum err snapshot_secret(const struct snapshot *s, const struct object *secret, const char *key, char **bytes, size_t *n);

/* For tests and the compiler's unit tests: a snapshot from JSON objects (an array). */
struct snapshot *snapshot_from_json(const char *json, size_t n, char error[static 256]);

#endif
