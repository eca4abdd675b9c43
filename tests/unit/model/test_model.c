/*
 * The model: each case is a world and lines that its description must have. The lines are written by describe() below:
 *
 *   gateway ns/name: <Accepted reason> <addressed reason> [addresses]
 *   listener ns/name/listener: <Accepted> <Conflicted> <ResolvedRefs> live|dead kinds|none <attachedRoutes>
 *   route ns/name -> gateway: <Accepted>, refs <ResolvedRefs>[, partial <PartiallyInvalid>]
 *   rule ns/name/i: status <direct> matches <n> weight <sum> [cluster:weight ...]
 *   path ns/name/i: of each match
 *   regexes <n>, and each of them
 *   cluster name: endpoints
 *   attached ns/name: listener hostname
 */
#include "control/model/model.h"

#include "../model/world.h"

static void put(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void put(char *out, size_t size, const char *format, ...)
{
	const size_t used = strlen(out);
	va_list args;

	va_start(args, format);
	vsnprintf(out + used, size - used, format, args);
	va_end(args);
}

static void describe_gateways(const struct model *m, char *out, size_t size)
{
	char text[ADDR_TEXT_MAX];

	for (uint32_t i = 0; i < m->gateways_n; i++) {
		const struct model_gateway *g = &m->gateways[i];

		put(out, size, "gateway %s/%s: %s%s %s%s", g->object->namespace, g->object->name,
		    g->accepted.ok ? "" : "!", g->accepted.reason, g->addressed.ok ? "" : "!", g->addressed.reason);
		for (uint32_t k = 0; k < g->addresses_n; k++)
			put(out, size, " %s", addr_print(&g->addresses[k], text));
		put(out, size, "\n");
		for (uint32_t k = 0; k < g->listeners_n; k++) {
			const struct model_listener *l = &g->listeners[k];

			put(out, size, "listener %s/%s/%s: %s%s %s %s%s %s %s %u\n", g->object->namespace,
			    g->object->name, l->name, l->accepted.ok ? "" : "!", l->accepted.reason,
			    l->conflicted.reason, l->resolved_refs.ok ? "" : "!", l->resolved_refs.reason,
			    l->live ? "live" : "dead", l->takes_http_routes ? "kinds" : "none", l->attached_routes);
		}
	}
}

static void describe_tries(const struct model_rule *rule, char *out, size_t size)
{
	if (rule->retry.attempts != 0)
		put(out, size, " retry %u %u", rule->retry.attempts, rule->retry.backoff_ms);
	for (unsigned bit = 0; bit < 64 * TABLE_RETRY_WORDS; bit++) {
		if (rule->retry.codes[bit / 64] >> (bit % 64) & 1)
			put(out, size, " %u", 400 + bit);
	}
	if (rule->session.kind != 0)
		put(out, size, " %s %s%s %u", rule->session.kind == TABLE_SESSION_COOKIE ? "cookie" : "header",
		    rule->session.name, rule->session.permanent ? " permanent" : "", rule->session.timeout_s);
}

static void describe_rules(const struct model_route *r, char *out, size_t size)
{
	for (uint32_t k = 0; k < r->rules_n; k++) {
		const struct model_rule *rule = &r->rules[k];

		put(out, size, "rule %s/%s/%u: status %u matches %u weight %u", r->object->namespace, r->object->name,
		    k, rule->direct_status, rule->matches_n, rule->weight_sum);
		for (uint32_t b = 0; b < rule->backends_n; b++)
			put(out, size, " %s:%u",
			    rule->backends[b].cluster != NULL ? rule->backends[b].cluster->name : "none",
			    rule->backends[b].weight);
		describe_tries(rule, out, size);
		put(out, size, "\n");
		for (uint32_t i = 0; i < rule->matches_n; i++)
			put(out, size, "path %s/%s/%u: %s\n", r->object->namespace, r->object->name, k,
			    rule->matches[i].path);
	}
}

static void describe_routes(const struct model *m, char *out, size_t size)
{
	for (uint32_t i = 0; i < m->routes_n; i++) {
		const struct model_route *r = &m->routes[i];

		for (uint32_t k = 0; k < r->parents_n; k++) {
			const struct model_parent *p = &r->parents[k];

			put(out, size, "route %s/%s -> %s: %s%s, refs %s%s", r->object->namespace, r->object->name,
			    p->gateway->object->name, p->accepted.ok ? "" : "!", p->accepted.reason,
			    r->resolved_refs.ok ? "" : "!", r->resolved_refs.reason);
			if (r->partially_invalid.reason != NULL)
				put(out, size, ", partial %s", r->partially_invalid.message);
			put(out, size, "\n");
		}
		describe_rules(r, out, size);
	}
}

static void describe_rest(const struct model *m, char *out, size_t size)
{
	char text[ADDR_TEXT_MAX];

	for (uint32_t i = 0; i < m->clusters_n; i++) {
		const struct model_cluster *c = m->clusters[i];

		put(out, size, "cluster %s:", c->name);
		for (uint32_t k = 0; k < c->endpoints_n; k++)
			put(out, size, " %s port %u", addr_print(&c->endpoints[k].addr, text), c->endpoints[k].port);
		put(out, size, "\n");
	}
	for (uint32_t i = 0; i < m->attachments_n; i++) {
		const struct model_attachment *a = &m->attachments[i];

		put(out, size, "attached %s/%s: %s/%s %s\n", a->route->object->namespace, a->route->object->name,
		    a->listener->gateway->object->name, a->listener->name, a->hostname[0] != '\0' ? a->hostname : "*");
	}
	for (uint32_t i = 0; i < m->upstreams_n; i++)
		put(out, size, "backend %s: %s\n", m->upstreams[i].object->name,
		    m->upstreams[i].accepted.ok ? "ok" : m->upstreams[i].accepted.message);
	put(out, size, "machine: %s\n", m->machine.accepted.ok ? "ok" : m->machine.accepted.message);
	for (uint32_t i = 0; i < m->machine.vlans_n; i++)
		put(out, size, "vlan %s %u service %u mtu %u\n", m->machine.ports[m->machine.vlans[i].port].name,
		    m->machine.vlans[i].id, m->machine.vlans[i].service, m->machine.vlans[i].mtu);
	for (uint32_t i = 0; i < m->machine.routes_n; i++)
		put(out, size, m->machine.routes[i].mtu ? "ip route /%u port %u via %s mtu %u\n"
		                                        : "ip route /%u port %u via %s\n",
		    m->machine.routes[i].prefix_bits, m->machine.routes[i].port,
		    addr_print(&m->machine.routes[i].gateway, text), m->machine.routes[i].mtu);
	for (uint32_t i = 0; i < m->machine.addresses_n; i++)
		put(out, size, "address %s/%u port %u%s\n", addr_print(&m->machine.addresses[i].addr, text),
		    m->machine.addresses[i].prefix_bits, m->machine.addresses[i].port,
		    m->machine.addresses[i].virtual ? " virtual" : "");
	put(out, size, "regexes %u\n", m->regexes_n);
	for (uint32_t i = 0; i < m->regexes_n; i++)
		put(out, size, "regex %s\n", m->regexes[i]->pattern);
}

struct row {
	const char *name;
	const char *objects[WORLD_MAX];
	const char *lines[10];       /* each must be there; with a leading '-' it must not */
};

#define DEFAULT_GW GATEWAY("gw", "01", HTTP)
#define RULE_A RULES("{" TO("a") "}")
#define MIRROR(to) "{'type':'RequestMirror','requestMirror':{'backendRef':{'name':'" to "','port':80}}}"
#define EXTENSION "'filters':[{'type':'ExtensionRef','extensionRef':{'group':'gateway.envoyproxy.io'," \
	"'kind':'HTTPRouteFilter','name':'f'}}]"
#define ROUTE_FILTER(spec) "{'apiVersion':'gateway.envoyproxy.io/v1alpha1','kind':'HTTPRouteFilter'," \
	META("default", "f", "01") ",'spec':{" spec "}}"
#define BAD_FILTER "'filters':[{'type':'URLRewrite','urlRewrite':{'hostname':'*.example'}}]"

static const struct row rows[] = {
	{"a route reaches its endpoints",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A), SERVICE("a"), SLICE("a", "198.18.1.11")},
	 {"gateway default/gw: Accepted Programmed 198.18.0.10 2001:2::10\n",
	  "listener default/gw/http: Accepted NoConflicts ResolvedRefs live kinds 1\n",
	  "route default/r -> gw: Accepted, refs ResolvedRefs\n",
	  "rule default/r/0: status 0 matches 1 weight 1 service/default/a/80:1\n",
	  "cluster service/default/a/80: 198.18.1.11 port 8080\n", "attached default/r: gw/http *\n",
	  "address 198.18.0.10/128 port 0 virtual\n", "address 2001:2::10/128 port 0 virtual\n",
	  "address 198.18.1.1/120 port 1\n"}},
	{"no machine: no address",
	 {CLASS, DEFAULT_GW},
	 {"gateway default/gw: Accepted !AddressNotAssigned\n",
	  "listener default/gw/http: Accepted NoConflicts ResolvedRefs dead kinds 0\n", "machine: ok\n"}},
	{"a class that is not ours",
	 {MACHINE,
	  "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GatewayClass',"
	  "'metadata':{'name':'sluice'},'spec':{'controllerName':'other.example/x'}}",
	  DEFAULT_GW},
	 {"-gateway default/gw"}},
	{"a class with parameters that are not known",
	 {MACHINE,
	  "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GatewayClass',"
	  "'metadata':{'name':'sluice'},'spec':{'controllerName':'gateway.envoyproxy.io/gatewayclass-controller',"
	  "'parametersRef':{'group':'x','kind':'Y','name':'z'}}}",
	  DEFAULT_GW},
	 {"gateway default/gw: !Pending"}},
	{"parameters of a gateway that are not known",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "gw", "01",
		       "'listeners':[" HTTP "],"
		       "'infrastructure':{'parametersRef':{'group':'x','kind':'Y','name':'z'}}",
		       "")},
	 {"gateway default/gw: !InvalidParameters", "dead kinds", "-virtual"}},

	{"TLS of a whole gateway",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "gw", "01", "'listeners':[" HTTP "],'tls':{'frontend':{'default':{}}}", "")},
	 {"gateway default/gw: !Invalid", "dead kinds", "-virtual"}},
	{"listeners from elsewhere",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "gw", "01",
		       "'listeners':[" HTTP "],'allowedListeners':{'namespaces':{'from':'Same'}}", "")},
	 {"gateway default/gw: !Invalid", "dead kinds", "-virtual"}},
	{"listeners from nowhere else",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "gw", "01",
		       "'listeners':[" HTTP "],'allowedListeners':{'namespaces':{'from':'None'}}", "")},
	 {"gateway default/gw: Accepted Programmed"}},

	/* VIPs */
	{"oldest gateway first, lowest address",
	 {MACHINE, CLASS, GATEWAY("young", "03", HTTP), GATEWAY("old", "02", HTTP)},
	 {"gateway default/old: Accepted Programmed 198.18.0.10 2001:2::10\n",
	  "gateway default/young: Accepted Programmed 198.18.0.11 2001:2::11\n"}},
	{"an address in the status is kept",
	 {MACHINE, CLASS, GATEWAY("old", "02", HTTP),
	  GATEWAY_WITH("default", "young", "03", "'listeners':[" HTTP "]",
		       ",'status':{'addresses':[{'type':'IPAddress','value':'198.18.0.10'},{'type':'IPAddress','value':"
		       "'2001:2::10'}]}")},
	 {"gateway default/young: Accepted Programmed 198.18.0.10 2001:2::10\n",
	  "gateway default/old: Accepted Programmed 198.18.0.11 2001:2::11\n"}},
	{"an address in the status that left the pool is not",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "gw", "03", "'listeners':[" HTTP "]",
		       ",'status':{'addresses':[{'type':'IPAddress','value':'198.18.0.99'},{'type':'IPAddress','value':"
		       "'2001:2::12'}]}")},
	 {"gateway default/gw: Accepted Programmed 198.18.0.10 2001:2::12\n"}},
	{"a pool runs out",
	 {MACHINE, CLASS, GATEWAY("a", "01", HTTP), GATEWAY("b", "02", HTTP), GATEWAY("c", "03", HTTP),
	  GATEWAY("d", "04", HTTP)},
	 {"gateway default/c: Accepted Programmed 198.18.0.12 2001:2::12\n",
	  "gateway default/d: Accepted !AddressNotAssigned\n"}},
	{"an address by name",
	 {MACHINE, CLASS, GATEWAY("a", "01", HTTP),
	  GATEWAY_WITH("default", "b", "02",
		       "'listeners':[" HTTP "],'addresses':[{'type':'IPAddress','value':'198.18.0.10'}]", "")},
	 {"gateway default/a: Accepted Programmed 198.18.0.11 2001:2::10\n",
	  "gateway default/b: Accepted Programmed 198.18.0.10\n"}},
	{"an own address by name",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "b", "02", "'listeners':[" HTTP "],'addresses':[{'value':'198.18.0.1'}]", "")},
	 {"gateway default/b: Accepted Programmed 198.18.0.1\n", "-virtual"}},
	{"an address outside of the pool",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "b", "02",
		       "'listeners':[" HTTP "],'addresses':[{'value':'10.0.0.1'},{'value':'198.18.0.12'}]", "")},
	 {"gateway default/b: Accepted !AddressNotUsable 198.18.0.12\n"}},
	{"an address that another gateway has",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "a", "01", "'listeners':[" HTTP "],'addresses':[{'value':'198.18.0.12'}]", ""),
	  GATEWAY_WITH("default", "b", "02", "'listeners':[" HTTP "],'addresses':[{'value':'198.18.0.12'}]", "")},
	 {"gateway default/a: Accepted Programmed 198.18.0.12\n", "gateway default/b: Accepted !AddressNotUsable\n"}},
	{"a type of address that is not supported",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "b", "02",
		       "'listeners':[" HTTP "],'addresses':[{'type':'Hostname','value':'x.example'}]", "")},
	 {"gateway default/b: !UnsupportedAddress"}},
	{"a type without a value",
	 {MACHINE, CLASS,
	  GATEWAY_WITH("default", "b", "02", "'listeners':[" HTTP "],'addresses':[{'type':'IPAddress'}]", "")},
	 {"gateway default/b: Accepted Programmed 198.18.0.10 2001:2::10\n"}},
	{"a pool as a prefix leaves its edges out",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'addresses':[{'address':'10.0.0.1/24','port':'p'}],"
		       "'vipPool':[{'cidr':'10.0.0.0/30'}]"),
	  CLASS, GATEWAY("a", "01", HTTP), GATEWAY("b", "02", HTTP)},
	 {"gateway default/a: Accepted Programmed 10.0.0.2\n", "gateway default/b: Accepted !AddressNotAssigned\n"}},

	/* machine */
	{"a congestion control that admission did not see",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'tcp':{'upstreams':{'congestionControl':'vegas'}}")},
	 {"machine: spec.tcp.upstreams.congestionControl: there is no \"vegas\"\n"}},
	{"routes, longest prefix first",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'},{'name':'q','device':'e'}],'addresses':["
		       "{'address':'10.0.0.1/24','port':'p'},{'address':'10.0.1.1/"
		       "24','port':'q'}],'routes':[{'to':'0.0.0.0/0','via':'10.0.0.2'},"
		       "{'to':'10.9.0.0/16','via':'10.0.1.2'}]")},
	 {"machine: ok\n", "ip route /112 port 1 via 10.0.1.2\nip route /96 port 0 via 10.0.0.2\n"}},
	{"a route's MTU",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'addresses':[{'address':'10.0.0.1/24','port':'p'}],"
		       "'routes':[{'to':'0.0.0.0/0','via':'10.0.0.2','mtu':1400}]")},
	 {"machine: ok\n", "ip route /96 port 0 via 10.0.0.2 mtu 1400\n"}},
	{"what is wrong is named and left out",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'addresses':[{'address':'10.0.0.1/24','port':'x'},"
		       "{'address':'10.0.1.1/24','port':'p'}]")},
	 {"machine: spec.addresses[0].port: there is no port or VLAN \"x\"\n", "address 10.0.1.1/120 port 0\n"}},
	{"VLANs are interfaces behind the ports",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'},{'name':'q','device':'e','mtu':9000}],'vlans':["
	               "{'name':'a','port':'q','id':5},{'name':'b','port':'q','id':5,'service':100}],'addresses':["
	               "{'address':'10.0.0.1/24','port':'a'},{'address':'10.0.1.1/24','port':'b'}],"
	               "'routes':[{'to':'0.0.0.0/0','via':'10.0.1.2'}]")},
	 {"machine: ok\n", "vlan q 5 service 0 mtu 9000\n", "vlan q 5 service 100 mtu 8996\n",
	  "address 10.0.0.1/120 port 2\n", "address 10.0.1.1/120 port 3\n", "ip route /96 port 3 via 10.0.1.2\n"}},
	{"a VLAN on a port that is not there",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'vlans':[{'name':'a','port':'x','id':5}]")},
	 {"machine: spec.vlans[0].port: there is no port \"x\"\n", "-vlan p"}},
	{"a VLAN with the name of a port",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'vlans':[{'name':'p','port':'p','id':5}]")},
	 {"machine: spec.vlans[0].name", "-vlan p"}},
	{"the same tags twice",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'vlans':[{'name':'a','port':'p','id':5},"
	               "{'name':'b','port':'p','id':5}]")},
	 {"machine: spec.vlans[1].id: another VLAN of that port has the same tags\n", "vlan p 5 service 0 mtu 1500\n"}},
	{"a VLAN larger than its port",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'vlans':[{'name':'a','port':'p','id':5,'mtu':1501}]")},
	 {"machine: spec.vlans[0].mtu: the port \"p\" takes 1500\n", "-vlan p"}},
	{"a VLAN of two tags below what IPv6 needs",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d','mtu':1280}],'vlans':[{'name':'a','port':'p','id':5,'service':6}]")},
	 {"machine: spec.vlans[0].mtu: at least 1280\n", "-vlan p"}},
	{"a VLAN out of range",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'vlans':[{'name':'a','port':'p','id':4095}]")},
	 {"machine: spec.vlans[0].id, service: VLANs are 1 to 4094\n", "-vlan p"}},
	{"a next hop that cannot be reached",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'routes':[{'to':'0.0.0.0/0','via':'10.0.0.2'}]")},
	 {"machine: spec.routes[0].via: no address of the machine covers 10.0.0.2\n", "-ip route"}},
	{"an own address twice",
	 {MACHINE_WITH("'ports':[{'name':'a','device':'x'},{'name':'b','device':'y'}],'addresses':["
	               "{'address':'10.0.0.1/24','port':'a'},{'address':'10.0.0.1/16','port':'b'}]")},
	 {"machine: spec.addresses[1].address: 10.0.0.1/16 is there already\n", "address 10.0.0.1/120 port 0\n",
	  "-port 1"}},
	{"of two ways to one prefix one is taken",
	 {MACHINE_WITH("'ports':[{'name':'a','device':'x'}],'addresses':[{'address':'10.0.0.1/24','port':'a'}],"
	               "'routes':[{'to':'10.2.0.0/16','via':'10.0.0.3'},{'to':'10.2.0.0/16','via':'10.0.0.2'}]")},
	 {"machine: spec.routes[1].to: routes[0] leads there already\n", "ip route /112 port 0 via 10.0.0.3\n"}},
	{"a way to a prefix that is connected",
	 {MACHINE_WITH("'ports':[{'name':'a','device':'x'}],'addresses':[{'address':'10.0.0.1/24','port':'a'}],"
	               "'routes':[{'to':'10.0.0.0/24','via':'10.0.0.2'}]")},
	 {"machine: spec.routes[0].to: an own address is in this prefix", "-ip route"}},
	{"a device that is too long",
	 {MACHINE_WITH("'ports':[{'name':'a','device':'"
	               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'}]")},
	 {"machine: spec.ports[0]: a name has at most 31 bytes, a device 224\n"}},
	{"a prefix that is too long",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'addresses':[{'address':'10.0.0.1/33','port':'p'}]")},
	 {"machine: spec.addresses[0].address"}},
	{"a format of the access log that is not known",
	 {MACHINE_WITH("'accessLog':{'format':'XML'}")},
	 {"machine: spec.accessLog.format: XML is not supported\n"}},

	/* listeners */
	{"https is refused and takes nothing with it",
	 {MACHINE, CLASS, GATEWAY("gw", "01", HTTP ",{'name':'https','port':443,'protocol':'HTTPS'}")},
	 {"gateway default/gw: ListenersNotValid Programmed",
	  "listener default/gw/https: !UnsupportedProtocol NoConflicts ResolvedRefs dead none 0\n",
	  "listener default/gw/http: Accepted NoConflicts ResolvedRefs live kinds 0\n"}},
	{"no listener is good",
	 {MACHINE, CLASS, GATEWAY("gw", "01", "{'name':'x','port':80,'protocol':'INVALID'}")},
	 {"gateway default/gw: !ListenersNotValid", "listener default/gw/x: !UnsupportedProtocol"}},
	{"two protocols on a port: both are refused",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01", HTTP ",{'name':'t','port':80,'protocol':'TLS'}," LISTENER("ok", "81", ""))},
	 {"listener default/gw/http: !ProtocolConflict ProtocolConflict ResolvedRefs dead",
	  "listener default/gw/ok: Accepted", "gateway default/gw: ListenersNotValid"}},
	{"the same hostname twice: both are refused",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01",
		  LISTENER("a", "80", ",'hostname':'x.example'") "," LISTENER(
			  "b", "80", ",'hostname':'x.example'") "," LISTENER("c", "80", ",'hostname':'y.example'"))},
	 {"listener default/gw/a: !HostnameConflict", "listener default/gw/b: !HostnameConflict",
	  "listener default/gw/c: Accepted"}},
	{"a kind that is not known is dropped",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01",
		  LISTENER("a", "80", ",'allowedRoutes':{'kinds':[{'kind':'Other'}]}") "," LISTENER(
			  "b", "81", ",'allowedRoutes':{'kinds':[{'kind':'Other'},{'kind':'HTTPRoute'}]}")),
	  ROUTE("r", "01", "")},
	 {"listener default/gw/a: Accepted NoConflicts !InvalidRouteKinds dead none 0\n",
	  "listener default/gw/b: Accepted NoConflicts !InvalidRouteKinds live kinds 1\n"}},

	/* attachment */
	{"a name that no listener has",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE_IN("default", "r", "01", "{'name':'gw','sectionName':'x'}", "")},
	 {"route default/r -> gw: !NoMatchingParent", "kinds 0\n", "-attached"}},
	{"a port that no listener has",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE_IN("default", "r", "01", "{'name':'gw','port':81}", "")},
	 {"route default/r -> gw: !NoMatchingParent"}},
	{"name and port of different listeners",
	 {MACHINE, CLASS, GATEWAY("gw", "01", HTTP "," LISTENER("b", "81", "")),
	  ROUTE_IN("default", "r", "01", "{'name':'gw','sectionName':'http','port':81}", "")},
	 {"route default/r -> gw: !NoMatchingParent"}},
	{"one listener by name",
	 {MACHINE, CLASS, GATEWAY("gw", "01", HTTP "," LISTENER("b", "81", "")),
	  ROUTE_IN("default", "r", "01", "{'name':'gw','sectionName':'b'}", "")},
	 {"route default/r -> gw: Accepted", "attached default/r: gw/b *\n", "-gw/http *",
	  "listener default/gw/http: Accepted NoConflicts ResolvedRefs live kinds 0\n"}},
	{"another namespace, Same",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE_IN("x", "r", "01", "{'name':'gw','namespace':'default'}", "")},
	 {"route x/r -> gw: !NotAllowedByListeners", "kinds 0\n"}},
	{"another namespace, All",
	 {MACHINE, CLASS, GATEWAY("gw", "01", LISTENER("http", "80", FROM_ALL)),
	  ROUTE_IN("x", "r", "01", "{'name':'gw','namespace':'default'}", "")},
	 {"route x/r -> gw: Accepted", "kinds 1\n"}},
	{"Selector without a selector",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01",
		  LISTENER("a", "80", ",'allowedRoutes':{'namespaces':{'from':'Selector'}}") "," LISTENER("b", "81", ""))},
	 {"gateway default/gw: ListenersNotValid Programmed", "listener default/gw/a: !Invalid",
	  "listener default/gw/b: Accepted"}},
	{"a selector with an operator of its own",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01",
		  LISTENER("a", "80", ",'allowedRoutes':{'namespaces':{'from':'Selector',"
					  "'selector':{'matchExpressions':[{'key':'a','operator':'Foo'}]}}}") "," LISTENER("b", "81", ""))},
	 {"gateway default/gw: ListenersNotValid Programmed", "listener default/gw/a: !Invalid",
	  "listener default/gw/b: Accepted"}},
	{"a selector that lists nothing",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01",
		  LISTENER("a", "80", ",'allowedRoutes':{'namespaces':{'from':'Selector',"
					  "'selector':{'matchExpressions':[{'key':'b','operator':'Exists'},{'key':'a','operator':'In'}]}}}") "," LISTENER("b", "81", ""))},
	 {"gateway default/gw: ListenersNotValid Programmed", "listener default/gw/a: !Invalid",
	  "listener default/gw/b: Accepted"}},
	{"a selector with values that do not count",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01",
		  LISTENER("a", "80", ",'allowedRoutes':{'namespaces':{'from':'Selector',"
					  "'selector':{'matchExpressions':[{'key':'a','operator':'Exists','values':['x']}]}}}") "," LISTENER("b", "81", ""))},
	 {"gateway default/gw: ListenersNotValid Programmed", "listener default/gw/a: !Invalid",
	  "listener default/gw/b: Accepted"}},
	{"another namespace, Selector",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01",
		  LISTENER("http", "80",
			   ",'allowedRoutes':{'namespaces':{'from':'Selector','selector':{'matchLabels':{'team':'a'},'"
			   "matchExpressions':[{'key':'env','operator':'NotIn','values':['dev']}]}}}")),
	  NAMESPACE("x", "'team':'a'"), NAMESPACE("y", "'team':'b'"), NAMESPACE("z", "'team':'a','env':'dev'"),
	  ROUTE_IN("x", "r", "01", "{'name':'gw','namespace':'default'}", ""),
	  ROUTE_IN("y", "r", "01", "{'name':'gw','namespace':'default'}", ""),
	  ROUTE_IN("z", "r", "01", "{'name':'gw','namespace':'default'}", "")},
	 {"route x/r -> gw: Accepted", "route y/r -> gw: !NotAllowedByListeners",
	  "route z/r -> gw: !NotAllowedByListeners"}},
	{"a selector by the name of the namespace",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01",
		  LISTENER("http", "80",
			   ",'allowedRoutes':{'namespaces':{'from':'Selector','selector':{'matchLabels':{'kubernetes."
			   "io/metadata.name':'x'}}}}")),
	  NAMESPACE("x", ""), ROUTE_IN("x", "r", "01", "{'name':'gw','namespace':'default'}", "")},
	 {"route x/r -> gw: Accepted"}},
	{"hostnames that meet",
	 {MACHINE, CLASS,
	  GATEWAY("gw", "01",
		  LISTENER("w", "80", ",'hostname':'*.a.example'") "," LISTENER("e", "81",
										",'hostname':'b.a.example'")),
	  ROUTE("r", "01", ",'hostnames':['*.example','c.a.example','a.example','other.test']")},
	 {"attached default/r: gw/w *.a.example\nattached default/r: gw/w c.a.example\nattached default/r: gw/e "
	  "b.a.example\n",
	  "-gw/w a.example", "-gw/e c.a.example", "-other.test"}},
	{"hostnames that do not meet",
	 {MACHINE, CLASS, GATEWAY("gw", "01", LISTENER("w", "80", ",'hostname':'*.a.example'")),
	  ROUTE("r", "01", ",'hostnames':['a.example']")},
	 {"route default/r -> gw: !NoMatchingListenerHostname", "kinds 0\n"}},
	{"two refs to one listener attach once",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE_IN("default", "r", "01", "{'name':'gw','sectionName':'http'},{'name':'gw','port':80}", "")},
	 {"kinds 1\n", "attached default/r: gw/http *\nmachine"}},
	{"a parent that is not a Gateway",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE_IN("default", "r", "01", "{'group':'','kind':'Service','name':'gw'}", "")},
	 {"-route default/r"}},
	{"two gateways",
	 {MACHINE, CLASS, DEFAULT_GW, GATEWAY("two", "02", HTTP),
	  ROUTE_IN("default", "r", "01", "{'name':'gw'},{'name':'two','sectionName':'x'}", "")},
	 {"route default/r -> gw: Accepted", "route default/r -> two: !NoMatchingParent"}},

	/* backends */
	{"a Service that is not there",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" TO("a") "},{" TO("b") "}")), SERVICE("b")},
	 {"refs !BackendNotFound", "rule default/r/0: status 0 matches 1 weight 1 none:1\n",
	  "rule default/r/1: status 0 matches 1 weight 1 service/default/b/80:1\n", "cluster service/default/b/80:\n"}},
	{"a kind that is not known",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'kind':'Other','group':'x','name':'a'}]}"))},
	 {"refs !InvalidKind", "weight 1 none:1\n"}},
	{"a port that is not there",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A), SERVICE_WITH("default", "a", "{'port':81}")},
	 {"refs !PortNotFound"}},
	{"a protocol that is not spoken",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A),
	  SERVICE_WITH("default", "a", "{'port':80,'appProtocol':'kubernetes.io/h2c'}")},
	 {"refs !UnsupportedProtocol", "none:1"}},
	{"another namespace without a grant",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','namespace':'x','port':80}]}")),
	  SERVICE_WITH("x", "a", "{'port':80}")},
	 {"refs !RefNotPermitted", "none:1"}},
	{"a grant for all",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','namespace':'x','port':80}]}")),
	  SERVICE_WITH("x", "a", "{'port':80}"), GRANT("x", "HTTPRoute", "default", "Service", "")},
	 {"refs ResolvedRefs", "service/x/a/80:1"}},
	{"a grant by name",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','namespace':'x','port':80}]}")),
	  SERVICE_WITH("x", "a", "{'port':80}"), GRANT("x", "HTTPRoute", "default", "Service", ",'name':'a'")},
	 {"refs ResolvedRefs"}},
	{"a grant for another name",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','namespace':'x','port':80}]}")),
	  SERVICE_WITH("x", "a", "{'port':80}"), GRANT("x", "HTTPRoute", "default", "Service", ",'name':'b'")},
	 {"refs !RefNotPermitted"}},
	{"a grant for another kind",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','namespace':'x','port':80}]}")),
	  SERVICE_WITH("x", "a", "{'port':80}"), GRANT("x", "Gateway", "default", "Service", "")},
	 {"refs !RefNotPermitted"}},
	{"a grant for another namespace",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','namespace':'x','port':80}]}")),
	  SERVICE_WITH("x", "a", "{'port':80}"), GRANT("x", "HTTPRoute", "y", "Service", "")},
	 {"refs !RefNotPermitted"}},
	{"a grant in the wrong namespace",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','namespace':'x','port':80}]}")),
	  SERVICE_WITH("x", "a", "{'port':80}"), GRANT("default", "HTTPRoute", "default", "Service", "")},
	 {"refs !RefNotPermitted"}},
	{"ports by name, ready ones, both families, each once",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A),
	  SERVICE_WITH("default", "a", "{'name':'web','port':80},{'name':'admin','port':81}"),
	  SLICE_WITH("default", "s1", "a", "IPv4", "{'name':'admin','port':9},{'name':'web','port':8080}",
		     "{'addresses':['198.18.1.12'],'conditions':{'ready':true}},{'addresses':['198.18.1.13'],'"
		     "conditions':{'ready':false}},{'addresses':['198.18.1.11']}"),
	  SLICE_WITH("default", "s2", "a", "IPv4", "{'name':'web','port':8080}", "{'addresses':['198.18.1.11']}"),
	  SLICE_WITH("default", "s3", "a", "IPv6", "{'name':'web','port':8081}", "{'addresses':['2001:2:0:1::11']}"),
	  SLICE_WITH("default", "s4", "b", "IPv4", "{'name':'web','port':8081}", "{'addresses':['198.18.1.99']}"),
	  SLICE_WITH("other", "s5", "a", "IPv4", "{'name':'web','port':8081}", "{'addresses':['198.18.1.98']}")},
	 {"cluster service/default/a/80: 198.18.1.11 port 8080 198.18.1.12 port 8080 2001:2:0:1::11 port 8081\n"}},
	{"a Service that publishes what is not ready",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A),
	  "{'apiVersion':'v1','kind':'Service'," META("default", "a", "01") ",'spec':{'publishNotReadyAddresses':true,"
	  "'ports':[{'port':80}]}}",
	  SLICE_WITH("default", "s1", "a", "IPv4", "{'port':8080}",
		     "{'addresses':['198.18.1.13'],'conditions':{'ready':false}},{'addresses':['198.18.1.11']}")},
	 {"cluster service/default/a/80: 198.18.1.11 port 8080 198.18.1.13 port 8080\n"}},
	{"of an endpoint's addresses the first is used",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A), SERVICE("a"),
	  SLICE("a", "198.18.1.12','198.18.1.11")},
	 {"cluster service/default/a/80: 198.18.1.12 port 8080\n"}},
	{"websockets need nothing of their own",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A),
	  SERVICE_WITH("default", "a", "{'port':80,'appProtocol':'kubernetes.io/ws'}")},
	 {"refs ResolvedRefs", "service/default/a/80:1"}},
	{"what cannot be known counts as ready, what terminates does not",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A), SERVICE("a"),
	  SLICE_WITH("default", "s1", "a", "IPv4", "{'port':8080}",
		     "{'addresses':['198.18.1.11'],'conditions':{}},"
		     "{'addresses':['198.18.1.12'],'conditions':{'ready':null,'serving':true}},"
		     "{'addresses':['198.18.1.13'],'conditions':{'ready':false,'serving':true,'terminating':true}},"
		     "{'addresses':['198.18.1.14'],'conditions':{'ready':false,'serving':false}}")},
	 {"cluster service/default/a/80: 198.18.1.11 port 8080 198.18.1.12 port 8080\n"}},
	{"none is ready: those that terminate but serve",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A), SERVICE("a"),
	  SLICE_WITH("default", "s1", "a", "IPv4", "{'port':8080}",
		     "{'addresses':['198.18.1.12'],'conditions':{'ready':false,'terminating':true}},"
		     "{'addresses':['198.18.1.13'],'conditions':{'ready':false,'serving':true,'terminating':true}},"
		     "{'addresses':['198.18.1.14'],'conditions':{'ready':false,'serving':true}}")},
	 {"cluster service/default/a/80: 198.18.1.13 port 8080\n"}},
	{"the number is the slice's, else that of targetPort, else that of the port",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','port':80},{'name':'a','port':81},{'name':'a','port':82}]}")),
	  SERVICE_WITH("default", "a", "{'name':'x','port':80,'targetPort':'x'},{'name':'y','port':81,'targetPort':9},"
				       "{'name':'z','port':82,'targetPort':'z'}"),
	  SLICE_WITH("default", "s1", "a", "IPv4", "{'name':'x','port':7},{'name':'y'},{'name':'z'}",
		     "{'addresses':['198.18.1.11']}")},
	 {"cluster service/default/a/80: 198.18.1.11 port 7\n", "cluster service/default/a/81: 198.18.1.11 port 9\n",
	  "cluster service/default/a/82: 198.18.1.11 port 82\n"}},
	{"a headless Service is like any other",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A),
	  "{'apiVersion':'v1','kind':'Service'," META("default", "a", "01") ",'spec':{'clusterIP':'None',"
	  "'ports':[{'port':80,'targetPort':8080}]}}", SLICE("a", "198.18.1.11")},
	 {"cluster service/default/a/80: 198.18.1.11 port 8080\n"}},
	{"a port of another protocol is not the port",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A),
	  SERVICE_WITH("default", "a", "{'name':'u','port':80,'protocol':'UDP'},{'name':'t','port':80}"),
	  SLICE_WITH("default", "s1", "a", "IPv4", "{'name':'t','port':1,'protocol':'UDP'},{'name':'t','port':2}",
		     "{'addresses':['198.18.1.11']}")},
	 {"cluster service/default/a/80: 198.18.1.11 port 2\n"}},
	{"names in slices are refused, with or without addresses",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A), SERVICE("a"), SLICE("a", "198.18.1.11"),
	  SLICE_WITH("default", "s2", "a", "FQDN", "{'port':8080}", "{'addresses':['x.example']}")},
	 {"refs !UnsupportedAddressType", "none:1"}},
	{"names for another port are none of its business",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A), SERVICE("a"), SLICE("a", "198.18.1.11"),
	  SLICE_WITH("default", "s2", "a", "FQDN", "{'name':'x','port':8080}", "{'addresses':['x.example']}")},
	 {"refs ResolvedRefs", "cluster service/default/a/80: 198.18.1.11 port 8080\n"}},
	{"a Service with affinity to clients",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A),
	  "{'apiVersion':'v1','kind':'Service'," META("default", "a", "01") ",'spec':{'sessionAffinity':'ClientIP',"
	  "'ports':[{'port':80}]}}"},
	 {"refs !InvalidBackendRef", "none:1"}},
	{"a Service without affinity says so",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A),
	  "{'apiVersion':'v1','kind':'Service'," META("default", "a", "01") ",'spec':{'sessionAffinity':'None',"
	  "'ports':[{'port':80}]}}"},
	 {"refs ResolvedRefs", "service/default/a/80:1"}},
	{"a family that the machine has not",
	 {MACHINE_WITH("'ports':[{'name':'p','device':'d'}],'addresses':[{'address':'10.0.0.1/"
		       "24','port':'p'}],'vipPool':[{'cidr':'10.0.0.128/28'}]"),
	  CLASS, DEFAULT_GW, ROUTE("r", "01", RULE_A), SERVICE("a"), SLICE("a", "10.0.0.7"),
	  SLICE_WITH("default", "s6", "a", "IPv6", "{'port':8080}", "{'addresses':['2001:2::7']}")},
	 {"cluster service/default/a/80: 10.0.0.7 port 8080\n"}},
	{"a Backend",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01",
		RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b','weight':3}]}")),
	  BACKEND_WITH("b", "'endpoints':[{'ip':{'address':'198.18.1.12','port':81}},{'ip':{'address':'198.18.1.11','"
			    "port':80}}]")},
	 {"refs ResolvedRefs", "weight 3 backend/default/b:3\n",
	  "cluster backend/default/b: 198.18.1.11 port 80 198.18.1.12 port 81\n", "backend b: ok\n"}},
	{"a Backend with what is not supported",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'endpoints':[{'ip':{'address':'198.18.1.12','port':81}},{'unix':{'path':'/run/b.sock'}}]")},
	 {"refs !InvalidBackendRef", "none:1", "backend b: spec.endpoints[1].unix is not supported"}},
	{"a Backend that is the box itself",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'endpoints':[{'fqdn':{'hostname':'localhost','port':81}}]")},
	 {"refs !InvalidBackendRef", "none:1", "backend b: spec.endpoints[0].fqdn.hostname: localhost is not a name"}},
	{"a Backend at an address that no other host has",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'endpoints':[{'ip':{'address':'224.0.0.1','port':81}}]"),
	  BACKEND_WITH("c", "'endpoints':[{'ip':{'address':'0.0.0.0','port':81}}]"),
	  BACKEND_WITH("d", "'endpoints':[{'ip':{'address':'fe80::1','port':81}}]"),
	  BACKEND_WITH("e", "'endpoints':[{'ip':{'address':'127.0.0.1','port':81}}]")},
	 {"refs !InvalidBackendRef", "none:1", "backend b: spec.endpoints[0].ip: 224.0.0.1 port 81 is not",
	  "backend c: spec.endpoints[0].ip: 0.0.0.0 port 81 is not",
	  "backend d: spec.endpoints[0].ip: fe80::1 port 81 is not",
	  "backend e: spec.endpoints[0].ip: 127.0.0.1 port 81 is not"}},
	{"a Backend without a port",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'endpoints':[{'fqdn':{'hostname':'x.example','port':0}}]")},
	 {"refs !InvalidBackendRef", "none:1", "backend b: spec.endpoints[0].fqdn.port: 0 is not"}},
	{"a Backend that is resolved from the request",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'type':'DynamicResolver'")},
	 {"refs !InvalidBackendRef", "none:1", "backend b: spec.type: DynamicResolver is not supported"}},
	{"a Backend with a hostname of its own",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'endpoints':[{'ip':{'address':'198.18.1.12','port':81}},"
			    "{'hostname':'x.example','ip':{'address':'198.18.1.11','port':81}}]")},
	 {"refs !InvalidBackendRef", "none:1", "backend b: spec.endpoints[1].hostname is not supported"}},
	{"a Backend with a zone",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'endpoints':[{'zone':'z','ip':{'address':'198.18.1.12','port':81}}]")},
	 {"refs !InvalidBackendRef", "none:1", "backend b: spec.endpoints[0].zone is not supported"}},
	{"a Backend that speaks websockets",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'appProtocols':['gateway.envoyproxy.io/ws'],"
			    "'endpoints':[{'ip':{'address':'198.18.1.12','port':81}}]")},
	 {"refs ResolvedRefs", "backend b: ok"}},
	{"a Backend that speaks HTTP/2",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'appProtocols':['gateway.envoyproxy.io/ws','gateway.envoyproxy.io/h2c'],"
			    "'endpoints':[{'ip':{'address':'198.18.1.12','port':81}}]")},
	 {"refs !UnsupportedProtocol", "none:1", "backend b: spec.appProtocols[1]: gateway.envoyproxy.io/h2c is not"}},
	{"a Backend over TLS never becomes plain text",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
	  BACKEND_WITH("b", "'tls':{'wellKnownCACertificates':'System'},'endpoints':[{'ip':{'address':'198.18.1.12','"
			    "port':443}}]")},
	 {"refs !InvalidBackendRef", "none:1"}},
	{"weights",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01",
		RULES("{'backendRefs':[{'name':'a','port':80,'weight':7},{'name':'b','port':80,'weight':0},{'name':'c',"
		      "'port':80}]}")),
	  SERVICE("a"), SERVICE("b")},
	 {"rule default/r/0: status 0 matches 1 weight 8 service/default/a/80:7 service/default/b/80:0 none:1\n"}},
	{"only weights of 0",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','port':80,'weight':0}]}")),
	  SERVICE("a")},
	 {"rule default/r/0: status 500", "refs ResolvedRefs"}},
	{"no backends",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{}"))},
	 {"rule default/r/0: status 500 matches 1", "refs ResolvedRefs", "route default/r -> gw: Accepted"}},
	{"no backends but a redirect",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01",
		RULES("{'filters':[{'type':'RequestRedirect','requestRedirect':{'scheme':'https','statusCode':301}}]"
		      "}"))},
	 {"rule default/r/0: status 0 matches 1"}},

	/* rules that cannot be obeyed */
	{"a filter that is not supported fails alone",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" TO("a") "},{" BAD_FILTER "," TO("a") "}")),
	  SERVICE("a")},
	 {"route default/r -> gw: Accepted, refs ResolvedRefs, partial Dropped Rule 1: filters[0].",
	  "rule default/r/0: status 0", "rule default/r/1: status 500", "kinds 1\n"}},
	{"no rule is left",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" BAD_FILTER "," TO("a") "}")), SERVICE("a")},
	 {"route default/r -> gw: !UnsupportedValue", "rule default/r/0: status 500", "kinds 0\n",
	  "attached default/r"}},
	{"a filter whose content is refused",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'filters':[{'type':'RequestRedirect','requestRedirect':{'scheme':'ftp'}}]},{}"))},
	 {"partial Dropped Rule 0: filters[0].requestRedirect.scheme: ", "rule default/r/0: status 500"}},
	{"32 a type of filters that is not known",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{'filters':[{'type':'Teleport'}]," TO("a") "},{}"))},
	 {"route default/r -> gw: Accepted", "partial Dropped Rule 0: filters[0].type: ", "rule default/r/0: status 500"}},
	{"32 a status of redirects that is not known",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'filters':[{'type':'RequestRedirect','requestRedirect':{'statusCode':300}}]}"))},
	 {"route default/r -> gw: !UnsupportedValue", "rule default/r/0: status 500"}},
	{"32 a type of path modifiers that is not known",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'filters':[{'type':'URLRewrite','urlRewrite':{'path':{'type':'X'}}}]," TO("a") "},{}"))},
	 {"partial Dropped Rule 0: filters[0].urlRewrite.path.type: ", "rule default/r/0: status 500"}},
	{"32 a type of paths that is not known",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{'matches':[{" PATH("Glob", "/x") "}]," TO("a") "},{}"))},
	 {"partial Dropped Rule 0: ", "rule default/r/0: status 500 matches 0"}},
	{"32 a type of header matches that is not known",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'matches':[{'headers':[{'type':'Glob','name':'x','value':'*'}]}]," TO("a") "},{}"))},
	 {"partial Dropped Rule 0: ", "rule default/r/0: status 500 matches 0"}},
	{"32 a method that is not known",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{'matches':[{'method':'PURGE'}]," TO("a") "}"))},
	 {"route default/r -> gw: !UnsupportedValue", "rule default/r/0: status 500 matches 0"}},
	{"CONNECT is a method, too",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'matches':[{'method':'CONNECT'},{'method':'TRACE'}]," TO("a") "},{}"))},
	 {"rule default/r/0: status 0 matches 2"}},
	{"a filter of a kind that is not known",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'filters':[{'type':'ExtensionRef','extensionRef':{'group':'x.example',"
				 "'kind':'Teleport','name':'t'}}]," TO("a") "},{}")),
	  SERVICE("a")},
	 {"Accepted, refs !InvalidKind, partial Dropped Rule 0: filters[0].extensionRef: the kind x.example/Teleport",
	  "rule default/r/0: status 500"}},
	{"a mirror's backend is a cluster",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{'filters':[" MIRROR("b") "]," TO("a") "}")), SERVICE("a"),
	  SERVICE("b"), SLICE("b", "198.18.1.12")},
	 {"route default/r -> gw: Accepted, refs ResolvedRefs\n", "rule default/r/0: status 0",
	  "cluster service/default/b/80: 198.18.1.12 port 8080\n"}},
	{"a mirror of a backend",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','port':80,'filters':[" MIRROR("b") "]}]}")), SERVICE("a"),
	  SERVICE("b")},
	 {"rule default/r/0: status 0", "cluster service/default/b/80:"}},
	{"a mirror that leads nowhere is left out",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{'filters':[" MIRROR("b") "]," TO("a") "}")),
	  SERVICE("a")},
	 {"route default/r -> gw: Accepted, refs !BackendNotFound\n", "rule default/r/0: status 0 matches 1 weight 1"}},
	{"a mirror without permission",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'filters':[{'type':'RequestMirror','requestMirror':{'backendRef':{'name':'b',"
				 "'namespace':'other','port':80}}}]," TO("a") "}")), SERVICE("a")},
	 {"refs !RefNotPermitted\n", "rule default/r/0: status 0"}},
	{"a mirror after a redirect",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'filters':[{'type':'RequestRedirect','requestRedirect':{}}," MIRROR("a") "]}")),
	  SERVICE("a")},
	 {"!UnsupportedValue", "rule default/r/0: status 500"}},
	{"an HTTPRouteFilter that answers needs no backends",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" EXTENSION "}")),
	  ROUTE_FILTER("'directResponse':{'statusCode':503,'body':{'type':'Inline','inline':'later'}}")},
	 {"route default/r -> gw: Accepted, refs ResolvedRefs\n", "rule default/r/0: status 0 matches 1"}},
	{"an answer out of a ConfigMap",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" EXTENSION "}")),
	  ROUTE_FILTER("'directResponse':{'body':{'type':'ValueRef','valueRef':{'group':'','kind':'ConfigMap','name':'c'}}}"),
	  "{'apiVersion':'v1','kind':'ConfigMap'," META("default", "c", "01") ",'data':{'page':'text'}}"},
	 {"route default/r -> gw: Accepted, refs ResolvedRefs\n", "rule default/r/0: status 0"}},
	{"an answer out of a ConfigMap that is not there",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" EXTENSION "},{}")),
	  ROUTE_FILTER("'directResponse':{'body':{'type':'ValueRef','valueRef':{'group':'','kind':'ConfigMap','name':'c'}}}")},
	 {"refs !BackendNotFound", "partial Dropped Rule 0: filters[0]: the ConfigMap default/c has no text",
	  "rule default/r/0: status 500"}},
	{"a host out of a header",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" EXTENSION "," TO("a") "}")), SERVICE("a"),
	  ROUTE_FILTER("'urlRewrite':{'hostname':{'type':'Header','header':'x-host'}}")},
	 {"route default/r -> gw: Accepted, refs ResolvedRefs\n", "rule default/r/0: status 0"}},
	{"an HTTPRouteFilter that is not there",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" EXTENSION "," TO("a") "},{}")), SERVICE("a")},
	 {"refs !BackendNotFound", "the HTTPRouteFilter default/f does not exist", "rule default/r/0: status 500"}},
	{"an HTTPRouteFilter that asks for what is not done",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" EXTENSION "," TO("a") "},{}")), SERVICE("a"),
	  ROUTE_FILTER("'urlRewrite':{'path':{'type':'ReplaceRegexMatch','replaceRegexMatch':{'pattern':'a',"
		       "'substitution':'b'}}}")},
	 {"refs ResolvedRefs", "partial Dropped Rule 0: filters[0]: urlRewrite.path of the HTTPRouteFilter f is not supported",
	  "rule default/r/0: status 500"}},
	{"an HTTPRouteFilter with a credential",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" EXTENSION "," TO("a") "},{}")), SERVICE("a"),
	  ROUTE_FILTER("'credentialInjection':{'credential':{'valueRef':{'name':'s'}}}")},
	 {"filters[0]: credentialInjection of the HTTPRouteFilter f is not supported", "rule default/r/0: status 500"}},
	{"an HTTPRouteFilter that asks for nothing",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" EXTENSION "," TO("a") "},{}")), SERVICE("a"),
	  ROUTE_FILTER("")},
	 {"filters[0]: the HTTPRouteFilter f asks for nothing", "rule default/r/0: status 500"}},
	{"an answer with a command",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{" EXTENSION "},{}")),
	  ROUTE_FILTER("'directResponse':{'body':{'type':'Inline','inline':'at %START_TIME%'}}")},
	 {"filters[0].directResponse.body: command operators", "rule default/r/0: status 500"}},
	{"a redirect of a backend",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','port':80,'filters':[{'type':'RequestRedirect',"
				 "'requestRedirect':{}}]}]},{}")), SERVICE("a")},
	 {"route default/r -> gw: Accepted, refs ResolvedRefs\n", "rule default/r/0: status 0 matches 1 weight 1"}},
	{"a filter of a backend",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'backendRefs':[{'name':'a','port':80," BAD_FILTER "}]},{}")), SERVICE("a")},
	 {"partial Dropped Rule 0: backendRefs[0].filters[0].", "rule default/r/0: status 500"}},
	{"a bad regular expression: the match is left out, the rule answers 500, the others serve",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'matches':[{" PATH("RegularExpression", "/x[") "},{" PATH("Exact", "/y") "}]," TO("a")
				 "},{" TO("a") "}")),
	  SERVICE("a")},
	 {"partial Dropped Rule 0: path /x[: not a regular expression that can be used: missing ]: [",
	  "rule default/r/0: status 500 matches 1", "rule default/r/1: status 0 matches 1", "regexes 0\n"}},
	{"a bad regular expression for a header",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'matches':[{'headers':[{'type':'RegularExpression','name':'x','value':'(?=a)'}]}],"
				 TO("a") "},{}"))},
	 {"rule default/r/0: status 500 matches 0",
	  "partial Dropped Rule 0: value of a header (?=a): not a regular expression that can be used: invalid perl"}},
	{"a regular expression for a parameter that would cost too much",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'matches':[{'queryParams':[{'type':'RegularExpression','name':'x','value':'a{600}'}]}],"
				 TO("a") "},{}"))},
	 {"partial Dropped Rule 0: value of a query parameter a{600}: not a regular expression that can be used: it has "}},
	{"regular expressions: equal ones are one, and only what is used counts",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'matches':[{" PATH("RegularExpression", "/x.*") "},{" PATH("RegularExpression", "/x.*")
				 ",'headers':[{'type':'RegularExpression','name':'h','value':'a|b'}]}]," TO("a") "}")),
	  ROUTE_IN("default", "elsewhere", "02", "{'name':'none'}",
		   RULES("{'matches':[{" PATH("RegularExpression", "/z.*") "}]," TO("a") "}")),
	  SERVICE("a")},
	 {"rule default/r/0: status 0 matches 2", "regexes 2\nregex /x.*\nregex a|b\n"}},
	{"paths are brought into their normal form",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'matches':[{" PATH("Exact", "/%7Euser/%41") "},{" PATH("PathPrefix", "/a%2Cb/") "}],"
				 TO("a") "}")),
	  SERVICE("a")},
	 {"path default/r/0: /~user/A", "path default/r/0: /a%2Cb/"}},
	{"paths that no request can have",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01", RULES("{'matches':[{" PATH("Exact", "/a%00") "}]," TO("a") "},{'matches':[{"
				 PATH("PathPrefix", "/a%5Cb") "}]," TO("a") "},{}")),
	  SERVICE("a")},
	 {"partial Dropped Rule 0: path /a%00: requests with %00 are refused; Rule 1: path /a%5Cb: requests with an escaped"
	  " slash are redirected (answers 500)"}},
	{"retry and persistence",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01",
		RULES("{'retry':{'attempts':3,'codes':[500,504],'backoff':'1s'}," TO("a") "},"
		      "{'retry':{},'sessionPersistence':{}," TO("a") "},"
		      "{'sessionPersistence':{'sessionName':'s','type':'Header','absoluteTimeout':'1s500ms'}," TO("a") "},"
		      "{'sessionPersistence':{'absoluteTimeout':'99999h','cookieConfig':{'lifetimeType':'Permanent'}},"
		      TO("a") "}")),
	  SERVICE("a")},
	 {"rule default/r/0: status 0 matches 1 weight 1 service/default/a/80:1 retry 3 1000 500 504\n",
	  "rule default/r/1: status 0 matches 1 weight 1 service/default/a/80:1 retry 2 0 503 cookie "
	  "sluice-session-", "rule default/r/2: status 0 matches 1 weight 1 service/default/a/80:1 header s 2\n",
	  " permanent 359996400\n"}},
	{"retry and persistence that cannot be done",
	 {MACHINE, CLASS, DEFAULT_GW,
	  ROUTE("r", "01",
		RULES("{'retry':{'attempts':101}," TO("a") "},{'retry':{'backoff':'9999h'}," TO("a") "},"
		      "{'sessionPersistence':{'sessionName':'a b'}," TO("a") "},"
		      "{'sessionPersistence':{'sessionName':'Host','type':'Header'}," TO("a") "},{" TO("a") "}")),
	  SERVICE("a")},
	 {"Dropped Rule 0: retry.attempts: 101 is not between 1 and 100; Rule 1: retry.backoff: ",
	  "Rule 2: sessionPersistence.sessionName: \"a b\" cannot be the name", "Rule 3: sessionPersistence.sessionName: "
	  "\"Host\" is taken"}},
	{"a timeout that is no duration",
	 {MACHINE, CLASS, DEFAULT_GW, ROUTE("r", "01", RULES("{'timeouts':{'request':'1y'}," TO("a") "},{}")),
	  SERVICE("a")},
	 {"partial Dropped Rule 0: timeouts.request"}},
};

