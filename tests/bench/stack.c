#include "tests/bench/stack.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/support/table_fixture.h"

static bool accepts(void *up, const struct tuple *t, struct tcp_sending *sending)
{
	struct stack *s = up;

	(void)t;
	*sending = s->sending;
	return s->on_accept != NULL;
}

static void on_accept(void *up, struct tcp_conn *c)
{
	struct stack *s = up;

	s->on_accept(s->user, c);
}

static void on_tcp(void *up, const struct ip_datagram *d)
{
	tcp_input(((struct stack *)up)->tcp, d);
}

static void on_icmp_error(void *up, const struct ip_icmp_error *e)
{
	tcp_icmp_error(((struct stack *)up)->tcp, e);
}

static void on_hand_over(void *up, struct rte_mbuf *m, uint16_t worker)
{
	(void)up;
	(void)worker;
	rte_pktmbuf_free(m);
}

void stack_pools(struct stack *s, const char *name)
{
	s->shard = (struct shard){.workers = 1, .counters = &s->counters, .recv_max = UINT32_MAX};
	CHECK(packet_pools_init(&s->shard.pools, name, SOCKET_ID_ANY, 50) == OK);
	pool_init(&s->shard.chunks, name, ARENA_CHUNK, 64);
	wheel_init(&s->shard.wheel, 0);
	rng_init(&s->shard.rng, 1);
}

void stack_start(struct stack *s, struct port *port, const char *address, const char *gateway)
{
	const struct ip_up ip_up = {.on_tcp = on_tcp, .on_icmp_error = on_icmp_error, .on_hand_over = on_hand_over, .up = s};
	const struct tcp_up tcp_up = {.accepts = accepts, .on_accept = on_accept, .up = s};
	struct fixture f = {.workers = 1, .ports = {{.name = "port"}}, .addresses = {{address, 0, false}}};
	size_t bytes;

	if (gateway)
		f.ip_routes[0] = (struct fixture_ip_route){"0.0.0.0/0", gateway, 0};
	s->port = port;
	s->tx = (struct port_tx){.port = port, .shard = &s->shard};
	s->table = fixture_table(&f, &bytes);
	s->shard.table = s->table;
	s->neighbours = ip_link_new(1);
	s->ip = ip_new(&s->shard, s->neighbours, &s->tx, 1, &ip_up);
	s->tcp = tcp_new(&s->shard, s->ip, &tcp_up);
	CHECK(s->ip && s->tcp);
	ip_apply(s->ip);
}

unsigned stack_round(struct stack *s, uint64_t now_ns)
{
	struct rte_mbuf *m[PORT_BURST];
	uint16_t n;

	s->shard.now_ns = now_ns;
	n = s->port->rx_burst(s->port, 0, m, PORT_BURST);
	for (uint16_t i = 0; i < n; i++)
		ip_input(s->ip, m[i], 0);
	wheel_advance(&s->shard.wheel, now_ns, 64);
	tcp_flush(s->tcp);
	port_tx_flush(&s->tx);
	return n;
}

void stack_send(struct stack *s, struct tcp_conn *c, const void *text, uint16_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(s->shard.pools.payload);
	CHECK(m);
	char *at = rte_pktmbuf_append(m, n);
	CHECK(at);
	memcpy(at, text, n);
	struct slice piece = slice_of(m, at, n);
	rte_pktmbuf_free(m);
	CHECK(tcp_send(c, piece));
}
