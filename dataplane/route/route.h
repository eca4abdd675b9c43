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
#include "route/target.h"
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

/*
 * A request's host, and the memory that the rest of the lookup will read, asked for in two steps before it: between
 * them something else can be done. route_host() on its head; route_fetch() 100 cycles later; then route_find_at().
 */
struct route_host {
	const struct table_listener *listener;       /* null: there is none */
	uint32_t hash;                               /* as from table_seek_vhost() */
	uint32_t likely;                             /* virtual host, as from table_fetch_vhost() */
	struct text text;                            /* in the request, or in `room` */
	char room[TARGET_HOST_MAX];
};
void route_host(const struct table *t, const struct addr *local, uint16_t port, struct text authority,
                struct route_host *out);
void route_fetch(const struct table *t, struct route_host *h);
enum route_answer route_find_at(const struct table *t, struct regex *const *regexes, const struct route_host *h,
                                const struct http_message *request, struct route_result *out);

/* All of that at once. regexes: this thread's, by index in the table's list; null when the table has none. */
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
