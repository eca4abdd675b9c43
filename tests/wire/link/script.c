/*
 * Scripts about the link: the IP layer of one worker on one port, on virtual time. Its frames are made and read by an
 * encoder of its own (frames.c). The words are in ../README.md.
 */
#include "tests/wire/script.h"

#include <netinet/in.h>
#include <rte_eal.h>
#include <rte_mempool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/shard.h"
#include "ip/ip.h"
#include "table/table.h"
#include "tests/wire/link/frames.h"
#include "tests/wire/link/stand.h"

enum { WORDS_MAX = 60, LINE_MAX_BYTES = 1024, SENT_MAX = 256, EVENTS_MAX = 16, ADDRESSES_MAX = 8, ROUTES_MAX = 4 };
enum { TOLERANCE_MS = 2, EVENT_BYTES = 160, UP_MS = 5000 };

struct sent {
	uint64_t at_ns;
	char text[FRAME_TEXT_MAX];
};

struct generation {
	struct table t;
	struct table_address addresses[ADDRESSES_MAX];
	struct table_ip_route routes[ROUTES_MAX];
};

struct script {
	const char *path;
	unsigned line;
	char *word[WORDS_MAX];
	unsigned words;
	bool rfc, started;

	struct shard shard;
	struct counters counters;
	struct port port;
	struct port_tx tx;
	struct ip_link *link;
	struct ip *ip;
	struct generation g;

	struct sent sent[SENT_MAX];  /* what is not yet checked, in order */
	unsigned sent_first, sent_n;
	char event[EVENTS_MAX][EVENT_BYTES];
	unsigned event_n;

	jmp_buf out;
	char *why;
	size_t why_max;
};

__attribute__((noreturn, format(printf, 2, 3))) static void fail(struct script *p, const char *format, ...)
{
	va_list list;
	int n = snprintf(p->why, p->why_max, "%s:%u: ", p->path, p->line);

	va_start(list, format);
	vsnprintf(p->why + n, p->why_max - (size_t)n, format, list);
	va_end(list);
	longjmp(p->out, 1);
}

/* ---- the stack ---- */

void stand_boot(struct packet_pools *pools)
{
	static char *args[] = {"wire", "--no-huge", "--no-shconf", "--no-pci", "-m", "256", "--log-level", "error",
	                       "--lcores", "0@0", NULL};

	CHECK(rte_eal_init(10, args) >= 0);
	CHECK(packet_pools_init(pools, "wire", SOCKET_ID_ANY, 20) == OK);
}

static uint16_t transmit(struct port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct script *p = container_of(port, struct script, port);

	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		struct frame f = {.n = m[i]->pkt_len};

		CHECK(p->sent_first + p->sent_n < SENT_MAX && f.n <= FRAME_MAX);
		struct sent *s = &p->sent[p->sent_first + p->sent_n++];
		s->at_ns = p->shard.now_ns;
		memcpy(f.b, rte_pktmbuf_read(m[i], 0, (uint32_t)f.n, f.b), f.n);
		frame_print(&f, s->text);
		rte_pktmbuf_free(m[i]);
	}
	return n;
}

__attribute__((format(printf, 2, 3))) static void tell(struct script *p, const char *format, ...)
{
	va_list list;

	CHECK(p->event_n < EVENTS_MAX);
	va_start(list, format);
	vsnprintf(p->event[p->event_n++], EVENT_BYTES, format, list);
	va_end(list);
}

static void tell_datagram(struct script *p, const char *kind, const struct ip_datagram *d, unsigned header)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];

	tell(p, "%s %s > %s len %u", kind, addr_print(&d->tuple.remote, from), addr_print(&d->tuple.local, to),
	     d->l4_bytes - header);
	rte_pktmbuf_free(d->m);
}

static void on_tcp(void *up, const struct ip_datagram *d)
{
	tell_datagram(up, "tcp", d, 20);
}

static void on_udp(void *up, const struct ip_datagram *d)
{
	tell_datagram(up, "udp", d, 8);
}

static void on_icmp_error(void *up, const struct ip_icmp_error *e)
{
	tell(up, "error %u %u", e->type, e->code);
}

