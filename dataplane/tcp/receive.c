/*
 * Segment text and FIN: cut to the window, handed up in order, kept when it is early; and when the ACK is due.
 *
 * Credit: each byte that came occupies the whole buffer it came in. rcv_held is what the user and the out-of-order
 * queue hold, in buffer bytes. The window is reckoned for full segments; what a peer sends in shorter ones costs more
 * than was offered, so there is a reserve for what was offered already, before anything is dropped: half of the
 * buffer again, and of a small one more. Early segments have no part in it, and when the segment that closes the hole
 * finds no credit left, they give way: so there is always progress. When more than half of the credit is used, small
 * payloads are moved to small buffers.
 *
 * ACKs (RFC 1122, 4.2.3.2; RFC 5681, 4.2): at the end of the round after two full segments, at once and once per
 * segment while there is a hole (the peer counts them), when a hole is filled and on FIN; else after DELACK_MS.
 */
#include "base/fault.h"
#include "base/pressure.h"
#include "tcp/input.h"
#include "tcp/ooo.h"
#include "tcp/output.h"
#include "tcp/recv_buffer.h"

enum { RESERVE_MIN = 2 * LIMIT_tcp_recv_start, SHED_OF_TEXT = SHED_LARGE | SHED_SEGMENTS | SHED_TEXT };

/* Part of a received chain: one single-segment mbuf. */
struct piece {
	struct rte_mbuf *m;
	uint32_t seq;
	uint32_t len;
};

/* These bytes came again; those of one segment become one block (RFC 2883, 4). */
static void came_again(const struct tcp_conn *c, struct segment *g, struct seq_range bytes)
{
	if (!(c->flags & CONN_SACK))
		return;
	if (seq_range_empty(g->again))
		g->again = bytes;
	else if (g->again.right == bytes.left)
		g->again.right = bytes.right;
}

static void drop_piece(struct tcp_conn *c, struct piece *p, enum counter why)
{
	tcp_count(c->tcp, why);
	if (!FAULT(mbuf_leaked))
		rte_pktmbuf_free_seg(p->m);
}

static void cut_front(struct piece *p, uint32_t n)
{
	p->m->data_off = (uint16_t)(p->m->data_off + n);
	p->m->data_len = (uint16_t)(p->m->data_len - n);
	p->seq += n;
	p->len -= n;
}

static uint32_t credit_max(const struct tcp_conn *c)
{
	const uint32_t bytes = recv_buffer(c), half = bytes / 2;

	return bytes + (half > RESERVE_MIN ? half : RESERVE_MIN);
}

/* A small payload in a small buffer, so that it costs less. */
static void compact(struct tcp_conn *c, struct piece *p)
{
	struct rte_mbuf *m;

	if (p->len > PACKET_COPY_MAX || c->rcv_held < recv_buffer(c) / 2 || tcp_cost(p->m) <= PACKET_HEADER_ROOM)
		return;
	m = rte_pktmbuf_alloc(c->tcp->shard->pools.header);
	if (!m)
		return;
	memcpy(rte_pktmbuf_append(m, (uint16_t)p->len), rte_pktmbuf_mtod(p->m, char *), p->len);
	rte_pktmbuf_free_seg(p->m);
	p->m = m;
}

/* Early segments give way to the one that is due. */
static bool room_for(struct tcp_conn *c, uint32_t cost)
{
	const uint32_t max = credit_max(c);

	while (c->rcv_held + cost > max && c->ooo && c->ooo->n > 0) {
		c->rcv_held -= ooo_drop_last(c->ooo);
		c->ooo->fin = false;
		tcp_count(c->tcp, DROP_tcp_no_memory);
	}
	return c->rcv_held + cost <= max;
}

/* In order: to the user. m's credit is charged already. False: the connection is gone. */
static bool deliver(struct tcp_conn *c, struct rte_mbuf *m, uint32_t len)
{
	m->pkt_len = m->data_len;
	m->next = NULL;
	m->nb_segs = 1;
	c->rcv_nxt += len;
	c->bytes_in += len;
	c->ops->on_data(c->user, m);
	return c->state != TCP_CLOSED;
}

