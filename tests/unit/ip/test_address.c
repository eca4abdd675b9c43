/* The states of our addresses on virtual time: probes, announcements, conflicts, generations. */
#include "net.h"

#include "base/limits.h"
#include "ip/timing.h"

static enum ip_address_state state_of(const char *text)
{
	const struct addr a = A(text);

	return ip_address_state(net.link, &a);
}

/* Withdrawn, or withdrawn and forgotten. */
static bool gone(const char *text)
{
	return state_of(text) == IP_ADDRESS_WITHDRAWN || state_of(text) == IP_ADDRESS_NONE;
}

/* How many of the sent frames are ARP packets (or neighbour messages) about `about` with this sender. */
static unsigned sent_about(const char *from, const char *about)
{
	const struct addr f = A(from), a = A(about);
	unsigned n = 0;

	for (unsigned i = 0; i < net.sent_n; i++) {
		const uint8_t *b = net.sent[i].f.b;

		if (b[12] == 8 && b[13] == 6)
			n += addr_is_v4(&a) && memcmp(b + 28, f.b + 12, 4) == 0 && memcmp(b + 38, a.b + 12, 4) == 0;
		else if (b[12] == 0x86)
			n += !addr_is_v4(&a) && memcmp(b + 22, f.b, 16) == 0 && memcmp(b + 62, a.b, 16) == 0;
	}
	return n;
}

static bool reachable(const char *address)
{
	const unsigned before = net.tcp_n;
	struct bytes f;

	eth(&f, PORT0_MAC, CLIENT_MAC, strchr(address, ':') ? 0x86dd : 0x0800);
	if (strchr(address, ':')) {
		ip6(&f, "2001:2::2", address, TCP, 64);
		tcp(&f, 40000, 80, "x");
		seal6(&f);
	} else {
		ip4(&f, "198.18.0.2", address, TCP);
		tcp(&f, 40000, 80, "x");
		seal4(&f);
	}
	receive(0, &f);
	return net.tcp_n > before;
}

static void open_lab(void)
{
	net_open(1, 1);
	net_ips();
	g_lab();
	net.g.t.ip_routes.n = 0;
	apply();
}

static void test_start(void **state)
{
	(void)state;
	open_lab();
	/* All are asked for first, the machine's own like virtual ones (RFC 5227, 2.1.1; RFC 4862, 5.4). */
	assert_int_equal(state_of("198.18.0.1"), IP_ADDRESS_TENTATIVE);
	assert_int_equal(state_of("2001:2::1"), IP_ADDRESS_TENTATIVE);
	assert_int_equal(state_of("fe80::ff:fe00:1"), IP_ADDRESS_TENTATIVE);
	assert_false(reachable("198.18.0.1"));
	assert_int_equal(state_of("198.18.0.10"), IP_ADDRESS_TENTATIVE);
	assert_int_equal(state_of("2001:2::10"), IP_ADDRESS_TENTATIVE);
	assert_false(reachable("198.18.0.10"));
	assert_int_equal(state_of("198.18.0.77"), IP_ADDRESS_NONE);
	assert_int_equal(state_of("198.18.0.255"), IP_ADDRESS_NONE);
	advance(2);
	assert_int_equal(sent_about("0.0.0.0", "198.18.0.1"), 1);
	assert_int_equal(sent_about("::", "2001:2::1"), 1);
	assert_int_equal(sent_about("0.0.0.0", "198.18.0.10"), 1);
	assert_int_equal(sent_about("::", "2001:2::10"), 1);
	advance(ADDRESS_PROBES * ADDRESS_PROBE_MS + 10);
	assert_int_equal(sent_about("0.0.0.0", "198.18.0.10"), ADDRESS_PROBES);
	assert_int_equal(sent_about("::", "2001:2::10"), ADDRESS_PROBES);
	assert_int_equal(state_of("198.18.0.10"), IP_ADDRESS_ACTIVE);
	assert_int_equal(state_of("2001:2::10"), IP_ADDRESS_ACTIVE);
	assert_true(reachable("198.18.0.10"));
	assert_true(reachable("2001:2::10"));
	advance(ADDRESS_ANNOUNCES * ADDRESS_ANNOUNCE_MS + 100);
	assert_int_equal(sent_about("198.18.0.10", "198.18.0.10"), ADDRESS_ANNOUNCES);
	assert_int_equal(sent_about("2001:2::10", "2001:2::10"), ADDRESS_ANNOUNCES);
	/* Four addresses of the machine, two virtual ones, and the link-local one of each port. */
	assert_int_equal(counted(C_address_probes_sent), 8 * ADDRESS_PROBES);
	assert_int_equal(counted(C_address_announcements_sent), 8 * ADDRESS_ANNOUNCES);
	net_close();
}

