#include "tests/wire/link/frames.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { ETH = 14, IP4 = 20, IP6 = 40, FRAGMENT_BYTES = 8, ICMP = 1, TCP = 6, UDP = 17, FRAGMENT = 44, ICMP6 = 58 };
enum { MORE4 = 0x2000, ECHO4 = 8, ECHO6 = 128, NS = 135, NA = 136, HEADERS_MAX = 4 };

/* ---- bytes ---- */

struct bytes {
	uint8_t b[FRAME_MAX];
	size_t n;
};

static void put(struct bytes *f, const void *bytes, size_t n)
{
	CHECK(f->n + n <= sizeof(f->b));
	memcpy(f->b + f->n, bytes, n);
	f->n += n;
}

static void put8(struct bytes *f, unsigned x)
{
	put(f, &(uint8_t){(uint8_t)x}, 1);
}

static void put16(struct bytes *f, unsigned x)
{
	put8(f, x >> 8);
	put8(f, x);
}

static void put32(struct bytes *f, uint32_t x)
{
	put16(f, x >> 16);
	put16(f, x & 0xffff);
}

static void set16(uint8_t *at, unsigned x)
{
	at[0] = (uint8_t)(x >> 8);
	at[1] = (uint8_t)x;
}

static unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

/* RFC 1071. */
static uint32_t sum(uint32_t s, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)b[i] << 8 | (i + 1 < n ? b[i + 1] : 0u);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static bool read_mac(const char *text, uint8_t mac[6])
{
	unsigned m[6];
	char behind;

	if (!text || sscanf(text, "%x:%x:%x:%x:%x:%x%c", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5], &behind) != 6)
		return false;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)m[i];
	return true;
}

static bool read_hex(const char *text, struct bytes *out)
{
	unsigned x;

	for (; text[0] && text[1]; text += 2) {
		if (sscanf(text, "%2x", &x) != 1)
			return false;
		put8(out, x);
	}
	return !text[0];
}

/* ---- what a line says ---- */

struct address {
	uint8_t b[16];
	bool v4;
};

struct header {              /* an extension header; its first byte, the next one's type, is filled in */
	unsigned type;
	struct bytes bytes;
};

struct patch {
	unsigned at;             /* from the start of the IP header */
	struct bytes bytes;
	bool last;               /* after the checksums */
};

struct line {
	struct address from, to, target;
	uint8_t our_mac[6], by[6], eth[6], option_mac[6];
	bool eth_set, option;
	unsigned protocol, type, flags, hops, tos, id, sequence, cut;
	size_t len;
	bool fragment, more, more_set;
	size_t first, end;
	struct header outer[HEADERS_MAX], inner[HEADERS_MAX];
	unsigned outers, inners, patches;
	struct bytes options;
	struct patch patch[HEADERS_MAX];
	char *const *word;
	unsigned words, at;
	const char *wrong;
};

static const char *next_word(struct line *l)
{
	if (l->at < l->words)
		return l->word[l->at++];
	l->wrong = "a word is missing";
	return "";
}

static unsigned number(struct line *l)
{
	const char *w = next_word(l);
	char *end;
	const unsigned long n = strtoul(w, &end, 0);

	if (*end || end == w)
		l->wrong = "not a number";
	return (unsigned)n;
}

static void address(struct line *l, struct address *a)
{
	const char *w = next_word(l);

	a->v4 = strchr(w, ':') == NULL;
	if (inet_pton(a->v4 ? AF_INET : AF_INET6, w, a->b) != 1)
		l->wrong = "not an address";
}

static void mac(struct line *l, uint8_t out[6])
{
	if (!read_mac(next_word(l), out))
		l->wrong = "not a MAC address";
}

static void literal(struct line *l, const char *wanted)
{
	if (strcmp(next_word(l), wanted) != 0)
		l->wrong = "another word belongs here";
}

static void hex(struct line *l, struct bytes *out)
{
	if (!read_hex(next_word(l), out))
		l->wrong = "not hex";
}

/* TYPE:HEX */
static void header(struct line *l, struct header *all, unsigned *n)
{
	const char *w = next_word(l), *colon = strchr(w, ':');

	if (*n == HEADERS_MAX || !colon || !read_hex(colon + 1, &all[*n].bytes) || all[*n].bytes.n == 0) {
		l->wrong = "not a header, or one too many";
		return;
	}
	all[(*n)++].type = (unsigned)strtoul(w, NULL, 10);
}

