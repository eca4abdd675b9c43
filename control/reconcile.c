/* See reconcile.h. */
#include "control/reconcile.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "control/clock.h"
#include "control/compile/compile.h"
#include "control/resolve/resolver.h"

enum { RECONCILER_MAGIC = 0x4ec0e501, LOOK_MS = 250, PUSH_MS = 2000 };

struct reconciler {
	uint32_t magic;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	int event;
	/* under the lock */
	bool stopping;
	struct snapshot *offered;       /* the newest that nobody took yet */
	bool resolved;                  /* names have other addresses, or other troubles */
	struct reconciled found;        /* the newest round's, until the loop takes it */
	struct publish_verdict verdict;
	/* the thread's own */
	struct publisher *publisher;
	struct resolver *resolver;
	struct snapshot *snapshot;
	struct snapshot *machine_from;  /* the newest with a Machine: what a box without one goes on with */
	struct publish_verdict told;    /* the verdict that status was last computed from */
};

void reconciled_fini(struct reconciled *r)
{
	status_patches_fini(&r->patches);
	snapshot_put(r->snapshot);
	*r = (struct reconciled){0};
}

/* The newest snapshot if there is a new one; waits a little for it. False: stop. */
static bool wait_for_work(struct reconciler *r, bool *fresh)
{
	struct timespec until;
	bool go_on;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&r->lock);
	while (!r->stopping && !r->offered && !r->resolved)
		if (pthread_cond_timedwait(&r->woken, &r->lock, &until) == ETIMEDOUT)
			break;
	*fresh = r->offered != NULL || (r->resolved && r->snapshot != NULL);
	r->resolved = false;
	if (r->offered != NULL) {
		snapshot_put(r->snapshot);
		r->snapshot = r->offered;
		r->offered = NULL;
	}
	go_on = !r->stopping;
	pthread_mutex_unlock(&r->lock);
	return go_on;
}

static void hand_over(struct reconciler *r, struct reconciled *found, const struct publish_verdict *verdict)
{
	uint64_t one = 1;
	struct reconciled overtaken = {0};

	pthread_mutex_lock(&r->lock);
	r->verdict = *verdict;
	if (found) {
		overtaken = r->found;
		r->found = *found;
	}
	pthread_mutex_unlock(&r->lock);
	reconciled_fini(&overtaken);
	if (found && write(r->event, &one, sizeof(one)) != sizeof(one))
		CHECK(errno == EAGAIN);         /* it is readable already */
}

/* What admitted objects come to need not fit: that is a verdict like the data plane's own. */
static void compile(struct reconciler *r, const struct model *m)
{
	struct generation g;
	enum err e = generation_compile(m, &g);

	if (e == OK) {
		e = publisher_want(r->publisher, g.table, g.bytes);
		generation_fini(&g);
	}
	if (e == OK)
		return;
	fprintf(stderr, "compile: resourceVersion=%llu error=%s\n",
	        (unsigned long long)snapshot_resource_version(r->snapshot), err_name(e));
	publisher_refuse(r->publisher, m->resource_version,
	                 e == ERR_LIMIT ? "it is larger than a generation can be" : err_text(e));
}

static void tell_status(struct reconciler *r, const struct model *m, const struct publish_verdict *verdict)
{
	struct reconciled found = {0};
	char now[CLOCK_TEXT_MAX];

	r->told = *verdict;
	if (status_compute(m, verdict, clock_text(clock_wall_ms(), now), &found.patches) != OK ||
	    found.patches.n == 0) {
		status_patches_fini(&found.patches);
		hand_over(r, NULL, verdict);
		return;
	}
	found.snapshot = snapshot_get(r->snapshot);
	hand_over(r, &found, verdict);
}

static void remember_machine(struct reconciler *r)
{
	size_t n;

	snapshot_list(r->snapshot, "Machine", &n);
	if (n == 0)
		return;
	snapshot_put(r->machine_from);
	r->machine_from = snapshot_get(r->snapshot);
}