/* The bytes of a probe, of an announcement, in both families (RFC 5227, 1.1; RFC 4862, 5.4.2; RFC 4861, 7.2.6). */
static void test_bytes(void **state)
{
	bool seen[4] = {0};

	(void)state;
	open_lab();
	advance(1000);
	for (unsigned i = 0; i < net.sent_n; i++) {
		const struct sent *s = &net.sent[i];

		if (strcmp(hex(s, 0, s->f.n), "ffffffffffff0200000000010806" "0001080006040001" "020000000001"
		           "00000000"
		                              "000000000000" "c612000a") == 0)
			seen[0] = true;
		if (strcmp(hex(s, 0, s->f.n), "ffffffffffff0200000000010806" "0001080006040001" "020000000001"
		           "c612000a"
		                              "000000000000" "c612000a") == 0)
			seen[1] = true;
		if (s->f.n == 78 && strcmp(hex(s, 0, 14), "3333ff00001002000000000186dd") == 0 &&
		    strcmp(hex(s, 18, 38), "00183aff" "00000000000000000000000000000000"
		           "ff0200000000000000000001ff000010" "8700") == 0 &&
		    strcmp(hex(s, 58, 20), "00000000" "20010002000000000000000000000010") == 0) {
			check_sealed(s);
			seen[2] = true;
		}
		if (s->f.n == 86 && strcmp(hex(s, 0, 14), "33330000000102000000000186dd") == 0 &&
		    strcmp(hex(s, 18, 38), "00203aff" "20010002000000000000000000000010"
		           "ff020000000000000000000000000001" "8800") == 0 &&
		    strcmp(hex(s, 58, 28), "20000000" "20010002000000000000000000000010" "0201020000000001") == 0) {
			check_sealed(s);
			seen[3] = true;
		}
	}
	for (int i = 0; i < 4; i++)
		assert_true(seen[i]);
	net_close();
}

static void test_arp_answer(void **state)
{
	struct bytes f;

	(void)state;
	net_quiet(1);
	arp_ask(&f, CLIENT_MAC, "198.18.0.2", "198.18.0.10");
	receive(0, &f);
	assert_string_equal(hex(only_sent(), 0, 42), "0200000001020200000000010806" "0001080006040002" "020000000001"
	                    "c612000a"
	                                             "020000000102" "c6120002");
	/* A probe of somebody else for an address of ours: he hears that it is taken. */
	forget_sent();
	arp_ask(&f, OTHER_MAC, "0.0.0.0", "198.18.0.10");
	receive(0, &f);
	assert_string_equal(hex(only_sent(), 0, 42), "0200000099990200000000010806" "0001080006040002" "020000000001"
	                    "c612000a"
	                                             "020000009999" "00000000");
	net_close();
}

