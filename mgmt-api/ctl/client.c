/* Requests by libcurl's easy interface, one connection kept alive, repeated while the other side is away. */
#include "mgmt-api/ctl/client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT_MS = 2000, PAUSE_MS = 200, PATIENCE_MS = 1000, NOBODY_MS = 2000, REPLY_BYTES_MAX = 256 << 20 };

struct client {
	CURL *curl;
	const struct client_options *options;
	char socket_path[108];
	char *token;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static bool token_read(struct client *c, const char *path)
{
	FILE *file = fopen(path, "re");
	size_t space = 0;
	ssize_t n;

	if (file == NULL) {
		fprintf(stderr, "error: %s: %s\n", path, strerror(errno));
		return false;
	}
	n = getline(&c->token, &space, file);
	fclose(file);
	while (n > 0 && isspace((unsigned char)c->token[n - 1]))
		c->token[--n] = '\0';
	if (n <= 0) {
		fprintf(stderr, "error: %s holds no token\n", path);
		return false;
	}
	return true;
}

struct client *client_new(const struct client_options *o)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->options = o;
	if (snprintf(c->socket_path, sizeof(c->socket_path), "%s/api.sock", o->run) >= (int)sizeof(c->socket_path)) {
		fprintf(stderr, "error: %s: too long for a socket's path\n", o->run);
		free(c);
		return NULL;
	}
	if (o->token_file != NULL && !token_read(c, o->token_file)) {
		free(c);
		return NULL;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	c->curl = curl_easy_init();
	if (c->curl == NULL) {
		fprintf(stderr, "error: out of memory\n");
		free(c->token);
		free(c);
		return NULL;
	}
	return c;
}

void client_free(struct client *c)
{
	if (c == NULL)
		return;
	curl_easy_cleanup(c->curl);
	curl_global_cleanup();
	free(c->token);
	free(c);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *opaque)
{
	struct client_reply *r = opaque;
	size_t n = size * count;
	char *bigger;

	if (r->body_bytes + n > REPLY_BYTES_MAX)
		return 0;
	/* Doubles at powers of two. */
	if (r->body == NULL || ((r->body_bytes ^ (r->body_bytes + n)) & ~(r->body_bytes & (r->body_bytes + n))) != 0) {
		size_t space = 4096;

		while (space < r->body_bytes + n + 1)
			space *= 2;
		bigger = realloc(r->body, space);
		if (bigger == NULL)
			return 0;
		r->body = bigger;
	}
	memcpy(r->body + r->body_bytes, bytes, n);
	r->body_bytes += n;
	r->body[r->body_bytes] = '\0';
	return n;
}

/* Warning: 299 - "text", with backslashes before quotes. */
static size_t on_header(char *bytes, size_t size, size_t count, void *opaque)
{
	static const char prefix[] = "Warning: 299 - \"";
	struct client_reply *r = opaque;
	size_t n = size * count, out = 0;
	char *text;

	if (n < sizeof(prefix) || strncasecmp(bytes, prefix, sizeof(prefix) - 1) != 0 ||
	    r->warnings_n == CLIENT_WARNINGS_MAX || (text = malloc(n)) == NULL)
		return n;
	for (size_t i = sizeof(prefix) - 1; i < n && bytes[i] != '"'; i++) {
		if (bytes[i] == '\\' && i + 1 < n)
			i++;
		text[out++] = bytes[i];
	}
	text[out] = '\0';
	r->warnings[r->warnings_n++] = text;
	return n;
}

static struct curl_slist *headers(const struct client *c, const struct client_request *q)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	char text[8192];

	snprintf(text, sizeof(text), "Accept: %s", q->accept == NULL ? "application/json" : q->accept);
	list = curl_slist_append(list, text);
	if (q->content_type != NULL) {
		snprintf(text, sizeof(text), "Content-Type: %s", q->content_type);
		list = curl_slist_append(list, text);
	}
	if (c->token != NULL && snprintf(text, sizeof(text), "Authorization: Bearer %s", c->token) < (int)sizeof(text))
		list = curl_slist_append(list, text);
	return list;
}

/* Why nobody answers at the socket: libcurl would speak of a host and a port, which there are none of. */
static const char *connect_error(const struct client *c)
{
	long number = 0;

	if (access(c->socket_path, F_OK) != 0)
		return strerror(errno);
	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &number);
	return strerror(number == 0 ? ECONNREFUSED : (int)number);
}

