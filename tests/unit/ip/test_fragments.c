/*
 * Fragments in both families: what becomes a datagram, what is given up and why, what is bounded, who gets the whole.
 * The datagram is a TCP segment of 20 + 100 bytes (or what a case says) that is cut as its table says.
 */
#include "base/limits.h"
#include "base/pressure.h"
#include "ip/timing.h"
#include "net.h"

enum { TEXT = 100, WHOLE = 20 + TEXT, PIECES = 6 };

/* The transport part of the datagram, its checksum right. */
static void segment(struct bytes *l4, bool v4)
{
	char text[TEXT + 1];
	struct bytes f;

	for (int i = 0; i < TEXT; i++)
		text[i] = (char)('a' + i % 26);
	text[TEXT] = '\0';
	eth(&f, PORT0_MAC, CLIENT_MAC, v4 ? 0x0800 : 0x86dd);
	if (v4)
		ip4(&f, "198.18.0.2", "198.18.0.10", TCP);
	else
		ip6(&f, "2001:2::2", "2001:2::10", TCP, 64);
	tcp(&f, 40000, 80, text);
	if (v4)
		seal4(&f);
	else
		seal6(&f);
	l4->n = 0;
	put(l4, f.b + (v4 ? 34 : 54), f.n - (v4 ? 34 : 54));
}

struct cut {
	unsigned from, bytes;
	bool more;
};

/* The fragment of `l4` that the cut says; what is beyond its end is zeros. */
static void fragment(struct bytes *f, bool v4, const struct bytes *l4, const char *from, unsigned protocol, uint32_t id,
                     const struct cut *c)
{
	eth(f, PORT0_MAC, CLIENT_MAC, v4 ? 0x0800 : 0x86dd);
	if (v4) {
		ip4(f, from, "198.18.0.10", protocol);
		set16(f->b + 18, id & 0xffff);
		set16(f->b + 20, c->from / 8 | (c->more ? 0x2000u : 0));
	} else {
		ip6(f, from, "2001:2::10", 44, 64);
		put8(f, protocol);
		put8(f, 0);
		put16(f, (c->from & 0xfff8) | c->more);
		put32(f, id);
	}
	for (unsigned i = c->from; i < c->from + c->bytes; i++)
		put8(f, i < l4->n ? l4->b[i] : 0);
	if (v4) {
		set16(f->b + 16, f->n - 14);
		set16(f->b + 24, 0);
		set16(f->b + 24, ~sum16(0, f->b + 14, 20) & 0xffff);
	} else {
		set16(f->b + 18, f->n - 54);
	}
}

static const char *client(bool v4)
{
	return v4 ? "198.18.0.2" : "2001:2::2";
}

static void give(bool v4, uint32_t id, const struct cut *c)
{
	struct bytes l4, f;

	segment(&l4, v4);
	fragment(&f, v4, &l4, client(v4), TCP, id, c);
	receive(0, &f);
}

/* ---- what becomes of a datagram ---- */

enum { V4 = 1, V6 = 2, BOTH = V4 | V6 };

