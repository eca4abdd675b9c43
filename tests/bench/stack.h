/* One end of a bench: our IP and TCP on a port of this process, polled by the caller. */
#ifndef BENCH_STACK_H
#define BENCH_STACK_H

#include "base/shard.h"
#include "ip/ip.h"
#include "port/port.h"
#include "table/table.h"
#include "tcp/tcp.h"

struct stack {
	struct shard shard;
	struct counters counters;
	struct port *port;
	struct port_tx tx;
	struct ip_link *neighbours;
	struct ip *ip;
	struct tcp *tcp;
	struct tcp_sending sending;                        /* of connections that it accepts */
	struct table *table;
	void (*on_accept)(void *user, struct tcp_conn *c); /* null: accepts nothing */
	void *user;
};

/* Of a zeroed object. First its packet pools, from which its port receives; then, with that port, the rest. address: "198.18.0.2/24". */
void stack_pools(struct stack *s, const char *name);
void stack_start(struct stack *s, struct port *port, const char *address, const char *gateway); /* gateway: or null */
unsigned stack_round(struct stack *s, uint64_t now_ns);    /* returns the packets taken */

/* Sends text (at most PACKET_PAYLOAD_MAX bytes) on c; stops the program when there is no room. */
void stack_send(struct stack *s, struct tcp_conn *c, const void *text, uint16_t n);

#endif
