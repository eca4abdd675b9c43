/* The gateway without threads: generations, handing over, sleeping and waking, walks, ports with too few queues. */
#include "../dpdk.h"
#include "../test.h"

#include <rte_arp.h>
#include <rte_mempool.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/pressure.h"
#include "base/shard.h"
#include "tests/support/table_fixture.h"
#include "worker/worker.h"

enum { WORKERS = 3, QUEUE = 16 };

static const struct fixture lab = {
	.workers = WORKERS,
	.ports = {{.name = "client"}},
	.addresses = {{"198.18.0.1/24", 0, false}, {"198.18.0.10/24", 0, true}},
	.listeners = {{.name = "default/lab/http", .addr = "198.18.0.10", .port = 80}},
	.clusters = {{.name = "web", .endpoints = {{"198.18.0.11", 8080, 1}}}},
	.routes = {{.path = "/", .backends = {{"web", 1, NULL}}}},
};

/* A port that delivers what the test puts into a queue and keeps what is sent. */
static struct wire {
	struct port port;
	struct rte_mbuf *rx[WORKERS][QUEUE], *tx[QUEUE];
	unsigned rx_n[WORKERS], tx_n;
	uint16_t tx_queue; /* of the last frame */
} wire;

static struct gateway *gateway;
static struct worker *worker[WORKERS];
static unsigned wakes[WORKERS], freed, pools_percent = 2;
static uint64_t now_ns;

static uint16_t wire_rx(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	unsigned take = wire.rx_n[queue] < n ? wire.rx_n[queue] : n;

	(void)p;
	memcpy(m, wire.rx[queue], take * sizeof(m[0]));
	wire.rx_n[queue] = 0;
	return (uint16_t)take;
}

static uint16_t wire_tx(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	(void)p;
	for (uint16_t i = 0; i < n && wire.tx_n < QUEUE; i++)
		wire.tx[wire.tx_n++] = m[i];
	wire.tx_queue = queue;
	return n;
}

static void clear(void)
{
	rte_pktmbuf_free_bulk(wire.tx, wire.tx_n);
	wire.tx_n = 0;
}

static void wake(void *waker, uint16_t w)
{
	(void)waker;
	wakes[w]++;
}

static unsigned turn(unsigned w)
{
	now_ns += 100 * NS_PER_US;
	return worker_round(worker[w], now_ns, now_ns / 1000);
}

/* Until addresses have been probed. */
static void settle(void)
{
	for (unsigned i = 0; i < 200; i++) {
		now_ns += 5 * NS_PER_MS;
		for (unsigned w = 0; w < WORKERS; w++)
			turn(w);
		clear();
	}
}

static void on_free(void *arg, const struct table *t)
{
	(void)arg;
	freed++;
	free((void *)(uintptr_t)t);
}

static enum err publish(uint64_t version)
{
	struct fixture f = lab;
	size_t bytes;
	struct table *t;
	enum err e;

	f.resource_version = version;
	t = fixture_table(&f, &bytes);
	e = gateway_publish(gateway, t, on_free, NULL);
	if (e)
		free(t);
	return e;
}

static void open_gateway(uint16_t queues)
{
	static struct port *ports[1] = {&wire.port};
	struct gateway_options o = {.workers = WORKERS, .ports_n = 1, .ports = ports, .seed = 1,
	                            .pools_percent = pools_percent, .wake = wake};

	memset(&wire, 0, sizeof(wire));
	memset(wakes, 0, sizeof(wakes));
	wire.port = (struct port){.queues = queues, .mtu = 1500, .mac = {{2, 0, 0, 0, 0, 1}}, .rx_burst = wire_rx,
	                          .tx_burst = wire_tx, .offloads = PORT_TX_MULTI_SEGS};
	freed = 0;
	now_ns = NS_PER_S;
	gateway = gateway_new(&o);
	assert_non_null(gateway);
	for (uint16_t w = 0; w < WORKERS; w++)
		worker[w] = gateway_worker(gateway, w);
}

