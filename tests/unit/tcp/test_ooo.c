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
	struct seq_range again;
};

static const enum ooo_answer K = OOO_KEPT, D = OOO_DUPLICATE;

static const struct {
	const char *name;
	struct put put[6];
	struct seq_range want[6];        /* by sequence number */
	struct seq_range newest[6];
} cases[] = {
	{"apart", {{10, 5, K, {}}, {30, 5, K, {}}, {20, 5, K, {}}}, {{10, 15}, {20, 25}, {30, 35}}, {{20, 25}, {30, 35}, {10, 15}}},
	{"touching", {{10, 5, K, {}}, {15, 5, K, {}}, {5, 5, K, {}}}, {{5, 20}}, {{5, 20}}},
	{"the same", {{10, 5, K, {}}, {10, 5, D, {10, 15}}}, {{10, 15}}, {{10, 15}}},
	{"inside", {{10, 9, K, {}}, {12, 3, D, {12, 15}}}, {{10, 19}}, {{10, 19}}},
	{"over the end", {{10, 5, K, {}}, {12, 8, K, {12, 15}}}, {{10, 20}}, {{10, 20}}},
	{"over the beginning", {{10, 5, K, {}}, {5, 8, K, {10, 13}}}, {{5, 15}}, {{5, 15}}},
	{"around: only what lies before is kept", {{10, 5, K, {}}, {5, 20, K, {10, 15}}}, {{5, 15}}, {{5, 15}}},
	{"the gap between two", {{10, 5, K, {}}, {20, 5, K, {}}, {15, 5, K, {}}}, {{10, 25}}, {{10, 25}}},
	{"over the gap between two", {{10, 5, K, {}}, {20, 5, K, {}}, {12, 12, K, {12, 15}}}, {{10, 25}}, {{10, 25}}},
	{"into the gap between two", {{10, 5, K, {}}, {20, 5, K, {}}, {16, 2, K, {}}}, {{10, 15}, {16, 18}, {20, 25}},
	 {{16, 18}, {20, 25}, {10, 15}}},
	{"the end of the gap", {{10, 5, K, {}}, {20, 5, K, {}}, {18, 2, K, {}}}, {{10, 15}, {18, 25}}, {{18, 25}, {10, 15}}},
	{"over the wrap", {{UINT32_MAX - 1, 4, K, {}}, {1, 4, K, {1, 2}}}, {{UINT32_MAX - 1, 5}}, {{UINT32_MAX - 1, 5}}},
	{"what is repeated becomes the newest", {{10, 5, K, {}}, {30, 5, K, {}}, {10, 5, D, {10, 15}}}, {{10, 15}, {30, 35}},
	 {{10, 15}, {30, 35}}},
	{"what grows becomes the newest", {{10, 5, K, {}}, {30, 5, K, {}}, {15, 5, K, {}}}, {{10, 20}, {30, 35}},
	 {{10, 20}, {30, 35}}},
	{"those that unite leave the others' ages", {{10, 2, K, {}}, {20, 2, K, {}}, {30, 2, K, {}}, {12, 8, K, {}}},
	 {{10, 22}, {30, 32}}, {{10, 22}, {30, 32}}},
};

static bool same(struct seq_range a, struct seq_range b)
{
	return a.left == b.left && a.right == b.right;
}

static uint32_t chain_bytes(const struct ooo_range *r)
{
	uint32_t n = 0;

	for (const struct rte_mbuf *m = r->first; m; m = m->next) {
		n += m->data_len;
		assert_true(m->next != NULL || m == r->last);
	}
	return n;
}

static void expect_ranges(const char *name, const struct ooo *q, const struct seq_range want[6])
{
	unsigned n = 0;

	for (; n < 6 && !seq_range_empty(want[n]); n++) {
		const struct ooo_range *r = &q->range[q->order[n]];

		if (n >= q->n || !same(r->bytes, want[n]) || chain_bytes(r) != r->bytes.right - r->bytes.left)
			fail_msg("%s: range %u", name, n);
	}
	if (n != q->n)
		fail_msg("%s: %u ranges", name, q->n);
}

