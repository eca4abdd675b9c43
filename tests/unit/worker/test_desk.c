/*
 * The desk and what it is asked, with real clients on a real socket, and workers without threads: a worker that gets no
 * round is one that hangs. Nothing waits for it, nor for a client that sends half a frame or takes no answer.
 */
#include "../dpdk.h"
#include "../test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/shard.h"
#include "tests/support/table_fixture.h"
#include "worker/desk.h"
#include "worker/requests.h"

enum { WORKERS = 3, CLIENTS = 3, ANSWER_MAX = 1 << 20 };

static const struct fixture lab = {
	.workers = WORKERS,
	.ports = {{.name = "client"}},
	.addresses = {{"198.18.0.1/24", 0, false}, {"198.18.0.10/24", 0, true}},
	.listeners = {{.name = "default/lab/http", .addr = "198.18.0.10", .port = 80}},
	.clusters = {{.name = "web", .endpoints = {{"198.18.0.11", 8080, 1}}}},
	.routes = {{.path = "/", .backends = {{"web", 1, NULL}}}},
};

static struct port port;
static struct gateway *gateway;
static struct machine machine;
static struct counters *counters;
static bool hung[LIMIT_workers];
static struct requests requests;
static struct desk desk;
static char dir[] = "/tmp/desk-XXXXXX", path[64];
static int client[CLIENTS];
static uint64_t now_ns;
static int64_t ahead_ms;  /* how much later than now the walks believe that it is */
static unsigned abandoned, published;

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint16_t no_rx(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	(void)p, (void)queue, (void)m, (void)n;
	return 0;
}

static uint16_t no_tx(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	(void)p, (void)queue;
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

static void on_free(void *arg, const struct table *t)
{
	(void)arg;
	free((void *)(uintptr_t)t);
}

static enum err publish(void)
{
	struct fixture f = lab;
	struct table *t;
	size_t bytes;
	enum err e;

	f.resource_version = published + 1;
	t = fixture_table(&f, &bytes);
	e = gateway_publish(gateway, t, on_free, NULL);
	if (e)
		free(t);
	else
		published++;
	return e;
}

static bool answer(void *up, struct desk_question *q)
{
	const char *op = doc_str(q->request, "op");

	(void)up;
	if (strcmp(op, "publish") == 0) {
		yyjson_mut_obj_add_bool(q->reply, q->root, "ok", publish() == OK);
		yyjson_mut_obj_add_bool(q->reply, q->root, "memfd", q->memfd >= 0);
		return true;
	}
	if (strcmp(op, "large") == 0) {
		char *text = calloc(1, ANSWER_MAX);

		memset(text, 'x', ANSWER_MAX - 1);
		yyjson_mut_obj_add_strcpy(q->reply, q->root, "text", text);
		free(text);
		return true;
	}
	return requests_answer(&requests, op, q, clock_ms() + ahead_ms);
}

static void abandon(void *up, struct desk_question *q)
{
	(void)up;
	abandoned++;
	requests_abandon(&requests, q);
}

static int start(void **state)
{
	static struct port *ports[1] = {&port};
	struct gateway_options o = {.workers = WORKERS, .ports_n = 1, .ports = ports, .seed = 1, .pools_percent = 2};
	struct desk_up up = {.answer = answer, .abandon = abandon};

	(void)state;
	port = (struct port){.queues = WORKERS, .mtu = 1500, .mac = {{2, 0, 0, 0, 0, 1}}, .rx_burst = no_rx,
	                     .tx_burst = no_tx, .offloads = PORT_TX_MULTI_SEGS};
	counters = calloc(WORKERS, sizeof(*counters));
	o.counters = counters;
	memset(hung, 0, sizeof(hung));
	ahead_ms = 0;
	abandoned = published = 0;
	now_ns = NS_PER_S;
	gateway = gateway_new(&o);
	machine = (struct machine){.workers = WORKERS, .ports_n = 1, .port_list = {&port}, .names = {"client"}};
	requests = (struct requests){.gateway = gateway, .machine = &machine, .counters = counters, .hung = hung};
	assert_int_equal(publish(), OK);
	strcpy(dir, "/tmp/desk-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dataplane.sock", dir);
	assert_int_equal(desk_open(&desk, dir, &up), OK);
	for (unsigned i = 0; i < CLIENTS; i++) {
		client[i] = frame_connect(path, 1000);
		assert_true(client[i] >= 0);
		desk_serve(&desk, 0);
	}
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++)
		if (client[i] >= 0)
			close(client[i]);
	desk_close(&desk);
	unlink(path);
	rmdir(dir);
	gateway_free(gateway);
	free(counters);
	return 0;
}

