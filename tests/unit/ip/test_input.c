/*
 * What the input checks refuse, and what they let through. A case is a good frame with a few bytes changed; its
 * checksums are made right again unless the case is about them.
 */
#include "base/limits.h"
#include "net.h"

enum base { TCP4, TCP6, UDP4, UDP6, ECHO4, ECHO6, ARP, NS, NA, OTHER4, EXT6 };
enum { AGAIN = 1, SHORT = 2 }; /* seal again after the edits; cut before */

struct edit {
	int at;                  /* from the frame's start; negative: none */
	int value;
};

/* The extension headers of EXT6 are 8 bytes of destination options (PadN) at 54, then TCP at 62. */
static void build(struct bytes *f, enum base base)
{
	switch (base) {
	case TCP4:
	case UDP4:
	case OTHER4:
		eth(f, PORT0_MAC, CLIENT_MAC, 0x0800);
		ip4(f, "198.18.0.2", "198.18.0.10", base == TCP4 ? TCP : base == UDP4 ? UDP : 132);
		base == UDP4 ? udp(f, 5000, 53, "question") : tcp(f, 40000, 80, "hello");
		seal4(f);
		return;
	case TCP6:
	case UDP6:
		eth(f, PORT0_MAC, CLIENT_MAC, 0x86dd);
		ip6(f, "2001:2::2", "2001:2::10", base == TCP6 ? TCP : UDP, 64);
		base == UDP6 ? udp(f, 5000, 53, "question") : tcp(f, 40000, 80, "hello");
		seal6(f);
		return;
	case EXT6:
		eth(f, PORT0_MAC, CLIENT_MAC, 0x86dd);
		ip6(f, "2001:2::2", "2001:2::10", 60, 64);
		put(f, "\6\0\1\4\0\0\0\0", 8);
		tcp(f, 40000, 80, "hello");
		seal6_at(f, 14, 8, TCP);
		return;
	case ECHO4:
		eth(f, PORT0_MAC, CLIENT_MAC, 0x0800);
		ip4(f, "198.18.0.2", "198.18.0.10", ICMP);
		put(f, "\10\0\0\0\1\2\3\4ping", 12);
		seal4(f);
		return;
	case ECHO6:
		eth(f, PORT0_MAC, CLIENT_MAC, 0x86dd);
		ip6(f, "2001:2::2", "2001:2::10", ICMP6, 64);
		put(f, "\200\0\0\0\1\2\3\4ping", 12);
		seal6(f);
		return;
	case ARP:
		arp_ask(f, CLIENT_MAC, "198.18.0.2", "198.18.0.10");
		return;
	case NS:
		nd(f, "33:33:ff:00:00:10", CLIENT_MAC, "2001:2::2", "ff02::1:ff00:10", 135, 0, "2001:2::10", 1);
		return;
	case NA:
		nd(f, PORT0_MAC, CLIENT_MAC, "2001:2::2", "2001:2::1", 136, 0x60, "2001:2::2", 2);
		return;
	}
}

static void seal(struct bytes *f, enum base base)
{
	if (base == TCP4 || base == UDP4 || base == ECHO4 || base == OTHER4)
		seal4(f);
	else if (base == EXT6)
		seal6_at(f, 14, 8, f->b[54]);
	else if (base != ARP)
		seal6(f);
}