static void expect_newest(const char *name, const struct ooo *q, const struct seq_range want[6])
{
	struct seq_range got[6];
	const unsigned n = ooo_newest(q, got, 6);

	for (unsigned i = 0; i < n; i++)
		if (!same(got[i], want[i]))
			fail_msg("%s: %u-%u is the %u. newest", name, got[i].left, got[i].right, i);
	if (n != q->n)
		fail_msg("%s: %u are known by age", name, n);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct ooo *q = pool_get(&ooos);

		ooo_init(q);
		for (const struct put *p = cases[i].put; p < cases[i].put + 6 && p->len; p++) {
			struct rte_mbuf *m = payload(p->len, 0);
			struct seq_range again;
			uint32_t cost;
			const enum ooo_answer got = ooo_put(q, p->seq, m, &cost, &again);

			if (got != p->answer || !same(again, p->again))
				fail_msg("%s: put %u answers %d, %u-%u again", cases[i].name, p->seq, got, again.left, again.right);
			if (got != OOO_KEPT)
				rte_pktmbuf_free(m);
		}
		expect_ranges(cases[i].name, q, cases[i].want);
		expect_newest(cases[i].name, q, cases[i].newest);
		ooo_free(&ooos, &q);
	}
	assert_int_equal(rte_mempool_in_use_count(pools.rx), 0);
}

/* The bytes that the queue has, by who brought them: -1, or the number of a put. */
struct map {
	int by[SPAN];
};

static void look(const struct ooo *q, uint32_t base, struct map *map, uint32_t *cost)
{
	uint32_t edge = 0;

	memset(map, -1, sizeof(*map));
	*cost = 0;
	for (uint32_t i = 0; i < q->n; i++) {
		const struct ooo_range *r = &q->range[q->order[i]];
		uint32_t at = r->bytes.left - base;

		assert_true(i == 0 || at > edge);
		edge = r->bytes.right - base;
		assert_int_equal(chain_bytes(r), edge - at);
		for (const struct rte_mbuf *m = r->first; m; m = m->next) {
			*cost += tcp_cost(m);
			for (uint32_t k = 0; k < m->data_len; k++)
				map->by[at++] = rte_pktmbuf_mtod(m, const uint8_t *)[k];
		}
	}
}

/* After a put: what was there is as before, what is new lies in one gap and was brought by it, from its first new byte on. */
static void check_put(const struct map *before, const struct map *after, int put, uint32_t at, uint32_t len)
{
	unsigned added = 0, from = SPAN;

	for (unsigned k = 0; k < SPAN; k++) {
		if (before->by[k] == after->by[k])
			continue;
		assert_int_equal(before->by[k], -1);
		assert_int_equal(after->by[k], put);
		assert_in_range(k, at, at + len - 1);
		from = k < from ? k : from;
		assert_int_equal(k, from + added);
		added++;
	}
	for (unsigned k = at; k < at + len && added == 0; k++)
		assert_int_not_equal(before->by[k], -1);
	for (unsigned k = at; k < from && added > 0; k++)
		assert_int_not_equal(before->by[k], -1);
}

/* Byte by byte the hole is filled; what comes out is what was there. Returns the cost of what came out. */
static uint32_t drain(struct ooo *q, const struct map *map, uint32_t base)
{
	uint32_t nxt = base, cost = 0;
	struct rte_mbuf *m;

	for (unsigned hole = 0; hole < SPAN; hole++, nxt++)
		while ((m = ooo_take(q, nxt)) != NULL) {
			for (uint32_t k = 0; k < m->data_len; k++)
				assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[k], map->by[nxt - base + k]);
			nxt += m->data_len;
			cost += tcp_cost(m);
			assert_null(m->next);
			rte_pktmbuf_free(m);
		}
	assert_int_equal(q->n, 0);
	return cost;
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 2000; seed++) {
		struct ooo *q = pool_get(&ooos);
		struct map maps[2];
		uint32_t held = 0, cost = 0;
		struct rng r;

		rng_init(&r, seed);
		const uint32_t base = seed % 3 == 0 ? UINT32_MAX - rng_below(&r, SPAN) : rng_below(&r, UINT32_MAX);
		const uint32_t longest = seed % 2 ? 90 : 12;
		ooo_init(q);
		look(q, base, &maps[0], &cost);
		for (int put = 0; put < 60; put++) {
			const uint32_t at = rng_below(&r, SPAN - 1), most = SPAN - at < longest ? SPAN - at : longest;
			const uint32_t len = 1 + rng_below(&r, most);
			struct rte_mbuf *m = payload(len, (uint8_t)put);
			struct seq_range again, newest;

			if (ooo_put(q, base + at, m, &cost, &again) != OOO_KEPT)
				rte_pktmbuf_free(m);
			else
				held += cost;
			look(q, base, &maps[(put + 1) % 2], &cost);
			check_put(&maps[put % 2], &maps[(put + 1) % 2], put, at, len);
			assert_int_equal(cost, held);
			for (uint32_t k = again.left; k != again.right; k++)
				assert_int_not_equal(maps[put % 2].by[k - base], -1);
			assert_int_equal(ooo_newest(q, &newest, 1), 1);
			assert_true(seq_lt(newest.left, base + at + len) && seq_gt(newest.right, base + at));
		}
		if (seed % 4 < 2)
			assert_int_equal(drain(q, &maps[0], base), held);
		else
			for (; q->n > 0; held -= cost)
				cost = ooo_drop_last(q);
		ooo_free(&ooos, &q);
	}
	assert_int_equal(rte_mempool_in_use_count(pools.rx), 0);
}

