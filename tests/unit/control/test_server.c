/*
 * The protocol of control.sock over a socketpair: verbs and their refusals as a script of steps, then what is about the
 * connection itself: pieces, pipelines, slow peers, commits that fail.
 */
#include "../test.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "control/fresh.h"
#include "control/server/server.h"
#include "control/server/tokens.h"
#include "control/store/seal.h"

enum { MAP = 64 << 20, ROUNDS_MAX = 2000, VALUE_MAX = 1000000 };
/* What one peer may wait for the long request of another, in CPU time of the loop: aimed at are 100 ms on a quiet
 * machine, of which the commit is the most. In one piece it would be over 400. */
#ifdef SLUICE_ASAN
enum { WAIT_MS_MAX = 1500 };
#else
enum { WAIT_MS_MAX = 200 };
#endif

static char directory[64];
static struct ledger *ledger;
static struct server *server;

static const char *path_of(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void start(size_t map)
{
	char error[256] = "";

	strcpy(directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_server.XXXXXX" : "/tmp/test_server.XXXXXX");
	assert_non_null(mkdtemp(directory));
	ledger = ledger_open(directory, map, error);
	if (!ledger || !fresh_box(ledger, error))
		fail_msg("%s", error);
	server = server_new(ledger, NULL, path_of("control.sock"), error);
	if (!server)
		fail_msg("%s", error);
}

static int on_setup(void **state)
{
	(void)state;
	start(MAP);
	return 0;
}

static int on_teardown(void **state)
{
	char command[128];

	(void)state;
	server_free(server);
	ledger_close(ledger);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static int connect_peer(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_true(server_adopt(server, fds[1]));
	return fds[0];
}

static void put_length(uint8_t head[4], size_t n)
{
	for (int i = 0; i < 4; i++)
		head[i] = (uint8_t)(n >> 8 * i);
}

static void send_all(int fd, const void *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t sent = send(fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);

		if (sent > 0)
			at += (size_t)sent;
		else
			assert_true(server_round(server, 0));
	}
}

static void send_frame(int fd, const char *text)
{
	uint8_t head[4];

	put_length(head, strlen(text));
	send_all(fd, head, sizeof(head));
	send_all(fd, text, strlen(text));
}

/* False when the other end closed. */
static bool receive_all(int fd, void *bytes, size_t n)
{
	size_t at = 0;

	for (int i = 0; i < ROUNDS_MAX && at < n; i++) {
		ssize_t got = recv(fd, (char *)bytes + at, n - at, 0);

		if (got == 0)
			return false;
		if (got > 0)
			at += (size_t)got;
		else
			assert_true(server_round(server, 0));
	}
	assert_int_equal(at, n);
	return true;
}

static yyjson_doc *receive_frame(int fd)
{
	uint8_t head[4];
	size_t n;
	char *text;
	yyjson_doc *doc;

	assert_true(receive_all(fd, head, sizeof(head)));
	n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
	text = malloc(n + 1);
	assert_true(receive_all(fd, text, n));
	doc = yyjson_read(text, n, 0);
	assert_non_null(doc);
	free(text);
	return doc;
}

static yyjson_doc *ask(int fd, const char *text)
{
	send_frame(fd, text);
	return receive_frame(fd);
}

/* ---- verbs, as a script: each step is a request, the code of its reply, and a text that the reply must contain ----
 */

#define NAMED(kind, version, name, rest) \
	"{\"apiVersion\":\"" version "\",\"kind\":\"" kind "\",\"metadata\":{\"name\":\"" name "\"" rest "}"
#define CM(name, rest, value) NAMED("ConfigMap", "v1", name, rest) ",\"data\":{\"k\":\"" value "\"}}"
#define NS(name) NAMED("Namespace", "v1", name, "") "}"
#define REQUEST(verb, objects, more) "{\"verb\":\"" verb "\",\"local\":true" more ",\"objects\":[" objects "]}"
#define IN(namespace) ",\"namespace\":\"" namespace "\""
#define CLASS(fields) NAMED("GatewayClass", "gateway.networking.k8s.io/v1", "c", "") fields "}"
#define SECRET(value) NAMED("Secret", "v1", "s", "") ",\"stringData\":{\"k\":\"" value "\"}}"

struct step {
	const char *request;
	int code;
	const char *contains;
};

static const struct {
	const char *name;
	struct step steps[8];
} scripts[] = {
	{"apply creates, then leaves alone, then changes",
	 {{REQUEST("apply", CM("a", "", "1"), ""), 201, "\"result\":\"created\""},
	  {REQUEST("apply", CM("a", "", "1"), ""), 200, "\"result\":\"unchanged\""},
	  {REQUEST("apply", CM("a", "", "1"), ""), 200, "\"resourceVersion\":\"3\"}"},
	  {REQUEST("apply", CM("a", "", "2"), ""), 200, "\"result\":\"configured\""},
	  {REQUEST("get", CM("a", "", ""), ""), 200, "\"generation\":2"}}},
	{"all objects or none",
	 {{REQUEST("apply", CM("a", "", "1") "," CM("B", "", "1"), ""), 422, "\"failed\":1"},
	  {REQUEST("get", CM("a", "", ""), ""), 404, "configmaps \\\"a\\\" not found"},
	  {REQUEST("apply", CM("a", "", "1") "," CM("b", "", "1"), ""), 201, "\"resourceVersion\":\"4\"}"}}},
	{"the reply names the field",
	 {{REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"nope\"}"), ""), 422,
	   "\"reason\":\"FieldValueInvalid\",\"message\":\"Invalid value: \\\"nope\\\": must match"},
	  {REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"nope\"}"), ""), 422,
	   "\"field\":\"spec.controllerName\""}}},
	{"create only what is not there",
	 {{REQUEST("create", CM("a", "", "1"), ""), 201, "created"},
	  {REQUEST("create", CM("a", "", "1"), ""), 409, "\"reason\":\"AlreadyExists\""},
	  {REQUEST("create", CM("b", ",\"resourceVersion\":\"1\"", "1"), ""), 400, "should not be set"}}},
	{"update only what is there",
	 {{REQUEST("update", CM("a", "", "1"), ""), 404, "\"reason\":\"NotFound\""},
	  {REQUEST("create", CM("a", "", "1"), ""), 201, ""},
	  {REQUEST("update", CM("a", ",\"resourceVersion\":\"2\"", "2"), ""), 409, "the object has been modified"},
	  {REQUEST("update", CM("a", ",\"resourceVersion\":\"3\"", "2"), ""), 200, "configured"},
	  {REQUEST("update", CM("a", ",\"uid\":\"other\"", "3"), ""), 409, "UID"},
	  {REQUEST("update", CM("a", "", "3"), ""), 200, "configured"}}},
	{"deleting",
	 {{REQUEST("delete", CM("a", "", ""), ""), 404, "not found"},
	  {REQUEST("apply", CM("a", "", "1"), ""), 201, ""},
	  {REQUEST("delete", CM("a", ",\"resourceVersion\":\"9\"", ""), ""), 409, ""},
	  {REQUEST("delete", CM("a", "", ""), ""), 200, "\"result\":\"deleted\""},
	  {REQUEST("get", CM("a", "", ""), ""), 404, ""}}},
	{"finalizers hold an object",
	 {{REQUEST("apply", CM("a", ",\"finalizers\":[\"x/y\"]", "1"), ""), 201, ""},
	  {REQUEST("delete", CM("a", "", ""), ""), 200, "\"deletionTimestamp\""},
	  {REQUEST("get", CM("a", "", ""), ""), 200, "\"deletionTimestamp\""},
	  {REQUEST("update", CM("a", ",\"finalizers\":[\"x/y\"]", "2"), ""), 200, "\"result\":\"configured\""},
	  {REQUEST("update", CM("a", "", "2"), ""), 200, "\"result\":\"deleted\""},
	  {REQUEST("get", CM("a", "", ""), ""), 404, ""}}},
	{"a namespace must be there, and may come last in the file",
	 {{REQUEST("apply", CM("a", IN("n"), "1"), ""), 404, "namespaces \\\"n\\\" not found"},
	  {REQUEST("apply", CM("a", IN("n"), "1") "," NS("n"), ""), 201, ""},
	  {REQUEST("get", CM("a", IN("n"), ""), ""), 200, ""}}},
	{"results are in the order of the request",
	 {{REQUEST("apply", CM("a", "", "1") "," NS("n"), ""), 201,
	   "\"results\":[{\"code\":201,\"result\":\"created\",\"object\":{\"apiVersion\":\"v1\",\"kind\":"
	   "\"ConfigMap\""}}},
	{"a namespace takes what is in it along",
	 {{REQUEST("apply", NS("n") "," CM("a", IN("n"), "1") "," CM("a", "", "1"), ""), 201, ""},
	  {REQUEST("delete", NS("n"), ""), 200, ""},
	  {REQUEST("get", CM("a", IN("n"), ""), ""), 404, ""},
	  {REQUEST("get", CM("a", "", ""), ""), 200, ""},
	  {REQUEST("delete", NS("default"), ""), 403, "may not be deleted"}}},
	{"status is a world of its own",
	 {{REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"a.b/c\"},\"status\":{\"conditions\":[]}"), ""), 201,
	   "\"reason\":\"Pending\""},
	  {REQUEST("update", CLASS(",\"spec\":{\"controllerName\":\"x.y/z\"},\"status\":{\"conditions\":[]}"),
		   ",\"subresource\":\"status\""),
	   200, "\"controllerName\":\"a.b/c\"},\"status\":{\"conditions\":[]}"},
	  {REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"a.b/c\"}"), ""), 200, "unchanged"},
	  {REQUEST("update", CM("a", "", "1"), ",\"subresource\":\"status\""), 404, ""}}},
	{"dry run changes nothing",
	 {{REQUEST("apply", CM("a", "", "1"), ",\"dryRun\":true"), 201, "created"},
	  {REQUEST("get", CM("a", "", ""), ""), 404, ""}}},
	{"unknown fields by the client's choice",
	 {{REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"a.b/c\",\"x\":1}"), ""), 400,
	   "strict decoding error: unknown field \\\"spec.x\\\""},
	  {REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"a.b/c\",\"x\":1}"), ",\"fieldValidation\":\"Warn\""),
	   201, "\"warnings\":[\"unknown field \\\"spec.x\\\"\"]"},
	  {REQUEST("get", CLASS(""), ""), 200, "\"spec\":{\"controllerName\":\"a.b/c\"}"},
	  {REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"a.b/c\",\"x\":1}"),
		   ",\"fieldValidation\":\"Ignore\""),
	   200, "unchanged"}}},
	{"secrets are opened for those who may",
	 {{REQUEST("apply", SECRET("v"), ""), 201, "\"data\":{\"k\":\"dg==\"}"},
	  {REQUEST("apply", SECRET("v"), ""), 200, "unchanged"},
	  {REQUEST("get", SECRET(""), ""), 200, "\"data\":{\"k\":\"dg==\"}"},
	  {REQUEST("list", NAMED("Secret", "v1", "", "") "}", ""), 200, "\"data\":{\"k\":\"dg==\"}"},
	  {"{\"verb\":\"get\",\"objects\":[" SECRET("") "]}", 401, "Unauthorized"},
	  {REQUEST("apply", SECRET("w"), ""), 200, "\"data\":{\"k\":\"dw==\"}"}}},
	{"an older version is the same object",
	 {{REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"a.b/c\"}"), ""), 201, ""},
	  {REQUEST("apply",
		   NAMED("GatewayClass", "gateway.networking.k8s.io/v1beta1", "c",
			 "") ",\"spec\":{\"controllerName\":\"a.b/c\"}}",
		   ""),
	   200, "unchanged"},
	  {REQUEST("apply", NAMED("GatewayClass", "gateway.networking.k8s.io/v1alpha2", "c", "") "}", ""), 400,
	   "no kind"}}},
	{"a controller's name is for ever",
	 {{REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"a.b/c\"}"), ""), 201, ""},
	  {REQUEST("apply", CLASS(",\"spec\":{\"controllerName\":\"a.b/d\"}"), ""), 422, "immutable"}}},
	{"twice in one file: the later one stays",
	 {{REQUEST("apply", CM("a", "", "1") "," CM("a", "", "2"), ""), 201, ""},
	  {REQUEST("get", CM("a", "", ""), ""), 200, "\"data\":{\"k\":\"2\"}"}}},
	{"what is no request",
	 {{"{\"verb\":\"dance\"}", 400, "no such verb"},
	  {"[]", 400, "not an object"},
	  {"{\"verb\"", 400, "BadRequest"},
	  {REQUEST("apply", "1", ""), 400, "not an object"},
	  {REQUEST("apply", "{}", ""), 400, "no kind"},
	  {"{\"verb\":\"apply\",\"local\":true}", 400, "no objects"},
	  {REQUEST("apply", NAMED("ConfigMap", "v1", "a", "") ",\"metadata\":3}", ""), 400, ""}}},
	{"ready", {{"{\"verb\":\"ready\"}", 200, "\"resourceVersion\":\"2\",\"published\":\"0\",\"dataplane\":false"}}},
};