static void patch(struct line *l, bool last)
{
	struct patch *p = &l->patch[l->patches];

	if (l->patches == HEADERS_MAX) {
		l->wrong = "too many patches";
		return;
	}
	l->patches++;
	p->last = last;
	p->at = number(l);
	hex(l, &p->bytes);
}

static void range(struct line *l)
{
	unsigned first, end;

	if (sscanf(next_word(l), "%u-%u", &first, &end) != 2 || first > end)
		l->wrong = "not a range";
	l->fragment = true;
	l->first = first;
	l->end = end;
}

static void flags(struct line *l)
{
	for (const char *w = next_word(l); *w; w++)
		l->flags |= *w == 'R' ? 0x80 : *w == 'S' ? 0x40 : *w == 'O' ? 0x20 : 0u;
}

/* What every frame may have, in any order. */
static void modifiers(struct line *l)
{
	while (l->at < l->words && !l->wrong) {
		const char *w = next_word(l);

		if (!strcmp(w, "by"))
			mac(l, l->by);
		else if (!strcmp(w, "eth")) {
			mac(l, l->eth);
			l->eth_set = true;
		} else if (!strcmp(w, "mac")) {
			mac(l, l->option_mac);
			l->option = true;
		} else if (!strcmp(w, "flags"))
			flags(l);
		else if (!strcmp(w, "len"))
			l->len = number(l);
		else if (!strcmp(w, "seq"))
			l->sequence = number(l);
		else if (!strcmp(w, "hops"))
			l->hops = number(l);
		else if (!strcmp(w, "tos"))
			l->tos = number(l);
		else if (!strcmp(w, "id"))
			l->id = number(l);
		else if (!strcmp(w, "bytes"))
			range(l);
		else if (!strcmp(w, "more") || !strcmp(w, "last")) {
			l->more = w[0] == 'm';
			l->more_set = true;
		} else if (!strcmp(w, "options"))
			hex(l, &l->options);
		else if (!strcmp(w, "header"))
			header(l, l->outer, &l->outers);
		else if (!strcmp(w, "inner"))
			header(l, l->inner, &l->inners);
		else if (!strcmp(w, "set"))
			patch(l, false);
		else if (!strcmp(w, "break"))
			patch(l, true);
		else if (!strcmp(w, "cut"))
			l->cut = number(l);
		else
			l->wrong = "a word that is not known";
	}
}

/* ---- making frames ---- */

static void eth(struct bytes *f, const struct line *l, const uint8_t fallback[6], unsigned type)
{
	put(f, l->eth_set ? l->eth : fallback, 6);
	put(f, l->by, 6);
	put16(f, type);
}

static void arp(struct bytes *f, struct line *l)
{
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255}, nobody[6] = {0};
	const char *first = next_word(l);
	bool asks = !strcmp(first, "who-has");

	if (!asks)
		l->at--;
	address(l, asks ? &l->to : &l->from);
	literal(l, asks ? "tell" : "is-at");
	if (asks) {
		address(l, &l->from);
	} else {
		mac(l, l->by);
		literal(l, "to");
		address(l, &l->to);
	}
	modifiers(l);
	eth(f, l, asks ? all : l->our_mac, 0x0806);
	put(f, "\0\1\x08\0\6\4\0", 7);
	put8(f, asks ? 1 : 2);
	put(f, l->by, 6);
	put(f, l->from.b, 4);
	put(f, asks ? nobody : l->our_mac, 6);
	put(f, l->to.b, 4);
}

static uint32_t pseudo(const struct line *l, size_t n)
{
	const size_t bytes = l->from.v4 ? 4 : 16;
	const uint8_t tail[4] = {(uint8_t)(n >> 8), (uint8_t)n, 0, (uint8_t)l->protocol};

	if (l->protocol == ICMP)
		return 0;
	return sum(sum(sum(0, l->from.b, bytes), l->to.b, bytes), tail, 4);
}

static void seal(const struct line *l, struct bytes *message, size_t at)
{
	set16(message->b + at, 0);
	set16(message->b + at, ~sum(pseudo(l, message->n), message->b, message->n) & 0xffff);
}

static void nd_message(struct bytes *m, const struct line *l)
{
	put8(m, l->type);
	put8(m, 0);
	put16(m, 0);
	put32(m, l->flags << 24);
	put(m, l->target.b, 16);
	if (l->option) {
		put8(m, l->type == NS ? 1 : 2);
		put8(m, 1);
		put(m, l->option_mac, 6);
	}
	seal(l, m, 2);
}

static void pattern(struct bytes *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put8(m, (unsigned)(i * 7 + i / 251));
}

