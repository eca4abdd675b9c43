/* The life of a neighbour on virtual time: questions, answers, queues, limits, and what senders see of it. */
#include "net.h"

#include "ip/neigh.h"
#include "ip/timing.h"

static struct ip_path path;

/* Sends a segment from worker w; returns what ip_output() says. */
static enum err send_at(uint16_t w, const char *from, const char *to, const char *text)
{
	const struct tuple t = {.local = A(from), .remote = A(to), .local_port = 80, .remote_port = 40000,
	                        .protocol = TCP};
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.shard[w].pools.header);
	struct bytes f = {.n = 0};
	enum err e;

	tcp(&f, 80, 40000, text);
	memcpy(rte_pktmbuf_append(m, (uint16_t)f.n), f.b, f.n);
	e = ip_output(net.ip[w], &path, &t, m, 64, 0);
	settle();
	return e;
}

static enum err send_to(const char *to, const char *text)
{
	return send_at(0, strchr(to, ':') ? "2001:2::10" : "198.18.0.10", to, text);
}

static void test_arp_resolution(void **state)
{
	struct bytes f;
	const struct sent *s;

	(void)state;
	net_quiet(1);
	path = (struct ip_path){0};
	assert_int_equal(send_to("198.18.0.2", "one"), OK);
	assert_int_equal(send_to("198.18.0.2", "two"), OK);
	s = only_sent(); /* one question, whatever waits */
	assert_int_equal(s->f.n, 42);
	assert_string_equal(hex(s, 0, 14), "ffffffffffff0200000000010806");
	assert_string_equal(hex(s, 14, 28), "0001080006040001" "020000000001" "c6120001" "000000000000" "c6120002");
	assert_string_equal(neigh_state_of("198.18.0.2"), "incomplete");
	forget_sent();
	arp_answer(&f, PORT0_MAC, CLIENT_MAC, "198.18.0.2", "198.18.0.1");
	receive(0, &f);
	assert_string_equal(neigh_state_of("198.18.0.2"), "reachable");
	assert_int_equal(net.sent_n, 2);
	assert_string_equal(hex(&net.sent[0], 0, 14), "0200000001020200000000010800");
	assert_memory_equal(net.sent[0].f.b + 54, "one", 3);
	assert_memory_equal(net.sent[1].f.b + 54, "two", 3);
	check_sealed(&net.sent[0]);
	forget_sent();
	assert_int_equal(send_to("198.18.0.2", "three"), OK);
	assert_memory_equal(only_sent()->f.b + 54, "three", 5);
	assert_int_equal(counted(C_neigh_resolved), 1);
	net_close();
}

static void test_nd_resolution(void **state)
{
	struct bytes f;
	const struct sent *s;

	(void)state;
	net_quiet(1);
	path = (struct ip_path){0};
	send_to("2001:2::2", "one");
	s = only_sent();
	assert_int_equal(s->f.n, 86);
	assert_string_equal(hex(s, 0, 14), "3333ff00000202000000000186dd");
	assert_string_equal(hex(s, 20, 2), "3aff"); /* ICMPv6, hop limit 255 */
	assert_string_equal(hex(s, 22, 32), "20010002000000000000000000000001" "ff0200000000000000000001ff000002");
	assert_string_equal(hex(s, 58, 28), "00000000" "20010002000000000000000000000002" "0101020000000001");
	assert_int_equal(s->f.b[54], 135);
	check_sealed(s);
	forget_sent();
	nd(&f, PORT0_MAC, CLIENT_MAC, "2001:2::2", "2001:2::1", 136, 0x60, "2001:2::2", 2);
	receive(0, &f);
	assert_string_equal(neigh_state_of("2001:2::2"), "reachable");
	assert_memory_equal(only_sent()->f.b + 74, "one", 3);
	check_sealed(only_sent());
	net_close();
}

