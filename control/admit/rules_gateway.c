/* Rules of Gateways and their classes: which fields a protocol may have, and which listeners would be the same. */
#include <string.h>

#include "control/admit/pattern.h"
#include "control/admit/rules.h"

static const char hostname[] = "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

void rules_gateway_class(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	const char *name = mut_text(yyjson_mut_obj_get(root, "spec"), "controllerName");

	if (old && strcmp(doc_str(doc_get(old, "spec"), "controllerName"), name) != 0)
		causes_add(causes, CAUSE_INVALID, "spec.controllerName", "Invalid value: \"%s\": field is immutable",
			   name);
}

/* What a protocol has: a hostname, TLS. */
static const struct {
	const char *name;
	bool hostname, tls;
} protocols[] = {
	{"HTTP", true, false}, {"HTTPS", true, true}, {"TLS", true, true}, {"TCP", false, false}, {"UDP", false, false},
};

static void check_tls(yyjson_mut_val *listener, size_t i, struct causes *causes)
{
	yyjson_mut_val *tls = yyjson_mut_obj_get(listener, "tls");

	if (!tls && mut_is(listener, "protocol", "TLS"))
		causes_add(causes, CAUSE_REQUIRED, rule_path("spec.listeners[%zu].tls", i).text,
			   "Required value: protocol TLS needs tls.mode");
	if (!tls)
		return;
	if (mut_is(listener, "protocol", "HTTPS") && !mut_is(tls, "mode", "Terminate"))
		causes_add(causes, CAUSE_INVALID, rule_path("spec.listeners[%zu].tls.mode", i).text,
			   "Invalid value: \"%s\": must be Terminate for protocol HTTPS", mut_text(tls, "mode"));
	if (mut_is(tls, "mode", "Terminate") && yyjson_mut_arr_size(yyjson_mut_obj_get(tls, "certificateRefs")) == 0 &&
	    yyjson_mut_obj_size(yyjson_mut_obj_get(tls, "options")) == 0)
		causes_add(causes, CAUSE_REQUIRED, rule_path("spec.listeners[%zu].tls.certificateRefs", i).text,
			   "Required value: mode Terminate needs a certificate");
}

static void check_listener(yyjson_mut_val *listener, size_t i, struct causes *causes)
{
	for (size_t p = 0; p < sizeof(protocols) / sizeof(protocols[0]); p++) {
		const char *name = protocols[p].name;

		if (!mut_is(listener, "protocol", name))
			continue;
		if (!protocols[p].hostname && *mut_text(listener, "hostname"))
			causes_add(causes, CAUSE_FORBIDDEN, rule_path("spec.listeners[%zu].hostname", i).text,
				   "Forbidden: protocol %s has no hostname", name);
		if (!protocols[p].tls && yyjson_mut_obj_get(listener, "tls"))
			causes_add(causes, CAUSE_FORBIDDEN, rule_path("spec.listeners[%zu].tls", i).text,
				   "Forbidden: protocol %s has no TLS", name);
	}
	check_tls(listener, i, causes);
}

static bool are_alike(yyjson_mut_val *a, yyjson_mut_val *b)
{
	return yyjson_mut_get_uint(yyjson_mut_obj_get(a, "port")) ==
		       yyjson_mut_get_uint(yyjson_mut_obj_get(b, "port")) &&
	       mut_is(a, "protocol", mut_text(b, "protocol")) && mut_is(a, "hostname", mut_text(b, "hostname"));
}

static void check_listeners(yyjson_mut_val *listeners, struct causes *causes)
{
	yyjson_mut_val *listener, *earlier;
	size_t i, max, j, earlier_max;

	yyjson_mut_arr_foreach(listeners, i, max, listener) {
		check_listener(listener, i, causes);
		yyjson_mut_arr_foreach(listeners, j, earlier_max, earlier) {
			if (j >= i)
				break;
			if (are_alike(listener, earlier))
				causes_add(causes, CAUSE_DUPLICATE, rule_path("spec.listeners[%zu]", i).text,
					   "Duplicate value: port, protocol and hostname are those of listener \"%s\"",
					   mut_text(earlier, "name"));
		}
	}
}

static void check_addresses(yyjson_mut_val *addresses, struct causes *causes)
{
	yyjson_mut_val *address, *earlier;
	size_t i, max, j, earlier_max;

	yyjson_mut_arr_foreach(addresses, i, max, address) {
		const char *value = mut_text(address, "value");
		struct rule_path path = rule_path("spec.addresses[%zu].value", i);

		if (!*value)
			continue;
		if (mut_is(address, "type", "Hostname") && !pattern_matches(hostname, value))
			causes_add(causes, CAUSE_INVALID, path.text, "Invalid value: \"%s\": must be a hostname",
				   value);
		yyjson_mut_arr_foreach(addresses, j, earlier_max, earlier) {
			if (j >= i)
				break;
			if (mut_is(earlier, "value", value) && mut_is(earlier, "type", mut_text(address, "type")))
				causes_add(causes, CAUSE_DUPLICATE, path.text, "Duplicate value: \"%s\"", value);
		}
	}
}

static void check_keys(yyjson_mut_val *map, const char *path, struct causes *causes)
{
	static const char key_name[] = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
				       "([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$";
	yyjson_mut_val *key, *value;
	size_t i, max;

	yyjson_mut_obj_foreach(map, i, max, key, value) {
		const char *text = yyjson_mut_get_str(key);

		if (!pattern_matches(key_name, text) || strcspn(text, "/") > 252)
			causes_add(causes, CAUSE_INVALID, path, "Invalid value: \"%.300s\": must be a label key", text);
	}
}

void rules_gateway(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	yyjson_mut_val *spec = yyjson_mut_obj_get(root, "spec");

	(void)old;
	check_listeners(yyjson_mut_obj_get(spec, "listeners"), causes);
	check_addresses(yyjson_mut_obj_get(spec, "addresses"), causes);
	check_keys(mut_at(spec, "infrastructure.labels"), "spec.infrastructure.labels", causes);
	check_keys(mut_at(spec, "infrastructure.annotations"), "spec.infrastructure.annotations", causes);
}