static void test_script(void **state)
{
	size_t i = (size_t)*state;
	int fd;

	start(MAP);
	fd = connect_peer();
	for (const struct step *s = scripts[i].steps; s->request; s++) {
		yyjson_doc *reply = ask(fd, s->request);
		char *text = yyjson_write(reply, 0, NULL);

		if (doc_int(yyjson_doc_get_root(reply), "code", 0) != s->code || !strstr(text, s->contains))
			fail_msg("step %zu: %s\nwanted %d and %s\nsaid %s", (size_t)(s - scripts[i].steps) + 1,
				 s->request, s->code, s->contains, text);
		free(text);
		yyjson_doc_free(reply);
	}
	close(fd);
	on_teardown(NULL);
}

/* ---- who may ---- */

static const struct {
	const char *name, *token;
	int apply, get_secret;
} roles[] = {
	{"no token", "", 401, 401},
	{"an unknown one", "sluice.unknown", 401, 401},
	{"viewer", "view", 403, 403},
	{"editor", "edit", 201, 200},
	{"admin", "root", 200, 200},
};

static void test_roles(void **state)
{
	static const char *const known[][2] = {{"view", "viewer"}, {"edit", "editor"}, {"root", "admin"}};
	int fd = connect_peer();

	(void)state;
	for (size_t i = 0; i < LENGTH(known); i++) {
		char hex[DIGEST_HEX_MAX], json[64];

		snprintf(json, sizeof(json), "{\"name\":\"x\",\"role\":\"%s\"}", known[i][1]);
		assert_int_equal(store_token_put(ledger_store(ledger), seal_digest(known[i][0], 4, hex), json), OK);
	}
	for (size_t i = 0; i < LENGTH(roles); i++) {
		char request[512];
		yyjson_doc *reply;

		snprintf(request, sizeof(request),
			 "{\"verb\":\"apply\",\"token\":\"%s\",\"objects\":[" SECRET("v") "]}", roles[i].token);
		reply = ask(fd, request);
		assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), roles[i].apply);
		yyjson_doc_free(reply);
		snprintf(request, sizeof(request), "{\"verb\":\"get\",\"token\":\"%s\",\"objects\":[" SECRET("v") "]}",
		         roles[i].token);
		reply = ask(fd, request);
		assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), roles[i].get_secret);
		yyjson_doc_free(reply);
	}
	close(fd);
}

