/*
 * The segment in memory:
 *
 *    header mbuf: headroom | TCP header, options | pieces of up to PACKET_COPY_MAX bytes, copied
 *      > indirect mbuf: a larger piece, referred to where it lies
 *      > header mbuf as a further block of copied pieces, when small ones follow a large one
 *
 * Copying small pieces is cheaper than referring to them (a reference costs an mbuf and two counter updates, and the
 * port a descriptor), and it makes one segment of many small writes.
 */
#include "tcp/build.h"

#include <rte_byteorder.h>
#include <rte_memcpy.h>
#include <rte_tcp.h>

#include "base/fault.h"
#include "tcp/conn.h"
#include "tcp/ooo.h"
#include "tcp/segment.h"

enum { OPTIONS_MAX = 40, SACK_HEAD = 4, SACK_BLOCK = 8, IPV4_AND_TCP = 40, IPV6_AND_TCP = 60 };

enum { TWO_NOPS = OPTION_NOP << 8 | OPTION_NOP, SACK_PERMITTED = OPTION_SACK_OK << 8 | 2 };

static_assert((OPTIONS_MAX - SACK_HEAD) / SACK_BLOCK == SACK_BLOCKS_MAX, "what fits into a header");

static uint8_t *put32(uint8_t *at, uint32_t word)
{
	word = rte_cpu_to_be_32(word);
	memcpy(at, &word, sizeof(word));
	return at + sizeof(word);
}

/* before: two bytes of other options, or NOPs, so that the words of this one are aligned. */
static uint8_t *timestamps(struct tcp_conn *c, uint8_t *at, uint32_t before)
{
	at = put32(at, before << 16 | OPTION_TS << 8 | 10);
	at = put32(at, c->tcp->now_ms + c->ts_offset);
	return put32(at, c->ts_recent);
}

uint16_t build_mss(struct tcp *t, struct ip_path *path, const struct tuple *tuple)
{
	const bool v4 = addr_is_v4(&tuple->remote);
	const uint16_t mtu = ip_mtu_here(t->ip, path, tuple), headers = v4 ? IPV4_AND_TCP : IPV6_AND_TCP;

	if (mtu < headers + MSS_MIN)
		return v4 ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6;
	return (uint16_t)(mtu - headers);
}

/* A SYN offers everything, a SYN,ACK what was offered to it. */
static uint8_t *syn_options(struct tcp_conn *c, uint8_t *at)
{
	at = put32(at, OPTION_MSS << 24 | 4 << 16 | build_mss(c->tcp, &c->path, &c->tuple));
	if (c->flags & CONN_WS)
		at = put32(at, OPTION_NOP << 24 | OPTION_WSCALE << 16 | 3 << 8 | c->rcv_wscale);
	if (c->flags & CONN_TS)
		at = timestamps(c, at, c->flags & CONN_SACK ? SACK_PERMITTED : TWO_NOPS);
	else if (c->flags & CONN_SACK)
		at = put32(at, (uint32_t)TWO_NOPS << 16 | SACK_PERMITTED);
	return at;
}

/*
 * What came behind the hole (RFC 2018, 4), newest first; and before that what came although we had it (RFC 2883, 4). As
 * many blocks as fit: three beside timestamps, four without. Text has precedence: a full segment has no room for any.
 */
static uint8_t *sack(const struct build *b, uint8_t *at, uint32_t used)
{
	const struct tcp_conn *c = b->conn;
	const uint32_t room = OPTIONS_MAX - used < c->mss - b->len ? OPTIONS_MAX - used : c->mss - b->len;
	const unsigned most = room < SACK_HEAD ? 0 : (room - SACK_HEAD) / SACK_BLOCK;
	struct seq_range blocks[SACK_BLOCKS_MAX];
	unsigned n = 0;

	if (most == 0)
		return at;
	if (!seq_range_empty(b->again))
		blocks[n++] = b->again;
	if (c->ooo)
		n += ooo_newest(c->ooo, blocks + n, most - n);
	if (n == 0)
		return at;
	at = put32(at, (uint32_t)TWO_NOPS << 16 | OPTION_SACK << 8 | (2 + SACK_BLOCK * n));
	for (unsigned i = 0; i < n; i++) {
		at = put32(at, blocks[i].left);
		at = put32(at, blocks[i].right);
	}
	return at;
}

static struct rte_mbuf *header(const struct build *b)
{
	struct tcp_conn *c = b->conn;
	struct rte_mbuf *m = rte_pktmbuf_alloc(c->tcp->shard->pools.header);
	struct rte_tcp_hdr *h;
	uint8_t *end;

