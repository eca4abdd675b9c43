/*
 * A middlebox that takes SACK-permitted out of SYNs, as some do: both ends then recover as NewReno does (RFC 6582), and
 * after a timeout what is sent again is cut anew, so that it overlaps with what the receiver holds.
 */
#ifndef SIM_MIDDLEBOX_H
#define SIM_MIDDLEBOX_H

#include <stdint.h>

/* The option's two bytes become NOPs, the checksum is mended (RFC 1624). Whatever is no TCP segment with SYN stays. */
void middlebox_strip_sack(uint8_t *frame, uint32_t n);

#endif
