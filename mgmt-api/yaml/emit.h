/*
 * Documents to text, as `kubectl -o yaml` prints them: members in natural order, lists not indented below their key,
 * strings without quotes where no reader could mistake them, literal blocks for texts of several lines.
 */
#ifndef MGMT_API_YAML_EMIT_H
#define MGMT_API_YAML_EMIT_H

#include "base/doc.h"
#include "base/err.h"

/* One document; *text is malloc'ed and ended by a NUL that is not counted. Errors: NO_MEMORY. */
enum err yaml_emit(yyjson_val *value, char **text, size_t *bytes) MUST_CHECK;

#endif
