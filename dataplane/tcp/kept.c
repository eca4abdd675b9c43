/* Connections whose user holds nothing of its own for each: they are kept for it. */
#include "tcp/conn.h"

void tcp_set_keeper(struct tcp *t, const struct tcp_user_ops *ops, void *keeper)
{
	CHECK_MAGIC(t, TCP_MAGIC);
	CHECK(ops != NULL && ops->on_alarm != NULL);
	t->kept_ops = ops;
	t->keeper = keeper;
}

void *tcp_keeper(const struct tcp_conn *c)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	return c->tcp->keeper;
}

void tcp_keep(struct tcp_conn *c, uint32_t alarm_ms)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	CHECK(c->tcp->kept_ops != NULL && c->state == TCP_ESTABLISHED);
	tcp_clock(c->tcp);
	c->ops = c->tcp->kept_ops;
	c->user = c;
	timer_set(c, TIMER_LIFE, alarm_ms);
}

uint32_t tcp_kept_places(const struct tcp *t)
{
	CHECK_MAGIC(t, TCP_MAGIC);
	return t->conns.capacity;
}

bool tcp_crowded(const struct tcp *t)
{
	const uint64_t all = t->conns.capacity;

	return t->conns.free_n < all * (100 - LIMIT_shed_idle + LIMIT_shed_relief) / 100;
}

struct tcp_conn *tcp_kept_at(const struct tcp *t, uint32_t place)
{
	struct tcp_conn *c = pool_at(&t->conns, place);

	return c && c->state != TCP_CLOSED && conn_kept(c) ? c : NULL;
}

uint64_t tcp_heard_ns(const struct tcp_conn *c)
{
	CHECK_MAGIC(c, CONN_MAGIC);
	tcp_clock(c->tcp);
	return (c->tcp->clock_ns / NS_PER_MS - (c->tcp->now_ms - c->heard_ms)) * NS_PER_MS;
}