static void test_nd_answer(void **state)
{
	struct bytes f;
	const struct sent *s;

	(void)state;
	net_quiet(1);
	nd(&f, "33:33:ff:00:00:10", CLIENT_MAC, "2001:2::2", "ff02::1:ff00:10", 135, 0, "2001:2::10", 1);
	receive(0, &f);
	s = only_sent();
	assert_string_equal(hex(s, 0, 14), "02000000010202000000000186dd");
	assert_string_equal(hex(s, 18, 38), "00203aff" "20010002000000000000000000000010"
	                    "20010002000000000000000000000002" "8800");
	assert_string_equal(hex(s, 58, 28), "60000000" "20010002000000000000000000000010" "0201020000000001");
	check_sealed(s);
	/* Without a source option the frame says where the answer goes. */
	forget_sent();
	nd(&f, PORT0_MAC, CLIENT_MAC, "2001:2::2", "2001:2::10", 135, 0, "2001:2::10", 0);
	receive(0, &f);
	assert_string_equal(hex(only_sent(), 0, 6), "020000000102");
	/* Duplicate address detection of somebody else: all hear that it is taken. */
	forget_sent();
	nd(&f, "33:33:ff:00:00:10", OTHER_MAC, "::", "ff02::1:ff00:10", 135, 0, "2001:2::10", 0);
	receive(0, &f);
	s = only_sent();
	assert_string_equal(hex(s, 0, 6), "333300000001");
	assert_string_equal(hex(s, 38, 16), "ff020000000000000000000000000001");
	assert_string_equal(hex(s, 58, 4), "20000000");
	check_sealed(s);
	/* Our link-local address answers, too. */
	forget_sent();
	nd(&f, "33:33:ff:00:00:01", CLIENT_MAC, "fe80::2", "ff02::1:ff00:1", 135, 0, "fe80::ff:fe00:1", 1);
	receive(0, &f);
	assert_string_equal(hex(only_sent(), 22, 16), "fe8000000000000000000" "0fffe000001");
	net_close();
}

/* Who else wants a tentative address, and who has an active one. */
static const struct {
	const char *name;
	bool active;
	const char *address;
	int how;                     /* 0: ARP probe, 1: ARP from it, 2: NS from ::, 3: NA, 4: NA from it, 5: NS from it */
	const char *mac;
	bool conflict;
} conflicts[] = {
	{"probe for a tentative address", false, "198.18.0.10", 0, OTHER_MAC, true},
	{"our own probe, reflected", false, "198.18.0.10", 0, PORT0_MAC, false},
	{"use of a tentative address", false, "198.18.0.10", 1, OTHER_MAC, true},
	{"solicitation for a tentative address", false, "2001:2::10", 2, OTHER_MAC, true},
	{"our own solicitation, reflected", false, "2001:2::10", 2, PORT1_MAC, false},
	{"advertisement of a tentative address", false, "2001:2::10", 3, OTHER_MAC, true},
	{"RFC 5227, 2.1.1: probe for an own one", false, "198.18.0.1", 0, OTHER_MAC, true},
	{"RFC 5227, 2.1.1: use of an own one", false, "198.18.0.1", 1, OTHER_MAC, true},
	{"RFC 4862, 5.4.4: advertisement of an own one", false, "2001:2::1", 3, OTHER_MAC, true},
	{"RFC 4862, 5.4.4: advertisement of our link-local one", false, "fe80::ff:fe00:1", 3, OTHER_MAC, true},
	{"RFC 4862, 5.4.4: advertisement from the address itself", false, "2001:2::10", 4, OTHER_MAC, true},
	{"RFC 4862, 5.4.4: the same about an active one", true, "2001:2::10", 4, OTHER_MAC, true},
	{"a question from a tentative address", false, "2001:2::10", 5, OTHER_MAC, true},
	{"a question from an active address", true, "2001:2::10", 5, OTHER_MAC, true},
	{"our own question, reflected", true, "2001:2::10", 5, PORT0_MAC, false},
	{"use of an active address", true, "198.18.0.10", 1, OTHER_MAC, true},
	{"our own announcement, reflected", true, "198.18.0.10", 1, PORT0_MAC, false},
	{"use of the machine's own address", true, "198.18.0.1", 1, OTHER_MAC, true},
	{"advertisement of an active address", true, "2001:2::10", 3, OTHER_MAC, true},
};

static void claim(size_t i)
{
	struct bytes f;

	switch (conflicts[i].how) {
	case 0:
		arp_ask(&f, conflicts[i].mac, "0.0.0.0", conflicts[i].address);
		break;
	case 1:
		arp_ask(&f, conflicts[i].mac, conflicts[i].address, conflicts[i].address);
		break;
	case 2:
		nd(&f, "33:33:ff:00:00:10", conflicts[i].mac, "::", "ff02::1:ff00:10", 135, 0, conflicts[i].address, 0);
		break;
	case 4:
		nd(&f, "33:33:00:00:00:01", conflicts[i].mac, conflicts[i].address, "ff02::1", 136, 0x20,
		   conflicts[i].address, 2);
		break;
	case 5:
		nd(&f, "33:33:ff:00:00:77", conflicts[i].mac, conflicts[i].address, "ff02::1:ff00:77", 135, 0,
		   "2001:2::77", 1);
		break;
	default:
		nd(&f, "33:33:00:00:00:01", conflicts[i].mac, "2001:2::99", "ff02::1", 136, 0x20, conflicts[i].address,
		   2);
	}
	receive(0, &f);
}

