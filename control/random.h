/* Random bytes from the kernel: keys, tokens, uids, names. */
#ifndef CONTROL_RANDOM_H
#define CONTROL_RANDOM_H

#include <stddef.h>

void random_bytes(void *bytes, size_t n);

#endif
