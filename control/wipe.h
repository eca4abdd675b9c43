/*
 * Memory that may hold a key or a password: overwritten when it is given back, so that neither freed heap nor a swapped
 * page keeps it. Requests, replies and the documents made of them live here.
 */
#ifndef CONTROL_WIPE_H
#define CONTROL_WIPE_H

#include <stddef.h>

#include "base/doc.h"

extern const yyjson_alc wiping;         /* for yyjson's functions that take an allocator */

void *wiping_alloc(size_t bytes);
void *wiping_grow(void *memory, size_t bytes);
void wiping_free(void *memory);         /* null is fine */

#endif
