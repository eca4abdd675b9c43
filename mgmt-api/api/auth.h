/*
 * Bearer tokens. Control knows them (by digest); what it confirmed is believed for a few seconds, so that a client that
 * polls does not double control's work. A refusal is never cached: a token works from the moment it is made.
 *
 * Failures are counted per source (an IPv4 address, an IPv6 /64): beyond AUTH_FAILURES_PER_S of them in one second the
 * answer is "too many" without asking control. Who guesses does not lock out others.
 */
#ifndef MGMT_API_API_AUTH_H
#define MGMT_API_API_AUTH_H

#include <sys/socket.h>

#include "mgmt-api/api/api.h"

enum { AUTH_CACHE_MS = 5000, AUTH_CACHE_ENTRIES = 64, AUTH_FAILURES_PER_S = 20, AUTH_SOURCES = 256 };

struct auth *auth_new(const char *control_path);
void auth_free(struct auth *auth);
/* From the value of the Authorization header (may be null) and the peer's address. False: the refusal says why. */
bool auth_check(struct auth *auth, const char *authorization, const struct sockaddr *peer, struct user *user,
		struct refusal *f);

#endif
