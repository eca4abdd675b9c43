/* Echo; ICMP errors that come in (about what we sent) and go out (about what we refuse). */
#include "net.h"

#include "base/limits.h"

static void echo(struct bytes *f, const char *from, const char *to, unsigned text_bytes)
{
	const bool v4 = strchr(from, ':') == NULL;

	eth(f, PORT0_MAC, CLIENT_MAC, v4 ? 0x0800 : 0x86dd);
	if (v4)
		ip4(f, from, to, ICMP);
	else
		ip6(f, from, to, ICMP6, 64);
	put8(f, v4 ? 8 : 128);
	put8(f, 0);
	put16(f, 0);
	put32(f, 0x12340001);
	for (unsigned i = 0; i < text_bytes; i++)
		put8(f, i & 0xff);
	if (v4)
		seal4(f);
	else
		seal6(f);
}

static void test_echo(void **state)
{
	static const struct {
		const char *name, *from, *to;
		unsigned bytes;
	} cases[] = {
		{"VIP", "198.18.0.2", "198.18.0.10", 56}, {"own address", "198.18.0.2", "198.18.0.1", 0},
		{"odd length", "198.18.0.2", "198.18.0.10", 57},
		{"as long as a frame", "198.18.0.2", "198.18.0.10", 1472},
		{"the other side's address", "198.18.0.2", "198.18.1.1", 56},
		{"IPv6", "2001:2::2", "2001:2::10", 56}, {"IPv6, long", "2001:2::2", "2001:2::10", 1452},
		{"link-local", "fe80::2", "fe80::ff:fe00:1", 8},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const bool v4 = strchr(cases[i].from, ':') == NULL;
		const uint32_t l4 = v4 ? 34 : 54;
		struct bytes f;
		const struct sent *s;

		print_message("%s\n", cases[i].name);
		net_quiet(1);
		meet();
		if (strcmp(cases[i].name, "link-local") == 0) {
			nd(&f, "33:33:ff:00:00:01", CLIENT_MAC, "fe80::2", "ff02::1:ff00:1", 135, 0, "fe80::ff:fe00:1",
			   1);
			receive(0, &f);
			forget_sent();
		}
		echo(&f, cases[i].from, cases[i].to, cases[i].bytes);
		receive(0, &f);
		s = only_sent();
		assert_int_equal(s->port, 0);
		assert_int_equal(s->f.n, f.n);
		assert_string_equal(hex(s, 0, 12), "020000000102020000000001");
		assert_int_equal(s->f.b[l4], v4 ? 0 : 129);
		assert_memory_equal(s->f.b + l4 + 4, f.b + l4 + 4, f.n - l4 - 4);
		assert_memory_equal(s->f.b + (v4 ? 26 : 22), f.b + (v4 ? 30 : 38), v4 ? 4 : 16); /* addresses swapped */
		assert_memory_equal(s->f.b + (v4 ? 30 : 38), f.b + (v4 ? 26 : 22), v4 ? 4 : 16);
		assert_int_equal(s->flags & (RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK), 0);
		check_sealed(s);
		assert_int_equal(counted(C_ip_echo_replies), 1);
		net_close();
	}
}

static void test_no_echo(void **state)
{
	static const struct {
		const char *name, *from, *to;
		const char *mac;
		enum counter why;
	} cases[] = {
		{"broadcast", "198.18.0.2", "198.18.0.255", ALL_MAC, DROP_ip_not_ours},
		{"all nodes", "2001:2::2", "ff02::1", "33:33:00:00:00:01", DROP_icmp_type},
		{"from nowhere", "::", "ff02::1", "33:33:00:00:00:01", DROP_icmp_type},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct bytes f, g;

		print_message("%s\n", cases[i].name);
		net_quiet(1);
		echo(&f, cases[i].from, cases[i].to, 8);
		g.n = 0;
		put_mac(&g, cases[i].mac);
		memcpy(f.b, g.b, 6);
		receive(0, &f);
		assert_int_equal(net.sent_n, 0);
		assert_int_equal(counted(cases[i].why), 1);
		net_close();
	}
}

