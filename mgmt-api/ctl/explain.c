/*
 * explain METHOD URL [-H 'name: value']...: what the data plane would do with the request, asked of itself over its own
 * socket: which listener, rule and match, which others were looked at and why not, filters, backends, timeouts,
 * retries and session, with the objects that they are from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/ctl/ctl.h"

struct url {
	char host[512];              /* as it would stand in Host */
	const char *path;
	long port;
};

/* "http://a.example:8080/x?y": only http, for nothing else is served. */
static bool url_read(const char *text, struct url *u)
{
	static const char scheme[] = "http://";
	const char *at = text + sizeof(scheme) - 1, *slash, *colon;
	char *end = NULL;
	size_t n;

	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
		return false;
	n = strcspn(at, "/?");
	if (n == 0 || n >= sizeof(u->host))
		return false;
	memcpy(u->host, at, n);
	u->host[n] = '\0';
	u->path = at[n] == '/' ? at + n : "/";
	slash = strchr(u->host, ']');
	colon = strrchr(slash != NULL ? slash : u->host, ':');
	u->port = colon != NULL ? strtol(colon + 1, &end, 10) : 80;
	return u->port > 0 && u->port < 65536 && (colon == NULL || *end == '\0');
}

/* Null: one of the headers is none. */
static char *question(const struct options *o, const struct url *u, const char **wrong)
{
	yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(d), *headers;
	char *text = NULL;

	yyjson_mut_doc_set_root(d, root);
	yyjson_mut_obj_add_str(d, root, "op", "explain");
	yyjson_mut_obj_add_str(d, root, "method", o->arguments[0]);
	yyjson_mut_obj_add_str(d, root, "host", u->host);
	yyjson_mut_obj_add_int(d, root, "port", u->port);
	yyjson_mut_obj_add_str(d, root, "path", u->path);
	headers = yyjson_mut_obj_add_arr(d, root, "headers");
	*wrong = NULL;
	for (size_t i = 0; i < o->headers_n && *wrong == NULL; i++) {
		const char *colon = strchr(o->headers[i], ':'), *value = colon != NULL ? colon + 1 : "";
		yyjson_mut_val *item = yyjson_mut_arr_add_obj(d, headers);

		if (colon == NULL || colon == o->headers[i])
			*wrong = o->headers[i];
		else
			yyjson_mut_obj_add_strn(d, item, "name", o->headers[i], (size_t)(colon - o->headers[i]));
		yyjson_mut_obj_add_str(d, item, "value", value + strspn(value, " \t"));
	}
	if (*wrong == NULL)
		text = yyjson_mut_write(d, 0, NULL);
	yyjson_mut_doc_free(d);
	return text;
}

/* ---- the answer, for people ---- */

static void print_names(const char *label, yyjson_val *list)
{
	size_t i, n;
	yyjson_val *name;

	if (yyjson_arr_size(list) == 0)
		return;
	printf("%-12s", label);
	yyjson_arr_foreach(list, i, n, name)
		printf("%s%s", i > 0 ? ", " : "", yyjson_get_str(name));
	putchar('\n');
}

static void print_endpoints(yyjson_val *b)
{
	size_t i, n;
	yyjson_val *e;

	yyjson_arr_foreach(doc_get(b, "endpoints"), i, n, e)
		printf("%-12s%s%s\n", "endpoint", doc_str(e, "address"),
		       doc_bool(e, "ejected", false) ? ", ejected" : "");
	if (doc_int(b, "endpointsTotal", 0) > (int64_t)n)
		printf("%-12sand %lld others\n", "", (long long)doc_int(b, "endpointsTotal", 0) - (long long)n);
}

static void print_backends(yyjson_val *list)
{
	size_t i, n;
	yyjson_val *b;

	yyjson_arr_foreach(list, i, n, b) {
		const int64_t share = doc_int(b, "sharePerMille", 0);
		const char *cluster = doc_str(b, "cluster");

		printf("%-12s%s %lld.%lld %%", "backend", cluster[0] != '\0' ? cluster : "an invalid reference: 500",
		       (long long)share / 10, (long long)share % 10);
		if (cluster[0] != '\0')
			printf(", %s, %lld endpoints, %lld ejected", doc_str(b, "balancer"),
			       (long long)doc_int(b, "endpointsTotal", 0),
			       (long long)doc_int(b, "endpointsEjected", 0));
		putchar('\n');
		print_names("  filters", doc_get(b, "filters"));
		print_endpoints(b);
	}
}

static void print_timeouts(yyjson_val *list)
{
	size_t i, n;
	yyjson_val *t;

	yyjson_arr_foreach(list, i, n, t) {
		const char *cluster = doc_str(t, "cluster");

		printf("%-12s%s%s%s: ", "timeout", doc_str(t, "name"), cluster[0] != '\0' ? " to " : "", cluster);
		if (yyjson_is_null(doc_get(t, "ms")))
			printf("none (%s)\n", doc_str(t, "from"));
		else
			printf("%lld ms (%s)\n", (long long)doc_int(t, "ms", 0), doc_str(t, "from"));
	}
}