static const struct {
	const char *name;
	int families;
	struct cut cuts[PIECES];
	unsigned whole;          /* datagrams that come up */
	enum counter why;        /* 0: nothing is dropped */
	unsigned drops;
	int other;               /* 1 + the cut whose last byte is another; 0: none */
	unsigned told;           /* ICMP errors */
} datagrams[] = {
	{"RFC 791, 3.2: in order", BOTH, {{0, 40, 1}, {40, 40, 1}, {80, 40, 0}}, 1, 0, 0, 0, 0},
	{"RFC 791, 3.2: the last one first", BOTH, {{80, 40, 0}, {40, 40, 1}, {0, 40, 1}}, 1, 0, 0, 0, 0},
	{"RFC 791, 3.2: the middle last", BOTH, {{0, 40, 1}, {80, 40, 0}, {40, 40, 1}}, 1, 0, 0, 0, 0},
	{"RFC 791, 3.2: the middle first", BOTH, {{40, 40, 1}, {80, 40, 0}, {0, 40, 1}}, 1, 0, 0, 0, 0},
	{"RFC 791, 3.2: an odd end", BOTH, {{0, 112, 1}, {112, 8, 0}}, 1, 0, 0, 0, 0},
	{"RFC 791, 3.2: a hole", BOTH, {{0, 40, 1}, {80, 40, 0}}, 0, 0, 0, 0, 0},
	{"RFC 791, 3.2: no end", BOTH, {{0, 40, 1}, {40, 80, 1}}, 0, 0, 0, 0, 0},
	{"RFC 8200, 4.5: the first twice", BOTH, {{0, 40, 1}, {0, 40, 1}, {40, 80, 0}}, 1, DROP_ip_fragment_duplicate, 1, 0,
	 0},
	{"RFC 8200, 4.5: the middle twice", BOTH, {{0, 40, 1}, {40, 40, 1}, {40, 40, 1}, {80, 40, 0}}, 1,
	 DROP_ip_fragment_duplicate, 1, 0, 0},
	{"RFC 8200, 4.5: the last twice", BOTH, {{80, 40, 0}, {80, 40, 0}, {0, 80, 1}}, 1, DROP_ip_fragment_duplicate, 1, 0, 0},
	{"RFC 5722, 3: 8 bytes too many before", BOTH, {{0, 48, 1}, {40, 80, 0}}, 0, DROP_ip_fragment_overlap, 2, 0, 0},
	{"RFC 5722, 3: 8 bytes too many behind", BOTH, {{40, 80, 0}, {0, 48, 1}}, 0, DROP_ip_fragment_overlap, 2, 0, 0},
	{"RFC 5722, 3: within another", BOTH, {{0, 80, 1}, {40, 16, 1}}, 0, DROP_ip_fragment_overlap, 2, 0, 0},
	{"RFC 5722, 3: around another", BOTH, {{40, 16, 1}, {32, 40, 1}}, 0, DROP_ip_fragment_overlap, 2, 0, 0},
	{"RFC 5722, 3: the same beginning", BOTH, {{40, 40, 1}, {40, 48, 1}}, 0, DROP_ip_fragment_overlap, 2, 0, 0},
	{"RFC 5722, 3: the same place, other bytes", BOTH, {{0, 40, 1}, {0, 40, 1}}, 0, DROP_ip_fragment_overlap, 2, 2, 0},
	{"RFC 5722, 3: the same place, the last and not", BOTH, {{80, 40, 1}, {80, 40, 0}}, 0, DROP_ip_fragment_overlap, 2, 0,
	 0},
	{"RFC 5722, 3: over several", BOTH, {{0, 40, 1}, {40, 40, 1}, {80, 16, 1}, {24, 80, 1}}, 0, DROP_ip_fragment_overlap, 4, 0,
	 0},
	{"RFC 5722, 3: what comes later, too", BOTH, {{40, 40, 1}, {48, 40, 1}, {0, 40, 1}, {80, 40, 0}}, 0,
	 DROP_ip_fragment_overlap, 4, 0, 0},
	{"RFC 5722, 3: two ends", BOTH, {{80, 40, 0}, {120, 8, 0}}, 0, DROP_ip_fragment_overlap, 2, 0, 0},
	{"RFC 5722, 3: behind the end", BOTH, {{80, 40, 0}, {120, 8, 1}}, 0, DROP_ip_fragment_overlap, 2, 0, 0},
	{"RFC 5722, 3: an end that is passed", BOTH, {{120, 8, 1}, {80, 40, 0}}, 0, DROP_ip_fragment_overlap, 2, 0, 0},
	{"RFC 791, 3.2: in the middle, no multiple of 8", V4, {{40, 41, 1}}, 0, DROP_ip_fragment_malformed, 1, 0, 0},
	{"RFC 8200, 4.5: in the middle, no multiple of 8", V6, {{40, 41, 1}}, 0, DROP_ip_fragment_malformed, 1, 0, 1},
	{"RFC 8200, 4.5: no bytes", BOTH, {{40, 0, 0}}, 0, DROP_ip_fragment_malformed, 1, 0, 0},
	{"RFC 8200, 4.5: no bytes, and more", BOTH, {{40, 0, 1}}, 0, DROP_ip_fragment_malformed, 1, 0, 0},
	{"RFC 791, 3.1: ends behind 65535", V4, {{65528, 120, 0}}, 0, DROP_ip_fragment_size, 1, 0, 0},
	{"RFC 791, 3.1: 65535, but for its header", V4, {{65512, 8, 0}}, 0, DROP_ip_fragment_size, 1, 0, 0},
	{"RFC 8200, 4.5: ends behind 65535", V6, {{65528, 120, 0}}, 0, DROP_ip_fragment_size, 1, 0, 1},
	{"RFC 8200, 4.5: ends at 65535", V6, {{65528, 7, 0}}, 0, 0, 0, 0, 0},
	{"RFC 1858, 3.1: a first fragment of 8 bytes", V4, {{0, 8, 1}}, 0, DROP_ip_fragment_tiny, 1, 0, 0},
	{"RFC 1858, 3.1: 16 bytes, flags included", V4, {{0, 16, 1}}, 0, DROP_ip_fragment_tiny, 1, 0, 0},
	{"RFC 1858, 3.2: begins within the header", V4, {{8, 112, 0}}, 0, DROP_ip_fragment_tiny, 1, 0, 0},
	{"RFC 3128, 2: begins within the header, second", V4, {{0, 24, 1}, {16, 104, 0}}, 0, DROP_ip_fragment_tiny, 1, 0, 0},
	{"RFC 7112, 5: a first fragment without the whole TCP header", V6, {{0, 16, 1}}, 0, DROP_ip_fragment_tiny, 1, 0, 1},
};

