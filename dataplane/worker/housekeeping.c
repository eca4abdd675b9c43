/*
 * The life of a data plane process.
 *
 *   WAITING --a generation: from the state directory, or the first one published--> start --> RUNNING or FAILED
 *   FAILED  --a while, or another generation (saved)--> the program starts itself anew
 *   RUNNING --SIGTERM--> drain --> the end
 *   RUNNING --a generation with another machine section--> saved, drained shortly --> the program starts itself anew
 *
 * EAL starts once per process, so another machine section can only be tried by leaving the one that runs. What runs
 * is kept (worker/block.h) until the new one runs; when that FAILED, the program goes back to what was kept and refuses
 * the failed machine with the reason of its failure, until it is stopped or yet another machine has started.
 *
 * One thread, one loop: serve the desk (which waits), free generations, save the newest, look at heartbeats. Logs are
 * written by a thread of their own (worker/scribe.h). A publish is answered as soon as the pointer is swapped; saving
 * follows, because a disk may be slow and control asks after a restart which generation is there.
 */
#include "worker/housekeeping.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/frame.h"
#include "base/shard.h"
#include "worker/block.h"
#include "worker/capture.h"
#include "worker/desk.h"
#include "worker/explain.h"
#include "worker/holdings.h"
#include "worker/profile.h"
#include "worker/requests.h"
#include "worker/scribe.h"
#include "worker/stack.h"
#include "worker/thread.h"
#include "worker/worker.h"

enum {
	TURN_MS = 20,
	WATCH_EVERY_MS = 100,
	HUNG_LOOKS = 20,           /* without a heartbeat in between: two seconds */
	RESTART_DRAIN_MS = 1000,
	RETRY_MS = 1000,
	LINKS_EVERY_MS = 250,
	REFRESH_EVERY_MS = 60000,  /* randomness for secrets that rotate */
	ALARM_EVERY_MS = 10000,    /* a line for each address that another host claims, while it does */
	COUNTERS_HEADER = 64,
};
#define COUNTERS_MAGIC UINT64_C(0x53524554554f4353) /* "SCOUTERS" */

/* At the start of the counters file: whoever maps it knows what it sees. */
struct counters_header {
	uint64_t magic;
	uint32_t workers;
	uint32_t cells;
};
static_assert(sizeof(struct counters_header) <= COUNTERS_HEADER, "counters start on a line of their own");

struct watched {
	uint64_t heartbeat;
	unsigned looks;
};

struct house {
	const struct housekeeping_options *o;
	volatile struct housekeeping_signals *signals;
	struct desk desk;
	struct requests requests;
	struct machine machine;
	struct threads *threads;
	struct gateway *gateway;         /* null while waiting */
	struct counters *counters;
	struct scribe *scribe;
	struct capture *capture;
	const struct table *unsaved;     /* newest that is not in the state directory yet */
	int64_t save_again_ms;           /* the last try to save it failed; 0: it did not */
	bool restart;
	bool failed;                     /* the start did not work: failed_content is what was tried, why the reason */
	uint64_t failed_content;
	uint64_t failed_machine;         /* its digest */
	char why[MACHINE_WHY_MAX];
	struct block_blame bad;          /* a machine that did not start, in an earlier life of this process */
	int64_t watched_ms;
	struct watched watched[LIMIT_workers];
	bool hung[LIMIT_workers];
	int64_t links_ms;
	int64_t refreshed_ms;
	bool link_down[LIMIT_ports];
	struct holdings *holdings;
	uint64_t conflicts;              /* that were counted when addresses were last looked at */
	int64_t alarmed_ms;
};

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

/* ---- generations ---- */

static void on_free(void *arg, const struct table *t)
{
	struct house *h = arg;

	if (h->unsaved == t)
		h->unsaved = NULL;
	block_close(t);
}

static void save_now(struct house *h)
{
	if (!h->unsaved)
		return;
	if (!block_save(h->o->state_dir, h->unsaved)) {
		h->unsaved = NULL;
		h->save_again_ms = 0;
		return;
	}
	if (h->save_again_ms == 0)
		fprintf(stderr, "dataplane: %s: the generation cannot be saved, it is tried again: %s\n",
		        h->o->state_dir, strerror(errno));
	h->save_again_ms = now_ms() + RETRY_MS;
}