static void echo_message(struct bytes *m, const struct line *l)
{
	put8(m, l->from.v4 ? ECHO4 : ECHO6);
	put8(m, 0);
	put16(m, 0);
	put16(m, 77);
	put16(m, l->sequence);
	pattern(m, l->len);
	seal(l, m, 2);
}

static void tcp_message(struct bytes *m, const struct line *l)
{
	put16(m, 40000);
	put16(m, 80);
	put(m, "\1\2\3\4\0\0\0\0\x50\2\xff\xff\0\0\0\0", 16);
	pattern(m, l->len);
	seal(l, m, 16);
}

static void udp_message(struct bytes *m, const struct line *l)
{
	put16(m, 40000);
	put16(m, 80);
	put16(m, (unsigned)(8 + l->len));
	put16(m, 0);
	pattern(m, l->len);
	seal(l, m, 6);
}

static void chain(struct bytes *f, const struct header *h, unsigned n, unsigned last)
{
	for (unsigned i = 0; i < n; i++) {
		put8(f, i + 1 < n ? h[i + 1].type : last);
		put(f, h[i].bytes.b + 1, h[i].bytes.n - 1);
	}
}

/* What of the message goes into this frame, its fragment header included over IPv6; *next: the type of what it begins with. */
static void payload(struct bytes *out, struct line *l, const struct bytes *message, unsigned *next)
{
	struct bytes whole = {.n = 0};

	*next = l->inners > 0 ? l->inner[0].type : l->protocol;
	chain(&whole, l->inner, l->inners, l->protocol);
	put(&whole, message->b, message->n);
	if (!l->fragment) {
		put(out, whole.b, whole.n);
		return;
	}
	if (!l->more_set)
		l->more = l->end < whole.n;
	if (!l->from.v4) {
		put8(out, *next);
		put8(out, 0);
		put16(out, (unsigned)l->first | l->more);
		put32(out, l->id);
		*next = FRAGMENT;
	}
	/* Far behind the message's end any bytes will do. */
	put(out, whole.b + l->first % (sizeof(whole.b) / 2), l->end - l->first);
}

static void ip4(struct bytes *f, const struct line *l, const struct bytes *part)
{
	const size_t header = IP4 + (l->options.n + 3) / 4 * 4;

	put8(f, 0x40 | (unsigned)header / 4);
	put8(f, l->tos);
	put16(f, (unsigned)(header + part->n));
	put16(f, l->id & 0xffff);
	put16(f, l->fragment ? (unsigned)l->first / 8 | (l->more ? MORE4 : 0u) : 0);
	put8(f, l->hops);
	put8(f, l->protocol);
	put16(f, 0);
	put(f, l->from.b, 4);
	put(f, l->to.b, 4);
	put(f, l->options.b, l->options.n);
	while (f->n < ETH + header)
		put8(f, 0);
	put(f, part->b, part->n);
}

static void ip6(struct bytes *f, const struct line *l, const struct bytes *part, unsigned next)
{
	size_t outer = 0;

	for (unsigned i = 0; i < l->outers; i++)
		outer += l->outer[i].bytes.n;
	put32(f, UINT32_C(6) << 28 | l->tos << 20);
	put16(f, (unsigned)(outer + part->n));
	put8(f, l->outers > 0 ? l->outer[0].type : next);
	put8(f, l->hops);
	put(f, l->from.b, 16);
	put(f, l->to.b, 16);
	chain(f, l->outer, l->outers, next);
	put(f, part->b, part->n);
}

static void apply_patches(struct bytes *f, const struct line *l, bool last)
{
	for (unsigned i = 0; i < l->patches; i++) {
		const struct patch *p = &l->patch[i];

		if (p->last == last && ETH + p->at + p->bytes.n <= sizeof(f->b))
			memcpy(f->b + ETH + p->at, p->bytes.b, p->bytes.n);
	}
}

static void ip(struct bytes *f, struct line *l, const struct bytes *message)
{
	const uint8_t group[6] = {0x33, 0x33, l->to.b[12], l->to.b[13], l->to.b[14], l->to.b[15]};
	struct bytes part = {.n = 0};
	unsigned next;

	eth(f, l, !l->to.v4 && l->to.b[0] == 0xff ? group : l->our_mac, l->from.v4 ? 0x0800 : 0x86dd);
	payload(&part, l, message, &next);
	if (l->from.v4)
		ip4(f, l, &part);
	else
		ip6(f, l, &part, next);
	apply_patches(f, l, false);
	if (l->from.v4) {
		const size_t header = (f->b[ETH] & 15u) * 4;

		set16(f->b + ETH + 10, ~sum(0, f->b + ETH, header) & 0xffff);
	}
	apply_patches(f, l, true);
}

