/* EAL and pools, once per program (main.c of this folder's parent). */
#ifndef TESTS_WIRE_LINK_STAND_H
#define TESTS_WIRE_LINK_STAND_H

#include "base/packet.h"

void stand_boot(struct packet_pools *pools);

#endif
