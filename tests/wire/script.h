/* Packet scripts: see README.md for the language. */
#ifndef TESTS_WIRE_SCRIPT_H
#define TESTS_WIRE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/packet.h"

/* Runs one script. False: *why tells the line and the reason. */
bool script_run(const char *path, const struct packet_pools *pools, char *why, size_t n);

#endif
