#include "tests/sim/peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/support/table_fixture.h"

/* ---- what is sent ---- */

uint64_t peer_end(const struct peer *p)
{
	return p->out_base + p->out_n;
}

bool peer_written(const struct peer *p)
{
	return p->sent == peer_end(p) || p->sent >= p->cut_at;
}

bool peer_delivered(const struct peer *p)
{
	return peer_written(p) && p->acked == p->sent;
}

void peer_put(struct peer *p, const void *bytes, size_t n)
{
	if (p->sent == peer_end(p)) {
		p->out_base = p->sent;
		p->out_n = 0;
	}
	if (p->out_n + n > p->out_max) {
		p->out_max = 2 * (p->out_n + n);
		p->out = realloc(p->out, p->out_max);
		CHECK(p->out);
	}
	memcpy(p->out + p->out_n, bytes, n);
	p->out_n += n;
}

void peer_text(struct peer *p, const char *format, ...)
{
	char text[16384];
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	CHECK(n >= 0 && n < (int)sizeof(text));
	peer_put(p, text, (size_t)n);
}

void peer_cut(struct peer *p, uint64_t at, bool by_reset)
{
	if (at >= p->cut_at)
		return;
	p->cut_at = at;
	p->cut_by_reset = by_reset;
}

static bool put_piece(struct peer *p, uint32_t n)
{
	struct slice s;
	uint8_t *at;

	if (tcp_send_room(p->tcp) < n || !host_slice(p->host, (uint16_t)n, &s, &at))
		return false;
	memcpy(at, p->out + (p->sent - p->out_base), n);
	if (!tcp_send(p->tcp, s)) {
		slice_free(&s);
		return false;
	}
	p->sent += n;
	return true;
}

static uint64_t sendable(const struct peer *p)
{
	uint64_t end = peer_end(p);

	if (end > p->cut_at)
		end = p->cut_at;
	if (p->sim->now_ns < p->hold_until_ns && end > p->hold_at)
		end = p->hold_at;
	return end > p->sent ? end - p->sent : 0;
}

static void write_some(struct peer *p)
{
	uint64_t left;

	while (p->tcp && !p->shut && (left = sendable(p))) {
		uint32_t n = p->piece_max ? 1 + rng_below(p->rng, p->piece_max) : 1400;

		if (p->sim->now_ns < p->write_after_ns) {
			actor_at(&p->host->actor, p->write_after_ns);
			return;
		}
		if (!put_piece(p, n < left ? n : (uint32_t)left))
			return;
		if (p->write_gap_ns)
			p->write_after_ns = p->sim->now_ns + rng_u64(p->rng) % p->write_gap_ns;
	}
	if (p->tcp && !p->shut && p->sent < peer_end(p) && p->sim->now_ns < p->hold_until_ns)
		actor_at(&p->host->actor, p->hold_until_ns);
	if (!p->tcp || p->shut || p->sent < p->cut_at)
		return;
	if (p->cut_by_reset && !p->reset_at_ns)
		p->reset_at_ns = p->sim->now_ns + 1 + rng_below(p->rng, 10000000);
	if (p->sim->now_ns < p->reset_at_ns) {
		actor_at(&p->host->actor, p->reset_at_ns);
		return;
	}
	p->shut = true;
	if (p->cut_by_reset)
		tcp_abort(p->tcp, ERR_CONN_ABORTED);
	else
		tcp_shutdown(p->tcp);
}

/* ---- what is received ---- */

static void drop_unread(struct peer *p)
{
	while (p->unread_head != p->unread_tail)
		rte_pktmbuf_free(p->unread[p->unread_head++ % PEER_UNREAD]);
}

static void read_some(struct peer *p)
{
	while (p->unread_head != p->unread_tail && !p->sim->failed) {
		struct rte_mbuf *m = p->unread[p->unread_head % PEER_UNREAD];
		const uint32_t cost = tcp_cost(m);

		if (p->tcp && p->sim->now_ns < p->read_after_ns) {
			actor_at(&p->host->actor, p->read_after_ns);
			return;
		}
		p->unread_head++;
		if (!wire_eat(&p->in, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len)) {
			p->in.halt = true;
			p->ops->on_malformed(p->user, p->in.why);
		}
		rte_pktmbuf_free(m);
		if (p->tcp)
			tcp_credit(p->tcp, cost);
		if (p->read_gap_ns)
			p->read_after_ns = p->sim->now_ns + rng_u64(p->rng) % p->read_gap_ns;
	}
}

void peer_round(struct peer *p)
{
	if (!p->opened)
		return;
	read_some(p);
	if (!p->told && (p->reset || (p->eof && p->unread_head == p->unread_tail))) {
		p->told = true;
		p->ops->on_end(p->user);
	}
	write_some(p);
}

static void on_open(void *user)
{
	struct peer *p = user;

	p->opened = true;
	/* Those who wait for an answer that a lost reset would have told them not to wait for must ask. */
	tcp_keepalive(p->tcp, 60000, 5000, 5);
	host_kick(p->host);
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct peer *p = user;

	if (p->unread_tail - p->unread_head == PEER_UNREAD) {
		sim_fail(p->sim, "%s: more received than the window allows", p->host->actor.name);
		rte_pktmbuf_free(m);
		return;
	}
	p->unread[p->unread_tail++ % PEER_UNREAD] = m;
	host_kick(p->host);
}

static void on_eof(void *user)
{
	struct peer *p = user;

	p->eof = true;
	host_kick(p->host);
}

static void on_acked(void *user, uint32_t bytes)
{
	struct peer *p = user;

	p->acked += bytes;
	host_kick(p->host);
}

static void on_closed(void *user, enum err why)
{
	struct peer *p = user;

	p->tcp = NULL;
	p->eof = true;
	p->opened = true;
	if (why != OK) {
		/* A reset takes with it what was not read yet. */
		p->reset = true;
		drop_unread(p);
	}
	host_kick(p->host);
}

static const struct tcp_user_ops tcp_ops = {
	.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_acked = on_acked, .on_closed = on_closed,
};

/* ---- beginning and end ---- */

void peer_init(struct peer *p, struct host *h, struct rng *rng, bool requests, const struct wire_ops *wire,
               const struct peer_ops *ops, void *user)
{
	memset(p, 0, sizeof(*p));
	p->sim = h->actor.sim;
	p->host = h;
	p->rng = rng;
	p->ops = ops;
	p->user = user;
	p->cut_at = p->hold_at = UINT64_MAX;
	wire_init(&p->in, requests, wire, user);
}

void peer_attach(struct peer *p, struct tcp_conn *tcp)
{
	p->tcp = tcp;
	p->opened = true;
	tcp_set_user(tcp, &tcp_ops, p);
	tcp_keepalive(tcp, 60000, 5000, 5);
}

enum err peer_connect(struct peer *p, const char *addr, uint16_t port)
{
	const struct tcp_connect how = {.remote = fixture_addr(addr), .remote_port = port, .connect_timeout_ms = 60000,
	                                .ops = &tcp_ops, .user = p};

	return tcp_connect(p->host->tcp, &how, &p->tcp);
}

void peer_fini(struct peer *p)
{
	drop_unread(p);
	free(p->out);
}