static void give_all(size_t i, bool v4)
{
	for (int k = 0; k < PIECES && datagrams[i].cuts[k].bytes + datagrams[i].cuts[k].from > 0; k++) {
		struct bytes l4, f;

		segment(&l4, v4);
		fragment(&f, v4, &l4, client(v4), TCP, 7, &datagrams[i].cuts[k]);
		if (datagrams[i].other == k + 1)
			f.b[f.n - 1] ^= 1;
		receive(0, &f);
	}
}

static void test_datagrams(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * LENGTH(datagrams); i++) {
		const bool v4 = i & 1;
		const size_t k = i / 2;
		struct bytes l4;

		if ((datagrams[k].families & (v4 ? V4 : V6)) == 0)
			continue;
		print_message("%s, IPv%d\n", datagrams[k].name, v4 ? 4 : 6);
		net_quiet(1);
		meet();
		give_all(k, v4);
		assert_int_equal(net.tcp_n, datagrams[k].whole);
		assert_int_equal(counted(C_ip_reassembled), datagrams[k].whole);
		if (datagrams[k].why != 0)
			assert_int_equal(counted(datagrams[k].why), datagrams[k].drops);
		assert_int_equal(net.sent_n, datagrams[k].told);
		if (net.tcp_n > 0) {
			segment(&l4, v4);
			assert_int_equal(net.up.l4_bytes, WHOLE);
			assert_memory_equal(net.up_bytes.b, l4.b, WHOLE);
			assert_int_equal(net.up.tuple.local_port, 80);
			assert_false(net.up.checksum_ok);
		}
		net_close();
	}
}

/* Identity: other identifications, sources, protocols are other datagrams (RFC 791, 3.2; RFC 8200, 4.5). */
static void test_identity(void **state)
{
	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		struct bytes l4, f;

		net_quiet(1);
		segment(&l4, v4);
		for (unsigned id = 0; id < 3; id++)
			give(v4, id, &(struct cut){0, 40, true});
		fragment(&f, v4, &l4, v4 ? "198.18.0.3" : "2001:2::3", TCP, 1, &(struct cut){40, 80, false});
		receive(0, &f);
		assert_int_equal(net.tcp_n, 0);
		/* The next header of later fragments means nothing in IPv6, the protocol is part of the identity in IPv4. */
		fragment(&f, v4, &l4, client(v4), UDP, 1, &(struct cut){40, 80, false});
		receive(0, &f);
		assert_int_equal(net.tcp_n, v4 ? 0 : 1);
		for (unsigned id = 0; id < 3; id++)
			give(v4, id, &(struct cut){40, 80, false});
		assert_int_equal(net.tcp_n, 3);
		net_close();
	}
}