/* Three questions a second apart, then refusal for a second, then it begins anew. */
static void test_silence(void **state)
{
	(void)state;
	net_quiet(1);
	path = (struct ip_path){0};
	send_to("198.18.0.3", "lost");
	assert_int_equal(net.sent_n, 1);
	advance(999);
	assert_int_equal(net.sent_n, 1);
	advance(2);
	assert_int_equal(net.sent_n, 2);
	advance(1002);
	assert_int_equal(net.sent_n, 3);
	assert_int_equal(counted(DROP_neigh_failed), 0);
	advance(1002);
	assert_int_equal(net.sent_n, 3);
	assert_string_equal(neigh_state_of("198.18.0.3"), "failed");
	assert_int_equal(counted(DROP_neigh_failed), 1);
	assert_int_equal(counted(C_neigh_failed), 1);
	assert_int_equal(send_to("198.18.0.3", "refused"), ERR_NEIGH_FAILED);
	assert_int_equal(counted(DROP_neigh_failed), 2);
	advance(1001);
	assert_string_equal(neigh_state_of("198.18.0.3"), "none");
	forget_sent();
	assert_int_equal(send_to("198.18.0.3", "again"), OK);
	assert_int_equal(only_sent()->f.b[13], 6);
	advance(10000);
	net_close();
}

static void test_queue(void **state)
{
	struct bytes f;

	(void)state;
	net_quiet(1);
	path = (struct ip_path){0};
	for (int i = 0; i < LIMIT_neighbour_queue + 3; i++)
		send_to("198.18.0.2", (char[2]){(char)('0' + i), 0});
	assert_int_equal(counted(DROP_neigh_queue_full), 3);
	forget_sent();
	arp_answer(&f, PORT0_MAC, CLIENT_MAC, "198.18.0.2", "198.18.0.1");
	receive(0, &f);
	assert_int_equal(net.sent_n, LIMIT_neighbour_queue);
	for (int i = 0; i < LIMIT_neighbour_queue; i++)
		assert_int_equal(net.sent[i].f.b[54], '0' + i + 3); /* the oldest went, the others in order */
	net_close();
}

/* All that waits for anybody is limited, too. */
static void test_all_queues(void **state)
{
	char text[32];

	(void)state;
	net_quiet(1);
	for (int i = 0; i < 40; i++) {
		for (int n = 0; n < LIMIT_neighbour_queue; n++) {
			snprintf(text, sizeof(text), "198.18.0.%d", 20 + i);
			path = (struct ip_path){0};
			send_to(text, "x");
		}
	}
	assert_int_equal(counted(DROP_neigh_rate), 0);
	assert_int_equal(counted(DROP_neigh_queue_full), 40 * LIMIT_neighbour_queue - LIMIT_neighbours_queued);
	advance(10000);
	assert_int_equal(counted(DROP_neigh_failed), LIMIT_neighbours_queued);
	net_close();
}

