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
#include "base/rng.h"
#include "tests/bench/routes.h"
#include "tests/bench/stack.h"
#include "tests/support/table_fixture.h"

enum { CONNS_MAX = 256, BODY_MAX = 1400, WINDOW_MS = 5, WINDOWS_MAX = 10000 };

static struct stack clients, backends;
static char request[512], response[BODY_MAX + 256], body[BODY_MAX];
static uint16_t request_n, response_n;
static uint32_t body_n = 128, routes;
static struct rng rng;
static uint64_t responses, wrong;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- what both ends say ---- */

/* With many routes, one for another of them each time. */
static void write_request(void)
{
	struct routes_request r = {.host = "shop.example.com", .path = "/api/v1/items/4711?page=2", .tenant = "blue"};

	if (routes > 0)
		routes_ask(&r, rng_below(&rng, routes));
	request_n = (uint16_t)snprintf(request, sizeof(request),
	        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1.0\r\n"
	        "Accept: application/json\r\nAccept-Encoding: gzip, br\r\nx-tenant: %s\r\n\r\n", r.path, r.host, r.tenant);
}

static void write_messages(void)
{
	for (uint32_t i = 0; i < body_n; i++)
		body[i] = (char)('a' + i % 26);
	write_request();
	response_n = (uint16_t)snprintf(response, sizeof(response),
	        "HTTP/1.1 200 OK\r\nserver: backend\r\ncontent-type: application/json\r\ncontent-length: %u\r\n\r\n", body_n);
	memcpy(response + response_n, body, body_n);
	response_n = (uint16_t)(response_n + body_n);
}

/* ---- connections ---- */

struct conn {
	struct stack *stack;
	struct tcp_conn *tcp;
	bool client, stopping;
	uint32_t n;
	char text[8192];
};

static struct conn conns[CONNS_MAX];
static uint32_t conns_n, open_n;

static bool check_response(const char *text, uint32_t head, uint32_t n)
{
	return !memcmp(text, "HTTP/1.1 200 ", 13) && n == head + body_n && !memcmp(text + head, body, body_n);
}

static void ask_again(struct conn *c)
{
	if (routes > 0)
		write_request();
	stack_send(c->stack, c->tcp, request, request_n);
}

/* Takes whole messages from what has arrived. */
static void parse(struct conn *c)
{
	const char *end = memmem(c->text, c->n, "\r\n\r\n", 4);
	if (!end)
		return;
	const uint32_t head = (uint32_t)(end - c->text) + 4, whole = head + (c->client ? body_n : 0);

	if (c->n < whole)
		return;
	if (c->client) {
		responses++;
		wrong += !check_response(c->text, head, c->n);
		c->n = 0;
		if (!c->stopping)
			ask_again(c);
	} else {
		wrong += memcmp(c->text, routes > 0 ? "GET /team" : "GET /api/", 9) != 0 || c->n != head;
		c->n = 0;
		stack_send(c->stack, c->tcp, response, response_n);
	}
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct conn *c = user;

	CHECK(c->n + m->data_len <= sizeof(c->text));
	memcpy(c->text + c->n, rte_pktmbuf_mtod(m, void *), m->data_len);
	c->n += m->data_len;
	const uint32_t cost = tcp_cost(m);
	rte_pktmbuf_free(m);
	tcp_credit(c->tcp, cost);
	parse(c);
}

static void on_open(void *user)
{
	struct conn *c = user;

	open_n++;
	ask_again(c);
}

static void on_eof(void *user)
{
	struct conn *c = user;

	tcp_shutdown(c->tcp);
}

static void on_acked(void *user, uint32_t bytes)
{
	(void)user;
	(void)bytes;
}

static void on_closed(void *user, enum err why)
{
	struct conn *c = user;

	if (c->client && !c->stopping) {
		fprintf(stderr, "a client connection was closed: %s\n", err_name(why));
		exit(1);
	}
	c->tcp = NULL;
	if (!c->client)
		free(c);
}

static const struct tcp_user_ops ops = {.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_acked = on_acked,
                                        .on_closed = on_closed};

static void on_accept(void *user, struct tcp_conn *tcp)
{
	struct conn *c = calloc(1, sizeof(*c));

	(void)user;
	CHECK(c);
	c->stack = &backends;
	c->tcp = tcp;
	tcp_set_user(tcp, &ops, c);
}

