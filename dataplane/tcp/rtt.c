/*
 * The retransmission timer (RFC 6298) and the persist timer (RFC 9293, 3.8.6.1), which are one: there is either
 * something in flight, or the window is closed.
 *
 * Samples: one segment per round trip is timed by our own clock in microseconds, never one that was sent again
 * (Karn). After a retransmission the timestamp option (RFC 7323) gives samples of a millisecond, so a backed-off RTO
 * does not have to outlive the loss.
 */
#include "tcp/rtt.h"

#include "tcp/conn.h"
#include "tcp/mtu.h"
#include "tcp/output.h"
#include "tcp/rack.h"
#include "tcp/recovery.h"
#include "tcp/sent.h"

void rtt_sample(struct tcp_conn *c, uint32_t us)
{
	uint32_t error;

	if (us == 0)
		us = 1;
	if (c->srtt_us == 0) {
		c->srtt_us = us;
		c->rttvar_us = us / 2;
		return;
	}
	error = c->srtt_us > us ? c->srtt_us - us : us - c->srtt_us;
	c->rttvar_us += error / 4 - c->rttvar_us / 4;
	c->srtt_us += us / 8 - c->srtt_us / 8;
	if (c->srtt_us == 0)
		c->srtt_us = 1;
}

void rtt_measured(struct tcp_conn *c, uint32_t us)
{
	rtt_sample(c, us);
	if (c->min_rtt_us == 0 || us < c->min_rtt_us)
		c->min_rtt_us = us > 0 ? us : 1;
}

/*
 * What was acknowledged between the sending of a segment and its ACK (draft-ietf-ccwg-bbr, 4.1.1), once per round trip,
 * and only when it was not the user who had no more to send: so requests and responses are not charged for a division.
 */
void rtt_delivered(struct tcp_conn *c, uint32_t us)
{
	const uint64_t rate = (uint64_t)((uint32_t)c->bytes_out - c->delivered_from) * US_PER_S / (us > 0 ? us : 1);

	c->delivery_rate = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
}

static uint32_t base_ms(const struct tcp_conn *c)
{
	const uint64_t var = 4 * (uint64_t)c->rttvar_us;

	if (c->srtt_us == 0)
		return (c->flags & CONN_SYN_AGAIN) && conn_synchronised(c) ? RTO_AFTER_SYN_MS : RTO_INITIAL_MS;
	return (uint32_t)((c->srtt_us + (var > RTO_VAR_MIN_US ? var : RTO_VAR_MIN_US) + 999) / 1000);
}

uint32_t rtt_rto_ms(const struct tcp_conn *c)
{
	const uint64_t ms = (uint64_t)base_ms(c) << c->backoff;

	return ms < RTO_MAX_MS ? (uint32_t)ms : RTO_MAX_MS;
}

/*
 * How long nothing has been answered when the timeout that is to come expires: it and those in a row before it, of
 * which each was half as long as the next. Nobody has to remember when the first transmission was.
 */
static uint32_t silent_ms(const struct tcp_conn *c)
{
	uint32_t ms = 0;

	for (unsigned i = 0; i <= c->retries; i++) {
		const uint64_t rto = (uint64_t)base_ms(c) << (i < c->backoff ? c->backoff - i : 0);

		ms += rto < RTO_MAX_MS ? (uint32_t)rto : RTO_MAX_MS;
	}
	return ms;
}

/*
 * The last timeout ends with the user timeout (RFC 9293, 3.8.3), unless that is nearer than any timeout may be. Of
 * probes into a closed window it need not.
 */
static uint32_t last_ms(const struct tcp_conn *c, uint32_t rto)
{
	const uint32_t gone = silent_ms(c) - rto, left = USER_TIMEOUT_MS > gone ? USER_TIMEOUT_MS - gone : 0;

	if (left >= rto)
		return rto;
	return left > base_ms(c) ? left : base_ms(c);
}

