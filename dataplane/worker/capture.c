#include "worker/capture.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <rte_mbuf.h>
#include <rte_pcapng.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "port/tap.h"
#include "worker/gateway.h"

enum { BURST = 32, LOOK_MS = 20 };

enum capture_state { CAPTURE_IDLE, CAPTURE_RUNNING, CAPTURE_WITHDRAWN };

struct capture {
	struct gateway *gateway;
	const struct machine *machine;
	struct counters *counters;
	enum capture_state state;
	uint64_t token;                    /* WITHDRAWN: of the grace period that has to pass */
	uint64_t serial;                   /* makes names unique */

	/* Of the one that runs. */
	struct rte_bpf *filter;
	struct rte_mempool *copies;
	struct rte_ring *rings[LIMIT_workers];
	struct port_tap taps[LIMIT_ports][LIMIT_workers];
	bool taps_port[LIMIT_ports];
	uint32_t snap;
	uint64_t wanted;                   /* frames; UINT64_MAX: all */
	uint64_t lost_before;
	rte_pcapng_t *file;
	int fd;                            /* the file's, for looks and for the end */
	pthread_t writer;
	_Atomic bool stop, ended;
};

/* ---- the writer's thread ---- */

static bool reader_left(const struct capture *c, int wait_ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

	return poll(&p, 1, wait_ms) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL);
}

/* How many were written; -1: they cannot be. */
static int write_ring(struct capture *c, struct rte_ring *ring)
{
	struct rte_mbuf *m[BURST];
	const unsigned most = c->wanted < BURST ? (unsigned)c->wanted : BURST;
	const unsigned n = rte_ring_sc_dequeue_burst(ring, (void **)m, most, NULL);
	ssize_t written;

	if (n == 0)
		return 0;
	written = rte_pcapng_write_packets(c->file, m, (uint16_t)n);
	rte_pktmbuf_free_bulk(m, n);
	if (c->wanted != UINT64_MAX)
		c->wanted -= n;
	return written < 0 ? -1 : (int)n;
}

static bool write_some(struct capture *c)
{
	int all = 0;

	for (uint16_t w = 0; w < c->machine->workers; w++) {
		const int n = write_ring(c, c->rings[w]);

		if (n < 0)
			return false;
		all += n;
	}
	return !reader_left(c, all ? 0 : LOOK_MS);
}

static uint64_t lost(const struct capture *c)
{
	uint64_t sum = 0;

	for (uint16_t w = 0; w < c->machine->workers; w++)
		sum += __atomic_load_n(&c->counters[w].cell[C_limit_capture_copies], __ATOMIC_RELAXED);
	return sum;
}

static void *write_all(void *arg)
{
	struct capture *c = arg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	while (!atomic_load_explicit(&c->stop, memory_order_relaxed) && c->wanted > 0 && write_some(c))
		;
	/* Copies are lost for all ports together: the first interface tells of them. */
	for (uint16_t p = 0; p < c->machine->ports_n; p++)
		if (c->taps_port[p]) {
			rte_pcapng_write_stats(c->file, c->machine->port_list[p]->id, UINT64_MAX,
			                       lost(c) - c->lost_before, NULL);
			break;
		}
	(void)shutdown(c->fd, SHUT_RDWR);
	atomic_store_explicit(&c->ended, true, memory_order_release);
	return NULL;
}

/* ---- beginning ---- */

static bool refuse(struct desk_question *q, const char *why)
{
	desk_refuse(q, why);
	return false;
}

static bool read_instruction(yyjson_val *v, struct tap_instruction *out)
{
	static const uint64_t most[4] = {UINT16_MAX, UINT8_MAX, UINT8_MAX, UINT32_MAX};
	uint64_t word[4];

	for (size_t i = 0; i < 4; i++) {
		yyjson_val *number = yyjson_arr_get(v, i);

		if (!yyjson_is_uint(number) || yyjson_get_uint(number) > most[i])
			return false;
		word[i] = yyjson_get_uint(number);
	}
	*out = (struct tap_instruction){(uint16_t)word[0], (uint8_t)word[1], (uint8_t)word[2], (uint32_t)word[3]};
	return true;
}

static bool take_filter(struct capture *c, struct desk_question *q)
{
	yyjson_val *list = doc_get(q->request, "filter"), *each;
	struct tap_instruction *program;
	bool good = true;
	size_t i, n;

	if (!list)
		return true;
	if (yyjson_arr_size(list) == 0 || yyjson_arr_size(list) > TAP_INSTRUCTIONS_MAX)
		return refuse(q, "filter: not an array of 1 to 2048 instructions");
	static_assert(TAP_INSTRUCTIONS_MAX == 2048, "the text above");
	program = calloc(yyjson_arr_size(list), sizeof(*program));
	if (!program)
		return refuse(q, "no memory");
	yyjson_arr_foreach(list, i, n, each)
		good = good && read_instruction(each, &program[i]);
	if (good)
		c->filter = tap_filter_new(program, (uint32_t)n);
	free(program);
	return c->filter || refuse(q, good ? "filter: the verifier refuses the program" :
	                                     "filter: an instruction is not [code, jt, jf, k]");
}

static bool take_ports(struct capture *c, struct desk_question *q)
{
	const char *name = doc_str(q->request, "port");
	bool any = false;
	char why[128];

	for (uint16_t p = 0; p < c->machine->ports_n; p++) {
		c->taps_port[p] = !*name || !strcmp(name, c->machine->names[p]);
		any = any || c->taps_port[p];
	}
	snprintf(why, sizeof(why), "port: there is no port \"%.64s\"", name);
	return any || refuse(q, why);
}

