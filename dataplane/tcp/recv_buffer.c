/* See the header for the model. */
#include "tcp/recv_buffer.h"

enum { TURN_US = LIMIT_tcp_recv_turn_ms * 1000, NEARLY_CLOSED = 8 };

/* No more than can be kept. */
static int16_t units_of(uint32_t buffer_bytes)
{
	const uint32_t units = buffer_bytes / RECV_UNIT;

	return (int16_t)(units < INT16_MAX ? units : INT16_MAX);
}

static void begin_turn(struct tcp_conn *c)
{
	c->rcv_turn_us = c->tcp->now_us;
	c->rcv_drained = 0;
	conn_clear(c, CONN_RCV_TIGHT);
}

/* What is held now came too early to be counted when it is given back. */
static void begin_anew(struct tcp_conn *c)
{
	begin_turn(c);
	c->rcv_drained = (int16_t)-units_of(c->rcv_held);
}

void recv_buffer_start(struct tcp_conn *c)
{
	c->rcv_units = LIMIT_tcp_recv_start / RECV_UNIT;
	begin_turn(c);
}

static bool grow(struct tcp_conn *c, uint32_t size)
{
	if (size > LIMIT_tcp_recv_buffer)
		size = LIMIT_tcp_recv_buffer;
	if (recv_buffer(c) >= size)
		return true;
	if (size > c->tcp->shard->recv_max) {
		tcp_count(c->tcp, C_limit_tcp_recv_share);
		return false;
	}
	c->rcv_units = (uint16_t)((size + RECV_UNIT - 1) / RECV_UNIT);
	return true;
}

/*
 * Within a round trip, and a half: what was begun in the midst of one burst ends in that of the next. Of who never had
 * a round trip measured, within a turn.
 */
static bool at_once(const struct tcp_conn *c, uint32_t took_us)
{
	return c->srtt_us == 0 || took_us <= c->srtt_us / 2 * 3;
}

/* Half of it was given back: was that within a turn? */
static void half_drained(struct tcp_conn *c)
{
	uint32_t took_us;

	tcp_clock(c->tcp);
	took_us = c->tcp->now_us - c->rcv_turn_us;
	if (took_us > TURN_US) {
		if (c->flags & CONN_RCV_TIGHT)
			tcp_count(c->tcp, C_limit_tcp_recv_turn_ms);
		begin_anew(c);
		return;
	}
	if (c->flags & CONN_RCV_TIGHT || at_once(c, took_us))
		(void)grow(c, 2 * recv_buffer(c));
	begin_turn(c);
}

/* Of most requests it is a packet or two: when that was is looked at when they add up. */
void recv_buffer_drained(struct tcp_conn *c, uint32_t buffer_bytes)
{
	const int32_t drained = c->rcv_drained + units_of(buffer_bytes);

	if (c->rcv_adv - c->rcv_nxt < recv_buffer(c) / NEARLY_CLOSED)
		c->flags |= CONN_RCV_TIGHT;
	if (__builtin_expect(drained < c->rcv_units / 2, 1))
		c->rcv_drained = (int16_t)drained;
	else
		half_drained(c);
}

void recv_buffer_enough(struct tcp_conn *c)
{
	begin_anew(c);
}

bool recv_buffer_want(struct tcp_conn *c, uint32_t buffer_bytes)
{
	return buffer_bytes <= recv_buffer(c) || grow(c, buffer_bytes);
}
