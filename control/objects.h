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
struct seal;     /* store/seal.h */

struct object {
	const struct kind *kind;
	const char *namespace;      /* "" for cluster-scoped kinds */
	const char *name;
	uint64_t resource_version;
	int64_t generation;
	yyjson_val *root;           /* apiVersion, kind, metadata, spec, status ... immutable */
};

/* Takes the document, which must be an object of the kind with metadata.name; refcounted, born with one. */
struct object *object_new(const struct kind *kind, yyjson_doc *doc);
/* Writes over metadata.resourceVersion, which is at least as long. Only before anybody else has the object. */
void object_set_version(struct object *o, uint64_t version, const char *digits);
const struct object *object_get(const struct object *o);
void object_put(const struct object *o);
size_t object_bytes(const struct object *o);    /* of the text that it was read from; 0 when there was none */

/* "HTTPRoute/default/shop": what logs and seals call it. */
enum { OBJECT_PLACE_MAX = 640 };
const char *object_place(const struct object *o, char text[static OBJECT_PLACE_MAX]);

/*
 * A snapshot never changes: a commit makes a new one from the last, sharing every object and every list of a kind
 * that did not change. Counts are atomic, so a snapshot may be read by another thread.
 */
struct snapshot;

struct object_change {
	const struct kind *kind;
	const char *namespace;
	const char *name;
	const struct object *object;    /* null: deleted */
};

/* The seal opens Secrets; null when their data is in plain (tests). */
struct snapshot *snapshot_new(const struct seal *seal);
/* Later changes of the same object win. Objects are got, not taken. */
struct snapshot *snapshot_with(const struct snapshot *s, const struct object_change *changes, size_t n,
                               uint64_t resource_version);
struct snapshot *snapshot_get(struct snapshot *s);

uint64_t snapshot_resource_version(const struct snapshot *s);
void snapshot_put(struct snapshot *s);      /* null is fine */
/* Objects of one kind ("HTTPRoute"), in order; n is their number. */
const struct object *const *snapshot_list(const struct snapshot *s, const char *kind, size_t *n);
const struct object *snapshot_find(const struct snapshot *s, const char *kind, const char *namespace, const char *name);
/* An opened Secret value (data key), malloc'ed; for the compiler only. NOT_FOUND when there is none. */
enum err snapshot_secret(const struct snapshot *s, const struct object *secret, const char *key, char **bytes,
			 size_t *n);

/*
 * For tests: a snapshot from JSON objects (an array), taken as they are: without admission, so that a test can also
 * show the model what an older or newer version may have stored.
 */
struct snapshot *snapshot_from_json(const char *json, size_t n, char error[static 256]);

#endif