/* Data for a user who has gone: the peer must not believe that it was read (RFC 1122, 4.2.2.13). */
static void nobody(struct tcp_conn *c)
{
	tcp_count(c->tcp, DROP_tcp_after_close);
	conn_reset(c, ERR_CONN_ABORTED);
}

/* What the hole's end made ready. False: the connection is gone. */
static bool drain(struct tcp_conn *c)
{
	struct rte_mbuf *m;

	while (c->ooo && (m = ooo_take(c->ooo, c->rcv_nxt)) != NULL) {
		if (!c->ops) {
			rte_pktmbuf_free_seg(m);
			nobody(c);
			return false;
		}
		if (!deliver(c, m, m->data_len))
			return false;
	}
	return true;
}

/* What came early came first, and stays: the piece is cut to the hole. */
static void cut_to_hole(struct tcp_conn *c, struct segment *g, struct piece *p)
{
	const struct seq_range again = ooo_first_in(c->ooo, (struct seq_range){p->seq, p->seq + p->len});

	if (seq_range_empty(again))
		return;
	came_again(c, g, again);
	if (FAULT(ooo_overlap))
		return;
	p->len = again.left - p->seq;
	p->m->data_len = (uint16_t)p->len;
}

static bool in_order(struct tcp_conn *c, struct segment *g, struct piece *p)
{
	if (!c->ops) {
		rte_pktmbuf_free_seg(p->m);
		nobody(c);
		return false;
	}
	if (c->ooo)
		cut_to_hole(c, g, p);
	compact(c, p);
	if (!room_for(c, tcp_cost(p->m))) {
		drop_piece(c, p, DROP_tcp_no_memory);
		tcp_count(c->tcp, C_limit_tcp_recv_buffer);
		return true;
	}
	c->rcv_held += tcp_cost(p->m);
	if (c->ooo)
		c->flags |= CONN_ACK_NOW;
	return deliver(c, p->m, p->len) && drain(c);
}

static bool have_ooo(struct tcp_conn *c)
{
	if (c->ooo)
		return true;
	c->ooo = pool_get(&c->tcp->ooos);
	if (!c->ooo) {
		tcp_count(c->tcp, C_limit_tcp_ooo_queues);
		return false;
	}
	ooo_init(c->ooo);
	return true;
}

static void early(struct tcp_conn *c, struct segment *g, struct piece *p)
{
	struct seq_range again;
	enum ooo_answer answer;
	uint32_t cost;

	if (c->rcv_held + tcp_cost(p->m) > recv_buffer(c)) {
		tcp_count(c->tcp, C_limit_tcp_recv_buffer);
		drop_piece(c, p, DROP_tcp_no_memory);
		return;
	}
	if (!have_ooo(c)) {
		drop_piece(c, p, DROP_tcp_no_memory);
		return;
	}
	compact(c, p);
	p->m->pkt_len = p->m->data_len;
	p->m->next = NULL;
	p->m->nb_segs = 1;
	answer = ooo_put(c->ooo, p->seq, p->m, &cost, &again);
	if (!seq_range_empty(again))
		came_again(c, g, again);
	if (answer == OOO_KEPT) {
		c->rcv_held += cost;
		tcp_count(c->tcp, C_tcp_ooo_queued);
		return;
	}
	if (answer == OOO_FULL)
		tcp_count(c->tcp, C_limit_tcp_ooo_ranges);
	drop_piece(c, p, answer == OOO_FULL ? DROP_tcp_ooo_full : DROP_tcp_duplicate);
}