static void test_first_token(void **state)
{
	char error[256], token[128] = "";
	struct user user;
	FILE *file;

	(void)state;
	assert_true(tokens_prepare(ledger_store(ledger), directory, error));
	file = fopen(path_of("admin-token"), "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%127s", token), 1);
	fclose(file);
	user = tokens_find(ledger_store(ledger), token);
	assert_int_equal(user.role, ROLE_ADMIN);
	assert_string_equal(user.name, "admin");
	/* It is made once: a start later the same one is good. */
	assert_int_equal(unlink(path_of("admin-token")), 0);
	assert_true(tokens_prepare(ledger_store(ledger), directory, error));
	assert_int_not_equal(access(path_of("admin-token"), F_OK), 0);
	token[10] = token[10] == 'a' ? 'b' : 'a';
	assert_int_equal(tokens_find(ledger_store(ledger), token).role, ROLE_NONE);
}

/* ---- connections ---- */

static void test_byte_by_byte(void **state)
{
	static const char text[] = "{\"verb\":\"ready\"}";
	int fd = connect_peer();
	uint8_t head[4];
	yyjson_doc *reply;

	(void)state;
	put_length(head, strlen(text));
	for (size_t i = 0; i < sizeof(head); i++) {
		send_all(fd, head + i, 1);
		assert_true(server_round(server, 0));
	}
	for (size_t i = 0; i < strlen(text); i++) {
		send_all(fd, text + i, 1);
		assert_true(server_round(server, 0));
	}
	reply = receive_frame(fd);
	assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), 200);
	yyjson_doc_free(reply);
	close(fd);
}

