/*
 * The interpreter. A line is a word and its arguments; `words` at the end has them all. A script fails by fail(), which
 * does not return.
 */
#include "tests/wire/script.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcp/isn.h"
#include "tests/wire/stand.h"

enum { WORDS_MAX = 40, TOLERANCE_US = 2100, STEP_US = 500 };

struct script {
	const char *path;
	FILE *file;
	unsigned line;
	struct {
		unsigned left, line;
		long at;
	} repeat;                    /* the lines from there on, so many times more */
	char *word[WORDS_MAX];
	unsigned words;
	unsigned at;                 /* the next word to look at */

	const struct packet_pools *pools;
	struct stand *stand;
	bool open;

	struct tuple tuple;          /* the stack's view */
	uint32_t peer_isn, stack_iss;
	bool iss_known;
	uint32_t peer_nxt;           /* relative: what the peer sends next unless told otherwise */
	uint32_t stack_max;          /* relative: behind the last byte that the stack has sent */
	uint32_t want_iss;
	bool want_iss_set;
	struct {
		bool iss_known, ts_known;
		uint32_t iss, tsval; /* less what the clocks of both add, if they are what the stack says */
	} this, other;               /* flow, and the one before it with another port */
	uint32_t floor;              /* absolute: what the tuple's last incarnation has sent, up to here */
	bool floor_known;
	uint32_t right_edge;         /* relative: of the window that the stack offers */
	bool edge_known;
	uint8_t stack_scale, offered_scale;
	bool scaled, peer_scaled, peer_ts, ts, peer_sack;
	uint8_t peer_syn, stack_syn; /* the flags of the last SYNs */
	uint16_t win;
	uint16_t mtu;
	uint32_t ts_base, last_tsval;
	uint64_t last_tsval_ns;      /* when it was sent */
	uint32_t acked;              /* relative: the highest that the peer has acknowledged */
	bool rfc, v6;
	bool burst;                  /* the line before was of the same round */

	jmp_buf out;
	char *why;
	size_t why_max;
};

static const uint64_t START_NS = UINT64_C(1000000000000);

__attribute__((noreturn, format(printf, 2, 3))) static void fail(struct script *p, const char *format, ...)
{
	va_list list;
	int n = snprintf(p->why, p->why_max, "%s:%u: ", p->path, p->line);

	va_start(list, format);
	vsnprintf(p->why + n, p->why_max - (size_t)n, format, list);
	va_end(list);
	longjmp(p->out, 1);
}

/* ---- words ---- */

static char *next_word(struct script *p)
{
	return p->at < p->words ? p->word[p->at++] : NULL;
}

static char *need_word(struct script *p)
{
	char *w = next_word(p);

	if (!w)
		fail(p, "%s: an argument is missing", p->word[0]);
	return w;
}

static uint32_t number(struct script *p)
{
	const char *w = need_word(p);
	char *end;
	const long long n = strtoll(w, &end, 0);

	if (*end || n > UINT32_MAX || n < INT32_MIN)
		fail(p, "%s is not a number", w);
	return (uint32_t)n;
}