/* One round. The model lives as long as its patches are computed; they borrow only objects. */
static void work(struct reconciler *r, bool fresh)
{
	const struct publish_verdict *verdict;
	struct answers *known = resolver_answers(r->resolver);
	struct model *m = NULL;

	if (fresh) {
		remember_machine(r);
		m = model_new(r->snapshot, known, r->machine_from);
		resolver_want(r->resolver, m->names, m->names_n, m->machine.nameservers, m->machine.nameservers_n);
		compile(r, m);
	}
	verdict = publisher_push(r->publisher, PUSH_MS);
	if (!m && !publish_verdict_equal(verdict, &r->told))
		m = model_new(r->snapshot, known, r->machine_from);
	if (m)
		tell_status(r, m, verdict);
	else
		hand_over(r, NULL, verdict);
	model_free(m);
	answers_put(known);
}

static void *run(void *closure)
{
	struct reconciler *r = closure;
	bool fresh;

	while (wait_for_work(r, &fresh))
		if (r->snapshot)
			work(r, fresh);
	return NULL;
}

static void on_resolved(void *arg)
{
	struct reconciler *r = arg;

	pthread_mutex_lock(&r->lock);
	r->resolved = true;
	pthread_cond_signal(&r->woken);
	pthread_mutex_unlock(&r->lock);
}

struct reconciler *reconciler_new(const char *dataplane_socket, const char *names_file)
{
	struct reconciler *r = calloc(1, sizeof(*r));
	pthread_condattr_t attributes;

	CHECK(r);
	r->magic = RECONCILER_MAGIC;
	r->publisher = publisher_new(dataplane_socket);
	r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(r->publisher && r->event >= 0);
	CHECK(pthread_mutex_init(&r->lock, NULL) == 0 && pthread_condattr_init(&attributes) == 0);
	CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(&r->woken, &attributes) == 0);
	r->resolver = resolver_new(names_file, on_resolved, r);
	CHECK(pthread_create(&r->thread, NULL, run, r) == 0);
	return r;
}

void reconciler_free(struct reconciler *r)
{
	if (!r)
		return;
	CHECK_MAGIC(r, RECONCILER_MAGIC);
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->woken);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	resolver_free(r->resolver);
	reconciled_fini(&r->found);
	snapshot_put(r->offered);
	snapshot_put(r->snapshot);
	snapshot_put(r->machine_from);
	publisher_free(r->publisher);
	pthread_cond_destroy(&r->woken);
	pthread_mutex_destroy(&r->lock);
	close(r->event);
	r->magic = 0;
	free(r);
}

void reconciler_offer(struct reconciler *r, struct snapshot *s)
{
	struct snapshot *overtaken;

	CHECK_MAGIC(r, RECONCILER_MAGIC);
	pthread_mutex_lock(&r->lock);
	overtaken = r->offered;
	r->offered = snapshot_get(s);
	pthread_cond_signal(&r->woken);
	pthread_mutex_unlock(&r->lock);
	snapshot_put(overtaken);
}

int reconciler_fd(const struct reconciler *r)
{
	CHECK_MAGIC(r, RECONCILER_MAGIC);
	return r->event;
}

bool reconciler_take(struct reconciler *r, struct reconciled *out)
{
	uint64_t count;

	CHECK_MAGIC(r, RECONCILER_MAGIC);
	if (read(r->event, &count, sizeof(count)) < 0)
		CHECK(errno == EAGAIN);
	pthread_mutex_lock(&r->lock);
	*out = r->found;
	r->found = (struct reconciled){0};
	pthread_mutex_unlock(&r->lock);
	return out->snapshot != NULL;
}

struct publish_verdict reconciler_verdict(struct reconciler *r)
{
	struct publish_verdict verdict;

	CHECK_MAGIC(r, RECONCILER_MAGIC);
	pthread_mutex_lock(&r->lock);
	verdict = r->verdict;
	pthread_mutex_unlock(&r->lock);
	return verdict;
}
