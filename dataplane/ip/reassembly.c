/*
 * How a datagram becomes whole.
 *
 * Fragments are kept in the order of their place, in the mbufs that they came in. What the standards say, and we do:
 *
 *   - Overlapping fragments: the datagram is given up, with what was received of it and what still comes, and nobody is
 *     told (RFC 5722, 3; RFC 8200, 4.5). The same goes for IPv4, where the text of 1981 would overwrite: nobody but
 *     attackers sends overlaps, and who inspects packets on the way may see another datagram than we do. A fragment
 *     that was received before, byte for byte, is dropped alone: networks duplicate.
 *   - Fragments that disagree about the end of the datagram are overlaps, too.
 *   - Atomic fragments never come here (RFC 6946). First fragments hold all headers (RFC 7112, RFC 1858): ip4.c, ip6.c.
 *   - A datagram has 60 s from its first fragment to arrive (RFC 8200, 4.5; RFC 1122, 3.3.2); then its sender hears of
 *     it if the fragment with the headers is here.
 *   - The marks of congestion of all fragments come together in the datagram (RFC 3168, 5.3).
 *
 * DPDK's rte_ip_frag is not used: it holds at most eight fragments of a datagram, finds overlaps only by their sum,
 * keeps new datagrams out when its table is full instead of letting go of old ones, frees what is late without a
 * chance to tell the sender, knows no bound per source, and takes no IPv6 header before the fragment header.
 *
 * While memory is short no new datagram is begun: fragments are the least that we lose by shedding.
 */
#include "ip/reassembly.h"

#include "base/pressure.h"
#include "ip/checksum.h"
#include "ip/layer.h"
#include "ip/timing.h"

static void fire(struct timer *timer, uint64_t now_ns);

void reassembly_init(struct ip *ip)
{
	struct reassembly *r = &ip->reassembly;

	r->ip = ip;
	memcpy(&r->key, ip->shard->secret + 16, sizeof(r->key));
}

/* ---- datagrams: who is known, in which order ---- */

/* Whom a sender can be told by: an IPv6 host has a whole /64 to speak from. */
static struct addr source_of(const struct addr *remote)
{
	return addr_is_v4(remote) ? *remote : (struct addr){.q = {remote->q[0], 0}};
}

static uint16_t *bucket_of(struct reassembly *r, const struct addr *remote)
{
	const struct addr source = source_of(remote);

	return &r->bucket[address_hash(r->key, &source) & (REASSEMBLY_BUCKETS - 1)];
}

static void unlink_age(struct reassembly *r, const struct incomplete *d)
{
	*(d->newer != 0 ? &r->datagram[d->newer].older : &r->newest) = d->older;
	*(d->older != 0 ? &r->datagram[d->older].newer : &r->oldest) = d->newer;
}

static void link_newest(struct reassembly *r, uint16_t i)
{
	struct incomplete *d = &r->datagram[i];

	d->newer = 0;
	d->older = r->newest;
	*(r->newest != 0 ? &r->datagram[r->newest].newer : &r->oldest) = i;
	r->newest = i;
}

static void arm_oldest(struct reassembly *r)
{
	struct wheel *wheel = &r->ip->shard->wheel;

	if (r->oldest == 0)
		timer_cancel(wheel, &r->timer);
	else if (!timer_armed(&r->timer))
		timer_arm(wheel, &r->timer, r->datagram[r->oldest].until_ns, fire);
}

static void drop_fragments(struct reassembly *r, struct incomplete *d, enum counter why)
{
	struct rte_mbuf *m = d->first, *next;

	for (; m != NULL; m = next) {
		next = packet_meta(m)->fragment.next;
		ip_drop(r->ip, m, why);
	}
	r->mbufs -= d->mbufs;
	d->first = d->last = NULL;
	d->mbufs = 0;
}

/* The datagram is no longer known; its fragments have been taken or dropped. */
static void forget(struct reassembly *r, uint16_t i)
{
	struct incomplete *d = &r->datagram[i];
	uint16_t *at = bucket_of(r, &d->remote);

	CHECK(i != 0 && r->n > 0 && d->first == NULL);
	while (*at != i) {
		CHECK(*at != 0);
		at = &r->datagram[*at].next;
	}
	*at = d->next;
	unlink_age(r, d);
	d->next = r->free;
	r->free = i;
	r->n--;
	arm_oldest(r);
}

static void evict(struct reassembly *r, uint16_t i)
{
	drop_fragments(r, &r->datagram[i], DROP_ip_fragment_evicted);
	forget(r, i);
}

static bool same_source(const struct addr *a, const struct addr *b)
{
	return a->q[0] == b->q[0] && (a->q[1] == b->q[1] || !addr_is_v4(a));
}

