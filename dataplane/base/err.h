/*
 * Errors: one enum for the whole program, 0 is OK, results come by out-pointer.
 *
 * A code's class says who is to blame, and from the class follow the HTTP status, the log level and the metric.
 * Errors of peers are values and are counted; errors of programmers are CHECK()s and crash with a dump.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_class {
	ERR_CLASS_NONE,
	ERR_CLASS_LOCAL,    /* we ran out of something, or were asked to stop */
	ERR_CLASS_PEER,     /* the client (or whoever sent the bytes) broke a rule */
	ERR_CLASS_UPSTREAM, /* the backend failed or broke a rule */
	ERR_CLASS_BUG,      /* cannot happen; seen only in tests */
};

enum err {
	OK = 0,
#define ERR(name, class, text) ERR_##name,
#include "base/errors.def"
#undef ERR
	ERR_COUNT
};

#define MUST_CHECK __attribute__((warn_unused_result))

const char *err_name(enum err e);       /* "conn_reset" */
const char *err_text(enum err e);       /* one English clause for people */
enum err_class err_class(enum err e);

#endif