static const struct refusal {
	const char *name;
	enum base base;
	int bytes;               /* the frame is cut (or padded) to so many; 0: not */
	struct edit edits[6];    /* {0, 0}: none; position 0 is edited as 256 */
	int flags;
	enum counter why;
} refusals[] = {
	{"runt", TCP4, 13, {{0}}, 0, DROP_eth_short},
	{"nothing at all", TCP4, 1, {{0}}, 0, DROP_eth_short},
	{"another's MAC address", TCP4, 0, {{5, 0x55}}, 0, DROP_eth_not_ours},
	{"LLC frame", TCP4, 0, {{12, 0}, {13, 40}}, 0, DROP_eth_type},
	{"LLDP", TCP4, 0, {{12, 0x88}, {13, 0xcc}}, 0, DROP_eth_type},
	{"VLAN 5", TCP4, 0, {{12, 0x81}, {13, 0}, {14, 0}, {15, 5}}, 0, DROP_eth_vlan},
	{"VLAN tag cut off", TCP4, 16, {{12, 0x81}, {13, 0}}, 0, DROP_eth_short},
	{"priority tag around another tag", TCP4, 0, {{12, 0x81}, {13, 0}, {14, 0}, {15, 0}, {16, 0x81}, {17, 0}}, 0,
	 DROP_eth_vlan},
	{"provider tag", TCP4, 0, {{12, 0x88}, {13, 0xa8}}, 0, DROP_eth_vlan},
	{"unicast in a broadcast frame", TCP4, 0, {{256, 0xff}}, 0, DROP_eth_multicast},
	{"IPv6 unicast in a multicast frame", TCP6, 0, {{256, 0x33}}, 0, DROP_eth_multicast},

	{"ARP short", ARP, 41, {{0}}, 0, DROP_arp_malformed},
	{"ARP hardware type", ARP, 0, {{15, 6}}, 0, DROP_arp_malformed},
	{"ARP protocol type", ARP, 0, {{16, 9}}, 0, DROP_arp_malformed},
	{"ARP hardware length", ARP, 0, {{18, 8}}, 0, DROP_arp_malformed},
	{"ARP protocol length", ARP, 0, {{19, 16}}, 0, DROP_arp_malformed},
	{"ARP operation", ARP, 0, {{21, 3}}, 0, DROP_arp_malformed},
	{"ARP from a multicast MAC", ARP, 0, {{22, 1}}, 0, DROP_arp_malformed},
	{"ARP for another", ARP, 0, {{41, 99}}, 0, DROP_arp_not_ours},
	{"ARP for an address of the other side", ARP, 0, {{40, 1}, {41, 1}}, 0, DROP_arp_not_ours},
	{"ARP for the subnet broadcast", ARP, 0, {{41, 255}}, 0, DROP_arp_not_ours},

	{"IPv4 header cut off", TCP4, 33, {{0}}, 0, DROP_ip4_header},
	{"version 5", TCP4, 0, {{14, 0x55}}, 0, DROP_ip4_header},
	{"header of 16 bytes", TCP4, 0, {{14, 0x44}}, 0, DROP_ip4_header},
	{"header over the segment", TCP4, 0, {{14, 0x4f}}, 0, DROP_ip4_header},
	{"header checksum", TCP4, 0, {{24, 0x55}}, 0, DROP_ip4_checksum},
	{"total length over the frame", TCP4, 0, {{17, 46}}, 0, DROP_ip4_length},
	{"total length 65535", TCP4, 0, {{16, 255}, {17, 255}}, 0, DROP_ip4_length},
	{"total length below the header", TCP4, 0, {{17, 19}}, 0, DROP_ip4_length},
	{"frame cut", TCP4, 58, {{0}}, 0, DROP_ip4_length},
	{"TTL 0", TCP4, 0, {{22, 0}}, AGAIN, DROP_ip_ttl},
	{"from 0.0.0.0", TCP4, 0, {{26, 0}, {27, 0}, {28, 0}, {29, 0}}, AGAIN, DROP_ip4_martian},
	{"from 127.0.0.1", TCP4, 0, {{26, 127}}, AGAIN, DROP_ip4_martian},
	{"from 169.254, which is no link of ours (RFC 3927, 2.7)", TCP4, 0, {{26, 169}, {27, 254}}, AGAIN, DROP_ip_link_local},
	{"from 240.0.0.0/4 (RFC 1112, 4)", TCP4, 0, {{26, 240}}, AGAIN, DROP_ip4_martian},
	{"from multicast", TCP4, 0, {{26, 224}}, AGAIN, DROP_ip4_martian},
	{"from 255.255.255.255", TCP4, 0, {{26, 255}, {27, 255}, {28, 255}, {29, 255}}, AGAIN, DROP_ip4_martian},
	{"from the subnet broadcast", TCP4, 0, {{29, 255}}, AGAIN, DROP_ip4_martian},
	{"LAND", TCP4, 0, {{29, 10}}, AGAIN, DROP_ip_land},
	{"from another of our addresses", TCP4, 0, {{28, 1}, {29, 1}}, AGAIN, DROP_ip_land},
	{"to 127.0.0.1", TCP4, 0, {{30, 127}}, AGAIN, DROP_ip4_martian},
	{"to 0.0.0.0", TCP4, 0, {{30, 0}}, AGAIN, DROP_ip4_martian},
	{"to multicast", TCP4, 0, {{30, 239}}, AGAIN, DROP_ip_not_ours},
	{"to another host", TCP4, 0, {{33, 77}}, AGAIN, DROP_ip_not_ours},
	{"to the subnet broadcast", TCP4, 0, {{33, 255}}, AGAIN, DROP_ip_not_ours},
	{"SCTP", OTHER4, 0, {{0}}, 0, DROP_ip_protocol},

	{"IPv6 header cut off", TCP6, 53, {{0}}, 0, DROP_ip6_header},
	{"IPv6 of version 4", TCP6, 0, {{14, 0x45}}, 0, DROP_ip6_header},
	{"payload length over the frame", TCP6, 0, {{19, 99}}, 0, DROP_ip6_length},
	{"IPv6 frame cut", TCP6, 78, {{0}}, 0, DROP_ip6_length},
	{"hop limit 0", TCP6, 0, {{21, 0}}, 0, DROP_ip_ttl},
	{"IPv6 from multicast", TCP6, 0, {{22, 0xff}}, 0, DROP_ip6_martian},
	{"IPv6 LAND", TCP6, 0, {{37, 0x10}}, 0, DROP_ip_land},
	{"IPv6 to another host", TCP6, 0, {{53, 0x77}}, 0, DROP_ip_not_ours},
	{"IPv6 to all nodes", TCP6, 0, {{38, 0xff}, {39, 2}}, 0, DROP_ip_not_ours},
	{"to a group of scope 0 (RFC 4291, 2.7)", TCP6, 0, {{38, 0xff}, {39, 0}}, 0, DROP_ip6_martian},
	{"to a group of this host (RFC 4291, 2.7)", TCP6, 0, {{38, 0xff}, {39, 1}}, 0, DROP_ip6_martian},
	{"no next header", TCP6, 0, {{20, 59}}, 0, DROP_ip_protocol},
	{"unknown next header", TCP6, 0, {{20, 132}}, 0, DROP_ip_protocol},

	{"extension header over the end", EXT6, 0, {{55, 200}}, 0, DROP_ip6_extension},
	{"hop-by-hop second", EXT6, 0, {{54, 0}}, 0, DROP_ip6_extension},
	{"option to discard", EXT6, 0, {{56, 0x41}}, 0, DROP_ip6_option},
	{"option to discard and report", EXT6, 0, {{56, 0x81}}, 0, DROP_ip6_option},
	{"option over its header", EXT6, 0, {{57, 5}}, 0, DROP_ip6_extension},
	{"routing header of type 0 with segments left (RFC 5095, 3)", EXT6, 0, {{20, 43}, {56, 0}, {57, 1}}, 0, DROP_ip6_routing},
	{"routing header of type 4 with segments left (RFC 8200, 4.4)", EXT6, 0, {{20, 43}, {56, 4}, {57, 1}}, 0, DROP_ip6_routing},

	{"ICMP short", ECHO4, 41, {{17, 27}}, SHORT | AGAIN, DROP_icmp_malformed},
	{"ICMP checksum", ECHO4, 0, {{45, 'x'}}, 0, DROP_icmp_checksum},
	{"ICMP redirect", ECHO4, 0, {{34, 5}}, AGAIN, DROP_icmp_type},
	{"ICMP source quench", ECHO4, 0, {{34, 4}}, AGAIN, DROP_icmp_type},
	{"ICMP echo reply", ECHO4, 0, {{34, 0}}, AGAIN, DROP_icmp_type},
	{"ICMPv6 checksum", ECHO6, 0, {{65, 'x'}}, 0, DROP_icmp_checksum},
	{"router advertisement", ECHO6, 0, {{54, 134}}, AGAIN, DROP_icmp_type},
	{"ICMPv6 redirect", ECHO6, 0, {{54, 137}}, AGAIN, DROP_icmp_type},
	{"ICMPv6 short", ECHO6, 61, {{0}}, SHORT | AGAIN, DROP_icmp_malformed},
	{"error with nothing in it", ECHO4, 0, {{34, 3}}, AGAIN, DROP_icmp_malformed},
	{"ICMPv6 error with nothing in it", ECHO6, 0, {{54, 1}}, AGAIN, DROP_icmp_malformed},

	{"NS hop limit", NS, 0, {{21, 254}}, 0, DROP_nd_hop_limit},
	{"NS code", NS, 0, {{55, 1}}, AGAIN, DROP_nd_malformed},
	{"NS short", NS, 77, {{0}}, SHORT | AGAIN, DROP_nd_malformed},
	{"NS for multicast", NS, 0, {{62, 0xff}}, AGAIN, DROP_nd_malformed},
	{"NS option of length 0", NS, 0, {{79, 0}}, AGAIN, DROP_nd_malformed},
	{"NS option over the end", NS, 0, {{79, 2}}, AGAIN, DROP_nd_malformed},
	{"NS with a multicast MAC", NS, 0, {{80, 3}}, AGAIN, DROP_nd_malformed},
	{"NS for another", NS, 0, {{77, 0x99}}, AGAIN, DROP_nd_not_ours},
	{"NA hop limit", NA, 0, {{21, 1}}, 0, DROP_nd_hop_limit},
	{"NA solicited to multicast", NA, 0, {{256, 0x33}, {38, 0xff}, {39, 2}}, AGAIN, DROP_nd_malformed},

	{"UDP length over the datagram", UDP4, 0, {{39, 17}}, 0, DROP_udp_malformed},
	{"UDP length below the header", UDP4, 0, {{38, 0}, {39, 7}}, 0, DROP_udp_malformed},
	{"UDP header cut off", UDP4, 41, {{0}}, SHORT | AGAIN, DROP_udp_malformed},
	{"UDP checksum", UDP4, 0, {{45, 'x'}}, 0, DROP_udp_checksum},
	{"UDP over IPv6 without checksum", UDP6, 0, {{60, 0}, {61, 0}}, 0, DROP_udp_checksum},
	{"UDP port", UDP4, 0, {{0}}, 0, DROP_udp_no_port},
	{"UDP port over IPv6", UDP6, 0, {{0}}, 0, DROP_udp_no_port},
	{"TCP header cut off", TCP4, 53, {{0}}, SHORT | AGAIN, DROP_tcp_malformed},
	{"TCP header cut off over IPv6", TCP6, 73, {{0}}, SHORT | AGAIN, DROP_tcp_malformed},
};

