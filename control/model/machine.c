/*
 * The Machine: ports, VLANs, own addresses, static routes, the VIP pool, how TCP sends.
 *
 * A field that cannot be used is left out and named in the condition; the rest stands. A box that lost one route to a
 * typing error is still reached by the others.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "control/model/build.h"

enum { MTU_DEFAULT = 1500, HOST_BITS = 128, V4_HOST_EDGE = 126, PORT_NONE = 0xff, DEVICE_BYTES_MAX = 224,
       NAME_BYTES_MAX = 31, SECOND_TAG_BYTES = 4 };

/* The first thing that is wrong is the one that is told. */
static void complain(struct build *b, const char *message)
{
	if (b->model->machine.accepted.ok)
		b->model->machine.accepted = condition_false("Invalid", message);
}

static uint8_t port_index(const struct model_machine *m, const char *name)
{
	for (uint32_t i = 0; i < m->ports_n; i++) {
		if (strcmp(m->ports[i].name, name) == 0)
			return (uint8_t)i;
	}
	return PORT_NONE;
}

/* The number of an interface: ports, then VLANs. */
static uint8_t iface_index(const struct model_machine *m, const char *name)
{
	for (uint32_t i = 0; i < m->vlans_n; i++) {
		if (strcmp(m->vlans[i].name, name) == 0)
			return (uint8_t)(m->ports_n + i);
	}
	return port_index(m, name);
}

static void read_ports(struct build *b, yyjson_val *list)
{
	struct model_machine *m = &b->model->machine;
	size_t i, n;
	yyjson_val *item;

	m->ports = REGION_ARRAY(b->region, struct model_port, yyjson_arr_size(list));
	yyjson_arr_foreach(list, i, n, item) {
		const char *name = doc_str(item, "name");

		if (m->ports_n == LIMIT_ports) {
			complain(b, region_print(b->region, "spec.ports: there can be at most %d ports", LIMIT_ports));
			return;
		}
		if (name[0] == '\0' || doc_str(item, "device")[0] == '\0' || port_index(m, name) != PORT_NONE) {
			complain(b,
				 region_print(b->region, "spec.ports[%zu]: needs a name of its own and a device", i));
			continue;
		}
		if (strlen(name) > NAME_BYTES_MAX || strlen(doc_str(item, "device")) > DEVICE_BYTES_MAX) {
			complain(b, region_print(b->region, "spec.ports[%zu]: a name has at most %d bytes, a device %d",
			                         i, NAME_BYTES_MAX, DEVICE_BYTES_MAX));
			continue;
		}
		m->ports[m->ports_n++] = (struct model_port){
			.name = name,
			.device = doc_str(item, "device"),
			.mtu = (uint16_t)doc_int(item, "mtu", MTU_DEFAULT),
			.queues = (uint16_t)doc_int(item, "queues", 0),
		};
	}
}

static bool same_tags(const struct model_machine *m, const struct model_vlan *v)
{
	for (uint32_t i = 0; i < m->vlans_n; i++) {
		const struct model_vlan *other = &m->vlans[i];

		if (other->port == v->port && other->id == v->id && other->service == v->service)
			return true;
	}
	return false;
}

static const char *read_vlan(struct build *b, yyjson_val *item, struct model_vlan *v)
{
	const struct model_machine *m = &b->model->machine;
	const int64_t id = doc_int(item, "id", 0), service = doc_int(item, "service", 0);
	int64_t mtu = doc_int(item, "mtu", 0);

	v->name = doc_str(item, "name");
	v->port = port_index(m, doc_str(item, "port"));
	if (v->name[0] == '\0' || strlen(v->name) > NAME_BYTES_MAX || iface_index(m, v->name) != PORT_NONE)
		return region_print(b->region, "name: it needs one of its own, of at most %d bytes", NAME_BYTES_MAX);
	if (v->port == PORT_NONE)
		return region_print(b->region, "port: there is no port \"%s\"", doc_str(item, "port"));
	if (id < 1 || id > TABLE_VLAN_MAX || service < 0 || service > TABLE_VLAN_MAX)
		return region_print(b->region, "id, service: VLANs are 1 to %d", TABLE_VLAN_MAX);
	if (mtu > m->ports[v->port].mtu)
		return region_print(b->region, "mtu: the port \"%s\" takes %u", m->ports[v->port].name,
		                    m->ports[v->port].mtu);
	if (mtu == 0)
		mtu = m->ports[v->port].mtu - (service != 0 ? SECOND_TAG_BYTES : 0);
	if (mtu < TABLE_MTU_MIN)
		return region_print(b->region, "mtu: at least %d", TABLE_MTU_MIN);
	v->id = (uint16_t)id;
	v->service = (uint16_t)service;
	v->mtu = (uint16_t)mtu;
	if (same_tags(m, v))
		return "id: another VLAN of that port has the same tags";
	if (m->vlans_n == LIMIT_vlans)
		return region_print(b->region, "there can be at most %d (limit vlans)", LIMIT_vlans);
	return NULL;
}

