/* See resolver.h. What is wanted comes in under the lock, answers go out under it; the rest is the thread's own. */
#include "control/resolve/resolver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "control/clock.h"
#include "control/resolve/reply.h"

enum { RESOLVER_MAGIC = 0x7e501e, QUESTIONS_MAX = 64, FDS_MAX = 2 * QUESTIONS_MAX + 8, SERVERS_MAX = 8 };
enum { TIMEOUT_MS = 2000, TRIES = 2, UDP_BYTES = 1232, FILE_LOOK_MS = 5000 };

#define SYSTEM_SERVERS "/etc/resolv.conf"

struct wanted {
	char **names;
	size_t n;
	struct addr servers[SERVERS_MAX];
	size_t servers_n;
};

struct resolver {
	uint32_t magic;
	pthread_t thread;
	pthread_mutex_t lock;
	int wake;
	/* under the lock */
	bool stopping;
	bool fresh;                   /* wanted is new */
	struct wanted wanted;
	struct answers *answers;
	/* the thread's own */
	const char *file;
	void (*on_change)(void *arg);
	void *arg;
	struct book *book;
	ares_channel_t *channel;      /* null: there is no name server */
	struct addr servers[SERVERS_MAX];
	size_t servers_n;
	struct timespec system_servers;   /* when the file was last changed */
	unsigned questions;
	bool changed;                 /* the book, since answers were made of it */
	struct pollfd fds[FDS_MAX];
	size_t fds_n;
};

/* A name that is being asked for: both families at once. */
struct question {
	struct resolver *resolver;
	char name[HOST_NAME_MAX_BYTES];
	struct reply reply[FAMILIES];
	unsigned open;
	bool lost;
};

/* ---- what came ---- */

static void finish(struct question *q)
{
	struct resolver *r = q->resolver;

	if (--q->open > 0)
		return;
	if (q->lost)
		book_ask_again(r->book, q->name, clock_monotonic_ms());
	else
		r->changed |= book_answer(r->book, q->name, q->reply, clock_monotonic_ms());
	for (unsigned i = 0; i < FAMILIES; i++)
		free(q->reply[i].addrs);
	r->questions--;
	free(q);
}

static void on_reply(struct question *q, unsigned family, ares_status_t status, const ares_dns_record_t *record)
{
	struct reply *to = &q->reply[family];

	if (status == ARES_SUCCESS && record != NULL)
		reply_read(record, q->name, family, to);
	else if (status == ARES_ENOTFOUND || status == ARES_ENODATA)
		*to = (struct reply){.kind = REPLY_NONE, .why = reply_reason(status)};
	else
		*to = (struct reply){.kind = REPLY_FAILED, .why = reply_reason(status)};
	q->lost |= status == ARES_EDESTRUCTION || status == ARES_ECANCELLED;
	finish(q);
}

static void on_v4(void *arg, ares_status_t status, size_t timeouts, const ares_dns_record_t *record)
{
	(void)timeouts;
	on_reply(arg, FAMILY_V4, status, record);
}

static void on_v6(void *arg, ares_status_t status, size_t timeouts, const ares_dns_record_t *record)
{
	(void)timeouts;
	on_reply(arg, FAMILY_V6, status, record);
}

/* ---- asking ---- */

static void ask(struct resolver *r, const char *name)
{
	struct question *q = calloc(1, sizeof(*q));

	CHECK(q != NULL);
	q->resolver = r;
	q->open = FAMILIES;
	snprintf(q->name, sizeof(q->name), "%s", name);
	r->questions++;
	if (r->channel == NULL) {
		for (unsigned i = 0; i < FAMILIES; i++)
			on_reply(q, i, ARES_ECONNREFUSED, NULL);
		return;
	}
	/* Each comes back once, perhaps from within. */
	ares_query_dnsrec(r->channel, q->name, ARES_CLASS_IN, ARES_REC_TYPE_A, on_v4, q, NULL);
	ares_query_dnsrec(r->channel, q->name, ARES_CLASS_IN, ARES_REC_TYPE_AAAA, on_v6, q, NULL);
}

static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = arg;
	size_t i = 0;

	while (i < r->fds_n && r->fds[i].fd != fd)
		i++;
	if (!readable && !writable) {
		if (i < r->fds_n)
			r->fds[i] = r->fds[--r->fds_n];
		return;
	}
	if (i == r->fds_n) {
		/* So many questions at once need no more; one too many times out. */
		if (r->fds_n == FDS_MAX)
			return;
		r->fds_n++;
	}
	r->fds[i] = (struct pollfd){.fd = fd, .events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0))};
}

