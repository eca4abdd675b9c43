/*
 * Rules across fields: what a schema alone cannot say. Native code for now; an interpreter for the expressions that the
 * API's definitions carry is to come, and these are then what it is tested against.
 *
 * Kinds that have rules have a file of them, rules_<kind>.c.
 */
#ifndef ADMIT_RULES_H
#define ADMIT_RULES_H

#include "control/admit/causes.h"
#include "control/schema/kind.h"

/* The object has passed its schema. old is null when it is new. */
void rules_check(const struct kind *kind, yyjson_mut_val *root, yyjson_val *old, struct causes *causes);

void rules_gateway(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
void rules_gateway_class(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
void rules_http_route(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
void rules_http_route_filter(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
void rules_backend(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
void rules_config_map(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
void rules_secret(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
void rules_service(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
void rules_endpoint_slice(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
void rules_machine(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);

/* For them: members by name, "" or null when missing, and the path of a field. */
yyjson_mut_val *mut_at(yyjson_mut_val *value, const char *dotted_path);
const char *mut_text(yyjson_mut_val *object, const char *name);
bool mut_is(yyjson_mut_val *object, const char *name, const char *text);
enum { RULE_PATH_MAX = 256 };
struct rule_path {
	char text[RULE_PATH_MAX];
};
struct rule_path rule_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
