/*
 * Which Gateway has which addresses.
 *
 * Three passes, so that nobody loses an address that is in use: first every Gateway keeps what its status says and
 * what it may still have; then addresses asked for by name are given, oldest Gateway first; then those that want any
 * address get the lowest free ones of the pool, one of each family. An address belongs to one Gateway. The machine's
 * own addresses can be asked for by name, but are never given away otherwise, nor is a next hop.
 *
 * The cost is linear: each range of the pool remembers how far it has been looked through.
 */
#include <string.h>

#include "base/limits.h"
#include "control/model/build.h"

enum { FAMILIES = 2 };

/* Who holds an address: a gateway, or one of these. */
static const char held_by_machine, held_by_next_hop;

struct vips {
	struct build *b;
	struct names *holders;       /* by address */
	uint32_t given;
};

static bool is_own(const struct build *b, const struct addr *a)
{
	const struct model_machine *m = &b->model->machine;

	for (uint32_t i = 0; i < m->addresses_n; i++) {
		if (addr_equal(a, &m->addresses[i].addr))
			return true;
	}
	return false;
}

static void **holder(struct vips *v, const struct addr *a)
{
	return names_slot(v->holders, a->b, sizeof(a->b));
}

static bool in_pool(const struct build *b, const struct addr *a)
{
	const unsigned __int128 n = addr_number(a);

	for (uint32_t i = 0; i < b->pool_n; i++) {
		if (n >= b->pool[i].first && n <= b->pool[i].last)
			return true;
	}
	return false;
}

/* What kind of request an entry of spec.addresses is. */
enum request { REQUEST_ANY, REQUEST_THIS, REQUEST_BAD, REQUEST_UNSUPPORTED };

static enum request read_request(yyjson_val *entry, struct addr *a)
{
	const char *type = doc_str(entry, "type"), *value = doc_str(entry, "value");

	if (type[0] != '\0' && strcmp(type, "IPAddress") != 0)
		return REQUEST_UNSUPPORTED;
	if (value[0] == '\0')
		return REQUEST_ANY;
	return addr_parse(value, a) == OK ? REQUEST_THIS : REQUEST_BAD;
}

static yyjson_val *requests(const struct model_gateway *g)
{
	return doc_at(g->object->root, "spec.addresses");
}

static bool wants_any(const struct model_gateway *g)
{
	struct addr a;
	size_t i, n;
	yyjson_val *entry;

	yyjson_arr_foreach(requests(g), i, n, entry) {
		if (read_request(entry, &a) == REQUEST_ANY)
			return true;
	}
	return yyjson_arr_size(requests(g)) == 0;
}

static bool wants_this(const struct model_gateway *g, const struct addr *wanted)
{
	struct addr a;
	size_t i, n;
	yyjson_val *entry;

	yyjson_arr_foreach(requests(g), i, n, entry) {
		if (read_request(entry, &a) == REQUEST_THIS && addr_equal(&a, wanted))
			return true;
	}
	return false;
}

static bool has_family(const struct model_gateway *g, bool v4)
{
	for (uint32_t i = 0; i < g->addresses_n; i++) {
		if (addr_is_v4(&g->addresses[i]) == v4)
			return true;
	}
	return false;
}

static bool has_address(const struct model_gateway *g, const struct addr *a)
{
	for (uint32_t i = 0; i < g->addresses_n; i++) {
		if (addr_equal(&g->addresses[i], a))
			return true;
	}
	return false;
}

/* The machine's own addresses have their place already. False: there is no place for another one. */
static bool give(struct vips *v, struct model_gateway *g, const struct addr *a)
{
	if (v->b->addresses_left == 0 && !is_own(v->b, a))
		return false;
	v->b->addresses_left -= !is_own(v->b, a);
	*holder(v, a) = g;
	g->addresses[g->addresses_n++] = *a;
	v->given++;
	return true;
}

