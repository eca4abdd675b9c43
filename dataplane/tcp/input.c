/*
 * Input: RFC 9293, 3.10.7, as a table.
 *
 * What a segment means depends on the state and on its control bits, and on nothing else until a step has looked
 * closer; so the first decision is one lookup. Whatever the table does not name is dropped and counted.
 *
 * In the synchronised states the order of checks is the standard's: timestamps (RFC 7323, 5.3), sequence number, RST,
 * SYN, ACK field, text, FIN. RST and SYN have steps of their own, because RFC 5961 answers them with a challenge
 * where RFC 793 obeyed. Nothing of a segment counts, its timestamp included, before its ACK field was found to be one
 * that the peer may send: RFC 7323 would remember the timestamp earlier, but then whoever guesses a sequence number
 * could make everything that the true peer sends look old.
 */
#include "tcp/input.h"

#include "tcp/ecn.h"
#include "tcp/output.h"
#include "tcp/reply.h"
#include "tcp/wait.h"

typedef void (*step)(struct tcp *t, struct tcp_conn *c, struct segment *g);

static void drop(struct tcp *t, enum counter why)
{
	tcp_count(t, why);
}

/* PAWS (RFC 7323, 5): a timestamp before the last one is of an earlier wrap of the sequence space. */
static bool fresh(struct tcp_conn *c, const struct segment *g)
{
	struct tcp *t = c->tcp;

	if (!(c->flags & CONN_TS))
		return true;
	if (!g->ts) {
		drop(t, DROP_tcp_no_timestamp);
		return false;
	}
	if (seq_ge(g->tsval, c->ts_recent) || (uint16_t)(t->age - c->ts_recent_age) > PAWS_AGE_MAX)
		return true;
	drop(t, DROP_tcp_paws);
	reply_where(c, g);
	return false;
}

/*
 * The four cases of RFC 9293, table 6, in one, and a little wider on purpose: a segment at the very end of the window
 * has no room for text, but the ACK of a peer that has used the whole window stands there, and so does its window
 * probe. Text is cut to the window later.
 */
static bool acceptable(const struct tcp_conn *c, const struct segment *g)
{
	const uint32_t span = segment_span(g);

	if (seq_gt(g->seq, c->rcv_adv))
		return false;
	return span > 0 ? seq_gt(g->seq + span, c->rcv_nxt) : seq_ge(g->seq, c->rcv_nxt);
}

static void refuse(struct tcp_conn *c, const struct segment *g)
{
	const bool old = seq_le(g->seq + segment_span(g), c->rcv_nxt);

	drop(c->tcp, old && segment_span(g) > 0 ? DROP_tcp_duplicate : DROP_tcp_sequence);
	reply_where(c, g);
}

static void remember_timestamp(struct tcp_conn *c, const struct segment *g)
{
	/* Only of a segment that covers what we acknowledged last (RFC 7323, 4.3). */
	if (g->ts && seq_le(g->seq, c->ack_sent)) {
		c->ts_recent = g->tsval;
		c->ts_recent_age = c->tcp->age;
	}
}

/* RFC 5961, 5.2 */
static bool ack_may_be(const struct tcp_conn *c, const struct segment *g)
{
	return seq_le(g->ack, c->snd_max) && seq_ge(g->ack, c->snd_una - conn_window_max(c));
}

/*
 * The peer has probed our window and we took the byte: until it hears so, its bare ACKs stand one byte before what we
 * wait for. RFC 9293, 3.10.7.4: "special allowance should be made to accept valid ACKs". Else two ends that probed each
 * other at the same time would refuse each other's ACKs for ever.
 */
static bool behind_a_probe(const struct tcp_conn *c, const struct segment *g)
{
	return segment_span(g) == 0 && g->flags & SEGMENT_ACK && g->seq + 1 == c->rcv_nxt && conn_synchronised(c) &&
	       ack_may_be(c, g);
}

/* Is it of this incarnation, and within the window? Else it is answered. */
static inline bool in_place(struct tcp_conn *c, struct segment *g)
{
	if (!fresh(c, g))
		return false;
	if (acceptable(c, g))
		return true;
	refuse(c, g);
	if (behind_a_probe(c, g))
		(void)ack_step(c, g);
	return false;
}

