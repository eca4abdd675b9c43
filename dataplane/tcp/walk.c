/* What `sluicectl flows` shows. */
#include "tcp/cc.h"
#include "tcp/conn.h"
#include "tcp/pace.h"
#include "tcp/rtt.h"
#include "tcp/scoreboard.h"
#include "tcp/wait.h"

/* How many places of the pools one call looks at, free ones included: some microseconds of a worker's round. */
enum { PLACES = 4096 };

static bool describe(const struct tcp_conn *c, struct tcp_flow_info *i)
{
	if (!c || c->state == TCP_CLOSED)
		return false;
	*i = (struct tcp_flow_info){
		.tuple = c->tuple,
		.state = tcp_state_names[c->state],
		.active = (c->flags & CONN_ACTIVE) != 0,
		.srtt_us = c->srtt_us,
		.rttvar_us = c->rttvar_us,
		.min_rtt_us = c->min_rtt_us,
		.rto_ms = rtt_rto_ms(c),
		.backoff = c->backoff,
		.cwnd_bytes = c->cwnd,
		.ssthresh_bytes = c->ssthresh < SSTHRESH_INITIAL ? c->ssthresh : 0,
		.flight_bytes = conn_in_flight(c),
		.queued_bytes = c->queued,
		.snd_wnd_bytes = c->snd_wnd,
		.rcv_wnd_bytes = c->rcv_adv - c->rcv_nxt,
		.bytes_in = c->bytes_in,
		.bytes_out = c->bytes_out,
		.retransmits = c->retransmits,
		.recovering = (c->flags & CONN_RECOVERY) != 0,
		.reordering = (c->flags & CONN_REORDERED) != 0,
		.sacked_bytes = c->board ? board_of(c)->sacked : 0,
		.lost_bytes = c->board ? board_of(c)->lost_bytes : 0,
		.mss = c->mss,
		.pmtu = c->mtu,
		.control = cc_of(c)->name,
		.pacing_rate = pace_rate(c),
		.delivery_rate = c->delivery_rate,
		.ecn = (c->flags & CONN_ECN) != 0,
		.age_ms = c->tcp->now_ms - c->opened_ms,
	};
	return true;
}

static bool describe_wait(const struct tcp *t, const struct tcp_wait *w, struct tcp_flow_info *i)
{
	if (!w)
		return false;
	*i = (struct tcp_flow_info){
		.tuple = w->tuple, .state = tcp_state_names[TCP_TIME_WAIT], .active = w->active,
		.age_ms = TIME_WAIT_MS - (w->expires_ms - t->now_ms),
	};
	return true;
}

/* Connections are numbered first, TIME_WAIT objects behind them. */
unsigned tcp_walk(const struct tcp *t, uint32_t *at, struct tcp_flow_info *out, unsigned max)
{
	const uint32_t conns = t->conns.capacity, all = conns + t->waits.capacity;
	const uint32_t end = *at + PLACES < all ? *at + PLACES : all;
	unsigned n = 0;

	CHECK_MAGIC(t, TCP_MAGIC);
	for (; n < max && *at < end; ++*at)
		n += *at < conns ? describe(pool_at(&t->conns, *at), &out[n])
		                 : describe_wait(t, pool_at(&t->waits, *at - conns), &out[n]);
	if (*at == all)
		*at = 0;
	return n;
}

uint32_t tcp_conns(const struct tcp *t)
{
	CHECK_MAGIC(t, TCP_MAGIC);
	return pool_used(&t->conns) - t->dead_n + pool_used(&t->waits);
}
