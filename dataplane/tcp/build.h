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

struct build {
	struct tcp_conn *conn;
	uint32_t seq;
	uint32_t len;              /* payload bytes, from the position on */
	uint16_t wnd;
	uint8_t flags;
	uint8_t traffic_class;
	struct seq_range again;    /* came although we had it (D-SACK); empty: nothing did */
};

/* Moves *at (null without payload) behind what was sent. False: no memory, nothing was sent. */
bool build_send(const struct build *b, struct sendq_at *at);

/* MSS that we announce: what fits into our own MTU without options (RFC 6691). What was learned about the path is about
 * the way to the peer, not from it. */
uint16_t build_mss(struct tcp *t, struct ip_path *path, const struct tuple *tuple);

#endif