/* reachable > stale > (used) delay > probe > reachable, packets flowing all the time. */
static void test_verification(void **state)
{
	struct bytes f;
	unsigned asked = 0;

	(void)state;
	net_quiet(1);
	path = (struct ip_path){0};
	send_to("198.18.0.2", "x");
	arp_answer(&f, PORT0_MAC, CLIENT_MAC, "198.18.0.2", "198.18.0.1");
	receive(0, &f);
	advance(NEIGH_REACHABLE_MS * 3 / 2 + 1);
	assert_string_equal(neigh_state_of("198.18.0.2"), "stale");
	advance(20000);
	assert_string_equal(neigh_state_of("198.18.0.2"), "stale"); /* unused entries cost nothing */
	forget_sent();
	send_to("198.18.0.2", "y");
	assert_memory_equal(only_sent()->f.b + 54, "y", 1);
	advance(NEIGH_SWEEP_MS + 1);
	assert_string_equal(neigh_state_of("198.18.0.2"), "delay");
	assert_int_equal(net.sent_n, 1);
	advance(NEIGH_DELAY_MS);
	assert_string_equal(neigh_state_of("198.18.0.2"), "probe");
	assert_int_equal(net.sent_n, 2);
	assert_string_equal(hex(&net.sent[1], 0, 6), "020000000102"); /* to that host alone */
	forget_sent();
	send_to("198.18.0.2", "z");
	assert_memory_equal(only_sent()->f.b + 54, "z", 1);
	receive(0, &f);
	assert_string_equal(neigh_state_of("198.18.0.2"), "reachable");
	/* And when it does not answer any more. */
	advance(NEIGH_REACHABLE_MS * 3 / 2 + 1);
	forget_sent();
	send_to("198.18.0.2", "!");
	advance(NEIGH_SWEEP_MS + NEIGH_DELAY_MS + 3 * NEIGH_RETRANS_MS + 10);
	for (unsigned i = 0; i < net.sent_n; i++)
		asked += net.sent[i].f.b[13] == 6;
	assert_int_equal(asked, 3);
	assert_string_equal(neigh_state_of("198.18.0.2"), "failed");
	assert_int_equal(send_to("198.18.0.2", "."), ERR_NEIGH_FAILED);
	net_close();
}

static void test_unused_is_forgotten(void **state)
{
	(void)state;
	net_quiet(1);
	meet();
	assert_string_equal(neigh_state_of("198.18.0.2"), "stale");
	advance(NEIGH_UNUSED_MS + 100);
	assert_string_equal(neigh_state_of("198.18.0.2"), "none");
	net_close();
}

/* What ARP news do to an entry; each case begins with the client known. */
static const struct {
	const char *name;
	bool reachable;              /* before (else stale) */
	int operation;
	const char *mac, *to, *target;
	const char *state, *known;
} arp_news[] = {
	{"request of the same", true, 1, CLIENT_MAC, ALL_MAC, "198.18.0.1", "reachable", CLIENT_MAC},
	{"request with another MAC", true, 1, OTHER_MAC, ALL_MAC, "198.18.0.1", "stale", OTHER_MAC},
	{"announcement of the same", true, 1, CLIENT_MAC, ALL_MAC, "198.18.0.2", "reachable", CLIENT_MAC},
	{"announcement of a takeover", true, 1, OTHER_MAC, ALL_MAC, "198.18.0.2", "stale", OTHER_MAC},
	{"unasked reply of the same", false, 2, CLIENT_MAC, PORT0_MAC, "198.18.0.1", "stale", CLIENT_MAC},
	{"unasked reply with another MAC", true, 2, OTHER_MAC, PORT0_MAC, "198.18.0.1", "stale", OTHER_MAC},
	{"question for somebody else", false, 1, OTHER_MAC, ALL_MAC, "198.18.0.99", "stale", OTHER_MAC},
};

static void test_arp_news(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(arp_news); i++) {
		struct bytes f;

		print_message("%s\n", arp_news[i].name);
		net_quiet(1);
		path = (struct ip_path){0};
		if (arp_news[i].reachable) {
			send_to("198.18.0.2", "x");
			arp_answer(&f, PORT0_MAC, CLIENT_MAC, "198.18.0.2", "198.18.0.1");
			receive(0, &f);
		} else {
			meet();
		}
		arp(&f, arp_news[i].to, (unsigned)arp_news[i].operation, arp_news[i].mac, "198.18.0.2", "0:0:0:0:0:0",
		    arp_news[i].target);
		receive(0, &f);
		assert_string_equal(neigh_state_of("198.18.0.2"), arp_news[i].state);
		forget_sent();
		send_to("198.18.0.2", "y");
		f.n = 0;
		put_mac(&f, arp_news[i].known);
		assert_memory_equal(only_sent()->f.b, f.b, 6);
		net_close();
	}
}

