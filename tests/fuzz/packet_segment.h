/*
 * What the peers of fuzz_packet_in.c say: segments that lie where the true connection stands, plus differences that the
 * input gives. Bytes that the stack has to refuse, for whatever reason, are wrong ones.
 */
#ifndef TESTS_FUZZ_PACKET_SEGMENT_H
#define TESTS_FUZZ_PACKET_SEGMENT_H

#include "tests/fuzz/packet_net.h"

#include "tcp/wait.h"

struct input {
	const uint8_t *at, *end;
};

static unsigned byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static unsigned word(struct input *in)
{
	const unsigned high = byte(in);

	return high << 8 | byte(in);
}

/* How a segment travels. */
struct travel {
	unsigned chain;      /* receive() */
	unsigned fragments;  /* 0: none */
	unsigned class;
};

/* The stack must not even look at it. */
static bool blind(const struct wire_segment *g)
{
	return g->bad_checksum || (g->offset_words > 0 && g->offset_words < 5);
}

/* The stack must not take any text of it. */
static bool refused(const struct tcp_conn *c, const struct wire_segment *g)
{
	if (blind(g) || !c)
		return true;
	if (!conn_synchronised(c))
		return false;
	if ((g->flags & (FLAG_S | FLAG_R | FLAG_A)) != FLAG_A)
		return true;
	/* Raw options may hold a timestamp. */
	if (c->flags & CONN_TS && g->raw_bytes == 0 && (!g->has_ts || seq_lt(g->tsval, c->ts_recent)))
		return true;
	return seq_gt(g->ack, c->snd_max) || seq_gt(g->seq, c->rcv_adv) || seq_le(g->seq + g->len, c->rcv_nxt);
}

/* Was this the segment that made the connection, or told us where the peer's stream begins? */
static void note_connection(struct flow *f, const struct wire_segment *g, const struct tcp_conn *before, uint8_t state)
{
	const struct tcp_conn *c = conn_of(f);

	if (!c || !(g->flags & FLAG_S))
		return;
	if (c != before) {
		flow_begin(f, c->snd_una);
		net.user[f - net.flow].left = NULL; /* that one is no more, and this may have its memory */
		f->offered_scale = c->rcv_wscale; /* until it is said: a forged ACK may come before our SYN,ACK leaves */
	} else if (state != TCP_SYN_SENT || c->state == TCP_SYN_SENT) {
		return;
	}
	f->irs = g->seq;
	f->came_n = 0;
	flow_syn(f, g, true);
	came(f, f->last);
}

static void transmit(struct flow *f, struct wire_segment *g, const struct travel *t)
{
	static uint8_t payload[1500], bytes[FRAME_MAX], frame[FRAME_MAX];
	static unsigned id;
	const struct tcp_conn *c = conn_of(f);
	const uint8_t state = c ? c->state : TCP_CLOSED;
	const bool wrong = refused(c, g);
	size_t n;

	if (g->flags & FLAG_S && !c)
		begin_anew(f);
	g->source = f->tuple.remote_port;
	g->destination = f->tuple.local_port;
	for (unsigned i = 0; i < g->len; i++)
		payload[i] = (uint8_t)(flow_byte(g->seq - f->irs - 1 + i, 0) ^ (wrong ? 0x55 : 0));
	g->payload = payload;
	if (c && conn_synchronised(c))
		f->sent_end = seq_max(f->sent_end, c->snd_max); /* what was lost below TCP is sent, too */
	if (g->flags & FLAG_S)
		flow_syn(f, g, false);
	if (!blind(g))
		flow_sent(f, g);
	n = wire_encode(g, &f->tuple.remote, &f->tuple.local, bytes, sizeof(bytes));
	MUST(n > 0);
	n = encapsulate(frame, &f->tuple.remote, &f->tuple.local, IPPROTO_TCP, t->class, bytes, n);
	if (t->fragments)
		fragments(frame, n, addr_is_v4(&f->tuple.local), t->fragments - 1, ++id);
	else
		receive(frame, n, t->chain);
	note_connection(f, g, c, state);
}

/* Where the connection stands, as bases of what the peer says. */
struct bases {
	uint32_t seq[4], ack[4], tsval, tsecr, mss;
	bool ts;
};

static struct bases bases_of(const struct flow *f)
{
	bool wait = false;
	const void *at = found(&f->tuple, &wait);
	struct bases b = {.mss = 1460, .tsval = net.tcp->now_ms, .tsecr = net.tcp->now_ms};

	if (at && wait) {
		const struct tcp_wait *w = at;

		b.seq[0] = b.seq[1] = b.seq[2] = b.seq[3] = w->rcv_nxt;
		b.ack[0] = b.ack[1] = b.ack[2] = b.ack[3] = w->snd_nxt;
		b.ts = w->ts;
		b.tsecr += w->ts_offset;
	} else if (at) {
		const struct tcp_conn *c = at;
		const uint32_t end = f->came_n ? f->came[f->came_n - 1].right : c->rcv_nxt;

		memcpy(b.seq, (uint32_t[]){c->rcv_nxt, end, c->rcv_adv, f->irs}, sizeof(b.seq));
		memcpy(b.ack, (uint32_t[]){c->snd_max, c->snd_una, c->snd_nxt, f->iss}, sizeof(b.ack));
		b.ts = c->flags & CONN_TS && c->state != TCP_SYN_SENT;
		b.mss = c->mss ? c->mss : 536;
		b.tsecr += c->ts_offset;
	}
	return b;
}