static void run_row(void **state)
{
	const struct row *row = *state;
	struct snapshot *s = world_new(row->objects, NULL);
	struct model *m = model_new(s, NULL, NULL);
	static char text[1 << 16];

	text[0] = '\0';
	describe_gateways(m, text, sizeof(text));
	describe_routes(m, text, sizeof(text));
	describe_rest(m, text, sizeof(text));
	for (size_t i = 0; i < sizeof(row->lines) / sizeof(row->lines[0]) && row->lines[i] != NULL; i++) {
		const char *line = row->lines[i];

		if (line[0] == '-' ? strstr(text, line + 1) != NULL : strstr(text, line) == NULL)
			fail_msg("%s: line %zu \"%s\" in:\n%s", row->name, i, line, text);
	}
	model_free(m);
	snapshot_put(s);
}

/* Durations, by the row. */
bool duration_parse(const char *text, uint32_t *ms);

static void test_durations(void **state)
{
	static const struct { const char *text; int64_t ms;
	} durations[] = {
		{"0s", 0},
		{"500ms", 500},
		{"1h30m", 5400000},
		{"1h1m1s1ms", 3661001},
		{"10s", 10000},
		{"", -1},
		{"1", -1},
		{"s", -1},
		{"1.5s", -1},
		{"123456s", -1},
		{"1s1s1s1s1s", -1},
		{"-1s", -1},
		{"99999h99999h", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		uint32_t ms = 0;
		const bool good = duration_parse(durations[i].text, &ms);

		if (good != (durations[i].ms >= 0) || (good && ms != durations[i].ms))
			fail_msg("duration \"%s\"", durations[i].text);
	}
}

/* The Machine was deleted: its ports, addresses and pool are those of before, the other objects are obeyed. */
static void test_machine_deleted(void **state)
{
	static const char *const with[] = {MACHINE, CLASS, DEFAULT_GW, NULL}, *const without[] = {CLASS, DEFAULT_GW, NULL};
	struct snapshot *before = world_new(with, NULL), *now = world_new(without, NULL);
	struct model *m = model_new(now, NULL, before);

	(void)state;
	assert_null(m->machine.object);
	assert_int_equal(m->machine.workers, 2);
	assert_int_equal(m->machine.ports_n, 2);
	assert_string_equal(m->machine.ports[0].device, "net_null0");
	assert_int_equal(m->gateways_n, 1);
	assert_int_equal(m->gateways[0].addresses_n, 2);
	model_free(m);
	m = model_new(now, NULL, NULL);
	assert_int_equal(m->machine.ports_n, 0);
	assert_int_equal(m->gateways[0].addresses_n, 0);
	model_free(m);
	snapshot_put(before);
	snapshot_put(now);
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct CMUnitTest tests[ROWS + 2];

	for (size_t i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = run_row, .initial_state = (void *)(uintptr_t)&rows[i],
		};
	tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(test_durations);
	tests[ROWS + 1] = (struct CMUnitTest)cmocka_unit_test(test_machine_deleted);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
