/*
 * IPv6 input (RFC 8200): the fixed header, then the chain of extension headers, walked with limits.
 *
 *   +-------+---------------+---------------------------------------+
 *   |version| traffic class |              flow label               |
 *   +-------+---------------+-------+---------------+---------------+
 *   |        payload length         |  next header  |   hop limit   |
 *   +-------------------------------+---------------+---------------+
 *   |             source address, then destination address          |
 *
 * Extension headers: at most LIMIT_ip6_extensions, in at most EXTENSION_BYTES, all within the first segment (RFC
 * 7112 makes that a matter of course). Hop-by-hop only directly behind the fixed header. Routing headers are refused
 * unless no segment is left (RFC 5095). A fragment header of an atomic fragment (RFC 6946) is stepped over. What is
 * behind any other waits in reassembly.c for the rest of its datagram, which then comes here once more, without the
 * header; fragments of fragments are refused. Options that we do not know are treated as the two high bits of their
 * type say.
 */
#include "ip/checksum.h"
#include "ip/layer.h"

enum {
	EXTENSION_BYTES = 256,
	OPTIONS_MAX = 8,         /* that are not padding, per header */
	PADS_MAX = 8,            /* in a row */
	NEXT_HOP_BY_HOP = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_NONE = 59,
	NEXT_DESTINATION = 60,
	OPTION_PAD1 = 0,
	OPTION_PADN = 1,
	OPTION_ROUTER_ALERT = 5,
	FRAGMENT_BYTES = 8,
	PARAMETER_PROBLEM = 4,
	PROBLEM_HEADER = 0,
	PROBLEM_NEXT_HEADER = 1,
	PROBLEM_OPTION = 2,
	PROBLEM_CHAIN = 3,       /* RFC 7112, 5 */
	PAYLOAD_LENGTH_AT = 4,
};

/* Where the walk is. All offsets are from the start of the IPv6 header. */
struct walk {
	const uint8_t *h;
	uint32_t end;            /* what lies in the first segment and in the datagram */
	uint32_t at;             /* of the header of type `next` */
	uint32_t next_at;        /* of the field that named it */
	uint8_t next;
	uint8_t problem;         /* the code to tell the sender when it is refused, or SILENT */
	bool fragment;           /* behind a fragment header, which may be gone: one is enough */
	uint32_t pointer;
};

enum { SILENT = 0xff };

/* An option that we do not know: 0 to skip it. */
static enum counter unknown_option(struct walk *w, uint32_t at, bool multicast)
{
	const uint8_t action = w->h[at] >> 6;

	if (action == 0)
		return 0;
	if (action == 2 || (action == 3 && !multicast)) {
		w->problem = PROBLEM_OPTION;
		w->pointer = at;
	}
	return DROP_ip6_option;
}

static enum counter check_options(struct walk *w, uint32_t at, uint32_t end, bool multicast)
{
	unsigned options = 0, pads = 0;

	while (at < end) {
		const uint8_t type = w->h[at];
		enum counter why;

		if (type == OPTION_PAD1 || type == OPTION_PADN) {
			if (++pads > PADS_MAX)
				return DROP_ip6_option;
		} else {
			pads = 0;
			if (++options > OPTIONS_MAX)
				return DROP_ip6_option;
		}
		if (type == OPTION_PAD1) {
			at++;
			continue;
		}
		if (at + 2 > end || at + 2 + w->h[at + 1] > end)
			return DROP_ip6_extension;
		if (type != OPTION_PADN && type != OPTION_ROUTER_ALERT && (why = unknown_option(w, at, multicast)) != 0)
			return why;
		at += 2u + w->h[at + 1];
	}
	return 0;
}

