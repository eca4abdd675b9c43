/*
 * The normal form of any path. What must hold: it is a fixed point; no empty, "." or ".." segment is left in it, also
 * not for a server that decodes once more; nothing that could be unescaped is still escaped; the query is as it was; what
 * the quick look calls plain is; less room makes it too long, never something else.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), abort()))

enum { PATH_MAX_BYTES = 4096, ROOM = 3 * PATH_MAX_BYTES };

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = c != '\0' ? strchr(digits, c | 0x20) : NULL;

	return at != NULL && (c >= 'A' || c <= '9') ? (int)(at - digits) : -1;
}

/* As an upstream would: %XX is the byte, once. */
static size_t decode(const char *from, size_t n, char *to)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (from[i] == '%' && i + 2 < n && hex(from[i + 1]) >= 0 && hex(from[i + 2]) >= 0) {
			to[len++] = (char)(hex(from[i + 1]) << 4 | hex(from[i + 2]));
			i += 2;
		} else {
			to[len++] = from[i];
		}
	}
	return len;
}

static void check_segments(const char *path, size_t n)
{
	for (size_t at = 1, end; at <= n; at = end + 1) {
		const char *slash = memchr(path + at, '/', n - at);

		end = slash != NULL ? (size_t)(slash - path) : n;
		MUST(end > at || end == n);
		MUST(end - at != 1 || path[at] != '.');
		MUST(end - at != 2 || path[at] != '.' || path[at + 1] != '.');
	}
}

static void check_bytes(const char *path, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int c;

		MUST(strchr("\"#<>\\^`{|}", path[i]) == NULL && path[i] > ' ' && path[i] < 0x7f);
		if (path[i] != '%' || i + 2 >= n || hex(path[i + 1]) < 0 || hex(path[i + 2]) < 0)
			continue;
		c = hex(path[i + 1]) << 4 | hex(path[i + 2]);
		MUST(c != 0 && c != '/' && c != '\\' && c != '.' && c != '-' && c != '_' && c != '~');
		MUST(!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'));
	}
}

static void check_normal(const char *out, uint32_t n)
{
	static char again[ROOM], decoded[ROOM];
	const char *mark = memchr(out, '?', n);
	const size_t path = mark != NULL ? (size_t)(mark - out) : n;
	uint32_t len;

	MUST(path >= 1 && out[0] == '/');
	check_segments(out, path);
	check_bytes(out, path);
	check_segments(decoded, decode(out, path, decoded));
	MUST(uri_normalise((struct text){.at = out, .len = n}, again, ROOM, &len) == URI_PLAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static char out[ROOM];
	char *path;
	struct text t;
	uint32_t len = 0, shorter;
	const char *mark;
	enum uri_verdict v;

	if (n == 0 || n > PATH_MAX_BYTES)
		return 0;
	path = malloc(n);
	memcpy(path, bytes, n);
	t = (struct text){.at = path, .len = (uint32_t)n};
	v = uri_normalise(t, out, ROOM, &len);
	MUST(v != URI_TOO_LONG);
	MUST(!uri_is_plain(t) || v == URI_PLAIN || path[0] != '/');
	if (v == URI_PLAIN && path[0] == '/') {
		check_normal(path, (uint32_t)n);
	} else if (v == URI_CHANGED || v == URI_REDIRECT) {
		mark = memchr(path, '?', n);
		MUST(mark == NULL || (len >= (uint32_t)(path + n - mark) &&
		                      memcmp(out + len - (path + n - mark), mark, (size_t)(path + n - mark)) == 0));
		check_normal(out, len);
		v = uri_normalise(t, out, len - 1, &shorter);
		MUST(v == URI_TOO_LONG);
	}
	free(path);
	return 0;
}
