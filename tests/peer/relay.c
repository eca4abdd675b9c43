/*
 * A wire between two interfaces that loses, delays, reorders, duplicates, corrupts, marks and has a rate:
 *
 *     relay SEED A B [loss=0.01] [duplicate=0.01] [corrupt=0.01] [reorder=0.01] [reorder_us=3000] [mark=0.01]
 *                    [delay_us=1000] [jitter_us=0] [rate_mbit=100] [queue=1000]
 *
 * Frames from A go to B and from B to A. Each direction has a generator of its own, and every frame takes the same
 * number of draws from it, so the n-th frame of a direction meets the same fate in every run with that seed. Only
 * IPv4 and IPv6 frames are corrupted (one bit, behind the Ethernet header): ARP has no checksum of its own, on a real
 * wire Ethernet's protects it.
 *
 * A frame waits in a heap until its time: when the line is free after it, plus the delay; one that is reordered
 * waits longer, so that later ones overtake it. On SIGTERM the counts are printed as JSON.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>

#include "base/rng.h"

enum { FRAME_MAX = 9216, HEAP_MAX = 65536, BURST = 64 };

#define NS_PER_S UINT64_C(1000000000)

struct frame {
	uint64_t due_ns;
	uint64_t order;          /* of arrival: ties go first come, first served */
	uint32_t bytes;
	uint8_t b[];
};

struct counts {
	uint64_t received, sent, lost, duplicated, corrupted, reordered, marked, queue_full, oversize, send_errors, missed;
};

struct direction {
	int from, to;
	struct rng rng;
	struct frame *heap[HEAP_MAX];
	uint32_t n;
	uint64_t order;
	uint64_t line_free_ns;
	struct counts counts;
};

static struct {
	double loss, duplicate, corrupt, reorder, mark, reorder_us, delay_us, jitter_us, rate_mbit, queue;
} set = {.reorder_us = 3000, .queue = 1000};

static const struct {
	const char *name;
	double *value;
} settings[] = {
	{"loss", &set.loss}, {"duplicate", &set.duplicate}, {"corrupt", &set.corrupt}, {"reorder", &set.reorder},
	{"reorder_us", &set.reorder_us}, {"mark", &set.mark}, {"delay_us", &set.delay_us}, {"jitter_us", &set.jitter_us},
	{"rate_mbit", &set.rate_mbit}, {"queue", &set.queue},
};

static struct direction directions[2];
static volatile sig_atomic_t stopping;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- the heap: the earliest frame first ---- */

static bool before(const struct frame *a, const struct frame *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void push(struct direction *d, struct frame *f)
{
	uint32_t i = d->n++;

	for (; i > 0 && before(f, d->heap[(i - 1) / 2]); i = (i - 1) / 2)
		d->heap[i] = d->heap[(i - 1) / 2];
	d->heap[i] = f;
}

static struct frame *pop(struct direction *d)
{
	struct frame *top = d->heap[0], *last = d->heap[--d->n];
	uint32_t i = 0;

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= d->n)
			break;
		if (child + 1 < d->n && before(d->heap[child + 1], d->heap[child]))
			child++;
		if (!before(d->heap[child], last))
			break;
		d->heap[i] = d->heap[child];
		i = child;
	}
	d->heap[i] = last;
	return top;
}

/* ---- fate ---- */

static bool chance(struct rng *r, double p)
{
	return (double)(rng_u64(r) >> 11) < p * (double)(UINT64_C(1) << 53);
}

static bool is_ip(const uint8_t *b, uint32_t n)
{
	return n > 14 + 20 && ((b[12] == 0x08 && b[13] == 0x00) || (b[12] == 0x86 && b[13] == 0xdd));
}

static uint16_t ip4_checksum(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* What a router does whose queue fills (RFC 3168, 5). False: the frame does not allow it. */
static bool mark(uint8_t *ip)
{
	uint16_t sum;

	if (ip[0] >> 4 == 6) {
		if ((ip[1] >> 4 & 3) == 0)
			return false;
		ip[1] |= 3 << 4;
		return true;
	}
	if ((ip[1] & 3) == 0)
		return false;
	ip[1] |= 3;
	ip[10] = ip[11] = 0;
	sum = ip4_checksum(ip);
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	return true;
}

static void enqueue(struct direction *d, const uint8_t *b, uint32_t n, uint64_t due_ns)
{
	struct frame *f;

	if (d->n >= (uint32_t)set.queue || d->n == HEAP_MAX) {
		d->counts.queue_full++;
		return;
	}
	f = malloc(sizeof(*f) + n);
	if (f == NULL)
		die("malloc");
	*f = (struct frame){.due_ns = due_ns, .order = d->order++, .bytes = n};
	memcpy(f->b, b, n);
	push(d, f);
}

static void take(struct direction *d, uint8_t *b, uint32_t n, uint64_t now)
{
	const bool lost = chance(&d->rng, set.loss), twice = chance(&d->rng, set.duplicate);
	const bool corrupted = chance(&d->rng, set.corrupt), late = chance(&d->rng, set.reorder);
	const bool marked = chance(&d->rng, set.mark);
	const uint32_t bit = rng_below(&d->rng, UINT32_MAX), jitter = rng_below(&d->rng, UINT32_MAX);
	uint64_t due;

	d->counts.received++;
	if (lost) {
		d->counts.lost++;
		return;
	}
	if (marked && is_ip(b, n) && mark(b + 14))
		d->counts.marked++;
	if (corrupted && is_ip(b, n)) {
		const uint32_t at = bit % ((n - 14) * 8);

		b[14 + at / 8] ^= (uint8_t)(1 << at % 8);
		d->counts.corrupted++;
	}
	if (d->line_free_ns < now)
		d->line_free_ns = now;
	if (set.rate_mbit > 0)
		d->line_free_ns += (uint64_t)(n * 8 * 1000 / set.rate_mbit);
	due = d->line_free_ns + (uint64_t)(set.delay_us * 1000 + set.jitter_us * 1000 * jitter / UINT32_MAX);
	if (late) {
		due += (uint64_t)(set.reorder_us * 1000);
		d->counts.reordered++;
	}
	enqueue(d, b, n, due);
	if (twice) {
		enqueue(d, b, n, due);
		d->counts.duplicated++;
	}
}

/* ---- sockets ---- */

static int open_interface(const char *name)
{
	const int one = 1, megabytes = 8 << 20;
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket");
	at.sll_ifindex = (int)if_nametoindex(name);
	if (at.sll_ifindex == 0)
		die(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) != 0)
		die("PACKET_IGNORE_OUTGOING");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &megabytes, sizeof(megabytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &megabytes, sizeof(megabytes));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		die(name);
	return fd;
}

