/*
 * Documents: JSON values, as the control process, the API and the compilers of filters see them. The one home of
 * yyjson.h; its mutable API is used directly by whoever builds or edits documents.
 *
 * Not used on the request path.
 */
#ifndef BASE_DOC_H
#define BASE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

/* Members by name; a missing member or another type gives null, "" or the fallback. */
yyjson_val *doc_get(yyjson_val *object, const char *name);
yyjson_val *doc_at(yyjson_val *value, const char *dotted_path);        /* "spec.parentRefs" (no indices) */
const char *doc_str(yyjson_val *object, const char *name);              /* "" when missing */
int64_t doc_int(yyjson_val *object, const char *name, int64_t fallback);
bool doc_bool(yyjson_val *object, const char *name, bool fallback);
/* The same document, whatever the order of members. */
bool doc_same(yyjson_mut_val *a, yyjson_val *b);

#endif
