/*
 * The API in this process, asked by libcurl over its Unix socket and over HTTPS, with a store that a child filled and a
 * control that is a thread: it notes what it was asked and answers what the case says.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "base/frame.h"
#include "control/store/store.h"
#include "mgmt-api/api/auth.h"
#include "mgmt-api/api/certificate.h"
#include "mgmt-api/api/server.h"
#include "mgmt-api/api/source.h"

enum { REQUESTS_MAX = 16, DEADLINE_MS = 5000 };

/* Rows of tables leave out what they have no use for. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* The fake control. */
static struct fake {
	char path[200];
	int listening;
	pthread_t thread;
	atomic_bool stopping;
	pthread_mutex_t mutex;
	const char *replies[REQUESTS_MAX];      /* the last one is repeated; null: hang up */
	size_t replies_n;
	char *requests[REQUESTS_MAX];
	size_t requests_n;
} fake;

static char directory[] = "/tmp/test_api_XXXXXX";
static char api_socket[200], ca_path[300];
static struct api api;
static struct server *local, *https;

static void fake_answer(int fd)
{
	const char *reply;
	char *request;
	int passed;
	size_t n;

	if (frame_recv(fd, FRAME_BYTES_MAX, &request, &n, &passed, DEADLINE_MS) != OK)
		return;
	pthread_mutex_lock(&fake.mutex);
	reply = fake.replies_n == 0 ? NULL :
		fake.replies[fake.requests_n < fake.replies_n ? fake.requests_n : fake.replies_n - 1];
	if (fake.requests_n < REQUESTS_MAX)
		fake.requests[fake.requests_n++] = request;
	else
		free(request);
	pthread_mutex_unlock(&fake.mutex);
	if (reply != NULL && frame_send(fd, reply, strlen(reply), -1, DEADLINE_MS) != OK)
		return;
}

static void *fake_run(void *unused)
{
	(void)unused;
	while (!atomic_load(&fake.stopping)) {
		int fd = accept(fake.listening, NULL, NULL);

		if (fd < 0) {
			usleep(1000);
			continue;
		}
		fake_answer(fd);
		close(fd);
	}
	return NULL;
}

static void fake_expect(const char *const *replies, size_t n)
{
	pthread_mutex_lock(&fake.mutex);
	for (size_t i = 0; i < fake.requests_n; i++)
		free(fake.requests[i]);
	fake.requests_n = 0;
	fake.replies_n = n;
	for (size_t i = 0; i < n; i++)
		fake.replies[i] = replies[i];
	pthread_mutex_unlock(&fake.mutex);
}

/* The store, filled by a child: it may be opened only once per process. */

static const char *const stored[][4] = {
	{"Gateway", "default", "edge",
	 "{\"apiVersion\":\"gateway.networking.k8s.io/"
	 "v1\",\"kind\":\"Gateway\",\"metadata\":{\"name\":\"edge\",\"namespace\":"
	 "\"default\",\"uid\":\"u1\",\"resourceVersion\":\"1\",\"labels\":{\"site\":\"north\"},\"creationTimestamp\":"
	 "\"2024-01-01T00:00:00Z\"},\"spec\":{\"gatewayClassName\":\"sluice\"}}"},
	{"Gateway", "other", "edge",
	 "{\"apiVersion\":\"gateway.networking.k8s.io/"
	 "v1\",\"kind\":\"Gateway\",\"metadata\":{\"name\":\"edge\",\"namespace\":"
	 "\"other\",\"uid\":\"u2\",\"resourceVersion\":\"2\",\"creationTimestamp\":\"2024-01-01T00:00:00Z\"},\"spec\":{"
	 "\"gatewayClassName\":\"sluice\"}}"},
	{"Namespace", "", "default",
	 "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"default\",\"uid\":\"u3\","
	 "\"resourceVersion\":\"3\",\"creationTimestamp\":\"2024-01-01T00:00:00Z\"}}"},
};

enum { STORED = sizeof(stored) / sizeof(stored[0]) };

static void store_fill(const char *path)
{
	struct store_event events[STORED];
	char error[256];
	struct store *s = store_open(path, 16 << 20, error);

	for (size_t i = 0; i < STORED; i++)
		events[i] = (struct store_event){
			.resource_version = i + 1, .op = STORE_ADDED, .kind = kind_by_name(stored[i][0]),
			.namespace = stored[i][1], .name = stored[i][2], .json = stored[i][3],
			.json_n = strlen(stored[i][3]), .old_labels = "",
		};
	if (s == NULL || store_commit(s, events, STORED, 1) != OK)
		_exit(1);
	store_close(s);
	_exit(0);
}