/* A-B, or several with commas between them: relative to base. */
static unsigned blocks(struct script *p, uint32_t base, struct wire_block block[static WIRE_BLOCKS_MAX])
{
	char *save = NULL;
	unsigned n = 0;

	for (char *w = strtok_r(need_word(p), ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		struct wire_block *b = &block[n];

		if (n == WIRE_BLOCKS_MAX || sscanf(w, "%u-%u", &b->left, &b->right) != 2)
			fail(p, "%s is no block A-B, or one too many", w);
		b->left += base;
		b->right += base;
		n++;
	}
	return n;
}

static uint64_t duration_ns(struct script *p)
{
	const char *w = need_word(p);
	char *end;
	const double n = strtod(w, &end);

	if (!strcmp(end, "us"))
		return (uint64_t)(n * 1e3);
	if (!strcmp(end, "ms"))
		return (uint64_t)(n * 1e6);
	if (!strcmp(end, "s"))
		return (uint64_t)(n * 1e9);
	fail(p, "%s is not a duration (us, ms, s)", w);
}

static uint8_t flags_of(struct script *p, const char *w)
{
	static const char letters[] = "FSRPAUEC";
	uint8_t flags = 0;

	for (; *w && strcmp(w, "-"); w++) {
		const char *at = strchr(letters, *w);

		if (!at)
			fail(p, "%s: flags are letters of %s, or -", p->word[1], letters);
		flags = (uint8_t)(flags | 1u << (at - letters));
	}
	return flags;
}

/* ---- the stack ---- */

static const char *print(const struct script *p, const struct stand_sent *sent, char *text, size_t n)
{
	struct wire_segment g;
	const char *wrong = wire_decode(&g, sent->bytes, sent->n);
	char flags[9] = "";

	if (wrong) {
		snprintf(text, n, "a segment that is %s", wrong);
		return text;
	}
	for (unsigned i = 0, at = 0; i < 8; i++)
		if (g.flags >> i & 1) {
			flags[at++] = "FSRPAUEC"[i];
			flags[at] = 0;
		}
	snprintf(text, n, "%s seq %u len %u ack %u win %u (at +%.3f ms)", flags, g.seq - p->stack_iss, g.len,
	         g.ack - p->peer_isn, g.window, (double)(sent->at_ns - START_NS) / 1e6);
	for (unsigned i = 0; i < g.blocks; i++)
		snprintf(text + strlen(text), n - strlen(text), " [%u-%u]", g.block[i].left - p->peer_isn,
		         g.block[i].right - p->peer_isn);
	return text;
}

static void open_stand(struct script *p)
{
	uint64_t now_ns = START_NS;

	if (p->open)
		return;
	p->open = true;
	stand_open(p->stand, p->pools, now_ns, 7);
	if (p->want_iss_set) {
		/* The clock of initial sequence numbers ticks every 4096 ns: start when it shows what is wanted. */
		const uint32_t base = isn_make(&p->stand->shard, &p->tuple);

		now_ns += (uint64_t)(p->want_iss - base) << 12;
		tcp_free(p->stand->tcp);
		stand_open(p->stand, p->pools, now_ns, 7);
	}
	p->stand->ip.mtu = p->stand->ip.mtu_here = p->mtu;
}

static void check_wrong(struct script *p)
{
	if (p->stand->wrong)
		fail(p, "%s", p->stand->wrong);
}

static void quiet(struct script *p)
{
	char text[240];

	check_wrong(p);
	if (p->stand->sent_n > 0)
		fail(p, "%s: before it, the stack sends %s", p->word[0],
		     print(p, &p->stand->sent[p->stand->sent_first], text, sizeof(text)));
}

static struct stand *ready(struct script *p)
{
	open_stand(p);
	quiet(p);
	return p->stand;
}

/* ---- segments to the stack ---- */

struct outgoing {
	struct wire_segment g;
	uint8_t payload[2048];
	bool seq_set, ack_set, no_ts, fill_set, ce, rtt_set;
	uint32_t rtt_ms;
	uint32_t count, every;
	uint32_t seq, ack;
	uint8_t fill;
};

static void hex_options(struct script *p, struct wire_segment *g)
{
	const char *w = need_word(p);

	for (; w[0] && w[1] && g->raw_bytes < sizeof(g->raw_options); w += 2) {
		unsigned byte;

		if (sscanf(w, "%2x", &byte) != 1)
			fail(p, "%s is not hexadecimal", w);
		g->raw_options[g->raw_bytes++] = (uint8_t)byte;
	}
}

static void in_argument(struct script *p, const char *w, struct outgoing *o)
{
	struct wire_segment *g = &o->g;

	if (!strcmp(w, "seq")) {
		o->seq = number(p);
		o->seq_set = true;
	} else if (!strcmp(w, "ack")) {
		o->ack = number(p);
		o->ack_set = true;
	} else if (!strcmp(w, "len")) {
		g->len = number(p);
	} else if (!strcmp(w, "n")) {
		o->count = number(p);
	} else if (!strcmp(w, "every")) {
		o->every = number(p);
	} else if (!strcmp(w, "win")) {
		p->win = (uint16_t)number(p);
	} else if (!strcmp(w, "mss")) {
		g->has_mss = true;
		g->mss = (uint16_t)number(p);
	} else if (!strcmp(w, "ws")) {
		g->has_scale = true;
		g->scale = (uint8_t)number(p);
	} else if (!strcmp(w, "sackok")) {
		g->sack_ok = true;
	} else if (!strcmp(w, "sack")) {
		g->blocks = blocks(p, p->stack_iss, g->block);
	} else if (!strcmp(w, "ts")) {
		g->has_ts = true;
	} else if (!strcmp(w, "tsval")) { /* relative to the peer's first timestamp */
		g->has_ts = true;
		g->tsval = p->ts_base + number(p);
	} else if (!strcmp(w, "nots")) {
		o->no_ts = true;
	} else if (!strcmp(w, "options")) {
		hex_options(p, g);
	} else if (!strcmp(w, "doff")) {
		g->offset_words = number(p);
	} else if (!strcmp(w, "rtt")) { /* the timestamp that is echoed is so many ms old */
		o->rtt_set = true;
		o->rtt_ms = number(p);
	} else if (!strcmp(w, "ce")) {
		o->ce = true;
	} else if (!strcmp(w, "bad-checksum")) {
		g->bad_checksum = true;
	} else if (!strcmp(w, "fill")) {
		o->fill = (uint8_t)number(p);
		o->fill_set = true;
	} else {
		fail(p, "%s is no field of a segment", w);
	}
}

static void fill_in(struct script *p, struct outgoing *o)
{
	struct wire_segment *g = &o->g;
	const bool syn = g->flags & FLAG_S;

	if (g->len > sizeof(o->payload))
		fail(p, "%u bytes are too long for a segment", g->len);
	if (!o->seq_set)
		o->seq = p->peer_nxt;
	if (!o->ack_set)
		o->ack = p->stack_max;
	g->source = p->tuple.remote_port;
	g->destination = p->tuple.local_port;
	g->seq = p->peer_isn + o->seq;
	g->ack = g->flags & FLAG_A ? p->stack_iss + o->ack : 0;
	g->window = p->win;
	for (unsigned i = 0; i < g->len; i++)
		o->payload[i] = o->fill_set ? o->fill : stream_byte(o->seq - 1 + i, 0);
	g->payload = o->payload;
	if (syn) {
		p->peer_scaled = g->has_scale;
		p->peer_ts = g->has_ts;
		p->peer_sack = g->sack_ok;
		p->peer_syn = g->flags;
	} else if (p->ts && !o->no_ts) {
		g->has_ts = true;
	}
	if (g->has_ts && g->tsval == 0)
		g->tsval = p->ts_base + (uint32_t)((p->stand->shard.now_ns - START_NS) / 1000000);
	if (g->has_ts && g->flags & FLAG_A)
		g->tsecr = p->last_tsval;
	if (o->rtt_set)
		g->tsecr += (uint32_t)((p->stand->shard.now_ns - p->last_tsval_ns) / 1000000) - o->rtt_ms;
}

static void transmit(struct script *p, struct outgoing *o)
{
	uint8_t bytes[2200];
	uint32_t end;
	size_t n;

	fill_in(p, o);
	n = wire_encode(&o->g, &p->tuple.remote, &p->tuple.local, bytes, sizeof(bytes));
	if (n == 0)
		fail(p, "the segment does not fit");
	end = o->seq + o->g.len + ((o->g.flags & FLAG_S) != 0) + ((o->g.flags & FLAG_F) != 0);
	if (o->g.flags & FLAG_A && (int32_t)(o->ack - p->acked) > 0)
		p->acked = o->ack;
	if ((int32_t)(end - p->peer_nxt) > 0 && !(o->g.flags & FLAG_R))
		p->peer_nxt = end;
	p->stand->ecn = o->ce ? 3 : 0;
	stand_input(p->stand, &p->tuple, bytes, n);
}

/* n segments in the same round, one behind the other, or one every so many bytes. */
static void in(struct script *p, bool flush)
{
	struct outgoing o = {.count = 1};
	const char *w;

	open_stand(p);
	if (!p->burst)
		quiet(p);
	o.g.flags = flags_of(p, need_word(p));
	while ((w = next_word(p)))
		in_argument(p, w, &o);
	for (uint32_t i = 0; i < o.count; i++) {
		transmit(p, &o);
		o.seq += o.every ? o.every : o.g.len;
		o.seq_set = true;
	}
	if (flush)
		stand_flush(p->stand);
	p->burst = !flush;
	check_wrong(p);
}

static void word_in(struct script *p)
{
	in(p, true);
}

/* Like `<`, but the round goes on: what follows arrives in the same burst. */
static void word_in_burst(struct script *p)
{
	in(p, false);
}

/* ---- segments from the stack ---- */

struct expected {
	uint8_t flags;
	bool push;
	uint32_t len, count;
	bool seq_set, ack_set, win_set, mss_set, ws_set, ts_set, ecr_set, absolute, scaled_set, sack_ok_set, blocks_set;
	uint32_t seq, ack, win, mss, ws, ecr, scaled;
	bool ts, any_len, sack_ok;
	unsigned blocks;
	struct wire_block block[WIRE_BLOCKS_MAX];
	bool after_set;
	uint64_t after_ns;
};

static void out_argument(struct script *p, const char *w, struct expected *e)
{
	const struct {
		const char *name;
		uint32_t *to;
		bool *set;
	} numbers[] = {
		{"seq", &e->seq, &e->seq_set}, {"ack", &e->ack, &e->ack_set}, {"win", &e->win, &e->win_set},
		{"mss", &e->mss, &e->mss_set}, {"ws", &e->ws, &e->ws_set}, {"ecr", &e->ecr, &e->ecr_set},
		{"len", &e->len, NULL}, {"n", &e->count, NULL}, {"window", &e->scaled, &e->scaled_set},
	};

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!strcmp(w, numbers[i].name)) {
			*numbers[i].to = number(p);
			if (numbers[i].set)
				*numbers[i].set = true;
			return;
		}
	if (!strcmp(w, "ts") || !strcmp(w, "nots")) {
		e->ts_set = true;
		e->ts = w[0] == 't';
	} else if (!strcmp(w, "nows")) {
		e->ws_set = true;
		e->ws = UINT32_MAX;
	} else if (!strcmp(w, "sackok") || !strcmp(w, "nosackok")) {
		e->sack_ok_set = true;
		e->sack_ok = w[0] == 's';
	} else if (!strcmp(w, "sack")) {
		e->blocks_set = true;
		e->blocks = blocks(p, p->peer_isn, e->block);
	} else if (!strcmp(w, "nosack")) {
		e->blocks_set = true;
	} else if (!strcmp(w, "absolute")) {
		e->absolute = true;
	} else if (!strcmp(w, "after")) {
		e->after_set = true;
		e->after_ns = duration_ns(p);
	} else {
		fail(p, "%s is nothing that can be expected of a segment", w);
	}
}