/* Every counter of a drop but the one that is expected. */
static uint64_t other_drops(enum counter why)
{
	uint64_t n = 0;

	for (int i = 0; i < COUNTERS; i++) {
		if (counter_descriptions[i].kind == COUNTER_DROP && i != (int)why)
			n += counted((enum counter)i);
	}
	return n;
}

static void edit(struct bytes *f, const struct refusal *r)
{
	if (r->bytes != 0 && (r->flags & SHORT))
		f->n = (uint32_t)r->bytes;
	for (size_t e = 0; e < LENGTH(r->edits); e++) {
		if (r->edits[e].at != 0)
			f->b[r->edits[e].at & 255] = (uint8_t)r->edits[e].value;
	}
	if (r->flags & AGAIN)
		seal(f, r->base);
	if (r->bytes != 0)
		f->n = (uint32_t)r->bytes;
}

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(refusals); i++) {
		const struct refusal *r = &refusals[i];
		struct bytes f;

		print_message("%s\n", r->name);
		net_lab(1);
		build(&f, r->base);
		edit(&f, r);
		receive(0, &f);
		assert_int_equal(counted(r->why), 1);
		assert_int_equal(other_drops(r->why), 0);
		assert_int_equal(net.tcp_n + net.udp_n + net.error_n, 0);
		net_close();
	}
}

