/* version: ours, and the server's. */
#include <stdio.h>

#include "mgmt-api/ctl/ctl.h"

#define SLUICE_VERSION "0.1.0"

int version_run(const struct command *self, const struct options *o)
{
	struct client_request q = {.method = "GET", .path = "/version", .once = true};
	struct client_reply reply;
	struct client *client;
	yyjson_doc *doc;
	int code = CTL_NO_ANSWER;

	if (o->arguments_n > 0)
		return usage_error(self, "unexpected argument \"%s\"", o->arguments[0]);
	printf("sluicectl: %s\n", SLUICE_VERSION);
	fflush(stdout);
	client = client_new(&o->client);
	if (client == NULL)
		return CTL_USAGE;
	if (client_send(client, &q, &reply)) {
		doc = yyjson_read(reply.body, reply.body_bytes, 0);
		printf("server: %s\n", doc_str(yyjson_doc_get_root(doc), "gitVersion"));
		yyjson_doc_free(doc);
		code = reply.code == 200 ? CTL_DONE : ctl_refused(&reply);
	}
	client_reply_fini(&reply);
	client_free(client);
	return code;
}
