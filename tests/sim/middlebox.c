#include "tests/sim/middlebox.h"

enum { ETH = 14, IP4 = 20, IP6 = 40, PROTOCOL_TCP = 6, SYN = 2, TCP_MIN = 20, OPTION_END = 0, OPTION_NOP = 1, KINDS = 32 };

/* The TCP header of a segment with SYN, or null. */
static uint8_t *syn(uint8_t *f, uint32_t n)
{
	uint8_t *tcp = 0;

	if (n >= ETH + IP4 + TCP_MIN && f[12] == 0x08 && f[13] == 0x00 && f[ETH + 9] == PROTOCOL_TCP)
		tcp = f + ETH + IP4;
	else if (n >= ETH + IP6 + TCP_MIN && f[12] == 0x86 && f[13] == 0xdd && f[ETH + 6] == PROTOCOL_TCP)
		tcp = f + ETH + IP6;
	return tcp && (tcp[13] & SYN) != 0 && tcp + (tcp[12] >> 4) * 4 <= f + n ? tcp : 0;
}

/* One byte of the TCP header changes. */
static void put(uint8_t *tcp, uint32_t at, uint8_t value)
{
	const uint32_t shift = at % 2 ? 0 : 8;
	uint32_t sum = (uint16_t)~(uint32_t)(tcp[16] << 8 | tcp[17]);

	sum += (uint16_t)~((uint32_t)tcp[at] << shift) + ((uint32_t)value << shift);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	tcp[16] = (uint8_t)(~sum >> 8);
	tcp[17] = (uint8_t)~sum;
	tcp[at] = value;
}

void middlebox_strip(uint8_t *frame, uint32_t n, uint32_t kinds)
{
	uint8_t *tcp = syn(frame, n);
	const uint32_t end = tcp ? (uint32_t)(tcp[12] >> 4) * 4 : 0;

	for (uint32_t at = TCP_MIN; at + 1 < end && tcp[at] != OPTION_END;) {
		const uint8_t kind = tcp[at];
		uint32_t bytes = kind == OPTION_NOP || tcp[at + 1] == 0 ? 1 : tcp[at + 1];

		for (; bytes > 0 && at < end; bytes--, at++)
			if (kind < KINDS && (kinds & 1u << kind) != 0)
				put(tcp, at, OPTION_NOP);
	}
}
