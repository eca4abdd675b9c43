/* See seal.h. */
#include "control/store/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "control/base64.h"
#include "control/random.h"

enum { KEY_BYTES = 32, NONCE_BYTES = 12, TAG_BYTES = 16, VERSION = 1, OVERHEAD = 1 + NONCE_BYTES + TAG_BYTES };
enum { SEAL_MAGIC = 0x5ea10001 };

struct seal {
	uint32_t magic;
	uint8_t key[KEY_BYTES];
};

/* A new key becomes visible under its name only when it is whole and on disk. */
static bool make_key(const char *path, char error[static 256])
{
	uint8_t key[KEY_BYTES];
	char temporary[512];
	int fd;
	bool ok;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		snprintf(error, 256, "%.200s: %s", temporary, strerror(errno));
		return false;
	}
	random_bytes(key, sizeof(key));
	ok = write(fd, key, sizeof(key)) == (ssize_t)sizeof(key) && fsync(fd) == 0;
	OPENSSL_cleanse(key, sizeof(key));
	close(fd);
	if (ok && rename(temporary, path) == 0)
		return true;
	snprintf(error, 256, "%.200s: %s", path, strerror(errno));
	return false;
}

static bool read_key(struct seal *s, int fd, const char *path, char error[static 256])
{
	struct stat st;

	if (fstat(fd, &st) != 0 || (st.st_mode & 077) != 0) {
		snprintf(error, 256, "%.180s: others may read it (mode %o, must be 600)", path, st.st_mode & 0777u);
		return false;
	}
	if (st.st_size != KEY_BYTES || read(fd, s->key, KEY_BYTES) != KEY_BYTES) {
		snprintf(error, 256, "%.180s: not a key of %d bytes", path, KEY_BYTES);
		return false;
	}
	return true;
}

struct seal *seal_open_key(const char *path, char error[static 256])
{
	struct seal *s;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		if (!make_key(path, error))
			return NULL;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		snprintf(error, 256, "%.200s: %s", path, strerror(errno));
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	CHECK(s);
	s->magic = SEAL_MAGIC;
	if (!read_key(s, fd, path, error)) {
		seal_free(s);
		s = NULL;
	}
	close(fd);
	return s;
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	CHECK_MAGIC(s, SEAL_MAGIC);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

enum err seal_close(const struct seal *s, const char *place, const void *bytes, size_t n, char **text)
{
	uint8_t *sealed = malloc(n + OVERHEAD), *out;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int length = 0;

	CHECK_MAGIC(s, SEAL_MAGIC);
	CHECK(sealed && c && n < INT32_MAX / 2);
	sealed[0] = VERSION;
	random_bytes(sealed + 1, NONCE_BYTES);
	out = sealed + 1 + NONCE_BYTES;
	CHECK(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, s->key, sealed + 1) == 1 &&
	      EVP_EncryptUpdate(c, NULL, &length, (const uint8_t *)place, (int)strlen(place)) == 1 &&
	      EVP_EncryptUpdate(c, out, &length, bytes, (int)n) == 1 && (size_t)length == n &&
	      EVP_EncryptFinal_ex(c, out + n, &length) == 1 &&
	      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, out + n) == 1);
	EVP_CIPHER_CTX_free(c);
	*text = base64_encode(sealed, n + OVERHEAD);
	free(sealed);
	return OK;
}

static bool decrypt(const struct seal *s, const char *place, uint8_t *sealed, size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *in = sealed + 1 + NONCE_BYTES;
	int length = 0;
	bool ok;

	CHECK(c);
	ok = EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, s->key, sealed + 1) == 1 &&
	     EVP_DecryptUpdate(c, NULL, &length, (const uint8_t *)place, (int)strlen(place)) == 1 &&
	     EVP_DecryptUpdate(c, out, &length, in, (int)n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, in + n) == 1 &&
	     EVP_DecryptFinal_ex(c, out + n, &length) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

enum err seal_open(const struct seal *s, const char *place, const char *text, char **bytes, size_t *n)
{
	char *sealed;
	uint8_t *out;
	size_t length;

	CHECK_MAGIC(s, SEAL_MAGIC);
	if (base64_decode(text, strlen(text), &sealed, &length) != OK)
		return ERR_INVALID;
	if (length < OVERHEAD || length > INT32_MAX / 2 || sealed[0] != VERSION) {
		free(sealed);
		return ERR_INVALID;
	}
	*n = length - OVERHEAD;
	out = malloc(*n + TAG_BYTES + 1);
	CHECK(out);
	if (!decrypt(s, place, (uint8_t *)sealed, *n, out)) {
		seal_wipe((char *)out, *n);
		free(sealed);
		return ERR_INVALID;
	}
	out[*n] = 0;
	*bytes = (char *)out;
	free(sealed);
	return OK;
}

void seal_wipe(char *bytes, size_t n)
{
	if (bytes)
		OPENSSL_cleanse(bytes, n);
	free(bytes);
}

const char *seal_digest(const void *bytes, size_t n, char hex[static DIGEST_HEX_MAX])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];

	SHA256(bytes, n, digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return hex;
}
