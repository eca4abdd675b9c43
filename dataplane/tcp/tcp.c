/* The TCP of one worker: made and freed, its clock, the end of a round, and the functions of a connection's user. */
#include "tcp/tcp.h"

#include <stdlib.h>

#include "base/pressure.h"
#include "tcp/conn.h"
#include "tcp/input.h"
#include "tcp/ooo.h"
#include "tcp/output.h"
#include "tcp/recv_buffer.h"
#include "tcp/scoreboard.h"
#include "tcp/wait.h"

enum { SLICE_BYTES = 128 }; /* in shorter ones on average, what is queued is bounded by their number */

static void *boot_memory(size_t n, size_t bytes)
{
	void *memory = calloc(n, bytes);

	CHECK(memory != NULL);
	return memory;
}

struct tcp *tcp_new(struct shard *s, struct ip *ip, const struct tcp_up *up)
{
	const uint32_t conns = s->tcp_conns ? s->tcp_conns : TCP_CONNS_LEAST;
	struct tcp *t = boot_memory(1, sizeof(*t));

	CHECK(conns <= LIMIT_tcp_conns);
	t->magic = TCP_MAGIC;
	t->shard = s;
	t->ip = ip;
	t->up = *up;
	pool_init(&t->conns, "tcp_conns", sizeof(struct tcp_conn), conns);
	pool_init(&t->waits, "tcp_time_wait", sizeof(struct tcp_wait), LIMIT_tcp_time_wait);
	pool_init(&t->chunks, "tcp_send_chunks", sizeof(struct sendq_chunk), LIMIT_tcp_send_chunks);
	pool_init(&t->ooos, "tcp_ooo_queues", sizeof(struct ooo), LIMIT_tcp_ooo_queues);
	pool_init(&t->sents, "tcp_sent_segments", sizeof(struct sent), LIMIT_tcp_sent_segments);
	pool_init(&t->boards, "tcp_scoreboards", sizeof(struct scoreboard), LIMIT_tcp_scoreboards);
	table_tcp_init(&t->table, conns + LIMIT_tcp_time_wait, s->secret);
	t->table.conns = t->conns.objects;
	t->table.waits = t->waits.objects;
	t->table.conn_tuple = offsetof(struct tcp_conn, tuple);
	t->table.wait_tuple = offsetof(struct tcp_wait, tuple);
	ports_init(&t->ports, s);
	t->touched = boot_memory(conns, sizeof(struct tcp_conn *));
	t->dead = boot_memory(conns, sizeof(struct tcp_conn *));
	t->starved = boot_memory(conns, sizeof(struct tcp_conn *));
	tcp_clock(t);
	return t;
}

void tcp_watch(const struct tcp *t, struct pressure *p)
{
	CHECK_MAGIC(t, TCP_MAGIC);
	pressure_watch_conns(p, &t->conns);
	pressure_watch(p, &t->chunks);
}

static void bury(struct tcp *t)
{
	for (uint32_t i = 0; i < t->dead_n; i++) {
		t->dead[i]->magic = 0;
		pool_put(&t->conns, t->dead[i]);
	}
	count_n(t->shard->counters, C_tcp_closed, t->dead_n);
	t->dead_n = 0;
}

void tcp_free(struct tcp *t)
{
	struct tcp_conn *c;

	CHECK_MAGIC(t, TCP_MAGIC);
	t->touched_n = 0;
	bury(t);
	for (uint32_t at = 0; (c = pool_next(&t->conns, &at)) != NULL;) {
		c->ops = NULL;
		conn_close(c, ERR_SHUTDOWN);
	}
	bury(t);
	wait_clear(t);
	pool_fini(&t->conns);
	pool_fini(&t->waits);
	pool_fini(&t->chunks);
	pool_fini(&t->ooos);
	pool_fini(&t->sents);
	pool_fini(&t->boards);
	table_tcp_fini(&t->table);
	ports_fini(&t->ports);
	free(t->touched);
	free(t->dead);
	free(t->starved);
	t->magic = 0;
	free(t);
}

