/*
 * How a worker's thread spends its time.
 *
 *   round: useful --> next round
 *          empty  --> for SPIN_NS after the last useful one: look again (crowded: let others run in between)
 *                     then: park, look again, sleep until a frame, a kick or the next timer, unpark
 *
 * A sleep ends by a frame when every port of this worker has a descriptor to wait for. Else it is a nap: 50 us right
 * after traffic, doubling up to 1 ms, which bounds both the added latency and the share of an idle CPU. Sleeps end
 * after half a second in any case, so that the heartbeat of a sleeping worker goes on.
 *
 * How late is a round? After a sleep that ended by itself: since its end was due. After a kick: since the kick, whose
 * time the producer leaves. Without a sleep: since the start of the round before, since whatever came then had to wait
 * for that long; a thread that lost its CPU in the middle shows here, too. When a frame came that ended a sleep is not
 * known: it counts as just now. What is late by the scheduler's doing is counted all the same: who wants to tell them
 * apart compares with what the kernel says about the thread (/proc/PID/task/TID/schedstat).
 */
#include "worker/thread.h"

#include <errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/shard.h"
#include "worker/profile.h"

#define SPIN_NS         (50 * NS_PER_US)
#define SPIN_CROWDED_NS (20 * NS_PER_US)
#define NAP_MIN_NS      (50 * NS_PER_US)
#define NAP_MAX_NS      NS_PER_MS
#define SLEEP_MAX_NS    (500 * NS_PER_MS)
#define WALL_EVERY_NS   (10 * NS_PER_MS)
#define STOP_MAX_NS     (2 * NS_PER_S)

enum { EVENTS = LIMIT_ports + 1, STOP_LOOK_US = 500 };

struct thread {
	_Alignas(64) struct worker *worker;
	struct counters *counters;
	int event_fd;
	int epoll_fd;
	_Atomic uint64_t kicked_ns;  /* when it was last woken by another thread */
	bool crowded;
	bool rx_fds;             /* every port that we poll can wake us */
	_Atomic bool stop;
	_Atomic bool running;
	pthread_t self;
	uint64_t busy_ns;        /* when the last useful round ended */
	uint64_t nap_ns;
	uint64_t wall_at_ns;     /* when the wall clock was last compared */
	int64_t wall_minus_ns;
};

struct threads {
	uint16_t workers;
	uint16_t started;
	struct thread thread[LIMIT_workers];
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t wall_us(struct thread *t, uint64_t now_ns)
{
	if (now_ns - t->wall_at_ns > WALL_EVERY_NS) {
		t->wall_at_ns = now_ns;
		t->wall_minus_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - now_ns);
	}
	return (now_ns + (uint64_t)t->wall_minus_ns) / NS_PER_US;
}

static bool is_kick(const struct epoll_event *e)
{
	return (e->data.u64 >> 32) == 1;
}

/* A packet socket whose interface went down stays "ready" until its error is read. */
static void settle(const struct epoll_event *e)
{
	uint64_t kicks;
	int error;
	socklen_t n = sizeof(error);

	if (is_kick(e)) {
		if (read((int)(uint32_t)e->data.u64, &kicks, sizeof(kicks)) < 0)
			CHECK(errno == EAGAIN);
	} else if (e->events & EPOLLERR) {
		(void)getsockopt((int)(uint32_t)e->data.u64, SOL_SOCKET, SO_ERROR, &error, &n);
	}
}

/* When the round that follows was due; UINT64_MAX: that is not known. */
static uint64_t wait_ns(struct thread *t, uint64_t ns, uint64_t now_ns)
{
	uint64_t due_ns = UINT64_MAX;
	struct timespec timeout = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
	struct epoll_event events[EVENTS];
	int n = epoll_pwait2(t->epoll_fd, events, EVENTS, &timeout, NULL);

	for (int i = 0; i < n; i++) {
		if (is_kick(&events[i]))
			due_ns = atomic_load_explicit(&t->kicked_ns, memory_order_relaxed);
		settle(&events[i]);
	}
	if (n == 0)
		return now_ns + ns;
	/* An older kick found us awake already; only its writing came late. */
	return due_ns < now_ns ? UINT64_MAX : due_ns;
}

static uint64_t bounded(struct thread *t, uint64_t until_ns, uint64_t now_ns)
{
	uint64_t max = t->rx_fds ? SLEEP_MAX_NS : t->nap_ns;

	t->nap_ns = t->nap_ns * 2 < NAP_MAX_NS ? t->nap_ns * 2 : NAP_MAX_NS;
	return until_ns <= now_ns ? 0 : until_ns - now_ns < max ? until_ns - now_ns : max;
}

/* After an empty round. Returns the time; *late_ns grows to how late the next round will begin. */
static uint64_t rest(struct thread *t, uint64_t now_ns, uint64_t *late_ns)
{
	uint64_t until_ns, due_ns, woke_ns;

	if (now_ns - t->busy_ns < (t->crowded ? SPIN_CROWDED_NS : SPIN_NS) || !worker_sleepable(t->worker, &until_ns) ||
	    !worker_park(t->worker)) {
		if (t->crowded)
			sched_yield();
		else
			rte_pause();
		return now_ns;
	}
	due_ns = wait_ns(t, bounded(t, until_ns, now_ns), now_ns);
	woke_ns = clock_ns(CLOCK_MONOTONIC);
	if (woke_ns > due_ns && woke_ns - due_ns > *late_ns)
		*late_ns = woke_ns - due_ns;
	count_n(t->counters, C_worker_asleep_ns, woke_ns - now_ns);
	worker_unpark(t->worker);
	return woke_ns;
}

