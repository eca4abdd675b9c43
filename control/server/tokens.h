/*
 * Who may ask. Bearer tokens: the store keeps only their digests and roles. The first one, for the administrator, is
 * made when the store has none, and lies in `admin-token` (mode 0600) of the state directory for its owner to take.
 */
#ifndef SERVER_TOKENS_H
#define SERVER_TOKENS_H

#include <stdbool.h>

#include "control/store/store.h"

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_EDITOR, ROLE_ADMIN };

struct user {
	enum role role;
	char name[64];
};

enum { TOKEN_BYTES_MAX = 256 };

const char *role_name(enum role role);
/* Makes the administrator's token when there is none at all. */
bool tokens_prepare(struct store *s, const char *state_directory, char error[static 256]);
/* ROLE_NONE when the token is not known. */
struct user tokens_find(struct store *s, const char *token);

#endif
