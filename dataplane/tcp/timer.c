/*
 * Five logical timers on one wheel timer.
 *
 *   life     connect timeout in SYN_SENT, the limit of a detached connection; whatever happens, then it ends; and the
 *            alarm of one that is kept (kept.c)
 *   rexmit   while something is in flight the RTO, or what RACK wants to do before (rack.h), else the persist timer
 *            while something waits for the peer's window
 *   delack   the delayed ACK
 *   keep     keepalive
 *   pace     there is credit to send more (pace.h); the only one that is finer than a millisecond
 *
 * Their deadlines are kept in milliseconds. The wheel timer is armed for the earliest of them, and only ever moved
 * to an earlier time: a deadline that is put off or cleared, which is what every ACK does to the RTO, costs one store;
 * the wheel timer then fires too early, finds nothing due and is armed again. So the wheel is touched a few times per
 * second and connection, or once per probe timeout (10 ms) of one that sends all the time, not per segment.
 */
#include "tcp/conn.h"
#include "tcp/output.h"
#include "tcp/pace.h"
#include "tcp/rtt.h"

static void fire(struct timer *timer, uint64_t now_ns);

static void arm_in(struct tcp_conn *c, uint64_t in_ns)
{
	struct tcp *t = c->tcp;
	const uint64_t due_ns = t->clock_ns + in_ns;

	if (timer_armed(&c->timer) && c->timer.due_tick <= due_ns >> WHEEL_TICK_SHIFT)
		return;
	timer_arm(&t->shard->wheel, &c->timer, due_ns, fire);
}

static void arm(struct tcp_conn *c, uint32_t deadline)
{
	const int32_t in_ms = (int32_t)(deadline - c->tcp->now_ms);

	arm_in(c, in_ms > 0 ? (uint64_t)in_ms * NS_PER_MS : 0);
}

void timer_set(struct tcp_conn *c, enum conn_timer which, uint32_t in_ms)
{
	c->deadline[which] = c->tcp->now_ms + in_ms;
	c->timers |= (uint8_t)(1u << which);
	arm(c, c->deadline[which]);
}

void timer_pace(struct tcp_conn *c, uint32_t in_us)
{
	c->timers |= (uint8_t)(1u << TIMER_PACE);
	arm_in(c, in_us * NS_PER_US);
}

/* What was held back may leave at the end of this round, or later. */
static void pace(struct tcp_conn *c)
{
	const uint32_t wait_us = pace_wait_us(c);

	if (wait_us > 0) {
		timer_pace(c, wait_us);
		return;
	}
	timer_clear(c, TIMER_PACE);
	conn_touch(c);
}

static void life_over(struct tcp_conn *c)
{
	if (conn_kept(c)) {
		c->ops->on_alarm(c->user);
		return;
	}
	tcp_count(c->tcp, C_tcp_timeouts);
	conn_reset(c, ERR_CONN_TIMEOUT);
}

static void delack(struct tcp_conn *c)
{
	conn_ack_now(c);
}

/*
 * Keepalive (RFC 1122, 4.2.3.6): heard_ms is not followed by the timer, it is looked at when the timer fires. A
 * connection with something in flight is watched by the retransmission timer already.
 */
static void keep(struct tcp_conn *c)
{
	const uint32_t quiet = c->tcp->now_ms - c->heard_ms, idle = (uint32_t)c->keep_idle * KEEP_UNIT_MS;

	if (idle == 0)
		return;
	if (quiet < idle || c->snd_max != c->snd_una) {
		c->keep_sent = 0;
		timer_set(c, TIMER_KEEP, quiet < idle ? idle - quiet : idle);
		return;
	}
	if (c->keep_sent >= c->keep_probes) {
		tcp_count(c->tcp, C_tcp_timeouts);
		conn_reset(c, ERR_CONN_TIMEOUT);
		return;
	}
	c->keep_sent++;
	tcp_count(c->tcp, C_tcp_keepalives);
	output_keepalive(c);
	timer_set(c, TIMER_KEEP, (uint32_t)c->keep_interval * KEEP_UNIT_MS);
}

static void fire(struct timer *timer, uint64_t now_ns)
{
	static void (*const serve[CONN_TIMERS])(struct tcp_conn *) = {
		[TIMER_LIFE] = life_over, [TIMER_REXMIT] = rtt_timeout, [TIMER_DELACK] = delack, [TIMER_KEEP] = keep,
	};
	struct tcp_conn *c = container_of(timer, struct tcp_conn, timer);
	struct tcp *t = c->tcp;

	(void)now_ns;
	CHECK_MAGIC(c, CONN_MAGIC);
	tcp_clock(t);
	for (unsigned i = 0; i < CONN_TIMERS && c->state != TCP_CLOSED; i++)
		if (timer_on(c, i) && (int32_t)(c->deadline[i] - t->now_ms) <= 0) {
			timer_clear(c, i);
			serve[i](c);
		}
	if (timer_on(c, TIMER_PACE) && c->state != TCP_CLOSED)
		pace(c);
	for (unsigned i = 0; i < CONN_TIMERS && c->state != TCP_CLOSED; i++)
		if (timer_on(c, i))
			arm(c, c->deadline[i]);
}
