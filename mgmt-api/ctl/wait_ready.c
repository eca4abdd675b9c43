/*
 * wait-ready: returns when what was stored before it was called is published and accepted by the data plane, and every
 * Gateway that a controller of ours has accepted is programmed in its present generation. For scripts: silent but for
 * the reason why it gives up.
 *
 * What is refused as it is could still be an old status on its way to be rewritten: it is believed after two seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mgmt-api/ctl/ctl.h"

enum { POLL_MS = 50, NEVER_MS = 2000 };

enum verdict { READY, NOT_YET, NEVER };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static yyjson_doc *ask(struct client *client, const char *path, char why[static 512])
{
	struct client_request q = {.method = "GET", .path = path, .quiet = true, .once = true};
	struct client_reply reply;
	yyjson_doc *doc = NULL;

	if (!client_send(client, &q, &reply)) {
		snprintf(why, 512, "no answer from the API: %s", reply.error);
		return NULL;
	}
	doc = yyjson_read(reply.body, reply.body_bytes, 0);
	if (reply.code >= 300 && doc_get(yyjson_doc_get_root(doc), "dataplane") == NULL) {
		snprintf(why, 512, "%s", doc_str(yyjson_doc_get_root(doc), "message"));
		yyjson_doc_free(doc);
		doc = NULL;
	}
	client_reply_fini(&reply);
	return doc;
}

/* Is what was stored at the first look published? */
static enum verdict published(struct client *client, uint64_t *wanted, char why[static 512])
{
	yyjson_doc *doc = ask(client, "/readyz?output=json", why);
	yyjson_val *root = yyjson_doc_get_root(doc);
	uint64_t stored = strtoull(doc_str(root, "resourceVersion"), NULL, 10);
	uint64_t shown = strtoull(doc_str(root, "published"), NULL, 10);
	bool connected = doc_bool(root, "dataplane", false);

	if (doc == NULL)
		return NOT_YET;
	snprintf(why, 512, "stored version %s, published version %s, data plane %s%s%s",
		 doc_str(root, "resourceVersion"), doc_str(root, "published"),
		 connected ? "connected" : "not connected", doc_str(root, "reason")[0] == '\0' ? "" : ": ",
		 doc_str(root, "reason"));
	yyjson_doc_free(doc);
	if (*wanted == 0)
		*wanted = stored;
	return connected && *wanted != 0 && shown >= *wanted ? READY : NOT_YET;
}

static yyjson_val *condition(yyjson_val *gateway, const char *type)
{
	yyjson_arr_iter conditions = yyjson_arr_iter_with(doc_at(gateway, "status.conditions"));
	yyjson_val *c;

	while ((c = yyjson_arr_iter_next(&conditions)) != NULL)
		if (strcmp(doc_str(c, "type"), type) == 0)
			return c;
	return NULL;
}

static enum verdict gateway_ready(yyjson_val *gateway, char why[static 512])
{
	yyjson_val *metadata = doc_get(gateway, "metadata"), *programmed = condition(gateway, "Programmed");
	yyjson_val *accepted = condition(gateway, "Accepted");
	int64_t generation = doc_int(metadata, "generation", 0);
	const char *status = doc_str(programmed, "status");
	bool current = doc_int(programmed, "observedGeneration", -1) == generation;

	if (strcmp(status, "True") == 0 && current)
		return READY;
	snprintf(why, 512, "Gateway %s/%s is not programmed: %s%s%s", doc_str(metadata, "namespace"),
		 doc_str(metadata, "name"), doc_str(programmed, "reason"),
		 doc_str(programmed, "message")[0] == '\0' ? "" : ": ", doc_str(programmed, "message"));
	/* Refused as it is: waiting does not help. */
	if (strcmp(status, "False") == 0 && current && strcmp(doc_str(programmed, "reason"), "Pending") != 0)
		return NEVER;
	if (strcmp(doc_str(accepted, "status"), "False") == 0 &&
	    doc_int(accepted, "observedGeneration", -1) == generation) {
		snprintf(why, 512, "Gateway %s/%s is not accepted: %s: %s", doc_str(metadata, "namespace"),
			 doc_str(metadata, "name"), doc_str(accepted, "reason"), doc_str(accepted, "message"));
		return NEVER;
	}
	return NOT_YET;
}

/* The class of a Gateway that nobody has accepted may belong to another controller. */
static bool is_ours(yyjson_val *gateway, yyjson_val *classes)
{
	yyjson_arr_iter iter = yyjson_arr_iter_with(doc_get(classes, "items"));
	const char *wanted = doc_str(doc_get(gateway, "spec"), "gatewayClassName");
	yyjson_val *class;

	while ((class = yyjson_arr_iter_next(&iter)) != NULL)
		if (strcmp(doc_str(doc_get(class, "metadata"), "name"), wanted) == 0)
			return strcmp(doc_str(condition(class, "Accepted"), "status"), "True") == 0;
	return true; /* no such class yet */
}

static enum verdict gateways_ready(struct client *client, char why[static 512])
{
	yyjson_doc *gateways = ask(client, "/apis/gateway.networking.k8s.io/v1/gateways", why);
	yyjson_doc *classes = ask(client, "/apis/gateway.networking.k8s.io/v1/gatewayclasses", why);
	yyjson_arr_iter iter = yyjson_arr_iter_with(doc_get(yyjson_doc_get_root(gateways), "items"));
	enum verdict v = gateways == NULL || classes == NULL ? NOT_YET : READY;
	yyjson_val *gateway;

	while (v == READY && (gateway = yyjson_arr_iter_next(&iter)) != NULL)
		if (is_ours(gateway, yyjson_doc_get_root(classes)))
			v = gateway_ready(gateway, why);
	yyjson_doc_free(gateways);
	yyjson_doc_free(classes);
	return v;
}

int wait_ready_run(const struct command *self, const struct options *o)
{
	int64_t deadline_ms = now_ms() + (int64_t)o->client.timeout_s * 1000;
	struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	enum verdict v = NOT_YET;
	char why[512] = "nothing was asked";
	struct client *client;
	int64_t never_since_ms = 0;
	uint64_t wanted = 0;

	if (o->arguments_n > 0)
		return usage_error(self, "unexpected argument \"%s\"", o->arguments[0]);
	client = client_new(&o->client);
	if (client == NULL)
		return CTL_USAGE;
	for (;;) {
		v = published(client, &wanted, why);
		if (v == READY)
			v = gateways_ready(client, why);
		if (v != NEVER)
			never_since_ms = 0;
		else if (never_since_ms == 0)
			never_since_ms = now_ms();
		if (v == READY || now_ms() >= deadline_ms || (v == NEVER && now_ms() - never_since_ms >= NEVER_MS))
			break;
		nanosleep(&pause, NULL);
	}
	client_free(client);
	if (v == READY)
		return CTL_DONE;
	fprintf(stderr, "error: not ready: %s\n", why);
	return v == NEVER ? CTL_FAILED : CTL_NO_ANSWER;
}
