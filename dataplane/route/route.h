/*
 * Routing: from (address, port, request) to the rule that serves it. Pure lookup on the tables; nothing is kept.
 *
 * Precedence is the Gateway API's (HTTPRouteRule.matches): listener by Host (isolation), hostname, exact path, longest
 * prefix, method, headers, query parameters, age, name, rule. Regular expressions of paths, whose place it leaves open,
 * come between exact paths and prefixes, longer patterns first, as in Envoy Gateway.
 */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "http/http.h"
#include "route/regex.h"
#include "table/table.h"

enum route_answer {
	ROUTE_FOUND,
	ROUTE_NO_LISTENER,  /* no listener for this Host on the address: 404 */
	ROUTE_NO_RULE,      /* 404 */
	ROUTE_TOO_MUCH,     /* its regular expressions would cost too much on this request: 431 */
};

struct route_result {
	const struct table_listener *listener;
	const struct table_vhost *vhost;
	const struct table_rule *rule;
	const struct table_match *match;
};

/* regexes: this thread's, by index in the table's list; null when the table has none. */
enum route_answer route_find(const struct table *t, struct regex *const *regexes, const struct addr *local,
                             uint16_t port, const struct http_message *request, struct route_result *out);

/*
 * The same, and a report of every match that was looked at, in order of precedence, also of those after the winner.
 * Slow; for explanations.
 */
enum route_verdict {
	ROUTE_WON,
	ROUTE_LESS_SPECIFIC,    /* it holds, but another one before it did */
	ROUTE_OTHER_PATH,       /* its regular expression does not match the path */
	ROUTE_OTHER_METHOD,
	ROUTE_OTHER_HEADER,     /* `predicate` is the first that does not hold */
	ROUTE_OTHER_QUERY,
};

enum route_kind { ROUTE_EXACT, ROUTE_REGEX, ROUTE_PREFIX };

struct route_look {
	const struct table_vhost *vhost;
	const struct table_match *match;
	const struct table_predicate *predicate;
	enum route_kind kind;
	enum route_verdict verdict;
};

struct route_trace {
	void (*on_look)(void *user, const struct route_look *look);
	void *user;
};

enum route_answer route_explain(const struct table *t, struct regex *const *regexes, const struct addr *local,
                                uint16_t port, const struct http_message *request, struct route_result *out,
                                const struct route_trace *trace);

#endif