void tcp_clock(struct tcp *t)
{
	if (t->clock_ns == t->shard->now_ns)
		return;
	t->clock_ns = t->shard->now_ns;
	t->now_ms = (uint32_t)(t->clock_ns / NS_PER_MS);
	t->age = (uint16_t)(t->clock_ns >> PAWS_AGE_SHIFT);
	t->now_us = (uint32_t)(t->clock_ns / NS_PER_US);
}

/* Users who were refused while nothing of theirs was in flight, so that no ACK would call them again. */
static void feed_starved(struct tcp *t)
{
	for (uint32_t n = t->starved_n; n > 0 && t->starved_n > 0 && t->chunks.free_n > 0; n--) {
		struct tcp_conn *c = t->starved[0];

		t->starved[0] = t->starved[--t->starved_n];
		conn_clear(c, CONN_STARVED);
		if (c->ops)
			c->ops->on_acked(c->user, 0);
	}
}

void tcp_flush(struct tcp *t)
{
	CHECK_MAGIC(t, TCP_MAGIC);
	tcp_clock(t);
	if (t->starved_n > 0)
		feed_starved(t);
	for (uint32_t i = 0; i < t->touched_n; i++) {
		struct tcp_conn *c = t->touched[i];

		if (i + 1 < t->touched_n) {
			__builtin_prefetch(t->touched[i + 1]);
			__builtin_prefetch((char *)t->touched[i + 1] + 64);
			__builtin_prefetch((char *)t->touched[i + 1] + 128);
		}
		conn_clear(c, CONN_TOUCHED);
		if (c->state != TCP_CLOSED)
			output_flush(c);
	}
	t->touched_n = 0;
	if (t->dead_n > 0)
		bury(t);
}

void tcp_set_user(struct tcp_conn *c, const struct tcp_user_ops *ops, void *user)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	CHECK(ops != NULL);
	if (c->state == TCP_CLOSED)
		return;
	if (conn_kept(c))
		timer_clear(c, TIMER_LIFE);
	c->ops = ops;
	c->user = user;
}

/*
 * What may be queued: twice what the windows let out, so that the next round trip's is there when this one's has been
 * acknowledged, also in slow start. An empty queue has room for LIMIT_tcp_send_start bytes, whatever the windows are:
 * so it is enough to tell the user of acknowledgements, and of no window that opens.
 */
static uint32_t send_buffer(const struct tcp_conn *c)
{
	const uint32_t out = c->cwnd < c->snd_wnd ? c->cwnd : c->snd_wnd;

	if (out <= LIMIT_tcp_send_start / 2)
		return LIMIT_tcp_send_start;
	return out < LIMIT_tcp_send_buffer / 2 ? 2 * out : LIMIT_tcp_send_buffer;
}

static bool too_many_slices(const struct tcp_conn *c, uint32_t bytes)
{
	return c->sendq.slices >= LIMIT_tcp_send_slices || c->sendq.slices >= bytes / SLICE_BYTES;
}

static bool sends(const struct tcp_conn *c)
{
	return state_sends(c->state) && !(c->flags & CONN_FIN);
}

uint32_t tcp_send_room(const struct tcp_conn *c)
{
	uint32_t bytes;

	CHECK_MAGIC(c, CONN_MAGIC);
	bytes = send_buffer(c);
	if (!sends(c) || too_many_slices(c, bytes))
		return 0;
	return c->queued < bytes ? bytes - c->queued : 0;
}

/* Of nearly all that is sent, without a look at the windows. */
static bool fits(const struct tcp_conn *c, uint32_t len)
{
	if (c->queued + len <= LIMIT_tcp_send_start && !too_many_slices(c, LIMIT_tcp_send_start))
		return sends(c);
	return len <= tcp_send_room(c);
}

void tcp_send_short(struct tcp_conn *c)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	if (!sends(c))
		return;
	if (too_many_slices(c, send_buffer(c)))
		tcp_count(c->tcp, C_limit_tcp_send_slices);
	else if (send_buffer(c) < LIMIT_tcp_send_buffer)
		tcp_count(c->tcp, C_limit_tcp_send_start);
	else
		tcp_count(c->tcp, C_limit_tcp_send_buffer);
}

