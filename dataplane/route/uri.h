/*
 * The normal form of a request's path, made once and before anything looks at the path, so that routing, filters, the
 * log and the upstream see the same bytes. What is done, and in which order, is what Envoy does with the options that
 * Envoy Gateway sets on every listener (normalize_path, merge_slashes, UNESCAPE_AND_REDIRECT):
 *
 *   %2F %5C        become slashes, and the client is sent to the normal form (307): who wrote them should know
 *   \              becomes /
 *   . ..           segments are removed (RFC 3986, 5.2.4), also when they are written %2e
 *   %41 %7e ...    escaped letters, digits and - _ ~ are unescaped (RFC 3986, 6.2.2.2); other escapes stay as they are
 *   " < > ^ ` { | } and bytes that are not of a URI are escaped
 *   %00            is refused (400)
 *   //             becomes /, after the dots: "/a//../b" is "/a/b"
 *
 * A % that begins no escape stays, unless what is unescaped behind it would make it one: then it becomes %25, so that
 * nobody decodes twice. Applying it again changes nothing (fuzz/fuzz_uri.c). The query is never touched.
 */
#ifndef ROUTE_URI_H
#define ROUTE_URI_H

#include <stdbool.h>

#include "http/http.h"

enum uri_verdict {
	URI_PLAIN,       /* it was in normal form */
	URI_CHANGED,
	URI_REDIRECT,    /* changed, and slashes were escaped */
	URI_REFUSED,     /* %00 */
	URI_TOO_LONG,    /* there is no room for the normal form */
};

/* Nearly every path of a real client is plain, and this sees it, 32 bytes at a time; false says nothing. */
bool uri_is_plain(struct text path);

/* Writes the normal form of "/path?query" to out, *len bytes; not when it is plain, refused or too long. */
enum uri_verdict uri_normalise(struct text path, char *out, uint32_t room, uint32_t *len);

#endif
