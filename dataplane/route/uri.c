#include "route/uri.h"

#include <immintrin.h>
#include <string.h>

enum { STRIDE = 32 };

/* ---- is it plain? ---- */

struct marks {               /* a bit per byte */
	uint32_t bad, slash, dot, query;
};

static inline uint32_t equal_bits(__m256i v, char c)
{
	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(c)));
}

/* bad: what is not of a path in normal form, wherever it stands (the table of classes below, without the query's ?). */
static inline struct marks mark(const char at[static STRIDE])
{
	/* For low half l: bit h is set when the byte h << 4 | l is bad. */
	static const uint8_t lows[16] = {0x47, 0x03, 0x07, 0x07, 0x03, 0x07, 0x03, 0x03,
	                                 0x03, 0x03, 0x03, 0x83, 0xab, 0x83, 0x2b, 0x83};
	static const uint8_t highs[16] = {1, 2, 4, 8, 16, 32, 64, 128};
	const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);
	const __m256i nibble = _mm256_set1_epi8(0x0f);
	const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)lows));
	const __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)highs));
	const __m256i of_low = _mm256_shuffle_epi8(low, _mm256_and_si256(v, nibble));
	const __m256i of_high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
	const __m256i good = _mm256_cmpeq_epi8(_mm256_and_si256(of_low, of_high), _mm256_setzero_si256());

	return (struct marks){
		.bad = ~(uint32_t)_mm256_movemask_epi8(good) | (uint32_t)_mm256_movemask_epi8(v),
		.slash = equal_bits(v, '/'), .dot = equal_bits(v, '.'), .query = equal_bits(v, '?'),
	};
}

/* Bits of what is not plain; *done: the query begins here. *after_slash: the byte before this piece is a slash. */
static inline uint32_t trouble(const char at[static STRIDE], uint32_t *after_slash, bool *done)
{
	const struct marks m = mark(at);
	const uint32_t path = m.query != 0 ? (m.query & -m.query) - 1 : UINT32_MAX;
	const uint32_t behind = m.slash << 1 | *after_slash;

	*done = m.query != 0;
	*after_slash = m.slash >> 31;
	return (m.bad | (behind & (m.slash | m.dot))) & path;
}

bool uri_is_plain(struct text path)
{
	const char *at = path.at, *const end = path.at + path.len;
	uint32_t after_slash = 0;
	char last[STRIDE] = "?"; /* a piece that is not full ends as a query would */
	bool done;

	for (; end - at >= STRIDE; at += STRIDE) {
		if (trouble(at, &after_slash, &done) != 0)
			return false;
		if (done)
			return true;
	}
	memcpy(last, at, (size_t)(end - at));
	last[end - at] = '?';
	return trouble(last, &after_slash, &done) == 0;
}

/* ---- the normal form ---- */

enum class { PASS, ESCAPE, UNESCAPE, INVALID };

/* What happens to a byte: PASS stays as it is written, escaped or not. Dots and slashes are looked at before. */
static const uint8_t classes[256] = {
	[0] = INVALID, [0x01 ... 0x20] = ESCAPE, ['"'] = ESCAPE, ['#'] = ESCAPE, ['%'] = ESCAPE, ['<'] = ESCAPE,
	['>'] = ESCAPE, ['?'] = ESCAPE, ['\\'] = ESCAPE, ['^'] = ESCAPE, ['`'] = ESCAPE, ['{'] = ESCAPE,
	['|'] = ESCAPE, ['}'] = ESCAPE, [0x7f ... 0xff] = ESCAPE,
	['-'] = UNESCAPE, ['_'] = UNESCAPE, ['~'] = UNESCAPE, ['0' ... '9'] = UNESCAPE, ['A' ... 'Z'] = UNESCAPE,
	['a' ... 'z'] = UNESCAPE,
};