static const struct {
	const char *name;
	enum base base;
	int bytes;               /* the frame is padded to so many */
	struct edit edits[6];
	unsigned tcp, udp, sent;
} accepted[] = {
	{"TCP", TCP4, 0, {{0}}, 1, 0, 0},
	{"TCP with padding", TCP4, 90, {{0}}, 1, 0, 0},
	{"TCP without DF", TCP4, 0, {{20, 0}}, 1, 0, 0},
	{"TTL 1", TCP4, 0, {{22, 1}}, 1, 0, 0},
	{"from afar", TCP4, 0, {{26, 8}, {27, 8}}, 1, 0, 0},
	{"to the machine's own address", TCP4, 0, {{33, 1}}, 1, 0, 0},
	{"to an address of the other port", TCP4, 0, {{32, 1}, {33, 1}}, 1, 0, 0},
	{"TCP over IPv6", TCP6, 0, {{0}}, 1, 0, 0},
	{"TCP over IPv6 with padding", TCP6, 100, {{0}}, 1, 0, 0},
	{"behind destination options", EXT6, 0, {{0}}, 1, 0, 0},
	{"behind hop-by-hop options", EXT6, 0, {{20, 0}}, 1, 0, 0},
	{"behind a spent routing header", EXT6, 0, {{20, 43}, {57, 0}}, 1, 0, 0},
	{"atomic fragment", EXT6, 0, {{20, 44}, {56, 0}, {57, 0}}, 1, 0, 0},
	{"option to skip", EXT6, 0, {{56, 0x1e}}, 1, 0, 0},
	{"UDP", UDP4, 0, {{0}}, 0, 1, 0},
	{"UDP without checksum", UDP4, 0, {{40, 0}, {41, 0}}, 0, 1, 0},
	{"UDP over IPv6", UDP6, 0, {{0}}, 0, 1, 0},
	{"ARP", ARP, 60, {{0}}, 0, 0, 1},
	{"NS", NS, 0, {{0}}, 0, 0, 1},
};

