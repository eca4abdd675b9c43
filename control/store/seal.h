/*
 * Sealing: Secrets lie in the store, and in the memory of control, only as AES-256-GCM ciphertext. The key is a file
 * that only control can read (mode 0600, made at first start); this is the one place of control that includes openssl.
 *
 * What is sealed is bound to its place (kind, namespace, name) as associated data, so that nobody who can write the
 * store's file can make one Secret answer for another. Text form: base64 of version 1, nonce (12), ciphertext, tag
 * (16).
 */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include <stddef.h>

#include "base/err.h"

struct seal;

/* Opens the key file, making it first when it is not there. Null: error says why. */
struct seal *seal_open_key(const char *path, char error[static 256]);
void seal_free(struct seal *s);

/* *text is malloc'ed, ended by NUL. */
enum err seal_close(const struct seal *s, const char *place, const void *bytes, size_t n, char **text) MUST_CHECK;
/* *bytes is malloc'ed, ended by a NUL that is not counted; wipe it with seal_wipe(). INVALID: tampered, or another key.
 */
enum err seal_open(const struct seal *s, const char *place, const char *text, char **bytes, size_t *n) MUST_CHECK;
/* Overwrites and frees. */
void seal_wipe(char *bytes, size_t n);

/* For tokens, of which the store keeps only the digest. */
enum { DIGEST_HEX_MAX = 65 };
const char *seal_digest(const void *bytes, size_t n, char hex[static DIGEST_HEX_MAX]);

#endif