/* RFC 4861, 7.2.5, appendix C: an advertisement and a known neighbour. */
static const struct {
	const char *name;
	const char *before;          /* "reachable", "stale", "probe", "incomplete", "none" */
	unsigned flags;              /* 0x40 solicited, 0x20 override */
	const char *mac;             /* null: no option */
	const char *state, *known;
} nd_news[] = {
	{"nobody asked, nobody known", "none", 0x60, CLIENT_MAC, "none", NULL},
	{"incomplete, solicited", "incomplete", 0x40, CLIENT_MAC, "reachable", CLIENT_MAC},
	{"incomplete, unsolicited", "incomplete", 0x20, CLIENT_MAC, "stale", CLIENT_MAC},
	{"incomplete, no option", "incomplete", 0x60, NULL, "incomplete", NULL},
	{"same, unsolicited", "reachable", 0x20, CLIENT_MAC, "reachable", CLIENT_MAC},
	{"other, no override, reachable", "reachable", 0x00, OTHER_MAC, "stale", CLIENT_MAC},
	{"other, no override, stale", "stale", 0x00, OTHER_MAC, "stale", CLIENT_MAC},
	{"other, override", "reachable", 0x20, OTHER_MAC, "stale", OTHER_MAC},
	{"other, solicited and override, but not asked", "reachable", 0x60, OTHER_MAC, "stale", OTHER_MAC},
	{"probe, solicited", "probe", 0x60, CLIENT_MAC, "reachable", CLIENT_MAC},
	{"probe, solicited, no option", "probe", 0x40, NULL, "reachable", CLIENT_MAC},
	{"probe, solicited, no override, other", "probe", 0x40, OTHER_MAC, "probe", CLIENT_MAC},
	{"probe, override, other", "probe", 0x60, OTHER_MAC, "reachable", OTHER_MAC},
};

static void bring_to(const char *state)
{
	struct bytes f;

	if (strcmp(state, "none") == 0)
		return;
	if (strcmp(state, "stale") == 0) {
		meet();
		return;
	}
	send_to("2001:2::2", "x");
	if (strcmp(state, "incomplete") == 0)
		return;
	nd(&f, PORT0_MAC, CLIENT_MAC, "2001:2::2", "2001:2::1", 136, 0x60, "2001:2::2", 2);
	receive(0, &f);
	if (strcmp(state, "probe") == 0) {
		advance(NEIGH_REACHABLE_MS * 3 / 2 + 1);
		send_to("2001:2::2", "x");
		advance(NEIGH_SWEEP_MS + NEIGH_DELAY_MS + 1);
	}
	assert_string_equal(neigh_state_of("2001:2::2"), state);
}

static void test_nd_news(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(nd_news); i++) {
		struct bytes f;

		print_message("%s\n", nd_news[i].name);
		net_quiet(1);
		path = (struct ip_path){0};
		bring_to(nd_news[i].before);
		nd(&f, nd_news[i].flags & 0x40 ? PORT0_MAC : "33:33:00:00:00:01",
		   nd_news[i].mac != NULL ? nd_news[i].mac : CLIENT_MAC,
		   "2001:2::2", nd_news[i].flags & 0x40 ? "2001:2::1" : "ff02::1", 136, nd_news[i].flags, "2001:2::2",
		   nd_news[i].mac != NULL ? 2 : 0);
		receive(0, &f);
		assert_string_equal(neigh_state_of("2001:2::2"), nd_news[i].state);
		if (nd_news[i].known != NULL) {
			forget_sent();
			send_to("2001:2::2", "y");
			f.n = 0;
			put_mac(&f, nd_news[i].known);
			assert_memory_equal(only_sent()->f.b, f.b, 6);
		}
		net_close();
	}
}

