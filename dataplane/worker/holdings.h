/*
 * Which addresses the box holds, for the process that follows this one.
 *
 * The data plane may die and be back in seconds, and its neighbours go on sending to the addresses that it had. So it
 * keeps them in a file of the run directory, which outlives a kill -9, and its successor goes on with them
 * (ip_link_held()) instead of being silent until they have been probed. The file is mapped: keeping it up costs no
 * system call. After a reboot nothing is left of it, nor would its time, of the boot clock, be believed.
 */
#ifndef WORKER_HOLDINGS_H
#define WORKER_HOLDINGS_H

#include <stdint.h>

#include "base/addr.h"
#include "base/limits.h"
#include "ip/ip.h"

enum { HOLDINGS_MS = 30000 };  /* older ones may be another box's by now: they are probed like new ones */

struct holdings;

/* What the last process held at most HOLDINGS_MS before boot_ms; returns how many. */
uint32_t holdings_read(const char *run_dir, int64_t boot_ms, struct addr held[static LIMIT_addresses]);

/* Null: the file cannot be made. What it says stands until the first holdings_keep(). */
struct holdings *holdings_open(const char *run_dir);

/* Those that the link uses now, but for draining ones: nobody wants these any more. */
void holdings_keep(struct holdings *h, const struct ip_link *l, uint64_t now_ns, int64_t boot_ms);

void holdings_close(struct holdings *h);  /* null: nothing to do */

#endif
