/*
 * How the wheel turns.
 *
 * A timer lies at the lowest level whose span reaches it: level l holds those that are due in less than 256^(l+1)
 * ticks, in the slot (due >> 8l) & 255. When the tick becomes a multiple of 256^l, the slot of level l that begins
 * there is spread over the levels below. Level 0 slots are fired.
 *
 * A slot far away may hold as many timers as there are connections: to spread it takes more time than a round has. So
 * its list is taken off the wheel and put on a stack, and each call moves a bounded number from the top of it. What
 * turned last is on top, at the same tick the lowest level: what is due soon never waits for what is due later.
 *
 * Empty ticks cost nothing: each level keeps a bitmap of its occupied slots, and wheel_advance() jumps from one tick
 * where something happens (a slot fires or spreads) to the next. So a simulation may skip hours in one call.
 *
 * A due time is rounded up to a tick and the clock down, hence a timer never fires early. Timers further away than
 * the wheel reaches wait in the last slot and are placed again when it spreads.
 */
#include "base/wheel.h"

#include <limits.h>
#include <string.h>

#include "base/check.h"

enum { SLOT_BITS = 8, SLOT_MASK = WHEEL_SLOTS - 1, NONE = 0, MOVES_PER_FIRE = 8 };

static_assert(WHEEL_SLOTS == 1 << SLOT_BITS, "slot arithmetic");

static void mark(struct wheel *w, unsigned level, unsigned slot)
{
	w->occupied[level][slot / 64] |= UINT64_C(1) << (slot % 64);
}

static void unmark(struct wheel *w, unsigned level, unsigned slot)
{
	w->occupied[level][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
}

/* Slots from `slot` on (exclusive, wrapping) to the next occupied one: 1 to 256, or NONE. */
static unsigned distance(const struct wheel *w, unsigned level, unsigned slot)
{
	const uint64_t *words = w->occupied[level];
	unsigned start = (slot + 1) & SLOT_MASK;
	uint64_t word = words[start / 64] & (UINT64_MAX << (start % 64));

	for (unsigned i = 0, at = start / 64; i <= WHEEL_SLOTS / 64; i++) {
		if (word != 0) {
			unsigned found = at * 64 + (unsigned)__builtin_ctzll(word);

			return ((found - start) & SLOT_MASK) + 1;
		}
		at = (at + 1) % (WHEEL_SLOTS / 64);
		word = words[at];
	}
	return NONE;
}

/* The next tick at which a slot fires or spreads; UINT64_MAX when nothing is armed. */
static uint64_t next_tick(const struct wheel *w)
{
	uint64_t next = UINT64_MAX;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t turn = w->tick >> (SLOT_BITS * level);
		unsigned d = distance(w, level, turn & SLOT_MASK);
		uint64_t at = (turn + d) << (SLOT_BITS * level);

		if (d != NONE && at < next)
			next = at;
	}
	return next;
}

static void place(struct wheel *w, struct timer *t, uint64_t base)
{
	uint64_t reach = (UINT64_C(1) << (SLOT_BITS * WHEEL_LEVELS)) - 1;
	uint64_t delta = t->due_tick - base < reach ? t->due_tick - base : reach;
	unsigned level = delta == 0 ? 0 : (63 - (unsigned)__builtin_clzll(delta)) / SLOT_BITS;
	unsigned slot = ((base + delta) >> (SLOT_BITS * level)) & SLOT_MASK;
	struct timer **head = &w->slot[level][slot];

	t->next = *head;
	t->prev = head;
	if (t->next)
		t->next->prev = &t->next;
	*head = t;
	mark(w, level, slot);
}

static void take_out(struct wheel *w, struct timer *t)
{
	struct timer **first = &w->slot[0][0];

	*t->prev = t->next;
	if (t->next) {
		t->next->prev = t->prev;
	} else if (t->prev >= first && t->prev < first + WHEEL_LEVELS * WHEEL_SLOTS) {
		size_t slot = (size_t)(t->prev - first);

		unmark(w, (unsigned)(slot / WHEEL_SLOTS), (unsigned)(slot % WHEEL_SLOTS));
	}
	t->next = NULL;
	t->prev = NULL;
}