static void rounds(unsigned first, unsigned last)
{
	now_ns += 100 * NS_PER_US;
	for (unsigned w = first; w <= last; w++)
		worker_round(gateway_worker(gateway, (uint16_t)w), now_ns, now_ns / 1000);
}

static void ask(unsigned i, const char *request)
{
	assert_int_equal(frame_send(client[i], request, strlen(request), -1, 1000), OK);
}

/* What client i has been answered so far; null: nothing yet. */
static yyjson_doc *told(unsigned i)
{
	char *bytes;
	size_t n;
	int fd;
	yyjson_doc *doc;
	enum err e = frame_recv(client[i], FRAME_BYTES_MAX, &bytes, &n, &fd, 1);

	if (e == ERR_CONN_TIMEOUT)
		return NULL;
	assert_int_equal(e, OK);
	doc = yyjson_read(bytes, n, 0);
	assert_non_null(doc);
	free(bytes);
	return doc;
}

/* Serves, with rounds of some workers in between, until client i is answered; the turns may take no longer than this. */
static yyjson_doc *await(unsigned i, unsigned first, unsigned last, unsigned turns)
{
	yyjson_doc *doc = NULL;

	for (unsigned n = 0; n < turns && !(doc = told(i)); n++) {
		int64_t before = clock_ms();

		desk_serve(&desk, 20);
		assert_true(clock_ms() - before < 500); /* it should be 20: others share this machine */
		rounds(first, last);
	}
	return doc;
}

static const struct silence {
	const char *name;
	const char *op;
	unsigned silent;        /* this worker gets no round */
	bool known;             /* the watch has seen that it hangs */
	bool ok;
	const char *text;
	const char *member;
} silences[] = {
	{"flows, one does not answer", "flows", 2, false, true, "worker 2 did not answer within 2000 ms", "incomplete"},
	{"flows, one is known to hang", "flows", 2, true, true, "worker 2 hangs", "incomplete"},
	{"neigh, the link owner does not answer", "neigh", IP_LINK_OWNER, false, false,
	 "worker 0 did not answer within 2000 ms", "reason"},
	{"neigh, the link owner is known to hang", "neigh", IP_LINK_OWNER, true, false, "worker 0 hangs", "reason"},
};

static void test_a_worker_that_does_not_answer(void **state)
{
	(void)state;
	for (size_t c = 0; c < LENGTH(silences); c++) {
		const struct silence *s = &silences[c];
		const unsigned first = s->silent == 0 ? 1 : 0, last = s->silent == 2 ? 1 : 2;
		char request[64];
		yyjson_doc *doc;

		print_message("%s\n", s->name);
		start(state);
		hung[s->silent] = s->known;
		snprintf(request, sizeof(request), "{\"op\":\"%s\"}", s->op);
		ask(0, request);
		if (!s->known) {
			assert_null(await(0, first, last, 10));
			/* Others are served meanwhile, and a generation is taken over. */
			ask(1, "{\"op\":\"workers\"}");
			doc = await(1, first, last, 2);
			assert_non_null(doc);
			assert_int_equal(yyjson_arr_size(doc_get(yyjson_doc_get_root(doc), "items")), WORKERS);
			yyjson_doc_free(doc);
			ask(1, "{\"op\":\"publish\"}");
			doc = await(1, first, last, 2);
			assert_non_null(doc);
			assert_true(doc_bool(yyjson_doc_get_root(doc), "ok", false));
			yyjson_doc_free(doc);
			assert_null(told(0));
			ahead_ms = REQUESTS_PATIENCE_MS;
		}
		doc = await(0, first, last, 40);
		assert_non_null(doc);
		assert_int_equal(doc_bool(yyjson_doc_get_root(doc), "ok", !s->ok), s->ok);
		assert_string_equal(doc_str(yyjson_doc_get_root(doc), s->member), s->text);
		yyjson_doc_free(doc);
		/* When it goes on, it is asked again, and the late answer is not taken for the new one. */
		hung[s->silent] = false;
		ahead_ms = 0;
		ask(0, request);
		doc = await(0, 0, 2, 40);
		assert_non_null(doc);
		assert_true(doc_bool(yyjson_doc_get_root(doc), "ok", false));
		assert_null(doc_get(yyjson_doc_get_root(doc), "incomplete"));
		yyjson_doc_free(doc);
		end(state);
	}
}