/* May be asked for by name: of the pool or the machine's own, and nobody else's. */
static bool usable(struct vips *v, const struct model_gateway *g, const struct addr *a)
{
	const void *by = *holder(v, a);

	return by == g || by == &held_by_machine || (by == NULL && in_pool(v->b, a));
}

/* Pass 1. What was asked for by name is only reserved here: pass 2 lists it in the order of the request. */
static void keep(struct vips *v, struct model_gateway *g)
{
	const bool any = wants_any(g);
	size_t i, n;
	yyjson_val *entry;

	yyjson_arr_foreach(doc_at(g->object->root, "status.addresses"), i, n, entry) {
		struct addr a;

		if (read_request(entry, &a) != REQUEST_THIS)
			continue;
		if (wants_this(g, &a)) {
			if (usable(v, g, &a))
				*holder(v, &a) = g;
		} else if (any && in_pool(v->b, &a) && *holder(v, &a) == NULL && !has_family(g, addr_is_v4(&a))) {
			/* When there is no place, there is none in pass 3 either, which says so. */
			(void)give(v, g, &a);
		}
	}
}

/* Pass 2. */
static void give_requested(struct vips *v, struct model_gateway *g)
{
	size_t i, n;
	yyjson_val *entry;

	yyjson_arr_foreach(requests(g), i, n, entry) {
		struct addr a;
		const enum request r = read_request(entry, &a);

		if (r == REQUEST_ANY || (r == REQUEST_THIS && has_address(g, &a)))
			continue;
		if (r == REQUEST_THIS && usable(v, g, &a) && give(v, g, &a))
			continue;
		if (g->addressed.ok && r == REQUEST_THIS && usable(v, g, &a))
			g->addressed = condition_false("AddressNotUsable", region_print(v->b->region,
				"spec.addresses[%zu]: there is no room for another address (limit addresses: %d).", i,
				LIMIT_addresses));
		else if (g->addressed.ok)
			g->addressed = condition_false("AddressNotUsable", region_print(v->b->region,
				"spec.addresses[%zu]: %s is not in the machine's VIP pool, or another Gateway's.", i,
				doc_str(entry, "value")));
	}
}

static bool take_free(struct vips *v, bool v4, struct addr *out)
{
	for (uint32_t i = 0; i < v->b->pool_n; i++) {
		struct vip_range *r = &v->b->pool[i];
		const struct addr first = addr_of_number(r->first);

		if (addr_is_v4(&first) != v4)
			continue;
		/* next is 0 behind the last address of the last range there can be. */
		for (; r->next >= r->first && r->next <= r->last; r->next++) {
			*out = addr_of_number(r->next);
			if (*holder(v, out) == NULL)
				return true;
		}
	}
	return false;
}

static bool pool_has(const struct build *b, bool v4)
{
	for (uint32_t i = 0; i < b->pool_n; i++) {
		const struct addr first = addr_of_number(b->pool[i].first);

		if (addr_is_v4(&first) == v4)
			return true;
	}
	return false;
}

/* Pass 3. */
static void give_any(struct vips *v, struct model_gateway *g)
{
	const char *no_room = region_print(v->b->region, "There is no room for another address (limit addresses: %d).",
	                                   LIMIT_addresses);
	for (int v4 = FAMILIES - 1; v4 >= 0; v4--) {
		struct addr a;

		if (has_family(g, v4) || !pool_has(v->b, v4))
			continue;
		if (take_free(v, v4, &a)) {
			if (!give(v, g, &a))
				g->addressed.message = no_room;
		} else if (g->addressed.ok)
			g->addressed.message = v4 ? "No IPv4 address is left in the machine's VIP pool."
			                          : "No IPv6 address is left in the machine's VIP pool.";
	}
	if (g->addresses_n == 0 && g->addressed.ok)
		g->addressed = condition_false("AddressNotAssigned", v->b->addresses_left == 0 ? no_room :
			v->b->pool_n == 0 ?
			"The machine has no VIP pool (Machine.spec.vipPool)." :
			"No address is left in the machine's VIP pool.");
}