/* The next moment at which something may happen, at most `left` away. */
static uint64_t step_ns(const struct script *p, uint64_t left)
{
	const uint64_t next = wheel_next_ns(&p->stand->shard.wheel), now = p->stand->shard.now_ns;
	uint64_t step = next > now ? next - now : 0;

	if (step < STEP_US * 1000)
		step = STEP_US * 1000;
	return step < left ? step : left;
}

/* Time passes until the stack sends, and that must be when the script says. */
static void await(struct script *p, uint64_t after_ns)
{
	const uint64_t start = p->stand->shard.now_ns, late = TOLERANCE_US * 1000 + after_ns / 100;

	quiet(p);
	while (p->stand->sent_n == 0) {
		const uint64_t passed = p->stand->shard.now_ns - start;

		if (passed > after_ns + late)
			fail(p, "nothing is sent within %.1f ms", (double)(after_ns + late) / 1e6);
		stand_tick(p->stand, step_ns(p, after_ns + late + 1 - passed));
		check_wrong(p);
	}
	if (p->stand->shard.now_ns - start + TOLERANCE_US * 1000 < after_ns) {
		char text[240];

		fail(p, "the stack sends %s, %.1f ms too early",
		     print(p, &p->stand->sent[p->stand->sent_first], text, sizeof(text)),
		     (double)(after_ns - (p->stand->shard.now_ns - start)) / 1e6);
	}
}

