#include "tests/sim/link.h"

#include <rte_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/ecn.h"
#include "tests/sim/middlebox.h"
#include "tests/sim/nic.h"

struct frame {
	struct frame *next;
	uint64_t at_ns;
	struct link_port *from;
	uint32_t bytes;
	uint8_t data[LINK_FRAME];
};

struct held {
	struct held *next;
	uint64_t until_ns;
	struct rte_mbuf *m;
};

static bool chance(struct link *l, uint32_t per_10000)
{
	return per_10000 && rng_below(&l->actor.sim->rng, 10000) < per_10000;
}

static uint64_t up_to(struct link *l, uint64_t ns)
{
	return ns ? rng_u64(&l->actor.sim->rng) % ns : 0;
}

static void due(struct link *l)
{
	uint64_t at = UINT64_MAX;

	if (l->flying)
		at = l->flying->at_ns;
	if (l->held && l->held->until_ns < at)
		at = l->held->until_ns;
	actor_reschedule(&l->actor, at);
}

/* ---- sending ---- */

static void fly(struct link *l, struct link_port *from, const uint8_t *data, uint32_t bytes, uint64_t at_ns)
{
	struct frame *f = l->spare;

	if (f)
		l->spare = f->next;
	else
		f = malloc(sizeof(*f));
	CHECK(f && bytes <= LINK_FRAME);
	f->at_ns = at_ns;
	f->from = from;
	f->bytes = bytes;
	memcpy(f->data, data, bytes);
	struct frame **at = &l->flying;
	while (*at && (*at)->at_ns <= at_ns)
		at = &(*at)->next;
	f->next = *at;
	*at = f;
}

/* A fragment, but not the first of its datagram. */
static bool later_piece(const uint8_t *ip, uint32_t bytes)
{
	enum { IP6_FRAGMENT = 44, BEHIND_IP6 = 40 };

	if (ip[0] >> 4 == 4)
		return bytes >= 20 && ((ip[6] & 0x1f) != 0 || ip[7] != 0);
	return bytes >= BEHIND_IP6 + 8 && ip[6] == IP6_FRAGMENT && (ip[BEHIND_IP6 + 2] != 0 || ip[BEHIND_IP6 + 3] >> 3 != 0);
}

/*
 * One flipped bit: what a checksum must always see. ARP has none of its own (Ethernet's FCS guards it): spared. And of a
 * datagram in fragments only the first is hit, since two bits in the same column of a checksum may be none to it.
 */
static bool corrupt(struct link *l, uint8_t *data, uint32_t bytes)
{
	const uint32_t from = RTE_ETHER_HDR_LEN;

	if (bytes <= from || (data[12] == 0x08 && data[13] == 0x06) || later_piece(data + from, bytes - from))
		return false;
	data[from + rng_below(&l->actor.sim->rng, bytes - from)] ^= (uint8_t)(1u << rng_below(&l->actor.sim->rng, 8));
	return true;
}

/* Nobody is told, as when a switch in between loses power. */
static bool down(struct link *l)
{
	const uint64_t now_ns = l->actor.sim->now_ns;

	if (!l->faults.flap_ns)
		return false;
	while (now_ns >= l->up_ns) {
		l->down_ns = l->up_ns + 1 + up_to(l, 2 * l->faults.flap_every_ns);
		l->up_ns = l->down_ns + 1 + up_to(l, l->faults.flap_ns);
	}
	return now_ns >= l->down_ns;
}

/* A frame on its way, with what may happen to it there. */
static void launch(void *arg, uint8_t *data, uint32_t bytes)
{
	struct link_port *p = arg;
	struct link *l = p->link;
	struct sim *s = l->actor.sim;
	uint64_t at = s->now_ns + l->faults.delay_ns + up_to(l, l->faults.jitter_ns);

	if (chance(l, l->faults.reorder)) {
		l->reordered++;
		at += up_to(l, l->faults.reorder_ns);
	}
	if (chance(l, l->faults.duplicate)) {
		l->duplicated++;
		fly(l, p, data, bytes, at + up_to(l, l->faults.reorder_ns));
	}
	link_print(s, p->port.name, "sent", data, bytes);
	if (chance(l, l->faults.corrupt) && corrupt(l, data, bytes)) {
		link_print(s, p->port.name, "corrupted", data, bytes);
		l->corrupted++;
	}
	fly(l, p, data, bytes, at);
}

