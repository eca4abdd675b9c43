/*
 * Which bytes leave when.
 *
 * Windows. What may be in flight is the smaller of the peer's window and cwnd. A full segment that fits leaves. A
 * shorter one leaves when it is the last of what is queued (there is no Nagle: the layer above says tcp_more() when
 * more follows), when it fills half of the largest window that the peer ever offered (RFC 9293, 3.8.6.2.1), or when
 * the persist timer says so. With less than three duplicate ACKs, each lets one more new segment out (RFC 3042).
 *
 * The window that we offer is what the credit allows, and its right edge moves in steps only: a segment or half of
 * the buffer (RFC 9293, 3.8.6.2.2). A received byte costs the buffer that it lies in, and full segments of 1448 bytes
 * lie in buffers of 2176; so five eighths of the free buffer bytes are offered. When nothing is to be acknowledged, the
 * peer is told of more once that is half of what it has: a user that gives back little by little costs few ACKs, and
 * nobody has to do with a part of the window for a whole round trip.
 */
#include "tcp/output.h"

#include "base/fault.h"
#include "tcp/build.h"
#include "tcp/cc.h"
#include "tcp/conn.h"
#include "tcp/ecn.h"
#include "tcp/frto.h"
#include "tcp/mtu.h"
#include "tcp/pace.h"
#include "tcp/rack.h"
#include "tcp/recv_buffer.h"
#include "tcp/rtt.h"
#include "tcp/scoreboard.h"
#include "tcp/segment.h"
#include "tcp/undo.h"

static uint32_t window_wanted(const struct tcp_conn *c)
{
	const uint32_t size = recv_buffer(c), free = c->rcv_held < size ? size - c->rcv_held : 0;
	const uint32_t wanted = free / 8 * 5, field = (uint32_t)UINT16_MAX << c->rcv_wscale;

	return wanted < field ? wanted : field;
}

/* How far the right edge may move now; 0 when that would be silly. */
static uint32_t window_gain(const struct tcp_conn *c)
{
	const uint32_t wanted = window_wanted(c), offered = c->rcv_adv - c->rcv_nxt;

	return wanted >= offered + c->mss ? wanted - offered : 0;
}

bool output_window_opened(const struct tcp_conn *c)
{
	const uint32_t gain = window_gain(c);

	return gain > 0 && gain >= (c->rcv_adv - c->rcv_nxt) / 2;
}

/* The window is closed: the user holds all that it may. */
static void count_closed(struct tcp_conn *c)
{
	const bool grown = recv_buffer(c) > LIMIT_tcp_recv_start;

	tcp_count(c->tcp, grown ? C_limit_tcp_recv_buffer : C_limit_tcp_recv_start);
}

/* The header's window field; moves the right edge. A SYN's window is never scaled (RFC 7323, 2.2). */
static uint16_t window_field(struct tcp_conn *c, bool syn)
{
	uint32_t wnd;

	if (syn) {
		wnd = window_wanted(c) < UINT16_MAX ? window_wanted(c) : UINT16_MAX;
		c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + wnd);
		return (uint16_t)wnd;
	}
	c->rcv_adv += window_gain(c);
	if (c->rcv_adv == c->rcv_nxt)
		count_closed(c);
	wnd = (c->rcv_adv - c->rcv_nxt) >> c->rcv_wscale;
	return (uint16_t)(wnd < UINT16_MAX ? wnd : UINT16_MAX);
}

static void acked(struct tcp_conn *c)
{
	c->ack_sent = c->rcv_nxt;
	conn_clear(c, CONN_ACK_NOW);
	timer_clear(c, TIMER_DELACK);
}

/* What the two ends say to each other about congestion (RFC 3168). Into a closed window go probes only. */
static void mark(struct build *b)
{
	const bool new_data = b->len > 0 && seq_ge(b->seq, b->conn->snd_max) && b->conn->snd_wnd > 0;

	if (b->flags & SEGMENT_SYN)
		return;
	b->flags |= ecn_flags(b->conn, new_data);
	b->traffic_class = new_data ? ECN_ECT0 : 0;
}

static bool emit_built(struct tcp_conn *c, struct build *b, struct sendq_at *at)
{
	b->wnd = window_field(c, b->flags & SEGMENT_SYN);
	if (__builtin_expect((c->flags & CONN_ECN) != 0, 0))
		mark(b);
	if (build_send(b, at)) {
		acked(c);
		return true;
	}
	if (b->len > 0 || b->flags & (SEGMENT_SYN | SEGMENT_FIN))
		c->flags |= CONN_UNSENT;
	return false;
}

/* Sends one segment. False: no memory; nothing has changed, the retransmission timer comes back to it. */
static bool emit(struct tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags, struct sendq_at *at)
{
	struct build b = {
		.conn = c,
		.seq = seq,
		.len = len,
		.flags = flags,
	};

	return emit_built(c, &b, at);
}