/* Checks the extension header at w->at, which lies in the segment with its `bytes`; 0 to go on behind it. */
static enum counter check_extension(struct walk *w, uint32_t bytes, bool multicast)
{
	switch (w->next) {
	case NEXT_HOP_BY_HOP:
		if (w->at != IP6_BYTES) {
			/* RFC 8200, 4.1 and 4: an unrecognised next header, when not at its place. */
			w->problem = PROBLEM_NEXT_HEADER;
			w->pointer = w->next_at;
			return DROP_ip6_extension;
		}
		return check_options(w, w->at + 2, w->at + bytes, multicast);
	case NEXT_DESTINATION:
		return check_options(w, w->at + 2, w->at + bytes, multicast);
	case NEXT_ROUTING:
		if (w->h[w->at + 3] == 0)
			return 0;
		w->problem = PROBLEM_HEADER;
		w->pointer = w->at + 2;
		return DROP_ip6_routing;
	default: /* NEXT_FRAGMENT of an atomic fragment: one such header is enough */
		if (w->fragment)
			return DROP_ip6_extension;
		w->fragment = true;
		return 0;
	}
}

bool ip6_is_extension(uint8_t next)
{
	return next == NEXT_HOP_BY_HOP || next == NEXT_DESTINATION || next == NEXT_ROUTING || next == NEXT_FRAGMENT;
}

uint32_t ip6_extension_bytes(uint8_t next, const uint8_t *h)
{
	return next == NEXT_FRAGMENT ? FRAGMENT_BYTES : 8 + 8u * h[1];
}

static uint32_t extension_bytes(const struct walk *w)
{
	return ip6_extension_bytes(w->next, w->h + w->at);
}

/* Whether w is at the fragment header of a fragment: the two reserved bits between offset and M are ignored. */
static bool at_fragment(const struct walk *w)
{
	return w->next == NEXT_FRAGMENT && (w->h[w->at + 2] | (w->h[w->at + 3] & 0xf9)) != 0;
}

/* 0: w->next is a transport, or w is at the header of a fragment. */
static enum counter walk_extensions(struct ip *ip, struct walk *w, bool multicast)
{
	for (unsigned n = 0; ; n++) {
		uint32_t bytes;
		enum counter why;

		if (!ip6_is_extension(w->next))
			return 0;
		if (n == LIMIT_ip6_extensions) {
			count(ip->shard->counters, C_limit_ip6_extensions);
			w->problem = SILENT;
			return DROP_ip6_extension;
		}
		if (w->at + 8 > w->end)
			return DROP_ip6_extension;
		bytes = extension_bytes(w);
		if (w->at + bytes > w->end || w->at + bytes > IP6_BYTES + EXTENSION_BYTES)
			return DROP_ip6_extension;
		if (at_fragment(w) && !w->fragment)
			return 0;
		if ((why = check_extension(w, bytes, multicast)) != 0)
			return why;
		w->next = w->h[w->at];
		w->next_at = w->at;
		w->at += bytes;
	}
}

/* ::/96 holds the unspecified address, loopback and the mapped form, which must not appear on a wire: we use it for
 * IPv4 inside, and an IPv6 packet with one would be a second way to be that IPv4 address. */
static bool in_low_addresses(const struct addr *a)
{
	return a->q[0] == 0 && (a->w[2] == 0 || addr_is_v4(a));
}

static bool unspecified(const struct addr *a)
{
	return (a->q[0] | a->q[1]) == 0;
}

/* Whoever has an address of ours speaks of that from this very address: DROP_ip_land is icmp.c's to say then. */
static enum counter check_addresses(const struct ip *ip, const struct arrival *a, bool multicast)
{
	const struct address_table *t = &ip->link->addresses;
	const struct addr *from = &a->d.tuple.remote, *to = &a->d.tuple.local;
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(a->d.m, const struct rte_ether_hdr *);
	uint32_t word;
	bool land;

