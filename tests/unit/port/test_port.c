/* The transmit side against a port that takes what it likes, and ethdev over a ring device. */
#include "../dpdk.h"
#include "../test.h"

#include <rte_bus_vdev.h>
#include <string.h>

#include "base/counters.h"
#include "base/shard.h"
#include "port/ethdev.h"
#include "port/port.h"

static struct shard shard;
static struct counters cells;

/* A port that takes `takes` frames per burst and keeps the bytes of the last one. */
static struct {
	uint16_t takes, bursts;
	unsigned taken;
	char last[4096];
	uint32_t last_bytes;
	uint16_t last_segments;
} sink;

static uint16_t sink_tx(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	uint16_t take = n < sink.takes ? n : sink.takes;

	(void)p;
	(void)queue;
	sink.bursts++;
	sink.taken += take;
	for (uint16_t i = 0; i < take; i++) {
		const char *bytes = rte_pktmbuf_read(m[i], 0, m[i]->pkt_len, sink.last);

		if (bytes != sink.last)
			memcpy(sink.last, bytes, m[i]->pkt_len);
		sink.last_bytes = m[i]->pkt_len;
		sink.last_segments = m[i]->nb_segs;
		rte_pktmbuf_free(m[i]);
	}
	return take;
}

static struct rte_mbuf *frame(const char *text)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(shard.pools.header);

	memcpy(rte_pktmbuf_append(m, (uint16_t)strlen(text)), text, strlen(text));
	return m;
}

static void leaves_nothing(void)
{
	assert_int_equal(rte_mempool_in_use_count(shard.pools.header), 0);
	assert_int_equal(rte_mempool_in_use_count(shard.pools.payload), 0);
	assert_int_equal(rte_mempool_in_use_count(shard.pools.reference), 0);
}

static const struct {
	const char *name;
	uint16_t takes;
	unsigned put, bursts, taken, dropped;
} bursts[] = {
	{"nothing", 32, 0, 0, 0, 0},
	{"one", 32, 1, 1, 1, 0},
	{"a full burst is sent at once", 32, 32, 1, 32, 0},
	{"one more", 32, 33, 2, 33, 0},
	{"refused", 0, 5, 1, 0, 5},
	{"partly refused", 3, 40, 2, 6, 34},
};

static void test_bursts(void **state)
{
	struct port p = {.tx_burst = sink_tx, .queues = 1};
	struct port_tx tx = {.port = &p, .shard = &shard};

	(void)state;
	for (size_t i = 0; i < LENGTH(bursts); i++) {
		memset(&cells, 0, sizeof(cells));
		memset(&sink, 0, sizeof(sink));
		sink.takes = bursts[i].takes;
		for (unsigned n = 0; n < bursts[i].put; n++)
			port_tx_put(&tx, frame("0123456789"));
		port_tx_flush(&tx);
		assert_int_equal(sink.bursts, bursts[i].bursts);
		assert_int_equal(sink.taken, bursts[i].taken);
		assert_int_equal(cells.cell[DROP_port_tx_full], bursts[i].dropped);
		assert_int_equal(cells.cell[C_port_tx_packets], bursts[i].taken);
		assert_int_equal(cells.cell[C_port_tx_bytes], bursts[i].taken * 10);
		leaves_nothing();
	}
}

static struct rte_mbuf *chain(void)
{
	struct rte_mbuf *head = frame("head "), *body = rte_pktmbuf_alloc(shard.pools.payload), *reference;

	memcpy(rte_pktmbuf_append(body, 4), "body", 4);
	reference = rte_pktmbuf_alloc(shard.pools.reference);
	rte_pktmbuf_attach(reference, body);
	rte_pktmbuf_free(body);
	assert_int_equal(rte_pktmbuf_chain(head, reference), 0);
	head->ol_flags |= RTE_MBUF_F_TX_IPV4;
	head->l2_len = 14;
	return head;
}

static void test_chains(void **state)
{
	struct port p = {.tx_burst = sink_tx, .queues = 1};
	struct port_tx tx = {.port = &p, .shard = &shard};

	(void)state;
	for (unsigned can = 0; can < 2; can++) {
		memset(&sink, 0, sizeof(sink));
		sink.takes = 32;
		p.offloads = can ? PORT_TX_MULTI_SEGS : 0;
		port_tx_put(&tx, chain());
		assert_int_equal(tx.m[0]->ol_flags & RTE_MBUF_F_TX_IPV4, RTE_MBUF_F_TX_IPV4);
		assert_int_equal(tx.m[0]->l2_len, 14);
		port_tx_flush(&tx);
		assert_int_equal(sink.last_segments, can ? 2 : 1);
		assert_int_equal(sink.last_bytes, 9);
		assert_memory_equal(sink.last, "head body", 9);
		leaves_nothing();
	}
}

