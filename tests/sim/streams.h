/*
 * streams: two hosts with our TCP and nothing else between them, and applications that do as they like. They write in
 * pieces of any size, read late and little, also parts of packets, close one half early or both at the end, give up, or
 * vanish with their host.
 * Each byte is computed from (stream, offset), so the model of a stream is three numbers: what was written, what was
 * delivered, what is known to be acknowledged. After every event:
 *
 *      acknowledged <= delivered <= written, each byte in its place
 *      the end of a stream is told once, behind its last byte, and only if the writer ended it
 *      a connection ends with an error only if one of its ends gave up or vanished
 *      what stands in a connection and in its queues fits together, and what waits for the peer has a timer
 *      (support/tcp_invariants.c)
 *
 * A middlebox takes SACK, timestamps or window scaling from the SYNs of some seeds, so that TCP without them, and
 * without PAWS, is walked as well; a narrow hop has an MTU of down to 576 (IPv4) or 1280 (IPv6).
 */
#ifndef SIM_STREAMS_H
#define SIM_STREAMS_H

struct sim;
struct world;

void scenario_streams(struct sim *s, struct world *w);

#endif
