/*
 * Precedence against an oracle: random worlds of listeners, hostnames and matches, and for random requests the rule
 * that the data plane's lookup finds on the compiled block must be the one that a plain reading of the Gateway API
 * (HTTPRouteRule.matches, Listener.hostname) chooses: look at every match of every route, keep those that hold, and
 * take the best by the list of criteria. Regular expressions of paths come between exact paths and prefixes, by the
 * length of the pattern. The oracle shares no code with model, compile, table, route or RE2 (it asks regcomp()).
 *
 * A failure prints its seed: SEED=n build/release/unit/compile/test_precedence repeats that world alone.
 */
#include "../model/world.h"
#include <regex.h>

#include "control/compile/compile.h"
#include "route/regexes.h"
#include "route/route.h"
#include "table/table.h"

enum { WORLDS = 400, REQUESTS = 60, ROUTES_MAX = 12, RULES_MAX = 3, MATCHES_MAX = 3, HOSTS_MAX = 3,
       JSON_MAX = 1 << 18 };

static const char *const hosts[] = {"*.example", "*.a.example", "*.b.a.example", "a.example", "b.a.example",
				    "c.b.a.example", "other.test"};
static const char *const asked_hosts[] = {"a.example", "b.a.example", "c.b.a.example", "d.c.b.a.example", "x.example",
					  "example", "other.test", "nobody.test", "z.a.example"};
static const char *const paths[] = {"/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/a/b/"};
/* Written so that POSIX and RE2 agree on what they mean. */
static const char *const patterns[] = {"/.*", "/a.*", "/a|/x", "/[a-z]+", "/a/b(/c)?", "/(a/?)+", "/none"};
static const char *const asked_paths[] = {"/", "/a", "/a/", "/a/b", "/ab", "/abc", "/a/b/c", "/a/b/c/d", "/A", "/a/b/",
                                          "/x"};
static const char *const names[] = {"x", "y"};
static const char *const values[] = {"1", "2"};
static const char *const wanted_values[] = {"1", "2", "~[12]", "~2|3", "~.*"}; /* ~: a regular expression */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct world_match {
	const char *path;
	bool exact, regex, post;
	const char *headers[2], *query[2]; /* the wanted value by name; null: none */
};

struct world_route {
	unsigned day;
	size_t hosts_n, rules_n;
	const char *hosts[HOSTS_MAX];
	size_t matches_n[RULES_MAX];
	struct world_match matches[RULES_MAX][MATCHES_MAX];
};

struct world {
	size_t listeners_n, routes_n;
	const char *listeners[COUNT(hosts) + 1]; /* "" is the one for all */
	struct world_route routes[ROUTES_MAX];
};

struct question {
	const char *host, *path;
	bool post;
	const char *headers[2], *query[2];
};

/* ---- chance ---- */

static uint64_t state_of_chance;

static unsigned below(unsigned n)
{
	state_of_chance ^= state_of_chance << 13;
	state_of_chance ^= state_of_chance >> 7;
	state_of_chance ^= state_of_chance << 17;
	return (unsigned)((state_of_chance >> 20) % n);
}

static void choose_values(const char *out[2], unsigned one_in)
{
	for (int i = 0; i < 2; i++)
		out[i] = below(one_in) == 0 ? values[below(COUNT(values))] : NULL;
}

static void choose_wanted(const char *out[2])
{
	for (int i = 0; i < 2; i++)
		out[i] = below(4) == 0 ? wanted_values[below(COUNT(wanted_values))] : NULL;
}

static void make_route(struct world_route *r)
{
	r->day = 1 + below(4);
	r->hosts_n = below(HOSTS_MAX + 1);
	for (size_t i = 0; i < r->hosts_n; i++)
		r->hosts[i] = hosts[below(COUNT(hosts))];
	r->rules_n = 1 + below(RULES_MAX);
	for (size_t i = 0; i < r->rules_n; i++) {
		r->matches_n[i] = 1 + below(MATCHES_MAX);
		for (size_t k = 0; k < r->matches_n[i]; k++) {
			struct world_match *m = &r->matches[i][k];

			*m = (struct world_match){.path = paths[below(COUNT(paths))], .exact = below(3) == 0,
			                          .post = below(4) == 0};
			if (below(4) == 0) {
				m->path = patterns[below(COUNT(patterns))];
				m->exact = false;
				m->regex = true;
			}
			choose_wanted(m->headers);
			choose_wanted(m->query);
		}
	}
}

