#include "tcp/segment.h"

#include <rte_byteorder.h>
#include <rte_tcp.h>
#include <string.h>

#include "ip/checksum.h"
#include "tcp/ecn.h"
#include "tcp/timing.h"

enum { OFFSET_SHIFT = 4, WORD = 4, HEADER_MIN = 20, TS_WORDS = 3 };

static_assert(sizeof(struct rte_tcp_hdr) == HEADER_MIN, "header");

/* Indexed by ACK, RST, SYN, FIN. */
static const uint8_t events[16] = {
	EVENT_BARE, EVENT_BARE, EVENT_SYN,     EVENT_ABSURD, EVENT_RST,     EVENT_RST,     EVENT_ABSURD, EVENT_ABSURD,
	EVENT_ACK,  EVENT_FIN,  EVENT_SYN_ACK, EVENT_ABSURD, EVENT_RST_ACK, EVENT_RST_ACK, EVENT_ABSURD, EVENT_ABSURD,
};

static uint32_t be32(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return rte_be_to_cpu_32(word);
}

static void sack(struct segment *g, const uint8_t *at, uint32_t bytes)
{
	for (; bytes >= 8 && g->sacks < SACK_BLOCKS_MAX; bytes -= 8, at += 8) {
		g->sack[g->sacks].left = be32(at);
		g->sack[g->sacks++].right = be32(at + 4);
	}
}

/* One option of `size` bytes at `at`, whose length fits. False: a length that the kind cannot have. */
static bool option(struct segment *g, const uint8_t *at, uint32_t size)
{
	switch (at[0]) {
	case OPTION_MSS:
		if (size != 4)
			return false;
		g->mss = (uint16_t)(at[2] << 8 | at[3]);
		return true;
	case OPTION_WSCALE:
		if (size != 3)
			return false;
		g->wscale = at[2] < WSCALE_MAX ? at[2] : WSCALE_MAX;
		return true;
	case OPTION_SACK_OK:
		g->sack_ok = true;
		return size == 2;
	case OPTION_SACK:
		if (size % 8 != 2)
			return false;
		sack(g, at + 2, size - 2);
		return true;
	case OPTION_TS:
		if (size != 10)
			return false;
		g->ts = true;
		g->tsval = be32(at + 2);
		g->tsecr = be32(at + 6);
		return true;
	default:
		return true;
	}
}

static bool options(struct segment *g, const uint8_t *at, const uint8_t *end)
{
	while (at < end && at[0] != OPTION_END) {
		if (at[0] == OPTION_NOP) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at || !option(g, at, at[1]))
			return false;
		at += at[1];
	}
	return true;
}

/* What nearly every segment of an established connection carries: NOP, NOP, timestamps. */
static bool only_timestamps(struct segment *g, const uint8_t *at, uint32_t bytes)
{
	if (bytes != TS_WORDS * WORD || be32(at) != (OPTION_NOP << 24 | OPTION_NOP << 16 | OPTION_TS << 8 | 10))
		return false;
	g->ts = true;
	g->tsval = be32(at + 4);
	g->tsecr = be32(at + 8);
	return true;
}

bool segment_parse(struct segment *g, const struct ip_datagram *d, enum counter *why)
{
	const struct rte_tcp_hdr *h = rte_pktmbuf_mtod(d->m, const struct rte_tcp_hdr *);
	const uint8_t *at = (const uint8_t *)(h + 1);
	uint32_t header;

	*why = DROP_tcp_malformed;
	if (d->l4_bytes < HEADER_MIN || d->m->data_len < HEADER_MIN || d->m->pkt_len < d->l4_bytes)
		return false;
	header = (uint32_t)(h->data_off >> OFFSET_SHIFT) * WORD;
	if (header < HEADER_MIN || header > d->l4_bytes || header > d->m->data_len)
		return false;
	*why = DROP_tcp_checksum;
	if (!d->checksum_ok && !checksum_datagram_ok(d))
		return false;
	*why = DROP_tcp_options;
	g->ts = g->sack_ok = false;
	g->mss = 0;
	g->wscale = WSCALE_NONE;
	g->sacks = 0;
	g->again = (struct seq_range){0};
	g->tsval = g->tsecr = 0;
	if (header > HEADER_MIN && !only_timestamps(g, at, header - HEADER_MIN) &&
	    !options(g, at, (const uint8_t *)h + header))
		return false;
	g->tuple = &d->tuple;
	g->seq = rte_be_to_cpu_32(h->sent_seq);
	g->ack = rte_be_to_cpu_32(h->recv_ack);
	g->wnd = rte_be_to_cpu_16(h->rx_win);
	g->flags = h->tcp_flags;
	g->ce = (d->traffic_class & ECN_MASK) == ECN_CE;
	g->event = events[(g->flags & (SEGMENT_FIN | SEGMENT_SYN | SEGMENT_RST)) | (g->flags & SEGMENT_ACK) >> 1];
	g->len = d->l4_bytes - header;
	g->m = d->m;
	rte_pktmbuf_adj(d->m, (uint16_t)header);
	/* What the IP layer cut off by l4_bytes only. */
	if (d->m->pkt_len > g->len)
		rte_pktmbuf_trim(d->m, (uint16_t)(d->m->pkt_len - g->len));
	return true;
}
