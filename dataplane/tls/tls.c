/*
 * The secure channel, as a pass-through.
 *
 *   CONNECTING --tcp open--> OPENING --handshake done--> OPEN --tcp closed--> gone
 *   accepted -------------------^ |
 *                                 `--- waits in the job queue while its handshake is suspended
 *
 * What a TLS library will change is inside open_begin() (start a handshake), tls_run() (spend the budget) and the two
 * data functions. What is here to stay is around it: mbufs that arrive while the channel opens are kept, uncredited,
 * in a chain that is bounded in buffer bytes; an end of data waits behind them; a completion comes by handle and finds
 * nothing when the connection is gone.
 *
 * User callbacks may abort or detach the very channel that calls them, so after each one that is not the last act the
 * handle is looked up again.
 */
#include "tls/tls.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/pressure.h"
#include "base/shard.h"

enum { TLS_MAGIC = 0x544c5343, TLS_JOBS_PER_ROUND = 256 };

static_assert((LIMIT_tls_jobs & (LIMIT_tls_jobs - 1)) == 0, "the job queue is a ring");

enum tls_state { TLS_CONNECTING, TLS_OPENING, TLS_OPEN, TLS_CLOSED };

struct tls_conn {
	uint32_t magic;
	uint8_t state;              /* enum tls_state */
	bool eof;                   /* came while opening */
	struct tls *tls;
	struct tcp_conn *tcp;
	const struct tls_user_ops *ops;
	void *user;
	struct rte_mbuf *held;      /* received while opening, chained by next */
	struct rte_mbuf *held_last;
	uint32_t held_cost;
};

struct job {
	handle_t conn;
	uint64_t due_round;
};

struct tls {
	struct shard *shard;
	struct tcp *tcp;
	struct tls_options options;
	struct pool conns;
	uint64_t round;
	uint32_t jobs_first, jobs_n;
	struct job jobs[LIMIT_tls_jobs];
};

static const struct tcp_user_ops tcp_ops;

static struct tls_conn *conn_new(struct tls *t, const struct tls_user_ops *ops, void *user)
{
	struct tls_conn *c = pool_get(&t->conns);

	if (!c) {
		count(t->shard->counters, C_limit_http_conns); /* one for each of them */
		return NULL;
	}
	*c = (struct tls_conn){.magic = TLS_MAGIC, .state = TLS_CONNECTING, .tls = t, .ops = ops, .user = user};
	return c;
}

static struct rte_mbuf *held_take(struct tls_conn *c)
{
	struct rte_mbuf *m = c->held;

	if (m) {
		c->held = m->next;
		m->next = NULL;
		c->held_cost -= tcp_cost(m);
	}
	return m;
}

static void conn_free(struct tls_conn *c)
{
	struct rte_mbuf *m;

	while ((m = held_take(c)))
		rte_pktmbuf_free_seg(m);
	c->magic = 0;
	pool_put(&c->tls->conns, c);
}

static void deliver(struct tls_conn *c, struct rte_mbuf *m)
{
	c->ops->on_data(c->user, (struct slice){.m = m, .off = m->data_off, .len = m->data_len}, tcp_cost(m));
}

/* The channel is open: tells the user, then gives it what came meanwhile. */
static void opened(struct tls_conn *c)
{
	struct pool *conns = &c->tls->conns;
	const handle_t self = pool_handle(conns, c);
	struct rte_mbuf *m;

	c->state = TLS_OPEN;
	c->ops->on_open(c->user);
	while (pool_find(conns, self)) {
		m = held_take(c);
		if (!m) {
			if (c->eof)
				c->ops->on_eof(c->user);
			return;
		}
		deliver(c, m);
	}
}

static enum err suspend(struct tls_conn *c)
{
	struct tls *t = c->tls;

	if (t->jobs_n == LIMIT_tls_jobs) {
		count(t->shard->counters, C_limit_tls_jobs);
		return ERR_LIMIT;
	}
	t->jobs[(t->jobs_first + t->jobs_n++) % LIMIT_tls_jobs] = (struct job){
		.conn = pool_handle(&t->conns, c),
		.due_round = t->round + t->options.suspend_rounds,
	};
	count(t->shard->counters, C_tls_suspended);
	return OK;
}

static void open_begin(struct tls_conn *c)
{
	enum err e;

	c->state = TLS_OPENING;
	if (c->tls->options.suspend_rounds == 0) {
		opened(c);
		return;
	}
	e = suspend(c);
	if (e)
		tls_abort(c, e);
}

static void hold(struct tls_conn *c, struct rte_mbuf *m)
{
	if (c->held_cost + tcp_cost(m) > LIMIT_tls_opening_bytes) {
		count(c->tls->shard->counters, C_limit_tls_opening_bytes);
		rte_pktmbuf_free_seg(m);
		tls_abort(c, ERR_LIMIT);
		return;
	}
	m->next = NULL;
	if (c->held)
		c->held_last->next = m;
	else
		c->held = m;
	c->held_last = m;
	c->held_cost += tcp_cost(m);
}

static void on_open(void *user)
{
	struct tls_conn *c = user;

	CHECK_MAGIC(c, TLS_MAGIC);
	open_begin(c);
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct tls_conn *c = user;

	CHECK_MAGIC(c, TLS_MAGIC);
	if (c->state == TLS_OPEN && !c->held)
		deliver(c, m);
	else
		hold(c, m);
}

static void on_eof(void *user)
{
	struct tls_conn *c = user;

	CHECK_MAGIC(c, TLS_MAGIC);
	if (c->state == TLS_OPEN && !c->held)
		c->ops->on_eof(c->user);
	else
		c->eof = true;
}