static bool take_numbers(struct capture *c, struct desk_question *q)
{
	const int64_t snap = doc_int(q->request, "snap", TAP_SNAP_MAX);
	const int64_t wanted = doc_int(q->request, "count", INT64_MAX);

	if (snap < 1 || snap > TAP_SNAP_MAX)
		return refuse(q, "snap: not 1 to 65535 bytes");
	static_assert(TAP_SNAP_MAX == 65535, "the text above");
	if (wanted < 1)
		return refuse(q, "count: not a number of frames");
	c->snap = (uint32_t)snap;
	c->wanted = wanted == INT64_MAX ? UINT64_MAX : (uint64_t)wanted;
	return true;
}

static bool make_rings(struct capture *c, struct desk_question *q)
{
	char name[32];

	snprintf(name, sizeof(name), "capture-%" PRIu64, ++c->serial);
	c->copies = tap_copies_new(name, c->snap);
	for (uint16_t w = 0; c->copies && w < c->machine->workers; w++) {
		snprintf(name, sizeof(name), "capture-%" PRIu64 "-%u", c->serial, w);
		c->rings[w] = rte_ring_create(name, LIMIT_capture_copies, SOCKET_ID_ANY,
		                              RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
		if (!c->rings[w])
			break;
	}
	return (c->copies && c->rings[c->machine->workers - 1]) || refuse(q, "no memory for copies of frames");
}

/* The desk closes the descriptor that came; this one is the file's. */
static bool open_file(struct capture *c, struct desk_question *q)
{
	c->fd = q->memfd < 0 ? -1 : fcntl(q->memfd, F_DUPFD_CLOEXEC, 0);
	if (c->fd < 0)
		return refuse(q, "no descriptor came with the request");
	/* A reader who takes nothing blocks the writer, a thread of its own, which must not be told "again". */
	(void)fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) & ~O_NONBLOCK);
	c->file = rte_pcapng_fdopen(c->fd, NULL, NULL, "sluice-dataplane", NULL);
	if (!c->file)
		return refuse(q, "the header cannot be written");
	for (uint16_t p = 0; p < c->machine->ports_n; p++) {
		const uint16_t id = c->machine->port_list[p]->id;
		const char *name = c->machine->names[p], *device = c->machine->devices[p];

		if (c->taps_port[p] && rte_pcapng_add_interface(c->file, id, name, device, NULL) < 0)
			return refuse(q, "the interfaces cannot be written");
	}
	return true;
}

static void set_taps(struct capture *c, bool on)
{
	for (uint16_t p = 0; p < c->machine->ports_n; p++) {
		struct port *port = c->machine->port_list[p];

		for (uint16_t w = 0; c->taps_port[p] && w < port->queues; w++) {
			c->taps[p][w] = (struct port_tap){
				.filter = c->filter, .copies = c->copies, .out = c->rings[w],
				.counters = &c->counters[w], .snap = c->snap, .port = port->id,
			};
			atomic_store_explicit(&port->taps[w], on ? &c->taps[p][w] : NULL, memory_order_release);
		}
	}
}

static void forget(struct capture *c)
{
	struct rte_mbuf *m;

	for (uint16_t w = 0; w < c->machine->workers; w++) {
		while (c->rings[w] && rte_ring_sc_dequeue(c->rings[w], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(c->rings[w]);
		c->rings[w] = NULL;
	}
	if (c->file)
		rte_pcapng_close(c->file);
	else if (c->fd >= 0)
		close(c->fd);
	rte_mempool_free(c->copies);
	tap_filter_free(c->filter);
	c->file = NULL;
	c->fd = -1;
	c->copies = NULL;
	c->filter = NULL;
}

static bool begin(struct capture *c, struct desk_question *q)
{
	if (!take_numbers(c, q) || !take_ports(c, q) || !take_filter(c, q) || !make_rings(c, q) || !open_file(c, q))
		return false;
	atomic_store(&c->stop, false);
	atomic_store(&c->ended, false);
	c->lost_before = lost(c);
	return pthread_create(&c->writer, NULL, write_all, c) == 0 || refuse(q, "no thread can be started");
}

void capture_answer(struct capture *c, struct desk_question *q)
{
	if (c->state != CAPTURE_IDLE) {
		desk_refuse(q, "another capture is under way");
		return;
	}
	if (!begin(c, q)) {
		forget(c);
		return;
	}
	set_taps(c, true);
	c->state = CAPTURE_RUNNING;
	yyjson_mut_obj_add_bool(q->reply, q->root, "ok", true);
}

/* ---- ending ---- */

void capture_turn(struct capture *c)
{
	if (c->state == CAPTURE_RUNNING && atomic_load_explicit(&c->ended, memory_order_acquire)) {
		pthread_join(c->writer, NULL);
		set_taps(c, false);
		c->token = gateway_grace(c->gateway);
		c->state = CAPTURE_WITHDRAWN;
	}
	if (c->state == CAPTURE_WITHDRAWN && gateway_grace_over(c->gateway, c->token)) {
		forget(c);
		c->state = CAPTURE_IDLE;
	}
}

struct capture *capture_new(struct gateway *g, const struct machine *m, struct counters *counters)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->gateway = g;
	c->machine = m;
	c->counters = counters;
	c->fd = -1;
	return c;
}

void capture_free(struct capture *c)
{
	if (!c)
		return;
	if (c->state == CAPTURE_RUNNING) {
		atomic_store_explicit(&c->stop, true, memory_order_relaxed);
		(void)shutdown(c->fd, SHUT_RDWR); /* wakes a writer whom a reader keeps waiting */
		pthread_join(c->writer, NULL);
		set_taps(c, false);
	}
	if (c->state != CAPTURE_IDLE)
		forget(c);
	free(c);
}