static void test_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(accepted); i++) {
		struct refusal r = {.base = accepted[i].base, .flags = AGAIN};
		struct bytes f;

		print_message("%s\n", accepted[i].name);
		net.udp_wanted = true;
		net_lab(1);
		memcpy(r.edits, accepted[i].edits, sizeof(r.edits));
		if (accepted[i].base == UDP4 && r.edits[0].at == 40)
			r.flags = 0;
		build(&f, r.base);
		edit(&f, &r);
		if (accepted[i].bytes != 0) {
			memset(f.b + f.n, 0xee, (size_t)accepted[i].bytes - f.n);
			f.n = (uint32_t)accepted[i].bytes;
		}
		receive(0, &f);
		assert_int_equal(other_drops(COUNTERS), 0);
		assert_int_equal(net.tcp_n, accepted[i].tcp);
		assert_int_equal(net.udp_n, accepted[i].udp);
		assert_int_equal(net.sent_n, accepted[i].sent);
		if (net.tcp_n > 0) {
			assert_int_equal(net.up.l4_bytes, 25);
			assert_memory_equal(net.up_bytes.b + 20, "hello", 5);
			assert_int_equal(net.up.tuple.local_port, 80);
			assert_int_equal(net.up.tuple.remote_port, 40000);
			assert_int_equal(net.up.tuple.protocol, TCP);
			assert_false(net.up.checksum_ok);
		}
		net_close();
	}
}