/* A disk that is full may be emptied: what could not be saved stays unsaved, and is tried again every second. */
static void save(struct house *h)
{
	if (h->save_again_ms == 0 || now_ms() >= h->save_again_ms)
		save_now(h);
}

/* A generation stays in use for as long as a worker does not end its round. */
static void say_in_use(const struct house *h, char why[static BLOCK_WHY_MAX])
{
	size_t n = (size_t)snprintf(why, BLOCK_WHY_MAX, "%d generations are still in use", LIMIT_generations);

	for (uint16_t w = 0; w < h->machine.workers && n < BLOCK_WHY_MAX; w++)
		if (h->hung[w])
			n += (size_t)snprintf(why + n, BLOCK_WHY_MAX - n, ", worker %u hangs", w);
}

/* From the next line on. */
static void choose_format(struct house *h, const struct table *t)
{
	scribe_format(h->scribe, t->access_log == TABLE_ACCESS_JSON ? access_print_json : access_print);
}

static enum err take(struct house *h, const struct table *t, char why[static BLOCK_WHY_MAX])
{
	enum err e = gateway_publish(h->gateway, t, on_free, h);

	if (e == ERR_LIMIT)
		say_in_use(h, why);
	else if (e)
		snprintf(why, BLOCK_WHY_MAX, "its regular expressions cannot be made: %s", err_text(e));
	else
		h->unsaved = t;
	if (!e)
		choose_format(h, t);
	return e;
}

static enum err start(struct house *h, const struct table *t);

/* What is known to fail is not tried again: a try costs every connection. */
static bool known_to_fail(const struct house *h, const struct table *t, char why[static BLOCK_WHY_MAX])
{
	if (h->failed && t->content == h->failed_content)
		memcpy(why, h->why, BLOCK_WHY_MAX);
	else if (h->bad.why[0] && machine_digest(t) == h->bad.machine)
		memcpy(why, h->bad.why, BLOCK_WHY_MAX);
	else
		return false;
	return true;
}

/* Kept is what runs, not the file: that may be older, or not be there, when the disk was full. */
static enum err save_both(struct house *h, const struct table *t)
{
	enum err e = h->gateway ? block_keep(h->o->state_dir, gateway_table(h->gateway)) : OK;
	int why;

	if (!e)
		e = block_save(h->o->state_dir, t);
	if (!e)
		return OK;
	why = errno;
	(void)block_settle(h->o->state_dir); /* no trial: a kept one would only grow old */
	errno = why;
	return e;
}

/* For the next life of this process: what cannot be taken over by this one. */
static enum err save_for_restart(struct house *h, const struct table *t, char why[static BLOCK_WHY_MAX])
{
	enum err e;

	if (known_to_fail(h, t, why))
		return ERR_INVALID;
	e = machine_check(t, why);
	if (e)
		return e;
	e = save_both(h, t);
	if (e) {
		snprintf(why, BLOCK_WHY_MAX, "a restart is needed, but the generation cannot be saved: %s",
		         strerror(errno));
		return e;
	}
	h->unsaved = NULL; /* it is kept; saved now it would replace the new one */
	h->restart = true;
	return OK;
}

static enum err start_first(struct house *h, const struct table *t, char why[static BLOCK_WHY_MAX])
{
	enum err e = machine_check(t, why);

	if (e) {
		block_close(t);
		return e;
	}
	e = start(h, t);
	memcpy(why, h->why, BLOCK_WHY_MAX);
	return e;
}

static enum err publish(struct house *h, int memfd, char why[static BLOCK_WHY_MAX])
{
	const struct table *t = NULL;
	enum err e;

	if (memfd < 0) {
		snprintf(why, BLOCK_WHY_MAX, "no block came with the request");
		return ERR_INVALID;
	}
	e = block_open(memfd, &t, why);
	if (e)
		return e;
	if (!h->gateway && !h->failed)
		return start_first(h, t, why);
	if (h->gateway && machine_serves(&h->machine, t)) {
		e = take(h, t, why);
		if (e)
			block_close(t);
		return e;
	}
	e = save_for_restart(h, t, why);
	block_close(t);
	return e;
}