static void on_acked(void *user, uint32_t bytes)
{
	struct tls_conn *c = user;

	CHECK_MAGIC(c, TLS_MAGIC);
	c->ops->on_acked(c->user, bytes);
}

static void on_closed(void *user, enum err why)
{
	struct tls_conn *c = user;

	CHECK_MAGIC(c, TLS_MAGIC);
	c->state = TLS_CLOSED;
	c->ops->on_closed(c->user, why);
	conn_free(c);
}

struct tls *tls_new(struct shard *s, struct tcp *tcp, const struct tls_options *options)
{
	struct tls *t = calloc(1, sizeof(*t));

	CHECK(t);
	t->shard = s;
	t->tcp = tcp;
	t->options = *options;
	pool_init(&t->conns, "tls_conns", sizeof(struct tls_conn), LIMIT_http_conns + LIMIT_upstream_conns);
	return t;
}

void tls_watch(const struct tls *t, struct pressure *p)
{
	pressure_watch_conns(p, &t->conns);
}

void tls_free(struct tls *t)
{
	struct tls_conn *c;

	/* The connections below hear nothing more: tcp_free() follows, with no round in between. */
	for (uint32_t at = 0; (c = pool_next(&t->conns, &at));)
		conn_free(c);
	pool_fini(&t->conns);
	free(t);
}

void tls_run(struct tls *t)
{
	t->round++;
	for (unsigned i = 0; i < TLS_JOBS_PER_ROUND && t->jobs_n > 0; i++) {
		struct job j = t->jobs[t->jobs_first];

		if (j.due_round > t->round)
			return;
		t->jobs_first = (t->jobs_first + 1) % LIMIT_tls_jobs;
		t->jobs_n--;
		tls_job_done(t, j.conn, OK);
	}
}

bool tls_waiting(const struct tls *t)
{
	return t->jobs_n > 0;
}

struct tls_conn *tls_accept(struct tls *t, struct tcp_conn *tcp, const struct tls_user_ops *ops, void *user)
{
	struct tls_conn *c = conn_new(t, ops, user);
	handle_t self;

	if (!c) {
		tcp_abort(tcp, ERR_NO_MEMORY);
		return NULL;
	}
	self = pool_handle(&t->conns, c);
	c->tcp = tcp;
	tcp_set_user(tcp, &tcp_ops, c);
	open_begin(c);
	return pool_find(&t->conns, self);
}

enum err tls_connect(struct tls *t, const struct tcp_connect *how, const struct tls_user_ops *ops, void *user,
                     struct tls_conn **out)
{
	struct tls_conn *c = conn_new(t, ops, user);
	struct tcp_connect own = *how;
	enum err e;

	if (!c)
		return ERR_NO_MEMORY;
	own.ops = &tcp_ops;
	own.user = c;
	e = tcp_connect(t->tcp, &own, &c->tcp);
	if (e) {
		conn_free(c);
		return e;
	}
	*out = c;
	return OK;
}

struct tcp_conn *tls_release(struct tls_conn *c)
{
	struct tcp_conn *tcp = c->tcp;

	CHECK_MAGIC(c, TLS_MAGIC);
	if (c->state != TLS_OPEN || c->held)
		return NULL;
	conn_free(c);
	return tcp;
}

void tls_input(struct tls_conn *c, struct rte_mbuf *m)
{
	on_data(c, m);
}

struct tcp *tls_below(const struct tls *t)
{
	return t->tcp;
}

void tls_set_user(struct tls_conn *c, const struct tls_user_ops *ops, void *user)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	c->ops = ops;
	c->user = user;
}

bool tls_send(struct tls_conn *c, struct slice s)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	return c->state == TLS_OPEN && tcp_send(c->tcp, s);
}

uint32_t tls_send_room(const struct tls_conn *c)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	return c->state == TLS_OPEN ? tcp_send_room(c->tcp) : 0;
}

void tls_send_short(struct tls_conn *c)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	if (c->state == TLS_OPEN)
		tcp_send_short(c->tcp);
}

void tls_more(struct tls_conn *c, bool more)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	tcp_more(c->tcp, more);
}

void tls_shutdown(struct tls_conn *c)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	tcp_shutdown(c->tcp);
}

void tls_abort(struct tls_conn *c, enum err why)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	if (c->state != TLS_CLOSED)
		tcp_abort(c->tcp, why);
}

void tls_detach(struct tls_conn *c)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	if (c->state == TLS_CLOSED)
		return;
	tcp_detach(c->tcp);
	conn_free(c);
}

void tls_credit(struct tls_conn *c, uint32_t credit)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	if (credit && c->state != TLS_CLOSED)
		tcp_credit(c->tcp, credit);
}

void tls_enough(struct tls_conn *c)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	if (c->state != TLS_CLOSED)
		tcp_enough(c->tcp);
}

bool tls_want(struct tls_conn *c, uint32_t buffer_bytes)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	return c->state == TLS_CLOSED || tcp_want(c->tcp, buffer_bytes);
}

struct tcp_conn *tls_tcp(const struct tls_conn *c)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	return c->tcp;
}

const char *tls_alpn(const struct tls_conn *c)
{
	CHECK_MAGIC(c, TLS_MAGIC);
	return "";
}

void tls_job_done(struct tls *t, handle_t job, enum err result)
{
	struct tls_conn *c = pool_find(&t->conns, job);

	if (!c || c->state != TLS_OPENING) {
		count(t->shard->counters, C_handles_dead);
		return;
	}
	if (result)
		tls_abort(c, result);
	else
		opened(c);
}

static const struct tcp_user_ops tcp_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.on_eof = on_eof,
	.on_acked = on_acked,
	.on_closed = on_closed,
};
