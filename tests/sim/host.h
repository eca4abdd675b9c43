/* A host at the end of a link: our IP and TCP, one shard, no gateway above them. */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "base/shard.h"
#include "ip/ip.h"
#include "table/table.h"
#include "tcp/tcp.h"
#include "tests/sim/link.h"

struct streams;

enum { HOST_CLOSED_PORT = 9 }; /* nobody listens there */

struct host {
	struct actor actor;
	struct shard shard;
	struct counters counters;
	struct link_port port;
	struct port_tx tx;
	struct ip_link *neighbours;
	struct ip *ip;
	struct tcp *tcp;
	struct tcp_sending sending;                      /* of connections that it accepts */
	struct table *table;
	void (*on_accept)(void *up, struct tcp_conn *c); /* null: accepts nothing */
	void (*on_round)(void *up);                      /* what the applications do each round; may be null */
	void *up;
	struct streams *streams;                         /* the scenario of that name */
	bool vanished;                                   /* it never runs again; its peers are not told */
	uint32_t pool_full[4];
};

/* addresses and gateways: "198.18.0.2/24", "198.18.0.1"; a null gateway4/6: none. */
struct host_config {
	const char *name;
	uint8_t mac[6];
	const char *address4, *address6;
	const char *gateway4, *gateway6;
};

void host_init(struct host *h, struct link *l, const struct host_config *c);
void host_fini(struct host *h);
void host_kick(struct host *h);                        /* run a round soon */
bool host_clean(struct host *h, char *why, size_t n);  /* no connection, every mbuf back */

/* Fullness of a shard's packet pools, to compare before and after. */
void pools_available(const struct packet_pools *p, uint32_t out[4]);

/* A payload mbuf of `n` <= PACKET_PAYLOAD_MAX bytes as a slice; false: no mbuf. */
bool host_slice(struct host *h, uint16_t n, struct slice *out, uint8_t **bytes);

/* Until everybody is sure of its address: nobody may speak from one before (RFC 5227, RFC 4862). */
void hosts_settle(struct sim *s);

#endif
