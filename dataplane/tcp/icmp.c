/*
 * ICMP errors about our segments (RFC 5927): believed only when the sequence number they quote is in flight, and even
 * then no more than a hint, but for an open that is not answered yet and for the path's MTU (mtu.c).
 */
#include "tcp/conn.h"
#include "tcp/mtu.h"

enum { ICMP4_UNREACHABLE = 3, ICMP4_PORT = 3, ICMP4_TOO_BIG = 4, ICMP6_UNREACHABLE = 1, ICMP6_PORT = 4 };

static bool unreachable(const struct ip_icmp_error *e)
{
	if (addr_is_v4(&e->tuple.remote))
		return e->type == ICMP4_UNREACHABLE && e->code != ICMP4_TOO_BIG;
	return e->type == ICMP6_UNREACHABLE;
}

static bool port(const struct ip_icmp_error *e)
{
	return e->code == (addr_is_v4(&e->tuple.remote) ? (int)ICMP4_PORT : (int)ICMP6_PORT);
}

void tcp_icmp_error(struct tcp *t, const struct ip_icmp_error *e)
{
	bool wait = false;
	struct tcp_conn *c;

	CHECK_MAGIC(t, TCP_MAGIC);
	tcp_clock(t);
	c = table_tcp_find(&t->table, &e->tuple, table_tcp_hash(&t->table, &e->tuple), &wait);
	if (!c || wait || seq_lt(e->sequence, c->snd_una) || seq_ge(e->sequence, c->snd_max)) {
		tcp_count(t, DROP_icmp_unrelated);
		return;
	}
	if (c->state == TCP_SYN_SENT && unreachable(e))
		conn_close(c, port(e) ? ERR_CONN_REFUSED : ERR_UNREACHABLE);
	else if (conn_synchronised(c))
		mtu_too_big(c, e);
}
