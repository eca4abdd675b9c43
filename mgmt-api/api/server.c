/*
 * libmicrohttpd and nothing else: bytes to a struct request, a struct answer to bytes.
 *
 * libmicrohttpd calls on_request first with the headers, then with pieces of the body, then once without: only the
 * first and the last call may answer. Who may not ask is answered on the first, before a byte of the body is kept. The
 * body's memory is bounded per request and over all requests.
 */
#include "mgmt-api/api/server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "mgmt-api/api/auth.h"

enum { SERVER_MAGIC = 0x5e70e700, CALL_MAGIC = 0xca110001 };

struct server {
	uint32_t magic;
	struct api *api;
	struct MHD_Daemon *daemon;
	bool local;
	atomic_size_t bodies;           /* bytes of bodies being held */
};

/* One request in progress. */
struct call {
	uint32_t magic;
	struct server *server;
	struct user user;
	struct request request;
	char *body;
	size_t body_bytes;
	size_t body_space;
	size_t body_max;
	enum refusal_type refused;      /* the body cannot be taken: answered when it ends */
};

bool listen_address_parse(const char *text, struct listen_address *out)
{
	const char *colon = strrchr(text, ':');
	struct in6_addr six;
	struct in_addr four;
	bool bracketed;
	char *end;
	long port;
	size_t n;

	if (colon == NULL || colon == text)
		return false;
	port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || colon[1] == '\0' || port < 0 || port > 65535)
		return false;
	n = (size_t)(colon - text);
	bracketed = text[0] == '[' && text[n - 1] == ']';
	if (bracketed) {
		text++;
		n -= 2;
	}
	if (n >= sizeof(out->text))
		return false;
	memcpy(out->text, text, n);
	out->text[n] = '\0';
	out->port = (uint16_t)port;
	return bracketed ? inet_pton(AF_INET6, out->text, &six) == 1 : inet_pton(AF_INET, out->text, &four) == 1;
}

static const struct {
	const char *name;
	enum method method;
} methods[] = {
	{"GET", METHOD_GET}, {"HEAD", METHOD_GET}, {"POST", METHOD_POST}, {"PUT", METHOD_PUT}, {"PATCH", METHOD_PATCH},
	{"DELETE", METHOD_DELETE},
};

static enum method method_of(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	return METHOD_OTHER;
}

static enum MHD_Result on_query(void *closure, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct request *q = closure;

	(void)kind;
	if (q->query_n < API_QUERY_MAX)
		q->query[q->query_n++] = (struct query){.name = name, .value = value == NULL ? "" : value};
	return MHD_YES;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static enum MHD_Result send_answer(struct MHD_Connection *c, struct answer *a)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(a->body_bytes, a->body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;
	char text[1024];

	if (r == NULL)
		return MHD_NO;
	a->body = NULL; /* the response's now */
	if (a->content_type != NULL)
		MHD_add_response_header(r, "Content-Type", a->content_type);
	MHD_add_response_header(r, "Cache-Control", "no-cache, private");
	MHD_add_response_header(r, "Vary", "Accept");
	if (a->retry_after)
		MHD_add_response_header(r, "Retry-After", "1");
	if (a->code == 401)
		MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"sluice\"");
	for (uint32_t i = 0; i < a->warnings_n; i++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "299 - \"");

		for (const char *p = a->warnings[i]; *p != '\0' && n < sizeof(text) - 3; p++) {
			if (*p == '"' || *p == '\\')
				text[n++] = '\\';
			text[n++] = (unsigned char)*p < ' ' ? ' ' : *p;
		}
		text[n++] = '"';
		text[n] = '\0';
		MHD_add_response_header(r, "Warning", text);
	}
	result = MHD_queue_response(c, a->code, r);
	MHD_destroy_response(r);
	answer_fini(a);
	return result;
}

static enum MHD_Result send_refusal(struct MHD_Connection *c, struct call *call, const struct refusal *f)
{
	struct answer a = {0};

