#include "ip/route.h"

#include "ip/layer.h"
#include "table/table.h"

/* ---- prefixes ---- */

static uint64_t mask_word(unsigned bits)
{
	return bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : __builtin_bswap64(UINT64_MAX << (64 - bits));
}

struct addr addr_masked(const struct addr *a, unsigned bits)
{
	return (struct addr){.q = {a->q[0] & mask_word(bits), a->q[1] & mask_word(bits > 64 ? bits - 64 : 0)}};
}

bool addr_in(const struct addr *a, const struct addr *prefix, unsigned bits)
{
	const struct addr masked = addr_masked(a, bits);

	return addr_equal(&masked, prefix);
}

/* ---- the index ---- */

static uint32_t hash(const struct addr *prefix, unsigned bits)
{
	return address_hash(bits * UINT64_C(0xd6e8feb86659fd93), prefix);
}

static const struct route *find_prefix(const struct routes *r, const struct addr *prefix, unsigned bits)
{
	for (uint32_t h = hash(prefix, bits); ; h++) {
		const uint16_t i = r->slot[h & (ROUTE_SLOTS - 1)];

		if (i == 0)
			return NULL;
		if (r->route[i - 1].bits == bits && addr_equal(&r->route[i - 1].prefix, prefix))
			return &r->route[i - 1];
	}
}

static void add_length(struct routes *r, uint8_t bits)
{
	uint8_t at = 0;

	while (at < r->lengths_n && r->length[at] > bits)
		at++;
	if (at < r->lengths_n && r->length[at] == bits)
		return;
	memmove(&r->length[at + 1], &r->length[at], (size_t)(r->lengths_n - at));
	r->length[at] = bits;
	r->lengths_n++;
}

static void add(struct ip *ip, const struct route *route)
{
	struct routes *r = &ip->routes;
	uint32_t h = hash(&route->prefix, route->bits);

	if (find_prefix(r, &route->prefix, route->bits) != NULL)
		return; /* the first one counts: connected before static, then the order of the tables */
	if (r->n == LIMIT_ip_routes) {
		count(ip->shard->counters, C_limit_ip_routes);
		return;
	}
	while (r->slot[h & (ROUTE_SLOTS - 1)] != 0)
		h++;
	r->route[r->n++] = *route;
	r->slot[h & (ROUTE_SLOTS - 1)] = (uint16_t)r->n;
	add_length(r, route->bits);
}

/* ---- generations ---- */

static void add_address(struct ip *ip, const struct table_address *a)
{
	struct routes *r = &ip->routes;

	if (a->port >= ip->ifaces_n || a->prefix_bits > 128)
		return;
	if (r->sources_n < LIMIT_addresses) {
		r->source[r->sources_n++] = (struct source){.addr = a->addr, .bits = a->prefix_bits, .iface = a->port,
		                                            .own = !a->virtual};
	}
	if (a->prefix_bits == 128)
		return; /* an address alone makes nothing reachable */
	add(ip, &(struct route){.prefix = addr_masked(&a->addr, a->prefix_bits), .bits = a->prefix_bits,
	                        .iface = a->port, .connected = true});
}

static bool is_source(const struct routes *r, const struct addr *a)
{
	for (uint32_t i = 0; i < r->sources_n; i++) {
		if (addr_equal(&r->source[i].addr, a))
			return true;
	}
	return false;
}

/* The machine's own addresses that may be spoken from now; returns how many. */
static uint32_t gather_own(const struct ip *ip, const struct source *from, uint32_t n, struct source *to, uint32_t at)
{
	for (uint32_t i = 0; i < n && at < SOURCES_LEFT; i++) {
		if (from[i].own && address_up(address_find(&ip->link->addresses, &from[i].addr)))
			to[at++] = from[i];
	}
	return at;
}

static void keep_left(struct routes *r, const struct source *old, uint32_t n)
{
	r->left_n = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!is_source(r, &old[i].addr))
			r->left[r->left_n++] = old[i];
	}
}

void route_apply(struct ip *ip)
{
	const struct table *t = ip->shard->table;
	const struct table_address *a = TABLE_LIST(t, t->addresses, struct table_address);
	const struct table_ip_route *s = TABLE_LIST(t, t->ip_routes, struct table_ip_route);
	struct routes *r = &ip->routes;
	struct source old[SOURCES_LEFT];
	const uint32_t old_n = gather_own(ip, r->left, r->left_n, old,
	                                  gather_own(ip, r->source, r->sources_n, old, 0));

	r->n = r->sources_n = r->lengths_n = 0;
	memset(r->slot, 0, sizeof(r->slot));
	for (uint32_t i = 0; i < t->addresses.n; i++)
		add_address(ip, &a[i]);
	for (uint32_t i = 0; i < t->ip_routes.n; i++) {
		if (s[i].port >= ip->ifaces_n || s[i].prefix_bits > 128)
			continue;
		add(ip, &(struct route){.prefix = addr_masked(&s[i].prefix, s[i].prefix_bits), .gateway = s[i].gateway,
		                        .mtu = s[i].mtu, .bits = s[i].prefix_bits, .iface = s[i].port});
	}
	keep_left(r, old, old_n);
}

/* ---- lookups ---- */

const struct route *ip_route_find(const struct ip *ip, const struct addr *to)
{
	const struct routes *r = &ip->routes;
	/* An IPv6 default route (::/0) also covers the mapped IPv4 addresses, but is no way for IPv4. */
	const uint8_t shortest = addr_is_v4(to) ? 96 : 0;

	for (uint8_t i = 0; i < r->lengths_n && r->length[i] >= shortest; i++) {
		const struct addr prefix = addr_masked(to, r->length[i]);
		const struct route *found = find_prefix(r, &prefix, r->length[i]);

		if (found != NULL)
			return found;
	}
	return NULL;
}

static bool link_local(const struct addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool route_on_link(const struct ip *ip, uint8_t iface, const struct addr *a)
{
	const struct route *r;

	if (link_local(a))
		return true;
	r = ip_route_find(ip, a);
	return r != NULL && r->iface == iface && (r->connected || addr_equal(&r->gateway, a));
}

static const struct addr *best_source(const struct ip *ip, const struct source *all, uint32_t n, uint8_t iface,
                                      const struct addr *to, bool own_only)
{
	const bool v4 = addr_is_v4(to);
	const struct source *best = NULL;
	int best_rank = -1;

	for (uint32_t i = 0; i < n; i++) {
		const struct source *s = &all[i];
		struct addr prefix;
		int rank;

		if (s->iface != iface || addr_is_v4(&s->addr) != v4 || (own_only && !s->own))
			continue;
		prefix = addr_masked(&s->addr, s->bits);
		rank = addr_in(to, &prefix, s->bits) * 2 + s->own;
		/* RFC 5227, 2.1 and RFC 4862, 5.4: nobody speaks from an address that may be another's. */
		if (rank > best_rank && address_up(address_find(&ip->link->addresses, &s->addr))) {
			best_rank = rank;
			best = s;
		}
	}
	return best != NULL ? &best->addr : NULL;
}

const struct addr *route_source(const struct ip *ip, uint8_t iface, const struct addr *to, bool own_only)
{
	const struct routes *r = &ip->routes;
	const struct addr *found = best_source(ip, r->source, r->sources_n, iface, to, own_only);

	return found != NULL ? found : best_source(ip, r->left, r->left_n, iface, to, own_only);
}
