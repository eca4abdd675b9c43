/*
 * The users of fuzz_packet_in.c's connections: they see to it that each byte of the peer's stream comes once and in its
 * place, and do in the middle of callbacks what users do.
 */
#ifndef TESTS_FUZZ_PACKET_USER_H
#define TESTS_FUZZ_PACKET_USER_H

#include "tests/fuzz/packet_net.h"

static void send_some(unsigned i, unsigned n, unsigned slice)
{
	struct user *u = &net.user[i];
	struct flow *f = &net.flow[i];

	while (n > 0 && u->conn) {
		const unsigned some = n < slice ? n : slice;
		struct rte_mbuf *m = rte_pktmbuf_alloc(net.pools.payload);
		struct slice s;
		char *at;

		if (!m)
			return;
		at = rte_pktmbuf_append(m, (uint16_t)some);
		for (unsigned k = 0; k < some; k++)
			at[k] = (char)flow_byte((uint32_t)f->queued + k, 1);
		s = slice_of(m, at, (uint16_t)some);
		rte_pktmbuf_free(m);
		if (!tcp_send(u->conn, s)) {
			slice_free(&s);
			return;
		}
		f->queued += some;
		n -= some;
	}
}

static void shut(unsigned i)
{
	net.flow[i].shut = true;
	tcp_shutdown(net.user[i].conn);
}

static void leave(unsigned i)
{
	struct user *u = &net.user[i];

	net.flow[i].shut = true;
	u->left = u->conn;
	u->left_cost = u->held_cost;
	u->conn = NULL;
	tcp_detach(u->left);
}

/* What a user may do inside of any callback. */
static void misbehave(unsigned i)
{
	struct user *u = &net.user[i];

	if (u->send_next)
		send_some(i, 3000, 700);
	if (u->shut_next && u->conn)
		shut(i);
	if (u->detach_next && u->conn)
		leave(i);
	if (u->abort_next && u->conn)
		tcp_abort(u->conn, ERR_CONN_ABORTED);
	u->send_next = u->shut_next = u->detach_next = u->abort_next = false;
}

static void give_back(unsigned i, unsigned n)
{
	struct user *u = &net.user[i];
	unsigned k = 0;

	for (; k < n && k < u->held_n; k++) {
		const uint32_t cost = tcp_cost(u->held[k]);

		u->held_cost -= cost;
		rte_pktmbuf_free(u->held[k]);
		if (u->conn)
			tcp_credit(u->conn, cost);
	}
	memmove(u->held, u->held + k, (u->held_n - k) * sizeof(u->held[0]));
	u->held_n -= k;
}

static unsigned index_of(const void *user)
{
	return (unsigned)((const struct user *)user - net.user);
}

static void on_open(void *user)
{
	struct user *u = user;

	MUST(u->conn != NULL);
	u->in = u->conn->rcv_nxt;
	misbehave(index_of(u));
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct user *u = user;
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);
	const unsigned i = index_of(u);

	MUST(u->conn != NULL && m->nb_segs == 1 && m->next == NULL && m->pkt_len == m->data_len && m->data_len > 0);
	MUST(!u->eof);
	for (unsigned k = 0; k < m->data_len; k++)
		MUST(at[k] == flow_byte(u->in - net.flow[i].irs - 1 + k, 0));
	u->in += m->data_len;
	u->held[u->held_n++] = m;
	u->held_cost += tcp_cost(m);
	if (!u->hold || u->held_n == HELD)
		give_back(i, u->held_n);
	misbehave(i);
}

static void on_eof(void *user)
{
	struct user *u = user;

	MUST(u->conn != NULL && !u->eof);
	u->eof = true;
	misbehave(index_of(u));
}

static void on_acked(void *user, uint32_t bytes)
{
	(void)bytes;
	MUST(((struct user *)user)->conn != NULL);
	misbehave(index_of(user));
}

static void on_closed(void *user, enum err why)
{
	struct user *u = user;

	MUST(u->conn != NULL && (why != OK || u->eof));
	u->conn = NULL;
}

static const struct tcp_user_ops ops = {
	.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_acked = on_acked, .on_closed = on_closed,
};

static void adopt(unsigned i, struct tcp_conn *c)
{
	struct user *u = &net.user[i];

	give_back(i, u->held_n);
	u->conn = c;
	u->left = NULL;
	u->left_cost = 0;
	u->eof = false;
	u->in = c->rcv_nxt;
}

/* By family, so that an input keeps its meaning. */
static struct tcp_sending sending_to(const struct addr *remote)
{
	const bool v4 = addr_is_v4(remote);

	return (struct tcp_sending){.control = v4 ? TCP_CONTROL_cubic : TCP_CONTROL_newreno, .pacing = !v4, .ecn = true};
}

static bool accepts(void *up, const struct tuple *t, struct tcp_sending *sending)
{
	(void)up;
	*sending = sending_to(&t->remote);
	return t->local_port == 80;
}

static void on_accept(void *up, struct tcp_conn *c)
{
	const unsigned i = addr_is_v4(&tcp_tuple(c)->remote) ? 0 : 1;

	(void)up;
	MUST(net.user[i].conn == NULL);
	adopt(i, c);
	tcp_set_user(c, &ops, &net.user[i]);
	misbehave(i);
}

#endif