static void starve(struct tcp_conn *c)
{
	struct tcp *t = c->tcp;

	tcp_count(t, C_limit_tcp_send_chunks);
	if (c->queued > 0 || c->flags & CONN_STARVED)
		return;
	c->flags |= CONN_STARVED;
	t->starved[t->starved_n++] = c;
}

bool tcp_send(struct tcp_conn *c, struct slice s)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	tcp_clock(c->tcp);
	if (!fits(c, s.len)) {
		tcp_send_short(c);
		return false;
	}
	if (s.len == 0) {
		slice_free(&s);
		return true;
	}
	if (!sendq_put(&c->sendq, &c->tcp->chunks, s)) {
		starve(c);
		return false;
	}
	c->queued += s.len;
	conn_touch(c);
	return true;
}

void tcp_more(struct tcp_conn *c, bool more)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	if (c->state == TCP_CLOSED)
		return;
	if (more) {
		c->flags |= CONN_MORE;
		return;
	}
	if (c->flags & CONN_MORE && c->queued > 0)
		conn_touch(c);
	conn_clear(c, CONN_MORE);
}

void tcp_shutdown(struct tcp_conn *c)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	tcp_clock(c->tcp);
	if (!state_sends(c->state) || c->flags & CONN_FIN)
		return;
	c->flags |= CONN_FIN;
	if (!conn_synchronised(c))
		return; /* established() goes on */
	conn_move(c, CAUSE_close);
	conn_touch(c);
}

void tcp_abort(struct tcp_conn *c, enum err why)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	tcp_clock(c->tcp);
	conn_reset(c, why);
}

void tcp_detach(struct tcp_conn *c)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	tcp_clock(c->tcp);
	c->ops = NULL;
	c->flags |= CONN_DETACHED;
	if (c->state == TCP_CLOSED)
		return;
	if (!conn_synchronised(c)) {
		conn_reset(c, ERR_CONN_ABORTED);
		return;
	}
	conn_clear(c, CONN_MORE);
	tcp_shutdown(c);
	timer_set(c, TIMER_LIFE, LINGER_MS);
}

void tcp_credit(struct tcp_conn *c, uint32_t buffer_bytes)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	if (c->state == TCP_CLOSED)
		return;
	CHECK(buffer_bytes <= c->rcv_held);
	c->rcv_held -= buffer_bytes;
	recv_buffer_drained(c, buffer_bytes);
	if (state_receives(c->state) && output_window_opened(c))
		conn_ack_now(c);
}

void tcp_enough(struct tcp_conn *c)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	if (c->state == TCP_CLOSED)
		return;
	tcp_clock(c->tcp);
	recv_buffer_enough(c);
}

bool tcp_want(struct tcp_conn *c, uint32_t buffer_bytes)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	return c->state == TCP_CLOSED || recv_buffer_want(c, buffer_bytes);
}

/* None stays none. */
static uint16_t keep_units(uint32_t ms)
{
	const uint32_t units = (ms + KEEP_UNIT_MS - 1) / KEEP_UNIT_MS;

	return (uint16_t)(units < UINT16_MAX ? units : UINT16_MAX);
}

void tcp_keepalive(struct tcp_conn *c, uint32_t idle_ms, uint32_t interval_ms, unsigned probes)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	tcp_clock(c->tcp);
	if (c->state == TCP_CLOSED)
		return;
	c->keep_idle = keep_units(idle_ms);
	c->keep_interval = keep_units(interval_ms);
	c->keep_probes = (uint8_t)(probes < UINT8_MAX ? probes : UINT8_MAX);
	c->keep_sent = 0;
	if (idle_ms > 0)
		timer_set(c, TIMER_KEEP, idle_ms);
	else
		timer_clear(c, TIMER_KEEP);
}

const struct tuple *tcp_tuple(const struct tcp_conn *c)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	return &c->tuple;
}

bool tcp_established(const struct tcp_conn *c)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	return c->state == TCP_ESTABLISHED;
}