/*
 * RFC 6528, 3: initial sequence numbers are a clock and a secret function of the tuple, and so are timestamps (RFC 7323,
 * 7.1). What one flow says tells nothing of another: the clock alone does not lead from one to the other.
 */
static void check_secret(struct script *p, const struct wire_segment *g, uint64_t at_ns)
{
	p->this.iss_known = true;
	p->this.iss = g->seq - (uint32_t)(at_ns >> 12);
	p->this.ts_known = g->has_ts;
	p->this.tsval = g->tsval - (uint32_t)(at_ns / 1000000);
	if (p->other.iss_known && p->other.iss == p->this.iss)
		fail(p, "the initial sequence number follows from that of another tuple");
	if (p->other.ts_known && p->this.ts_known && p->other.tsval == p->this.tsval)
		fail(p, "the timestamps are of the same clock as those of another tuple");
}

static void learn(struct script *p, const struct wire_segment *g, uint64_t at_ns)
{
	if (g->flags & FLAG_S) {
		check_secret(p, g, at_ns);
		if (p->floor_known && (int32_t)(g->seq - p->floor) < 0)
			fail(p, "the initial sequence number is %u below what the tuple has sent before", p->floor - g->seq);
		p->stack_iss = g->seq;
		p->iss_known = true;
		p->stack_scale = g->has_scale ? g->scale : 0;
		p->ts = g->has_ts && p->peer_ts;
		p->stack_syn = g->flags;
	}
	if (g->has_ts)
		p->last_tsval = g->tsval;
	p->last_tsval_ns = at_ns;
}

/* RFC 3168, 6.1.1: who opens sets both bits, who answers ECE only. */
static bool ecn_agreed(const struct script *p)
{
	const uint8_t both = FLAG_E | FLAG_C;
	const uint8_t first = p->stack_syn & FLAG_A ? p->peer_syn : p->stack_syn;
	const uint8_t second = p->stack_syn & FLAG_A ? p->stack_syn : p->peer_syn;

	return (first & both) == both && (second & both) == FLAG_E;
}

/* Sections 6.1.1 and 6.1.4 to 6.1.6: ECT stands on what brings new data, and on nothing else. */
static void check_ecn(struct script *p, const struct wire_segment *g, uint8_t ecn)
{
	const uint32_t seq = g->seq - p->stack_iss;
	/* Into a closed window go only probes. */
	const bool capable = g->len > 0 && (int32_t)(seq - p->stack_max) >= 0 && p->win > 0 && ecn_agreed(p);

	if (ecn != (capable ? 2 : 0))
		fail(p, "the segment at %u has the ECN bits %u", seq, ecn);
}

/* What holds for every segment, whatever the script says about it. */
static void always(struct script *p, const struct wire_segment *g, uint8_t ecn)
{
	const uint32_t seq = g->seq - p->stack_iss;
	const uint32_t end = seq + g->len + ((g->flags & FLAG_S) != 0) + ((g->flags & FLAG_F) != 0);
	const uint32_t scale = p->peer_scaled && !(g->flags & FLAG_S) ? p->stack_scale : 0;
	const uint32_t edge = g->ack - p->peer_isn + ((uint32_t)g->window << scale);

	if (g->source != p->tuple.local_port || g->destination != p->tuple.remote_port)
		fail(p, "ports %u > %u", g->source, g->destination);
	if (g->blocks && (!p->peer_sack || !(g->flags & FLAG_A) || g->flags & FLAG_S))
		fail(p, "SACK blocks that the peer did not permit, or not in an ACK");
	check_ecn(p, g, ecn);
	if (g->flags & FLAG_R)
		return;
	for (unsigned i = 0; i < g->len; i++)
		if (g->payload[i] != stream_byte(seq - 1 + i, 1))
			fail(p, "byte %u of the segment at %u is not the stream's", i, seq);
	if ((int32_t)(end - p->stack_max) > 0)
		p->stack_max = end;
	if (!(g->flags & FLAG_A))
		return;
	if (p->edge_known && (int32_t)(edge + (1u << scale) - 1 - p->right_edge) < 0)
		fail(p, "the offered window shrinks: its right edge moves from %u to %u", p->right_edge, edge);
	if (!p->edge_known || (int32_t)(edge - p->right_edge) > 0)
		p->right_edge = edge;
	p->edge_known = true;
}

static void compare_blocks(struct script *p, const struct expected *e, const struct wire_segment *g)
{
	char text[240];

	if (g->blocks != e->blocks || memcmp(g->block, e->block, e->blocks * sizeof(e->block[0])))
		fail(p, "other SACK blocks in %s", print(p, &p->stand->sent[p->stand->sent_first], text, sizeof(text)));
}