/* ---- errors in ---- */

struct inner {
	const char *from, *to;
	unsigned protocol, bytes; /* of the transport header that are quoted */
};

/* An ICMP error from `by` to the sender of the inner datagram (198.18.0.10:80 > 198.18.0.2:40000, sequence
 * 0x01020304). */
static void error(struct bytes *f, const char *by, unsigned type, unsigned code, uint32_t rest, const struct inner *in)
{
	const bool v4 = strchr(in->from, ':') == NULL;
	struct bytes t = {.n = 0};

	eth(f, PORT0_MAC, OTHER_MAC, v4 ? 0x0800 : 0x86dd);
	if (v4)
		ip4(f, by, in->from, ICMP);
	else
		ip6(f, by, in->from, ICMP6, 64);
	put8(f, type);
	put8(f, code);
	put16(f, 0);
	put32(f, rest);
	if (v4)
		ip4(f, in->from, in->to, in->protocol);
	else
		ip6(f, in->from, in->to, in->protocol, 60);
	tcp(&t, 80, 40000, "");
	put(f, t.b, in->bytes);
	/* As it was sent: routers quote its beginning only. */
	set16(f->b + (v4 ? 42 + 2 : 62 + 4), v4 ? 1500 : 1420);
	if (v4)
		seal4(f);
	else
		seal6(f);
}

static const struct {
	const char *name;
	const char *by;
	struct inner in;
	unsigned type, code;
	uint32_t rest, mtu;
	enum counter why; /* 0: it goes up */
} errors[] = {
	{"host unreachable", "8.8.8.8", {"198.18.0.10", "198.18.0.2", TCP, 8}, 3, 1, 0, 0, 0},
	{"too big", "8.8.8.8", {"198.18.0.10", "198.18.0.2", TCP, 20}, 3, 4, 1400, 1400, 0},
	{"an MTU in another error is none", "8.8.8.8", {"198.18.0.10", "198.18.0.2", TCP, 8}, 3, 1, 1400, 0, 0},
	{"time exceeded", "8.8.8.8", {"198.18.0.10", "198.18.0.2", TCP, 8}, 11, 0, 0, 0, 0},
	{"parameter problem", "8.8.8.8", {"198.18.0.10", "198.18.0.2", TCP, 8}, 12, 0, 0, 0, 0},
	{"UDP", "8.8.8.8", {"198.18.0.10", "198.18.0.2", UDP, 8}, 3, 3, 0, 0, 0},
	{"IPv6 no route", "2400::1", {"2001:2::10", "2001:2::2", TCP, 8}, 1, 0, 0, 0, 0},
	{"IPv6 too big", "2400::1", {"2001:2::10", "2001:2::2", TCP, 20}, 2, 0, 1280, 1280, 0},
	{"not from us", "8.8.8.8", {"198.18.0.10", "198.18.0.2", TCP, 7}, 3, 1, 0, 0, DROP_icmp_unrelated},
	{"embedded ICMP", "8.8.8.8", {"198.18.0.10", "198.18.0.2", ICMP, 8}, 3, 1, 0, 0, DROP_icmp_unrelated},
	{"embedded SCTP", "8.8.8.8", {"198.18.0.10", "198.18.0.2", 132, 8}, 3, 1, 0, 0, DROP_icmp_unrelated},
};

