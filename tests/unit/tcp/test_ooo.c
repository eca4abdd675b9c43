/*
 * The out-of-order queue against a map of bytes: whatever overlaps come, each byte is the one that came first, the
 * queue stays sorted and without overlaps, and every mbuf is freed.
 */
#include "../dpdk.h"
#include "../test.h"

#include <rte_mempool.h>
#include <string.h>

#include "base/packet.h"
#include "base/rng.h"
#include "tcp/ooo.h"
#include "tcp/seq.h"
#include "tcp/tcp.h"

enum { SPAN = 600 };

static struct packet_pools pools;
static struct pool ooos;

static struct rte_mbuf *payload(uint32_t len, uint8_t fill)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pools.rx);

	memset(rte_pktmbuf_append(m, (uint16_t)len), fill, len);
	return m;
}

struct put {
	uint32_t seq, len;
	enum ooo_answer answer;
};

static const struct {
	const char *name;
	struct put put[6];
	struct {
		uint32_t seq, len;
	} want[6];
} cases[] = {
	{"apart", {{10, 5, OOO_KEPT}, {30, 5, OOO_KEPT}, {20, 5, OOO_KEPT}}, {{10, 5}, {20, 5}, {30, 5}}},
	{"touching", {{10, 5, OOO_KEPT}, {15, 5, OOO_KEPT}, {5, 5, OOO_KEPT}}, {{5, 5}, {10, 5}, {15, 5}}},
	{"the same", {{10, 5, OOO_KEPT}, {10, 5, OOO_DUPLICATE}}, {{10, 5}}},
	{"inside", {{10, 9, OOO_KEPT}, {12, 3, OOO_DUPLICATE}}, {{10, 9}}},
	{"over the end", {{10, 5, OOO_KEPT}, {12, 8, OOO_KEPT}}, {{10, 5}, {15, 5}}},
	{"over the beginning", {{10, 5, OOO_KEPT}, {5, 8, OOO_KEPT}}, {{5, 5}, {10, 5}}},
	{"around: only what lies before is kept", {{10, 5, OOO_KEPT}, {5, 20, OOO_KEPT}}, {{5, 5}, {10, 5}}},
	{"the gap between two",
	 {{10, 5, OOO_KEPT}, {20, 5, OOO_KEPT}, {12, 12, OOO_KEPT}}, {{10, 5}, {15, 5}, {20, 5}}},
	{"covered by two", {{10, 5, OOO_KEPT}, {15, 5, OOO_KEPT}, {12, 6, OOO_DUPLICATE}}, {{10, 5}, {15, 5}}},
	{"behind two that touch",
	 {{10, 5, OOO_KEPT}, {15, 5, OOO_KEPT}, {12, 10, OOO_KEPT}}, {{10, 5}, {15, 5}, {20, 2}}},
	{"over the wrap", {{UINT32_MAX - 1, 4, OOO_KEPT}, {1, 4, OOO_KEPT}}, {{UINT32_MAX - 1, 4}, {2, 3}}},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct ooo *q = pool_get(&ooos);
		unsigned n = 0;

		ooo_init(q);
		for (const struct put *p = cases[i].put; p < cases[i].put + 6 && p->len; p++) {
			struct rte_mbuf *m = payload(p->len, 0);
			const enum ooo_answer got = ooo_put(q, p->seq, p->len, m);

			if (got != p->answer)
				fail_msg("%s: put %u answers %d", cases[i].name, p->seq, got);
			if (got != OOO_KEPT)
				rte_pktmbuf_free(m);
		}
		for (; n < 6 && cases[i].want[n].len; n++)
			if (n >= q->n || q->piece[q->first + n].seq != cases[i].want[n].seq ||
			    q->piece[q->first + n].len != cases[i].want[n].len || q->piece[q->first + n].m->data_len != q->piece[q->first + n].len)
				fail_msg("%s: piece %u", cases[i].name, n);
		if (n != q->n)
			fail_msg("%s: %u pieces", cases[i].name, q->n);
		ooo_free(&ooos, &q);
	}
	assert_int_equal(rte_mempool_in_use_count(pools.rx), 0);
}

