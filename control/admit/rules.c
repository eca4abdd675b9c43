/* See rules.h. */
#include "control/admit/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

yyjson_mut_val *mut_at(yyjson_mut_val *value, const char *dotted_path)
{
	while (value && *dotted_path) {
		size_t n = strcspn(dotted_path, ".");

		value = yyjson_mut_obj_getn(value, dotted_path, n);
		dotted_path += n + (dotted_path[n] == '.');
	}
	return value;
}

const char *mut_text(yyjson_mut_val *object, const char *name)
{
	const char *s = yyjson_mut_get_str(yyjson_mut_obj_get(object, name));

	return s ? s : "";
}

bool mut_is(yyjson_mut_val *object, const char *name, const char *text)
{
	return strcmp(mut_text(object, name), text) == 0;
}

struct rule_path rule_path(const char *format, ...)
{
	struct rule_path path;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(path.text, sizeof(path.text), format, arguments);
	va_end(arguments);
	return path;
}

static const struct {
	const char *kind;
	void (*check)(yyjson_mut_val *root, yyjson_val *old, struct causes *causes);
} rules[] = {
	{"Backend", rules_backend},
	{"ConfigMap", rules_config_map},
	{"EndpointSlice", rules_endpoint_slice},
	{"Gateway", rules_gateway},
	{"GatewayClass", rules_gateway_class},
	{"HTTPRoute", rules_http_route},
	{"HTTPRouteFilter", rules_http_route_filter},
	{"Machine", rules_machine},
	{"Secret", rules_secret},
	{"Service", rules_service},
};

void rules_check(const struct kind *kind, yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(rules[i].kind, kind->name) == 0)
			rules[i].check(root, old, causes);
}
