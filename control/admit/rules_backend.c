/* Rules of Backends: an endpoint is exactly one of three things. */
#include "control/admit/rules.h"

static void check_endpoints(yyjson_mut_val *endpoints, struct causes *causes)
{
	yyjson_mut_val *endpoint;
	size_t i, max, names = 0;

	yyjson_mut_arr_foreach(endpoints, i, max, endpoint) {
		bool fqdn = yyjson_mut_obj_get(endpoint, "fqdn"), ip = yyjson_mut_obj_get(endpoint, "ip");
		bool socket = yyjson_mut_obj_get(endpoint, "unix");

		names += fqdn;
		if (fqdn + ip + socket != 1)
			causes_add(causes, CAUSE_INVALID, rule_path("spec.endpoints[%zu]", i).text,
				   "Invalid value: must have exactly one of fqdn, ip and unix");
	}
	if (names != 0 && names != max)
		causes_add(causes, CAUSE_INVALID, "spec.endpoints",
			   "Invalid value: endpoints with names and with addresses must not be mixed");
}

void rules_backend(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	yyjson_mut_val *spec = yyjson_mut_obj_get(root, "spec"), *endpoints = yyjson_mut_obj_get(spec, "endpoints");

	(void)old;
	check_endpoints(endpoints, causes);
	if (mut_is(spec, "type", "DynamicResolver") && endpoints)
		causes_add(causes, CAUSE_FORBIDDEN, "spec.endpoints",
			   "Forbidden: type DynamicResolver has no endpoints");
}
