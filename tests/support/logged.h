/* The access log of a worker under test: its newest record, and what that says. */
#ifndef TESTS_LOGGED_H
#define TESTS_LOGGED_H

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/logring.h"
#include "proxy/access.h"

/* Takes all records; the last of them, or null. Good until the next call. */
static inline const struct access_record *logged_newest(struct logring *log)
{
	static struct { struct access_record r; char texts[4096]; } copy;
	const void *record;
	size_t n = 0, records = 0;

	for (; (record = logring_peek(log, &n)) != NULL; records++) {
		CHECK(n >= sizeof(struct access_record) && n <= sizeof(copy));
		memcpy(&copy, record, n);
		logring_release(log);
	}
	return records > 0 ? &copy.r : NULL;
}

/* Details are the last text of the record. */
static inline const char *logged_details(const struct access_record *r)
{
	static char text[128];
	const char *at = r->texts + r->method_len + r->path_len + r->authority_len + r->user_agent_len +
	                 r->request_id_len + r->forwarded_for_len + r->rule_len;

	snprintf(text, sizeof(text), "%.*s", r->details_len, at);
	return text;
}

/* "STATUS FLAGS DETAILS METHOD PATH"; what is missing is "-". */
static inline const char *logged_line(const struct access_record *r)
{
	static char text[256];

	snprintf(text, sizeof(text), "%u %s %s %.*s %.*s", r->status, r->flags[0] != '\0' ? r->flags : "-",
	         r->details_len > 0 ? logged_details(r) : "-", r->method_len > 0 ? r->method_len : 1,
	         r->method_len > 0 ? r->texts : "-", r->path_len > 0 ? r->path_len : 1,
	         r->path_len > 0 ? r->texts + r->method_len : "-");
	return text;
}

#endif