/* Options of IPv4 (RFC 1122, 3.2.1.8): what is not understood is skipped, source routes are refused (RFC 7126, 4.3). */
static void test_options4(void **state)
{
	static const struct {
		const char *name;
		uint8_t options[8];
		enum counter why;        /* 0: it is taken */
		int told;                /* the pointer of the parameter problem (RFC 1122, 3.2.2.5); 0: none */
	} cases[] = {
		{"RFC 791, 3.1: no operation", {1, 1, 1, 1, 1, 1, 1, 1}, 0, 0},
		{"RFC 791, 3.1: the end, and anything behind it", {0, 131, 77, 0, 0, 0, 0, 9}, 0, 0},
		{"RFC 791, 3.1: record route", {7, 7, 4, 0, 0, 0, 0, 0}, 0, 0},
		{"RFC 2113, 2.1: router alert", {148, 4, 0, 0, 0, 0, 0, 0}, 0, 0},
		{"RFC 1122, 3.2.1.8: unknown", {99, 8, 1, 2, 3, 4, 5, 6}, 0, 0},
		{"RFC 7126, 4.3: loose source route", {131, 7, 4, 1, 2, 3, 4, 0}, DROP_ip4_source_route, 0},
		{"RFC 7126, 4.4: strict source route", {1, 137, 7, 4, 1, 2, 3, 4}, DROP_ip4_source_route, 0},
		{"RFC 1122, 3.2.1.8: no length", {1, 1, 1, 1, 1, 1, 1, 99}, DROP_ip4_options, 27},
		{"RFC 1122, 3.2.1.8: length 0", {99, 0, 0, 0, 0, 0, 0, 0}, DROP_ip4_options, 20},
		{"RFC 1122, 3.2.1.8: length 1", {1, 99, 1, 0, 0, 0, 0, 0}, DROP_ip4_options, 21},
		{"RFC 1122, 3.2.1.8: over the header", {99, 9, 1, 2, 3, 4, 5, 6}, DROP_ip4_options, 20},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct bytes f = {.n = 0};

		print_message("%s\n", cases[i].name);
		net_quiet(1);
		meet();
		eth(&f, PORT0_MAC, CLIENT_MAC, 0x0800);
		ip4(&f, "198.18.0.2", "198.18.0.10", TCP);
		f.b[14] = 0x47;
		put(&f, cases[i].options, 8);
		tcp(&f, 40000, 80, "hello");
		seal4(&f);
		receive(0, &f);
		assert_int_equal(net.tcp_n, cases[i].why == 0);
		assert_int_equal(other_drops(cases[i].why != 0 ? cases[i].why : COUNTERS), 0);
		assert_int_equal(net.sent_n, cases[i].told != 0);
		if (cases[i].why != 0)
			assert_int_equal(counted(cases[i].why), 1);
		else
			assert_memory_equal(net.up_bytes.b + 20, "hello", 5);
		if (cases[i].told != 0) {
			assert_string_equal(hex(only_sent(), 34, 2), "0c00");
			assert_int_equal(net.sent[0].f.b[38], cases[i].told);
			check_sealed(only_sent());
		}
		net_close();
	}
}

/* A link-local address is of one link (RFC 4007, 6): from another it is refused, in either place. */
static void test_link_local(void **state)
{
	static const struct {
		const char *name, *from, *to;
		uint8_t port;
		bool taken;
	} cases[] = {
		{"from a neighbour", "fe80::2", "2001:2::10", 0, true},
		{"between neighbours", "fe80::2", "fe80::ff:fe00:1", 0, true},
		{"from the other link", "fe80::2", "2001:2::10", 1, false},
		{"to an address of the other link", "2001:2:0:1::11", "fe80::ff:fe00:1", 1, false},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct bytes f;

		print_message("%s\n", cases[i].name);
		net_quiet(1);
		eth(&f, cases[i].port ? PORT1_MAC : PORT0_MAC, CLIENT_MAC, 0x86dd);
		ip6(&f, cases[i].from, cases[i].to, TCP, 64);
		tcp(&f, 40000, 80, "hello");
		seal6(&f);
		receive(cases[i].port, &f);
		assert_int_equal(net.tcp_n, cases[i].taken);
		assert_int_equal(counted(DROP_ip_link_local), !cases[i].taken);
		net_close();
	}
}

/* The address forms of IPv6 that must not come in from a wire: mapped ones would be IPv4 addresses to us. */
static void test_low_addresses(void **state)
{
	static const struct {
		const char *name;
		uint8_t low[6];
		int at;
	} cases[] = {
		{"from ::", {0}, 22}, {"from ::1", {0, 0, 0, 0, 0, 1}, 22}, {"to ::1", {0, 0, 0, 0, 0, 1}, 38},
		{"from ::ffff:198.18.0.2", {0xff, 0xff, 198, 18, 0, 2}, 22},
		{"to ::ffff:198.18.0.10", {0xff, 0xff, 198, 18, 0, 10}, 38},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct bytes f;

		print_message("%s\n", cases[i].name);
		net_lab(1);
		build(&f, TCP6);
		memset(f.b + cases[i].at, 0, 10);
		memcpy(f.b + cases[i].at + 10, cases[i].low, 6);
		seal6(&f);
		receive(0, &f);
		assert_int_equal(counted(DROP_ip6_martian), 1);
		net_close();
	}
}

