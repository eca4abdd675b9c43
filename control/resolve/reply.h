/*
 * From a DNS message, or what came in its place, to a reply for the book. Taken are addresses of the name that was
 * asked for or of where its aliases lead, and only those that can be another host's: whatever else an answer carries,
 * it was not asked for.
 */
#ifndef RESOLVE_REPLY_H
#define RESOLVE_REPLY_H

#include <ares.h>

#include "control/resolve/book.h"

/* out->addrs is from calloc(), for the caller to free. */
void reply_read(const ares_dns_record_t *record, const char *asked, unsigned family, struct reply *out);
const char *reply_reason(ares_status_t status);      /* a constant text */

#endif
