/*
 * load RUN_DIR SOCKET_DIR [SECONDS [BODY_BYTES [ROUTES]]]: the generator of `make bench`.
 *
 * One thread, two memif ports of the gateway: behind one the clients, behind the other the two backends. Each client
 * connection has one request in flight, checks every byte of the response, and asks again. For 1, 8, 32 and 256
 * connections it takes windows of WINDOW_MS and reads from the gateway's counters file how long its worker spent in
 * rounds that found work. A window with stolen time is thrown away. "Best quarter" is the median of the cheapest quarter
 * of the windows: what a worker costs when nobody takes its CPU away within the window.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/doc.h"
#include "base/frame.h"
#include "port/ethdev.h"
#include "tests/bench/cycles.h"
#include "tests/bench/talk.h"

enum { WINDOW_MS = 5, WINDOWS_MAX = 10000 };

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void run_until(uint64_t deadline_ns)
{
	for (uint64_t now = now_ns(); now < deadline_ns; now = now_ns())
		for (int i = 0; i < 16; i++) {
			stack_round(&clients, now);
			stack_round(&backends, now);
		}
}

/* ---- the gateway's books ---- */

static int gateway = -1;

static yyjson_doc *ask(const char *question, int pass_fd)
{
	char *bytes;
	size_t n;
	int passed;

	CHECK(frame_send(gateway, question, strlen(question), pass_fd, 5000) == OK);
	CHECK(frame_recv(gateway, FRAME_BYTES_MAX, &bytes, &n, &passed, 5000) == OK);
	yyjson_doc *doc = yyjson_read(bytes, n, 0);
	free(bytes);
	CHECK(doc);
	return doc;
}

struct books {
	uint64_t useful_ns, exchanges, at_ns;
};

/* The counters file: a header of 64 bytes, then the cells of each worker. Read in place, without asking anybody. */
static const struct counters *cells;

static void map_counters(const char *run_dir)
{
	enum { HEADER = 64 };
	char path[256];
	snprintf(path, sizeof(path), "%s/counters", run_dir);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	const char *file = mmap(NULL, HEADER + sizeof(struct counters), PROT_READ, MAP_SHARED, fd, 0);
	CHECK(file != MAP_FAILED);
	close(fd);
	cells = (const struct counters *)(file + HEADER);
}

static struct books read_books(void)
{
	return (struct books){
		.at_ns = now_ns(),
		.useful_ns = __atomic_load_n(&cells->cell[C_worker_useful_ns], __ATOMIC_RELAXED),
		.exchanges = __atomic_load_n(&cells->cell[C_exchanges_2xx], __ATOMIC_RELAXED),
	};
}

/* Stolen time of all CPUs, in ticks. */
static uint64_t stolen_ticks(void)
{
	unsigned long long t[8] = {0};
	FILE *f = fopen("/proc/stat", "r");

	CHECK(f);
	if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6],
	           &t[7]) != 8)
		t[7] = 0;
	fclose(f);
	return t[7];
}

/* ---- windows ---- */

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(uint32_t in_flight, unsigned seconds, double core)
{
	static double cycles[WINDOWS_MAX], rates[WINDOWS_MAX];
	unsigned n = 0, thrown = 0;

	talk_connect(in_flight);
	const uint64_t give_up = now_ns() + 10 * NS_PER_S;
	while (!talk_all_open() && now_ns() < give_up)
		run_until(now_ns() + 10 * NS_PER_MS);
	CHECK(talk_all_open());
	run_until(now_ns() + 300 * NS_PER_MS);
	for (unsigned w = 0; w < seconds * 1000 / WINDOW_MS && n < WINDOWS_MAX; w++) {
		const uint64_t stolen = stolen_ticks();
		const struct books before = read_books();
		run_until(now_ns() + WINDOW_MS * NS_PER_MS);
		const struct books after = read_books();
		const uint64_t done = after.exchanges - before.exchanges;

		if (stolen_ticks() != stolen || !done) {
			thrown++;
			continue;
		}
		cycles[n] = (double)(after.useful_ns - before.useful_ns) * (double)rte_get_tsc_hz() / 1e9 * core / (double)done;
		rates[n++] = (double)done * 1e9 / (double)(after.at_ns - before.at_ns);
	}
	if (!n) {
		printf("%9u  no window without stolen time\n", in_flight);
		return;
	}
	qsort(cycles, n, sizeof(*cycles), by_value);
	qsort(rates, n, sizeof(*rates), by_value);
	printf("%9u %12.0f %12.0f %12.0f %14.0f %9u %7u\n", in_flight, cycles[n / 8], cycles[n / 2], cycles[n * 7 / 8],
	       rates[n * 7 / 8], n, thrown);
	fflush(stdout);
}

/* ---- the table that the gateway serves ---- */