static void open_stand(struct script *p, const struct packet_pools *pools)
{
	static const struct rte_ether_addr ours = {{2, 0, 0, 0, 0, 1}};
	const struct ip_up up = {.on_tcp = on_tcp, .on_udp = on_udp, .on_icmp_error = on_icmp_error, .up = p};

	p->shard = (struct shard){.now_ns = 1000 * NS_PER_S, .counters = &p->counters, .workers = 1, .pools = *pools};
	memset(p->shard.secret, 7, sizeof(p->shard.secret));
	wheel_init(&p->shard.wheel, p->shard.now_ns);
	rng_init(&p->shard.rng, 7);
	p->port = (struct port){.queues = 1, .mtu = 1500, .mac = ours, .tx_burst = transmit,
	                        .offloads = PORT_TX_MULTI_SEGS};
	p->tx = (struct port_tx){.port = &p->port, .shard = &p->shard};
	p->g.t.addresses.at = offsetof(struct generation, addresses);
	p->g.t.ip_routes.at = offsetof(struct generation, routes);
	p->shard.table = &p->g.t;
	p->link = ip_link_new(1);
	p->ip = ip_new(&p->shard, p->link, &p->tx, 1, &up);
}

static bool close_stand(struct script *p)
{
	const struct packet_pools *pools = &p->shard.pools;

	ip_free(p->ip);
	ip_link_free(p->link);
	return rte_mempool_in_use_count(pools->rx) == 0 && rte_mempool_in_use_count(pools->header) == 0 &&
	       rte_mempool_in_use_count(pools->payload) == 0 && rte_mempool_in_use_count(pools->reference) == 0;
}

static void tick(struct script *p)
{
	p->shard.now_ns += NS_PER_MS;
	wheel_advance(&p->shard.wheel, p->shard.now_ns, 1024);
	port_tx_flush(&p->tx);
}

static void apply(struct script *p)
{
	ip_apply(p->ip);
	port_tx_flush(&p->tx);
}

static void forget(struct script *p)
{
	p->sent_first = p->sent_n = 0;
}

static void quiet(struct script *p)
{
	if (p->sent_n > 0)
		fail(p, "sent, but not expected: %s", p->sent[p->sent_first].text);
	if (p->event_n > 0)
		fail(p, "told, but not expected: %s", p->event[0]);
}

/* ---- words ---- */

static const char *word(struct script *p, unsigned i)
{
	if (i >= p->words)
		fail(p, "%s: a word is missing", p->word[0]);
	return p->word[i];
}

static struct addr address(struct script *p, unsigned i)
{
	struct addr a;

	if (addr_parse(word(p, i), &a) != OK)
		fail(p, "%s is no address", p->word[i]);
	return a;
}

/* A/BITS; *bits of the IPv6 form. */
static struct addr prefix(struct script *p, const char *w, uint8_t *bits)
{
	const char *slash = strchr(w, '/');
	char text[64];
	struct addr a;

	if (!slash)
		fail(p, "%s has no prefix length", w);
	snprintf(text, sizeof(text), "%.*s", (int)(slash - w), w);
	if (addr_parse(text, &a) != OK)
		fail(p, "%s is no address", text);
	*bits = (uint8_t)(atoi(slash + 1) + (addr_is_v4(&a) ? 96 : 0));
	return a;
}

static unsigned duration_ms(struct script *p, unsigned i)
{
	const char *w = word(p, i);
	char *end;
	const double n = strtod(w, &end);

	if (!strcmp(end, "ms"))
		return (unsigned)n;
	if (strcmp(end, "s") != 0)
		fail(p, "%s is not a duration (ms, s)", w);
	return (unsigned)(n * 1000);
}

/* Words [from, until) with a blank between them. */
static void join(struct script *p, unsigned from, unsigned until, char text[static FRAME_TEXT_MAX])
{
	text[0] = 0;
	for (unsigned i = from; i < until; i++)
		snprintf(text + strlen(text), FRAME_TEXT_MAX - strlen(text), "%s%s", i > from ? " " : "", p->word[i]);
}

static void add_address(struct script *p, const char *w, bool virtual)
{
	struct table_address *a = &p->g.addresses[p->g.t.addresses.n];

	if (p->g.t.addresses.n++ == ADDRESSES_MAX)
		fail(p, "too many addresses");
	*a = (struct table_address){.virtual = virtual};
	a->addr = prefix(p, w, &a->prefix_bits);
}

/* A/BITS [virtual] */
static void add_named(struct script *p)
{
	add_address(p, word(p, 1), p->words > 2 && !strcmp(p->word[2], "virtual"));
}

static void word_address(struct script *p)
{
	add_named(p);
}

static void word_route(struct script *p)
{
	struct table_ip_route *r = &p->g.routes[p->g.t.ip_routes.n];

	if (p->g.t.ip_routes.n++ == ROUTES_MAX)
		fail(p, "too many routes");
	*r = (struct table_ip_route){.gateway = address(p, 3)};
	r->prefix = prefix(p, word(p, 1), &r->prefix_bits);
}

