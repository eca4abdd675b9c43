/*
 * A word is the key of an endpoint with the verdict in its lowest byte: readers need no second look to know whose
 * verdict it is, and an owner can give the place to another endpoint by one store. Beside each word lies the owner's
 * own record, which nobody else reads.
 */
#include "upstream/health.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"

enum { WAYS = 8, LINES = (int)LIMIT_health_verdicts / WAYS };
/* An endpoint of which nothing was heard for so long is nobody's worry: it may not even exist any more. */
#define QUIET_NS (UINT64_C(300) * NS_PER_S)

static_assert((LINES & (LINES - 1)) == 0 && LINES >= (int)LIMIT_workers, "lines are masked, and each worker has some");

enum verdict { UNKNOWN, WATCHED, EJECTED, VERDICT_BITS = 0xff };

struct line {
	_Alignas(64) _Atomic uint64_t word[WAYS];
};

struct patient {
	struct health *health;
	struct shard *owner;
	uint64_t key;
	struct timer timer;          /* EJECTED: its time is over; WATCHED: one ejection is forgotten */
	uint64_t heard_ns;           /* of the last report */
	uint32_t ejection_ms;
	uint16_t failures;           /* in a row */
	uint16_t ejections;          /* not forgotten yet */
	bool probation;
};

struct health {
	struct line *lines;
	struct patient *patients;    /* WAYS for each line; written by its owner only */
	uint16_t workers;
	_Alignas(64) _Atomic uint32_t epoch;
	_Atomic uint32_t ejected;
};

static_assert(sizeof(struct line) == 64, "one cache line");

/* ---- keys ---- */

uint64_t health_key(uint64_t cluster, uint64_t endpoint)
{
	uint64_t x = cluster ^ (endpoint << 31 | endpoint >> 33);

	/* The finaliser of splitmix64: any bit of either changes any bit of the key. */
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	x = (x ^ x >> 31) & ~(uint64_t)VERDICT_BITS;
	return x != 0 ? x : VERDICT_BITS + 1; /* a place with the key 0 is free */
}

static uint32_t line_of(uint64_t key)
{
	return (uint32_t)(key >> 32) & (LINES - 1);
}

uint16_t health_owner(const struct health *h, uint64_t key)
{
	return (uint16_t)(line_of(key) % h->workers);
}

/* ---- everybody's part ---- */

static enum verdict verdict_of(const struct health *h, uint64_t key)
{
	const struct line *l = &h->lines[line_of(key)];

	for (unsigned i = 0; i < WAYS; i++) {
		const uint64_t word = atomic_load_explicit(&l->word[i], memory_order_relaxed);

		if ((word & ~(uint64_t)VERDICT_BITS) == key)
			return (enum verdict)(word & VERDICT_BITS);
	}
	return UNKNOWN;
}

bool health_watched(const struct health *h, uint64_t key)
{
	return verdict_of(h, key) != UNKNOWN;
}

bool health_ejected(const struct health *h, uint64_t key)
{
	return verdict_of(h, key) == EJECTED;
}

bool health_any_ejected(const struct health *h)
{
	return atomic_load_explicit(&h->ejected, memory_order_relaxed) > 0;
}

uint32_t health_epoch(const struct health *h)
{
	return atomic_load_explicit(&h->epoch, memory_order_acquire);
}

/* ---- the owner's part ---- */

static void on_timer(struct timer *t, uint64_t now_ns);

static void give_verdict(struct patient *p, enum verdict to)
{
	struct health *h = p->health;
	const size_t at = (size_t)(p - h->patients);
	_Atomic uint64_t *word = &h->lines[at / WAYS].word[at % WAYS];
	const uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
	const enum verdict from = (enum verdict)(before & VERDICT_BITS);

	CHECK(from == UNKNOWN || (before & ~(uint64_t)VERDICT_BITS) == p->key);
	atomic_store_explicit(word, to == UNKNOWN ? 0 : p->key | to, memory_order_relaxed);
	if (to == EJECTED)
		atomic_fetch_add_explicit(&h->ejected, 1, memory_order_relaxed);
	if (from == EJECTED)
		atomic_fetch_sub_explicit(&h->ejected, 1, memory_order_relaxed);
	if (to == EJECTED || from == EJECTED)
		atomic_fetch_add_explicit(&h->epoch, 1, memory_order_release);
}