static int setup(void **state)
{
	struct listen_address address = {.text = "127.0.0.1"};
	struct certificate certificate;
	char error[256] = "", path[300];
	int fd, status;
	pid_t child;

	(void)state;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/store", directory);
	child = fork();
	if (child == 0)
		store_fill(path);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);

	snprintf(fake.path, sizeof(fake.path), "%s/control.sock", directory);
	pthread_mutex_init(&fake.mutex, NULL);
	fake.listening = frame_listen(fake.path, 0600);
	assert_true(fake.listening >= 0);
	assert_int_equal(pthread_create(&fake.thread, NULL, fake_run, NULL), 0);

	strcpy(api.control_path, fake.path);
	api.auth = auth_new(fake.path);
	api.source = source_new(path);
	snprintf(api_socket, sizeof(api_socket), "%s/api.sock", directory);
	fd = frame_listen(api_socket, 0600);
	assert_true(fd >= 0);
	local = server_start_local(&api, fd, error);
	if (local == NULL)
		fail_msg("%s", error);
	snprintf(path, sizeof(path), "%s/api", directory);
	snprintf(ca_path, sizeof(ca_path), "%s/api/ca.crt", directory);
	if (!certificate_load(path, address.text, &certificate, error))
		fail_msg("%s", error);
	https = server_start_https(&api, &address, certificate.key, certificate.chain, error);
	if (https == NULL)
		fail_msg("%s", error);
	certificate_fini(&certificate);
	return 0;
}

static int teardown(void **state)
{
	char command[300];

	(void)state;
	server_stop(local);
	server_stop(https);
	source_free(api.source);
	auth_free(api.auth);
	atomic_store(&fake.stopping, true);
	pthread_join(fake.thread, NULL);
	close(fake.listening);
	fake_expect(NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	curl_global_cleanup();
	return system(command);
}

/* A request. */

struct got {
	long code;
	char *body;
	size_t n;
	char headers[8192];
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *opaque)
{
	struct got *g = opaque;

	g->body = realloc(g->body, g->n + size * count + 1);
	memcpy(g->body + g->n, bytes, size * count);
	g->n += size * count;
	g->body[g->n] = '\0';
	return size * count;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *opaque)
{
	struct got *g = opaque;

	if (strlen(g->headers) + size * count < sizeof(g->headers))
		strncat(g->headers, bytes, size * count);
	return size * count;
}

struct ask {
	const char *method;
	const char *path;
	const char *content_type;
	const char *accept;
	const char *body;
	size_t body_n;
	const char *token;      /* not null: over HTTPS; "" is none */
};

static CURLcode ask(const struct ask *a, struct got *g)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	CURL *curl = curl_easy_init();
	char text[8300];
	CURLcode result;

	*g = (struct got){0};
	snprintf(text, sizeof(text), "Content-Type: %s", a->content_type == NULL ? "" : a->content_type);
	headers = curl_slist_append(headers, a->content_type == NULL ? "Content-Type:" : text);
	if (a->accept != NULL) {
		snprintf(text, sizeof(text), "Accept: %s", a->accept);
		headers = curl_slist_append(headers, text);
	}
	if (a->token != NULL && a->token[0] != '\0') {
		snprintf(text, sizeof(text), "Authorization: Bearer %s", a->token);
		headers = curl_slist_append(headers, text);
	}
	if (a->token == NULL) {
		snprintf(text, sizeof(text), "http://localhost%s", a->path);
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, api_socket);
	} else {
		snprintf(text, sizeof(text), "https://127.0.0.1:%u%s", server_port(https), a->path);
		curl_easy_setopt(curl, CURLOPT_CAINFO, ca_path);
	}
	curl_easy_setopt(curl, CURLOPT_URL, text);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, a->method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20000L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, g);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, g);
	if (a->body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)(a->body_n ? a->body_n : strlen(a->body)));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, a->body);
	}
	result = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &g->code);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	return result;
}

#define GROUP "/apis/gateway.networking.k8s.io/v1"
#define GATEWAYS GROUP "/namespaces/default/gateways"
#define CREATED                                                                                                        \
	"{\"code\":201,\"resourceVersion\":\"9\",\"results\":[{\"code\":201,\"result\":\"created\",\"object\":{"       \
	"\"apiVersion\":\"gateway.networking.k8s.io/"                                                                  \
	"v1\",\"kind\":\"Gateway\",\"metadata\":{\"name\":\"g\",\"namespace\":"                                        \
	"\"default\",\"uid\":\"u9\"}}}],\"warnings\":[\"unknown field \\\"spec.x\\\"\"]}"
#define CONFLICT                                                                                                       \
	"{\"code\":409,\"failed\":0,\"status\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\","     \
	"\"message\":\"the object has been modified\",\"reason\":\"Conflict\",\"code\":409}}"
#define GONE                                                                                                           \
	"{\"code\":404,\"failed\":0,\"status\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\","     \
	"\"message\":\"not found\",\"reason\":\"NotFound\",\"code\":404}}"
#define SECRET "{\"code\":200,\"resourceVersion\":\"7\",\"results\":[{\"code\":200,\"object\":{\"apiVersion\":\"v1\"," \
	"\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"namespace\":\"default\"},\"data\":{\"k\":\"dg==\"}}}]}"
#define GATEWAY_JSON                                                                                                   \
	"{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"Gateway\",\"metadata\":{\"name\":\"g\"},"         \
	"\"spec\":{}}"