static void test_full(void **state)
{
	struct ooo *q = pool_get(&ooos);
	struct seq_range again;
	struct rte_mbuf *m;
	uint32_t cost;

	(void)state;
	ooo_init(q);
	for (uint32_t i = 0; i < LIMIT_tcp_ooo_ranges; i++)
		assert_int_equal(ooo_put(q, 1000 + 3 * i, payload(1, 0), &cost, &again), OOO_KEPT);
	m = payload(1, 0);
	assert_int_equal(ooo_put(q, 998, m, &cost, &again), OOO_FULL);
	assert_true(seq_range_empty(again));
	assert_int_equal(ooo_put(q, 1000, m, &cost, &again), OOO_DUPLICATE);
	assert_int_equal(ooo_put(q, 999, m, &cost, &again), OOO_KEPT); /* what touches one needs no room */
	m = payload(1, 0);
	assert_int_equal(ooo_drop_last(q), tcp_cost(m));
	assert_int_equal(ooo_put(q, 997, m, &cost, &again), OOO_KEPT);
	ooo_free(&ooos, &q);
	assert_int_equal(rte_mempool_in_use_count(pools.rx), 0);
}

/* Small segments that continue a range lie in few buffers; not in one that someone else reads too, nor large ones. */
static void test_compacts(void **state)
{
	struct ooo *q = pool_get(&ooos);
	struct seq_range again;
	struct rte_mbuf *shared, *m;
	uint32_t cost, held = 0, seq = 50;

	(void)state;
	ooo_init(q);
	for (; seq < 50 + 4000; seq += 10) {
		assert_int_equal(ooo_put(q, seq, payload(10, (uint8_t)(seq / 10)), &cost, &again), OOO_KEPT);
		held += cost;
	}
	assert_int_equal(rte_mempool_in_use_count(pools.rx), 2);
	assert_int_equal(held, 2 * PACKET_ROOM);
	assert_int_equal(ooo_put(q, seq, payload(PACKET_COPY_MAX + 1, 0), &cost, &again), OOO_KEPT);
	assert_int_equal(cost, PACKET_ROOM);
	seq += PACKET_COPY_MAX + 1;
	shared = payload(10, 1);
	rte_mbuf_refcnt_update(shared, 1);
	assert_int_equal(ooo_put(q, seq + 1, shared, &cost, &again), OOO_KEPT);
	assert_int_equal(ooo_put(q, seq + 11, payload(10, 0), &cost, &again), OOO_KEPT);
	assert_int_equal(cost, PACKET_ROOM);
	for (uint32_t at = 50; (m = ooo_take(q, at)) != NULL; at += m->data_len, rte_pktmbuf_free(m))
		for (uint32_t k = 0; k < m->data_len && at + k < 4050; k++)
			assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[k], (uint8_t)((at + k) / 10));
	ooo_free(&ooos, &q);
	rte_pktmbuf_free(shared);
	assert_int_equal(rte_mempool_in_use_count(pools.rx), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_random),
	                                   cmocka_unit_test(test_full), cmocka_unit_test(test_compacts)};
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