	if (__builtin_expect(!m, 0)) {
		tcp_count(c->tcp, C_limit_header_mbufs);
		return NULL;
	}
	h = rte_pktmbuf_mtod(m, struct rte_tcp_hdr *);
	end = (uint8_t *)(h + 1);
	if (__builtin_expect(b->flags & SEGMENT_SYN, 0))
		end = syn_options(c, end);
	else if (c->flags & CONN_TS)
		end = timestamps(c, end, TWO_NOPS);
	if (__builtin_expect(c->ooo || !seq_range_empty(b->again), 0) && c->flags & CONN_SACK)
		end = sack(b, end, (uint32_t)(end - (uint8_t *)(h + 1)));
	h->src_port = rte_cpu_to_be_16(c->tuple.local_port);
	h->dst_port = rte_cpu_to_be_16(c->tuple.remote_port);
	h->sent_seq = rte_cpu_to_be_32(b->seq);
	h->recv_ack = b->flags & SEGMENT_ACK ? rte_cpu_to_be_32(c->rcv_nxt) : 0;
	h->data_off = (uint8_t)((end - (uint8_t *)h) / 4 << 4);
	h->tcp_flags = b->flags;
	h->rx_win = rte_cpu_to_be_16(b->wnd);
	h->cksum = 0;
	h->tcp_urp = 0;
	m->data_len = (uint16_t)(end - (uint8_t *)h);
	m->pkt_len = m->data_len;
	return m;
}

static struct rte_mbuf *chain(struct rte_mbuf *m, struct rte_mbuf *tail, struct rte_mbuf *next)
{
	tail->next = next;
	m->nb_segs++;
	return next;
}

static struct rte_mbuf *reference(struct tcp *t, struct rte_mbuf *of, uint32_t off, uint32_t n)
{
	struct rte_mbuf *r = rte_pktmbuf_alloc(t->shard->pools.reference);

	if (!r) {
		tcp_count(t, C_limit_reference_mbufs);
		return NULL;
	}
	rte_pktmbuf_attach(r, of);
	if (FAULT(reference_uncounted))
		rte_mbuf_refcnt_update(of, -1);
	r->data_off = (uint16_t)off;
	r->data_len = (uint16_t)n;
	r->pkt_len = n;
	return r;
}

static struct rte_mbuf *block(struct tcp *t)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(t->shard->pools.header);

	if (m)
		m->data_off = 0;
	else
		tcp_count(t, C_limit_header_mbufs);
	return m;
}

/* Puts b->len bytes of the queue behind m. False: no memory. */
static bool payload(const struct build *b, struct rte_mbuf *m, struct sendq_at *at)
{
	struct tcp *t = b->conn->tcp;
	struct rte_mbuf *tail = m, *of, *fresh;
	bool copies = true; /* tail is a block of copies */
	uint32_t off;

	for (uint32_t left = b->len; left > 0;) {
		const uint32_t n = sendq_read(at, left, &of, &off);

		CHECK(n > 0);
		left -= n;
		m->pkt_len += n;
		if (n > PACKET_COPY_MAX) {
			fresh = reference(t, of, off, n);
			if (!fresh)
				return false;
			tail = chain(m, tail, fresh);
			copies = false;
			continue;
		}
		if (!copies || rte_pktmbuf_tailroom(tail) < n) {
			fresh = block(t);
			if (!fresh)
				return false;
			tail = chain(m, tail, fresh);
			copies = true;
		}
		rte_memcpy((char *)tail->buf_addr + tail->data_off + tail->data_len, (const char *)of->buf_addr + off,
		           n);
		tail->data_len = (uint16_t)(tail->data_len + n);
	}
	return true;
}

bool build_send(const struct build *b, struct sendq_at *at)
{
	struct tcp_conn *c = b->conn;
	struct tcp *t = c->tcp;
	struct rte_mbuf *m = header(b);

	if (m && b->len > 0 && !payload(b, m, at)) {
		rte_pktmbuf_free(m);
		m = NULL;
	}
	if (!m) {
		tcp_count(t, DROP_tcp_no_memory);
		return false;
	}
	tcp_count(t, C_tcp_segments_out);
	/* What the IP layer refuses (no route for a moment, no neighbour) is lost as on a wire, and counted there. */
	(void)ip_output(t->ip, &c->path, &c->tuple, m, TTL, b->traffic_class);
	return true;
}
