/* /healthz: this program answers. /readyz: so does control, and what was last stored is what the data plane obeys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt-api/api/control.h"

void serve_health_get(struct api *api, const struct request *q, struct answer *a)
{
	(void)api;
	(void)q;
	answer_text(a, 200, "ok");
}

/*
 * In plain text for probes; with ?output=json for programs: control's own reply ({"resourceVersion":..,"published":..,
 * "dataplane":true}), with the code that plain text would have.
 */
void serve_ready_get(struct api *api, const struct request *q, struct answer *a)
{
	struct control_reply reply;
	struct refusal f;
	char text[512];
	const char *reason;
	bool ready;

	if (!control_ask(api->control_path, control_request("ready", NULL), &reply, &f)) {
		answer_refusal(a, q, &f);
		return;
	}
	reason = doc_str(reply.root, "reason");
	ready = reply.code == 200 && doc_bool(reply.root, "dataplane", false) && reason[0] == '\0';
	if (strcmp(request_query(q, "output"), "json") == 0) {
		yyjson_mut_doc *doc = yyjson_doc_mut_copy(reply.doc, NULL);

		answer_document(a, q, ready ? 200 : 503, doc);
		yyjson_mut_doc_free(doc);
	} else {
		snprintf(text, sizeof(text),
			 ready ? "ok" : "not ready: stored version %s, published version %s, data plane %s%s%s",
			 doc_str(reply.root, "resourceVersion"), doc_str(reply.root, "published"),
			 doc_bool(reply.root, "dataplane", false) ? "connected" : "not connected",
			 reason[0] == '\0' ? "" : ": ", reason);
		answer_text(a, ready ? 200 : 503, text);
	}
	control_reply_fini(&reply);
}