static void compare(struct script *p, const struct expected *e, const struct wire_segment *g)
{
	const uint8_t flags = e->push ? g->flags : (uint8_t)(g->flags & ~FLAG_P);
	const uint32_t seq = e->absolute ? g->seq : g->seq - p->stack_iss;
	const uint32_t ack = e->absolute ? g->ack : g->ack - p->peer_isn;
	const struct {
		const char *name;
		bool set;
		uint32_t want, got;
	} fields[] = {
		{"flags", true, e->flags, flags},
		{"seq", e->seq_set, e->seq, seq},
		{"len", true, e->len, g->len},
		{"ack", e->ack_set, e->ack, ack},
		{"win", e->win_set, e->win, g->window},
		{"window", e->scaled_set, e->scaled, (uint32_t)g->window << p->stack_scale},
		{"mss", e->mss_set, e->mss, g->has_mss ? g->mss : UINT32_MAX},
		{"ws", e->ws_set, e->ws, g->has_scale ? g->scale : UINT32_MAX},
		{"ts", e->ts_set, e->ts, g->has_ts},
		{"ecr", e->ecr_set, e->ecr, g->tsecr - p->ts_base},
		{"sackok", e->sack_ok_set, e->sack_ok, g->sack_ok},
	};

	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].set && fields[i].want != fields[i].got) {
			char text[240];

			fail(p, "%s should be %d and is %d in %s", fields[i].name, (int)fields[i].want,
			     (int)fields[i].got, print(p, &p->stand->sent[p->stand->sent_first], text, sizeof(text)));
		}
	if (e->blocks_set)
		compare_blocks(p, e, g);
}

static void word_out(struct script *p)
{
	struct expected e = {.count = 1};
	struct wire_segment g;
	const char *w, *wrong;

	open_stand(p);
	w = need_word(p);
	e.flags = flags_of(p, w);
	e.push = e.flags & FLAG_P;
	while ((w = next_word(p)))
		out_argument(p, w, &e);
	stand_flush(p->stand);
	if (e.after_set)
		await(p, e.after_ns);
	for (uint32_t i = 0; i < e.count; i++) {
		struct stand_sent *sent = &p->stand->sent[p->stand->sent_first];

		check_wrong(p);
		if (p->stand->sent_n == 0)
			fail(p, "nothing is sent (of %u expected, %u came)", e.count, i);
		wrong = wire_decode(&g, sent->bytes, sent->n);
		if (wrong)
			fail(p, "the stack sends a segment that is %s", wrong);
		if (p->tuple.local_port == 0)
			p->tuple.local_port = g.source;
		learn(p, &g, sent->at_ns);
		compare(p, &e, &g);
		always(p, &g, sent->ecn);
		e.seq += g.len;
		p->stand->sent_first = (p->stand->sent_first + 1) % SENT_MAX;
		p->stand->sent_n--;
	}
}

/* What is sent is looked at, but the script does not say what it should be. */
static void take_all(struct script *p)
{
	while (p->stand->sent_n > 0) {
		struct stand_sent *sent = &p->stand->sent[p->stand->sent_first];
		struct wire_segment g;
		const char *wrong = wire_decode(&g, sent->bytes, sent->n);

		if (wrong)
			fail(p, "the stack sends a segment that is %s", wrong);
		learn(p, &g, sent->at_ns);
		always(p, &g, sent->ecn);
		p->stand->sent_first = (p->stand->sent_first + 1) % SENT_MAX;
		p->stand->sent_n--;
	}
	check_wrong(p);
}

/* acks N BYTES [rtt MS]: the peer acknowledges so many more bytes, N times, and takes what that lets out. */
static void word_acks(struct script *p)
{
	const uint32_t n = number(p), bytes = number(p);
	const char *w = next_word(p);
	const bool rtt = w && !strcmp(w, "rtt");
	const uint32_t rtt_ms = rtt ? number(p) : 0;

	ready(p);
	for (uint32_t i = 0; i < n; i++) {
		struct outgoing o = {.g.flags = FLAG_A, .ack = p->acked + bytes, .ack_set = true, .rtt_set = rtt,
		                     .rtt_ms = rtt_ms};

		transmit(p, &o);
		stand_flush(p->stand);
		take_all(p);
	}
}

/* ---- the user ---- */

static void word_send(struct script *p)
{
	struct stand *s = ready(p);
	const uint32_t bytes = number(p);
	const char *w = next_word(p);

	stand_send(s, bytes, w && !strcmp(w, "slices") ? number(p) : 2048);
	stand_flush(s);
}

static struct tcp_conn *user_conn(struct script *p)
{
	ready(p);
	if (!p->stand->conn)
		fail(p, "the user has no connection");
	return p->stand->conn;
}

static void word_more(struct script *p)
{
	tcp_more(user_conn(p), !strcmp(need_word(p), "on"));
	stand_flush(p->stand);
}

static void word_shutdown(struct script *p)
{
	tcp_shutdown(user_conn(p));
	stand_flush(p->stand);
}

static void word_abort(struct script *p)
{
	tcp_abort(user_conn(p), ERR_CONN_ABORTED);
	stand_flush(p->stand);
}

static void word_detach(struct script *p)
{
	tcp_detach(user_conn(p));
	p->stand->conn = NULL;
	stand_flush(p->stand);
}

static void word_hold(struct script *p)
{
	open_stand(p);
	p->stand->hold = true;
}

