/*
 * The ACK field: what of ours has arrived, and how much more the peer will take.
 */
#include "tcp/cc.h"
#include "tcp/input.h"
#include "tcp/mtu.h"
#include "tcp/recovery.h"
#include "tcp/rtt.h"

/*
 * RFC 9293, 3.10.7.4: from newer segments only. SND.WL2 =< SEG.ACK holds for whatever comes here. Of two segments with
 * the same numbers the larger window is the later one, since a window does not shrink; unless a peer in need closes it,
 * which we believe, because the worst that comes of it is a probe.
 */
static void window(struct tcp_conn *c, const struct segment *g, bool advanced)
{
	const uint32_t wnd = segment_window(c, g), before = c->snd_wnd;

	if (!advanced && !seq_gt(g->seq, c->snd_wl1) && !(g->seq == c->snd_wl1 && (wnd > before || wnd == 0)))
		return;
	c->snd_wl1 = g->seq;
	c->snd_wnd = wnd;
	if (g->wnd > c->snd_wnd_max)
		c->snd_wnd_max = (uint16_t)g->wnd;
	if (wnd <= before && !advanced)
		return;
	/* Nothing in flight: the persist timer was running, and is over. */
	if (c->snd_nxt == c->snd_una && wnd > before) {
		timer_clear(c, TIMER_REXMIT);
		c->backoff = 0;
	}
	if (c->queued > 0 || c->flags & CONN_FIN)
		conn_touch(c);
}

/* RFC 5681, 2: the five marks of a duplicate ACK. A closed window's probes are answered by such ACKs as well. */
static bool duplicate(const struct tcp_conn *c, const struct segment *g)
{
	return g->len == 0 && !(g->flags & SEGMENT_FIN) && c->snd_nxt != c->snd_una && c->snd_wnd > 0 &&
	       segment_window(c, g) == c->snd_wnd;
}

/* In slow start each ACK is a sample for HyStart++: one per round trip says too little. */
static void sample_slow_start(struct tcp_conn *c, const struct segment *g)
{
	const uint32_t ms = c->tcp->now_ms + c->ts_offset - g->tsecr;

	if (c->flags & CONN_TS && ms <= RTO_MAX_MS)
		cc_rtt(c, ms * 1000);
}

static void sample(struct tcp_conn *c, const struct segment *g)
{
	if (c->flags & CONN_CWND_LIMITED && c->cwnd < c->ssthresh)
		sample_slow_start(c, g);
	if (c->flags & CONN_TIMED && seq_ge(g->ack, c->rtt_seq)) {
		conn_clear(c, CONN_TIMED);
		rtt_measured(c, c->tcp->now_us - c->rtt_us);
		if (c->queued > c->snd_max - c->snd_una)
			rtt_delivered(c, c->tcp->now_us - c->rtt_us);
		c->backoff = 0;
	} else if (c->backoff > 0 && g->ts && g->tsecr != 0) {
		const uint32_t ms = c->tcp->now_ms + c->ts_offset - g->tsecr;

		if (ms > RTO_MAX_MS)
			return;
		rtt_sample(c, ms * 1000);
		c->backoff = 0;
	}
}

/* Our FIN is acknowledged. False: the connection is gone. */
static bool fin_acked(struct tcp_conn *c)
{
	if (c->state == TCP_LAST_ACK) {
		conn_done(c);
		return false;
	}
	conn_move(c, CAUSE_ack_of_fin);
	if (c->state != TCP_TIME_WAIT)
		return true;
	conn_wait(c);
	return false;
}

static bool advance(struct tcp_conn *c, const struct segment *g)
{
	const bool fin = c->flags & CONN_FIN && g->ack == conn_fin_seq(c) + 1;
	const uint32_t bytes = g->ack - c->snd_una - fin;

	CHECK(bytes <= c->queued);
	sendq_drop(&c->sendq, &c->tcp->chunks, bytes);
	c->queued -= bytes;
	c->snd_una = g->ack;
	/* Behind FIN there is nothing: conn_fin_seq() stays right because the flag that asks for it goes. */
	if (fin)
		conn_clear(c, CONN_FIN);
	c->snd_nxt = seq_max(c->snd_nxt, c->snd_una);
	c->retries = 0;
	if (__builtin_expect(c->flags & (CONN_PROBES_DOWN | CONN_HOLE), 0))
		mtu_answered(c, bytes);
	c->bytes_out += bytes;
	sample(c, g);
	window(c, g, true);
	recovery_advanced(c, g, bytes);
	cc_window_over(c);
	if (bytes > 0 && c->ops) {
		c->ops->on_acked(c->user, bytes);
		if (c->state == TCP_CLOSED)
			return false;
	}
	return !fin || fin_acked(c);
}

bool ack_step(struct tcp_conn *c, struct segment *g)
{
	bool again;

	if (seq_gt(g->ack, c->snd_una))
		return advance(c, g);
	if (seq_lt(g->ack, c->snd_una))
		return true; /* an old one; its text may still be news */
	if (c->snd_wnd == 0)
		c->retries = 0; /* the peer lives, and keeps its window closed */
	again = duplicate(c, g);
	if (!again)
		window(c, g, false);
	recovery_repeated(c, g, again);
	return true;
}
