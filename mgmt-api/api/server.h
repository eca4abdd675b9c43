/*
 * The HTTP servers: HTTPS on the management address with bearer tokens, and plain HTTP on a Unix socket for local use,
 * where the peer must be root or our own user. A few polling threads each; a request occupies its thread until control
 * has answered or its deadline passed.
 */
#ifndef MGMT_API_API_SERVER_H
#define MGMT_API_API_SERVER_H

#include "mgmt-api/api/api.h"

enum { SERVER_THREADS = 4, SERVER_CONNECTIONS = 256, SERVER_CONNECTIONS_PER_SOURCE = 64, SERVER_TIMEOUT_S = 60 };

struct server;

struct listen_address {
	char text[64];          /* "198.18.2.1" or "2001:db8::1" */
	uint16_t port;
};

/* "198.18.2.1:6443", "[::1]:6443"; false when it is neither. */
bool listen_address_parse(const char *text, struct listen_address *out);

/* Null: error says why. key and certificate are PEM. port 0 takes any free one, see server_port. */
struct server *server_start_https(struct api *api, const struct listen_address *address, const char *key,
				  const char *certificate, char error[static 256]);
/* Takes the listening socket. */
struct server *server_start_local(struct api *api, int listening, char error[static 256]);
uint16_t server_port(const struct server *s);
/* Waits for requests in progress. */
void server_stop(struct server *s);

#endif
