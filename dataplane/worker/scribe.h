/*
 * The scribe: a thread that takes access log records out of the workers' rings and writes them as lines. Only it waits
 * for the output: a full disk or a slow reader costs the workers and housekeeping nothing. What the output does not
 * take stays where it is, and when a ring is full its worker loses new records and counts them (access_lost).
 */
#ifndef WORKER_SCRIBE_H
#define WORKER_SCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/logring.h"
#include "proxy/access.h"

struct scribe;

struct scribe *scribe_new(const char *path);      /* "-": standard output; null: it cannot be opened (errno) */
void scribe_format(struct scribe *s, access_printer *print);   /* of lines to come, at any time; first it is text */
void scribe_free(struct scribe *s);
enum err scribe_start(struct scribe *s, struct logring *const *rings, uint16_t rings_n) MUST_CHECK;
/* The file was renamed (logrotate): a new one is made under its name. Records that are written meanwhile lie in one of
 * the two. When it cannot be made the scribe goes on with the old one, and says so. */
void scribe_reopen(struct scribe *s);
/* When nobody writes into the rings any more: writes the rest, for at most a second. How many records were lost. */
uint64_t scribe_stop(struct scribe *s);

#endif