static void word_held(struct script *p)
{
	const struct addr a = address(p, 1);

	ip_link_held(p->link, &a, 1);
}

/* Without a word about it the box has one address of its own and a virtual one of either family. */
static void start(struct script *p)
{
	if (p->g.t.addresses.n == 0) {
		add_address(p, "198.18.0.1/24", false);
		add_address(p, "198.18.0.10/24", true);
		add_address(p, "2001:2::1/64", false);
		add_address(p, "2001:2::10/64", true);
	}
	p->started = true;
	apply(p);
}

static void word_start(struct script *p)
{
	start(p);
}

static void word_up(struct script *p)
{
	start(p);
	for (unsigned ms = 0; ms < UP_MS; ms++) {
		tick(p);
		forget(p);
	}
}

static void word_with(struct script *p)
{
	add_named(p);
	apply(p);
}

static void word_without(struct script *p)
{
	const struct addr a = address(p, 1);
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->g.t.addresses.n; i++)
		if (!addr_equal(&p->g.addresses[i].addr, &a))
			p->g.addresses[n++] = p->g.addresses[i];
	if (n == p->g.t.addresses.n)
		fail(p, "%s is no address of the box", p->word[1]);
	p->g.t.addresses.n = n;
	apply(p);
}

static void word_in(struct script *p)
{
	struct frame f;
	const char *wrong = frame_of_words(&f, p->word + 1, p->words - 1);
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->shard.pools.rx);

	if (wrong)
		fail(p, "%s", wrong);
	CHECK(m != NULL);
	quiet(p);
	memcpy(rte_pktmbuf_append(m, (uint16_t)f.n), f.b, f.n);
	ip_input(p->ip, m, 0);
	port_tx_flush(&p->tx);
}

static void word_out(struct script *p)
{
	const bool later = p->words > 3 && !strcmp(p->word[p->words - 2], "after");
	const unsigned ms = later ? duration_ms(p, p->words - 1) : 0;
	const uint64_t from_ns = p->shard.now_ns;
	char text[FRAME_TEXT_MAX];
	uint64_t at_ms;

	join(p, 1, later ? p->words - 2 : p->words, text);
	for (unsigned i = 0; later && p->sent_n == 0 && i < ms + TOLERANCE_MS; i++)
		tick(p);
	if (p->sent_n == 0)
		fail(p, "not sent: %s", text);
	if (strcmp(p->sent[p->sent_first].text, text) != 0)
		fail(p, "sent: %s", p->sent[p->sent_first].text);
	at_ms = (p->sent[p->sent_first].at_ns - from_ns) / NS_PER_MS;
	if (p->sent[p->sent_first].at_ns > from_ns && at_ms + TOLERANCE_MS < ms)
		fail(p, "sent after %u ms", (unsigned)at_ms);
	p->sent_first++;
	if (--p->sent_n == 0)
		forget(p);
}

static void word_wait(struct script *p)
{
	const unsigned ms = duration_ms(p, 1);

	for (unsigned i = 0; i < ms; i++) {
		quiet(p);
		tick(p);
	}
	quiet(p);
}

static void word_skip(struct script *p)
{
	const unsigned ms = duration_ms(p, 1);

	forget(p);
	for (unsigned i = 0; i < ms; i++) {
		tick(p);
		forget(p);
	}
}

static void word_event(struct script *p)
{
	char text[FRAME_TEXT_MAX];

	join(p, 1, p->words, text);
	if (p->event_n == 0)
		fail(p, "not told: %s", text);
	if (strcmp(p->event[0], text) != 0)
		fail(p, "told: %s", p->event[0]);
	memmove(p->event[0], p->event[1], sizeof(p->event[0]) * --p->event_n);
}

/* A segment of ours to somebody on the link, or behind a gateway. */
static void word_send(struct script *p)
{
	const struct tuple t = {.local = address(p, 1), .remote = address(p, 3), .local_port = 80, .remote_port = 40000,
	                        .protocol = IPPROTO_TCP};
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->shard.pools.header);
	struct ip_path path = {0};
	uint8_t *h;

	CHECK(m != NULL);
	h = (uint8_t *)rte_pktmbuf_append(m, 20);
	memset(h, 0, 20);
	h[12] = 0x50;
	if (ip_output(p->ip, &path, &t, m, 64, 0) != OK)
		tell(p, "refused");
	port_tx_flush(&p->tx);
}

static void word_link_up(struct script *p)
{
	ip_link_came_up(p->link, 0);
	ip_turn(p->ip);
}