/* Nothing is learned that does not belong on the wire it came from. */
static void test_off_link(void **state)
{
	struct bytes f;

	(void)state;
	net_quiet(1);
	arp_ask(&f, OTHER_MAC, "198.18.1.11", "198.18.0.1"); /* lives on the other side */
	receive(0, &f);
	assert_int_equal(net.sent_n, 1);
	assert_string_equal(neigh_state_of("198.18.1.11"), "none");
	arp_ask(&f, OTHER_MAC, "8.8.8.8", "198.18.0.1");
	receive(0, &f);
	assert_string_equal(neigh_state_of("8.8.8.8"), "none");
	nd(&f, "33:33:ff:00:00:01", OTHER_MAC, "2001:2:0:1::11", "ff02::1:ff00:1", 135, 0, "2001:2::1", 1);
	receive(0, &f);
	assert_string_equal(neigh_state_of("2001:2:0:1::11"), "none");
	net_close();
}

static void test_storm(void **state)
{
	struct bytes f;
	char text[32];
	unsigned gateways = 0;
	static struct ip_neigh_info info[LIMIT_neighbours + 1];
	uint32_t at = 0;

	(void)state;
	net_open(1, 1);
	net_ips();
	g_clear();
	g_address("10.0.0.1", 8, 0, false);
	g_route("0.0.0.0", 0, "10.0.0.254", 0);
	apply();
	path = (struct ip_path){0};
	for (int i = 0; i < 3 * LIMIT_neighbours; i++) {
		snprintf(text, sizeof(text), "10.%d.%d.%d", 1 + i / 65536, i / 256 % 256, i % 256);
		arp_ask(&f, OTHER_MAC, text, "10.0.0.1");
		receive(0, &f);
		forget_sent();
		/* The one that is used stays, however many others come. */
		if (i % 1000 == 0) {
			if (i == 0) {
				arp_ask(&f, CLIENT_MAC, "10.9.9.9", "10.0.0.1");
				receive(0, &f);
			}
			arp_answer(&f, PORT0_MAC, CLIENT_MAC, "10.9.9.9", "10.0.0.1");
			receive(0, &f); /* if it is being asked */
			assert_int_equal(send_at(0, "10.0.0.1", "10.9.9.9", "x"), OK);
			advance(1001);
		}
		forget_sent();
	}
	assert_int_equal(ip_neigh_walk(net.link, 0, &at, info, LENGTH(info)), LIMIT_neighbours);
	assert_int_equal(at, 0);
	assert_true(counted(C_neigh_evicted) > LIMIT_neighbours);
	for (int i = 0; i < LIMIT_neighbours; i++)
		gateways += info[i].gateway;
	assert_int_equal(gateways, 1);
	assert_string_not_equal(neigh_state_of("10.0.0.254"), "none");
	assert_string_not_equal(neigh_state_of("10.9.9.9"), "none");
	net_close();
}

/* A path that remembers an evicted entry must not send to the entry's successor. */
static void test_evicted_path(void **state)
{
	struct bytes f;
	char text[32];
	struct ip_path old;

	(void)state;
	net_open(1, 1);
	net_ips();
	g_clear();
	g_address("10.0.0.1", 8, 0, false);
	apply();
	advance(5000);
	forget_sent();
	path = (struct ip_path){0};
	arp_ask(&f, CLIENT_MAC, "10.9.9.9", "10.0.0.1");
	receive(0, &f);
	send_at(0, "10.0.0.1", "10.9.9.9", "x");
	old = path;
	assert_int_not_equal(old.neigh, 0);
	for (int i = 0; i < 2 * LIMIT_neighbours; i++) {
		snprintf(text, sizeof(text), "10.1.%d.%d", i / 256, i % 256);
		arp_ask(&f, OTHER_MAC, text, "10.0.0.1");
		receive(0, &f);
		forget_sent();
	}
	assert_string_equal(neigh_state_of("10.9.9.9"), "none");
	path = old;
	assert_int_equal(send_at(0, "10.0.0.1", "10.9.9.9", "y"), OK);
	assert_int_equal(only_sent()->f.b[13], 6); /* a question, not the segment */
	net_close();
}