static const struct exchange {
	const char *name;
	struct ask ask;
	const char *replies[3];         /* of control, in order */
	long code;
	const char *body[3];            /* all are found in the answer */
	const char *asked[3];           /* all are found in control's last request; first null: control is not asked */
	const char *lacks;              /* is not found in the answer */
} exchanges[] = {
	{"a NUL does not end a name",
	 {.method = "GET", "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/edge%00x"},
	 {0},
	 404,
	 {"gateways.gateway.networking.k8s.io \\\"edge%00x\\\" not found"},
	 {0}},
	{"health", {.method = "GET", "/healthz"}, {0}, 200, {"ok"}, {0}},
	{"version", {.method = "GET", "/version"}, {0}, 200, {"\"gitVersion\":\"v1.32.0+sluice\""}, {0}},
	{"ready",
	 {.method = "GET", "/readyz"},
	 {"{\"code\":200,\"resourceVersion\":\"5\",\"published\":\"5\",\"dataplane\":true}"},
	 200,
	 {"ok"},
	 {"\"verb\":\"ready\""}},
	{"not ready",
	 {.method = "GET", "/readyz"},
	 {"{\"code\":200,\"resourceVersion\":\"5\",\"published\":\"4\",\"dataplane\":false}"},
	 503,
	 {"not connected"},
	 {"ready"}},
	{"refused by the data plane",
	 {.method = "GET", "/readyz"},
	 {"{\"code\":200,\"resourceVersion\":\"5\",\"published\":\"4\",\"dataplane\":true,\"reason\":\"too large\"}"},
	 503,
	 {"published version 4, data plane connected: too large"},
	 {"ready"}},
	{"core versions", {.method = "GET", "/api"}, {0}, 200, {"\"kind\":\"APIVersions\"", "\"v1\""}, {0}},
	{"groups",
	 {.method = "GET", "/apis"},
	 {0},
	 200,
	 {"\"kind\":\"APIGroupList\"", "gateway.networking.k8s.io/v1", "sluice.internal"},
	 {0}},
	{"group",
	 {.method = "GET", "/apis/gateway.networking.k8s.io"},
	 {0},
	 200,
	 {"\"kind\":\"APIGroup\"", "\"preferredVersion\":{\"groupVersion\":\"gateway.networking.k8s.io/v1\""},
	 {0}},
	{"no such group", {.method = "GET", "/apis/nope.io"}, {0}, 404, {"could not find the requested resource"}, {0}},
	{"resources",
	 {.method = "GET", GROUP},
	 {0},
	 200,
	 {"\"name\":\"gateways/status\"", "\"shortNames\":[\"gtw\"]"},
	 {0}},
	{"core resources",
	 {.method = "GET", "/api/v1"},
	 {0},
	 200,
	 {"\"name\":\"secrets\"", "\"groupVersion\":\"v1\""},
	 {0}},
	{"openapi", {.method = "GET", "/openapi/v3"}, {0}, 200, {"apis/gateway.networking.k8s.io/v1"}, {0}},
	{"openapi of a group",
	 {.method = "GET", "/openapi/v3" GROUP},
	 {0},
	 200,
	 {"fieldValidation", "x-kubernetes-group-version-kind", "\"kind\":\"HTTPRoute\""},
	 {0}},
	{"unknown path", {.method = "GET", "/nope"}, {0}, 404, {"\"reason\":\"NotFound\"", "\"code\":404"}, {0}},
	{"unknown resource",
	 {.method = "GET", GROUP "/things"},
	 {0},
	 404,
	 {"could not find the requested resource"},
	 {0}},
	{"unknown version",
	 {.method = "GET", "/apis/gateway.networking.k8s.io/v9/gateways"},
	 {0},
	 404,
	 {"NotFound"},
	 {0}},
	{"a namespaced object without namespace",
	 {.method = "GET", GROUP "/gateways/edge"},
	 {0},
	 404,
	 {"NotFound"},
	 {0}},
	{"a cluster object in a namespace",
	 {.method = "GET", GROUP "/namespaces/a/gatewayclasses/x"},
	 {0},
	 404,
	 {"NotFound"},
	 {0}},
	{"an object",
	 {.method = "GET", GATEWAYS "/edge"},
	 {0},
	 200,
	 {"\"uid\":\"u1\"", "\"gatewayClassName\":\"sluice\""},
	 {0}},
	{"an object in YAML",
	 {.method = "GET", GATEWAYS "/edge", .accept = "application/yaml"},
	 {0},
	 200,
	 {"kind: Gateway\nmetadata:\n", "  gatewayClassName: sluice\n"},
	 {0}},
	{"an object of another version",
	 {.method = "GET", "/apis/gateway.networking.k8s.io/v1beta1/namespaces/default/gateways/edge"},
	 {0},
	 200,
	 {"\"apiVersion\":\"gateway.networking.k8s.io/v1beta1\""},
	 {0}},
	{"its status", {.method = "GET", GATEWAYS "/edge/status"}, {0}, 200, {"\"uid\":\"u1\""}, {0}},
	{"no such object",
	 {.method = "GET", GATEWAYS "/nope"},
	 {0},
	 404,
	 {"gateways.gateway.networking.k8s.io \\\"nope\\\" not found",
	  "\"details\":{\"name\":\"nope\",\"group\":\"gateway.networking.k8s.io\",\"kind\":\"gateways\"}"},
	 {0}},
	{"no such subresource", {.method = "GET", GATEWAYS "/edge/scale"}, {0}, 404, {"NotFound"}, {0}},
	{"a list",
	 {.method = "GET", GATEWAYS},
	 {0},
	 200,
	 {"\"kind\":\"GatewayList\",\"metadata\":{\"resourceVersion\":\"3\"}", "\"uid\":\"u1\""},
	 {0},
	 "\"uid\":\"u2\""},
	{"a list of all namespaces",
	 {.method = "GET", GROUP "/gateways"},
	 {0},
	 200,
	 {"\"uid\":\"u1\"", "\"uid\":\"u2\""},
	 {0}},
	{"an empty list",
	 {.method = "GET", GROUP "/httproutes"},
	 {0},
	 200,
	 {"\"kind\":\"HTTPRouteList\"", "\"items\":[]"},
	 {0}},
	{"a page",
	 {.method = "GET", GROUP "/gateways?limit=1"},
	 {0},
	 200,
	 {"\"continue\":\"default/edge\"", "\"uid\":\"u1\""},
	 {0},
	 "\"uid\":\"u2\""},
	{"the next page",
	 {.method = "GET", GROUP "/gateways?limit=1&continue=default%2Fedge"},
	 {0},
	 200,
	 {"\"uid\":\"u2\""},
	 {0},
	 "\"uid\":\"u1\""},
	{"a bad continue",
	 {.method = "GET", GROUP "/gateways?continue=x"},
	 {0},
	 400,
	 {"continue key is not valid"},
	 {0}},
	{"labels",
	 {.method = "GET", GROUP "/gateways?labelSelector=site%3Dnorth"},
	 {0},
	 200,
	 {"\"uid\":\"u1\""},
	 {0},
	 "\"uid\":\"u2\""},
	{"fields",
	 {.method = "GET", GROUP "/gateways?fieldSelector=metadata.namespace%3Dother"},
	 {0},
	 200,
	 {"\"uid\":\"u2\""},
	 {0},
	 "\"uid\":\"u1\""},
	{"a bad selector",
	 {.method = "GET", GROUP "/gateways?labelSelector=a%20b"},
	 {0},
	 400,
	 {"unable to parse requirement"},
	 {0}},
	{"watch", {.method = "GET", GATEWAYS "?watch=true"}, {0}, 405, {"watch is not supported"}, {0}},
	{"a table",
	 {.method = "GET", GROUP "/gateways", .accept = "application/json;as=Table;v=v1;g=meta.k8s.io"},
	 {0},
	 200,
	 {"\"kind\":\"Table\"", "\"cells\":[\"edge\",\"sluice\""},
	 {0}},
	{"not acceptable",
	 {.method = "GET", GATEWAYS, .accept = "text/html"},
	 {0},
	 406,
	 {"\"reason\":\"NotAcceptable\""},
	 {0}},
	{"method not allowed",
	 {.method = "PUT", GATEWAYS, "application/json", .body = "{}"},
	 {0},
	 405,
	 {"\"reason\":\"MethodNotAllowed\""},
	 {0}},
	{"no method", {.method = "BREW", GATEWAYS}, {0}, 405, {"MethodNotAllowed"}, {0}},
	{"a secret",
	 {.method = "GET", "/api/v1/namespaces/default/secrets/s"},
	 {SECRET},
	 200,
	 {"\"k\":\"dg==\""},
	 {"\"verb\":\"get\"", "\"local\":true", "\"name\":\"s\""}},
	{"secrets",
	 {.method = "GET", "/api/v1/secrets"},
	 {SECRET},
	 200,
	 {"\"kind\":\"SecretList\"", "\"resourceVersion\":\"7\""},
	 {"\"verb\":\"list\""}},
	{"no such secret",
	 {.method = "GET", "/api/v1/namespaces/default/secrets/t"},
	 {GONE},
	 404,
	 {"secrets \\\"t\\\" not found"},
	 {"get"}},
	{"create",
	 {.method = "POST", GATEWAYS "?dryRun=All&fieldValidation=Strict", "application/json", .body = GATEWAY_JSON},
	 {CREATED},
	 201,
	 {"\"uid\":\"u9\""},
	 {"\"verb\":\"create\"", "\"dryRun\":true,\"fieldValidation\":\"Strict\"", "\"namespace\":\"default\""}},
	{"create from YAML",
	 {.method = "POST",
	  GATEWAYS,
	  "application/yaml",
	  .body = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"},
	 {CREATED},
	 201,
	 {"u9"},
	 {"\"dryRun\":false,\"fieldValidation\":\"Warn\"", "\"name\":\"g\",\"namespace\":\"default\""}},
	{"generateName",
	 {.method = "POST",
	  GATEWAYS,
	  "application/json",
	  .body = "{\"apiVersion\":\"gateway.networking.k8s.io/"
		  "v1\",\"kind\":\"Gateway\",\"metadata\":{\"generateName\":\"g-\"}}"},
	 {CREATED},
	 201,
	 {"u9"},
	 {"\"name\":\"g-"}},
	{"two objects",
	 {.method = "POST", GATEWAYS, "application/yaml", .body = "a: 1\n---\nb: 2\n"},
	 {0},
	 400,
	 {"the body must be one object"},
	 {0}},
	{"bad YAML",
	 {.method = "POST", GATEWAYS, "application/yaml", .body = "a:\n  b: 1\n c: 2\n"},
	 {0},
	 400,
	 {"line 3, column 2"},
	 {0}},
	{"bad JSON",
	 {.method = "POST", GATEWAYS, "application/json", .body = "{\"a\": }"},
	 {0},
	 400,
	 {"line 1, column 7"},
	 {0}},
	{"no kind",
	 {.method = "POST", GATEWAYS, "application/json", .body = "{\"apiVersion\":\"v1\"}"},
	 {0},
	 400,
	 {"Object 'Kind' is missing"},
	 {0}},
	{"another kind",
	 {.method = "POST",
	  GATEWAYS,
	  "application/json",
	  .body = "{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"HTTPRoute\"}"},
	 {0},
	 400,
	 {"cannot be handled as a Gateway"},
	 {0}},
	{"another version",
	 {.method = "POST", GATEWAYS, "application/json", .body = "{\"apiVersion\":\"v1\",\"kind\":\"Gateway\"}"},
	 {0},
	 400,
	 {"does not match the expected API version (gateway.networking.k8s.io/v1)"},
	 {0}},
	{"another namespace",
	 {.method = "POST",
	  GATEWAYS,
	  "application/json",
	  .body = "{\"apiVersion\":\"gateway.networking.k8s.io/"
		  "v1\",\"kind\":\"Gateway\",\"metadata\":{\"namespace\":\"x\"}}"},
	 {0},
	 400,
	 {"namespace of the provided object does not match"},
	 {0}},
	{"create without namespace",
	 {.method = "POST", GROUP "/gateways", "application/json", .body = GATEWAY_JSON},
	 {0},
	 405,
	 {"MethodNotAllowed"},
	 {0}},
	{"bad dryRun",
	 {.method = "POST", GATEWAYS "?dryRun=yes", "application/json", .body = GATEWAY_JSON},
	 {0},
	 400,
	 {"invalid dryRun"},
	 {0}},
	{"bad fieldValidation",
	 {.method = "POST", GATEWAYS "?fieldValidation=x", "application/json", .body = GATEWAY_JSON},
	 {0},
	 400,
	 {"fieldValidation: Unsupported value"},
	 {0}},
	{"protobuf",
	 {.method = "POST", GATEWAYS, "application/vnd.kubernetes.protobuf", .body = "k8s"},
	 {0},
	 415,
	 {"\"reason\":\"UnsupportedMediaType\""},
	 {0}},
	{"control refuses",
	 {.method = "POST", GATEWAYS, "application/json", .body = GATEWAY_JSON},
	 {CONFLICT},
	 409,
	 {"\"reason\":\"Conflict\"", "\"failed\":0"},
	 {"create"}},
	{"control hangs up",
	 {.method = "POST", GATEWAYS, "application/json", .body = GATEWAY_JSON},
	 {0},
	 503,
	 {"\"reason\":\"ServiceUnavailable\"", "may or may not", "\"retryAfterSeconds\":1"},
	 {"create"}},
	{"control talks nonsense",
	 {.method = "POST", GATEWAYS, "application/json", .body = GATEWAY_JSON},
	 {"{\"code\":7}"},
	 500,
	 {"cannot be understood"},
	 {"create"}},
	{"update",
	 {.method = "PUT", GATEWAYS "/g", "application/json", .body = GATEWAY_JSON},
	 {CREATED},
	 201,
	 {"u9"},
	 {"\"verb\":\"update\""}},
	{"update of status",
	 {.method = "PUT", GATEWAYS "/g/status", "application/json", .body = GATEWAY_JSON},
	 {CREATED},
	 201,
	 {"u9"},
	 {"\"verb\":\"update\"", "\"subresource\":\"status\""}},
	{"update of another name",
	 {.method = "PUT", GATEWAYS "/h", "application/json", .body = GATEWAY_JSON},
	 {0},
	 400,
	 {"the name of the object (g) does not match the name on the URL (h)"},
	 {0}},
	{"merge patch",
	 {.method = "PATCH",
	  GATEWAYS "/edge",
	  "application/merge-patch+json",
	  .body = "{\"spec\":{\"x\":1},\"metadata\":{\"labels\":{\"site\":null}}}"},
	 {CREATED},
	 201,
	 {"u9"},
	 {"\"verb\":\"update\"", "\"spec\":{\"gatewayClassName\":\"sluice\",\"x\":1}", "\"labels\":{}"}},
	{"merge patch that must be tried again",
	 {.method = "PATCH", GATEWAYS "/edge", "application/merge-patch+json", .body = "{}"},
	 {CONFLICT, CONFLICT, CREATED},
	 201,
	 {"u9"},
	 {"\"resourceVersion\":\"1\""}},
	{"merge patch for a version",
	 {.method = "PATCH",
	  GATEWAYS "/edge",
	  "application/merge-patch+json",
	  .body = "{\"metadata\":{\"resourceVersion\":\"77\"}}"},
	 {CONFLICT, CREATED},
	 409,
	 {"Conflict"},
	 {"\"resourceVersion\":\"77\""}},
	{"merge patch of nothing",
	 {.method = "PATCH", GATEWAYS "/nope", "application/merge-patch+json", .body = "{}"},
	 {0},
	 404,
	 {"not found"},
	 {0}},
	{"strategic patch",
	 {.method = "PATCH", GATEWAYS "/edge", "application/strategic-merge-patch+json", .body = "{}"},
	 {0},
	 415,
	 {"UnsupportedMediaType"},
	 {0}},
	{"delete",
	 {.method = "DELETE", GATEWAYS "/g"},
	 {CREATED},
	 200,
	 {"\"status\":\"Success\"", "\"uid\":\"u9\""},
	 {"\"verb\":\"delete\"", "\"name\":\"g\""}},
	{"delete with preconditions",
	 {.method = "DELETE",
	  GATEWAYS "/g",
	  "application/json",
	  .body = "{\"kind\":\"DeleteOptions\",\"preconditions\":{\"uid\":\"u1\",\"resourceVersion\":\"5\"},\"dryRun\":"
		  "[\"All\"]}"},
	 {CREATED},
	 200,
	 {"Success"},
	 {"\"uid\":\"u1\",\"resourceVersion\":\"5\"", "\"dryRun\":true"}},
	{"delete of nothing", {.method = "DELETE", GATEWAYS "/g"}, {GONE}, 404, {"NotFound"}, {"delete"}},
	{"delete of all", {.method = "DELETE", GROUP "/gateways"}, {CREATED}, 405, {"MethodNotAllowed"}, {0}},
	{"delete of a collection",
	 {.method = "DELETE", GATEWAYS},
	 {CREATED},
	 200,
	 {"\"kind\":\"GatewayList\""},
	 {"\"verb\":\"delete\"", "\"namespace\":\"default\",\"name\":\"edge\""}},
	{"delete of a collection that changes",
	 {.method = "DELETE", GATEWAYS},
	 {GONE, CREATED},
	 200,
	 {"GatewayList"},
	 {"delete"}},
	{"delete of what matches",
	 {.method = "DELETE", GATEWAYS "?labelSelector=site%3Dsouth"},
	 {0},
	 200,
	 {"\"items\":[]"},
	 {0}},
	{"apply",
	 {.method = "POST",
	  "/sluice/v1/apply?namespace=shop",
	  "application/yaml",
	  .body = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n---\napiVersion: v1\n"
		  "kind: Namespace\nmetadata: {name: shop}\n"},
	 {CREATED},
	 200,
	 {"\"result\":\"created\"", "\"resource\":\"gateways.gateway.networking.k8s.io\"", "\"kind\":\"ApplyResult\""},
	 {"\"verb\":\"apply\"", "\"fieldValidation\":\"Strict\"",
	  "{\"name\":\"g\",\"namespace\":\"shop\"}},{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{"
	  "\"name\":\"shop\"}}"}},
	{"apply of a List",
	 {.method = "POST",
	  "/sluice/v1/apply",
	  "application/json",
	  .body = "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"kind\":\"A\"},{\"kind\":\"B\"}]}"},
	 {CREATED},
	 200,
	 {"created"},
	 {"\"objects\":[{\"kind\":\"A\"},{\"kind\":\"B\"}]"}},
	{"apply of nothing",
	 {.method = "POST", "/sluice/v1/apply", "application/yaml", .body = "# nothing\n"},
	 {0},
	 400,
	 {"the body holds no objects"},
	 {0}},
	{"apply of no object",
	 {.method = "POST", "/sluice/v1/apply", "application/yaml", .body = "a: 1\n---\n- 1\n"},
	 {0},
	 400,
	 {"document on line 3: not an object"},
	 {0}},
	{"apply of a List in a List",
	 {.method = "POST",
	  "/sluice/v1/apply",
	  "application/yaml",
	  .body = "{kind: List, items: [{kind: List, items: []}]}"},
	 {0},
	 400,
	 {"a List inside of a List"},
	 {0}},
	{"apply that deletes",
	 {.method = "POST", "/sluice/v1/apply?delete=true", "application/yaml", .body = "kind: A\n"},
	 {CREATED},
	 200,
	 {"created"},
	 {"\"verb\":\"delete\""}},
};

static void check_exchange(const struct exchange *x)
{
	const char *asked = NULL;
	struct got got;
	size_t replies = 0;

	while (replies < 3 && x->replies[replies] != NULL)
		replies++;
	fake_expect(x->replies, replies);
	if (ask(&x->ask, &got) != CURLE_OK || got.code != x->code)
		fail_msg("%s: got %ld: %s", x->name, got.code, got.body == NULL ? "" : got.body);
	for (size_t i = 0; i < 3 && x->body[i] != NULL; i++)
		if (strstr(got.body, x->body[i]) == NULL)
			fail_msg("%s: no %s in %s", x->name, x->body[i], got.body);
	if (x->lacks != NULL && strstr(got.body, x->lacks) != NULL)
		fail_msg("%s: %s in %s", x->name, x->lacks, got.body);
	pthread_mutex_lock(&fake.mutex);
	asked = fake.requests_n == 0 ? NULL : fake.requests[fake.requests_n - 1];
	pthread_mutex_unlock(&fake.mutex);
	if ((asked == NULL) != (x->asked[0] == NULL))
		fail_msg("%s: control was asked: %s", x->name, asked == NULL ? "nothing" : asked);
	for (size_t i = 0; i < 3 && x->asked[i] != NULL; i++)
		if (strstr(asked, x->asked[i]) == NULL)
			fail_msg("%s: no %s in what control was asked: %s", x->name, x->asked[i], asked);
	free(got.body);
}

static void test_exchanges(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++)
		check_exchange(&exchanges[i]);
}

