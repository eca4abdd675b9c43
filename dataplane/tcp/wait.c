#include "tcp/wait.h"

#include "tcp/conn.h"
#include "tcp/ports.h"
#include "tcp/reply.h"
#include "tcp/segment.h"

static_assert(sizeof(struct tcp_wait) <= 128, "a third of a connection");

enum { ISS_GAP = 65536 + 1, REUSE_MS = 1000 };

static void fire(struct timer *timer, uint64_t now_ns);

/* Our timestamps tell incarnations apart, and the port is ours to give. */
static bool gives_port(const struct tcp_wait *w)
{
	return w->active && w->ts;
}

static void list_put(struct tcp *t, struct tcp_wait *w)
{
	w->expires_ms = t->now_ms + TIME_WAIT_MS;
	w->next = NULL;
	w->prev = t->wait_last;
	if (w->prev)
		w->prev->next = w;
	else
		t->wait_first = w;
	t->wait_last = w;
	if (gives_port(w))
		ports_wait(t, w);
	if (!timer_armed(&t->wait_timer))
		timer_arm(&t->shard->wheel, &t->wait_timer, t->clock_ns + TIME_WAIT_MS * NS_PER_MS, fire);
}

static void list_take(struct tcp *t, struct tcp_wait *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		t->wait_first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		t->wait_last = w->prev;
	if (gives_port(w))
		ports_wait_over(t, w);
}

static void forget(struct tcp *t, struct tcp_wait *w)
{
	table_tcp_remove(&t->table, table_tcp_hash(&t->table, &w->tuple), w, true);
	list_take(t, w);
	if (w->active)
		ports_freed(t, &w->tuple);
	pool_put(&t->waits, w);
}

static void fire(struct timer *timer, uint64_t now_ns)
{
	struct tcp *t = container_of(timer, struct tcp, wait_timer);
	unsigned budget = 256;

	(void)now_ns;
	tcp_clock(t);
	while (budget-- > 0 && t->wait_first && (int32_t)(t->wait_first->expires_ms - t->now_ms) <= 0)
		forget(t, t->wait_first);
	if (t->wait_first) {
		const int32_t in_ms = (int32_t)(t->wait_first->expires_ms - t->now_ms);

		timer_arm(&t->shard->wheel, &t->wait_timer,
		          t->clock_ns + (in_ms > 0 ? (uint32_t)in_ms : 0) * NS_PER_MS, fire);
	}
}

void wait_new(struct tcp *t, const struct tcp_conn *c, bool active)
{
	struct tcp_wait *w = pool_get(&t->waits);

	if (!w) {
		tcp_count(t, C_limit_tcp_time_wait);
		forget(t, t->wait_first);
		w = pool_get(&t->waits);
	}
	*w = (struct tcp_wait){
		.tuple = c->tuple,
		.snd_nxt = c->snd_max,
		.rcv_nxt = c->rcv_nxt,
		.ts = (c->flags & CONN_TS) != 0,
		.ts_recent = c->ts_recent,
		.ts_offset = c->ts_offset,
		.challenge_ms = t->now_ms - CHALLENGE_MS,
		.wnd = (uint16_t)((c->rcv_adv - c->rcv_nxt) >> c->rcv_wscale),
		.active = active,
	};
	list_put(t, w);
	table_tcp_put(&t->table, table_tcp_hash(&t->table, &w->tuple), w, true);
}

void wait_clear(struct tcp *t)
{
	while (t->wait_first)
		forget(t, t->wait_first);
	timer_cancel(&t->shard->wheel, &t->wait_timer);
}

static void answer(struct tcp *t, struct tcp_wait *w)
{
	const struct reply r = {
		.tuple = &w->tuple,
		.seq = w->snd_nxt,
		.ack = w->rcv_nxt,
		.wnd = w->wnd,
		.flags = SEGMENT_ACK,
		.ts = w->ts,
		.tsval = t->now_ms + w->ts_offset,
		.tsecr = w->ts_recent,
	};

	reply_send(t, &r);
}

/* Surely no delayed SYN of the old incarnation. */
static bool reopens(const struct tcp_wait *w, const struct segment *g)
{
	if (g->event != EVENT_SYN)
		return false;
	if (w->ts && g->ts && g->tsval != w->ts_recent)
		return seq_gt(g->tsval, w->ts_recent);
	return seq_gt(g->seq, w->rcv_nxt);
}

/* The one thing that can arrive from the peer in this state: its FIN, because it has not heard our last ACK. */
static bool fin_again(const struct tcp_wait *w, const struct segment *g)
{
	return g->flags & SEGMENT_FIN && !(g->flags & SEGMENT_SYN) && g->seq + segment_span(g) == w->rcv_nxt;
}

/*
 * Only that restarts 2 MSL, and is always answered: who knows its number is the peer. Everything else out of place may
 * be anybody's, and gets no more answers than a connection's challenges (RFC 5961, 7).
 */
bool wait_input(struct tcp *t, struct tcp_wait *w, const struct segment *g, uint32_t *iss)
{
	/* RFC 1337: a RST here may be an old one, and would let old data into a new incarnation. */
	if (g->flags & SEGMENT_RST) {
		tcp_count(t, DROP_tcp_state);
		return false;
	}
	if (reopens(w, g)) {
		*iss = w->snd_nxt + ISS_GAP;
		forget(t, w);
		return true;
	}
	if (g->ts && w->ts && seq_lt(g->tsval, w->ts_recent)) {
		tcp_count(t, DROP_tcp_paws);
	} else if (fin_again(w, g)) {
		list_take(t, w);
		list_put(t, w);
		answer(t, w);
		return false;
	}
	if ((segment_span(g) > 0 || g->ack != w->snd_nxt) && reply_may_challenge(t, &w->challenge_ms))
		answer(t, w);
	return false;
}

bool wait_reusable(const struct tcp *t, const struct tcp_wait *w)
{
	return gives_port(w) && (int32_t)(w->expires_ms - t->now_ms) <= TIME_WAIT_MS - REUSE_MS;
}

uint32_t wait_reuse(struct tcp *t, struct tcp_wait *w)
{
	const uint32_t iss = w->snd_nxt + ISS_GAP;

	tcp_count(t, C_tcp_time_wait_reused);
	forget(t, w);
	return iss;
}