/* False: the connection is gone; the piece is taken in every case. */
static bool place(struct tcp_conn *c, struct segment *g, struct piece *p)
{
	const uint32_t end = p->seq + p->len;

	p->m->data_len = (uint16_t)p->len;
	if (p->len == 0 || seq_le(end, c->rcv_nxt)) {
		if (p->len > 0)
			came_again(c, g, (struct seq_range){p->seq, end});
		rte_pktmbuf_free_seg(p->m);
		return true;
	}
	if (seq_ge(p->seq, c->rcv_adv)) {
		drop_piece(c, p, DROP_tcp_window);
		return true;
	}
	if (seq_gt(end, c->rcv_adv)) {
		tcp_count(c->tcp, DROP_tcp_window);
		p->len -= end - c->rcv_adv;
		p->m->data_len = (uint16_t)p->len;
	}
	if (seq_lt(p->seq, c->rcv_nxt)) {
		came_again(c, g, (struct seq_range){p->seq, c->rcv_nxt});
		cut_front(p, c->rcv_nxt - p->seq);
	}
	/* The window is closed, and what is new of it lies beyond. */
	if (p->len == 0) {
		rte_pktmbuf_free_seg(p->m);
		return true;
	}
	if (p->seq == c->rcv_nxt)
		return in_order(c, g, p);
	early(c, g, p);
	return true;
}

/*
 * A piece may fill several gaps between ranges that came before it: it is cut behind the first of these, and what
 * follows gets a buffer of its own. Null: nothing follows, or memory is short, and it comes again.
 */
static struct rte_mbuf *split(struct tcp_conn *c, struct piece *p)
{
	const struct seq_range next = ooo_behind(c->ooo, p->seq);
	const uint32_t front = next.right - p->seq;
	struct rte_mbuf *rest;

	if (seq_range_empty(next) || seq_ge(next.right, p->seq + p->len))
		return NULL;
	rest = rte_pktmbuf_alloc(c->tcp->shard->pools.payload);
	if (!rest) {
		tcp_count(c->tcp, C_limit_payload_mbufs);
		return NULL;
	}
	memcpy(rte_pktmbuf_append(rest, (uint16_t)(p->len - front)), rte_pktmbuf_mtod_offset(p->m, char *, front),
	       p->len - front);
	p->len = front;
	return rest;
}

/* False: the connection is gone. */
static bool place_all(struct tcp_conn *c, struct segment *g, struct piece p)
{
	const uint32_t end = p.seq + p.len;

	while (p.m) {
		struct rte_mbuf *rest = c->ooo ? split(c, &p) : NULL;
		const uint32_t next = p.seq + p.len;

		if (!place(c, g, &p)) {
			rte_pktmbuf_free(rest);
			return false;
		}
		p = (struct piece){.m = rest, .seq = next, .len = end - next};
	}
	return true;
}

/* False: the connection is gone. */
static bool text(struct tcp_conn *c, struct segment *g)
{
	struct rte_mbuf *m = g->m;
	uint32_t seq = g->seq, left = g->len;

	g->m = NULL;
	while (m) {
		struct rte_mbuf *next = m->next;
		const uint32_t len = m->data_len < left ? m->data_len : left;

		seq += len;
		left -= len;
		if (!place_all(c, g, (struct piece){.m = m, .seq = seq - len, .len = len})) {
			rte_pktmbuf_free(next);
			return false;
		}
		m = next;
	}
	return true;
}

/* What came early goes, and its credit comes back. */
static void drop_early(struct tcp_conn *c)
{
	while (c->ooo && c->ooo->n > 0)
		c->rcv_held -= ooo_drop_last(c->ooo);
	if (c->ooo)
		ooo_free(&c->tcp->ooos, &c->ooo);
}

/* The peer's FIN is the next thing. False: the connection is gone. */
static bool fin(struct tcp_conn *c)
{
	c->rcv_nxt++;
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt); /* it is taken at the edge of a closed window, too */
	c->flags |= CONN_ACK_NOW;
	conn_move(c, CAUSE_fin);
	drop_early(c); /* whatever claims to lie behind the end */
	if (c->ops) {
		c->ops->on_eof(c->user);
		if (c->state == TCP_CLOSED)
			return false;
	}
	if (c->state != TCP_TIME_WAIT)
		return true;
	conn_wait(c);
	return false;
}