/* A difference: none, small, in segments, anything. */
static uint32_t difference(struct input *in, unsigned kind, uint32_t mss)
{
	switch (kind & 3) {
	case 1:
		return (uint32_t)(int8_t)byte(in);
	case 2:
		return (uint32_t)(int8_t)byte(in) * mss;
	case 3:
		return (uint32_t)word(in) << 16 | word(in);
	default:
		return 0;
	}
}

static uint16_t window(struct input *in)
{
	const unsigned code = byte(in);

	return code == 0 ? 65535 : code == 1 ? 0 : (uint16_t)(code < 128 ? code * 4 : (code - 127) * 500);
}

/* what: bits 0-1 mss, bit 2 window scale, bit 3 timestamps, bit 4 SACK-permitted; all inverted, so that 0 has all. */
static void syn_options(struct input *in, struct wire_segment *g)
{
	static const uint16_t sizes[4] = {1460, 536, 0, 100};
	const unsigned what = byte(in);

	g->mss = sizes[what & 3];
	g->has_mss = g->mss != 0;
	g->has_scale = !(what & 4);
	g->scale = (uint8_t)(what & 128 ? byte(in) : 7);
	g->has_ts = !(what & 8);
	g->sack_ok = !(what & 16);
	if (what & 32)
		g->flags |= FLAG_E | FLAG_C;
	if (what & 64)
		g->len = byte(in);
}

static void sack_blocks(struct input *in, struct wire_segment *g, const struct bases *b)
{
	for (g->blocks = 0; g->blocks < WIRE_BLOCKS_MAX - 1u; g->blocks++) {
		const unsigned left = byte(in), bytes = byte(in);

		if (bytes == 0)
			return;
		g->block[g->blocks].left = b->ack[left & 1] + (uint32_t)((int)(left >> 1) - 16) * b->mss;
		g->block[g->blocks].right = g->block[g->blocks].left + (bytes < 128 ? bytes * b->mss : bytes - 192);
	}
}

/* What seldom happens: each bit a thing. */
static void oddities(struct input *in, struct wire_segment *g, struct travel *t, const struct bases *b)
{
	const unsigned what = byte(in);

	if (what & 1)
		t->chain = byte(in);
	if (what & 2)
		t->fragments = 1 + byte(in);
	if (what & 4 && !(g->flags & FLAG_S))
		sack_blocks(in, g, b);
	if (what & 8) {
		const unsigned kind = byte(in);

		g->has_ts ^= kind & 4;
		g->tsval += difference(in, kind, 1000);
		g->tsecr += difference(in, kind >> 4, 1000);
	}
	if (what & 16)
		for (unsigned n = byte(in) % (g->blocks ? 1 : 20); g->raw_bytes < n;)
			g->raw_options[g->raw_bytes++] = (uint8_t)(byte(in) | (g->flags & FLAG_S ? 16 : 0)); /* unknown ones */
	if (what & 32)
		t->class = byte(in) & 3;
	g->bad_checksum = what & 64;
	if (what & 128)
		g->offset_words = byte(in) & 15;
}

static void give(struct flow *f, struct wire_segment *g, struct input *in, const struct bases *b)
{
	struct travel t = {0};

	oddities(in, g, &t, b);
	/* A header that is longer than it was makes text of options, or options of text. */
	g->bad_checksum |= g->offset_words >= 5;
	transmit(f, g, &t);
}

static void segment(struct input *in, struct flow *f)
{
	static const uint8_t usual[8] = {FLAG_A, FLAG_A | FLAG_P, FLAG_A | FLAG_F, FLAG_R, FLAG_R | FLAG_A, FLAG_S,
	                                 FLAG_S | FLAG_A, 0};
	const unsigned flags = byte(in), where = byte(in);
	const struct bases b = bases_of(f);
	struct wire_segment g = {.flags = (uint8_t)(flags & 8 ? flags >> 4 | (flags & 7) << 4 : usual[flags & 7])};

	g.seq = b.seq[where & 3];
	g.seq += difference(in, where >> 2, b.mss);
	g.ack = b.ack[where >> 4 & 3];
	g.ack += difference(in, where >> 6, b.mss);
	g.len = byte(in) * 8 % 1424;
	g.window = window(in);
	g.has_ts = b.ts;
	g.tsval = b.tsval;
	g.tsecr = b.tsecr;
	if (g.flags & FLAG_S && flags & 128)
		syn_options(in, &g);
	give(f, &g, in, &b);
}

/* A peer that behaves: acknowledges all that has come, sends `len` bytes, and perhaps FIN. */
static void behave(struct flow *f, unsigned len, uint8_t flags)
{
	const struct bases b = bases_of(f);
	struct wire_segment g = {.flags = (uint8_t)(FLAG_A | flags), .seq = b.seq[0], .ack = b.ack[0], .window = 65535,
	                         .len = len, .has_ts = b.ts, .tsval = b.tsval, .tsecr = b.tsecr};
	const struct travel t = {0};

	transmit(f, &g, &t);
}

#endif
