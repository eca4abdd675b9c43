#include "tests/sim/nic.h"

#include <stdbool.h>
#include <string.h>

enum { ETH = 14, IP4 = 20, IP6 = 40, TCP = 6, FRAME_MAX = 70000, FIN = 1, PSH = 8 };

static uint32_t be16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint32_t x)
{
	at[0] = (uint8_t)(x >> 8);
	at[1] = (uint8_t)x;
}

static uint32_t be32(const uint8_t *at)
{
	return be16(at) << 16 | be16(at + 2);
}

static uint32_t sum(uint32_t s, const uint8_t *at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += 2)
		s += (uint32_t)at[i] << 8 | (i + 1 < n ? at[i + 1] : 0u);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static uint32_t l3_bytes(const uint8_t *frame)
{
	return frame[ETH] >> 4 == 4 ? IP4 : IP6;
}

/* l4_bytes 0: as it stands in front of a large segment. */
static uint32_t pseudo(const uint8_t *ip, uint8_t protocol, uint32_t l4_bytes)
{
	const uint8_t tail[4] = {(uint8_t)(l4_bytes >> 8), (uint8_t)l4_bytes, 0, protocol};

	return sum(ip[0] >> 4 == 4 ? sum(0, ip + 12, 8) : sum(0, ip + 8, 32), tail, 4);
}

static void seal_ip4(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, ~sum(0, ip, IP4) & 0xffff);
}

static void seal_l4(uint8_t *frame, uint32_t n, uint8_t protocol)
{
	uint8_t *ip = frame + ETH, *l4 = ip + l3_bytes(frame), *at = l4 + (protocol == TCP ? 16 : 6);
	const uint32_t bytes = n - ETH - l3_bytes(frame);

	put16(at, 0);
	put16(at, ~sum(pseudo(ip, protocol, bytes), l4, bytes) & 0xffff);
}

static void set_length(uint8_t *frame, uint32_t n)
{
	if (frame[ETH] >> 4 == 4)
		put16(frame + ETH + 2, n - ETH);
	else
		put16(frame + ETH + 4, n - ETH - IP6);
}

static const char *cut(const struct rte_mbuf *m, const uint8_t *frame, uint32_t n, const struct nic_sink *sink)
{
	const uint32_t headers = (uint32_t)m->l2_len + m->l3_len + m->l4_len, l4 = (uint32_t)m->l2_len + m->l3_len;
	uint8_t piece[FRAME_MAX];

	if (m->l2_len != ETH || m->l3_len != l3_bytes(frame) || m->l4_len != (uint32_t)(frame[l4 + 12] >> 4) * 4)
		return "header lengths";
	if (m->tso_segsz == 0 || n - headers <= m->tso_segsz)
		return "a large segment that is none";
	if (frame[l4 + 13] & ~(FIN | PSH | 0x10))
		return "flags that a NIC does not know how to cut";
	if (be16(frame + l4 + 16) != pseudo(frame + ETH, TCP, 0))
		return "pseudo header of a large segment";
	for (uint32_t at = 0, i = 0; at < n - headers; at += m->tso_segsz, i++) {
		const uint32_t left = n - headers - at, here = left < m->tso_segsz ? left : m->tso_segsz;
		const uint32_t seq = be32(frame + l4 + 4) + at;

		memcpy(piece, frame, headers);
		memcpy(piece + headers, frame + headers + at, here);
		put16(piece + l4 + 4, seq >> 16);
		put16(piece + l4 + 6, seq & 0xffff);
		if (here < left)
			piece[l4 + 13] = (uint8_t)(piece[l4 + 13] & ~(FIN | PSH));
		set_length(piece, headers + here);
		if (m->l3_len == IP4) {
			put16(piece + ETH + 4, be16(frame + ETH + 4) + i);
			seal_ip4(piece + ETH);
		}
		seal_l4(piece, headers + here, TCP);
		sink->frame(sink->arg, piece, headers + here);
	}
	return NULL;
}

const char *nic_transmit(const struct rte_mbuf *m, const struct nic_sink *sink)
{
	const uint64_t l4 = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	uint8_t frame[FRAME_MAX];
	uint32_t n = 0, segs = 0;

	for (const struct rte_mbuf *seg = m; seg; seg = seg->next, segs++) {
		if (n + seg->data_len > sizeof(frame))
			return "longer than an IP datagram can be";
		memcpy(frame + n, rte_pktmbuf_mtod(seg, void *), seg->data_len);
		n += seg->data_len;
	}
	if (n != m->pkt_len || segs != m->nb_segs)
		return "pkt_len or nb_segs";
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		return cut(m, frame, n, sink);
	if (l4 == RTE_MBUF_F_TX_TCP_CKSUM || l4 == RTE_MBUF_F_TX_UDP_CKSUM) {
		const uint8_t protocol = l4 == RTE_MBUF_F_TX_TCP_CKSUM ? TCP : 17;
		const uint32_t bytes = n - ETH - l3_bytes(frame);
		const uint8_t *field = frame + ETH + l3_bytes(frame) + (protocol == TCP ? 16 : 6);

		if (be16(field) != pseudo(frame + ETH, protocol, bytes))
			return "pseudo header";
		seal_l4(frame, n, protocol);
	}
	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM)
		seal_ip4(frame + ETH);
	sink->frame(sink->arg, frame, n);
	return NULL;
}

/* Of what a NIC would not look at, it says nothing. */
void nic_receive(struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *), *ip = frame + ETH;
	const uint32_t type = m->data_len > ETH + IP6 ? be16(frame + 12) : 0;
	uint32_t bytes, l3 = IP6;
	uint8_t protocol;

	if (type == 0x0800 && ip[0] == 0x45) {
		const bool right = sum(0, ip, IP4) == 0xffff;

		m->ol_flags |= right ? RTE_MBUF_F_RX_IP_CKSUM_GOOD : RTE_MBUF_F_RX_IP_CKSUM_BAD;
		if (!right || be16(ip + 6) & 0x3fff || be16(ip + 2) < IP4)
			return;
		l3 = IP4;
		bytes = be16(ip + 2) - l3;
		protocol = ip[9];
	} else if (type == 0x86dd && ip[0] >> 4 == 6) {
		bytes = be16(ip + 4);
		protocol = ip[6];
	} else {
		return;
	}
	if (protocol != TCP || bytes < 20 || ETH + l3 + bytes > m->data_len)
		return;
	m->ol_flags |= sum(pseudo(ip, protocol, bytes), ip + l3, bytes) == 0xffff ? RTE_MBUF_F_RX_L4_CKSUM_GOOD
	                                                                    : RTE_MBUF_F_RX_L4_CKSUM_BAD;
}
