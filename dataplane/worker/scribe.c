/*
 * Lines are gathered into one buffer and written at once. It is filled again only when all of it is written, so that a
 * write that was cut short goes on in the middle of its line; after a change of files that line begins anew.
 *
 * A file takes everything, or fails (a full disk): then it is tried again ten times a second. A pipe or terminal whose
 * reader is slow gets pieces of at most PIPE_BUF bytes, and only while it says that it is writable: its descriptor may
 * be shared with others, so it is not made non-blocking. A FIFO is opened for reading too: else opening it would wait
 * for a reader, and what lies in it would be lost when its reader is started anew.
 */
#include "worker/scribe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "proxy/access.h"

enum {
	BUFFER = 1 << 18,
	LINE_ROOM = 16384,
	MODE_FILE = 0640,
	BUSY_MS = 2,
	IDLE_MS = 20,
	FAILED_MS = 100,
	END_MS = 1000,
};

/* How it goes with the output. */
enum flow { FLOWS, WAITS, FAILS };

struct scribe {
	int fd;
	int wake_fd;
	const char *path;        /* "-": standard output */
	_Atomic(access_printer *) print;
	bool may_block;
	bool complained;         /* about the failure that goes on */
	size_t n, done;          /* of the buffer; done: is written */
	uint16_t rings_n;
	struct logring *rings[LIMIT_workers];
	pthread_t thread;
	bool started;
	_Atomic bool stop, reopen;
	char buffer[BUFFER];
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the output ---- */

static int open_output(const char *path)
{
	struct stat st;
	bool fifo = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);

	if (strcmp(path, "-") == 0)
		return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	return open(path, (fifo ? O_RDWR : O_WRONLY) | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, MODE_FILE);
}

static void use(struct scribe *s, int fd)
{
	struct stat st;

	s->fd = fd;
	s->may_block = fstat(fd, &st) < 0 || !S_ISREG(st.st_mode);
}

struct scribe *scribe_new(const char *path)
{
	struct scribe *s = calloc(1, sizeof(*s));
	int fd = s ? open_output(path) : -1;

	if (fd < 0) {
		free(s);
		return NULL;
	}
	use(s, fd);
	s->path = path;
	atomic_init(&s->print, access_print);
	s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return s;
}

/* The line that is half in the old file is written whole into the new one: better twice in part than torn. */
static void open_anew(struct scribe *s)
{
	int fd = open_output(s->path);

	if (fd < 0) {
		fprintf(stderr, "dataplane: %s: %s: the access log goes on in the old file\n", s->path,
		        strerror(errno));
		return;
	}
	close(s->fd);
	use(s, fd);
	while (s->done > 0 && s->buffer[s->done - 1] != '\n')
		s->done--;
}

/* What is broken "takes" it: the write tells how. */
static bool takes(struct scribe *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	return !s->may_block || poll(&p, 1, 0) == 1;
}

/* Once per failure, not per try. */
static enum flow fail(struct scribe *s)
{
	if (!s->complained)
		fprintf(stderr, "dataplane: access log: %s: lines wait until it is over, or their ring is full\n",
		        strerror(errno));
	s->complained = true;
	return FAILS;
}

static enum flow flush(struct scribe *s)
{
	while (s->done < s->n) {
		size_t piece = s->may_block && s->n - s->done > PIPE_BUF ? PIPE_BUF : s->n - s->done;
		ssize_t wrote;

		if (!takes(s))
			return WAITS;
		wrote = write(s->fd, s->buffer + s->done, piece);
		if (wrote > 0)
			s->done += (size_t)wrote;
		else if (wrote < 0 && errno == EAGAIN)
			return WAITS;
		else if (wrote == 0 || errno != EINTR)
			return fail(s);
	}
	if (s->n > 0 && s->complained) {
		fprintf(stderr, "dataplane: access log: written again\n");
		s->complained = false;
	}
	s->n = s->done = 0;
	return FLOWS;
}

/* ---- the rings ---- */