/* What a port says of a checksum is believed; what it says nothing about is looked at. */
static void test_offload(void **state)
{
	enum { BROKEN_IP = 24, BROKEN_L4 = 60 };
	static const struct {
		const char *name;
		enum base base;
		int broken;              /* the byte that is */
		uint64_t flags;
		bool checked;            /* goes up as verified */
		enum counter why;        /* 0: it goes up */
	} cases[] = {
		{"good, and right", TCP4, 0, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD, true, 0},
		{"good, whatever it is", TCP4, BROKEN_L4, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD, true, 0},
		{"the header is good, whatever it is", TCP4, BROKEN_IP, RTE_MBUF_F_RX_IP_CKSUM_GOOD, false, 0},
		{"nothing is said, right", TCP4, 0, 0, false, 0},
		{"nothing is said, wrong header", TCP4, BROKEN_IP, 0, false, DROP_ip4_checksum},
		{"bad header, whatever it is", TCP4, 0, RTE_MBUF_F_RX_IP_CKSUM_BAD, false, DROP_ip4_checksum},
		{"bad, whatever it is", TCP4, 0, RTE_MBUF_F_RX_L4_CKSUM_BAD, false, DROP_tcp_checksum},
		{"never on a wire", TCP4, BROKEN_L4, RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE, true, 0},
		{"IPv6, good", TCP6, 0, RTE_MBUF_F_RX_L4_CKSUM_GOOD, true, 0},
		{"IPv6, bad", TCP6, 0, RTE_MBUF_F_RX_L4_CKSUM_BAD, false, DROP_tcp_checksum},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct bytes f;
		struct rte_mbuf *m;

		print_message("%s\n", cases[i].name);
		net_lab(1);
		build(&f, cases[i].base);
		if (cases[i].broken)
			f.b[cases[i].broken < (int)f.n ? cases[i].broken : (int)f.n - 1] ^= 1;
		m = mbuf_of(0, &f, 0, 0);
		m->ol_flags = cases[i].flags;
		ip_input(net.ip[0], m, 0);
		assert_int_equal(net.tcp_n, cases[i].why == 0);
		if (cases[i].why != 0)
			assert_int_equal(counted(cases[i].why), 1);
		else
			assert_int_equal(net.up.checksum_ok, cases[i].checked);
		assert_int_equal(counted(C_ip_checksums_trusted), cases[i].checked);
		net_close();
	}
}

static void test_priority_tag(void **state)
{
	struct bytes f, tagged;

	(void)state;
	net_lab(1);
	build(&f, TCP4);
	tagged.n = 0;
	put(&tagged, f.b, 12);
	put32(&tagged, 0x8100a000); /* priority 5, VLAN 0 */
	put(&tagged, f.b + 12, f.n - 12);
	receive(0, &tagged);
	assert_int_equal(net.tcp_n, 1);
	assert_memory_equal(net.up_bytes.b + 20, "hello", 5);
	net_close();
}

/* Chains: cut anywhere, either the datagram goes up whole or the drop is counted; nothing is read that is not there. */
static void test_chains(void **state)
{
	static const enum base bases[] = {TCP4, TCP6, EXT6, UDP4, ECHO4, ECHO6, ARP, NS};

	(void)state;
	for (size_t b = 0; b < LENGTH(bases); b++) {
		struct bytes f;

		build(&f, bases[b]);
		for (uint32_t first = 1; first < f.n; first++) {
			net_lab(1);
			ip_input(net.ip[0], mbuf_of(0, &f, first, 3), 0);
			settle();
			assert_true(net.tcp_n + net.sent_n + other_drops(COUNTERS) + net.handed_total > 0);
			assert_true(net.tcp_n + (other_drops(COUNTERS) > 0) <= 1);
			if (net.tcp_n > 0)
				assert_memory_equal(net.up_bytes.b + 20, "hello", 5);
			advance(10000);
			net_close();
		}
	}
}

struct room {
	struct rte_mbuf_ext_shared_info shared;
	void *bytes;
};

static void free_room(void *bytes, void *arg)
{
	struct room *r = arg;

	(void)bytes;
	free(r->bytes);
	free(r);
}

