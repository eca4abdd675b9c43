/*
 * round [ROUTES [BODY_BYTES]]: what a worker itself costs per request, without a driver and without another thread.
 *
 * Clients, gateway and backends are in one thread and take turns, on a clock that this program sets: the same requests
 * take the same way each time, so instructions can be counted, and two builds compared on a machine that others use. Only
 * the worker's rounds are timed.
 *
 * Between them lie ports in memory that do what a driver of a NIC does in the worker's time (mbufs for what comes are
 * taken in bulk, what was sent is given back in bulk with the next burst); the copy from one end's memory to the other's
 * is the wire's, and is not timed. Like memif they have no offloads.
 */
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/logring.h"
#include "route/regexes.h"
#include "tests/bench/cycles.h"
#include "tests/bench/routes.h"
#include "tests/bench/talk.h"
#include "worker/worker.h"

enum {
	RING = 1024,             /* packets that a port holds, each way */
	ROUND_NS = 5000,         /* from one turn to the next */
	REQUESTS = 256,          /* per window: so short that nobody takes the CPU away in most of them */
	WINDOWS_MAX = 4000,
	COLD_WINDOWS = 24,       /* with the table taken out of the caches, which takes far longer than the rounds */
};

/* ---- ports and wires ---- */

struct ring {
	uint32_t head, tail;
	struct rte_mbuf *m[RING];
};

struct memory_port {
	struct port port;
	struct rte_mempool *pool;
	struct ring empty, full; /* received: mbufs for what comes, what has come */
	struct ring sent, done;  /* on the wire, and off it */
};

static uint32_t held(const struct ring *r)
{
	return r->tail - r->head;
}

static void put(struct ring *r, struct rte_mbuf *m)
{
	CHECK(held(r) < RING);
	r->m[r->tail++ % RING] = m;
}

static struct rte_mbuf *take(struct ring *r)
{
	return r->m[r->head++ % RING];
}

static void refill(struct memory_port *p, unsigned n)
{
	struct rte_mbuf *m[RING];

	CHECK(rte_pktmbuf_alloc_bulk(p->pool, m, n) == 0);
	for (unsigned i = 0; i < n; i++)
		put(&p->empty, m[i]);
}

static uint16_t rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct memory_port *p = container_of(port, struct memory_port, port);
	uint16_t taken = 0;

	(void)queue;
	while (taken < n && held(&p->full) > 0)
		m[taken++] = take(&p->full);
	if (taken > 0)
		refill(p, taken);
	return taken;
}

static uint16_t tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct memory_port *p = container_of(port, struct memory_port, port);
	struct rte_mbuf *done[RING];
	unsigned done_n = 0;

	(void)queue;
	while (held(&p->done) > 0)
		done[done_n++] = take(&p->done);
	rte_pktmbuf_free_bulk(done, done_n);
	for (uint16_t i = 0; i < n; i++)
		put(&p->sent, m[i]);
	return n;
}

static void open_port(struct memory_port *p, const char *name, uint8_t number, struct rte_mempool *pool)
{
	*p = (struct memory_port){
		.port = {.queues = 1, .mtu = 1500, .rx_burst = rx_burst, .tx_burst = tx_burst,
	                 .mac.addr_bytes = {2, 0, 0, 0, 0, number}},
		.pool = pool,
	};
	snprintf(p->port.name, sizeof(p->port.name), "%s", name);
	refill(p, RING);
}

static void carry(struct memory_port *from, struct memory_port *to)
{
	while (held(&from->sent) > 0) {
		struct rte_mbuf *m = take(&from->sent), *copy = take(&to->empty);

		CHECK(m->nb_segs == 1);
		memcpy(rte_pktmbuf_mtod(copy, char *), rte_pktmbuf_mtod(m, char *), m->data_len);
		copy->data_len = m->data_len;
		copy->pkt_len = m->pkt_len;
		put(&to->full, copy);
		put(&from->done, m);
	}
}

/* ---- the gateway ---- */

static struct memory_port ports[2], ends[2]; /* the gateway's; those of clients and backends */
static struct counters counters;
static struct worker *worker;
static uint64_t now_ns, timed;
/* The table that is served, and expressions for it of the bench's own: the gateway's are between its rounds nobody's. */
static const struct table *table;
static struct regex *const *regexes;
static uint32_t routes;
static bool cold; /* the table is taken out of the caches before each round (routes.h) */

static void start_gateway(void)
{
	static struct packet_pools pools;
	struct port *of_gateway[2] = {&ports[0].port, &ports[1].port};
	const struct gateway_options o = {.workers = 1, .ports_n = 2, .ports = of_gateway, .seed = 1, .pools_percent = 50,
	                                  .counters = &counters, .pools = &pools};
	struct regex_set *set;
	size_t bytes;

	CHECK(packet_pools_init(&pools, "gateway", SOCKET_ID_ANY, 50) == OK);
	open_port(&ports[0], "client", 1, pools.rx);
	open_port(&ports[1], "backend", 2, pools.rx);
	struct gateway *g = gateway_new(&o);
	CHECK(g);
	worker = gateway_worker(g, 0);
	struct table *from = talk_table((const char *const[]){"net_null0", "net_null1"}, &bytes);
	table = routes_serve(from, bytes);
	CHECK(gateway_publish(g, table, NULL, NULL) == OK);
	CHECK(regexes_take(regexes_new(1), table, &set) == OK);
	regexes = regex_set_of(set, 0);
	free(from);
}

