/*
 * ICMP errors, in and out (RFC 792, 1122 3.2.2, 1812 4.3.2; RFC 4443 2.4, 3).
 *
 *   +---------------+---------------+-------------------------------+
 *   |     type      |     code      |           checksum            |
 *   +---------------+---------------+-------------------------------+
 *   |      unused, pointer or MTU (4 bytes)                         |
 *   +---------------------------------------------------------------+
 *   |      the IP header of the datagram it is about, and what fits of the rest
 *
 * In: the embedded datagram must be one that we could have sent; turned to our view its tuple names the owner, to
 * whom the whole frame goes. What it means is the transport's to decide (RFC 5927).
 *
 * Out: never about an ICMP error or redirect, a fragment behind the first, anything sent to many (in the frame or in
 * the datagram; but for options of IPv6 that ask for it, RFC 8200 4.2), or from an address that is not one host's;
 * input has refused some of these already. At most LIMIT_icmp_errors_per_s.
 */
#include "ip/checksum.h"
#include "ip/layer.h"

enum {
	HEADER_BYTES = 8,
	PORTS_BYTES = 8,         /* of the embedded transport: ports and, of TCP, the sequence number */
	QUOTE4_BYTES = 576 - IP4_BYTES - HEADER_BYTES, /* RFC 1812, 4.3.2.3 */
	QUOTE6_BYTES = 1280 - IP6_BYTES - HEADER_BYTES,
	TOO_BIG4_TYPE = 3,
	TOO_BIG4_CODE = 4,
	TOO_BIG6_TYPE = 2,
	BURST = 10,
	PARAMETER_PROBLEM6 = 4,
	UNRECOGNISED_OPTION = 2,
};

/* ---- in ---- */

struct embedded {
	struct tuple tuple;
	uint32_t at;             /* of its transport header, from the frame's start */
	uint32_t bytes;          /* as it says, all that it had */
	bool fragment;           /* not a first fragment: no ports */
};

static bool parse4(const struct arrival *a, struct embedded *e)
{
	const uint32_t at = a->l4 + (uint32_t)HEADER_BYTES;
	const struct ip4_header *h = rte_pktmbuf_mtod_offset(a->d.m, const struct ip4_header *, at);

	if (!mbuf_holds(a->d.m, at, IP4_BYTES) || h->version_ihl >> 4 != 4 || (h->version_ihl & 0xf) < 5)
		return false;
	e->tuple = (struct tuple){.local = addr_v4(h->source), .remote = addr_v4(h->destination),
	                          .protocol = h->protocol};
	e->bytes = rte_be_to_cpu_16(h->total_length);
	e->fragment = (h->fragment & RTE_BE16(IP4_OFFSET)) != 0;
	e->at = at + (uint32_t)(h->version_ihl & 0xf) * 4;
	return true;
}

static bool parse6(const struct arrival *a, struct embedded *e)
{
	const uint32_t at = a->l4 + (uint32_t)HEADER_BYTES;
	const struct ip6_header *h = rte_pktmbuf_mtod_offset(a->d.m, const struct ip6_header *, at);

	if (!mbuf_holds(a->d.m, at, IP6_BYTES) || *(const uint8_t *)h >> 4 != 6)
		return false;
	/* We send no extension headers: what has one is not ours. */
	e->tuple = (struct tuple){.local = addr_of_bytes(h->source), .remote = addr_of_bytes(h->destination),
	                          .protocol = h->next_header};
	e->bytes = IP6_BYTES + (uint32_t)rte_be_to_cpu_16(h->payload_length);
	e->fragment = false;
	e->at = at + IP6_BYTES;
	return !addr_is_v4(&e->tuple.local);
}

static bool related(const struct ip *ip, const struct arrival *a, struct embedded *e)
{
	const uint8_t *ports;

	if (e->fragment || (e->tuple.protocol != IPPROTO_TCP && e->tuple.protocol != IPPROTO_UDP) ||
	    !mbuf_holds(a->d.m, e->at, PORTS_BYTES) || !address_up(address_find(&ip->link->addresses, &e->tuple.local)))
		return false;
	ports = rte_pktmbuf_mtod_offset(a->d.m, const uint8_t *, e->at);
	e->tuple.local_port = (uint16_t)(ports[0] << 8 | ports[1]);
	e->tuple.remote_port = (uint16_t)(ports[2] << 8 | ports[3]);
	return true;
}

static uint32_t read_be32(const uint8_t *at)
{
	uint32_t x;

	memcpy(&x, at, sizeof(x));
	return rte_be_to_cpu_32(x);
}

static uint32_t mtu_of(const uint8_t *icmp, bool v4)
{
	if (v4)
		return icmp[0] == TOO_BIG4_TYPE && icmp[1] == TOO_BIG4_CODE ? read_be32(icmp + 4) & 0xffff : 0;
	return icmp[0] == TOO_BIG6_TYPE ? read_be32(icmp + 4) : 0;
}

void icmp_error_arrive(struct ip *ip, struct arrival *a)
{
	const bool v4 = addr_is_v4(&a->d.tuple.local);
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(a->d.m, const uint8_t *, a->l4);
	struct ip_icmp_error error;
	struct embedded e;

	if (!(v4 ? parse4(a, &e) : parse6(a, &e))) {
		ip_drop(ip, a->d.m, DROP_icmp_malformed);
		return;
	}
	if (!related(ip, a, &e)) {
		ip_drop(ip, a->d.m, DROP_icmp_unrelated);
		return;
	}
	if (ip_steer(ip, a->d.m, tuple_owner(&e.tuple, ip->shard->workers)))
		return;
	error = (struct ip_icmp_error){
		.tuple = e.tuple,
		.type = icmp[0],
		.code = icmp[1],
		.mtu = mtu_of(icmp, v4),
		.bytes = (uint16_t)(e.bytes < UINT16_MAX ? e.bytes : UINT16_MAX),
		.sequence = read_be32(rte_pktmbuf_mtod_offset(a->d.m, const uint8_t *, e.at) + 4),
	};
	count(ip->shard->counters, C_ip_icmp_errors_received);
	ip->up.on_icmp_error(ip->up.up, &error);
	rte_pktmbuf_free(a->d.m);
}

