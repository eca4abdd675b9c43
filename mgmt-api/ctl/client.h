/*
 * The command line's way to the API: HTTP over the box's Unix socket, or HTTPS to a server with a token. The one place
 * of sluicectl that knows libcurl.
 *
 * An API or a control process that is being replaced is an ordinary thing: what can be asked again (everything but
 * creating by name) is asked again until the deadline, and a person is told what is being waited for. Where none of
 * the box's programs has a socket nothing is being replaced: unless a timeout was given, that ends after two seconds.
 */
#ifndef MGMT_API_CTL_CLIENT_H
#define MGMT_API_CTL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/doc.h"

enum { CLIENT_WARNINGS_MAX = 32 };

struct client_options {
	const char *run;                /* the box's run directory */
	const char *server;             /* "https://198.18.2.1:6443"; null: the Unix socket */
	const char *token_file;         /* null: none */
	const char *ca_file;            /* null: the system's */
	unsigned timeout_s;             /* of a request with all its repetitions */
	bool timeout_given;             /* by the person: waited for also where nothing runs */
};

struct client_request {
	const char *method;
	const char *path;               /* with its query */
	const char *accept;
	const char *content_type;       /* of the body; null: no body */
	const char *body;
	size_t body_bytes;
	bool quiet;                     /* do not say what is waited for */
	bool once;                      /* do not repeat */
};

struct client_reply {
	long code;                      /* 0: no answer before the deadline */
	char *body;                     /* never null when code is not 0; ended by NUL */
	size_t body_bytes;
	char *warnings[CLIENT_WARNINGS_MAX];
	size_t warnings_n;
	char error[256];                /* why there was no answer */
};

struct client;

/* Null: a message was printed. */
struct client *client_new(const struct client_options *o);
void client_free(struct client *c);
/* True when an answer came (any code). False: reply->error, already told to the person unless quiet. */
bool client_send(struct client *c, const struct client_request *q, struct client_reply *reply);
void client_reply_fini(struct client_reply *r);

#endif