struct model {
	int first[SPAN];   /* which put gave the byte; -1: none */
};

static void check(const struct ooo *q, const struct model *m, uint32_t base)
{
	uint32_t end = 0;
	int covered[SPAN];

	memset(covered, -1, sizeof(covered));
	for (uint32_t i = 0; i < q->n; i++) {
		const uint32_t at = q->piece[q->first + i].seq - base;
		const uint8_t *bytes = rte_pktmbuf_mtod(q->piece[q->first + i].m, const uint8_t *);

		assert_true(i == 0 || at >= end);
		end = at + q->piece[q->first + i].len;
		for (uint32_t k = 0; k < q->piece[q->first + i].len; k++)
			covered[at + k] = bytes[k];
	}
	/* What the queue has is what came first. It may lack bytes: those behind a first gap that was filled. */
	for (unsigned k = 0; k < SPAN; k++)
		if (covered[k] >= 0)
			assert_int_equal(covered[k], m->first[k]);
}

static void drain(struct ooo *q, struct model *model, uint32_t base)
{
	uint32_t nxt = base, cost = 0;
	struct rte_mbuf *m;

	for (unsigned hole = 0; hole < SPAN; hole++, nxt++)
		while ((m = ooo_take(q, nxt, &cost)) != NULL) {
			for (uint32_t k = 0; k < m->data_len; k++)
				assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[k], model->first[nxt - base + k]);
			nxt += m->data_len;
			rte_pktmbuf_free(m);
		}
	assert_int_equal(q->n, 0);
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 2000; seed++) {
		struct ooo *q = pool_get(&ooos);
		struct model model;
		struct rng r;

		rng_init(&r, seed);
		const uint32_t base = seed % 3 == 0 ? UINT32_MAX - rng_below(&r, SPAN) : rng_below(&r, UINT32_MAX);
		memset(&model, -1, sizeof(model));
		ooo_init(q);
		for (int put = 0; put < 60; put++) {
			const uint32_t at = rng_below(&r, SPAN - 1), most = SPAN - at < 90 ? SPAN - at : 90;
			const uint32_t len = 1 + rng_below(&r, most);
			struct rte_mbuf *m = payload(len, (uint8_t)put);
			const enum ooo_answer answer = ooo_put(q, base + at, len, m);

			if (answer != OOO_KEPT)
				rte_pktmbuf_free(m);
			else
				for (uint32_t i = 0; i < q->n; i++)
					for (uint32_t k = 0; k < q->piece[q->first + i].len && q->piece[q->first + i].m == m; k++)
						if (model.first[q->piece[q->first + i].seq - base + k] < 0)
							model.first[q->piece[q->first + i].seq - base + k] = put;
			check(q, &model, base);
		}
		if (seed % 2)
			drain(q, &model, base);
		ooo_free(&ooos, &q);
	}
	assert_int_equal(rte_mempool_in_use_count(pools.rx), 0);
}

static void test_full(void **state)
{
	struct ooo *q = pool_get(&ooos);
	struct rte_mbuf *m;

	(void)state;
	ooo_init(q);
	for (uint32_t i = 0; i < LIMIT_tcp_ooo_segments; i++)
		assert_int_equal(ooo_put(q, 1000 + 2 * i, 1, payload(1, 0)), OOO_KEPT);
	m = payload(1, 0);
	assert_int_equal(ooo_put(q, 999, 1, m), OOO_FULL);
	assert_int_equal(ooo_put(q, 1000, 1, m), OOO_DUPLICATE);
	assert_int_equal(ooo_drop_last(q), tcp_cost(m));
	assert_int_equal(ooo_put(q, 999, 1, m), OOO_KEPT);
	ooo_free(&ooos, &q);
	assert_int_equal(rte_mempool_in_use_count(pools.rx), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_random),
	                                   cmocka_unit_test(test_full)};
	int failed;

	dpdk_start();
	if (packet_pools_init(&pools, "ooo", 0, 1) != OK)
		return 1;
	pool_init(&ooos, "ooos", sizeof(struct ooo), 4);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pool_fini(&ooos);
	packet_pools_fini(&pools);
	return failed;
}
