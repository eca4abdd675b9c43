/* Rules of Machines: addresses are those that hosts can have, and the ports that they are on exist. */
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "control/admit/rules.h"

enum { ADDR_BITS = 128 };

#define NO_HOST "must be the address of a host: not unspecified, loopback, multicast, broadcast or a network's"

static bool parse_address(const char *text, struct addr *out)
{
	return addr_parse(text, out) == OK;
}

/* "198.18.0.1/24": the address, and where its host bits begin. */
static bool parse_prefix(const char *text, struct addr *out, unsigned *host_bits_at)
{
	char address[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	unsigned long bits, most;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = 0;
	if (!parse_address(address, out))
		return false;
	bits = strtoul(slash + 1, NULL, 10);
	most = addr_is_v4(out) ? 32 : ADDR_BITS;
	*host_bits_at = (unsigned)(ADDR_BITS - most + bits);
	return bits <= most;
}

static unsigned bits_set(const struct addr *a, unsigned from)
{
	unsigned n = 0;

	for (unsigned i = from; i < ADDR_BITS; i++)
		n += (a->b[i / 8] & 0x80 >> i % 8) != 0;
	return n;
}

/* Neither the network itself nor its broadcast address, which IPv4 has unless there are two addresses at most. */
static bool is_host_of(const struct addr *a, unsigned host_bits_at)
{
	const unsigned bits = ADDR_BITS - host_bits_at, set = bits_set(a, host_bits_at);

	return !addr_is_v4(a) || bits < 2 || (set != 0 && set != bits);
}

static void check_own(const char *text, struct rule_path at, struct causes *causes)
{
	struct addr a;
	unsigned host_bits_at;

	if (!parse_prefix(text, &a, &host_bits_at))
		causes_add(causes, CAUSE_INVALID, at.text,
			   "Invalid value: \"%s\": must be an address and a prefix length, like 198.18.0.1/24", text);
	else if (!addr_is_unicast(&a) || !is_host_of(&a, host_bits_at))
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: \"%s\": " NO_HOST, text);
}

static void check_prefix(const char *text, struct rule_path at, struct causes *causes)
{
	struct addr a;
	unsigned host_bits_at;

	if (*text && (!parse_prefix(text, &a, &host_bits_at) || bits_set(&a, host_bits_at) != 0))
		causes_add(causes, CAUSE_INVALID, at.text,
			   "Invalid value: \"%s\": must be a prefix whose host bits are zero, like 198.18.0.0/24",
			   text);
}

static void check_address(const char *text, struct rule_path at, struct causes *causes)
{
	struct addr a;

	if (*text && !parse_address(text, &a))
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: \"%s\": must be an IPv4 or IPv6 address",
			   text);
}

/* An address on a network, ours or a next hop's. */
static void check_host(const char *text, struct rule_path at, struct causes *causes)
{
	struct addr a;

	check_address(text, at, causes);
	if (*text && parse_address(text, &a) && !addr_is_unicast(&a))
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: \"%s\": " NO_HOST, text);
}

static bool is_named(yyjson_mut_val *list, const char *name)
{
	yyjson_mut_val *item;
	size_t i, max;

	yyjson_mut_arr_foreach(list, i, max, item)
		if (mut_is(item, "name", name))
			return true;
	return false;
}

static void check_port(yyjson_mut_val *spec, const char *name, struct rule_path at, struct causes *causes)
{
	if (*name && !is_named(yyjson_mut_obj_get(spec, "ports"), name) &&
	    !is_named(yyjson_mut_obj_get(spec, "vlans"), name))
		causes_add(causes, CAUSE_INVALID, at.text, "Invalid value: \"%s\": no port has this name", name);
}

static void check_vlan(yyjson_mut_val *spec, yyjson_mut_val *vlan, size_t i, struct causes *causes)
{
	const char *name = mut_text(vlan, "name"), *port = mut_text(vlan, "port");

	if (*port && !is_named(yyjson_mut_obj_get(spec, "ports"), port))
		causes_add(causes, CAUSE_INVALID, rule_path("spec.vlans[%zu].port", i).text,
			   "Invalid value: \"%s\": no port has this name", port);
	if (*name && is_named(yyjson_mut_obj_get(spec, "ports"), name))
		causes_add(causes, CAUSE_INVALID, rule_path("spec.vlans[%zu].name", i).text,
			   "Invalid value: \"%s\": a port has this name", name);
}

static void check_pool(yyjson_mut_val *range, size_t i, struct causes *causes)
{
	const char *first = mut_text(range, "first"), *last = mut_text(range, "last"), *cidr = mut_text(range, "cidr");
	struct addr a, b;

	if (*cidr ? *first || *last : !*first || !*last) {
		causes_add(causes, CAUSE_INVALID, rule_path("spec.vipPool[%zu]", i).text,
			   "Invalid value: must have either cidr, or first and last");
		return;
	}
	check_prefix(cidr, rule_path("spec.vipPool[%zu].cidr", i), causes);
	check_host(first, rule_path("spec.vipPool[%zu].first", i), causes);
	check_host(last, rule_path("spec.vipPool[%zu].last", i), causes);
	if (*cidr || !parse_address(first, &a) || !parse_address(last, &b))
		return;
	if (addr_is_v4(&a) != addr_is_v4(&b) || memcmp(a.b, b.b, sizeof(a.b)) > 0)
		causes_add(causes, CAUSE_INVALID, rule_path("spec.vipPool[%zu].last", i).text,
			   "Invalid value: \"%s\": must not be below first, and of the same family", last);
}

void rules_machine(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	yyjson_mut_val *spec = yyjson_mut_obj_get(root, "spec"), *item;
	size_t i, max;

	(void)old;
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(spec, "vlans"), i, max, item)
		check_vlan(spec, item, i, causes);
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(spec, "addresses"), i, max, item) {
		check_own(mut_text(item, "address"), rule_path("spec.addresses[%zu].address", i), causes);
		check_port(spec, mut_text(item, "port"), rule_path("spec.addresses[%zu].port", i), causes);
	}
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(spec, "routes"), i, max, item) {
		check_prefix(mut_text(item, "to"), rule_path("spec.routes[%zu].to", i), causes);
		check_host(mut_text(item, "via"), rule_path("spec.routes[%zu].via", i), causes);
		check_port(spec, mut_text(item, "port"), rule_path("spec.routes[%zu].port", i), causes);
	}
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(spec, "nameservers"), i, max, item)
		check_address(yyjson_mut_get_str(item), rule_path("spec.nameservers[%zu]", i), causes);
	yyjson_mut_arr_foreach(yyjson_mut_obj_get(spec, "vipPool"), i, max, item)
		check_pool(item, i, causes);
}