static void test_warnings(void **state)
{
	const char *replies[] = {CREATED};
	struct got got;

	(void)state;
	fake_expect(replies, 1);
	ask(&(struct ask){.method = "POST", GATEWAYS, "application/json", .body = GATEWAY_JSON}, &got);
	assert_non_null(strstr(got.headers, "Warning: 299 - \"unknown field \\\"spec.x\\\"\"\r\n"));
	free(got.body);
}

/* A body that is too large is refused, and the connection is good for the next request. */
static void test_large_body(void **state)
{
	size_t n = API_BODY_MAX + 1;
	char *body = malloc(n);
	struct got got;

	(void)state;
	memset(body, ' ', n);
	fake_expect(NULL, 0);
	assert_int_equal(
		ask(&(struct ask){.method = "POST", GATEWAYS, "application/json", .body = body, .body_n = n}, &got),
		CURLE_OK);
	assert_int_equal(got.code, 413);
	assert_non_null(strstr(got.body, "Request entity too large: limit is 3145728"));
	free(got.body);
	memset(body, ' ', n);
	memcpy(body, GATEWAY_JSON, strlen(GATEWAY_JSON));
	assert_int_equal(
		ask(&(struct ask){.method = "POST", GATEWAYS, "application/json", .body = body, .body_n = n - 1}, &got),
		CURLE_OK);
	assert_int_equal(got.code, 503); /* it went through to control, which hung up */
	free(got.body);
	free(body);
}