/* IPv4 first, whatever order they were given in. */
static void order_families(struct model_gateway *g)
{
	if (g->addresses_n == FAMILIES && !addr_is_v4(&g->addresses[0]) && addr_is_v4(&g->addresses[1])) {
		const struct addr first = g->addresses[0];

		g->addresses[0] = g->addresses[1];
		g->addresses[1] = first;
	}
}

static bool supported(struct build *b, struct model_gateway *g)
{
	struct addr a;
	size_t i, n;
	yyjson_val *entry;

	yyjson_arr_foreach(requests(g), i, n, entry) {
		if (read_request(entry, &a) != REQUEST_UNSUPPORTED)
			continue;
		if (g->accepted.ok)
			g->accepted = condition_false(
				"UnsupportedAddress",
				region_print(b->region,
					     "spec.addresses[%zu].type: %s is not supported, only IPAddress.", i,
					     doc_str(entry, "type")));
		return false;
	}
	return true;
}

/* ---- into the machine's addresses ---- */

static uint8_t port_of(const struct model_machine *m, uint32_t own_n, const struct addr *a)
{
	for (uint32_t i = 0; i < own_n; i++) {
		if (addr_in_prefix(a, &m->addresses[i].addr, m->addresses[i].prefix_bits))
			return m->addresses[i].port;
	}
	/* Routed to us by somebody: any port will do. */
	return 0;
}

static void add_vips(struct vips *v, const struct model_gateway *g, uint32_t own_n)
{
	struct model_machine *m = &v->b->model->machine;

	for (uint32_t i = 0; i < g->addresses_n; i++) {
		const struct addr *a = &g->addresses[i];
		bool own = false;

		for (uint32_t k = 0; k < own_n; k++)
			own |= addr_equal(a, &m->addresses[k].addr);
		if (!own)
			m->addresses[m->addresses_n++] = (struct table_address){
				.addr = *a, .prefix_bits = 128, .port = port_of(m, own_n, a), .virtual = 1,
			};
	}
}

static void list_addresses(struct vips *v)
{
	struct model *m = v->b->model;
	const uint32_t own_n = m->machine.addresses_n;
	struct table_address *all = REGION_ARRAY(v->b->region, struct table_address, own_n + v->given);

	if (own_n > 0)
		memcpy(all, m->machine.addresses, own_n * sizeof(all[0]));
	m->machine.addresses = all;
	for (uint32_t i = 0; i < m->gateways_n && m->machine.ports_n > 0; i++) {
		if (m->gateways[i].accepted.ok)
			add_vips(v, &m->gateways[i], own_n);
	}
}

void build_vips(struct build *b)
{
	struct vips v = {.b = b, .holders = names_new(b->region)};
	const struct model_machine *machine = &b->model->machine;
	struct model *m = b->model;

	for (uint32_t i = 0; i < machine->routes_n; i++)
		*holder(&v, &machine->routes[i].gateway) = (void *)(uintptr_t)&held_by_next_hop;
	for (uint32_t i = 0; i < machine->addresses_n; i++)
		*holder(&v, &machine->addresses[i].addr) = (void *)(uintptr_t)&held_by_machine;
	for (uint32_t i = 0; i < m->gateways_n; i++) {
		struct model_gateway *g = &m->gateways[i];

		g->addressed = condition_true("Programmed", "Addresses are assigned.");
		g->addresses = REGION_ARRAY(b->region, struct addr, yyjson_arr_size(requests(g)) + FAMILIES);
		if (supported(b, g))
			keep(&v, g);
	}
	for (uint32_t i = 0; i < m->gateways_n; i++) {
		if (supported(b, &m->gateways[i]))
			give_requested(&v, &m->gateways[i]);
	}
	for (uint32_t i = 0; i < m->gateways_n; i++) {
		struct model_gateway *g = &m->gateways[i];

		if (!supported(b, g))
			continue;
		if (wants_any(g))
			give_any(&v, g);
		order_families(g);
	}
	list_addresses(&v);
}