/* Without a list, what is tried again is a connection that could not be made. */
static void print_retry(yyjson_val *r)
{
	size_t i, n;
	yyjson_val *code;

	if (r == NULL)
		return;
	printf("%-12s%lld times", "retry", (long long)doc_int(r, "attempts", 0));
	yyjson_arr_foreach(doc_get(r, "codes"), i, n, code)
		printf("%s%lld", i == 0 ? " on " : ", ", (long long)yyjson_get_sint(code));
	if (yyjson_arr_size(doc_get(r, "codes")) == 0)
		printf(", of connections that cannot be made (%s)\n", doc_str(r, "from"));
	else
		printf(", lost connections and tries that are over, backoff %lld ms (%s)\n",
		       (long long)doc_int(r, "backoffMs", 0), doc_str(r, "from"));
}

static void print_session(yyjson_val *s)
{
	if (s == NULL)
		return;
	printf("%-12sby the %s %s", "session", doc_str(s, "kind"), doc_str(s, "name"));
	if (doc_int(s, "timeoutS", 0) != 0)
		printf(", for %lld s%s", (long long)doc_int(s, "timeoutS", 0),
		       doc_bool(s, "permanent", false) ? ", permanent" : "");
	printf(" (%s)\n", doc_str(s, "from"));
}

static void print_matches(yyjson_val *list)
{
	size_t i, n;
	yyjson_val *m;

	yyjson_arr_foreach(list, i, n, m) {
		const char *hostname = doc_str(m, "hostname");

		printf("%-12s%s: %s on %s: %s\n", doc_bool(m, "won", false) ? "won" : "lost", doc_str(m, "rule"),
		       doc_str(m, "match"), hostname[0] != '\0' ? hostname : "any host", doc_str(m, "verdict"));
	}
}

static void print_one(const char *label, yyjson_val *item, const char *name)
{
	const char *text = doc_str(item, name);

	if (text[0] != '\0')
		printf("%-12s%s\n", label, text);
}

static void print(yyjson_val *item)
{
	const int64_t status = doc_int(item, "status", 0);

	if (doc_get(item, "address") != NULL)
		printf("%-12s%s port %lld\n", "address", doc_str(item, "address"), (long long)doc_int(item, "port", 0));
	print_one("listener", item, "listener");
	print_one("hostname", item, "hostname");
	print_one("path", item, "path");
	if (status != 0)
		printf("%-12s%lld: %s\n", "answer", (long long)status, doc_str(item, "answer"));
	else
		print_one("answer", item, "answer");
	print_one("rule", item, "rule");
	print_one("  name", item, "ruleName");
	print_matches(doc_get(item, "matches"));
	print_names("filters", doc_get(item, "filters"));
	print_backends(doc_get(item, "backends"));
	print_timeouts(doc_get(item, "timeouts"));
	print_retry(doc_get(item, "retry"));
	print_session(doc_get(item, "session"));
}

static int show(const struct options *o, const char *reply, size_t n)
{
	yyjson_doc *doc = yyjson_read(reply, n, 0);
	yyjson_val *root = yyjson_doc_get_root(doc), *items = doc_get(root, "items"), *item;
	int code = CTL_DONE;
	size_t i, max;

	if (!doc_bool(root, "ok", false)) {
		fprintf(stderr, "error: the data plane refused: %s\n", doc_str(root, "reason"));
		code = CTL_FAILED;
	} else if (o->output == OUTPUT_JSON) {
		char *text = yyjson_val_write(items, YYJSON_WRITE_PRETTY, NULL);

		CHECK(text != NULL);
		puts(text);
		free(text);
	} else {
		yyjson_arr_foreach(items, i, max, item) {
			if (i > 0)
				putchar('\n');
			print(item);
		}
		if (yyjson_arr_size(items) == 0)
			puts("nothing listens on this port");
	}
	yyjson_doc_free(doc);
	return code;
}

int explain_run(const struct command *self, const struct options *o)
{
	const char *wrong;
	char *text, *reply;
	struct url u;
	size_t n;
	int code;

	if (o->arguments_n != 2)
		return usage_error(self, "a method and a URL are needed");
	if (o->client.server != NULL)
		return usage_error(self, "only works on the box itself (with --run)");
	if (o->output != OUTPUT_TABLE && o->output != OUTPUT_JSON)
		return usage_error(self, "-o: only json");
	if (!url_read(o->arguments[1], &u))
		return usage_error(self, "%s: not a URL like http://a.example:8080/path", o->arguments[1]);
	text = question(o, &u, &wrong);
	if (wrong != NULL)
		return usage_error(self, "-H %s: not like 'name: value'", wrong);
	CHECK(text != NULL);
	reply = dataplane_ask(o, text, &n);
	free(text);
	if (reply == NULL)
		return CTL_NO_ANSWER;
	code = show(o, reply, n);
	free(reply);
	return code;
}