static void read_vlans(struct build *b, yyjson_val *list)
{
	struct model_machine *m = &b->model->machine;
	size_t i, n;
	yyjson_val *item;

	m->vlans = REGION_ARRAY(b->region, struct model_vlan, yyjson_arr_size(list));
	yyjson_arr_foreach(list, i, n, item) {
		struct model_vlan v = {0};
		const char *problem = read_vlan(b, item, &v);

		if (problem != NULL)
			complain(b, region_print(b->region, "spec.vlans[%zu].%s", i, problem));
		else
			m->vlans[m->vlans_n++] = v;
	}
}

uint32_t machine_address_places(const struct table_address *a)
{
	/* A subnet's broadcast address has a place of its own (RFC 3021: a /31 has none). */
	return addr_is_v4(&a->addr) && a->prefix_bits <= V4_HOST_EDGE ? 2 : 1;
}

static bool is_own(const struct model_machine *m, const struct addr *a)
{
	for (uint32_t i = 0; i < m->addresses_n; i++) {
		if (addr_equal(&m->addresses[i].addr, a))
			return true;
	}
	return false;
}

static void read_addresses(struct build *b, yyjson_val *list)
{
	struct model_machine *m = &b->model->machine;
	size_t i, n;
	yyjson_val *item;

	/* Each interface has a link-local address. */
	b->addresses_left = LIMIT_addresses - m->ports_n - m->vlans_n;
	m->addresses = REGION_ARRAY(b->region, struct table_address, yyjson_arr_size(list));
	yyjson_arr_foreach(list, i, n, item) {
		struct table_address a = {.port = iface_index(m, doc_str(item, "port"))};
		const char *text = doc_str(item, "address");

		if (!prefix_parse(text, &a.addr, &a.prefix_bits))
			complain(b, region_print(b->region,
						 "spec.addresses[%zu].address: \"%s\" is not an address with "
						 "a prefix length",
						 i, text));
		else if (a.port == PORT_NONE)
			complain(b, region_print(b->region, "spec.addresses[%zu].port: there is no port or VLAN \"%s\"",
			                         i, doc_str(item, "port")));
		else if (is_own(m, &a.addr))
			complain(b, region_print(b->region, "spec.addresses[%zu].address: %s is there already", i,
			                         text));
		else if (b->addresses_left < machine_address_places(&a))
			complain(b, region_print(b->region, "spec.addresses[%zu]: there is no room for it (limit "
			                         "addresses: %d)", i, LIMIT_addresses));
		else {
			b->addresses_left -= machine_address_places(&a);
			m->addresses[m->addresses_n++] = a;
		}
	}
}

static uint8_t port_towards(const struct model_machine *m, const struct addr *a)
{
	uint8_t best = PORT_NONE, bits = 0;

	for (uint32_t i = 0; i < m->addresses_n; i++) {
		const struct table_address *own = &m->addresses[i];

		if (addr_in_prefix(a, &own->addr, own->prefix_bits) && (best == PORT_NONE || own->prefix_bits > bits)) {
			best = own->port;
			bits = own->prefix_bits;
		}
	}
	return best;
}

static const char *read_route(struct build *b, yyjson_val *item, struct table_ip_route *r)
{
	const struct model_machine *m = &b->model->machine;
	const char *to = doc_str(item, "to"), *via = doc_str(item, "via"), *port = doc_str(item, "port");

	if (!prefix_parse(to, &r->prefix, &r->prefix_bits))
		return region_print(b->region, "to: \"%s\" is not an address with a prefix length", to);
	if (addr_parse(via, &r->gateway) != OK || addr_is_v4(&r->gateway) != addr_is_v4(&r->prefix))
		return region_print(b->region, "via: \"%s\" is not an address of the family of %s", via, to);
	r->mtu = (uint16_t)doc_int(item, "mtu", 0);
	r->port = port[0] != '\0' ? iface_index(m, port) : port_towards(m, &r->gateway);
	if (r->port == PORT_NONE)
		return port[0] != '\0' ? region_print(b->region, "port: there is no port or VLAN \"%s\"", port)
		                       : region_print(b->region, "via: no address of the machine covers %s", via);
	return NULL;
}

