/*
 * Segments as bytes, written from RFC 9293, 3.1, RFC 7323, RFC 2018 and RFC 3168 without a look at the stack under test: an error that
 * the stack makes in both directions is not made here.
 */
#ifndef TESTS_WIRE_CODEC_H
#define TESTS_WIRE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum { FLAG_F = 1, FLAG_S = 2, FLAG_R = 4, FLAG_P = 8, FLAG_A = 16, FLAG_U = 32, FLAG_E = 64, FLAG_C = 128 };
enum { WIRE_BLOCKS_MAX = 4 };

/* Sequence numbers from left to right, right not among them (RFC 2018, 3). */
struct wire_block {
	uint32_t left, right;
};

struct wire_segment {
	uint16_t source, destination;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	bool has_mss, has_scale, has_ts, sack_ok;
	uint16_t mss;
	uint8_t scale;
	uint32_t tsval, tsecr;
	unsigned blocks;           /* of the SACK option; 0: none */
	struct wire_block block[WIRE_BLOCKS_MAX];
	uint8_t raw_options[40];   /* put before the others */
	unsigned raw_bytes;
	unsigned offset_words;     /* 0: the true one */
	bool bad_checksum;
	const uint8_t *payload;
	unsigned len;
};

/* Returns the bytes written, 0 when they do not fit. */
size_t wire_encode(const struct wire_segment *s, const struct addr *from, const struct addr *to, uint8_t *out,
                   size_t max);

/* Null, or what is wrong with the bytes. s->payload points into them. */
const char *wire_decode(struct wire_segment *s, const uint8_t *bytes, size_t n);

#endif