/* The datagram of a fragment; 0: it is new. *theirs: how many its source has, *last: the oldest of them. */
static uint16_t find(struct reassembly *r, const struct fragment *f, uint32_t *theirs, uint16_t *last)
{
	*theirs = 0;
	for (uint16_t i = *bucket_of(r, &f->remote); i != 0; i = r->datagram[i].next) {
		const struct incomplete *d = &r->datagram[i];

		if (!same_source(&d->remote, &f->remote))
			continue;
		if (d->id == f->id && d->protocol == f->protocol && addr_equal(&d->remote, &f->remote) &&
		    addr_equal(&d->local, &f->local))
			return i;
		++*theirs;
		*last = i;
	}
	return 0;
}

static uint16_t begin(struct reassembly *r, const struct fragment *f)
{
	uint16_t *bucket = bucket_of(r, &f->remote);
	uint16_t i = r->free;

	if (r->n == LIMIT_reassembly_datagrams) {
		count(r->ip->shard->counters, C_limit_reassembly_datagrams);
		evict(r, r->oldest);
		i = r->free;
	}
	if (i != 0)
		r->free = r->datagram[i].next;
	else
		i = ++r->made;
	r->datagram[i] = (struct incomplete){
		.local = f->local,
		.remote = f->remote,
		.id = f->id,
		.protocol = f->protocol,
		.until_ns = ip_now(r->ip) + REASSEMBLY_MS * NS_PER_MS,
		.next = *bucket,
	};
	*bucket = i;
	link_newest(r, i);
	r->n++;
	arm_oldest(r);
	return i;
}

static uint16_t find_or_begin(struct reassembly *r, const struct fragment *f)
{
	uint32_t theirs;
	uint16_t last = 0;
	const uint16_t i = find(r, f, &theirs, &last);

	if (i != 0)
		return i;
	if (r->ip->shard->shed & SHED_SYNS)
		return 0;
	if (theirs >= LIMIT_reassembly_source) {
		count(r->ip->shard->counters, C_limit_reassembly_source);
		evict(r, last);
	}
	return begin(r, f);
}

/* ---- time ---- */

/* Code 1 of both families: fragment reassembly time exceeded. */
static void tell_sender(struct ip *ip, const struct incomplete *d)
{
	enum { TIME_EXCEEDED4 = 11, TIME_EXCEEDED6 = 3, REASSEMBLY = 1 };
	const struct ip_datagram about = {.tuple = {.local = d->local, .remote = d->remote}, .m = d->first};

	if (d->first != NULL && packet_meta(d->first)->fragment.from == 0)
		icmp_error_send(ip, &about, &(struct icmp_complaint){
			.l3 = ETH_BYTES, .code = REASSEMBLY,
			.type = addr_is_v4(&d->local) ? TIME_EXCEEDED4 : TIME_EXCEEDED6});
}

static void fire(struct timer *timer, uint64_t now_ns)
{
	struct reassembly *r = container_of(timer, struct reassembly, timer);

	while (r->oldest != 0 && r->datagram[r->oldest].until_ns <= now_ns) {
		const uint16_t i = r->oldest;

		tell_sender(r->ip, &r->datagram[i]);
		drop_fragments(r, &r->datagram[i], DROP_ip_fragment_timeout);
		forget(r, i);
	}
	arm_oldest(r);
}

void reassembly_fini(struct ip *ip)
{
	while (ip->reassembly.oldest != 0)
		evict(&ip->reassembly, ip->reassembly.oldest);
}

/* ---- fragments: where one belongs ---- */

/* The same bytes, from where those of the fragments begin in their frames. */
static bool same_bytes(const struct rte_mbuf *a, uint32_t a_at, const struct rte_mbuf *b, uint32_t b_at, uint32_t n)
{
	while (n > 0) {
		uint32_t here;

		for (; a_at >= a->data_len; a = a->next)
			a_at -= a->data_len;
		for (; b_at >= b->data_len; b = b->next)
			b_at -= b->data_len;
		here = RTE_MIN(RTE_MIN(a->data_len - a_at, b->data_len - b_at), n);
		if (memcmp(rte_pktmbuf_mtod_offset(a, char *, a_at), rte_pktmbuf_mtod_offset(b, char *, b_at),
		           here) != 0)
			return false;
		a_at += here;
		b_at += here;
		n -= here;
	}
	return true;
}

/* OK (0) when f may stand between the two neighbours of its place, either of which may be null. */
static enum counter check_place(const struct rte_mbuf *m, const struct fragment *f, struct rte_mbuf *before,
                                struct rte_mbuf *behind)
{
	struct rte_mbuf *met = NULL;