static void make_world(struct world *w)
{
	*w = (struct world){0};
	for (size_t i = 0; i < COUNT(hosts); i++) {
		if (below(2) == 0)
			w->listeners[w->listeners_n++] = hosts[i];
	}
	if (below(2) == 0 || w->listeners_n == 0)
		w->listeners[w->listeners_n++] = "";
	w->routes_n = 1 + below(ROUTES_MAX);
	for (size_t i = 0; i < w->routes_n; i++)
		make_route(&w->routes[i]);
}

/* ---- as manifests ---- */

static void put(char *json, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(char *json, const char *format, ...)
{
	const size_t used = strlen(json);
	va_list args;

	va_start(args, format);
	assert_true(vsnprintf(json + used, JSON_MAX - used, format, args) < (int)(JSON_MAX - used));
	va_end(args);
}

static void put_conditions(char *json, const char *member, const char *const wanted[2])
{
	put(json, ",'%s':[", member);
	for (int i = 0, n = 0; i < 2; i++) {
		if (wanted[i] != NULL)
			put(json, "%s{'name':'%s','type':'%s','value':'%s'}", n++ > 0 ? "," : "", names[i],
			    wanted[i][0] == '~' ? "RegularExpression" : "Exact", wanted[i] + (wanted[i][0] == '~'));
	}
	put(json, "]");
}

static void put_route(char *json, const struct world_route *r, size_t number)
{
	put(json, ",{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute','metadata':{'namespace':'default',"
	          "'name':'r%02zu','creationTimestamp':'2026-01-0%uT00:00:00Z'},'spec':{'parentRefs':[{'name':'gw'}],"
	          "'hostnames':[", number, r->day);
	for (size_t i = 0; i < r->hosts_n; i++)
		put(json, "%s'%s'", i > 0 ? "," : "", r->hosts[i]);
	put(json, "],'rules':[");
	for (size_t i = 0; i < r->rules_n; i++) {
		put(json, "%s{'matches':[", i > 0 ? "," : "");
		for (size_t k = 0; k < r->matches_n[i]; k++) {
			const struct world_match *m = &r->matches[i][k];

			put(json, "%s{'path':{'type':'%s','value':'%s'}%s", k > 0 ? "," : "",
			    m->exact ? "Exact" : m->regex ? "RegularExpression" : "PathPrefix",
			    m->path, m->post ? ",'method':'POST'" : "");
			put_conditions(json, "headers", m->headers);
			put_conditions(json, "queryParams", m->query);
			put(json, "}");
		}
		put(json, "]}");
	}
	put(json, "]}}");
}

static struct generation compile_world(const struct world *w)
{
	static char json[JSON_MAX];
	char error[256] = "";
	struct generation g;
	struct snapshot *s;
	struct model *m;

	json[0] = '\0';
	put(json,
	    "[%s,%s,{'apiVersion':'gateway.networking.k8s.io/v1','kind':'Gateway','metadata':{'namespace':'default',"
	          "'name':'gw'},'spec':{'gatewayClassName':'sluice','listeners':[", MACHINE, CLASS);
	for (size_t i = 0; i < w->listeners_n; i++) {
		put(json, "%s{'name':'l%zu','port':80,'protocol':'HTTP'", i > 0 ? "," : "", i);
		if (w->listeners[i][0] != '\0')
			put(json, ",'hostname':'%s'", w->listeners[i]);
		put(json, "}");
	}
	put(json, "]}}");
	for (size_t i = 0; i < w->routes_n; i++)
		put_route(json, &w->routes[i], i);
	put(json, "]");
	for (char *at = json; *at != '\0'; at++)
		*at = *at == '\'' ? '"' : *at;
	s = snapshot_from_json(json, strlen(json), error);
	if (s == NULL)
		fail_msg("%s", error);
	m = model_new(s, NULL, NULL);
	assert_int_equal(generation_compile(m, &g), OK);
	model_free(m);
	snapshot_put(s);
	return g;
}

/* ---- the oracle ---- */

static bool host_holds(const char *pattern, const char *host)
{
	const size_t host_len = strlen(host), suffix_len = strlen(pattern) - (pattern[0] == '*');

	if (pattern[0] == '\0')
		return true;
	if (pattern[0] != '*')
		return strcmp(pattern, host) == 0;
	return host_len > suffix_len && strcmp(host + host_len - suffix_len, pattern + 1) == 0;
}

/* An exact name is before all wildcards, those by their length, none is last. */
static int host_rank(const char *pattern)
{
	if (pattern[0] == '\0')
		return 0;
	return (pattern[0] != '*') * 1000 + (int)strlen(pattern);
}

static const char *listener_of(const struct world *w, const char *host)
{
	const char *best = NULL;

	for (size_t i = 0; i < w->listeners_n; i++) {
		if (host_holds(w->listeners[i], host) && (best == NULL || host_rank(w->listeners[i]) > host_rank(best)))
			best = w->listeners[i];
	}
	return best;
}

/* How specific the hostname is by which the route has this host on this listener; -1: it has not. */
static int route_host_rank(const struct world_route *r, const char *listener, const char *host)
{
	int best = -1;

	if (r->hosts_n == 0)
		return host_rank(listener);
	for (size_t i = 0; i < r->hosts_n; i++) {
		/* The host is the listener's already: the narrower of the two names is what they have in common. */
		const int own = host_rank(r->hosts[i]), rank = own > host_rank(listener) ? own : host_rank(listener);

		if (host_holds(r->hosts[i], host) && rank > best)
			best = rank;
	}
	return best;
}

static size_t without_slash(const char *path)
{
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		n--;
	return n;
}

static bool matches(const char *pattern, const char *text)
{
	char whole[128];
	regex_t compiled;
	bool holds;

	snprintf(whole, sizeof(whole), "^(%s)$", pattern);
	assert_int_equal(regcomp(&compiled, whole, REG_EXTENDED | REG_NOSUB), 0);
	holds = regexec(&compiled, text, 0, NULL, 0) == 0;
	regfree(&compiled);
	return holds;
}

static bool value_holds(const char *wanted, const char *got)
{
	if (wanted == NULL)
		return true;
	return got != NULL && (wanted[0] == '~' ? matches(wanted + 1, got) : strcmp(wanted, got) == 0);
}

static bool path_holds(const struct world_match *m, const char *path)
{
	const size_t n = without_slash(m->path);

	if (m->exact || m->regex)
		return m->exact ? strcmp(m->path, path) == 0 : matches(m->path, path);
	return strncmp(m->path, path, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool match_holds(const struct world_match *m, const struct question *q)
{
	if (!path_holds(m, q->path))
		return false;
	for (int i = 0; i < 2; i++) {
		if (!value_holds(m->headers[i], q->headers[i]) || !value_holds(m->query[i], q->query[i]))
			return false;
	}
	return !m->post || q->post;
}

static int wanted_count(const char *const wanted[2])
{
	return (wanted[0] != NULL) + (wanted[1] != NULL);
}

/* Larger is better, by the first that differs. */
enum { CRITERIA = 8 };

static void judge(const struct world_match *m, int host, unsigned day, size_t route, int out[CRITERIA])
{
	const int length = (int)(m->regex ? strlen(m->path) : without_slash(m->path));
	const int criteria[CRITERIA] = {host, m->exact ? 2 : m->regex, length, m->post, wanted_count(m->headers),
	                                wanted_count(m->query), -(int)day, -(int)route};

	memcpy(out, criteria, sizeof(criteria));
}

static bool better(const int a[CRITERIA], const int b[CRITERIA])
{
	for (int i = 0; i < CRITERIA; i++) {
		if (a[i] != b[i])
			return a[i] > b[i];
	}
	return false; /* the first rule, the first match */
}

static void ask_oracle(const struct world *w, const struct question *q, char *out, size_t size)
{
	const char *listener = listener_of(w, q->host);
	int best[CRITERIA], now[CRITERIA];
	bool found = false;

	snprintf(out, size, "404");
	for (size_t i = 0; i < w->routes_n && listener != NULL; i++) {
		const struct world_route *r = &w->routes[i];
		const int host = route_host_rank(r, listener, q->host);

		for (size_t k = 0; k < r->rules_n && host >= 0; k++) {
			for (size_t j = 0; j < r->matches_n[k]; j++) {
				if (!match_holds(&r->matches[k][j], q))
					continue;
				judge(&r->matches[k][j], host, r->day, i, now);
				if (found && !better(now, best))
					continue;
				found = true;
				memcpy(best, now, sizeof(best));
				snprintf(out, size, "httproute/default/r%02zu/rule/%zu", i, k);
			}
		}
	}
}

/* ---- the data plane ---- */

static void ask_table(const struct table *t, const struct regex_set *set, const struct question *q,
                      char *out, size_t size)
{
	struct http_field fields[2] = {0};
	struct http_message m = {.fields = fields, .fields_max = 2, .method = q->post ? HTTP_POST : HTTP_GET};
	struct route_result found;
	struct addr to;
	char path[128];
	int n = snprintf(path, sizeof(path), "%s", q->path);

	for (int i = 0; i < 2; i++) {
		if (q->headers[i] != NULL)
			fields[m.fields_n++] = (struct http_field){.name = {.at = names[i], .len = 1},
			                                           .value = {.at = q->headers[i], .len = 1}};
		if (q->query[i] != NULL)
			n += snprintf(path + n, sizeof(path) - (size_t)n, "%s%s=%s", strchr(path, '?') != NULL
			              ? "&" : "?", names[i], q->query[i]);
	}
	m.authority = (struct text){.at = q->host, .len = (uint32_t)strlen(q->host)};
	m.path = (struct text){.at = path, .len = (uint32_t)n};
	assert_int_equal(addr_parse("198.18.0.10", &to), OK);
	if (route_find(t, regex_set_of(set, 0), &to, 80, &m, &found) == ROUTE_FOUND)
		snprintf(out, size, "%.*s", (int)found.rule->name.len, table_text(t, found.rule->name));
	else
		snprintf(out, size, "404");
}

/* ---- both ---- */

static unsigned run_world(uint64_t seed)
{
	static struct world w;
	struct regexes *all = regexes_new(1);
	struct regex_set *set;
	struct generation g;
	unsigned found = 0;

	state_of_chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	make_world(&w);
	g = compile_world(&w);
	assert_int_equal(table_verify(g.table, g.bytes, NULL), OK);
	assert_int_equal(regexes_take(all, g.table, &set), OK);
	for (int i = 0; i < REQUESTS; i++) {
		struct question q = {.host = asked_hosts[below(COUNT(asked_hosts))],
		                     .path = asked_paths[below(COUNT(asked_paths))], .post = below(3) == 0};
		char oracle[128], table[128];

		choose_values(q.headers, 2);
		choose_values(q.query, 2);
		ask_oracle(&w, &q, oracle, sizeof(oracle));
		ask_table(g.table, set, &q, table, sizeof(table));
		if (strcmp(oracle, table) != 0)
			fail_msg("SEED=%lu: %s %s%s x:%s y:%s ?x=%s&y=%s: %s, but the oracle says %s",
			         (unsigned long)seed,
			         q.post ? "POST" : "GET", q.host, q.path, q.headers[0], q.headers[1], q.query[0],
			         q.query[1], table, oracle);
		found += strcmp(oracle, "404") != 0;
	}
	generation_fini(&g);
	regexes_drop(all, set);
	regexes_free(all);
	return found;
}

static void test_oracle(void **state)
{
	const char *seed = getenv("SEED");
	unsigned found = 0;

	(void)state;
	if (seed != NULL) {
		run_world(strtoul(seed, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= WORLDS; i++)
		found += run_world(i);
	/* Not all of them 404: the worlds would say little. */
	assert_true(found > WORLDS * REQUESTS / 4);
	print_message("%d worlds, %d requests, %u served\n", WORLDS, WORLDS * REQUESTS, found);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_oracle)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
