/*
 * A middlebox that takes options out of SYNs, as some do. Without SACK-permitted both ends recover as NewReno does (RFC
 * 6582), and after a timeout what is sent again is cut anew, so that it overlaps with what the receiver holds; without
 * timestamps there is no PAWS and RTT is sampled once per window; without window scaling windows end at 64 KiB.
 */
#ifndef SIM_MIDDLEBOX_H
#define SIM_MIDDLEBOX_H

#include <stdint.h>

/* The bytes of options of these kinds (a bit each) become NOPs, the checksum is mended (RFC 1624). Whatever is no TCP segment with SYN stays. */
void middlebox_strip(uint8_t *frame, uint32_t n, uint32_t kinds);

#endif
