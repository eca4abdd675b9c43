#include "tests/sim/host.h"

#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/support/table_fixture.h"

void pools_available(const struct packet_pools *p, uint32_t out[4])
{
	struct rte_mempool *const pools[4] = {p->rx, p->header, p->payload, p->reference};

	for (int i = 0; i < 4; i++)
		out[i] = rte_mempool_avail_count(pools[i]);
}

static void run(struct actor *a)
{
	struct host *h = container_of(a, struct host, actor);
	struct rte_mbuf *m[PORT_BURST];
	uint16_t n;

	if (h->vanished)
		return;
	h->shard.now_ns = a->sim->now_ns;
	h->shard.wall_us = a->sim->now_ns / NS_PER_US;
	h->shard.table = h->table;
	while ((n = h->port.port.rx_burst(&h->port.port, 0, m, PORT_BURST)))
		for (uint16_t i = 0; i < n; i++)
			ip_input(h->ip, m[i], 0);
	wheel_advance(&h->shard.wheel, h->shard.now_ns, 1024);
	if (h->on_round)
		h->on_round(h->up);
	tcp_flush(h->tcp);
	port_tx_flush(&h->tx);
	actor_at(a, wheel_next_ns(&h->shard.wheel));
}

void host_kick(struct host *h)
{
	actor_at(&h->actor, h->actor.sim->now_ns + rng_below(&h->actor.sim->rng, 20000));
}

static bool accepts(void *up, const struct tuple *t, struct tcp_sending *sending)
{
	struct host *h = up;

	*sending = h->sending;
	return h->on_accept != NULL && t->local_port != HOST_CLOSED_PORT;
}

static void on_accept(void *up, struct tcp_conn *c)
{
	struct host *h = up;

	h->on_accept(h->up, c);
}

static void on_tcp(void *up, const struct ip_datagram *d)
{
	tcp_input(((struct host *)up)->tcp, d);
}

static void on_icmp_error(void *up, const struct ip_icmp_error *e)
{
	tcp_icmp_error(((struct host *)up)->tcp, e);
}

static void on_hand_over(void *up, struct rte_mbuf *m, uint16_t worker)
{
	struct host *h = up;

	(void)worker;
	sim_fail(h->actor.sim, "%s: a single worker hands over", h->actor.name);
	rte_pktmbuf_free(m);
}

static struct table *make_table(const struct host_config *c)
{
	struct fixture f = {.workers = 1, .ports = {{.name = "eth0"}}, .addresses = {{c->address4, 0, false}}};
	size_t bytes;
	int routes = 0;

	if (c->address6)
		f.addresses[1] = (struct fixture_address){c->address6, 0, false};
	if (c->gateway4)
		f.ip_routes[routes++] = (struct fixture_ip_route){"0.0.0.0/0", c->gateway4, 0};
	if (c->gateway6)
		f.ip_routes[routes++] = (struct fixture_ip_route){"::/0", c->gateway6, 0};
	return fixture_table(&f, &bytes);
}

void host_init(struct host *h, struct link *l, const struct host_config *c)
{
	const struct ip_up ip_up = {.on_tcp = on_tcp, .on_icmp_error = on_icmp_error, .on_hand_over = on_hand_over, .up = h};
	const struct tcp_up tcp_up = {.accepts = accepts, .on_accept = on_accept, .up = h};
	struct sim *s = l->actor.sim;

	h->actor = (struct actor){.sim = s, .name = c->name, .run = run, .due_ns = UINT64_MAX};
	h->shard = (struct shard){.now_ns = s->now_ns, .workers = 1, .counters = &h->counters, .recv_max = UINT32_MAX};
	CHECK(packet_pools_init(&h->shard.pools, c->name, SOCKET_ID_ANY, 10) == OK);
	pools_available(&h->shard.pools, h->pool_full);
	pool_init(&h->shard.chunks, c->name, ARENA_CHUNK, 64);
	wheel_init(&h->shard.wheel, s->now_ns);
	rng_init(&h->shard.rng, rng_u64(&s->rng));
	for (unsigned i = 0; i < sizeof(h->shard.secret); i++)
		h->shard.secret[i] = (uint8_t)rng_u64(&s->rng);
	h->port.pools[0] = h->shard.pools.rx;
	h->port.readers[0] = &h->actor;
	h->port.wake_ns = 20 * NS_PER_US;
	link_attach(l, &h->port, c->mac, 0, 1);
	h->tx = (struct port_tx){.port = &h->port.port, .shard = &h->shard};
	h->table = make_table(c);
	h->shard.table = h->table;
	h->neighbours = ip_link_new(1);
	h->ip = ip_new(&h->shard, h->neighbours, &h->tx, 1, &ip_up);
	h->tcp = tcp_new(&h->shard, h->ip, &tcp_up);
	ip_apply(h->ip);
	host_kick(h);
}

void host_fini(struct host *h)
{
	link_port_drain(&h->port);
	tcp_free(h->tcp);
	ip_free(h->ip);
	ip_link_free(h->neighbours);
	pool_fini(&h->shard.chunks);
	packet_pools_fini(&h->shard.pools);
	free(h->table);
}

bool host_clean(struct host *h, char *why, size_t n)
{
	static const char *const names[] = {"rx", "header", "payload", "reference"};
	uint32_t now[4];

	if (tcp_conns(h->tcp)) {
		snprintf(why, n, "%s: %u connections left", h->actor.name, tcp_conns(h->tcp));
		return false;
	}
	pools_available(&h->shard.pools, now);
	for (int i = 0; i < 4; i++)
		if (now[i] != h->pool_full[i]) {
			snprintf(why, n, "%s: %d mbufs of pool %s leaked", h->actor.name, (int)(h->pool_full[i] - now[i]), names[i]);
			return false;
		}
	return true;
}

bool host_slice(struct host *h, uint16_t n, struct slice *out, uint8_t **bytes)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(h->shard.pools.payload);

	if (!m)
		return false;
	*bytes = (uint8_t *)rte_pktmbuf_append(m, n);
	CHECK(*bytes);
	*out = slice_of(m, (const char *)*bytes, n);
	rte_pktmbuf_free(m);
	return true;
}

void hosts_settle(struct sim *s)
{
	const uint64_t deadline = s->now_ns + NS_PER_S;

	while (s->now_ns < deadline && sim_step(s))
		;
}
