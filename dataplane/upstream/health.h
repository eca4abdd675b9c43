/*
 * Which endpoints are not well: passive outlier detection, as Envoy names it, for all workers of a gateway.
 *
 * Each endpoint of a cluster has one owner among the workers. Whoever sees a connection to it fail or succeed notes
 * that, and reports to the owner at the end of the round; only the owner counts, and only the owner writes the
 * verdict, which everybody reads. Nobody locks.
 *
 *                   failures                    enough in a row
 *        (unknown) ----------> WATCHED -------------------------------> EJECTED
 *            ^                 |  ^  ^                                  |  |
 *            |  well again, or |  |  +----- its time is over -----------+  |
 *            |  long quiet     |  +-------- it was reached (panic) --------+
 *            +-----------------+
 *
 * Verdicts are kept by the identity of cluster and endpoint, so they survive generations; what is unknown is well.
 * They live in sets of eight words, one cache line each, that belong to one owner: a reader looks through one line.
 * Each ejection of an endpoint takes ejection_ms longer than the one before, up to ejection_max_ms. After its time it
 * is on probation: until it has been reached once, one failure is enough to eject it again. Once it has been reached,
 * one ejection is forgotten for each ejection_ms without trouble.
 *
 * What is counted are connections that could not be made (Envoy: local origin failures). Envoy Gateway has no outlier
 * detection unless a policy asks for it, and no retry could help a client of a cluster half of whose endpoints are
 * dead then; so this part is always on.
 */
#ifndef UPSTREAM_HEALTH_H
#define UPSTREAM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/shard.h"

struct health;               /* of one gateway */

struct health *health_new(uint16_t workers);      /* boot; null: no memory */
void health_free(struct health *h);               /* after the last worker */

/* What a worker saw of an endpoint in one round, for its owner. */
struct health_report {
	uint64_t key;
	bool reached;                /* a connection was made, before the failures that follow */
	uint16_t failures;           /* in a row, at the end of the round */
	uint16_t failures_eject;     /* so many in a row eject */
	uint32_t ejection_ms, ejection_max_ms;
};

uint64_t health_key(uint64_t cluster, uint64_t endpoint);
uint16_t health_owner(const struct health *h, uint64_t key);

bool health_watched(const struct health *h, uint64_t key);   /* its owner wants to hear of successes too */
bool health_ejected(const struct health *h, uint64_t key);
bool health_any_ejected(const struct health *h);
uint32_t health_epoch(const struct health *h);               /* changes with every ejection and every return */

/* The owner's part: takes a report into account. s is the owner's shard, always the same. */
void health_take(struct health *h, struct shard *s, const struct health_report *r);

#endif