/* RFC 6946, 4: an atomic fragment is a datagram of its own, whatever waits under the same identification. */
static void test_atomic(void **state)
{
	struct bytes l4, f;

	(void)state;
	net_quiet(1);
	segment(&l4, false);
	give(false, 7, &(struct cut){0, 40, true});
	fragment(&f, false, &l4, client(false), TCP, 7, &(struct cut){0, WHOLE, false});
	receive(0, &f);
	assert_int_equal(net.tcp_n, 1);
	assert_int_equal(counted(C_ip_reassembled), 0);
	give(false, 7, &(struct cut){40, 80, false});
	assert_int_equal(net.tcp_n, 2);
	net_close();
}

/* RFC 6980, 5: neighbour discovery never comes in fragments, not even in one. */
static void test_neighbour_discovery(void **state)
{
	struct bytes f, g;

	(void)state;
	net_quiet(1);
	nd(&f, PORT0_MAC, CLIENT_MAC, "2001:2::2", "2001:2::10", 135, 0, "2001:2::10", 1);
	g = f;
	g.n = 54;
	g.b[20] = 44;
	put(&g, "\72\0\0\0\0\0\0\7", 8);
	put(&g, f.b + 54, f.n - 54);
	g.b[21] = 255;
	set16(g.b + 18, g.n - 54);
	receive(0, &g);
	assert_int_equal(counted(DROP_nd_fragment), 1);
	assert_int_equal(net.sent_n, 0);
	receive(0, &f);
	assert_int_equal(net.sent_n, 1);
	net_close();
}

/* ---- headers around fragments ---- */

/* RFC 8200, 4.5: headers before the fragment header stay, those behind it are part of what is cut. */
static void test_headers6(void **state)
{
	static const struct {
		const char *name;
		const char *before, *behind; /* 8 bytes each, or "" */
		uint8_t first, fragment;     /* next header fields of the fixed and of the fragment header */
	} cases[] = {
		{"hop-by-hop options before", "\54\0\1\4\0\0\0\0", "", 0, TCP},
		{"destination options behind", "", "\6\0\1\4\0\0\0\0", 44, 60},
		{"both", "\54\0\1\4\0\0\0\0", "\6\0\1\4\0\0\0\0", 60, 60},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct bytes l4, part = {.n = 0};

		print_message("%s\n", cases[i].name);
		net_quiet(1);
		segment(&l4, false);
		put(&part, cases[i].behind, cases[i].behind[0] ? 8 : 0);
		put(&part, l4.b, l4.n);
		for (unsigned at = 0; at < part.n; at += 48) {
			const unsigned n = part.n - at < 48 ? part.n - at : 48;
			struct bytes f;

			eth(&f, PORT0_MAC, CLIENT_MAC, 0x86dd);
			ip6(&f, "2001:2::2", "2001:2::10", cases[i].first, 64);
			put(&f, cases[i].before, cases[i].before[0] ? 8 : 0);
			put8(&f, cases[i].fragment);
			put8(&f, 0);
			put16(&f, at | (at + n < part.n));
			put32(&f, 9);
			put(&f, part.b + at, n);
			set16(f.b + 18, f.n - 54);
			receive(0, &f);
		}
		assert_int_equal(net.tcp_n, 1);
		assert_memory_equal(net.up_bytes.b, l4.b, l4.n);
		net_close();
	}
}