/* It is the peer's, as far as its numbers can tell. */
static inline void heard(struct tcp_conn *c, const struct segment *g)
{
	remember_timestamp(c, g);
	c->heard_ms = c->tcp->now_ms;
	c->keep_sent = 0;
	if (__builtin_expect((c->flags & CONN_ECN) != 0, 0))
		ecn_input(c, g);
}

/* RFC 5961, 5.2: what no peer of ours acknowledges is discarded, all of it. */
static void refuse_ack(struct tcp_conn *c)
{
	drop(c->tcp, DROP_tcp_ack);
	reply_challenge(c);
}

/* ACK or FIN in a synchronised state. */
static void stream(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	(void)t;
	if (!in_place(c, g))
		return;
	if (!ack_may_be(c, g)) {
		refuse_ack(c);
		return;
	}
	heard(c, g);
	if (ack_step(c, g))
		receive_step(c, g);
}

/* In SYN_RECEIVED: the ACK of our SYN, with the peer's window in bytes. */
static void syn_acked(struct tcp_conn *c, struct segment *g, uint32_t wnd)
{
	if (!in_place(c, g))
		return;
	if (g->ack != c->snd_max) {
		drop(c->tcp, DROP_tcp_ack);
		reply_reset(c->tcp, g);
		return;
	}
	heard(c, g);
	if (open_established(c, g, wnd))
		receive_step(c, g);
}

/* ACK or FIN in SYN_RECEIVED. */
static void first_ack(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	(void)t;
	syn_acked(c, g, segment_window(c, g));
}

/* RFC 5961, 3: only a RST that knows exactly where we are is obeyed. */
static void reset(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	if (g->seq == c->rcv_nxt) {
		tcp_count(t, C_tcp_resets_received);
		conn_close(c, c->state == TCP_SYN_RECEIVED ? ERR_CONN_REFUSED : ERR_CONN_RESET);
		return;
	}
	drop(t, DROP_tcp_sequence);
	if (seq_gt(g->seq, c->rcv_nxt) && seq_lt(g->seq, c->rcv_adv))
		reply_challenge(c);
}

/* RFC 5961, 4. */
static void second_syn(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	(void)g;
	drop(t, DROP_tcp_state);
	reply_challenge(c);
}

/* Our SYN,ACK was lost, or the SYN is a copy. With another number it is anybody's, and changes nothing. */
static void same_syn(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	if (g->seq + 1 != c->rcv_nxt) {
		second_syn(t, c, g);
		return;
	}
	drop(t, DROP_tcp_duplicate);
	if (!ecn_asks(g))
		conn_clear(c, CONN_ECN); /* RFC 3168, 6.1.1: the peer does not ask any more */
	reply_where(c, g);
}

/*
 * Simultaneous open: the peer's answer to our SYN crosses ours (RFC 9293, figure 8). It is an ACK, with the SYN once
 * more, so its window is not scaled (RFC 7323, 2.2); and the peer waits for ours as well.
 */
static void crossed_answer(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	if (g->seq + 1 != c->rcv_nxt || g->ack != c->snd_nxt) {
		second_syn(t, c, g);
		return;
	}
	g->seq++;
	g->flags &= (uint8_t)~SEGMENT_SYN;
	syn_acked(c, g, g->wnd);
	if (c->state != TCP_CLOSED)
		conn_ack_now(c);
}

static void bare(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	if (acceptable(c, g))
		drop(t, DROP_tcp_flags);
	else
		refuse(c, g);
}

/* SYN_SENT (RFC 9293, 3.10.7.3). */
static bool acks_our_syn(const struct tcp_conn *c, const struct segment *g)
{
	return g->ack == c->snd_nxt;
}

static void sent_syn_ack(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	if (acks_our_syn(c, g)) {
		open_answered(c, g);
		return;
	}
	drop(t, DROP_tcp_ack);
	reply_reset(t, g);
}

static void sent_syn(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	(void)t;
	open_crossed(c, g);
}

