/*
 * From a backendRef to a cluster: the endpoints behind a Service's port (its EndpointSlices) or behind a Backend (its
 * addresses, or what its names resolve to now).
 *
 * Clusters are shared: all refs to one port of one Service are one cluster with one identity, so their connections
 * and their health are shared too. A Service without ready endpoints is a cluster without endpoints (503); what
 * cannot be resolved is no cluster (500) and a reason for the route's ResolvedRefs.
 *
 * Only ready endpoints count (Gateway API, semantics 26), or all of a Service that publishes those that are not. When
 * none is ready, those that are terminating but still serve are used: better than 503, and what kube-proxy does too.
 *
 * A dual-stack Service has slices of both families, and the endpoints of both are used alike: none is preferred. Of a
 * family in which the machine has no address none count: they could not be reached, and every second request to a
 * dual-stack Service would fail.
 */
#include <stdlib.h>
#include <string.h>

#include "control/model/build.h"
#include "table/table.h"

enum { ENDPOINTS_FIRST = 8, CLUSTERS_FIRST = 64 };

struct endpoint_slice {
	const struct object *object;
	struct endpoint_slice *next;
};

struct slice_list {
	struct endpoint_slice *first, **end;
};

struct endpoints {
	struct table_endpoint *items;
	size_t n, room;
};

static const struct resolved *fail(struct build *b, const char *reason, const char *message)
{
	struct resolved *r = region_take(b->region, sizeof(*r));

	*r = (struct resolved){.reason = reason, .message = message};
	return r;
}

/* ---- endpoints ---- */

static bool family_usable(const struct build *b, bool v4)
{
	const struct model_machine *m = &b->model->machine;
	bool any = false;

	for (uint32_t i = 0; i < m->addresses_n; i++) {
		if (m->addresses[i].virtual)
			continue;
		any = true;
		if (addr_is_v4(&m->addresses[i].addr) == v4)
			return true;
	}
	return !any;
}

static void add_endpoint(struct build *b, struct endpoints *all, const struct addr *a, uint16_t port)
{
	struct { struct addr addr; uint64_t port; } identity = {.addr = *a, .port = port};

	if (port == 0 || !family_usable(b, addr_is_v4(a)))
		return;
	if (all->n == all->room) {
		struct table_endpoint *larger;

		all->room = all->room == 0 ? ENDPOINTS_FIRST : all->room * 2;
		larger = REGION_ARRAY(b->region, struct table_endpoint, all->room);
		if (all->n > 0)
			memcpy(larger, all->items, all->n * sizeof(larger[0]));
		all->items = larger;
	}
	all->items[all->n++] = (struct table_endpoint){
		.id = table_id(&identity, sizeof(identity)), .addr = *a, .port = port, .weight = 1,
	};
}

static int compare_endpoints(const void *x, const void *y)
{
	const struct table_endpoint *a = x, *b = y;
	const int by = memcmp(a->addr.b, b->addr.b, sizeof(a->addr.b));

	return by != 0 ? by : (a->port > b->port) - (a->port < b->port);
}

/* In order, each once: an endpoint may be in several slices while they are being rearranged. */
static void settle(struct endpoints *all)
{
	size_t kept = 0;

	if (all->n > 1)
		qsort(all->items, all->n, sizeof(all->items[0]), compare_endpoints);
	for (size_t i = 0; i < all->n; i++) {
		if (kept == 0 || compare_endpoints(&all->items[kept - 1], &all->items[i]) != 0)
			all->items[kept++] = all->items[i];
	}
	all->n = kept;
}

static const struct resolved *add_cluster(struct build *b, const char *name, struct endpoints *all)
{
	struct model_cluster *c = region_take(b->region, sizeof(*c));
	struct resolved *r = region_take(b->region, sizeof(*r));

	settle(all);
	*c = (struct model_cluster){
		.id = table_id(name, strlen(name)),
		.name = name,
		.endpoints = all->items,
		.endpoints_n = (uint32_t)all->n,
		.index = MODEL_UNUSED,
	};
	r->cluster = c;
	return r;
}