/* Two walks share the mailboxes, one after the other; one whose client left makes room. */
static void test_walks_of_several_clients(void **state)
{
	yyjson_doc *doc;

	(void)state;
	ask(0, "{\"op\":\"flows\"}");
	ask(1, "{\"op\":\"flows\"}");
	ask(2, "{\"op\":\"neigh\"}");
	for (unsigned i = 0; i < 5; i++)
		desk_serve(&desk, 1);
	assert_null(told(0));
	close(client[0]);
	client[0] = -1;
	for (unsigned i = 1; i < CLIENTS; i++) {
		doc = await(i, 0, 2, 60);
		assert_non_null(doc);
		assert_true(doc_bool(yyjson_doc_get_root(doc), "ok", false));
		yyjson_doc_free(doc);
	}
	assert_int_equal(abandoned, 1);
}

static const struct {
	const char *name;
	const char *request;
	const char *reason;
} refusals[] = {
	{"no op", "{}", "no such op"},
	{"another op", "{\"op\":\"fly\"}", "no such op"},
	{"no object", "[1]", "no such op"},
	{"no JSON", "{\"op\":", "the request is not JSON"},
	{"nothing", "", "the request is not JSON"},
};

static void test_refusals(void **state)
{
	yyjson_doc *doc;

	(void)state;
	for (size_t i = 0; i < LENGTH(refusals); i++) {
		print_message("%s\n", refusals[i].name);
		ask(0, refusals[i].request);
		doc = await(0, 0, 2, 5);
		assert_non_null(doc);
		assert_false(doc_bool(yyjson_doc_get_root(doc), "ok", true));
		assert_string_equal(doc_str(yyjson_doc_get_root(doc), "reason"), refusals[i].reason);
		yyjson_doc_free(doc);
	}
}

static void test_too_long(void **state)
{
	char *bytes, *long_one = calloc(1, DESK_REQUEST_MAX + 1);
	yyjson_doc *doc;
	size_t n;
	int fd;

	(void)state;
	memset(long_one, ' ', DESK_REQUEST_MAX + 1);
	assert_int_equal(frame_send(client[0], long_one, DESK_REQUEST_MAX + 1, -1, 1000), OK);
	free(long_one);
	doc = await(0, 0, 2, 5);
	assert_non_null(doc);
	assert_string_equal(doc_str(yyjson_doc_get_root(doc), "reason"), "the request is longer than 65536 bytes");
	yyjson_doc_free(doc);
	assert_true(frame_recv(client[0], 64, &bytes, &n, &fd, 1000) != OK); /* the end */
}

/* A frame byte by byte, with a descriptor; others are answered in between. */
static void test_pieces(void **state)
{
	static const char request[] = "{\"op\":\"publish\"}";
	uint32_t length = sizeof(request) - 1;
	char frame[sizeof(length) + sizeof(request) - 1];
	int memfd = memfd_create("x", MFD_CLOEXEC);
	yyjson_doc *doc;
	size_t sent = 0;

	(void)state;
	memcpy(frame, &length, sizeof(length));
	memcpy(frame + sizeof(length), request, length);
	for (size_t i = 0; i < sizeof(frame); i++) {
		assert_int_equal(send(client[0], frame + i, 1, 0), 1);
		ask(1, "{\"op\":\"drops\"}");
		doc = await(1, 0, 2, 3);
		assert_non_null(doc);
		yyjson_doc_free(doc);
	}
	doc = await(0, 0, 2, 3);
	assert_non_null(doc);
	assert_false(doc_bool(yyjson_doc_get_root(doc), "memfd", true));
	yyjson_doc_free(doc);
	assert_int_equal(frame_give(client[0], request, length, memfd, &sent), OK);
	doc = await(0, 0, 2, 3);
	assert_non_null(doc);
	assert_true(doc_bool(yyjson_doc_get_root(doc), "memfd", false));
	yyjson_doc_free(doc);
	close(memfd);
}

