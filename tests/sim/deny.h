/*
 * Denying memory to the gateway: from the n-th allocation on that its workers make from an object pool or a packet pool,
 * some find it empty. Clients, servers and links, which share the process, get what they ask for.
 */
#ifndef SIM_DENY_H
#define SIM_DENY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/packet.h"

void deny_pools(const struct packet_pools *p);       /* before traffic: allocations from these are seen */
void deny_from(uint64_t n, uint64_t many);           /* the n-th from now on and those behind it; many 0: none */
void deny_armed(bool armed);                         /* a worker's round begins or ends */
uint64_t deny_seen(void);                            /* allocations since deny_from() */
uint64_t denied(void);

#endif
