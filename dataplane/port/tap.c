#include "port/tap.h"

#include <pcap/bpf.h>
#include <rte_bpf.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_pcapng.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"

struct rte_bpf *tap_filter_new(const struct tap_instruction *instructions, uint32_t n)
{
	struct bpf_insn classic[TAP_INSTRUCTIONS_MAX];
	const struct bpf_program program = {.bf_len = n, .bf_insns = classic};
	struct rte_bpf_prm *converted;
	struct rte_bpf *filter;

	CHECK(n <= TAP_INSTRUCTIONS_MAX);
	for (uint32_t i = 0; i < n; i++)
		classic[i] = (struct bpf_insn){.code = instructions[i].code, .jt = instructions[i].jt,
		                               .jf = instructions[i].jf, .k = instructions[i].k};
	converted = rte_bpf_convert(&program);
	if (!converted)
		return NULL;
	filter = rte_bpf_load(converted);
	rte_free(converted);
	return filter;
}

void tap_filter_free(struct rte_bpf *filter)
{
	rte_bpf_destroy(filter);
}

struct rte_mempool *tap_copies_new(const char *name, uint32_t snap)
{
	const uint32_t frame = snap < RTE_MBUF_DEFAULT_DATAROOM ? snap : RTE_MBUF_DEFAULT_DATAROOM;

	/* Not cached by lcores: what lies in a cache of a worker would not be free to another. */
	return rte_pktmbuf_pool_create(name, LIMIT_capture_copies, 0, 0, (uint16_t)rte_pcapng_mbuf_size(frame),
	                               SOCKET_ID_ANY);
}

static void put(const struct port_tap *t, uint16_t queue, const struct rte_mbuf *m, bool in)
{
	const enum rte_pcapng_direction direction = in ? RTE_PCAPNG_DIRECTION_IN : RTE_PCAPNG_DIRECTION_OUT;
	struct rte_mbuf *copy = rte_pcapng_copy(t->port, queue, m, t->copies, t->snap, direction, NULL);

	if (copy && rte_ring_sp_enqueue(t->out, copy) == 0) {
		count(t->counters, C_capture_frames);
		return;
	}
	rte_pktmbuf_free(copy);
	count(t->counters, C_limit_capture_copies);
}

void tap_see(const struct port_tap *t, uint16_t queue, struct rte_mbuf *const *m, uint16_t n, bool in)
{
	void *frames[PORT_BURST];
	uint64_t taken[PORT_BURST];

	CHECK_SLOW(n <= PORT_BURST);
	if (t->filter) {
		memcpy(frames, m, n * sizeof(frames[0]));
		rte_bpf_exec_burst(t->filter, frames, taken, n);
	}
	for (uint16_t i = 0; i < n; i++)
		if (!t->filter || taken[i])
			put(t, queue, m[i], in);
}
