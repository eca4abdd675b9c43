/*
 * What the peer of a flow knows, from the wire alone: what it has sent and been sent, and whether a segment of the
 * stack may be as it is. For fuzz_packet_in.c.
 *
 * Where a connection begins (its two first sequence numbers) is looked up once, when it appears; from then on the
 * stack's word counts for nothing. What a peer said in segments that the stack had to refuse is taken for said as well,
 * so the rules here are never stricter than the standard's, and sometimes more lenient.
 */
#ifndef TESTS_FUZZ_PACKET_FLOW_H
#define TESTS_FUZZ_PACKET_FLOW_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcp/seq.h"
#include "tests/wire/codec.h"

#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), abort()))

enum { CAME_MAX = 256, MSS_LEAST = 216, NEAR = 1 << 28, SEGMENTS_MAX = 300 * 16 };

struct flow {
	struct tuple tuple;
	bool known;                      /* iss and irs are */
	uint32_t iss, irs;

	/* The peer's half. */
	struct seq_range came[CAME_MAX]; /* what it has sent, sorted, with gaps; SYN and FIN are bytes of it */
	unsigned came_n;
	bool ended;                      /* it has sent a FIN, perhaps with more behind it */
	struct seq_range last;           /* the segment that it sent last */
	struct seq_range all[SEGMENTS_MAX]; /* and those before it: an input has no more */
	unsigned all_n;
	uint32_t wnd_edge;               /* the furthest that it let the stack send */
	uint16_t mss;                    /* the largest that it named, or the default */
	uint8_t scale;
	bool scaled;                     /* the SYN that counts had the option */
	bool ts, sack_ok, ecn;           /* some SYN had it */

	/* The stack's half. */
	uint32_t sent_end;               /* behind the last byte that it has sent */
	uint32_t edge;                   /* of the window that it offers */
	bool edge_known, tsval_known;
	uint32_t tsval;
	uint8_t offered_scale;
	uint64_t queued;                 /* bytes that its user has given it, in this connection */
	bool shut;                       /* and that there will be no more */
};

/* By place in the stream, from the first sequence number on: so it does not matter how often a byte comes. */
static uint8_t flow_byte(uint32_t place, unsigned direction)
{
	return (uint8_t)((place * 7 + place / 251 + direction * 101) % 251);
}

/* A connection appears. */
static void flow_begin(struct flow *f, uint32_t iss)
{
	f->known = true;
	f->iss = iss;
	f->sent_end = f->wnd_edge = iss + 1;
	f->came_n = 0;
	f->edge_known = f->tsval_known = f->shut = f->ended = false;
	f->queued = 0;
	f->offered_scale = 0;
}

/* ---- what the peer sends ---- */

static void came(struct flow *f, struct seq_range r)
{
	unsigned at = 0, end;

	while (at < f->came_n && seq_lt(f->came[at].right, r.left))
		at++;
	for (end = at; end < f->came_n && seq_le(f->came[end].left, r.right); end++) {
		r.left = seq_lt(f->came[end].left, r.left) ? f->came[end].left : r.left;
		r.right = seq_max(r.right, f->came[end].right);
	}
	if (at == end && f->came_n == CAME_MAX) {
		f->came[CAME_MAX - 1].right = seq_max(r.right, f->came[CAME_MAX - 1].right); /* lenient */
		return;
	}
	memmove(&f->came[at + 1], &f->came[end], (f->came_n - end) * sizeof(f->came[0]));
	f->came_n = f->came_n - (end - at) + 1;
	f->came[at] = r;
}

static void flow_syn(struct flow *f, const struct wire_segment *g, bool first)
{
	const uint16_t mss = g->has_mss && g->mss ? g->mss : addr_is_v4(&f->tuple.remote) ? 536 : 1220;
	const uint16_t bounded = mss < MSS_LEAST ? (uint16_t)MSS_LEAST : mss;

	if (first) {
		f->mss = 0;
		f->scale = 0;
		f->ts = f->sack_ok = f->ecn = false;
		f->scaled = g->has_scale;
	}
	f->mss = bounded > f->mss ? bounded : f->mss;
	f->scale = g->has_scale && g->scale > f->scale ? g->scale < 14 ? g->scale : 14 : f->scale;
	f->ts |= g->has_ts;
	f->sack_ok |= g->sack_ok;
	f->ecn |= g->flags & FLAG_E;
}

/* The peer has sent a segment that the stack may look at. */
static void flow_sent(struct flow *f, const struct wire_segment *g)
{
	const uint32_t span = g->len + ((g->flags & FLAG_S) != 0) + ((g->flags & FLAG_F) != 0);
	const uint32_t edge = g->ack + ((uint32_t)g->window << (g->flags & FLAG_S ? 0 : f->scale));

	f->last = (struct seq_range){g->seq, g->seq + span};
	if (f->all_n < SEGMENTS_MAX)
		f->all[f->all_n++] = f->last;
	if (!f->known)
		return;
	f->ended |= g->flags & FLAG_F;
	/* No stream here becomes longer; what lies elsewhere cannot be sorted. */
	if (span > 0 && f->last.right - f->irs - 1 < NEAR)
		came(f, (struct seq_range){seq_max(g->seq, f->irs), f->last.right});
	if (g->flags & FLAG_A && g->ack - f->iss <= f->sent_end - f->iss && seq_gt(edge, f->wnd_edge))
		f->wnd_edge = edge;
}

