#include "tests/wire/codec.h"

#include <string.h>

static size_t put(uint8_t *out, size_t at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[at + i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
	return at + bytes;
}

static uint32_t get(const uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

static uint32_t sum16(uint32_t sum, const uint8_t *at, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	if (n & 1)
		sum += (uint32_t)(at[n - 1] << 8);
	return sum;
}

/* One's complement over the pseudo header and the segment, by 16-bit words, as the RFC says it. */
static uint16_t checksum(const struct addr *from, const struct addr *to, const uint8_t *segment, size_t n)
{
	const bool v4 = addr_is_v4(from);
	uint32_t sum = sum16(0, from->b + (v4 ? 12 : 0), v4 ? 4 : 16);

	sum = sum16(sum, to->b + (v4 ? 12 : 0), v4 ? 4 : 16);
	sum += (uint32_t)n + 6;
	sum = sum16(sum, segment, n);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t options(const struct wire_segment *s, uint8_t *out, size_t at)
{
	memcpy(out + at, s->raw_options, s->raw_bytes);
	at += s->raw_bytes;
	if (s->has_mss) {
		at = put(out, at, 2 << 8 | 4, 2);
		at = put(out, at, s->mss, 2);
	}
	if (s->sack_ok)
		at = put(out, at, 4 << 8 | 2, 2);
	if (s->has_scale)
		at = put(out, at, (uint32_t)(3 << 16 | 3 << 8 | s->scale), 3);
	if (s->has_ts) {
		at = put(out, at, 8 << 8 | 10, 2);
		at = put(out, at, s->tsval, 4);
		at = put(out, at, s->tsecr, 4);
	}
	if (s->blocks)
		at = put(out, at, 5 << 8 | (2 + 8 * s->blocks), 2);
	for (unsigned i = 0; i < s->blocks; i++) {
		at = put(out, at, s->block[i].left, 4);
		at = put(out, at, s->block[i].right, 4);
	}
	while (at % 4)
		out[at++] = 1;
	return at;
}

size_t wire_encode(const struct wire_segment *s, const struct addr *from, const struct addr *to, uint8_t *out,
                   size_t max)
{
	size_t at = 0, header;

	if (max < 20 + 40 + (size_t)s->len + s->raw_bytes)
		return 0;
	at = put(out, at, s->source, 2);
	at = put(out, at, s->destination, 2);
	at = put(out, at, s->seq, 4);
	at = put(out, at, s->ack, 4);
	at = put(out, at, 0, 1);
	at = put(out, at, s->flags, 1);
	at = put(out, at, s->window, 2);
	at = put(out, at, 0, 4);
	header = at = options(s, out, at);
	out[12] = (uint8_t)((s->offset_words ? s->offset_words : header / 4) << 4);
	if (s->len)
		memcpy(out + at, s->payload, s->len);
	at += s->len;
	put(out, 16, checksum(from, to, out, at) ^ (s->bad_checksum ? 0x1000u : 0u), 2);
	return at;
}

static const char *blocks(struct wire_segment *s, const uint8_t *at, unsigned size)
{
	if (size < 10 || (size - 2) % 8 != 0 || s->blocks)
		return "SACK option of a wrong size, or a second one";
	s->blocks = (size - 2) / 8;
	for (unsigned i = 0; i < s->blocks; i++)
		s->block[i] = (struct wire_block){get(at + 2 + 8 * i, 4), get(at + 6 + 8 * i, 4)};
	return NULL;
}

static const char *option(struct wire_segment *s, const uint8_t *at, unsigned size)
{
	switch (at[0]) {
	case 2:
		s->has_mss = true;
		s->mss = (uint16_t)get(at + 2, 2);
		return size == 4 ? NULL : "MSS option of a wrong size";
	case 3:
		s->has_scale = true;
		s->scale = at[2];
		return size == 3 ? NULL : "window scale option of a wrong size";
	case 4:
		s->sack_ok = true;
		return size == 2 ? NULL : "SACK-permitted option of a wrong size";
	case 5:
		return blocks(s, at, size);
	case 8:
		s->has_ts = true;
		s->tsval = get(at + 2, 4);
		s->tsecr = get(at + 6, 4);
		return size == 10 ? NULL : "timestamp option of a wrong size";
	default:
		return "an option that nobody asked for";
	}
}

const char *wire_decode(struct wire_segment *s, const uint8_t *bytes, size_t n)
{
	size_t header, at = 20;

	memset(s, 0, sizeof(*s));
	if (n < 20)
		return "shorter than a header";
	header = (size_t)(bytes[12] >> 4) * 4;
	if (header < 20 || header > n)
		return "data offset out of the segment";
	if (bytes[12] & 15)
		return "reserved bits set";
	if (get(bytes + 18, 2) != 0)
		return "urgent pointer set";
	s->source = (uint16_t)get(bytes, 2);
	s->destination = (uint16_t)get(bytes + 2, 2);
	s->seq = get(bytes + 4, 4);
	s->ack = get(bytes + 8, 4);
	s->flags = bytes[13];
	s->window = (uint16_t)get(bytes + 14, 2);
	if (!(s->flags & FLAG_A) && s->ack != 0)
		return "an acknowledgment number without ACK";
	while (at < header && bytes[at] != 0) {
		const char *wrong;

		if (bytes[at] == 1) {
			at++;
			continue;
		}
		if (at + 1 >= header || bytes[at + 1] < 2 || at + bytes[at + 1] > header)
			return "an option that leaves the header";
		wrong = option(s, bytes + at, bytes[at + 1]);
		if (wrong)
			return wrong;
		at += bytes[at + 1];
	}
	s->payload = bytes + header;
	s->len = (unsigned)(n - header);
	return NULL;
}
