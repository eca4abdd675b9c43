/*
 * The life of a connection: made, moved from state to state, ended, freed.
 *
 * One function writes the state: conn_move(). Its table is made from transitions.def, and a change that is not there
 * is a bug of ours, never of the peer: which segments may come in which state was decided before, in input.c.
 */
#include "tcp/conn.h"

#include <string.h>

#include "tcp/ooo.h"
#include "tcp/output.h"
#include "tcp/ports.h"
#include "tcp/reply.h"
#include "tcp/sent.h"
#include "tcp/wait.h"

const char *const tcp_state_names[TCP_STATES] = {
#define STATE(name, sends, receives) #name,
#include "tcp/states.def"
#undef STATE
};

static const struct {
	bool sends, receives;
} rights[TCP_STATES] = {
#define STATE(name, s, r) {s, r},
#include "tcp/states.def"
#undef STATE
};

enum { ILLEGAL = 0 };

/* The next state plus one, so that what is not named is illegal. */
static const uint8_t transitions[TCP_STATES][CAUSES] = {
#define TRANSITION(from, cause, to) [TCP_##from][CAUSE_##cause] = TCP_##to + 1,
#include "tcp/transitions.def"
#undef TRANSITION
};

bool state_sends(enum tcp_state s)
{
	return rights[s].sends;
}

bool state_receives(enum tcp_state s)
{
	return rights[s].receives;
}

/* Closed by us, and the peer may still lack something: a data plane that ends waits for these. */
static bool finishing(enum tcp_state s)
{
	return s == TCP_FIN_WAIT_1 || s == TCP_CLOSING || s == TCP_LAST_ACK;
}

void conn_move(struct tcp_conn *c, enum tcp_cause cause)
{
	const uint8_t next = transitions[c->state][cause];
	const bool before = finishing(c->state);

	CHECK(next != ILLEGAL);
	c->state = (uint8_t)(next - 1);
	if (finishing(c->state) != before)
		tcp_count(c->tcp, before ? C_tcp_finishing_closed : C_tcp_finishing_opened);
}

struct tcp_conn *conn_new(struct tcp *t, const struct tuple *tuple)
{
	struct tcp_conn *c = pool_get(&t->conns);

	if (!c) {
		tcp_count(t, C_limit_tcp_conns);
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	c->magic = CONN_MAGIC;
	c->tcp = t;
	c->tuple = *tuple;
	c->heard_ms = c->sent_ms = c->opened_ms = t->now_ms;
	c->challenge_ms = t->now_ms - CHALLENGE_MS;
	table_tcp_put(&t->table, table_tcp_hash(&t->table, tuple), c, false);
	tcp_count(t, C_tcp_opened);
	return c;
}

void conn_touch_slow(struct tcp_conn *c)
{
	struct tcp *t = c->tcp;

	c->flags |= CONN_TOUCHED;
	CHECK(t->touched_n < t->conns.capacity);
	t->touched[t->touched_n++] = c;
}

static void forget_starved(struct tcp_conn *c)
{
	struct tcp *t = c->tcp;

	for (uint32_t i = 0; i < t->starved_n; i++)
		if (t->starved[i] == c) {
			t->starved[i] = t->starved[--t->starved_n];
			break;
		}
	conn_clear(c, CONN_STARVED);
}

void conn_leave_backlog(struct tcp_conn *c)
{
	if (c->flags & CONN_HALF_OPEN)
		backlog_give(&c->tcp->backlog, c->tcp->shard->secret, &c->tuple);
	conn_clear(c, CONN_HALF_OPEN);
}

static void release(struct tcp_conn *c)
{
	struct tcp *t = c->tcp;

	table_tcp_remove(&t->table, table_tcp_hash(&t->table, &c->tuple), c, false);
	timer_cancel(&t->shard->wheel, &c->timer);
	c->timers = 0;
	sendq_clear(&c->sendq, &t->chunks);
	c->queued = 0;
	sent_clear(c);
	if (c->ooo)
		ooo_free(&t->ooos, &c->ooo);
	conn_leave_backlog(c);
	if (c->flags & CONN_STARVED)
		forget_starved(c);
	t->dead[t->dead_n++] = c;
}

/* The last thing that a connection does: from here on its user may not use it. */
static void tell(struct tcp_conn *c, enum err why)
{
	const struct tcp_user_ops *ops = c->ops;

	CHECK(c->state == TCP_CLOSED);
	c->ops = NULL;
	if (ops)
		ops->on_closed(c->user, why);
}

static void end(struct tcp_conn *c, enum tcp_cause cause, enum err why)
{
	release(c);
	conn_move(c, cause);
	if (c->flags & CONN_ACTIVE)
		ports_freed(c->tcp, &c->tuple);
	tell(c, why);
}

void conn_close(struct tcp_conn *c, enum err why)
{
	/* ICMP had said why nobody answers. */
	if (why == ERR_CONN_TIMEOUT && c->state == TCP_SYN_SENT && c->flags & CONN_UNREACHABLE)
		why = ERR_UNREACHABLE;
	if (c->state != TCP_CLOSED)
		end(c, CAUSE_end, why);
}

void conn_done(struct tcp_conn *c)
{
	CHECK(c->state == TCP_LAST_ACK);
	end(c, CAUSE_ack_of_fin, OK);
}

void conn_reset(struct tcp_conn *c, enum err why)
{
	if (c->state != TCP_CLOSED && c->state != TCP_SYN_SENT && c->state != TCP_TIME_WAIT)
		reply_reset_conn(c);
	conn_close(c, why);
}

/*
 * The full object was for data in both directions, and there will be none. What remains to be done for 2 MSL, to
 * answer a repeated FIN and to keep the tuple from being used again, fits into a third of it.
 */
void conn_wait(struct tcp_conn *c)
{
	CHECK(c->state == TCP_TIME_WAIT);
	if (c->flags & CONN_ACK_NOW)
		output_ack(c);
	release(c);
	wait_new(c->tcp, c, c->flags & CONN_ACTIVE);
	conn_move(c, CAUSE_end);
	tell(c, OK);
}