static void connect_more(uint32_t n)
{
	for (; conns_n < n; conns_n++) {
		struct conn *c = &conns[conns_n];
		struct tcp_connect how = {.remote = fixture_addr("198.18.0.10"), .remote_port = 80, .ops = &ops, .user = c};

		*c = (struct conn){.stack = &clients, .client = true};
		CHECK(tcp_connect(clients.tcp, &how, &c->tcp) == OK);
	}
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

/*
 * Core cycles per TSC cycle: a chain of dependent additions takes one core cycle each. The best of many short runs, so
 * that an interrupted one does not count.
 */
static double core_per_tsc(void)
{
	enum { ADDS = 100000 };
	uint64_t best = UINT64_MAX;

	for (int run = 0; run < 200; run++) {
		uint64_t x = 1;
		const uint64_t start = rte_rdtsc_precise();

		for (int i = 0; i < ADDS / 10; i++)
			__asm__ volatile("add $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\n"
			                 "add $1,%0\nadd $1,%0\nadd $1,%0\nadd $1,%0\nimul $1,%0,%0" : "+r"(x));
		const uint64_t took = rte_rdtsc_precise() - start;
		best = took < best ? took : best;
	}
	/* Nine additions and a multiplication of three cycles (which keeps the chain from being folded). */
	return ADDS / 10 * 12.0 / (double)best;
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

	connect_more(in_flight);
	const uint64_t give_up = now_ns() + 10 * NS_PER_S;
	while (open_n < conns_n && now_ns() < give_up)
		run_until(now_ns() + 10 * NS_PER_MS);
	CHECK(open_n == conns_n);
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

/* By control's compiler. */
static void publish_many(const char *sockets)
{
	char machine[2048];

	snprintf(machine, sizeof(machine),
	         "{'workers':1,'ports':[{'name':'client','device':'" DEVICE "'},{'name':'backend','device':'" DEVICE "'}],"
	         "'addresses':[{'address':'198.18.0.1/24','port':'client'},{'address':'198.18.1.1/24','port':'backend'}],"
	         "'vipPool':[{'first':'198.18.0.10','last':'198.18.0.10','port':'client'}]}",
	         0, 0, sockets, 0, 1, 1, sockets, 1);
	struct generation g = routes_compile(routes, machine,
	        ",'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b','port':8080}]",
	        ",{'apiVersion':'gateway.envoyproxy.io/v1alpha1','kind':'Backend','metadata':{'namespace':'default','name':'b'},"
	        "'spec':{'endpoints':[{'ip':{'address':'198.18.1.11','port':8080}},{'ip':{'address':'198.18.1.11','port':8081}}]}}");
	hand_over(g.table, g.bytes);
	generation_fini(&g);
}

static void publish(const char *sockets)
{
	char device[2][256];
	static char paths[48][32];
	struct fixture f = {
		.workers = 1, .resource_version = 1,
		.addresses = {{"198.18.0.1/24", 0, false}, {"198.18.0.10/24", 0, true}, {"198.18.1.1/24", 1, false}},
		.listeners = {{.name = "default/bench/http", .addr = "198.18.0.10", .port = 80}},
		.clusters = {{.name = "one", .endpoints = {{"198.18.1.11", 8080, 1}}},
	                     {.name = "two", .endpoints = {{"198.18.1.11", 8081, 1}}}},
		.routes = {{.path = "/api/v1/items", .hostname = "shop.example.com", .headers = {{"x-tenant", "blue"}},
	                    .backends = {{"one", 1, NULL}, {"two", 1, NULL}}},
	                   {.path = "/api/v1/items", .hostname = "shop.example.com", .backends = {{"one", 1, NULL}}},
	                   {.path = "/", .hostname = "*.example.com", .backends = {{"two", 1, NULL}}},
	                   {.path = "/", .backends = {{"one", 1, NULL}}}},
	};
	for (int i = 0; i < 48; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/api/v1/thing-%d", i);
		f.routes[4 + i] = (struct fixture_route){.path = paths[i], .hostname = "shop.example.com",
		                                         .backends = {{"one", 1, NULL}}};
	}
	for (int i = 0; i < 2; i++) {
		snprintf(device[i], sizeof(device[i]), DEVICE, i, i, sockets, i);
		f.ports[i] = (struct fixture_port){.name = i ? "backend" : "client", .device = device[i]};
	}
	size_t bytes;
	struct table *t = fixture_table(&f, &bytes);
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

/* What the generator itself lost: then the figures say nothing about the gateway. */
static void print_own(const char *name, const struct stack *s)
{
	for (unsigned i = 0; i < COUNTERS; i++)
		if (s->counters.cell[i] && (counter_descriptions[i].kind != COUNTER_EVENT || i == C_tcp_retransmits))
			printf("generator, %s: %s %" PRIu64 "\n", name, counter_descriptions[i].name, s->counters.cell[i]);
	if (s->port.missed && s->port.missed((struct port *)(uintptr_t)&s->port))
		printf("generator, %s: port missed %" PRIu64 "\n", name, s->port.missed((struct port *)(uintptr_t)&s->port));
}

int main(int argc, char **argv)
{
	static const uint32_t flights[] = {1, 8, 32, 256};
	char path[256];

	if (argc < 3)
		return 2;
	const unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 4;
	body_n = argc > 4 ? (uint32_t)atoi(argv[4]) : 128;
	routes = argc > 5 ? (uint32_t)atoi(argv[5]) : 0;
	CHECK(body_n <= BODY_MAX);
	rng_init(&rng, 1);
	write_messages();
	snprintf(path, sizeof(path), "%s/dataplane.sock", argv[1]);
	gateway = frame_connect(path, 5000);
	CHECK(gateway >= 0);
	if (routes > 0)
		publish_many(argv[2]);
	else
		publish(argv[2]);
	start_eal(argv[2]);
	stack_init(&clients, "net_memif0", "198.18.0.2/24", NULL);
	stack_init(&backends, "net_memif1", "198.18.1.11/24", "198.18.1.1");
	backends.on_accept = on_accept;
	run_until(now_ns() + 2 * NS_PER_S);
	map_counters(argv[1]);
	const double core = core_per_tsc();
	if (routes > 0)
		printf("%u routes, each request for one drawn at random\n", routes);
	printf("%u B bodies, one worker, access log on; core cycles (%.2f GHz, TSC %.2f GHz) per proxied request, of rounds "
	       "that found work\n", body_n, (double)rte_get_tsc_hz() / 1e9 * core, (double)rte_get_tsc_hz() / 1e9);
	printf("%9s %12s %12s %12s %14s %9s %7s\n", "in flight", "best quarter", "median", "worst", "requests/s", "windows", "thrown");
	for (unsigned i = 0; i < sizeof(flights) / sizeof(flights[0]); i++)
		measure(flights[i], seconds, core);
	print_own("clients", &clients);
	print_own("backends", &backends);
	printf("%" PRIu64 " responses checked, %" PRIu64 " wrong\n", responses, wrong);
	return wrong != 0;
}