/* What RFC 8200, 4.5 wants the sender to be told: code and pointer. */
static void test_told6(void **state)
{
	static const struct {
		const char *name;
		struct cut cut;
		const char *problem; /* type, code, pointer */
	} cases[] = {
		{"a length that is no multiple of 8: Payload Length", {40, 41, true}, "040000000004"},
		{"too large: Fragment Offset", {65528, 120, false}, "04000000002a"},
		{"headers cut: code 3", {0, 16, true}, "040300000000"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const struct sent *s;

		print_message("%s\n", cases[i].name);
		net_quiet(1);
		meet();
		give(false, 7, &cases[i].cut);
		s = only_sent();
		assert_int_equal(s->f.b[54], 4);
		assert_memory_equal(hex(s, 54, 2), cases[i].problem, 4);
		assert_string_equal(hex(s, 58, 4), cases[i].problem + 4);
		check_sealed(s);
		net_close();
	}
}

/* A whole that is a fragment again is not taken apart further. */
static void test_nested(void **state)
{
	struct bytes l4, inner = {.n = 0}, f;

	(void)state;
	net_quiet(1);
	segment(&l4, false);
	put(&inner, "\6\0\0\1\0\0\0\5", 8); /* first of another datagram */
	put(&inner, l4.b, 80);
	for (unsigned at = 0; at < inner.n; at += 48) {
		fragment(&f, false, &inner, client(false), 44, 3, &(struct cut){at, inner.n - at < 48 ? inner.n - at : 48,
		         at + 48 < inner.n});
		receive(0, &f);
	}
	assert_int_equal(counted(C_ip_reassembled), 1);
	assert_int_equal(counted(DROP_ip6_extension), 1);
	assert_int_equal(net.tcp_n, 0);
	net_close();
}

/* ---- congestion marks ---- */

/* RFC 3168, 5.3. */
static void test_ecn(void **state)
{
	static const struct {
		const char *name;
		uint8_t first, second, whole;
		bool dropped;
	} cases[] = {
		{"none", 0, 0, 0, false}, {"ECT(0)", 2, 2, 2, false}, {"CE in the first", 3, 2, 3, false},
		{"CE in the last", 2, 3, 3, false}, {"ECT(0) and ECT(1): the first's", 2, 1, 2, false},
		{"CE and not capable", 3, 0, 0, true}, {"not capable and CE", 0, 3, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < 2 * LENGTH(cases); i++) {
		const bool v4 = i & 1;
		const size_t k = i / 2;

		print_message("%s, IPv%d\n", cases[k].name, v4 ? 4 : 6);
		net_quiet(1);
		for (int n = 0; n < 2; n++) {
			const uint8_t ecn = n == 0 ? cases[k].first : cases[k].second;
			struct bytes l4, f;

			segment(&l4, v4);
			fragment(&f, v4, &l4, client(v4), TCP, 7, n == 0 ? &(struct cut){0, 40, true} : &(struct cut){40, 80, false});
			if (v4) {
				f.b[15] = (uint8_t)(0x88 | ecn);
				set16(f.b + 24, 0);
				set16(f.b + 24, ~sum16(0, f.b + 14, 20) & 0xffff);
			} else {
				f.b[14] = 0x68;
				f.b[15] = (uint8_t)(0x80 | ecn << 4);
			}
			receive(0, &f);
		}
		assert_int_equal(net.tcp_n, !cases[k].dropped);
		assert_int_equal(counted(DROP_ip_fragment_ecn), cases[k].dropped ? 2 : 0);
		if (!cases[k].dropped)
			assert_int_equal(net.up.traffic_class, 0x88 | cases[k].whole);
		net_close();
	}
}

/* ---- time ---- */

/* So that the gateway asks for nobody in the next seconds. */
static void meet_again(void)
{
	forget_sent();
	meet();
}

/* RFC 8200, 4.5; RFC 1122, 3.3.2; RFC 792: 60 s from the first one that came; told if the headers are here. */
static void test_timeout(void **state)
{
	static const struct {
		const char *name;
		struct cut cuts[2];
		bool told;
	} cases[] = {
		{"the first is here", {{0, 40, true}, {40, 40, true}}, true},
		{"the first is not here", {{40, 40, true}, {80, 40, false}}, false},
	};

	(void)state;
	for (size_t i = 0; i < 2 * LENGTH(cases); i++) {
		const bool v4 = i & 1;
		const size_t k = i / 2;

		print_message("%s, IPv%d\n", cases[k].name, v4 ? 4 : 6);
		net_quiet(1);
		meet();
		give(v4, 7, &cases[k].cuts[0]);
		advance(REASSEMBLY_MS / 2);
		give(v4, 7, &cases[k].cuts[1]);
		advance(REASSEMBLY_MS / 2 - 10);
		assert_int_equal(counted(DROP_ip_fragment_timeout), 0);
		meet_again();
		advance(20);
		assert_int_equal(counted(DROP_ip_fragment_timeout), 2);
		assert_int_equal(net.sent_n, cases[k].told);
		if (cases[k].told) {
			const struct sent *s = only_sent();

			assert_string_equal(hex(s, v4 ? 34 : 54, 2), v4 ? "0b01" : "0301");
			/* The first fragment is quoted as it came: its identification. */
			if (v4)
				assert_string_equal(hex(s, 34 + 8 + 4, 2), "0007");
			else
				assert_string_equal(hex(s, 54 + 8 + 44, 4), "00000007");
			check_sealed(s);
		}
		/* The same identification later is another datagram. */
		give(v4, 7, &(struct cut){80, 40, false});
		give(v4, 7, &(struct cut){0, 80, true});
		assert_int_equal(net.tcp_n, 1);
		net_close();
	}
}

/* ---- bounds ---- */

static void from_many(unsigned n, uint32_t id, const struct cut *c)
{
	struct bytes l4, f;
	char from[32];

	segment(&l4, true);
	snprintf(from, sizeof(from), "10.7.%u.%u", n / 250, n % 250 + 1);
	fragment(&f, true, &l4, from, TCP, id, c);
	receive(0, &f);
}

static void test_datagrams_are_bounded(void **state)
{
	(void)state;
	net_quiet(1);
	for (unsigned n = 0; n <= LIMIT_reassembly_datagrams; n++)
		from_many(n, 1, &(struct cut){0, 40, true});
	assert_int_equal(counted(C_limit_reassembly_datagrams), 1);
	assert_int_equal(counted(DROP_ip_fragment_evicted), 1);
	/* The oldest has gone, the second is here. */
	from_many(1, 1, &(struct cut){40, 80, false});
	assert_int_equal(net.tcp_n, 1);
	from_many(0, 1, &(struct cut){40, 80, false});
	assert_int_equal(net.tcp_n, 1);
	net_close();
}

/* One source has its share, an IPv6 /64 is one source; others lose nothing to it. */
static void test_sources_are_bounded(void **state)
{
	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		struct bytes l4, f;
		char from[32];

		net_quiet(1);
		segment(&l4, v4);
		fragment(&f, v4, &l4, v4 ? "198.18.0.77" : "2001:db8:77::1", TCP, 5, &(struct cut){0, 40, true});
		receive(0, &f);
		for (unsigned n = 0; n <= LIMIT_reassembly_source; n++) {
			snprintf(from, sizeof(from), "2001:2::%x", n + 0x100);
			fragment(&f, v4, &l4, v4 ? client(v4) : from, TCP, n, &(struct cut){0, 40, true});
			receive(0, &f);
		}
		assert_int_equal(counted(C_limit_reassembly_source), 1);
		assert_int_equal(counted(DROP_ip_fragment_evicted), 1);
		fragment(&f, v4, &l4, v4 ? client(v4) : "2001:2::100", TCP, 0, &(struct cut){40, 80, false});
		receive(0, &f);
		assert_int_equal(net.tcp_n, 0);
		fragment(&f, v4, &l4, v4 ? "198.18.0.77" : "2001:db8:77::1", TCP, 5, &(struct cut){40, 80, false});
		receive(0, &f);
		assert_int_equal(net.tcp_n, 1);
		net_close();
	}
}

/* Mbufs: however little is in each. */
static void test_mbufs_are_bounded(void **state)
{
	unsigned given = 0;

	(void)state;
	net_quiet(1);
	for (unsigned n = 0; given <= LIMIT_reassembly_mbufs; n++) {
		for (unsigned k = 0; k < LIMIT_reassembly_fragments / 2 && given <= LIMIT_reassembly_mbufs; k++, given++)
			from_many(n, 1, &(struct cut){1000 + 8 * k, 8, true});
	}
	assert_int_equal(counted(C_limit_reassembly_mbufs), 1);
	assert_int_equal(counted(DROP_ip_fragment_evicted), LIMIT_reassembly_fragments / 2);
	assert_true(rte_mempool_in_use_count(net.shard[0].pools.rx) <= LIMIT_reassembly_mbufs);
	net_close();
}

static void test_fragments_are_bounded(void **state)
{
	(void)state;
	net_quiet(1);
	for (unsigned k = 0; k <= LIMIT_reassembly_fragments; k++)
		give(true, 1, &(struct cut){1000 + 8 * k, 8, true});
	assert_int_equal(counted(C_limit_reassembly_fragments), 1);
	assert_int_equal(counted(DROP_ip_fragment_many), LIMIT_reassembly_fragments + 1);
	assert_int_equal(rte_mempool_in_use_count(net.shard[0].pools.rx), 0);
	net_close();
}

/* While memory is short nothing new is begun; what has begun may end. */
static void test_shedding(void **state)
{
	(void)state;
	net_quiet(1);
	give(true, 1, &(struct cut){0, 40, true});
	net.shard[0].shed = SHED_SYNS;
	give(true, 2, &(struct cut){0, 40, true});
	give(true, 1, &(struct cut){40, 80, false});
	assert_int_equal(net.tcp_n, 1);
	assert_int_equal(counted(DROP_ip_fragment_evicted), 1);
	net.shard[0].shed = 0;
	net_close();
}

/* ---- whose it is ---- */

/* Fragments meet at one worker wherever they arrive; the whole goes to the owner of its tuple, also where ports know. */
static void test_steering(void **state)
{
	(void)state;
	for (int rss = 0; rss < 2; rss++) {
		net_open(NET_WORKERS, NET_WORKERS);
		net.port[0].offloads |= rss ? PORT_RSS : 0;
		net_ips();
		g_lab();
		net.g.t.ip_routes.n = 0;
		apply();
		advance(4000);
		for (uint32_t id = 0; id < 64; id++) {
			const bool v4 = id & 1;
			const struct tuple t = {.local = A(v4 ? "198.18.0.10" : "2001:2::10"), .remote = A(client(v4)),
			                        .local_port = 80, .remote_port = 40000, .protocol = TCP};
			const struct cut cuts[3] = {{0, 40, true}, {40, 40, true}, {80, 40, false}};

			for (unsigned k = 0; k < 3; k++) {
				struct bytes l4, f;

				segment(&l4, v4);
				fragment(&f, v4, &l4, client(v4), TCP, id, &cuts[k]);
				receive_at((uint16_t)((id + k) % NET_WORKERS), 0, &f);
			}
			assert_int_equal(net.tcp_n, id + 1);
			assert_int_equal(net.up_worker, tuple_owner(&t, NET_WORKERS));
		}
		for (uint16_t w = 0; w < NET_WORKERS; w++)
			assert_true(net.cells[w].cell[C_ip_reassembled] > 0);
		net_close();
	}
}

/* Fragments in chains of segments, cut anywhere: the datagram or counted drops, and all memory comes back. */
static void test_chains(void **state)
{
	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		for (uint32_t first = 1; first < 110; first++) {
			const struct cut cuts[2] = {{40, 80, false}, {0, 40, true}};

			net_quiet(1);
			for (unsigned k = 0; k < 2; k++) {
				struct bytes l4, f;

				segment(&l4, v4);
				fragment(&f, v4, &l4, client(v4), TCP, 1, &cuts[k]);
				put(&f, "padding", 7);
				ip_input(net.ip[0], mbuf_of(0, &f, first, 5), 0);
				settle();
			}
			if (first >= (v4 ? 54 : 82))
				assert_int_equal(net.tcp_n, 1);
			net_close();
		}
	}
}

