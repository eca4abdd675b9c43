/*
 * What every layer of one worker shares: its number, the clock of this round, randomness, timers, counters, packet
 * pools and the tables of this round. Passed down as an explicit pointer; there are no thread-locals below worker/.
 */
#ifndef BASE_SHARD_H
#define BASE_SHARD_H

#include <stdint.h>

#include "base/arena.h"
#include "base/counters.h"
#include "base/logring.h"
#include "base/packet.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/wheel.h"

struct table;   /* table/table.h */
struct regex;   /* route/regex.h */

struct shard {
	uint64_t now_ns;            /* monotonic, read once per round */
	uint64_t wall_us;           /* wall clock of the same instant, for logs */
	const struct table *table;  /* the generation of this round: never kept beyond it; null before the first */
	struct regex *const *regexes; /* this worker's, of that generation, by index in its list */
	struct counters *counters;
	uint16_t worker;            /* 0-based */
	uint16_t workers;
	uint32_t tcp_conns;         /* room for so many connections; 0: TCP_CONNS_LEAST */
	uint8_t shed;               /* enum shed (pressure.h): what this round sheds for want of memory */
	uint32_t recv_max;          /* buffer bytes that a connection's receive buffer may grow to, as memory is now */
	struct packet_pools pools;
	struct pool chunks;         /* arena chunks */
	struct wheel wheel;
	struct rng rng;
	struct logring *access_log;
	uint32_t isn_top;           /* tests: when not 0, sequence numbers begin up to 64 KiB below it, and wrap soon */
	uint8_t secret[32];         /* key of keyed hashes (ISN), the same in all shards of a process */
	const _Atomic uint64_t *fresh; /* two words that housekeeping draws anew every minute; null: nobody does */
};

#endif