#define KNOWN "{\"code\":200,\"user\":{\"name\":\"admin\",\"groups\":[],\"role\":\"admin\"}}"
#define UNKNOWN "{\"code\":401,\"status\":{}}"

static void test_tokens(void **state)
{
	const char *known[] = {KNOWN}, *unknown[] = {UNKNOWN}, *secret[] = {SECRET};
	struct got got;

	(void)state;
	fake_expect(unknown, 1);
	assert_int_equal(ask(&(struct ask){.method = "GET", GATEWAYS, .token = ""}, &got), CURLE_OK);
	assert_int_equal(got.code, 401);
	assert_non_null(strstr(got.body, "\"reason\":\"Unauthorized\""));
	assert_non_null(strstr(got.headers, "WWW-Authenticate: Bearer"));
	assert_int_equal(fake.requests_n, 0); /* no token, nothing to ask */
	free(got.body);

	assert_int_equal(ask(&(struct ask){.method = "GET", GATEWAYS, .token = "wrong"}, &got), CURLE_OK);
	assert_int_equal(got.code, 401);
	assert_int_equal(fake.requests_n, 1);
	free(got.body);
	assert_int_equal(ask(&(struct ask){.method = "GET", "/healthz", .token = ""}, &got), CURLE_OK);
	assert_int_equal(got.code, 200);
	free(got.body);

	fake_expect(known, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(&(struct ask){.method = "GET", GATEWAYS, .token = "right"}, &got), CURLE_OK);
		assert_int_equal(got.code, 200);
		free(got.body);
	}
	assert_int_equal(fake.requests_n, 1); /* the other two were remembered */
	assert_non_null(strstr(fake.requests[0], "\"token\":\"right\""));
	assert_null(strstr(fake.requests[0], "local"));

	fake_expect(secret, 1);
	assert_int_equal(
		ask(&(struct ask){.method = "GET", "/api/v1/namespaces/default/secrets/s", .token = "right"}, &got),
		CURLE_OK);
	assert_int_equal(got.code, 200);
	assert_non_null(strstr(fake.requests[0], "\"user\":\"admin\",\"token\":\"right\""));
	assert_null(strstr(fake.requests[0], "local"));
	free(got.body);
}