static void word_credit(struct script *p)
{
	const char *w = need_word(p);

	stand_credit(ready(p), !strcmp(w, "all") ? HELD_MAX : (unsigned)atoi(w));
	stand_flush(p->stand);
}

static void word_keepalive(struct script *p)
{
	struct tcp_conn *c = user_conn(p);
	const uint64_t idle = duration_ns(p) / 1000000, interval = duration_ns(p) / 1000000;

	tcp_keepalive(c, (uint32_t)idle, (uint32_t)interval, number(p));
}

static void word_user(struct script *p)
{
	const char *w = need_word(p);

	open_stand(p);
	if (!strcmp(w, "aborts-on-data"))
		p->stand->abort_on_data = true;
	else if (!strcmp(w, "detaches-on-accept"))
		p->stand->detach_on_accept = true;
	else if (!strcmp(w, "shuts-down-on-eof"))
		p->stand->shutdown_on_eof = true;
	else if (!strcmp(w, "is-impatient"))
		p->stand->impatient = true;
	else
		fail(p, "%s is nothing that a user does", w);
}

/* ---- what the user was told ---- */

static void word_event(struct script *p)
{
	char want[64] = "";
	struct stand *s = p->stand;
	const char *w;

	check_wrong(p);
	while ((w = next_word(p)))
		snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s%s", want[0] ? " " : "", w);
	if (s->event_n == 0)
		fail(p, "the user is not told \"%s\"", want);
	if (strcmp(s->event[0], want))
		fail(p, "the user is told \"%s\", not \"%s\"", s->event[0], want);
	memmove(s->event[0], s->event[1], --s->event_n * sizeof(s->event[0]));
}

static void word_data(struct script *p)
{
	const uint32_t want = number(p);

	check_wrong(p);
	if (p->stand->got_bytes != want)
		fail(p, "the user got %u bytes, not %u", p->stand->got_bytes, want);
	p->stand->got_bytes = 0;
}

static void word_acked(struct script *p)
{
	const uint32_t want = number(p);

	if (p->stand->acked_bytes != want)
		fail(p, "%u bytes are acknowledged, not %u", p->stand->acked_bytes, want);
	p->stand->acked_bytes = 0;
}

/* ---- the world ---- */

static void word_listen(struct script *p)
{
	open_stand(p);
	p->stand->listens = true;
}

static void word_connect(struct script *p)
{
	const char *w = next_word(p);
	uint32_t timeout_ms = 0;
	enum err e;

	ready(p);
	if (w)
		timeout_ms = (p->at--, (uint32_t)(duration_ns(p) / 1000000));
	p->tuple.remote_port = 8080;
	e = stand_connect(p->stand, &p->tuple.remote, 8080, timeout_ms);
	if (e != OK) {
		snprintf(p->stand->event[p->stand->event_n++], sizeof(p->stand->event[0]), "refused %s", err_name(e));
		return;
	}
	p->tuple = *tcp_tuple(p->stand->conn);
	stand_flush(p->stand);
}

static void word_wait(struct script *p)
{
	uint64_t left = duration_ns(p);

	ready(p);
	while (left > 0) {
		const uint64_t step = step_ns(p, left);

		stand_tick(p->stand, step);
		left -= step;
		quiet(p);
	}
}

/* Time passes, the stack may send what it likes: it is counted and forgotten. */
static void word_skip(struct script *p)
{
	uint64_t left = duration_ns(p);

	open_stand(p);
	while (left > 0) {
		const uint64_t step = step_ns(p, left);

		stand_tick(p->stand, step);
		left -= step;
		check_wrong(p);
		p->stand->sent_n = 0;
	}
}

static void reset_flow(struct script *p)
{
	p->peer_nxt = p->stack_max = p->acked = 0;
	p->iss_known = p->edge_known = p->ts = p->peer_ts = p->peer_scaled = p->peer_sack = false;
}

static void word_port(struct script *p)
{
	const char *w = need_word(p);

	p->floor_known = false;
	p->other = p->this;
	p->tuple.remote_port = (uint16_t)(strcmp(w, "next") ? (p->at--, number(p)) : p->tuple.remote_port + 1u);
	reset_flow(p);
}

/* The same tuple once more. */
static void word_again(struct script *p)
{
	p->peer_isn = number(p);
	p->floor = p->stack_iss + (p->stack_max > 1 ? p->stack_max : 0); /* of a SYN alone nothing is left */
	p->floor_known = p->iss_known;
	reset_flow(p);
}

static void word_isn(struct script *p)
{
	p->peer_isn = number(p);
}

static void word_iss(struct script *p)
{
	p->want_iss = number(p);
	p->want_iss_set = true;
}

static void word_mtu(struct script *p)
{
	p->mtu = (uint16_t)number(p);
	if (p->open)
		p->stand->ip.mtu = p->mtu;
}

static void word_path_mtu(struct script *p)
{
	const uint32_t wanted = number(p);

	if (ready(p)->ip.mtu != wanted)
		fail(p, "the IP layer was told of %u", p->stand->ip.mtu);
}

static void word_family(struct script *p)
{
	if (number(p) != 6)
		fail(p, "family 6, or nothing");
	p->v6 = true;
	if (addr_parse("2001:2::10", &p->tuple.local) != OK || addr_parse("2001:2::99", &p->tuple.remote) != OK)
		fail(p, "addresses");
}

