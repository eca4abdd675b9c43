#include "http/dormant.h"

#include "tls/tls.h"

enum { LOOKS_PER_CONN = 4, LOOKS_PER_TICK = 256 };

/* ---- falling asleep ---- */

static bool nothing_begun(const struct h1_conn *c)
{
	return !c->stream && c->rx == RX_HEAD && c->lead == 0 && !c->part.m && !c->gather && !c->queue &&
	       !c->arena.first;
}

static bool nothing_owed(const struct h1_conn *c)
{
	return c->acked_bytes == c->queued_bytes && !c->starved && !c->text;
}

static bool may_sleep(const struct h1_conn *c)
{
	return c->role == H1_SERVER && c->state == H1_OPEN && c->keep_alive && !c->eof && !c->broken && !c->in_later &&
	       !c->consuming && !c->http->draining && nothing_begun(c) && nothing_owed(c);
}

bool dormant_try(struct h1_conn *c)
{
	struct tcp_conn *tcp;
	uint64_t idle_ms;

	if (!may_sleep(c))
		return false;
	idle_ms = (c->http->shard->now_ns - c->since_ns) / NS_PER_MS;
	if (idle_ms >= H1_IDLE_TIMEOUT_MS)
		return false;
	tcp = tls_release(c->tls);
	if (!tcp)
		return false;
	c->tls = NULL;
	http_count(c->http, C_http_conns_dormant);
	tcp_keep(tcp, H1_IDLE_TIMEOUT_MS - (uint32_t)idle_ms);
	h1_put(c);
	return true;
}

void dormant_look(struct http *h)
{
	const struct pool *p = &h->conns;

	if (p->free_n > p->capacity / 2)
		return;
	for (unsigned i = 0; i < LOOKS_PER_CONN; i++) {
		struct h1_conn *c = pool_at(p, h->dormant_hand);

		h->dormant_hand = (h->dormant_hand + 1) % p->capacity;
		if (c)
			dormant_try(c);
	}
}

/* ---- waking up ---- */

static struct tls_conn *wake(struct http *h, struct tcp_conn *tcp)
{
	struct h1_conn *c = h1_get(h, H1_SERVER);

	if (!c) {
		tcp_abort(tcp, ERR_LIMIT);
		return NULL;
	}
	http_count(h, C_http_conns_woken);
	c->tls = tls_accept(h->tls, tcp, &h1_tls_ops, c);
	if (!c->tls && c->state != H1_DEAD)
		h1_cut(c, ERR_NO_MEMORY);
	return c->tls;
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct tcp_conn *tcp = user;
	struct http *h = tcp_keeper(tcp);
	struct tls_conn *tls;

	http_enter(h);
	tls = wake(h, tcp);
	if (tls)
		tls_input(tls, m);
	else
		rte_pktmbuf_free_seg(m);
	http_leave(h);
}

/* ---- its end ---- */

static void closed(struct http *h)
{
	http_count(h, C_http_server_conns_closed);
}

void dormant_close(struct tcp_conn *tcp)
{
	struct http *h = tcp_keeper(tcp);

	tcp_shutdown(tcp);
	tcp_detach(tcp);
	closed(h);
}

static void on_eof(void *user)
{
	dormant_close(user);
}

static void on_alarm(void *user)
{
	struct tcp_conn *tcp = user;
	struct http *h = tcp_keeper(tcp);

	http_count(h, C_limit_http_idle_s);
	dormant_close(tcp);
}

static void on_closed(void *user, enum err why)
{
	(void)why;
	closed(tcp_keeper(user));
}

static void on_acked(void *user, uint32_t bytes)
{
	(void)user;
	(void)bytes;
}

static void drain_fire(struct timer *t, uint64_t now_ns)
{
	struct http *h = container_of(t, struct http, drain_timer);
	struct tcp *tcp = tls_below(h->tls);
	const uint32_t all = tcp_kept_places(tcp);

	(void)now_ns;
	for (unsigned i = 0; i < LOOKS_PER_TICK && h->drain_at < all; i++) {
		struct tcp_conn *c = tcp_kept_at(tcp, h->drain_at++);

		if (c)
			dormant_close(c);
	}
	if (h->drain_at < all)
		timer_arm(&h->shard->wheel, t, h->shard->now_ns, drain_fire);
}

void dormant_drain(struct http *h)
{
	timer_arm(&h->shard->wheel, &h->drain_timer, h->shard->now_ns, drain_fire);
}

void dormant_init(struct http *h)
{
	static const struct tcp_user_ops ops = {
		.on_data = on_data, .on_eof = on_eof, .on_acked = on_acked, .on_closed = on_closed,
		.on_alarm = on_alarm,
	};

	tcp_set_keeper(tls_below(h->tls), &ops, h);
}

void dormant_fini(struct http *h)
{
	timer_cancel(&h->shard->wheel, &h->drain_timer);
}
