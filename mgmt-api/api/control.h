/*
 * Asking sluice-control (control/protocol.h): one connection, one request, one reply. Nothing is retried here: whether
 * a change that got no answer may be sent again is for the client to say, and it is told so (503, Retry-After).
 */
#ifndef MGMT_API_API_CONTROL_H
#define MGMT_API_API_CONTROL_H

#include "mgmt-api/api/api.h"

enum { CONTROL_CONNECT_MS = 1000, CONTROL_REPLY_MS = 15000 };

struct control_reply {
	yyjson_doc *doc;
	yyjson_val *root;
	unsigned code;
};

/* A request that speaks for the user; the caller adds to its root and gives it back with control_ask. */
yyjson_mut_doc *control_request(const char *verb, const struct user *user);
/* Takes the request. False: no reply came, and the refusal says so; a reply with an error in it is true. */
bool control_ask(const char *path, yyjson_mut_doc *request, struct control_reply *out, struct refusal *f);
void control_reply_fini(struct control_reply *r);
/* A reply with an error becomes the answer, Status and all. */
void control_pass_on(const struct control_reply *r, const struct request *q, struct answer *a);
/* The object of result i; null when there is none. */
yyjson_val *control_object(const struct control_reply *r, size_t i);

#endif