/* ---- echo ---- */

/* Puts the text of sent fragments where they say it belongs; returns the end. */
static unsigned collect(uint8_t *text, bool v4)
{
	unsigned end = 0, bytes = 0;

	for (unsigned i = 0; i < net.sent_n; i++) {
		const struct sent *s = &net.sent[i];
		const unsigned at = v4 ? 34 : 62, word = get16(s->f.b + (v4 ? 20 : 56));
		const unsigned from = v4 ? (word & 0x1fff) * 8 : word & 0xfff8, n = s->f.n - at;
		const bool more = v4 ? word & 0x2000 : word & 1;

		assert_true(s->f.n <= 1514 && (v4 || s->f.b[20] == 44));
		assert_memory_equal(hex(s, v4 ? 18 : 58, v4 ? 2 : 4), hex(&net.sent[0], v4 ? 18 : 58, v4 ? 2 : 4), v4 ? 4 : 8);
		if (v4)
			assert_int_equal(sum16(0, s->f.b + 14, 20), 0xffff);
		else
			assert_int_equal(get16(s->f.b + 18), s->f.n - 54);
		memcpy(text + from, s->f.b + at, n);
		bytes += n;
		if (!more)
			end = from + n;
	}
	assert_int_equal(bytes, end);
	return end;
}