	if (call->request.wanted.media == MEDIA_NONE)
		call->request.wanted.media = MEDIA_JSON;
	answer_refusal(&a, &call->request, f);
	return send_answer(c, &a);
}

/* Only root and our own user speak for the box. */
static bool peer_trusted(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return info != NULL && getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static bool open_to_all(const struct path *p)
{
	return p->type == PATH_HEALTH || p->type == PATH_VERSION;
}

static bool admit(struct MHD_Connection *c, struct call *call, struct refusal *f)
{
	const union MHD_ConnectionInfo *peer;

	if (call->server->local) {
		call->user.local = peer_trusted(c);
		strcpy(call->user.name, "local");
		if (!call->user.local)
			refusal_set(f, REFUSAL_FORBIDDEN, "only root may use the local socket");
		return call->user.local;
	}
	if (open_to_all(&call->request.path))
		return true;
	peer = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	return auth_check(call->server->api->auth, header(c, "Authorization"), peer == NULL ? NULL : peer->client_addr,
			  &call->user, f);
}

static enum MHD_Result on_headers(struct server *s, struct MHD_Connection *c, const char *url, const char *method,
				  void **closure)
{
	struct call *call = calloc(1, sizeof(*call));
	struct refusal f;

	if (call == NULL)
		return MHD_NO;
	*closure = call;
	call->magic = CALL_MAGIC;
	call->server = s;
	call->request.user = &call->user;
	call->request.method = method_of(method);
	call->request.wanted = media_of_accept(header(c, "Accept"));
	call->request.content = media_of_content_type(header(c, "Content-Type"));
	path_parse(url, &call->request.path);
	MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, on_query, &call->request);
	call->body_max = call->request.path.type == PATH_APPLY ? API_APPLY_BODY_MAX : API_BODY_MAX;
	return admit(c, call, &f) ? MHD_YES : send_refusal(c, call, &f);
}

static void body_drop(struct call *call)
{
	atomic_fetch_sub(&call->server->bodies, call->body_space);
	free(call->body);
	call->body = NULL;
	call->body_bytes = 0;
	call->body_space = 0;
}

static void body_refuse(struct call *call, enum refusal_type type)
{
	body_drop(call);
	call->refused = type;
}

static void on_body(struct call *call, const char *bytes, size_t n)
{
	size_t space = call->body_space;
	char *bigger;

	if (call->refused != REFUSAL_NONE)
		return;
	if (call->body_bytes + n > call->body_max) {
		body_refuse(call, REFUSAL_TOO_LARGE);
		return;
	}
	while (call->body_bytes + n + 1 > space)
		space = space == 0 ? 16384 : space * 2;
	if (space != call->body_space) {
		if (atomic_fetch_add(&call->server->bodies, space - call->body_space) + space > API_BODIES_MAX) {
			atomic_fetch_sub(&call->server->bodies, space - call->body_space);
			body_refuse(call, REFUSAL_TOO_MANY);
			return;
		}
		bigger = realloc(call->body, space);
		CHECK(bigger != NULL);
		call->body = bigger;
		call->body_space = space;
	}
	memcpy(call->body + call->body_bytes, bytes, n);
	call->body_bytes += n;
	call->body[call->body_bytes] = '\0';
}

static enum MHD_Result on_end(struct MHD_Connection *c, struct call *call)
{
	struct answer a = {0};
	struct refusal f;

	if (call->refused == REFUSAL_TOO_LARGE) {
		refusal_set(&f, REFUSAL_TOO_LARGE, "Request entity too large: limit is %zu", call->body_max);
		return send_refusal(c, call, &f);
	}
	if (call->refused != REFUSAL_NONE) {
		refusal_set(&f, call->refused, "too many large requests, please try again later");
		return send_refusal(c, call, &f);
	}
	call->request.body = call->body == NULL ? "" : call->body;
	call->request.body_bytes = call->body_bytes;
	api_handle(call->server->api, &call->request, &a);
	return send_answer(c, &a);
}