static void test_conflicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(conflicts); i++) {
		print_message("%s\n", conflicts[i].name);
		open_lab();
		advance(conflicts[i].active ? 5000 : 300);
		forget_sent();
		claim(i);
		assert_int_equal(counted(C_neigh_conflicts), conflicts[i].conflict);
		if (!conflicts[i].active) {
			advance(400); /* when it would have become active */
			assert_int_equal(state_of(conflicts[i].address),
			                 conflicts[i].conflict ? IP_ADDRESS_TENTATIVE : IP_ADDRESS_ACTIVE);
			advance(2 * ADDRESS_RETRY_MS + 300); /* and after another try */
			assert_int_equal(state_of(conflicts[i].address), IP_ADDRESS_ACTIVE);
		} else if (conflicts[i].conflict) {
			/* Defended once, then not before DEFEND_INTERVAL; and never given up. */
			assert_int_equal(sent_about(conflicts[i].address, conflicts[i].address), 1);
			claim(i);
			advance(5000);
			claim(i);
			assert_int_equal(sent_about(conflicts[i].address, conflicts[i].address), 1);
			advance(5001);
			claim(i);
			assert_int_equal(sent_about(conflicts[i].address, conflicts[i].address), 2);
			assert_int_equal(state_of(conflicts[i].address), IP_ADDRESS_ACTIVE);
			assert_int_equal(counted(C_neigh_conflicts), 4);
		} else {
			assert_int_equal(net.sent_n, 0);
		}
		net_close();
	}
}

static const struct ip_address_info *info_of(const char *text)
{
	static struct ip_address_info info[3]; /* so that walks take several steps */
	const struct addr a = A(text);
	uint32_t at = 0;

	do {
		const unsigned n = ip_address_walk(net.link, net.shard[0].now_ns, &at, info, LENGTH(info));

		for (unsigned i = 0; i < n; i++) {
			if (addr_equal(&info[i].addr, &a))
				return &info[i];
		}
	} while (at != 0);
	return NULL;
}

/* What an alarm is made of: who claims an address, how long it stands, and that it ends (RFC 5227, 2.4 (c)). */
static void test_alarm(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(conflicts); i++) {
		const struct ip_address_info *info;

		print_message("%s\n", conflicts[i].name);
		open_lab();
		advance(conflicts[i].active ? 5000 : 300);
		claim(i);
		advance(1);
		info = info_of(conflicts[i].address);
		assert_non_null(info);
		assert_int_equal(info->contested, conflicts[i].conflict);
		assert_int_equal(info->usable, conflicts[i].active);
		assert_string_equal(info->state, conflicts[i].active ? "active" : "tentative");
		assert_int_equal(info->virtual, strstr(conflicts[i].address, "10") != NULL);
		if (conflicts[i].conflict) {
			assert_int_equal(info->claimant.addr_bytes[5], 0x99);
			assert_in_range(info->claimed_ms, 1, 2);
		}
		forget_sent();
		advance(conflicts[i].active ? ADDRESS_ALARM_MS - 10 : 1000);
		assert_int_equal(info_of(conflicts[i].address)->contested, conflicts[i].conflict);
		advance(1000);
		assert_false(info_of(conflicts[i].address)->contested);
		assert_true(info_of(conflicts[i].address)->usable);
		net_close();
	}
}

/* What a process that follows another one on the same box has of it. */
static void open_held(void)
{
	const struct addr held[] = {A("198.18.0.10"), A("2001:2::10"), A("198.18.0.1"), A("198.18.0.66")};

	net_open(1, 1);
	net_ips();
	g_lab();
	net.g.t.ip_routes.n = 0;
	ip_link_held(net.link, held, LENGTH(held));
	apply();
}

