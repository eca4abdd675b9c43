/*
 * The segment in memory:
 *
 *    header mbuf: headroom | TCP header, options | pieces of up to PACKET_COPY_MAX bytes, copied
 *      > indirect mbuf: a larger piece, referred to where it lies
 *      > header mbuf as a further block of copied pieces, when small ones follow a large one
 *
 * Copying small pieces is cheaper than referring to them (a reference costs an mbuf and two counter updates, and the
 * port a descriptor), and it makes one segment of many small writes.
 *
 * Segmentation: segments are made one by one here, for ports that do not cut. That takes 105 cycles each; to cut a
 * large one in software (rte_gso, DPDK 24.11) takes 180, with the same header mbufs and references, and IPv6 it cannot.
 * For ports that cut (TSO), segments of one flush that follow each other become one, up to 64 KiB: one header, one look
 * at the path, and no checksum.
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

/* Where payload is put: m's last mbuf, and whether that is a block of copies. */
struct end {
	struct rte_mbuf *tail;
	bool copies;
};

/* Puts len bytes of the queue behind m. False: no memory, m has a part of them. */
static bool payload(struct tcp *t, struct rte_mbuf *m, struct end *end, uint32_t len, struct sendq_at *at)
{
	struct rte_mbuf *of, *fresh;
	uint32_t off;

	for (uint32_t left = len; left > 0;) {
		const uint32_t n = sendq_read(at, left, &of, &off);

		CHECK(n > 0);
		left -= n;
		m->pkt_len += n;
		if (n > PACKET_COPY_MAX) {
			fresh = reference(t, of, off, n);
			if (!fresh)
				return false;
			end->tail = chain(m, end->tail, fresh);
			end->copies = false;
			continue;
		}
		if (!end->copies || rte_pktmbuf_tailroom(end->tail) < n) {
			fresh = block(t);
			if (!fresh)
				return false;
			end->tail = chain(m, end->tail, fresh);
			end->copies = true;
		}
		rte_memcpy((char *)end->tail->buf_addr + end->tail->data_off + end->tail->data_len,
		           (const char *)of->buf_addr + off, n);
		end->tail->data_len = (uint16_t)(end->tail->data_len + n);
	}
	return true;
}

static void output(struct tcp_conn *c, struct rte_mbuf *m, uint8_t traffic_class)
{
	/* What the IP layer refuses (no route for a moment, no neighbour) is lost as on a wire, and counted there. */
	(void)ip_output(c->tcp->ip, &c->path, &c->tuple, m, TTL, traffic_class);
}

/* ---- large segments ---- */

enum { RUN_FLAGS = SEGMENT_ACK | SEGMENT_PSH | SEGMENT_FIN }; /* a port puts PSH and FIN on the last piece only */

static void run_send(struct build_run *r)
{
	struct rte_mbuf *m = r->m;

	if (r->segments > 1) {
		m->l4_len = (uint64_t)(rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *)->data_off >> 4) * 4;
		m->tso_segsz = r->conn->mss;
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	}
	r->m = NULL;
	output(r->conn, m, r->traffic_class);
}

void build_run(struct tcp_conn *c)
{
	struct build_run *r = &c->tcp->run;

	CHECK_SLOW(!r->m);
	r->conn = c;
}

void build_run_end(struct tcp *t)
{
	if (t->run.m)
		run_send(&t->run);
	t->run.conn = NULL;
}

/* Whether the segment differs from those before it in nothing but what a port changes by itself. */
static bool run_fits(const struct build_run *r, const struct build *b)
{
	return b->conn == r->conn && b->seq == r->next && b->wnd == r->wnd &&
	       b->traffic_class == r->traffic_class && r->last == b->conn->mss && b->len > 0 &&
	       b->len <= b->conn->mss && (b->flags & ~RUN_FLAGS) == 0 && r->bytes + b->len <= IP_LARGE_MAX &&
	       r->m->nb_segs < b->conn->path.large && !b->conn->ooo && seq_range_empty(b->again);
}

/* Undoes what payload() did to m since then; the header mbuf is never undone. */
static void run_cut(struct build_run *r, uint16_t tail_bytes, uint16_t segs, uint32_t bytes)
{
	if (r->tail->next)
		rte_pktmbuf_free(r->tail->next);
	r->tail->next = NULL;
	r->tail->data_len = tail_bytes;
	r->m->nb_segs = segs;
	r->m->pkt_len = bytes;
}

static bool run_add(struct build_run *r, const struct build *b, struct sendq_at *at)
{
	const uint16_t tail_bytes = r->tail->data_len, segs = r->m->nb_segs;
	const uint32_t bytes = r->m->pkt_len;
	struct end end = {r->tail, r->copies};

	if (!payload(b->conn->tcp, r->m, &end, b->len, at)) {
		run_cut(r, tail_bytes, segs, bytes);
		return false;
	}
	r->tail = end.tail;
	r->copies = end.copies;
	rte_pktmbuf_mtod(r->m, struct rte_tcp_hdr *)->tcp_flags |= b->flags;
	r->last = (uint16_t)b->len;
	r->bytes += b->len;
	r->next += b->len;
	r->segments++;
	return true;
}

/* A full segment may be the first of a large one. */
static void run_begin(struct build_run *r, const struct build *b, struct rte_mbuf *m, const struct end *end)
{
	*r = (struct build_run){.conn = b->conn, .m = m, .tail = end->tail, .copies = end->copies, .wnd = b->wnd,
	                        .traffic_class = b->traffic_class, .segments = 1, .last = (uint16_t)b->len,
	                        .bytes = b->len, .next = b->seq + b->len};
}

bool build_send(const struct build *b, struct sendq_at *at)
{
	struct tcp_conn *c = b->conn;
	struct tcp *t = c->tcp;
	struct rte_mbuf *m;
	struct end end;

	if (__builtin_expect(t->run.m != NULL, 0)) {
		if (run_fits(&t->run, b)) {
			if (run_add(&t->run, b, at)) {
				tcp_count(t, C_tcp_segments_out);
				return true;
			}
			tcp_count(t, DROP_tcp_no_memory);
			return false;
		}
		run_send(&t->run);
	}
	m = header(b);
	end = (struct end){m, true};
	if (m && b->len > 0 && !payload(t, m, &end, b->len, at)) {
		rte_pktmbuf_free(m);
		m = NULL;
	}
	if (!m) {
		tcp_count(t, DROP_tcp_no_memory);
		return false;
	}
	tcp_count(t, C_tcp_segments_out);
	if (__builtin_expect(t->run.conn == c, 0) && b->len == c->mss && (b->flags & ~SEGMENT_PSH) == SEGMENT_ACK)
		run_begin(&t->run, b, m, &end);
	else
		output(c, m, b->traffic_class);
	return true;
}
