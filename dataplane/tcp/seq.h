/* Sequence numbers: 32 bits that wrap, compared by the sign of their difference (RFC 9293, 3.4). */
#ifndef TCP_SEQ_H
#define TCP_SEQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool seq_gt(uint32_t a, uint32_t b)
{
	return FAULT(sequence_wrap) ? a > b : (int32_t)(a - b) > 0;
}

static inline bool seq_ge(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

/* From left on, right not among them. Empty: left is right. */
struct seq_range {
	uint32_t left, right;
};

static inline bool seq_range_empty(struct seq_range r)
{
	return r.left == r.right;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_gt(a, b) ? a : b;
}

#endif
