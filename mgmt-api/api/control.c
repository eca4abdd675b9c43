/* Requests to control over its socket. */
#include "mgmt-api/api/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/frame.h"
#include "control/protocol.h"

yyjson_mut_doc *control_request(const char *verb, const struct user *user)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root;

	CHECK(doc != NULL);
	root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_str(doc, root, "verb", verb);
	if (user != NULL && user->name[0] != '\0')
		yyjson_mut_obj_add_strcpy(doc, root, "user", user->name);
	if (user != NULL && user->local)
		yyjson_mut_obj_add_bool(doc, root, "local", true);
	else if (user != NULL)
		yyjson_mut_obj_add_strcpy(doc, root, "token", user->token);
	return doc;
}

static bool exchange(const char *path, const char *bytes, size_t n, struct control_reply *out, struct refusal *f)
{
	int fd = frame_connect(path, CONTROL_CONNECT_MS), passed;
	char *reply = NULL;
	size_t reply_n;
	enum err e;

	if (fd < 0) {
		refusal_set(f, REFUSAL_UNAVAILABLE, "control is not reachable (%s): try again", strerror(errno));
		return false;
	}
	e = frame_send(fd, bytes, n, -1, CONTROL_REPLY_MS);
	if (e == OK) {
		e = frame_recv(fd, FRAME_BYTES_MAX, &reply, &reply_n, &passed, CONTROL_REPLY_MS);
		if (e == OK && passed >= 0)
			close(passed);
	}
	close(fd);
	if (e != OK) {
		refusal_set(f, REFUSAL_UNAVAILABLE, "control did not answer (%s): the request may or may not have been "
			    "carried out, try again", err_text(e));
		return false;
	}
	out->doc = yyjson_read(reply, reply_n, 0);
	free(reply);
	out->root = yyjson_doc_get_root(out->doc);
	out->code = (unsigned)doc_int(out->root, "code", 0);
	if (out->code < 200 || out->code > 599) {
		control_reply_fini(out);
		refusal_set(f, REFUSAL_INTERNAL, "control's reply cannot be understood");
		return false;
	}
	return true;
}

bool control_ask(const char *path, yyjson_mut_doc *request, struct control_reply *out, struct refusal *f)
{
	size_t n;
	char *bytes = yyjson_mut_write(request, 0, &n);
	bool good;

	*out = (struct control_reply){0};
	yyjson_mut_doc_free(request);
	CHECK(bytes != NULL);
	if (n > CONTROL_REQUEST_BYTES_MAX) {
		refusal_set(f, REFUSAL_TOO_LARGE, "Request entity too large: limit is %d", API_APPLY_BODY_MAX);
		good = false;
	} else {
		good = exchange(path, bytes, n, out, f);
	}
	free(bytes);
	return good;
}

void control_reply_fini(struct control_reply *r)
{
	yyjson_doc_free(r->doc);
	*r = (struct control_reply){0};
}

void control_pass_on(const struct control_reply *r, const struct request *q, struct answer *a)
{
	yyjson_val *status = doc_get(r->root, "status");
	yyjson_mut_doc *doc;
	struct refusal f;

	CHECK(r->code >= 400);
	if (!yyjson_is_obj(status)) {
		refusal_set(&f, REFUSAL_INTERNAL, "control refused the request (%u) and gave no reason", r->code);
		answer_refusal(a, q, &f);
		return;
	}
	doc = yyjson_mut_doc_new(NULL);
	CHECK(doc != NULL);
	yyjson_mut_doc_set_root(doc, yyjson_val_mut_copy(doc, status));
	/* Which object of a transaction it was: unknown members of a Status are ignored by those who do not ask. */
	if (doc_get(r->root, "failed") != NULL)
		yyjson_mut_obj_add_int(doc, yyjson_mut_doc_get_root(doc), "failed", doc_int(r->root, "failed", 0));
	a->retry_after = r->code == 503 || r->code == 429;
	answer_document(a, q, r->code, doc);
	yyjson_mut_doc_free(doc);
}

yyjson_val *control_object(const struct control_reply *r, size_t i)
{
	return doc_get(yyjson_arr_get(doc_get(r->root, "results"), i), "object");
}