/* FROM > TO */
static void ends(struct line *l)
{
	address(l, &l->from);
	literal(l, ">");
	address(l, &l->to);
	if (!l->wrong && l->from.v4 != l->to.v4)
		l->wrong = "addresses of two families";
}

static void nd(struct bytes *f, struct line *l)
{
	struct bytes message = {.n = 0};

	l->type = !strcmp(l->word[0], "ns") ? NS : NA;
	l->protocol = ICMP6;
	l->hops = 255;
	address(l, &l->target);
	literal(l, "from");
	address(l, &l->from);
	literal(l, "to");
	address(l, &l->to);
	modifiers(l);
	nd_message(&message, l);
	ip(f, l, &message);
}

static void datagram(struct bytes *f, struct line *l)
{
	struct bytes message = {.n = 0};
	const char *kind = l->word[0];

	if (!strcmp(kind, "protocol"))
		l->protocol = number(l);
	ends(l);
	l->protocol = !strcmp(kind, "echo") ? (l->from.v4 ? ICMP : ICMP6)
	              : !strcmp(kind, "tcp") ? TCP
	              : !strcmp(kind, "udp") ? UDP
	                                     : l->protocol;
	modifiers(l);
	if (!strcmp(kind, "echo"))
		echo_message(&message, l);
	else if (!strcmp(kind, "tcp"))
		tcp_message(&message, l);
	else if (!strcmp(kind, "udp"))
		udp_message(&message, l);
	else
		pattern(&message, l->len);
	ip(f, l, &message);
}

const char *frame_of_words(struct frame *out, char *const *word, unsigned words)
{
	static const char *const datagrams[] = {"echo", "tcp", "udp", "protocol"};
	static struct line l;
	struct bytes f = {.n = 0};

	l = (struct line){.word = word, .words = words, .at = 1, .hops = 64, .len = 8};
	read_mac(OUR_MAC, l.our_mac);
	read_mac(THEIR_MAC, l.by);
	if (words == 0)
		return "no frame";
	if (!strcmp(word[0], "arp")) {
		arp(&f, &l);
	} else if (!strcmp(word[0], "ns") || !strcmp(word[0], "na")) {
		nd(&f, &l);
	} else {
		l.wrong = "a kind of frame that is not known";
		for (unsigned i = 0; i < 4; i++) {
			if (strcmp(word[0], datagrams[i]) != 0)
				continue;
			l.wrong = NULL;
			datagram(&f, &l);
		}
	}
	memcpy(out->b, f.b, f.n);
	out->n = l.cut > 0 && l.cut < f.n ? l.cut : f.n;
	return l.wrong;
}

/* ---- frames as text ---- */

struct text {
	char *at;
	size_t left;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(t->at, t->left, format, list);
	va_end(list);
	if (n > 0 && (size_t)n < t->left) {
		t->at += n;
		t->left -= (size_t)n;
	}
}