/*
 * Where a segment without text stands: at the end of what was sent, also after a timeout; to a peer that has all of
 * that, a lower number would be an old segment's. But a probe, or a window that was taken back, leaves that end outside
 * of the peer's window, where nothing is acceptable to it: then at the window's edge.
 */
static uint32_t bare_seq(const struct tcp_conn *c)
{
	const uint32_t edge = c->snd_una + c->snd_wnd;

	return conn_synchronised(c) && seq_lt(edge, c->snd_max) ? edge : c->snd_max;
}

void output_ack_of(struct tcp_conn *c, struct seq_range again)
{
	struct build b = {
		.conn = c,
		.seq = bare_seq(c),
		.flags = SEGMENT_ACK,
		.again = again,
	};

	if (!emit_built(c, &b, NULL))
		conn_ack_now(c);
}

void output_ack(struct tcp_conn *c)
{
	output_ack_of(c, (struct seq_range){0});
}

void output_syn(struct tcp_conn *c)
{
	const uint8_t flags = c->state == TCP_SYN_SENT ? SEGMENT_SYN : SEGMENT_SYN | SEGMENT_ACK;

	emit(c, c->snd_una, 0, flags | ecn_syn_flags(c), NULL);
}

void output_keepalive(struct tcp_conn *c)
{
	emit(c, c->snd_una - 1, 0, SEGMENT_ACK, NULL);
}

/* Everything up to the end of the queue, FIN too when it is due. */
static uint32_t sendable_end(const struct tcp_conn *c)
{
	return conn_fin_seq(c) + (c->flags & CONN_FIN ? 1 : 0);
}

/* The segment from snd_nxt, where the cursor still stands, to end has left. */
static void track(struct tcp_conn *c, uint32_t end)
{
	if (__builtin_expect(c->board != 0, 0))
		board_of(c)->prr_out += end - c->snd_nxt;
	sent_add(c, end, sendq_cursor(&c->sendq));
}

/*
 * Sends up to len bytes of the queue at snd_nxt, with FIN when they reach it, and moves snd_nxt. RTT is timed on new
 * data only (Karn).
 */
static bool advance(struct tcp_conn *c, uint32_t len, bool fin)
{
	const uint32_t end = c->snd_nxt + len + fin;
	struct sendq_at at = sendq_cursor(&c->sendq);
	uint8_t flags = SEGMENT_ACK;

	if (fin && !(FAULT(fin_lost) && seq_lt(c->snd_nxt, c->snd_max)))
		flags |= SEGMENT_FIN;
	if (len > 0 && c->snd_nxt + len == conn_fin_seq(c))
		flags |= SEGMENT_PSH;
	if (!emit(c, c->snd_nxt, len, flags, &at))
		return false;
	if (conn_tracked(c))
		track(c, end);
	if (len > 0)
		sendq_set_cursor(&c->sendq, at);
	if (seq_lt(c->snd_nxt, c->snd_max)) {
		c->retransmits++;
		tcp_count(c->tcp, C_tcp_retransmits);
	} else if (!(c->flags & (CONN_TIMED | CONN_PROBED)) && !c->board) {
		c->flags |= CONN_TIMED;
		c->rtt_seq = end;
		c->rtt_us = c->tcp->now_us;
		c->delivered_from = (uint32_t)c->bytes_out;
	}
	c->snd_nxt = end;
	c->snd_max = seq_max(c->snd_max, end);
	c->sent_ms = c->tcp->now_ms;
	return true;
}

/* Bytes that both windows let out behind snd_nxt; notes when cwnd is the smaller. */
static uint32_t usable(struct tcp_conn *c)
{
	const uint32_t outstanding = c->snd_nxt - c->snd_una, pipe = conn_in_flight(c);
	const uint32_t wnd = FAULT(window_ignored) ? UINT32_MAX : c->snd_wnd;
	const uint32_t room = wnd > outstanding ? wnd - outstanding : 0;
	uint32_t cwnd = c->cwnd;

	if (c->dupacks < DUPACKS && c->snd_nxt == c->snd_max && !(c->flags & CONN_RECOVERY))
		cwnd += (uint32_t)c->dupacks * c->mss;
	cwnd = cwnd > pipe ? cwnd - pipe : 0;
	if (cwnd >= room)
		return room;
	if (cwnd < c->mss)
		c->flags |= CONN_CWND_LIMITED;
	return cwnd;
}