/* A FIN at seq: due, early or beyond the window. False: the connection is gone. */
static bool fin_at(struct tcp_conn *c, uint32_t seq)
{
	if (seq == c->rcv_nxt)
		return fin(c);
	if (seq_gt(seq, c->rcv_nxt) && seq_le(seq, c->rcv_adv) && have_ooo(c) && !c->ooo->fin) {
		c->ooo->fin = true;
		c->ooo->fin_seq = seq;
	}
	return true;
}

/*
 * Memory is short: may the text of this segment be dropped? At first only that of who holds more than a small buffer.
 * Then the next one of a connection that holds nothing, or only the packet under its request's head, still comes in, so
 * that every exchange moves on. An early one is of no use before others come, and neither are those that came before
 * it: they go too.
 */
static bool shed(struct tcp_conn *c, const struct segment *g)
{
	const uint8_t steps = c->tcp->shard->shed;
	const bool next = seq_le(g->seq, c->rcv_nxt) && c->rcv_held <= PACKET_ROOM;
	const bool small = c->rcv_held <= LIMIT_tcp_recv_start;

	if (steps & SHED_SEGMENTS ? next && !(steps & SHED_TEXT) : small)
		return false;
	drop_early(c);
	tcp_count(c->tcp, small ? DROP_tcp_shed_text : DROP_tcp_shed_large);
	return true;
}

/*
 * What a full segment of the peer's is: the largest that came, until the path's MTU falls. A shorter one that more
 * follows, since it lacks PSH, is as long as they are now; but for the single bytes of window probes.
 */
static inline void measure(struct tcp_conn *c, const struct segment *g)
{
	const bool longer = g->len > c->rcv_mss;
	const bool shorter = g->len < c->rcv_mss && g->len >= MSS_MIN && !(g->flags & SEGMENT_PSH);

	if (longer || shorter)
		c->rcv_mss = (uint16_t)(g->len < UINT16_MAX ? g->len : UINT16_MAX);
}

static void schedule_ack(struct tcp_conn *c, uint32_t before)
{
	const uint32_t mss = c->rcv_mss;

	if (c->flags & CONN_ACK_NOW || c->rcv_nxt - c->ack_sent >= 2 * mss)
		conn_ack_now(c);
	else if (c->rcv_nxt != before && !timer_on(c, TIMER_DELACK))
		timer_set(c, TIMER_DELACK, DELACK_MS);
}

void receive_step(struct tcp_conn *c, struct segment *g)
{
	const uint32_t before = c->rcv_nxt, fin_seq = g->seq + g->len;
	const bool has_fin = g->flags & SEGMENT_FIN;

	if (g->len == 0 && !has_fin)
		return;
	if (!state_receives(c->state)) {
		/* RFC 9293, 3.10.7.4: "should not occur, since a FIN has been received"; text is ignored. */
		tcp_count(c->tcp, DROP_tcp_state);
		conn_ack_now(c);
		return;
	}
	if (g->len > 0 && __builtin_expect(c->tcp->shard->shed & SHED_OF_TEXT, 0) && shed(c, g))
		return;
	measure(c, g);
	if (g->len > 0 && !text(c, g))
		return;
	if (has_fin && !fin_at(c, fin_seq))
		return;
	if (c->ooo && c->ooo->fin && c->ooo->fin_seq == c->rcv_nxt && !fin(c))
		return;
	if (c->ooo && ooo_empty(c->ooo))
		ooo_free(&c->tcp->ooos, &c->ooo);
	/* A hole, something beyond the window, or again: the peer must hear of it now, and once for each. */
	if (c->rcv_nxt == before || !seq_range_empty(g->again))
		output_ack_of(c, g->again);
	else
		schedule_ack(c, before);
}