static const char *mac_text(const uint8_t *b)
{
	static char text[4][18];
	static unsigned turn;
	char *t = text[turn++ % 4];

	snprintf(t, 18, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return t;
}

static const char *address_text(const uint8_t *b, bool v4)
{
	static char text[4][INET6_ADDRSTRLEN];
	static unsigned turn;
	char *t = text[turn++ % 4];

	inet_ntop(v4 ? AF_INET : AF_INET6, b, t, INET6_ADDRSTRLEN);
	return t;
}

/* Ethernet's destination is only told when it is not the one that belongs to the frame. */
static void print_eth(struct text *t, const uint8_t *b, const uint8_t expected[6])
{
	if (memcmp(b, expected, 6) != 0)
		say(t, " eth %s", mac_text(b));
}

static void print_arp(struct text *t, const struct frame *f)
{
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
	const uint8_t *h = f->b + ETH;

	if (f->n < ETH + 28 || memcmp(h, "\0\1\x08\0\6\4\0", 7) != 0 || memcmp(h + 8, f->b + 6, 6) != 0)
		say(t, "an ARP packet that is malformed, or from two MAC addresses");
	else if (h[7] == 1)
		say(t, "arp who-has %s tell %s", address_text(h + 24, true), address_text(h + 14, true));
	else
		say(t, "arp %s is-at %s to %s", address_text(h + 14, true), mac_text(h + 8), address_text(h + 24, true));
	print_eth(t, f->b, h[7] == 1 ? all : h + 18);
}

static void print_nd(struct text *t, const uint8_t *m, size_t n, const uint8_t *ip)
{
	say(t, "%s %s from %s to %s", m[0] == NS ? "ns" : "na", address_text(m + 8, false), address_text(ip + 8, false),
	    address_text(ip + 24, false));
	if (m[4] != 0)
		say(t, " flags %s%s%s", m[4] & 0x80 ? "R" : "", m[4] & 0x40 ? "S" : "", m[4] & 0x20 ? "O" : "");
	if (n == 32 && m[24] == (m[0] == NS ? 1 : 2) && m[25] == 1)
		say(t, " mac %s", mac_text(m + 26));
	else if (n != 24)
		say(t, " with an option that does not belong there");
	if (ip[7] != 255)
		say(t, " hops %u", ip[7]);
}

static void print_message(struct text *t, const uint8_t *m, size_t n, const uint8_t *ip, bool v4, unsigned protocol)
{
	const char *from = address_text(ip + (v4 ? 12 : 8), v4), *to = address_text(ip + (v4 ? 16 : 24), v4);
	const unsigned rest = n >= 8 ? get16(m + 4) << 16 | get16(m + 6) : 0;

	if (protocol == TCP)
		say(t, "tcp %s > %s len %zu", from, to, n - 20);
	else if (protocol != (v4 ? ICMP : ICMP6))
		say(t, "protocol %u %s > %s len %zu", protocol, from, to, n);
	else if (m[0] == (v4 ? 0 : 129))
		say(t, "echo-reply %s > %s len %zu seq %u", from, to, n - 8, rest & 0xffff);
	else
		say(t, "icmp %u %u %s > %s%s", m[0], m[1], from, to, rest != 0 ? " rest " : "");
	if (protocol != TCP && m[0] != (v4 ? 0 : 129) && rest != 0)
		say(t, "%08x", rest);
}

static bool message_right(const uint8_t *m, size_t n, const uint8_t *ip, bool v4, unsigned protocol)
{
	struct line l = {.protocol = protocol, .from = {.v4 = v4}};

	memcpy(l.from.b, ip + (v4 ? 12 : 8), v4 ? 4 : 16);
	memcpy(l.to.b, ip + (v4 ? 16 : 24), v4 ? 4 : 16);
	return n >= 8 && sum(pseudo(&l, n), m, n) == 0xffff;
}

static void print_ip(struct text *t, const struct frame *f, bool v4)
{
	const uint8_t *ip = f->b + ETH;
	const size_t header = v4 ? IP4 : IP6, total = v4 ? get16(ip + 2) : IP6 + get16(ip + 4);
	const unsigned protocol = v4 ? ip[9] : ip[6];
	const uint8_t group[6] = {0x33, 0x33, ip[36], ip[37], ip[38], ip[39]};
	uint8_t theirs[6];

	read_mac(THEIR_MAC, theirs);
	if (f->n < ETH + header || total != f->n - ETH || (v4 && (ip[0] != 0x45 || sum(0, ip, IP4) != 0xffff))) {
		say(t, "a datagram with a wrong header");
		return;
	}
	if (protocol == FRAGMENT || (v4 && (get16(ip + 6) & 0x3fff) != 0)) {
		say(t, "a fragment");
		return;
	}
	if (!message_right(ip + header, total - header, ip, v4, protocol)) {
		say(t, "a message with a wrong checksum");
		return;
	}
	if (!v4 && protocol == ICMP6 && (ip[header] == NS || ip[header] == NA))
		print_nd(t, ip + header, total - header, ip);
	else
		print_message(t, ip + header, total - header, ip, v4, protocol);
	print_eth(t, f->b, !v4 && ip[24] == 0xff ? group : theirs);
}

void frame_print(const struct frame *f, char text[static FRAME_TEXT_MAX])
{
	struct text t = {text, FRAME_TEXT_MAX};
	uint8_t ours[6];

	text[0] = 0;
	read_mac(OUR_MAC, ours);
	if (f->n < ETH || memcmp(f->b + 6, ours, 6) != 0)
		say(&t, "a frame from another MAC address than ours");
	else if (get16(f->b + 12) == 0x0806)
		print_arp(&t, f);
	else if (get16(f->b + 12) == 0x0800 || get16(f->b + 12) == 0x86dd)
		print_ip(&t, f, f->b[12] == 0x08);
	else
		say(&t, "a frame of another protocol");
}