static enum counter counter_named(struct script *p, const char *name)
{
	for (unsigned i = 0; i < COUNTERS; i++) {
		const char *is = counter_descriptions[i].name;

		if (!strcmp(is, name) || (!strncmp(is, "drop_", 5) && !strcmp(is + 5, name)))
			return (enum counter)i;
	}
	fail(p, "%s is no counter", name);
}

static void word_count(struct script *p)
{
	const uint64_t is = p->counters.cell[counter_named(p, word(p, 1))];

	if (is != strtoull(word(p, 2), NULL, 10))
		fail(p, "%s is %llu", p->word[1], (unsigned long long)is);
}

static void word_is(struct script *p)
{
	const struct addr a = address(p, 1);
	const char *state = "none", *claimed = "";
	struct ip_address_info all[4 * ADDRESSES_MAX];
	uint32_t at = 0;
	const unsigned n = ip_address_walk(p->link, p->shard.now_ns, &at, all, 4 * ADDRESSES_MAX);

	for (unsigned i = 0; i < n; i++)
		if (addr_equal(&all[i].addr, &a)) {
			state = all[i].state;
			claimed = all[i].contested ? "contested" : "";
		}
	if (strcmp(state, word(p, 2)) != 0 || strcmp(claimed, p->words > 3 ? p->word[3] : "") != 0)
		fail(p, "%s is %s %s", p->word[1], state, claimed);
}

static void word_neighbour(struct script *p)
{
	const struct addr a = address(p, 1);
	const char *state = "none";
	char mac[18] = "";
	struct ip_neigh_info all[64];
	uint32_t at = 0;
	const unsigned n = ip_neigh_walk(p->link, p->shard.now_ns, &at, all, 64);

	for (unsigned i = 0; i < n; i++)
		if (addr_equal(&all[i].addr, &a)) {
			const uint8_t *b = all[i].mac.addr_bytes;

			state = all[i].state;
			snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
		}
	if (strcmp(state, word(p, 2)) != 0 || (p->words > 3 && strcmp(mac, p->word[3]) != 0))
		fail(p, "%s is %s %s", p->word[1], state, mac);
}

static void word_rfc(struct script *p)
{
	p->rfc = true;
}

/* ---- the language ---- */

static const struct {
	const char *name;
	bool before;             /* only before the box starts; the others only then */
	void (*run)(struct script *p);
} words[] = {
	{"rfc", true, word_rfc}, {"address", true, word_address}, {"route", true, word_route}, {"held", true, word_held},
	{"start", true, word_start}, {"up", true, word_up}, {"with", false, word_with}, {"without", false, word_without},
	{"<", false, word_in}, {">", false, word_out}, {"!", false, word_event}, {"wait", false, word_wait},
	{"skip", false, word_skip}, {"send", false, word_send}, {"count", false, word_count}, {"is", false, word_is},
	{"neighbour", false, word_neighbour}, {"link-up", false, word_link_up},
};

static void run_line(struct script *p, char *line)
{
	char *save = NULL, *comment = strchr(line, '#');

	if (comment)
		*comment = 0;
	p->words = 0;
	for (char *w = strtok_r(line, " \t\n", &save); w && p->words < WORDS_MAX; w = strtok_r(NULL, " \t\n", &save))
		p->word[p->words++] = w;
	if (p->words == 0)
		return;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].name, p->word[0]) != 0)
			continue;
		if (words[i].before == p->started)
			fail(p, "%s stands %s the box starts", p->word[0], p->started ? "before" : "behind where");
		words[i].run(p);
		return;
	}
	fail(p, "%s is no word of the language", p->word[0]);
}

static void finish(struct script *p)
{
	if (!p->rfc)
		fail(p, "the script cites no rule");
	if (!p->started)
		fail(p, "the script does nothing");
	quiet(p);
}

bool script_run(const char *path, const struct packet_pools *pools, char *why, size_t n)
{
	struct script *p = aligned_alloc(64, (sizeof(*p) + 63) & ~(size_t)63);
	FILE *f = fopen(path, "r");
	char line[LINE_MAX_BYTES];
	bool passed = false;

	CHECK(p != NULL);
	memset(p, 0, sizeof(*p));
	p->path = path;
	p->why = why;
	p->why_max = n;
	open_stand(p, pools);
	if (!f) {
		snprintf(why, n, "%s: cannot be read", path);
	} else if (setjmp(p->out) == 0) {
		while (fgets(line, sizeof(line), f)) {
			p->line++;
			run_line(p, line);
		}
		finish(p);
		passed = true;
	}
	if (!close_stand(p) && passed) {
		snprintf(why, n, "%s: mbufs leaked", path);
		passed = false;
	}
	if (f)
		fclose(f);
	free(p);
	return passed;
}