	/* Only duplicate address detection speaks from the unspecified address: nd.c looks at that. */
	if (unlikely_(from->b[0] == 0xff || (in_low_addresses(from) && !(unspecified(from) && multicast))))
		return DROP_ip6_martian;
	/* RFC 4291, 2.7: of the scopes of groups, 0 is reserved and 1 never leaves a host. */
	if (unlikely_(in_low_addresses(to) || (multicast && (to->b[1] & 0xf) <= 1)))
		return DROP_ip6_martian;
	land = address_claimed(address_find(t, from));
	if (unlikely_(multicast))
		return land ? DROP_ip_land : 0; /* only neighbour discovery goes on from here */
	word = address_find(t, to);
	if (unlikely_(!address_up(word)))
		return DROP_ip_not_ours;
	/* RFC 4007, 6: a link-local address means something on its own link only; the answer would go to another. */
	if (unlikely_(addr_is_link_local(from) || addr_is_link_local(to)) && address_iface(word) != a->d.iface)
		return DROP_ip_link_local;
	if (unlikely_(rte_is_multicast_ether_addr(&eth->dst_addr)))
		return DROP_eth_multicast;
	return unlikely_(land) ? DROP_ip_land : 0;
}

/* The sender is told about a header that we refuse, when the rules say so. */
static void refuse(struct ip *ip, struct arrival *a, const struct walk *w, enum counter why)
{
	if (w->problem != SILENT)
		icmp_error_send(ip, &a->d, &(struct icmp_complaint){.l3 = ETH_BYTES, .type = PARAMETER_PROBLEM,
		                                                    .code = w->problem, .pointer = w->pointer});
	ip_drop(ip, a->d.m, why);
}

/* ---- fragments (RFC 8200, 4.5) ---- */

/* Whether a first fragment holds all headers, the transport's included; w is at its fragment header. */
static bool chain_whole(const struct rte_mbuf *m, const struct walk *w)
{
	struct walk x = *w;

	while (ip6_is_extension(x.next)) {
		const uint32_t bytes = x.at + 8 <= x.end ? extension_bytes(&x) : 8;

		if (x.at + bytes > x.end)
			return false;
		x.next = x.h[x.at];
		x.at += bytes;
	}
	return x.next == NEXT_NONE || transport_whole(m, ETH_BYTES + x.at, x.next);
}

/* The reason to refuse a fragment, and what its sender is to be told. */
static enum counter check_fragment(struct walk *w, const struct rte_mbuf *m, const struct fragment *f)
{
	const uint32_t bytes = f->to - f->from;

	if (f->more && bytes % 8 != 0) {
		w->problem = PROBLEM_HEADER;
		w->pointer = PAYLOAD_LENGTH_AT;
		return DROP_ip_fragment_malformed;
	}
	if (bytes == 0)
		return DROP_ip_fragment_malformed;
	if (f->to + (w->at - IP6_BYTES) > UINT16_MAX) {
		w->problem = PROBLEM_HEADER;
		w->pointer = w->at + 2;
		return DROP_ip_fragment_size;
	}
	if (f->from == 0 && !chain_whole(m, w)) {
		w->problem = PROBLEM_CHAIN;
		w->pointer = 0;
		return DROP_ip_fragment_tiny;
	}
	return 0;
}

/* w is at the fragment header, `total` the datagram's bytes from the IPv6 header on. */
static void take_fragment(struct ip *ip, struct arrival *a, struct walk *w, uint32_t total)
{
	const uint8_t *h = w->h + w->at;
	const uint32_t word = (uint32_t)h[2] << 8 | h[3], from = word & 0xfff8;
	const uint32_t bytes = total - w->at - FRAGMENT_BYTES;
	struct fragment f = {
		.local = a->d.tuple.local,
		.remote = a->d.tuple.remote,
		.from = from,
		.to = from + bytes,
		.at = (uint16_t)(ETH_BYTES + w->at + FRAGMENT_BYTES),
		.next_at = (uint16_t)(ETH_BYTES + w->next_at),
		.more = (word & 1) != 0,
		.ecn = a->d.traffic_class & 3,
	};
	const enum counter why = check_fragment(w, a->d.m, &f);

	memcpy(&f.id, h + 4, sizeof(f.id));
	if (why != 0)
		refuse(ip, a, w, why);
	else
		reassembly_take(ip, a->d.m, &f);
}

