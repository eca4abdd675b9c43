/*
 * Blocks: generations as the data plane holds them: a copy of sealed memory, verified, and read-only from then on, in
 * large pages. What comes over the socket must be sealed already; what is read from the state directory is sealed here,
 * and then verified all the same.
 */
#ifndef WORKER_BLOCK_H
#define WORKER_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "table/table.h"

enum { BLOCK_WHY_MAX = 256, BLOCK_PAGE = 2 << 20 };

/* Copies and verifies; the descriptor stays the caller's, and is not needed any more. */
enum err block_open(int memfd, const struct table **t, char why[static BLOCK_WHY_MAX]) MUST_CHECK;
void block_close(const struct table *t);

/* The last accepted generation: state_dir/generation, replaced as a whole. NOT_FOUND: there is none. */
enum err block_load(const char *state_dir, const struct table **t, char why[static BLOCK_WHY_MAX]) MUST_CHECK;
enum err block_save(const char *state_dir, const struct table *t) MUST_CHECK;

/*
 * A generation for another machine can be tried only by starting the program anew, so the one that runs is kept
 * beside it, in state_dir/generation.good, until the new one runs too. When that does not start, the kept one takes
 * its place again and state_dir/generation.bad remembers which machine failed, and why: it is not tried twice.
 */
struct block_blame {
	uint64_t machine;              /* machine_digest() */
	char why[BLOCK_WHY_MAX];       /* one line; empty: nothing is blamed */
};

enum err block_keep(const char *state_dir, const struct table *t) MUST_CHECK;
enum err block_restore(const char *state_dir) MUST_CHECK;   /* NOT_FOUND: none is kept */
bool block_settle(const char *state_dir);                   /* drops the kept one; whether there was one */
enum err block_blame(const char *state_dir, const struct block_blame *b) MUST_CHECK;
struct block_blame block_blamed(const char *state_dir);
void block_forgive(const char *state_dir);

#endif