/* -1: none. */
static inline int hex_digit(char c)
{
	const char letter = c | 0x20;

	if (c >= '0' && c <= '9')
		return c - '0';
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

struct writer {
	const char *from;            /* the path, without the query */
	uint32_t from_len;
	char *out;
	uint32_t room, len;
	uint32_t percent;            /* where in out a % stands that began no escape; room: nowhere near */
	bool slash_escaped, invalid, full;
};

/* One character of the path: a byte, or an escape. */
struct glyph {
	uint8_t byte;
	uint32_t len;                /* as written; 0: the end */
};

static inline struct glyph glyph_at(const struct writer *w, uint32_t i)
{
	const char *at = w->from + i;

	if (i >= w->from_len)
		return (struct glyph){0};
	if (*at == '%' && w->from_len - i >= 3 && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0)
		return (struct glyph){.byte = (uint8_t)(hex_digit(at[1]) << 4 | hex_digit(at[2])), .len = 3};
	return (struct glyph){.byte = (uint8_t)*at, .len = 1};
}

static inline bool is_slash(struct glyph g)
{
	return g.len > 0 && (g.byte == '/' || g.byte == '\\');
}

static inline bool is_dot(struct glyph g)
{
	return g.len > 0 && g.byte == '.';
}

static inline void put(struct writer *w, char c)
{
	if (w->len == w->room)
		w->full = true;
	else
		w->out[w->len++] = c;
}

/* Puts a character that may make an escape of a % two places before it: then that % is itself escaped. */
static void put_checked(struct writer *w, char c)
{
	char before;

	put(w, c);
	if (w->full || w->percent == w->room || w->len - w->percent != 3)
		return;
	before = w->out[w->len - 2];
	if (hex_digit(before) >= 0 && hex_digit(c) >= 0) {
		w->len -= 2;
		put(w, '2');
		put(w, '5');
		put(w, before);
		put(w, c);
	}
	w->percent = w->room;
}

static void put_escaped(struct writer *w, uint8_t byte)
{
	put(w, '%');
	put(w, "0123456789ABCDEF"[byte >> 4]);
	put(w, "0123456789ABCDEF"[byte & 15]);
}

/* To the slash before the last one, if there is one: out begins and ends with a slash. */
static void back_up(struct writer *w)
{
	uint32_t n = w->len - 1;

	while (n > 0 && w->out[n - 1] != '/')
		n--;
	if (n > 0)
		w->len = n;
	if (w->percent >= w->len)
		w->percent = w->room;
}

/* A dot at i behind a slash: how many bytes a segment "." or ".." has there, with its slash. 0: it is none. */
static uint32_t dot_segment(const struct writer *w, uint32_t i, bool *up)
{
	const struct glyph first = glyph_at(w, i), second = glyph_at(w, i + first.len);
	struct glyph third;

	*up = false;
	if (second.len == 0 || is_slash(second))
		return first.len + second.len;
	third = glyph_at(w, i + first.len + second.len);
	if (!is_dot(second) || (third.len != 0 && !is_slash(third)))
		return 0;
	*up = true;
	return first.len + second.len + third.len;
}

/* The slash of a dot segment may be an escaped one, too. */
static void note_slashes(struct writer *w, uint32_t from, uint32_t to)
{
	for (struct glyph g; from < to; from += g.len) {
		g = glyph_at(w, from);
		w->slash_escaped |= is_slash(g) && g.len == 3;
	}
}

static uint32_t put_dot(struct writer *w, uint32_t i)
{
	uint32_t n = 0;
	bool up;

	if (w->len > 0 && w->out[w->len - 1] == '/')
		n = dot_segment(w, i, &up);
	if (n == 0) {
		put_checked(w, '.');
		return glyph_at(w, i).len;
	}
	note_slashes(w, i, i + n);
	if (up)
		back_up(w);
	return n;
}

static void put_byte(struct writer *w, uint8_t byte)
{
	if (byte == '%') {
		w->percent = w->len;
		put(w, '%');
	} else if (classes[byte] == INVALID) {
		w->invalid = true;
	} else if (classes[byte] == ESCAPE) {
		put_escaped(w, byte);
	} else {
		put_checked(w, (char)byte);
	}
}

static void put_escape(struct writer *w, uint32_t i, uint8_t byte)
{
	if (classes[byte] == INVALID) {
		w->invalid = true;
	} else if (classes[byte] == UNESCAPE) {
		put_checked(w, (char)byte);
	} else {
		for (uint32_t k = 0; k < 3; k++)
			put(w, w->from[i + k]);
	}
}

static void put_path(struct writer *w)
{
	for (uint32_t i = 0; i < w->from_len && !w->full && !w->invalid;) {
		const struct glyph g = glyph_at(w, i);

		if (is_dot(g)) {
			i += put_dot(w, i);
			continue;
		}
		if (is_slash(g)) {
			put(w, '/');
			w->slash_escaped |= g.len == 3;
		} else if (g.len == 3) {
			put_escape(w, i, g.byte);
		} else {
			put_byte(w, g.byte);
		}
		i += g.len;
	}
}

static void merge_slashes(struct writer *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->len; i++) {
		if (n > 0 && w->out[i] == '/' && w->out[n - 1] == '/')
			continue;
		w->out[n++] = w->out[i];
	}
	w->len = n;
}

enum uri_verdict uri_normalise(struct text path, char *out, uint32_t room, uint32_t *len)
{
	const char *mark = path.len > 0 ? memchr(path.at, '?', path.len) : NULL;
	const uint32_t from_len = mark != NULL ? (uint32_t)(mark - path.at) : path.len;
	struct writer w = {.from = path.at, .from_len = from_len, .out = out, .room = room, .percent = room};

	if (path.len == 0 || path.at[0] != '/')
		return URI_PLAIN;
	put_path(&w);
	if (w.invalid)
		return URI_REFUSED;
	if (w.full)
		return URI_TOO_LONG;
	merge_slashes(&w);
	if (w.len == from_len && memcmp(out, path.at, from_len) == 0)
		return URI_PLAIN;
	if (path.len - from_len > room - w.len)
		return URI_TOO_LONG;
	if (path.len > from_len)
		memcpy(out + w.len, path.at + from_len, path.len - from_len);
	*len = w.len + path.len - from_len;
	return w.slash_escaped ? URI_REDIRECT : URI_CHANGED;
}