/* RFC 1122, 3.2.2.6; RFC 4443, 4.2: all of it goes back, whatever its size. */
static void test_echo(void **state)
{
	static const unsigned sizes[] = {1473, 4000, 9000, 65507};
	static uint8_t message[65536], back[65536];

	(void)state;
	for (size_t i = 0; i < 2 * LENGTH(sizes); i++) {
		const bool v4 = i & 1;
		const unsigned bytes = 8 + sizes[i / 2], at = v4 ? 0 : 36;
		static uint8_t pseudo[40];

		print_message("%u bytes, IPv%d\n", sizes[i / 2], v4 ? 4 : 6);
		net_quiet(1);
		meet();
		for (unsigned k = 0; k < bytes; k++)
			message[k] = (uint8_t)(k * 7 ^ k >> 8);
		memcpy(message, v4 ? "\10\0\0\0" : "\200\0\0\0", 4);
		memcpy(pseudo, A("2001:2::2").b, 16);
		memcpy(pseudo + 16, A("2001:2::10").b, 16);
		set16(pseudo + 34, bytes & 0xffff);
		pseudo[39] = ICMP6;
		set16(message + 2, ~sum16(at ? sum16(0, pseudo, 40) : 0, message, bytes) & 0xffff);
		for (unsigned from = 0; from < bytes; from += 1440) {
			const unsigned n = bytes - from < 1440 ? bytes - from : 1440;
			struct bytes f, none = {.n = 0};

			fragment(&f, v4, &none, client(v4), v4 ? ICMP : ICMP6, 7, &(struct cut){from, n, from + n < bytes});
			memcpy(f.b + f.n - n, message + from, n);
			receive(0, &f);
		}
		assert_int_equal(counted(C_ip_echo_replies), 1);
		assert_int_equal(counted(C_ip_fragments_sent), net.sent_n);
		assert_int_equal(collect(back, v4), bytes);
		assert_int_equal(back[0], v4 ? 0 : 129);
		assert_memory_equal(back + 4, message + 4, bytes - 4);
		if (v4) {
			assert_int_equal(sum16(0, back, bytes), 0xffff);
		} else {
			assert_int_equal(sum16(sum16(0, pseudo, 40), back, bytes), 0xffff);
		}
		net_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_atomic),
		cmocka_unit_test(test_neighbour_discovery),
		cmocka_unit_test(test_headers6),
		cmocka_unit_test(test_told6),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_ecn),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_datagrams_are_bounded),
		cmocka_unit_test(test_sources_are_bounded),
		cmocka_unit_test(test_mbufs_are_bounded),
		cmocka_unit_test(test_fragments_are_bounded),
		cmocka_unit_test(test_shedding),
		cmocka_unit_test(test_steering),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_echo),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
