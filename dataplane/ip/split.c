/*
 * Output in fragments (RFC 791, 3.2; RFC 8200, 4.5), for the one thing that we send and that may be larger than a
 * frame: echo replies, which carry back all that the request had (RFC 1122, 3.2.2.6). TCP never comes here.
 *
 * Each fragment is a copy with a header of its own. Identifications are random: those who can see or cause few of them
 * must not guess the next (RFC 7739), and workers need not agree on who uses which.
 */
#include "ip/checksum.h"
#include "ip/layer.h"

enum { FRAGMENT_BYTES = 8, NEXT_FRAGMENT = 44 };

struct piece {
	uint32_t from, bytes;    /* of the ICMP message */
	uint32_t id;
	uint8_t traffic_class;
	bool more;
};

static void put_ip4(struct rte_mbuf *m, const struct tuple *t, const struct piece *p)
{
	struct ip4_header *h = (struct ip4_header *)rte_pktmbuf_prepend(m, IP4_BYTES);

	CHECK(h != NULL);
	*h = (struct ip4_header){
		.version_ihl = IP4_PLAIN,
		.tos = p->traffic_class,
		.total_length = rte_cpu_to_be_16((uint16_t)m->pkt_len),
		.id = (uint16_t)p->id,
		.fragment = rte_cpu_to_be_16((uint16_t)(p->from / 8 | (p->more ? IP4_MF : 0))),
		.ttl = HOP_LIMIT,
		.protocol = (uint8_t)t->protocol,
		.source = t->local.w[3],
		.destination = t->remote.w[3],
	};
	h->checksum = (uint16_t)~checksum_fold(checksum_add(0, h, IP4_BYTES));
}

static void put_ip6(struct rte_mbuf *m, const struct tuple *t, const struct piece *p)
{
	uint8_t *f = (uint8_t *)rte_pktmbuf_prepend(m, FRAGMENT_BYTES);
	struct ip6_header *h;

	CHECK(f != NULL);
	f[0] = (uint8_t)t->protocol;
	f[1] = 0;
	f[2] = (uint8_t)(p->from >> 8);
	f[3] = (uint8_t)((p->from & 0xf8) | p->more);
	memcpy(f + 4, &p->id, sizeof(p->id));
	h = (struct ip6_header *)rte_pktmbuf_prepend(m, IP6_BYTES);
	CHECK(h != NULL);
	h->flow = rte_cpu_to_be_32(UINT32_C(6) << 28 | (uint32_t)p->traffic_class << 20);
	h->payload_length = rte_cpu_to_be_16((uint16_t)(m->pkt_len - IP6_BYTES));
	h->next_header = NEXT_FRAGMENT;
	h->hop_limit = HOP_LIMIT;
	memcpy(h->source, &t->local, sizeof(h->source));
	memcpy(h->destination, &t->remote, sizeof(h->destination));
}

static enum err send_piece(struct ip *ip, struct ip_path *path, const struct tuple *t, const struct rte_mbuf *whole,
                           const struct piece *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ip->shard->pools.payload);
	const void *from;
	char *to;

	if (m == NULL) {
		count(ip->shard->counters, DROP_ip_no_mbuf);
		count(ip->shard->counters, C_limit_payload_mbufs);
		return ERR_NO_MEMORY;
	}
	to = rte_pktmbuf_append(m, (uint16_t)p->bytes);
	CHECK(to != NULL);
	from = rte_pktmbuf_read(whole, p->from, p->bytes, to);
	CHECK(from != NULL);
	if (from != to)
		memcpy(to, from, p->bytes);
	if (addr_is_v4(&t->local))
		put_ip4(m, t, p);
	else
		put_ip6(m, t, p);
	count(ip->shard->counters, C_ip_fragments_sent);
	return ip_output_finished(ip, path, t, m);
}

/* The ICMP checksum of the whole message, in its header. */
static void put_checksum(struct rte_mbuf *m, const struct tuple *t)
{
	const uint64_t pseudo = t->protocol == PROTOCOL_ICMP4 ? 0 : checksum_pseudo(t, m->pkt_len);
	char *at = rte_pktmbuf_mtod_offset(m, char *, 2);
	uint16_t sum = 0;

	memcpy(at, &sum, sizeof(sum));
	sum = (uint16_t)~checksum_fold(checksum_add_mbuf(pseudo, m, 0, m->pkt_len));
	memcpy(at, &sum, sizeof(sum));
}

enum err ip_output_split(struct ip *ip, const struct tuple *t, struct rte_mbuf *m, uint8_t traffic_class)
{
	const uint32_t header = addr_is_v4(&t->local) ? IP4_BYTES : IP6_BYTES;
	struct ip_path path = {0};
	const uint32_t mtu = ip_mtu(ip, &path, t), bytes = m->pkt_len;
	struct piece p = {.traffic_class = traffic_class};
	uint32_t each;
	enum err e = OK;

	if (mtu == 0 || bytes + header <= mtu)
		return ip_output(ip, &path, t, m, HOP_LIMIT, traffic_class);
	put_checksum(m, t);
	p.id = (uint32_t)rng_u64(&ip->shard->rng);
	each = RTE_MIN(mtu - header - (addr_is_v4(&t->local) ? 0 : FRAGMENT_BYTES), (uint32_t)PACKET_PAYLOAD_MAX) & ~7u;
	for (; p.from < bytes && e == OK; p.from += each) {
		p.bytes = RTE_MIN(each, bytes - p.from);
		p.more = p.from + p.bytes < bytes;
		e = send_piece(ip, &path, t, m, &p);
	}
	rte_pktmbuf_free(m);
	return e;
}
