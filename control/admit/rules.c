/* See rules.h. One function per kind, listed at the end. */
#include "control/admit/rules.h"

#include <stdio.h>
#include <string.h>

static const char *text_at(yyjson_mut_val *object, const char *name)
{
	const char *s = yyjson_mut_get_str(yyjson_mut_obj_get(object, name));

	return s ? s : "";
}

static void check_gateway_class(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	const char *name = text_at(yyjson_mut_obj_get(root, "spec"), "controllerName");

	if (old && strcmp(doc_str(doc_get(old, "spec"), "controllerName"), name) != 0)
		causes_add(causes, CAUSE_INVALID, "spec.controllerName", "Invalid value: \"%s\": field is immutable",
			   name);
}

static const struct {
	const char *kind;
	void (*check)(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
} rules[] = {
	{"GatewayClass", check_gateway_class},
};

void rules_check(const struct kind *kind, yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(rules[i].kind, kind->name) == 0)
			rules[i].check(root, old, causes);
}
