/*
 * The timing wheel of one shard: four levels of 256 slots, ticks of 2^16 ns (about 66 us), so timers reach 78 hours.
 *
 * A timer is embedded in what it belongs to. Arming and cancelling are O(1). wheel_advance() fires what is due, at
 * most `budget` timers per call, and moves some times as many between levels, so that neither a burst of expiries nor a
 * slot that holds a million timers can stall a round. A timer never fires early; it fires at most one tick plus one
 * round late, unless more than that are due at once, or were to be moved at once: those that are more than 16 ms away
 * may then be as many calls late as it takes to move them, and nearer ones do not wait for them.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <rte_common.h>
#include <rte_cycles.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WHEEL_TICK_SHIFT = 16, WHEEL_LEVELS = 4, WHEEL_SLOTS = 256, WHEEL_TURNED = 8 };

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#undef NS_PER_S  /* DPDK's is an int: four seconds would overflow it */
#define NS_PER_S  UINT64_C(1000000000)

struct timer {
	struct timer *next;
	struct timer **prev;                         /* null when not armed */
	uint64_t due_tick;
	void (*fire)(struct timer *t, uint64_t now_ns);
};

struct wheel {
	uint64_t tick;                               /* all ticks up to this one have fired */
	uint64_t armed;                              /* timers in the wheel */
	uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64];
	struct timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
	unsigned turned_n;                           /* slots whose turn has come, a stack: */
	struct timer *turned[WHEEL_TURNED];          /* their timers are yet to be moved */
};

void wheel_init(struct wheel *w, uint64_t now_ns);

/* (Re)arms t to fire at due_ns; a due time in the past fires in the next advance. */
void timer_arm(struct wheel *w, struct timer *t, uint64_t due_ns, void (*fire)(struct timer *, uint64_t now_ns));
void timer_cancel(struct wheel *w, struct timer *t);     /* harmless when not armed */
static inline bool timer_armed(const struct timer *t)
{
	return t->prev != NULL;
}

/* Fires what is due at now_ns; returns how many fired. With more than budget due, the rest fire next time. */
unsigned wheel_advance(struct wheel *w, uint64_t now_ns, unsigned budget);

/* A time not later than the next expiry (UINT64_MAX when nothing is armed): how long the worker may sleep. */
uint64_t wheel_next_ns(const struct wheel *w);

#endif
