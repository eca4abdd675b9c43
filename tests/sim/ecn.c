#include "tests/sim/ecn.h"

#include <inttypes.h>
#include <string.h>

enum { ETH = 14, IP4 = 20, IP6 = 40, TCP = 6, SYN = 2, RST = 4, ECE = 0x40, CWR = 0x80, CE = 3, HEARD = 12 };

static bool is_ip4(const uint8_t *f, uint32_t n)
{
	return n >= ETH + IP4 && f[12] == 0x08 && f[13] == 0x00;
}

static bool is_ip6(const uint8_t *f, uint32_t n)
{
	return n >= ETH + IP6 && f[12] == 0x86 && f[13] == 0xdd;
}

static void ip4_checksum(uint8_t *ip)
{
	uint32_t sum = 0;

	ip[10] = ip[11] = 0;
	for (unsigned i = 0; i < IP4; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

bool ecn_mark(uint8_t *f, uint32_t n)
{
	if (is_ip4(f, n) && (f[ETH + 1] & CE) != 0) {
		f[ETH + 1] |= CE;
		ip4_checksum(f + ETH);
		return true;
	}
	if (is_ip6(f, n) && (f[ETH + 1] >> 4 & CE) != 0) {
		f[ETH + 1] |= CE << 4;
		return true;
	}
	return false;
}

/* The TCP header, or null; *bits: of the IP header; *payload: bytes behind the TCP header. */
static const uint8_t *tcp_of(const uint8_t *f, uint32_t n, uint8_t *bits, uint32_t *payload)
{
	const uint8_t *ip = f + ETH, *tcp;
	uint32_t total;

	if (is_ip4(f, n) && ip[9] == TCP) {
		*bits = ip[1] & CE;
		total = (uint32_t)(ip[2] << 8 | ip[3]) - IP4;
		tcp = ip + IP4;
	} else if (is_ip6(f, n) && ip[6] == TCP) {
		*bits = ip[1] >> 4 & CE;
		total = (uint32_t)(ip[4] << 8 | ip[5]);
		tcp = ip + IP6;
	} else {
		return NULL;
	}
	*payload = total - (uint32_t)(tcp[12] >> 4) * 4;
	return tcp;
}

void ecn_see(void *watch, const uint8_t *frame, uint32_t n)
{
	struct ecn_watch *w = watch;
	struct ecn_side *side = &w->sides[frame[11] == 2];
	uint32_t payload;
	uint8_t bits;
	const uint8_t *tcp = tcp_of(frame, n, &bits, &payload);

	if (!tcp)
		return;
	if (bits == CE)
		sim_fail(w->sim, "a stack marks its own segment");
	if (bits != 0 && (payload == 0 || tcp[13] & (SYN | RST)))
		sim_fail(w->sim, "a segment without data, or a SYN or RST, is ECT");
	if (tcp[13] & SYN)
		return;
	side->ect += bits != 0;
	side->ece += (tcp[13] & ECE) != 0;
	side->cwr += (tcp[13] & CWR) != 0;
}

void ecn_hear(void *watch, const uint8_t *frame, uint32_t n)
{
	struct ecn_watch *w = watch;
	const unsigned side = frame[5] == 2;
	uint32_t payload;
	uint8_t bits;
	const uint8_t *tcp = tcp_of(frame, n, &bits, &payload);

	if (!tcp || tcp[13] & SYN || !(tcp[13] & ECE))
		return;
	w->sides[side].told += w->lives(w->arg, side, (uint16_t)(tcp[2] << 8 | tcp[3]), (uint16_t)(tcp[0] << 8 | tcp[1]));
}

void ecn_check(struct ecn_watch *w, unsigned side, const struct counters *own, const struct counters *peer)
{
	const struct ecn_side *mine = &w->sides[side], *theirs = &w->sides[!side];
	const uint64_t reduced = own->cell[C_tcp_ecn_reduced];
	const uint64_t losses = own->cell[C_tcp_rto] + own->cell[C_tcp_fast_retransmits];

	if (mine->ect == 0 && peer->cell[C_tcp_ecn_marked] > 0)
		sim_fail(w->sim, "side %u counts marks of what was never ECT", !side);
	if (theirs->ece > 0 && peer->cell[C_tcp_ecn_marked] == 0)
		sim_fail(w->sim, "side %u tells of marks that it has not seen", !side);
	if (mine->told >= HEARD && reduced + losses == 0)
		sim_fail(w->sim, "side %u was told of marks %" PRIu64 " times and has not reduced its window", side, mine->told);
	if (reduced >= HEARD && mine->cwr == 0)
		sim_fail(w->sim, "side %u reduced its window %" PRIu64 " times and never said so", side, reduced);
}
