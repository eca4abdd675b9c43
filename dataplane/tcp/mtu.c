/*
 * The size of our segments, and what makes it smaller and larger again.
 *
 * mss is what the peer takes and the path carries, whichever is less, without the options that every segment has
 * (RFC 6691). What the path carries is kept by the IP layer, per destination, for ten minutes (ip/pmtu.h):
 *
 *   ICMP too big    (RFC 1191, 8201) is believed when it quotes a sequence number in flight (RFC 5927), tells of an
 *                   MTU that the quoted datagram exceeds, smaller than what we know, and not absurdly small. Who knows
 *                   what is in flight can lower it to the floor and no further; from there on DF is not set, and
 *                   routers cut what is still too big.
 *   silence         (RFC 4821, 7.6 and 7.7; RFC 8899, 4.3) A router that drops without a word is a black hole: large
 *                   segments vanish while small ones get through. After so many timeouts in a row with more in flight
 *                   than the smallest segment, segments become half as large, and again with every further timeout,
 *                   down to the floor. An answer to a smaller one is a suspicion: the path may as well have lost
 *                   everything for a while, by an outage or a full queue. So segments are full ones again; the first
 *                   of them that gets through clears the path, and if none does, but smaller ones do again, the IP
 *                   layer is told. If not even the smallest was answered at once, the answer says nothing.
 *
 * Lost because of its size is not lost by congestion: what was in flight is sent again in smaller pieces at once, and
 * cwnd stays.
 */
#include "tcp/mtu.h"

#include "tcp/conn.h"
#include "tcp/recovery.h"
#include "tcp/sent.h"

enum { HEADERS_V4 = 40, HEADERS_V6 = 60, TS_BYTES = 12, ICMP4_UNREACHABLE = 3, ICMP4_TOO_BIG = 4, ICMP6_TOO_BIG = 2 };

static bool is_v4(const struct tcp_conn *c)
{
	return addr_is_v4(&c->tuple.remote);
}

static void set_mss(struct tcp_conn *c, uint16_t mtu)
{
	const uint16_t headers = is_v4(c) ? HEADERS_V4 : HEADERS_V6;
	uint16_t mss = c->peer_mss;

	c->mtu = mtu;
	if (mtu < headers + MSS_MIN)
		mtu = (uint16_t)(headers + (is_v4(c) ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6));
	if (mss > mtu - headers)
		mss = (uint16_t)(mtu - headers);
	c->mss = (uint16_t)(mss - (c->flags & CONN_TS ? TS_BYTES : 0));
}

void mtu_start(struct tcp_conn *c, uint16_t peer_mss)
{
	c->peer_mss = peer_mss;
	set_mss(c, ip_mtu(c->tcp->ip, &c->path, &c->tuple));
}

void mtu_follow(struct tcp_conn *c, uint16_t mtu)
{
	const uint16_t before = c->mss;

	if (mtu == 0 || (c->flags & CONN_PROBES_DOWN && mtu > c->mtu))
		return;
	conn_clear(c, CONN_PROBES_DOWN | CONN_NO_HOLE);
	set_mss(c, mtu);
	if (c->cwnd < c->mss)
		c->cwnd = c->mss; /* a window of less than a segment would never let one out */
	if (c->mss < before && c->snd_nxt != c->snd_una)
		recovery_resegment(c);
}

/* RFC 1191, 7: what a router that does not know of path MTUs may have meant. */
static uint32_t plateau_below(uint32_t bytes)
{
	static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, IP4_MTU_FLOOR, IP4_MTU_MIN};

	for (size_t i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]); i++)
		if (plateaus[i] < bytes)
			return plateaus[i];
	return 0;
}

static bool too_big(const struct tcp_conn *c, const struct ip_icmp_error *e)
{
	return is_v4(c) ? e->type == ICMP4_UNREACHABLE && e->code == ICMP4_TOO_BIG : e->type == ICMP6_TOO_BIG;
}

void mtu_too_big(struct tcp_conn *c, const struct ip_icmp_error *e)
{
	const uint16_t now = ip_mtu(c->tcp->ip, &c->path, &c->tuple), mss = c->mss;
	uint32_t mtu = e->mtu, then;

	if (!too_big(c, e))
		return;
	if (mtu == 0 && is_v4(c))
		mtu = plateau_below(e->bytes < now ? e->bytes : now);
	if (mtu >= e->bytes || !ip_mtu_lower(c->tcp->ip, &c->path, &c->tuple, mtu)) {
		tcp_count(c->tcp, DROP_icmp_mtu);
		return;
	}
	tcp_count(c->tcp, C_tcp_path_mtu_lowered);
	conn_clear(c, CONN_HOLE);
	then = ip_mtu(c->tcp->ip, &c->path, &c->tuple);
	mtu_follow(c, (uint16_t)then);
	if (then > mtu && c->mss == mss && c->snd_nxt != c->snd_una)
		recovery_resegment(c); /* as large as before, but without DF */
}

/* Enough in flight for its size to be the reason: more than the smallest segments, which every path carries. */
static bool large_in_flight(const struct tcp_conn *c, uint16_t floor)
{
	const uint32_t sent = c->snd_max - c->snd_una;

	return c->flags & CONN_PROBES_DOWN || sent > floor;
}

void mtu_timeout(struct tcp_conn *c)
{
	const uint16_t floor = is_v4(c) ? IP4_MTU_FLOOR : IP6_MTU_FLOOR, half = c->mtu / 2 > floor ? c->mtu / 2 : floor;
	const unsigned retries = c->flags & CONN_HOLE ? BLACK_HOLE_RETRIES - 1 : BLACK_HOLE_RETRIES;

	if (c->retries < retries || !large_in_flight(c, floor))
		return;
	if (c->mtu <= floor) {
		if (c->flags & CONN_PROBES_DOWN)
			c->flags |= CONN_NO_HOLE;
		return;
	}
	set_mss(c, half);
	c->flags |= CONN_PROBES_DOWN;
}

/* Of what snd_una has just gone past, was one segment a full one? Its records are still there. */
static bool full_one_passed(const struct tcp_conn *c, uint32_t bytes)
{
	const struct sent *s = sent_first(c);

	if (s == NULL)
		return bytes >= c->mss;
	for (; s != NULL && seq_le(s->end, c->snd_una); s = sent_next(c, s))
		if (sent_bytes(s) >= c->mss)
			return true;
	return false;
}

void mtu_answered(struct tcp_conn *c, uint32_t bytes)
{
	const uint16_t smaller = c->flags & CONN_PROBES_DOWN ? c->mtu : 0;
	const bool suspected = c->flags & CONN_HOLE;

	if (!smaller) {
		if (full_one_passed(c, bytes))
			conn_clear(c, CONN_HOLE);
		return;
	}
	/* More than the smaller segment: the full one was not lost. */
	if (c->flags & CONN_NO_HOLE || bytes > c->mss) {
		conn_clear(c, CONN_PROBES_DOWN | CONN_NO_HOLE | CONN_HOLE);
		return;
	}
	conn_clear(c, CONN_PROBES_DOWN);
	if (!suspected) {
		c->flags |= CONN_HOLE;
		return;
	}
	conn_clear(c, CONN_HOLE);
	if (ip_mtu_lower(c->tcp->ip, &c->path, &c->tuple, smaller))
		tcp_count(c->tcp, C_tcp_black_holes);
}
