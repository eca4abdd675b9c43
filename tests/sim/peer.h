/*
 * A TCP connection of a client or an upstream that need not behave: what it sends is a buffer that is filled with whole
 * messages, right or wrong, and leaves in pieces of any size at any pace, up to a place where the connection is ended;
 * what it receives is read at its own pace.
 */
#ifndef SIM_PEER_H
#define SIM_PEER_H

#include "tests/sim/host.h"
#include "tests/sim/wire.h"

enum { PEER_UNREAD = 8192 };

struct peer_ops {
	void (*on_end)(void *user);    /* everything that the other side sent was read, and it has ended; or was reset */
	void (*on_malformed)(void *user, const char *why);
};

struct peer {
	struct sim *sim;
	struct host *host;
	struct rng *rng;
	struct tcp_conn *tcp;          /* null: closed */
	const struct peer_ops *ops;
	void *user;
	struct wire in;
	bool opened, eof, reset, shut, told;
	struct rte_mbuf *unread[PEER_UNREAD];
	uint32_t unread_head, unread_tail;
	uint64_t read_after_ns;        /* not before */
	uint64_t read_gap_ns;          /* between reads, at most; 0: at once */
	uint8_t *out;                  /* bytes of the stream from out_base on */
	uint64_t out_base, out_n, out_max, sent, acked;
	uint64_t hold_at;              /* nothing from here on is sent before hold_until_ns */
	uint64_t hold_until_ns;
	uint64_t cut_at;               /* the stream ends here, whatever is queued */
	bool cut_by_reset;
	uint64_t reset_at_ns;          /* 0: that place is not reached. A reset overtakes what is queued, so it waits a little */
	uint32_t piece_max;            /* 0: as much as fits */
	uint64_t write_gap_ns, write_after_ns;
};

void peer_init(struct peer *p, struct host *h, struct rng *rng, bool requests, const struct wire_ops *wire,
               const struct peer_ops *ops, void *user);
void peer_fini(struct peer *p);
void peer_attach(struct peer *p, struct tcp_conn *tcp);   /* one that was accepted */
enum err peer_connect(struct peer *p, const char *addr, uint16_t port);
uint64_t peer_end(const struct peer *p);                  /* of what is queued, as an offset in the stream */
void peer_put(struct peer *p, const void *bytes, size_t n);
void peer_text(struct peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void peer_cut(struct peer *p, uint64_t at, bool by_reset);
void peer_round(struct peer *p);                          /* reads and writes what may be read and written now */
bool peer_written(const struct peer *p);
bool peer_delivered(const struct peer *p);                /* and the other side's TCP has it: a reset destroys nothing */

#endif
