/*
 * Each worker thread has a timer on its own CPU clock, so that sleeping costs no samples. The signal handler notes the
 * address that was interrupted, nothing else. At the end the addresses are written as offsets into the program, which
 * addr2line turns into functions and files: the folder of the file is the layer. Addresses outside of the program
 * (libc, the kernel's vdso) are written as 0.
 */
#include "worker/profile.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { SAMPLES_MAX = 1 << 20, EVERY_NS = 1000000 };

extern const char __executable_start, etext;

static const char *file;
static _Atomic uint32_t samples_n;
static uint64_t *samples;

static void on_sample(int signal, siginfo_t *s, void *context)
{
	const ucontext_t *u = context;
	uint64_t at = (uint64_t)u->uc_mcontext.gregs[REG_RIP];
	uint32_t n = atomic_fetch_add_explicit(&samples_n, 1, memory_order_relaxed);

	(void)signal;
	(void)s;
	if (n < SAMPLES_MAX)
		samples[n] = at >= (uint64_t)&__executable_start && at < (uint64_t)&etext
		                     ? at - (uint64_t)&__executable_start : 0;
}

void profile_open(const char *path)
{
	struct sigaction a = {.sa_sigaction = on_sample, .sa_flags = SA_SIGINFO | SA_RESTART};

	samples = calloc(SAMPLES_MAX, sizeof(*samples));
	if (!samples) {
		fprintf(stderr, "dataplane: no memory for a profile\n");
		return;
	}
	file = path;
	sigemptyset(&a.sa_mask);
	sigaction(SIGPROF, &a, NULL);
}

void profile_thread(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF, ._sigev_un._tid = gettid()};
	struct itimerspec every = {.it_interval = {.tv_nsec = EVERY_NS}, .it_value = {.tv_nsec = EVERY_NS}};
	timer_t t;

	if (!file)
		return;
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &e, &t) < 0 || timer_settime(t, 0, &every, NULL) < 0)
		fprintf(stderr, "dataplane: a worker cannot be profiled\n");
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void profile_write(void)
{
	uint32_t n = atomic_load(&samples_n), run = 0;
	FILE *f = file ? fopen(file, "we") : NULL;

	if (!f)
		return;
	n = n < SAMPLES_MAX ? n : SAMPLES_MAX;
	qsort(samples, n, sizeof(*samples), by_address);
	for (uint32_t i = 0; i < n; i++) {
		run++;
		if (i + 1 == n || samples[i + 1] != samples[i]) {
			fprintf(f, "0x%jx %u\n", (uintmax_t)samples[i], run);
			run = 0;
		}
	}
	fclose(f);
}
