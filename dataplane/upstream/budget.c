/*
 * The retry budget: how many of a cluster's requests may be ones that were sent before.
 *
 * When a cluster breaks, every request to it fails and is sent again, and the load doubles or triples at the worst
 * moment. So retries may be a fifth of what is in flight from this worker, as in Envoy's default; three in any case,
 * or a quiet cluster would have none.
 */
#include "base/check.h"
#include "base/limits.h"
#include "upstream/private.h"

enum { RETRIES_MIN = 3 };

/* The endpoints' own counts are summed up: retries are rare, requests are not. */
static uint32_t in_flight(const struct cluster *c)
{
	uint64_t n = c->waiting_n;

	for (uint32_t i = 0; i < c->row.n; i++)
		n += c->row.endpoints[i].active;
	return n < UINT32_MAX / LIMIT_retry_percent ? (uint32_t)n : UINT32_MAX / LIMIT_retry_percent;
}

bool upstream_retry_begin(struct upstream *u, uint64_t cluster)
{
	struct cluster *c = cluster_find(u, cluster);

	if (c == NULL)
		return false;
	if (c->retries_n >= RETRIES_MIN && (c->retries_n + 1) * 100 > in_flight(c) * LIMIT_retry_percent)
		return false;
	c->retries_n++;
	return true;
}

void upstream_retry_end(struct upstream *u, uint64_t cluster)
{
	struct cluster *c = cluster_find(u, cluster);

	/* One that was gone and came back starts from 0 while some of its retries still end. */
	if (c != NULL && c->retries_n > 0)
		c->retries_n--;
}

bool upstream_has_other(struct upstream *u, uint64_t cluster, uint64_t endpoint)
{
	const struct cluster *c = cluster_find(u, cluster);

	for (uint32_t i = 0; c != NULL && i < c->row.n; i++) {
		if (c->row.endpoints[i].usable && c->row.endpoints[i].id != endpoint)
			return true;
	}
	return false;
}
