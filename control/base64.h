/* Base64 (RFC 4648, section 4), as Kubernetes writes bytes in JSON. Decoding is strict: padding, no white space. */
#ifndef CONTROL_BASE64_H
#define CONTROL_BASE64_H

#include <stddef.h>

#include "base/err.h"

/* Both malloc'ed and ended by a NUL that is not counted. */
char *base64_encode(const void *bytes, size_t n);
enum err base64_decode(const char *text, size_t length, char **bytes, size_t *n) MUST_CHECK;

#endif