/* Whether a segment of len bytes, all that the windows let out of `left`, is not silly. */
static bool worth(const struct tcp_conn *c, uint32_t len, uint32_t left)
{
	if (len >= c->mss || seq_lt(c->snd_nxt, c->snd_max))
		return true;
	if (len == left)
		return !(c->flags & CONN_MORE) || c->flags & CONN_FIN;
	return c->snd_wnd - (c->snd_nxt - c->snd_una) == len && len >= conn_window_max(c) / 2;
}

/* Sends one segment of data, or the FIN. False: nothing (more) may leave. */
static bool next(struct tcp_conn *c)
{
	const uint32_t room = usable(c), left = seq_lt(c->snd_nxt, conn_fin_seq(c)) ? conn_fin_seq(c) - c->snd_nxt : 0;
	uint32_t len = left < c->mss ? left : c->mss;
	bool fin;

	if (len > room)
		len = room;
	fin = c->flags & CONN_FIN && len == left && len < room;
	if (len == 0 && !fin)
		return false;
	return (fin || worth(c, len, left)) && advance(c, len, fin);
}

/* What is left waits only for the user's tcp_more(false). */
static bool held(const struct tcp_conn *c)
{
	return c->flags & CONN_MORE && !(c->flags & CONN_FIN) && c->snd_max == c->snd_una && c->queued < c->mss &&
	       c->queued <= c->snd_wnd;
}

/*
 * The same, spread over time. A sender that pacing holds back with half of the window in flight is one that the window
 * holds back: within the round trip it would have filled it (as long as the window grows, so does the rate).
 */
static void paced(struct tcp_conn *c)
{
	uint32_t credit = pace_credit(c), from = c->snd_nxt;

	while (seq_lt(c->snd_nxt, sendable_end(c))) {
		if (credit < c->mss) {
			if (usable(c) == 0)
				break;
			if (conn_in_flight(c) >= c->cwnd / 2)
				c->flags |= CONN_CWND_LIMITED;
			pace_spend(c, c->snd_nxt - from);
			pace_wait(c);
			return;
		}
		const uint32_t before = c->snd_nxt;

		if (!next(c))
			break;
		credit -= c->snd_nxt - before < credit ? c->snd_nxt - before : credit;
	}
	pace_spend(c, c->snd_nxt - from);
}

/*
 * Sends again what is lost, as far as cwnd lets it, before anything that is new (RFC 6675, 4: NextSeg()). A peer that
 * has closed its window meanwhile is left to the timer. False: something is still to be sent again.
 */
static bool mend(struct tcp_conn *c)
{
	const bool new_data = seq_lt(c->snd_nxt, sendable_end(c)) && c->snd_nxt - c->snd_una + c->mss <= c->snd_wnd;
	struct sent *s;

	if (frto_holds(c, new_data))
		return true;
	while ((s = board_of(c)->lost.oldest) != NULL) {
		const uint32_t bytes = sent_bytes(s) < c->mss ? sent_bytes(s) : c->mss; /* it is cut, if need be */

		if (conn_in_flight(c) + bytes > c->cwnd) {
			c->flags |= CONN_CWND_LIMITED;
			return false;
		}
		if (c->snd_wnd == 0 || !output_record(c, s))
			return false;
		if (!c->board)
			return true;
	}
	return true;
}

static void data(struct tcp_conn *c)
{
	const uint16_t mtu = ip_mtu(c->tcp->ip, &c->path, &c->tuple);
	const uint32_t before = c->snd_nxt;

	if (__builtin_expect(mtu != c->mtu, 0))
		mtu_follow(c, mtu);
	/* What is said here holds for all ACKs until the next time: they come in bursts. */
	conn_clear(c, CONN_CWND_LIMITED);
	if (c->snd_max == c->snd_una && c->tcp->now_ms - c->sent_ms > rtt_rto_ms(c))
		cc_restart(c);
	if (__builtin_expect(c->board != 0, 0) && !mend(c))
		return;
	if (__builtin_expect(c->path.large != 0, 0))
		build_run(c);
	if (__builtin_expect(pace_applies(c), 0))
		paced(c);
	else
		while (seq_lt(c->snd_nxt, sendable_end(c)) && next(c))
			;
	if (__builtin_expect(c->tcp->run.conn != NULL, 0))
		build_run_end(c->tcp);
	/* New data puts a probe off (RFC 8985, 7.2), or makes one possible. */
	if (conn_tracked(c) && c->snd_nxt != before &&
	    (c->rexmit >= REXMIT_PROBE || !timer_on(c, TIMER_REXMIT)))
		tlp_start(c);
	/* In flight: the RTO. Waiting for the window or for memory: the persist timer. It is the same one. */
	if (!timer_on(c, TIMER_REXMIT) && (c->snd_max != c->snd_una || seq_lt(c->snd_nxt, sendable_end(c))) && !held(c))
		rtt_start(c);
}

