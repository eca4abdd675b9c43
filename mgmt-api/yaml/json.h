/* A stream of JSON values, with the bounds and the result of load.h; used by load.c. */
#ifndef MGMT_API_YAML_JSON_H
#define MGMT_API_YAML_JSON_H

#include "mgmt-api/yaml/load.h"

/* INVALID without a line: a duplicate key, or a NUL character; the YAML reader then finds its place. */
enum err json_load(const char *text, size_t bytes, struct yaml_documents *out, struct yaml_error *error) MUST_CHECK;

#endif