/* It goes on with these and probes them meanwhile, neither announcing nor overriding (RFC 4429, 3.2 and 3.3). */
static void test_held(void **state)
{
	struct bytes f;

	(void)state;
	open_held();
	assert_int_equal(state_of("198.18.0.10"), IP_ADDRESS_OPTIMISTIC);
	assert_int_equal(state_of("2001:2::10"), IP_ADDRESS_OPTIMISTIC);
	assert_int_equal(state_of("198.18.0.1"), IP_ADDRESS_OPTIMISTIC);
	assert_int_equal(state_of("2001:2::1"), IP_ADDRESS_TENTATIVE);
	assert_int_equal(state_of("198.18.0.66"), IP_ADDRESS_NONE);
	assert_true(reachable("198.18.0.10"));
	assert_true(reachable("2001:2::10"));
	assert_false(reachable("2001:2::1"));
	advance(2);
	forget_sent();
	nd(&f, "33:33:ff:00:00:10", CLIENT_MAC, "2001:2::2", "ff02::1:ff00:10", 135, 0, "2001:2::10", 1);
	receive(0, &f);
	assert_string_equal(hex(only_sent(), 54, 1), "88");
	assert_string_equal(hex(only_sent(), 58, 1), "40");
	arp_ask(&f, CLIENT_MAC, "198.18.0.2", "198.18.0.10");
	receive(0, &f);
	assert_int_equal(net.sent_n, 2);
	apply(); /* again, meanwhile: nothing changes */
	assert_string_equal(info_of("198.18.0.10")->state, "optimistic");
	assert_true(info_of("198.18.0.10")->usable);
	forget_sent();
	advance((ADDRESS_PROBES - 1) * ADDRESS_PROBE_MS + 5);
	assert_int_equal(sent_about("0.0.0.0", "198.18.0.10"), ADDRESS_PROBES - 1);
	assert_int_equal(sent_about("198.18.0.10", "198.18.0.10"), 0);
	advance(ADDRESS_PROBE_MS + 5);
	assert_int_equal(state_of("198.18.0.10"), IP_ADDRESS_ACTIVE);
	assert_int_equal(sent_about("198.18.0.10", "198.18.0.10"), 1);
	/* What comes later was held by nobody. */
	g_address("198.18.0.66", 24, 0, true);
	apply();
	assert_int_equal(state_of("198.18.0.66"), IP_ADDRESS_TENTATIVE);
	net_close();
}

/* Somebody took it over in between: it is his (RFC 4429, 3.2; RFC 5227, 2.1.1). */
static void test_held_and_lost(void **state)
{
	struct bytes f;

	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		const char *name = v4 ? "198.18.0.10" : "2001:2::10";

		open_held();
		advance(300);
		if (v4)
			arp(&f, PORT0_MAC, 2, OTHER_MAC, name, PORT0_MAC, "0.0.0.0");
		else
			nd(&f, "33:33:00:00:00:01", OTHER_MAC, name, "ff02::1", 136, 0x20, name, 2);
		receive(0, &f);
		assert_int_equal(state_of(name), IP_ADDRESS_TENTATIVE);
		assert_false(reachable(name));
		assert_true(info_of(name)->contested);
		assert_int_equal(sent_about(name, name), 0);
		forget_sent();
		advance(2 * ADDRESS_RETRY_MS + ADDRESS_PROBES * ADDRESS_PROBE_MS + 10);
		assert_int_equal(state_of(name), IP_ADDRESS_ACTIVE);
		net_close();
	}
}

/* An optimistic address that leaves the tables drains like an active one: it was in use. */
static void test_held_and_unwanted(void **state)
{
	(void)state;
	open_held();
	net.g.t.addresses.n = 2;
	apply();
	assert_int_equal(state_of("198.18.0.10"), IP_ADDRESS_DRAINING);
	assert_true(reachable("198.18.0.10"));
	forget_sent();
	advance(ADDRESS_DRAIN_MS + 10);
	assert_true(gone("198.18.0.10"));
	net_close();
}

