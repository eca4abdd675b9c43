/*
 * ICMP errors about our segments (RFC 5927): believed only when the sequence number they quote is in flight, and even
 * then no more than a hint, but for an open that is not answered yet and for the path's MTU (mtu.c).
 *
 * An open is ended by hard errors: the host is there, and does not speak what we want. Soft ones (no route, no host)
 * may be of a moment, and MUST NOT end it (RFC 9293, 3.9.2.2): SYNs go on, and when nothing ever answers the user is
 * told "unreachable". Who would rather try elsewhere says so beforehand (struct tcp_connect); RFC 5461, 4 has what it
 * is like for those who wait. Neither is done for others than who know the initial sequence number.
 */
#include "tcp/conn.h"
#include "tcp/mtu.h"

enum {
	ICMP4_UNREACHABLE = 3, ICMP4_PROTOCOL = 2, ICMP4_PORT = 3, ICMP4_TOO_BIG = 4,
	ICMP6_UNREACHABLE = 1, ICMP6_PROHIBITED = 1, ICMP6_PORT = 4,
};

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

/* RFC 5461, 2.1. */
static bool hard(const struct ip_icmp_error *e)
{
	return port(e) || e->code == (addr_is_v4(&e->tuple.remote) ? (int)ICMP4_PROTOCOL : (int)ICMP6_PROHIBITED);
}

/* In SYN_SENT. */
static void open_unreachable(struct tcp_conn *c, const struct ip_icmp_error *e)
{
	c->flags |= CONN_UNREACHABLE;
	if (hard(e) || c->flags & CONN_IMPATIENT)
		conn_close(c, port(e) ? ERR_CONN_REFUSED : ERR_UNREACHABLE);
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
		open_unreachable(c, e);
	else if (conn_synchronised(c))
		mtu_too_big(c, e);
}
