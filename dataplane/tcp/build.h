/* Building one segment: a fresh header mbuf, options, payload copied or referred to, and off it goes. */
#ifndef TCP_BUILD_H
#define TCP_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/sendq.h"
#include "tcp/seq.h"

struct ip_path;
struct tcp;
struct tcp_conn;
struct tuple;

/* A large segment in the making. */
struct build_run {
	struct tcp_conn *conn;     /* null: no run */
	struct rte_mbuf *m, *tail; /* null: it has not begun */
	bool copies;               /* tail is a block of copies */
	uint8_t traffic_class;
	uint16_t wnd;
	uint16_t segments;
	uint16_t last;             /* payload bytes of the last one */
	uint32_t bytes;
	uint32_t next;             /* sequence number behind it */
};

struct build {
	struct tcp_conn *conn;
	uint32_t seq;
	uint32_t len;              /* payload bytes, from the position on */
	uint16_t wnd;
	uint8_t flags;
	uint8_t traffic_class;
	struct seq_range again;    /* came although we had it (D-SACK); empty: nothing did */
};

/*
 * Moves *at (null without payload) behind what was sent. False: no memory, nothing was sent.
 *
 * Between build_run() and build_run_end() segments that follow each other are put together, where the path's port cuts
 * them again (TSO): for the caller each of them was sent. Nothing else may use the connection's path meanwhile.
 */
bool build_send(const struct build *b, struct sendq_at *at);

void build_run(struct tcp_conn *c);
void build_run_end(struct tcp *t);

/* MSS that we announce: what fits into our own MTU without options (RFC 6691). What was learned about the path is about
 * the way to the peer, not from it. */
uint16_t build_mss(struct tcp *t, struct ip_path *path, const struct tuple *tuple);

#endif