void output_flush(struct tcp_conn *c)
{
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED) {
		if (c->flags & CONN_ACK_NOW)
			output_syn(c);
		conn_clear(c, CONN_ACK_NOW);
		return;
	}
	if (c->queued > 0 || c->flags & CONN_FIN)
		data(c);
	if (c->flags & CONN_ACK_NOW)
		emit(c, bare_seq(c), 0, SEGMENT_ACK, NULL);
	/* No memory for the ACK: soon again. */
	if (c->flags & CONN_ACK_NOW) {
		conn_clear(c, CONN_ACK_NOW);
		timer_set(c, TIMER_DELACK, 1);
	}
}

bool output_beyond_cwnd(struct tcp_conn *c)
{
	const uint32_t outstanding = c->snd_nxt - c->snd_una, fin_seq = conn_fin_seq(c);
	const uint32_t left = seq_lt(c->snd_nxt, fin_seq) ? fin_seq - c->snd_nxt : 0;
	const uint32_t len = left < c->mss ? left : c->mss;

	return len > 0 && outstanding + len <= c->snd_wnd && advance(c, len, false);
}

static bool ends_with_fin(const struct tcp_conn *c, const struct sent *s)
{
	return c->flags & CONN_FIN && s->end == conn_fin_seq(c) + 1;
}

bool output_record(struct tcp_conn *c, struct sent *s)
{
	struct sendq_at at = sent_at(s);
	uint8_t flags = SEGMENT_ACK;
	uint32_t len;
	bool fin;

	CHECK(s->state != SENT_SACKED);
	/* It was sent when the path took longer ones. */
	if (sent_bytes(s) - ends_with_fin(c, s) > c->mss && !sent_split(c, s, c->mss)) {
		sent_give_up(c);
		return false;
	}
	fin = ends_with_fin(c, s);
	len = sent_bytes(s) - fin;
	if (fin && !FAULT(fin_lost))
		flags |= SEGMENT_FIN;
	if (len > 0 && s->seq + len == conn_fin_seq(c))
		flags |= SEGMENT_PSH;
	if (!emit(c, s->seq + (FAULT(retransmit_off_by_one) ? 1u : 0), len, flags, len > 0 ? &at : NULL))
		return false;
	s->xmit_us = c->tcp->now_us;
	if (s->again < UINT8_MAX)
		s->again++;
	conn_clear(c, CONN_TIMED);
	if (c->board) {
		scoreboard_sent_again(c, s);
		board_of(c)->prr_out += sent_bytes(s);
		undo_sent_again(c);
	}
	c->retransmits++;
	tcp_count(c->tcp, C_tcp_retransmits);
	if (s == sent_first(c) && c->rexmit == REXMIT_TIMEOUT)
		rtt_start(c);
	return true;
}

void output_again(struct tcp_conn *c)
{
	struct sendq_at at = sendq_head(&c->sendq);
	const uint32_t sent = c->snd_max - c->snd_una, first = c->queued < c->mss ? c->queued : c->mss;
	/* No more than was sent: an ACK of more would be one that cannot be, and so would every one after it. */
	const uint32_t len = first < sent ? first : sent;
	const bool fin = c->flags & CONN_FIN && len == c->queued && seq_gt(c->snd_max, conn_fin_seq(c));
	uint8_t flags = SEGMENT_ACK;

	conn_clear(c, CONN_TIMED);
	if (len == 0 && !fin)
		return;
	if (fin)
		flags |= SEGMENT_FIN;
	if (len > 0 && len == c->queued)
		flags |= SEGMENT_PSH;
	if (!emit(c, c->snd_una + (FAULT(retransmit_off_by_one) ? 1u : 0), len, flags, &at))
		return;
	c->retransmits++;
	tcp_count(c->tcp, C_tcp_retransmits);
}

/*
 * Nothing is in flight (snd_nxt is snd_una) and the windows kept output_flush() from sending. A window that is not
 * closed is used now, however small. Into a closed one goes the next byte of sequence space, which the peer may take
 * or not; snd_nxt stays, so that the byte is sent again with all others once the window opens.
 */
void output_probe(struct tcp_conn *c)
{
	struct sendq_at at = sendq_head(&c->sendq);
	const bool fin = c->queued == 0;

	if (c->snd_wnd > 0) {
		const uint32_t len = c->queued < c->mss ? c->queued : c->mss;

		advance(c, len < c->snd_wnd ? len : c->snd_wnd, c->queued == 0);
		return;
	}
	tcp_count(c->tcp, C_tcp_zero_window_probes);
	conn_clear(c, CONN_TIMED);
	if (emit(c, c->snd_una, fin ? 0 : 1, fin ? SEGMENT_ACK | SEGMENT_FIN : SEGMENT_ACK, &at))
		c->snd_max = seq_max(c->snd_max, c->snd_una + 1);
}