static void test_pipelined(void **state)
{
	int fd = connect_peer();

	(void)state;
	for (int i = 0; i < 20; i++)
		send_frame(fd, i % 2 ? REQUEST("apply", CM("a", "", "1"), "") : REQUEST("apply", CM("a", "", "2"), ""));
	for (int i = 0; i < 20; i++) {
		yyjson_doc *reply = receive_frame(fd);

		assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), i ? 200 : 201);
		yyjson_doc_free(reply);
	}
	close(fd);
}

static void test_bad_lengths(void **state)
{
	static const size_t lengths[] = {0, 0xffffffff, (16 << 20) + 1};

	(void)state;
	for (size_t i = 0; i < LENGTH(lengths); i++) {
		int fd = connect_peer();
		uint8_t head[4];
		char byte;

		put_length(head, lengths[i]);
		send_all(fd, head, sizeof(head));
		assert_false(receive_all(fd, &byte, 1));
		close(fd);
	}
}

static void test_nested_without_end(void **state)
{
	size_t n = 1 << 20;
	char *text = malloc(n + 1);
	int fd = connect_peer();
	yyjson_doc *reply;

	(void)state;
	memset(text, '[', n);
	text[n] = 0;
	reply = ask(fd, text);
	assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), 400);
	assert_non_null(strstr(doc_str(doc_get(yyjson_doc_get_root(reply), "status"), "message"), "nested"));
	yyjson_doc_free(reply);
	free(text);
	close(fd);
}

