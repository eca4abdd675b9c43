/*
 * Chunked bodies (RFC 9112, 7.1), strictly:
 *
 *     1*16HEXDIG [ ";" extension ] CR LF  size bytes  CR LF  ...  1*16"0" [ ";" extension ] CR LF  trailers
 *
 * No white space around the size, no sign, no "0x", no line that ends with LF alone. Extensions are skipped and
 * counted: they have no meaning to us, and are a way to send for ever.
 */
#include "http/h1.h"

enum { DIGITS_MAX = 16 };

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum err size_digit(struct h1_chunk *c, char b)
{
	const int digit = hex(b);

	if (digit < 0 || c->digits == DIGITS_MAX || c->left >> 56)
		return ERR_HTTP_FRAMING;
	c->left = c->left << 4 | (unsigned)digit;
	c->digits++;
	c->state = CHUNK_SIZE;
	return OK;
}

static enum err extension(struct h1_chunk *c, char b)
{
	const unsigned char u = (unsigned char)b;

	if (b == '\r') {
		c->state = CHUNK_SIZE_LF;
		return OK;
	}
	if ((u < 0x20 && b != '\t') || u == 0x7f)
		return ERR_HTTP_SYNTAX;
	return ++c->extension_bytes > LIMIT_http_chunk_extension ? ERR_HTTP_FRAMING : OK;
}

static enum err expect(struct h1_chunk *c, char b, char wanted, enum h1_chunk_state next)
{
	c->state = (uint8_t)next;
	return b == wanted ? OK : ERR_HTTP_FRAMING;
}

static enum err step(struct h1_chunk *c, char b)
{
	switch ((enum h1_chunk_state)c->state) {
	case CHUNK_SIZE_FIRST:
		c->left = 0;
		c->digits = 0;
		return size_digit(c, b);
	case CHUNK_SIZE:
		if (b == '\r')
			return expect(c, b, '\r', CHUNK_SIZE_LF);
		if (b != ';')
			return size_digit(c, b);
		c->state = CHUNK_EXTENSION;
		return extension(c, b);
	case CHUNK_EXTENSION:
		return extension(c, b);
	case CHUNK_SIZE_LF:
		return expect(c, b, '\n', CHUNK_DATA);
	case CHUNK_DATA_CR:
		return expect(c, b, '\r', CHUNK_DATA_LF);
	case CHUNK_DATA_LF:
		return expect(c, b, '\n', CHUNK_SIZE_FIRST);
	case CHUNK_DATA:
		break;
	}
	return ERR_BUG;
}

enum err h1_chunk(struct h1_chunk *c, const char *text, uint32_t len, uint32_t *framing, uint32_t *body)
{
	uint32_t at = 0;

	*body = 0;
	while (at < len && c->state != CHUNK_DATA) {
		enum err e = step(c, text[at]);

		if (e)
			return e;
		at++;
	}
	*framing = at;
	if (c->state != CHUNK_DATA)
		return ERR_AGAIN;
	if (c->left == 0)
		return OK;
	*body = c->left < len - at ? (uint32_t)c->left : len - at;
	c->left -= *body;
	if (c->left == 0)
		c->state = CHUNK_DATA_CR;
	return *body ? OK : ERR_AGAIN;
}