static int compare_routes(const void *x, const void *y)
{
	const struct table_ip_route *a = x, *b = y;
	int by;

	if (a->prefix_bits != b->prefix_bits)
		return a->prefix_bits > b->prefix_bits ? -1 : 1;
	by = memcmp(a->prefix.b, b->prefix.b, sizeof(a->prefix.b));
	return by != 0 ? by : memcmp(a->gateway.b, b->gateway.b, sizeof(a->gateway.b));
}

/* Who has a way to a prefix: an own address ("connected"), or the index of a route, from 1. */
static const char connected;

static void **way_to(struct names *ways, const struct addr *a, uint8_t bits)
{
	struct { struct addr prefix; uint64_t bits; } key = {.bits = bits};
	const unsigned __int128 mask = bits == 0 ? 0 : ~(unsigned __int128)0 << (HOST_BITS - bits);

	key.prefix = addr_of_number(addr_number(a) & mask);
	return names_slot(ways, &key, sizeof(key));
}

/* Of the ways to one prefix the data plane takes one, and it has room for so many prefixes. */
static struct names *connected_ways(struct build *b, uint32_t *left)
{
	const struct model_machine *m = &b->model->machine;
	struct names *ways = names_new(b->region);

	*left = LIMIT_ip_routes;
	for (uint32_t i = 0; i < m->addresses_n; i++) {
		const struct table_address *a = &m->addresses[i];
		void **way = a->prefix_bits < HOST_BITS ? way_to(ways, &a->addr, a->prefix_bits) : NULL;

		if (way == NULL || *way != NULL)
			continue;
		*way = (void *)(uintptr_t)&connected;
		--*left;
	}
	return ways;
}

static const char *take_way(struct build *b, struct names *ways, const struct table_ip_route *r, size_t i,
                            uint32_t *left)
{
	void **way = way_to(ways, &r->prefix, r->prefix_bits);

	if (*way == &connected)
		return "to: an own address is in this prefix, which is connected";
	if (*way != NULL)
		return region_print(b->region, "to: routes[%zu] leads there already", (size_t)(uintptr_t)*way - 1);
	if (*left == 0)
		return region_print(b->region, "to: there is no room for it (limit ip_routes: %d)", LIMIT_ip_routes);
	--*left;
	*way = (void *)(uintptr_t)(i + 1);
	return NULL;
}

static void read_routes(struct build *b, yyjson_val *list)
{
	struct model_machine *m = &b->model->machine;
	uint32_t left;
	struct names *ways = connected_ways(b, &left);
	size_t i, n;
	yyjson_val *item;

	m->routes = REGION_ARRAY(b->region, struct table_ip_route, yyjson_arr_size(list));
	yyjson_arr_foreach(list, i, n, item) {
		struct table_ip_route r = {0};
		const char *problem = read_route(b, item, &r);

		if (problem == NULL)
			problem = take_way(b, ways, &r, i, &left);
		if (problem != NULL)
			complain(b, region_print(b->region, "spec.routes[%zu].%s", i, problem));
		else
			m->routes[m->routes_n++] = r;
	}
	if (m->routes_n > 1)
		qsort(m->routes, m->routes_n, sizeof(m->routes[0]), compare_routes);
}

/* A prefix without what hosts cannot have: an IPv4 network's first and last address, an IPv6 subnet's anycast. */
static bool read_cidr(const char *text, struct vip_range *r)
{
	struct addr a;
	uint8_t bits;
	unsigned __int128 mask;

	if (!prefix_parse(text, &a, &bits) || bits == 0)
		return false;
	mask = bits == HOST_BITS ? 0 : ~(unsigned __int128)0 >> bits;
	r->first = addr_number(&a) & ~mask;
	r->last = r->first | mask;
	if (bits <= V4_HOST_EDGE) {
		r->first++;
		r->last -= addr_is_v4(&a);
	}
	return true;
}

static bool read_range(yyjson_val *item, struct vip_range *r)
{
	struct addr first, last;

	if (doc_str(item, "cidr")[0] != '\0')
		return doc_str(item, "first")[0] == '\0' && doc_str(item, "last")[0] == '\0' &&
		       read_cidr(doc_str(item, "cidr"), r);
	if (addr_parse(doc_str(item, "first"), &first) != OK || addr_parse(doc_str(item, "last"), &last) != OK)
		return false;
	r->first = addr_number(&first);
	r->last = addr_number(&last);
	return addr_is_v4(&first) == addr_is_v4(&last) && r->first <= r->last;
}

static void read_pool(struct build *b, yyjson_val *list)
{
	size_t i, n;
	yyjson_val *item;

	b->pool = REGION_ARRAY(b->region, struct vip_range, yyjson_arr_size(list));
	yyjson_arr_foreach(list, i, n, item) {
		struct vip_range r = {0};

		if (read_range(item, &r)) {
			r.next = r.first;
			b->pool[b->pool_n++] = r;
		} else {
			complain(b, region_print(b->region,
						 "spec.vipPool[%zu]: needs either a cidr, or first and last of "
						 "one family in that order",
						 i));
		}
	}
}