/* One peer asks for more than its socket holds and does not read; another is served meanwhile, the first gets it later.
 */
static void test_slow_reader_holds_up_nobody(void **state)
{
	int slow = connect_peer(), fd = connect_peer();
	char *value = malloc(VALUE_MAX + 1), *request = malloc(5 * VALUE_MAX);
	yyjson_doc *reply;

	(void)state;
	memset(value, 'x', VALUE_MAX);
	value[VALUE_MAX] = 0;
	sprintf(request, REQUEST("apply", CM("a", "", "%s") "," CM("b", "", "%s") "," CM("c", "", "%s"), ""), value,
		value, value);
	send_frame(slow, request);
	for (int i = 0; i < 50; i++) {
		reply = ask(fd, "{\"verb\":\"ready\"}");
		assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), 200);
		yyjson_doc_free(reply);
	}
	reply = receive_frame(slow);
	assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), 201);
	yyjson_doc_free(reply);
	free(value);
	free(request);
	close(slow);
	close(fd);
}

/* ---- long requests ---- */

enum { MEANWHILE = 4, LONG_MAP = 256 << 20, LONG_BYTES = 2 << 20, LONGEST_BYTES = (16 << 20) - 4096 };

#define LONG_RULE(i) "{\"matches\":[{\"path\":{\"type\":\"PathPrefix\",\"value\":\"/api/" #i "/%zu\"},\"headers\":[" \
	"{\"name\":\"x-version\",\"value\":\"" #i "\"}]}],\"backendRefs\":[{\"name\":\"a\",\"port\":80,\"weight\":9}," \
	"{\"name\":\"b\",\"port\":80,\"weight\":1}]}"