const char *cluster_use(struct build *b, struct model_cluster *c)
{
	struct model *m = b->model;

	if (c->index != MODEL_UNUSED || c->refused != NULL)
		return c->refused;
	c->refused = capacity_cluster(b, c);
	if (c->refused != NULL)
		return c->refused;
	if (m->clusters_n == b->clusters_room) {
		struct model_cluster **larger;

		b->clusters_room = b->clusters_room == 0 ? CLUSTERS_FIRST : b->clusters_room * 2;
		larger = REGION_ARRAY(b->region, struct model_cluster *, b->clusters_room);
		if (m->clusters_n > 0)
			memcpy(larger, m->clusters, m->clusters_n * sizeof(larger[0]));
		m->clusters = larger;
	}
	c->index = m->clusters_n;
	m->clusters[m->clusters_n++] = c;
	return NULL;
}

/* ---- Services ---- */

/* A backendRef to a Service's port, while its slices are read. */
struct service_port {
	const char *name;            /* what slices call it */
	uint16_t number;             /* for slices that do not say: targetPort, else port */
	bool ready_or_not;           /* publishNotReadyAddresses */
	bool names;                  /* there are slices of names */
	struct endpoints ready;
	struct endpoints ending;     /* those that still serve while they are terminating */
};

static bool is_tcp(yyjson_val *port)
{
	const char *protocol = doc_str(port, "protocol");

	return protocol[0] == '\0' || strcmp(protocol, "TCP") == 0;
}

/* Slices map by the name of the Service's port; a port without a number is not restricted (discovery/v1). */
static uint16_t slice_port(const struct object *slice, const struct service_port *p)
{
	size_t i, n;
	yyjson_val *port;

	yyjson_arr_foreach(doc_get(slice->root, "ports"), i, n, port) {
		const int64_t number = doc_int(port, "port", p->number);

		if (strcmp(doc_str(port, "name"), p->name) == 0 && is_tcp(port) && number > 0 && number <= UINT16_MAX)
			return (uint16_t)number;
	}
	return 0;
}

/* Where an endpoint counts, by its conditions: no verdict about readiness means ready, one about serving the same. */
static struct endpoints *count_as(struct service_port *p, yyjson_val *conditions)
{
	const bool ready = doc_bool(conditions, "ready", true);

	if (ready || p->ready_or_not)
		return &p->ready;
	if (doc_bool(conditions, "terminating", false) && doc_bool(conditions, "serving", ready))
		return &p->ending;
	return NULL;
}

/* The addresses of an endpoint are alternatives, of which the first is used (discovery/v1). */
static void add_slice(struct build *b, struct service_port *p, const struct object *slice)
{
	const char *type = doc_str(slice->root, "addressType");
	const uint16_t port = slice_port(slice, p);
	size_t i, n;
	yyjson_val *endpoint;

	if (port == 0)
		return;
	if (strcmp(type, "IPv4") != 0 && strcmp(type, "IPv6") != 0) {
		p->names |= yyjson_arr_size(doc_get(slice->root, "endpoints")) > 0;
		return;
	}
	yyjson_arr_foreach(doc_get(slice->root, "endpoints"), i, n, endpoint) {
		const char *address = yyjson_get_str(yyjson_arr_get_first(doc_get(endpoint, "addresses")));
		struct endpoints *to = count_as(p, doc_get(endpoint, "conditions"));
		struct addr a;

		if (to != NULL && address != NULL && addr_parse(address, &a) == OK &&
		    addr_is_v4(&a) == (type[3] == '4'))
			add_endpoint(b, to, &a, port);
	}
}

static yyjson_val *find_port(const struct object *service, int64_t number)
{
	size_t i, n;
	yyjson_val *port;

	yyjson_arr_foreach(doc_at(service->root, "spec.ports"), i, n, port) {
		if (doc_int(port, "port", 0) == number && is_tcp(port))
			return port;
	}
	return NULL;
}

/*
 * The protocols we speak to a backend, as appProtocol names them. HTTP/2 (kubernetes.io/h2c) and TLS (https,
 * kubernetes.io/wss) will be taken here once they are spoken.
 */
static bool protocol_spoken(const char *app_protocol)
{
	static const char *const spoken[] = {"", "http", "HTTP", "tcp", "TCP", "kubernetes.io/ws",
	                                     "gateway.envoyproxy.io/ws"};

	for (size_t i = 0; i < sizeof(spoken) / sizeof(spoken[0]); i++) {
		if (strcmp(app_protocol, spoken[i]) == 0)
			return true;
	}
	return false;
}