static void close_gateway(void)
{
	clear();
	gateway_free(gateway);
}

/* An ARP request for 198.18.0.1, as it comes in by a queue. */
static void arp_to(unsigned queue)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(worker_shard(worker[queue])->pools.rx);
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_arp_hdr *arp = (void *)(eth + 1);

	assert_non_null(rte_pktmbuf_append(m, 60));
	memset(eth, 0, 60);
	memset(&eth->dst_addr, 0xff, 6);
	memcpy(&eth->src_addr, "\x02\0\0\0\0\x02", 6);
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	arp->arp_hardware = RTE_BE16(1);
	arp->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = 6;
	arp->arp_plen = 4;
	arp->arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST);
	memcpy(&arp->arp_data.arp_sha, "\x02\0\0\0\0\x02", 6);
	arp->arp_data.arp_sip = fixture_addr("198.18.0.2").w[3];
	arp->arp_data.arp_tip = fixture_addr("198.18.0.1").w[3];
	wire.rx[queue][wire.rx_n[queue]++] = m;
}

static bool is_arp_reply(const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	return eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP) &&
	       ((const struct rte_arp_hdr *)(eth + 1))->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY);
}

static void test_generations(void **state)
{
	(void)state;
	open_gateway(WORKERS);
	assert_int_equal(gateway_generations(gateway), 0);
	assert_null(gateway_table(gateway));
	settle(); /* all online, no generation */
	for (uint64_t v = 1; v <= LIMIT_generations; v++) {
		assert_int_equal(publish(v), OK);
		assert_int_equal(gateway_generations(gateway), v);
	}
	assert_int_equal(worker_shard(worker[0])->counters->cell[C_limit_generations], 0);
	assert_int_equal(publish(9), ERR_LIMIT);
	assert_int_equal(worker_shard(worker[0])->counters->cell[C_limit_generations], 1);
	assert_int_equal(gateway_table(gateway)->resource_version, LIMIT_generations);
	assert_int_equal(freed, 0);
	/* One worker that has not passed a round holds all of them. */
	turn(0);
	turn(1);
	gateway_reclaim(gateway);
	assert_int_equal(freed, 0);
	turn(2);
	gateway_reclaim(gateway);
	assert_int_equal(freed, LIMIT_generations - 1);
	assert_int_equal(gateway_generations(gateway), 1);
	for (unsigned w = 0; w < WORKERS; w++) {
		assert_int_equal(worker_generation(worker[w]), LIMIT_generations);
		assert_null(worker_shard(worker[w])->table); /* nobody may look between rounds */
	}
	assert_int_equal(publish(9), OK);
	close_gateway();
	assert_int_equal(freed, LIMIT_generations + 1);
}

/* A worker that sleeps holds nothing, and takes the newest when it comes back. */
static void test_sleepers_hold_nothing(void **state)
{
	(void)state;
	open_gateway(WORKERS);
	assert_int_equal(publish(1), OK);
	settle();
	assert_true(worker_park(worker[2]));
	for (uint64_t v = 2; v <= 20; v++) {
		assert_int_equal(publish(v), OK);
		turn(0);
		turn(1);
		gateway_reclaim(gateway);
		assert_int_equal(gateway_generations(gateway), 1);
	}
	assert_int_equal(wakes[2], 1); /* the flag goes down with the first kick */
	worker_unpark(worker[2]);
	turn(2);
	assert_int_equal(worker_generation(worker[2]), 20);
	close_gateway();
}

static void test_fresh_randomness(void **state)
{
	const uint64_t drawn[2] = {17, 4};

	(void)state;
	open_gateway(WORKERS);
	gateway_refresh(gateway, drawn);
	for (unsigned w = 0; w < WORKERS; w++) {
		const struct shard *shard = worker_shard(worker[w]);

		assert_int_equal(shard->fresh[0], 17);
		assert_int_equal(shard->fresh[1], 4);
	}
	close_gateway();
}