/* Moves what has turned, to where it belongs as of `base`; what is overdue fires at `first`. At most *left timers. */
static void spread(struct wheel *w, uint64_t base, uint64_t first, unsigned *left)
{
	while (w->turned_n > 0) {
		struct timer *t = w->turned[w->turned_n - 1];

		if (!t) {
			w->turned_n--;
			continue;
		}
		if (*left == 0)
			return;
		(*left)--;
		take_out(w, t);
		if (t->due_tick < first)
			t->due_tick = first;
		place(w, t, base);
	}
}

/* The turn of a level's slot has come. */
static void turn(struct wheel *w, unsigned level, uint64_t tick)
{
	unsigned slot = (tick >> (SLOT_BITS * level)) & SLOT_MASK;
	struct timer **head = &w->turned[w->turned_n], *t = w->slot[level][slot];

	if (!t)
		return;
	w->slot[level][slot] = NULL;
	unmark(w, level, slot);
	*head = t;
	t->prev = head;
	w->turned_n++;
}

/* Whatever turns at this tick; a stack without room for it is emptied first, however long that takes. */
static void turn_all(struct wheel *w, uint64_t tick)
{
	unsigned all = UINT_MAX;

	if (w->turned_n + WHEEL_LEVELS > WHEEL_TURNED)
		spread(w, tick, tick, &all);
	for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--)
		if ((tick & ((UINT64_C(1) << (SLOT_BITS * level)) - 1)) == 0)
			turn(w, level, tick);
}

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	memset(w, 0, sizeof(*w));
	w->tick = now_ns >> WHEEL_TICK_SHIFT;
}

void timer_arm(struct wheel *w, struct timer *t, uint64_t due_ns, void (*fire)(struct timer *, uint64_t now_ns))
{
	uint64_t round_up = (UINT64_C(1) << WHEEL_TICK_SHIFT) - 1;

	CHECK(fire != NULL);
	timer_cancel(w, t);
	t->due_tick = due_ns > UINT64_MAX - round_up ? UINT64_MAX >> WHEEL_TICK_SHIFT
	                                             : (due_ns + round_up) >> WHEEL_TICK_SHIFT;
	if (t->due_tick <= w->tick)
		t->due_tick = w->tick + 1;
	t->fire = fire;
	place(w, t, w->tick);
	w->armed++;
}

void timer_cancel(struct wheel *w, struct timer *t)
{
	if (!timer_armed(t))
		return;
	take_out(w, t);
	w->armed--;
}

/* Fires the slot of `tick`, which w->tick has reached. False when the budget ended first. */
static bool fire_slot(struct wheel *w, uint64_t tick, uint64_t now_ns, unsigned *left)
{
	struct timer **head = &w->slot[0][tick & SLOT_MASK];

	while (*head) {
		struct timer *t = *head;

		if (*left == 0)
			return false;
		CHECK_SLOW(t->due_tick == tick);
		(*left)--;
		timer_cancel(w, t);
		t->fire(t, now_ns);
	}
	return true;
}

unsigned wheel_advance(struct wheel *w, uint64_t now_ns, unsigned budget)
{
	uint64_t target = now_ns >> WHEEL_TICK_SHIFT;
	unsigned left = budget, moves = budget < UINT_MAX / MOVES_PER_FIRE ? budget * MOVES_PER_FIRE : UINT_MAX;

	spread(w, w->tick, w->tick + 1, &moves);
	while (w->tick < target) {
		uint64_t tick = w->armed ? next_tick(w) : UINT64_MAX;

		if (tick > target) {
			w->tick = target;
			break;
		}
		turn_all(w, tick);
		spread(w, tick, tick, &moves);
		/* From here a timer armed with a due time in the past goes to the tick after this one. */
		w->tick = tick;
		if (!fire_slot(w, tick, now_ns, &left)) {
			w->tick = tick - 1;
			break;
		}
	}
	return budget - left;
}

uint64_t wheel_next_ns(const struct wheel *w)
{
	uint64_t tick = w->turned_n > 0 ? w->tick : w->armed ? next_tick(w) : UINT64_MAX;

	return tick >= UINT64_MAX >> WHEEL_TICK_SHIFT ? UINT64_MAX : tick << WHEEL_TICK_SHIFT;
}