static void test_token_when_control_is_away(void **state)
{
	struct got got;

	(void)state;
	fake_expect(NULL, 0);
	assert_int_equal(ask(&(struct ask){.method = "GET", GATEWAYS, .token = "another"}, &got), CURLE_OK);
	assert_int_equal(got.code, 503);
	assert_non_null(strstr(got.headers, "Retry-After: 1"));
	free(got.body);
}

static bool guess(struct auth *auth, int i, const struct sockaddr *peer, enum refusal_type *why)
{
	struct refusal f = {0};
	struct user user;
	char token[32];
	bool good;

	snprintf(token, sizeof(token), "Bearer guess-%d", i);
	good = auth_check(auth, token, peer, &user, &f);
	*why = f.type;
	return good;
}

/* Who guesses is stopped, others are not: another address, another /64, and whoever is known. */
static void test_too_many_failures(void **state)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6120002)}, other = four;
	struct sockaddr_in6 six = {.sin6_family = AF_INET6}, same = six, far = six;
	const char *unknown[] = {UNKNOWN};
	enum refusal_type why = REFUSAL_NONE;
	struct got got;
	int tries;

	(void)state;
	other.sin_addr.s_addr = htonl(0xc6120003);
	inet_pton(AF_INET6, "2001:db8:0:1::1", &six.sin6_addr);
	inet_pton(AF_INET6, "2001:db8:0:1:ffff::2", &same.sin6_addr);
	inet_pton(AF_INET6, "2001:db8:0:2::1", &far.sin6_addr);
	fake_expect(unknown, 1);
	for (tries = 0; tries < 20 * AUTH_FAILURES_PER_S && why != REFUSAL_TOO_MANY; tries++)
		assert_false(guess(api.auth, tries, (struct sockaddr *)&four, &why));
	assert_int_equal(why, REFUSAL_TOO_MANY);
	assert_true(tries > AUTH_FAILURES_PER_S);
	assert_false(guess(api.auth, 1, (struct sockaddr *)&other, &why));
	assert_int_equal(why, REFUSAL_UNAUTHORIZED);
	why = REFUSAL_NONE;
	for (tries = 0; tries < 20 * AUTH_FAILURES_PER_S && why != REFUSAL_TOO_MANY; tries++)
		assert_false(guess(api.auth, tries, (struct sockaddr *)(tries % 2 ? &six : &same), &why));
	assert_int_equal(why, REFUSAL_TOO_MANY);
	assert_false(guess(api.auth, 1, (struct sockaddr *)&far, &why));
	assert_int_equal(why, REFUSAL_UNAUTHORIZED);
	assert_int_equal(ask(&(struct ask){.method = "GET", GATEWAYS, .token = "right"}, &got), CURLE_OK);
	assert_int_equal(got.code, 200);
	free(got.body);
}