/* ---- the desk ---- */

static void answer_publish(struct house *h, int memfd, yyjson_mut_doc *d, yyjson_mut_val *root)
{
	char why[BLOCK_WHY_MAX] = "";
	enum err e = publish(h, memfd, why);

	yyjson_mut_obj_add_bool(d, root, "ok", !e);
	if (e) {
		yyjson_mut_obj_add_strcpy(d, root, "reason", why);
		fprintf(stderr, "dataplane: generation refused: %s\n", why);
	}
	if (h->restart)
		yyjson_mut_obj_add_bool(d, root, "restart", true);
}

static void answer_generation(const struct house *h, yyjson_mut_doc *d, yyjson_mut_val *root)
{
	const struct table *t = h->gateway ? gateway_table(h->gateway) : NULL;
	char number[24];

	yyjson_mut_obj_add_bool(d, root, "ok", true);
	snprintf(number, sizeof(number), "%" PRIu64, t ? t->resource_version : 0);
	yyjson_mut_obj_add_strcpy(d, root, "resourceVersion", number);
	snprintf(number, sizeof(number), "%016" PRIx64, t ? t->content : 0);
	yyjson_mut_obj_add_strcpy(d, root, "content", number);
	yyjson_mut_obj_add_uint(d, root, "alive", h->gateway ? gateway_generations(h->gateway) : 0);
}

static bool answer(void *arg, struct desk_question *q)
{
	const char *op = doc_str(q->request, "op");
	struct house *h = arg;

	if (strcmp(op, "publish") == 0)
		answer_publish(h, q->memfd, q->reply, q->root);
	else if (strcmp(op, "generation") == 0)
		answer_generation(h, q->reply, q->root);
	else if (!h->gateway)
		desk_refuse(q, "no generation yet");
	else if (strcmp(op, "capture") == 0)
		capture_answer(h->capture, q);
	else if (strcmp(op, "explain") == 0)
		explain_answer(gateway_table(h->gateway), gateway_health(h->gateway), q);
	else
		return requests_answer(&h->requests, op, q, now_ms());
	return true;
}

static void abandon(void *arg, struct desk_question *q)
{
	struct house *h = arg;

	requests_abandon(&h->requests, q);
}

/* ---- starting ---- */

static struct counters *map_counters(const char *run_dir, uint16_t workers)
{
	size_t bytes = COUNTERS_HEADER + sizeof(struct counters) * workers;
	struct counters_header *header;
	char path[4096], new_path[4096];
	int fd;

	/* A new file each time: a reader that still maps the old one keeps consistent numbers. */
	snprintf(path, sizeof(path), "%s/counters", run_dir);
	snprintf(new_path, sizeof(new_path), "%s/counters.new", run_dir);
	unlink(new_path);
	fd = open(new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 || rename(new_path, path) < 0) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	header = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (header == MAP_FAILED)
		return NULL;
	*header = (struct counters_header){.magic = COUNTERS_MAGIC, .workers = workers, .cells = COUNTERS};
	return (struct counters *)(void *)((char *)header + COUNTERS_HEADER);
}

static enum err fail(struct house *h, const char *what)
{
	snprintf(h->why, sizeof(h->why), "%s", what);
	return ERR_IO;
}

static enum err make_gateway(struct house *h)
{
	static struct addr held[LIMIT_addresses];
	struct gateway_options g = {
		.workers = h->machine.workers, .ports_n = h->machine.ports_n, .ports = h->machine.port_list,
		.pools_percent = h->machine.pools_percent, .pools = h->machine.pools, .wake = threads_wake,
		.tcp_conns = h->machine.tcp_conns,
		.held = held, .held_n = holdings_read(h->o->run_dir, clock_ms(CLOCK_BOOTTIME), held),
	};