static void test_solicitation_rate(void **state)
{
	char text[32];
	unsigned first;

	(void)state;
	net_quiet(1);
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "198.18.0.%d", 20 + i);
		path = (struct ip_path){0};
		send_to(text, "x");
	}
	first = net.sent_n;
	assert_in_range(first, 40, 60);
	assert_int_equal(counted(DROP_neigh_rate), 200 - first);
	forget_sent();
	advance(900);
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "198.18.0.%d", 20 + i);
		path = (struct ip_path){0};
		send_to(text, "x");
	}
	assert_in_range(net.sent_n, 30, LIMIT_solicits_per_s);
	forget_sent();
	advance(2000);
	assert_in_range(net.sent_n, 1, 2 * LIMIT_solicits_per_s + 50);
	net_close();
}

/* Questions for an address that have been sent; and forgets all that was sent. */
static unsigned asked_for(const char *text)
{
	const struct addr a = A(text);
	unsigned n = 0;

	for (unsigned i = 0; i < net.sent_n; i++)
		n += net.sent[i].f.b[13] == 6 && memcmp(net.sent[i].f.b + 38, a.b + 12, 4) == 0;
	forget_sent();
	return n;
}

/*
 * Somebody makes us talk to a thousand silent neighbours a second, more than may be asked. Meanwhile a gateway of that
 * port is asked for each second, and neighbours of other ports at once. What waits for the silent ones does not wait for
 * long, also if there never was a question to spare for its second and third one.
 */
static void test_scan(void **state)
{
	unsigned gateway = 0, held, other;
	char text[32];

	(void)state;
	net_open(1, 1);
	net_ips();
	g_clear();
	g_address("10.0.0.1", 8, 0, false);
	g_address("198.18.1.1", 24, 1, false);
	apply();
	advance(5000);
	forget_sent();
	held = rte_mempool_in_use_count(net.shard[0].pools.header);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "10.1.%u.%u", i / 250, 1 + i % 250);
		path = (struct ip_path){0};
		send_at(0, "10.0.0.1", text, "x");
		if (i == 2000) {
			g_route("0.0.0.0", 0, "10.255.255.254", 0);
			apply();
		}
		advance(1);
		gateway += asked_for("10.255.255.254");
	}
	path = (struct ip_path){0};
	send_at(0, "198.18.1.1", "198.18.1.11", "x");
	other = asked_for("198.18.1.11");
	assert_int_equal(other, 1);
	/* Eight seconds: three questions, and one of refusal before it begins anew, twice. */
	assert_in_range(gateway, 6, 8);
	assert_in_range(counted(C_limit_solicits_per_s), 5000, 100000);
	assert_in_range(rte_mempool_in_use_count(net.shard[0].pools.header), held + 100, held + LIMIT_neighbours_queued + 1);
	for (unsigned i = 0; i < NEIGH_TRIES; i++) {
		advance(NEIGH_RETRANS_MS * 3 / 2);
		forget_sent();
	}
	assert_int_equal(rte_mempool_in_use_count(net.shard[0].pools.header), held);
	net_close();
}

/* A gateway is asked for as soon as a route names it, again and again, and is used for what lies behind it. */
static void test_gateway(void **state)
{
	struct bytes f;
	const struct sent *s;

	(void)state;
	net_lab(1);
	advance(20000);
	assert_true(net.sent_n >= 10); /* two silent gateways, three questions in five seconds each */
	for (unsigned i = 0; i < net.sent_n; i++)
		assert_int_equal(net.sent[i].port, 0);
	arp_answer(&f, PORT0_MAC, OTHER_MAC, "198.18.0.254", "198.18.0.1");
	receive(0, &f);
	advance(5000);
	receive(0, &f);
	advance(1000);
	assert_string_not_equal(neigh_state_of("198.18.0.254"), "failed");
	forget_sent();
	path = (struct ip_path){0};
	assert_int_equal(send_to("8.8.8.8", "x"), OK);
	s = only_sent();
	assert_string_equal(hex(s, 0, 6), "020000009999");
	assert_string_equal(hex(s, 30, 4), "08080808");
	/* Without the route it is a neighbour like others. */
	net.g.t.ip_routes.n = 0;
	apply();
	assert_int_equal(send_to("8.8.8.8", "x"), ERR_NO_ROUTE);
	assert_int_equal(counted(DROP_ip_no_route), 1);
	net_close();
}

