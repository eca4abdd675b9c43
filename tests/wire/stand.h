/*
 * The stand on which a script tests the stack: one TCP on virtual time over a stand-in for IP, its user, and everything
 * that it sent and told.
 */
#ifndef TESTS_WIRE_STAND_H
#define TESTS_WIRE_STAND_H

#include "base/shard.h"
#include "tcp/tcp.h"
#include "tests/wire/codec.h"
#include "tests/wire/ip_double.h"

enum { SENT_MAX = 512, SENT_BYTES = 2048, EVENTS_MAX = 64, HELD_MAX = 4096 };

struct stand_sent {
	uint64_t at_ns;
	struct tuple tuple;
	uint8_t ecn;                /* the two bits of the IP header */
	size_t n;
	uint8_t bytes[SENT_BYTES];
};

struct stand {
	struct shard shard;
	struct counters counters;
	struct ip ip;
	struct tcp *tcp;
	bool listens;
	struct tcp_sending sending;
	uint8_t ecn;                /* the two bits of what arrives */
	struct tcp_conn *conn;      /* the last one that opened; null after on_closed */

	struct stand_sent sent[SENT_MAX]; /* what is not yet checked, in order */
	unsigned sent_first, sent_n;

	char event[EVENTS_MAX][48]; /* what the user was told and the script has not checked */
	unsigned event_n;
	uint32_t got_bytes;         /* delivered since the last check */
	uint32_t acked_bytes;
	uint64_t in_offset;         /* of the peer's stream: where the next delivered byte stands */
	uint64_t out_offset;        /* of ours: what was queued */
	const char *wrong;          /* a failure seen in a callback */
	bool abort_on_data, detach_on_accept, shutdown_on_eof, impatient;

	bool hold;                  /* the user keeps what it gets and gives no credit */
	struct rte_mbuf *held[HELD_MAX];
	unsigned held_n;

	struct rte_mbuf *hoard[65536]; /* memory that the stack may not have now */
	unsigned hoard_n;
};

/* Byte `offset` (0-based) of a stream: prime to every power of two, so that a shifted stream is seen. */
static inline uint8_t stream_byte(uint64_t offset, unsigned direction)
{
	return (uint8_t)((offset * 7 + offset / 251 + direction * 101) % 251);
}

void stand_boot(struct packet_pools *pools);             /* EAL and pools, once */
void stand_open(struct stand *s, const struct packet_pools *pools, uint64_t now_ns, uint64_t seed);
bool stand_close(struct stand *s, char *why, size_t n);  /* false: something leaked */

void stand_input(struct stand *s, const struct tuple *t, const uint8_t *bytes, size_t n);
void stand_flush(struct stand *s);                       /* the end of a round */
void stand_tick(struct stand *s, uint64_t ns);           /* time passes, timers fire, the round ends */

void stand_send(struct stand *s, uint32_t bytes, uint32_t slice_bytes);
void stand_credit(struct stand *s, unsigned n);          /* gives back the oldest n buffers */
void stand_hoard(struct stand *s, struct rte_mempool *pool);
void stand_release(struct stand *s);
enum err stand_connect(struct stand *s, const struct addr *to, uint16_t port, uint32_t timeout_ms);

#endif
