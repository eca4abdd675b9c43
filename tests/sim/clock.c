/* Virtual time: a binary heap of actors by (due time, order drawn from the seed). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/sim.h"

void sim_init(struct sim *s, uint64_t seed)
{
	bool trace = s->trace;

	memset(s, 0, sizeof(*s));
	s->trace = trace;
	s->seed = seed;
	s->now_ns = NS_PER_S; /* zero is often "never" */
	rng_init(&s->rng, seed);
}

static bool before(const struct actor *a, const struct actor *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void put(struct sim *s, uint32_t i, struct actor *a)
{
	s->heap[i] = a;
	a->heap_index = i;
}

static void sift(struct sim *s, uint32_t i)
{
	struct actor *a = s->heap[i];

	while (i > 1 && before(a, s->heap[i / 2])) {
		put(s, i, s->heap[i / 2]);
		i /= 2;
	}
	for (uint32_t child; (child = i * 2) <= s->heap_n; i = child) {
		if (child < s->heap_n && before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], a))
			break;
		put(s, i, s->heap[child]);
	}
	put(s, i, a);
}

void actor_reschedule(struct actor *a, uint64_t due_ns)
{
	struct sim *s = a->sim;

	a->due_ns = due_ns < s->now_ns ? s->now_ns : due_ns;
	a->order = rng_u64(&s->rng);
	if (!a->heap_index) {
		CHECK(s->heap_n < SIM_ACTORS);
		put(s, ++s->heap_n, a);
	}
	sift(s, a->heap_index);
}

void actor_at(struct actor *a, uint64_t due_ns)
{
	if (!a->heap_index || due_ns < a->due_ns)
		actor_reschedule(a, due_ns);
}

bool sim_step(struct sim *s)
{
	struct actor *a = s->heap_n ? s->heap[1] : NULL;

	if (!a || a->due_ns == UINT64_MAX)
		return false;
	CHECK(a->due_ns >= s->now_ns);
	s->now_ns = a->due_ns;
	s->events++;
	a->due_ns = UINT64_MAX;
	sift(s, 1);
	a->run(a);
	return true;
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list arguments;

	if (s->failed)
		return;
	s->failed = true;
	va_start(arguments, format);
	int n = snprintf(s->failure, sizeof(s->failure), "at %.6f s: ", (double)s->now_ns / 1e9);
	vsnprintf(s->failure + n, sizeof(s->failure) - (size_t)n, format, arguments);
	va_end(arguments);
}

void sim_trace(struct sim *s, const char *format, ...)
{
	va_list arguments;

	if (!s->trace)
		return;
	va_start(arguments, format);
	printf("%12.6f ", (double)s->now_ns / 1e9);
	vprintf(format, arguments);
	putchar('\n');
	va_end(arguments);
}