/* RFC 826, RFC 4861, 7.2.5: a gateway whose MAC address becomes another, as when its stand-in takes over, is obeyed at
 * once, and it is counted: there may be more to it. */
static void test_gateway_moves(void **state)
{
	struct bytes f;

	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		const char *name = v4 ? "198.18.0.254" : "2001:2::fe";

		net_lab(1);
		while (strcmp(neigh_state_of(name), "incomplete") != 0)
			advance(100);
		for (int turn = 0; turn < 3; turn++) {
			const char *mac = turn < 2 ? CLIENT_MAC : OTHER_MAC;

			if (v4)
				arp_ask(&f, mac, name, name);
			else
				nd(&f, "33:33:00:00:00:01", mac, name, "ff02::1", 136, 0x20, name, 2);
			receive(0, &f);
			assert_int_equal(counted(C_neigh_gateway_moves), turn == 2);
			forget_sent();
			path = (struct ip_path){0};
			assert_int_equal(send_to(v4 ? "8.8.8.8" : "2400::1", "x"), OK);
			assert_string_equal(hex(only_sent(), 0, 6), turn < 2 ? "020000000102" : "020000009999");
		}
		net_close();
	}
}

/* Questions come from addresses that have been probed (RFC 5227, 2.1.1; RFC 4862, 5.4), and then at once. */
static void test_no_source_yet(void **state)
{
	(void)state;
	net_open(1, 1);
	net_ips();
	g_lab();
	apply();
	path = (struct ip_path){0};
	assert_int_equal(send_to("198.18.0.2", "x"), OK);
	advance(NEIGH_NO_SOURCE_MS - 1);
	assert_int_equal(counted(C_neigh_solicits_sent), 0);
	advance(2);
	assert_int_equal(counted(C_neigh_solicits_sent), 3); /* the neighbour and both gateways */
	net_close();
}

/* Without an address of its family nobody can be asked for: it fails like one that does not answer. */
static void test_no_source_at_all(void **state)
{
	(void)state;
	net_open(1, 1);
	net_ips();
	g_clear();
	g_address("198.18.0.1", 24, 0, false);
	g_route("2400::", 16, "2001:2::fe", 0);
	apply();
	path = (struct ip_path){0};
	assert_int_equal(send_at(0, "2001:2::1", "2400::1", "x"), OK);
	advance(3 * NEIGH_NO_SOURCE_MS + 10);
	assert_string_equal(neigh_state_of("2001:2::fe"), "failed");
	assert_int_equal(counted(DROP_neigh_failed), 1);
	assert_int_equal(counted(C_neigh_solicits_sent), 0);
	net_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arp_resolution),
		cmocka_unit_test(test_nd_resolution),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_all_queues),
		cmocka_unit_test(test_verification),
		cmocka_unit_test(test_unused_is_forgotten),
		cmocka_unit_test(test_arp_news),
		cmocka_unit_test(test_nd_news),
		cmocka_unit_test(test_off_link),
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_evicted_path),
		cmocka_unit_test(test_solicitation_rate),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_gateway),
		cmocka_unit_test(test_gateway_moves),
		cmocka_unit_test(test_no_source_yet),
		cmocka_unit_test(test_no_source_at_all),
	};

	return cmocka_run_group_tests(tests, net_setup, NULL);
}