/* A NUL would end the text there: "web%00x" would be "web". Such a text stays as it came, and names nothing. */
static size_t on_escaped(void *opaque, struct MHD_Connection *c, char *text)
{
	(void)opaque;
	(void)c;
	return strstr(text, "%00") != NULL ? strlen(text) : MHD_http_unescape(text);
}

static enum MHD_Result on_request(void *opaque, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_n, void **closure)
{
	struct call *call = *closure;

	(void)version;
	if (call == NULL)
		return on_headers(opaque, c, url, method, closure);
	CHECK_MAGIC(call, CALL_MAGIC);
	if (*upload_n == 0)
		return on_end(c, call);
	on_body(call, upload, *upload_n);
	*upload_n = 0;
	return MHD_YES;
}

static void on_completed(void *opaque, struct MHD_Connection *c, void **closure, enum MHD_RequestTerminationCode why)
{
	struct call *call = *closure;

	(void)opaque;
	(void)c;
	(void)why;
	if (call == NULL)
		return;
	CHECK_MAGIC(call, CALL_MAGIC);
	body_drop(call);
	call->magic = 0;
	explicit_bzero(&call->user, sizeof(call->user));
	free(call);
	*closure = NULL;
}

static struct server *server_new(struct api *api, bool local)
{
	struct server *s = calloc(1, sizeof(*s));

	CHECK(s != NULL);
	s->magic = SERVER_MAGIC;
	s->api = api;
	s->local = local;
	return s;
}

static struct server *started(struct server *s, const char *what, char error[static 256])
{
	if (s->daemon != NULL)
		return s;
	snprintf(error, 256, "cannot serve %s", what);
	free(s);
	return NULL;
}

#define COMMON_OPTIONS(s) \
	MHD_OPTION_THREAD_POOL_SIZE, (unsigned)SERVER_THREADS, \
	MHD_OPTION_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS, \
	MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SERVER_TIMEOUT_S, \
	MHD_OPTION_UNESCAPE_CALLBACK, on_escaped, (s), \
	MHD_OPTION_NOTIFY_COMPLETED, on_completed, (s)

struct server *server_start_https(struct api *api, const struct listen_address *address, const char *key,
				  const char *certificate, char error[static 256])
{
	struct server *s = server_new(api, false);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(address->port)};
	bool is_six = inet_pton(AF_INET6, address->text, &six.sin6_addr) == 1;
	unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS;

	if (!is_six && inet_pton(AF_INET, address->text, &four.sin_addr) != 1) {
		snprintf(error, 256, "%s is no address", address->text);
		free(s);
		return NULL;
	}
	s->daemon = MHD_start_daemon(flags | (is_six ? MHD_USE_IPv6 : 0), address->port, NULL, NULL, on_request, s,
				     COMMON_OPTIONS(s),
				     MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)SERVER_CONNECTIONS_PER_SOURCE,
				     MHD_OPTION_SOCK_ADDR, is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four,
				     MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_HTTPS_MEM_CERT, certificate,
				     MHD_OPTION_HTTPS_PRIORITIES, "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
				     MHD_OPTION_END);
	return started(s, "HTTPS on the management address (is it there, and its port free?)", error);
}

struct server *server_start_local(struct api *api, int listening, char error[static 256])
{
	struct server *s = server_new(api, true);

	s->daemon = MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, s,
				     COMMON_OPTIONS(s), MHD_OPTION_LISTEN_SOCKET, listening, MHD_OPTION_END);
	return started(s, "HTTP on the local socket", error);
}

uint16_t server_port(const struct server *s)
{
	const union MHD_DaemonInfo *info;

	CHECK_MAGIC(s, SERVER_MAGIC);
	info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
	return info == NULL ? 0 : info->port;
}

void server_stop(struct server *s)
{
	if (s == NULL)
		return;
	CHECK_MAGIC(s, SERVER_MAGIC);
	MHD_stop_daemon(s->daemon);
	s->magic = 0;
	free(s);
}