	if (getrandom(g.secret, sizeof(g.secret), 0) != sizeof(g.secret) || getrandom(&g.seed, sizeof(g.seed), 0) < 8)
		return fail(h, "no randomness");
	h->counters = map_counters(h->o->run_dir, h->machine.workers);
	if (!h->counters)
		return fail(h, "the counters file cannot be made");
	h->holdings = holdings_open(h->o->run_dir);
	if (!h->holdings)
		return fail(h, "the file of addresses cannot be made");
	h->threads = threads_new(h->machine.workers, h->machine.crowded);
	if (!h->threads)
		return fail(h, "no memory");
	g.waker = h->threads;
	g.counters = h->counters;
	h->gateway = gateway_new(&g);
	if (!h->gateway)
		return fail(h, "no memory for the gateway");
	h->capture = capture_new(h->gateway, &h->machine, h->counters);
	if (!h->capture)
		return fail(h, "no memory");
	h->requests = (struct requests){.gateway = h->gateway, .machine = &h->machine, .counters = h->counters,
	                                .hung = h->hung};
	return OK;
}

static enum err start_scribe(struct house *h)
{
	struct logring *rings[LIMIT_workers];

	for (uint16_t w = 0; w < h->machine.workers; w++)
		rings[w] = worker_shard(gateway_worker(h->gateway, w))->access_log;
	if (scribe_start(h->scribe, rings, h->machine.workers))
		return fail(h, "the access log's thread does not start");
	return OK;
}

/* Takes t. EAL can be started only once per process, so a failure is final for this one. */
static enum err start(struct house *h, const struct table *t)
{
	enum err e = machine_start(&h->machine, t, &h->o->machine, h->why);

	h->failed_content = t->content;
	h->failed_machine = machine_digest(t);
	if (!e)
		e = make_gateway(h);
	if (!e)
		e = take(h, t, h->why);
	if (!e)
		e = start_scribe(h);
	if (!e && threads_start(h->threads, h->gateway, h->machine.port_list, h->machine.ports_n))
		e = fail(h, "threads do not start");
	if (e) {
		fprintf(stderr, "dataplane: cannot start: %s\n", h->why);
		h->failed = true;
		return e;
	}
	fprintf(stderr, "dataplane: running: %u workers%s, %u ports, %s, resourceVersion %" PRIu64 "\n",
	        h->machine.workers, h->machine.crowded ? " (no CPU each)" : "", h->machine.ports_n,
	        threads_has_rx_fds(h->threads) ? "woken by frames" : "bounded sleeps", t->resource_version);
	return OK;
}

/* The machine on trial did not start: back to the generation that ran before it, if there is one. */
static void go_back(struct house *h)
{
	struct block_blame bad = {.machine = h->failed_machine};

	if (block_restore(h->o->state_dir))
		return;
	snprintf(bad.why, sizeof(bad.why), "this machine did not start, the one before it runs on: %.190s", h->why);
	if (block_blame(h->o->state_dir, &bad))
		fprintf(stderr, "dataplane: %s: generation.bad: %s\n", h->o->state_dir, strerror(errno));
	fprintf(stderr, "dataplane: going back to the last good generation\n");
	h->restart = true;
}

static void on_started(struct house *h)
{
	h->unsaved = NULL; /* it came from there */
	if (!block_settle(h->o->state_dir))
		return;
	/* Another machine was on trial and runs: what failed before may be asked for again. */
	block_forgive(h->o->state_dir);
	h->bad = (struct block_blame){0};
}

static void start_from_state(struct house *h)
{
	const struct table *t;
	enum err e = block_load(h->o->state_dir, &t, h->why);

	if (e && e != ERR_NOT_FOUND)
		fprintf(stderr, "dataplane: the saved generation is not used: %s\n", h->why);
	if (e && block_restore(h->o->state_dir) == OK)
		e = block_load(h->o->state_dir, &t, h->why);
	if (e)
		fprintf(stderr, "dataplane: waiting for the first generation\n");
	else if (start(h, t) == OK)
		on_started(h);
	else
		go_back(h);
}

/* ---- running ---- */