static void test_errors_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(errors); i++) {
		const struct addr local = A(errors[i].in.from), remote = A(errors[i].in.to);
		struct bytes f;

		print_message("%s\n", errors[i].name);
		net_quiet(1);
		error(&f, errors[i].by, errors[i].type, errors[i].code, errors[i].rest, &errors[i].in);
		receive(0, &f);
		assert_int_equal(net.sent_n, 0);
		assert_int_equal(net.error_n, errors[i].why == 0);
		if (errors[i].why != 0) {
			assert_int_equal(counted(errors[i].why), 1);
			net_close();
			continue;
		}
		assert_true(addr_equal(&net.error.tuple.local, &local));
		assert_true(addr_equal(&net.error.tuple.remote, &remote));
		assert_int_equal(net.error.tuple.local_port, 80);
		assert_int_equal(net.error.tuple.remote_port, 40000);
		assert_int_equal(net.error.tuple.protocol, errors[i].in.protocol);
		assert_int_equal(net.error.type, errors[i].type);
		assert_int_equal(net.error.code, errors[i].code);
		assert_int_equal(net.error.mtu, errors[i].mtu);
		assert_int_equal(net.error.bytes, addr_is_v4(&local) ? 1500 : 1460);
		assert_int_equal(net.error.sequence, 0x01020304);
		net_close();
	}
}

/* Errors about what we cannot have sent. */
static void test_errors_unrelated(void **state)
{
	static const struct {
		const char *name;
		int at, value;
		enum counter why;
	} edits[] = {
		{"from an address that is not ours", 57, 77, DROP_icmp_unrelated},
		{"a later fragment", 49, 1, DROP_icmp_unrelated},
		{"of another version", 42, 0x65, DROP_icmp_malformed},
		{"header length below 20", 42, 0x44, DROP_icmp_malformed},
		{"options that leave no ports", 42, 0x4f, DROP_icmp_unrelated},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(edits); i++) {
		struct bytes f;

		print_message("%s\n", edits[i].name);
		net_quiet(1);
		error(&f, "8.8.8.8", 3, 1, 0, &(struct inner){"198.18.0.10", "198.18.0.2", TCP, 8});
		f.b[edits[i].at] = (uint8_t)edits[i].value;
		seal4(&f);
		receive(0, &f);
		assert_int_equal(net.error_n, 0);
		assert_int_equal(counted(edits[i].why), 1);
		net_close();
	}
}

/* ---- errors out ---- */

static void question(struct bytes *f, const char *from, const char *to, unsigned protocol, unsigned text_bytes)
{
	static char text[1500];
	const bool v4 = strchr(from, ':') == NULL;

	memset(text, 'q', text_bytes);
	text[text_bytes] = '\0';
	eth(f, PORT0_MAC, CLIENT_MAC, v4 ? 0x0800 : 0x86dd);
	if (v4)
		ip4(f, from, to, protocol);
	else
		ip6(f, from, to, protocol, 64);
	udp(f, 5000, 53, text);
	if (v4)
		seal4(f);
	else
		seal6(f);
}

static const struct {
	const char *name, *from, *to;
	unsigned protocol, text_bytes;
	unsigned type, code, pointer, quoted;
} complaints[] = {
	{"port", "198.18.0.2", "198.18.0.10", UDP, 20, 3, 3, 0, 48},
	{"port, long datagram", "198.18.0.2", "198.18.0.10", UDP, 1400, 3, 3, 0, 548},
	{"protocol", "198.18.0.2", "198.18.0.10", 132, 20, 3, 2, 0, 48},
	{"IPv6 port", "2001:2::2", "2001:2::10", UDP, 20, 1, 4, 0, 68},
	{"IPv6 port, long datagram", "2001:2::2", "2001:2::10", UDP, 1400, 1, 4, 0, 1232},
	{"IPv6 next header", "2001:2::2", "2001:2::10", 132, 20, 4, 1, 6, 68},
};