static void set_servers(struct resolver *r)
{
	char list[SERVERS_MAX * (ADDR_TEXT_MAX + 3)], text[ADDR_TEXT_MAX];
	size_t used = 0;

	for (size_t i = 0; i < r->servers_n; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used,
					 addr_is_v4(&r->servers[i]) ? "%s%s" : "%s[%s]", i > 0 ? "," : "",
					 addr_print(&r->servers[i], text));
	if (ares_set_servers_csv(r->channel, list) != ARES_SUCCESS) {
		ares_destroy(r->channel);
		r->channel = NULL;
	}
}

/* Questions that are open in the old channel are asked again in the new one. */
static void open_channel(struct resolver *r)
{
	struct ares_options options = {
		.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NO_DFLT_SVR,
		.timeout = TIMEOUT_MS,
		.tries = TRIES,
		.ednspsz = UDP_BYTES,
		.udp_max_queries = 1,
		.qcache_max_ttl = 0,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = r,
	};
	const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
			 ARES_OPT_UDP_MAX_QUERIES | ARES_OPT_QUERY_CACHE | ARES_OPT_SOCK_STATE_CB;

	if (r->channel != NULL)
		ares_destroy(r->channel);
	r->channel = NULL;
	if (ares_init_options(&r->channel, &options, mask) != ARES_SUCCESS)
		r->channel = NULL;
	else if (r->servers_n > 0)
		set_servers(r);
}

/* Whoever changes the host's name servers need not tell us. */
static bool system_servers_changed(struct resolver *r)
{
	struct stat s = {0};

	if (r->servers_n > 0 || stat(SYSTEM_SERVERS, &s) != 0 ||
	    (s.st_mtim.tv_sec == r->system_servers.tv_sec && s.st_mtim.tv_nsec == r->system_servers.tv_nsec))
		return false;
	r->system_servers = s.st_mtim;
	return true;
}

/* ---- the thread ---- */

static void free_wanted(struct wanted *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->names[i]);
	free(w->names);
	*w = (struct wanted){0};
}

/* False: stop. */
static bool take_wanted(struct resolver *r)
{
	struct wanted w = {0};
	bool fresh, go_on;

	pthread_mutex_lock(&r->lock);
	go_on = !r->stopping;
	fresh = r->fresh;
	if (fresh) {
		w = r->wanted;
		r->wanted = (struct wanted){0};
		r->fresh = false;
	}
	pthread_mutex_unlock(&r->lock);
	if (!fresh)
		return go_on;
	book_want(r->book, (const char *const *)w.names, w.n, clock_monotonic_ms());
	if (w.servers_n != r->servers_n || memcmp(w.servers, r->servers, w.servers_n * sizeof(w.servers[0])) != 0) {
		memcpy(r->servers, w.servers, sizeof(w.servers));
		r->servers_n = w.servers_n;
		r->system_servers = (struct timespec){0};
		open_channel(r);
	}
	free_wanted(&w);
	return go_on;
}

static void hand_over(struct resolver *r)
{
	struct answers *fresh, *old;

	if (!r->changed)
		return;
	r->changed = false;
	fresh = book_answers(r->book);
	pthread_mutex_lock(&r->lock);
	old = r->answers;
	r->answers = fresh;
	pthread_mutex_unlock(&r->lock);
	answers_put(old);
	if (r->file != NULL && !book_save(r->book, r->file))
		fprintf(stderr, "resolver: %s: %s\n", r->file, strerror(errno));
	r->on_change(r->arg);
}

static int wait_ms(const struct resolver *r)
{
	const int64_t next = book_next_ms(r->book), now = clock_monotonic_ms();
	int64_t wait = next == INT64_MAX ? FILE_LOOK_MS : next - now;
	struct timeval most = {.tv_sec = FILE_LOOK_MS / 1000}, found, *asked;

	if (r->questions >= QUESTIONS_MAX || wait > FILE_LOOK_MS)
		wait = FILE_LOOK_MS;
	if (r->channel != NULL && r->questions > 0) {
		asked = ares_timeout(r->channel, &most, &found);
		if (asked != NULL && asked->tv_sec * 1000 + asked->tv_usec / 1000 + 1 < wait)
			wait = asked->tv_sec * 1000 + asked->tv_usec / 1000 + 1;
	}
	return wait > 0 ? (int)wait : 0;
}