static void word_icmp(struct script *p)
{
	struct ip_icmp_error e = {.tuple = p->tuple, .type = (uint8_t)number(p), .code = (uint8_t)number(p)};
	const uint32_t seq = number(p);

	e.sequence = p->stack_iss + seq;
	e.bytes = p->mtu;
	for (const char *w; (w = next_word(p));)
		if (!strcmp(w, "mtu"))
			e.mtu = number(p);
		else if (!strcmp(w, "quotes"))
			e.bytes = (uint16_t)number(p);
		else
			fail(p, "%s: mtu or quotes", w);
	tcp_icmp_error(ready(p)->tcp, &e);
	stand_flush(p->stand);
}

static void word_starve(struct script *p)
{
	const char *w = need_word(p);
	const struct packet_pools *pools = &ready(p)->shard.pools;

	if (strcmp(w, "header") && strcmp(w, "reference"))
		fail(p, "%s is no pool that the stack takes from", w);
	stand_hoard(p->stand, !strcmp(w, "header") ? pools->header : pools->reference);
}

static void word_feed(struct script *p)
{
	stand_release(p->stand);
}

static void word_no_route(struct script *p)
{
	open_stand(p);
	p->stand->ip.no_route = !strcmp(need_word(p), "on");
}

/* Which congestion control, and whether pacing and ECN are on, of connections from here on. */
static void word_sending(struct script *p)
{
	static const char *const controls[TCP_CONTROLS] = {
#define CONTROL(name) [TCP_CONTROL_##name] = #name,
#include "tcp/controls.def"
#undef CONTROL
	};
	struct tcp_sending *sending;
	const char *w = need_word(p);

	open_stand(p);
	sending = &p->stand->sending;
	*sending = (struct tcp_sending){.control = 0};
	while (sending->control < TCP_CONTROLS && strcmp(controls[sending->control], w))
		sending->control++;
	if (sending->control == TCP_CONTROLS)
		fail(p, "%s is no congestion control", w);
	while ((w = next_word(p))) {
		if (!strcmp(w, "pacing"))
			sending->pacing = true;
		else if (!strcmp(w, "ecn"))
			sending->ecn = true;
		else
			fail(p, "%s: pacing or ecn", w);
	}
}

/* ---- what the stack says about itself ---- */

static const struct tcp_flow_info *flow(struct script *p)
{
	static struct tcp_flow_info info;

	uint32_t at = 0;

	do {
		if (tcp_walk(p->stand->tcp, &at, &info, 1) > 0 && tuple_equal(&info.tuple, &p->tuple))
			return &info;
	} while (at != 0);
	return NULL;
}

static void word_state(struct script *p)
{
	const char *want = need_word(p);
	const struct tcp_flow_info *f = flow(p);
	const char *got = f ? f->state : "CLOSED";

	if (strcmp(got, want))
		fail(p, "the state is %s, not %s", got, want);
}

static void word_flow(struct script *p)
{
	const char *name = need_word(p);
	const uint32_t want = number(p);
	const struct tcp_flow_info *f = flow(p);
	const struct {
		const char *name;
		uint64_t value;
	} fields[] = {
		{"cwnd", f ? f->cwnd_bytes : 0}, {"ssthresh", f ? f->ssthresh_bytes : 0}, {"mss", f ? f->mss : 0},
		{"rto_ms", f ? f->rto_ms : 0}, {"srtt_us", f ? f->srtt_us : 0}, {"rttvar_us", f ? f->rttvar_us : 0},
		{"delivery_rate", f ? f->delivery_rate : 0}, {"reordering", f ? f->reordering : 0},
		{"sacked", f ? f->sacked_bytes : 0}, {"lost", f ? f->lost_bytes : 0}, {"flight", f ? f->flight_bytes : 0},
		{"queued", f ? f->queued_bytes : 0}, {"retransmits", f ? f->retransmits : 0},
		{"ecn", f ? f->ecn : 0}, {"pacing", f ? f->pacing_rate : 0},
	};

	if (!f)
		fail(p, "there is no such connection");
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!strcmp(fields[i].name, name)) {
			if (fields[i].value != want)
				fail(p, "%s is %lu, not %u", name, fields[i].value, want);
			return;
		}
	fail(p, "%s is no field of a flow", name);
}

static void word_count(struct script *p)
{
	const char *name = need_word(p), *w = need_word(p);
	unsigned from, to;

	if (sscanf(w, "%u-%u", &from, &to) != 2)
		p->at--, from = to = number(p);
	for (unsigned i = 0; i < COUNTERS; i++)
		if (!strcmp(counter_descriptions[i].name, name) ||
		    (!strncmp(counter_descriptions[i].name, "drop_", 5) &&
		     !strcmp(counter_descriptions[i].name + 5, name))) {
			if (p->stand->counters.cell[i] < from || p->stand->counters.cell[i] > to)
				fail(p, "%s is %lu, not %s", name, p->stand->counters.cell[i], w);
			return;
		}
	fail(p, "there is no counter %s", name);
}

static void word_conns(struct script *p)
{
	const uint32_t want = number(p), got = tcp_conns(p->stand->tcp);

	if (want != got)
		fail(p, "there are %u connections, not %u", got, want);
}

static void word_rfc(struct script *p)
{
	p->rfc = true;
}

