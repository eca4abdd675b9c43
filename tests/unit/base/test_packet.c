/*
 * Packet pools and slices; and that the asan flavour sees what it is there for: a use after free planted in an mbuf
 * room, a pool object and an arena chunk, each in a child that must die by ASan's report.
 */
#include "../dpdk.h"
#include "../test.h"

#include <rte_mempool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/packet.h"

static void test_pools(void **state)
{
	struct packet_pools p, again;
	struct rte_mbuf *m, *reference;
	struct slice s, second;

	(void)state;
	assert_int_equal(packet_pools_init(&p, "t0", 0, 5), OK);
	assert_int_equal(packet_pools_init(&again, "t1", 0, 1), OK);
	packet_pools_fini(&again);
	assert_int_equal(packet_pools_init(&again, "a name that is too long for it", 0, 1), ERR_NO_MEMORY);

	m = rte_pktmbuf_alloc(p.rx);
	assert_int_equal(m->buf_len, PACKET_ROOM);
	packet_meta(m)->iface = 3;
	packet_meta(m)->rx_ns = UINT64_MAX;
	memcpy(rte_pktmbuf_append(m, 11), "hello world", 11);
	s = slice_of(m, rte_pktmbuf_mtod_offset(m, char *, 6), 5);
	second = slice_of(m, rte_pktmbuf_mtod(m, char *), 5);
	rte_pktmbuf_free(m);
	assert_memory_equal(slice_at(&s), "world", 5);
	slice_free(&s);
	assert_memory_equal(slice_at(&second), "hello", 5);

	reference = rte_pktmbuf_alloc(p.reference);
	rte_pktmbuf_attach(reference, second.m);
	slice_free(&second);
	assert_int_equal(rte_mempool_in_use_count(p.rx), 1);
	rte_pktmbuf_free(reference);
	assert_int_equal(rte_mempool_in_use_count(p.rx), 0);
	assert_int_equal(rte_mempool_in_use_count(p.reference), 0);

	m = rte_pktmbuf_alloc(p.header);
	assert_int_equal(m->buf_len, PACKET_HEADER_ROOM);
	rte_pktmbuf_free(m);
	packet_pools_fini(&p);
}

#ifdef SLUICE_ASAN

static void use_freed_mbuf(void)
{
	struct packet_pools p;
	struct rte_mbuf *m;
	volatile char *room;

	if (packet_pools_init(&p, "uaf", 0, 1))
		_exit(0);
	m = rte_pktmbuf_alloc(p.payload);
	room = rte_pktmbuf_append(m, 100);
	rte_pktmbuf_free(m);
	room[50] = 1;
}

static void use_freed_object(void)
{
	struct pool p;
	volatile char *object;

	pool_init(&p, "uaf", 64, 4);
	object = pool_get(&p);
	pool_put(&p, (void *)(uintptr_t)object);
	object[10] = 1;
}

static void use_reset_arena(void)
{
	struct pool chunks;
	struct arena a;
	volatile char *text;

	pool_init(&chunks, "uaf", ARENA_CHUNK, 4);
	arena_init(&a, &chunks, 4);
	text = arena_text(&a, "gone", 4);
	arena_reset(&a);
	text[1] = 1;
}

static void use_past_end_of_arena(void)
{
	struct pool chunks;
	struct arena a;
	volatile char *text;

	pool_init(&chunks, "uaf", ARENA_CHUNK, 4);
	arena_init(&a, &chunks, 4);
	text = arena_get(&a, 16);
	text[17] = 1;
}

static const struct {
	const char *name;
	void (*plant)(void);
} plants[] = {
	{"mbuf room", use_freed_mbuf},
	{"pool object", use_freed_object},
	{"arena chunk", use_reset_arena},
	{"arena overrun", use_past_end_of_arena},
};

static void test_planted(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(plants); i++) {
		char report[4096] = "";
		int out[2], status;
		size_t n = 0;
		ssize_t got;
		pid_t child;

		assert_int_equal(pipe(out), 0);
		child = fork();
		if (child == 0) {
			dup2(out[1], STDERR_FILENO);
			close(out[0]);
			plants[i].plant();
			_exit(0);
		}
		close(out[1]);
		while ((got = read(out[0], report + n, n < sizeof(report) - 1 ? sizeof(report) - 1 - n : 0)) > 0)
			n += (size_t)got;
		close(out[0]);
		report[n] = '\0';
		assert_int_equal(waitpid(child, &status, 0), child);
		if (!strstr(report, "AddressSanitizer: use-after-poison"))
			fail_msg("%s: not reported (status %d): %s", plants[i].name, status, report);
	}
}

#else

static void test_planted(void **state)
{
	(void)state;
	print_message("planted use after free: needs the asan flavour\n");
	skip();
}

#endif

static int start(void **state)
{
	(void)state;
	dpdk_start();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_planted),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
