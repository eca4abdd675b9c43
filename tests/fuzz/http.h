/*
 * What the two HTTP fuzz targets share: a relay between a client's and an upstream's connection on the double of TCP,
 * and an oracle: llhttp, strict, over the very bytes that went out.
 */
#ifndef TESTS_FUZZ_HTTP_H
#define TESTS_FUZZ_HTTP_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), abort()))

/* tests/unit/http/pipe.h asks cmocka; here a failure is an abort. */
#define TESTS_UNIT_TEST_H
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define assert_true(x) MUST(x)
#define assert_false(x) MUST(!(x))
#define assert_non_null(x) MUST((x) != NULL)
#define assert_int_equal(a, b) MUST((a) == (b))

#include "http/llhttp.h"
#include "tests/unit/http/pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { BODY_MAX = 1 << 16 };

/* One direction's bodies, message after message, each ended by a mark that is no part of it. */
struct bodies {
	char text[BODY_MAX];
	size_t n;
	unsigned messages;
};

static inline void bodies_add(struct bodies *b, const char *at, size_t n)
{
	MUST(b->n + n < BODY_MAX);
	if (n)
		memcpy(b->text + b->n, at, n);
	b->n += n;
}

static inline void bodies_end(struct bodies *b)
{
	bodies_add(b, "|", 1);
	b->messages++;
}

static inline int oracle_body(llhttp_t *p, const char *at, size_t n)
{
	bodies_add(p->data, at, n);
	return 0;
}

static inline int oracle_end(llhttp_t *p)
{
	bodies_end(p->data);
	return 0;
}

/* Gives bytes in pieces whose sizes come from the seed. */
static inline void feed(struct tcp_conn *c, const uint8_t *bytes, size_t n, uint8_t seed)
{
	struct rng r;

	rng_init(&r, seed);
	while (n && !c->closed) {
		size_t part = seed == 0 ? n : 1 + rng_below(&r, seed < 128 ? 4 : 64);

		part = part < n ? part : n;
		rig_input(c, (const char *)bytes, part);
		bytes += part;
		n -= part;
		if (seed & 1)
			rig_tick(1);
	}
	for (unsigned i = 0; i < 300 && !c->closed; i++)
		rig_tick(1);
}

#endif