static void hand_over(const struct table *t, size_t bytes)
{
	const int fd = memfd_create("generation", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(fd >= 0 && write(fd, t, bytes) == (ssize_t)bytes);
	CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	yyjson_doc *doc = ask("{\"op\":\"publish\",\"resourceVersion\":\"1\"}", fd);
	if (!doc_bool(yyjson_doc_get_root(doc), "ok", false)) {
		fprintf(stderr, "refused: %s\n", doc_str(yyjson_doc_get_root(doc), "reason"));
		exit(1);
	}
	yyjson_doc_free(doc);
	close(fd);
}

#define DEVICE "net_memif%d,role=server,id=%d,socket=%s/memif%d.sock,socket-abstract=no,rsize=11"

static void publish(const char *sockets)
{
	char device[2][256];
	size_t bytes;

	for (int i = 0; i < 2; i++)
		snprintf(device[i], sizeof(device[i]), DEVICE, i, i, sockets, i);
	struct table *t = talk_table((const char *const[]){device[0], device[1]}, &bytes);
	hand_over(t, bytes);
	free(t);
}

static void start_eal(const char *sockets)
{
	static char vdev[2][256];
	char *arguments[] = {(char[]){"load"}, (char[]){"--no-pci"}, (char[]){"--no-huge"}, (char[]){"--no-shconf"}, (char[]){"-m"},
	                     (char[]){"1024"}, (char[]){"--no-telemetry"}, (char[]){"--log-level"}, (char[]){"error"},
	                     (char[]){"--lcores"}, (char[]){"0@1"}, (char[]){"--vdev"}, vdev[0], (char[]){"--vdev"}, vdev[1], NULL};

	for (int i = 0; i < 2; i++)
		snprintf(vdev[i], sizeof(vdev[i]), "net_memif%d,role=client,id=%d,socket=%s/memif%d.sock,socket-abstract=no,rsize=11", i,
		         i, sockets, i);
	CHECK(rte_eal_init(15, arguments) >= 0);
}

static void open_stack(struct stack *s, int i, const char *address, const char *via)
{
	static struct port ports[2];
	char device[32];

	snprintf(device, sizeof(device), "net_memif%d", i);
	stack_pools(s, device);
	const struct ethdev_want want = {.device = device, .queues = 1, .mtu = 1500, .rx_pools = &s->shard.pools.rx};
	CHECK(ethdev_open(&want, &ports[i]) == OK);
	stack_start(s, &ports[i], address, via);
}

/* What the generator itself lost: then the figures say nothing about the gateway. */
static void print_own(const char *name, const struct stack *s)
{
	for (unsigned i = 0; i < COUNTERS; i++)
		if (s->counters.cell[i] && (counter_descriptions[i].kind != COUNTER_EVENT || i == C_tcp_retransmits))
			printf("generator, %s: %s %" PRIu64 "\n", name, counter_descriptions[i].name, s->counters.cell[i]);
	if (s->port->missed && s->port->missed(s->port))
		printf("generator, %s: port missed %" PRIu64 "\n", name, s->port->missed(s->port));
}

int main(int argc, char **argv)
{
	static const uint32_t flights[] = {1, 8, 32, 256};
	char path[256];

	if (argc < 3)
		return 2;
	const unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 4;
	const uint32_t body = argc > 4 ? (uint32_t)atoi(argv[4]) : 128, routes = argc > 5 ? (uint32_t)atoi(argv[5]) : 0;
	talk_begin(body, routes);
	snprintf(path, sizeof(path), "%s/dataplane.sock", argv[1]);
	gateway = frame_connect(path, 5000);
	CHECK(gateway >= 0);
	publish(argv[2]);
	start_eal(argv[2]);
	open_stack(&clients, 0, "198.18.0.2/24", NULL);
	open_stack(&backends, 1, "198.18.1.11/24", "198.18.1.1");
	run_until(now_ns() + 2 * NS_PER_S);
	map_counters(argv[1]);
	const double core = cycles_core_per_tsc();
	if (routes > 0)
		printf("%u routes, each request for one drawn at random\n", routes);
	printf("%u B bodies, one worker, access log on; core cycles (%.2f GHz, TSC %.2f GHz) per proxied request, of rounds "
	       "that found work\n", body, (double)rte_get_tsc_hz() / 1e9 * core, (double)rte_get_tsc_hz() / 1e9);
	printf("%9s %12s %12s %12s %14s %9s %7s\n", "in flight", "best quarter", "median", "worst", "requests/s", "windows", "thrown");
	for (unsigned i = 0; i < sizeof(flights) / sizeof(flights[0]); i++)
		measure(flights[i], seconds, core);
	print_own("clients", &clients);
	print_own("backends", &backends);
	printf("%" PRIu64 " responses checked, %" PRIu64 " wrong\n", talk_responses(), talk_wrong());
	return talk_wrong() != 0;
}
