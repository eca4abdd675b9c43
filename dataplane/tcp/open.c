/*
 * Opening: passive (SYN to one of our addresses), active (tcp_connect()) and simultaneous.
 *
 * A SYN makes a whole connection object; their number is bounded (backlog.h). What exceeds it is answered by a cookie
 * (cookie.h), and the connection is made of the ACK.
 */
#include <netinet/in.h>

#include "base/pressure.h"
#include "tcp/build.h"
#include "tcp/cc.h"
#include "tcp/cookie.h"
#include "tcp/ecn.h"
#include "tcp/input.h"
#include "tcp/isn.h"
#include "tcp/mtu.h"
#include "tcp/output.h"
#include "tcp/pace.h"
#include "tcp/ports.h"
#include "tcp/recv_buffer.h"
#include "tcp/reply.h"
#include "tcp/rtt.h"

enum {
	SYN_WINDOW = LIMIT_tcp_recv_start / 8 * 5,
	WINDOW_MAX = LIMIT_tcp_recv_buffer / 8 * 5,
	RCV_WSCALE = 6,
};

static_assert((int)SYN_WINDOW >= (int)INITIAL_BYTES, "a sender's initial window fits");
static_assert(SYN_WINDOW <= UINT16_MAX, "and needs no scale in a SYN");
static_assert(WINDOW_MAX <= 65535 << RCV_WSCALE, "the window fits its field");

/* What the peer's SYN says; our own half of the flags is set already (what we offered, or may offer). */
static void take_options(struct tcp_conn *c, const struct segment *g)
{
	uint16_t mss = g->mss;

	if (mss == 0)
		mss = addr_is_v4(&c->tuple.remote) ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6;
	if (!g->ts)
		conn_clear(c, CONN_TS);
	if (g->wscale == WSCALE_NONE)
		conn_clear(c, CONN_WS);
	if (!g->sack_ok)
		conn_clear(c, CONN_SACK);
	if (c->flags & CONN_TS) {
		c->ts_recent = g->tsval;
		c->ts_recent_age = c->tcp->age;
	}
	mtu_start(c, mss < MSS_MIN ? MSS_MIN : mss);
	c->snd_wscale = c->flags & CONN_WS ? g->wscale & 15u : 0u;
	c->rcv_wscale = c->flags & CONN_WS ? RCV_WSCALE & 15u : 0u;
}

static void take_sequence(struct tcp_conn *c, const struct segment *g)
{
	c->rcv_nxt = g->seq + 1;
	c->rcv_adv = c->rcv_nxt + SYN_WINDOW;
	c->ack_sent = c->rcv_nxt;
}

static void start(struct tcp_conn *c, uint32_t iss)
{
	c->snd_una = iss;
	c->snd_nxt = c->snd_max = iss + 1;
	c->recover = iss;
	c->ts_offset = isn_ts_offset(c->tcp->shard, &c->tuple);
	c->flags |= CONN_TS | CONN_WS | CONN_SACK | CONN_TIMED;
	c->rcv_wscale = RCV_WSCALE;
	recv_buffer_start(c);
	c->rtt_seq = c->snd_max;
	c->rtt_us = c->tcp->now_us;
}

static bool absurd(const struct tuple *t)
{
	return t->remote_port == 0 || t->local_port == 0 ||
	       (t->local_port == t->remote_port && addr_equal(&t->local, &t->remote));
}

/* May this be a connection? Else it is answered and counted. */
static bool welcome(struct tcp *t, const struct segment *g, struct tcp_sending *sending)
{
	if (absurd(g->tuple)) {
		tcp_count(t, DROP_tcp_flags);
		return false;
	}
	if (!t->up.accepts(t->up.up, g->tuple, sending)) {
		tcp_count(t, DROP_tcp_no_listener);
		reply_reset(t, g);
		return false;
	}
	if (t->shard->shed & SHED_SYNS) {
		tcp_count(t, DROP_tcp_shed_syn);
		return false;
	}
	return true;
}

static void send_as(struct tcp_conn *c, const struct tcp_sending *how)
{
	CHECK(how->control < TCP_CONTROLS);
	c->cc = how->control;
	c->flags |= (how->pacing ? CONN_PACED : 0u) | (how->ecn ? CONN_ECN : 0u);
}

/* In SYN_RECEIVED, or null. */
static struct tcp_conn *receive_syn(struct tcp *t, const struct segment *g, uint32_t iss,
                                    const struct tcp_sending *sending)
{
	struct tcp_conn *c = conn_new(t, g->tuple);

	if (!c) {
		tcp_count(t, DROP_tcp_no_memory);
		return NULL;
	}
	start(c, iss);
	send_as(c, sending);
	conn_move(c, CAUSE_passive_open);
	if (!ecn_asks(g))
		conn_clear(c, CONN_ECN);
	take_options(c, g);
	take_sequence(c, g);
	rtt_start(c);
	return c;
}

static void answer_by_cookie(struct tcp *t, const struct segment *g)
{
	const struct cookie cookie = cookie_make(t, g);
	struct ip_path path = {0};
	const struct reply r = {
		.tuple = g->tuple,
		.seq = cookie.iss,
		.ack = g->seq + 1,
		.flags = SEGMENT_SYN | SEGMENT_ACK,
		.wnd = SYN_WINDOW,
		.mss = build_mss(t, &path, g->tuple),
		.wscale = g->ts && g->wscale != WSCALE_NONE ? RCV_WSCALE : 0,
		.sack_ok = g->ts && g->sack_ok,
		.ts = g->ts,
		.tsval = cookie.tsval,
		.tsecr = g->tsval,
	};

	reply_send(t, &r);
}