#define LONG_ROUTE "{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"HTTPRoute\",\"metadata\":{\"name\":" \
	"\"long-%zu\",\"namespace\":\"n\"},\"spec\":{\"parentRefs\":[{\"name\":\"gw\"}],\"hostnames\":[\"h%zu.example\"]," \
	"\"rules\":[" LONG_RULE(1) "," LONG_RULE(2) "," LONG_RULE(3) "]}}"

/* Routes until the request is that large, `first` before and `last` behind them. */
static char *long_request(size_t bytes, size_t *objects, const char *first, const char *last)
{
	char *text = malloc(bytes);
	size_t n = (size_t)sprintf(text, "{\"verb\":\"apply\",\"local\":true,\"objects\":[" NS("n") "%s%s",
	                           *first ? "," : "", first);

	for (*objects = 1 + (*first != 0); n < bytes - 4096; ++*objects) {
		const size_t i = *objects;

		n += (size_t)sprintf(text + n, "," LONG_ROUTE, i, i, i, i, i);
	}
	if (*last)
		n += (size_t)sprintf(text + n, ",%s", last);
	*objects += *last != 0;
	sprintf(text + n, "]}");
	return text;
}

static bool has_reply(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK) > 0;
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void test_long_request_holds_up_nobody(void **state)
{
	int slow, fd;
	size_t objects, answered = 0;
	uint64_t first = 0;
	double longest = 0, began, all;
	yyjson_doc *reply;
	yyjson_val *results, *result;
	size_t i, max;
	char *request = long_request(LONGEST_BYTES, &objects, "", "");

	(void)state;
	start(LONG_MAP);
	slow = connect_peer();
	fd = connect_peer();
	send_frame(slow, request);
	all = cpu_ms();
	for (; !has_reply(slow); answered++) {
		char small[256];

		snprintf(small, sizeof(small), REQUEST("apply", CM("small", "", "%zu"), ""), answered);
		began = cpu_ms();
		reply = ask(fd, answered % 2 ? small : "{\"verb\":\"ready\"}");
		longest = cpu_ms() - began > longest ? cpu_ms() - began : longest;
		assert_true(doc_int(yyjson_doc_get_root(reply), "code", 0) / 100 == 2);
		yyjson_doc_free(reply);
	}
	print_message("%zu bytes, %zu objects: %.0f ms, %zu others answered meanwhile, in at most %.1f ms\n",
	              strlen(request), objects, cpu_ms() - all, answered, longest);
	assert_true(answered >= 10);
	assert_true(longest < WAIT_MS_MAX);
	reply = receive_frame(slow);
	assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), 201);
	results = doc_get(yyjson_doc_get_root(reply), "results");
	assert_int_equal(yyjson_arr_size(results), objects);
	yyjson_arr_foreach(results, i, max, result) {
		yyjson_val *metadata = doc_get(doc_get(result, "object"), "metadata");
		const struct object *o = ledger_find(ledger, kind_by_name(i ? "HTTPRoute" : "Namespace"),
		                                     i ? "n" : "", doc_str(metadata, "name"));
		char version[24];

		assert_non_null(o);
		snprintf(version, sizeof(version), "%llu", (unsigned long long)o->resource_version);
		assert_string_equal(doc_str(metadata, "resourceVersion"), version);
		assert_string_equal(doc_str(doc_get(o->root, "metadata"), "resourceVersion"), version);
		/* One commit: their versions follow one another. */
		first = i ? first : o->resource_version;
		assert_int_equal(o->resource_version, first + i);
	}
	yyjson_doc_free(reply);
	free(request);
	close(slow);
	close(fd);
	on_teardown(NULL);
}