static void read_nameservers(struct build *b, yyjson_val *list)
{
	struct model_machine *m = &b->model->machine;
	size_t i, n;
	yyjson_val *item;

	m->nameservers = REGION_ARRAY(b->region, struct addr, yyjson_arr_size(list));
	yyjson_arr_foreach(list, i, n, item) {
		const char *text = yyjson_is_str(item) ? yyjson_get_str(item) : "";

		if (addr_parse(text, &m->nameservers[m->nameservers_n]) == OK)
			m->nameservers_n++;
		else
			complain(b, region_print(b->region, "spec.nameservers[%zu]: \"%s\" is not an address", i,
			                         text));
	}
}

/* What the Machine does not say is as when there is no Machine. */
static void read_sending(struct build *b, yyjson_val *spec, const char *field, struct table_sending *s)
{
	static const char *const names[TABLE_CONTROLS] = {[TABLE_NEWRENO] = "newreno", [TABLE_CUBIC] = "cubic"};
	yyjson_val *item = doc_get(doc_get(spec, "tcp"), field);
	const char *control = doc_str(item, "congestionControl");
	uint8_t i = 0;

	s->pacing = doc_bool(item, "pacing", s->pacing);
	s->ecn = doc_bool(item, "ecn", s->ecn);
	if (control[0] == '\0')
		return;
	while (i < TABLE_CONTROLS && strcmp(names[i], control) != 0)
		i++;
	if (i < TABLE_CONTROLS)
		s->control = i;
	else
		complain(b, region_print(b->region, "spec.tcp.%s.congestionControl: there is no \"%s\"", field,
		                         control));
}

static void read_access_log(struct build *b, yyjson_val *log)
{
	const char *format = doc_str(log, "format");

	b->model->machine.access_log = strcmp(format, "JSON") == 0 ? TABLE_ACCESS_JSON : TABLE_ACCESS_TEXT;
	if (format[0] != '\0' && strcmp(format, "JSON") != 0 && strcmp(format, "Text") != 0)
		complain(b, region_print(b->region, "spec.accessLog.format: %s is not supported", format));
}

/* There is one Machine, named "self"; without one of that name, the first. */
static const struct object *self(const struct snapshot *s)
{
	size_t n;
	const struct object *const *all = snapshot_list(s, "Machine", &n);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(all[i]->name, "self") == 0)
			return all[i];
	}
	return n > 0 ? all[0] : NULL;
}

static void note_others(struct build *b)
{
	struct model_machine *m = &b->model->machine;
	size_t n;
	const struct object *const *all = snapshot_list(b->snapshot, "Machine", &n);

	m->others = REGION_ARRAY(b->region, const struct object *, n);
	for (size_t i = 0; i < n; i++) {
		if (all[i] != m->object)
			m->others[m->others_n++] = all[i];
	}
}

void build_machine(struct build *b)
{
	struct model_machine *m = &b->model->machine;
	const struct object *read;
	yyjson_val *spec;
	int64_t workers;

	m->accepted = condition_true("Accepted", "The machine's configuration is in the tables.");
	m->workers = 1;
	m->listeners = (struct table_sending){.control = TABLE_CUBIC, .pacing = 1, .ecn = 1};
	m->upstreams = (struct table_sending){.control = TABLE_CUBIC, .pacing = 1};
	b->addresses_left = LIMIT_addresses;
	m->object = self(b->snapshot);
	note_others(b);
	read = m->object == NULL && b->machine_from != NULL ? self(b->machine_from) : m->object;
	if (read == NULL)
		return;
	spec = doc_get(read->root, "spec");
	workers = doc_int(spec, "workers", 1);
	if (workers >= 1 && workers <= LIMIT_workers)
		m->workers = (uint32_t)workers;
	else
		complain(b, region_print(b->region, "spec.workers: must be 1 to %d", LIMIT_workers));
	read_ports(b, doc_get(spec, "ports"));
	read_vlans(b, doc_get(spec, "vlans"));
	read_addresses(b, doc_get(spec, "addresses"));
	read_routes(b, doc_get(spec, "routes"));
	read_pool(b, doc_get(spec, "vipPool"));
	read_nameservers(b, doc_get(spec, "nameservers"));
	read_sending(b, spec, "listeners", &m->listeners);
	read_sending(b, spec, "upstreams", &m->upstreams);
	read_access_log(b, doc_get(spec, "accessLog"));
}
