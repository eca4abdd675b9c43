/* See tokens.h. A token is "sluice." and 256 random bits, so that searching logs for a leaked one is easy. */
#include "control/server/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/doc.h"
#include "control/random.h"
#include "control/store/seal.h"

enum { SECRET_BYTES = 32, TOKEN_LENGTH = 7 + 2 * SECRET_BYTES };

static const char *const role_names[] = {
	[ROLE_NONE] = "none", [ROLE_VIEWER] = "viewer", [ROLE_EDITOR] = "editor", [ROLE_ADMIN] = "admin",
};

const char *role_name(enum role role)
{
	return role_names[role];
}

static void make(char token[static TOKEN_LENGTH + 1])
{
	uint8_t bytes[SECRET_BYTES];

	random_bytes(bytes, sizeof(bytes));
	strcpy(token, "sluice.");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(token + 7 + 2 * i, 3, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
}

/* Whole and on disk before it has its name. */
static bool write_file(const char *path, const char *token, char error[static 256])
{
	char temporary[520];
	int fd;
	bool ok;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ok = fd >= 0 && dprintf(fd, "%s\n", token) == TOKEN_LENGTH + 1 && fsync(fd) == 0;
	ok = ok && rename(temporary, path) == 0;
	if (!ok)
		snprintf(error, 256, "%.200s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

bool tokens_prepare(struct store *s, const char *state_directory, char error[static 256])
{
	char token[TOKEN_LENGTH + 1], hex[DIGEST_HEX_MAX], path[512];
	bool ok;

	if (store_has_tokens(s))
		return true;
	/* The file first: a stop in between makes another token at the next start, never one that nobody knows. */
	make(token);
	snprintf(path, sizeof(path), "%s/admin-token", state_directory);
	ok = write_file(path, token, error);
	if (ok && store_token_put(s, seal_digest(token, strlen(token), hex),
				  "{\"name\":\"admin\",\"role\":\"admin\"}") != OK) {
		snprintf(error, 256, "the store does not take the administrator's token");
		ok = false;
	}
	explicit_bzero(token, sizeof(token));
	return ok;
}

static enum role role_of(const char *name)
{
	for (enum role r = ROLE_VIEWER; r <= ROLE_ADMIN; r++)
		if (strcmp(role_names[r], name) == 0)
			return r;
	return ROLE_NONE;
}

struct user tokens_find(struct store *s, const char *token)
{
	struct user user = {.role = ROLE_NONE};
	char hex[DIGEST_HEX_MAX], *json;
	yyjson_doc *doc;
	size_t n = strlen(token);

	if (n == 0 || n > TOKEN_BYTES_MAX)
		return user;
	/* Looked up by digest: what the time of the lookup tells is about the digest, not the token. */
	json = store_token_get(s, seal_digest(token, n, hex));
	if (!json)
		return user;
	doc = yyjson_read(json, strlen(json), 0);
	user.role = role_of(doc_str(yyjson_doc_get_root(doc), "role"));
	snprintf(user.name, sizeof(user.name), "%s", doc_str(yyjson_doc_get_root(doc), "name"));
	yyjson_doc_free(doc);
	free(json);
	return user;
}