/* Chains that are longer than the device takes become one mbuf; large segments have a limit of their own. */
static void test_long_chains(void **state)
{
	static const struct {
		const char *name;
		uint16_t segs_max, tso_segs_max;
		bool large;
		uint16_t sent;           /* mbufs */
	} cases[] = {
		{"any number", 0, 0, false, 2}, {"just so many", 2, 1, false, 2}, {"too many", 1, 2, false, 1},
		{"large, any number", 1, 0, true, 2}, {"large, just so many", 1, 2, true, 2},
	};
	struct port p = {.tx_burst = sink_tx, .queues = 1, .offloads = PORT_TX_MULTI_SEGS};
	struct port_tx tx = {.port = &p, .shard = &shard};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct rte_mbuf *m = chain();

		print_message("%s\n", cases[i].name);
		memset(&cells, 0, sizeof(cells));
		memset(&sink, 0, sizeof(sink));
		sink.takes = 32;
		p.segs_max = cases[i].segs_max;
		p.tso_segs_max = cases[i].tso_segs_max;
		if (cases[i].large)
			m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		port_tx_put(&tx, m);
		port_tx_flush(&tx);
		assert_int_equal(sink.last_segments, cases[i].sent);
		assert_memory_equal(sink.last, "head body", 9);
		assert_int_equal(cells.cell[C_port_tx_large], cases[i].large);
		leaves_nothing();
	}
}

/* Refuses frames that begin with "bad". */
static uint16_t no_bad_ones(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	(void)p;
	(void)queue;
	for (uint16_t i = 0; i < n; i++)
		if (!memcmp(rte_pktmbuf_mtod(m[i], char *), "bad", 3))
			return i;
	return n;
}

static void test_unfit(void **state)
{
	static const struct {
		const char *name, *frames[4];
		unsigned sent, dropped;
	} cases[] = {
		{"all fit", {"good1", "good2"}, 2, 0},
		{"the first does not", {"bad", "good2", "good3"}, 2, 1},
		{"one in between", {"good1", "bad", "good3"}, 2, 1},
		{"two in a row", {"good1", "bad", "bad", "good4"}, 2, 2},
		{"the last", {"good1", "bad"}, 1, 1},
		{"none fits", {"bad", "bad"}, 0, 2},
	};
	struct port p = {.tx_burst = sink_tx, .tx_prepare = no_bad_ones, .queues = 1};
	struct port_tx tx = {.port = &p, .shard = &shard};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		print_message("%s\n", cases[i].name);
		memset(&cells, 0, sizeof(cells));
		memset(&sink, 0, sizeof(sink));
		sink.takes = 32;
		for (unsigned k = 0; k < 4 && cases[i].frames[k]; k++)
			port_tx_put(&tx, frame(cases[i].frames[k]));
		port_tx_flush(&tx);
		assert_int_equal(sink.taken, cases[i].sent);
		assert_int_equal(cells.cell[DROP_port_tx_unfit], cases[i].dropped);
		assert_int_equal(cells.cell[C_port_tx_packets], cases[i].sent);
		leaves_nothing();
	}
}

static void test_no_mbuf(void **state)
{
	struct port p = {.tx_burst = sink_tx, .queues = 1};
	struct port_tx tx = {.port = &p, .shard = &shard};
	struct rte_mempool *payload = shard.pools.payload;
	struct rte_mbuf *all[4096], *m = chain();
	unsigned n = 0;

	(void)state;
	memset(&cells, 0, sizeof(cells));
	while (n < LENGTH(all) && (all[n] = rte_pktmbuf_alloc(payload)))
		n++;
	port_tx_put(&tx, m);
	assert_int_equal(tx.n, 0);
	assert_int_equal(cells.cell[DROP_port_no_mbuf], 1);
	rte_pktmbuf_free_bulk(all, n);
	leaves_nothing();
}

static void test_ethdev(void **state)
{
	struct rte_mempool *pools[2] = {shard.pools.rx, shard.pools.rx};
	struct ethdev_want want = {.device = "net_ring7", .queues = 2, .rx_pools = pools};
	struct rte_mbuf *m = frame("there and back");
	struct port p;

	(void)state;
	assert_int_equal(ethdev_open(&want, &p), ERR_IO); /* no such device */
	assert_int_equal(rte_vdev_init("net_ring7", ""), 0);
	assert_int_equal(ethdev_open(&want, &p), OK);
	assert_in_range(p.queues, 1, 2);
	assert_int_equal(p.mtu, 1500);
	assert_int_equal(p.rx_fd(&p, 0), -1);
	assert_true(p.link_up(&p));
	assert_int_equal(p.missed(&p), 0);
	assert_int_equal(p.offloads & PORT_RSS, 0);
	assert_int_equal(p.tx_burst(&p, 0, &m, 1), 1);
	m = NULL;
	assert_int_equal(p.rx_burst(&p, 0, &m, 1), 1);
	assert_memory_equal(rte_pktmbuf_mtod(m, char *), "there and back", 14);
	rte_pktmbuf_free(m);
	ethdev_close(&p);
	leaves_nothing();
}

static int start(void **state)
{
	(void)state;
	dpdk_start();
	shard.counters = &cells;
	return packet_pools_init(&shard.pools, "t", 0, 5) ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_long_chains),
		cmocka_unit_test(test_unfit),
		cmocka_unit_test(test_no_mbuf),
		cmocka_unit_test(test_ethdev),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
