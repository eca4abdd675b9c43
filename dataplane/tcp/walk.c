/* What `sluicectl flows` shows. */
#include "tcp/cc.h"
#include "tcp/conn.h"
#include "tcp/pace.h"
#include "tcp/rtt.h"
#include "tcp/wait.h"

static void describe(const struct tcp_conn *c, struct tcp_flow_info *i)
{
	*i = (struct tcp_flow_info){
		.tuple = c->tuple,
		.state = tcp_state_names[c->state],
		.active = (c->flags & CONN_ACTIVE) != 0,
		.srtt_us = c->srtt_us,
		.rto_ms = rtt_rto_ms(c),
		.cwnd_bytes = c->cwnd,
		.ssthresh_bytes = c->ssthresh,
		.flight_bytes = c->snd_max - c->snd_una,
		.queued_bytes = c->queued,
		.snd_wnd_bytes = c->snd_wnd,
		.rcv_wnd_bytes = c->rcv_adv - c->rcv_nxt,
		.bytes_in = c->bytes_in,
		.bytes_out = c->bytes_out,
		.retransmits = c->retransmits,
		.mss = c->mss,
		.control = cc_of(c)->name,
		.pacing_rate = pace_rate(c),
		.ecn = (c->flags & CONN_ECN) != 0,
		.age_ms = c->tcp->now_ms - c->opened_ms,
	};
}

/* Connections are numbered first, TIME_WAIT objects behind them. */
unsigned tcp_walk(const struct tcp *t, uint32_t *at, struct tcp_flow_info *out, unsigned max)
{
	const uint32_t conns = t->conns.capacity;
	unsigned n = 0;

	CHECK_MAGIC(t, TCP_MAGIC);
	while (n < max && *at < conns) {
		const struct tcp_conn *c = pool_next(&t->conns, at);

		if (c && c->state != TCP_CLOSED)
			describe(c, &out[n++]);
	}
	while (n < max && *at < conns + t->waits.capacity) {
		uint32_t index = *at - conns;
		const struct tcp_wait *w = pool_next(&t->waits, &index);

		*at = conns + index;
		if (w)
			out[n++] = (struct tcp_flow_info){
				.tuple = w->tuple, .state = tcp_state_names[TCP_TIME_WAIT], .active = w->active,
				.age_ms = TIME_WAIT_MS - (w->expires_ms - t->now_ms),
			};
	}
	if (n < max)
		*at = 0; /* all was seen */
	return n;
}

uint32_t tcp_conns(const struct tcp *t)
{
	CHECK_MAGIC(t, TCP_MAGIC);
	return pool_used(&t->conns) - t->dead_n + pool_used(&t->waits);
}