void open_passive(struct tcp *t, struct segment *g, uint32_t iss)
{
	struct tcp_sending sending = {0};
	struct tcp_conn *c;
	enum counter full;

	if (!welcome(t, g, &sending))
		return;
	full = backlog_take(&t->backlog, t->shard->secret, g->tuple);
	if (full != COUNTERS) {
		tcp_count(t, full);
		answer_by_cookie(t, g);
		return;
	}
	c = receive_syn(t, g, iss != 0 ? iss : isn_make(t->shard, g->tuple), &sending);
	if (!c) {
		backlog_give(&t->backlog, t->shard->secret, g->tuple);
		return;
	}
	c->flags |= CONN_HALF_OPEN;
	conn_ack_now(c);
}

bool open_by_cookie(struct tcp *t, const struct segment *g, struct tcp_conn **c)
{
	struct tcp_sending sending = {0};
	struct segment syn;

	*c = NULL;
	if (!cookie_read(t, g, &syn))
		return false;
	if (welcome(t, g, &sending))
		*c = receive_syn(t, &syn, g->ack - 1, &sending);
	if (*c) {
		conn_clear(*c, CONN_TIMED); /* when the answer left is not known */
		tcp_count(t, C_tcp_cookies_accepted);
	}
	return true;
}

/* Both SYNs are acknowledged. False: the connection is gone. */
static bool established(struct tcp_conn *c, const struct segment *g, uint32_t wnd)
{
	struct tcp *t = c->tcp;

	c->snd_una = g->ack;
	c->snd_wnd = wnd;
	c->snd_wnd_max = (uint16_t)(wnd >> c->snd_wscale);
	c->snd_wl1 = g->seq;
	if (c->flags & CONN_TIMED)
		rtt_sample(c, t->now_us - c->rtt_us);
	else if (g->ts && c->flags & CONN_TS && t->now_ms + c->ts_offset - g->tsecr <= RTO_MAX_MS)
		rtt_sample(c, (t->now_ms + c->ts_offset - g->tsecr) * 1000);
	conn_clear(c, CONN_TIMED);
	c->backoff = c->retries = 0;
	timer_clear(c, TIMER_REXMIT);
	timer_clear(c, TIMER_LIFE);
	cc_start(c);
	pace_open(c);
	c->heard_ms = t->now_ms;
	if (c->flags & CONN_FIN)
		conn_move(c, CAUSE_close);
	conn_touch(c);
	if (c->flags & CONN_ACTIVE) {
		tcp_count(t, C_tcp_connected);
		if (c->ops)
			c->ops->on_open(c->user);
	} else {
		tcp_count(t, C_tcp_accepted);
		t->up.on_accept(t->up.up, c);
		CHECK(c->state == TCP_CLOSED || c->ops || c->flags & CONN_DETACHED);
	}
	return c->state != TCP_CLOSED;
}

bool open_established(struct tcp_conn *c, struct segment *g, uint32_t wnd)
{
	conn_leave_backlog(c);
	conn_clear(c, CONN_ACK_NOW);
	conn_move(c, CAUSE_ack_of_syn);
	return established(c, g, wnd);
}

void open_answered(struct tcp_conn *c, struct segment *g)
{
	if (!ecn_agrees(g))
		conn_clear(c, CONN_ECN);
	take_options(c, g);
	take_sequence(c, g);
	conn_move(c, CAUSE_syn_ack);
	conn_ack_now(c);
	established(c, g, g->wnd);
}

void open_crossed(struct tcp_conn *c, struct segment *g)
{
	if (!ecn_asks(g))
		conn_clear(c, CONN_ECN);
	take_options(c, g);
	take_sequence(c, g);
	conn_move(c, CAUSE_syn);
	conn_ack_now(c);
}

enum err tcp_connect(struct tcp *t, const struct tcp_connect *how, struct tcp_conn **out)
{
	struct tuple tuple = {.remote = how->remote, .remote_port = how->remote_port, .protocol = IPPROTO_TCP};
	struct tcp_conn *c;
	uint32_t iss = 0;
	enum err e;

	CHECK_MAGIC(t, TCP_MAGIC);
	CHECK(how->ops != NULL);
	tcp_clock(t);
	e = ip_source(t->ip, &how->remote, &tuple.local);
	if (e == OK)
		e = ports_choose(t, &tuple, &iss);
	if (e != OK)
		return e;
	c = conn_new(t, &tuple);
	if (!c) {
		ports_freed(t, &tuple);
		return ERR_LIMIT;
	}
	start(c, iss != 0 ? iss : isn_make(t->shard, &tuple));
	send_as(c, &how->sending);
	conn_move(c, CAUSE_active_open);
	c->flags |= CONN_ACTIVE | (how->impatient ? CONN_IMPATIENT : 0u);
	c->ops = how->ops;
	c->user = how->user;
	timer_set(c, TIMER_LIFE, how->connect_timeout_ms ? how->connect_timeout_ms : CONNECT_TIMEOUT_MS);
	rtt_start(c);
	conn_ack_now(c);
	*out = c;
	return OK;
}
