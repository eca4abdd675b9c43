#include "tests/sim/wire.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static bool wrong(struct wire *r, const char *what)
{
	char shown[64];
	unsigned n = 0;

	for (uint32_t i = 0; i < r->text_n && n < sizeof(shown) - 1; i++)
		shown[n++] = (char)(isprint((unsigned char)r->text[i]) ? r->text[i] : '.');
	shown[n] = '\0';
	snprintf(r->why, sizeof(r->why), "%s: %s", what, shown);
	return false;
}

void wire_init(struct wire *r, bool requests, const struct wire_ops *ops, void *user)
{
	memset(r, 0, sizeof(*r));
	r->requests = requests;
	r->ops = ops;
	r->user = user;
}

const char *wire_find(const struct wire *r, const char *name)
{
	for (unsigned i = 0; i < r->fields_n; i++)
		if (!strcmp(r->fields[i].name, name))
			return r->fields[i].value;
	return NULL;
}

unsigned wire_count(const struct wire *r, const char *name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->fields_n; i++)
		n += !strcmp(r->fields[i].name, name);
	return n;
}

/* ---- heads ---- */

static bool is_token(const char *at, const char *end)
{
	for (const char *c = at; c < end; c++)
		if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-.^_`|~", *c))
			return false;
	return at < end;
}

/* Ends the line at `at` with NUL and returns the next one; null: it does not end with CR LF, or holds control bytes. */
static char *take_line(char *at, char *end)
{
	for (char *c = at; c + 1 < end; c++) {
		const unsigned char b = (unsigned char)*c;

		if (b == '\r' && c[1] == '\n') {
			*c = '\0';
			return c + 2;
		}
		if ((b < 0x20 && b != '\t') || b == 0x7f)
			return NULL;
	}
	return NULL;
}

/* name ":" SP value, up to the empty line at `end` - 2. */
static bool read_fields(struct wire *r, char *at, char *end)
{
	r->fields_n = 0;
	while (end - at > 2) {
		char *next = take_line(at, end), *colon = next ? strchr(at, ':') : NULL, *value;

		if (!colon || !is_token(at, colon) || r->fields_n == WIRE_FIELDS)
			return wrong(r, "a malformed field");
		*colon = '\0';
		for (char *c = at; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		for (value = colon + 1; *value == ' ' || *value == '\t'; value++)
			;
		r->fields[r->fields_n++] = (struct wire_field){at, value};
		at = next;
	}
	return true;
}

static bool read_framing(struct wire *r)
{
	const char *length = wire_find(r, "content-length"), *coding = wire_find(r, "transfer-encoding");

	r->chunked = coding != NULL;
	r->has_length = length != NULL;
	r->length = 0;
	if (wire_count(r, "content-length") > 1 || wire_count(r, "transfer-encoding") > 1 || (length && coding))
		return wrong(r, "framed twice");
	if (coding && strcmp(coding, "chunked"))
		return wrong(r, "a coding that is not chunked");
	if (!length)
		return true;
	if (!*length || strspn(length, "0123456789") != strlen(length) || strlen(length) > 18)
		return wrong(r, "a malformed length");
	r->length = strtoull(length, NULL, 10);
	return true;
}

static bool read_start(struct wire *r)
{
	const char *a = strchr(r->start, ' '), *b = a ? strchr(a + 1, ' ') : NULL;

	if (!r->requests)
		return (!strncmp(r->start, "HTTP/1.1 ", 9) && strspn(r->start + 9, "0123456789") == 3 && r->start[12] == ' ') ||
		       wrong(r, "a malformed status line");
	if (!b || !is_token(r->start, a) || b == a + 1 || strcmp(b + 1, "HTTP/1.1"))
		return wrong(r, "a malformed request line");
	return wire_count(r, "host") == 1 || wrong(r, "not one Host");
}

static void finish(struct wire *r)
{
	r->state = WIRE_IN_HEAD;
	r->text_n = 0;
	r->ops->on_end(r->user);
}

static void begin_body(struct wire *r)
{
	const int status = r->requests ? 0 : atoi(r->start + 9);

	r->no_body = false;
	r->key = r->body_n = 0;
	r->ops->on_head(r->user);
	if (status && status < 200) {
		r->text_n = 0; /* interim: the head of another follows */
		return;
	}
	r->no_body = r->no_body || status == 204 || status == 304;
	r->text_n = 0;
	r->fields_n = 0;
	r->left = r->length;
	if (r->no_body || (r->requests && !r->chunked && !r->length) || (r->has_length && !r->length))
		finish(r);
	else if (r->chunked)
		r->state = WIRE_IN_SIZE;
	else
		r->state = r->has_length ? WIRE_IN_LENGTH : WIRE_IN_UNTIL_CLOSE;
}

static bool head_byte(struct wire *r)
{
	char *next;

	if (r->text_n < 4 || memcmp(r->text + r->text_n - 4, "\r\n\r\n", 4))
		return true;
	next = take_line(r->text, r->text + r->text_n);
	if (!next)
		return wrong(r, "a control byte in the start line");
	r->start = r->text;
	if (!read_fields(r, next, r->text + r->text_n) || !read_framing(r) || !read_start(r))
		return false;
	begin_body(r);
	return true;
}

/* ---- bodies ---- */

static bool size_line(struct wire *r)
{
	const size_t digits = strspn(r->text, "0123456789abcdefABCDEF");

	if (!digits || digits > 8 || digits != r->text_n - 2 || r->text[digits] != '\r')
		return wrong(r, "a malformed chunk size");
	r->left = strtoull(r->text, NULL, 16);
	r->text_n = 0;
	r->state = r->left ? WIRE_IN_CHUNK : WIRE_IN_TRAILERS;
	return true;
}

static bool framing_byte(struct wire *r)
{
	if (r->text[r->text_n - 1] != '\n')
		return true;
	if (r->state == WIRE_IN_SIZE) {
		r->text[r->text_n] = '\0';
		return size_line(r);
	}
	if (r->state == WIRE_IN_CHUNK_END) {
		if (r->text_n != 2 || r->text[0] != '\r')
			return wrong(r, "no line end behind a chunk");
		r->text_n = 0;
		r->state = WIRE_IN_SIZE;
		return true;
	}
	if (r->text_n != 2 && (r->text_n < 4 || memcmp(r->text + r->text_n - 4, "\r\n\r\n", 4)))
		return true;
	if (!read_fields(r, r->text, r->text + r->text_n))
		return false;
	finish(r);
	return true;
}

static bool body_bytes(struct wire *r, const uint8_t *at, uint64_t n)
{
	for (uint64_t i = 0; r->key && i < n; i++)
		if (at[i] != sim_byte(r->key, r->body_n + i)) {
			snprintf(r->why, sizeof(r->why), "body byte %lu is %02x, not %02x", (unsigned long)(r->body_n + i), at[i],
			         sim_byte(r->key, r->body_n + i));
			return false;
		}
	r->body_n += n;
	return true;
}

static bool in_body(const struct wire *r)
{
	return r->state == WIRE_IN_LENGTH || r->state == WIRE_IN_CHUNK || r->state == WIRE_IN_UNTIL_CLOSE;
}

static bool eat_body(struct wire *r, const uint8_t *at, uint64_t n)
{
	if (!body_bytes(r, at, n))
		return false;
	if (r->state == WIRE_IN_UNTIL_CLOSE)
		return true;
	r->left -= n;
	if (!r->left && r->state == WIRE_IN_LENGTH)
		finish(r);
	else if (!r->left)
		r->state = WIRE_IN_CHUNK_END;
	return true;
}

bool wire_eat(struct wire *r, const uint8_t *at, size_t n)
{
	while (n && !r->halt) {
		if (in_body(r)) {
			const uint64_t take = r->state != WIRE_IN_UNTIL_CLOSE && r->left < n ? r->left : n;

			if (!eat_body(r, at, take))
				return false;
			at += take;
			n -= take;
			continue;
		}
		if (r->text_n == WIRE_HEAD - 1)
			return wrong(r, "endless text");
		r->text[r->text_n++] = (char)*at++;
		n--;
		if (!(r->state == WIRE_IN_HEAD ? head_byte(r) : framing_byte(r)))
			return false;
	}
	return true;
}

void wire_tunnel(struct wire *r, uint64_t key)
{
	r->state = WIRE_IN_UNTIL_CLOSE;
	r->text_n = 0;
	r->key = key;
	r->body_n = 0;
}

bool wire_eof(struct wire *r)
{
	if (r->state != WIRE_IN_UNTIL_CLOSE)
		return r->state == WIRE_IN_HEAD && !r->text_n;
	finish(r);
	return true;
}
