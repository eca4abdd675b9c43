/* A request head from a line and fields, for tests of what looks at heads: no connection needed. */
#ifndef TESTS_REQUEST_H
#define TESTS_REQUEST_H

#include "base/arena.h"
#include "http/http.h"

struct request {
	struct pool chunks;
	struct arena arena;
	struct http_message m;
};

/* `head`: "GET a.example:80 /path?query" and then "Name: value" lines, separated by \n. A host of "-" is none. */
void request_init(struct request *r, const char *head);
void request_fini(struct request *r);
/* The fields that are left, in order, as "Name: value\n" lines. */
const char *request_print(const struct http_message *m, char *text, size_t size);

#endif