	if (before != NULL && packet_meta(before)->fragment.to > f->from)
		met = before;
	else if (behind != NULL && packet_meta(behind)->fragment.from < f->to)
		met = behind;
	if (met == NULL)
		return 0;
	if (packet_meta(met)->fragment.from == f->from && packet_meta(met)->fragment.to == f->to &&
	    packet_meta(met)->fragment.more == f->more &&
	    same_bytes(met, packet_meta(met)->fragment.at, m, f->at, f->to - f->from))
		return DROP_ip_fragment_duplicate;
	return DROP_ip_fragment_overlap;
}

/* Whether the fragment and what is known of the datagram's end agree. */
static bool end_agrees(const struct incomplete *d, const struct fragment *f)
{
	if (!f->more)
		return (d->total == 0 || d->total == f->to) &&
		       (d->last == NULL || packet_meta(d->last)->fragment.to <= f->to);
	return d->total == 0 || f->to < d->total;
}

/* The last fragment that begins at or before `from`; null: there is none. Those that come in order end at once. */
static struct rte_mbuf *find_before(const struct incomplete *d, uint32_t from)
{
	struct rte_mbuf *before = NULL;

	if (d->last == NULL || packet_meta(d->last)->fragment.from <= from)
		return d->last;
	for (struct rte_mbuf *m = d->first; packet_meta(m)->fragment.from <= from; m = packet_meta(m)->fragment.next)
		before = m;
	return before;
}

static void insert(struct incomplete *d, struct rte_mbuf *m, const struct fragment *f, struct rte_mbuf *before)
{
	struct packet_fragment *place = &packet_meta(m)->fragment;
	struct rte_mbuf **link = before != NULL ? &packet_meta(before)->fragment.next : &d->first;

	*place = (struct packet_fragment){.next = *link, .from = (uint16_t)f->from, .to = (uint16_t)f->to, .at = f->at,
	                                  .more = f->more};
	*link = m;
	if (place->next == NULL)
		d->last = m;
}

/* Takes m's place in the datagram; or the reason why not. */
static enum counter add(struct reassembly *r, struct incomplete *d, struct rte_mbuf *m, const struct fragment *f)
{
	struct rte_mbuf *before = find_before(d, f->from);
	struct rte_mbuf *behind = before != NULL ? packet_meta(before)->fragment.next : d->first;
	enum counter why = check_place(m, f, before, behind);

	if (why == 0 && !end_agrees(d, f))
		why = DROP_ip_fragment_overlap;
	if (why == 0 && d->fragments == LIMIT_reassembly_fragments) {
		count(r->ip->shard->counters, C_limit_reassembly_fragments);
		why = DROP_ip_fragment_many;
	}
	if (why != 0)
		return why;
	insert(d, m, f, before);
	if (!f->more)
		d->total = f->to;
	if (f->from == 0) {
		d->next_at = f->next_at;
		d->ecn = f->ecn;
	}
	d->ecns |= (uint8_t)(1 << f->ecn);
	d->bytes += f->to - f->from;
	d->fragments++;
	d->mbufs = (uint16_t)(d->mbufs + m->nb_segs);
	r->mbufs += m->nb_segs;
	return 0;
}

/* ---- the whole ---- */

enum { NOT_ECT = 0, ECT1 = 1, ECT0 = 2, CE = 3 };

/* RFC 3168, 5.3: a mark must not get lost, nor appear where nobody agreed to marks. False: they contradict. */
static bool ecn_of(const struct incomplete *d, uint8_t *ecn)
{
	*ecn = d->ecns & 1 << CE ? CE : d->ecn;
	return (d->ecns & 1 << CE) == 0 || (d->ecns & 1 << NOT_ECT) == 0;
}

/* Takes the headers off a fragment; an mbuf that is empty then goes, too. */
static struct rte_mbuf *strip(struct rte_mbuf *m)
{
	struct rte_mbuf *next = m->next;

	rte_pktmbuf_adj(m, packet_meta(m)->fragment.at);
	if (m->data_len != 0)
		return m;
	CHECK(next != NULL);
	next->pkt_len = m->pkt_len;
	next->nb_segs = (uint16_t)(m->nb_segs - 1);
	rte_pktmbuf_free_seg(m);
	return next;
}

/* One chain of all fragments: the headers of the first, the bytes of all. */
static struct rte_mbuf *chain(struct incomplete *d)
{
	struct rte_mbuf *head = d->first, *last = rte_pktmbuf_lastseg(head), *next;

	for (struct rte_mbuf *m = packet_meta(head)->fragment.next; m != NULL; m = next) {
		next = packet_meta(m)->fragment.next;
		m = strip(m);
		last->next = m;
		last = rte_pktmbuf_lastseg(m);
		head->nb_segs = (uint16_t)(head->nb_segs + m->nb_segs);
		head->pkt_len += m->pkt_len;
	}
	d->first = d->last = NULL;
	return head;
}