static void arm(struct patient *p, uint64_t ms)
{
	timer_arm(&p->owner->wheel, &p->timer, p->owner->now_ns + ms * NS_PER_MS, on_timer);
}

static void discharge(struct patient *p)
{
	timer_cancel(&p->owner->wheel, &p->timer);
	give_verdict(p, UNKNOWN);
	p->key = 0;
}

static void let_back(struct patient *p, bool probation)
{
	give_verdict(p, WATCHED);
	p->failures = 0;
	p->probation = probation;
	arm(p, p->ejection_ms);
	count(p->owner->counters, C_endpoints_returned);
}

static void eject(struct patient *p, const struct health_report *r)
{
	uint64_t ms;

	if (p->ejections < UINT16_MAX)
		p->ejections++;
	ms = (uint64_t)r->ejection_ms * p->ejections;
	give_verdict(p, EJECTED);
	arm(p, ms < r->ejection_max_ms ? ms : r->ejection_max_ms);
	count(p->owner->counters, C_endpoints_ejected);
}

static void on_timer(struct timer *t, uint64_t now_ns)
{
	struct patient *p = container_of(t, struct patient, timer);

	if (verdict_of(p->health, p->key) == EJECTED) {
		let_back(p, true);
		return;
	}
	if (!p->probation && p->failures == 0 && p->ejections > 0)
		p->ejections--;
	if (now_ns - p->heard_ns >= QUIET_NS || (!p->probation && p->failures == 0 && p->ejections == 0))
		discharge(p);
	else
		arm(p, p->ejection_ms);
}

/* With the key, or with none at all. */
static struct patient *find(struct health *h, uint32_t line, uint64_t key)
{
	struct patient *p = &h->patients[line * WAYS];

	for (unsigned i = 0; i < WAYS; i++) {
		if (p[i].key == key)
			return &p[i];
	}
	return NULL;
}

static struct patient *admit(struct health *h, struct shard *s, const struct health_report *r)
{
	struct patient *p = find(h, line_of(r->key), 0);

	if (p == NULL) {
		count(s->counters, C_limit_health_verdicts);
		return NULL;
	}
	*p = (struct patient){.health = h, .owner = s, .key = r->key};
	give_verdict(p, WATCHED);
	return p;
}

void health_take(struct health *h, struct shard *s, const struct health_report *r)
{
	struct patient *p = find(h, line_of(r->key), r->key);
	bool ejected;

	CHECK(health_owner(h, r->key) == s->worker && r->failures_eject > 0 && r->ejection_ms > 0);
	if (p == NULL && r->failures > 0)
		p = admit(h, s, r);
	if (p == NULL)
		return;
	p->heard_ns = s->now_ns;
	p->ejection_ms = r->ejection_ms;
	ejected = verdict_of(h, r->key) == EJECTED;
	if (r->reached) {
		p->failures = 0;
		p->probation = false;
		if (ejected)
			let_back(p, false);
	} else if (ejected) {
		return; /* what was under way when it was ejected, or panic */
	}
	p->failures = (uint16_t)(r->failures < UINT16_MAX - p->failures ? p->failures + r->failures : UINT16_MAX);
	if (p->failures >= (p->probation ? 1 : r->failures_eject))
		eject(p, r);
	else
		arm(p, p->ejection_ms);
}

/* ---- the whole ---- */

struct health *health_new(uint16_t workers)
{
	struct health *h = aligned_alloc(64, (sizeof(*h) + 63) / 64 * 64);

	if (h == NULL)
		return NULL;
	*h = (struct health){.workers = workers};
	h->lines = aligned_alloc(64, LINES * sizeof(h->lines[0]));
	h->patients = calloc(LINES * WAYS, sizeof(h->patients[0]));
	if (h->lines == NULL || h->patients == NULL) {
		health_free(h);
		return NULL;
	}
	for (unsigned i = 0; i < LINES; i++) {
		for (unsigned k = 0; k < WAYS; k++)
			atomic_init(&h->lines[i].word[k], 0);
	}
	return h;
}

void health_free(struct health *h)
{
	if (h == NULL)
		return;
	free(h->lines);
	free(h->patients);
	free(h);
}