static void test_hand_over(void **state)
{
	(void)state;
	open_gateway(WORKERS);
	assert_int_equal(publish(1), OK);
	settle();
	assert_true(worker_park(worker[IP_LINK_OWNER]));
	arp_to(1);
	assert_int_equal(turn(1), 1);
	assert_int_equal(wakes[IP_LINK_OWNER], 1);
	assert_int_equal(wire.tx_n, 0);
	assert_true(worker_waiting(worker[IP_LINK_OWNER]));
	worker_unpark(worker[IP_LINK_OWNER]);
	assert_int_equal(turn(IP_LINK_OWNER) > 0, 1);
	assert_int_equal(wire.tx_n, 1);
	assert_true(is_arp_reply(wire.tx[0]));
	assert_int_equal(wire.tx_queue, IP_LINK_OWNER);
	close_gateway();
}

/* What the owner's ring has no room for is dropped and counted, and the rest is its. */
static void test_full_ring(void **state)
{
	enum { MORE = 64 };

	(void)state;
	pools_percent = 10;
	open_gateway(WORKERS);
	pools_percent = 2;
	assert_int_equal(publish(1), OK);
	settle();
	for (unsigned i = 0; i < LIMIT_hand_over_ring + MORE; i++) {
		arp_to(1);
		if (wire.rx_n[1] == QUEUE)
			turn(1);
	}
	turn(1);
	assert_int_equal(worker_shard(worker[1])->counters->cell[DROP_worker_ring_full], MORE);
	assert_int_equal(worker_shard(worker[1])->counters->cell[C_limit_hand_over_ring], MORE);
	for (unsigned i = 0; i < 200; i++) {
		turn(IP_LINK_OWNER);
		clear();
	}
	assert_int_equal(worker_shard(worker[IP_LINK_OWNER])->counters->cell[C_neigh_replies_sent], LIMIT_hand_over_ring);
	close_gateway();
}

/* Whoever finds something waiting does not sleep; who sleeps is woken once. */
static void test_parking(void **state)
{
	uint64_t until_ns;

	(void)state;
	open_gateway(WORKERS);
	assert_int_equal(publish(1), OK);
	settle();
	arp_to(1);
	turn(1);
	assert_false(worker_sleepable(worker[IP_LINK_OWNER], &until_ns));
	assert_false(worker_park(worker[IP_LINK_OWNER]));
	assert_int_equal(wakes[IP_LINK_OWNER], 0); /* it was awake */
	turn(IP_LINK_OWNER);
	assert_int_equal(publish(2), OK);
	assert_false(worker_park(worker[1]));      /* a generation waits */
	settle();
	assert_true(worker_sleepable(worker[1], &until_ns));
	assert_true(until_ns > now_ns);
	assert_true(worker_park(worker[1]));
	worker_drain(worker[1]);
	worker_drain(worker[1]);
	assert_int_equal(wakes[1], 1);
	close_gateway();
}

/* Only worker 0 has a queue: the others receive by hand-over and send through it. */
static void test_few_queues(void **state)
{
	(void)state;
	open_gateway(1);
	assert_int_equal(publish(1), OK);
	settle();
	arp_to(0);
	turn(0);
	assert_int_equal(wire.tx_n, 1);
	assert_true(is_arp_reply(wire.tx[0]));
	clear();
	/* A frame that worker 2 sends comes out of queue 0. */
	port_tx_put(worker_tx(worker[2], 0), rte_pktmbuf_alloc(worker_shard(worker[2])->pools.header));
	turn(2);
	assert_int_equal(wire.tx_n, 0);
	turn(0);
	assert_int_equal(wire.tx_n, 1);
	assert_int_equal(wire.tx_queue, 0);
	close_gateway();
}

