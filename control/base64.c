/* See base64.h. Four characters carry three bytes; what is missing at the end is shown by '='. */
#include "control/base64.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *bytes, size_t n)
{
	const uint8_t *in = bytes;
	char *text = malloc((n + 2) / 3 * 4 + 1), *out = text;

	CHECK(text);
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t word =
			(uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);

		*out++ = alphabet[word >> 18];
		*out++ = alphabet[word >> 12 & 63];
		*out++ = left > 1 ? alphabet[word >> 6 & 63] : '=';
		*out++ = left > 2 ? alphabet[word & 63] : '=';
	}
	*out = 0;
	return text;
}

static int value_of(char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* One group; returns the bytes it carried, or 0 when it is wrong. */
static size_t decode_group(const char *in, bool last, uint8_t *out)
{
	int v[4];
	size_t carried = 3;

	if (last && in[3] == '=')
		carried = in[2] == '=' ? 1 : 2;
	for (size_t i = 0; i < 4; i++) {
		v[i] = i <= carried ? value_of(in[i]) : 0;
		if (v[i] < 0)
			return 0;
	}
	uint32_t word = (uint32_t)v[0] << 18 | (uint32_t)v[1] << 12 | (uint32_t)v[2] << 6 | (uint32_t)v[3];

	out[0] = (uint8_t)(word >> 16);
	out[1] = (uint8_t)(word >> 8);
	out[2] = (uint8_t)word;
	/* Bits beyond the last byte must be zero, so that every value has one text. */
	return (carried == 1 && (word & 0xffff)) || (carried == 2 && (word & 0xff)) ? 0 : carried;
}

enum err base64_decode(const char *text, size_t length, char **bytes, size_t *n)
{
	uint8_t *out = malloc(length / 4 * 3 + 4);
	size_t at = 0;

	CHECK(out);
	if (length % 4 != 0)
		goto wrong;
	for (size_t i = 0; i < length; i += 4) {
		size_t carried = decode_group(text + i, i + 4 == length, out + at);

		if (carried == 0)
			goto wrong;
		at += carried;
	}
	out[at] = 0;
	*bytes = (char *)out;
	*n = at;
	return OK;
wrong:
	free(out);
	return ERR_INVALID;
}
