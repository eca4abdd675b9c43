/* The scribe: takes access log records out of the workers' rings and writes them as lines. Never blocks. */
#ifndef WORKER_SCRIBE_H
#define WORKER_SCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/logring.h"

struct scribe;

struct scribe *scribe_new(const char *path);      /* "-": standard output; null: it cannot be opened (errno) */
void scribe_free(struct scribe *s);
/* Writes what is there, at most as much as bounds one call; true when there was something. */
bool scribe_drain(struct scribe *s, struct logring *r);
void scribe_flush(struct scribe *s);              /* after the last drain of a turn */
uint64_t scribe_lost(const struct scribe *s);     /* records that the output did not take */

#endif