static void test_walks(void **state)
{
	const struct worker_walk *a;
	uint32_t at = 0, rounds = 0;

	(void)state;
	open_gateway(WORKERS);
	assert_int_equal(publish(1), OK);
	settle();
	arp_to(0);
	turn(0);
	assert_true(worker_park(worker[0]));
	assert_true(worker_ask(worker[0], WORKER_WALK_NEIGH, 0));
	assert_int_equal(wakes[0], 1);
	assert_false(worker_ask(worker[0], WORKER_WALK_FLOWS, 0)); /* one at a time */
	assert_null(worker_answer(worker[0]));
	worker_unpark(worker[0]);
	turn(0);
	a = worker_answer(worker[0]);
	assert_non_null(a);
	assert_int_equal(a->n, 1);
	assert_int_equal(a->at, 0);
	assert_int_equal(a->neigh[0].addr.w[3], fixture_addr("198.18.0.2").w[3]);
	/* Places without a connection are looked at as well: not all of them in one round. */
	do {
		assert_true(worker_ask(worker[0], WORKER_WALK_FLOWS, at));
		turn(0);
		a = worker_answer(worker[0]);
		assert_non_null(a);
		assert_int_equal(a->n, 0);
		assert_true(a->at == 0 || (a->at > at && a->at - at <= 4096));
		at = a->at;
		rounds++;
	} while (at != 0);
	assert_int_equal(rounds, (TCP_CONNS_LEAST + LIMIT_tcp_time_wait + 4095) / 4096);
	assert_true(worker_ask(worker[0], WORKER_WALK_POOLS, 0));
	turn(0);
	a = worker_answer(worker[0]);
	assert_non_null(a);
	assert_int_equal(a->at, 0);
	assert_true(a->n > 4);
	for (unsigned i = 0; i < a->n; i++) {
		assert_non_null(a->pools[i].name);
		assert_true(a->pools[i].used <= a->pools[i].capacity);
	}
	close_gateway();
}

static const struct {
	const char *name;
	uint64_t late_ns;
	enum counter bucket;
	uint64_t max_ns;
} latenesses[] = {
	{"100 us", WORKER_LATE_NS, C_worker_late_100us, WORKER_LATE_NS},
	{"less than 1 ms", NS_PER_MS - 1, C_worker_late_100us, NS_PER_MS - 1},
	{"1 ms", NS_PER_MS, C_worker_late_1ms, NS_PER_MS},
	{"5 ms", 5 * NS_PER_MS, C_worker_late_5ms, 5 * NS_PER_MS},
	{"less than 5 ms", 5 * NS_PER_MS - 1, C_worker_late_1ms, 5 * NS_PER_MS},
	{"a day", UINT64_C(86400) * NS_PER_S, C_worker_late_5ms, UINT64_C(86400) * NS_PER_S},
};

static void test_lateness(void **state)
{
	const struct counters *c;
	uint64_t sum = 0;

	(void)state;
	open_gateway(WORKERS);
	c = worker_shard(worker[1])->counters;
	assert_int_equal(worker_late_max_ns(worker[1]), 0);
	for (size_t i = 0; i < LENGTH(latenesses); i++) {
		const uint64_t before = c->cell[latenesses[i].bucket];

		print_message("%s\n", latenesses[i].name);
		sum += latenesses[i].late_ns;
		worker_late(worker[1], latenesses[i].late_ns);
		assert_int_equal(c->cell[latenesses[i].bucket], before + 1);
		assert_int_equal(worker_late_max_ns(worker[1]), latenesses[i].max_ns);
	}
	assert_int_equal(c->cell[C_worker_late_100us] + c->cell[C_worker_late_1ms] + c->cell[C_worker_late_5ms],
	                 LENGTH(latenesses));
	assert_int_equal(c->cell[C_worker_late_ns], sum);
	assert_int_equal(worker_late_max_ns(worker[0]), 0);
	close_gateway();
}

static void fill(struct rte_mempool *pool, struct rte_mbuf **m, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_non_null(m[i] = rte_pktmbuf_alloc(pool));
}

static void rounds(unsigned w, unsigned n)
{
	while (n-- > 0)
		turn(w);
}