/* ---- what the stack sends ---- */

static bool covers(const struct seq_range *r, uint32_t left, uint32_t right)
{
	return seq_le(r->left, left) && seq_le(right, r->right);
}

static bool has_come(const struct flow *f, uint32_t left, uint32_t right)
{
	for (unsigned i = 0; i < f->came_n && seq_lt(left, right); i++)
		if (covers(&f->came[i], left, right))
			return true;
	return false;
}

/* Some segment held these bytes. Not only the last: what answers may wait until a neighbour's address is known. */
static bool was_held(const struct flow *f, uint32_t left, uint32_t right)
{
	for (unsigned i = f->all_n; i-- > 0;)
		if (covers(&f->all[i], left, right))
			return true;
	return false;
}

static void check_blocks(const struct flow *f, const struct wire_segment *g)
{
	MUST(g->blocks == 0 || (f->sack_ok && g->flags & FLAG_A && !(g->flags & (FLAG_S | FLAG_R))));
	for (unsigned i = 0; i < g->blocks; i++) {
		const struct wire_block *b = &g->block[i];

		/* The first may be a D-SACK, of what came now and is known no more. Only a FIN, which is no text, lets two touch. */
		MUST(seq_lt(b->left, b->right));
		MUST(has_come(f, b->left, b->right) || (i == 0 && was_held(f, b->left, b->right)));
		MUST(i == 0 || seq_gt(b->left, g->ack));
		for (unsigned k = 1; k < i; k++)
			MUST(seq_lt(b->right, g->block[k].left + f->ended) || seq_gt(b->left + f->ended, g->block[k].right));
	}
}

static void check_window(struct flow *f, const struct wire_segment *g)
{
	const uint32_t scale = f->scaled ? f->offered_scale : 0;
	const uint32_t edge = g->ack + ((uint32_t)g->window << scale);

	if (f->edge_known)
		MUST(seq_ge(edge + (1u << scale) - 1, f->edge));
	if (!f->edge_known || seq_gt(edge, f->edge))
		f->edge = edge;
	f->edge_known = true;
}

static void check_text(const struct flow *f, const struct wire_segment *g)
{
	const uint32_t place = g->seq - f->iss - 1;

	MUST(g->len <= f->mss);
	MUST(place <= f->queued && place + g->len <= f->queued);
	/* One byte more into a closed window: a probe. */
	MUST(seq_le(g->seq + g->len, f->wnd_edge + (g->len == 1)));
	for (unsigned i = 0; i < g->len; i++)
		MUST(g->payload[i] == flow_byte(place + i, 1));
}

/* What holds of every segment that the stack sends to the peer. */
static void flow_check(struct flow *f, const struct wire_segment *g)
{
	const bool syn = g->flags & FLAG_S, fin = g->flags & FLAG_F;

	MUST(!(g->flags & FLAG_U) && !(syn && fin));
	MUST(g->len == 0 || (g->flags & FLAG_A && !(g->flags & (FLAG_R | FLAG_S))));
	MUST(!(g->has_mss || g->has_scale || g->sack_ok) || syn);
	if (g->flags & FLAG_R) {
		MUST(!syn && !fin);
		return;
	}
	MUST(f->known);
	if (syn) {
		MUST(g->seq == f->iss && g->has_mss);
		if (g->has_scale)
			f->offered_scale = g->scale;
		if (g->flags & FLAG_A)
			MUST((!g->has_scale || f->scaled) && (!g->has_ts || f->ts) && (!g->sack_ok || f->sack_ok));
	} else {
		MUST(g->flags & FLAG_A && (!g->has_ts || f->ts) && (f->ecn || !(g->flags & (FLAG_E | FLAG_C))));
		MUST(seq_ge(g->seq, f->iss));
	}
	if (g->has_ts) {
		MUST(!f->tsval_known || seq_ge(g->tsval, f->tsval));
		f->tsval = g->tsval;
		f->tsval_known = true;
	}
	check_blocks(f, g);
	if (g->len > 0)
		check_text(f, g);
	if (fin)
		MUST(f->shut && g->seq + g->len == f->iss + 1 + (uint32_t)f->queued);
	f->sent_end = seq_max(f->sent_end, g->seq + g->len + syn + fin);
	if (g->flags & FLAG_A)
		MUST(has_come(f, f->irs, g->ack)); /* nothing is acknowledged but what has come, all of it */
	/* A SYN's window cannot say what a scaled one said, which an ACK may have done before the SYN came again. */
	if (!syn)
		check_window(f, g);
}

#endif