static void watch_worker(struct house *h, uint16_t w)
{
	struct watched *seen = &h->watched[w];
	uint64_t heartbeat = worker_heartbeat(gateway_worker(h->gateway, w));
	char path[4096];

	if (heartbeat != seen->heartbeat) {
		if (h->hung[w])
			fprintf(stderr, "dataplane: worker %u goes on\n", w);
		*seen = (struct watched){.heartbeat = heartbeat};
		h->hung[w] = false;
		return;
	}
	if (++seen->looks != HUNG_LOOKS)
		return;
	h->hung[w] = true;
	/* The one cell that its owner cannot write: it hangs. */
	count(&h->counters[w], C_worker_hangs);
	fprintf(stderr, "dataplane: worker %u hangs\n", w);
	snprintf(path, sizeof(path), "%s/hung-worker-%u.txt", h->o->run_dir, w);
	stack_dump(threads_self(h->threads, w), w, path);
}

static void say_contested(const struct house *h, const struct ip_address_info *a)
{
	const uint8_t *b = a->claimant.addr_bytes;
	char text[ADDR_TEXT_MAX], name[32];

	fprintf(stderr, "dataplane: address %s (%s) on %s is also claimed by %02x:%02x:%02x:%02x:%02x:%02x: %s\n",
	        addr_print(&a->addr, text), a->virtual ? "virtual" : "own",
	        machine_iface_name(&h->machine, gateway_table(h->gateway), a->iface, name), b[0], b[1], b[2], b[3],
	        b[4], b[5],
	        a->usable ? "it is defended" : "it is not used, and tried again later");
}

/* Addresses are only looked at when the link owner has counted a conflict since the last alarm. */
static void watch_addresses(struct house *h, int64_t now)
{
	const uint64_t *cell = &h->counters[IP_LINK_OWNER].cell[C_neigh_conflicts];
	const uint64_t conflicts = __atomic_load_n(cell, __ATOMIC_RELAXED);
	struct ip_address_info some[64];
	uint32_t at = 0;

	if (conflicts == h->conflicts || (h->alarmed_ms != 0 && now - h->alarmed_ms < ALARM_EVERY_MS))
		return;
	h->conflicts = conflicts;
	h->alarmed_ms = now;
	do {
		const unsigned n = ip_address_walk(gateway_link(h->gateway), (uint64_t)now * NS_PER_MS, &at, some,
		                                   sizeof(some) / sizeof(some[0]));

		for (unsigned i = 0; i < n; i++)
			if (some[i].contested)
				say_contested(h, &some[i]);
	} while (at != 0);
}

static void hold_addresses(struct house *h, int64_t now)
{
	holdings_keep(h->holdings, gateway_link(h->gateway), (uint64_t)now * NS_PER_MS, clock_ms(CLOCK_BOOTTIME));
}

static void watch_links(struct house *h, int64_t now)
{
	if (now - h->links_ms < LINKS_EVERY_MS)
		return;
	h->links_ms = now;
	for (uint8_t i = 0; i < h->machine.ports_n; i++) {
		struct port *p = h->machine.port_list[i];
		const bool down = p->link_up && !p->link_up(p);

		if (down != h->link_down[i])
			fprintf(stderr, "dataplane: port %s: its link is %s\n", h->machine.names[i],
			        down ? "down" : "up");
		if (h->link_down[i] && !down)
			ip_link_came_up(gateway_link(h->gateway), i);
		h->link_down[i] = down;
	}
}

/* What is not to be had now is had the next time; until then secrets rotate all the same (tcp/cookie.h). */
static void refresh(struct house *h, int64_t now)
{
	uint64_t fresh[2];

	if (now - h->refreshed_ms < REFRESH_EVERY_MS || getrandom(fresh, sizeof(fresh), GRND_NONBLOCK) != sizeof(fresh))
		return;
	h->refreshed_ms = now;
	gateway_refresh(h->gateway, fresh);
}

/* Counts its own looks, not seconds: after the whole process was stopped nobody is called hung. */
static void watch(struct house *h)
{
	int64_t now = now_ms();

	if (now - h->watched_ms < WATCH_EVERY_MS)
		return;
	h->watched_ms = now;
	for (uint16_t w = 0; w < h->machine.workers; w++)
		watch_worker(h, w);
	watch_addresses(h, now);
	hold_addresses(h, now);
	watch_links(h, now);
	refresh(h, now);
}