static void wait_and_read(struct resolver *r)
{
	struct pollfd fds[FDS_MAX + 1];
	ares_fd_events_t events[FDS_MAX];
	const size_t n = r->fds_n;
	size_t events_n = 0;
	uint64_t count;

	memcpy(fds, r->fds, n * sizeof(fds[0]));
	fds[n] = (struct pollfd){.fd = r->wake, .events = POLLIN};
	/* With nothing to ask there is nothing to look after. */
	if (poll(fds, n + 1, r->questions == 0 && book_next_ms(r->book) == INT64_MAX ? -1 : wait_ms(r)) < 0)
		CHECK(errno == EINTR);
	if ((fds[n].revents & POLLIN) && read(r->wake, &count, sizeof(count)) < 0)
		CHECK(errno == EAGAIN);
	for (size_t i = 0; i < n; i++) {
		if (fds[i].revents == 0)
			continue;
		events[events_n++] = (ares_fd_events_t){
			.fd = fds[i].fd,
			.events = ((fds[i].revents & ~POLLOUT) ? ARES_FD_EVENT_READ : 0u) |
				  ((fds[i].revents & POLLOUT) ? ARES_FD_EVENT_WRITE : 0u),
		};
	}
	if (r->channel != NULL)
		ares_process_fds(r->channel, events, events_n, ARES_PROCESS_FLAG_NONE);
}

static void *run(void *arg)
{
	struct resolver *r = arg;
	const char *name;

	while (take_wanted(r)) {
		if (system_servers_changed(r))
			open_channel(r);
		while (r->questions < QUESTIONS_MAX && (name = book_ask(r->book, clock_monotonic_ms())) != NULL)
			ask(r, name);
		hand_over(r);
		wait_and_read(r);
	}
	return NULL;
}

/* ---- from other threads ---- */

static void wake(struct resolver *r)
{
	const uint64_t one = 1;

	if (write(r->wake, &one, sizeof(one)) != sizeof(one))
		CHECK(errno == EAGAIN);
}

struct resolver *resolver_new(const char *file, void (*on_change)(void *arg), void *arg)
{
	struct resolver *r = calloc(1, sizeof(*r));

	CHECK(r != NULL);
	r->magic = RESOLVER_MAGIC;
	r->file = file;
	r->on_change = on_change;
	r->arg = arg;
	r->book = book_new();
	if (file != NULL)
		book_load(r->book, file);
	r->answers = book_answers(r->book);
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(r->wake >= 0 && pthread_mutex_init(&r->lock, NULL) == 0);
	CHECK(pthread_create(&r->thread, NULL, run, r) == 0);
	return r;
}

void resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	CHECK_MAGIC(r, RESOLVER_MAGIC);
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_mutex_unlock(&r->lock);
	wake(r);
	pthread_join(r->thread, NULL);
	if (r->channel != NULL)
		ares_destroy(r->channel);
	book_free(r->book);
	answers_put(r->answers);
	free_wanted(&r->wanted);
	pthread_mutex_destroy(&r->lock);
	close(r->wake);
	r->magic = 0;
	free(r);
}

void resolver_want(struct resolver *r, const char *const *names, size_t n, const struct addr *servers,
                   size_t servers_n)
{
	struct wanted w = {.names = calloc(n > 0 ? n : 1, sizeof(char *)), .n = n}, overtaken;

	CHECK_MAGIC(r, RESOLVER_MAGIC);
	CHECK(w.names != NULL);
	for (size_t i = 0; i < n; i++) {
		w.names[i] = strdup(names[i]);
		CHECK(w.names[i] != NULL);
	}
	for (; w.servers_n < servers_n && w.servers_n < SERVERS_MAX; w.servers_n++)
		w.servers[w.servers_n] = servers[w.servers_n];
	pthread_mutex_lock(&r->lock);
	overtaken = r->wanted;
	r->wanted = w;
	r->fresh = true;
	pthread_mutex_unlock(&r->lock);
	free_wanted(&overtaken);
	wake(r);
}

struct answers *resolver_answers(struct resolver *r)
{
	struct answers *a;

	CHECK_MAGIC(r, RESOLVER_MAGIC);
	pthread_mutex_lock(&r->lock);
	a = answers_get(r->answers);
	pthread_mutex_unlock(&r->lock);
	return a;
}