/* Whoever takes nothing, or sends half a frame, is not waited for; after a while it is sent away. */
static void test_slow_clients(void **state)
{
	yyjson_doc *doc;
	int64_t until;
	char *bytes;
	size_t n;
	int fd;

	(void)state;
	assert_int_equal(send(client[0], "\x10\0", 2, 0), 2);
	ask(1, "{\"op\":\"large\"}");
	desk_serve(&desk, 1); /* far more than a socket holds: the rest waits */
	until = clock_ms() + DESK_PATIENCE_MS + 200;
	while (clock_ms() < until) {
		ask(2, "{\"op\":\"stats\"}");
		doc = await(2, 0, 2, 3);
		assert_non_null(doc);
		yyjson_doc_free(doc);
		usleep(20000);
	}
	assert_int_equal(frame_recv(client[0], 64, &bytes, &n, &fd, 100), ERR_SHUTDOWN);
	assert_int_equal(frame_recv(client[1], FRAME_BYTES_MAX, &bytes, &n, &fd, 100), ERR_IO); /* cut */
}

static void *take_large(void *arg)
{
	yyjson_doc **doc = arg;
	char *bytes;
	size_t n;
	int fd;

	if (frame_recv(client[0], FRAME_BYTES_MAX, &bytes, &n, &fd, 10000) == OK) {
		*doc = yyjson_read(bytes, n, 0);
		free(bytes);
	}
	return NULL;
}

static void test_large_answer(void **state)
{
	yyjson_doc *doc = NULL;
	pthread_t reader;

	(void)state;
	ask(0, "{\"op\":\"large\"}");
	desk_serve(&desk, 1);
	pthread_create(&reader, NULL, take_large, &doc);
	for (unsigned i = 0; i < 10000 && desk.client[0].state != DESK_READING; i++)
		desk_serve(&desk, 5);
	pthread_join(reader, NULL);
	assert_non_null(doc);
	assert_int_equal(strlen(doc_str(yyjson_doc_get_root(doc), "text")), ANSWER_MAX - 1);
	yyjson_doc_free(doc);
}

static void test_more_clients_than_places(void **state)
{
	int more[DESK_CLIENTS];
	yyjson_doc *doc;
	char *bytes;
	size_t n;
	int fd;

	(void)state;
	for (unsigned i = 0; i < DESK_CLIENTS; i++) {
		more[i] = frame_connect(path, 1000);
		desk_serve(&desk, 0);
	}
	assert_int_equal(frame_recv(more[DESK_CLIENTS - 1], 64, &bytes, &n, &fd, 100), ERR_SHUTDOWN);
	for (unsigned i = 0; i < DESK_CLIENTS; i++)
		close(more[i]);
	ask(0, "{\"op\":\"stats\"}");
	doc = await(0, 0, 2, 5);
	assert_non_null(doc);
	yyjson_doc_free(doc);
}

static int start_dpdk(void **state)
{
	(void)state;
	dpdk_start();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_worker_that_does_not_answer),
		cmocka_unit_test_setup_teardown(test_walks_of_several_clients, start, end),
		cmocka_unit_test_setup_teardown(test_refusals, start, end),
		cmocka_unit_test_setup_teardown(test_too_long, start, end),
		cmocka_unit_test_setup_teardown(test_pieces, start, end),
		cmocka_unit_test_setup_teardown(test_slow_clients, start, end),
		cmocka_unit_test_setup_teardown(test_large_answer, start, end),
		cmocka_unit_test_setup_teardown(test_more_clients_than_places, start, end),
	};

	return cmocka_run_group_tests(tests, start_dpdk, NULL);
}