/* ---- out ---- */

/* Copies up to `want` bytes of the datagram, its IP header first; returns how many there were. */
static uint32_t quote(char *to, uint32_t want, const struct rte_mbuf *m, int l3)
{
	const char *from = rte_pktmbuf_mtod(m, const char *) + l3;
	uint32_t here = (uint32_t)((int)m->data_len - l3), done = 0;

	for (;;) {
		if (here > want - done)
			here = want - done;
		memcpy(to + done, from, here);
		done += here;
		m = m->next;
		if (m == NULL || done == want)
			return done;
		from = rte_pktmbuf_mtod(m, const char *);
		here = m->data_len;
	}
}

static bool is_error4(uint8_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12; /* RFC 1122, 3.2.2 */
}

static bool is_error6(uint8_t type)
{
	return type < 128 || type == 137; /* RFC 4443, 2.1; the redirect of RFC 4861 */
}

/*
 * Whether the datagram at h is an ICMP error itself (RFC 1122, 3.2.2; RFC 4443, 2.4 (e.1 and e.2)), as far as `bytes`
 * of it tell. It need not have been walked to its end before, nor have a sound one.
 */
static bool is_error(const uint8_t *h, uint32_t bytes, bool v4)
{
	uint32_t at = v4 ? (h[0] & 0xfu) * 4 : IP6_BYTES;
	uint8_t next = v4 ? h[9] : h[6];

	for (unsigned n = 0; !v4 && n < LIMIT_ip6_extensions && ip6_is_extension(next) && at + 8 <= bytes; n++) {
		const uint8_t *x = h + at;

		at += ip6_extension_bytes(next, x);
		next = x[0];
	}
	return next == (v4 ? PROTOCOL_ICMP4 : PROTOCOL_ICMP6) && at < bytes &&
	       (v4 ? is_error4(h[at]) : is_error6(h[at]));
}

static bool deserves(const struct ip_datagram *d, const struct icmp_complaint *c)
{
	const struct addr *from = &d->tuple.remote, *to = &d->tuple.local;
	const bool v4 = addr_is_v4(to);
	const bool even_if_many = !v4 && c->type == PARAMETER_PROBLEM6 && c->code == UNRECOGNISED_OPTION;

	/* The unspecified address and multicast (input has refused IPv4's); multicast destinations only of IPv6. */
	return (from->q[0] | from->q[1]) != 0 && from->b[0] != 0xff && (to->b[0] != 0xff || even_if_many) &&
	       !is_error(rte_pktmbuf_mtod(d->m, const uint8_t *) + c->l3, (uint32_t)((int)d->m->data_len - c->l3), v4);
}

void icmp_error_send(struct ip *ip, const struct ip_datagram *d, const struct icmp_complaint *c)
{
	const bool v4 = addr_is_v4(&d->tuple.local);
	struct tuple t = {.local = d->tuple.local, .remote = d->tuple.remote,
	                  .protocol = v4 ? PROTOCOL_ICMP4 : PROTOCOL_ICMP6};
	const rte_be32_t pointer = rte_cpu_to_be_32(c->pointer);
	struct ip_path path = {0};
	struct rte_mbuf *m;
	char *h;

	if (!deserves(d, c))
		return;
	if (t.local.b[0] == 0xff) {
		const struct addr *own = route_source(ip, d->iface, &t.remote, true);

		if (own == NULL)
			return;
		t.local = *own;
	}
	if (!rate_allow(&ip->icmp_errors, ip_now(ip), LIMIT_icmp_errors_per_s, BURST)) {
		count(ip->shard->counters, C_limit_icmp_errors_per_s);
		count(ip->shard->counters, DROP_icmp_rate);
		return;
	}
	if ((m = rte_pktmbuf_alloc(ip->shard->pools.payload)) == NULL) {
		count(ip->shard->counters, DROP_ip_no_mbuf);
		count(ip->shard->counters, C_limit_payload_mbufs);
		return;
	}
	h = rte_pktmbuf_append(m, HEADER_BYTES);
	memset(h, 0, HEADER_BYTES);
	h[0] = (char)c->type;
	h[1] = (char)c->code;
	if (v4)
		h[4] = (char)c->pointer;
	else
		memcpy(h + 4, &pointer, sizeof(pointer));
	rte_pktmbuf_append(m, (uint16_t)quote(h + HEADER_BYTES, v4 ? QUOTE4_BYTES : QUOTE6_BYTES, d->m, c->l3));
	if (ip_output(ip, &path, &t, m, HOP_LIMIT, 0) == OK)
		count(ip->shard->counters, C_ip_icmp_errors_sent);
}

void ip_unreachable(struct ip *ip, const struct ip_datagram *d)
{
	enum { UNREACHABLE4 = 3, PORT4 = 3, UNREACHABLE6 = 1, PORT6 = 4 };
	const bool v4 = addr_is_v4(&d->tuple.local);
	const struct icmp_complaint c = {
		.l3 = -(int)d->m->l3_len,
		.type = v4 ? UNREACHABLE4 : UNREACHABLE6,
		.code = v4 ? PORT4 : PORT6,
	};

	CHECK_MAGIC(ip, IP_MAGIC);
	icmp_error_send(ip, d, &c);
}