/* A cable may come back in another network: its addresses are probed again, and used meanwhile (RFC 5227, 2.1). */
static void test_link_up(void **state)
{
	(void)state;
	open_lab();
	advance(5000);
	g_address("198.18.0.11", 24, 0, true);
	apply();
	advance(700);
	net.g.t.addresses.n--;
	apply(); /* 198.18.0.11 drains: nobody needs to know whose it is */
	forget_sent();
	ip_link_came_up(net.link, 0);
	ip_turn(net.ip[0]);
	advance(2);
	assert_string_equal(info_of("198.18.0.10")->state, "optimistic");
	assert_string_equal(info_of("2001:2::1")->state, "optimistic");
	assert_string_equal(info_of("fe80::ff:fe00:1")->state, "optimistic");
	assert_string_equal(info_of("198.18.0.11")->state, "draining");
	assert_string_equal(info_of("198.18.1.1")->state, "active");
	assert_true(reachable("198.18.0.10"));
	advance((ADDRESS_PROBES - 1) * ADDRESS_PROBE_MS + 5);
	assert_int_equal(sent_about("0.0.0.0", "198.18.0.10"), ADDRESS_PROBES);
	assert_int_equal(sent_about("::", "2001:2::10"), ADDRESS_PROBES);
	assert_int_equal(sent_about("0.0.0.0", "198.18.1.1"), 0);
	assert_int_equal(sent_about("198.18.0.10", "198.18.0.10"), 0);
	advance(ADDRESS_PROBE_MS);
	assert_int_equal(sent_about("198.18.0.10", "198.18.0.10"), 1);
	assert_int_equal(state_of("198.18.0.10"), IP_ADDRESS_ACTIVE);
	/* That was all: once for each time that it comes up. */
	forget_sent();
	ip_turn(net.ip[0]);
	advance(ADDRESS_ANNOUNCE_MS);
	assert_int_equal(sent_about("0.0.0.0", "198.18.0.10"), 0);
	net_close();
}

/* Somebody there has it already: it is not used. One that is tentative begins anew. */
static void test_link_up_and_taken(void **state)
{
	struct bytes f;

	(void)state;
	open_lab();
	advance(5000);
	g_address("198.18.0.11", 24, 0, true);
	apply();
	advance(500);
	ip_link_came_up(net.link, 0);
	ip_turn(net.ip[0]);
	advance(300);
	arp(&f, PORT0_MAC, 2, OTHER_MAC, "198.18.0.10", PORT0_MAC, "0.0.0.0");
	receive(0, &f);
	assert_false(reachable("198.18.0.10"));
	assert_true(info_of("198.18.0.10")->contested);
	assert_true(reachable("198.18.0.1"));
	forget_sent();
	advance(400);
	assert_int_equal(sent_about("0.0.0.0", "198.18.0.10"), 0);
	assert_int_equal(state_of("198.18.0.11"), IP_ADDRESS_ACTIVE);
	net_close();
}

/* Subnet broadcasts and addresses that are gone are none that anybody is shown. */
static void test_walk(void **state)
{
	(void)state;
	open_lab();
	advance(1000);
	assert_non_null(info_of("198.18.0.10"));
	assert_non_null(info_of("fe80::ff:fe00:2"));
	assert_null(info_of("198.18.0.255"));
	assert_null(info_of("198.18.0.77"));
	net.g.t.addresses.n = 2;
	apply();
	assert_string_equal(info_of("198.18.0.10")->state, "draining");
	forget_sent();
	advance(ADDRESS_DRAIN_MS + 100);
	assert_null(info_of("198.18.0.10"));
	net_close();
}

/* Nobody speaks from a tentative address, not even to ask for a gateway (RFC 5227, 2.1; RFC 4862, 5.4). */
static void test_silent_while_tentative(void **state)
{
	(void)state;
	net_open(1, 1);
	net_ips();
	g_lab();
	apply();
	for (int ms = 0; ms < ADDRESS_PROBES * ADDRESS_PROBE_MS; ms++) {
		for (unsigned i = 0; i < net.sent_n; i++) {
			const uint8_t *b = net.sent[i].f.b;
			static const uint8_t nobody[16];

			assert_memory_equal(b + (b[12] == 8 ? 28 : 22), nobody, b[12] == 8 ? 4 : 16);
		}
		forget_sent();
		advance(1);
	}
	advance(4000);
	assert_true(sent_about("198.18.0.1", "198.18.0.254") > 0);
	assert_true(sent_about("2001:2::1", "2001:2::fe") > 0);
	net_close();
}