static void attend(struct house *h, unsigned timeout_ms)
{
	desk_serve(&h->desk, timeout_ms);
	if (h->signals->reopen) {
		h->signals->reopen = 0;
		scribe_reopen(h->scribe);
	}
}

static void turn(struct house *h)
{
	attend(h, TURN_MS);
	gateway_reclaim(h->gateway);
	capture_turn(h->capture);
	save(h);
	watch(h);
}

static uint64_t open_now(const struct house *h, enum counter opened, enum counter closed)
{
	uint64_t n = 0;

	for (uint16_t w = 0; w < h->machine.workers; w++)
		n += __atomic_load_n(&h->counters[w].cell[opened], __ATOMIC_RELAXED) -
		     __atomic_load_n(&h->counters[w].cell[closed], __ATOMIC_RELAXED);
	return n;
}

/* An exchange ends when all of it is queued; the peer has it when the connection is finished. */
static bool unfinished(const struct house *h)
{
	return open_now(h, C_exchanges_opened, C_exchanges_closed) > 0 ||
	       open_now(h, C_tcp_finishing_opened, C_tcp_finishing_closed) > 0;
}

static void drain(struct house *h, unsigned deadline_ms)
{
	int64_t end_ms = now_ms() + deadline_ms;

	for (uint16_t w = 0; w < h->machine.workers; w++)
		worker_drain(gateway_worker(h->gateway, w));
	/* Twice: the counters of a round under way may have been read in the middle. */
	for (unsigned calm = 0; calm < 2 && now_ms() < end_ms; calm = unfinished(h) ? 0 : calm + 1)
		turn(h);
}

/* With a worker that hangs only the program's end frees what it uses. */
static void end(struct house *h)
{
	bool all_ended = threads_stop(h->threads);
	uint64_t lost;

	profile_write();
	lost = scribe_stop(h->scribe);
	if (lost)
		fprintf(stderr, "dataplane: %" PRIu64 " access log lines were not taken\n", lost);
	save_now(h);
	if (!all_ended)
		return;
	holdings_close(h->holdings);
	capture_free(h->capture);
	gateway_free(h->gateway);
	threads_free(h->threads);
	machine_stop(&h->machine);
}

static enum housekeeping_end live(struct house *h)
{
	volatile sig_atomic_t *stop = &h->signals->stop;
	int64_t retry_ms;

	h->bad = block_blamed(h->o->state_dir);
	start_from_state(h);
	while (!h->gateway && !h->failed && !*stop)
		attend(h, WATCH_EVERY_MS);
	retry_ms = now_ms() + RETRY_MS;
	while (h->failed && !h->restart && !*stop && now_ms() < retry_ms)
		attend(h, WATCH_EVERY_MS);
	if (*stop && !h->gateway)
		return HOUSEKEEPING_STOPPED;
	if (h->failed)
		return HOUSEKEEPING_RESTART;
	while (!*stop && !h->restart)
		turn(h);
	if (h->restart)
		fprintf(stderr, "dataplane: workers or ports changed: starting anew\n");
	drain(h, *stop ? h->o->drain_ms : RESTART_DRAIN_MS);
	end(h);
	return h->restart && !*stop ? HOUSEKEEPING_RESTART : HOUSEKEEPING_STOPPED;
}

enum housekeeping_end housekeeping_run(const struct housekeeping_options *o,
                                       volatile struct housekeeping_signals *signals)
{
	struct house *h = calloc(1, sizeof(*h));
	enum housekeeping_end how = HOUSEKEEPING_FAILED;
	struct desk_up up = {.answer = answer, .abandon = abandon, .up = h};

	CHECK(h != NULL);
	h->o = o;
	h->signals = signals;
	h->scribe = scribe_new(o->access_log);
	if (!h->scribe)
		fprintf(stderr, "dataplane: %s: %s\n", o->access_log, strerror(errno));
	else if (!desk_open(&h->desk, o->run_dir, &up)) {
		how = live(h);
		/* Who stops the program and starts it again may have repaired what was wrong. */
		if (how == HOUSEKEEPING_STOPPED)
			block_forgive(o->state_dir);
		desk_close(&h->desk);
	}
	scribe_free(h->scribe);
	free(h);
	return how;
}
