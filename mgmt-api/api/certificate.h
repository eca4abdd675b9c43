/*
 * The API's own certificate authority and server certificate, made at first start.
 *
 *   ca.key      P-256 key of the authority, mode 0600
 *   ca.crt      its certificate, ten years: what clients are given to trust
 *   server.pem  key and certificate of the server, mode 0600: one file, so that they cannot fall apart
 *
 * The authority is never replaced: clients trust it. The server certificate is made anew when it ends within 30 days,
 * or does not name the address that is listened on.
 */
#ifndef MGMT_API_API_CERTIFICATE_H
#define MGMT_API_API_CERTIFICATE_H

#include <stdbool.h>

struct certificate {
	char *key;      /* PEM, malloc'ed */
	char *chain;    /* PEM of the server and the authority, malloc'ed */
};

/* directory is made when missing. address: text of an IP address. False: error says why. */
bool certificate_load(const char *directory, const char *address, struct certificate *out, char error[static 256]);
void certificate_fini(struct certificate *c);

#endif