static void test_errors_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(complaints); i++) {
		const bool v4 = strchr(complaints[i].from, ':') == NULL;
		const uint32_t l4 = v4 ? 34 : 54;
		struct bytes f;
		const struct sent *s;

		print_message("%s\n", complaints[i].name);
		net_quiet(1);
		meet();
		question(&f, complaints[i].from, complaints[i].to, complaints[i].protocol, complaints[i].text_bytes);
		receive(0, &f);
		s = only_sent();
		check_sealed(s);
		assert_int_equal(s->f.b[l4], complaints[i].type);
		assert_int_equal(s->f.b[l4 + 1], complaints[i].code);
		assert_int_equal(get16(s->f.b + l4 + 6), complaints[i].pointer);
		assert_int_equal(s->f.n - l4 - 8, complaints[i].quoted);
		assert_memory_equal(s->f.b + l4 + 8, f.b + 14, complaints[i].quoted);
		assert_int_equal(counted(C_ip_icmp_errors_sent), 1);
		net_close();
	}
}

/* The datagram that is complained about lies in a chain. */
static void test_quote_of_a_chain(void **state)
{
	struct bytes f;

	(void)state;
	for (uint32_t segment = 1; segment < 200; segment += 13) {
		net_quiet(1);
		meet();
		question(&f, "198.18.0.2", "198.18.0.10", UDP, 700);
		ip_input(net.ip[0], mbuf_of(0, &f, 42 + segment, segment), 0);
		settle();
		assert_memory_equal(only_sent()->f.b + 42, f.b + 14, 548);
		net_close();
	}
}

static void test_no_errors(void **state)
{
	struct bytes f;

	(void)state;
	/* About an error; about what many got; from nowhere. */
	net_quiet(1);
	error(&f, "8.8.8.8", 3, 1, 0, &(struct inner){"198.18.0.10", "198.18.0.2", ICMP, 8});
	receive(0, &f);
	question(&f, "198.18.0.2", "198.18.0.255", UDP, 20);
	receive(0, &f);
	question(&f, "2001:2::2", "ff02::1", UDP, 20);
	receive(0, &f);
	question(&f, "::", "ff02::1", UDP, 20);
	receive(0, &f);
	question(&f, "224.0.0.5", "198.18.0.10", UDP, 20);
	receive(0, &f);
	assert_int_equal(net.sent_n, 0);
	assert_int_equal(counted(C_ip_icmp_errors_sent), 0);
	net_close();
}

static void test_error_rate(void **state)
{
	struct bytes f;

	(void)state;
	net_quiet(1);
	meet();
	question(&f, "198.18.0.2", "198.18.0.10", UDP, 20);
	for (int i = 0; i < 50; i++)
		receive(0, &f);
	assert_int_equal(net.sent_n, 10);
	assert_int_equal(counted(DROP_icmp_rate), 40);
	assert_int_equal(counted(DROP_udp_no_port), 50);
	for (int ms = 0; ms < 1000; ms++) {
		advance(1);
		receive(0, &f);
	}
	assert_in_range(net.sent_n, 10 + LIMIT_icmp_errors_per_s - 2, 10 + LIMIT_icmp_errors_per_s + 2);
	net_close();
}

/* IPv6 option problems are reported with a pointer to the option (RFC 4443, 3.4). */
static void test_option_problem(void **state)
{
	struct bytes f;
	const struct sent *s;

	(void)state;
	net_quiet(1);
	meet();
	eth(&f, PORT0_MAC, CLIENT_MAC, 0x86dd);
	ip6(&f, "2001:2::2", "2001:2::10", 60, 64);
	put(&f, "\6\0\1\0\x9e\2\0\0", 8); /* PadN, then an option to discard and report */
	tcp(&f, 40000, 80, "x");
	seal6_at(&f, 14, 8, TCP);
	receive(0, &f);
	s = only_sent();
	check_sealed(s);
	assert_string_equal(hex(s, 54, 2), "0402");
	assert_int_equal(get16(s->f.b + 60), 44);
	net_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_no_echo),
		cmocka_unit_test(test_errors_in),
		cmocka_unit_test(test_errors_unrelated),
		cmocka_unit_test(test_errors_out),
		cmocka_unit_test(test_quote_of_a_chain),
		cmocka_unit_test(test_no_errors),
		cmocka_unit_test(test_error_rate),
		cmocka_unit_test(test_option_problem),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