/*
 * Two boxes with the same address that are switched on together: both see the other's probe, and try again at times that
 * are not the same (RFC 5227, 2.1). How long after the n-th conflict, and that it is by chance.
 */
static void test_retries(void **state)
{
	uint64_t waited[2][ADDRESS_CONFLICTS_MAX + 2];
	unsigned same = 0;
	struct bytes f;

	(void)state;
	for (int box = 0; box < 2; box++) {
		open_lab();
		rng_init(&net.shard[0].rng, (uint64_t)box + 1);
		for (unsigned n = 0; n < LENGTH(waited[0]); n++) {
			const unsigned times = n + 1 < ADDRESS_CONFLICTS_MAX ? n + 1 : ADDRESS_CONFLICTS_MAX;
			const uint64_t from = n + 1 < ADDRESS_CONFLICTS_MAX ? times * 1000 : ADDRESS_RATE_LIMIT_MS;

			arp_ask(&f, OTHER_MAC, "0.0.0.0", "198.18.0.10");
			receive(0, &f);
			forget_sent();
			for (waited[box][n] = 0; sent_about("0.0.0.0", "198.18.0.10") == 0; waited[box][n]++) {
				forget_sent();
				advance(1);
			}
			assert_in_range(waited[box][n], from, from + times * 1000);
		}
		net_close();
	}
	for (unsigned n = 0; n < LENGTH(waited[0]); n++)
		same += waited[0][n] == waited[1][n];
	assert_in_range(same, 0, 1);
}

/* A claimant that does not go away: tries become rarer, up to one a minute (RFC 5227, 2.1.1). */
static void test_stubborn_claimant(void **state)
{
	struct bytes f;
	unsigned tries = 0;

	(void)state;
	open_lab();
	for (int s = 0; s < 36000; s++) {
		forget_sent();
		advance(100);
		if (sent_about("0.0.0.0", "198.18.0.10") == 0)
			continue;
		tries++;
		arp_ask(&f, OTHER_MAC, "198.18.0.10", "198.18.0.10");
		receive(0, &f);
	}
	assert_int_equal(state_of("198.18.0.10"), IP_ADDRESS_TENTATIVE);
	assert_in_range(tries, 55, 75);
	net_close();
}

/* New generations: what stays keeps its state and never misses a packet; what leaves drains; what comes is probed. */
static void test_generations(void **state)
{
	(void)state;
	open_lab();
	advance(5000);
	forget_sent();
	for (int i = 0; i < 20; i++) {
		apply();
		assert_true(reachable("198.18.0.10"));
		assert_true(reachable("2001:2::10"));
		advance(50);
	}
	assert_int_equal(net.sent_n, 0); /* nothing new: nothing is said */

	g_lab();
	net.g.t.ip_routes.n = 0;
	g_address("198.18.0.11", 24, 0, true);
	apply();
	assert_true(reachable("198.18.0.10"));
	assert_int_equal(state_of("198.18.0.11"), IP_ADDRESS_TENTATIVE);
	advance(700);
	assert_true(reachable("198.18.0.11"));

	/* The second VIP leaves: it answers for what is open, then no more. */
	g_lab();
	net.g.t.ip_routes.n = 0;
	apply();
	assert_int_equal(state_of("198.18.0.11"), IP_ADDRESS_DRAINING);
	assert_true(reachable("198.18.0.11"));
	advance(ADDRESS_DRAIN_MS - 100);
	assert_true(reachable("198.18.0.11"));
	advance(200);
	assert_true(gone("198.18.0.11"));
	assert_false(reachable("198.18.0.11"));
	assert_true(reachable("198.18.0.10"));

	/* Back again, from withdrawn and from draining. */
	g_address("198.18.0.11", 24, 0, true);
	apply();
	assert_int_equal(state_of("198.18.0.11"), IP_ADDRESS_TENTATIVE);
	advance(700);
	g_lab();
	net.g.t.ip_routes.n = 0;
	apply();
	assert_int_equal(state_of("198.18.0.11"), IP_ADDRESS_DRAINING);
	forget_sent();
	g_address("198.18.0.11", 24, 0, true);
	apply();
	assert_int_equal(state_of("198.18.0.11"), IP_ADDRESS_ACTIVE);
	assert_true(reachable("198.18.0.11"));
	advance(2100);
	assert_int_equal(sent_about("198.18.0.11", "198.18.0.11"), ADDRESS_ANNOUNCES);
	advance(ADDRESS_DRAIN_MS);
	assert_int_equal(state_of("198.18.0.11"), IP_ADDRESS_ACTIVE);
	net_close();
}