/* ---- input ---- */

static void dispatch(struct ip *ip, struct arrival *a, uint32_t next_at, bool multicast)
{
	struct rte_mbuf *m = a->d.m;

	if (unlikely_(multicast && a->d.tuple.protocol != IPPROTO_ICMPV6)) {
		ip_drop(ip, m, DROP_ip_not_ours);
		return;
	}
	switch (a->d.tuple.protocol) {
	case IPPROTO_TCP:
		tcp_arrive(ip, a);
		return;
	case IPPROTO_UDP:
		udp_arrive(ip, a);
		return;
	case IPPROTO_ICMPV6:
		icmp6_arrive(ip, a);
		return;
	case NEXT_NONE:
		ip_drop(ip, m, DROP_ip_protocol);
		return;
	default:
		protocol_unknown(ip, a, next_at);
	}
}

void ip6_input(struct ip *ip, struct rte_mbuf *m)
{
	const struct ip6_header *h = rte_pktmbuf_mtod_offset(m, const struct ip6_header *, ETH_BYTES);
	struct walk w;
	struct arrival a;
	enum counter why;
	uint32_t total;
	bool multicast;

	if (unlikely_(!mbuf_holds(m, ETH_BYTES, IP6_BYTES) || *(const uint8_t *)h >> 4 != 6)) {
		ip_drop(ip, m, DROP_ip6_header);
		return;
	}
	total = IP6_BYTES + (uint32_t)rte_be_to_cpu_16(h->payload_length);
	if (unlikely_(total > m->pkt_len - ETH_BYTES)) {
		ip_drop(ip, m, DROP_ip6_length);
		return;
	}
	if (unlikely_(h->hop_limit == 0)) {
		ip_drop(ip, m, DROP_ip_ttl);
		return;
	}
	a = (struct arrival){
		.d = {
			.tuple = {.local = addr_of_bytes(h->destination), .remote = addr_of_bytes(h->source)},
			.m = m,
			.traffic_class = (uint8_t)(rte_be_to_cpu_32(h->flow) >> 20),
			.iface = packet_meta(m)->iface,
		},
		.hop_limit = h->hop_limit,
	};
	multicast = a.d.tuple.local.b[0] == 0xff;
	why = check_addresses(ip, &a, multicast);
	if (unlikely_(why != 0) && !(why == DROP_ip_land && h->next_header == IPPROTO_ICMPV6)) {
		ip_drop(ip, m, why);
		return;
	}
	if (m->pkt_len > total + ETH_BYTES)
		mbuf_cut(m, total + ETH_BYTES);
	w = (struct walk){.h = (const uint8_t *)h, .at = IP6_BYTES, .next_at = 6, .next = h->next_header,
	                  .problem = SILENT, .fragment = packet_meta(m)->whole != 0};
	if (unlikely_(h->next_header != IPPROTO_TCP)) {
		w.end = m->data_len - (uint32_t)ETH_BYTES;
		if ((why = walk_extensions(ip, &w, multicast)) != 0) {
			refuse(ip, &a, &w, why);
			return;
		}
		if (at_fragment(&w)) {
			if (multicast)
				ip_drop(ip, m, DROP_ip_not_ours); /* neighbour discovery has none (RFC 6980) */
			else
				take_fragment(ip, &a, &w, total);
			return;
		}
	}
	a.fragment = w.fragment;
	a.l4 = (uint16_t)(ETH_BYTES + w.at);
	a.d.l4_bytes = (uint16_t)(total - w.at);
	a.d.tuple.protocol = w.next;
	dispatch(ip, &a, w.next_at, multicast);
}