/* Made once, kept; anew for another address; refused when it does not fit together. */
static void test_certificates(void **state)
{
	char path[300], file[400], error[256];
	struct certificate a, b;
	struct stat s;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/certificates", directory);
	assert_true(certificate_load(path, "198.18.2.1", &a, error));
	assert_true(certificate_load(path, "198.18.2.1", &b, error));
	assert_string_equal(a.chain, b.chain);
	assert_string_equal(a.key, b.key);
	certificate_fini(&b);
	assert_true(certificate_load(path, "2001:db8::1", &b, error));
	assert_string_not_equal(a.chain, b.chain);
	/* The authority is the same: the last certificate of the chain. */
	assert_string_equal(
		strrchr(a.chain, 'B') != NULL ? strstr(strstr(a.chain + 1, "-----BEGIN"), "-----BEGIN") : "",
		strrchr(b.chain, 'B') != NULL ? strstr(strstr(b.chain + 1, "-----BEGIN"), "-----BEGIN") : "");
	certificate_fini(&a);
	certificate_fini(&b);
	snprintf(file, sizeof(file), "%s/ca.key", path);
	assert_int_equal(stat(file, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	snprintf(file, sizeof(file), "%s/server.pem", path);
	assert_int_equal(stat(file, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);

	/* A first start that was cut off after the key. */
	snprintf(file, sizeof(file), "%s/ca.crt", path);
	unlink(file);
	assert_true(certificate_load(path, "198.18.2.1", &a, error));
	certificate_fini(&a);
	/* Garbage is not replaced in silence. */
	f = fopen(file, "w");
	fputs("garbage\n", f);
	fclose(f);
	assert_false(certificate_load(path, "198.18.2.1", &a, error));
	assert_non_null(strstr(error, "ca.crt"));
	unlink(file);
	snprintf(file, sizeof(file), "%s/server.pem", path);
	f = fopen(file, "w");
	fputs("garbage\n", f);
	fclose(f);
	assert_true(certificate_load(path, "198.18.2.1", &a, error));
	certificate_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),   cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_large_body),  cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_token_when_control_is_away), cmocka_unit_test(test_too_many_failures),
		cmocka_unit_test(test_certificates),
	};

	return cmocka_run_group_tests_name("api", tests, setup, teardown);
}