/* What happens while a long request is under way, and what is there afterwards. */
static const struct {
	const char *name;
	const char *first, *last;    /* of its objects */
	const char *before;          /* a request before it, and one in the middle */
	const char *meanwhile;
	int code;
	const char *contains;        /* its reply */
	const char *get;             /* then this is found, or not */
	int get_code;
	const char *get_contains;
} long_rows[] = {
	{"one bad object: none is there", "", CM("BAD", "", "1"), NULL, NULL, 422, "\"failed\":",
	 REQUEST("get", CM("small", IN("n"), ""), ""), 404, ""},
	{"another changes one of its objects: the later one stays", CM("late", "", "long"), "",
	 REQUEST("apply", CM("late", "", "1"), ""), REQUEST("apply", CM("late", "", "2"), ""), 201,
	 "\"result\":\"configured\"", REQUEST("get", CM("late", "", ""), ""), 200, "\"generation\":3"},
	{"another makes one of its objects: it is changed, not made", CM("late", "", "long"), "", NULL,
	 REQUEST("apply", CM("late", "", "2"), ""), 201, "\"result\":\"configured\"",
	 REQUEST("get", CM("late", "", ""), ""), 200, "\"k\":\"long\""},
	{"another takes the namespace away", CM("late", IN("m"), "long"), "", REQUEST("apply", NS("m"), ""),
	 REQUEST("delete", NS("m"), ""), 404, "namespaces \\\"m\\\" not found",
	 REQUEST("get", CM("late", IN("m"), ""), ""), 404, ""},
};

static void expect(int fd, const char *request, int code, const char *contains)
{
	yyjson_doc *reply = request ? ask(fd, request) : receive_frame(fd);
	char *text = yyjson_write(reply, 0, NULL);

	if (doc_int(yyjson_doc_get_root(reply), "code", 0) != code || !strstr(text, contains))
		fail_msg("%s: wanted %d and %s, said %.2000s", request ? request : "the long one", code, contains, text);
	free(text);
	yyjson_doc_free(reply);
}

static void test_long(void **state)
{
	const size_t row = (size_t)*state;
	size_t objects;
	char *request = long_request(LONG_BYTES, &objects, long_rows[row].first, long_rows[row].last);
	int slow, fd;

	start(LONG_MAP);
	slow = connect_peer();
	fd = connect_peer();
	if (long_rows[row].before)
		expect(fd, long_rows[row].before, 201, "");
	send_frame(slow, request);
	if (long_rows[row].meanwhile) {
		/* Its first object has been looked at by then, its last one not. */
		for (int i = 0; i < ROUNDS_MAX && !has_reply(slow); i++) {
			static char again[256];

			snprintf(again, sizeof(again), "%s", long_rows[row].meanwhile);
			if (i == MEANWHILE)
				send_frame(fd, again);
			assert_true(server_round(server, 0));
		}
		yyjson_doc_free(receive_frame(fd));
	}
	expect(slow, NULL, long_rows[row].code, long_rows[row].contains);
	expect(fd, long_rows[row].get, long_rows[row].get_code, long_rows[row].get_contains);
	free(request);
	close(slow);
	close(fd);
	on_teardown(NULL);
}

/* A peer that goes away in the middle leaves nothing behind, and the next long one is taken up. */
static void test_long_request_left(void **state)
{
	size_t objects;
	char *request = long_request(LONG_BYTES, &objects, "", "");
	int slow, next;
	uint64_t before;

	(void)state;
	start(LONG_MAP);
	before = store_version(ledger_store(ledger));
	slow = connect_peer();
	next = connect_peer();
	send_frame(slow, request);
	for (int i = 0; i < MEANWHILE; i++)
		assert_true(server_round(server, 0));
	close(slow);
	request[strlen(request) - 1] = ']';     /* not JSON */
	send_frame(next, request);
	expect(next, NULL, 400, "");
	assert_true(store_version(ledger_store(ledger)) == before ||
	            store_version(ledger_store(ledger)) == before + objects);
	free(request);
	close(next);
	on_teardown(NULL);
}