/* What of a Service this version does not obey; null: nothing. */
static const struct resolved *service_problem(struct build *b, const struct object *service, int64_t port)
{
	const char *namespace = service->namespace, *name = service->name;
	yyjson_val *spec = doc_get(service->root, "spec"), *found = find_port(service, port);

	if (strcmp(doc_str(spec, "type"), "ExternalName") == 0)
		return fail(b, "InvalidKind", region_print(b->region,
			"the Service %s/%s is of type ExternalName, which is not supported", namespace, name));
	if (strcmp(doc_str(spec, "sessionAffinity"), "ClientIP") == 0)
		return fail(b, "InvalidBackendRef", region_print(b->region,
			"sessionAffinity ClientIP of the Service %s/%s is not supported by this version", namespace,
			name));
	if (port == 0)
		return fail(b, "PortNotSpecified", region_print(b->region, "the port of the Service %s/%s is missing",
		            namespace, name));
	if (found == NULL)
		return fail(
			b, "PortNotFound",
			region_print(b->region, "the Service %s/%s has no TCP port %ld", namespace, name, (long)port));
	if (!protocol_spoken(doc_str(found, "appProtocol")))
		return fail(b, "UnsupportedProtocol", region_print(b->region,
			"appProtocol %s of the Service %s/%s is not supported by this version",
			doc_str(found, "appProtocol"), namespace, name));
	return NULL;
}

static void read_slices(struct build *b, struct service_port *p, const struct object *service)
{
	const struct slice_list *slices;
	struct name_key key;

	name_key_clear(&key);
	name_key_add(&key, service->namespace);
	name_key_add(&key, service->name);
	slices = names_find(b->slices, key.bytes, key.len);
	for (const struct endpoint_slice *s = slices != NULL ? slices->first : NULL; s != NULL; s = s->next)
		add_slice(b, p, s->object);
}

static const struct resolved *resolve_service(struct build *b, const char *namespace, const char *name, int64_t port)
{
	const struct object *service = snapshot_find(b->snapshot, "Service", namespace, name);
	const struct resolved *problem;
	yyjson_val *found, *target;
	struct service_port p = {0};

	if (service == NULL)
		return fail(b, "BackendNotFound",
			    region_print(b->region, "the Service %s/%s does not exist", namespace, name));
	problem = service_problem(b, service, port);
	if (problem != NULL)
		return problem;
	found = find_port(service, port);
	target = doc_get(found, "targetPort");
	p.name = doc_str(found, "name");
	p.number = (uint16_t)(yyjson_is_int(target) ? yyjson_get_int(target) : port);
	p.ready_or_not = doc_bool(doc_get(service->root, "spec"), "publishNotReadyAddresses", false);
	read_slices(b, &p, service);
	if (p.names)
		return fail(b, "UnsupportedAddressType", region_print(b->region,
			"EndpointSlices of addressType FQDN of the Service %s/%s are not supported; "
			"a Backend can name a host", namespace, name));
	return add_cluster(b, region_print(b->region, "service/%s/%s/%ld", namespace, name, (long)port),
			   p.ready.n > 0 ? &p.ready : &p.ending);
}

static void index_slices(struct build *b)
{
	size_t n;
	const struct object *const *all = snapshot_list(b->snapshot, "EndpointSlice", &n);

	b->slices = names_new(b->region);
	for (size_t i = 0; i < n; i++) {
		const char *service = doc_str(doc_at(all[i]->root, "metadata.labels"), "kubernetes.io/service-name");
		struct endpoint_slice *s = region_take(b->region, sizeof(*s));
		struct name_key key;
		struct slice_list **list;

		name_key_clear(&key);
		name_key_add(&key, all[i]->namespace);
		name_key_add(&key, service);
		list = (struct slice_list **)names_slot(b->slices, key.bytes, key.len);
		if (*list == NULL) {
			*list = region_take(b->region, sizeof(**list));
			(*list)->end = &(*list)->first;
		}
		s->object = all[i];
		*(*list)->end = s;
		(*list)->end = &s->next;
	}
}

/* ---- Backends ---- */

static const char *address_problem(struct build *b, yyjson_val *ip, size_t i, struct endpoints *all)
{
	const int64_t port = doc_int(ip, "port", 0);
	struct addr a;

	if (addr_parse(doc_str(ip, "address"), &a) != OK || !addr_is_unicast(&a) || addr_is_link_local(&a) ||
	    port <= 0 || port > UINT16_MAX)
		return region_print(b->region,
				    "spec.endpoints[%zu].ip: %s port %ld is not the address of another host", i,
				    doc_str(ip, "address"), (long)port);
	add_endpoint(b, all, &a, (uint16_t)port);
	return NULL;
}

