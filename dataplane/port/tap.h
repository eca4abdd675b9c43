/*
 * Taps: copies of the frames that a port takes and gives, for `sluicectl capture`. A tap belongs to one queue of one
 * port, so to one worker, and is there only while a capture runs; without one a burst costs a look at a pointer.
 *
 * A frame that the filter takes is copied (rte_pcapng) with its time and direction, and put into the ring of the
 * worker. When there is no memory for a copy, the copy is lost and counted; the frame never is.
 *
 * Filters are classic BPF as libpcap's compiler makes it, run by rte_bpf after its verifier has seen them.
 */
#ifndef PORT_TAP_H
#define PORT_TAP_H

#include <rte_mempool.h>
#include <rte_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "port/port.h"

enum { TAP_INSTRUCTIONS_MAX = 2048, TAP_SNAP_MAX = 65535 };

struct rte_bpf;

/* One instruction of classic BPF, as in struct bpf_insn. */
struct tap_instruction {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

struct port_tap {
	const struct rte_bpf *filter;   /* null: takes every frame */
	struct rte_mempool *copies;
	struct rte_ring *out;           /* the worker is its one producer */
	struct counters *counters;      /* the worker's */
	uint32_t snap;                  /* bytes of a frame that are copied, at most */
	uint16_t port;                  /* struct port: id */
};

/* Null: it is no program that ends in bounded time and reads frames only. */
struct rte_bpf *tap_filter_new(const struct tap_instruction *instructions, uint32_t n);
void tap_filter_free(struct rte_bpf *filter);

/* Null: no memory. The name is the pool's, for people. */
struct rte_mempool *tap_copies_new(const char *name, uint32_t snap);

/* From the worker of that queue. `in`: the frames were received; else they are about to be sent. */
void tap_see(const struct port_tap *t, uint16_t queue, struct rte_mbuf *const *m, uint16_t n, bool in);

#endif