static bool lost(struct link *l, const struct link_port *p, const uint8_t *data, uint32_t bytes)
{
	if (!down(l) && !chance(l, l->faults.lose))
		return false;
	link_print(l->actor.sim, p->port.name, "lost", data, bytes);
	l->lost++;
	return true;
}

static void launch_piece(void *arg, uint8_t *data, uint32_t bytes)
{
	struct link_port *p = arg;

	if (!lost(p->link, p, data, bytes))
		launch(p, data, bytes);
}

/* A frame, whole, as it leaves the port. */
static void pass(void *arg, uint8_t *data, uint32_t bytes)
{
	struct link_port *p = arg;
	struct link *l = p->link;
	struct sim *s = l->actor.sim;
	uint8_t error[HOP_ERROR_MAX];
	uint32_t error_n;

	if (bytes > (uint32_t)RTE_ETHER_HDR_LEN + p->port.mtu) {
		sim_fail(s, "%s: frame of %u bytes is larger than the MTU", p->port.name, bytes);
		return;
	}
	p->sent++;
	if (l->tap)
		l->tap(l->tap_arg, data, bytes);
	if (l->faults.strip)
		middlebox_strip(data, bytes, l->faults.strip);
	if (lost(l, p, data, bytes))
		return;
	if ((error_n = hop_lie(&l->hop, &l->faults.hop, &s->rng, data, bytes, error)) > 0)
		fly(l, NULL, error, error_n, s->now_ns + l->faults.delay_ns + up_to(l, l->faults.jitter_ns));
	if (hop_refuses(&l->hop, &l->faults.hop, &s->rng, s->now_ns, data, bytes)) {
		link_print(s, p->port.name, "too big", data, bytes);
		if ((error_n = hop_answer(&l->hop, &l->faults.hop, data, bytes, error)) > 0)
			fly(l, NULL, error, error_n, s->now_ns + l->faults.delay_ns + up_to(l, l->faults.jitter_ns));
		return;
	}
	if (chance(l, l->faults.mark) && ecn_mark(data, bytes))
		l->marked++;
	if (pieces_cut(&l->faults.pieces, &s->rng, l->fragmented + 1, data, bytes, launch_piece, p))
		l->fragmented++;
	else
		launch(p, data, bytes);
}

static void transmit(struct link_port *p, struct rte_mbuf *m)
{
	const char *wrong = nic_transmit(m, &(struct nic_sink){pass, p});

	if (wrong)
		sim_fail(p->link->actor.sim, "%s: %s", p->port.name, wrong);
}

/* The NIC keeps the mbuf for a while: whoever writes to it in that time is found by what arrives (a copy is made
 * now) or by ASan; whoever frees it twice by the pool. */
static void hold(struct link *l, struct rte_mbuf *m)
{
	struct held *h = l->held_spare;

	if (h)
		l->held_spare = h->next;
	else
		h = malloc(sizeof(*h));
	CHECK(h);
	h->m = m;
	h->until_ns = l->actor.sim->now_ns + up_to(l, l->faults.hold_ns);
	struct held **at = &l->held;
	while (*at && (*at)->until_ns <= h->until_ns)
		at = &(*at)->next;
	h->next = *at;
	*at = h;
}

static uint16_t port_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct link_port *p = (struct link_port *)port;

	CHECK(queue < port->queues);
	for (uint16_t i = 0; i < n; i++) {
		transmit(p, m[i]);
		if (p->link->faults.hold_ns)
			hold(p->link, m[i]);
		else
			rte_pktmbuf_free(m[i]);
	}
	due(p->link);
	return n;
}

/* ---- receiving ---- */

static void deliver(struct link_port *p, const struct frame *f)
{
	struct sim *s = p->link->actor.sim;
	/* As a NIC without our key does: the queue has nothing to do with the owner. */
	const uint16_t queue = (uint16_t)rng_below(&s->rng, p->port.queues);
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->pools[queue]);

	if (!m) {
		p->no_mbuf++;
		return;
	}
	if (p->rx_tail[queue] - p->rx_head[queue] == LINK_QUEUE) {
		p->overruns++;
		rte_pktmbuf_free(m);
		return;
	}
	void *room = rte_pktmbuf_append(m, (uint16_t)f->bytes);
	CHECK(room);
	memcpy(room, f->data, f->bytes);
	if (p->port.offloads & PORT_RX_L4_CSUM)
		nic_receive(m);
	p->rx[queue][p->rx_tail[queue]++ % LINK_QUEUE] = m;
	p->received++;
	if (p->link->tap_in)
		p->link->tap_in(p->link->tap_arg, f->data, f->bytes);
	if (p->readers[queue])
		actor_at(p->readers[queue], s->now_ns + up_to(p->link, p->wake_ns + 1));
}