/* As it is asked for: without the dot that may end it. */
static const char *host_name(struct build *b, yyjson_val *fqdn)
{
	const char *given = doc_str(fqdn, "hostname");
	const size_t n = strlen(given);

	return n > 0 && given[n - 1] == '.' ? region_copy(b->region, given, n - 1) : given;
}

/*
 * The addresses that the name has now: those of IPv4 when there are any, else those of IPv6 (Envoy Gateway's default,
 * IPv4Preferred), of families that the machine has addresses of.
 */
static void add_host(struct build *b, struct endpoints *all, const char *name, uint16_t port)
{
	const struct answer *a = answers_find(b->known, name);
	const bool v4 = a != NULL && a->v4_n > 0 && family_usable(b, true);

	for (uint32_t i = 0; a != NULL && i < a->n; i++) {
		if (addr_is_v4(&a->addrs[i]) == v4)
			add_endpoint(b, all, &a->addrs[i], port);
	}
}

static const char *host_problem(struct build *b, yyjson_val *fqdn, size_t i, struct endpoints *all)
{
	const char *name = host_name(b, fqdn);
	const int64_t port = doc_int(fqdn, "port", 0);

	if (strchr(name, '.') == NULL)
		return region_print(b->region, "spec.endpoints[%zu].fqdn.hostname: %s is not a name with a domain", i,
				    name);
	if (port <= 0 || port > UINT16_MAX)
		return region_print(b->region, "spec.endpoints[%zu].fqdn.port: %ld is not a port", i, (long)port);
	add_host(b, all, name, (uint16_t)port);
	return NULL;
}

static const char *endpoint_problem(struct build *b, yyjson_val *endpoint, size_t i, struct endpoints *all)
{
	static const char *const not_obeyed[] = {"unix", "hostname", "zone"};
	yyjson_val *fqdn = doc_get(endpoint, "fqdn");

	for (size_t k = 0; k < sizeof(not_obeyed) / sizeof(not_obeyed[0]); k++) {
		if (doc_get(endpoint, not_obeyed[k]) != NULL)
			return region_print(b->region, "spec.endpoints[%zu].%s is not supported by this version", i,
					    not_obeyed[k]);
	}
	return fqdn != NULL ? host_problem(b, fqdn, i, all) : address_problem(b, doc_get(endpoint, "ip"), i, all);
}

/*
 * Fields of a Backend that this version does not obey: refused, since serving without them would do something else.
 * *reason: for the routes that lead to it.
 */
static const char *backend_problem(struct build *b, yyjson_val *spec, struct endpoints *all, const char **reason)
{
	const char *problem = NULL;
	yyjson_val *item;
	size_t i, n;

	*reason = "UnsupportedProtocol";
	yyjson_arr_foreach(doc_get(spec, "appProtocols"), i, n, item) {
		const char *protocol = yyjson_get_str(item);

		if (protocol == NULL || !protocol_spoken(protocol))
			return region_print(b->region, "spec.appProtocols[%zu]: %s is not supported by this version", i,
			                    protocol != NULL ? protocol : "what is not a text");
	}
	*reason = "InvalidBackendRef";
	if (doc_str(spec, "type")[0] != '\0' && strcmp(doc_str(spec, "type"), "Endpoints") != 0)
		return region_print(b->region, "spec.type: %s is not supported by this version", doc_str(spec, "type"));
	if (doc_get(spec, "tls") != NULL)
		return "spec.tls is not supported by this version";
	if (doc_bool(spec, "fallback", false))
		return "spec.fallback is not supported by this version";
	yyjson_arr_foreach(doc_get(spec, "endpoints"), i, n, item) {
		if (problem == NULL)
			problem = endpoint_problem(b, item, i, all);
	}
	return problem;
}

/* What is known of a host, in the words of the condition; *ok: it has addresses. Null: nothing is to be said. */
static const char *host_trouble(struct build *b, const char *name, bool *ok)
{
	const struct answer *a = answers_find(b->known, name);

	*ok = a != NULL && a->n > 0;
	if (!*ok && (a == NULL || !a->asked))
		return region_print(b->region, "%s has not been resolved yet.", name);
	if (!*ok)
		return region_print(b->region, "%s has never been resolved: %s.", name, a->trouble);
	if (a->trouble != NULL)
		return region_print(b->region, "%s keeps its last addresses: %s.", name, a->trouble);
	return NULL;
}

