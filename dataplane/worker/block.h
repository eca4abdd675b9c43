/*
 * Blocks: generations as the data plane holds them, mapped read-only from sealed memory. What comes over the socket
 * must be sealed already; what is read from the state directory is sealed here, and then verified all the same.
 */
#ifndef WORKER_BLOCK_H
#define WORKER_BLOCK_H

#include <stddef.h>

#include "base/err.h"
#include "table/table.h"

enum { BLOCK_WHY_MAX = 256 };

/* Maps and verifies; the descriptor stays the caller's. */
enum err block_open(int memfd, const struct table **t, char why[static BLOCK_WHY_MAX]) MUST_CHECK;
void block_close(const struct table *t);

/* The last accepted generation: state_dir/generation, replaced as a whole. NOT_FOUND: there is none. */
enum err block_load(const char *state_dir, const struct table **t, char why[static BLOCK_WHY_MAX]) MUST_CHECK;
enum err block_save(const char *state_dir, const struct table *t) MUST_CHECK;

#endif