static void receive(struct direction *d)
{
	static uint8_t b[FRAME_MAX];

	for (int i = 0; i < BURST; i++) {
		const ssize_t n = recv(d->from, b, sizeof(b), MSG_TRUNC);

		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENETDOWN))
			return;
		if (n < 0)
			die("recv");
		if (n > FRAME_MAX) {
			d->counts.oversize++;
			continue;
		}
		take(d, b, (uint32_t)n, now_ns());
	}
}

/* What the kernel threw away because we did not read in time. */
static void count_missed(struct direction *d)
{
	struct tpacket_stats stats;
	socklen_t bytes = sizeof(stats);

	if (getsockopt(d->from, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes) == 0)
		d->counts.missed = stats.tp_drops;
}

static void deliver(struct direction *d, uint64_t now)
{
	while (d->n > 0 && d->heap[0]->due_ns <= now) {
		struct frame *f = pop(d);

		if (send(d->to, f->b, f->bytes, 0) == (ssize_t)f->bytes)
			d->counts.sent++;
		else
			d->counts.send_errors++;
		free(f);
	}
}

/* ---- the program ---- */

static void on_term(int number)
{
	(void)number;
	stopping = 1;
}

static void print_counts(const char *name, const struct counts *c)
{
	printf("\"%s\": {\"received\": %lu, \"sent\": %lu, \"lost\": %lu, \"duplicated\": %lu, \"corrupted\": %lu, "
	       "\"reordered\": %lu, \"marked\": %lu, \"queue_full\": %lu, \"oversize\": %lu, \"send_errors\": %lu, "
	       "\"missed\": %lu}",
	       name, c->received, c->sent, c->lost, c->duplicated, c->corrupted, c->reordered, c->marked, c->queue_full,
	       c->oversize, c->send_errors, c->missed);
}

static void parse_setting(const char *text)
{
	const char *equals = strchr(text, '=');

	for (size_t i = 0; equals != NULL && i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (strlen(settings[i].name) == (size_t)(equals - text) &&
		    strncmp(settings[i].name, text, (size_t)(equals - text)) == 0) {
			*settings[i].value = strtod(equals + 1, NULL);
			return;
		}
	}
	fprintf(stderr, "relay: what is %s?\n", text);
	exit(2);
}

/* How long nothing is due; null: until a frame comes. */
static const struct timespec *idle_time(struct timespec *t, uint64_t now)
{
	uint64_t due = UINT64_MAX;

	for (int i = 0; i < 2; i++) {
		if (directions[i].n > 0 && directions[i].heap[0]->due_ns < due)
			due = directions[i].heap[0]->due_ns;
	}
	if (due == UINT64_MAX)
		return NULL;
	due = due > now ? due - now : 0;
	*t = (struct timespec){.tv_sec = (time_t)(due / NS_PER_S), .tv_nsec = (long)(due % NS_PER_S)};
	return t;
}

static void run(void)
{
	sigset_t during;

	sigemptyset(&during);
	while (!stopping) {
		struct pollfd wait[2] = {{.fd = directions[0].from, .events = POLLIN}, {.fd = directions[1].from, .events = POLLIN}};
		struct timespec t;

		if (ppoll(wait, 2, idle_time(&t, now_ns()), &during) < 0 && errno != EINTR)
			die("ppoll");
		for (int i = 0; i < 2; i++) {
			if (wait[i].revents != 0)
				receive(&directions[i]);
			deliver(&directions[i], now_ns());
		}
	}
}

int main(int argc, char **argv)
{
	const struct sigaction term = {.sa_handler = on_term};
	sigset_t blocked;
	uint64_t seed;

	if (argc < 4) {
		fprintf(stderr, "relay SEED A B [setting=value...]\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	for (int i = 4; i < argc; i++)
		parse_setting(argv[i]);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL); /* it is let in only while we wait */
	sigaction(SIGTERM, &term, NULL);
	directions[0].from = directions[1].to = open_interface(argv[2]);
	directions[0].to = directions[1].from = open_interface(argv[3]);
	rng_init(&directions[0].rng, seed * 2);
	rng_init(&directions[1].rng, seed * 2 + 1);
	printf("ready\n");
	fflush(stdout);
	run();
	count_missed(&directions[0]);
	count_missed(&directions[1]);
	printf("{");
	print_counts("forth", &directions[0].counts);
	printf(", ");
	print_counts("back", &directions[1].counts);
	printf("}\n");
	return 0;
}