static void read_log(void)
{
	struct logring *log = worker_shard(worker)->access_log;
	size_t bytes;

	while (logring_peek(log, &bytes))
		logring_release(log);
}

/* One turn of everybody. */
static void turn(uint64_t after_ns)
{
	now_ns += after_ns;
	stack_round(&clients, now_ns);
	stack_round(&backends, now_ns);
	for (int i = 0; i < 2; i++)
		carry(&ends[i], &ports[i]);
	if (cold)
		routes_cool(table, regexes, routes);
	const uint64_t start = rte_rdtsc_precise();
	const unsigned handled = worker_round(worker, now_ns, now_ns / NS_PER_US);
	const uint64_t took = rte_rdtsc_precise() - start;
	if (handled)
		timed += took;
	for (int i = 0; i < 2; i++)
		carry(&ports[i], &ends[i]);
	read_log();
}

/* ---- windows ---- */

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run(uint64_t requests)
{
	const uint64_t until = talk_responses() + requests;

	for (uint64_t turns = 0; talk_responses() < until; turns++) {
		CHECK(turns < 1000 + 100 * requests);
		turn(ROUND_NS);
	}
}

/* Prints the best quarter and the median. */
static void measure(unsigned windows, double core)
{
	static double cycles[WINDOWS_MAX];

	for (unsigned i = 0; i < windows; i++) {
		const uint64_t before = talk_responses();

		timed = 0;
		run(REQUESTS);
		cycles[i] = (double)timed * core / (double)(talk_responses() - before);
	}
	qsort(cycles, windows, sizeof(cycles[0]), by_value);
	printf(" %12.0f %12.0f", cycles[windows / 8], cycles[windows / 2]);
	fflush(stdout);
}

static void measure_flight(uint32_t in_flight, unsigned windows, double core)
{
	talk_connect(in_flight);
	run(REQUESTS);
	CHECK(talk_all_open());
	printf("%9u", in_flight);
	measure(windows, core);
	cold = routes > 0;
	if (cold)
		measure(windows < COLD_WINDOWS ? windows : COLD_WINDOWS, core);
	cold = false;
	printf("\n");
}

int main(int argc, char **argv)
{
	static const uint32_t flights[] = {1, 8, 32, 256};
	char *arguments[] = {(char[]){"round"}, (char[]){"--no-pci"}, (char[]){"--no-huge"}, (char[]){"--no-shconf"}, (char[]){"-m"},
	                     (char[]){"768"}, (char[]){"--no-telemetry"}, (char[]){"--log-level"}, (char[]){"error"}, NULL};
	const uint32_t body = argc > 2 ? (uint32_t)atoi(argv[2]) : 128;
	const unsigned windows = argc > 3 ? (unsigned)atoi(argv[3]) : 1600;
	const uint32_t only = argc > 4 ? (uint32_t)atoi(argv[4]) : 0;

	CHECK(windows <= WINDOWS_MAX && rte_eal_init(9, arguments) >= 0);
	now_ns = NS_PER_S;
	routes = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
	talk_begin(body, routes);
	start_gateway();
	stack_pools(&clients, "clients");
	stack_pools(&backends, "backends");
	open_port(&ends[0], "clients", 3, clients.shard.pools.rx);
	open_port(&ends[1], "backends", 4, backends.shard.pools.rx);
	stack_start(&clients, &ends[0].port, "198.18.0.2/24", NULL);
	stack_start(&backends, &ends[1].port, "198.18.1.11/24", "198.18.1.1");
	/* Until the gateway may use its addresses. */
	for (int i = 0; i < 5000; i++)
		turn(NS_PER_MS);
	const double core = cycles_core_per_tsc();
	printf("%u routes, %u B bodies; core cycles (%.2f GHz) of the worker's rounds per request\n", routes, body,
	       (double)rte_get_tsc_hz() / 1e9 * core);
	if (routes > 0)
		printf("%35s %25s\n", "", "table out of the caches");
	printf("%9s %12s %12s", "in flight", "best quarter", "median");
	printf(routes > 0 ? " %12s %12s\n" : "\n", "best quarter", "median");
	for (unsigned i = 0; i < sizeof(flights) / sizeof(flights[0]); i++)
		if (only == 0 || flights[i] == only)
			measure_flight(flights[i], windows, core);
	printf("%" PRIu64 " responses checked, %" PRIu64 " wrong\n", talk_responses(), talk_wrong());
	return talk_wrong() != 0;
}