/*
 * A worker sheds what its pools ask for, a few rounds after they do, and no longer than they do. A worker that takes
 * packets of another one's pool sheds for it too. Who sheds sleeps in short steps: others may give back its memory.
 */
static void test_shedding(void **state)
{
	static struct rte_mbuf *m[4096];
	uint64_t until_ns;
	unsigned n;

	(void)state;
	open_gateway(WORKERS);
	assert_int_equal(publish(1), OK);
	settle();
	n = worker_shard(worker[1])->pools.rx->size;
	fill(worker_shard(worker[1])->pools.rx, m, n * 3 / 4);
	arp_to(1); /* is handed over to the link owner, and freed there */
	rounds(1, 9);
	rounds(0, 9);
	rounds(2, 9);
	assert_int_equal(worker_shard(worker[1])->shed, SHED_LARGE | SHED_SYNS);
	assert_int_equal(worker_shard(worker[0])->shed, SHED_LARGE | SHED_SYNS);
	assert_int_equal(worker_shard(worker[2])->shed, 0);
	worker_sleepable(worker[1], &until_ns);
	assert_true(until_ns <= now_ns + NS_PER_MS);
	rte_pktmbuf_free_bulk(m, n * 3 / 4);
	rounds(1, 1); /* it looks every round now */
	rounds(0, 1);
	assert_int_equal(worker_shard(worker[1])->shed, 0);
	assert_int_equal(worker_shard(worker[0])->shed, 0);
	assert_int_equal(worker_shard(worker[1])->counters->cell[C_limit_shed_syns], 1);
	assert_int_equal(worker_shard(worker[1])->counters->cell[C_limit_shed_relief], 2);
	clear();
	close_gateway();
}

/* Each limit of a packet pool is counted where it is hit. */
static void test_empty_pools(void **state)
{
	static struct rte_mbuf *m[4096];
	struct shard *s;
	unsigned n;

	(void)state;
	open_gateway(WORKERS);
	assert_int_equal(publish(1), OK);
	settle();
	s = worker_shard(worker[0]);
	n = s->pools.rx->size;
	fill(s->pools.rx, m, n);
	rounds(0, 9);
	assert_true(s->counters->cell[C_limit_rx_mbufs] > 0);
	rte_pktmbuf_free_bulk(m, n);
	n = s->pools.header->size;
	arp_to(0);
	fill(s->pools.header, m, n);
	turn(0); /* no mbuf for the reply */
	assert_int_equal(s->counters->cell[C_limit_header_mbufs], 1);
	rte_pktmbuf_free_bulk(m, n);
	while (pool_get(&s->chunks))
		;
	assert_int_equal(s->counters->cell[C_limit_arena_chunks], 1);
	close_gateway();
}

/* Several gateways in one process, made and unmade: no name collides, no packet is lost from the pools. */
static void test_several(void **state)
{
	struct gateway *first;

	(void)state;
	open_gateway(WORKERS);
	first = gateway;
	open_gateway(WORKERS);
	assert_int_equal(publish(1), OK);
	settle();
	for (unsigned w = 0; w < WORKERS; w++) {
		assert_int_equal(rte_mempool_in_use_count(worker_shard(worker[w])->pools.rx), 0);
		assert_int_equal(rte_mempool_in_use_count(worker_shard(worker[w])->pools.payload), 0);
	}
	gateway_free(first);
	close_gateway();
}

static int start(void **state)
{
	(void)state;
	dpdk_start();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_sleepers_hold_nothing),
		cmocka_unit_test(test_fresh_randomness),
		cmocka_unit_test(test_hand_over), cmocka_unit_test(test_full_ring),
		cmocka_unit_test(test_parking),
		cmocka_unit_test(test_few_queues),
		cmocka_unit_test(test_walks),
		cmocka_unit_test(test_lateness),
		cmocka_unit_test(test_shedding),
		cmocka_unit_test(test_empty_pools),
		cmocka_unit_test(test_several),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