static void land(struct link *l, const struct frame *f)
{
	const bool group = f->data[0] & 1;

	for (uint32_t i = 0; i < l->ports_n; i++) {
		struct link_port *p = l->ports[i];

		if (p != f->from && (group || !memcmp(f->data, &p->port.mac, RTE_ETHER_ADDR_LEN)))
			deliver(p, f);
	}
}

static void run(struct actor *a)
{
	struct link *l = container_of(a, struct link, actor);

	while (l->flying && l->flying->at_ns <= a->sim->now_ns) {
		struct frame *f = l->flying;

		l->flying = f->next;
		land(l, f);
		f->next = l->spare;
		l->spare = f;
	}
	while (l->held && l->held->until_ns <= a->sim->now_ns) {
		struct held *h = l->held;

		l->held = h->next;
		rte_pktmbuf_free(h->m);
		h->next = l->held_spare;
		l->held_spare = h;
	}
	due(l);
}

static uint16_t port_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct link_port *p = (struct link_port *)port;
	uint16_t got = 0;

	CHECK(queue < port->queues);
	while (got < n && p->rx_head[queue] != p->rx_tail[queue])
		m[got++] = p->rx[queue][p->rx_head[queue]++ % LINK_QUEUE];
	return got;
}

static int port_link_up(struct port *port)
{
	(void)port;
	return 1;
}

static int port_rx_fd(struct port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

/* ---- making and freeing ---- */

struct link *link_new(struct sim *s, const char *name, const struct link_faults *faults)
{
	struct link *l = calloc(1, sizeof(*l));

	CHECK(l);
	l->actor.sim = s;
	l->actor.name = name;
	l->actor.run = run;
	l->faults = *faults;
	actor_reschedule(&l->actor, UINT64_MAX);
	return l;
}

/* Drawn apart, so that the rest of a seed does not depend on it. */
static uint32_t offloads_of(const struct sim *s)
{
	static const uint32_t checksums = PORT_RX_IP_CSUM | PORT_RX_L4_CSUM | PORT_TX_IP_CSUM | PORT_TX_L4_CSUM;

	switch (s->seed * UINT64_C(0x9e3779b97f4a7c15) >> 62) {
	case 0:
		return PORT_TX_MULTI_SEGS | checksums;
	case 1:
		return PORT_TX_MULTI_SEGS | checksums | PORT_TX_TSO;
	case 2:
		return PORT_TX_MULTI_SEGS | PORT_TX_L4_CSUM | PORT_TX_TSO; /* as of virtio */
	default:
		return PORT_TX_MULTI_SEGS;
	}
}

void link_attach(struct link *l, struct link_port *p, const uint8_t mac[6], uint16_t id, uint16_t queues)
{
	CHECK(l->ports_n < LINK_PORTS && queues <= LINK_QUEUES);
	p->link = l;
	p->port.id = id;
	p->port.queues = queues;
	p->port.mtu = 1500;
	p->port.offloads = offloads_of(l->actor.sim);
	memcpy(&p->port.mac, mac, 6);
	snprintf(p->port.name, sizeof(p->port.name), "%s.%u", l->actor.name, l->ports_n);
	p->port.rx_burst = port_rx_burst;
	p->port.tx_burst = port_tx_burst;
	p->port.link_up = port_link_up;
	p->port.rx_fd = port_rx_fd;
	l->ports[l->ports_n++] = p;
}

bool link_port_pending(const struct link_port *p, uint16_t queue)
{
	return p->rx_head[queue] != p->rx_tail[queue];
}

void link_port_drain(struct link_port *p)
{
	for (uint16_t q = 0; q < p->port.queues; q++)
		while (p->rx_head[q] != p->rx_tail[q])
			rte_pktmbuf_free(p->rx[q][p->rx_head[q]++ % LINK_QUEUE]);
}

void link_free(struct link *l)
{
	for (struct frame *f; (f = l->flying);) {
		l->flying = f->next;
		free(f);
	}
	for (struct frame *f; (f = l->spare);) {
		l->spare = f->next;
		free(f);
	}
	for (struct held *h; (h = l->held);) {
		l->held = h->next;
		rte_pktmbuf_free(h->m);
		free(h);
	}
	for (struct held *h; (h = l->held_spare);) {
		l->held_spare = h->next;
		free(h);
	}
	free(l);
}
