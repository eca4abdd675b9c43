/*
 * Routing: from (address, port, request) to the rule that serves it. Pure lookup on the tables; nothing is kept.
 *
 * Precedence is the Gateway API's (HTTPRouteRule.matches): listener by Host (isolation), hostname, exact path, longest
 * prefix, method, headers, query parameters, age, name, rule.
 */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "http/http.h"
#include "table/table.h"

enum route_answer {
	ROUTE_FOUND,
	ROUTE_NO_LISTENER,  /* no listener for this Host on the address: 404 */
	ROUTE_NO_RULE,      /* 404 */
};

struct route_result {
	const struct table_listener *listener;
	const struct table_rule *rule;
	const struct table_match *match;
};

enum route_answer route_find(const struct table *t, const struct addr *local, uint16_t port,
                             const struct http_message *request, struct route_result *out);

#endif