static void fill(struct scribe *s, struct logring *r)
{
	access_printer *print = atomic_load(&s->print);
	const void *record;
	size_t bytes;

	while (BUFFER - s->n >= LINE_ROOM && (record = logring_peek(r, &bytes))) {
		s->n += print(record, bytes, s->buffer + s->n, LINE_ROOM);
		logring_release(r);
	}
}

/* Every ring gets at least half a buffer. */
static enum flow turn(struct scribe *s, bool *any)
{
	enum flow flow = flush(s);

	for (uint16_t i = 0; flow == FLOWS && i < s->rings_n; i++) {
		fill(s, s->rings[i]);
		*any = *any || s->n > 0;
		if (s->n > BUFFER / 2)
			flow = flush(s);
	}
	return flow == FLOWS ? flush(s) : flow;
}

/* ---- the thread ---- */

static void pause_for(struct scribe *s, enum flow flow, bool any)
{
	struct pollfd p[2] = {{.fd = s->wake_fd, .events = POLLIN},
	                      {.fd = flow == WAITS ? s->fd : -1, .events = POLLOUT}};
	uint64_t kicks;

	poll(p, 2, flow != FLOWS ? FAILED_MS : any ? BUSY_MS : IDLE_MS);
	(void)!read(s->wake_fd, &kicks, sizeof(kicks));
}

static void *run(void *arg)
{
	struct scribe *s = arg;
	int64_t end_ms = INT64_MAX;

	for (;;) {
		bool stopping = atomic_load(&s->stop), any = false;
		enum flow flow;

		if (stopping && end_ms == INT64_MAX)
			end_ms = now_ms() + END_MS;
		if (atomic_exchange(&s->reopen, false))
			open_anew(s);
		flow = turn(s, &any);
		if (stopping && ((flow == FLOWS && !any) || now_ms() >= end_ms))
			return NULL;
		if (!stopping || flow != FLOWS)
			pause_for(s, flow, any);
	}
}

static void wake(struct scribe *s)
{
	uint64_t one = 1;

	(void)!write(s->wake_fd, &one, sizeof(one)); /* full is as good as written */
}

enum err scribe_start(struct scribe *s, struct logring *const *rings, uint16_t rings_n)
{
	sigset_t ours, before;
	int e;

	memcpy(s->rings, rings, rings_n * sizeof(*rings));
	s->rings_n = rings_n;
	/* Signals to the program are for its main thread, which they interrupt. */
	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ours, &before);
	e = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->started = e == 0;
	return e == 0 ? OK : ERR_IO;
}

void scribe_reopen(struct scribe *s)
{
	atomic_store(&s->reopen, true);
	wake(s);
}

static uint64_t left_over(struct scribe *s)
{
	uint64_t lost = 0;
	size_t bytes;

	for (size_t i = s->done; i < s->n; i++)
		lost += s->buffer[i] == '\n';
	for (uint16_t i = 0; i < s->rings_n; i++)
		for (; logring_peek(s->rings[i], &bytes); lost++)
			logring_release(s->rings[i]);
	return lost;
}

uint64_t scribe_stop(struct scribe *s)
{
	struct timespec until;

	if (!s->started)
		return 0;
	s->started = false;
	atomic_store(&s->stop, true);
	wake(s);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2 * END_MS / 1000;
	if (pthread_timedjoin_np(s->thread, NULL, &until) != 0) {
		pthread_cancel(s->thread); /* it is stuck in a write, which is where it can be cancelled */
		pthread_join(s->thread, NULL);
	}
	return left_over(s);
}

void scribe_format(struct scribe *s, access_printer *print)
{
	static_assert((int)LINE_ROOM >= (int)ACCESS_JSON_MIN, "a line of JSON is never cut");
	atomic_store(&s->print, print);
}

void scribe_free(struct scribe *s)
{
	if (!s)
		return;
	(void)scribe_stop(s);
	close(s->fd);
	close(s->wake_fd);
	free(s);
}