static void finish4(struct rte_mbuf *m, uint32_t l4, uint8_t ecn)
{
	struct ip4_header *h = rte_pktmbuf_mtod_offset(m, struct ip4_header *, ETH_BYTES);

	h->total_length = rte_cpu_to_be_16((uint16_t)(m->pkt_len - ETH_BYTES));
	h->fragment = 0;
	h->tos = (uint8_t)((h->tos & ~3) | ecn);
	h->checksum = 0;
	h->checksum = (uint16_t)~checksum_fold(checksum_add(0, h, l4 - (uint32_t)ETH_BYTES));
}

/* The fragment header goes: what is before it moves up. */
static void finish6(struct rte_mbuf *m, uint32_t l4, uint16_t next_at, uint8_t ecn)
{
	enum { FRAGMENT_BYTES = 8 };
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct ip6_header *h = (struct ip6_header *)(frame + FRAGMENT_BYTES + ETH_BYTES);

	frame[next_at] = frame[l4 - FRAGMENT_BYTES];
	memmove(frame + FRAGMENT_BYTES, frame, l4 - FRAGMENT_BYTES);
	rte_pktmbuf_adj(m, FRAGMENT_BYTES);
	h->payload_length = rte_cpu_to_be_16((uint16_t)(m->pkt_len - ETH_BYTES - IP6_BYTES));
	h->flow = (h->flow & ~RTE_BE32(3u << 20)) | rte_cpu_to_be_32((uint32_t)ecn << 20);
}

/* What the first fragment's own headers add must fit as well: it may have more of them than the others. */
static bool fits(const struct incomplete *d)
{
	const uint32_t at = packet_meta(d->first)->fragment.at;
	const uint32_t headers = addr_is_v4(&d->local) ? at - (uint32_t)ETH_BYTES
	                                              : at - (uint32_t)(ETH_BYTES + IP6_BYTES) - 8;

	return headers + d->total <= UINT16_MAX;
}

static void refuse(struct reassembly *r, struct incomplete *d, enum counter why)
{
	drop_fragments(r, d, why);
	d->refused = (uint16_t)why;
}

static void complete(struct reassembly *r, uint16_t i)
{
	struct incomplete *d = &r->datagram[i];
	const bool v4 = addr_is_v4(&d->local);
	const uint16_t next_at = d->next_at;
	struct rte_mbuf *m;
	uint32_t l4;
	uint8_t ecn;

	if (!ecn_of(d, &ecn) || !fits(d)) {
		refuse(r, d, fits(d) ? DROP_ip_fragment_ecn : DROP_ip_fragment_size);
		return;
	}
	l4 = packet_meta(d->first)->fragment.at;
	m = chain(d);
	r->mbufs -= d->mbufs;
	forget(r, i);
	if (v4)
		finish4(m, l4, ecn);
	else
		finish6(m, l4, next_at, ecn);
	/* What the port said of checksums was about a fragment. */
	m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
	packet_meta(m)->whole = 1;
	packet_meta(m)->hops = 0;
	count(r->ip->shard->counters, C_ip_reassembled);
	if (v4)
		ip4_input(r->ip, m);
	else
		ip6_input(r->ip, m);
}

/* ---- input ---- */

static uint16_t owner(const struct ip *ip, const struct fragment *f)
{
	const struct tuple t = {.local = f->local, .remote = f->remote, .local_port = (uint16_t)f->id,
	                        .remote_port = (uint16_t)(f->id >> 16 ^ f->protocol), .protocol = f->protocol};

	return tuple_owner(&t, ip->shard->workers);
}

/* Lets go of the oldest datagrams until there is room for the mbufs. */
static void make_room(struct reassembly *r, uint32_t mbufs)
{
	if (r->mbufs + mbufs > LIMIT_reassembly_mbufs)
		count(r->ip->shard->counters, C_limit_reassembly_mbufs);
	while (r->oldest != 0 && r->mbufs + mbufs > LIMIT_reassembly_mbufs)
		evict(r, r->oldest);
}

void reassembly_take(struct ip *ip, struct rte_mbuf *m, const struct fragment *f)
{
	struct reassembly *r = &ip->reassembly;
	struct incomplete *d;
	enum counter why;
	uint16_t i;

	CHECK(f->from < f->to && f->to <= UINT16_MAX);
	if (ip_steer(ip, m, owner(ip, f)))
		return;
	count(ip->shard->counters, C_ip_fragments_received);
	make_room(r, m->nb_segs);
	if ((i = find_or_begin(r, f)) == 0) {
		ip_drop(ip, m, DROP_ip_fragment_evicted);
		return;
	}
	d = &r->datagram[i];
	why = d->refused != 0 ? d->refused : add(r, d, m, f);
	if (why == 0) {
		if (d->total != 0 && d->bytes == d->total)
			complete(r, i);
		return;
	}
	if (d->refused == 0 && why != DROP_ip_fragment_duplicate)
		refuse(r, d, why);
	ip_drop(ip, m, why);
}
