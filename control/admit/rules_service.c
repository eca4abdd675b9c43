/*
 * Rules of Services and their EndpointSlices, as Kubernetes has them: ports that can be told apart by their names, and
 * endpoints whose addresses are those of hosts, of the family that the slice says.
 */
#include <string.h>

#include "base/addr.h"
#include "control/admit/pattern.h"
#include "control/admit/rules.h"

enum { PORT_MAX = 65535, PORT_NAME_MAX = 15 };

static const char port_name[] = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/* ---- ports ---- */

static void check_target(yyjson_mut_val *target, size_t i, struct causes *causes)
{
	const char *name = yyjson_mut_get_str(target);
	const int64_t number = yyjson_mut_get_sint(target);
	struct rule_path at = rule_path("spec.ports[%zu].targetPort", i);

	if (name && (!pattern_matches(port_name, name) || strlen(name) > PORT_NAME_MAX))
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: \"%.80s\": must be the name of a port: "
			   "at most %d lower case letters, digits and '-'", name, PORT_NAME_MAX);
	else if (yyjson_mut_is_int(target) && (number < 1 || number > PORT_MAX))
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: %lld: must be between 1 and %d",
			   (long long)number, PORT_MAX);
}

/* Slices refer to a Service's port by its name: that of one port alone may be empty. */
static void check_names(yyjson_mut_val *ports, const char *field, bool may_be_empty, struct causes *causes)
{
	yyjson_mut_val *port, *earlier;
	size_t i, max, j, earlier_max;

	yyjson_mut_arr_foreach(ports, i, max, port) {
		const char *name = mut_text(port, "name");
		struct rule_path at = rule_path("%s[%zu].name", field, i);

		if (!*name && !may_be_empty && max > 1)
			causes_add(causes, CAUSE_REQUIRED, at.text, "Required value: there is more than one port");
		yyjson_mut_arr_foreach(ports, j, earlier_max, earlier) {
			if (j >= i || (!*name && !may_be_empty))
				break;
			if (mut_is(earlier, "name", name)) {
				causes_add(causes, CAUSE_DUPLICATE, at.text, "Duplicate value: \"%.80s\"", name);
				break;
			}
		}
	}
}

void rules_service(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	yyjson_mut_val *spec = yyjson_mut_obj_get(root, "spec"), *ports = yyjson_mut_obj_get(spec, "ports"), *port;
	size_t i, max;

	(void)old;
	check_names(ports, "spec.ports", false, causes);
	yyjson_mut_arr_foreach(ports, i, max, port)
		check_target(yyjson_mut_obj_get(port, "targetPort"), i, causes);
	if (mut_is(spec, "type", "ExternalName") && !*mut_text(spec, "externalName"))
		causes_add(causes, CAUSE_REQUIRED, "spec.externalName", "Required value: type ExternalName needs it");
}

/* ---- endpoints ---- */

static void check_address(const char *text, const char *type, struct rule_path at, struct causes *causes)
{
	const bool v4 = strcmp(type, "IPv4") == 0;
	struct addr a;

	if (addr_parse(text, &a) != OK || addr_is_v4(&a) != v4)
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: \"%.80s\": must be an %s address", text,
			   type);
	else if (!addr_is_unicast(&a) || addr_is_link_local(&a))
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: \"%.80s\": must be the address of a host: "
			   "not unspecified, loopback, link-local, multicast or broadcast", text);
}

static void check_endpoint(yyjson_mut_val *endpoint, const char *type, size_t i, struct causes *causes)
{
	yyjson_mut_val *address;
	size_t k, max;

	yyjson_mut_arr_foreach(yyjson_mut_obj_get(endpoint, "addresses"), k, max, address)
		check_address(yyjson_mut_get_str(address), type, rule_path("endpoints[%zu].addresses[%zu]", i, k),
			      causes);
}

void rules_endpoint_slice(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	const char *type = mut_text(root, "addressType");
	yyjson_mut_val *endpoint;
	size_t i, max;

	if (old && strcmp(doc_str(old, "addressType"), type) != 0)
		causes_add(causes, CAUSE_INVALID, "addressType", "Invalid value: \"%s\": field is immutable", type);
	check_names(yyjson_mut_obj_get(root, "ports"), "ports", true, causes);
	if (strcmp(type, "FQDN") == 0)
		return;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(root, "endpoints"), i, max, endpoint)
		check_endpoint(endpoint, type, i, causes);
}
