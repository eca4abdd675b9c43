#include "tcp/hystart.h"

#include "tcp/conn.h"

enum {
	THRESHOLD_MIN_US = 4000,     /* MIN_RTT_THRESH */
	THRESHOLD_MAX_US = 16000,    /* MAX_RTT_THRESH */
	THRESHOLD_DIVISOR = 8,       /* MIN_RTT_DIVISOR */
	SAMPLES = 8,                 /* N_RTT_SAMPLE: fewer of them say nothing about a round */
	GROWTH_DIVISOR = 4,          /* CSS_GROWTH_DIVISOR */
	ROUNDS = 5,                  /* CSS_ROUNDS */
	BURST_SEGMENTS = 8,          /* L, of a sender that does not pace */
};

void hystart_open(struct hystart *h, const struct tcp_conn *c)
{
	*h = (struct hystart){.round_end = c->snd_max};
}

void hystart_rtt(struct hystart *h, uint32_t us)
{
	if (us == 0)
		us = 1;
	if (h->now_min_us == 0 || us < h->now_min_us)
		h->now_min_us = us;
	if (h->samples < SAMPLES)
		h->samples++;
}

static uint32_t threshold_us(uint32_t rtt_us)
{
	const uint32_t part = rtt_us / THRESHOLD_DIVISOR;

	return part < THRESHOLD_MIN_US ? THRESHOLD_MIN_US : part > THRESHOLD_MAX_US ? THRESHOLD_MAX_US : part;
}

/* What this round has seen so far: is there a queue, or is there none after all? */
static void look(struct hystart *h)
{
	if (h->samples < SAMPLES)
		return;
	if (h->baseline_us != 0) {
		if (h->now_min_us < h->baseline_us)
			h->baseline_us = 0;
	} else if (h->last_min_us != 0 && h->now_min_us >= h->last_min_us + threshold_us(h->last_min_us)) {
		h->baseline_us = h->now_min_us;
		h->rounds = 0;
	}
}

static void next_round(struct hystart *h, const struct tcp_conn *c)
{
	h->round_end = c->snd_max;
	h->last_min_us = h->now_min_us;
	h->now_min_us = 0;
	h->samples = 0;
	if (h->baseline_us != 0)
		h->rounds++;
}

uint32_t hystart_acked(struct hystart *h, const struct tcp_conn *c, uint32_t bytes, bool *over)
{
	const uint32_t most = (uint32_t)BURST_SEGMENTS * c->mss;
	uint32_t growth = bytes;

	/* Beyond it, so that what that round's last ACK let out is in flight: its end is that of the next round. */
	if (seq_gt(c->snd_una, h->round_end))
		next_round(h, c);
	else
		look(h);
	if (!(c->flags & CONN_PACED) && growth > most)
		growth = most;
	if (h->baseline_us != 0)
		growth /= GROWTH_DIVISOR;
	*over = h->baseline_us != 0 && h->rounds >= ROUNDS;
	return growth;
}