static int run(void *arg)
{
	struct thread *t = arg;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC), late_ns = 0;

	t->self = pthread_self();
	t->busy_ns = now_ns;
	t->nap_ns = NAP_MIN_NS;
	/* The default slack of 50 us would be added to every nap. */
	prctl(PR_SET_TIMERSLACK, 1);
	profile_thread();
	atomic_store(&t->running, true);
	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		unsigned handled;
		uint64_t after_ns;

		if (unlikely(late_ns >= WORKER_LATE_NS))
			worker_late(t->worker, late_ns);
		handled = worker_round(t->worker, now_ns, wall_us(t, now_ns));
		after_ns = clock_ns(CLOCK_MONOTONIC);
		late_ns = after_ns - now_ns;
		count_n(t->counters, handled ? C_worker_useful_ns : C_worker_idle_ns, after_ns - now_ns);
		now_ns = after_ns;
		if (handled) {
			t->busy_ns = now_ns;
			t->nap_ns = NAP_MIN_NS;
		} else {
			now_ns = rest(t, now_ns, &late_ns);
		}
	}
	return 0;
}

static void watch(struct thread *t, int fd, bool kick)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)kick << 32 | (uint32_t)fd};

	CHECK(epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0);
}

struct threads *threads_new(uint16_t workers, bool crowded)
{
	struct threads *all = aligned_alloc(64, sizeof(*all));

	CHECK(workers <= LIMIT_workers);
	if (!all)
		return NULL;
	memset(all, 0, sizeof(*all));
	all->workers = workers;
	for (uint16_t w = 0; w < workers; w++) {
		struct thread *t = &all->thread[w];

		t->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		CHECK(t->event_fd >= 0 && t->epoll_fd >= 0);
		t->crowded = crowded;
		watch(t, t->event_fd, true);
	}
	return all;
}

void threads_free(struct threads *all)
{
	for (uint16_t w = 0; all && w < all->workers; w++) {
		close(all->thread[w].event_fd);
		close(all->thread[w].epoll_fd);
	}
	free(all);
}

void threads_wake(void *threads, uint16_t worker)
{
	struct threads *all = threads;
	uint64_t one = 1;

	atomic_store_explicit(&all->thread[worker].kicked_ns, clock_ns(CLOCK_MONOTONIC), memory_order_relaxed);
	/* Full is as good as written: the worker will be woken. */
	if (write(all->thread[worker].event_fd, &one, sizeof(one)) < 0)
		CHECK(errno == EAGAIN);
}

static void watch_ports(struct thread *t, uint16_t worker, struct port *const *ports, uint16_t ports_n)
{
	t->rx_fds = true;
	for (uint16_t p = 0; p < ports_n; p++) {
		int fd = -1;

		if (worker >= ports[p]->queues)
			continue;
		if (ports[p]->rx_fd)
			fd = ports[p]->rx_fd(ports[p], worker);
		if (fd >= 0)
			watch(t, fd, false);
		else
			t->rx_fds = false;
	}
}

enum err threads_start(struct threads *all, struct gateway *g, struct port *const *ports, uint16_t ports_n)
{
	for (uint16_t w = 0; w < all->workers; w++) {
		struct thread *t = &all->thread[w];

		t->worker = gateway_worker(g, w);
		t->counters = worker_shard(t->worker)->counters;
		watch_ports(t, w, ports, ports_n);
		if (rte_eal_remote_launch(run, t, 1u + w) != 0)
			return ERR_IO;
		all->started++;
		while (!atomic_load(&t->running))
			sched_yield();
	}
	return OK;
}

static bool ended(uint16_t worker, uint64_t deadline_ns)
{
	while (rte_eal_get_lcore_state(1u + worker) == RUNNING) {
		if (clock_ns(CLOCK_MONOTONIC) > deadline_ns)
			return false;
		usleep(STOP_LOOK_US);
	}
	return true;
}

bool threads_stop(struct threads *all)
{
	uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + STOP_MAX_NS;
	bool all_ended = true;

	for (uint16_t w = 0; w < all->started; w++) {
		atomic_store(&all->thread[w].stop, true);
		threads_wake(all, w);
	}
	for (uint16_t w = 0; w < all->started; w++) {
		if (ended(w, deadline_ns)) {
			rte_eal_wait_lcore(1u + w);
		} else {
			fprintf(stderr, "dataplane: worker %u does not end\n", w);
			all_ended = false;
		}
	}
	all->started = 0;
	return all_ended;
}

pthread_t threads_self(const struct threads *all, uint16_t worker)
{
	return all->thread[worker].self;
}

bool threads_has_rx_fds(const struct threads *all)
{
	bool all_have = true;

	for (uint16_t w = 0; w < all->workers; w++)
		all_have = all_have && all->thread[w].rx_fds;
	return all_have;
}