/* A draining address belongs to whoever claims it. */
static void test_moved_away(void **state)
{
	struct bytes f;

	(void)state;
	open_lab();
	advance(5000);
	net.g.t.addresses.n = 2;
	apply();
	assert_int_equal(state_of("198.18.0.10"), IP_ADDRESS_DRAINING);
	forget_sent();
	arp_ask(&f, OTHER_MAC, "198.18.0.10", "198.18.0.10");
	receive(0, &f);
	assert_true(gone("198.18.0.10"));
	assert_int_equal(net.sent_n, 0);
	arp_ask(&f, CLIENT_MAC, "198.18.0.2", "198.18.0.10");
	receive(0, &f);
	assert_int_equal(net.sent_n, 0);
	net_close();
}

/* Many addresses over many generations: slots are used again, none is lost, the limit holds. */
static void test_churn(void **state)
{
	char text[32];

	(void)state;
	net_open(1, 1);
	net_ips();
	for (int generation = 0; generation < 60; generation++) {
		g_clear();
		g_address("10.0.0.1", 8, 0, false);
		for (int i = 0; i < 200; i++) {
			snprintf(text, sizeof(text), "10.1.%d.%d", generation, i);
			g_address(text, 32, 0, true);
		}
		apply();
		for (int ms = 0; ms < 700; ms++) {
			advance(1);
			forget_sent();
		}
		for (int i = 0; i < 200; i++) {
			snprintf(text, sizeof(text), "10.1.%d.%d", generation, i);
			assert_int_equal(state_of(text), IP_ADDRESS_ACTIVE);
		}
		for (int ms = 0; ms < ADDRESS_DRAIN_MS && generation % 3 == 2; ms++) {
			advance(1);
			forget_sent();
		}
	}
	assert_int_equal(counted(C_limit_addresses), 0);
	g_clear();
	for (int i = 0; i < 1100; i++) {
		snprintf(text, sizeof(text), "10.9.%d.%d", i / 256, i % 256);
		g_address(text, 32, 0, true);
	}
	advance(ADDRESS_DRAIN_MS);
	forget_sent();
	apply();
	assert_true(counted(C_limit_addresses) >= 1100 - LIMIT_addresses);
	net_close();
}

/* All addresses give way to as many others: those are taken into use while the old ones still drain. */
static void test_swap(void **state)
{
	enum { MANY = 1000 };
	char text[32];

	(void)state;
	net_open(1, 1);
	net_ips();
	for (int generation = 0; generation < 2; generation++) {
		g_clear();
		g_address("10.0.0.1", 8, 0, false);
		for (int i = 0; i < MANY; i++) {
			snprintf(text, sizeof(text), "10.%d.%d.%d", generation + 1, i / 250, i % 250);
			g_address(text, 32, 0, true);
		}
		apply();
		for (int ms = 0; ms < 1500; ms++) {
			advance(1);
			forget_sent();
		}
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "10.1.%d.%d", i / 250, i % 250);
		assert_int_equal(state_of(text), IP_ADDRESS_DRAINING);
		snprintf(text, sizeof(text), "10.2.%d.%d", i / 250, i % 250);
		assert_int_equal(state_of(text), IP_ADDRESS_ACTIVE);
	}
	assert_int_equal(counted(C_limit_addresses), 0);
	net_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_swap),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_arp_answer),
		cmocka_unit_test(test_nd_answer),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_alarm),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_held_and_lost),
		cmocka_unit_test(test_held_and_unwanted),
		cmocka_unit_test(test_link_up),
		cmocka_unit_test(test_link_up_and_taken),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_silent_while_tentative),
		cmocka_unit_test(test_retries),
		cmocka_unit_test(test_stubborn_claimant),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_moved_away),
		cmocka_unit_test(test_churn),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
