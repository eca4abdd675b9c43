#include "tcp/rack.h"

#include "base/fault.h"
#include "tcp/output.h"
#include "tcp/rtt.h"
#include "tcp/scoreboard.h"

enum { MORE_MAX = UINT8_MAX - 1, US_PER_MS = 1000 };

/* RACK_sent_after(): those of one burst have the same time, and left in order of sequence numbers. */
static bool later(uint32_t us1, uint32_t end1, uint32_t us2, uint32_t end2)
{
	return us1 != us2 ? (int32_t)(us1 - us2) > 0 : seq_gt(end1, end2);
}

/* Is g the ACK of an earlier transmission of s, which was sent again? */
static bool of_earlier(const struct tcp_conn *c, const struct sent *s, const struct segment *g)
{
	const uint32_t us = c->tcp->now_us - s->xmit_us;

	if (c->flags & CONN_TS && g->ts &&
	    (int32_t)(g->tsecr - (c->tcp->now_ms + c->ts_offset - us / US_PER_MS)) < -1)
		return true;
	return us < c->min_rtt_us;
}

void rack_arrived(struct tcp_conn *c, const struct sent *s, const struct segment *g)
{
	struct scoreboard *b = board_of(c);

	if (seq_gt(s->end, b->fack))
		b->fack = s->end;
	else if (s->again == 0 && seq_lt(s->end, b->fack))
		c->flags |= CONN_REORDERED;
	if (s->again > 0 && of_earlier(c, s, g))
		return;
	if (b->rack_valid && !later(s->xmit_us, s->end, b->rack_xmit_us, b->rack_end))
		return;
	b->rack_valid = true;
	b->rack_xmit_us = s->xmit_us;
	b->rack_end = s->end;
	b->rack_rtt_us = c->tcp->now_us - s->xmit_us;
}

/* One step per round trip, however many were needless in it. */
void rack_duplicate(struct tcp_conn *c)
{
	struct scoreboard *b = board_of(c);

	if (b && b->dsack_round_valid && seq_lt(c->snd_una, b->dsack_round))
		return;
	if (b) {
		b->dsack_round_valid = true;
		b->dsack_round = c->snd_nxt;
	}
	if (c->reo_more < MORE_MAX)
		c->reo_more++;
	c->reo_persist = REO_PERSIST;
}

void rack_recovered(struct tcp_conn *c)
{
	if (c->reo_persist > 0 && --c->reo_persist == 0)
		c->reo_more = 0;
}

static uint32_t reordering_window(const struct tcp_conn *c)
{
	const struct scoreboard *b = board_of(c);
	const uint32_t rtt = c->min_rtt_us > 0 ? c->min_rtt_us : c->srtt_us;
	const uint64_t us = (uint64_t)rtt * (c->reo_more + 1u) / 4;

	if (!(c->flags & CONN_REORDERED) && (c->flags & CONN_RECOVERY || b->timeout || b->sacked_n >= DUPACKS))
		return 0;
	return us < c->srtt_us ? (uint32_t)us : c->srtt_us;
}

uint32_t rack_detect(struct tcp_conn *c, struct news *n)
{
	struct scoreboard *b = board_of(c);
	const uint32_t now = c->tcp->now_us, wait = b->rack_rtt_us + reordering_window(c);
	struct sent *s;

	if (!b->rack_valid)
		return 0;
	while ((s = b->flying.oldest) != NULL && later(b->rack_xmit_us, b->rack_end, s->xmit_us, s->end)) {
		if ((int32_t)(s->xmit_us + wait - now) > 0)
			return b->rack_xmit_us + wait - now;
		scoreboard_lose(c, s);
		n->lost = true;
	}
	return 0;
}

void rack_timeout(struct tcp_conn *c)
{
	struct scoreboard *b = board_of(c);
	const uint32_t wait = (b->rack_valid ? b->rack_rtt_us : c->srtt_us) + reordering_window(c);
	struct sent *first = sent_first(c);

	for (struct sent *s = first; s; s = sent_next(c, s))
		if (s->state == SENT_FLYING && (s == first || (int32_t)(s->xmit_us + wait - c->tcp->now_us) <= 0))
			scoreboard_lose(c, s);
}

/* ---- TLP ---- */

/* RFC 8985, 7.2: no probe is out, nothing is SACKed, and no recovery goes on. */
static bool wanted(const struct tcp_conn *c)
{
	const struct scoreboard *b = board_of(c);

	if (!c->sent_last || c->flags & (CONN_RECOVERY | CONN_PROBED) || c->srtt_us == 0 || c->backoff > 0)
		return false;
	return !b || (b->sacked == 0 && !b->lost.oldest && !b->timeout);
}

static uint32_t probe_ms(const struct tcp_conn *c)
{
	const struct sent *first = sent_first(c);
	const uint32_t gone_ms = (c->tcp->now_us - first->xmit_us) / US_PER_MS, rto = rtt_rto_ms(c);
	const uint32_t left = rto > gone_ms ? rto - gone_ms : 1;
	uint32_t ms = (2 * c->srtt_us + US_PER_MS - 1) / US_PER_MS;

	/* One segment alone is acknowledged late. */
	if (first == sent_last(c))
		ms += TLP_ACK_DELAY_MS;
	if (ms < TLP_MIN_MS)
		ms = TLP_MIN_MS;
	return ms < left ? ms : left;
}

void tlp_start(struct tcp_conn *c)
{
	if (!wanted(c)) {
		rtt_start(c);
		return;
	}
	timer_set(c, TIMER_REXMIT, probe_ms(c));
	c->rexmit = REXMIT_PROBE;
}

void tlp_probe(struct tcp_conn *c)
{
	if (wanted(c)) {
		tcp_count(c->tcp, C_tcp_tail_probes);
		c->flags |= CONN_PROBED;
		conn_clear(c, CONN_PROBED_AGAIN | CONN_TIMED);
		if (!output_beyond_cwnd(c)) {
			c->flags |= CONN_PROBED_AGAIN;
			output_record(c, sent_last(c));
		}
		c->tlp_end = c->snd_nxt;
	}
	rtt_start(c);
}

bool tlp_acked(struct tcp_conn *c, const struct news *n)
{
	const bool again = c->flags & CONN_PROBED_AGAIN;

	if (!(c->flags & CONN_PROBED) || seq_lt(c->snd_una, c->tlp_end))
		return false;
	if (!again || (n->dsack && n->duplicate.right == c->tlp_end)) {
		conn_clear(c, CONN_PROBED | CONN_PROBED_AGAIN);
		return false;
	}
	if (seq_gt(c->snd_una, c->tlp_end)) {
		conn_clear(c, CONN_PROBED | CONN_PROBED_AGAIN);
		return true;
	}
	/* The second of two equal ACKs: both transmissions have arrived. */
	if (n->acked == 0 && n->g->sacks == 0 && n->g->len == 0 && !(n->g->flags & SEGMENT_FIN))
		conn_clear(c, CONN_PROBED | CONN_PROBED_AGAIN);
	return false;
}