static void word_repeat(struct script *p)
{
	const uint32_t times = number(p);

	if (p->repeat.left > 0 || times == 0)
		fail(p, "repeat: once or more, and not within itself");
	p->repeat.left = times - 1;
	p->repeat.line = p->line;
	p->repeat.at = ftell(p->file);
}

static void word_end(struct script *p)
{
	if (p->repeat.line == 0)
		fail(p, "end: of what?");
	if (p->repeat.left == 0) {
		p->repeat.line = 0;
		return;
	}
	p->repeat.left--;
	p->line = p->repeat.line;
	fseek(p->file, p->repeat.at, SEEK_SET);
}

/* ---- the language ---- */

static void word_handshake(struct script *p);

static const struct {
	const char *name;
	void (*run)(struct script *p);
} words[] = {
	{"rfc", word_rfc}, {"repeat", word_repeat}, {"end", word_end}, {"sending", word_sending},
	{"<", word_in}, {"<+", word_in_burst}, {">", word_out}, {"!", word_event},
	{"data", word_data}, {"acked", word_acked}, {"wait", word_wait}, {"skip", word_skip}, {"listen", word_listen},
	{"connect", word_connect}, {"handshake", word_handshake}, {"port", word_port}, {"again", word_again},
	{"isn", word_isn}, {"iss", word_iss}, {"mtu", word_mtu}, {"path-mtu", word_path_mtu}, {"family", word_family}, {"send", word_send},
	{"more", word_more}, {"shutdown", word_shutdown}, {"abort", word_abort}, {"detach", word_detach},
	{"hold", word_hold}, {"credit", word_credit}, {"keepalive", word_keepalive}, {"user", word_user},
	{"icmp", word_icmp}, {"starve", word_starve}, {"feed", word_feed}, {"no-route", word_no_route},
	{"state", word_state}, {"flow", word_flow}, {"count", word_count}, {"conns", word_conns},
	{"acks", word_acks},
};

static void run_line(struct script *p, char *line)
{
	char *save = NULL, *comment = strchr(line, '#');

	if (comment)
		*comment = 0;
	p->words = p->at = 0;
	for (char *w = strtok_r(line, " \t\n", &save); w && p->words < WORDS_MAX; w = strtok_r(NULL, " \t\n", &save))
		p->word[p->words++] = w;
	if (p->words == 0)
		return;
	p->at = 1;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i].name, p->word[0])) {
			words[i].run(p);
			return;
		}
	fail(p, "%s is no word of the language", p->word[0]);
}

/* A passive open, so that scripts about other things need not repeat it. Its arguments go into the SYN. */
static void word_handshake(struct script *p)
{
	char line[256] = " seq 0 win 65535", syn[264];
	const char *w;
	bool mss = false, ecn = false;

	while ((w = next_word(p))) {
		if (!strcmp(w, "ecn")) {
			ecn = true;
			continue;
		}
		mss |= !strcmp(w, "mss");
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " %s", w);
	}
	if (!mss)
		strcat(line, " mss 1460");
	word_listen(p);
	snprintf(syn, sizeof(syn), "< %s%s", ecn ? "SEC" : "S", line);
	run_line(p, syn);
	run_line(p, strcpy(line, ecn ? "> SAE seq 0 ack 1" : "> SA seq 0 ack 1"));
	run_line(p, strcpy(line, "< A seq 1 ack 1"));
	run_line(p, strcpy(line, "! accept"));
}

static void finish(struct script *p)
{
	char why[128];

	p->word[0] = "the end";
	if (!p->rfc)
		fail(p, "the script cites no rule");
	if (!p->open)
		fail(p, "the script does nothing");
	if (p->repeat.line)
		fail(p, "repeat without end");
	quiet(p);
	if (p->stand->event_n > 0)
		fail(p, "the user is told \"%s\", which the script does not expect", p->stand->event[0]);
	if (p->stand->got_bytes > 0)
		fail(p, "the user got %u bytes that the script does not expect", p->stand->got_bytes);
	p->open = false;
	if (!stand_close(p->stand, why, sizeof(why)))
		fail(p, "%s", why);
}

bool script_run(const char *path, const struct packet_pools *pools, char *why, size_t n)
{
	struct script *p = calloc(1, sizeof(*p));
	FILE *f = fopen(path, "r");
	char line[512];
	bool passed = false;

	p->path = path;
	p->file = f;
	p->pools = pools;
	p->stand = aligned_alloc(64, sizeof(*p->stand));
	memset(p->stand, 0, sizeof(*p->stand));
	p->why = why;
	p->why_max = n;
	p->peer_isn = 1000000;
	p->ts_base = 5000;
	p->win = 65535;
	p->mtu = 1500;
	p->tuple = (struct tuple){.local_port = 80, .remote_port = 40000, .protocol = IPPROTO_TCP};
	if (!f || addr_parse("198.18.0.10", &p->tuple.local) != OK ||
	    addr_parse("198.18.0.2", &p->tuple.remote) != OK) {
		snprintf(why, n, "%s: cannot be read", path);
	} else if (setjmp(p->out) == 0) {
		while (fgets(line, sizeof(line), f)) {
			p->line++;
			run_line(p, line);
		}
		finish(p);
		passed = true;
	}
	if (p->open)
		stand_close(p->stand, line, sizeof(line));
	if (f)
		fclose(f);
	free(p->stand);
	free(p);
	return passed;
}
