#include "tcp/reply.h"

#include <rte_byteorder.h>
#include <rte_tcp.h>

#include "tcp/conn.h"
#include "tcp/output.h"
#include "tcp/segment.h"

enum { OPTION_WORDS_MAX = 6 };

/* Returns how many words they are. */
static unsigned put_options(const struct reply *r, uint32_t words[static OPTION_WORDS_MAX])
{
	unsigned n = 0;

	if (r->mss)
		words[n++] = OPTION_MSS << 24 | 4 << 16 | r->mss;
	if (r->wscale)
		words[n++] = OPTION_NOP << 24 | OPTION_WSCALE << 16 | 3 << 8 | r->wscale;
	if (r->sack_ok)
		words[n++] = OPTION_NOP << 24 | OPTION_NOP << 16 | OPTION_SACK_OK << 8 | 2;
	if (r->ts) {
		words[n++] = OPTION_NOP << 24 | OPTION_NOP << 16 | OPTION_TS << 8 | 10;
		words[n++] = r->tsval;
		words[n++] = r->tsecr;
	}
	for (unsigned i = 0; i < n; i++)
		words[i] = rte_cpu_to_be_32(words[i]);
	return n;
}

void reply_send(struct tcp *t, const struct reply *r)
{
	uint32_t words[OPTION_WORDS_MAX];
	const unsigned words_n = put_options(r, words);
	const uint16_t bytes = (uint16_t)(sizeof(struct rte_tcp_hdr) + words_n * sizeof(words[0]));
	struct rte_mbuf *m = rte_pktmbuf_alloc(t->shard->pools.header);
	struct ip_path path = {0};
	struct rte_tcp_hdr *h;

	if (!m) {
		tcp_count(t, DROP_tcp_no_memory);
		return;
	}
	h = (struct rte_tcp_hdr *)rte_pktmbuf_append(m, bytes);
	*h = (struct rte_tcp_hdr){
		.src_port = rte_cpu_to_be_16(r->tuple->local_port),
		.dst_port = rte_cpu_to_be_16(r->tuple->remote_port),
		.sent_seq = rte_cpu_to_be_32(r->seq),
		.recv_ack = rte_cpu_to_be_32(r->ack),
		.data_off = (uint8_t)(bytes / 4 << 4),
		.tcp_flags = r->flags,
		.rx_win = rte_cpu_to_be_16(r->wnd),
	};
	memcpy(h + 1, words, words_n * sizeof(words[0]));
	tcp_count(t, C_tcp_segments_out);
	if (r->flags & SEGMENT_RST)
		tcp_count(t, C_tcp_resets_sent);
	(void)ip_output(t->ip, &path, r->tuple, m, TTL, 0);
}

/*
 * Global limits are drawn anew for each second, between one and two times so many: a fixed one tells an attacker, who
 * counts the challenge ACKs (or resets) that he gets himself, whether a guess about another connection has used one up
 * (CVE-2016-5696).
 */
static bool budget(struct tcp *t, struct reply_budget *b, uint32_t per_s)
{
	const uint32_t second = t->now_ms / 1000;

	if (second != b->second) {
		b->second = second;
		b->left = per_s + rng_below(&t->shard->rng, per_s);
	}
	if (b->left == 0)
		return false;
	b->left--;
	return true;
}

void reply_reset(struct tcp *t, const struct segment *g)
{
	struct reply r = {.tuple = g->tuple, .flags = SEGMENT_RST};

	if (g->flags & SEGMENT_RST)
		return;
	if (!budget(t, &t->resets, LIMIT_tcp_resets_per_s)) {
		tcp_count(t, C_limit_tcp_resets_per_s);
		return;
	}
	if (g->flags & SEGMENT_ACK) {
		r.seq = g->ack;
	} else {
		r.ack = g->seq + segment_span(g);
		r.flags |= SEGMENT_ACK;
	}
	reply_send(t, &r);
}

void reply_reset_conn(struct tcp_conn *c)
{
	const struct reply r = {
		.tuple = &c->tuple,
		.seq = c->snd_max,
		.ack = c->rcv_nxt,
		.flags = SEGMENT_RST | SEGMENT_ACK,
		.ts = (c->flags & CONN_TS) != 0,
		.tsval = c->tcp->now_ms + c->ts_offset,
		.tsecr = c->ts_recent,
	};

	reply_send(c->tcp, &r);
}

static bool quiet_for(const struct tcp *t, uint32_t *last_ms)
{
	if (t->now_ms - *last_ms < CHALLENGE_MS)
		return false;
	*last_ms = t->now_ms;
	return true;
}

void reply_where(struct tcp_conn *c, const struct segment *g)
{
	const bool again = g->len > 0 && seq_le(g->seq + g->len, c->rcv_nxt);

	if (again && c->flags & CONN_SACK && conn_synchronised(c))
		output_ack_of(c, (struct seq_range){g->seq, g->seq + g->len});
	else if (segment_span(g) > 0 && !(g->flags & SEGMENT_SYN))
		conn_ack_now(c);
	else if (quiet_for(c->tcp, &c->challenge_ms))
		conn_ack_now(c);
}

bool reply_may_challenge(struct tcp *t, uint32_t *last_ms)
{
	if (!quiet_for(t, last_ms) || !budget(t, &t->challenges, CHALLENGES_PER_S))
		return false;
	tcp_count(t, C_tcp_challenge_acks);
	return true;
}

void reply_challenge(struct tcp_conn *c)
{
	if (reply_may_challenge(c->tcp, &c->challenge_ms))
		output_ack(c);
}
