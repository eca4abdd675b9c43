/*
 * The worker's side of health: what it saw of endpoints goes to their owners, what they decided comes into the rows.
 *
 * Notes are gathered per endpoint and sent once, at the end of the round: a storm of failures costs one report per
 * endpoint and round. Successes are worth a report only while the owner watches the endpoint.
 *
 * Panic (Envoy's word): when fewer endpoints than panic_percent of a cluster are left, verdicts are disregarded and all
 * of them are picked. So few could not carry the load, and what looks like many dead endpoints is often our own
 * network.
 */
#include "base/check.h"
#include "base/shard.h"
#include "upstream/private.h"

void endpoint_note(struct upstream *u, struct endpoint *e, bool reached)
{
	/* A cluster that was not compared yet has the settings of the last generation: good enough for a note. */
	if (e->cluster->outlier.connect_failures == 0)
		return;
	if (reached) {
		if (!e->noted && !health_watched(u->up.health, e->health))
			return;
		e->reached = true;
		e->failures = 0;
	} else if (e->failures < UINT16_MAX) {
		e->failures++;
	}
	if (!e->noted)
		TAILQ_INSERT_TAIL(&u->notes, e, of_notes);
	e->noted = true;
}

void endpoint_forget_notes(struct upstream *u, struct endpoint *e)
{
	if (e->noted)
		TAILQ_REMOVE(&u->notes, e, of_notes);
	e->noted = e->reached = false;
	e->failures = 0;
}

void notes_report(struct upstream *u)
{
	struct endpoint *e;

	while ((e = TAILQ_FIRST(&u->notes)) != NULL) {
		const struct table_outlier *how = &e->cluster->outlier;
		const struct health_report r = {
			.key = e->health,
			.reached = e->reached,
			.failures = e->failures,
			.failures_eject = how->connect_failures,
			.ejection_ms = how->ejection_ms,
			.ejection_max_ms = how->ejection_max_ms,
		};
		const uint16_t owner = health_owner(u->up.health, r.key);

		endpoint_forget_notes(u, e);
		if (r.failures_eject == 0)
			continue; /* turned off meanwhile */
		if (owner == u->shard->worker)
			upstream_take_report(u, &r);
		else
			u->up.on_report(u->up.up, owner, &r);
	}
}

void upstream_take_report(struct upstream *u, const struct health_report *r)
{
	health_take(u->up.health, u->shard, r);
}

static uint32_t mark_usable(struct upstream *u, struct cluster *c)
{
	const bool any = health_any_ejected(u->up.health);
	uint32_t usable = 0;

	for (uint32_t i = 0; i < c->row.n; i++) {
		const bool ejected = any && health_ejected(u->up.health, c->row_endpoints[i]->health);

		c->row.endpoints[i].usable = !ejected;
		usable += !ejected;
	}
	return usable;
}

void cluster_mark(struct upstream *u, struct cluster *c)
{
	const uint32_t epoch = health_epoch(u->up.health);
	const bool before = c->panic;

	if (c->health_epoch == epoch)
		return;
	c->health_epoch = epoch;
	c->panic = mark_usable(u, c) * 100 < c->row.n * c->outlier.panic_percent;
	if (!c->panic)
		return;
	for (uint32_t i = 0; i < c->row.n; i++)
		c->row.endpoints[i].usable = 1;
	if (!before)
		count(u->shard->counters, C_cluster_panics);
}