/* No socket of the box is there: nothing is being replaced, nothing has been started. */
static bool nothing_runs(const struct client *c)
{
	static const char *const names[] = {"api.sock", "control.sock", "dataplane.sock"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", c->options->run, names[i]);
		if (access(path, F_OK) == 0)
			return false;
	}
	return c->options->server == NULL;
}

static bool send_once(struct client *c, const struct client_request *q, struct client_reply *reply, long timeout_ms)
{
	const struct client_options *o = c->options;
	char url[8192], why[CURL_ERROR_SIZE] = "";
	struct curl_slist *list = headers(c, q);
	CURLcode result;

	curl_easy_reset(c->curl);
	snprintf(url, sizeof(url), "%s%s", o->server == NULL ? "http://localhost" : o->server, q->path);
	if (o->server == NULL)
		curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket_path);
	else if (o->ca_file != NULL)
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, o->ca_file);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, q->method);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms < CONNECT_MS ? timeout_ms : (long)CONNECT_MS);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, reply);
	curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, reply);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, why);
	if (q->content_type != NULL) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_bytes);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, q->body);
	}
	result = curl_easy_perform(c->curl);
	curl_slist_free_all(list);
	if (result == CURLE_OK) {
		curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &reply->code);
		if (reply->body == NULL)
			reply->body = strdup("");
		return reply->body != NULL;
	}
	if (result == CURLE_COULDNT_CONNECT && o->server == NULL)
		snprintf(reply->error, sizeof(reply->error), "%s: is sluice-api running?", connect_error(c));
	else
		snprintf(reply->error, sizeof(reply->error), "%.200s",
			 why[0] != '\0' ? why : curl_easy_strerror(result));
	return result != CURLE_PEER_FAILED_VERIFICATION && result != CURLE_SSL_CACERT_BADFILE &&
	       result != CURLE_URL_MALFORMAT && result != CURLE_UNSUPPORTED_PROTOCOL;
}

static bool worth_repeating(long code)
{
	return code == 0 || code == 503 || code == 429 || code == 504;
}

/* Why the answer is not final: the message of its Status, or why there was none. */
static void reason(const struct client_reply *r, char out[static 256])
{
	yyjson_doc *doc = r->code == 0 ? NULL : yyjson_read(r->body, r->body_bytes, 0);
	const char *message = doc_str(yyjson_doc_get_root(doc), "message");

	if (r->code == 0)
		snprintf(out, 256, "%s", r->error);
	else if (message[0] != '\0')
		snprintf(out, 256, "%.250s", message);
	else
		snprintf(out, 256, "%.250s", r->body);
	yyjson_doc_free(doc);
}

bool client_send(struct client *c, const struct client_request *q, struct client_reply *reply)
{
	int64_t start_ms = now_ms(), deadline_ms = start_ms + (int64_t)c->options->timeout_s * 1000;
	bool told = false, again = true;
	char why[256] = "";

	for (;;) {
		*reply = (struct client_reply){0};
		again = send_once(c, q, reply, (long)(deadline_ms - now_ms() > 100 ? deadline_ms - now_ms() : 100));
		if (!again || !worth_repeating(reply->code) || q->once || now_ms() + PAUSE_MS >= deadline_ms)
			break;
		if (!c->options->timeout_given && now_ms() - start_ms >= NOBODY_MS && nothing_runs(c))
			break;
		reason(reply, why);
		if (!told && !q->quiet && now_ms() - start_ms >= PATIENCE_MS) {
			fprintf(stderr, "waiting for the API: %s\n", why);
			told = true;
		}
		client_reply_fini(reply);
		pause_ms(PAUSE_MS);
	}
	if (reply->code != 0)
		return true;
	if (!q->quiet)
		fprintf(stderr, "error: no answer from %s: %s\n",
			c->options->server == NULL ? c->socket_path : c->options->server, reply->error);
	return false;
}

void client_reply_fini(struct client_reply *r)
{
	free(r->body);
	for (size_t i = 0; i < r->warnings_n; i++)
		free(r->warnings[i]);
	*r = (struct client_reply){0};
}