/* An mbuf whose memory is malloc'ed and exactly the n bytes: asan sees one byte too far. */
static struct rte_mbuf *exact(const uint8_t *bytes, uint32_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.shard[0].pools.rx);
	struct room *r = malloc(sizeof(*r));

	r->bytes = malloc(n);
	memcpy(r->bytes, bytes, n);
	r->shared.free_cb = free_room;
	r->shared.fcb_opaque = r;
	rte_mbuf_ext_refcnt_set(&r->shared, 1);
	rte_pktmbuf_attach_extbuf(m, r->bytes, RTE_BAD_IOVA, (uint16_t)n, &r->shared);
	m->data_off = 0;
	rte_pktmbuf_append(m, (uint16_t)n);
	return m;
}

/* Cut at every byte: once with lengths that say more, once with lengths and checksums made to fit the cut. */
static void test_every_cut(void **state)
{
	static const enum base bases[] = {TCP4, TCP6, EXT6, UDP4, UDP6, ECHO4, ECHO6, ARP, NS, NA};

	(void)state;
	net_lab(1);
	for (size_t b = 0; b < LENGTH(bases); b++) {
		struct bytes f;

		build(&f, bases[b]);
		for (uint32_t n = 1; n < f.n; n++) {
			struct bytes g = f;

			ip_input(net.ip[0], exact(f.b, n), 0);
			assert_int_equal(net.tcp_n + net.udp_n, 0);
			g.n = n;
			if (n < (bases[b] == EXT6 ? 62 : 54) || bases[b] == ARP)
				set16(g.b + (g.b[12] == 8 ? 16 : 18), g.b[12] == 8 ? n - 14 : n - 54);
			else
				seal(&g, bases[b]);
			ip_input(net.ip[0], exact(g.b, n), 0);
			settle();
			forget_sent();
			net.tcp_n = net.udp_n = 0;
		}
	}
	net_close();
}

/* Extension headers that say more than there is: every next header and length, cut at every byte. */
static void test_every_extension_cut(void **state)
{
	static const uint8_t next[] = {0, 43, 44, 60};
	static const uint8_t options[] = {0, 1, 5, 0x1e, 0x5e, 0x9e, 0xde};

	(void)state;
	net_lab(1);
	for (size_t i = 0; i < LENGTH(next) * LENGTH(options); i++) {
		for (uint32_t n = 54; n < 80; n++) {
			for (unsigned length = 0; length < 4; length++) {
				struct bytes f;

				build(&f, EXT6);
				f.b[20] = next[i % LENGTH(next)];
				f.b[54] = (uint8_t)(length == 3 ? 60 : TCP);
				f.b[55] = (uint8_t)length;
				f.b[56] = options[i / LENGTH(next)];
				f.b[57] = (uint8_t)(length * 8 + 4);
				set16(f.b + 18, n - 54);
				ip_input(net.ip[0], exact(f.b, n), 0);
				settle();
				forget_sent();
			}
		}
	}
	net_close();
}

/* As many extension headers as may be, and one more. */
static void test_extensions_are_bounded(void **state)
{
	(void)state;
	net_lab(1);
	for (unsigned headers = LIMIT_ip6_extensions; headers <= LIMIT_ip6_extensions + 1; headers++) {
		const bool more = headers > LIMIT_ip6_extensions;
		struct bytes f = {.n = 0};

		eth(&f, PORT0_MAC, CLIENT_MAC, 0x86dd);
		ip6(&f, "2001:2::2", "2001:2::10", 60, 64);
		for (unsigned i = 1; i < headers; i++)
			put(&f, "\74\0\1\4\0\0\0\0", 8);
		put(&f, "\6\0\1\4\0\0\0\0", 8);
		tcp(&f, 40000, 80, "hello");
		seal6_at(&f, 14, 8 * headers, TCP);
		ip_input(net.ip[0], exact(f.b, f.n), 0);
		settle();
		assert_int_equal(net.tcp_n, 1);
		assert_int_equal(counted(C_limit_ip6_extensions), more);
		assert_int_equal(counted(DROP_ip6_extension), more);
	}
	forget_sent();
	net_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_options4),
		cmocka_unit_test(test_link_local),
		cmocka_unit_test(test_low_addresses),
		cmocka_unit_test(test_offload),
		cmocka_unit_test(test_priority_tag),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_extension_cut),
		cmocka_unit_test(test_extensions_are_bounded),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
