/* Tokens are remembered only as SHA-256 digests, compared in constant time. */
#include "mgmt-api/api/auth.h"

#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/check.h"
#include "mgmt-api/api/control.h"

struct entry {
	unsigned char digest[SHA256_DIGEST_LENGTH];
	int64_t until_ms;       /* 0: free */
	char name[128];
};

enum { SOURCE_BYTES = 8 };

struct source_failures {
	unsigned char key[SOURCE_BYTES];
	int64_t second;
	unsigned failures;      /* in that second */
};

struct auth {
	pthread_mutex_t mutex;
	char control_path[104];
	struct entry entries[AUTH_CACHE_ENTRIES];
	struct source_failures sources[AUTH_SOURCES];
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct auth *auth_new(const char *control_path)
{
	struct auth *auth = calloc(1, sizeof(*auth));

	CHECK(auth != NULL && strlen(control_path) < sizeof(auth->control_path));
	pthread_mutex_init(&auth->mutex, NULL);
	strcpy(auth->control_path, control_path);
	return auth;
}

void auth_free(struct auth *auth)
{
	if (auth == NULL)
		return;
	pthread_mutex_destroy(&auth->mutex);
	OPENSSL_cleanse(auth, sizeof(*auth));
	free(auth);
}

static bool cache_find(struct auth *auth, const unsigned char digest[static SHA256_DIGEST_LENGTH], struct user *user)
{
	int64_t now = now_ms();
	bool found = false;

	pthread_mutex_lock(&auth->mutex);
	for (size_t i = 0; i < AUTH_CACHE_ENTRIES; i++) {
		const struct entry *e = &auth->entries[i];

		if (e->until_ms > now && CRYPTO_memcmp(e->digest, digest, SHA256_DIGEST_LENGTH) == 0) {
			memcpy(user->name, e->name, sizeof(user->name));
			found = true;
		}
	}
	pthread_mutex_unlock(&auth->mutex);
	return found;
}

/* The entry that ends first makes room. */
static void cache_add(struct auth *auth, const unsigned char digest[static SHA256_DIGEST_LENGTH],
		      const struct user *user)
{
	struct entry *e = auth->entries;

	pthread_mutex_lock(&auth->mutex);
	for (size_t i = 1; i < AUTH_CACHE_ENTRIES; i++)
		if (auth->entries[i].until_ms < e->until_ms)
			e = &auth->entries[i];
	memcpy(e->digest, digest, SHA256_DIGEST_LENGTH);
	memcpy(e->name, user->name, sizeof(e->name));
	e->until_ms = now_ms() + AUTH_CACHE_MS;
	pthread_mutex_unlock(&auth->mutex);
}

static void source_key(const struct sockaddr *peer, unsigned char key[static SOURCE_BYTES])
{
	memset(key, 0, SOURCE_BYTES);
	if (peer != NULL && peer->sa_family == AF_INET)
		memcpy(key, &((const struct sockaddr_in *)peer)->sin_addr, 4);
	else if (peer != NULL && peer->sa_family == AF_INET6)
		memcpy(key, &((const struct sockaddr_in6 *)peer)->sin6_addr, SOURCE_BYTES);
}

/* The source's count of this second; a new source takes the place of the one that failed longest ago. */
static struct source_failures *source_find(struct auth *auth, const unsigned char key[static SOURCE_BYTES])
{
	struct source_failures *s = auth->sources, *oldest = s;
	int64_t second = now_ms() / 1000;

	for (; s < auth->sources + AUTH_SOURCES && memcmp(s->key, key, SOURCE_BYTES) != 0; s++)
		if (s->second < oldest->second)
			oldest = s;
	if (s == auth->sources + AUTH_SOURCES) {
		s = oldest;
		*s = (struct source_failures){0};
		memcpy(s->key, key, SOURCE_BYTES);
	}
	if (s->second != second) {
		s->second = second;
		s->failures = 0;
	}
	return s;
}

static bool failures_allow(struct auth *auth, const unsigned char key[static SOURCE_BYTES])
{
	bool allowed;

	pthread_mutex_lock(&auth->mutex);
	allowed = source_find(auth, key)->failures < AUTH_FAILURES_PER_S;
	pthread_mutex_unlock(&auth->mutex);
	return allowed;
}

static void failures_count(struct auth *auth, const unsigned char key[static SOURCE_BYTES])
{
	pthread_mutex_lock(&auth->mutex);
	source_find(auth, key)->failures++;
	pthread_mutex_unlock(&auth->mutex);
}

static bool ask(struct auth *auth, struct user *user, struct refusal *f)
{
	struct control_reply reply;
	bool known;

	if (!control_ask(auth->control_path, control_request("authenticate", user), &reply, f))
		return false;
	known = reply.code == 200;
	if (known)
		snprintf(user->name, sizeof(user->name), "%s", doc_str(doc_get(reply.root, "user"), "name"));
	else if (reply.code == 401 || reply.code == 403)
		refusal_set(f, REFUSAL_UNAUTHORIZED, "Unauthorized");
	else
		refusal_set(f, REFUSAL_UNAVAILABLE, "control cannot check the token now (%u): try again", reply.code);
	control_reply_fini(&reply);
	return known;
}

bool auth_check(struct auth *auth, const char *authorization, const struct sockaddr *peer, struct user *user,
		struct refusal *f)
{
	unsigned char digest[SHA256_DIGEST_LENGTH], source[SOURCE_BYTES];
	size_t n;

	*user = (struct user){0};
	refusal_set(f, REFUSAL_UNAUTHORIZED, "Unauthorized");
	if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
		return false;
	authorization += 7 + strspn(authorization + 7, " ");
	n = strlen(authorization);
	if (n == 0 || n >= sizeof(user->token))
		return false;
	memcpy(user->token, authorization, n + 1);
	SHA256((const unsigned char *)authorization, n, digest);
	if (cache_find(auth, digest, user))
		return true;
	source_key(peer, source);
	if (!failures_allow(auth, source)) {
		refusal_set(f, REFUSAL_TOO_MANY, "too many failed logins, please try again later");
		return false;
	}
	if (ask(auth, user, f)) {
		cache_add(auth, digest, user);
		return true;
	}
	if (f->type == REFUSAL_UNAUTHORIZED)
		failures_count(auth, source);
	return false;
}
