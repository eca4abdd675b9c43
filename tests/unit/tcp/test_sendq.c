/* The send queue against a plain string: random puts, reads from head and cursor, acknowledgments of any size. */
#include "../dpdk.h"
#include "../test.h"

#include <rte_mempool.h>
#include <string.h>

#include "base/rng.h"
#include "tcp/sendq.h"

enum { MODEL_MAX = 100000 };

static struct packet_pools pools;
static struct pool chunks;

struct model {
	struct sendq q;
	struct rng r;
	uint8_t bytes[MODEL_MAX];
	uint32_t head, cursor, end; /* positions in bytes */
};

static bool put(struct model *m)
{
	const uint32_t n = 1 + rng_below(&m->r, rng_below(&m->r, 4) ? 20 : 900), skip = rng_below(&m->r, 100);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pools.payload);
	struct slice s;
	uint8_t *at;

	if (m->end + n > MODEL_MAX) {
		rte_pktmbuf_free(mbuf);
		return false;
	}
	at = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)(n + skip)) + skip;
	for (uint32_t i = 0; i < n; i++)
		at[i] = m->bytes[m->end + i] = (uint8_t)rng_u64(&m->r);
	s = slice_of(mbuf, (const char *)at, (uint16_t)n);
	rte_pktmbuf_free(mbuf);
	if (!sendq_put(&m->q, &chunks, s)) {
		slice_free(&s);
		return false;
	}
	m->end += n;
	return true;
}

/* Reads up to n bytes at a position that stands at `from`, and compares. Returns where it stands then. */
static uint32_t read_some(struct model *m, struct sendq_at *at, uint32_t from, uint32_t n)
{
	while (n > 0 && from < m->end) {
		const uint32_t most = n < m->end - from ? n : m->end - from;
		struct rte_mbuf *mbuf;
		uint32_t off, got = sendq_read(at, most, &mbuf, &off);

		assert_true(got > 0 && got <= most);
		assert_memory_equal((char *)mbuf->buf_addr + off, m->bytes + from, got);
		from += got;
		n -= got;
	}
	return from;
}

static void step(struct model *m)
{
	struct sendq_at at;

	switch (rng_below(&m->r, 6)) {
	case 0:
	case 1:
		put(m);
		break;
	case 2: /* new data is sent */
		if (m->cursor == m->end)
			break;
		at = sendq_cursor(&m->q);
		m->cursor = read_some(m, &at, m->cursor, 1 + rng_below(&m->r, 1500));
		sendq_set_cursor(&m->q, at);
		break;
	case 3: /* acknowledged up to anywhere, also beyond the cursor after a go-back */
		{
			const uint32_t n = rng_below(&m->r, m->end - m->head + 1);

			sendq_drop(&m->q, &chunks, n);
			m->head += n;
			if (m->cursor < m->head)
				m->cursor = m->head;
		}
		break;
	case 4: /* the head is sent again */
		if (m->head == m->end)
			break;
		at = sendq_head(&m->q);
		read_some(m, &at, m->head, 1 + rng_below(&m->r, 1500));
		break;
	default: /* timeout: back to the head */
		if (rng_below(&m->r, 4))
			break;
		sendq_set_cursor(&m->q, sendq_head(&m->q));
		m->cursor = m->head;
		break;
	}
	if (m->head == m->end)
		assert_null(m->q.first);
}

static void test_random(void **state)
{
	static struct model m;

	(void)state;
	for (unsigned seed = 0; seed < 500; seed++) {
		memset(&m, 0, sizeof(m));
		rng_init(&m.r, seed);
		for (unsigned i = 0; i < 400; i++)
			step(&m);
		sendq_clear(&m.q, &chunks);
		assert_int_equal(pool_used(&chunks), 0);
		assert_int_equal(rte_mempool_in_use_count(pools.payload), 0);
	}
}

static void test_no_chunks(void **state)
{
	static struct model m;
	unsigned n = 0;

	(void)state;
	memset(&m, 0, sizeof(m));
	rng_init(&m.r, 1);
	while (put(&m))
		n++;
	assert_int_equal(n, chunks.capacity * SENDQ_CHUNK_SLICES);
	assert_int_equal(m.q.slices, n);
	sendq_clear(&m.q, &chunks);
	assert_int_equal(rte_mempool_in_use_count(pools.payload), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_no_chunks)};
	int failed;

	dpdk_start();
	if (packet_pools_init(&pools, "sendq", 0, 20) != OK)
		return 1;
	pool_init(&chunks, "chunks", sizeof(struct sendq_chunk), 40);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pool_fini(&chunks);
	packet_pools_fini(&pools);
	return failed;
}
