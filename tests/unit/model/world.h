/*
 * Small worlds for tests of control: objects written in JSON with single quotes, most of them by macros, one text each,
 * so that a test reads as what it is about.
 */
#ifndef TEST_WORLD_H
#define TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/objects.h"

enum { WORLD_MAX = 48 };

#define META(ns, name, created)                                                                                        \
	"'metadata':{'namespace':'" ns "','name':'" name "','generation':3,'creationTimestamp':'2026-01-" created      \
	"T00:00:00Z'}"

#define MACHINE_WITH(spec) "{'apiVersion':'sluice.internal/v1alpha1','kind':'Machine','metadata':{'name':'self'," \
	"'generation':2},'spec':{" spec "}}"
#define MACHINE MACHINE_WITH("'workers':2,'ports':[{'name':'client','device':'net_null0','mtu':1500}," \
	"{'name':'backend','device':'net_null1','mtu':1500}],'addresses':[" \
	"{'address':'198.18.0.1/24','port':'client'},{'address':'2001:2::1/64','port':'client'}," \
	"{'address':'198.18.1.1/24','port':'backend'},{'address':'2001:2:0:1::1/64','port':'backend'}]," \
	"'vipPool':[{'first':'198.18.0.10','last':'198.18.0.12'},{'first':'2001:2::10','last':'2001:2::12'}]")
#define CLASS "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GatewayClass','metadata':{'name':'sluice'," \
	"'generation':1},'spec':{'controllerName':'sluice.internal/gateway-controller'}}"
#define GATEWAY_WITH(ns, name, created, spec, more) "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'Gateway'," \
	META(ns, name, created) ",'spec':{'gatewayClassName':'sluice'," spec "}" more "}"
#define GATEWAY(name, created, listeners) GATEWAY_WITH("default", name, created, "'listeners':[" listeners "]", "")
#define LISTENER(name, port, more) "{'name':'" name "','port':" port ",'protocol':'HTTP'" more "}"
#define FROM_ALL ",'allowedRoutes':{'namespaces':{'from':'All'}}"
#define HTTP LISTENER("http", "80", "")
#define ROUTE_IN(ns, name, created, parents, more) "{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute'," \
	META(ns, name, created) ",'spec':{'parentRefs':[" parents "]" more "}}"
#define ROUTE(name, created, more) ROUTE_IN("default", name, created, "{'name':'gw'}", more)
#define RULES(rules) ",'rules':[" rules "]"
#define PATH(type, value) "'path':{'type':'" type "','value':'" value "'}"
#define TO(service) "'backendRefs':[{'name':'" service "','port':80}]"
#define SERVICE_WITH(ns, name, ports)                                                                                  \
	"{'apiVersion':'v1','kind':'Service'," META(ns, name, "01") ",'spec':{'ports':[" ports "]}}"
#define SERVICE(name) SERVICE_WITH("default", name, "{'port':80,'targetPort':8080}")
#define SLICE_WITH(ns, name, service, type, ports, endpoints)                                                          \
	"{'apiVersion':'discovery.k8s.io/v1','kind':'EndpointSlice',"                                                  \
	"'metadata':{'namespace':'" ns "','name':'" name "','labels':{'kubernetes.io/service-name':'" service "'}},"   \
	"'addressType':'" type "','ports':[" ports "],'endpoints':[" endpoints "]}"
#define SLICE(service, address) SLICE_WITH("default", service "-1", service, "IPv4", "{'port':8080}", \
	"{'addresses':['" address "']}")
#define NAMESPACE(name, labels)                                                                                        \
	"{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'" name "','labels':{" labels "}}}"
#define GRANT(ns, from_kind, from_ns, to_kind, to_more) "{'apiVersion':'gateway.networking.k8s.io/v1beta1'," \
	"'kind':'ReferenceGrant'," META(ns, "grant", "01") ",'spec':{'from':[{'group':'gateway.networking.k8s.io'," \
	"'kind':'" from_kind "','namespace':'" from_ns "'}],'to':[{'group':'','kind':'" to_kind "'" to_more "}]}}"
#define BACKEND_WITH(name, spec) "{'apiVersion':'gateway.envoyproxy.io/v1alpha1','kind':'Backend'," \
	META("default", name, "01") ",'spec':{" spec "}}"

/* The objects (until null) in the order given by `order`, or their own when it is null. */
static inline struct snapshot *world_new(const char *const *objects, const unsigned *order)
{
	size_t n = 0, bytes = 3, used = 0;
	char error[256] = "", *json;
	struct snapshot *s;

	for (; objects[n] != NULL; n++)
		bytes += strlen(objects[n]) + 1;
	json = malloc(bytes);
	assert_non_null(json);
	json[used++] = '[';
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(json + used, bytes - used, "%s%s", i > 0 ? "," : "",
		                         objects[order != NULL ? order[i] : i]);
	json[used++] = ']';
	for (size_t i = 0; i < used; i++)
		json[i] = json[i] == '\'' ? '"' : json[i];
	s = snapshot_from_json(json, used, error);
	if (s == NULL)
		fail_msg("not a world: %s\n%.*s", error, (int)used, json);
	free(json);
	return s;
}

#endif