/* All that came in one round is one commit, and each request stands or falls alone. */
static void test_group_commit(void **state)
{
	int fds[8];
	uint64_t before = store_version(ledger_store(ledger));

	(void)state;
	for (size_t i = 0; i < LENGTH(fds); i++) {
		char request[256];

		fds[i] = connect_peer();
		snprintf(request, sizeof(request), REQUEST("create", CM("%s%zu", "", "1"), ""), i == 3 ? "BAD" : "m",
			 i);
		send_frame(fds[i], request);
	}
	assert_true(server_round(server, 0));
	assert_int_equal(store_version(ledger_store(ledger)), before + LENGTH(fds) - 1);
	for (size_t i = 0; i < LENGTH(fds); i++) {
		yyjson_doc *reply = receive_frame(fds[i]);

		assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), i == 3 ? 422 : 201);
		yyjson_doc_free(reply);
		close(fds[i]);
	}
}

/* A commit that fails is an answer: whoever thought to have written is told so, and nothing is there. */
static void test_full_store(void **state)
{
	char *value, *request;
	yyjson_doc *reply;
	int fd;

	(void)state;
	start(1 << 20);
	value = malloc((900 << 10) + 1);
	request = malloc(1 << 20);
	memset(value, 'x', 900 << 10);
	value[900 << 10] = 0;
	fd = connect_peer();
	sprintf(request, REQUEST("apply", CM("big", "", "%s"), ""), value);
	reply = ask(fd, request);
	assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), 507);
	yyjson_doc_free(reply);
	reply = ask(fd, REQUEST("get", CM("big", "", ""), ""));
	assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), 404);
	yyjson_doc_free(reply);
	reply = ask(fd, REQUEST("apply", CM("small", "", "1"), ""));
	assert_int_equal(doc_int(yyjson_doc_get_root(reply), "code", 0), 201);
	yyjson_doc_free(reply);
	free(value);
	free(request);
	close(fd);
	on_teardown(NULL);
}

static void test_more_peers_than_places(void **state)
{
	int ends[SERVER_PEERS_MAX], fds[2];

	(void)state;
	for (int i = 0; i < SERVER_PEERS_MAX; i++)
		ends[i] = connect_peer();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_false(server_adopt(server, fds[1]));
	for (int i = 0; i < SERVER_PEERS_MAX; i++)
		close(ends[i]);
	for (int i = 0; i < 4; i++)
		assert_true(server_round(server, 0));
	assert_true(server_adopt(server, fds[1]));
	close(fds[0]);
}

#define CASE(f) (struct CMUnitTest){#f, f, on_setup, on_teardown, NULL}

int main(void)
{
	struct CMUnitTest tests[LENGTH(scripts) + LENGTH(long_rows) + 12];
	size_t n = 0;

	for (size_t i = 0; i < LENGTH(scripts); i++)
		tests[n++] = (struct CMUnitTest){scripts[i].name, test_script, NULL, NULL, (void *)i};
	for (size_t i = 0; i < LENGTH(long_rows); i++)
		tests[n++] = (struct CMUnitTest){long_rows[i].name, test_long, NULL, NULL, (void *)i};
	tests[n++] = (struct CMUnitTest){"a long request holds up nobody", test_long_request_holds_up_nobody, NULL, NULL,
	                                 NULL};
	tests[n++] = (struct CMUnitTest){"a long request of a peer that leaves", test_long_request_left, NULL, NULL,
	                                 NULL};
	tests[n++] = CASE(test_roles);
	tests[n++] = CASE(test_first_token);
	tests[n++] = CASE(test_byte_by_byte);
	tests[n++] = CASE(test_pipelined);
	tests[n++] = CASE(test_bad_lengths);
	tests[n++] = CASE(test_nested_without_end);
	tests[n++] = CASE(test_slow_reader_holds_up_nobody);
	tests[n++] = CASE(test_group_commit);
	tests[n++] = CASE(test_more_peers_than_places);
	tests[n++] = (struct CMUnitTest){"test_full_store", test_full_store, NULL, NULL, NULL};
	return _cmocka_run_group_tests("server", tests, n, NULL, NULL);
}