static void sent_ack(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	drop(t, DROP_tcp_ack);
	if (!acks_our_syn(c, g))
		reply_reset(t, g);
}

static void sent_reset(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	if (!acks_our_syn(c, g)) {
		drop(t, DROP_tcp_ack);
		return;
	}
	tcp_count(t, C_tcp_resets_received);
	conn_close(c, ERR_CONN_REFUSED);
}

/* No connection (RFC 9293, 3.10.7.1 and 3.10.7.2). */
static void listen_syn(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	(void)c;
	open_passive(t, g, 0);
}

static void listen_stray(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	(void)c;
	drop(t, DROP_tcp_no_conn);
	reply_reset(t, g);
}

/* A port that listens says nothing to it (RFC 9293, 3.10.7.2, fourth); one that does not, resets (3.10.7.1). */
static void listen_bare(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	struct tcp_sending sending;

	if (t->up.accepts(t->up.up, g->tuple, &sending))
		drop(t, DROP_tcp_flags);
	else
		listen_stray(t, c, g);
}

static void listen_ack(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	if (!open_by_cookie(t, g, &c))
		listen_stray(t, c, g);
	else if (c)
		first_ack(t, c, g);
}

#define SYNCHRONISED(state)                                                                                            \
	[TCP_##state] = {                                                                                              \
		[EVENT_ACK] = stream,      [EVENT_FIN] = stream,         [EVENT_RST] = reset, [EVENT_RST_ACK] = reset, \
		[EVENT_SYN] = second_syn,  [EVENT_SYN_ACK] = second_syn, [EVENT_BARE] = bare,                          \
	}

static const step steps[TCP_STATES][EVENTS] = {
	[TCP_LISTEN] = {
		[EVENT_SYN] = listen_syn, [EVENT_ACK] = listen_ack, [EVENT_FIN] = listen_ack,
		[EVENT_SYN_ACK] = listen_stray, [EVENT_BARE] = listen_bare,
	},
	[TCP_SYN_SENT] = {
		[EVENT_SYN_ACK] = sent_syn_ack, [EVENT_SYN] = sent_syn, [EVENT_ACK] = sent_ack, [EVENT_FIN] = sent_ack,
		[EVENT_RST_ACK] = sent_reset,
	},
	[TCP_SYN_RECEIVED] = {
		[EVENT_ACK] = first_ack, [EVENT_FIN] = first_ack, [EVENT_RST] = reset, [EVENT_RST_ACK] = reset,
		[EVENT_SYN] = same_syn, [EVENT_SYN_ACK] = crossed_answer, [EVENT_BARE] = bare,
	},
	SYNCHRONISED(ESTABLISHED),
	SYNCHRONISED(FIN_WAIT_1),
	SYNCHRONISED(FIN_WAIT_2),
	SYNCHRONISED(CLOSE_WAIT),
	SYNCHRONISED(CLOSING),
	SYNCHRONISED(LAST_ACK),
};

static void dispatch(struct tcp *t, struct tcp_conn *c, struct segment *g)
{
	const step s = steps[c ? c->state : TCP_LISTEN][g->event];

	if (s)
		s(t, c, g);
	else
		drop(t, g->event == EVENT_ABSURD ? DROP_tcp_flags : DROP_tcp_state);
}

void tcp_input(struct tcp *t, const struct ip_datagram *d)
{
	const uint32_t hash = table_tcp_hash(&t->table, &d->tuple);
	struct segment g;
	enum counter why;
	bool wait = false;
	uint32_t iss;
	void *found;

	CHECK_MAGIC(t, TCP_MAGIC);
	table_tcp_prefetch(&t->table, hash);
	tcp_clock(t);
	if (!segment_parse(&g, d, &why)) {
		drop(t, why);
		rte_pktmbuf_free(d->m);
		return;
	}
	tcp_count(t, C_tcp_segments_in);
	found = table_tcp_find(&t->table, &d->tuple, hash, &wait);
	if (!wait)
		dispatch(t, found, &g);
	else if (wait_input(t, found, &g, &iss))
		open_passive(t, &g, iss);
	rte_pktmbuf_free(g.m);
}
