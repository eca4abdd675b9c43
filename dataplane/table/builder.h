/*
 * Building a generation: an append-only block that grows, with texts shared. Used by control's compiler, by filters'
 * compile functions, and by tests. Deterministic: the same calls give the same bytes.
 *
 * Offsets stay valid while the block grows; pointers do not (take them anew after every call that appends).
 */
#ifndef TABLE_BUILDER_H
#define TABLE_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "table/layout.h"

struct builder;

struct builder *builder_new(void);
void builder_free(struct builder *b);

/*
 * Each returns where it put what; aligned to TABLE_ALIGN, but for texts, of which equal ones are put once. What would
 * make the block larger than TABLE_BYTES_MAX, and all that comes after it, is not put: the answer is 0, or empty.
 */
uint32_t builder_put(struct builder *b, const void *bytes, size_t n);
struct table_list builder_list(struct builder *b, const void *items, size_t item_bytes, size_t n);
struct table_text builder_text(struct builder *b, const char *text, size_t len);
/* What is put next begins with a cache line, in a block that does. */
void builder_line(struct builder *b);
/* A text that no other is equal to, or that need not be shared. */
struct table_text builder_own_text(struct builder *b, const char *text, size_t len);
/* Where builder_hash() will put each of them; returns the number of slots. */
size_t builder_places(const uint32_t *hashes, size_t n, uint32_t *places);
struct table_hash builder_hash(struct builder *b, const uint32_t *hashes, const uint32_t *values, size_t n);
void *builder_at(struct builder *b, uint32_t offset);
struct table *builder_root(struct builder *b);
size_t builder_bytes(const struct builder *b);     /* put so far */

/* An index has a run that is longer than the verifier takes: another hash_seed is needed. */
bool builder_is_crowded(const struct builder *b);
/* Fills sizes, content and checksum; *block is owned by the builder. LIMIT: something did not fit, or it is crowded. */
enum err builder_finish(struct builder *b, const struct table **block, size_t *bytes) MUST_CHECK;

#endif