/* Takes note of the names of hosts that a Backend leads to, and says how they do. */
static struct model_condition read_names(struct build *b, yyjson_val *spec)
{
	struct model_condition c = {0};
	struct model *m = b->model;
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach(doc_get(spec, "endpoints"), i, n, item) {
		yyjson_val *fqdn = doc_get(item, "fqdn");
		const char *trouble;
		bool ok;

		if (fqdn == NULL)
			continue;
		if (c.reason == NULL)
			c = condition_true("Resolved", "All names are resolved.");
		m->names[m->names_n++] = host_name(b, fqdn);
		trouble = host_trouble(b, m->names[m->names_n - 1], &ok);
		if (!ok && c.ok)
			c = condition_false("NotResolved", trouble);
		else if (trouble != NULL && c.ok)
			c.message = trouble;
	}
	return c;
}

static const struct resolved *resolve_backend(struct build *b, const char *namespace, const char *name)
{
	const struct object *backend = snapshot_find(b->snapshot, "Backend", namespace, name);
	struct endpoints all = {0};
	const char *problem, *reason;

	if (backend == NULL)
		return fail(b, "BackendNotFound",
			    region_print(b->region, "the Backend %s/%s does not exist", namespace, name));
	problem = backend_problem(b, doc_get(backend->root, "spec"), &all, &reason);
	if (problem != NULL)
		return fail(b, reason,
			    region_print(b->region, "the Backend %s/%s: %s", namespace, name, problem));
	return add_cluster(b, region_print(b->region, "backend/%s/%s", namespace, name), &all);
}

void build_backends(struct build *b)
{
	size_t n;
	const struct object *const *all = snapshot_list(b->snapshot, "Backend", &n);
	struct model *m = b->model;
	size_t names = 0;

	b->refs = names_new(b->region);
	index_slices(b);
	build_grants(b);
	m->upstreams = REGION_ARRAY(b->region, struct model_upstream, n);
	for (size_t i = 0; i < n; i++)
		names += yyjson_arr_size(doc_at(all[i]->root, "spec.endpoints"));
	m->names = REGION_ARRAY(b->region, const char *, names);
	for (size_t i = 0; i < n; i++) {
		yyjson_val *spec = doc_get(all[i]->root, "spec");
		struct endpoints unused = {0};
		const char *reason, *problem = backend_problem(b, spec, &unused, &reason);
		struct model_upstream *u = &m->upstreams[m->upstreams_n++];

		u->object = all[i];
		u->accepted = condition_true("Accepted", "The Backend was accepted.");
		if (problem != NULL)
			u->accepted = condition_false("Invalid", region_print(b->region, "%s.", problem));
		else
			u->resolved = read_names(b, spec);
	}
}

/* ---- refs ---- */

const struct resolved *backend_resolve(struct build *b, yyjson_val *ref, const char *route_namespace)
{
	yyjson_val *group_given = doc_get(ref, "group");
	const char *group = group_given != NULL ? yyjson_get_str(group_given) : "";
	const char *kind = doc_str(ref, "kind"), *namespace = doc_str(ref, "namespace"), *name = doc_str(ref, "name");
	const int64_t port = doc_int(ref, "port", 0);
	struct name_key key;
	const struct resolved **known;
	bool service, backend;

	if (group == NULL)
		group = "";
	if (kind[0] == '\0')
		kind = "Service";
	if (namespace[0] == '\0')
		namespace = route_namespace;
	service = group[0] == '\0' && strcmp(kind, "Service") == 0;
	backend = strcmp(group, BACKEND_GROUP) == 0 && strcmp(kind, "Backend") == 0;
	if (!service && !backend)
		return fail(b, "InvalidKind", region_print(b->region, "the kind %s%s%s is not supported", group,
		            group[0] != '\0' ? "/" : "", kind));
	if (strcmp(namespace, route_namespace) != 0 &&
	    !grant_allows(b, GATEWAY_GROUP, "HTTPRoute", route_namespace, group, kind, namespace, name))
		return fail(b, "RefNotPermitted",
			    region_print(b->region,
					 "no ReferenceGrant in %s allows HTTPRoutes of %s to refer to the %s %s",
					 namespace, route_namespace, kind, name));
	name_key_clear(&key);
	name_key_add(&key, kind);
	name_key_add(&key, namespace);
	name_key_add(&key, name);
	if (service)
		name_key_number(&key, port);
	known = (const struct resolved **)names_slot(b->refs, key.bytes, key.len);
	if (*known == NULL)
		*known = service ? resolve_service(b, namespace, name, port) : resolve_backend(b, namespace, name);
	return *known;
}
