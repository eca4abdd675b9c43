/* What the two formats of the access log share: a bounded buffer that is filled in one pass, and the record's texts. */
#ifndef PROXY_ACCESS_OUT_H
#define PROXY_ACCESS_OUT_H

#include <stdbool.h>
#include <string.h>

#include "proxy/access.h"

struct out {
	char *at, *end; /* room for the newline is kept behind end */
};

static inline void put(struct out *o, const char *text, size_t n)
{
	size_t room = (size_t)(o->end - o->at);

	n = n < room ? n : room;
	memcpy(o->at, text, n);
	o->at += n;
}

static inline void put_text(struct out *o, const char *text)
{
	put(o, text, strlen(text));
}

static inline void put_number(struct out *o, uint64_t n)
{
	char digits[20], *d = digits + sizeof(digits);

	do
		*--d = (char)('0' + n % 10);
	while (n /= 10);
	put(o, d, (size_t)(digits + sizeof(digits) - d));
}

struct access_text {
	const char *at;
	size_t len;
};

struct access_texts {
	struct access_text method, path, authority, user_agent, request_id, forwarded_for, rule, details;
};

/* access.c. False: the record is shorter than its texts. */
bool access_texts(const struct access_record *r, size_t bytes, struct access_texts *out);
/* "2016-04-15T20:17:00.310Z" */
void access_put_time(struct out *o, uint64_t wall_us);
/* "10.0.35.28:8080", "[2001:2::1]:80" */
void access_put_host(struct out *o, const struct addr *a, uint16_t port);
const char *access_protocol(uint16_t version);
/* How many bytes the UTF-8 character at the start of text has (RFC 3629); 0: it is none. */
unsigned access_utf8(const char *text, size_t n);

#endif