void rtt_start(struct tcp_conn *c)
{
	uint32_t rto = rtt_rto_ms(c);

	if (__builtin_expect(c->retries > 0, 0) && conn_synchronised(c) && c->snd_wnd > 0)
		rto = last_ms(c, rto);
	timer_set(c, TIMER_REXMIT, rto);
	c->rexmit = REXMIT_TIMEOUT;
}

void rtt_resume(struct tcp_conn *c)
{
	const uint32_t rto = rtt_rto_ms(c);
	uint32_t gone_ms;

	if (!c->sent_last) {
		rtt_start(c);
		return;
	}
	gone_ms = (c->tcp->now_us - sent_first(c)->xmit_us) / 1000;
	timer_set(c, TIMER_REXMIT, gone_ms < rto ? rto - gone_ms : 1);
	c->rexmit = REXMIT_TIMEOUT;
}

static void give_up(struct tcp_conn *c)
{
	tcp_count(c->tcp, C_tcp_timeouts);
	conn_reset(c, ERR_CONN_TIMEOUT);
}

/*
 * Retries are transmissions in a row that nothing answered. What was to be sent the last time may not have left,
 * because memory was short here: that says nothing of the peer.
 */
static bool syn_unanswered(const struct tcp_conn *c)
{
	const unsigned most = c->state == TCP_SYN_SENT ? SYN_RETRIES_MAX : SYN_ACK_RETRIES_MAX;

	return c->retries >= most && !(c->flags & CONN_UNSENT);
}

static bool unanswered(const struct tcp_conn *c)
{
	return silent_ms(c) >= USER_TIMEOUT_MS && !(c->flags & CONN_UNSENT);
}

static void count_retry(struct tcp_conn *c)
{
	if (!(c->flags & CONN_UNSENT)) {
		c->retries++;
		if (c->backoff < 16)
			c->backoff++;
	}
	conn_clear(c, CONN_UNSENT);
}

/* SYN or SYN,ACK again. */
static void syn_timeout(struct tcp_conn *c)
{
	if (syn_unanswered(c)) {
		give_up(c);
		return;
	}
	count_retry(c);
	c->flags |= CONN_SYN_AGAIN;
	conn_clear(c, CONN_TIMED);
	if (c->state == TCP_SYN_SENT)
		conn_clear(c, CONN_ECN); /* RFC 3168, 6.1.1.1 */
	c->retransmits++;
	tcp_count(c->tcp, C_tcp_retransmits);
	output_syn(c);
	rtt_start(c);
}

/*
 * The window is closed, or so small that sending into it would be silly: a probe, and for as long as the peer answers
 * there is no end to it (RFC 9293, 3.8.6.1); c->retries is cleared by every ACK, but the timeout that runs then goes
 * on, so when something was heard last counts too.
 */
static void persist_timeout(struct tcp_conn *c)
{
	if (unanswered(c) && c->tcp->now_ms - c->heard_ms >= USER_TIMEOUT_MS) {
		give_up(c);
		return;
	}
	count_retry(c);
	output_probe(c);
	rtt_start(c);
}

/* The timeout itself. */
static void expired(struct tcp_conn *c)
{
	if (!conn_synchronised(c)) {
		syn_timeout(c);
		return;
	}
	if (c->snd_nxt == c->snd_una) {
		if (c->queued > 0 || c->flags & CONN_FIN)
			persist_timeout(c);
		return;
	}
	if (unanswered(c)) {
		give_up(c);
		return;
	}
	tcp_count(c->tcp, C_tcp_rto);
	mtu_timeout(c);
	recovery_timeout(c);
	count_retry(c);
	conn_touch(c);
	rtt_start(c);
}

void rtt_timeout(struct tcp_conn *c)
{
	const enum rexmit why = c->rexmit;

	c->rexmit = REXMIT_TIMEOUT;
	if (why == REXMIT_PROBE)
		tlp_probe(c);
	else if (why == REXMIT_REORDERING)
		recovery_reordering(c);
	else if (why == REXMIT_FORGET)
		recovery_forget(c);
	else
		expired(c);
}
